// SPDX-License-Identifier: Apache-2.0
// See ledger.h. Every call in progress is kept in a list so that a process that ends can answer them.
#include "ledger.h"

#include "base/assert.h"
#include "base/mem.h"

enum { READ_BYTES_MAX = 1 << 20, READ_WAIT_MS_MAX = 10000, NOT_AN_OWNER = -1 };

struct ledger_call {
    struct ledgers *ledgers;
    struct rpc_call *call;
    struct uuid topic_id;
    int32_t partition;
    int32_t owner_epoch;
    int64_t base_offset; // of an append
    int64_t offset;      // of a read
    uint32_t max_bytes;  //
    struct timer timer;  // of a read that waits for its first record
    char *open_topic;
    Millrace__LedgerOpenReply_Closure on_open;
    Millrace__LedgerAppendReply_Closure on_append;
    Millrace__LedgerReadReply_Closure on_read;
    struct follow_wait image_wait;
    struct wait commit_wait;
    struct ledger_call *next, *previous;
};

struct ledgers {
    struct env *env;
    struct partitions *partitions;
    struct image *image;
    struct follow *follow;
    struct ledger_call *first;
};

struct ledgers *ledgers_new(struct env *env, struct partitions *partitions, struct image *image,
                            struct follow *follow)
{
    struct ledgers *ledgers = mem_calloc(1, sizeof *ledgers);
    *ledgers = (struct ledgers){.env = env, .partitions = partitions, .image = image, .follow = follow};
    return ledgers;
}

static void read_on_timer(struct timer *timer);

static struct ledger_call *call_new(struct ledgers *ledgers, struct rpc_call *call)
{
    struct ledger_call *held = mem_calloc(1, sizeof *held);
    held->ledgers = ledgers;
    held->call = call;
    timer_init(&held->timer, read_on_timer, held);
    held->next = ledgers->first;
    if (ledgers->first != NULL)
        ledgers->first->previous = held;
    ledgers->first = held;
    return held;
}

static void call_free(struct ledger_call *held)
{
    *(held->previous ? &held->previous->next : &held->ledgers->first) = held->next;
    if (held->next != NULL)
        held->next->previous = held->previous;
    follow_wait_cancel(&held->image_wait);
    wait_cancel(&held->commit_wait);
    timer_stop(held->ledgers->env, &held->timer);
    mem_free(held->open_topic);
    mem_free(held);
}

void ledgers_destroy(struct ledgers **pointer)
{
    struct ledgers *ledgers = *pointer;
    *pointer = NULL;
    while (ledgers->first != NULL) {
        rpc_fail(ledgers->first->call, ST_CLOSED, "the storage node stops");
        call_free(ledgers->first);
    }
    mem_free(ledgers);
}

// The replica this node leads, or the failure is sent and NULL returned. Whoever does not own the ledger may
// only read. An older owner is refused from the moment a newer one was seen, by the image's assignment or by
// an earlier call.
static struct replica *replica_for(struct ledgers *ledgers, const char *topic, int32_t partition,
                                   int32_t owner_epoch, struct rpc_call *call)
{
    struct replica *replica = partitions_find_named(ledgers->partitions, slice_str(topic), partition);
    const struct image_shard *shard = image_shard(ledgers->image, topic, partition);
    bool fenced;
    enum status status = replica ? replica_lead(replica, -1, &fenced) : ST_NOT_LEADER;
    if (status != ST_OK) {
        rpc_fail(call, status, "not the leader of the ledger's partition");
        return NULL;
    }
    if (owner_epoch == NOT_AN_OWNER)
        return replica;
    if (shard != NULL && shard->owner_epoch > replica->owner_epoch)
        replica->owner_epoch = shard->owner_epoch;
#ifndef PLANTED_OWNER_EPOCH_UNCHECKED
    if (owner_epoch < replica->owner_epoch) {
        rpc_fail(call, ST_STALE, "a newer owner has opened the ledger");
        return NULL;
    }
#endif
    replica->owner_epoch = owner_epoch;
    return replica;
}

// ---- open ----

static void open_answer(struct ledger_call *held)
{
    struct replica *replica =
        replica_for(held->ledgers, held->open_topic, held->partition, held->owner_epoch, held->call);
    if (replica == NULL)
        return;
    Millrace__LedgerOpenReply reply = MILLRACE__LEDGER_OPEN_REPLY__INIT;
    reply.leader_epoch = replica->state.leader_epoch;
    reply.log_start = log_start(replica->log);
    reply.log_end = replica->state.log_end;
    held->on_open(&reply, held->call);
}

