// SPDX-License-Identifier: Apache-2.0
// The state machine of a transactional id and its records: one test per rule of the two flows.
#include "txn.h"
#include "txn_record.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { NOW = 1000000, TIMEOUT = 60000 };

static const struct txn_producer nobody = {-1, -1};

static struct txn_head head;

static struct txn_step init(struct txn_producer expected, int64_t fresh_id)
{
    struct txn_init ask = {.timeout_ms = TIMEOUT, .expected = expected};
    return txn_init(&head, &ask, fresh_id, NOW);
}

// The step is written.
static struct txn_step take(struct txn_step step)
{
    cr_assert(step.write);
    head = step.next;
    return step;
}

static void known(void)
{
    struct txn_init ask = {.timeout_ms = TIMEOUT, .expected = nobody};
    take(txn_init(NULL, &ask, 7, NOW));
}

static struct txn_producer me(void)
{
    return (struct txn_producer){head.producer_id, head.epoch};
}

static void ongoing(enum txn_flow flow)
{
    take(txn_add(&head, me(), flow, false, NOW));
}

static struct txn_step end(struct txn_producer who, bool commit, enum txn_flow flow)
{
    return txn_end(&head, who, commit, flow, 99, NOW);
}

static void ended(bool commit, enum txn_flow flow)
{
    take(end(me(), commit, flow));
    take(txn_complete(&head, NOW));
}

TestSuite(txn, .init = known);

Test(txn, a_new_id_gets_epoch_0_of_a_fresh_producer_id)
{
    struct txn_init ask = {.timeout_ms = TIMEOUT, .expected = nobody};
    cr_expect(txn_init(NULL, &ask, -1, NOW).wants_id);
    struct txn_step step = txn_init(NULL, &ask, 7, NOW);
    cr_expect_eq(step.told.id, 7);
    cr_expect_eq(step.told.epoch, 0);
    cr_expect_eq(step.next.state, TXN_EMPTY);
    cr_expect_eq(step.next.timeout_ms, TIMEOUT);
    cr_expect_eq(step.next.started_ms, -1);
}

Test(txn, a_successor_gets_the_next_epoch)
{
    struct txn_step step = take(init(nobody, -1));
    cr_expect_eq(step.told.id, 7);
    cr_expect_eq(step.told.epoch, 1);
    cr_expect_eq(step.next.last_epoch, -1);
}

Test(txn, a_producer_that_names_its_epoch_is_bumped_and_may_repeat_that)
{
    struct txn_producer was = me();
    cr_expect_eq(take(init(was, -1)).told.epoch, 1);
    cr_expect_eq(take(init(was, -1)).told.epoch, 1, "the same answer again");
    cr_expect_eq(init((struct txn_producer){7, -1}, -1).error, KAFKA_ERR_PRODUCER_FENCED);
    cr_expect_eq(init((struct txn_producer){8, 1}, -1).error, KAFKA_ERR_PRODUCER_FENCED);
    take(init(nobody, -1)); // a successor
    cr_expect_eq(init(was, -1).error, KAFKA_ERR_PRODUCER_FENCED);
}

Test(txn, spent_epochs_call_for_another_producer_id)
{
    head.epoch = TXN_EPOCH_SPENT;
    cr_expect(init(nobody, -1).wants_id);
    struct txn_step step = init(nobody, 8);
    cr_expect_eq(step.told.id, 8);
    cr_expect_eq(step.told.epoch, 0);
    struct txn_producer was = me();
    take(init(was, 8));
    cr_expect_eq(head.previous_id, 7);
    step = take(init(was, -1));
    cr_expect_eq(step.told.id, 8, "who did not hear of it is told again");
    cr_expect_eq(step.told.epoch, 0);
}

