// SPDX-License-Identifier: Apache-2.0
// See txn_help.h.
#include "txn_help.h"

#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ID = 1000, RECORDS = 4, ABORTED_MAX = 256, NONE = INT32_MIN };

void txns_init(struct txns *txns, uint64_t seed)
{
    *txns = (struct txns){0};
    compact_init(&txns->compact, seed);
    for (int i = 0; i < TXN_PRODUCERS; i++)
        txns->producers[i] = (struct txn_producer){.first = -1};
}

void txns_fini(struct txns *txns)
{
    compact_fini(&txns->compact);
}

static int below(struct txns *txns, int limit)
{
    return (int)(prng_next(&txns->compact.prng) % (uint64_t)limit);
}

static bool append(struct txns *txns, struct buf *bytes)
{
    struct batch_header header;
    struct block *block = block_copy(buf_slice(bytes));
    cr_assert_eq(batch_parse(block_slice(block), &header), ST_OK);
    enum status status = log_append(txns->compact.help.log, block, 0, block->len, &header);
    block_unref(&block);
    buf_fini(bytes);
    return status == ST_OK; // else the process is dead
}

static struct batch_spec spec_of(struct txns *txns, int producer)
{
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = log_end(txns->compact.help.log);
    if (producer < 0)
        return spec;
    spec.producer_id = ID + producer;
    spec.producer_epoch = txns->producers[producer].epoch;
    return spec;
}

static void note(struct txns *txns, int producer, int64_t base, const struct txn_row *rows, int count)
{
    cr_assert_leq(txns->count + count, TXN_ROWS_MAX);
    memcpy(txns->rows + txns->count, rows, (size_t)count * sizeof *rows);
    txns->count += count;
    if (producer < 0)
        return;
    txns->producers[producer].sequence += count;
    if (txns->producers[producer].first < 0)
        txns->producers[producer].first = base;
}

void txns_write(struct txns *txns, int producer, int key)
{
    struct batch_record records[RECORDS];
    struct txn_row rows[RECORDS];
    char text[RECORDS][2][32];
    struct batch_spec spec = spec_of(txns, producer);
    int count = 1 + below(txns, RECORDS);
    spec.compression = (enum compression)below(txns, COMPRESSION_COUNT);
    if (producer >= 0) {
        spec.attributes |= BATCH_TRANSACTIONAL;
        spec.base_sequence = txns->producers[producer].sequence;
    }
    for (int i = 0; i < count; i++) {
        rows[i] = (struct txn_row){.offset = spec.base_offset + i,
                                   .key = key < 0 ? below(txns, TXN_KEYS) : key,
                                   .version = below(txns, 6) == 0 ? -1 : txns->versions++,
                                   .producer = producer,
                                   .fate = producer < 0 ? TXN_COMMITTED : TXN_OPEN};
        snprintf(text[i][0], 32, "key-%d", rows[i].key);
        snprintf(text[i][1], 32, "version-%d", rows[i].version);
        records[i] =
            (struct batch_record){.timestamp = txns->compact.help.timestamp++, .key = slice_str(text[i][0])};
        if (rows[i].version >= 0)
            records[i].value = slice_str(text[i][1]);
    }
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    cr_assert_eq(batch_build(&spec, records, count, &bytes), ST_OK);
    if (append(txns, &bytes))
        note(txns, producer, spec.base_offset, rows, count);
}

void txns_end(struct txns *txns, int producer, bool commit)
{
    struct batch_spec spec = spec_of(txns, producer);
    struct buf bytes;
    buf_init(&bytes, 1 << 10);
    cr_assert_eq(batch_build_marker(&spec, commit, 1, txns->compact.help.timestamp++, &bytes), ST_OK);
    if (!append(txns, &bytes))
        return;
    for (int i = 0; i < txns->count; i++)
        if (txns->rows[i].producer == producer && txns->rows[i].fate == TXN_OPEN)
            txns->rows[i].fate = commit ? TXN_COMMITTED : TXN_ABORTED;
    txns->producers[producer].first = -1;
}

static void random_step(struct txns *txns)
{
    int producer = below(txns, TXN_PRODUCERS + 1) - 1;
    int what = producer < 0 ? 9 : below(txns, 10);
    if (what < 2)
        txns_end(txns, producer, true); // also of nothing
    else if (what < 4)
        txns_end(txns, producer, false);
    else if (what == 4 &&
             below(txns, 4) == 0) { // a new instance fences the old one: its marker has the epoch
        txns->producers[producer].epoch++;
        txns->producers[producer].sequence = 0;
        txns_end(txns, producer, false);
    } else
        txns_write(txns, producer, -1);
}

