// SPDX-License-Identifier: Apache-2.0
// The clock, the event queue, processes and their timers and jobs. See world.h.
#include "world.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>

enum { JOB_US = 30, TURN_US = 2 };

// ---- events ----

static bool event_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void event_push(struct world *world, struct event event)
{
    if (world->event_count == world->event_cap) {
        world->event_cap = world->event_cap ? world->event_cap * 2 : 256;
        world->events = mem_realloc(world->events, (size_t)world->event_cap * sizeof *world->events);
    }
    int i = world->event_count++;
    while (i > 0 && event_before(&event, &world->events[(i - 1) / 2])) {
        world->events[i] = world->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->events[i] = event;
}

static struct event event_pop(struct world *world)
{
    struct event top = world->events[0];
    struct event last = world->events[--world->event_count];
    int i = 0;
    for (int child; (child = i * 2 + 1) < world->event_count; i = child) {
        if (child + 1 < world->event_count && event_before(&world->events[child + 1], &world->events[child]))
            child++;
        if (!event_before(&world->events[child], &last))
            break;
        world->events[i] = world->events[child];
    }
    world->events[i] = last;
    return top;
}

void world_at(struct world *world, int64_t delay_us, struct process *process, event_fn *fn, void *context)
{
    event_push(world, (struct event){.at_us = world->now_us + (delay_us > 0 ? delay_us : 0),
                                     .sequence = world->sequence++,
                                     .process = process,
                                     .generation = process ? process->generation : 0,
                                     .fn = fn,
                                     .context = context});
}

bool world_chance(struct world *world, int per_10000)
{
    return per_10000 > 0 && (int)prng_below(&world->prng, 10000) < per_10000;
}

int64_t world_between(struct world *world, int64_t low, int64_t high)
{
    return low + (int64_t)prng_below(&world->prng, (uint64_t)(high - low + 1));
}

void world_count(struct world *world, enum world_counter counter)
{
    world->counters[counter]++;
    world_trace(world, (uint64_t)counter);
}

void world_trace(struct world *world, uint64_t fact)
{
    world->trace = hash_u64(world->trace, fact ^ (uint64_t)world->now_us);
}

// ---- timers: a heap per process, so that stopping one needs no search ----

static bool timer_before(const struct timer *a, const struct timer *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void timer_place(struct process *process, int i, struct timer *timer)
{
    process->timers[i] = timer;
    timer->heap_index = i;
}

static void timer_sift(struct process *process, int i)
{
    struct timer *timer = process->timers[i];
    while (i > 0 && timer_before(timer, process->timers[(i - 1) / 2])) {
        timer_place(process, i, process->timers[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (int child; (child = i * 2 + 1) < process->timer_count; i = child) {
        if (child + 1 < process->timer_count &&
            timer_before(process->timers[child + 1], process->timers[child]))
            child++;
        if (!timer_before(process->timers[child], timer))
            break;
        timer_place(process, i, process->timers[child]);
    }
    timer_place(process, i, timer);
}

static void sim_timer_stop(struct env *env, struct timer *timer)
{
    struct process *process = (struct process *)env;
    int i = timer->heap_index;
    ASSERT(i >= 0 && i < process->timer_count && process->timers[i] == timer);
    timer->heap_index = -1;
    struct timer *last = process->timers[--process->timer_count];
    if (last == timer)
        return;
    timer_place(process, i, last);
    timer_sift(process, i);
}

static void sim_timer_start(struct env *env, struct timer *timer, int64_t at_us)
{
    struct process *process = (struct process *)env;
    if (timer->heap_index >= 0)
        sim_timer_stop(env, timer);
    if (process->timer_count == process->timer_cap) {
        process->timer_cap = process->timer_cap ? process->timer_cap * 2 : 64;
        process->timers = mem_realloc(process->timers, (size_t)process->timer_cap * sizeof(struct timer *));
    }
    // A timer never fires in the turn that started it.
    timer->at_us = at_us > process->world->now_us ? at_us : process->world->now_us + TURN_US;
    timer->sequence = process->timer_sequence++;
    timer_place(process, process->timer_count++, timer);
    timer_sift(process, process->timer_count - 1);
}

static struct process *timer_earliest(struct world *world, int64_t *at_us)
{
    struct process *earliest = NULL;
    for (int i = 0; i < world->process_count; i++) {
        struct process *process = world->processes[i];
        if (process->timer_count == 0)
            continue;
        if (earliest == NULL || process->timers[0]->at_us < *at_us) {
            earliest = process;
            *at_us = process->timers[0]->at_us;
        }
    }
    return earliest;
}

static void event_run(struct event event)
{
    if (event.process == NULL || (event.process->alive && event.process->generation == event.generation))
        event.fn(event.context);
}

static void timer_run(struct process *process)
{
    struct timer *timer = process->timers[0];
    world_trace(process->world, process->generation);
    sim_timer_stop(&process->env, timer);
    timer->fire(timer);
}

bool world_run_until(struct world *world, int64_t until_us)
{
    for (;;) {
        int64_t timer_us = INT64_MAX;
        struct process *process = timer_earliest(world, &timer_us);
        bool event_first = world->event_count > 0 && world->events[0].at_us <= timer_us;
        int64_t at_us = event_first ? world->events[0].at_us : timer_us;
        if (at_us > until_us) {
            world->now_us = until_us;
            return at_us != INT64_MAX;
        }
        if (at_us > world->now_us)
            world->now_us = at_us;
        world->turn = event_first ? world->events[0].process : process;
        if (event_first)
            event_run(event_pop(world));
        else
            timer_run(process);
        if (world->on_turn != NULL)
            world->on_turn(world);
    }
}

// ---- jobs ----

struct job_queue {
    struct process *process;
    int threads;
    int busy;
    struct job *first, *last;
};

static void queue_next(struct job_queue *queue);

static void job_finish(void *context)
{
    struct job *job = context;
    struct job_queue *queue = job->queue;
    queue->busy--;
    job->done(job);
    queue_next(queue);
}

static void job_do(struct job *job)
{
    struct machine *machine = job->queue->process->machine;
    machine->in_job = true;
    job->run(job);
    machine->in_job = false;
}

static void job_run_late(void *context)
{
    struct job *job = context;
    struct world *world = job->queue->process->world;
    job_do(job);
    world_at(world, world_between(world, 1, JOB_US), job->queue->process, job_finish, job);
}

// A slow disk may have done the work long before it says so, or not have begun while a power cut comes.
static void job_run(void *context)
{
    struct job *job = context;
    struct world *world = job->queue->process->world;
    int64_t stalled_us = job->queue->process->machine->stalled_us - world->now_us;
    if (stalled_us > 0) {
        world_count(world, COUNT_disk_stalled);
        world_at(world, stalled_us, job->queue->process, job_run_late, job);
        return;
    }
    int64_t delay_us = world_between(world, JOB_US, JOB_US * 10);
    if (world_chance(world, world->faults.slow_disk_per_10000)) {
        world_count(world, COUNT_slow_disk);
        delay_us = world_between(world, 10000, 400000);
        if (world_chance(world, 5000)) {
            world_count(world, COUNT_late_write);
            world_at(world, delay_us, job->queue->process, job_run_late, job);
            return;
        }
    }
    job_do(job);
    world_at(world, delay_us, job->queue->process, job_finish, job);
}

static void queue_next(struct job_queue *queue)
{
    while (queue->first != NULL && queue->busy < queue->threads) {
        struct job *job = queue->first;
        queue->first = job->next;
        if (queue->first == NULL)
            queue->last = NULL;
        queue->busy++;
        world_at(queue->process->world, world_between(queue->process->world, 1, JOB_US), queue->process,
                 job_run, job);
    }
}

static struct job_queue *sim_queue_new(struct env *env, const char *name, int threads)
{
    struct process *process = (struct process *)env;
    struct job_queue *queue = mem_calloc(1, sizeof *queue);
    *queue = (struct job_queue){.process = process, .threads = threads};
    return queue;
}

// Runs what is queued at once; the completions of jobs that already ran come before it returns.
static void sim_queue_destroy(struct env *env, struct job_queue **pointer)
{
    struct job_queue *queue = *pointer;
    *pointer = NULL;
    while (queue->first != NULL) {
        struct job *job = queue->first;
        queue->first = job->next;
        job->run(job);
        job->done(job);
    }
    queue->last = NULL;
}

static void sim_submit(struct env *env, struct job_queue *queue, struct job *job)
{
    job->next = NULL;
    job->queue = queue;
    *(queue->last ? &queue->last->next : &queue->first) = job;
    queue->last = job;
    queue_next(queue);
}

// ---- clock and random ----

static int64_t sim_now_us(struct env *env)
{
    return ((struct process *)env)->world->now_us;
}

static int64_t sim_wall_ms(struct env *env)
{
    struct process *process = (struct process *)env;
    return 1700000000000ll + process->world->now_us / 1000 + process->clock_skew_ms;
}

static uint64_t sim_random(struct env *env)
{
    return prng_next(&((struct process *)env)->world->prng);
}

static enum status sim_path_rmdir(struct env *env, const char *path)
{
    return sim_path_unlink(env, path);
}

const struct env_ops sim_env_ops = {
    .now_us = sim_now_us,
    .wall_ms = sim_wall_ms,
    .timer_start = sim_timer_start,
    .timer_stop = sim_timer_stop,
    .random = sim_random,
    .queue_new = sim_queue_new,
    .queue_destroy = sim_queue_destroy,
    .submit = sim_submit,
    .file_open = sim_file_open,
    .file_close = sim_file_close,
    .file_pread = sim_file_pread,
    .file_will_need = sim_file_will_need,
    .file_cached = sim_file_cached,
    .file_pwritev = sim_file_pwritev,
    .file_truncate = sim_file_truncate,
    .file_reserve = sim_file_reserve,
    .file_write_out = sim_file_write_out,
    .file_sync = sim_file_sync,
    .file_sync_fs = sim_file_sync_fs,
    .file_size = sim_file_size,
    .file_lock = sim_file_lock,
    .file_drop_cache = sim_file_drop_cache,
    .path_info = sim_path_info,
    .path_mkdir = sim_path_mkdir,
    .path_rename = sim_path_rename,
    .path_unlink = sim_path_unlink,
    .path_rmdir = sim_path_rmdir,
    .path_sync_dir = sim_path_sync_dir,
    .path_list = sim_path_list,
    .path_free_bytes = sim_path_free_bytes,
    .path_total_bytes = sim_path_total_bytes,
    .listen = sim_listen,
    .listener_port = sim_listener_port,
    .listener_pause = sim_listener_pause,
    .listener_close = sim_listener_close,
    .connect = sim_connect,
    .stream_handle = sim_stream_handle,
    .stream_want = sim_stream_want,
    .stream_recv = sim_stream_recv,
    .stream_send = sim_stream_send,
    .stream_send_file = sim_stream_send_file,
    .stream_close = sim_stream_close,
};

// ---- machines and processes ----

void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.seed = seed, .prng = {seed}, .now_us = 1000000, .next_port = 20000};
    map_init(&world->listeners, 1);
    map_init(&world->transports, 2);
}

struct machine *world_machine(struct world *world)
{
    ASSERT(world->machine_count < WORLD_MACHINES_MAX);
    struct machine *machine = &world->machines[world->machine_count];
    *machine = (struct machine){.world = world, .id = world->machine_count++};
    map_init(&machine->files, 3);
    map_init(&machine->durable, 4);
    return machine;
}

static void diag_write(struct diag *diag, const char *line)
{
    struct process *process = diag->context;
    if (process->world->on_line != NULL)
        process->world->on_line(process, line);
    if (process->world->verbose)
        fprintf(stderr, "%10.6f %s\n", (double)process->world->now_us / 1e6, line);
}

static int64_t diag_wall_ms(struct diag *diag)
{
    return sim_wall_ms(diag->context);
}

struct process *process_start(struct machine *machine, const char *name)
{
    struct world *world = machine->world;
    ASSERT(machine->process == NULL);
    struct process *process = mem_calloc(1, sizeof *process);
    process->env.ops = &sim_env_ops;
    process->env.metrics = &process->metrics;
    process->env.diag = (struct diag){.level = DIAG_DEBUG,
                                      .who = process->name,
                                      .write = diag_write,
                                      .wall_ms = diag_wall_ms,
                                      .context = process};
    process->world = world;
    process->machine = machine;
    process->generation = ++world->generation;
    process->alive = true;
    snprintf(process->name, sizeof process->name, "%s", name);
    process->env.pool = env_queue_new(&process->env, "pool", 2);
    machine->process = process;
    world->processes[world->process_count++] = process;
    world_trace(world, process->generation);
    return process;
}

static void process_forget(struct world *world, const struct process *process)
{
    int kept = 0;
    for (int i = 0; i < world->process_count; i++)
        if (world->processes[i] != process)
            world->processes[kept++] = world->processes[i];
    world->process_count = kept;
}

void process_kill(struct process *process)
{
    ASSERT(process->alive);
    process->alive = false;
    process->machine->process = NULL;
    process_forget(process->world, process);
    world_count(process->world, COUNT_kill);
    if (process->world->verbose)
        fprintf(stderr, "%10.6f KILL %s\n", (double)process->world->now_us / 1e6, process->name);
}

void process_power_cut(struct process *process)
{
    process_kill(process);
    disk_power_cut(process->machine);
    world_count(process->world, COUNT_power_cut);
}

void world_cut(struct world *world, int a, int b, bool cut)
{
    world->machines[a].isolated[b] = world->machines[b].isolated[a] = cut;
}

bool world_reachable(const struct process *from, const struct process *to)
{
    return from->alive && to->alive && !from->machine->isolated[to->machine->id];
}
