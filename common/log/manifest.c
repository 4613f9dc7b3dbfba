// SPDX-License-Identifier: Apache-2.0
// See manifest.h. Numbers are zig-zag variable-length integers, offsets and times as differences where they
// lie near another one, which makes about 60 bytes of a log with one segment. A row:
//   length of what follows, name, id, flags, start, high watermark, first dirty offset, end,
//   epochs: count, (epoch, first offset) each
//   segments: count, each as put_segment writes it
//   producers: length, a snapshot as log_producers_print makes it; 0: none
// A group of changes: checksum of what follows, length of the names, names.
#include "log/manifest.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/varint.h"
#include "log/files.h"

#include <string.h>

enum {
    AT_VERSION = 4,
    AT_CRC = 8, // of everything behind it
    AT_ROWS = 12,
    AT_LEFT_OUT = 16,
    AT_ROWS_BYTES = 20,
    AT_MARKER = 24,
    GROUP_HEAD = 8,
    EPOCH_BYTES_MIN = 2,
    SEGMENT_BYTES_MIN = 13,
    ENTRIES_MAX = INT32_MAX / LOG_ABORTED_ENTRY
};

enum row_flags { ROW_LEFTOVERS = 1, ROW_UNFINISHED = 2 };
enum segment_flags { SEGMENT_FOUND = 1, SEGMENT_SEALED = 2 };

// ---- writing ----

static void put(struct buf *out, int64_t value)
{
    if (buf_reserve(out, VARINT64_MAX) == ST_OK)
        out->len += (size_t)varint64_put(out->data + out->len, value);
}

