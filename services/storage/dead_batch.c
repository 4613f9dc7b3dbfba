// SPDX-License-Identifier: Apache-2.0
// See dead_batch.h. Names and contents of the headers are those of Kafka 4.4 (ShareGroupDLQStateManager).
#include "dead_batch.h"

#include "base/arena.h"
#include "base/mem.h"
#include "kafka/batch.h"

#include <inttypes.h>

enum { ARENA_MAX = 256 << 20, CONTEXT_HEADERS = 6 };

struct letters {
    const struct dead_spec *spec;
    struct arena arena; // what the records point at
    struct batch_record *records;
    int count, room;
    size_t bytes;
    bool full;
    int64_t next;
    enum status lost; // of a batch that cannot be unpacked
};

static struct slice number(struct letters *letters, int64_t value)
{
    return slice_str(arena_printf(&letters->arena, "%" PRId64, value));
}

// NULL when memory is short.
static struct record_header *headers_of(struct letters *letters, struct record *record)
{
    const struct dead_spec *spec = letters->spec;
    int own = spec->copies ? record->header_count : 0;
    struct record_header *headers =
        arena_calloc(&letters->arena, (size_t)own + CONTEXT_HEADERS, sizeof *headers);
    if (headers == NULL)
        return NULL;
    headers[0] = (struct record_header){slice_str("__dlq.errors.topic"), slice_str(spec->topic)};
    headers[1] =
        (struct record_header){slice_str("__dlq.errors.partition"), number(letters, spec->partition)};
    headers[2] = (struct record_header){slice_str("__dlq.errors.offset"), number(letters, record->offset)};
    headers[3] = (struct record_header){slice_str("__dlq.errors.group"), slice_str(spec->group)};
    headers[4] =
        (struct record_header){slice_str("__dlq.errors.delivery.count"), number(letters, spec->deliveries)};
    headers[5] = (struct record_header){slice_str("__dlq.errors.message"), slice_str(spec->cause)};
    for (int i = 0; i < own; i++)
        record_next_header(record, &headers[CONTEXT_HEADERS + i]);
    return headers;
}

// The bytes of a record outlive the unpacked batch they came from.
static bool keep(struct letters *letters, struct slice *bytes)
{
    if (bytes->data == NULL)
        return true;
    *bytes = slice_of(arena_strndup(&letters->arena, bytes->data, bytes->len), bytes->len);
    return bytes->data != NULL;
}

static enum status add(struct letters *letters, struct record record)
{
    bool copies = letters->spec->copies;
    size_t bytes = copies ? record.key.len + record.value.len + record.headers.len : 0;
    if (letters->count > 0 && letters->bytes + bytes > DEAD_BATCH_BYTES) {
        letters->full = true;
        letters->next = record.offset;
        return ST_OK;
    }
    struct slice none = {0};
    struct batch_record letter = {.timestamp = letters->spec->now_ms,
                                  .key = copies ? record.key : none,
                                  .value = copies ? record.value : none};
    if (!keep(letters, &letter.key) || !keep(letters, &letter.value) || !keep(letters, &record.headers))
        return ST_NO_MEMORY;
    letter.header_count = CONTEXT_HEADERS + (copies ? record.header_count : 0);
    letter.headers = headers_of(letters, &record);
    if (letter.headers == NULL)
        return ST_NO_MEMORY;
    if (letters->count == letters->room) {
        letters->room = letters->room == 0 ? 16 : 2 * letters->room;
        letters->records = mem_realloc(letters->records, (size_t)letters->room * sizeof *letters->records);
    }
    letters->records[letters->count++] = letter;
    letters->bytes += bytes;
    return ST_OK;
}

static enum status add_batch(struct letters *letters, struct slice batch, const struct batch_header *header,
                             struct buf *scratch)
{
    struct batch_reader reader;
    struct record record;
    enum status status = batch_reader_init(&reader, batch, header, &compress_limits_default, scratch);
    while (status == ST_OK && !letters->full && (status = batch_next(&reader, &record)) == ST_OK)
        if (record.offset >= letters->spec->first && record.offset <= letters->spec->last)
            status = add(letters, record);
    if (!letters->full)
        letters->next = batch_last_offset(header) + 1;
    return status == ST_NOT_FOUND ? ST_OK : status;
}

static enum status gather(struct letters *letters, struct slice batches)
{
    struct buf scratch;
    enum status status = ST_OK;
    buf_init(&scratch, compress_limits_default.bytes_max);
    for (size_t at = 0; at < batches.len && !letters->full;) {
        struct batch_header header;
        struct slice rest = slice_of(batches.data + at, batches.len - at);
        if (batch_parse(rest, &header) != ST_OK || batch_size(&header) > rest.len) {
            status = ST_CORRUPT;
            break;
        }
        struct slice batch = slice_of(rest.data, batch_size(&header));
        enum status added = ST_OK;
        if ((header.attributes & BATCH_CONTROL) == 0)
            added = add_batch(letters, batch, &header, &scratch);
        else
            letters->next = batch_last_offset(&header) + 1;
        if (added != ST_OK)
            letters->lost = added;
        at += batch.len;
    }
    buf_fini(&scratch);
    return status;
}

enum status dead_batch_build(const struct dead_spec *spec, struct slice batches, struct buf *out,
                             int64_t *next)
{
    struct letters letters = {.spec = spec, .next = spec->first};
    arena_init(&letters.arena, ARENA_MAX);
    enum status status = gather(&letters, batches), built = ST_OK;
    struct batch_spec plain = batch_spec_plain();
    if (letters.count > 0)
        built = batch_build(&plain, letters.records, letters.count, out);
    if (built != ST_OK) {
        buf_clear(out);
        status = built;
    }
    if (status == ST_OK)
        status = letters.lost;
    *next = letters.next;
    arena_fini(&letters.arena);
    mem_free(letters.records);
    return status;
}
