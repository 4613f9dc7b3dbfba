// SPDX-License-Identifier: Apache-2.0
// Writing a ledger: records collect in the open batch while a sealed one is on its way; at the end of a loop
// turn, or when the sealed one is committed, the open one is sealed and sent, in appends of bounded size, one
// at a time. An append carries the offset we expect it to get; the leader refuses any other.
#include "ledger/ledger_state.h"

#include "base/assert.h"
#include "base/mem.h"
#include "kafka/batch.h"

// ---- collecting ----

bool ledger_full(const struct ledger *ledger)
{
    return ledger->open.bytes.len >= LEDGER_PENDING_MAX;
}

// Adds a record to the open batch; kind, producer and coordinator epoch are those of `like`.
static enum status collect(struct ledger *ledger, const struct ledger_record *like, struct slice key,
                           struct slice value)
{
    struct ledger_batch *batch = &ledger->open;
    if (key.len + value.len > LEDGER_RECORD_MAX || key.len > SIZE_MAX - value.len)
        return ST_LIMIT;
    if (buf_reserve(&batch->bytes, key.len + value.len) != ST_OK) {
        batch->bytes.failed = ST_OK;
        return ST_LIMIT;
    }
    if (batch->count == batch->cap) {
        batch->cap = batch->cap == 0 ? 16 : batch->cap * 2;
        batch->records = mem_realloc(batch->records, batch->cap * sizeof *batch->records);
    }
    batch->records[batch->count++] = (struct ledger_record){
        .kind = like->kind,
        .producer = like->producer,
        .coordinator_epoch = like->coordinator_epoch,
        .key_at = batch->bytes.len,
        .key_len = key.len,
        .value_at = batch->bytes.len + key.len,
        .value_len = value.len,
        .tombstone = value.data == NULL,
        .timestamp_ms = env_wall_ms(ledger->config.env),
    };
    buf_append(&batch->bytes, key.data, key.len);
    buf_append(&batch->bytes, value.data, value.len);
    return ST_OK;
}

static int64_t last_timestamp(const struct ledger *ledger)
{
    return ledger->open.records[ledger->open.count - 1].timestamp_ms;
}

enum status ledger_append(struct ledger *ledger, struct slice key, struct slice value)
{
    ASSERT(ledger->ready);
    struct ledger_record plain = {.kind = LEDGER_PLAIN};
    enum status status = collect(ledger, &plain, key, value);
    if (status != ST_OK)
        return status;
    ledger->config.ops->apply(ledger->config.context, last_timestamp(ledger), key, value);
    ledger_kick(ledger);
    return ST_OK;
}

enum status ledger_append_pending(struct ledger *ledger, const struct ledger_producer *producer,
                                  struct slice key, struct slice value)
{
    ASSERT(ledger->ready && ledger->config.ops->apply_pending != NULL);
    struct ledger_record pending = {.kind = LEDGER_PENDING, .producer = *producer};
    enum status status = collect(ledger, &pending, key, value);
    if (status != ST_OK)
        return status;
    ledger->config.ops->apply_pending(ledger->config.context, producer, last_timestamp(ledger), key, value);
    ledger_kick(ledger);
    return ST_OK;
}

enum status ledger_append_marker(struct ledger *ledger, const struct ledger_producer *producer, bool commit,
                                 int32_t coordinator_epoch)
{
    ASSERT(ledger->ready && ledger->config.ops->apply_marker != NULL);
    struct ledger_record marker = {.kind = commit ? LEDGER_COMMIT : LEDGER_ABORT,
                                   .producer = *producer,
                                   .coordinator_epoch = coordinator_epoch};
    enum status status = collect(ledger, &marker, (struct slice){0}, (struct slice){0});
    if (status != ST_OK)
        return status;
    ledger->config.ops->apply_marker(ledger->config.context, producer, commit);
    ledger_kick(ledger);
    return ST_OK;
}

void ledger_touch(struct ledger *ledger)
{
    ASSERT(ledger->ready);
    ledger->touched = true;
    ledger_kick(ledger);
}

