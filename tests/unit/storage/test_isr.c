// SPDX-License-Identifier: Apache-2.0
// What becomes of a proposal to change the ISR when its answer is lost, late, or not what was hoped for: as
// long as it may have been carried out, its members count.
#include "node.h"

#include "isr.h"
#include "partitions_state.h"
#include "replica.h"

#include <criterion/criterion.h>

enum { LEADER_EPOCH = 5, EPOCH = 7 };

static struct node node;
static struct partitions partitions;
static struct replica replica;

// How the scripted controller takes the n-th proposal.
struct script {
    enum status call;   // not ST_OK: the whole call fails with it
    enum status result; // of the partition
    int32_t epoch;      // told with it
};
static const struct script *script;
static int calls;

static void on_alter_isr(Millrace__Controller_Service *service, const Millrace__AlterIsrRequest *request,
                         Millrace__AlterIsrReply_Closure closure, void *call)
{
    const struct script *now = &script[calls++];
    if (now->call != ST_OK) {
        rpc_fail(call, now->call, "");
        return;
    }
    Millrace__AlterIsrReply reply = MILLRACE__ALTER_ISR_REPLY__INIT;
    Millrace__AlterIsrResult result = MILLRACE__ALTER_ISR_RESULT__INIT, *results[] = {&result};
    result.status = (int32_t)now->result;
    result.has_partition_epoch = true;
    result.partition_epoch = now->epoch;
    reply.n_partitions = 1;
    reply.partitions = results;
    cr_expect_eq(request->n_partitions, 1);
    cr_expect_eq(request->partitions[0]->partition_epoch, EPOCH);
    cr_expect_eq(request->partitions[0]->n_isr, 2);
    closure(&reply, call);
}

// This node leads, alone in the ISR; node 2 has everything and is proposed.
static void setup(void)
{
    node_start(&node);
    node.controller.service.controller.alter_isr = on_alter_isr;
    partitions = (struct partitions){.options = {.env = node.env,
                                                 .controllers = storage_controllers(node_storage()),
                                                 .node_id = SELF,
                                                 .incarnation = 5}};
    map_init(&partitions.replicas, 0);
    partitions.isr = isr_new(&partitions);
    replica = (struct replica){.partitions = &partitions, .topic = "t", .topic_id = {{1}}};
    struct partition_view view = {
        .leader = SELF,
        .leader_epoch = LEADER_EPOCH,
        .partition_epoch = EPOCH,
        .min_isr = 1,
        .replica_count = 2,
        .replicas = {{.node = SELF, .incarnation = 5, .in_isr = true}, {.node = 2, .incarnation = 6}}};
    partition_init(&replica.state, SELF, 0, 0, 0);
    partition_view(&replica.state, &view, 0);
    uint8_t key[PARTITIONS_KEY_SIZE];
    map_put(&partitions.replicas, partitions_key(key, replica.topic_id, 0), &replica);
}

static void teardown(void)
{
    isr_destroy(&partitions.isr);
    partition_fini(&replica.state);
    map_fini(&partitions.replicas);
    node_stop(&node);
}

static void propose(const struct script *by)
{
    script = by;
    calls = 0;
    replica_act(&replica, partition_acknowledged(&replica.state, 2, 6, LEADER_EPOCH, 0, 1));
    cr_assert(replica.state.proposal_open);
}

static bool calls_reach(int count)
{
    for (int i = 0; i < 500 && calls < count; i++)
        node_turn(&node, 10);
    node_turn(&node, 20); // the answer to the last one
    return calls >= count;
}

TestSuite(isr, .init = setup, .fini = teardown, .timeout = 60);

Test(isr, failed_call_may_follow_one_that_was_carried_out_and_leaves_the_proposal_open)
{
    static const struct script by[] = {
        {.call = ST_STALE}, {.call = ST_NO_SPACE}, {.result = ST_STALE, .epoch = EPOCH + 1}};
    propose(by);
    cr_assert(calls_reach(3));
    cr_expect(replica.state.proposal_open);
    cr_expect_eq(calls, 3); // the image decides, not another try
}

Test(isr, refusal_in_the_epoch_of_the_proposal_closes_it)
{
    static const struct script by[] = {{.result = ST_STALE, .epoch = EPOCH}};
    propose(by);
    cr_assert(calls_reach(1));
    cr_expect_not(replica.state.proposal_open);
    cr_expect_gt(replica.isr_retry_us, 0);
}
