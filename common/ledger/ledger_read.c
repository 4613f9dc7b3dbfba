// SPDX-License-Identifier: Apache-2.0
// Reading a ledger's log: loading applies every record in order until the high watermark has passed the end
// that LedgerOpen named, when it is this ledger's turn (ledger_loads.h); confirming finds the batch of
// unknown outcome below the high watermark.
#include "ledger/ledger_state.h"

enum {
    READ_BYTES = 256 << 10, // (tune) that many of each ledger that loads are in memory
    READ_AGAIN_MS = 10
};

static void apply_record(struct ledger *ledger, const struct batch_header *header,
                         const struct record *record)
{
    const struct ledger_ops *ops = ledger->config.ops;
    struct ledger_producer producer = {header->producer_id, header->producer_epoch};
    if (record->offset < ledger->position || record->key.data == NULL)
        return;
    ledger->position = record->offset + 1;
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0)
        ops->apply(ledger->config.context, record->timestamp, record->key, record->value);
    else if (ops->apply_pending != NULL)
        ops->apply_pending(ledger->config.context, &producer, record->timestamp, record->key, record->value);
}

// The next record of the batch that is begun; at its end the batch is done.
static enum status apply_next(struct ledger *ledger)
{
    struct ledger_load *load = &ledger->load;
    struct record record;
    enum status status = batch_next(&load->reader, &record);
    if (status == ST_OK)
        apply_record(ledger, &load->header, &record);
    if (status != ST_NOT_FOUND)
        return status;
    load->in_batch = false;
    buf_clear(&load->scratch);
    if (batch_last_offset(&load->header) >= ledger->position)
        ledger->position = batch_last_offset(&load->header) + 1;
    return ST_OK;
}

// One that has lost its record to compaction ends nothing: neither is there anything left of what it ended.
static enum status apply_marker(struct ledger *ledger, struct slice batch, const struct batch_header *header)
{
    struct ledger_producer producer = {header->producer_id, header->producer_epoch};
    struct batch_marker marker;
    enum status status = batch_marker_parse(batch, header, &marker);
    if (status == ST_OK && header->base_offset >= ledger->position &&
        ledger->config.ops->apply_marker != NULL)
        ledger->config.ops->apply_marker(ledger->config.context, &producer, !marker.abort);
    if (batch_last_offset(header) >= ledger->position)
        ledger->position = batch_last_offset(header) + 1;
    return status == ST_NOT_FOUND || status == ST_UNSUPPORTED ? ST_OK : status;
}

// Takes the next batch, which must be whole.
static enum status begin_batch(struct ledger *ledger)
{
    struct ledger_load *load = &ledger->load;
    enum status status = batch_parse(load->rest, &load->header);
    if (status == ST_OK && batch_size(&load->header) > load->rest.len)
        status = ST_TRUNCATED;
    if (status != ST_OK)
        return status;
    struct slice batch = slice_of(load->rest.data, batch_size(&load->header));
    load->rest = slice_of(load->rest.data + batch.len, load->rest.len - batch.len);
    if (!batch_crc_ok(batch, &load->header))
        return ST_CORRUPT;
    if (load->header.attributes & BATCH_CONTROL)
        return apply_marker(ledger, batch, &load->header);
    load->in_batch = true;
    return batch_reader_init(&load->reader, batch, &load->header, &compress_limits_default, &load->scratch);
}

// Applies until the bytes or the slice are used up.
static enum status apply_slice(struct ledger *ledger, struct ledger_slice *slice)
{
    struct ledger_load *load = &ledger->load;
    enum status status = ST_OK;
    while (status == ST_OK && (load->in_batch || load->rest.len > 0) && !ledger_slice_over(slice)) {
        slice->records++;
        status = load->in_batch ? apply_next(ledger) : begin_batch(ledger);
    }
    return status;
}

static void forget_bytes(struct ledger_load *load)
{
    block_unref(&load->bytes);
    load->rest = (struct slice){0};
    load->in_batch = false;
    buf_clear(&load->scratch);
}