enum status ledger_snapshot(struct ledger *ledger, struct slice key, struct slice value)
{
    ASSERT(ledger->ready && ledger->sealing);
    struct ledger_record plain = {.kind = LEDGER_PLAIN};
    return collect(ledger, &plain, key, value);
}

void ledger_kick(struct ledger *ledger)
{
    if (ledger->phase == LEDGER_SERVING && ledger->sealed.count == 0 && !timer_running(&ledger->send))
        timer_start_us(ledger->config.env, &ledger->send, 0);
}

// ---- sending ----

static struct batch_record record_of(const struct ledger_batch *batch, size_t i)
{
    const struct ledger_record *record = &batch->records[i];
    const uint8_t *bytes = batch->bytes.data;
    return (struct batch_record){
        .timestamp = record->timestamp_ms,
        .key = slice_of(bytes + record->key_at, record->key_len),
        .value =
            record->tombstone ? (struct slice){0} : slice_of(bytes + record->value_at, record->value_len),
    };
}

// Whether two records may stand in one batch: a batch has one producer, and a marker stands alone.
static bool go_together(const struct ledger_record *a, const struct ledger_record *b)
{
    if (a->kind != b->kind || a->kind == LEDGER_COMMIT || a->kind == LEDGER_ABORT)
        return false;
    return a->kind == LEDGER_PLAIN ||
           (a->producer.id == b->producer.id && a->producer.epoch == b->producer.epoch);
}

// How many records the next append takes: those already flying again, else as many as fit.
static size_t next_count(const struct ledger *ledger)
{
    if (ledger->flying > 0)
        return ledger->flying;
    size_t bytes = 0, count = 0;
    for (size_t i = ledger->sent; i < ledger->sealed.count; i++) {
        const struct ledger_record *record = &ledger->sealed.records[i];
        bytes += record->key_len + record->value_len + 32; // lengths, deltas and times of a record
        if (count > 0 && (bytes > LEDGER_BATCH_BYTES || !go_together(record - 1, record)))
            break;
        count++;
    }
    return count;
}

static struct batch_spec spec_of(const struct ledger *ledger, const struct ledger_record *first)
{
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = ledger->position;
    spec.leader_epoch = ledger->leader_epoch;
    if (first->kind == LEDGER_PLAIN)
        return spec;
    spec.producer_id = first->producer.id;
    spec.producer_epoch = first->producer.epoch;
    if (first->kind == LEDGER_PENDING) {
        spec.attributes = BATCH_TRANSACTIONAL;
        spec.base_sequence = 0; // as Kafka's coordinators: nobody looks at it
    }
    return spec;
}

static enum status build_records(const struct ledger *ledger, const struct batch_spec *spec, struct buf *out)
{
    struct batch_record *records = mem_calloc(ledger->flying, sizeof *records);
    for (size_t i = 0; i < ledger->flying; i++)
        records[i] = record_of(&ledger->sealed, ledger->sent + i);
    enum status status = batch_build(spec, records, (int)ledger->flying, out);
    mem_free(records);
    return status;
}

// The append as one record batch; NULL when memory is short.
static struct block *build(struct ledger *ledger)
{
    const struct ledger_record *first = &ledger->sealed.records[ledger->sent];
    bool marker = first->kind == LEDGER_COMMIT || first->kind == LEDGER_ABORT;
    struct batch_spec spec = spec_of(ledger, first);
    struct buf bytes;
    buf_init(&bytes, LEDGER_RECORD_MAX * 2);
    enum status status = marker ? batch_build_marker(&spec, first->kind == LEDGER_COMMIT,
                                                     first->coordinator_epoch, first->timestamp_ms, &bytes)
                                : build_records(ledger, &spec, &bytes);
    struct batch_header header;
    if (status == ST_OK)
        status = batch_parse(buf_slice(&bytes), &header);
    struct block *block = status == ST_OK ? block_copy(buf_slice(&bytes)) : NULL;
    if (block != NULL)
        ledger->flying_crc = header.crc;
    buf_fini(&bytes);
    return block;
}