// How far a lies behind b; any two numbers have a difference that leads back.
static int64_t apart(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static void put_segment(struct buf *out, const struct log_segment *segment, int64_t before)
{
    ASSERT(segment->exists && segment->written == segment->size && segment->aborted.pending.len == 0);
    put(out, (segment->found ? SEGMENT_FOUND : 0) | (segment->sealed ? SEGMENT_SEALED : 0));
    put(out, apart(segment->base, before));
    put(out, segment->size);
    put(out, segment->first_timestamp);
    put(out, apart(segment->created_ms, segment->first_timestamp));
    put(out, (int64_t)segment->jitter);
    put(out, apart(segment->max_timestamp, segment->first_timestamp));
    put(out, apart(segment->max_timestamp_last, segment->base));
    put(out, apart(segment->last_time_entry, segment->max_timestamp));
    put(out, segment->since_entry);
    put(out, segment->index.entries);
    put(out, segment->times.entries);
    put(out, segment->aborted.entries);
    if (segment->aborted.entries == 0)
        return;
    put(out, apart(segment->aborted_first, segment->base));
    put(out, apart(segment->aborted_last, segment->base));
}

static void put_epochs(struct buf *out, const struct log_epochs *epochs)
{
    put(out, epochs->count);
    for (int i = 0; i < epochs->count; i++) {
        put(out, epochs->rows[i].epoch);
        put(out, epochs->rows[i].start);
    }
}

static void put_segments(struct buf *out, const struct log_state *state)
{
    int64_t before = 0;
    put(out, state->count);
    for (int i = 0; i < state->count; i++) {
        put_segment(out, state->segments[i], before);
        before = state->segments[i]->base;
    }
}

static enum status put_producers(struct buf *out, const struct log_producers *producers)
{
    ASSERT(producers->open_first == NULL);
    struct buf snapshot;
    buf_init(&snapshot, LOG_MANIFEST_PRODUCERS_MAX);
    enum status status = ST_OK;
#ifndef PLANTED_MANIFEST_WITHOUT_PRODUCERS
    if (producers->by_id.count > 0)
        status = log_producers_print(producers, &snapshot);
#endif
    put(out, (int64_t)snapshot.len);
    buf_append(out, snapshot.data, snapshot.len);
    buf_fini(&snapshot);
    return status;
}

static enum status put_row(struct buf *out, const struct log_manifest_row *row, const struct log_state *state)
{
    size_t len = strlen(row->name);
    ASSERT(len < LOG_NAME_MAX);
    put(out, (int64_t)len);
    buf_append(out, row->name, len);
    buf_append(out, row->id.bytes, sizeof row->id.bytes);
    put(out, (row->leftovers ? ROW_LEFTOVERS : 0) | (row->unfinished ? ROW_UNFINISHED : 0));
    put(out, row->start);
    put(out, row->high_watermark);
    put(out, row->first_dirty);
    put(out, state->end);
    put_epochs(out, &state->epochs);
    put_segments(out, state);
    enum status status = put_producers(out, &state->producers);
    return status == ST_OK ? buf_status(out) : status;
}

void log_manifest_begin(struct buf *out)
{
    static const uint8_t head[LOG_MANIFEST_HEAD];
    buf_append(out, head, sizeof head);
}

enum status log_manifest_add(struct buf *out, const struct log_manifest_row *row,
                             const struct log_state *state)
{
    uint8_t len[VARINT64_MAX];
    struct buf bytes;
    buf_init(&bytes, LOG_MANIFEST_MAX);
    enum status status = put_row(&bytes, row, state);
    size_t used = (size_t)varint64_put(len, (int64_t)bytes.len);
    if (status == ST_OK && out->len + used + bytes.len > LOG_MANIFEST_MAX)
        status = ST_LIMIT;
    if (status == ST_OK) {
        buf_append(out, len, used);
        buf_append(out, bytes.data, bytes.len);
    }
    buf_fini(&bytes);
    return status;
}

void log_manifest_seal(struct buf *out, const struct log_manifest_totals *totals)
{
    uint8_t *head = out->data;
    store_be32(head, LOG_MANIFEST_MAGIC);
    store_be32(head + AT_VERSION, LOG_MANIFEST_VERSION);
    store_be32(head + AT_ROWS, totals->rows);
    store_be32(head + AT_LEFT_OUT, totals->left_out);
    store_be32(head + AT_ROWS_BYTES, (uint32_t)(out->len - LOG_MANIFEST_HEAD));
    store_be64(head + AT_MARKER, (uint64_t)totals->marker_ns);
    store_be32(head + AT_CRC, crc32c(0, head + AT_ROWS, out->len - AT_ROWS));
}

void log_manifest_add_changes(struct buf *out, struct slice names)
{
    uint8_t head[GROUP_HEAD];
    store_be32(head + 4, (uint32_t)names.len);
    store_be32(head, crc32c(crc32c(0, head + 4, 4), names.data, names.len));
    buf_append(out, head, sizeof head);
    buf_append(out, names.data, names.len);
}

// ---- reading ----

// Reads numbers until one is not there; from then on all are 0.
struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static int64_t take(struct cursor *from)
{
    int64_t value = 0;
    int used = from->bad ? 0 : varint64_get(from->at, (size_t)(from->end - from->at), &value);
    from->bad = used <= 0;
    from->at += from->bad ? 0 : used;
    return from->bad ? 0 : value;
}

// One within [low, high].
static int64_t take_within(struct cursor *from, int64_t low, int64_t high)
{
    int64_t value = take(from);
    from->bad = from->bad || value < low || value > high;
    return from->bad ? low : value;
}

static int64_t take_near(struct cursor *from, int64_t other)
{
    return (int64_t)((uint64_t)take(from) + (uint64_t)other);
}

// A number of things of which each takes so many bytes at least.
static int take_count(struct cursor *from, int64_t most, int64_t bytes_each)
{
    int64_t left = (from->end - from->at) / bytes_each;
    return (int)take_within(from, 0, left < most ? left : most);
}

static struct slice take_bytes(struct cursor *from, int64_t most)
{
    int64_t left = from->end - from->at, len = take_within(from, 0, left < most ? left : most);
    from->bad = from->bad || len > from->end - from->at;
    struct slice bytes = slice_of(from->at, from->bad ? 0 : (size_t)len);
    from->at += bytes.len;
    return bytes;
}

static struct log_index take_index(struct cursor *from, struct log_index index, int64_t entry_bytes)
{
    index.entries = (int32_t)take_within(from, 0, ENTRIES_MAX);
    index.written = index.entries * entry_bytes;
    return index;
}

static void take_segment(struct cursor *from, struct log_state *state, int64_t before)
{
    int64_t flags = take_within(from, 0, SEGMENT_FOUND | SEGMENT_SEALED);
    int64_t base = take_near(from, before);
    from->bad = from->bad || base < before || (state->count > 0 && base == before);
    if (from->bad)
        return;
    struct log_segment *segment = log_state_add_segment(state, base);
    segment->exists = segment->unseen = true;
    segment->found = flags & SEGMENT_FOUND;
    segment->sealed = flags & SEGMENT_SEALED;
    segment->size = segment->written = take_within(from, 0, INT64_MAX);
    segment->first_timestamp = take(from);
    segment->created_ms = take_near(from, segment->first_timestamp);
    segment->jitter = (uint64_t)take(from);
    segment->max_timestamp = take_near(from, segment->first_timestamp);
    segment->max_timestamp_last = take_near(from, base);
    segment->last_time_entry = take_near(from, segment->max_timestamp);
    segment->since_entry = take_within(from, 0, INT64_MAX);
    segment->index = take_index(from, segment->index, LOG_INDEX_ENTRY);
    segment->times = take_index(from, segment->times, LOG_TIME_ENTRY);
    segment->aborted = take_index(from, segment->aborted, LOG_ABORTED_ENTRY);
    if (segment->aborted.entries == 0)
        return;
    segment->aborted_first = take_near(from, base);
    segment->aborted_last = take_near(from, base);
}

static void take_epochs(struct cursor *from, struct log_epochs *epochs)
{
    int count = take_count(from, LOG_EPOCHS_MAX, EPOCH_BYTES_MIN);
    for (int i = 0; i < count && !from->bad; i++) {
        int64_t epoch = take_within(from, log_epochs_last(epochs) + 1ll, INT32_MAX);
        int64_t start = take_within(from, i > 0 ? epochs->rows[i - 1].start : 0, INT64_MAX);
        if (!from->bad)
            log_epochs_assign(epochs, (int32_t)epoch, start);
    }
    epochs->changed = false;
}

// Whether offsets and segments fit one another.
static bool is_whole(const struct log_manifest_row *row, const struct log_state *state)
{
    int64_t last = 0;
    for (int i = 0; i < state->count; i++) {
        last = state->segments[i]->base;
        if (i + 1 < state->count && !state->segments[i]->sealed)
            return false;
    }
    bool first_fits = state->count == 0 ? state->end == 0 : row->start >= state->segments[0]->base;
    return first_fits && last <= state->end && row->start <= state->end && row->high_watermark <= state->end;
}

enum status log_manifest_read(const struct log_manifest *manifest, int64_t now_ms,
                              struct log_manifest_row *row, struct log_state *state)
{
    struct cursor from = {.at = manifest->body.data, .end = manifest->body.data + manifest->body.len};
    *row = (struct log_manifest_row){.name = manifest->name};
    from.bad = from.end - from.at < (ptrdiff_t)sizeof row->id.bytes;
    if (!from.bad)
        memcpy(row->id.bytes, from.at, sizeof row->id.bytes);
    from.at += from.bad ? 0 : sizeof row->id.bytes;
    int64_t flags = take_within(&from, 0, ROW_LEFTOVERS | ROW_UNFINISHED);
    row->leftovers = flags & ROW_LEFTOVERS;
    row->unfinished = flags & ROW_UNFINISHED;
    row->start = take_within(&from, 0, INT64_MAX);
    row->high_watermark = take_within(&from, 0, INT64_MAX);
    row->first_dirty = take_within(&from, 0, INT64_MAX);
    state->end = take_within(&from, 0, INT64_MAX);
    take_epochs(&from, &state->epochs);
    int segments = take_count(&from, INT32_MAX, SEGMENT_BYTES_MIN);
    for (int i = 0; i < segments && !from.bad; i++)
        take_segment(&from, state, i > 0 ? state->segments[i - 1]->base : 0);
    struct slice producers = take_bytes(&from, LOG_MANIFEST_PRODUCERS_MAX);
    if (from.bad || from.at != from.end || !is_whole(row, state))
        return ST_CORRUPT;
    if (producers.len > 0 && log_producers_parse(producers, &state->producers, now_ms) != ST_OK)
        return ST_CORRUPT;
    return state->producers.open_first == NULL ? ST_OK : ST_CORRUPT;
}

enum status log_manifest_open(struct slice bytes, struct log_manifest *manifest, uint32_t *version)
{
    *manifest = (struct log_manifest){0};
    *version = 0;
    if (bytes.len < LOG_MANIFEST_HEAD)
        return ST_TRUNCATED;
    if (load_be32(bytes.data) != LOG_MANIFEST_MAGIC)
        return ST_CORRUPT;
    *version = load_be32(bytes.data + AT_VERSION);
    if (*version != LOG_MANIFEST_VERSION)
        return ST_UNSUPPORTED;
    size_t end = LOG_MANIFEST_HEAD + (size_t)load_be32(bytes.data + AT_ROWS_BYTES);
    if (end > bytes.len)
        return ST_TRUNCATED;
    if (crc32c(0, bytes.data + AT_ROWS, end - AT_ROWS) != load_be32(bytes.data + AT_CRC))
        return ST_CORRUPT;
    manifest->totals = (struct log_manifest_totals){.marker_ns = (int64_t)load_be64(bytes.data + AT_MARKER),
                                                    .rows = load_be32(bytes.data + AT_ROWS),
                                                    .left_out = load_be32(bytes.data + AT_LEFT_OUT)};
    manifest->left = manifest->totals.rows;
    manifest->rest = slice_of(bytes.data + LOG_MANIFEST_HEAD, end - LOG_MANIFEST_HEAD);
    manifest->changes = slice_of(bytes.data + end, bytes.len - end);
    return ST_OK;
}

static bool is_group(struct slice bytes, size_t *names_len)
{
    if (bytes.len < GROUP_HEAD)
        return false;
    *names_len = load_be32(bytes.data + 4);
    if (*names_len > bytes.len - GROUP_HEAD ||
        crc32c(0, bytes.data + 4, 4 + *names_len) != load_be32(bytes.data))
        return false;
    return *names_len == 0 || bytes.data[GROUP_HEAD + *names_len - 1] == 0;
}

enum status log_manifest_each_change(const struct log_manifest *manifest, log_manifest_change_fn *each,
                                     void *context)
{
    struct slice rest = manifest->changes;
    size_t len;
    if (rest.len == 0)
        return ST_NOT_FOUND;
    while (rest.len > 0) {
        if (!is_group(rest, &len))
            return ST_CORRUPT;
        const char *names = (const char *)rest.data + GROUP_HEAD;
        for (size_t at = 0; at < len; at += strlen(names + at) + 1)
            each(names + at, context);
        rest = slice_of(rest.data + GROUP_HEAD + len, rest.len - GROUP_HEAD - len);
    }
    return ST_OK;
}

bool log_manifest_next(struct log_manifest *manifest)
{
    struct cursor from = {.at = manifest->rest.data, .end = manifest->rest.data + manifest->rest.len};
    if (manifest->left == 0 || manifest->broken) {
        manifest->broken = manifest->broken || manifest->rest.len > 0;
        return false;
    }
    struct cursor row;
    struct slice bytes = take_bytes(&from, LOG_MANIFEST_MAX);
    row = (struct cursor){.at = bytes.data, .end = bytes.data + bytes.len, .bad = from.bad};
    struct slice name = take_bytes(&row, sizeof manifest->name - 1);
    char before[sizeof manifest->name];
    memcpy(before, manifest->name, sizeof before);
    memcpy(manifest->name, name.data, name.len);
    manifest->name[name.len] = 0;
    if (row.bad || strlen(manifest->name) != name.len || strcmp(manifest->name, before) <= 0) {
        manifest->broken = true;
        return false;
    }
    manifest->body = slice_of(row.at, (size_t)(row.end - row.at));
    manifest->rest = slice_of(from.at, (size_t)(from.end - from.at));
    manifest->left--;
    return true;
}
