// SPDX-License-Identifier: Apache-2.0
// See compact_help.h.
#include "compact_help.h"

#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void configure(struct compact *compact)
{
    struct log_config *config = &compact->help.config.log;
    config->segment_bytes = 2000;
    config->compact = true;
    config->dirty_ratio_min = 0;
    compact->help.config.clean.backoff_ms = 1000;
}

void compact_init(struct compact *compact, uint64_t seed)
{
    *compact = (struct compact){.keys = COMPACT_KEYS, .prng = {.state = seed * 77 + 1}};
    help_init(&compact->help, seed);
    configure(compact);
    compact_open(compact);
}

void compact_open(struct compact *compact)
{
    help_open(&compact->help, true);
}

void compact_fini(struct compact *compact)
{
    help_fini(&compact->help);
}

int64_t compact_first_dirty(const struct compact *compact)
{
    return compact->help.log->clean.first_dirty;
}

static int random_below(struct compact *compact, int below)
{
    return (int)(prng_next(&compact->prng) % (uint64_t)below);
}

static void make_record(struct compact *compact, struct batch_record *record, struct compact_row *row,
                        char text[2][32])
{
    *row = (struct compact_row){.key = random_below(compact, compact->keys), .version = compact->versions++};
    if (random_below(compact, 6) == 0)
        row->version = -1;
    snprintf(text[0], 32, "key-%d", row->key);
    snprintf(text[1], 32, "version-%d", row->version);
    *record = (struct batch_record){.timestamp = compact->help.timestamp++, .key = slice_str(text[0])};
    if (row->version >= 0)
        record->value = slice_str(text[1]);
}

static enum status append_batch(struct compact *compact)
{
    enum { RECORDS = 6 };
    struct batch_record records[RECORDS];
    struct compact_row rows[RECORDS];
    char text[RECORDS][2][32];
    struct help *help = &compact->help;
    int count = 1 + random_below(compact, RECORDS);
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = log_end(help->log);
    spec.leader_epoch = compact->epoch;
    spec.compression = (enum compression)random_below(compact, COMPRESSION_COUNT);
    for (int i = 0; i < count; i++) {
        make_record(compact, &records[i], &rows[i], text[i]);
        rows[i].offset = spec.base_offset + i;
        rows[i].last = spec.base_offset + count - 1;
    }
    if (help->producer_id >= 0) {
        spec.producer_id = help->producer_id;
        spec.producer_epoch = 0;
        spec.base_sequence = (int32_t)spec.base_offset; // one number per record
    }
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    cr_assert_eq(batch_build(&spec, records, count, &bytes), ST_OK);
    struct block *block = block_copy(buf_slice(&bytes));
    struct batch_header header;
    cr_assert_eq(batch_parse(block_slice(block), &header), ST_OK);
    enum status status = log_append(help->log, block, 0, block->len, &header);
    block_unref(&block);
    buf_fini(&bytes);
    cr_assert_leq(compact->count + count, COMPACT_ROWS_MAX);
    for (int i = 0; i < count && status == ST_OK; i++)
        compact->rows[compact->count++] = rows[i];
    return status;
}

void compact_append(struct compact *compact, int batches)
{
    for (int i = 0; i < batches; i++)
        if (append_batch(compact) != ST_OK)
            break; // the process is dead
    help_flush(&compact->help);
}

void compact_clean(struct compact *compact)
{
    struct help *help = &compact->help;
    log_note_high_watermark(help->log, log_flushed(help->log));
    int64_t before = -1;
    while (before != compact_first_dirty(compact)) {
        before = compact_first_dirty(compact);
        for (int i = 0; i < 4; i++) // write-backs, checkpoints, cleanings
            fake_advance_ms(help->env, 1001);
    }
}

void compact_mark_superseded(struct compact *compact)
{
    int newest[COMPACT_KEYS] = {0};
    for (int i = 0; i < compact->count; i++)
        newest[compact->rows[i].key] = i;
    for (int i = 0; i < compact->count; i++)
        if (newest[compact->rows[i].key] != i)
            compact->rows[i].superseded = true;
}

void compact_forget_from(struct compact *compact, int64_t offset)
{
    compact_mark_superseded(compact);
    while (compact->count > 0 && compact->rows[compact->count - 1].last >= offset)
        compact->count--;
}

// ---- checking ----

struct checking {
    struct compact *compact;
    int64_t clean;
    int next; // first row not yet met
    int seen;
    int newest_below[COMPACT_KEYS]; // row of the key's last record below `clean`, -1
    int newest[COMPACT_KEYS];       // and of all
    bool met[COMPACT_KEYS];         // the newest of all was read
};

static void note_newest(struct checking *checking)
{
    const struct compact *compact = checking->compact;
    for (int k = 0; k < COMPACT_KEYS; k++)
        checking->newest_below[k] = checking->newest[k] = -1;
    for (int i = 0; i < compact->count; i++) {
        checking->newest[compact->rows[i].key] = i;
        if (compact->rows[i].offset < checking->clean)
            checking->newest_below[compact->rows[i].key] = i;
    }
}

