// SPDX-License-Identifier: Apache-2.0
// Requests that have to wait for what is done off the loop.
#include <criterion/criterion.h>

#include "answer.h"
#include "chores.h"
#include "work_world.h"

#include "base/mem.h"
#include "ledger/ledger_state.h"

static struct work_world world;

static void open_world(void)
{
    work_world_open(&world);
}

static void close_world(void)
{
    work_world_close(&world);
}

TestSuite(work, .init = open_world, .fini = close_world);

Test(work, a_registration_whose_time_is_over_is_left_alone)
{
    for (int i = 0; i < SEATS_MAX; i++) // others have them all
        cr_assert(seats_take(&world.registry.seats));
    const struct work_ask *ask = work_world_ask_take(&world, "register", "s", work_world_body(1, 40000));
    work_world_wait(&world, REGISTRY_RUN_MS / 2);
    cr_assert_not(ask->done);
    work_world_wait(&world, REGISTRY_RUN_MS);
    cr_assert(ask->done);
    cr_assert_eq(ask->code, 500, "%d %s", ask->code, ask->answer);
    cr_assert_not(ask->there_only, "nothing may be written to the call when it is done");
}

// A question that this process answers: the schema is looked at, in two jobs.
static struct work_ask *ask_dear(int number)
{
    return work_world_ask_take(&world, "compatible-with-all", "s", work_world_body(number, 40000));
}

static size_t copied(void)
{
    size_t bytes = world.registry.thinking_bytes;
    for (int i = 0; i < world.ask_count; i++)
        bytes += world.asks[i].call.chores != NULL ? world.asks[i].call.chores->bytes : 0;
    return bytes;
}

static void run_all(void)
{
    while (work_world_job(&world)) {
        cr_assert_leq(copied(), SEATS_MAX * 90000);
        work_world_wait(&world, 0);
    }
}

Test(work, only_so_many_have_jobs_and_the_others_hold_nothing)
{
    for (int i = 0; i < 100; i++)
        ask_dear(i);
    cr_assert_eq(work_world_jobs(&world), SEATS_MAX);
    cr_assert_leq(copied(), SEATS_MAX * 41000);
    cr_assert_eq(world.registry.seats.waiting, 100 - SEATS_MAX);
    work_world_wait(&world, 1000);
    cr_assert_eq(work_world_jobs(&world), SEATS_MAX, "and do not try in vain");
    run_all();
    for (int i = 0; i < 100; i++)
        cr_assert(world.asks[i].done && world.asks[i].code == 200, "%d %s", i, world.asks[i].answer);
    cr_assert_eq(world.registry.seats.taken, 0);
}

Test(work, the_line_has_an_end)
{
    for (int i = 0; i < SEATS_MAX + SEATS_WAITING_MAX; i++)
        cr_assert_not(ask_dear(i)->done);
    const struct work_ask *last = ask_dear(SEATS_MAX + SEATS_WAITING_MAX);
    cr_assert(last->done);
    cr_assert_eq(last->code, 503);
    const struct work_ask *small =
        work_world_ask_take(&world, "compatible-with-all", "s", work_world_body(1, 9));
    cr_assert(small->done && small->code == 200, "what is small needs no seat");
    run_all();
    cr_assert_eq(world.registry.work_count, 0);
}

Test(work, a_seat_is_free_when_the_job_of_one_that_has_ended_is_over)
{
    for (int i = 0; i < 2 * SEATS_MAX; i++)
        ask_dear(i);
    work_world_wait(&world, REGISTRY_RUN_MS + 1);
    for (int i = 0; i < 2 * SEATS_MAX; i++)
        cr_assert(world.asks[i].done && world.asks[i].code == 500);
    const struct work_ask *next = ask_dear(100);
    cr_assert_eq(work_world_jobs(&world), SEATS_MAX, "the memory of the old ones is still there");
    run_all();
    cr_assert(next->done && next->code == 200);
    cr_assert_eq(world.registry.seats.taken, 0);
}

Test(work, all_end_when_the_registry_stops)
{
    for (int i = 0; i < 2 * SEATS_MAX; i++)
        ask_dear(i);
    work_world_job(&world);
    work_stop(&world.registry);
    while (work_world_job(&world))
        ;
    cr_assert_eq(world.registry.seats.taken, 0);
    cr_assert_eq(world.registry.seats.waiting, 0);
    cr_assert_eq(world.registry.thinking_bytes, 0);
}

static bool unknown_says(const char *operation, const char *text)
{
    struct call call;
    call_init(&call);
    call.operation = operation_find(operation);
    answer_unknown(&call);
    buf_append(&call.reply, "", 1);
    bool says = call.code == 500 && strstr((const char *)call.reply.data, text) != NULL;
    call_fini(&call);
    return says;
}

