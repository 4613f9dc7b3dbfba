// SPDX-License-Identifier: Apache-2.0
// What is too dear for the loop: done in jobs it comes to the same answers, and a decision is that of the
// state when the job is done.
#include <criterion/criterion.h>

#include "base/mem.h"
#include "chores.h"
#include "desk.h"

#include <stdio.h>
#include <time.h>

#define A1 "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}"
#define A2                                                                                                   \
    "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"y\","     \
    "\"type\":\"int\",\"default\":1}]}"
#define A_BAD                                                                                                \
    "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"z\","     \
    "\"type\":\"int\"}]}"

static struct desk desk;

static void open_desk(void)
{
    desk_open(&desk);
}

static void close_desk(void)
{
    desk_close(&desk);
}

TestSuite(chores, .init = open_desk, .fini = close_desk);

static void ask_all(char answers[4096])
{
    const char *const asks[][4] = {
        {"register", "a", NULL, "{\"schema\":\"\\\"int\\\"\"}"},
        {"register", "b", NULL, "{\"schema\":\"{\\\"type\\\":\\\"nonsense\\\"}\"}"},
        {"register", "b", NULL, "{"},
        {"register", "b", NULL, "[]"},
        {"register", "c", NULL,
         "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"C\\\",\\\"fields\\\":[{\\\"name\\\":"
         "\\\"r\\\","
         "\\\"type\\\":\\\"A\\\"}]}\",\"references\":[{\"name\":\"A\",\"subject\":\"r\",\"version\":1}]}"},
        {"look-up", "a", NULL, "{\"schema\":\"\\\"int\\\"\"}"},
        {"get-version", "c/1", "format=resolved", NULL},
        {"compatible-with-all", "a", "verbose=true", "{\"schema\":\"\\\"string\\\"\"}"},
        {"compatible-with-version", "r/1", "verbose=true", "{\"schema\":\"\\\"string\\\"\"}"}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
        at += (size_t)snprintf(answers + at, 4096 - at, "%s\n",
                               desk_ask(&desk, asks[i][0], asks[i][1], asks[i][2], asks[i][3]));
    snprintf(answers + at, 4096 - at, "%d %d %d", desk_register(&desk, "r", A1),
             desk_register(&desk, "r", A2), desk_register(&desk, "r", A_BAD));
}

Test(chores, answers_are_the_same_whoever_does_them)
{
    char spot[4096], jobs[4096];
    desk_register(&desk, "r", A1);
    ask_all(spot);
    cr_assert_eq(desk.jobs, 0);
    desk_close(&desk);
    desk_open(&desk);
    desk.spot_max = 0;
    desk_register(&desk, "r", A1);
    ask_all(jobs);
    cr_assert_str_eq(jobs, spot);
    cr_assert_geq(desk.jobs, 2);
}

Test(chores, a_registration_takes_a_job_for_each_step_whatever_the_number_of_versions)
{
    char schema[200];
    desk_ask(&desk, "put-subject-config", "s", NULL, "{\"compatibility\":\"FULL_TRANSITIVE\"}");
    for (int i = 0; i < 20; i++) {
        snprintf(schema, sizeof schema,
                 "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"f%d\",\"type\":\"int\","
                 "\"default\":0}]}",
                 i);
        cr_assert_eq(desk_register(&desk, "s", schema), i + 1);
    }
    desk.spot_max = 0;
    cr_assert_eq(desk_register(&desk, "s", "{\"type\":\"record\",\"name\":\"A\",\"fields\":[]}"), 21);
    cr_assert_eq(desk.jobs, 3, "the body, the schema, all comparisons");
}

Test(chores, what_fits_on_the_spot_needs_no_job)
{
    desk.spot_max = 2000;
    cr_assert_eq(desk_register(&desk, "s", A1), 1);
    cr_assert_eq(desk.jobs, 0);
    desk.spot_max = strlen(A2) + 40; // the body, with escaped quotes, is longer than what it says
    cr_assert_eq(desk_register(&desk, "s", A2), 2);
    cr_assert_gt(desk.jobs, 0);
}

static void register_meanwhile(struct desk *ours)
{
    ours->in_job = NULL;
    cr_assert_eq(
        desk_apply(
            ours, "{\"keytype\":\"SCHEMA\",\"subject\":\"s\",\"version\":1,\"magic\":1}",
            "{\"subject\":\"s\",\"version\":1,\"id\":1,\"schema\":\"\\\"string\\\"\",\"deleted\":false}"),
        ST_OK);
}

Test(chores, a_decision_is_that_of_the_state_when_the_job_is_done)
{
    desk.spot_max = 0;
    desk.in_job = register_meanwhile;
    cr_assert_eq(desk_register(&desk, "s", A1), -40901, "it was the first version when it was sent");
    desk.in_job = register_meanwhile;
    cr_assert_eq(desk_register(&desk, "t", A1), 2, "the id was given meanwhile");
}

Test(chores, stopped_ones_stay_undone)
{
    struct call call;
    call_init(&call);
    call.spot_max = 0;
    call.body = slice_str("{}");
    cr_assert_null(chore_body(&call));
    cr_assert(call.later);
    call.chores->stopping = true;
    chores_work(call.chores);
    cr_assert_null(chore_body(&call));
    call.chores->stopping = false;
    chores_work(call.chores);
    cr_assert_not_null(chore_body(&call));
    call_fini(&call);
}

Test(chores, what_is_refused_is_not_copied)
{
    struct call call;
    call_init(&call);
    call.spot_max = 2;
    call.body = slice_str("[1]");
    call.chores = chores_new();
    call.chores->spot_only = true;
    cr_assert_null(chore_body(&call));
    cr_assert(call.later);
    cr_assert_null(call.chores->first);
    call.body = slice_str("[]");
    cr_assert_not_null(chore_body(&call), "what is small is done");
    call_fini(&call);
}

Test(chores, inputs_have_a_limit)
{
    struct call call;
    char *large = mem_calloc(1, CHORES_BYTES_MAX);
    call_init(&call);
    call.spot_max = 0;
    call.body = slice_of(large, CHORES_BYTES_MAX);
    cr_assert_null(chore_body(&call));
    cr_assert_eq(call.chores->bytes, CHORES_BYTES_MAX);
    call.body = slice_of("", 1);
    cr_assert_null(chore_body(&call));
    cr_assert_eq(call.chores->bytes, CHORES_BYTES_MAX);
    cr_assert_gt(call.parsed, CALL_PARSED_MAX, "which is answered 42209");
    call_fini(&call);
    mem_free(large);
}

static bool compare_known(struct call *call, int number)
{
    char text[200];
    snprintf(text, sizeof text, "{\"type\":\"fixed\",\"name\":\"F\",\"size\":%06d}", number);
    struct chore_input old = {.format = SCHEMA_AVRO, .text = slice_str(text)};
    return chore_compare(call, NULL, (struct comparison){.level = LEVEL_FULL_TRANSITIVE}, &old) != NULL;
}

Test(chores, many_are_found_in_time_that_does_not_grow_with_their_square)
{
    enum { MANY = 20000 };
    struct call call;
    call_init(&call);
    call.spot_max = 0;
    clock_t begin = clock();
    for (int i = 0; i < 2 * MANY; i++)
        cr_assert_not(compare_known(&call, i % MANY));
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    cr_assert_lt(seconds, 5, "%.2f s", seconds);
    size_t count = 0;
    for (const struct chore *chore = call.chores->first; chore != NULL; chore = chore->next)
        count++;
    cr_assert_eq(count, MANY, "what was asked before is found");
    call_fini(&call);
}
