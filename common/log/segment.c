// SPDX-License-Identifier: Apache-2.0
// Numbers and index entries of a segment. See segment.h.
#include "log/segment.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

// A segment of smallest transactions has not quite so many bytes of aborted ones.
enum { ABORTED_MAX = 1 << 30, PENDING_MAX = 64 << 20, SNAPSHOT_MAX = 256 << 20, DIGITS = 20 };

struct log_handle *log_handle_new(struct env *env, struct file *file_take)
{
    struct log_handle *handle = mem_calloc(1, sizeof *handle);
    atomic_init(&handle->refs, 1);
    handle->env = env;
    handle->file = file_take;
    return handle;
}

struct log_handle *log_handle_ref(struct log_handle *handle)
{
    atomic_fetch_add_explicit(&handle->refs, 1, memory_order_relaxed);
    return handle;
}

void log_handle_unref(struct log_handle **pointer)
{
    struct log_handle *handle = *pointer;
    *pointer = NULL;
    if (handle == NULL || atomic_fetch_sub_explicit(&handle->refs, 1, memory_order_acq_rel) > 1)
        return;
    file_close(handle->env, &handle->file);
    mem_free(handle);
}

struct log_segment *log_segment_new(int64_t base)
{
    struct log_segment *segment = mem_calloc(1, sizeof *segment);
    *segment = (struct log_segment){.base = base,
                                    .first_timestamp = -1,
                                    .max_timestamp = -1,
                                    .max_timestamp_last = base - 1,
                                    .last_time_entry = -1,
                                    .aborted_first = INT64_MAX,
                                    .aborted_last = -1};
    buf_init(&segment->index.pending, PENDING_MAX);
    buf_init(&segment->times.pending, PENDING_MAX);
    buf_init(&segment->aborted.pending, ABORTED_MAX);
    buf_init(&segment->snapshot, SNAPSHOT_MAX);
    return segment;
}

void log_segment_destroy(struct log_segment **pointer)
{
    struct log_segment *segment = *pointer;
    *pointer = NULL;
    if (segment == NULL)
        return;
    log_handle_unref(&segment->handle);
    buf_fini(&segment->index.pending);
    buf_fini(&segment->times.pending);
    buf_fini(&segment->aborted.pending);
    buf_fini(&segment->snapshot);
    mem_free(segment);
}

static void put_time_entry(struct log_segment *segment)
{
    if (segment->max_timestamp <= segment->last_time_entry)
        return;
    buf_put_be64(&segment->times.pending, (uint64_t)segment->max_timestamp);
    buf_put_be32(&segment->times.pending, (uint32_t)(segment->max_timestamp_last - segment->base));
    segment->times.entries++;
    segment->last_time_entry = segment->max_timestamp;
}

void log_segment_note(struct log_segment *segment, const struct batch_header *header, int32_t index_interval)
{
    int64_t last = batch_last_offset(header);
    if (segment->size == 0)
        segment->first_timestamp = header->max_timestamp;
    // A batch that compaction has emptied (clean_job.c) has no record of that time any more. Kafka's cleaner
    // takes it into account all the same, and its DumpLogSegments then finds fault with the time index.
    if (header->count > 0 && header->max_timestamp > segment->max_timestamp) {
        segment->max_timestamp = header->max_timestamp;
        segment->max_timestamp_last = last;
    }
    if (segment->since_entry > index_interval) {
        buf_put_be32(&segment->index.pending, (uint32_t)(last - segment->base));
        buf_put_be32(&segment->index.pending, (uint32_t)segment->size);
        segment->index.entries++;
        segment->since_entry = 0;
        put_time_entry(segment);
    }
    segment->since_entry += (int64_t)batch_size(header);
    segment->size += (int64_t)batch_size(header);
}

void log_segment_note_aborted(struct log_segment *segment, const struct log_aborted *aborted)
{
    log_aborted_print(aborted, &segment->aborted.pending);
    ASSERT(buf_status(&segment->aborted.pending) == ST_OK); // an entry less would show what was aborted
    segment->aborted.entries++;
    segment->aborted_last = aborted->last;
    if (aborted->first < segment->aborted_first)
        segment->aborted_first = aborted->first;
}

void log_segment_finish(struct log_segment *segment)
{
    put_time_entry(segment);
}

struct log_segment_name log_segment_name(int64_t base, const char *suffix)
{
    struct log_segment_name name;
    snprintf(name.text, sizeof name.text, "%020lld%s", (long long)base, suffix);
    return name;
}

int64_t log_segment_name_base(const char *name, const char *suffix)
{
    for (int i = 0; i < DIGITS; i++)
        if (name[i] < '0' || name[i] > '9')
            return -1;
    if (strcmp(name + DIGITS, suffix) != 0 || name[0] != '0')
        return -1; // 20 digits: the first is always 0 for an int64
    uint64_t base = 0;
    for (int i = 1; i < DIGITS; i++)
        base = base * 10 + (uint64_t)(name[i] - '0');
    return base > INT64_MAX ? -1 : (int64_t)base;
}

static enum status read_entry(struct env *env, struct file *file, uint8_t *entry, size_t size, int64_t at)
{
    size_t got;
    enum status status = file_pread(env, file, entry, size, at, &got);
    return status == ST_OK && got < size ? ST_CORRUPT : status;
}

enum status log_index_find(struct env *env, struct file *file, int64_t bytes, int64_t base, int64_t offset,
                           int64_t *position)
{
    uint8_t entry[LOG_INDEX_ENTRY];
    int64_t low = 0, high = bytes / LOG_INDEX_ENTRY; // entries below low end at or below offset
    *position = 0;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        enum status status = read_entry(env, file, entry, sizeof entry, middle * LOG_INDEX_ENTRY);
        if (status != ST_OK)
            return status;
        if (base + load_be32(entry) <= offset) {
            *position = load_be32(entry + 4);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ST_OK;
}

enum status log_times_find(struct env *env, struct file *file, int64_t bytes, int64_t base, int64_t timestamp,
                           int64_t *offset)
{
    uint8_t entry[LOG_TIME_ENTRY];
    int64_t low = 0, high = bytes / LOG_TIME_ENTRY; // entries below low have older timestamps
    *offset = base - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        enum status status = read_entry(env, file, entry, sizeof entry, middle * LOG_TIME_ENTRY);
        if (status != ST_OK)
            return status;
        if ((int64_t)load_be64(entry) < timestamp) {
            *offset = base + load_be32(entry + 8);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ST_OK;
}
