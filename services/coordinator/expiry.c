// SPDX-License-Identifier: Apache-2.0
// Which committed offsets a shard forgets: those whose retention is over, by the rules of Kafka's
// OffsetExpirationCondition, and those of topics that are gone. A group that is empty and has no offset left
// is forgotten too.
#include "base/mem.h"
#include "shard_state.h"

// What counts as the beginning of an offset's retention in a group.
struct basis {
    bool never;     // its members still read, and we cannot tell which topics
    bool by_commit; // the time of the commit; else empty_since_ms
    int64_t empty_since_ms;
    struct map topics; // subscribed: their offsets stay
};

static struct basis basis_of(const struct shard_group *cell)
{
    const struct group *group = cell->group;
    struct basis basis = {.by_commit = true};
    map_init(&basis.topics, 0);
    if (cell->consumer != NULL || cell->streams != NULL) // Kafka: since the commit, whoever is in the group
        return basis;
    if (group_protocol_type(group).len == 0) // only offsets are committed here: each for itself
        return basis;
    if (group_state(group) == GROUP_EMPTY) {
        basis.empty_since_ms = group_state_since_ms(group);
        basis.by_commit = basis.empty_since_ms < 0; // written by an old Kafka
        return basis;
    }
    bool consumer = slice_is(group_protocol_type(group), "consumer");
    basis.never = !consumer || group_state(group) != GROUP_STABLE || !group_subscribed(group, &basis.topics);
    return basis;
}

static bool expired(const struct shard_group *cell, const struct basis *basis, struct slice topic,
                    const struct offset_commit *commit)
{
    const struct shard *shard = cell->shard;
    if (basis->never || map_get(&basis->topics, topic) != NULL || shard_group_subscribed(cell, topic))
        return false;
    int64_t now_ms = env_wall_ms(shard->options.env);
    if (commit->expire_ms >= 0)
        return now_ms >= commit->expire_ms;
    int64_t since_ms = basis->by_commit ? commit->commit_ms : basis->empty_since_ms;
    return now_ms - since_ms >= shard->options.settings->retention_ms;
}

static bool topic_gone(const struct shard *shard, const struct offset_commit *commit)
{
    return !uuid_is_zero(commit->topic_id) && image_topic(shard->options.image, commit->topic_id) == NULL;
}

// The first offset to be removed, found anew after each removal; false when none is left.
static bool next_expired(const struct shard_group *cell, const struct basis *basis, struct slice *name,
                         int32_t *partition)
{
    const struct offsets_topic *topic;
    struct offset_commit commit;
    for (struct map_entry *at = NULL; offsets_next_topic(&cell->offsets, &at, name, &topic);) {
        for (struct map_entry *in = NULL; offsets_next(topic, &in, partition, &commit);) {
            // Its removal would take along what waits for the end of a transaction.
            bool over = expired(cell, basis, *name, &commit) && !shard_unstable(cell, *name, *partition);
            if (over || topic_gone(cell->shard, &commit))
                return true;
        }
    }
    return false;
}

static void expire_group(struct shard_group *cell)
{
    struct basis basis = basis_of(cell);
    struct slice topic;
    int32_t partition;
    while (next_expired(cell, &basis, &topic, &partition)) {
        if (shard_forget(cell, topic, partition) != ST_OK)
            break;
    }
    map_fini(&basis.topics);
    bool classic = cell->consumer == NULL && cell->streams == NULL;
    bool idle = group_idle(cell->group) && (classic || shard_group_members(cell) == 0);
    if (cell->offsets.count == 0 && cell->pending.count == 0 && idle && cell->share == NULL)
        shard_delete(cell);
}

void shard_expire(struct shard *shard)
{
    if (leap_resting(&shard->leap, shard->options.env, "offset retention"))
        return;
    void *value;
    for (struct map_entry *at = NULL; map_next(&shard->groups, &at, NULL, &value);) {
        if (ledger_full(shard->ledger))
            return; // the rest at the next time
        expire_group(value);
    }
}

static void forget_in(struct shard_group *cell, struct slice name)
{
    const struct offsets_topic *topic = map_get(&cell->offsets.topics, name);
    while (topic != NULL) {
        struct map_entry *at = NULL;
        int32_t partition;
        struct offset_commit commit;
        if (!offsets_next(topic, &at, &partition, &commit) || shard_forget(cell, name, partition) != ST_OK)
            return;
        topic = map_get(&cell->offsets.topics, name);
    }
}

void shard_forget_topic(struct shard *shard, const struct image_topic *topic)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&shard->groups, &at, NULL, &value);) {
        struct shard_group *cell = value;
        forget_in(cell, slice_str(topic->name));
        if (cell->consumer != NULL)
            consumer_topic_removed(cell->consumer, slice_str(topic->name));
        if (cell->share != NULL)
            share_group_topics_removed(cell->share);
        shard_changed(cell);
    }
}
