// SPDX-License-Identifier: Apache-2.0
// The members of a consumer group: who is in it, who owns which partition, whose time is over. Ownership is
// kept twice, by member and by partition; only consumer_set_current and consumer_remove change it, so that
// the two never differ and no partition has two owners. See consumer_state.h.
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "consumer_state.h"

#include <stdlib.h>

enum { OWNER_KEY = sizeof(struct uuid) + sizeof(uint32_t) };

// ---- finding ----

struct consumer_member *consumer_find(const struct consumer_group *group, struct slice id)
{
    return map_get(&group->members, id);
}

struct consumer_member *consumer_find_static(const struct consumer_group *group, struct slice instance_id)
{
    return instance_id.data == NULL ? NULL : map_get(&group->statics, instance_id);
}

int16_t consumer_validate(const struct consumer_group *group, struct slice id, struct slice instance_id,
                          struct consumer_member **member)
{
    *member = instance_id.data == NULL ? consumer_find(group, id) : consumer_find_static(group, instance_id);
    if (*member == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    return slice_equal(block_slice((*member)->id), id) ? KAFKA_ERR_NONE : KAFKA_ERR_FENCED_INSTANCE_ID;
}

// ---- ownership ----

static struct slice owner_key(const struct parts_item *part, uint8_t key[OWNER_KEY])
{
    memcpy(key, &part->topic, sizeof part->topic);
    store_be32(key + sizeof part->topic, (uint32_t)part->index);
    return slice_of(key, OWNER_KEY);
}

struct consumer_member *consumer_owner(const struct consumer_group *group, const struct parts_item *part)
{
    uint8_t key[OWNER_KEY];
    return map_get(&group->owners, owner_key(part, key));
}

static void disown(struct consumer_group *group, const struct parts *parts)
{
    uint8_t key[OWNER_KEY];
    for (size_t i = 0; i < parts->count; i++)
        map_remove(&group->owners, owner_key(&parts->items[i], key));
}

static void own(struct consumer_group *group, struct consumer_member *member, const struct parts *parts)
{
    uint8_t key[OWNER_KEY];
    for (size_t i = 0; i < parts->count; i++) {
        void *former = map_put(&group->owners, owner_key(&parts->items[i], key), member);
        ASSERT(former == NULL);
    }
}

void consumer_own(struct consumer_group *group, struct consumer_member *member)
{
    own(group, member, &member->assigned);
    own(group, member, &member->revoking);
}

void consumer_set_current(struct consumer_group *group, struct consumer_member *member,
                          struct parts *assigned, struct parts *revoking)
{
    disown(group, &member->assigned);
    disown(group, &member->revoking);
    parts_move(&member->assigned, assigned);
    parts_move(&member->revoking, revoking);
    consumer_own(group, member);
    member->dirty_current = group->dirty = true;
}

// ---- profiles ----

static void count_subscription(struct consumer_group *group, const struct consumer_profile *profile,
                               int32_t more)
{
    for (int32_t i = 0; i < profile->topic_count; i++)
        consumer_count_name(group, profile->topics[i], more);
    if (profile->regex.len > 0)
        consumer_regex_use(group, profile->regex, more);
}

// Its records name the group and it.
static size_t member_bytes(const struct consumer_group *group, struct slice id,
                           const struct consumer_profile *profile)
{
    return block_slice(group->id).len + id.len + consumer_profile_bytes(profile);
}

void consumer_set_profile(struct consumer_group *group, struct consumer_member *member,
                          struct consumer_profile *profile_take)
{
    struct consumer_profile *former = member->profile;
    count_subscription(group, profile_take, 1); // first, so that what stays is not forgotten meanwhile
    if (former != NULL)
        count_subscription(group, former, -1);
    if (former != NULL && consumer_find_static(group, former->instance_id) == member)
        map_remove(&group->statics, former->instance_id);
    if (profile_take->instance_id.data != NULL)
        map_put(&group->statics, profile_take->instance_id, member);
    group->bytes -= member->profile_bytes;
    member->profile = profile_take;
    member->profile_bytes = member_bytes(group, block_slice(member->id), profile_take);
    group->bytes += member->profile_bytes;
    member->dirty_profile = group->dirty = true;
    mem_free(former);
}

void consumer_drop_profile(struct consumer_group *group, struct consumer_member *member)
{
    if (member->profile == NULL)
        return;
    count_subscription(group, member->profile, -1);
    if (consumer_find_static(group, member->profile->instance_id) == member)
        map_remove(&group->statics, member->profile->instance_id);
    group->bytes -= member->profile_bytes;
    member->profile_bytes = 0;
    mem_free(member->profile);
    member->profile = NULL;
}

bool consumer_room(const struct consumer_group *group, struct slice id,
                   const struct consumer_profile *profile, const struct consumer_member *former)
{
    size_t others = group->bytes - (former == NULL ? 0 : former->profile_bytes);
    size_t more = member_bytes(group, id, profile), max = group->settings->bytes_max;
    return more <= max && others <= max - more;
}

// ---- coming and going ----

static int id_order(const void *key, const void *item)
{
    const struct slice *id = key;
    const struct block *other = ((const struct consumer_member *)item)->id;
    int order = memcmp(id->data, other->data, id->len < other->len ? id->len : other->len);
    return order != 0 ? order : (id->len > other->len) - (id->len < other->len);
}

static void enlist(struct consumer_group *group, struct slice id, struct consumer_member *member)
{
    map_put(&group->members, id, member);
    sorted_insert(&group->order, sorted_find(&group->order, &id, id_order, NULL), member);
}

void consumer_unlist(struct consumer_group *group, struct consumer_member *member)
{
    struct slice id = block_slice(member->id);
    bool found;
    map_remove(&group->members, id);
    size_t at = sorted_find(&group->order, &id, id_order, &found);
    ASSERT(found && group->order.items[at] == member);
    sorted_remove(&group->order, at);
}

struct consumer_member *consumer_member_new(struct consumer_group *group, struct slice id)
{
    struct block *copy = block_copy(id);
    if (copy == NULL)
        return NULL;
    struct consumer_member *member = mem_calloc(1, sizeof *member);
    member->id = copy;
    member->progress = MEMBER_STABLE;
    member->session_us = member->rebalance_us = GROUP_NEVER_US;
    member->join_us = member->sync_us = GROUP_NEVER_US;
    enlist(group, id, member);
    bool known = map_remove(&group->gone, id) != NULL; // its records are there still
    member->dirty_target = member->dirty_current = known;
    return member;
}

void consumer_member_free(struct consumer_member *member)
{
    parts_fini(&member->assigned);
    parts_fini(&member->revoking);
    parts_fini(&member->target);
    mem_free(member->profile);
    block_unref(&member->id);
    mem_free(member);
}

void consumer_remove(struct consumer_group *group, struct consumer_member *member)
{
    disown(group, &member->assigned);
    disown(group, &member->revoking);
    consumer_drop_profile(group, member);
    consumer_unlist(group, member);
    map_put(&group->gone, block_slice(member->id), group);
    group->dirty = true;
    consumer_member_free(member);
}

struct consumer_member *consumer_replace(struct consumer_group *group, struct consumer_member *old,
                                         struct slice id)
{
    struct consumer_profile *profile = consumer_profile_copy(old->profile);
    struct consumer_member *member = profile == NULL ? NULL : consumer_member_new(group, id);
    if (member == NULL) {
        mem_free(profile);
        return NULL;
    }
    struct parts assigned = old->assigned, revoking = old->revoking;
    disown(group, &assigned);
    disown(group, &revoking);
    old->assigned = old->revoking = (struct parts){0};
    member->progress = old->progress;
    parts_move(&member->target, &old->target);
    member->dirty_target = group->dirty = true;
    consumer_set_profile(group, member, profile);
    consumer_set_current(group, member, &assigned, &revoking);
    consumer_remove(group, old);
    return member;
}

void consumer_shrunk(struct consumer_group *group)
{
    consumer_refresh(group, true);
}

// ---- clocks ----

void consumer_schedule(struct consumer_group *group, int64_t at_us)
{
    if (at_us != GROUP_NEVER_US && (group->wake_us == GROUP_NEVER_US || at_us < group->wake_us))
        group->wake_us = at_us;
}

void consumer_watch(struct consumer_group *group, struct consumer_member *member, struct group_now now)
{
    int32_t session_ms = member->profile->classic ? member->profile->session_ms : group->session_ms;
    member->session_us = now.us + (int64_t)session_ms * 1000;
    consumer_schedule(group, member->session_us);
}

static bool due(int64_t at_us, struct group_now now)
{
    return at_us != GROUP_NEVER_US && at_us <= now.us;
}

static bool expired(const struct consumer_member *member, struct group_now now)
{
    return due(member->session_us, now) || due(member->rebalance_us, now) || due(member->join_us, now) ||
           due(member->sync_us, now);
}

static void schedule_all(struct consumer_group *group)
{
    group->wake_us = GROUP_NEVER_US;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct consumer_member *member = value;
        consumer_schedule(group, member->session_us);
        consumer_schedule(group, member->rebalance_us);
        consumer_schedule(group, member->join_us);
        consumer_schedule(group, member->sync_us);
    }
}

