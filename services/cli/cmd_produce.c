// SPDX-License-Identifier: Apache-2.0
// millrace produce: each line of standard input becomes a record, through librdkafka; done when every record
// is acknowledged. With a schema a line's sides are JSON, and what is sent begins with the schema's id.
#include "client.h"
#include "commands.h"
#include "schema_wire.h"
#include "schema_writer.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { FLUSH_MS = 200, WAIT_MS = 100, PROGRESS_MS = 1000, READ_STEP = 64 << 10, LINE_BYTES_MAX = 64 << 20 };

struct produce {
    struct client_options options;
    struct schema_writing writing;
    struct schema_writer schemas;
    const char *topic, *separator, *codec, *file, *acks;
    int64_t partition;
    rd_kafka_t *client;
    rd_kafka_headers_t *headers; // of every record; NULL: none
    int64_t sent, acked, failed, bytes;
    int64_t told_ms; // when progress was shown last
    bool progress;   // standard error is a terminal
    char first_error[256];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    struct produce *produce = context;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        produce->acked++;
        return;
    }
    if (produce->failed++ == 0)
        snprintf(produce->first_error, sizeof produce->first_error, "%s", rd_kafka_err2str(message->err));
}

static void progress_tell(struct produce *produce)
{
    int64_t now = now_ms();
    if (!produce->progress || now - produce->told_ms < PROGRESS_MS)
        return;
    produce->told_ms = now;
    fprintf(stderr, "\r%lld records sent, %lld acknowledged ", (long long)produce->sent,
            (long long)produce->acked);
}

// The key is what stands before the separator; a line without one has none (data NULL).
static enum cli_exit line_split(const struct produce *produce, struct slice line, struct slice *key,
                                struct slice *value)
{
    *key = (struct slice){0};
    *value = line;
    if (produce->schemas.key.schema != NULL) {
        if (schema_wire_split(line, produce->separator, key, value))
            return CLI_DONE;
        return cli_fail(CLI_FAILED, "line %lld: no key before a separator", (long long)produce->sent + 1);
    }
    size_t width = produce->separator != NULL ? strlen(produce->separator) : 0;
    const uint8_t *at = width > 0 ? memmem(line.data, line.len, produce->separator, width) : NULL;
    if (at != NULL) {
        *key = slice_of(line.data, (size_t)(at - line.data));
        *value = slice_of(at + width, line.len - key->len - width);
    }
    return CLI_DONE;
}

static enum cli_exit record_send(struct produce *produce, struct slice key, struct slice value)
{
    for (;;) {
        rd_kafka_headers_t *headers =
            produce->headers != NULL ? rd_kafka_headers_copy(produce->headers) : NULL;
        rd_kafka_resp_err_t error = rd_kafka_producev(
            produce->client, RD_KAFKA_V_TOPIC(produce->topic),
            RD_KAFKA_V_PARTITION((int32_t)produce->partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(key.data, key.len), RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.len),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
            rd_kafka_headers_destroy(headers); // they are the library's only when it took the record
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            produce->sent++;
            produce->bytes += (int64_t)(key.len + value.len);
            return CLI_DONE;
        }
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return cli_fail(CLI_FAILED, "record %lld: %s", (long long)produce->sent + 1,
                            rd_kafka_err2str(error));
        rd_kafka_poll(produce->client, WAIT_MS);
    }
}

// Every line is a record: the number of the next record is the line's.
static enum cli_exit line_send(struct produce *produce, struct slice line)
{
    struct slice key, value;
    enum cli_exit code = line_split(produce, line, &key, &value);
    if (code == CLI_DONE && key.data != NULL)
        code = schema_side_encode(&produce->schemas.key, produce->sent + 1, &key);
    if (code == CLI_DONE)
        code = schema_side_encode(&produce->schemas.value, produce->sent + 1, &value);
    return code == CLI_DONE ? record_send(produce, key, value) : code;
}

// ---- lines ----

struct lines {
    int fd, signals;
    struct buf text; // read and not yet sent
    bool ended;      // input, or we were interrupted
};

// Waits for more input; a signal ends the wait and the reading.
static void lines_fill(struct produce *produce, struct lines *lines)
{
    struct pollfd ready[] = {{.fd = lines->fd, .events = POLLIN}, {.fd = lines->signals, .events = POLLIN}};
    while (poll(ready, 2, WAIT_MS) == 0) {
        rd_kafka_poll(produce->client, 0);
        progress_tell(produce);
    }
    if (client_interrupted(lines->signals) || buf_reserve(&lines->text, READ_STEP) != ST_OK) {
        lines->ended = true;
        return;
    }
    ssize_t got = read(lines->fd, lines->text.data + lines->text.len, READ_STEP);
    if (got > 0)
        lines->text.len += (size_t)got;
    else
        lines->ended = got == 0 || errno != EINTR;
}

// Sends the whole lines of what was read; at the end of the input the rest too.
static enum cli_exit lines_take(struct produce *produce, struct lines *lines)
{
    size_t at = 0;
    enum cli_exit code = CLI_DONE;
    while (code == CLI_DONE && at < lines->text.len) {
        const char *line = (const char *)lines->text.data + at;
        const char *end = memchr(line, '\n', lines->text.len - at);
        if (end == NULL && !lines->ended)
            break;
        size_t len = end != NULL ? (size_t)(end - line) : lines->text.len - at;
        code = line_send(produce, slice_of(line, len));
        at += len + (end != NULL);
    }
    buf_consume(&lines->text, at);
    if (code == CLI_DONE && lines->text.len >= LINE_BYTES_MAX)
        code = cli_fail(CLI_FAILED, "a line is longer than %d bytes", LINE_BYTES_MAX);
    return code;
}