void ledger_load_stop(struct ledger *ledger)
{
    forget_bytes(&ledger->load);
    buf_fini(&ledger->load.scratch); // it may be large, and is seldom needed again
    buf_init(&ledger->load.scratch, compress_limits_default.bytes_max);
    ledger_loads_leave(ledger, false);
}

static void loaded(struct ledger *ledger)
{
    ledger_loads_leave(ledger, true);
    ledger_load_stop(ledger);
    ledger->phase = LEDGER_SERVING;
    ledger->ready = true;
    ledger->retry_ms = LEDGER_RETRY_MS_MIN;
    ledger->config.ops->ready(ledger->config.context);
}

static void cannot_read(struct ledger *ledger, enum status status)
{
    DIAG_ERROR(&ledger->config.env->diag, "cannot read ledger topic=%s partition=%d offset=%lld error=\"%s\"",
               ledger->topic, ledger->config.partition, (long long)ledger->position, status_text(status));
    ledger->retry_ms = LEDGER_RETRY_MS_MAX;
    ledger_drop(ledger, status_text(status));
}

void ledger_load_apply(struct ledger *ledger, struct ledger_slice *slice)
{
    struct ledger_load *load = &ledger->load;
    enum status status = apply_slice(ledger, slice);
    if (status != ST_OK) {
        cannot_read(ledger, status);
    } else if (!load->in_batch && load->rest.len == 0) {
        forget_bytes(load);
        ledger_read_on(ledger);
    }
}

// bytes NULL: there is nothing between our position and the high watermark.
static void load_on(struct ledger *ledger, const Millrace__LedgerReadReply *reply, struct block *bytes)
{
    struct ledger_load *load = &ledger->load;
    if (bytes != NULL && bytes->len > 0) {
        load->bytes = block_ref(bytes);
        load->rest = block_slice(bytes);
        ledger_loads_kick(ledger->config.loads);
        return;
    }
    if (reply->high_watermark >= ledger->log_end)
        ledger->position = ledger->log_end; // nothing is left behind our position
    if (ledger->position >= ledger->log_end)
        loaded(ledger);
    else
        timer_start_ms(ledger->config.env, &ledger->retry, READ_AGAIN_MS);
}

static void confirm(struct ledger *ledger, const Millrace__LedgerReadReply *reply, struct slice bytes)
{
    struct batch_header header;
    if (reply->high_watermark < ledger->log_end) {
        timer_start_ms(ledger->config.env, &ledger->retry, READ_AGAIN_MS);
        return;
    }
    if (batch_parse(bytes, &header) != ST_OK || header.base_offset != ledger->position ||
        header.crc != ledger->flying_crc) {
        ledger_drop(ledger, "the log holds something the owner did not write");
        return;
    }
    ledger->phase = LEDGER_SERVING;
    ledger_landed(ledger);
}

static void on_read(const Millrace__LedgerReadReply *reply, void *context)
{
    struct ledger *ledger = context;
    const struct rpc_result *result = rpc_result(ledger->config.rpc);
    if (reply == NULL && result->status == ST_OUT_OF_RANGE) {
        ledger_drop(ledger, "the log has lost what was to be read");
        return;
    }
    if (reply == NULL) {
        ledger_reopen_later(ledger);
        return;
    }
    struct block *bytes = result->payload_count > 0 ? result->payload[0] : NULL;
    if (ledger->phase == LEDGER_LOADING)
        load_on(ledger, reply, bytes);
    else
        confirm(ledger, reply, bytes == NULL ? (struct slice){0} : block_slice(bytes));
}

void ledger_read_on(struct ledger *ledger)
{
    if (ledger->phase == LEDGER_LOADING && ledger->position >= ledger->log_end) {
        loaded(ledger); // all is applied
        return;
    }
    Millrace__LedgerReadRequest request = MILLRACE__LEDGER_READ_REQUEST__INIT;
    request.topic = ledger->topic;
    request.partition = ledger->config.partition;
    request.owner_epoch = ledger->config.owner_epoch;
    request.offset = ledger->position;
    request.max_bytes = READ_BYTES;
    millrace__storage__ledger_read(ledger_on_leader(ledger, LEDGER_READ_MS, NULL), &request, on_read, ledger);
}
