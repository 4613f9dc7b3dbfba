// SPDX-License-Identifier: Apache-2.0
// Who gets which task: everything to somebody, evenly, to whom had it, and standby replicas elsewhere.
#include "streams_assignor.h"
#include "streams_world.h"

#include "base/prng.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { MEMBERS = 12 };

struct table { // members m0, m1 ... and what they had and get
    struct streams_subject subjects[4];
    int32_t subject_count;
    char processes[MEMBERS][8];
    struct streams_tasks former[MEMBERS];
    struct streams_candidate members[MEMBERS];
    int32_t member_count, standbys;
};

static void subject(struct table *table, const char *id, int32_t tasks, bool stateful)
{
    table->subjects[table->subject_count++] =
        (struct streams_subject){streams_key(slice_str(id)), tasks, stateful};
}

static void member(struct table *table, const char *process)
{
    snprintf(table->processes[table->member_count], sizeof table->processes[0], "%s", process);
    table->member_count++;
}

static void assign(struct table *table)
{
    for (int32_t m = 0; m < table->member_count; m++)
        table->members[m] = (struct streams_candidate){.process = slice_str(table->processes[m]),
                                                       .former = &table->former[m]};
    streams_assign(&(struct streams_assignment){table->subjects, table->subject_count, table->members,
                                                table->member_count, table->standbys});
    for (int32_t m = 0; m < table->member_count; m++)
        streams_tasks_move(&table->former[m], &table->members[m].target);
}

static void clear(struct table *table)
{
    for (int32_t m = 0; m < MEMBERS; m++)
        streams_tasks_fini(&table->former[m]);
}

static const char *has(const struct table *table, int32_t m)
{
    static char text[512];
    streams_world_text(&table->former[m], text, sizeof text);
    return text;
}

Test(streams_assignor, members_get_ranges_at_first)
{
    struct table table = {0};
    subject(&table, "0", 4, false);
    subject(&table, "1", 4, true);
    member(&table, "p");
    member(&table, "q");
    assign(&table);
    cr_expect_str_eq(has(&table, 0), "0_0 0_2 1_0 1_2");
    cr_expect_str_eq(has(&table, 1), "0_1 0_3 1_1 1_3");
    clear(&table);
}

Test(streams_assignor, who_comes_takes_only_its_share)
{
    struct table table = {0};
    subject(&table, "0", 6, false);
    member(&table, "p");
    member(&table, "q");
    assign(&table);
    member(&table, "r");
    assign(&table);
    cr_expect_str_eq(has(&table, 0), "0_0 0_2");
    cr_expect_str_eq(has(&table, 1), "0_1 0_3");
    cr_expect_str_eq(has(&table, 2), "0_4 0_5");
    clear(&table);
}

Test(streams_assignor, a_standby_takes_over)
{
    struct table table = {.standbys = 1};
    subject(&table, "0", 4, true);
    member(&table, "p");
    member(&table, "q");
    assign(&table);
    cr_expect_str_eq(has(&table, 0), "0_0 0_2 s0_1 s0_3");
    table.member_count = 1; // the other one is gone
    assign(&table);
    cr_expect_str_eq(has(&table, 0), "0_0 0_1 0_2 0_3", "no standby where the active one is");
    clear(&table);
}

Test(streams_assignor, standbys_are_for_state_only)
{
    struct table table = {.standbys = 2};
    subject(&table, "0", 2, false);
    subject(&table, "1", 2, true);
    member(&table, "p");
    member(&table, "q");
    member(&table, "q");
    assign(&table);
    size_t standbys = 0;
    for (int32_t m = 0; m < 3; m++)
        standbys += table.former[m].roles[STREAMS_STANDBY].count;
    cr_expect_eq(standbys, 2, "one for each task of 1: there are two processes");
    clear(&table);
}

Test(streams_assignor, a_process_has_as_much_as_its_threads_can)
{
    struct table table = {0};
    subject(&table, "0", 9, false);
    member(&table, "p");
    member(&table, "q");
    member(&table, "q");
    assign(&table);
    for (int32_t m = 0; m < 3; m++)
        cr_expect_eq(table.former[m].roles[STREAMS_ACTIVE].count, 3, "%s", has(&table, m));
    clear(&table);
}

// ---- whatever comes ----

static void check_active(const struct table *table)
{
    int32_t total = 0;
    size_t given = 0;
    for (int32_t s = 0; s < table->subject_count; s++)
        total += table->subjects[s].tasks;
    for (int32_t m = 0; m < table->member_count; m++) {
        const struct parts *own = &table->former[m].roles[STREAMS_ACTIVE];
        given += own->count;
        for (int32_t o = 0; o < m; o++)
            cr_assert(!parts_meet(own, &table->former[o].roles[STREAMS_ACTIVE]));
        cr_assert_leq(own->count, (size_t)(total / table->member_count + 1 + total / 4));
    }
    cr_assert_eq(given, (size_t)total);
}

static int32_t processes_of(const struct table *table)
{
    int32_t count = 0;
    for (int32_t m = 0; m < table->member_count; m++) {
        bool first = true;
        for (int32_t o = 0; o < m; o++)
            first = first && strcmp(table->processes[m], table->processes[o]) != 0;
        count += first ? 1 : 0;
    }
    return count;
}

// No process has a task twice, and each task has as many standbys as there are other processes for.
static void check_standbys(const struct table *table)
{
    int32_t want = processes_of(table) - 1 < table->standbys ? processes_of(table) - 1 : table->standbys;
    for (int32_t s = 0; s < table->subject_count; s++) {
        for (int32_t p = 0; p < table->subjects[s].tasks; p++) {
            struct parts_item task = {.topic = table->subjects[s].key, .index = p};
            int32_t standbys = 0;
            for (int32_t m = 0; m < table->member_count; m++) {
                bool holds = parts_have(&table->former[m].roles[STREAMS_STANDBY], &task);
                standbys += holds ? 1 : 0;
                for (int32_t o = 0; holds && o < table->member_count; o++)
                    cr_assert(strcmp(table->processes[o], table->processes[m]) != 0 ||
                              (!parts_have(&table->former[o].roles[STREAMS_ACTIVE], &task) &&
                               (o == m || !parts_have(&table->former[o].roles[STREAMS_STANDBY], &task))));
            }
            cr_assert_eq(standbys, table->subjects[s].stateful ? want : 0);
        }
    }
}

Test(streams_assignor, holds_what_it_promises_whoever_comes_and_goes)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng;
        prng = (struct prng){seed};
        struct table table = {.standbys = (int32_t)prng_below(&prng, 3)};
        subject(&table, "0", 1 + (int32_t)prng_below(&prng, 12), false);
        subject(&table, "1", 1 + (int32_t)prng_below(&prng, 12), true);
        for (int round = 0; round < 8; round++) {
            int32_t count = 1 + (int32_t)prng_below(&prng, MEMBERS);
            for (; table.member_count > count; table.member_count--)
                streams_tasks_fini(&table.former[table.member_count - 1]);
            while (table.member_count < count)
                member(&table, (const char *[]){"p", "q", "r", "s"}[prng_below(&prng, 4)]);
            assign(&table);
            check_active(&table);
            check_standbys(&table);
        }
        clear(&table);
    }
}
