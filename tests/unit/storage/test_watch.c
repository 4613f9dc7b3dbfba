// SPDX-License-Identifier: Apache-2.0
// Which replicas the clock looks at: those something is due at, and no other.
#include "watch.h"

#include "io/env_posix.h"
#include "isr.h"
#include "partitions_state.h"
#include "stream_out.h"

#include <criterion/criterion.h>

enum { SELF = 1, LAG_US = 10000 };

static struct env *env;
static struct partitions partitions;
static struct replica replica;

// This node leads; replica_count - 1 followers, the first of them in the ISR.
static void lead(int replica_count)
{
    struct partition_view view = {.leader = SELF, .leader_epoch = 1, .min_isr = 1};
    view.replica_count = replica_count;
    for (int i = 0; i < replica_count; i++) {
        view.replicas[i].node = SELF + i;
        view.replicas[i].incarnation = 5;
        view.replicas[i].in_isr = i < 2;
    }
    partition_view(&replica.state, &view, 0);
}

static void setup(void)
{
    cr_assert_eq(env_posix_new("watch", 1, &env), ST_OK);
    partitions = (struct partitions){.options = {.env = env, .node_id = SELF}};
    watch_init(&partitions);
    partitions.isr = isr_new(&partitions);
    partitions.out = streams_out_new(&partitions);
    replica = (struct replica){.partitions = &partitions, .topic = "t", .log = (struct log *)&replica};
    partition_init(&replica.state, SELF, 0, 0, 0);
}

static void teardown(void)
{
    watch_drop(&replica);
    cr_expect_eq(partitions.watched.count, 0);
    cr_expect_null(partitions.watched.first);
    cr_expect_null(partitions.watched.last);
    partition_fini(&replica.state);
    isr_destroy(&partitions.isr);
    streams_out_destroy(&partitions.out);
    watch_fini(&partitions);
    env_posix_destroy(&env);
}

TestSuite(watch, .init = setup, .fini = teardown, .timeout = 30);

Test(watch, leader_without_followers_costs_nothing)
{
    lead(1);
    watch_add(&replica);
    cr_assert_eq(partitions.watched.count, 0);
}

Test(watch, replica_without_a_log_is_looked_at_until_it_has_one)
{
    replica.log = NULL;
    watch_add(&replica);
    watch_tick(&partitions, LAG_US * 9, LAG_US);
    cr_assert_eq(partitions.watched.count, 1);
    replica.log = (struct log *)&replica;
    watch_tick(&partitions, LAG_US * 9, LAG_US);
    cr_assert_eq(partitions.watched.count, 0);
}

Test(watch, member_that_is_not_heard_of_is_proposed_for_removal)
{
    lead(2);
    partition_acknowledged(&replica.state, 2, 5, 1, 0, 0);
    watch_add(&replica);
    watch_add(&replica);
    cr_assert_eq(partitions.watched.count, 1);
    watch_tick(&partitions, LAG_US, LAG_US);
    cr_assert_not(replica.state.proposal_open);
    cr_assert_eq(partitions.watched.count, 1); // it may have everything, but no stream says so
    watch_tick(&partitions, LAG_US + 1, LAG_US);
    cr_assert(replica.state.proposal_open);
    cr_assert_eq(partitions.watched.count, 1);
    isr_forget(partitions.isr, &replica);
}

Test(watch, replica_that_goes_away_is_not_added_again)
{
    lead(2);
    replica.closing = true;
    watch_add(&replica);
    cr_assert_eq(partitions.watched.count, 0);
}
