// SPDX-License-Identifier: Apache-2.0
// See migrate.h. The rules are those of Kafka's ConsumerGroup.fromClassicGroup and
// ClassicGroup.fromConsumerGroup: a generation becomes an epoch and the other way round.
#include "migrate.h"

#include "base/assert.h"
#include "base/mem.h"
#include "consumer_protocol.h"
#include "consumer_state.h"
#include "group_state.h"

enum { ASSIGNMENT_MAX = 8 << 20 };

// ---- classic to consumer ----

static struct slice subscription_bytes(const struct group *from, const struct group_member *member)
{
    struct slice chosen = group_member_metadata(member, block_text(from->protocol));
    return chosen.len > 0 || member->protocol_count == 0 ? chosen : member->protocols[0].metadata;
}

static enum status move_up(const struct group *from, const struct group_member *old,
                           const struct subscription *subscription, struct consumer_group *to)
{
    struct parts assigned = {0}, none = {0}, free = {0};
    enum status status = assignment_read(block_text(old->assignment), to->topics->image, &assigned);
    struct consumer_profile profile = {
        .instance_id = old->instance_id,
        .rack = subscription->rack,
        .regex = slice_str(""),
        .client_id = old->client_id,
        .client_host = old->client_host,
        .topics = subscription->topics,
        .topic_count = subscription->topic_count,
        .rebalance_ms = old->rebalance_ms < 0 ? old->session_ms : old->rebalance_ms,
        .classic = true,
        .session_ms = old->session_ms,
        .protocols = old->protocols,
        .protocol_count = old->protocol_count,
    };
    if (status == ST_OK && !consumer_room(to, old->id, &profile, NULL))
        status = ST_LIMIT;
    struct consumer_profile *copy = status == ST_OK ? consumer_profile_copy(&profile) : NULL;
    struct consumer_member *member = copy == NULL ? NULL : consumer_member_new(to, old->id);
    if (status == ST_OK && member == NULL)
        status = ST_NO_MEMORY;
    for (size_t i = 0; status == ST_OK && i < assigned.count; i++) {
        assigned.items[i].epoch = from->generation;
        if (consumer_owner(to, &assigned.items[i]) == NULL) // a client's assignor may give one twice
            parts_append(&free, &assigned.items[i]);
    }
    if (status == ST_OK) {
        consumer_set_profile(to, member, copy);
        member->epoch = member->previous_epoch = from->generation;
        member->target = parts_copy(&free);
        member->dirty_target = true;
        consumer_set_current(to, member, &free, &none);
    } else {
        mem_free(copy);
    }
    parts_fini(&free);
    parts_fini(&assigned);
    return status;
}

static enum status move_member(const struct group *from, const struct group_member *old,
                               struct consumer_group *to)
{
    struct subscription subscription;
    subscription_init(&subscription);
    enum status status =
        old->protocol_count == 0
            ? ST_MALFORMED
            : subscription_read(&subscription, subscription_bytes(from, old), to->topics->image);
    if (status == ST_OK)
        status = move_up(from, old, &subscription, to);
    subscription_fini(&subscription);
    return status;
}

static int16_t may_go_up(const struct group *from, const struct consumer_group *to)
{
    if (!to->settings->may_upgrade || !slice_is(block_text(from->protocol_type), "consumer") ||
        from->members.count > (size_t)to->settings->size_max)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND;
    bool full = from->members.count == (size_t)to->settings->size_max;
    return full ? KAFKA_ERR_GROUP_MAX_SIZE_REACHED : KAFKA_ERR_NONE;
}

int16_t migrate_up(struct group *from, struct group_now now, struct consumer_group *to)
{
    int16_t error = may_go_up(from, to);
    to->epoch = to->target_epoch = from->generation;
    void *value;
    for (struct map_entry *at = NULL;
         error == KAFKA_ERR_NONE && map_next(&from->members, &at, NULL, &value);) {
        if (move_member(from, value, to) != ST_OK)
            error = KAFKA_ERR_GROUP_ID_NOT_FOUND;
    }
    if (error != KAFKA_ERR_NONE)
        return error;
    to->dirty = to->dirty_epoch = to->dirty_target_epoch = true;
    for (struct map_entry *at = NULL; map_next(&from->members, &at, NULL, &value);) {
        struct group_member *member = value;
        group_refuse_join(from, member, KAFKA_ERR_REBALANCE_IN_PROGRESS, member->id);
    }
    group_answer_syncs(from, now, KAFKA_ERR_REBALANCE_IN_PROGRESS);
    for (struct map_entry *at = NULL; map_next(&to->members, &at, NULL, &value);)
        consumer_watch(to, value, now);
    return KAFKA_ERR_NONE;
}

// ---- consumer to classic ----

static bool move_down(const struct consumer_group *from, const struct consumer_member *old, struct group *to)
{
    const struct consumer_profile *profile = old->profile;
    ASSERT(profile->classic);
    struct group_join join = {
        .instance_id = profile->instance_id,
        .client_id = profile->client_id,
        .client_host = profile->client_host,
        .protocols = profile->protocols,
        .protocol_count = profile->protocol_count,
        .session_ms = profile->session_ms,
        .rebalance_ms = profile->rebalance_ms,
    };
    struct buf bytes;
    buf_init(&bytes, ASSIGNMENT_MAX);
    struct group_member *member = NULL;
    if (consumer_classic_assignment(from, old, &bytes) == ST_OK)
        member = group_member_new(&join, block_slice(old->id));
    bool done = false;
    if (member != NULL) {
        group_member_add(to, member);
        group_member_set_synced(to, member, true);
        done = group_member_set_assignment(to, member, buf_slice(&bytes));
    }
    buf_fini(&bytes);
    return done;
}

struct group *migrate_down(const struct consumer_group *from, struct group_now now,
                           const struct group_settings *settings, const struct group_sink *sink)
{
    struct group *to = group_new(block_slice(from->id), settings, sink);
    bool done = to != NULL;
    void *value;
    for (struct map_entry *at = NULL; done && map_next(&from->members, &at, NULL, &value);)
        done = move_down(from, value, to) && to->bytes <= settings->bytes_max;
    if (done) {
        to->protocol_type = block_copy(slice_str("consumer"));
        to->protocol = block_copy(group_select_protocol(to));
        done = to->protocol_type != NULL && to->protocol != NULL;
    }
    if (!done) {
        group_destroy(&to);
        return NULL;
    }
    struct map_entry *at = NULL;
    map_next(&to->members, &at, NULL, &value);
    to->leader = value;
    to->generation = from->epoch;
    group_set_state(to, now, GROUP_STABLE);
    group_resume(to, now);
    if (consumer_state(from) != CONSUMER_STABLE)
        group_rebalance(to, now);
    return to;
}