static void open_on_image(void *context, enum status status)
{
    struct ledger_call *held = context;
    if (status == ST_OK)
        open_answer(held);
    else
        rpc_fail(held->call, status, "the image has not reached the assignment");
    call_free(held);
}

void ledgers_open(struct ledgers *ledgers, const Millrace__LedgerOpenRequest *request,
                  Millrace__LedgerOpenReply_Closure closure, struct rpc_call *call)
{
    struct ledger_call *held = call_new(ledgers, call);
    held->on_open = closure;
    held->open_topic = mem_strdup(request->topic);
    held->partition = request->partition;
    held->owner_epoch = request->owner_epoch;
    follow_when(ledgers->follow, &held->image_wait, request->metadata_offset, rpc_call_deadline_us(call),
                open_on_image, held);
}

// ---- append ----

static void append_on_commit(struct wait *wait, enum status status)
{
    struct ledger_call *held = wait->context;
    struct replica *replica = partitions_find(held->ledgers->partitions, held->topic_id, held->partition);
    if (status != ST_OK || replica == NULL) {
        rpc_fail(held->call, status == ST_OK ? ST_NOT_LEADER : status, "the append's outcome is not known");
    } else {
        Millrace__LedgerAppendReply reply = MILLRACE__LEDGER_APPEND_REPLY__INIT;
        reply.base_offset = held->base_offset;
        reply.high_watermark = replica->state.high_watermark;
        held->on_append(&reply, held->call);
    }
    call_free(held);
}

static const char *append_refused(const struct replica *replica, const Millrace__LedgerAppendRequest *request,
                                  enum status *status)
{
    *status = ST_STALE;
    if (request->leader_epoch != replica->state.leader_epoch)
        return "the leader epoch has changed";
    *status = ST_OUT_OF_RANGE;
    if (request->expected_base != replica->state.log_end)
        return "the log does not end where the owner thinks";
    *status = ST_AGAIN;
    if (partition_isr_size(&replica->state) < partition_isr_needed(&replica->state))
        return "not enough in-sync replicas";
    return NULL;
}

// A copy whose bytes may be changed (base offset, epoch), checked as any batch that enters a log.
static struct block *batch_take(struct block *payload, struct batch_header *header)
{
    if (payload == NULL || batch_parse(block_slice(payload), header) != ST_OK ||
        batch_size(header) != payload->len || !batch_crc_ok(block_slice(payload), header))
        return NULL;
    return block_copy(block_slice(payload));
}

void ledgers_append(struct ledgers *ledgers, const Millrace__LedgerAppendRequest *request,
                    Millrace__LedgerAppendReply_Closure closure, struct rpc_call *call)
{
    struct batch_header header;
    enum status status;
    struct replica *replica =
        replica_for(ledgers, request->topic, request->partition, request->owner_epoch, call);
    if (replica == NULL)
        return;
    const char *refused = append_refused(replica, request, &status);
    if (refused != NULL) {
        rpc_fail(call, status, refused);
        return;
    }
    struct block *block = batch_take(rpc_call_payload(call), &header);
    if (block == NULL) {
        rpc_fail(call, ST_MALFORMED, "the payload is not one whole record batch");
        return;
    }
    status = replica_append(replica, block, 0, block->len, &header);
    block_unref(&block);
    if (status != ST_OK) {
        rpc_fail(call, status, "cannot append");
        return;
    }
    struct ledger_call *held = call_new(ledgers, call);
    held->on_append = closure;
    held->topic_id = replica->topic_id;
    held->partition = replica->index;
    held->base_offset = header.base_offset;
    wait_add(&replica->commit_waits, &held->commit_wait, replica->state.log_end, append_on_commit, held);
    partitions_flush(ledgers->partitions);
}

// ---- read ----

static void read_answer(struct ledger_call *held, const struct replica *replica, struct block *bytes)
{
    Millrace__LedgerReadReply reply = MILLRACE__LEDGER_READ_REPLY__INIT;
    reply.high_watermark = replica->state.high_watermark;
    reply.log_end = replica->state.log_end;
    reply.leader_epoch = replica->state.leader_epoch;
    reply.has_log_start = true;
    reply.log_start = log_start(replica->log);
    if (bytes != NULL)
        rpc_reply_payload(held->call, &bytes, 1);
    held->on_read(&reply, held->call);
}

