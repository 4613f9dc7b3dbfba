// SPDX-License-Identifier: Apache-2.0
// Reading a ledger's log: loading applies every record in order until the high watermark has passed the end
// that LedgerOpen named; confirming finds the batch of unknown outcome below the high watermark.
#include "ledger/ledger_state.h"

#include "kafka/batch.h"

enum { READ_BYTES = 1 << 20, READ_AGAIN_MS = 10 };

static void apply_record(struct ledger *ledger, const struct batch_header *header,
                         const struct record *record)
{
    const struct ledger_ops *ops = ledger->config.ops;
    struct ledger_producer producer = {header->producer_id, header->producer_epoch};
    if (record->offset < ledger->position || record->key.data == NULL)
        return;
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0)
        ops->apply(ledger->config.context, record->timestamp, record->key, record->value);
    else if (ops->apply_pending != NULL)
        ops->apply_pending(ledger->config.context, &producer, record->timestamp, record->key, record->value);
}

static enum status apply_batch(struct ledger *ledger, struct slice bytes, const struct batch_header *header)
{
    struct batch_reader reader;
    struct buf scratch;
    buf_init(&scratch, compress_limits_default.bytes_max);
    enum status status = batch_reader_init(&reader, bytes, header, &compress_limits_default, &scratch);
    struct record record;
    while (status == ST_OK && (status = batch_next(&reader, &record)) == ST_OK)
        apply_record(ledger, header, &record);
    buf_fini(&scratch);
    return status == ST_NOT_FOUND ? ST_OK : status;
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
    return status == ST_NOT_FOUND || status == ST_UNSUPPORTED ? ST_OK : status;
}

// Applies whole batches.
static enum status apply_bytes(struct ledger *ledger, struct slice bytes)
{
    while (bytes.len > 0) {
        struct batch_header header;
        enum status status = batch_parse(bytes, &header);
        if (status == ST_OK && batch_size(&header) > bytes.len)
            status = ST_TRUNCATED;
        if (status != ST_OK)
            return status;
        struct slice batch = slice_of(bytes.data, batch_size(&header));
        if (!batch_crc_ok(batch, &header))
            return ST_CORRUPT;
        status = header.attributes & BATCH_CONTROL ? apply_marker(ledger, batch, &header)
                                                   : apply_batch(ledger, batch, &header);
        if (status != ST_OK)
            return status;
        if (batch_last_offset(&header) >= ledger->position)
            ledger->position = batch_last_offset(&header) + 1;
        bytes = slice_of(bytes.data + batch.len, bytes.len - batch.len);
    }
    return ST_OK;
}

static void loaded(struct ledger *ledger)
{
    ledger->phase = LEDGER_SERVING;
    ledger->ready = true;
    ledger->retry_ms = LEDGER_RETRY_MS_MIN;
    ledger->config.ops->ready(ledger->config.context);
}

static void load_on(struct ledger *ledger, const Millrace__LedgerReadReply *reply, struct slice bytes)
{
    enum status status = apply_bytes(ledger, bytes);
    if (status != ST_OK) {
        DIAG_ERROR(&ledger->config.env->diag,
                   "cannot read ledger topic=%s partition=%d offset=%lld error=\"%s\"", ledger->topic,
                   ledger->config.partition, (long long)ledger->position, status_text(status));
        ledger->retry_ms = LEDGER_RETRY_MS_MAX;
        ledger_drop(ledger, status_text(status));
        return;
    }
    if (bytes.len == 0 && reply->high_watermark >= ledger->log_end)
        ledger->position = ledger->log_end; // nothing is left behind our position
    if (ledger->position >= ledger->log_end)
        loaded(ledger);
    else if (bytes.len > 0)
        ledger_read_on(ledger);
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
    struct slice bytes = result->payload_count > 0 ? block_slice(result->payload[0]) : (struct slice){0};
    if (ledger->phase == LEDGER_LOADING)
        load_on(ledger, reply, bytes);
    else
        confirm(ledger, reply, bytes);
}

void ledger_read_on(struct ledger *ledger)
{
    if (ledger->phase == LEDGER_LOADING && ledger->position >= ledger->log_end) {
        loaded(ledger); // an empty log
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
