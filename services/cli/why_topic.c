// SPDX-License-Identifier: Apache-2.0
// Why partitions of a topic are offline or under-replicated, or take no records: what Metadata says, then
// what the leader knows of each follower, and the follower of its own log. See why.h.
#include "why.h"

#include "base/mem.h"
#include "kafka/errors.h"

#include <stdio.h>
#include <string.h>

enum { SCHEMA_RECENT_MS = 600000 };

typedef struct kafka_metadata_response_metadata_response_partition partition_t;

// What a node says of its replica; NULL: it does not answer. To be freed.
static cJSON *replica_of(const struct why *why, int32_t node, const char *topic, int32_t partition)
{
    const struct daemon_place *place = daemons_at(why->daemons, "storage", node);
    char path[400];
    cJSON *json = NULL;
    int code;
    snprintf(path, sizeof path, "/v1/partitions/%s/%d", topic, partition);
    if (place == NULL || !place->answers || daemons_get(place, path, &json, &code) != ST_OK || code != 200) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

static const cJSON *follower_in(const cJSON *leader, int32_t node)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, json_get(leader, "replicas")) if (why_number(row, "node") == node) return row;
    return NULL;
}

// "120 records behind" or what is known instead.
static void behind_text(const cJSON *follower, char text[80])
{
    int64_t behind = why_number(follower, "behind");
    if (behind >= 0)
        snprintf(text, 80, "%lld records behind", (long long)behind);
    else
        snprintf(text, 80, "not heard of since this leader began");
}

struct missing { // a replica that is not in sync
    const char *topic;
    const partition_t *partition;
    int32_t node;
    const cJSON *follower; // as the leader knows it, NULL: not known
    const cJSON *own;      // as it says itself, NULL
};

static void say_slow(struct why *why, const struct missing *missing, const char *behind)
{
    int64_t throttle = why_number(missing->follower, "throttle"),
            heard_ms = why_number(missing->follower, "heard_ms");
    if (throttle >= 0)
        why_say(why, "replica_throttled",
                "%s-%d: the replica on node %d is %s and catches up throttled to %lld bytes per second.",
                missing->topic, missing->partition->partition_index, missing->node, behind,
                (long long)throttle);
    else if (heard_ms >= 0)
        why_say(why, "replica_behind", "%s-%d: the replica on node %d is %s; the leader heard it %s ago.",
                missing->topic, missing->partition->partition_index, missing->node, behind,
                why_time(heard_ms).text);
    else
        why_say(why, "replica_behind", "%s-%d: the replica on node %d is %s; it does not follow yet.",
                missing->topic, missing->partition->partition_index, missing->node, behind);
}

static void say_missing(struct why *why, const struct missing *missing)
{
    const char *log = missing->own != NULL ? why_string(missing->own, "log") : "ok";
    bool failed = missing->follower != NULL && cJSON_IsTrue(json_get(missing->follower, "failed"));
    bool fenced = missing->follower != NULL && cJSON_IsTrue(json_get(missing->follower, "fenced"));
    char behind[80];
    behind_text(missing->follower, behind);
    if (fenced)
        why_say(why, "replica_down",
                "%s-%d: node %d, which has a replica, is down; it was %s when last heard.", missing->topic,
                missing->partition->partition_index, missing->node, behind);
    else if (failed || strcmp(log, "ok") != 0)
        why_say(why, "replica_failed", "%s-%d: the replica on node %d cannot be used: its log failed (%s).",
                missing->topic, missing->partition->partition_index, missing->node,
                strcmp(log, "ok") != 0 ? log : "its node says no more");
    else
        say_slow(why, missing, behind);
}

static bool has(const int32_t *nodes, int32_t count, int32_t node)
{
    for (int32_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

// Records that the leader refuses for their schema (services/storage/refusal_past.h). What is long over is no
// reason now: the last refusal may be a few of a client's attempts old.
static void say_schemas(struct why *why, const char *topic, const partition_t *partition,
                        const cJSON *schemas)
{
    int64_t refused_ms = why_number(schemas, "refused_ms"), silent_ms = why_number(schemas, "unanswered_ms");
    if (silent_ms >= 0)
        why_say(
            why, "schema_unanswered",
            "%s-%d: records are not taken, since no schema registry has said for %s whether they may have "
            "their schema; clients repeat them.",
            topic, partition->partition_index, why_time(silent_ms).text);
    if (refused_ms >= 0 && refused_ms < SCHEMA_RECENT_MS)
        why_say(why, "schema_refused",
                "%s-%d: records are refused for their schema, %lld since the leader began, the last one %s "
                "ago: %s.",
                topic, partition->partition_index, (long long)why_number(schemas, "refused"),
                why_time(refused_ms).text, why_string(schemas, "why"));
}

static void look_at(struct why *why, const char *topic, const partition_t *partition)
{
    cJSON *leader = replica_of(why, partition->leader_id, topic, partition->partition_index);
    for (int32_t i = 0; i < partition->replica_nodes_count; i++) {
        int32_t node = partition->replica_nodes[i];
        if (has(partition->isr_nodes, partition->isr_nodes_count, node))
            continue;
        cJSON *own = replica_of(why, node, topic, partition->partition_index);
        struct missing missing = {.topic = topic,
                                  .partition = partition,
                                  .node = node,
                                  .follower = follower_in(leader, node),
                                  .own = own};
        say_missing(why, &missing);
        cJSON_Delete(own);
    }
    int64_t isr = why_number(leader, "isr"), needed = why_number(leader, "isr_needed");
    if (isr < needed)
        why_say(
            why, "under_min_isr",
            "%s-%d: %lld replicas are in sync and min.insync.replicas wants %lld: writes with acks=all are "
            "refused.",
            topic, partition->partition_index, (long long)isr, (long long)needed);
    say_schemas(why, topic, partition, json_get(leader, "schemas"));
    cJSON_Delete(leader);
}

enum cli_exit why_topic(struct why *why, const char *name)
{
    const struct kafka_metadata_response *metadata;
    struct slice topic = slice_str(name);
    enum cli_exit code = admin_metadata(why->admin, &topic, 1, &metadata);
    if (code != CLI_DONE)
        return code;
    int16_t error = metadata->topics_count == 1 ? metadata->topics[0].error_code : -1;
    if (error != 0)
        return admin_refused("topic", topic, error, slice_of(NULL, 0));
    for (int32_t p = 0; p < metadata->topics[0].partitions_count; p++) {
        const partition_t *partition = &metadata->topics[0].partitions[p];
        if (!why_offline(why, metadata, topic, partition->partition_index))
            look_at(why, name, partition);
    }
    why_fine(why, "Topic %s: all %d partitions have a leader and every replica is in sync.", name,
             metadata->topics[0].partitions_count);
    return CLI_DONE;
}
