// SPDX-License-Identifier: Apache-2.0
// millrace why group|topic|txn NAME: walks the brokers and the daemons' admin ports and says in plain words
// why something does not advance. Exit code 5 when a cause was found.
#include "commands.h"

#include "base/mem.h"
#include "table.h"
#include "why.h"

#include "kafka/messages/describe_producers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// ---- what the parts share ----

static char *format_text(const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    return mem_strdup(text);
}

void why_say(struct why *why, const char *name, const char *format, ...)
{
    va_list args;
    if (why->count == WHY_CAUSES_MAX) {
        why->more++;
        return;
    }
    va_start(args, format);
    why->causes[why->count++] = (struct why_cause){.name = name, .text = format_text(format, args)};
    va_end(args);
}

void why_fine(struct why *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mem_free(why->fine);
    why->fine = format_text(format, args);
    va_end(args);
}

int64_t why_number(const cJSON *object, const char *name)
{
    int64_t value;
    return object != NULL && json_integer(object, name, &value) == ST_OK ? value : -1;
}

const char *why_string(const cJSON *object, const char *name)
{
    const char *text = object != NULL ? json_string(object, name) : NULL;
    return text != NULL ? text : "?";
}

struct why_time why_time(int64_t ms)
{
    struct why_time time;
    duration_text(ms > 0 ? ms : 0, time.text);
    return time;
}

const struct kafka_metadata_response_metadata_response_partition *
why_partition(const struct kafka_metadata_response *metadata, struct slice topic, int32_t partition)
{
    for (int32_t t = 0; t < metadata->topics_count; t++) {
        if (!slice_equal(metadata->topics[t].name, topic))
            continue;
        for (int32_t p = 0; p < metadata->topics[t].partitions_count; p++)
            if (metadata->topics[t].partitions[p].partition_index == partition)
                return &metadata->topics[t].partitions[p];
    }
    return NULL;
}

static bool is_up(const struct kafka_metadata_response *metadata, int32_t node)
{
    for (int32_t b = 0; b < metadata->brokers_count; b++)
        if (metadata->brokers[b].node_id == node)
            return true;
    return false;
}

bool why_offline(struct why *why, const struct kafka_metadata_response *metadata, struct slice topic,
                 int32_t partition)
{
    const struct kafka_metadata_response_metadata_response_partition *found =
        why_partition(metadata, topic, partition);
    char nodes[256] = "";
    size_t len = 0;
    if (found == NULL || found->leader_id >= 0)
        return false;
    for (int32_t i = 0; i < found->replica_nodes_count && len < sizeof nodes - 40; i++) {
        int32_t node = found->replica_nodes[i];
        len += (size_t)snprintf(nodes + len, sizeof nodes - len, "%snode %d is %s", i > 0 ? ", " : "", node,
                                is_up(metadata, node) ? "up but does not lead it" : "down");
    }
    why_say(why, "partition_offline", "Partition %.*s-%d is offline, nobody leads it: %s.", (int)topic.len,
            (const char *)topic.data, partition, nodes);
    return true;
}

// ---- producers ----

typedef struct kafka_describe_producers_response_partition_response producers_t;

static bool choose(const producers_t *found, struct why_producer *producer)
{
    int64_t wanted = producer->id;
    bool any = false;
    for (int32_t i = 0; i < found->active_producers_count; i++) {
        int64_t first = found->active_producers[i].current_txn_start_offset;
        bool better = wanted >= 0 ? found->active_producers[i].producer_id == wanted
                                  : first >= 0 && (!any || first < producer->first_offset);
        if (!better)
            continue;
        any = true;
        *producer = (struct why_producer){.id = found->active_producers[i].producer_id,
                                          .epoch = found->active_producers[i].producer_epoch,
                                          .first_offset = first,
                                          .last_ms = found->active_producers[i].last_timestamp};
    }
    return any;
}

