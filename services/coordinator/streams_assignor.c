// SPDX-License-Identifier: Apache-2.0
// See streams_assignor.h. A member is a thread; what a process can do grows with its members. A quota is what
// each of the members that still have room would get of what is left, rounded up; it is made anew whenever a
// member is full. Ties go to the process, and in it to the member, that comes first.
#include "streams_assignor.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

struct quota {
    int32_t left, members, each; // tasks, members with room, tasks per such member
};

struct process {
    int32_t *members; // a heap by tasks, once made
    int32_t member_count, tasks;
    bool heaped;
};

struct task {
    int32_t subject, partition;
    int32_t active;     // member that had it as active task; -1: none
    int32_t first, end; // of those that had it as standby, in former
    int32_t held;       // processes that have it now, in holders
    bool given;         // its active task is assigned
};

struct work {
    const struct streams_assignment *in;
    struct task *tasks;
    int32_t task_count;
    int32_t *base;       // first task of each subject
    struct map subjects; // by key, place + 1
    int32_t *order;      // of tasks
    int32_t *former;     // members that had a task as standby, task by task
    int32_t *holders, holders_per_task;
    struct process *processes;
    int32_t process_count;
    int32_t *process_of; // by member
    int32_t *load;       // tasks by member
    int32_t *heap;       // of processes
    struct quota active, all;
};

// ---- quotas ----

static int32_t share(int32_t tasks, int32_t members)
{
    return members <= 0 ? 0 : (tasks + members - 1) / members;
}

static struct quota quota_of(int32_t tasks, int32_t members)
{
    return (struct quota){tasks, members, share(tasks, members)};
}

static void count_full(struct quota *quota, int32_t load)
{
    if (load != quota->each)
        return;
    quota->members--;
    quota->left -= load;
    quota->each = share(quota->left, quota->members);
}

// ---- heaps of members and processes ----

typedef bool before_fn(const struct work *work, int32_t a, int32_t b);

static bool lighter_member(const struct work *work, int32_t a, int32_t b)
{
    return work->load[a] != work->load[b] ? work->load[a] < work->load[b] : a < b;
}

static bool lighter_process(const struct work *work, int32_t a, int32_t b)
{
    const struct process *left = &work->processes[a], *right = &work->processes[b];
    int64_t l = (int64_t)left->tasks * right->member_count, r = (int64_t)right->tasks * left->member_count;
    return l != r ? l < r : a < b;
}

static void sink(const struct work *work, int32_t *heap, int32_t count, int32_t at, before_fn *before)
{
    for (;;) {
        int32_t least = at;
        for (int32_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (before(work, heap[child], heap[least]))
                least = child;
        }
        if (least == at)
            return;
        int32_t item = heap[at];
        heap[at] = heap[least];
        heap[least] = item;
        at = least;
    }
}

static void heapify(const struct work *work, int32_t *heap, int32_t count, before_fn *before)
{
    for (int32_t at = count / 2; at-- > 0;)
        sink(work, heap, count, at, before);
}

// ---- giving ----

static bool has(const struct work *work, const struct task *task, int32_t process)
{
    const int32_t *holders = &work->holders[(task - work->tasks) * work->holders_per_task];
    for (int32_t i = 0; i < task->held; i++) {
        if (holders[i] == process)
            return true;
    }
    return false;
}

static void give(struct work *work, struct task *task, int32_t member, enum streams_role role)
{
    struct parts_item item = {work->in->subjects[task->subject].key, task->partition, 0};
    parts_push(&work->in->members[member].target.roles[role], &item);
    int32_t process = work->process_of[member];
    ASSERT(task->held < work->holders_per_task);
    work->holders[(task - work->tasks) * work->holders_per_task + task->held++] = process;
    work->processes[process].tasks++;
    int32_t load = ++work->load[member];
    if (role == STREAMS_ACTIVE) {
        task->given = true;
        count_full(&work->active, load);
    }
    count_full(&work->all, load);
}

static void give_to_least(struct work *work, struct task *task, int32_t at, enum streams_role role)
{
    struct process *process = &work->processes[at];
    if (!process->heaped)
        heapify(work, process->members, process->member_count, lighter_member);
    process->heaped = true;
    give(work, task, process->members[0], role);
    sink(work, process->members, process->member_count, 0, lighter_member);
}

// Of those that had the task as standby, the one with the least to do; -1: none. With standby those do not
// count whose process has the task already.
static int32_t former_standby(const struct work *work, const struct task *task, bool standby)
{
    int32_t best = -1;
    for (int32_t i = task->first; i < task->end; i++) {
        int32_t member = work->former[i], process = work->process_of[member];
        if (standby && has(work, task, process))
            continue;
        if (best < 0 ||
            (lighter_process(work, process, work->process_of[best]) && work->load[member] < work->load[best]))
            best = member;
    }
    return best;
}

// ---- active tasks ----

