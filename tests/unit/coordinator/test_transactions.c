// SPDX-License-Identifier: Apache-2.0
// Transactions over the ledgers: what is told when, what a new owner makes of every state, and offsets that
// wait for a transaction's end. The storage node of the desk takes markers; group shards are the
// coordinator's own.
#include "asks.h"

#include "kafka/messages/add_offsets_to_txn.h"
#include "kafka/messages/add_partitions_to_txn.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_transactions.h"
#include "kafka/messages/end_txn.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/list_transactions.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/txn_offset_commit.h"
#include "protos/coordinator.pb-c.h"

#include <criterion/criterion.h>

static const char *current = "x"; // of the producer that the requests are of
static const char *group = "g";   // its offsets are of
static int64_t producer_id;
static int16_t epoch;

TestSuite(transactions, .init = asks_setup, .fini = asks_teardown, .timeout = 60);

static int16_t init_for(int32_t timeout_ms)
{
    struct kafka_init_producer_id_request request;
    kafka_defaults(&kafka_init_producer_id_request_message, &request);
    request.transactional_id = text(current);
    request.transaction_timeout_ms = timeout_ms;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_INIT_PRODUCER_ID, 4, &request);
    const struct kafka_init_producer_id_response *answer = desk_await(&call);
    int16_t error = answer->error_code;
    if (error == KAFKA_ERR_NONE) {
        producer_id = answer->producer_id;
        epoch = answer->producer_epoch;
    }
    desk_done(&call);
    return error;
}

static void init(void)
{
    cr_assert_eq(init_for(60000), KAFKA_ERR_NONE);
}

static int16_t add_to(const char *topic, int32_t first, int32_t second, int16_t *other)
{
    int32_t partitions[] = {first, second};
    struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic one = {
        .name = text(topic), .partitions = partitions, .partitions_count = 2};
    struct kafka_add_partitions_to_txn_request request;
    kafka_defaults(&kafka_add_partitions_to_txn_request_message, &request);
    request.v3_and_below_transactional_id = text(current);
    request.v3_and_below_producer_id = producer_id;
    request.v3_and_below_producer_epoch = epoch;
    request.v3_and_below_topics = &one;
    request.v3_and_below_topics_count = 1;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_ADD_PARTITIONS_TO_TXN, 3, &request);
    const struct kafka_add_partitions_to_txn_response *answer = desk_await(&call);
    const struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_topic_result *topics =
        answer->results_by_topic_v3_and_below;
    int16_t error = topics[0].results_by_partition[0].partition_error_code;
    *other = topics[0].results_by_partition[1].partition_error_code;
    desk_done(&call);
    return error;
}

static void add(void)
{
    int16_t other;
    cr_assert_eq(add_to("t", 0, 1, &other), KAFKA_ERR_NONE);
    cr_assert_eq(other, KAFKA_ERR_NONE);
}

static void send_end(struct desk_call *call, int16_t version, bool commit)
{
    struct kafka_end_txn_request request = {.transactional_id = text(current),
                                            .producer_id = producer_id,
                                            .producer_epoch = epoch,
                                            .committed = commit};
    desk_send(&d, call, KAFKA_API_END_TXN, version, &request);
}

static int16_t end(int16_t version, bool commit)
{
    struct desk_call call;
    send_end(&call, version, commit);
    const struct kafka_end_txn_response *answer = desk_await(&call);
    int16_t error = answer->error_code;
    if (error == KAFKA_ERR_NONE && version >= 5)
        epoch = answer->producer_epoch;
    desk_done(&call);
    return error;
}

static bool state_is(const char *state)
{
    struct slice asked = text(current);
    struct kafka_describe_transactions_request request = {.transactional_ids = &asked,
                                                          .transactional_ids_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_DESCRIBE_TRANSACTIONS, 0, &request);
    const struct kafka_describe_transactions_response *answer = desk_await(&call);
    bool is = slice_is(answer->transaction_states[0].transaction_state, state);
    desk_done(&call);
    return is;
}

static void await_state(const char *state)
{
    for (int64_t end_us = env_now_us(d.env) + 5000000; !state_is(state);) {
        cr_assert_lt(env_now_us(d.env), end_us, "it does not become %s", state);
        desk_turns(&d, 2);
    }
}

