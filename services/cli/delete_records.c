// SPDX-License-Identifier: Apache-2.0
// `millrace topic delete-records`: moves the start of a topic's partitions up. Each partition is asked of its
// leader, found anew when it has moved.
#include "delete_records.h"

#include "admin.h"
#include "kafka/errors.h"
#include "kafka/messages/delete_records.h"
#include "table.h"

enum { BEFORE_ABSENT = -2, PARTITION_ALL = -1 };

struct wish {
    struct admin_options options;
    const char *topic;
    int64_t before; // -1: the watermark
    int64_t only;   // partition, or PARTITION_ALL
};

typedef struct kafka_metadata_response_metadata_response_topic topic_t;

static enum cli_exit topic_of(struct admin *admin, const char *name, const topic_t **topic)
{
    const struct kafka_metadata_response *response;
    struct slice text = slice_str(name);
    enum cli_exit code = admin_metadata(admin, &text, 1, &response);
    if (code != CLI_DONE)
        return code;
    if (response->topics_count != 1)
        return cli_fail(CLI_FAILED, "the broker answered for %d topics", response->topics_count);
    *topic = &response->topics[0];
    int16_t error = (*topic)->error_code;
    return error == 0 ? CLI_DONE : admin_refused("topic", text, error, slice_of(NULL, 0));
}

static int32_t leader_of(const topic_t *topic, int32_t partition)
{
    for (int i = 0; i < topic->partitions_count; i++)
        if (topic->partitions[i].partition_index == partition)
            return topic->partitions[i].leader_id;
    return -1;
}

static enum cli_exit ask(struct admin *admin, const struct wish *wish, int32_t leader, int32_t partition,
                         struct kafka_delete_records_response_delete_records_partition_result *result)
{
    struct kafka_delete_records_request request;
    struct kafka_delete_records_request_delete_records_topic topic;
    struct kafka_delete_records_request_delete_records_partition asked;
    kafka_defaults(&kafka_delete_records_request_message, &request);
    kafka_structure_defaults(&kafka_delete_records_request_delete_records_topic_type, &topic);
    kafka_structure_defaults(&kafka_delete_records_request_delete_records_partition_type, &asked);
    asked.partition_index = partition;
    asked.offset = wish->before;
    topic.name = slice_str(wish->topic);
    topic.partitions = &asked;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = (int32_t)wish->options.timeout_s * 1000;
    const void *body;
    enum cli_exit code = admin_call(admin, leader, KAFKA_API_DELETE_RECORDS, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    const struct kafka_delete_records_response *response = body;
    if (response->topics_count != 1 || response->topics[0].partitions_count != 1)
        return cli_fail(CLI_FAILED, "the broker answered for %d topics", response->topics_count);
    *result = response->topics[0].partitions[0];
    return CLI_DONE;
}

static enum cli_exit delete_in(struct admin *admin, const struct wish *wish, int32_t partition,
                               int64_t *low_watermark)
{
    for (;;) {
        const topic_t *topic;
        struct kafka_delete_records_response_delete_records_partition_result result = {
            .error_code = KAFKA_ERR_LEADER_NOT_AVAILABLE};
        enum cli_exit code = topic_of(admin, wish->topic, &topic);
        if (code != CLI_DONE)
            return code;
        int32_t leader = leader_of(topic, partition);
        if (leader >= 0)
            code = ask(admin, wish, leader, partition, &result);
        if (code != CLI_DONE)
            return code;
        if (admin_again(admin, result.error_code))
            continue;
        *low_watermark = result.low_watermark;
        return result.error_code == 0
                   ? CLI_DONE
                   : admin_refused("topic", slice_str(wish->topic), result.error_code, slice_of(NULL, 0));
    }
}

static enum cli_exit delete_all(struct admin *admin, const struct wish *wish, struct table *table)
{
    const topic_t *topic;
    enum cli_exit code = topic_of(admin, wish->topic, &topic);
    int32_t from = wish->only >= 0 ? (int32_t)wish->only : 0;
    int32_t to = wish->only >= 0 ? from + 1 : code == CLI_DONE ? topic->partitions_count : 0;
    for (int32_t partition = from; code == CLI_DONE && partition < to; partition++) {
        int64_t low_watermark;
        code = delete_in(admin, wish, partition, &low_watermark);
        if (code != CLI_DONE)
            break;
        table_text(table, slice_str(wish->topic));
        table_number(table, partition);
        table_number(table, low_watermark);
    }
    return code;
}

static enum cli_exit wish_check(const struct cli_many *positional, void *context)
{
    const struct wish *wish = context;
    if (wish->before == BEFORE_ABSENT)
        return cli_fail(CLI_USAGE, "which records? --before OFFSET, or --before -1 for all");
    return CLI_DONE;
}

static enum cli_exit wish_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    static const char *const columns[] = {"topic", "partition", "start"};
    struct wish *wish = context;
    wish->topic = positional->items[0];
    struct table *table = table_new(columns, 3);
    enum cli_exit code = delete_all(admin, wish, table);
    table_print(&table, wish->options.json, code == CLI_DONE ? "no partitions" : NULL);
    return code;
}

enum cli_exit topic_delete_records(int argc, char **argv)
{
    struct wish wish = {.before = BEFORE_ABSENT, .only = PARTITION_ALL};
    const struct cli_arg args[] = {
        {"--before", CLI_INT, &wish.before, -1, INT64_MAX, "OFFSET",
         "records below it go; -1: all that is committed"},
        {"--partition|-p", CLI_INT, &wish.only, 0, INT32_MAX, "N", "only this partition; else all"}};
    const struct admin_command command = {
        .line = "topic delete-records NAME --before OFFSET [options]",
        .help = "Deletes the oldest records of a topic; shows where its partitions start then.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_min = 1,
        .positional_max = 1,
        .check = wish_check,
        .run = wish_run,
        .options = &wish.options,
        .context = &wish};
    return admin_command(&command, argc, argv);
}
