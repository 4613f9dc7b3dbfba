// SPDX-License-Identifier: Apache-2.0
// Why a group does not advance: its members and rebalance as its coordinator has them, then partition by
// partition what stands between the committed offset and the end. See why.h.
#include "why.h"

#include "kafka/messages/list_transactions.h"

#include <stdio.h>
#include <string.h>

enum { QUIET_MS = 10000 }; // who has records to read and commits nothing for so long does not advance

struct look {
    struct why *why;
    const char *name;
    const cJSON *group, *lag;
    const struct kafka_metadata_response *metadata;
};

// ---- members ----

static const char *or_dash(const char *text)
{
    return *text != '\0' ? text : "-";
}

static void member_text(const cJSON *member, char text[400])
{
    snprintf(text, 400, "%.150s (client %.80s at %.80s)", why_string(member, "member"),
             or_dash(why_string(member, "client")), why_string(member, "host"));
}

// ", heard 0.3 s ago"; nothing when its coordinator does not tell.
static void heard_text(const cJSON *member, char text[64])
{
    int64_t heard_ms = why_number(member, "heard_ms");
    *text = '\0';
    if (heard_ms >= 0)
        snprintf(text, 64, ", heard %s ago", why_time(heard_ms).text);
}

static bool in_state(const struct look *look, const char *state)
{
    return strcmp(why_string(look->group, "state"), state) == 0;
}

static void phase_end(const struct look *look, char text[80])
{
    int64_t left_ms = why_number(look->group, "phase_left_ms");
    if (left_ms < 0)
        *text = '\0';
    else
        snprintf(text, 80, "; without it the rebalance goes on in %s", why_time(left_ms).text);
}

// Members in that state hold a rebalance up; how many there are.
static int say_waited_for(const struct look *look, const char *state, const char *cause, const char *missing)
{
    const cJSON *member;
    char who[400], until[80], heard[64];
    int count = 0;
    phase_end(look, until);
    cJSON_ArrayForEach(member, json_get(look->group, "member_list"))
    {
        if (strcmp(why_string(member, "state"), state) != 0)
            continue;
        count++;
        member_text(member, who);
        heard_text(member, heard);
        why_say(look->why, cause, "A rebalance has been under way for %s and waits for member %s%s: %s%s.",
                why_time(why_number(look->group, "state_age_ms")).text, who, heard, missing, until);
    }
    return count;
}

static bool say_rebalance(const struct look *look)
{
    if (in_state(look, "PreparingRebalance")) {
        if (say_waited_for(look, "awaiting rejoin", "rebalance_join",
                           "it has not joined again, so its application does not poll") == 0)
            why_say(look->why, "rebalance_delay",
                    "A rebalance has begun %s ago and waits for more members to join, for another %s.",
                    why_time(why_number(look->group, "state_age_ms")).text,
                    why_time(why_number(look->group, "phase_left_ms")).text);
        return true;
    }
    if (!in_state(look, "CompletingRebalance"))
        return false;
    const cJSON *member;
    char who[400] = "?", until[80];
    phase_end(look, until);
    cJSON_ArrayForEach(
        member, json_get(look->group, "member_list")) if (strcmp(why_string(member, "member"),
                                                                 why_string(look->group, "leader")) == 0)
        member_text(member, who);
    why_say(look->why, "rebalance_sync",
            "A rebalance has been under way for %s and waits for its leader %s to hand out the partitions%s.",
            why_time(why_number(look->group, "state_age_ms")).text, who, until);
    return true;
}

static const cJSON *member_with(const struct look *look, const char *topic, int64_t partition)
{
    const cJSON *member, *assigned, *index;
    cJSON_ArrayForEach(member, json_get(look->group, "member_list"))
    {
        cJSON_ArrayForEach(assigned, json_get(member, "assigned"))
        {
            if (strcmp(why_string(assigned, "topic"), topic) != 0)
                continue;
            cJSON_ArrayForEach(index, json_get(assigned, "partitions")) if ((int64_t)index->valuedouble ==
                                                                            partition) return member;
        }
    }
    return NULL;
}

// ---- partitions ----

