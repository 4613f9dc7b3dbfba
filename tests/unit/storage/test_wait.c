// SPDX-License-Identifier: Apache-2.0
// Parked answers are woken once, in order, and may be cancelled by one another.
#include "wait.h"

#include <criterion/criterion.h>

static struct wait waits[4];
static int order[8];
static int woken;

static void note(struct wait *wait, enum status status)
{
    order[woken++] = (int)(wait - waits) * 10 + (int)status;
}

static void cancel_next(struct wait *wait, enum status status)
{
    note(wait, status);
    wait_cancel(wait + 1);
}

Test(wait, reached_wakes_in_order_and_leaves_the_rest)
{
    struct wait_list list = {0};
    wait_add(&list, &waits[0], 5, note, NULL);
    wait_add(&list, &waits[1], 9, note, NULL);
    wait_add(&list, &waits[2], 5, note, NULL);
    wait_reached(&list, 4);
    cr_assert_eq(woken, 0);
    wait_reached(&list, 5);
    cr_assert_eq(woken, 2);
    cr_assert_eq(order[0], 0);
    cr_assert_eq(order[1], 20);
    wait_fail(&list, ST_NOT_LEADER);
    cr_assert_eq(order[2], 10 + ST_NOT_LEADER);
    cr_assert_null(list.first);
}

Test(wait, a_wake_may_cancel_one_that_is_about_to_be_woken)
{
    struct wait_list list = {0};
    wait_add(&list, &waits[0], 1, cancel_next, NULL);
    wait_add(&list, &waits[1], 1, note, NULL);
    wait_add(&list, &waits[2], 1, note, NULL);
    wait_reached(&list, 1);
    cr_assert_eq(woken, 2);
    cr_assert_eq(order[1], 20);
}
