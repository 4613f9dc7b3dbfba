// SPDX-License-Identifier: Apache-2.0
// Decisions about a transactional id. See txn.h. Rules that are not obvious name where they come from.
#include "txn.h"

#include "base/assert.h"

static const char *const texts[] = {"Empty",        "Ongoing",        "PrepareCommit",
                                    "PrepareAbort", "CompleteCommit", "CompleteAbort"};

const char *txn_state_text(enum txn_state state)
{
    return texts[state];
}

bool txn_state_known(int number)
{
    return number >= TXN_EMPTY && number <= TXN_COMPLETE_ABORT;
}

bool txn_ending(const struct txn_head *head)
{
    return head->state == TXN_PREPARE_COMMIT || head->state == TXN_PREPARE_ABORT;
}

static bool spent(int16_t epoch)
{
    return epoch >= TXN_EPOCH_SPENT;
}

static struct txn_step refuse(int16_t error)
{
    return (struct txn_step){.error = error, .told = {-1, -1}};
}

static struct txn_step tell(int64_t id, int16_t epoch)
{
    return (struct txn_step){.told = {id, epoch}};
}

static struct txn_step want_id(void)
{
    return (struct txn_step){.wants_id = true, .told = {-1, -1}};
}

// ---- InitProducerId ----

static struct txn_step begin(struct txn_head next, const struct txn_init *init, int64_t now_ms)
{
    struct txn_step step = tell(next.producer_id, next.epoch);
    next.state = TXN_EMPTY;
    next.timeout_ms = init->timeout_ms;
    next.updated_ms = now_ms;
    next.started_ms = -1;
    next.next_id = -1;
    step.write = true;
    step.set = TXN_SET_CLEAR;
    step.next = next;
    return step;
}

static struct txn_step init_new(const struct txn_init *init, int64_t fresh_id, int64_t now_ms)
{
    struct txn_head next = {.producer_id = fresh_id, .previous_id = -1, .epoch = 0, .last_epoch = -1};
    return fresh_id < 0 ? want_id() : begin(next, init, now_ms);
}

// A producer that names what it had is let in with its present id, or with the id before when that one's
// epochs were spent: then it may not have heard of the new one.
static bool may_init(const struct txn_head *head, struct txn_producer expected)
{
    return expected.id < 0 || expected.id == head->producer_id ||
           (expected.id == head->previous_id && spent(expected.epoch));
}

// No transaction is open: another epoch of the id, or another id when its epochs are spent.
static struct txn_step init_again(const struct txn_head *head, const struct txn_init *init, int64_t fresh_id,
                                  int64_t now_ms)
{
    struct txn_head next = *head;
    bool told = init->expected.id >= 0;
    if (spent(head->epoch) && (!told || init->expected.epoch == head->epoch)) {
        next.previous_id = head->producer_id;
        next.producer_id = fresh_id;
        next.epoch = 0;
        next.last_epoch = told ? head->epoch : -1;
        return fresh_id < 0 ? want_id() : begin(next, init, now_ms);
    }
    if (!told || init->expected.epoch == head->epoch) {
        next.epoch++;
        next.last_epoch = told ? head->epoch : -1;
    } else if (head->last_epoch < 0 || init->expected.epoch != head->last_epoch) {
        return refuse(KAFKA_ERR_PRODUCER_FENCED); // else it repeats what it did not hear the answer of
    }
    return begin(next, init, now_ms);
}

// The open transaction is aborted first. But who names an epoch that is not its own is a zombie: it will be
// told so behind the abort, and its successor need not suffer (Kafka aborts).
static struct txn_step init_over_open(const struct txn_head *head, const struct txn_init *init,
                                      int64_t now_ms)
{
    struct txn_producer expected = init->expected;
    if (expected.id >= 0 && (expected.id != head->producer_id || expected.epoch != head->epoch))
        return refuse(KAFKA_ERR_PRODUCER_FENCED);
    struct txn_step step = txn_fence(head, now_ms);
    step.error = KAFKA_ERR_CONCURRENT_TRANSACTIONS;
    return step;
}