bool why_producer_at(struct why *why, int32_t leader, struct slice topic, int32_t partition,
                     struct why_producer *producer)
{
    struct kafka_describe_producers_request request;
    struct kafka_describe_producers_request_topic_request asked;
    const void *body;
    if (admin_version(why->admin, leader, KAFKA_API_DESCRIBE_PRODUCERS, -1) < 0)
        return false;
    kafka_defaults(&kafka_describe_producers_request_message, &request);
    kafka_structure_defaults(&kafka_describe_producers_request_topic_request_type, &asked);
    asked.name = topic;
    asked.partition_indexes = &partition;
    asked.partition_indexes_count = 1;
    request.topics = &asked;
    request.topics_count = 1;
    if (admin_call(why->admin, leader, KAFKA_API_DESCRIBE_PRODUCERS, -1, &request, &body) != CLI_DONE)
        return false;
    const struct kafka_describe_producers_response *response = body;
    return response->topics_count == 1 && response->topics[0].partitions_count == 1 &&
           choose(&response->topics[0].partitions[0], producer);
}

// ---- the command ----

struct command {
    struct admin_options options;
    struct daemons_options daemons;
    const char *subject;
    enum cli_exit (*find)(struct why *why, const char *name);
};

static void causes_print_json(const struct why *why, const char *subject, const char *name)
{
    struct buf out;
    buf_init(&out, 4 << 20);
    buf_printf(&out, "{\"subject\":\"%s\",\"name\":", subject);
    json_put_string(&out, slice_str(name));
    buf_printf(&out, ",\"causes\":[");
    for (int i = 0; i < why->count; i++) {
        buf_printf(&out, "%s\n  {\"cause\":\"%s\",\"text\":", i > 0 ? "," : "", why->causes[i].name);
        json_put_string(&out, slice_str(why->causes[i].text));
        buf_printf(&out, "}");
    }
    buf_printf(&out, "],\"more\":%d}\n", why->more);
    fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
}

static void causes_print(const struct why *why)
{
    for (int i = 0; i < why->count; i++)
        printf("%s\n", why->causes[i].text);
    if (why->more > 0)
        printf("... and %d more.\n", why->more);
    if (why->count == 0)
        printf("%s\n", why->fine != NULL ? why->fine : "Nothing holds it up.");
}

static enum cli_exit why_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct command *command = context;
    struct daemons *daemons;
    enum cli_exit code = daemons_find(&command->daemons, &daemons);
    if (code != CLI_DONE)
        return code;
    struct why *why = mem_calloc(1, sizeof *why);
    why->admin = admin;
    why->daemons = daemons;
    code = command->find(why, positional->items[0]);
    if (code == CLI_DONE && command->options.json)
        causes_print_json(why, command->subject, positional->items[0]);
    else if (code == CLI_DONE)
        causes_print(why);
    if (code == CLI_DONE && why->count > 0)
        code = CLI_FOUND;
    for (int i = 0; i < why->count; i++)
        mem_free(why->causes[i].text);
    mem_free(why->fine);
    mem_free(why);
    mem_free(daemons);
    return code;
}

static enum cli_exit run(int argc, char **argv, struct command command, const char *line, const char *help)
{
    const struct cli_arg args[] = {DAEMONS_ARGS(command.daemons)};
    const struct admin_command admin = {.line = line,
                                        .help = help,
                                        .args = args,
                                        .count = sizeof args / sizeof *args,
                                        .positional_min = 1,
                                        .positional_max = 1,
                                        .run = why_run,
                                        .options = &command.options,
                                        .context = &command};
    return admin_command(&admin, argc, argv);
}

static enum cli_exit group(int argc, char **argv)
{
    return run(argc, argv, (struct command){.subject = "group", .find = why_group},
               "why group NAME [options]",
               "Says why a group does not advance. Exit code 5 when a cause was found.");
}

static enum cli_exit topic(int argc, char **argv)
{
    return run(
        argc, argv, (struct command){.subject = "topic", .find = why_topic}, "why topic NAME [options]",
        "Says why partitions are offline or under-replicated, or refuse records for their schema. Exit "
        "code 5 when a cause was found.");
}

static enum cli_exit txn(int argc, char **argv)
{
    return run(argc, argv, (struct command){.subject = "txn", .find = why_txn}, "why txn ID [options]",
               "Says why a transaction is open. Exit code 5 when a cause was found.");
}

enum cli_exit cmd_why(int argc, char **argv)
{
    static const struct cli_command commands[] = {{"group", group, "why a group does not advance"},
                                                  {"topic", topic, "why partitions are not fully replicated"},
                                                  {"txn", txn, "why a transaction is open"}};
    return cli_dispatch("millrace why", commands, sizeof commands / sizeof *commands, argc, argv);
}
