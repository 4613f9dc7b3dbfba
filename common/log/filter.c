// SPDX-License-Identifier: Apache-2.0
// Deciding record by record, then writing the batch as it was or anew. See filter.h.
#include "log/filter.h"

enum { RECORDS_MAX = 256 << 20 }; // of one batch, uncompressed; above compress_limits_default

void log_filter_init(struct log_filter *filter)
{
    *filter = (struct log_filter){0};
    buf_init(&filter->scratch, RECORDS_MAX);
    buf_init(&filter->records, RECORDS_MAX);
}

void log_filter_fini(struct log_filter *filter)
{
    buf_fini(&filter->scratch);
    buf_fini(&filter->records);
}

static bool has_horizon(const struct batch_header *header)
{
    return (header->attributes & BATCH_DELETE_HORIZON) != 0;
}

// With the flag set the base timestamp's field holds the horizon (KIP-534).
static bool horizon_passed(const struct log_filter *filter, const struct batch_header *header)
{
    return has_horizon(header) && header->base_timestamp <= filter->now_ms;
}

static bool record_stays(const struct log_filter *filter, const struct batch_header *header,
                         const struct record *record)
{
    if (header->attributes & BATCH_CONTROL || record->offset >= filter->map_end)
        return true;
    if (record->key.data == NULL)
        return false;
    if (record->offset < log_key_map_get(filter->map, record->key))
        return false;
    return record->value.data != NULL || !horizon_passed(filter, header);
}

// What the first look at a batch found.
struct findings {
    int32_t kept;
    bool tombstones; // among the kept
    int64_t max_timestamp;
};

static enum status unreadable(enum status status)
{
    return status == ST_MALFORMED || status == ST_UNSUPPORTED ? ST_CORRUPT : status;
}

static enum status look(const struct log_filter *filter, struct batch_reader reader,
                        const struct batch_header *header, struct findings *findings)
{
    struct record record;
    enum status status;
    *findings = (struct findings){.max_timestamp = INT64_MIN};
    while ((status = batch_next(&reader, &record)) == ST_OK) {
        if (!record_stays(filter, header, &record))
            continue;
        findings->kept++;
        findings->tombstones = findings->tombstones || record.value.data == NULL;
        if (record.timestamp > findings->max_timestamp)
            findings->max_timestamp = record.timestamp;
    }
    return status == ST_NOT_FOUND ? ST_OK : unreadable(status);
}

// The header of the batch with what is kept.
static struct batch_header new_header(const struct log_filter *filter, const struct batch_header *header,
                                      const struct findings *findings)
{
    struct batch_header made = *header;
    made.count = findings->kept;
    if ((header->attributes & BATCH_LOG_APPEND_TIME) == 0)
        made.max_timestamp = findings->max_timestamp;
    if (!findings->tombstones || has_horizon(header))
        return made;
    made.attributes |= BATCH_DELETE_HORIZON;
    if (__builtin_add_overflow(filter->now_ms, filter->delete_retention_ms, &made.base_timestamp))
        made.base_timestamp = INT64_MAX;
    return made;
}

static enum status rewrite(struct log_filter *filter, struct batch_reader reader,
                           const struct batch_header *header, const struct batch_header *made,
                           struct buf *out)
{
    struct record record;
    enum status status;
    buf_clear(&filter->records);
    while ((status = batch_next(&reader, &record)) == ST_OK)
        if (record_stays(filter, header, &record))
            batch_put_record(&filter->records, &record, made->base_offset, made->base_timestamp);
    if (buf_status(&filter->records) != ST_OK)
        return buf_status(&filter->records);
    return batch_rebuild(made, buf_slice(&filter->records), out);
}

// As Kafka's DefaultRecordBatch.writeEmptyHeader: no codec, no horizon, the batch's largest time.
static enum status put_empty(const struct batch_header *header, struct buf *out)
{
    struct batch_header empty = *header;
    empty.count = 0;
    empty.base_timestamp = header->max_timestamp;
    empty.attributes &= (int16_t)~BATCH_DELETE_HORIZON;
    return batch_rebuild(&empty, (struct slice){0}, out);
}

static const struct log_last_batch *producer_of(const struct log_filter *filter,
                                                const struct batch_header *header)
{
    size_t low = 0, high = filter->producer_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (filter->producers[middle].producer_id < header->producer_id)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < filter->producer_count && filter->producers[low].producer_id == header->producer_id;
    return found ? &filter->producers[low] : NULL;
}

static bool is_last_of_producer(const struct log_filter *filter, const struct batch_header *header)
{
    const struct log_last_batch *last = producer_of(filter, header);
    return last != NULL && last->last_offset == batch_last_offset(header);
}

// Only the marker tells the producer's epoch, and an empty one would not.
static bool tells_epoch(const struct log_filter *filter, const struct batch_header *header)
{
    const struct log_last_batch *last = producer_of(filter, header);
    return last != NULL && last->last_offset < 0 && last->epoch == header->producer_epoch;
}

static enum status put_without_records(const struct log_filter *filter, const struct batch_header *header,
                                       unsigned how, struct buf *out)
{
    return how & LOG_FILTER_KEEP_HEADER || is_last_of_producer(filter, header) ? put_empty(header, out)
                                                                               : ST_OK;
}

static enum status filter_marker(struct log_filter *filter, struct slice batch,
                                 const struct batch_header *header, unsigned how, struct buf *out)
{
    if (!(how & LOG_FILTER_USELESS))
        return buf_append(out, batch.data, batch.len);
    bool stays = header->count > 0 && (!horizon_passed(filter, header) || tells_epoch(filter, header));
    if (!stays)
        return put_without_records(filter, header, how, out);
    if (has_horizon(header))
        return buf_append(out, batch.data, batch.len);
    struct batch_reader reader;
    struct findings all = {.kept = header->count, .tombstones = true, .max_timestamp = header->max_timestamp};
    enum status status =
        unreadable(batch_reader_init(&reader, batch, header, &compress_limits_default, &filter->scratch));
    if (status != ST_OK)
        return status;
    struct batch_header made = new_header(filter, header, &all);
    return rewrite(filter, reader, header, &made, out);
}

static enum status filter_data(struct log_filter *filter, struct slice batch,
                               const struct batch_header *header, unsigned how, struct buf *out)
{
    struct batch_reader reader;
    struct findings findings = {0};
    enum status status = ST_OK;
    if (header->count > 0) {
        status =
            unreadable(batch_reader_init(&reader, batch, header, &compress_limits_default, &filter->scratch));
        if (status == ST_OK)
            status = look(filter, reader, header, &findings);
    }
    if (status != ST_OK)
        return status;
    if (findings.kept == 0)
        return put_without_records(filter, header, how, out);
    if (findings.kept == header->count && (!findings.tombstones || has_horizon(header)))
        return buf_append(out, batch.data, batch.len);
    struct batch_header made = new_header(filter, header, &findings);
    return rewrite(filter, reader, header, &made, out);
}

enum status log_filter_batch(struct log_filter *filter, struct slice batch, const struct batch_header *header,
                             unsigned how, struct buf *out)
{
    if (header->attributes & BATCH_CONTROL)
        return filter_marker(filter, batch, header, how, out);
    if (how & LOG_FILTER_USELESS)
        return put_without_records(filter, header, how, out);
    if (header->base_offset >= filter->map_end)
        return buf_append(out, batch.data, batch.len);
    return filter_data(filter, batch, header, how, out);
}