Test(work, what_is_not_known_is_said_of_what_was_asked)
{
    cr_assert(unknown_says("delete-kek", "Whether the deletion was"));
    cr_assert(unknown_says("create-kek", "Whether the request was"));
    cr_assert(unknown_says("create-dek", "Whether the request was"));
    cr_assert(unknown_says("mutate-associations", "Whether the request was"));
}

static void on_located(struct call *call, void *context)
{
    *(int *)context = call->code;
}

// The topic may be there and this process not have heard of it: a broker would refuse a record for a second.
Test(work, no_schema_is_denied_before_the_topic_is_known)
{
    struct call call;
    int code = 0;
    call_init(&call);
    call.operation = &operation_locate;
    call.id = "1";
    call.query[call.query_count++] = (struct call_pair){"topic", "t"};
    call.query[call.query_count++] = (struct call_pair){"strategy", "TOPIC_NAME"};
    world.registry.stores[STORE_SCHEMAS].needing = (void *)&world; // it has been asked for
    registry_run_until(&world.registry, &call, world.now_us + 2000 * 1000, on_located, &code);
    work_world_wait(&world, 1000);
    cr_expect_eq(code, 0);
    work_world_wait(&world, 2000);
    cr_expect_eq(code, 500);
    world.registry.stores[STORE_SCHEMAS].needing = NULL;
    call_fini(&call);
}

// ---- a full ledger ----

static size_t versions(const char *name)
{
    const struct state_subject *subject = state_subject(world.registry.state, name);
    return subject != NULL ? subject->count : 0;
}

Test(work, a_write_waits_until_the_ledger_has_room)
{
    work_world_own(&world);
    work_world_fill(&world);
    const struct work_ask *ask = work_world_ask_take(&world, "register", "s", work_world_body(1, 9));
    work_world_wait(&world, 1000);
    cr_assert(!ask->done && versions("s") == 0);
    work_world_land(&world);
    work_world_wait(&world, 1000);
    cr_assert(!ask->done && versions("s") == 1, "it is decided, and not committed yet");
    work_world_land(&world);
    cr_assert(ask->done && ask->code == 200, "%s", ask->answer);
}

Test(work, a_ledger_that_stays_full_is_said_and_nothing_is_written)
{
    work_world_own(&world);
    work_world_fill(&world);
    const struct work_ask *ask = work_world_ask_take(&world, "register", "s", work_world_body(1, 9));
    work_world_wait(&world, REGISTRY_RUN_MS + 100);
    cr_assert(ask->done && ask->code == 500);
    cr_expect_not_null(strstr(ask->answer, "50001"), "%s", ask->answer);
    cr_expect_not_null(strstr(ask->answer, "Too much waits to be written"), "%s", ask->answer);
    cr_assert_eq(versions("s"), 0);
}

// It registers a schema, has that settled, and writes the association.
static const char association[] =
    "{\"resourceName\":\"t\",\"resourceNamespace\":\"n\",\"resourceId\":\"i\",\"resourceType\":\"topic\","
    "\"associations\":[{\"associationType\":\"value\",\"schema\":{\"schema\":"
    "\"\\\"int\\\"\"}}]}";

Test(work, what_is_settled_in_parts_begins_only_where_there_is_room)
{
    work_world_own(&world);
    work_world_fill(&world);
    const struct work_ask *ask =
        work_world_ask_take(&world, "create-association", "", mem_strdup(association));
    work_world_wait(&world, 1000);
    cr_assert(!ask->done && versions(":.n:t-value") == 0, "%s", ask->answer);
    work_world_land(&world);
    work_world_wait(&world, 1000);
    cr_assert_eq(versions(":.n:t-value"), 1);
    work_world_land(&world);
    cr_assert(ask->done && ask->code == 200, "%s", ask->answer);
}

// The ledger is full by what a call has settled itself: it is not run again, which would find its own work.
Test(work, what_has_begun_to_settle_is_ended_however_full_it_gets)
{
    work_world_own(&world);
    struct buf *pending = &world.ledger->open.bytes;
    cr_assert_eq(buf_reserve(pending, LEDGER_PENDING_MAX), ST_OK);
    memset(pending->data, 0, LEDGER_PENDING_MAX - 10);
    pending->len = LEDGER_PENDING_MAX - 10;
    const struct work_ask *ask =
        work_world_ask_take(&world, "create-association", "", mem_strdup(association));
    cr_assert_gt(pending->len, LEDGER_PENDING_MAX);
    work_world_land(&world);
    cr_assert(ask->done && ask->code == 200, "%s", ask->answer);
}
