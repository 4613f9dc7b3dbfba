// SPDX-License-Identifier: Apache-2.0
// Throttled replication: the rate, and which replicas a list names.
#include "pace.h"

#include <criterion/criterion.h>

// Bytes that go in so many seconds when whoever sends asks as soon as it may.
static int64_t sent_in(struct throttle *throttle, int64_t *now_us, int seconds, int64_t bytes)
{
    int64_t end = *now_us + seconds * 1000000ll, sent = 0;
    while (*now_us < end) {
        int64_t wait = throttle_wait_us(throttle, *now_us);
        *now_us += wait > 0 ? wait : 10;
        if (wait > 0)
            continue;
        throttle_charge(throttle, bytes, *now_us);
        sent += bytes;
    }
    return sent;
}

Test(throttle, the_rate_holds_for_any_size_of_message)
{
    static const int64_t sizes[] = {100, 10000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct throttle throttle = {0};
        int64_t now_us = 5000000;
        throttle_set(&throttle, 1 << 20, now_us);
        int64_t sent = sent_in(&throttle, &now_us, 20, sizes[i]);
        cr_assert(sent > 19ll << 20 && sent < 22ll << 20, "%lld", (long long)sent);
    }
}

Test(throttle, time_that_was_not_used_is_not_saved_up)
{
    struct throttle throttle = {0};
    int64_t now_us = 0;
    throttle_set(&throttle, 1 << 20, now_us);
    now_us += 3600000000ll;
    cr_assert_lt(sent_in(&throttle, &now_us, 1, 1000), 3 << 19);
}

Test(throttle, no_limit_and_nothing_at_all)
{
    struct throttle throttle = {0};
    throttle_set(&throttle, INT64_MAX, 0);
    throttle_charge(&throttle, INT64_MAX, 0);
    cr_assert_eq(throttle_wait_us(&throttle, 0), 0);
    throttle_set(&throttle, 0, 0);
    cr_assert_gt(throttle_wait_us(&throttle, 1000000000), 0);
}

Test(throttle, another_rate_forgets_the_debt)
{
    struct throttle throttle = {0};
    throttle_set(&throttle, 1, 0);
    throttle_charge(&throttle, 1 << 20, 0);
    cr_assert_gt(throttle_wait_us(&throttle, 0), 1000000000);
    throttle_set(&throttle, 1000, 0);
    cr_assert_eq(throttle_wait_us(&throttle, 0), 0);
}

Test(pace, lists_name_partition_and_node)
{
    cr_assert(pace_listed("*", 3, 7));
    cr_assert(pace_listed("0:1,3:7,5:2", 3, 7));
    cr_assert(pace_listed("3:7", 3, 7));
    cr_assert_not(pace_listed("3:70,33:7,7:3", 3, 7));
    cr_assert_not(pace_listed("", 0, 0));
    cr_assert_not(pace_listed(NULL, 0, 0));
    cr_assert_not(pace_listed(",:,x:y,", 0, 0));
}

Test(pace, each_rate_counts_what_it_paces)
{
    struct pace pace = {0};
    throttle_set(&pace.leader, 1000, 0);
    throttle_set(&pace.balancer, 100, 0);
    pace_sent(&pace, PACE_LEADER, 2000, 0);
    cr_assert_gt(pace_wait_us(&pace, PACE_LEADER, 0), 1000000);
    cr_assert_eq(pace_wait_us(&pace, PACE_BALANCER | PACE_FOLLOWER, 0), 0);
    pace_sent(&pace, PACE_BALANCER, 2000, 0);
    cr_assert_gt(pace_wait_us(&pace, PACE_LEADER | PACE_BALANCER, 0), 10000000);
}
