// SPDX-License-Identifier: Apache-2.0
// Life of a ledger: finding the partition's leader in the image, opening the log there (again whenever the
// leader changes or a call failed), what an opened log means for the state we hold, and who waits for
// commits.
#include "ledger/ledger_state.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

// ---- waits ----

static void wait_unlink(struct ledger_wait *wait)
{
    struct ledger *ledger = wait->ledger;
    *(wait->previous ? &wait->previous->next : &ledger->first) = wait->next;
    *(wait->next ? &wait->next->previous : &ledger->last) = wait->previous;
    wait->next = wait->previous = NULL;
    wait->ledger = NULL;
}

void ledger_wait(struct ledger *ledger, struct ledger_wait *wait, ledger_fn *done, void *context)
{
    ASSERT(ledger->ready && wait->ledger == NULL);
    bool open = ledger->open.count > 0 || ledger->touched;
    uint64_t target = open ? ledger->open_seq : ledger->open_seq - 1;
#ifdef PLANTED_ANSWERED_BEFORE_COMMIT
    target = 0;
#endif
    if (target <= ledger->done_seq) {
        done(context, ST_OK);
        return;
    }
    *wait = (struct ledger_wait){
        .done = done, .context = context, .target = target, .ledger = ledger, .previous = ledger->last};
    *(ledger->last ? &ledger->last->next : &ledger->first) = wait;
    ledger->last = wait;
}

void ledger_wait_cancel(struct ledger_wait *wait)
{
    if (wait->ledger != NULL)
        wait_unlink(wait);
}

// A wait that ends may begin, end or cancel others; the list is looked at afresh each time.
static void end_waits(struct ledger *ledger, uint64_t up_to, enum status status)
{
    while (ledger->first != NULL && ledger->first->target <= up_to) {
        struct ledger_wait *wait = ledger->first;
        wait_unlink(wait);
        wait->done(wait->context, status);
    }
}

void ledger_committed(struct ledger *ledger, uint64_t seq)
{
    ledger->done_seq = seq;
    end_waits(ledger, seq, ST_OK);
}

// ---- dropping ----

void ledger_drop(struct ledger *ledger, const char *why)
{
    DIAG_WARN(&ledger->config.env->diag, "ledger dropped topic=%s partition=%d owner_epoch=%d why=\"%s\"",
              ledger->topic, ledger->config.partition, ledger->config.owner_epoch, why);
    ledger->drops++;
    ledger->ready = false;
    ledger->position = -1;
    ledger_load_stop(ledger);
    ledger_batches_clear(ledger);
    ledger->done_seq = ledger->open_seq++;
    end_waits(ledger, UINT64_MAX, ST_LOADING);
    ledger->config.ops->reset(ledger->config.context);
    ledger_reopen_later(ledger);
}

// ---- opening ----

ProtobufCService *ledger_on_leader(struct ledger *ledger, int64_t deadline_ms, struct block *const *payload)
{
    struct rpc_options options = {
        .deadline_ms = deadline_ms, .payload = payload, .payload_count = payload == NULL ? 0 : 1};
    return rpc_on(ledger->peer, &millrace__storage__descriptor, &options);
}

// The log as it is now against what we hold.
static void opened(struct ledger *ledger, const Millrace__LedgerOpenReply *reply)
{
    ledger->leader_epoch = reply->leader_epoch;
    ledger->log_end = reply->log_end;
    if (!ledger->ready) {
        if (ledger->position < reply->log_start)
            ledger->position = reply->log_start;
        if (ledger->position > reply->log_end) {
            ledger_drop(ledger, "the log ends before what was read");
            return;
        }
        ledger->phase = LEDGER_LOADING;
        ledger_loads_enter(ledger);
        ledger_read_on(ledger);
    } else if (reply->log_end == ledger->position) { // nothing is there that we have not seen
        ledger->phase = LEDGER_SERVING;
        ledger_send(ledger);
    } else if (ledger->flying > 0 && reply->log_end == ledger->position + (int64_t)ledger->flying) {
        ledger->phase = LEDGER_CONFIRMING;
        ledger_read_on(ledger);
    } else {
        ledger_drop(ledger, "the log does not end where the owner thinks");
    }
}

static void on_opened(const Millrace__LedgerOpenReply *reply, void *context)
{
    struct ledger *ledger = context;
    const struct rpc_result *result = rpc_result(ledger->config.rpc);
    if (reply != NULL) {
        opened(ledger, reply);
    } else if (result->status == ST_STALE) { // the image will tell who owns it now
        ledger->retry_ms = LEDGER_RETRY_MS_MAX;
        if (ledger->ready)
            ledger_drop(ledger, result->text);
        else
            ledger_reopen_later(ledger);
    } else {
        ledger_reopen_later(ledger);
    }
}

static const struct image_partition *partition_of(const struct ledger *ledger)
{
    const struct image_topic *topic = image_topic_named(ledger->config.image, ledger->topic);
    return topic == NULL ? NULL : image_topic_partition(topic, ledger->config.partition);
}

// Calls under way and what they have brought; the log is opened again.
static void forget_calls(struct ledger *ledger)
{
    rpc_cancel(ledger->config.rpc, ledger);
    ledger_load_stop(ledger);
    ledger->phase = LEDGER_OPENING;
}

