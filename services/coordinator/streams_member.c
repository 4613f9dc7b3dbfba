// SPDX-License-Identifier: Apache-2.0
// The members of a streams group: who is in it, who has which task, whose time is over. What a member has is
// kept three times: by member, by active task, and by process; streams_hold and streams_release keep the last
// two in step with the first. See streams_state.h.
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "streams_state.h"
#include "texts.h"

#include <stdlib.h>

enum { TASK_KEY = sizeof(struct uuid) + sizeof(uint32_t) };

struct streams_member *streams_find(const struct streams_group *group, struct slice id)
{
    return map_get(&group->members, id);
}

// ---- who has what ----

static struct slice task_key(const struct parts_item *task, uint8_t key[TASK_KEY])
{
    memcpy(key, &task->topic, sizeof task->topic);
    store_be32(key + sizeof task->topic, (uint32_t)task->index);
    return slice_of(key, TASK_KEY);
}

struct streams_member *streams_owner(const struct streams_group *group, const struct parts_item *task)
{
    uint8_t key[TASK_KEY];
    return map_get(&group->owners, task_key(task, key));
}

bool streams_process_has(const struct streams_process *process, const struct parts_item *task)
{
    uint8_t key[TASK_KEY];
    return map_get(&process->held, task_key(task, key)) != NULL;
}

static void count_held(struct streams_process *process, const struct streams_tasks *tasks, int more)
{
    uint8_t bytes[TASK_KEY];
    for (int role = 0; role < STREAMS_ROLES; role++) {
        for (size_t i = 0; i < tasks->roles[role].count; i++) {
            struct slice key = task_key(&tasks->roles[role].items[i], bytes);
            intptr_t count = (intptr_t)map_get(&process->held, key) + more;
            ASSERT(count >= 0);
            if (count > 0)
                map_put(&process->held, key, (void *)count);
            else
                map_remove(&process->held, key);
        }
    }
}

static void own(struct streams_group *group, struct streams_member *member, const struct parts *active)
{
    uint8_t key[TASK_KEY];
    for (size_t i = 0; i < active->count; i++) {
        void *former = map_put(&group->owners, task_key(&active->items[i], key), member);
        ASSERT(former == NULL);
    }
}

static void disown(struct streams_group *group, const struct parts *active)
{
    uint8_t key[TASK_KEY];
    for (size_t i = 0; i < active->count; i++)
        map_remove(&group->owners, task_key(&active->items[i], key));
}

void streams_hold(struct streams_group *group, struct streams_member *member)
{
    own(group, member, &member->assigned.roles[STREAMS_ACTIVE]);
    own(group, member, &member->revoking.roles[STREAMS_ACTIVE]);
    count_held(member->process, &member->assigned, 1);
    count_held(member->process, &member->revoking, 1);
}

void streams_release(struct streams_group *group, struct streams_member *member)
{
    disown(group, &member->assigned.roles[STREAMS_ACTIVE]);
    disown(group, &member->revoking.roles[STREAMS_ACTIVE]);
    count_held(member->process, &member->assigned, -1);
    count_held(member->process, &member->revoking, -1);
}

// ---- processes and profiles ----

static struct streams_process *join_process(struct streams_group *group, struct slice id)
{
    struct streams_process *process = map_get(&group->processes, id);
    if (process == NULL) {
        process = mem_calloc(1, sizeof *process);
        map_init(&process->held, 0);
        map_put(&group->processes, id, process);
    }
    process->members++;
    return process;
}

static void leave_process(struct streams_group *group, struct streams_process *process, struct slice id)
{
    if (--process->members > 0)
        return;
    ASSERT(process->held.count == 0);
    map_remove(&group->processes, id);
    map_fini(&process->held);
    mem_free(process);
}

// Its records name the group and it.
static size_t member_bytes(const struct streams_group *group, struct slice id,
                           const struct streams_profile *profile)
{
    return block_slice(group->id).len + id.len + streams_profile_bytes(profile);
}

