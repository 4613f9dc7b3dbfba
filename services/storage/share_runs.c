// SPDX-License-Identifier: Apache-2.0
// See share_runs.h. A list: whoever changes runs walks over them in order anyway.
#include "share_runs.h"

#include "base/assert.h"
#include "base/mem.h"

void share_runs_init(struct share_runs *runs, uint64_t seed)
{
    *runs = (struct share_runs){.head = NULL};
    map_init(&runs->members, seed);
}

void share_runs_fini(struct share_runs *runs)
{
    while (runs->head != NULL)
        share_runs_remove(runs, runs->head);
    ASSERT(runs->members.count == 0);
    map_fini(&runs->members);
}

bool share_state_over(enum share_state state)
{
    return state == SHARE_ACKNOWLEDGED || state == SHARE_ARCHIVED;
}

// ---- counting, and members ----

static int64_t *count_of(struct share_runs *runs, enum share_state state)
{
    if (share_state_over(state))
        return &runs->over;
    return state == SHARE_ACQUIRED ? &runs->acquired : &runs->available;
}

static void count(struct share_runs *runs, const struct share_run *run, int64_t sign)
{
    *count_of(runs, run->fate.state) += sign * (run->last - run->first + 1);
}

struct share_member *share_runs_member(const struct share_runs *runs, struct slice id)
{
    return map_get(&runs->members, id);
}

static struct share_member *member_hold(struct share_runs *runs, struct slice id)
{
    struct share_member *member = map_get(&runs->members, id);
    if (member == NULL) {
        member = mem_calloc(1, sizeof *member);
        member->id = slice_of(mem_strndup(id.len > 0 ? (const char *)id.data : "", id.len), id.len);
        map_put(&runs->members, member->id, member);
    }
    member->runs++;
    return member;
}

static void member_let_go(struct share_runs *runs, struct share_run *run)
{
    struct share_member *member = run->member;
    run->member = NULL;
    if (member == NULL || --member->runs > 0)
        return;
    map_remove(&runs->members, member->id);
    mem_free((void *)(uintptr_t)member->id.data);
    mem_free(member);
}

// ---- the list ----

static void link_behind(struct share_runs *runs, struct share_run *before, struct share_run *run)
{
    run->previous = before;
    run->next = before != NULL ? before->next : runs->head;
    *(before != NULL ? &before->next : &runs->head) = run;
    *(run->next != NULL ? &run->next->previous : &runs->tail) = run;
}

struct share_run *share_runs_append(struct share_runs *runs, int64_t first, int64_t last,
                                    struct share_fate fate)
{
    ASSERT(first <= last && fate.state != SHARE_ACQUIRED);
    ASSERT(runs->tail == NULL || runs->tail->last + 1 == first);
    struct share_run *run = mem_calloc(1, sizeof *run);
    *run = (struct share_run){.first = first, .last = last, .fate = fate};
    link_behind(runs, runs->tail, run);
    count(runs, run, 1);
    return run;
}

void share_runs_remove(struct share_runs *runs, struct share_run *run)
{
    count(runs, run, -1);
    member_let_go(runs, run);
    *(run->previous != NULL ? &run->previous->next : &runs->head) = run->next;
    *(run->next != NULL ? &run->next->previous : &runs->tail) = run->previous;
    mem_free(run);
}

// The records before offset stay in run; returns the others. What is counted does not change.
static struct share_run *split(struct share_runs *runs, struct share_run *run, int64_t offset)
{
    ASSERT(run->first < offset && offset <= run->last);
    struct share_run *behind = mem_calloc(1, sizeof *behind);
    *behind = *run;
    behind->first = offset;
    run->last = offset - 1;
    link_behind(runs, run, behind);
    if (behind->member != NULL)
        behind->member->runs++;
    return behind;
}

struct share_run *share_runs_cut(struct share_runs *runs, struct share_run *run, int64_t first, int64_t last)
{
    ASSERT(first <= run->last && run->first <= last);
    if (run->first < first)
        run = split(runs, run, first);
    if (run->last > last)
        split(runs, run, last + 1);
    return run;
}

void share_runs_lock(struct share_runs *runs, struct share_run *run, struct slice member, int16_t deliveries,
                     int64_t deadline_ms)
{
    ASSERT(run->fate.state == SHARE_AVAILABLE);
    count(runs, run, -1);
    run->fate = (struct share_fate){SHARE_ACQUIRED, deliveries};
    run->member = member_hold(runs, member);
    run->deadline_ms = deadline_ms;
    count(runs, run, 1);
}

void share_runs_settle(struct share_runs *runs, struct share_run *run, struct share_fate fate)
{
    ASSERT(!share_state_over(run->fate.state) && fate.state != SHARE_ACQUIRED);
    count(runs, run, -1);
    member_let_go(runs, run);
    run->fate = fate;
    run->deadline_ms = 0;
    run->write = 0;
    count(runs, run, 1);
}

// ---- joining ----

static bool same_fate(struct share_fate one, struct share_fate other)
{
    return one.state == other.state && one.deliveries == other.deliveries;
}

static bool alike(const struct share_run *one, const struct share_run *other)
{
    if (share_state_over(one->fate.state) && share_state_over(other->fate.state))
        return true;
    if (!same_fate(one->fate, other->fate) || one->write != other->write)
        return false;
    if (one->write != 0 && !same_fate(one->outcome, other->outcome))
        return false;
    return one->member == other->member && one->deadline_ms == other->deadline_ms;
}

// The earlier of two runs that are alike gets the records of the later one.
static void absorb(struct share_runs *runs, struct share_run *run, struct share_run *next)
{
    int64_t last = next->last;
    share_runs_remove(runs, next);
    count(runs, run, -1);
    run->last = last;
    count(runs, run, 1);
}

void share_runs_join(struct share_runs *runs)
{
    for (struct share_run *run = runs->head; run != NULL; run = run->next)
        while (run->next != NULL && alike(run, run->next))
            absorb(runs, run, run->next);
}