// The transactional id a producer id belongs to, "" when nobody tells.
static void id_of(const struct look *look, int64_t producer_id, char id[128])
{
    struct kafka_list_transactions_request request;
    const void *body;
    *id = '\0';
    kafka_defaults(&kafka_list_transactions_request_message, &request);
    request.producer_id_filters = &producer_id;
    request.producer_id_filters_count = 1;
    for (int32_t b = 0; *id == '\0' && b < look->metadata->brokers_count; b++) {
        int32_t node = look->metadata->brokers[b].node_id;
        if (admin_version(look->why->admin, node, KAFKA_API_LIST_TRANSACTIONS, -1) < 0 ||
            admin_call(look->why->admin, node, KAFKA_API_LIST_TRANSACTIONS, -1, &request, &body) != CLI_DONE)
            continue;
        const struct kafka_list_transactions_response *response = body;
        if (response->transaction_states_count > 0)
            snprintf(id, 128, "%.*s", (int)response->transaction_states[0].transactional_id.len,
                     (const char *)response->transaction_states[0].transactional_id.data);
    }
}

// How long the transaction has been open; "" when its coordinator does not tell.
static void open_since(const struct look *look, const char *id, char text[64])
{
    *text = '\0';
    for (int i = 0; *id != '\0' && *text == '\0' && i < look->why->daemons->count; i++) {
        const struct daemon_place *place = &look->why->daemons->places[i];
        char path[200];
        cJSON *txn = NULL;
        int code;
        snprintf(path, sizeof path, "/v1/transactions/%s", id);
        if (strcmp(place->role, "coordinator") == 0 && place->answers &&
            daemons_get(place, path, &txn, &code) == ST_OK && code == 200 && why_number(txn, "age_ms") >= 0)
            snprintf(text, 64, ", open for %s", why_time(why_number(txn, "age_ms")).text);
        cJSON_Delete(txn);
    }
}

static void say_transaction(const struct look *look, const cJSON *row, int32_t leader)
{
    struct why_producer producer = {.id = -1};
    const char *topic = why_string(row, "topic");
    int32_t partition = (int32_t)why_number(row, "partition");
    char who[220] = "of a producer nobody names", id[128] = "", since[64] = "";
    if (why_producer_at(look->why, leader, slice_str(topic), partition, &producer)) {
        id_of(look, producer.id, id);
        open_since(look, id, since);
        snprintf(who, sizeof who, "of producer %lld%s%s", (long long)producer.id,
                 *id != '\0' ? ", transactional id " : "", id);
    }
    why_say(look->why, "open_transaction",
            "%s-%d: a transaction %s%s, holds the last stable offset at %lld, %lld records before the end; "
            "consumers "
            "with isolation.level=read_committed wait for it.",
            topic, partition, who, since, (long long)why_number(row, "stable_end"),
            (long long)(why_number(row, "end") - why_number(row, "stable_end")));
}

// What is wrong with the place itself. True: something was said.
static bool say_place(const struct look *look, const cJSON *row)
{
    const char *topic = why_string(row, "topic");
    int32_t partition = (int32_t)why_number(row, "partition");
    int64_t committed = why_number(row, "committed"), start = why_number(row, "start");
    int64_t end = why_number(row, "end"), stable = why_number(row, "stable_end");
    const struct kafka_metadata_response_metadata_response_partition *found =
        why_partition(look->metadata, slice_str(topic), partition);
    if (found == NULL)
        why_say(look->why, "partition_gone",
                "%s-%d does not exist any more; the group still has an offset in it.", topic, partition);
    else if (why_offline(look->why, look->metadata, slice_str(topic), partition))
        return true;
    else if (committed < start)
        why_say(look->why, "committed_below_start",
                "%s-%d: the committed offset %lld lies below the start of the log, %lld: %lld records were "
                "deleted "
                "unread. Consumers go where auto.offset.reset says, or stop.",
                topic, partition, (long long)committed, (long long)start, (long long)(start - committed));
    else if (end >= 0 && committed > end)
        why_say(look->why, "committed_above_end",
                "%s-%d: the committed offset %lld lies behind the end of the log, %lld. Consumers go where "
                "auto.offset.reset says, or stop.",
                topic, partition, (long long)committed, (long long)end);
    else if (stable < end && committed >= stable)
        say_transaction(look, row, found->leader_id);
    else
        return false;
    return true;
}

static double rate_of(const cJSON *row, const char *name)
{
    const cJSON *value = json_get(row, name);
    return cJSON_IsNumber(value) ? value->valuedouble : -1;
}