void streams_set_profile(struct streams_group *group, struct streams_member *member,
                         struct streams_profile *profile_take)
{
    struct streams_profile *former = member->profile;
    struct streams_process *process = join_process(group, profile_take->process_id);
    if (former != NULL) {
        streams_release(group, member);
        leave_process(group, member->process, former->process_id);
    }
    group->bytes -= member->profile_bytes;
    member->profile = profile_take;
    member->profile_bytes = member_bytes(group, block_slice(member->id), profile_take);
    group->bytes += member->profile_bytes;
    member->process = process;
    if (former != NULL)
        streams_hold(group, member);
    member->dirty_profile = group->dirty = true;
    mem_free(former);
}

void streams_drop_profile(struct streams_group *group, struct streams_member *member)
{
    if (member->profile == NULL)
        return;
    leave_process(group, member->process, member->profile->process_id);
    group->bytes -= member->profile_bytes;
    member->profile_bytes = 0;
    mem_free(member->profile);
    member->profile = NULL;
    member->process = NULL;
}

bool streams_room(const struct streams_group *group, struct slice id, const struct streams_profile *profile,
                  const struct streams_member *former)
{
    size_t others = group->bytes - (former == NULL ? 0 : former->profile_bytes);
    size_t more = member_bytes(group, id, profile), max = group->settings->bytes_max;
    return more <= max && others <= max - more;
}

// ---- coming and going ----

struct streams_member *streams_member_new(struct streams_group *group, struct slice id)
{
    struct block *copy = block_copy(id);
    if (copy == NULL)
        return NULL;
    struct streams_member *member = mem_calloc(1, sizeof *member);
    member->id = copy;
    member->progress = STREAMS_DONE;
    member->session_us = member->rebalance_us = GROUP_NEVER_US;
    map_put(&group->members, id, member);
    bool known = map_remove(&group->gone, id) != NULL; // its records are there still
    member->dirty_target = member->dirty_current = known;
    return member;
}

void streams_member_free(struct streams_member *member)
{
    streams_tasks_fini(&member->assigned);
    streams_tasks_fini(&member->revoking);
    streams_tasks_fini(&member->target);
    mem_free(member->profile);
    block_unref(&member->id);
    mem_free(member);
}

void streams_remove(struct streams_group *group, struct streams_member *member)
{
    if (member->process != NULL) {
        streams_release(group, member);
        streams_drop_profile(group, member);
    }
    map_remove(&group->members, block_slice(member->id));
    map_put(&group->gone, block_slice(member->id), group);
    group->dirty = true;
    streams_member_free(member);
    if (group->members.count == 0)
        block_unref(&group->shutdown_by);
}

// ---- clocks ----

void streams_schedule(struct streams_group *group, int64_t at_us)
{
    if (at_us != GROUP_NEVER_US && (group->wake_us == GROUP_NEVER_US || at_us < group->wake_us))
        group->wake_us = at_us;
}

void streams_watch(struct streams_group *group, struct streams_member *member, struct group_now now)
{
    member->session_us = now.us + (int64_t)group->options.session_ms * 1000;
    streams_schedule(group, member->session_us);
}

static bool due(int64_t at_us, struct group_now now)
{
    return at_us != GROUP_NEVER_US && at_us <= now.us;
}

static void schedule_all(struct streams_group *group)
{
    group->wake_us = GROUP_NEVER_US;
    streams_schedule(group, group->delay_us);
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        const struct streams_member *member = value;
        streams_schedule(group, member->session_us);
        streams_schedule(group, member->rebalance_us);
    }
}

void streams_tick(struct streams_group *group, struct group_now now)
{
    if (!due(group->wake_us, now))
        return;
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct streams_member *member = value;
        if (!due(member->session_us, now) && !due(member->rebalance_us, now))
            continue;
        streams_remove(group, member);
        any = true;
    }
    if (any)
        streams_bump(group);
    if (due(group->delay_us, now)) {
        group->delay_us = GROUP_NEVER_US;
        if (group->members.count > 0)
            streams_retarget(group);
    }
    schedule_all(group);
}

