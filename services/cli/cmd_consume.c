// SPDX-License-Identifier: Apache-2.0
// millrace consume: prints records through librdkafka, alone or as a member of a group; sides that name their
// schema as JSON.
#include "client.h"
#include "commands.h"
#include "group_reset.h"
#include "schema_fetch.h"
#include "schema_reader.h"

#include "base/mem.h"
#include "http/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 100, METADATA_MS = 30000, LINE_MAX_BYTES = 64 << 20 };

// A record's key or value.
struct side {
    const char *name;
    int which;    // SCHEMA_KEY, SCHEMA_VALUE
    bool schemas; // it names a schema
    struct schema_reader reader;
    struct slice bytes; // of the record at hand; data NULL: it has none
    struct buf json;    // what that is, if schemas
    struct schema_id id;
    bool known; // the id is the record's
};

struct consume {
    struct client_options options;
    struct schema_options registry;
    struct side key, value;
    const char *topic, *group, *separator, *since;
    bool from_beginning, exit_at_end, skip_errors;
    int64_t partition, offset, max, time_ms;
    rd_kafka_t *client;
    int64_t seen;
    int ends, assigned; // partitions read to their end, of those assigned
};

// ---- what is read ----

// The record's header with the schema's id of that side; data NULL: it has none.
static struct slice header_of(const rd_kafka_message_t *message, const struct side *side)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, schema_claim_headers[side->which], &value, &len) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
        return (struct slice){0};
    return value != NULL ? slice_of(value, len) : slice_str("");
}

// FAILED: *error says why.
static enum cli_exit side_decode(struct side *side, struct slice header, struct schema_error *error)
{
    struct schema_claim claim;
    if (schema_claim_take(header, side->bytes, &claim) != ST_OK) {
        snprintf(error->text, sizeof error->text, "no schema's id %s%s",
                 header.data != NULL ? "in its header " : "before it and no header ",
                 schema_claim_headers[side->which]);
        return CLI_FAILED;
    }
    side->id = claim.id;
    side->known = true;
    return schema_reader_json(&side->reader, &claim, error, &side->json);
}

// Reads one side of a record. FAILED, told with the record's place: its bytes are no value of a schema.
static enum cli_exit side_read(struct side *side, const rd_kafka_message_t *message, const void *data,
                               size_t len)
{
    struct schema_error error;
    side->bytes = slice_of(data, len);
    side->known = false;
    buf_clear(&side->json);
    if (!side->schemas || data == NULL)
        return CLI_DONE;
    enum cli_exit code = side_decode(side, header_of(message, side), &error);
    side->bytes = buf_slice(&side->json);
    if (code == CLI_FAILED)
        cli_fail(code, "partition %d, offset %lld: %s: %s", message->partition, (long long)message->offset,
                 side->name, error.text);
    return code;
}

static enum cli_exit record_read(struct consume *consume, const rd_kafka_message_t *message)
{
    enum cli_exit code = side_read(&consume->key, message, message->key, message->key_len);
    return code == CLI_DONE ? side_read(&consume->value, message, message->payload, message->len) : code;
}

// A number where the record has one, a guid as text.
static void put_side(struct buf *out, const struct side *side)
{
    char id[SCHEMA_ID_TEXT];
    buf_printf(out, ",\"%s\":", side->name);
    if (side->bytes.data == NULL)
        buf_printf(out, "null");
    else if (side->schemas)
        buf_append(out, side->bytes.data, side->bytes.len);
    else
        json_put_string(out, side->bytes);
    if (side->known)
        buf_printf(out, schema_id_is_guid(&side->id) ? ",\"%s_schema\":\"%s\"" : ",\"%s_schema\":%s",
                   side->name, schema_id_text(&side->id, id));
}

static void record_print_json(const struct consume *consume, const rd_kafka_message_t *message)
{
    struct buf out;
    rd_kafka_timestamp_type_t type;
    buf_init(&out, LINE_MAX_BYTES);
    buf_printf(&out, "{\"topic\":");
    json_put_string(&out, slice_str(rd_kafka_topic_name(message->rkt)));
    buf_printf(&out, ",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld", message->partition,
               (long long)message->offset, (long long)rd_kafka_message_timestamp(message, &type));
    put_side(&out, &consume->key);
    put_side(&out, &consume->value);
    buf_printf(&out, "}\n");
    fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
}

// A side that is decoded is JSON, also one that is not there.
static void side_print(const struct side *side)
{
    if (side->schemas && side->bytes.data == NULL)
        fputs("null", stdout);
    else
        fwrite(side->bytes.data, 1, side->bytes.len, stdout);
}

static void record_print(const struct consume *consume, const rd_kafka_message_t *message)
{
    if (consume->options.json) {
        record_print_json(consume, message);
        return;
    }
    if (consume->separator != NULL) {
        side_print(&consume->key);
        fputs(consume->separator, stdout);
    }
    side_print(&consume->value);
    putchar('\n');
}