static void await_markers(int count)
{
    for (int64_t end_us = env_now_us(d.env) + 5000000; d.markers < count;) {
        cr_assert_lt(env_now_us(d.env), end_us, "no marker comes");
        desk_turns(&d, 1);
    }
}

// ---- a transaction's way ----

Test(transactions, markers_follow_the_decision_and_complete_follows_them)
{
    init();
    cr_expect_eq(epoch, 0);
    add();
    cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(d.markers, 1, "one call for both partitions");
    cr_expect_eq(d.marker.partitions, 2);
    cr_expect_eq(d.marker.producer_id, producer_id);
    cr_expect_eq(d.marker.epoch, 0);
    cr_expect_eq(d.marker.owner_epoch, d.owner_epoch);
    cr_expect(d.marker.commit);
    init();
    cr_expect_eq(epoch, 1);
}

Test(transactions, nothing_is_told_before_the_decision_is_committed)
{
    init();
    add();
    d.appends_held = true;
    struct desk_call call;
    send_end(&call, 1, true);
    desk_turns(&d, 200);
    cr_expect_eq(call.status, ST_AGAIN, "nor is the producer");
    cr_expect_eq(d.markers, 0);
    desk_take_over(&d);
    cr_assert_neq(desk_outcome(&call), ST_OK);
    desk_done(&call);
}

