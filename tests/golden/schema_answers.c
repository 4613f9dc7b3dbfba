// SPDX-License-Identifier: Apache-2.0
// What common/schema answers about Avro schemas: one line of JSON in ({"refs": [texts], "reader": text,
// "writer": text}), one line out. tests/clients/avro.py asks Apache Avro the same and compares the lines.
#include "base/assert.h"
#include "schema/avro.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 16 << 20, REFS_MAX = 16 };

static void print_buf(struct buf *text)
{
    fwrite(text->data, 1, text->len, stdout);
    buf_clear(text);
}

static void print_fingerprints(const struct schema *schema)
{
    uint8_t bytes[AVRO_FINGERPRINT_MAX];
    for (enum avro_fingerprint kind = AVRO_CRC64; kind <= AVRO_SHA256; kind++) {
        size_t len = 0;
        ASSERT(avro_fingerprint(schema, kind, bytes, &len) == ST_OK);
        putchar('\t');
        for (size_t i = 0; i < len; i++)
            printf("%02x", bytes[i]);
    }
}

static struct schema *answer(const struct schema_reference *refs, size_t n_refs, struct slice text)
{
    static const enum schema_text forms[] = {SCHEMA_TEXT_PLAIN, SCHEMA_TEXT_RESOLVED, SCHEMA_TEXT_CANONICAL};
    struct schema *schema;
    struct schema_error error;
    struct buf out;
    if (schema_parse(SCHEMA_AVRO, text, refs, n_refs, &error, &schema) != ST_OK) {
        printf("refused");
        return NULL;
    }
    printf(schema_validate(schema, &error) == ST_OK ? "good" : "bad default");
    buf_init(&out, LINE_MAX_BYTES);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        ASSERT(schema_text(schema, forms[i], &out) == ST_OK);
        putchar('\t');
        print_buf(&out);
    }
    buf_fini(&out);
    print_fingerprints(schema);
    return schema;
}

static void check(const struct schema *reader, const struct schema *writer)
{
    struct schema_findings findings;
    schema_findings_init(&findings);
    ASSERT(schema_check(reader, writer, &findings) == ST_OK);
    for (size_t i = 0; i < findings.count; i++) {
        const struct schema_finding *one = &findings.items[i];
        if (strcmp(one->type, "AMBIGUOUS_FIELD") == 0)
            printf("%s", one->type);
        else
            printf("%s%s %s %s", i > 0 ? "\t" : "", one->type, one->path, one->message);
    }
    schema_findings_fini(&findings);
}

static struct slice member(const struct tree *question, const char *name)
{
    const struct tree *found = tree_get(question, slice_str(name));
    ASSERT(found != NULL && found->kind == TREE_STRING);
    return found->text;
}

static void answer_line(struct slice line)
{
    struct arena arena;
    struct tree *question;
    struct tree_fault fault;
    struct schema_reference refs[REFS_MAX];
    size_t n_refs = 0;
    arena_init(&arena, LINE_MAX_BYTES);
    ASSERT(tree_parse(&arena, line, 10, false, &question, &fault) == ST_OK);
    const struct tree *list = tree_get(question, slice_str("refs"));
    for (const struct tree *ref = list ? list->first : NULL; ref != NULL && n_refs < REFS_MAX;
         ref = ref->next)
        refs[n_refs++] = (struct schema_reference){.name = slice_str("ref"), .text = ref->text};
    struct schema *reader = answer(refs, n_refs, member(question, "reader"));
    printf("\t|\t");
    struct schema *writer = answer(refs, n_refs, member(question, "writer"));
    printf("\t|\t");
    if (reader != NULL && writer != NULL)
        check(reader, writer);
    putchar('\n');
    schema_free(reader);
    schema_free(writer);
    arena_fini(&arena);
}

static struct slice unhex(struct arena *arena, struct slice hex)
{
    uint8_t *bytes = arena_alloc(arena, hex.len / 2);
    ASSERT(bytes != NULL);
    for (size_t i = 0; i < hex.len / 2; i++) {
        char two[3] = {(char)hex.data[2 * i], (char)hex.data[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return slice_of(bytes, hex.len / 2);
}

// The same JSON text with numbers as we print them: shorter digits than Java 17's now and then.
static void print_again(struct arena *arena, struct slice json, struct buf *out)
{
    struct tree *tree;
    struct tree_fault fault;
    ASSERT(tree_parse(arena, json, 2 * SCHEMA_PAYLOAD_DEPTH_MAX, false, &tree, &fault) == ST_OK);
    tree_print(tree, false, out);
}

static const char *fault_of(const struct schema *schema, struct arena *arena, const struct tree *line)
{
    struct slice plain = unhex(arena, member(line, "hex")), blocks = unhex(arena, member(line, "blocks"));
    struct slice json = member(line, "json");
    struct schema_error error;
    struct buf expected, printed, again, binary;
    const char *fault = "ok";
    buf_init(&expected, LINE_MAX_BYTES);
    buf_init(&printed, LINE_MAX_BYTES);
    buf_init(&again, LINE_MAX_BYTES);
    buf_init(&binary, LINE_MAX_BYTES);
    print_again(arena, json, &expected);
    if (schema_payload_check(schema, plain) != ST_OK || schema_payload_check(schema, blocks) != ST_OK)
        fault = "refused";
    else if (schema_payload_to_json(schema, plain, &printed) != ST_OK ||
             !slice_equal(buf_slice(&printed), buf_slice(&expected)))
        fault = "other JSON";
    else if (schema_payload_to_json(schema, blocks, &again) != ST_OK ||
             !slice_equal(buf_slice(&again), buf_slice(&expected)))
        fault = "other JSON of blocks";
    else if (schema_payload_from_json(schema, json, &error, &binary) != ST_OK ||
             !slice_equal(buf_slice(&binary), plain))
        fault = "other binary";
    buf_fini(&expected);
    buf_fini(&printed);
    buf_fini(&again);
    buf_fini(&binary);
    return fault;
}

static void answer_payload(struct slice text)
{
    struct arena arena;
    struct tree *line;
    struct tree_fault fault;
    struct schema *schema;
    struct schema_error error;
    arena_init(&arena, 8 * (size_t)LINE_MAX_BYTES);
    ASSERT(tree_parse(&arena, text, 10, false, &line, &fault) == ST_OK);
    ASSERT(schema_parse(SCHEMA_AVRO, member(line, "schema"), NULL, 0, &error, &schema) == ST_OK);
    printf("%s\n", fault_of(schema, &arena, line));
    schema_free(schema);
    arena_fini(&arena);
}

int main(int argc, char **argv)
{
    bool payloads = argc > 1 && strcmp(argv[1], "payloads") == 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    while ((len = getline(&line, &room, stdin)) > 0) {
        if (payloads)
            answer_payload(slice_of(line, (size_t)len));
        else
            answer_line(slice_of(line, (size_t)len));
    }
    free(line);
    return 0;
}