void ledger_reopen(struct ledger *ledger)
{
    forget_calls(ledger);
    timer_stop(ledger->config.env, &ledger->retry);
    const struct image_partition *partition = partition_of(ledger);
    const struct image_node *leader =
        partition == NULL ? NULL : image_node(ledger->config.image, partition->leader);
    if (leader == NULL) {
        ledger_reopen_later(ledger);
        return;
    }
    struct rpc_peer *former = ledger->peer; // released last: it may be the same one
    ledger->peer =
        rpc_peer(ledger->config.rpc, leader->rpc_endpoint, (struct rpc_node){RPC_STORAGE, leader->id});
    if (former != NULL)
        rpc_peer_release(&former);
    ledger->reopens++;
    ledger->leader_epoch = partition->leader_epoch;
    Millrace__LedgerOpenRequest request = MILLRACE__LEDGER_OPEN_REQUEST__INIT;
    request.topic = ledger->topic;
    request.partition = ledger->config.partition;
    request.owner = ledger->config.owner;
    request.owner_epoch = ledger->config.owner_epoch;
    request.metadata_offset = ledger->config.metadata_offset;
    millrace__storage__ledger_open(ledger_on_leader(ledger, LEDGER_OPEN_MS, NULL), &request, on_opened,
                                   ledger);
}

void ledger_reopen_later(struct ledger *ledger)
{
    forget_calls(ledger);
    timer_start_ms(ledger->config.env, &ledger->retry, ledger->retry_ms);
    ledger->retry_ms *= 2;
    if (ledger->retry_ms > LEDGER_RETRY_MS_MAX)
        ledger->retry_ms = LEDGER_RETRY_MS_MAX;
}

static void on_retry(struct timer *timer)
{
    struct ledger *ledger = timer->context;
    if (ledger->phase == LEDGER_OPENING)
        ledger_reopen(ledger);
    else
        ledger_read_on(ledger);
}

static void open_at_once(struct ledger *ledger)
{
    ledger->retry_ms = LEDGER_RETRY_MS_MIN;
    forget_calls(ledger); // to the former leader: their outcome is looked up
    timer_start_ms(ledger->config.env, &ledger->retry, 0);
}

static void on_partition(void *context, const struct image_topic *topic, const struct image_partition *before,
                         const struct image_partition *after)
{
    struct ledger *ledger = context;
    const struct image_partition *any = after != NULL ? after : before;
    if (any->index != ledger->config.partition || strcmp(topic->name, ledger->topic) != 0)
        return;
    if (after != NULL && (after->leader_epoch != ledger->leader_epoch || ledger->peer == NULL))
        open_at_once(ledger);
}

// A sole replica leads on in the same epoch when its node is back, maybe at another address.
static void on_node(void *context, const struct image_node *before, const struct image_node *after)
{
    struct ledger *ledger = context;
    const struct image_partition *partition = partition_of(ledger);
    bool came = image_node_live(after, MILLRACE__ROLE__ROLE_STORAGE) &&
                !image_node_live(before, MILLRACE__ROLE__ROLE_STORAGE);
    if (came && partition != NULL && partition->leader == after->id)
        open_at_once(ledger);
}

// ---- life ----

static void on_send(struct timer *timer)
{
    struct ledger *ledger = timer->context;
    if (ledger->phase == LEDGER_SERVING)
        ledger_send(ledger);
}

struct ledger *ledger_new(const struct ledger_config *config)
{
    struct ledger *ledger = mem_calloc(1, sizeof *ledger);
    ledger->config = *config;
    ledger->topic = mem_strdup(config->topic);
    ledger->position = config->position > 0 ? config->position : -1;
    ledger->open_seq = 1;
    ledger->retry_ms = LEDGER_RETRY_MS_MIN;
    ledger_records_init(&ledger->load.records, config->ops, config->context, &ledger->position);
    buf_init(&ledger->open.bytes, LEDGER_BYTES_MAX);
    buf_init(&ledger->sealed.bytes, LEDGER_BYTES_MAX);
    timer_init(&ledger->retry, on_retry, ledger);
    timer_init(&ledger->send, on_send, ledger);
    ledger->listener =
        (struct image_listener){.context = ledger, .on_partition = on_partition, .on_node = on_node};
    image_listen(config->image, &ledger->listener);
    timer_start_ms(config->env, &ledger->retry, 0);
    return ledger;
}

void ledger_destroy(struct ledger **pointer)
{
    struct ledger *ledger = *pointer;
    *pointer = NULL;
    ledger->ready = false;
    image_unlisten(ledger->config.image, &ledger->listener);
    rpc_cancel(ledger->config.rpc, ledger);
    ledger_load_stop(ledger);
    timer_stop(ledger->config.env, &ledger->retry);
    timer_stop(ledger->config.env, &ledger->send);
    end_waits(ledger, UINT64_MAX, ST_NOT_LEADER);
    if (ledger->peer != NULL)
        rpc_peer_release(&ledger->peer);
    ledger_batches_fini(ledger);
    mem_free(ledger->topic);
    mem_free(ledger);
}

bool ledger_ready(const struct ledger *ledger)
{
    return ledger->ready;
}

struct ledger_view ledger_view(const struct ledger *ledger)
{
    static const char *const phases[] = {"opening", "loading", "confirming", "serving"};
    return (struct ledger_view){
        .phase = phases[ledger->phase],
        .position = ledger->position,
        .log_end = ledger->log_end,
        .leader_epoch = ledger->leader_epoch,
        .batches = ledger->batches,
        .records = ledger->records,
        .drops = ledger->drops,
        .reopens = ledger->reopens,
    };
}