struct txn_step txn_init(const struct txn_head *head, const struct txn_init *init, int64_t fresh_id,
                         int64_t now_ms)
{
    if (head == NULL)
        return init_new(init, fresh_id, now_ms);
    if (txn_ending(head)) // also for who has the next id already
        return refuse(KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    if (!may_init(head, init->expected))
        return refuse(KAFKA_ERR_PRODUCER_FENCED);
    switch (head->state) {
    case TXN_EMPTY:
    case TXN_COMPLETE_COMMIT:
    case TXN_COMPLETE_ABORT:
        return init_again(head, init, fresh_id, now_ms);
    case TXN_ONGOING:
        return init_over_open(head, init, now_ms);
    case TXN_PREPARE_COMMIT:
    case TXN_PREPARE_ABORT:
        break;
    }
    UNREACHABLE("state of a transaction");
}

// ---- adding ----

// CONCURRENT_TRANSACTIONS also for who goes on with the next id, which counts when the markers of the former
// one are written (Kafka asks for a pending transition before it looks at the id).
static int16_t check_producer(const struct txn_head *head, struct txn_producer who)
{
    if (head != NULL && head->next_id >= 0 && who.id == head->next_id && who.epoch == 0)
        return KAFKA_ERR_CONCURRENT_TRANSACTIONS;
    if (head == NULL || who.id != head->producer_id)
        return KAFKA_ERR_INVALID_PRODUCER_ID_MAPPING;
    return who.epoch == head->epoch && who.epoch < INT16_MAX ? KAFKA_ERR_NONE : KAFKA_ERR_PRODUCER_FENCED;
}

// The time a transaction begins also tells it from those before: markers carry it.
static int64_t start_after(const struct txn_head *head, int64_t now_ms)
{
    return now_ms > head->started_ms ? now_ms : head->started_ms + 1;
}

struct txn_step txn_add(const struct txn_head *head, struct txn_producer who, enum txn_flow flow,
                        bool all_known, int64_t now_ms)
{
    int16_t error = check_producer(head, who);
    if (error == KAFKA_ERR_NONE && txn_ending(head))
        error = KAFKA_ERR_CONCURRENT_TRANSACTIONS;
    if (error != KAFKA_ERR_NONE)
        return refuse(error);
    struct txn_step step = tell(who.id, who.epoch);
    if (head->state == TXN_ONGOING && all_known)
        return step;
    step.write = true;
    step.set = TXN_SET_ADD;
    step.next = *head;
    step.next.state = TXN_ONGOING;
    step.next.flow = flow;
    step.next.last_epoch = -1;
    step.next.updated_ms = now_ms;
    if (head->state != TXN_ONGOING)
        step.next.started_ms = start_after(head, now_ms);
    return step;
}

int16_t txn_verify(const struct txn_head *head, struct txn_producer who, bool in_it)
{
    int16_t error = check_producer(head, who);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (txn_ending(head))
        return KAFKA_ERR_CONCURRENT_TRANSACTIONS;
    return head->state == TXN_ONGOING && in_it ? KAFKA_ERR_NONE : KAFKA_ERR_TRANSACTION_ABORTABLE;
}

// ---- ending ----

static struct txn_step prepare(const struct txn_head *head, bool commit, int64_t now_ms)
{
    struct txn_step step = {.write = true, .set = TXN_SET_KEEP, .next = *head};
    step.next.state = commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
    step.next.updated_ms = now_ms;
    step.next.last_epoch = -1;
    if (head->state != TXN_ONGOING) // KIP-890: the end of a transaction that has nothing in it
        step.next.started_ms = start_after(head, now_ms);
    return step;
}

// KIP-890: the markers carry the next epoch, which the producer goes on with. Behind the last one it goes on
// with another id.
static struct txn_step prepare_bumped(const struct txn_head *head, bool commit, int64_t fresh_id,
                                      int64_t now_ms)
{
    if (spent(head->epoch) && fresh_id < 0)
        return want_id();
    struct txn_step step = prepare(head, commit, now_ms);
    step.next.flow = TXN_FLOW_NEW;
    step.next.last_epoch = head->epoch;
#ifndef PLANTED_EPOCH_KEPT_AT_THE_END
    step.next.epoch++;
#endif
    step.next.next_id = spent(head->epoch) ? fresh_id : -1;
    step.told = step.next.next_id < 0 ? (struct txn_producer){head->producer_id, step.next.epoch}
                                      : (struct txn_producer){step.next.next_id, 0};
    return step;
}

// In the new flow an ended transaction knows the epoch it was ended in: the one before its own.
static bool repeats(const struct txn_head *head, struct txn_producer who)
{
    if (head->flow != TXN_FLOW_NEW || head->state == TXN_ONGOING || head->state == TXN_EMPTY)
        return false;
    bool bumped = who.id == head->producer_id && who.epoch == head->epoch - 1;
    bool renewed = who.id == head->previous_id && spent(who.epoch) && head->epoch == 0;
    return bumped || renewed;
}

// A time-out took the last epoch, which is no producer's: who comes to hear of it goes on with another id.
static struct txn_step renew(const struct txn_head *head, int64_t fresh_id, int64_t now_ms)
{
    if (fresh_id < 0)
        return want_id();
    struct txn_step step = tell(fresh_id, 0);
    step.write = true;
    step.set = TXN_SET_KEEP;
    step.next = *head;
    step.next.previous_id = head->producer_id;
    step.next.producer_id = fresh_id;
    step.next.epoch = 0;
    step.next.updated_ms = now_ms;
    return step;
}

static struct txn_step end_repeated(const struct txn_head *head, bool commit, int64_t fresh_id,
                                    int64_t now_ms)
{
    bool committed = head->state == TXN_PREPARE_COMMIT || head->state == TXN_COMPLETE_COMMIT;
    if (commit != committed) // it timed out before its commit came: the producer may abort and go on
        return refuse(commit ? KAFKA_ERR_TRANSACTION_ABORTABLE : KAFKA_ERR_INVALID_TXN_STATE);
    if (txn_ending(head))
        return refuse(KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    if (head->epoch == INT16_MAX)
        return renew(head, fresh_id, now_ms);
    return tell(head->producer_id, head->epoch);
}

static struct txn_step end_new(const struct txn_head *head, struct txn_producer who, bool commit,
                               int64_t fresh_id, int64_t now_ms)
{
    if (repeats(head, who))
        return end_repeated(head, commit, fresh_id, now_ms);
    int16_t error = check_producer(head, who);
    if (error != KAFKA_ERR_NONE)
        return refuse(error);
    if (txn_ending(head))
        return refuse(KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    if (head->state != TXN_ONGOING && commit)
        return refuse(KAFKA_ERR_INVALID_TXN_STATE);
    return prepare_bumped(head, commit, fresh_id, now_ms);
}

static struct txn_step end_old(const struct txn_head *head, struct txn_producer who, bool commit,
                               int64_t now_ms)
{
    int16_t error = check_producer(head, who);
    if (error != KAFKA_ERR_NONE)
        return refuse(error);
    bool same = head->state == (commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
    bool done = head->state == (commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    if (same)
        return refuse(KAFKA_ERR_CONCURRENT_TRANSACTIONS);
    if (done)
        return tell(head->producer_id, head->epoch);
    if (head->state != TXN_ONGOING)
        return refuse(KAFKA_ERR_INVALID_TXN_STATE);
    struct txn_step step = prepare(head, commit, now_ms);
    step.next.flow = TXN_FLOW_OLD;
    step.told = who;
    return step;
}

struct txn_step txn_end(const struct txn_head *head, struct txn_producer who, bool commit, enum txn_flow flow,
                        int64_t fresh_id, int64_t now_ms)
{
    if (head == NULL)
        return refuse(KAFKA_ERR_INVALID_PRODUCER_ID_MAPPING);
    return flow == TXN_FLOW_NEW ? end_new(head, who, commit, fresh_id, now_ms)
                                : end_old(head, who, commit, now_ms);
}

// The epoch is one that no producer has had; the last of an id is kept for this.
struct txn_step txn_fence(const struct txn_head *head, int64_t now_ms)
{
    ASSERT(head->state == TXN_ONGOING && head->epoch < INT16_MAX);
    struct txn_step step = prepare(head, false, now_ms);
    step.next.epoch++;
    step.told = (struct txn_producer){-1, -1};
    return step;
}

struct txn_step txn_complete(const struct txn_head *head, int64_t now_ms)
{
    ASSERT(txn_ending(head));
    struct txn_step step = {.write = true, .set = TXN_SET_CLEAR, .next = *head};
    step.next.state = head->state == TXN_PREPARE_COMMIT ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
    step.next.updated_ms = now_ms;
    if (head->next_id >= 0) {
        step.next.previous_id = head->producer_id;
        step.next.producer_id = head->next_id;
        step.next.epoch = 0;
        step.next.next_id = -1;
    }
    return step;
}

bool txn_idle(const struct txn_head *head, int64_t expiration_ms, int64_t now_ms)
{
    bool rests =
        head->state == TXN_EMPTY || head->state == TXN_COMPLETE_COMMIT || head->state == TXN_COMPLETE_ABORT;
    return rests && now_ms - head->updated_ms >= expiration_ms;
}