static void on_appended(const Millrace__LedgerAppendReply *reply, void *context)
{
    struct ledger *ledger = context;
    if (reply == NULL) {
        const struct rpc_result *result = rpc_result(ledger->config.rpc);
        DIAG_DEBUG(&ledger->config.env->diag, "ledger append failed topic=%s partition=%d status=%s",
                   ledger->topic, ledger->config.partition, status_name(result->status));
        ledger_reopen_later(ledger); // it will show whether the batch is there
        return;
    }
    if (reply->base_offset != ledger->position) {
        ledger_drop(ledger, "the leader appended at another offset");
        return;
    }
    ledger->retry_ms = LEDGER_RETRY_MS_MIN;
    ledger_landed(ledger);
}

static void append(struct ledger *ledger)
{
    ledger->flying = next_count(ledger);
    struct block *block = build(ledger);
    if (block == NULL) {
        ledger_drop(ledger, "no memory for a batch");
        return;
    }
    ledger->batches++;
    Millrace__LedgerAppendRequest request = MILLRACE__LEDGER_APPEND_REQUEST__INIT;
    request.topic = ledger->topic;
    request.partition = ledger->config.partition;
    request.owner_epoch = ledger->config.owner_epoch;
    request.leader_epoch = ledger->leader_epoch;
    request.expected_base = ledger->position;
    millrace__storage__ledger_append(ledger_on_leader(ledger, LEDGER_APPEND_MS, &block), &request,
                                     on_appended, ledger);
    block_unref(&block);
}

// The open batch becomes the sealed one. Snapshots are taken now, so that many changes cost one record.
static enum status seal(struct ledger *ledger)
{
    enum status status = ST_OK;
    bool touched = ledger->touched;
    ledger->touched = false;
    if (touched && ledger->config.ops->seal != NULL) {
        ledger->sealing = true;
        status = ledger->config.ops->seal(ledger->config.context);
        ledger->sealing = false;
    }
    if (status != ST_OK)
        return status;
    struct ledger_batch empty = ledger->sealed;
    ledger->sealed = ledger->open;
    ledger->open = empty;
    ledger->open_seq++;
    ledger->sent = 0;
    return ST_OK;
}

void ledger_send(struct ledger *ledger)
{
    ASSERT(ledger->phase == LEDGER_SERVING);
    if (ledger->sealed.count == 0) {
        if (ledger->open.count == 0 && !ledger->touched)
            return;
        enum status status = seal(ledger);
        if (status != ST_OK) {
            ledger_drop(ledger, status_text(status));
            return;
        }
        if (ledger->sealed.count == 0) { // a touch that left nothing to write
            ledger_committed(ledger, ledger->open_seq - 1);
            return;
        }
    }
    append(ledger);
}

static void batch_clear(struct ledger_batch *batch)
{
    buf_clear(&batch->bytes);
    batch->count = 0;
}

void ledger_landed(struct ledger *ledger)
{
    ledger->position += (int64_t)ledger->flying;
    ledger->sent += ledger->flying;
    ledger->records += ledger->flying;
    ledger->flying = 0;
    if (ledger->sent < ledger->sealed.count) {
        append(ledger);
        return;
    }
    batch_clear(&ledger->sealed);
    ledger->sent = 0;
    ledger_kick(ledger);
    ledger_committed(ledger, ledger->open_seq - 1);
}

void ledger_batches_clear(struct ledger *ledger)
{
    batch_clear(&ledger->open);
    batch_clear(&ledger->sealed);
    ledger->sent = 0;
    ledger->flying = 0;
    ledger->touched = false;
}

void ledger_batches_fini(struct ledger *ledger)
{
    buf_fini(&ledger->open.bytes);
    buf_fini(&ledger->sealed.bytes);
    mem_free(ledger->open.records);
    mem_free(ledger->sealed.records);
}