static void give_back(struct work *work)
{
    for (int32_t i = 0; i < work->task_count; i++) {
        struct task *task = &work->tasks[work->order[i]];
        if (task->active >= 0 && work->load[task->active] < work->active.each)
            give(work, task, task->active, STREAMS_ACTIVE);
    }
    for (int32_t i = 0; i < work->task_count; i++) {
        struct task *task = &work->tasks[work->order[i]];
        int32_t member = task->given ? -1 : former_standby(work, task, false);
        if (member >= 0 && work->load[member] < work->active.each)
            give(work, task, member, STREAMS_ACTIVE);
    }
}

static void heap_processes(struct work *work)
{
    for (int32_t i = 0; i < work->process_count; i++) {
        work->heap[i] = i;
        work->processes[i].heaped = false;
    }
    heapify(work, work->heap, work->process_count, lighter_process);
}

static void assign_active(struct work *work)
{
    give_back(work);
    heap_processes(work);
    for (int32_t i = 0; i < work->task_count; i++) { // by subtopology, then partition: ranges at first
        if (work->tasks[i].given)
            continue;
        give_to_least(work, &work->tasks[i], work->heap[0], STREAMS_ACTIVE);
        sink(work, work->heap, work->process_count, 0, lighter_process);
    }
}

// ---- standby replicas ----

// To a process that had the task. false: none of them may.
static bool give_standby_back(struct work *work, struct task *task)
{
    int32_t member = task->active;
    if (member < 0 || has(work, task, work->process_of[member]) || work->load[member] >= work->all.each)
        member = former_standby(work, task, true);
    if (member < 0 || work->load[member] >= work->all.each)
        return false;
    give(work, task, member, STREAMS_STANDBY);
    return true;
}

// To the process with the least to do that does not have it. Those looked at before are kept aside at the end
// of the heap. false: every process has the task.
static bool give_standby(struct work *work, struct task *task)
{
    int32_t count = work->process_count;
    while (count > 0 && has(work, task, work->heap[0])) {
        int32_t process = work->heap[0];
        work->heap[0] = work->heap[--count];
        work->heap[count] = process;
        sink(work, work->heap, count, 0, lighter_process);
    }
    bool found = count > 0;
    if (found)
        give_to_least(work, task, work->heap[0], STREAMS_STANDBY);
    if (found && count == work->process_count)
        sink(work, work->heap, count, 0, lighter_process);
    else
        heapify(work, work->heap, work->process_count, lighter_process);
    return found;
}

static bool stateful(const struct work *work, const struct task *task)
{
    return work->in->subjects[task->subject].stateful;
}

static void assign_standbys(struct work *work)
{
    int32_t *wanted = mem_calloc((size_t)work->task_count + 1, sizeof *wanted);
    for (int32_t i = work->task_count; i-- > 0;) {
        struct task *task = &work->tasks[work->order[i]];
        int32_t left = stateful(work, task) ? work->in->standbys : 0;
        while (left > 0 && give_standby_back(work, task))
            left--;
        wanted[work->order[i]] = left;
    }
    heap_processes(work);
    for (int32_t i = work->task_count; i-- > 0;) {
        while (wanted[i] > 0 && give_standby(work, &work->tasks[i]))
            wanted[i]--;
    }
    mem_free(wanted);
}

// ---- setting out ----

static struct slice key_of(const struct uuid *key)
{
    return slice_of(key->bytes, sizeof key->bytes);
}

static void list_tasks(struct work *work)
{
    int32_t count = 0, with_state = 0;
    work->base = mem_calloc((size_t)work->in->subject_count + 1, sizeof *work->base);
    map_init(&work->subjects, 0);
    for (int32_t s = 0; s < work->in->subject_count; s++) {
        map_put(&work->subjects, key_of(&work->in->subjects[s].key), (void *)(intptr_t)(s + 1));
        work->base[s] = count;
        count += work->in->subjects[s].tasks;
        with_state += work->in->subjects[s].stateful ? work->in->subjects[s].tasks : 0;
    }
    work->task_count = count;
    work->tasks = mem_calloc((size_t)count + 1, sizeof *work->tasks);
    work->order = mem_calloc((size_t)count + 1, sizeof *work->order);
    for (int32_t s = 0, at = 0; s < work->in->subject_count; s++) {
        for (int32_t p = 0; p < work->in->subjects[s].tasks; p++, at++)
            work->tasks[at] = (struct task){.subject = s, .partition = p, .active = -1};
    }
    work->active = quota_of(count, work->in->member_count);
    work->all = quota_of(count + with_state * work->in->standbys, work->in->member_count);
    work->holders_per_task = 1 + work->in->standbys;
    work->holders = mem_calloc((size_t)count + 1, (size_t)work->holders_per_task * sizeof *work->holders);
}

