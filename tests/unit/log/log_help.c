// SPDX-License-Identifier: Apache-2.0
// See log_help.h.
#include "log_help.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void on_durable(struct log *log, enum status status)
{
    struct help *help = log_user(log);
    if (help == NULL)
        return; // another log than the one looked at
    help->told = status;
    help->durable_calls++;
    if (status == ST_OK)
        help->acked = log_flushed(log);
}

void help_on_done(struct log *log, enum status status, void *context)
{
    struct help *help = context;
    help->done = status;
    help->done_calls++;
}

void help_init(struct help *help, uint64_t seed)
{
    *help = (struct help){.producer_id = -1, .timestamp = 1700000000000};
    help->env = fake_env_new(seed);
    help->config = log_set_config_default();
    help->config.cluster_id = "cluster-1";
    help->config.node_id = 1;
    help->config.log.segment_bytes = 4096;
    help->config.log.index_interval_bytes = 256;
    help->config.journal_block_bytes = 5 * 4096; // a header's page and a few groups
}

void help_fini(struct help *help)
{
    if (help->set != NULL)
        help_crash(help, false, false);
    fake_env_destroy(&help->env);
}

enum status help_try_open(struct help *help)
{
    help->log = NULL;
    enum status status = log_set_open(help->env, "/data", &help->config, &help->set);
    if (status != ST_OK) {
        help->set = NULL;
        return status;
    }
    help->log = log_set_find(help->set, "t-0");
    if (help->log != NULL)
        log_attach(help->log, help);
    return ST_OK;
}

void help_open(struct help *help, bool create)
{
    cr_assert_eq(help_try_open(help), ST_OK, "%s", fake_of(help->env)->last_line);
    if (help->log == NULL && create) {
        struct uuid id = {{7}};
        cr_assert_eq(log_create(help->set, "t-0", id, &help->config.log, &help->log), ST_OK);
        log_attach(help->log, help);
    }
    log_flush(help->set, on_durable);
}

static void on_closed(enum status status, void *context)
{
    struct help *help = context;
    help->done = status;
    help->set = NULL;
    help->log = NULL;
}

void help_close(struct help *help)
{
    log_set_close(help->set, on_closed, help);
    fake_run(help->env);
    cr_assert_null(help->set, "close was not answered");
}

void help_crash(struct help *help, bool power, bool torn)
{
    fake_of(help->env)->dead = true; // what is queued runs into nothing
    fake_run(help->env);
    if (help->set != NULL)
        log_set_abandon(&help->set);
    help->log = NULL;
    if (power)
        fake_power_cut(help->env, torn);
    else
        fake_revive(help->env);
}

enum status help_append_to(struct help *help, struct log *log, int records, size_t value_len, int32_t epoch)
{
    struct batch_record rows[64];
    char value[8192];
    cr_assert(records <= 64 && value_len <= sizeof value);
    int64_t base = log_end(log);
    memset(value, 'a' + (int)(base % 26), sizeof value);
    for (int i = 0; i < records; i++)
        rows[i] =
            (struct batch_record){.timestamp = help->timestamp + i, .value = slice_of(value, value_len)};
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = base;
    spec.leader_epoch = epoch;
    spec.compression = help->compression;
    if (help->producer_id >= 0) {
        spec.producer_id = help->producer_id;
        spec.producer_epoch = 0;
        spec.base_sequence = help->sequence;
    }
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    cr_assert_eq(batch_build(&spec, rows, records, &bytes), ST_OK);
    struct block *block = block_copy(buf_slice(&bytes));
    buf_fini(&bytes);
    struct batch_header header;
    cr_assert_eq(batch_parse(block_slice(block), &header), ST_OK);
    enum status status = log_append(log, block, 0, block->len, &header);
    block_unref(&block);
    if (status == ST_OK && log == help->log) {
        cr_assert(help->count < HELP_BATCHES_MAX);
        help->batches[help->count++] = (struct help_batch){
            .base = base, .last = batch_last_offset(&header), .epoch = epoch, .crc = header.crc};
        help->sequence += records;
        help->timestamp += 1000;
    }
    return status;
}