// False when reading ends here.
static bool message_take(struct consume *consume, const rd_kafka_message_t *message, enum cli_exit *code)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        consume->ends++;
        return !(consume->exit_at_end && consume->ends >= consume->assigned);
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bool fatal = message->err == RD_KAFKA_RESP_ERR__FATAL ||
                     message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                     message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        enum cli_exit told = cli_fail(CLI_FAILED, "%s", rd_kafka_message_errstr(message));
        if (fatal)
            *code = told;
        return !fatal;
    }
    enum cli_exit read = record_read(consume, message);
    if (read == CLI_DONE)
        record_print(consume, message);
    else if (read != CLI_FAILED || !consume->skip_errors) {
        *code = read;
        return false;
    }
    consume->seen++;
    return consume->max == 0 || consume->seen < consume->max;
}

static enum cli_exit records_read(struct consume *consume, int signals)
{
    enum cli_exit code = CLI_DONE;
    bool more = true;
    while (more && !client_interrupted(signals) && !ferror(stdout)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consume->client, WAIT_MS);
        if (message == NULL) {
            fflush(stdout);
            continue;
        }
        more = message_take(consume, message, &code);
        rd_kafka_message_destroy(message);
    }
    fflush(stdout);
    return code;
}

// ---- where reading begins ----

static enum cli_exit partitions_fill(const struct consume *consume, rd_kafka_topic_partition_list_t *list)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consume->client, consume->topic, NULL);
    rd_kafka_resp_err_t error = rd_kafka_metadata(consume->client, 0, topic, &metadata, METADATA_MS);
    rd_kafka_topic_destroy(topic);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cli_fail(CLI_ABSENT, "no broker answers: %s", rd_kafka_err2str(error));
    enum cli_exit code = CLI_DONE;
    if (metadata->topic_cnt != 1 || metadata->topics[0].partition_cnt == 0)
        code = cli_fail(CLI_FAILED, "topic %s: %s", consume->topic,
                        rd_kafka_err2str(metadata->topic_cnt == 1 ? metadata->topics[0].err
                                                                  : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
    for (int p = 0; code == CLI_DONE && p < metadata->topics[0].partition_cnt; p++) {
        int32_t id = metadata->topics[0].partitions[p].id;
        if (consume->partition >= 0 && consume->partition != id)
            continue;
        rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, consume->topic, id);
        at->offset = consume->since != NULL    ? consume->time_ms
                     : consume->offset >= 0    ? consume->offset
                     : consume->from_beginning ? RD_KAFKA_OFFSET_BEGINNING
                                               : RD_KAFKA_OFFSET_END;
    }
    rd_kafka_metadata_destroy(metadata);
    if (code == CLI_DONE && list->cnt == 0)
        code = cli_fail(CLI_USAGE, "topic %s has no partition %lld", consume->topic,
                        (long long)consume->partition);
    return code;
}

static enum cli_exit assign(struct consume *consume)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    enum cli_exit code = partitions_fill(consume, list);
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (code == CLI_DONE && consume->since != NULL)
        error = rd_kafka_offsets_for_times(consume->client, list, METADATA_MS);
    if (code == CLI_DONE && error == RD_KAFKA_RESP_ERR_NO_ERROR)
        error = rd_kafka_assign(consume->client, list);
    if (code == CLI_DONE && error != RD_KAFKA_RESP_ERR_NO_ERROR)
        code = cli_fail(CLI_FAILED, "%s", rd_kafka_err2str(error));
    consume->assigned = list->cnt;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t *list,
                         void *context)
{
    struct consume *consume = context;
    bool gain = error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    consume->ends = 0;
    if (strcmp(rd_kafka_rebalance_protocol(client), "COOPERATIVE") == 0) {
        consume->assigned += gain ? list->cnt : -list->cnt;
        rd_kafka_error_t *failed =
            gain ? rd_kafka_incremental_assign(client, list) : rd_kafka_incremental_unassign(client, list);
        if (failed != NULL)
            rd_kafka_error_destroy(failed);
        return;
    }
    consume->assigned = gain ? list->cnt : 0;
    rd_kafka_assign(client, gain ? list : NULL);
}

static enum cli_exit subscribe(struct consume *consume)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, consume->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(consume->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? CLI_DONE
                                               : cli_fail(CLI_FAILED, "%s", rd_kafka_err2str(error));
}

// ---- running ----

static void conf_extend(struct consume *consume, rd_kafka_conf_t *conf)
{
    char error[256];
    const char *begin = consume->from_beginning ? "earliest" : "latest";
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", error, sizeof error);
    rd_kafka_conf_set(conf, "auto.offset.reset", begin, error, sizeof error);
    // Without a group nothing is committed; librdkafka wants a name all the same.
    rd_kafka_conf_set(conf, "group.id", consume->group != NULL ? consume->group : "millrace-consume", error,
                      sizeof error);
    if (consume->group == NULL)
        rd_kafka_conf_set(conf, "enable.auto.commit", "false", error, sizeof error);
    else
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, consume);
}