// What is wrong with who reads it.
static void say_reader(const struct look *look, const cJSON *row)
{
    const char *topic = why_string(row, "topic");
    int64_t partition = why_number(row, "partition"), lag = why_number(row, "lag");
    int64_t quiet_ms = why_number(row, "commit_age_ms");
    const cJSON *member = member_with(look, topic, partition);
    double reads = rate_of(row, "commit_rate"), writes = rate_of(row, "produce_rate");
    char who[400], heard[64];
    if (member == NULL) {
        if (strcmp(why_string(look->group, "protocol_type"), "consumer") == 0)
            why_say(look->why, "unassigned",
                    "%s-%lld: %lld records wait and no member has the partition: none subscribes to it.",
                    topic, (long long)partition, (long long)lag);
        return;
    }
    member_text(member, who);
    heard_text(member, heard);
    if (quiet_ms >= QUIET_MS)
        why_say(look->why, "not_committing",
                "%s-%lld: %lld records wait, and member %s%s, has committed nothing for %s: it does not "
                "poll, works "
                "on one batch for long, or fails before it commits.",
                topic, (long long)partition, (long long)lag, who, heard, why_time(quiet_ms).text);
    else if (reads >= 0 && writes > reads)
        why_say(
            look->why, "lag_grows",
            "%s-%lld: member %s reads %.1f records per second and %.1f are written: the lag of %lld records "
            "grows.",
            topic, (long long)partition, who, reads, writes, (long long)lag);
}

static void look_at_partitions(const struct look *look, bool readers)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, json_get(look->lag, "partitions"))
    {
        bool said = say_place(look, row);
        if (!said && readers && why_number(row, "lag") > 0)
            say_reader(look, row);
    }
}

static void say_empty(const struct look *look, int64_t lag)
{
    int64_t age_ms = why_number(look->group, "state_age_ms");
    char since[48] = "";
    if (age_ms >= 0)
        snprintf(since, sizeof since, " since %s", why_time(age_ms).text);
    why_say(look->why, "no_members", "Nobody reads: group %s has no members%s, and %lld records wait.",
            look->name, since, (long long)lag);
}

// A streams group whose topics do not fit its topology has no tasks.
static void say_not_ready(const struct look *look)
{
    const char *text = why_string(look->group, "not_ready");
    if (strcmp(text, "?") != 0)
        why_say(look->why, "not_ready", "Group %s has no tasks to give out: %s", look->name, text);
}

static void find_causes(const struct look *look)
{
    int64_t members = why_number(look->group, "members"), lag = why_number(look->lag, "lag");
    say_not_ready(look);
    bool rebalance = say_rebalance(look);
    if (members == 0 && !rebalance && lag != 0)
        say_empty(look, lag);
    look_at_partitions(look, members > 0 && !rebalance);
    int64_t drain_ms = why_number(look->lag, "drain_ms");
    if (lag > 0 && drain_ms >= 0)
        why_fine(look->why, "Group %s advances: %lld records wait, at this pace for another %s.", look->name,
                 (long long)lag, why_time(drain_ms).text);
    else if (lag > 0)
        why_fine(look->why, "Group %s advances: %lld records wait.", look->name, (long long)lag);
    else
        why_fine(look->why, "Group %s has read everything it has offsets for (%s, %lld members).", look->name,
                 why_string(look->group, "state"), (long long)members);
}

enum cli_exit why_group(struct why *why, const char *name)
{
    struct look look = {.why = why, .name = name};
    struct daemons_thing thing = {
        .role = "coordinator", .what = "group", .before = "/v1/groups/", .name = name, .after = "/lag"};
    cJSON *group = NULL, *lag = NULL;
    enum cli_exit code = daemons_get_thing(why->daemons, &thing, &lag);
    thing.after = "";
    if (code == CLI_DONE)
        code = daemons_get_thing(why->daemons, &thing, &group);
    if (code == CLI_DONE)
        code = admin_metadata(why->admin, NULL, 0, &look.metadata);
    look.group = group;
    look.lag = lag;
    struct why_group_seen seen = {.name = name, .group = group, .lag = lag, .metadata = look.metadata};
    if (code == CLI_DONE && strcmp(why_string(group, "type"), "share") == 0)
        why_share(why, &seen);
    else if (code == CLI_DONE)
        find_causes(&look);
    cJSON_Delete(group);
    cJSON_Delete(lag);
    return code;
}
