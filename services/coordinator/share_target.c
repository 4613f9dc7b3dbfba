// SPDX-License-Identifier: Apache-2.0
// Who of a share group is to have what (KIP-932, after Kafka's SimpleAssignor): every partition has a member,
// every member a partition, and both are shared out evenly. What a member has it keeps as far as that allows.
// Members that subscribe to the same topics share all of their partitions out together; else this is done
// topic by topic among those that subscribe to it.
#include "base/mem.h"
#include "share_group_state.h"

#include <stdlib.h>

// ---- what is subscribed ----

// named: the topics that were, by id. Each is taken once, however many members subscribe to it.
static void want_topic(const struct image_topic *topic, struct map *named, struct parts *wanted)
{
    if (topic == NULL || map_put(named, slice_of(&topic->id, sizeof topic->id), wanted) != NULL)
        return;
    for (size_t i = 0; i < topic->partition_count; i++)
        parts_push(wanted, &(struct parts_item){.topic = topic->id, .index = (int32_t)i});
}

struct parts share_group_wanted(const struct share_group *group)
{
    struct parts wanted = {0};
    struct map named;
    const struct consumer_profile *former = NULL;
    void *value;
    map_init(&named, group->members.seed);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct consumer_profile *profile = ((const struct share_member *)value)->profile;
        if (profile == NULL || (former != NULL && consumer_same_topics(former, profile)))
            continue;
        for (int32_t i = 0; i < profile->topic_count; i++)
            want_topic(image_topic_slice(group->topics->image, profile->topics[i]), &named, &wanted);
        former = profile;
    }
    map_fini(&named);
    parts_sort(&wanted);
    return wanted;
}

// ---- sharing out ----

struct taker {
    struct share_member *member;
    struct parts next; // its new target, in no order yet
    size_t count;      // of the present pool
};

struct pool {
    const struct parts *parts;
    int32_t *members; // how many each partition has
    struct taker **takers;
    size_t taker_count;
};

static void give(struct pool *pool, struct taker *taker, size_t part)
{
    parts_push(&taker->next, &pool->parts->items[part]);
    taker->count++;
    pool->members[part]++;
}

static void keep(struct pool *pool, struct taker *taker, size_t quota, int32_t sharing)
{
    const struct parts *before = &taker->member->target;
    for (size_t i = 0; i < before->count && taker->count < quota; i++) {
        const struct parts_item *found = parts_find(pool->parts, &before->items[i]);
        if (found == NULL)
            continue;
        size_t part = (size_t)(found - pool->parts->items);
        if (pool->members[part] < sharing)
            give(pool, taker, part);
    }
}

static struct taker *least_loaded(const struct pool *pool)
{
    struct taker *least = pool->takers[0];
    for (size_t i = 1; i < pool->taker_count; i++)
        if (pool->takers[i]->count < least->count)
            least = pool->takers[i];
    return least;
}

static size_t least_shared(const struct pool *pool)
{
    size_t least = 0;
    for (size_t i = 1; i < pool->parts->count; i++)
        if (pool->members[i] < pool->members[least])
            least = i;
    return least;
}

static void share_out(struct pool *pool)
{
    size_t parts = pool->parts->count, takers = pool->taker_count;
    if (parts == 0 || takers == 0)
        return;
    size_t sharing = (takers + parts - 1) / parts;
    size_t quota = (parts * sharing + takers - 1) / takers;
    pool->members = mem_calloc(parts, sizeof *pool->members);
    for (size_t i = 0; i < takers; i++) {
        pool->takers[i]->count = 0;
        keep(pool, pool->takers[i], quota, (int32_t)sharing);
    }
    for (size_t i = 0; i < parts; i++)
        if (pool->members[i] == 0)
            give(pool, least_loaded(pool), i);
    for (size_t i = 0; i < takers; i++)
        if (pool->takers[i]->count == 0)
            give(pool, pool->takers[i], least_shared(pool));
    mem_free(pool->members);
}

// ---- pools ----

static int by_id(const void *left, const void *right)
{
    const struct block *a = ((const struct taker *)left)->member->id;
    const struct block *b = ((const struct taker *)right)->member->id;
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static bool alike(const struct taker *takers, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (!consumer_same_topics(takers[0].member->profile, takers[i].member->profile))
            return false;
    return true;
}

static void share_all(const struct parts *parts, struct taker *takers, size_t count)
{
    struct pool pool = {.parts = parts, .takers = mem_calloc(count + 1, sizeof(struct taker *))};
    for (size_t i = 0; i < count; i++)
        pool.takers[pool.taker_count++] = &takers[i];
    share_out(&pool);
    mem_free(pool.takers);
}

// The partitions [from, end) are those of one topic.
static void share_topic(const struct share_group *group, const struct parts *all, size_t from, size_t end,
                        struct taker *takers, size_t count)
{
    const struct image_topic *topic = image_topic(group->topics->image, all->items[from].topic);
    struct parts parts = {.items = all->items + from, .count = end - from};
    struct pool pool = {.parts = &parts, .takers = mem_calloc(count + 1, sizeof(struct taker *))};
    for (size_t i = 0; topic != NULL && i < count; i++)
        if (consumer_profile_names(takers[i].member->profile, slice_str(topic->name)))
            pool.takers[pool.taker_count++] = &takers[i];
    share_out(&pool);
    mem_free(pool.takers);
}

static void share_topics(const struct share_group *group, const struct parts *all, struct taker *takers,
                         size_t count)
{
    for (size_t at = 0; at < all->count;) {
        size_t end = parts_topic_end(all, at);
        share_topic(group, all, at, end, takers, count);
        at = end;
    }
}

static void take_target(struct share_group *group, struct taker *taker)
{
    parts_sort(&taker->next);
    if (!parts_equal(&taker->member->target, &taker->next))
        taker->member->dirty_target = group->dirty = true;
    parts_move(&taker->member->target, &taker->next);
}

void share_group_retarget(struct share_group *group)
{
    size_t count = 0;
    void *value;
    if (group->epoch <= group->target_epoch)
        return;
    struct parts wanted = share_group_wanted(group);
    struct parts parts = parts_both(&wanted, &group->initialized);
    struct taker *takers = mem_calloc(group->members.count + 1, sizeof *takers);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        takers[count++].member = value;
    qsort(takers, count, sizeof *takers, by_id);
    if (alike(takers, count))
        share_all(&parts, takers, count);
    else
        share_topics(group, &parts, takers, count);
    for (size_t i = 0; i < count; i++)
        take_target(group, &takers[i]);
    mem_free(takers);
    parts_fini(&wanted);
    parts_fini(&parts);
    group->target_epoch = group->epoch;
    group->dirty_target_epoch = group->dirty = true;
}