static void check_record(struct checking *checking, const struct record *record)
{
    const struct compact *compact = checking->compact;
    char key[32], value[32];
    while (checking->next < compact->count && compact->rows[checking->next].offset < record->offset)
        checking->next++;
    cr_assert_lt(checking->next, compact->count, "unknown record at %lld", (long long)record->offset);
    const struct compact_row *row = &compact->rows[checking->next];
    cr_assert_eq(row->offset, record->offset, "a record moved to %lld", (long long)record->offset);
    snprintf(key, sizeof key, "key-%d", row->key);
    snprintf(value, sizeof value, "version-%d", row->version);
    cr_assert(slice_equal(record->key, slice_str(key)));
    cr_assert_eq(row->version < 0, record->value.data == NULL);
    cr_assert(row->version < 0 || slice_equal(record->value, slice_str(value)));
    if (row->offset < checking->clean)
        cr_assert_eq(checking->newest_below[row->key], checking->next, "%s at %lld is superseded below %lld",
                     key, (long long)row->offset, (long long)checking->clean);
    if (checking->newest[row->key] == checking->next)
        checking->met[row->key] = true;
    checking->next++;
    checking->seen++;
}

static int64_t check_bytes(struct checking *checking, struct slice bytes, int64_t offset)
{
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    while (bytes.len > 0) {
        struct batch_header header;
        struct batch_reader reader;
        struct record record;
        cr_assert_eq(batch_parse(bytes, &header), ST_OK);
        struct slice batch = slice_of(bytes.data, batch_size(&header));
        cr_assert(batch_crc_ok(batch, &header));
        cr_assert_geq(batch_last_offset(&header), offset);
        cr_assert_eq(batch_reader_init(&reader, batch, &header, &compress_limits_default, &scratch), ST_OK);
        while (batch_next(&reader, &record) == ST_OK)
            if (record.offset >= log_start(checking->compact->help.log))
                check_record(checking, &record);
        offset = batch_last_offset(&header) + 1;
        bytes = slice_of(bytes.data + batch.len, bytes.len - batch.len);
    }
    buf_fini(&scratch);
    return offset;
}

struct cold {
    enum status status;
    struct piece piece;
    bool done;
};

static void on_cold(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    struct cold *cold = context;
    *cold = (struct cold){.status = status, .piece = *piece, .done = true};
}

static int64_t check_piece(struct checking *checking, struct piece *piece, int64_t offset)
{
    struct env *env = checking->compact->help.env;
    uint8_t *copy = malloc(piece->len);
    size_t got = piece->len;
    if (piece->file != NULL)
        cr_assert_eq(file_pread(env, piece->file, copy, piece->len, piece->position, &got), ST_OK);
    else
        memcpy(copy, piece->data, piece->len);
    cr_assert_eq(got, piece->len);
    offset = check_bytes(checking, slice_of(copy, piece->len), offset);
    free(copy);
    piece_release(piece);
    return offset;
}

static int64_t read_some(struct checking *checking, int64_t offset)
{
    struct log *log = checking->compact->help.log;
    struct log_range range = {
        .from = offset, .up_to = log_end(log), .max_bytes = 900, .min_one = true, .in_file = offset % 2};
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count;
    enum status status = log_read(log, &range, pieces, LOG_PIECES, &count, &found);
    for (int i = 0; status == ST_OK && i < count; i++)
        offset = check_piece(checking, &pieces[i], offset);
    if (status == ST_OK)
        return offset;
    struct cold cold = {0};
    cr_assert_eq(status, ST_AGAIN);
    log_read_async(log, &range, on_cold, &cold);
    while (!cold.done)
        cr_assert(fake_step(checking->compact->help.env));
    cr_assert_eq(cold.status, ST_OK, "cold read at %lld says %s", (long long)offset,
                 status_name(cold.status));
    cr_assert_gt(cold.piece.len, 0, "nothing cold at %lld", (long long)offset);
    return check_piece(checking, &cold.piece, offset);
}

int compact_check(struct compact *compact, int64_t clean)
{
    struct checking checking = {.compact = compact, .clean = clean};
    struct log *log = compact->help.log;
    note_newest(&checking);
    int64_t offset = log_start(log);
    while (offset < log_end(log)) {
        int64_t next = read_some(&checking, offset);
        cr_assert_gt(next, offset, "no progress at %lld", (long long)offset);
        offset = next;
    }
    for (int k = 0; k < COMPACT_KEYS; k++) {
        int row = checking.newest[k];
        if (row < 0 || compact->rows[row].offset >= log_end(log) ||
            compact->rows[row].offset < log_start(log))
            continue;
        bool may_be_gone =
            compact->tombstones_gone && compact->rows[row].version < 0 && compact->rows[row].offset < clean;
        cr_assert(checking.met[k] || may_be_gone || compact->rows[row].superseded,
                  "the newest record of key %d at %lld is gone", k, (long long)compact->rows[row].offset);
    }
    return checking.seen;
}

int64_t compact_newest_from(const struct compact *compact, int64_t from)
{
    int newest[COMPACT_KEYS] = {0};
    for (int i = 0; i < compact->count; i++)
        newest[compact->rows[i].key] = i;
    for (int i = 0; i < compact->count; i++)
        if (compact->rows[i].offset >= from && newest[compact->rows[i].key] == i)
            return compact->rows[i].offset;
    return INT64_MAX;
}
