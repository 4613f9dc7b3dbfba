// SPDX-License-Identifier: Apache-2.0
// Why a share group (KIP-932) does not advance: its members and what waits for share coordinators as its
// coordinator has them, then partition by partition what the leader says of who holds the records. See why.h.
#include "why.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum {
    UNANSWERED_MS = 1000, // a share coordinator answers faster than that
    TRIED_MS = 60000      // dead letters that failed longer ago have had their chance since
};

struct look {
    struct why *why;
    const struct why_group_seen *seen;
    cJSON **nodes; // what storage nodes say of the group; NULL inside: nothing
    int node_count;
};

// One partition of the group.
struct place {
    const char *topic;
    int32_t partition;
    int64_t lag;         // -1: not known
    const cJSON *served; // as its leader tells it; NULL: it does not serve it
};

// ---- members ----

static void say_initializing(const struct look *look)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, json_get(look->seen->group, "initializing_list"))
    {
        int32_t state = (int32_t)why_number(row, "state_partition");
        why_say(
            look->why, "not_initialized",
            "%s-%d is not given to members: partition %d of __share_group_state does not keep its state yet.",
            why_string(row, "topic"), (int)why_number(row, "partition"), (int)state);
        why_offline(look->why, look->seen->metadata, slice_str("__share_group_state"), state);
    }
}

static bool topic_exists(const struct look *look, const char *name)
{
    const struct kafka_metadata_response *metadata = look->seen->metadata;
    for (int32_t i = 0; i < metadata->topics_count; i++)
        if (slice_is(metadata->topics[i].name, name))
            return true;
    return false;
}

// The topics that a member subscribes to and that do not exist, by name.
static void missing_topics(const struct look *look, const cJSON *member, char text[200])
{
    const cJSON *name;
    *text = '\0';
    cJSON_ArrayForEach(name, json_get(member, "subscribed"))
    {
        size_t len = strlen(text);
        if (cJSON_IsString(name) && !topic_exists(look, name->valuestring))
            snprintf(text + len, 200 - len, "%s%.60s", len > 0 ? ", " : "", name->valuestring);
    }
}

static void say_unassigned(const struct look *look, const cJSON *member)
{
    char missing[200];
    missing_topics(look, member, missing);
    const char *reason = *missing != '\0' ? "it subscribes to topics that do not exist: "
                         : cJSON_GetArraySize(json_get(member, "subscribed")) == 0
                             ? "it subscribes to nothing"
                             : "it has sent no heartbeat since they were shared out";
    why_say(look->why, "no_assignment", "Member %.150s (client %.80s) has no partition: %s%s.",
            why_string(member, "member"), why_string(member, "client"), reason, missing);
}

static void look_at_members(const struct look *look)
{
    const cJSON *member;
    int64_t members = why_number(look->seen->group, "members"), lag = why_number(look->seen->lag, "lag");
    if (members == 0 && lag > 0)
        why_say(look->why, "no_members", "Nobody reads: group %s has no members, and %lld records wait.",
                look->seen->name, (long long)lag);
    else if (members == 0 && lag < 0)
        why_say(look->why, "no_members", "Nobody reads: group %s has no members, and has not begun to read.",
                look->seen->name);
    if (why_number(look->seen->group, "initializing") > 0)
        return;
    cJSON_ArrayForEach(member, json_get(look->seen->group, "member_list"))
    {
        if (why_number(member, "assigned_count") == 0)
            say_unassigned(look, member);
    }
}

// ---- who holds the records ----

static void holders_text(const struct place *place, char text[500])
{
    const cJSON *holder;
    *text = '\0';
    cJSON_ArrayForEach(holder, json_get(place->served, "holders"))
    {
        size_t len = strlen(text);
        snprintf(text + len, 500 - len, "%smember %.80s has %lld from offset %lld on, for at most %s",
                 len > 0 ? "; " : "", why_string(holder, "member"), (long long)why_number(holder, "records"),
                 (long long)why_number(holder, "first"), why_time(why_number(holder, "lock_left_ms")).text);
    }
}