static void read_on_done(struct log *log, enum status status, struct piece *piece,
                         const struct log_found *found, void *context)
{
    struct ledger_call *held = context;
    struct replica *replica = partitions_find(held->ledgers->partitions, held->topic_id, held->partition);
    if (replica != NULL && (status == ST_CORRUPT || status == ST_IO))
        replica_damaged(replica, found->first, status);
    if (status != ST_OK || replica == NULL) {
        rpc_fail(held->call, status == ST_OK ? ST_NOT_LEADER : status, "cannot read the ledger");
    } else {
        struct block *bytes = block_copy(slice_of(piece->data, piece->len));
        if (bytes == NULL)
            rpc_fail(held->call, ST_NO_MEMORY, "cannot read the ledger");
        else
            read_answer(held, replica, bytes);
        block_unref(&bytes);
    }
    if (piece != NULL)
        piece_release(piece);
    call_free(held);
}

// What is still in memory, copied into one block; NULL when the range must be read from the file.
static struct block *read_tail(struct replica *replica, const struct log_range *range, enum status *status)
{
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count = 0;
    *status = log_read(replica->log, range, pieces, LOG_PIECES, &count, &found);
    if (*status != ST_OK)
        return NULL;
    bool in_memory = true;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        in_memory = in_memory && pieces[i].file == NULL;
        total += pieces[i].len;
    }
    struct block *bytes = in_memory ? block_new(total) : NULL;
    *status = in_memory ? (bytes ? ST_OK : ST_NO_MEMORY) : ST_AGAIN;
    for (size_t at = 0, i = 0; i < (size_t)count; at += pieces[i].len, i++)
        if (bytes != NULL)
            memcpy(bytes->data + at, pieces[i].data, pieces[i].len);
    for (int i = 0; i < count; i++)
        piece_release(&pieces[i]);
    return bytes;
}

// Reads now what is below the high watermark; held is freed.
static void read_now(struct ledger_call *held, struct replica *replica)
{
    struct log_range range = {.from = held->offset,
                              .up_to = replica->state.high_watermark,
                              .max_bytes =
                                  held->max_bytes < READ_BYTES_MAX ? held->max_bytes : READ_BYTES_MAX,
                              .min_one = true};
    if (range.from >= range.up_to) {
        read_answer(held, replica, NULL);
        call_free(held);
        return;
    }
    enum status status;
    struct block *bytes = read_tail(replica, &range, &status);
    if (status == ST_AGAIN) {
        log_read_async(replica->log, &range, read_on_done, held);
        return;
    }
    if (status == ST_OK)
        read_answer(held, replica, bytes);
    else
        rpc_fail(held->call, status, "cannot read the ledger");
    block_unref(&bytes);
    call_free(held);
}

// The wait for a first record has ended, also because the time is over (ST_TIMEOUT): then nothing is found.
static void read_waited(struct ledger_call *held, enum status status)
{
    struct replica *replica = partitions_find(held->ledgers->partitions, held->topic_id, held->partition);
    timer_stop(held->ledgers->env, &held->timer);
    wait_cancel(&held->commit_wait);
    if (replica == NULL || (status != ST_OK && status != ST_TIMEOUT)) {
        rpc_fail(held->call, replica == NULL ? ST_NOT_LEADER : status, "cannot read the ledger");
        call_free(held);
    } else {
        read_now(held, replica);
    }
}

static void read_on_commit(struct wait *wait, enum status status)
{
    read_waited(wait->context, status);
}

static void read_on_timer(struct timer *timer)
{
    read_waited(timer->context, ST_TIMEOUT);
}

void ledgers_read(struct ledgers *ledgers, const Millrace__LedgerReadRequest *request,
                  Millrace__LedgerReadReply_Closure closure, struct rpc_call *call)
{
    struct replica *replica =
        replica_for(ledgers, request->topic, request->partition, request->owner_epoch, call);
    if (replica == NULL)
        return;
    // Whoever follows takes what is below the watermark for all there is; the owner knows the log's end.
    if (request->owner_epoch == NOT_AN_OWNER && !partition_end_known(&replica->state)) {
        rpc_fail(call, ST_AGAIN, "the leader does not know yet what is committed");
        return;
    }
    if (request->offset > replica->state.log_end) {
        rpc_fail(call, ST_OUT_OF_RANGE, "the log ends before that offset");
        return;
    }
    uint32_t wait_ms = request->max_wait_ms < READ_WAIT_MS_MAX ? request->max_wait_ms : READ_WAIT_MS_MAX;
    struct ledger_call *held = call_new(ledgers, call);
    held->on_read = closure;
    held->topic_id = replica->topic_id;
    held->partition = replica->index;
    held->offset = request->offset < 0 ? log_start(replica->log) : request->offset;
    held->max_bytes = request->max_bytes;
    if (wait_ms == 0 || held->offset < replica->state.high_watermark) {
        read_now(held, replica);
        return;
    }
    wait_add(&replica->commit_waits, &held->commit_wait, held->offset + 1, read_on_commit, held);
    timer_start_ms(ledgers->env, &held->timer, wait_ms);
}