Test(txn, an_open_transaction_is_fenced_by_a_successor)
{
    struct txn_producer zombie = me();
    ongoing(TXN_FLOW_OLD);
    struct txn_step step = take(init(nobody, -1));
    cr_expect_eq(step.error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_eq(head.state, TXN_PREPARE_ABORT);
    cr_expect_eq(head.epoch, 1);
    cr_expect_eq(init(nobody, -1).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_not(init(nobody, -1).write);
    cr_expect_eq(end(zombie, true, TXN_FLOW_OLD).error, KAFKA_ERR_PRODUCER_FENCED);
    cr_expect_eq(txn_add(&head, zombie, TXN_FLOW_OLD, false, NOW).error, KAFKA_ERR_PRODUCER_FENCED);
    take(txn_complete(&head, NOW));
    cr_expect_eq(take(init(nobody, -1)).told.epoch, 2);
}

Test(txn, a_zombie_that_wants_its_epoch_raised_leaves_its_successors_transaction_open)
{
    struct txn_producer zombie = me();
    take(init(nobody, -1));
    ongoing(TXN_FLOW_NEW);
    cr_expect_eq(init(zombie, -1).error, KAFKA_ERR_PRODUCER_FENCED);
    cr_expect_not(init(zombie, -1).write);
    cr_expect_eq(take(init(me(), -1)).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS, "its own is aborted");
    cr_expect_eq(head.state, TXN_PREPARE_ABORT);
}

Test(txn, the_last_epoch_fences_and_then_another_id_follows)
{
    head.epoch = TXN_EPOCH_SPENT;
    ongoing(TXN_FLOW_OLD);
    take(txn_fence(&head, NOW));
    cr_expect_eq(head.epoch, INT16_MAX);
    take(txn_complete(&head, NOW));
    cr_expect_eq(take(init(nobody, 8)).told.id, 8);
}

Test(txn, partitions_open_a_transaction_and_more_keep_its_start)
{
    struct txn_step step = take(txn_add(&head, me(), TXN_FLOW_OLD, false, NOW));
    cr_expect_eq(step.set, TXN_SET_ADD);
    cr_expect_eq(head.state, TXN_ONGOING);
    cr_expect_eq(head.started_ms, NOW);
    take(txn_add(&head, me(), TXN_FLOW_OLD, false, NOW + 5));
    cr_expect_eq(head.started_ms, NOW);
    cr_expect_eq(head.updated_ms, NOW + 5);
    cr_expect_not(txn_add(&head, me(), TXN_FLOW_OLD, true, NOW).write, "all are known");
    cr_expect(init(nobody, -1).write);
}

Test(txn, two_transactions_never_start_at_the_same_time)
{
    ongoing(TXN_FLOW_OLD);
    ended(true, TXN_FLOW_OLD);
    ongoing(TXN_FLOW_OLD);
    cr_expect_eq(head.started_ms, NOW + 1);
}

Test(txn, others_add_nothing)
{
    struct txn_producer wrong = {8, 0};
    cr_expect_eq(txn_add(NULL, me(), TXN_FLOW_OLD, false, NOW).error, KAFKA_ERR_INVALID_PRODUCER_ID_MAPPING);
    cr_expect_eq(txn_add(&head, wrong, TXN_FLOW_OLD, false, NOW).error,
                 KAFKA_ERR_INVALID_PRODUCER_ID_MAPPING);
    wrong = (struct txn_producer){7, 1};
    cr_expect_eq(txn_add(&head, wrong, TXN_FLOW_OLD, false, NOW).error, KAFKA_ERR_PRODUCER_FENCED);
    ongoing(TXN_FLOW_OLD);
    take(end(me(), true, TXN_FLOW_OLD));
    cr_expect_eq(txn_add(&head, me(), TXN_FLOW_OLD, false, NOW).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
}

Test(txn, a_batch_is_let_in_only_into_its_own_open_transaction)
{
    cr_expect_eq(txn_verify(&head, me(), true), KAFKA_ERR_TRANSACTION_ABORTABLE, "nothing is open");
    ongoing(TXN_FLOW_OLD);
    cr_expect_eq(txn_verify(&head, me(), true), KAFKA_ERR_NONE);
    cr_expect_eq(txn_verify(&head, me(), false), KAFKA_ERR_TRANSACTION_ABORTABLE);
    cr_expect_eq(txn_verify(&head, (struct txn_producer){7, 1}, true), KAFKA_ERR_PRODUCER_FENCED);
    cr_expect_eq(txn_verify(&head, (struct txn_producer){6, 0}, true), KAFKA_ERR_INVALID_PRODUCER_ID_MAPPING);
    take(end(me(), true, TXN_FLOW_OLD));
    cr_expect_eq(txn_verify(&head, me(), true), KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    take(txn_complete(&head, NOW));
    cr_expect_eq(txn_verify(&head, me(), true), KAFKA_ERR_TRANSACTION_ABORTABLE);
}

Test(txn, the_old_flow_keeps_the_epoch_and_answers_a_repeated_end)
{
    struct txn_producer producer = me();
    ongoing(TXN_FLOW_OLD);
    struct txn_step step = take(end(producer, true, TXN_FLOW_OLD));
    cr_expect_eq(step.error, KAFKA_ERR_NONE);
    cr_expect_eq(head.state, TXN_PREPARE_COMMIT);
    cr_expect_eq(head.epoch, producer.epoch);
    cr_expect_eq(end(producer, true, TXN_FLOW_OLD).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_eq(end(producer, false, TXN_FLOW_OLD).error, KAFKA_ERR_INVALID_TXN_STATE);
    cr_expect_eq(take(txn_complete(&head, NOW)).set, TXN_SET_CLEAR);
    cr_expect_eq(head.state, TXN_COMPLETE_COMMIT);
    cr_expect_eq(end(producer, true, TXN_FLOW_OLD).error, KAFKA_ERR_NONE);
    cr_expect_not(end(producer, true, TXN_FLOW_OLD).write);
    cr_expect_eq(end(producer, false, TXN_FLOW_OLD).error, KAFKA_ERR_INVALID_TXN_STATE);
}

Test(txn, the_old_flow_ends_nothing_that_did_not_begin)
{
    cr_expect_eq(end(me(), true, TXN_FLOW_OLD).error, KAFKA_ERR_INVALID_TXN_STATE);
    cr_expect_eq(end(me(), false, TXN_FLOW_OLD).error, KAFKA_ERR_INVALID_TXN_STATE);
    cr_expect_eq(txn_end(NULL, me(), true, TXN_FLOW_OLD, 99, NOW).error,
                 KAFKA_ERR_INVALID_PRODUCER_ID_MAPPING);
}

Test(txn, the_new_flow_raises_the_epoch_at_every_end)
{
    struct txn_producer producer = me();
    ongoing(TXN_FLOW_NEW);
    struct txn_step step = take(end(producer, true, TXN_FLOW_NEW));
    cr_expect_eq(step.told.id, 7);
    cr_expect_eq(step.told.epoch, 1);
    cr_expect_eq(head.epoch, 1, "the markers carry it");
    cr_expect_eq(end(producer, true, TXN_FLOW_NEW).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    take(txn_complete(&head, NOW));
    step = end(producer, true, TXN_FLOW_NEW);
    cr_expect_eq(step.error, KAFKA_ERR_NONE);
    cr_expect_not(step.write);
    cr_expect_eq(step.told.epoch, 1, "a repeated request hears what the first did");
    cr_expect_eq(end(producer, false, TXN_FLOW_NEW).error, KAFKA_ERR_INVALID_TXN_STATE);
}

Test(txn, a_delayed_end_of_the_new_flow_never_meets_a_later_transaction)
{
    struct txn_producer producer = me();
    ongoing(TXN_FLOW_NEW);
    ended(true, TXN_FLOW_NEW);
    ongoing(TXN_FLOW_NEW);
    cr_expect_eq(end(producer, true, TXN_FLOW_NEW).error, KAFKA_ERR_PRODUCER_FENCED);
    cr_expect_eq(end(producer, false, TXN_FLOW_NEW).error, KAFKA_ERR_PRODUCER_FENCED);
}

Test(txn, the_new_flow_aborts_also_what_has_no_partitions)
{
    cr_expect_eq(end(me(), true, TXN_FLOW_NEW).error, KAFKA_ERR_INVALID_TXN_STATE);
    struct txn_step step = take(end(me(), false, TXN_FLOW_NEW));
    cr_expect_eq(head.state, TXN_PREPARE_ABORT);
    cr_expect_eq(step.told.epoch, 1);
    take(txn_complete(&head, NOW));
    step = take(end(me(), false, TXN_FLOW_NEW));
    cr_expect_eq(step.told.epoch, 2, "and again: that is a transaction of its own");
}

Test(txn, behind_the_last_epoch_the_new_flow_goes_on_with_another_id)
{
    head.epoch = TXN_EPOCH_SPENT;
    struct txn_producer producer = me();
    ongoing(TXN_FLOW_NEW);
    cr_expect(txn_end(&head, producer, true, TXN_FLOW_NEW, -1, NOW).wants_id);
    struct txn_step step = take(end(producer, true, TXN_FLOW_NEW));
    cr_expect_eq(step.told.id, 99);
    cr_expect_eq(step.told.epoch, 0);
    cr_expect_eq(head.producer_id, 7, "the markers end what the former id wrote");
    cr_expect_eq(head.epoch, INT16_MAX);
    take(txn_complete(&head, NOW));
    cr_expect_eq(head.producer_id, 99);
    cr_expect_eq(head.epoch, 0);
    cr_expect_eq(head.previous_id, 7);
    step = end(producer, true, TXN_FLOW_NEW);
    cr_expect_eq(step.error, KAFKA_ERR_NONE);
    cr_expect_eq(step.told.id, 99, "also for who repeats its request");
}

// The marker of the last epoch goes out under the old id while the producer writes with the new one already.
Test(txn, the_next_id_waits_for_the_end_of_what_the_former_one_wrote)
{
    head.epoch = TXN_EPOCH_SPENT;
    ongoing(TXN_FLOW_NEW);
    struct txn_producer next = take(end(me(), true, TXN_FLOW_NEW)).told;
    cr_expect_eq(txn_add(&head, next, TXN_FLOW_NEW, false, NOW).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_eq(txn_verify(&head, next, true), KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_eq(end(next, false, TXN_FLOW_NEW).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_eq(end(next, false, TXN_FLOW_OLD).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    cr_expect_eq(init(next, -1).error, KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    take(txn_complete(&head, NOW));
    cr_expect_eq(txn_add(&head, next, TXN_FLOW_NEW, false, NOW).error, KAFKA_ERR_NONE);
}

// The last epoch of an id is there to fence with: a producer that had it could not be fenced any more.
Test(txn, nobody_goes_on_with_the_epoch_that_fenced_a_spent_id)
{
    head.epoch = TXN_EPOCH_SPENT;
    struct txn_producer producer = me();
    ongoing(TXN_FLOW_NEW);
    take(txn_fence(&head, NOW));
    take(txn_complete(&head, NOW));
    cr_expect_eq(end(producer, true, TXN_FLOW_NEW).error, KAFKA_ERR_TRANSACTION_ABORTABLE);
    cr_expect(txn_end(&head, producer, false, TXN_FLOW_NEW, -1, NOW).wants_id);
    struct txn_step step = take(end(producer, false, TXN_FLOW_NEW));
    cr_expect_eq(step.error, KAFKA_ERR_NONE);
    cr_expect_eq(step.told.id, 99);
    cr_expect_eq(step.told.epoch, 0);
    cr_expect_eq(head.state, TXN_COMPLETE_ABORT);
    cr_expect_eq(end(producer, false, TXN_FLOW_NEW).told.id, 99, "the same answer again");
    cr_expect_eq(txn_add(&head, step.told, TXN_FLOW_NEW, false, NOW).error, KAFKA_ERR_NONE);
}

Test(txn, the_last_epoch_is_no_producers)
{
    head.epoch = INT16_MAX;
    head.state = TXN_COMPLETE_ABORT;
    cr_expect_eq(txn_add(&head, me(), TXN_FLOW_OLD, false, NOW).error, KAFKA_ERR_PRODUCER_FENCED);
    cr_expect_eq(end(me(), false, TXN_FLOW_NEW).error, KAFKA_ERR_PRODUCER_FENCED);
    cr_expect_eq(end(me(), false, TXN_FLOW_OLD).error, KAFKA_ERR_PRODUCER_FENCED);
}

// KAFKA-20785: a fatal error would take the producer away although nothing is wrong with it.
Test(txn, a_commit_that_comes_after_the_time_out_can_be_aborted)
{
    struct txn_producer producer = me();
    ongoing(TXN_FLOW_NEW);
    take(txn_fence(&head, NOW));
    cr_expect_eq(end(producer, true, TXN_FLOW_NEW).error, KAFKA_ERR_TRANSACTION_ABORTABLE);
    take(txn_complete(&head, NOW));
    cr_expect_eq(end(producer, true, TXN_FLOW_NEW).error, KAFKA_ERR_TRANSACTION_ABORTABLE);
    struct txn_step step = end(producer, false, TXN_FLOW_NEW);
    cr_expect_eq(step.error, KAFKA_ERR_NONE);
    cr_expect_eq(step.told.epoch, 1);
}

Test(txn, an_id_is_forgotten_only_at_rest)
{
    cr_expect_not(txn_idle(&head, 100, NOW + 99));
    cr_expect(txn_idle(&head, 100, NOW + 100));
    ongoing(TXN_FLOW_OLD);
    cr_expect_not(txn_idle(&head, 100, NOW + 100));
    take(end(me(), true, TXN_FLOW_OLD));
    cr_expect_not(txn_idle(&head, 100, NOW + 100));
}

// ---- records ----

static struct buf bytes;
static struct txn_partitions set;

static void records_setup(void)
{
    known();
    buf_init(&bytes, 1 << 20);
    txn_partitions_init(&set);
}

static void records_teardown(void)
{
    buf_fini(&bytes);
    txn_partitions_fini(&set);
}

TestSuite(txn_record, .init = records_setup, .fini = records_teardown);

static struct txn_head there_and_back(struct txn_partitions *back)
{
    struct txn_head out;
    cr_assert_eq(txn_record_value(&head, &set, &bytes), ST_OK);
    cr_assert_eq(txn_record_parse(buf_slice(&bytes), &out, back), ST_OK);
    return out;
}

Test(txn_record, a_transaction_comes_back_as_it_was_written)
{
    struct txn_partitions back;
    txn_partitions_init(&back);
    ongoing(TXN_FLOW_NEW);
    txn_partitions_add(&set, slice_str("a"), 3);
    txn_partitions_add(&set, slice_str("a"), 1);
    txn_partitions_add(&set, slice_str("a"), 3);
    txn_partitions_add(&set, slice_str("b"), 0);
    head.previous_id = 5;
    head.next_id = 6;
    head.last_epoch = 4;
    struct txn_head out = there_and_back(&back);
    cr_expect_eq(out.producer_id, 7);
    cr_expect_eq(out.previous_id, 5);
    cr_expect_eq(out.next_id, 6);
    cr_expect_eq(out.last_epoch, 4);
    cr_expect_eq(out.state, TXN_ONGOING);
    cr_expect_eq(out.flow, TXN_FLOW_NEW);
    cr_expect_eq(out.timeout_ms, TIMEOUT);
    cr_expect_eq(out.started_ms, NOW);
    cr_expect_eq(back.count, 3);
    cr_expect(txn_partitions_has(&back, slice_str("a"), 1));
    cr_expect(txn_partitions_has(&back, slice_str("a"), 3));
    cr_expect_not(txn_partitions_has(&back, slice_str("a"), 0));
    txn_partitions_remove(&back, slice_str("b"), 0);
    cr_expect_eq(back.count, 2);
    cr_expect_eq(back.topics.count, 1);
    txn_partitions_fini(&back);
}

static enum status written(struct buf *out)
{
    buf_clear(out);
    return txn_record_value(&head, &set, out);
}

// A topic whose name has that length joins the transaction; false: the record is too large then, it does not.
static bool grow(struct buf *out, int number, int len)
{
    char name[250];
    memset(name, 'x', sizeof name);
    snprintf(name + len - 8, 9, "%08d", number);
    txn_partitions_add(&set, slice_str(name), 0);
    if (out == NULL || written(out) == ST_OK)
        return true;
    txn_partitions_remove(&set, slice_str(name), 0);
    return false;
}

Test(txn_record, the_largest_transaction_can_end)
{
    enum { NAME = 249, FULL = 48700 };
    struct buf large;
    int topics = 0;
    buf_init(&large, 16 << 20);
    head.epoch = TXN_EPOCH_SPENT; // its end names the next id, too
    ongoing(TXN_FLOW_NEW);
    while (topics < FULL)
        grow(NULL, topics++, NAME);
    while (topics < TXN_RECORD_PARTITIONS_MAX && grow(&large, topics, NAME))
        topics++;
    cr_assert_lt(topics, TXN_RECORD_PARTITIONS_MAX);
    for (int len = NAME; len > 8 && !grow(&large, topics, len);)
        len--;
    take(end(me(), true, TXN_FLOW_NEW));
    cr_expect_eq(head.next_id, 99);
    cr_expect_eq(written(&large), ST_OK);
    buf_fini(&large);
}

// Bytes of TransactionLog.keyToBytes("tx") and valueToBytes at version 1 for an Empty transaction.
Test(txn_record, an_empty_one_has_kafkas_bytes)
{
    static const uint8_t key[] = {0, 0, 0, 2, 't', 'x'};
    static const uint8_t value[] = {
        0,    1,                                              // version
        0,    0,    0,    0,    0,    0,    0,    7,          // producer id
        0,    0,                                              // epoch
        0,    0,    0xea, 0x60,                               // timeout
        0,                                                    // Empty
        0,                                                    // no partitions
        0,    0,    0,    0,    0,    0x0f, 0x42, 0x40,       // last update
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, // start, no tags
    };
    cr_assert_eq(txn_record_key(slice_str("tx"), &bytes), ST_OK);
    cr_expect(slice_equal(buf_slice(&bytes), slice_of(key, sizeof key)));
    struct slice id;
    cr_assert_eq(txn_record_key_parse(buf_slice(&bytes), &id), ST_OK);
    cr_expect(slice_is(id, "tx"));
    buf_clear(&bytes);
    cr_assert_eq(txn_record_value(&head, &set, &bytes), ST_OK);
    cr_expect(slice_equal(buf_slice(&bytes), slice_of(value, sizeof value)));
}

Test(txn_record, what_is_not_known_is_refused)
{
    struct txn_head out;
    cr_assert_eq(txn_record_value(&head, &set, &bytes), ST_OK);
    store_be16(bytes.data, 2);
    cr_expect_eq(txn_record_parse(buf_slice(&bytes), &out, &set), ST_UNSUPPORTED);
    store_be16(bytes.data, 1);
    bytes.data[16] = 6; // Dead
    cr_expect_eq(txn_record_parse(buf_slice(&bytes), &out, &set), ST_UNSUPPORTED);
    struct slice id;
    cr_expect_eq(txn_record_key_parse(slice_of((const uint8_t *)"\0\1", 2), &id), ST_UNSUPPORTED);
    cr_expect_eq(txn_record_key_parse(slice_str("x"), &id), ST_TRUNCATED);
}
