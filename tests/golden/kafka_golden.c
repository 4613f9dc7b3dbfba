// SPDX-License-Identifier: Apache-2.0
// Compares our codec with what Apache Kafka's own classes say (lines made by tests/clients/java/oracle):
//   kafka_golden check MIN [-x CHANGED] FILE...
//       FILE may be gzip, - is standard input. Every line must hold, and every version of every message we
//       declare must have at least MIN cases. Of the "message version" lines in CHANGED (what a newer Kafka
//       changed under an old number) only the bytes count
//   kafka_golden seeds DIR
//       first inputs for tests/fuzz/fuzz_codec, two files per message and version
//   kafka_golden write SEED N
//       N random cases per message and version, encoded by us, for Kafka to read
// Lines (README.md of the oracle): C bytes and value, D default, R refusal, V versions that Kafka has.
#include "dump.h"
#include "fill.h"
#include "rules.h"

#include "base/assert.h"
#include "kafka/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    LINE_MAX_LEN = 4 << 20,
    BYTES_MAX = 16 << 20,
    ARENA_MAX = 64 << 20,
    SHOWN_MAX = 20,
    VERSIONS_MAX = 32
};

struct tally {
    uint32_t cases[512][VERSIONS_MAX]; // per message of ours and version
    bool changed[512][VERSIONS_MAX];   // only bytes are compared
    uint64_t good, bad;
    uint64_t bytes_only;
    uint64_t unknown_lines;    // of messages or versions Kafka has and we do not
    uint64_t unknown_versions; // how many those are
};

struct checker {
    struct tally *tally;
    struct rules rules;
    struct arena arena;
    struct kafka_out out;
    struct buf bytes;
    struct buf text;
};

static int message_index(const char *name)
{
    for (int32_t i = 0; i < kafka_message_count; i++) {
        if (strcmp(kafka_messages[i]->name, name) == 0)
            return i;
    }
    return -1;
}

static void wrong(struct checker *c, const char *name, const char *version, const char *what)
{
    if (c->tally->bad++ < SHOWN_MAX)
        fprintf(stderr, "WRONG %s v%s: %s\n", name, version, what);
}

static void unhex(struct buf *out, const char *hex)
{
    for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2)
        buf_put_u8(out, (uint8_t)(hex_digit((uint8_t)hex[0]) << 4 | hex_digit((uint8_t)hex[1])));
}

// What is wrong with our reading and writing of one case, NULL when nothing is.
static const char *compare(struct checker *c, const struct kafka_message *message, int16_t version,
                           const char *text) // NULL: only bytes count
{
    void *value = arena_alloc(&c->arena, message->structure->size);
    enum status status = kafka_decode(message, version, buf_slice(&c->bytes), &c->arena, value);
    if (status != ST_OK)
        return status_text(status);
    dump_message(message, version, value, &c->text);
    buf_put_u8(&c->text, 0);
    if (text != NULL && strcmp((const char *)c->text.data, text) != 0)
        return (const char *)c->text.data;
    status = kafka_encode(message, version, value, &c->out);
    if (status != ST_OK)
        return "cannot be encoded again";
    return slice_equal(buf_slice(&c->out.bytes), buf_slice(&c->bytes)) ? NULL : "encodes to other bytes";
}

static void check_case(struct checker *c, char **words, int count)
{
    if (count != 5) {
        wrong(c, words[1], "?", "not five words");
        return;
    }
    int index = message_index(words[1]);
    int version = atoi(words[2]);
    if (index < 0 || !kafka_in(kafka_messages[index]->valid, (int16_t)version)) {
        c->tally->unknown_lines++;
        return;
    }
    ASSERT(version >= 0 && version < VERSIONS_MAX);
    arena_reset(&c->arena);
    kafka_out_clear(&c->out);
    buf_clear(&c->bytes);
    buf_clear(&c->text);
    unhex(&c->bytes, words[3]);
    bool changed = c->tally->changed[index][version];
    const char *problem = compare(c, kafka_messages[index], (int16_t)version, changed ? NULL : words[4]);
    c->tally->bytes_only += changed;
    c->tally->cases[index][version]++;
    if (problem != NULL)
        wrong(c, words[1], words[2], problem);
    else
        c->tally->good++;
}

static bool any_changed(const struct tally *tally, int index)
{
    for (int version = 0; version < VERSIONS_MAX; version++) {
        if (tally->changed[index][version])
            return true;
    }
    return false;
}