// By partition, then subtopology: tasks of the same partition belong together.
static void order_tasks(struct work *work)
{
    int32_t *live = mem_calloc((size_t)work->in->subject_count + 1, sizeof *live);
    int32_t count = 0, at = 0;
    for (int32_t s = 0; s < work->in->subject_count; s++)
        live[count++] = s;
    for (int32_t p = 0; at < work->task_count; p++) {
        int32_t kept = 0;
        for (int32_t i = 0; i < count; i++) {
            if (p >= work->in->subjects[live[i]].tasks)
                continue;
            work->order[at++] = work->base[live[i]] + p;
            live[kept++] = live[i];
        }
        count = kept;
    }
    mem_free(live);
}

static int32_t subject_of(const struct work *work, const struct uuid *key)
{
    return (int32_t)(intptr_t)map_get(&work->subjects, key_of(key)) - 1;
}

typedef void former_fn(struct work *work, struct task *task, int32_t member);

// Tells of each task of a former set that still exists.
static void each_former(struct work *work, int32_t member, enum streams_role role, former_fn *tell)
{
    const struct parts *set = &work->in->members[member].former->roles[role];
    int32_t subject = -1;
    for (size_t i = 0; i < set->count; i++) {
        const struct parts_item *item = &set->items[i];
        if (i == 0 || !uuid_equal(item->topic, set->items[i - 1].topic))
            subject = subject_of(work, &item->topic);
        if (subject >= 0 && item->index >= 0 && item->index < work->in->subjects[subject].tasks)
            tell(work, &work->tasks[work->base[subject] + item->index], member);
    }
}

static void note_active(struct work *work, struct task *task, int32_t member)
{
    task->active = member;
}

static void count_standby(struct work *work, struct task *task, int32_t member)
{
    task->end++;
}

static void note_standby(struct work *work, struct task *task, int32_t member)
{
    work->former[task->end++] = member;
}

// Who restores a task's state (warm-up) counts as one that has it, as in Kafka.
static void each_standby(struct work *work, former_fn *tell)
{
    for (int32_t m = 0; m < work->in->member_count; m++) {
        each_former(work, m, STREAMS_STANDBY, tell);
        each_former(work, m, STREAMS_WARMUP, tell);
    }
}

static void list_former(struct work *work)
{
    for (int32_t m = 0; m < work->in->member_count; m++)
        each_former(work, m, STREAMS_ACTIVE, note_active);
    each_standby(work, count_standby);
    int32_t total = 0;
    for (int32_t i = 0; i < work->task_count; i++) {
        int32_t count = work->tasks[i].end;
        work->tasks[i].first = work->tasks[i].end = total;
        total += count;
    }
    work->former = mem_calloc((size_t)total + 1, sizeof *work->former);
    each_standby(work, note_standby);
}

static void list_processes(struct work *work)
{
    size_t count = (size_t)work->in->member_count;
    struct map places; // by id, place + 1
    map_init(&places, 0);
    work->processes = mem_calloc(count + 1, sizeof *work->processes);
    work->process_of = mem_calloc(count + 1, sizeof *work->process_of);
    work->heap = mem_calloc(count + 1, sizeof *work->heap);
    work->load = mem_calloc(count + 1, sizeof *work->load);
    for (int32_t m = 0; m < work->in->member_count; m++) {
        intptr_t place = (intptr_t)map_get(&places, work->in->members[m].process);
        if (place == 0) {
            place = ++work->process_count;
            map_put(&places, work->in->members[m].process, (void *)place);
        }
        work->process_of[m] = (int32_t)place - 1;
        work->processes[place - 1].member_count++;
    }
    map_fini(&places);
    for (int32_t p = 0; p < work->process_count; p++) {
        struct process *process = &work->processes[p];
        process->members = mem_calloc((size_t)process->member_count, sizeof *process->members);
        process->member_count = 0;
    }
    for (int32_t m = 0; m < work->in->member_count; m++) {
        struct process *process = &work->processes[work->process_of[m]];
        process->members[process->member_count++] = m;
    }
}

static void work_fini(struct work *work)
{
    for (int32_t p = 0; p < work->process_count; p++)
        mem_free(work->processes[p].members);
    map_fini(&work->subjects);
    mem_free(work->processes);
    mem_free(work->process_of);
    mem_free(work->heap);
    mem_free(work->load);
    mem_free(work->tasks);
    mem_free(work->base);
    mem_free(work->order);
    mem_free(work->former);
    mem_free(work->holders);
}

void streams_assign(const struct streams_assignment *assignment)
{
    ASSERT(assignment->member_count > 0 && assignment->standbys >= 0);
    struct work work = {.in = assignment};
    list_tasks(&work);
    order_tasks(&work);
    list_processes(&work);
    list_former(&work);
    assign_active(&work);
    assign_standbys(&work);
    for (int32_t m = 0; m < assignment->member_count; m++) {
        for (int role = 0; role < STREAMS_ROLES; role++)
            parts_sort(&assignment->members[m].target.roles[role]);
    }
    work_fini(&work);
}