// ---- take-over ----

// Whether the task is one of the topology and nobody who claimed before has it.
static bool may_claim(const struct streams_group *group, const struct streams_member *member, int role,
                      const struct parts_item *task)
{
    if (group->topology == NULL || streams_topology_find(group->topology, task->topic) < 0)
        return false;
    return !streams_process_has(member->process, task) &&
           (role != STREAMS_ACTIVE || streams_owner(group, task) == NULL);
}

// A target may name what the topology does not have only when that was lost: members then bring it again.
static void keep_known(const struct streams_group *group, struct streams_tasks *target)
{
    for (int role = 0; role < STREAMS_ROLES; role++) {
        struct parts known = {0};
        for (size_t i = 0; i < target->roles[role].count; i++) {
            const struct parts_item *task = &target->roles[role].items[i];
            if (group->topology != NULL && streams_topology_find(group->topology, task->topic) >= 0)
                parts_append(&known, task);
        }
        parts_move(&target->roles[role], &known);
    }
}

// What a member claims and somebody of a later epoch claims too, it has given up: the cut came between the
// two records. Its own record follows.
static void give_way(struct streams_group *group, struct streams_member *member)
{
    struct streams_tasks assigned = {0}, revoking = {0};
    for (int role = 0; role < STREAMS_ROLES; role++) {
        const struct parts *from = &member->assigned.roles[role];
        for (size_t i = 0; i < from->count; i++) {
            if (may_claim(group, member, role, &from->items[i]))
                parts_append(&assigned.roles[role], &from->items[i]);
        }
        from = &member->revoking.roles[role];
        for (size_t i = 0; i < from->count; i++) {
            if (may_claim(group, member, role, &from->items[i]) &&
                !parts_have(&assigned.roles[role], &from->items[i]))
                parts_append(&revoking.roles[role], &from->items[i]);
        }
    }
    if (streams_tasks_count(&assigned) != streams_tasks_count(&member->assigned) ||
        streams_tasks_count(&revoking) != streams_tasks_count(&member->revoking))
        member->dirty_current = group->dirty = true;
    streams_tasks_move(&member->assigned, &assigned);
    streams_tasks_move(&member->revoking, &revoking);
    streams_hold(group, member);
}

static int by_epoch(const void *left, const void *right)
{
    const struct streams_member *a = *(struct streams_member *const *)left;
    const struct streams_member *b = *(struct streams_member *const *)right;
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch ? -1 : 1;
    return text_compare(block_slice(a->id), block_slice(b->id));
}

// Members claim what they have in the order of falling epochs; the first claim counts.
static void settle_tasks(struct streams_group *group)
{
    struct streams_member **order = mem_calloc(group->members.count + 1, sizeof *order);
    size_t count = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        order[count++] = value;
    qsort(order, count, sizeof *order, by_epoch);
    for (size_t i = 0; i < count; i++) {
        give_way(group, order[i]);
        keep_known(group, &order[i]->target);
    }
    mem_free(order);
}

static bool drop_unfinished(struct streams_group *group)
{
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        if (((struct streams_member *)value)->profile != NULL)
            continue;
        streams_remove(group, value);
        any = true;
    }
    return any;
}

void streams_resume(struct streams_group *group, struct group_now now)
{
    group->dirty = group->gone.count > 0; // what was read is written already
    bool any = drop_unfinished(group);
    settle_tasks(group);
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct streams_member *member = value;
        streams_watch(group, member, now);
        if (member->progress == STREAMS_UNREVOKED)
            member->rebalance_us = now.us + (int64_t)member->profile->rebalance_ms * 1000;
        streams_schedule(group, member->rebalance_us);
    }
    if (any)
        streams_bump(group);
}