void txns_random(struct txns *txns, int batches)
{
    for (int i = 0; i < batches; i++)
        random_step(txns);
    help_flush(&txns->compact.help);
}

int64_t txns_stable(const struct txns *txns)
{
    int64_t stable = log_end(txns->compact.help.log);
    for (int i = 0; i < TXN_PRODUCERS; i++)
        if (txns->producers[i].first >= 0 && txns->producers[i].first < stable)
            stable = txns->producers[i].first;
    return stable;
}

// ---- reading ----

struct reading {
    struct txns *txns;
    int64_t clean, stable;
    struct txn_view view;
    int next; // row
    struct log_aborted aborted[ABORTED_MAX];
    int aborted_count;
    bool hidden[TXN_PRODUCERS];
};

static void on_aborted(struct log *log, enum status status, const struct log_aborted *rows, int count,
                       void *context)
{
    struct reading *reading = context;
    cr_assert_eq(status, ST_OK, "%s", status_name(status));
    cr_assert_leq(count, ABORTED_MAX);
    if (count > 0)
        memcpy(reading->aborted, rows, (size_t)count * sizeof *rows);
    reading->aborted_count = count;
}

static void see_record(struct reading *reading, const struct record *record, bool visible)
{
    struct txns *txns = reading->txns;
    char key[32], value[32];
    while (reading->next < txns->count && txns->rows[reading->next].offset < record->offset)
        reading->next++;
    cr_assert_lt(reading->next, txns->count);
    const struct txn_row *row = &txns->rows[reading->next];
    cr_assert_eq(row->offset, record->offset);
    snprintf(key, sizeof key, "key-%d", row->key);
    snprintf(value, sizeof value, "version-%d", row->version);
    cr_assert(slice_equal(record->key, slice_str(key)));
    cr_assert_eq(row->version < 0, record->value.data == NULL);
    cr_assert(row->version < 0 || slice_equal(record->value, slice_str(value)));
    cr_assert_neq(row->fate, TXN_OPEN);
    cr_assert_eq(visible, row->fate == TXN_COMMITTED, "the record at %lld is %s", (long long)row->offset,
                 visible ? "aborted, but seen" : "committed, but hidden");
    if (row->fate == TXN_ABORTED) {
        cr_assert_geq(row->offset, reading->clean, "%lld is aborted and cleaned", (long long)row->offset);
        reading->view.aborted++;
    } else {
        reading->view.newest[row->key] = row->version;
    }
}

// As the Java client's fetcher: who has aborted is taken in by first offsets, and let go at an abort marker.
static void hide(struct reading *reading, const struct batch_header *header)
{
    for (int i = 0; i < reading->aborted_count; i++)
        if (reading->aborted[i].first <= batch_last_offset(header) && reading->aborted[i].last >= 0) {
            reading->hidden[reading->aborted[i].producer_id - ID] = true;
            reading->aborted[i].last = -1; // taken in
        }
}

static void see_batch(struct reading *reading, struct slice batch, const struct batch_header *header)
{
    struct buf scratch;
    struct batch_reader reader;
    struct record record;
    struct batch_marker marker;
    bool transactional = header->attributes & BATCH_TRANSACTIONAL;
    int producer = transactional ? (int)(header->producer_id - ID) : 0;
    hide(reading, header);
    if (header->count == 0)
        reading->view.empty++;
    if (header->attributes & BATCH_CONTROL) {
        bool is_marker = batch_marker_parse(batch, header, &marker) == ST_OK;
        reading->view.markers += is_marker;
        if (is_marker && marker.abort)
            reading->hidden[producer] = false;
        return;
    }
    buf_init(&scratch, 1 << 20);
    cr_assert_eq(batch_reader_init(&reader, batch, header, &compress_limits_default, &scratch), ST_OK);
    while (batch_next(&reader, &record) == ST_OK)
        see_record(reading, &record, !transactional || !reading->hidden[producer]);
    buf_fini(&scratch);
}