void consumer_tick(struct consumer_group *group, struct group_now now)
{
    if (!due(group->wake_us, now))
        return;
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        if (!expired(value, now))
            continue;
        consumer_remove(group, value);
        any = true;
    }
    if (any)
        consumer_shrunk(group);
    schedule_all(group);
    if (consumer_regex_scan(group, now))
        consumer_refresh(group, true);
    if (consumer_regex_unfinished(group))
        consumer_schedule(group, now.us);
}

// ---- take-over ----

// What a member claims and somebody of a later epoch claims too, it has given up: the cut came between the
// two records. Its own record follows.
static void give_way(struct consumer_group *group, struct consumer_member *member)
{
    struct parts assigned = {0}, revoking = {0};
    for (size_t i = 0; i < member->assigned.count; i++) {
        if (consumer_owner(group, &member->assigned.items[i]) == NULL)
            parts_append(&assigned, &member->assigned.items[i]);
    }
    for (size_t i = 0; i < member->revoking.count; i++) {
        if (consumer_owner(group, &member->revoking.items[i]) == NULL &&
            !parts_have(&assigned, &member->revoking.items[i]))
            parts_append(&revoking, &member->revoking.items[i]);
    }
    if (assigned.count != member->assigned.count || revoking.count != member->revoking.count)
        member->dirty_current = group->dirty = true;
    parts_move(&member->assigned, &assigned);
    parts_move(&member->revoking, &revoking);
    consumer_own(group, member);
}

