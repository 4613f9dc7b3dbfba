// SPDX-License-Identifier: Apache-2.0
// Reading a ledger's log: loading applies every record in order until the high watermark has passed the end
// that LedgerOpen named, when it is this ledger's turn (ledger_loads.h); confirming finds the batch of
// unknown outcome below the high watermark.
#include "ledger/ledger_state.h"

enum { READ_AGAIN_MS = 10 };

// Applies until the bytes or the slice are used up.
static enum status apply_slice(struct ledger *ledger, struct ledger_slice *slice)
{
    struct ledger_records *records = &ledger->load.records;
    enum status status = ST_OK;
    while (status == ST_OK && ledger_records_left(records) && !ledger_slice_over(slice)) {
        slice->records++;
        status = ledger_records_next(records);
    }
    return status;
}

static void forget_bytes(struct ledger_load *load)
{
    ledger_records_clear(&load->records);
    block_unref(&load->bytes);
}

void ledger_load_stop(struct ledger *ledger)
{
    forget_bytes(&ledger->load);
    ledger_records_fini(&ledger->load.records); // they may be large, and are seldom needed again
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
    } else if (!ledger_records_left(&load->records)) {
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
        ledger_records_begin(&load->records, block_slice(bytes));
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
    request.max_bytes = ledger->config.read_bytes > 0 ? ledger->config.read_bytes : LEDGER_READ_BYTES;
    millrace__storage__ledger_read(ledger_on_leader(ledger, LEDGER_READ_MS, NULL), &request, on_read, ledger);
}