static enum cli_exit lines_send(struct produce *produce, int input, int signals)
{
    struct lines lines = {.fd = input, .signals = signals};
    enum cli_exit code = CLI_DONE;
    buf_init(&lines.text, LINE_BYTES_MAX + READ_STEP);
    while (code == CLI_DONE && !lines.ended) {
        lines_fill(produce, &lines);
        code = lines_take(produce, &lines);
        rd_kafka_poll(produce->client, 0);
        progress_tell(produce);
    }
    buf_fini(&lines.text);
    return code;
}

static enum cli_exit acks_wait(struct produce *produce, int signals)
{
    while (rd_kafka_outq_len(produce->client) > 0 && !client_interrupted(signals)) {
        rd_kafka_flush(produce->client, FLUSH_MS);
        progress_tell(produce);
    }
    if (produce->progress)
        fprintf(stderr, "\r%60s\r", "");
    int64_t open = produce->sent - produce->acked - produce->failed;
    if (produce->failed > 0)
        return cli_fail(CLI_FAILED, "%lld of %lld records were not acknowledged: %s",
                        (long long)produce->failed, (long long)produce->sent, produce->first_error);
    if (open > 0)
        return cli_fail(CLI_FAILED, "interrupted with %lld records not acknowledged", (long long)open);
    return CLI_DONE;
}

static enum cli_exit conf_extend(const struct produce *produce, rd_kafka_conf_t *conf)
{
    const char *const pairs[][2] = {{"compression.codec", produce->codec}, {"acks", produce->acks}};
    char error[256];
    for (size_t i = 0; i < 2; i++)
        if (pairs[i][1] != NULL &&
            rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], error, sizeof error) != RD_KAFKA_CONF_OK)
            return cli_fail(CLI_USAGE, "%s", error);
    return CLI_DONE;
}

static enum cli_exit produce_run(struct produce *produce, int input)
{
    rd_kafka_conf_t *conf;
    int signals = client_signals();
    enum cli_exit code = client_conf(&produce->options, &conf);
    if (code != CLI_DONE)
        return code;
    code = conf_extend(produce, conf);
    if (code != CLI_DONE) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, produce);
    code = client_new(RD_KAFKA_PRODUCER, conf, &produce->client);
    if (code != CLI_DONE)
        return code;
    code = lines_send(produce, input, signals);
    enum cli_exit waited = acks_wait(produce, signals);
    rd_kafka_purge(produce->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(produce->client);
    if (produce->options.json)
        printf("{\"sent\":%lld,\"acknowledged\":%lld,\"bytes\":%lld}\n", (long long)produce->sent,
               (long long)produce->acked, (long long)produce->bytes);
    return code != CLI_DONE ? code : waited;
}

static void header_put(struct produce *produce, const char *name, const struct schema_side *side)
{
    if (side->header.len == 0)
        return;
    if (produce->headers == NULL)
        produce->headers = rd_kafka_headers_new(SCHEMA_SIDES);
    rd_kafka_header_add(produce->headers, name, -1, side->header.data, (ssize_t)side->header.len);
}

// The schemas are had before a record is sent: what is wrong with them leaves nothing behind.
static enum cli_exit produce_open(struct produce *produce, int input)
{
    if (produce->writing.key != NULL && (produce->separator == NULL || *produce->separator == '\0'))
        produce->separator = "\t";
    enum cli_exit code = schema_writer_open(&produce->schemas, &produce->writing, produce->topic);
    if (code != CLI_DONE)
        return code;
    header_put(produce, schema_claim_headers[SCHEMA_KEY], &produce->schemas.key);
    header_put(produce, schema_claim_headers[SCHEMA_VALUE], &produce->schemas.value);
    code = produce_run(produce, input);
    if (produce->headers != NULL)
        rd_kafka_headers_destroy(produce->headers);
    schema_writer_close(&produce->schemas);
    return code;
}

enum cli_exit cmd_produce(int argc, char **argv)
{
    struct produce produce = {.partition = RD_KAFKA_PARTITION_UA, .progress = isatty(STDERR_FILENO)};
    const struct cli_arg args[] = {
        {"--key-separator|-K", CLI_TEXT, &produce.separator, 0, 0, "TEXT",
         "what stands between key and value (with --key-schema a tab)"},
        {"--partition|-p", CLI_INT, &produce.partition, 0, INT32_MAX, "N", "to this partition (by key)"},
        {"--compression|-z", CLI_TEXT, &produce.codec, 0, 0, "CODEC", "none, gzip, snappy, lz4, zstd"},
        {"--acks", CLI_TEXT, &produce.acks, 0, 0, "all|1|0", "what counts as acknowledged (all)"},
        {"--file", CLI_TEXT, &produce.file, 0, 0, "FILE", "lines from there instead of standard input"},
        SCHEMA_WRITING_OPTIONS(&produce.writing),
        CLIENT_ARGS(produce.options)};
    const struct cli_usage usage = {.line = "produce TOPIC [options]",
                                    .help =
                                        "Sends each line as a record and waits for all acknowledgements.\n"
                                        "A SCHEMA is a FILE (registered if it is not), SUBJECT[:VERSION] or "
                                        "id:N of the registry, or a schema's text.",
                                    .args = args,
                                    .count = sizeof args / sizeof *args,
                                    .positional_min = 1,
                                    .positional_max = 1};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    produce.topic = positional.items[0];
    int input = produce.file != NULL ? open(produce.file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (input < 0)
        return cli_fail(CLI_FAILED, "%s: %s", produce.file, strerror(errno));
    code = produce_open(&produce, input);
    if (input != STDIN_FILENO)
        close(input);
    return code;
}