static void check_rule(struct checker *c, char **words, int count)
{
    int index = count >= 4 ? message_index(words[1]) : -1;
    if (index < 0 || any_changed(c->tally, index)) {
        c->tally->unknown_lines++;
        return;
    }
    const char *problem = rules_check(&c->rules, index, words, count);
    if (problem != NULL)
        wrong(c, words[1], words[2], problem);
}

// Versions Kafka's release has and Kafka 4.2 had not: named, so that they are known to be skipped.
static void check_versions(struct checker *c, char **words)
{
    int index = message_index(words[1]);
    int first = atoi(words[2]);
    int last = atoi(words[3]);
    for (int version = first; version <= last; version++) {
        if (index >= 0 && kafka_in(kafka_messages[index]->valid, (int16_t)version))
            continue;
        printf("skipped: %s v%d is not declared by us (newer than 4.2)\n", words[1], version);
        c->tally->unknown_versions++;
    }
}

static void check_line(struct checker *c, char *line)
{
    char *words[6] = {0};
    int count = 0;
    char *rest = NULL;
    // Empty bytes leave two blanks in a row, which strtok would swallow.
    for (char *at = line; at != NULL && count < 6; at = rest) {
        rest = strchr(at, ' ');
        if (rest != NULL)
            *rest++ = '\0';
        words[count++] = at;
    }
    if (count < 4)
        wrong(c, "line", "?", line);
    else if (words[0][0] == 'C')
        check_case(c, words, count);
    else if (words[0][0] == 'V')
        check_versions(c, words);
    else
        check_rule(c, words, count);
}

static void check_file(struct checker *c, const char *path, char *line)
{
    gzFile in = strcmp(path, "-") == 0 ? gzdopen(0, "rb") : gzopen(path, "rb");
    if (in == NULL) {
        wrong(c, path, "?", "cannot be opened");
        return;
    }
    gzbuffer(in, 1 << 18);
    while (gzgets(in, line, LINE_MAX_LEN) != NULL) {
        char *end = strchr(line, '\n');
        if (end == NULL) {
            wrong(c, path, "?", "line too long or without an end");
            break;
        }
        *end = '\0';
        check_line(c, line);
    }
    if (gzclose(in) != Z_OK)
        wrong(c, path, "?", "is damaged");
}

static void read_changed(struct checker *c, const char *path, char *line)
{
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        wrong(c, path, "?", "cannot be opened");
        return;
    }
    while (fgets(line, LINE_MAX_LEN, in) != NULL) {
        char name[128];
        int version;
        if (line[0] == '#' || sscanf(line, "%127s %d", name, &version) != 2)
            continue;
        int index = message_index(name);
        ASSERT(index >= 0 && version >= 0 && version < VERSIONS_MAX);
        c->tally->changed[index][version] = true;
        c->rules.skip[index] = true;
        printf("only bytes: %s", line);
    }
    fclose(in);
}

static void check_coverage(struct checker *c, uint32_t min)
{
    uint32_t versions = 0;
    for (int32_t i = 0; i < kafka_message_count; i++) {
        const struct kafka_message *message = kafka_messages[i];
        for (int16_t version = message->valid.first; version <= message->valid.last; version++, versions++) {
            char text[8];
            snprintf(text, sizeof text, "%d", version);
            if (c->tally->cases[i][version] < min)
                wrong(c, message->name, text, "too few cases");
        }
    }
    if (c->rules.seen)
        rules_coverage(&c->rules);
    const struct tally *t = c->tally;
    printf("%d messages, %u versions: %" PRIu64 " cases right (%" PRIu64 " of them by bytes only), %" PRIu64
           " wrong; rules: %" PRIu64 " defaults, %" PRIu64 " refusals; skipped: %" PRIu64 " lines, %" PRIu64
           " versions newer than ours\n",
           kafka_message_count, versions, t->good, t->bytes_only, t->bad, c->rules.defaults,
           c->rules.refusals, t->unknown_lines, t->unknown_versions);
}

static int check(uint32_t min, char **paths, int count)
{
    struct checker c = {.tally = calloc(1, sizeof(struct tally))};
    char *line = malloc(LINE_MAX_LEN);
    ASSERT(c.tally != NULL && line != NULL && kafka_message_count <= 512);
    arena_init(&c.arena, ARENA_MAX);
    kafka_out_init(&c.out, BYTES_MAX);
    buf_init(&c.bytes, BYTES_MAX);
    buf_init(&c.text, BYTES_MAX);
    rules_init(&c.rules);
    int first = 0;
    if (count > 2 && strcmp(paths[0], "-x") == 0) {
        read_changed(&c, paths[1], line);
        first = 2;
    }
    for (int i = first; i < count; i++)
        check_file(&c, paths[i], line);
    check_coverage(&c, min);
    int exit_code = c.tally->bad + c.rules.missing == 0 && c.tally->good > 0 ? 0 : 1;
    rules_fini(&c.rules);
    arena_fini(&c.arena);
    kafka_out_fini(&c.out);
    buf_fini(&c.bytes);
    buf_fini(&c.text);
    free(c.tally);
    free(line);
    return exit_code;
}