static void say_held(const struct look *look, const struct place *place)
{
    int64_t acquired = why_number(place->served, "acquired"), most = why_number(place->served, "locks_max");
    int64_t available = why_number(place->served, "available");
    char holders[500];
    holders_text(place, holders);
    if (acquired > 0 && acquired + available >= most && place->lag > acquired + available)
        why_say(
            look->why, "locks_full",
            "%s-%d: %lld records are held or come again, as many as share.partition.max.record.locks allows; "
            "others wait until some are acknowledged: %s.",
            place->topic, place->partition, (long long)(acquired + available), holders);
    else if (acquired > 0 && available == 0 && place->lag <= acquired)
        why_say(look->why, "locks_held",
                "%s-%d: all %lld records that wait are held by members that have not acknowledged them: %s.",
                place->topic, place->partition, (long long)acquired, holders);
    int64_t last = why_number(place->served, "last_deliveries");
    if (last > 0)
        why_say(
            look->why, "last_delivery",
            "%s-%d: %lld records are delivered for the last time (share.delivery.count.limit is %lld): when "
            "they are not acknowledged now, they are given up.",
            place->topic, place->partition, (long long)last,
            (long long)why_number(place->served, "delivery_limit"));
}

// ---- what the leader waits for ----

static void say_waits(const struct look *look, const struct place *place)
{
    int64_t unanswered_ms = why_number(place->served, "unanswered_ms");
    int64_t tried_ms = why_number(place->served, "dead_letters_tried_ms");
    bool ready = strcmp(why_string(place->served, "state"), "ready") == 0;
    if (unanswered_ms >= UNANSWERED_MS)
        why_say(look->why, ready ? "state_unwritten" : "state_unread",
                "%s-%d: its share coordinator has not answered for %s; %s.", place->topic, place->partition,
                why_time(unanswered_ms).text,
                ready ? "acknowledgements wait until it has written them"
                      : "nothing is delivered before it tells where the group is");
    if (tried_ms >= 0 && tried_ms < TRIED_MS)
        why_say(look->why, "dead_letters",
                "%s-%d: records that were given up cannot be written into the dead-letter topic of the "
                "group, %s; "
                "tried %s ago.",
                place->topic, place->partition, why_string(place->served, "dead_letters_trouble"),
                why_time(tried_ms).text);
}

// ---- partitions ----

static bool is_at(const cJSON *row, const char *topic, int64_t partition)
{
    return strcmp(why_string(row, "topic"), topic) == 0 && why_number(row, "partition") == partition;
}

static const cJSON *served_of(const struct look *look, const char *topic, int64_t partition)
{
    const cJSON *row;
    for (int i = 0; i < look->node_count; i++)
        cJSON_ArrayForEach(
            row, json_get(look->nodes[i], "partitions")) if (is_at(row, topic, partition)) return row;
    return NULL;
}

static void look_at_place(const struct look *look, const struct place *place)
{
    const struct kafka_metadata_response *metadata = look->seen->metadata;
    if (why_partition(metadata, slice_str(place->topic), place->partition) == NULL ||
        why_offline(look->why, metadata, slice_str(place->topic), place->partition))
        return; // what is gone is no obstacle
    if (place->served != NULL) {
        say_waits(look, place);
        if (place->lag > 0)
            say_held(look, place);
    } else if (why_number(look->seen->group, "members") > 0 && place->lag != 0) {
        why_say(
            look->why, "not_fetching",
            "%s-%d: no member fetches from its leader although the group has some: their applications do not "
            "poll.",
            place->topic, place->partition);
    }
}

static void look_at_partitions(const struct look *look)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, json_get(look->seen->lag, "partitions"))
    {
        struct place place = {.topic = why_string(row, "topic"),
                              .partition = (int32_t)why_number(row, "partition"),
                              .lag = why_number(row, "lag")};
        place.served = served_of(look, place.topic, place.partition);
        look_at_place(look, &place);
    }
}

static void ask_nodes(struct look *look)
{
    const struct daemons *daemons = look->why->daemons;
    struct daemons_thing thing = {
        .role = "storage", .before = "/v1/share-groups/", .name = look->seen->name, .after = ""};
    look->nodes = mem_calloc((size_t)daemons->count + 1, sizeof(cJSON *));
    for (int i = 0; i < daemons->count; i++) {
        int code;
        if (strcmp(daemons->places[i].role, thing.role) == 0 && daemons->places[i].answers)
            daemons_get_from(&daemons->places[i], &thing, &look->nodes[look->node_count++], &code);
    }
}

void why_share(struct why *why, const struct why_group_seen *seen)
{
    struct look look = {.why = why, .seen = seen};
    int64_t lag = why_number(seen->lag, "lag");
    ask_nodes(&look);
    say_initializing(&look);
    look_at_members(&look);
    look_at_partitions(&look);
    if (lag > 0)
        why_fine(why, "Group %s advances: %lld records wait.", seen->name, (long long)lag);
    else
        why_fine(why, "Share group %s has nothing to read (%s, %lld members).", seen->name,
                 why_string(seen->group, "state"), (long long)why_number(seen->group, "members"));
    for (int i = 0; i < look.node_count; i++)
        cJSON_Delete(look.nodes[i]);
    mem_free(look.nodes);
}
