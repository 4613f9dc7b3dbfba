// SPDX-License-Identifier: Apache-2.0
// Which committed offsets a shard forgets: those whose retention is over, by the rules of Kafka's
// OffsetExpirationCondition, and those of topics that are gone. A group that is empty and has no offset left
// is forgotten too.
#include "base/assert.h"
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

static bool over(const struct shard_group *cell, const struct basis *basis, struct slice topic,
                 int32_t partition, const struct offset_commit *commit)
{
    if (topic_gone(cell->shard, commit))
        return true;
    // Its removal would take along what waits for the end of a transaction.
    return expired(cell, basis, topic, commit) && !shard_unstable(cell, topic, partition);
}

// The last removal takes the topic along. false: no more can be written now.
static bool expire_topic(struct shard_group *cell, const struct basis *basis, struct slice name,
                         const struct offsets_topic *topic)
{
    struct map_entry *at = NULL;
    int32_t partition;
    struct offset_commit commit;
    for (size_t left = offsets_partitions(topic); left > 0; left--) {
        bool some = offsets_next(topic, &at, &partition, &commit);
        ASSERT(some);
        if (over(cell, basis, name, partition, &commit) && shard_forget(cell, name, partition) != ST_OK)
            return false;
    }
    return true;
}

static void expire_group(struct shard_group *cell)
{
    struct basis basis = basis_of(cell);
    struct slice name;
    const struct offsets_topic *topic;
    bool writable = true;
    for (struct map_entry *at = NULL; writable && offsets_next_topic(&cell->offsets, &at, &name, &topic);)
        writable = expire_topic(cell, &basis, name, topic);
    map_fini(&basis.topics);
    bool classic = cell->consumer == NULL && cell->streams == NULL;
    bool idle = group_idle(cell->group) && (classic || shard_group_members(cell) == 0);
    if (cell->offsets.count == 0 && cell->pending.count == 0 && idle && cell->share == NULL)
        (void)shard_delete(cell);
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