Test(transactions, markers_are_sent_until_they_are_taken)
{
    init();
    add();
    d.markers_refused = true;
    cr_assert_eq(end(1, false), KAFKA_ERR_NONE);
    await_markers(3);
    cr_expect(state_is("PrepareAbort"));
    cr_expect_eq(end(1, false), KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_eq(init_for(60000), KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    d.markers_refused = false;
    await_state("CompleteAbort");
    cr_expect_not(d.marker.commit);
}

Test(transactions, only_the_partition_that_is_late_is_told_again)
{
    init();
    add();
    d.late_partition = 1;
    cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
    await_markers(1);
    cr_expect_eq(d.marker.partitions, 2);
    await_markers(3);
    cr_expect_eq(d.marker.partitions, 1);
    cr_expect(state_is("PrepareCommit"));
    d.late_partition = -1;
    await_state("CompleteCommit");
}

Test(transactions, partitions_of_deleted_topics_are_given_up)
{
    init();
    add();
    d.markers_refused = true;
    cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
    await_markers(1);
    desk_topic_gone(&d, 1);
    await_state("CompleteCommit");
}

Test(transactions, with_one_partition_unknown_nothing_is_added)
{
    int16_t other;
    init();
    cr_expect_eq(add_to("t", 0, 2, &other), KAFKA_ERR_OPERATION_NOT_ATTEMPTED);
    cr_expect_eq(other, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    cr_expect_eq(add_to("__consumer_offsets", 0, 1, &other), KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED);
    cr_expect(state_is("Empty"));
}

Test(transactions, time_outs_are_bounded_and_end_a_transaction)
{
    cr_expect_eq(init_for(0), KAFKA_ERR_INVALID_TRANSACTION_TIMEOUT);
    cr_expect_eq(init_for(900001), KAFKA_ERR_INVALID_TRANSACTION_TIMEOUT);
    cr_assert_eq(init_for(150), KAFKA_ERR_NONE);
    add();
    await_state("CompleteAbort");
    cr_expect_eq(d.marker.epoch, 1, "nothing the producer still sends counts");
    cr_expect_eq(end(1, true), KAFKA_ERR_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(end(2, true), KAFKA_ERR_PRODUCER_FENCED);
}

static int16_t list(const char *pattern, int *count)
{
    struct kafka_list_transactions_request request;
    kafka_defaults(&kafka_list_transactions_request_message, &request);
    request.transactional_id_pattern = pattern == NULL ? (struct slice){0} : text(pattern);
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_LIST_TRANSACTIONS, 2, &request);
    const struct kafka_list_transactions_response *answer = desk_await(&call);
    int16_t error = answer->error_code;
    *count = answer->transaction_states_count;
    desk_done(&call);
    return error;
}

Test(transactions, ids_are_listed_by_a_regular_expression_of_the_whole_id)
{
    int count;
    init();
    const char *const matching[] = {NULL, "", "x", "[w-y]", ".*", "x?"}, *const others[] = {"y", "xx", "^$"};
    for (size_t i = 0; i < sizeof matching / sizeof *matching; i++) {
        cr_expect_eq(list(matching[i], &count), KAFKA_ERR_NONE);
        cr_expect_eq(count, 1, "%s", matching[i] ? matching[i] : "none");
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cr_expect_eq(list(others[i], &count), KAFKA_ERR_NONE);
        cr_expect_eq(count, 0, "%s", others[i]);
    }
    cr_expect_eq(list("(", &count), KAFKA_ERR_INVALID_REGULAR_EXPRESSION);
    cr_expect_eq(count, 0);
}

// ---- a new owner ----

Test(transactions, a_new_owner_goes_on_with_an_open_transaction)
{
    init();
    add();
    desk_take_over(&d);
    cr_expect(state_is("Ongoing"));
    cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(d.marker.owner_epoch, d.owner_epoch);
    cr_expect_eq(d.marker.partitions, 2);
}

Test(transactions, a_new_owner_sends_the_markers_of_what_was_prepared)
{
    init();
    add();
    d.markers_refused = true;
    cr_assert_eq(end(5, true), KAFKA_ERR_NONE);
    await_markers(1);
    desk_take_over(&d);
    d.markers_refused = false;
    await_state("CompleteCommit");
    cr_expect_eq(d.marker.owner_epoch, d.owner_epoch);
    cr_expect_eq(d.marker.epoch, 1);
    cr_expect(d.marker.commit);
    int16_t told = epoch;
    epoch = 0; // the answer was lost
    cr_assert_eq(end(5, true), KAFKA_ERR_NONE);
    cr_expect_eq(epoch, told);
}

// Six transactional ids of one shard, their transactions ended without a marker written, at a new owner.
static void six_prepared(const char *const ids[6], int64_t producers[6])
{
    d.markers_refused = true;
    for (int i = 0; i < 6; i++) {
        current = ids[i];
        init();
        add();
        cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
        producers[i] = producer_id;
    }
    await_markers(6);
    d.markers_most = 0;
    desk_take_over(&d);
}

static const char *const of_one_shard[6] = {"d", "h", "l", "p", "t", "x"}; // hash codes a multiple of 4 apart

Test(transactions, what_becomes_due_together_is_told_in_one_call)
{
    int64_t producers[6];
    six_prepared(of_one_shard, producers);
    d.markers_refused = false;
    for (int i = 0; i < 6; i++) {
        current = of_one_shard[i];
        await_state("CompleteCommit");
    }
    cr_expect_eq(d.markers_most, 6, "not %d", d.markers_most);
}

Test(transactions, one_that_is_refused_holds_up_none_of_the_others_in_its_call)
{
    int64_t producers[6];
    six_prepared(of_one_shard, producers);
    d.refused_producer = producers[2];
    d.markers_refused = false;
    for (int i = 0; i < 6; i++) {
        current = of_one_shard[i];
        await_state(i == 2 ? "PrepareCommit" : "CompleteCommit");
    }
    current = of_one_shard[2];
    d.refused_producer = -1;
    await_state("CompleteCommit");
}

Test(transactions, what_is_told_again_goes_by_itself)
{
    int64_t producers[6];
    six_prepared(of_one_shard, producers);
    await_markers(d.markers + 1);
    d.markers_most = 0;
    await_markers(d.markers + 12);
    cr_expect_eq(d.markers_most, 1, "not %d", d.markers_most);
}

Test(transactions, a_decision_that_was_not_committed_is_none)
{
    init();
    add();
    d.appends_held = true;
    struct desk_call call;
    send_end(&call, 1, true);
    desk_turns(&d, 50);
    desk_take_over(&d);
    cr_assert_neq(desk_outcome(&call), ST_OK);
    desk_done(&call);
    d.appends_held = false;
    cr_expect(state_is("Ongoing"));
    cr_assert_eq(end(1, false), KAFKA_ERR_NONE);
    await_state("CompleteAbort");
    cr_expect_not(d.marker.commit);
}

Test(transactions, a_new_owner_times_transactions_out)
{
    cr_assert_eq(init_for(300), KAFKA_ERR_NONE);
    add();
    desk_take_over(&d);
    await_state("CompleteAbort");
    desk_take_over(&d);
    cr_expect(state_is("CompleteAbort"));
    cr_assert_eq(init_for(300), KAFKA_ERR_NONE);
    cr_expect_eq(epoch, 2);
}

// ---- what logs ask ----

struct asked {
    int done;
    enum status status;
    int32_t error;
};

static void on_asked(const Millrace__AddToTransactionReply *reply, void *context)
{
    struct asked *asked = context;
    asked->done++;
    asked->status = reply != NULL ? ST_OK : rpc_result(d.rpcs[2])->status;
    asked->error = reply != NULL ? reply->error : -1;
}

static void ask_for(struct asked *asked, int32_t partition, bool adding)
{
    *asked = (struct asked){0};
    Millrace__AddToTransactionRequest request = MILLRACE__ADD_TO_TRANSACTION_REQUEST__INIT;
    request.transactional_id = (ProtobufCBinaryData){1, (uint8_t *)"x"};
    request.producer_id = producer_id;
    request.producer_epoch = epoch;
    request.topic = "t";
    request.partition = partition;
    request.add = adding;
    struct rpc_options options = {.deadline_ms = 20000};
    millrace__coordinator__add_to_transaction(rpc_on(d.peer, &millrace__coordinator__descriptor, &options),
                                              &request, on_asked, asked);
}

static void ask(struct asked *asked, bool adding)
{
    ask_for(asked, 1, adding);
}

static void await_answer(const struct asked *asked)
{
    for (int64_t end_us = env_now_us(d.env) + 5000000; asked->done == 0;) {
        cr_assert_lt(env_now_us(d.env), end_us, "no answer");
        env_posix_turn(d.env, 500);
    }
}

static int32_t ask_now(bool adding)
{
    struct asked asked;
    ask(&asked, adding);
    await_answer(&asked);
    cr_assert_eq(asked.status, ST_OK);
    return asked.error;
}

Test(transactions, a_log_hears_whether_a_transaction_is_open)
{
    init();
    cr_expect_eq(ask_now(false), KAFKA_ERR_TRANSACTION_ABORTABLE);
    add();
    cr_expect_eq(ask_now(false), KAFKA_ERR_NONE);
    epoch++;
    cr_expect_eq(ask_now(false), KAFKA_ERR_PRODUCER_FENCED);
    epoch--;
    cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(ask_now(false), KAFKA_ERR_TRANSACTION_ABORTABLE);
}

Test(transactions, what_a_log_adds_waits_for_the_former_transactions_end)
{
    init();
    cr_expect_eq(ask_now(true), KAFKA_ERR_NONE);
    cr_expect(state_is("Ongoing"));
    d.markers_refused = true;
    cr_assert_eq(end(5, true), KAFKA_ERR_NONE);
    struct asked asked;
    ask(&asked, true);
    desk_turns(&d, 100);
    cr_expect_eq(asked.done, 0);
    d.markers_refused = false;
    await_state("Ongoing");
    desk_turns(&d, 50);
    cr_expect_eq(asked.done, 1);
    cr_expect_eq(asked.error, KAFKA_ERR_NONE);
}

// An owner whose image is behind would give its marker up as that of a deleted topic.
Test(transactions, what_the_image_does_not_name_is_not_added)
{
    struct asked asked;
    init();
    ask_for(&asked, 2, true);
    await_answer(&asked);
    cr_expect_eq(asked.status, ST_AGAIN);
    cr_expect(state_is("Empty"));
}

// ---- offsets ----

static int16_t commit_offset(int16_t version, int64_t offset)
{
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_partition partition;
    kafka_structure_defaults(&kafka_txn_offset_commit_request_txn_offset_commit_request_partition_type,
                             &partition);
    partition.committed_offset = offset;
    partition.committed_metadata = text("");
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_topic topic = {
        .name = text("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_txn_offset_commit_request request;
    kafka_defaults(&kafka_txn_offset_commit_request_message, &request);
    request.transactional_id = text(current);
    request.group_id = text(group);
    request.producer_id = producer_id;
    request.producer_epoch = epoch;
    request.topics = &topic;
    request.topics_count = 1;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_TXN_OFFSET_COMMIT, version, &request);
    const struct kafka_txn_offset_commit_response *answer = desk_await(&call);
    int16_t error = answer->topics[0].partitions[0].error_code;
    desk_done(&call);
    return error;
}

static int16_t stable_error(void)
{
    int32_t partition = 0;
    struct kafka_offset_fetch_request_offset_fetch_request_topic topic = {
        .name = text("t"), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct kafka_offset_fetch_request request;
    kafka_defaults(&kafka_offset_fetch_request_message, &request);
    request.group_id = text("g");
    request.topics = &topic;
    request.topics_count = 1;
    request.require_stable = true;
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_FETCH, 7, &request);
    int16_t error =
        ((const struct kafka_offset_fetch_response *)desk_await(&call))->topics[0].partitions[0].error_code;
    desk_done(&call);
    return error;
}

static void add_offsets(void)
{
    struct kafka_add_offsets_to_txn_request request = {.transactional_id = text(current),
                                                       .producer_id = producer_id,
                                                       .producer_epoch = epoch,
                                                       .group_id = text("g")};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_ADD_OFFSETS_TO_TXN, 1, &request);
    cr_assert_eq(((const struct kafka_add_offsets_to_txn_response *)desk_await(&call))->error_code,
                 KAFKA_ERR_NONE);
    desk_done(&call);
}

Test(transactions, offsets_wait_for_the_marker_also_at_a_new_owner)
{
    init();
    cr_expect_eq(commit_offset(3, 5), KAFKA_ERR_INVALID_TXN_STATE, "the group was not added");
    add_offsets();
    cr_assert_eq(commit_offset(3, 5), KAFKA_ERR_NONE);
    cr_expect_eq(committed("g"), -1);
    cr_expect_eq(stable_error(), KAFKA_ERR_UNSTABLE_OFFSET_COMMIT);
    desk_take_over(&d);
    cr_expect_eq(committed("g"), -1);
    cr_expect_eq(stable_error(), KAFKA_ERR_UNSTABLE_OFFSET_COMMIT);
    cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(committed("g"), 5);
    cr_expect_eq(stable_error(), KAFKA_ERR_NONE);
    desk_take_over(&d);
    cr_expect_eq(committed("g"), 5);
    cr_expect_eq(d.markers, 0, "group shards are told by their owner");
}

Test(transactions, a_plain_commit_that_came_later_stays)
{
    init();
    cr_assert_eq(commit_offset(5, 5), KAFKA_ERR_NONE);
    simple_commit("g", 7);
    cr_assert_eq(end(5, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(committed("g"), 7);
    desk_take_over(&d);
    cr_expect_eq(committed("g"), 7, "the log says the same");
}

Test(transactions, aborted_offsets_never_count)
{
    init();
    simple_commit("g", 3);
    cr_assert_eq(commit_offset(5, 5), KAFKA_ERR_NONE);
    cr_assert_eq(end(5, false), KAFKA_ERR_NONE);
    await_state("CompleteAbort");
    cr_expect_eq(committed("g"), 3);
    epoch--; // a zombie
    cr_expect_eq(commit_offset(5, 9), KAFKA_ERR_INVALID_PRODUCER_EPOCH);
    cr_expect_eq(stable_error(), KAFKA_ERR_NONE);
}

static void delete_group(void)
{
    struct slice id = text("g");
    struct kafka_delete_groups_request request = {.groups_names = &id, .groups_names_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_DELETE_GROUPS, 2, &request);
    cr_assert_eq(((const struct kafka_delete_groups_response *)desk_await(&call))->results[0].error_code, 0);
    desk_done(&call);
}

static void delete_offset(void)
{
    struct kafka_offset_delete_request_offset_delete_request_partition partition = {.partition_index = 0};
    struct kafka_offset_delete_request_offset_delete_request_topic topic = {
        .name = text("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_offset_delete_request request = {.group_id = text("g"), .topics = &topic, .topics_count = 1};
    struct desk_call call;
    desk_send(&d, &call, KAFKA_API_OFFSET_DELETE, 0, &request);
    cr_assert_eq(((const struct kafka_offset_delete_response *)desk_await(&call))->error_code, 0);
    desk_done(&call);
}

// Live and read from the log: what was removed meanwhile is not brought back by the marker.
Test(transactions, removed_offsets_that_waited_do_not_come_back)
{
    void (*const removals[])(void) = {delete_group, delete_offset};
    for (int i = 0; i < 4; i++) {
        init();
        cr_assert_eq(commit_offset(5, 5), KAFKA_ERR_NONE);
        removals[i / 2]();
        cr_expect_eq(stable_error(), KAFKA_ERR_NONE);
        if (i % 2 == 1)
            desk_take_over(&d);
        cr_assert_eq(end(5, true), KAFKA_ERR_NONE);
        await_state("CompleteCommit");
        cr_expect_eq(committed("g"), -1);
        desk_take_over(&d);
        cr_expect_eq(committed("g"), -1);
    }
}

Test(transactions, an_offset_does_not_expire_while_another_waits_in_its_place)
{
    struct commit old = {.group = "g", .topic = "t", .generation = -1, .offset = 3, .retention_ms = 5000};
    int16_t error;
    init();
    cr_assert_eq(commit(4, old), KAFKA_ERR_NONE);
    old.partition = 1;
    cr_assert_eq(commit(4, old), KAFKA_ERR_NONE);
    cr_assert_eq(commit_offset(5, 5), KAFKA_ERR_NONE);
    desk_set_clock(10000);
    for (int i = 0; i < 100 && fetch(7, "g", "t", 1, &error) == 3; i++)
        desk_turns(&d, 50);
    cr_assert_eq(fetch(7, "g", "t", 1, &error), -1, "nothing waits there");
    cr_expect_eq(committed("g"), 3);
    cr_assert_eq(end(5, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(committed("g"), 5);
    desk_take_over(&d);
    cr_expect_eq(committed("g"), 5);
}

// What the coordinator answers to a call of some commit markers.
struct marked {
    int done;
    size_t count;
    int32_t status[2];
};

static void on_all_marked(const Millrace__WriteMarkersReply *reply, void *context)
{
    struct marked *marked = context;
    marked->done++;
    marked->count = reply != NULL ? reply->n_status : 0;
    for (size_t i = 0; i < marked->count && i < 2; i++)
        marked->status[i] = reply->status[i];
}

// The markers of the first count producers, each for its own group shard, in one call.
static void mark(struct marked *marked, const int64_t producers[2], int32_t shards[2], size_t count)
{
    Millrace__MarkerTopic topics[2], *topic[2];
    Millrace__Marker markers[2], *marker[2];
    *marked = (struct marked){0};
    for (size_t i = 0; i < count; i++) {
        millrace__marker_topic__init(topic[i] = &topics[i]);
        topics[i].name = "__consumer_offsets";
        topics[i].partitions = &shards[i];
        topics[i].n_partitions = 1;
        millrace__marker__init(marker[i] = &markers[i]);
        markers[i].producer_id = producers[i];
        markers[i].producer_epoch = epoch;
        markers[i].commit = true;
        markers[i].owner_epoch = d.owner_epoch;
        markers[i].started_ms = -1;
        markers[i].topics = &topic[i];
        markers[i].n_topics = 1;
    }
    Millrace__WriteMarkersRequest request = MILLRACE__WRITE_MARKERS_REQUEST__INIT;
    request.markers = marker;
    request.n_markers = count;
    struct rpc_options options = {.deadline_ms = 10000};
    millrace__coordinator__write_markers(rpc_on(d.peer, &millrace__coordinator__descriptor, &options),
                                         &request, on_all_marked, marked);
}

static void await_marked(const struct marked *marked)
{
    for (int64_t end_us = env_now_us(d.env) + 5000000; marked->done == 0;) {
        cr_assert_lt(env_now_us(d.env), end_us, "the markers are not answered");
        env_posix_turn(d.env, 500);
    }
}

Test(transactions, a_group_shard_that_does_not_get_on_holds_up_no_other_transaction)
{
    static const char *const ids[2] = {"x", "y"}, *const groups[2] = {"g", "f"};
    int32_t shards[2] = {3, 2}; // of the groups
    int64_t producers[2];
    for (int i = 0; i < 2; i++) {
        current = ids[i];
        group = groups[i];
        init();
        cr_assert_eq(commit_offset(5, 5), KAFKA_ERR_NONE);
        producers[i] = producer_id;
    }
    d.held_shard = shards[0];
    struct marked marked;
    mark(&marked, producers, shards, 2);
    await_marked(&marked);
    cr_assert_eq(marked.count, 2);
    cr_expect_eq(marked.status[0], ST_AGAIN);
    cr_expect_eq(marked.status[1], ST_OK);
    cr_expect_eq(committed("f"), 5);
    mark(&marked, producers, shards, 1); // told again by itself it is waited for
    desk_turns(&d, 600);
    cr_expect_eq(marked.done, 0);
    d.held_shard = -1;
    while (marked.done == 0)
        env_posix_turn(d.env, 500);
    cr_expect_eq(marked.status[0], ST_OK);
    cr_expect_eq(committed("g"), 5);
}

static void on_marked(const Millrace__WriteMarkersReply *reply, void *context)
{
    struct asked *asked = context;
    asked->done++;
    asked->status = reply != NULL ? (enum status)reply->status[0] : ST_UNREACHABLE;
}

// What every group shard answers to a commit marker of the producer.
static void mark_all(int32_t owner_epoch, int64_t started_ms, bool raised, enum status expected)
{
    for (int32_t shard = 0; shard < DESK_SHARDS; shard++) {
        struct asked asked = {0};
        Millrace__MarkerTopic topic = MILLRACE__MARKER_TOPIC__INIT, *topics = &topic;
        topic.name = "__consumer_offsets";
        topic.partitions = &shard;
        topic.n_partitions = 1;
        Millrace__Marker marker = MILLRACE__MARKER__INIT, *markers = &marker;
        marker.producer_id = producer_id;
        marker.producer_epoch = epoch;
        marker.commit = true;
        marker.owner_epoch = owner_epoch;
        marker.started_ms = started_ms;
        marker.has_raised = true;
        marker.raised = raised;
        marker.topics = &topics;
        marker.n_topics = 1;
        Millrace__WriteMarkersRequest request = MILLRACE__WRITE_MARKERS_REQUEST__INIT;
        request.markers = &markers;
        request.n_markers = 1;
        millrace__coordinator__write_markers(rpc_on(d.peer, &millrace__coordinator__descriptor, NULL),
                                             &request, on_marked, &asked);
        while (asked.done == 0)
            env_posix_turn(d.env, 500);
        cr_expect_eq(asked.status, expected);
    }
}

Test(transactions, a_former_owners_marker_ends_nothing)
{
    init();
    cr_assert_eq(commit_offset(5, 5), KAFKA_ERR_NONE);
    mark_all(d.owner_epoch - 1, -1, false, ST_STALE);
    cr_expect_eq(committed("g"), -1);
    cr_expect_eq(stable_error(), KAFKA_ERR_UNSTABLE_OFFSET_COMMIT);
}

// In the old flow both transactions have one epoch: only when they began tells them apart.
Test(transactions, a_delayed_marker_of_an_earlier_transaction_ends_nothing)
{
    init();
    add_offsets();
    cr_assert_eq(commit_offset(3, 5), KAFKA_ERR_NONE);
    mark_all(d.owner_epoch, 1, false, ST_OK);
    cr_expect_eq(committed("g"), -1);
    cr_expect_eq(stable_error(), KAFKA_ERR_UNSTABLE_OFFSET_COMMIT);
    cr_assert_eq(end(1, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(committed("g"), 5);
}

// In the new flow the epoch does, also for an owner that has not let the transaction in itself.
Test(transactions, a_delayed_marker_of_the_new_flow_ends_nothing_at_a_new_owner)
{
    init();
    cr_assert_eq(commit_offset(5, 5), KAFKA_ERR_NONE);
    desk_take_over(&d);
    mark_all(d.owner_epoch, 1, true, ST_OK);
    cr_expect_eq(committed("g"), -1);
    cr_expect_eq(stable_error(), KAFKA_ERR_UNSTABLE_OFFSET_COMMIT);
    cr_assert_eq(end(5, true), KAFKA_ERR_NONE);
    await_state("CompleteCommit");
    cr_expect_eq(committed("g"), 5);
}