static int by_epoch(const void *left, const void *right)
{
    const struct consumer_member *a = *(struct consumer_member *const *)left;
    const struct consumer_member *b = *(struct consumer_member *const *)right;
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch ? -1 : 1;
    size_t len = a->id->len < b->id->len ? a->id->len : b->id->len;
    int order = memcmp(a->id->data, b->id->data, len);
    return order != 0 ? order : (a->id->len > b->id->len) - (a->id->len < b->id->len);
}

// Members claim what they own in the order of falling epochs; the first claim counts.
static void settle_owners(struct consumer_group *group)
{
    struct consumer_member **order = mem_calloc(group->members.count + 1, sizeof *order);
    size_t count = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        order[count++] = value;
    qsort(order, count, sizeof *order, by_epoch);
    for (size_t i = 0; i < count; i++)
        give_way(group, order[i]);
    mem_free(order);
}

void consumer_resume(struct consumer_group *group, struct group_now now)
{
    void *value;
    bool any = false;
    group->dirty = group->gone_regexes.count > 0; // what was read is written already
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct consumer_member *member = value;
        if (member->profile != NULL)
            continue;
        parts_fini(&member->assigned); // it owns nothing yet: owners are settled below
        parts_fini(&member->revoking);
        consumer_remove(group, member);
        any = true;
    }
    consumer_regex_sweep(group);
    settle_owners(group);
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct consumer_member *member = value;
        consumer_watch(group, member, now);
        if (member->progress == MEMBER_UNREVOKED && !member->profile->classic)
            member->rebalance_us = now.us + (int64_t)member->profile->rebalance_ms * 1000;
        consumer_schedule(group, member->rebalance_us);
    }
    if (any)
        consumer_shrunk(group);
    if (consumer_regex_unfinished(group))
        consumer_schedule(group, now.us);
}
