// SPDX-License-Identifier: Apache-2.0
// See work_world.h.
#include "work_world.h"

#include "base/mem.h"
#include "ledger/ledger_state.h"

#include <criterion/criterion.h>
#include <stdio.h>

// ---- the environment ----

static struct work_world *world_of(struct env *env)
{
    return (struct work_world *)env;
}

static int64_t now_us(struct env *env)
{
    return world_of(env)->now_us;
}

static void timer_halt(struct env *env, struct timer *timer)
{
    struct work_world *world = world_of(env);
    struct timer *last = world->timers[--world->timer_count];
    world->timers[timer->heap_index] = last;
    last->heap_index = timer->heap_index;
    timer->heap_index = -1;
}

static void timer_begin(struct env *env, struct timer *timer, int64_t at_us)
{
    struct work_world *world = world_of(env);
    timer_stop(env, timer);
    cr_assert_lt(world->timer_count, 2 * WORK_WORLD_CALLS);
    timer->at_us = at_us;
    timer->heap_index = world->timer_count;
    world->timers[world->timer_count++] = timer;
}

static uint64_t number(struct env *env)
{
    return 4; // nothing here is left to chance
}

static void submit(struct env *env, struct job_queue *queue, struct job *job)
{
    struct work_world *world = world_of(env);
    job->next = NULL;
    *world->end = job;
    world->end = &job->next;
}

static const struct env_ops ops = {.now_us = now_us,
                                   .wall_ms = now_us,
                                   .timer_start = timer_begin,
                                   .timer_stop = timer_halt,
                                   .random = number,
                                   .submit = submit};

bool work_world_job(struct work_world *world)
{
    struct job *job = world->first;
    if (job == NULL)
        return false;
    world->first = job->next;
    if (world->first == NULL)
        world->end = &world->first;
    job->run(job);
    job->done(job);
    return true;
}

int work_world_jobs(const struct work_world *world)
{
    int count = 0;
    for (const struct job *job = world->first; job != NULL; job = job->next)
        count++;
    return count;
}

static struct timer *due(struct work_world *world)
{
    struct timer *next = NULL;
    for (int i = 0; i < world->timer_count; i++)
        if (world->timers[i]->at_us <= world->now_us &&
            (next == NULL || world->timers[i]->at_us < next->at_us))
            next = world->timers[i];
    return next;
}

void work_world_wait(struct work_world *world, int64_t ms)
{
    int64_t until_us = world->now_us + ms * 1000;
    do {
        for (struct timer *timer; (timer = due(world)) != NULL;) {
            timer_stop(&world->env, timer);
            timer->fire(timer);
        }
        world->now_us += 1000;
    } while (world->now_us <= until_us);
    world->now_us = until_us;
}

// ---- a ledger that is whole and reaches no storage node ----

static void on_record(void *context, int64_t timestamp_ms, struct slice key, struct slice value)
{
    struct work_world *world = context;
    cr_assert_eq(state_apply(world->registry.state, timestamp_ms, key, value), ST_OK);
}

void work_world_own(struct work_world *world)
{
    static const struct ledger_ops ledger_ops = {.apply = on_record};
    world->ledger = mem_calloc(1, sizeof *world->ledger);
    *world->ledger = (struct ledger){
        .config = {.env = &world->env, .ops = &ledger_ops, .context = world}, .ready = true, .open_seq = 1};
    buf_init(&world->ledger->open.bytes, LEDGER_BYTES_MAX);
    buf_init(&world->ledger->sealed.bytes, LEDGER_BYTES_MAX);
    world->registry.stores[STORE_SCHEMAS].ledger = world->ledger;
}

void work_world_fill(struct work_world *world)
{
    struct buf *bytes = &world->ledger->open.bytes;
    cr_assert_eq(buf_reserve(bytes, LEDGER_PENDING_MAX), ST_OK);
    memset(bytes->data + bytes->len, 0, LEDGER_PENDING_MAX);
    bytes->len += LEDGER_PENDING_MAX;
}

void work_world_land(struct work_world *world)
{
    ledger_batches_clear(world->ledger);
    ledger_committed(world->ledger, world->ledger->open_seq++);
}

static void disown(struct work_world *world)
{
    if (world->ledger == NULL)
        return;
    ledger_batches_fini(world->ledger);
    mem_free(world->ledger);
}

// ---- life ----

void work_world_open(struct work_world *world)
{
    *world = (struct work_world){
        .env = {.ops = &ops, .metrics = &world->metrics}, .end = &world->first, .config = config_new()};
    config_declare(world->config, registry_config_rows, registry_config_count);
    struct rpc_config rpc = {.env = &world->env, .transport = &world->transport};
    struct registry *registry = &world->registry;
    *registry = (struct registry){.env = &world->env,
                                  .rpc = rpc_new(&rpc),
                                  .settings = settings_of(world->config),
                                  .image = image_new(),
                                  .state = state_new(),
                                  .keys = keys_new(),
                                  .node_id = 1,
                                  .joined = true};
    static const char *const topics[STORES] = {[STORE_SCHEMAS] = "_schemas", [STORE_KEYS] = "_keys"};
    for (int i = 0; i < STORES; i++)
        registry->stores[i] = (struct registry_store){.registry = registry, .topic = topics[i]};
}

void work_world_close(struct work_world *world)
{
    struct registry *registry = &world->registry;
    work_stop(registry);
    while (work_world_job(world))
        ;
    cr_assert_eq(registry->work_count, 0);
    for (int i = 0; i < world->ask_count; i++) {
        call_fini(&world->asks[i].call);
        mem_free(world->asks[i].body);
    }
    disown(world);
    state_destroy(&registry->state);
    keys_destroy(&registry->keys);
    image_destroy(&registry->image);
    rpc_destroy(&registry->rpc);
    config_destroy(&world->config);
}

// ---- requests ----

static void on_done(struct call *call, void *context)
{
    struct work_ask *ask = context;
    ask->done = true;
    ask->code = call->code;
    ask->there_only = call->there_only;
    snprintf(ask->answer, sizeof ask->answer, "%.*s", (int)call->reply.len, (const char *)call->reply.data);
}

struct work_ask *work_world_ask_take(struct work_world *world, const char *operation, const char *subject,
                                     char *body)
{
    cr_assert_lt(world->ask_count, WORK_WORLD_CALLS);
    struct work_ask *ask = &world->asks[world->ask_count++];
    call_init(&ask->call);
    ask->body = body;
    ask->call.operation = operation_find(operation);
    ask->call.subject = subject;
    ask->call.body = slice_str(body);
    registry_run(&world->registry, &ask->call, on_done, ask);
    return ask;
}

char *work_world_body(int number, size_t bytes)
{
    char *padding = mem_calloc(1, bytes + 1);
    memset(padding, 'x', bytes);
    char *body = mem_printf("{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R%d\\\",\\\"doc\\\":"
                            "\\\"%s\\\",\\\"fields\\\":[]}\"}",
                            number, padding);
    mem_free(padding);
    return body;
}