static void put_hex(struct slice bytes)
{
    if (bytes.len == 0)
        putchar('-');
    for (size_t i = 0; i < bytes.len; i++)
        printf("%02x", bytes.data[i]);
}

static void write_case(struct checker *c, const struct kafka_message *message, int16_t version,
                       enum fill_kind kind, struct prng *prng)
{
    arena_reset(&c->arena);
    kafka_out_clear(&c->out);
    buf_clear(&c->text);
    void *value = arena_alloc(&c->arena, message->structure->size);
    fill_message(message, version, kind, prng, &c->arena, value);
    enum status status = kafka_encode(message, version, value, &c->out);
    if (status != ST_OK) {
        fprintf(stderr, "%s v%d: %s\n", message->name, version, status_text(status));
        exit(1);
    }
    dump_message(message, version, value, &c->text);
    buf_put_u8(&c->text, 0);
    printf("C %s %d ", message->name, version);
    put_hex(buf_slice(&c->out.bytes));
    printf(" %s\n", (const char *)c->text.data);
}

static int write_cases(uint64_t seed, int count)
{
    struct checker c = {0};
    arena_init(&c.arena, ARENA_MAX);
    kafka_out_init(&c.out, BYTES_MAX);
    buf_init(&c.text, BYTES_MAX);
    struct prng prng = {seed};
    for (int32_t m = 0; m < kafka_message_count; m++) {
        const struct kafka_message *message = kafka_messages[m];
        for (int16_t version = message->valid.first; version <= message->valid.last; version++) {
            for (int i = 0; i < count; i++)
                write_case(&c, message, version, (enum fill_kind)(i < FILL_RANDOM ? i : FILL_RANDOM), &prng);
        }
    }
    arena_fini(&c.arena);
    kafka_out_fini(&c.out);
    buf_fini(&c.text);
    return fflush(stdout) == 0 ? 0 : 1;
}

static bool write_seed(struct checker *c, const char *folder, int32_t m, int16_t version, struct prng *prng)
{
    const struct kafka_message *message = kafka_messages[m];
    for (int i = 0; i < 2; i++) {
        char path[4096];
        arena_reset(&c->arena);
        kafka_out_clear(&c->out);
        void *value = arena_alloc(&c->arena, message->structure->size);
        fill_message(message, version, i == 0 ? FILL_FULL : FILL_RANDOM, prng, &c->arena, value);
        uint8_t head[3] = {(uint8_t)(m >> 8), (uint8_t)m, (uint8_t)(version - message->valid.first)};
        enum status status = buf_append(&c->out.bytes, head, sizeof head);
        if (status == ST_OK)
            status = kafka_encode(message, version, value, &c->out);
        ASSERT(status == ST_OK);
        snprintf(path, sizeof path, "%s/%s-%d-%d", folder, message->name, version, i);
        FILE *out = fopen(path, "w");
        if (out == NULL)
            return false;
        fwrite(c->out.bytes.data, 1, c->out.bytes.len, out);
        if (fclose(out) != 0)
            return false;
    }
    return true;
}

static int write_seeds(const char *folder)
{
    struct checker c = {0};
    struct prng prng = {1};
    bool written = true;
    arena_init(&c.arena, ARENA_MAX);
    kafka_out_init(&c.out, BYTES_MAX);
    for (int32_t m = 0; m < kafka_message_count; m++) {
        for (int16_t v = kafka_messages[m]->valid.first; v <= kafka_messages[m]->valid.last && written; v++)
            written = write_seed(&c, folder, m, v, &prng);
    }
    arena_fini(&c.arena);
    kafka_out_fini(&c.out);
    return written ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "check") == 0)
        return check((uint32_t)atoi(argv[2]), argv + 3, argc - 3);
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        return write_cases(strtoull(argv[2], NULL, 10), atoi(argv[3]));
    if (argc == 3 && strcmp(argv[1], "seeds") == 0)
        return write_seeds(argv[2]);
    fprintf(stderr, "usage: kafka_golden check MIN [-x CHANGED] FILE... | write SEED N | seeds DIR\n");
    return 2;
}