static int64_t end_of(struct slice bytes)
{
    struct batch_header header = {0};
    while (bytes.len > 0) {
        cr_assert_eq(batch_parse(bytes, &header), ST_OK);
        bytes = slice_of(bytes.data + batch_size(&header), bytes.len - batch_size(&header));
    }
    return batch_last_offset(&header) + 1;
}

// One fetch: the aborted transactions of what was read are asked for behind it.
static int64_t see_bytes(struct reading *reading, struct slice bytes, int64_t from)
{
    struct log *log = reading->txns->compact.help.log;
    int64_t next = end_of(bytes);
    reading->aborted_count = 0;
    memset(reading->hidden, 0, sizeof reading->hidden);
    if (log_may_have_aborted(log, from, next)) {
        reading->aborted_count = -1;
        log_find_aborted(log, from, next, on_aborted, reading);
        while (reading->aborted_count < 0)
            cr_assert(fake_step(reading->txns->compact.help.env));
    }
    reading->view.entries += reading->aborted_count;
    while (bytes.len > 0) {
        struct batch_header header;
        cr_assert_eq(batch_parse(bytes, &header), ST_OK);
        struct slice batch = slice_of(bytes.data, batch_size(&header));
        see_batch(reading, batch, &header);
        bytes = slice_of(bytes.data + batch.len, bytes.len - batch.len);
    }
    return next;
}

struct cold {
    enum status status;
    struct piece piece;
    bool done;
};

static void on_cold(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    *(struct cold *)context = (struct cold){.status = status, .piece = *piece, .done = true};
}

static int64_t see_piece(struct reading *reading, struct piece *piece, int64_t from)
{
    uint8_t *copy = malloc(piece->len);
    size_t got = piece->len;
    if (piece->file != NULL)
        cr_assert_eq(
            file_pread(reading->txns->compact.help.env, piece->file, copy, piece->len, piece->position, &got),
            ST_OK);
    else
        memcpy(copy, piece->data, piece->len);
    int64_t next = see_bytes(reading, slice_of(copy, got), from);
    free(copy);
    piece_release(piece);
    return next;
}

// The offset behind what was read; the stable end when nothing is below it any more.
static int64_t see_some(struct reading *reading, int64_t from)
{
    struct log *log = reading->txns->compact.help.log;
    struct log_range range = {.from = from, .up_to = reading->stable, .max_bytes = 700, .min_one = true};
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count;
    if (log_read(log, &range, pieces, LOG_PIECES, &count, &found) == ST_OK) {
        int64_t next = count > 0 ? from : reading->stable;
        for (int i = 0; i < count; i++)
            next = see_piece(reading, &pieces[i], next);
        return next;
    }
    struct cold cold = {0};
    log_read_async(log, &range, on_cold, &cold);
    while (!cold.done)
        cr_assert(fake_step(reading->txns->compact.help.env));
    cr_assert_eq(cold.status, ST_OK, "%s", status_name(cold.status));
    return cold.piece.len > 0 ? see_piece(reading, &cold.piece, from) : reading->stable;
}

static void check_newest(const struct reading *reading)
{
    const struct txns *txns = reading->txns;
    const struct txn_row *newest[TXN_KEYS] = {0};
    for (int i = 0; i < txns->count && txns->rows[i].offset < reading->stable; i++)
        if (txns->rows[i].fate == TXN_COMMITTED)
            newest[txns->rows[i].key] = &txns->rows[i];
    for (int k = 0; k < TXN_KEYS; k++) {
        int expected = newest[k] != NULL ? newest[k]->version : NONE;
        if (reading->view.newest[k] == NONE && expected == -1 && txns->tombstones_gone)
            continue;
        cr_assert_eq(reading->view.newest[k], expected, "key %d at %lld", k,
                     newest[k] != NULL ? (long long)newest[k]->offset : -1);
    }
}

struct txn_view txns_check(struct txns *txns, int64_t clean)
{
    struct log *log = txns->compact.help.log;
    struct reading reading = {.txns = txns, .clean = clean};
    reading.stable = log_stable_end(log, log_end(log));
    cr_assert_eq(reading.stable, txns_stable(txns), "stable to %lld", (long long)reading.stable);
    for (int k = 0; k < TXN_KEYS; k++)
        reading.view.newest[k] = NONE;
    int64_t offset = log_start(log);
    while (offset < reading.stable) {
        int64_t next = see_some(&reading, offset);
        cr_assert_gt(next, offset);
        offset = next;
    }
    check_newest(&reading);
    return reading.view;
}