enum status help_append(struct help *help, int records, size_t value_len, int32_t epoch)
{
    return help_append_to(help, help->log, records, value_len, epoch);
}

void help_flush(struct help *help)
{
    log_flush(help->set, on_durable);
    fake_run(help->env);
}

void help_forget_from(struct help *help, int64_t offset)
{
    while (help->count > 0 && help->batches[help->count - 1].last >= offset)
        help->count--;
}

struct cold {
    enum status status;
    struct piece piece;
    struct log_found found;
    bool done;
};

static void on_cold(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    struct cold *cold = context;
    *cold = (struct cold){.status = status, .piece = *piece, .found = *found, .done = true};
}

static const struct help_batch *expected_at(const struct help *help, int64_t offset)
{
    for (int i = 0; i < help->count; i++)
        if (help->batches[i].last >= offset)
            return &help->batches[i];
    return NULL;
}

// Compares the batches in bytes with those noted from offset on.
static int64_t check_bytes(struct help *help, struct slice bytes, int64_t offset, int *seen)
{
    while (bytes.len > 0) {
        struct batch_header header;
        cr_assert_eq(batch_parse(bytes, &header), ST_OK);
        cr_assert_leq(batch_size(&header), bytes.len);
        cr_assert(batch_crc_ok(slice_of(bytes.data, batch_size(&header)), &header));
        const struct help_batch *expected = expected_at(help, offset);
        cr_assert_not_null(expected, "unknown batch at %lld", (long long)offset);
        cr_assert_eq(header.base_offset, expected->base);
        cr_assert_eq(header.crc, expected->crc, "other content at %lld", (long long)offset);
        cr_assert_eq(header.leader_epoch, expected->epoch);
        offset = batch_last_offset(&header) + 1;
        bytes = slice_of(bytes.data + batch_size(&header), bytes.len - batch_size(&header));
        (*seen)++;
    }
    return offset;
}

static int64_t check_pieces(struct help *help, struct piece *pieces, int count, int64_t offset, int *seen)
{
    uint8_t *copy = malloc(1 << 20);
    size_t len = 0, got;
    for (int i = 0; i < count; i++) {
        if (pieces[i].file != NULL) {
            cr_assert_eq(
                file_pread(help->env, pieces[i].file, copy + len, pieces[i].len, pieces[i].position, &got),
                ST_OK);
            cr_assert_eq(got, pieces[i].len);
        } else {
            memcpy(copy + len, pieces[i].data, pieces[i].len);
        }
        len += pieces[i].len;
        piece_release(&pieces[i]);
    }
    offset = check_bytes(help, slice_of(copy, len), offset, seen);
    free(copy);
    return offset;
}

static int64_t read_some(struct help *help, int64_t offset, int *seen)
{
    struct log_range range = {.from = offset,
                              .up_to = log_end(help->log),
                              .max_bytes = 1500,
                              .min_one = true,
                              .in_file = *seen % 2};
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count;
    enum status status = log_read(help->log, &range, pieces, LOG_PIECES, &count, &found);
    if (status == ST_OK) {
        cr_assert_gt(count, 0, "nothing at %lld", (long long)offset);
        int64_t next = check_pieces(help, pieces, count, offset, seen);
        cr_assert_eq(next, found.next);
        return next;
    }
    cr_assert_eq(status, ST_AGAIN, "read says %s", status_name(status));
    struct cold cold = {0};
    log_read_async(help->log, &range, on_cold, &cold);
    fake_run(help->env);
    cr_assert(cold.done);
    cr_assert_eq(cold.status, ST_OK, "cold read at %lld says %s", (long long)offset,
                 status_name(cold.status));
    cr_assert_gt(cold.piece.len, 0, "nothing cold at %lld", (long long)offset);
    int64_t next = check_pieces(help, &cold.piece, 1, offset, seen);
    cr_assert_eq(next, cold.found.next);
    return next;
}

int help_check_content(struct help *help)
{
    int seen = 0;
    int64_t offset = log_start(help->log);
    while (offset < log_end(help->log))
        offset = read_some(help, offset, &seen);
    cr_assert_eq(offset, log_end(help->log));
    return seen;
}