static enum cli_exit consume_run(struct consume *consume)
{
    rd_kafka_conf_t *conf;
    int signals = client_signals();
    enum cli_exit code = client_conf(&consume->options, &conf);
    if (code != CLI_DONE)
        return code;
    conf_extend(consume, conf);
    code = client_new(RD_KAFKA_CONSUMER, conf, &consume->client);
    if (code != CLI_DONE)
        return code;
    rd_kafka_poll_set_consumer(consume->client);
    code = consume->group != NULL ? subscribe(consume) : assign(consume);
    if (code == CLI_DONE)
        code = records_read(consume, signals);
    rd_kafka_consumer_close(consume->client);
    rd_kafka_destroy(consume->client);
    return code;
}

static void side_open(struct consume *consume, struct side *side, const char *subject)
{
    schema_reader_init(&side->reader, &consume->registry, schema_fetch, subject);
    buf_init(&side->json, LINE_MAX_BYTES);
}

static void side_close(struct side *side)
{
    schema_reader_fini(&side->reader);
    buf_fini(&side->json);
}

// Subjects are those of Confluent's TopicNameStrategy; what they say is the context, ids say the rest.
static enum cli_exit consume_open(struct consume *consume)
{
    char *value = mem_printf("%s-value", consume->topic), *key = mem_printf("%s-key", consume->topic);
    if (consume->key.schemas && consume->separator == NULL)
        consume->separator = "\t";
    side_open(consume, &consume->key, key);
    side_open(consume, &consume->value, value);
    enum cli_exit code = consume_run(consume);
    side_close(&consume->key);
    side_close(&consume->value);
    mem_free(value);
    mem_free(key);
    return code;
}

static enum cli_exit consume_check(struct consume *consume)
{
    if (consume->skip_errors && !consume->value.schemas && !consume->key.schemas)
        return cli_fail(CLI_USAGE, "--skip-errors goes with --value-schema or --key-schema");
    bool place = consume->partition >= 0 || consume->offset >= 0 || consume->since != NULL;
    if (consume->group != NULL && place)
        return cli_fail(
            CLI_USAGE,
            "--group reads from where the group is; --partition, --offset, --since do not go with it");
    if (consume->from_beginning + (consume->offset >= 0) + (consume->since != NULL) > 1)
        return cli_fail(CLI_USAGE, "one of --from-beginning, --offset, --since");
    if (consume->since != NULL && !time_parse(consume->since, &consume->time_ms))
        return cli_fail(CLI_USAGE, "--since: '%s' is neither milliseconds nor like 2026-01-31T12:30:00Z",
                        consume->since);
    return CLI_DONE;
}

enum cli_exit cmd_consume(int argc, char **argv)
{
    struct consume consume = {.partition = -1,
                              .offset = -1,
                              .key = {.name = "key", .which = SCHEMA_KEY},
                              .value = {.name = "value", .which = SCHEMA_VALUE}};
    const struct cli_arg args[] = {
        {"--from-beginning|-B", CLI_FLAG, &consume.from_beginning, 0, 0, NULL,
         "from the first record (new ones only)"},
        {"--offset|-o", CLI_INT, &consume.offset, 0, INT64_MAX, "N", "from this offset"},
        {"--since", CLI_TEXT, &consume.since, 0, 0, "TIME", "from the first record not older (UTC)"},
        {"--partition|-p", CLI_INT, &consume.partition, 0, INT32_MAX, "N", "only this partition"},
        {"--group|-g", CLI_TEXT, &consume.group, 0, 0, "GROUP", "as a member of this group, committing"},
        {"--max|-n", CLI_INT, &consume.max, 1, INT64_MAX, "N", "end after N records"},
        {"--exit|-e", CLI_FLAG, &consume.exit_at_end, 0, 0, NULL, "end at the end instead of waiting"},
        {"--key-separator|-K", CLI_TEXT, &consume.separator, 0, 0, "TEXT", "print the keys too"},
        {"--value-schema", CLI_FLAG, &consume.value.schemas, 0, 0, NULL,
         "values as JSON, each by the schema it names"},
        {"--key-schema", CLI_FLAG, &consume.key.schemas, 0, 0, NULL, "keys, too"},
        {"--skip-errors", CLI_FLAG, &consume.skip_errors, 0, 0, NULL,
         "tell of records that are no such values, and go on"},
        SCHEMA_REGISTRY_OPTIONS(&consume.registry),
        CLIENT_ARGS(consume.options)};
    const struct cli_usage usage = {
        .line = "consume TOPIC [options]",
        .help = "Prints a topic's records, one per line; with --json one object per line.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1};
    struct cli_many positional = {0};
    enum cli_exit code;
    if (!cli_args(&usage, argc, argv, &positional, &code))
        return code;
    consume.topic = positional.items[0];
    code = consume_check(&consume);
    return code == CLI_DONE ? consume_open(&consume) : code;
}
