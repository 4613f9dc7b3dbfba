// SPDX-License-Identifier: Apache-2.0
// See records.h.
#include "ledger/records.h"

void ledger_records_init(struct ledger_records *records, const struct ledger_ops *ops, void *context,
                         int64_t *position)
{
    *records = (struct ledger_records){.ops = ops, .context = context, .position = position};
    buf_init(&records->scratch, compress_limits_default.bytes_max);
}

void ledger_records_clear(struct ledger_records *records)
{
    records->rest = (struct slice){0};
    records->in_batch = false;
    buf_clear(&records->scratch);
}

void ledger_records_fini(struct ledger_records *records)
{
    ledger_records_clear(records);
    buf_fini(&records->scratch);
    buf_init(&records->scratch, compress_limits_default.bytes_max);
}

void ledger_records_begin(struct ledger_records *records, struct slice bytes)
{
    records->rest = bytes;
}

bool ledger_records_left(const struct ledger_records *records)
{
    return records->in_batch || records->rest.len > 0;
}

static void move_behind(struct ledger_records *records, int64_t offset)
{
    if (offset >= *records->position)
        *records->position = offset + 1;
}

static void apply_record(struct ledger_records *records, const struct record *record)
{
    const struct batch_header *header = &records->header;
    const struct ledger_ops *ops = records->ops;
    struct ledger_producer producer = {header->producer_id, header->producer_epoch};
    if (record->offset < *records->position || record->key.data == NULL)
        return;
    *records->position = record->offset + 1;
    if ((header->attributes & BATCH_TRANSACTIONAL) == 0)
        ops->apply(records->context, record->timestamp, record->key, record->value);
    else if (ops->apply_pending != NULL)
        ops->apply_pending(records->context, &producer, record->timestamp, record->key, record->value);
}

// The next record of the batch that is begun; at its end the batch is done.
static enum status apply_next(struct ledger_records *records)
{
    struct record record;
    enum status status = batch_next(&records->reader, &record);
    if (status == ST_OK)
        apply_record(records, &record);
    if (status != ST_NOT_FOUND)
        return status;
    records->in_batch = false;
    buf_clear(&records->scratch);
    move_behind(records, batch_last_offset(&records->header));
    return ST_OK;
}

// One that has lost its record to compaction ends nothing: neither is there anything left of what it ended.
static enum status apply_marker(struct ledger_records *records, struct slice batch)
{
    const struct batch_header *header = &records->header;
    struct ledger_producer producer = {header->producer_id, header->producer_epoch};
    struct batch_marker marker;
    enum status status = batch_marker_parse(batch, header, &marker);
    if (status == ST_OK && header->base_offset >= *records->position && records->ops->apply_marker != NULL)
        records->ops->apply_marker(records->context, &producer, !marker.abort);
    move_behind(records, batch_last_offset(header));
    return status == ST_NOT_FOUND || status == ST_UNSUPPORTED ? ST_OK : status;
}

// Takes the next batch, which must be whole.
static enum status begin_batch(struct ledger_records *records)
{
    enum status status = batch_parse(records->rest, &records->header);
    if (status == ST_OK && batch_size(&records->header) > records->rest.len)
        status = ST_TRUNCATED;
    if (status != ST_OK)
        return status;
    struct slice batch = slice_of(records->rest.data, batch_size(&records->header));
    records->rest = slice_of(records->rest.data + batch.len, records->rest.len - batch.len);
    if (!batch_crc_ok(batch, &records->header))
        return ST_CORRUPT;
    if (records->header.attributes & BATCH_CONTROL)
        return apply_marker(records, batch);
    records->in_batch = true;
    return batch_reader_init(&records->reader, batch, &records->header, &compress_limits_default,
                             &records->scratch);
}

enum status ledger_records_next(struct ledger_records *records)
{
    return records->in_batch ? apply_next(records) : begin_batch(records);
}
