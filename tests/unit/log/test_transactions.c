// SPDX-License-Identifier: Apache-2.0
// Transactions in a log against what Apache Kafka's classes made of the same batches
// (tests/golden/transactions): stable offsets, index entries, look-ups, snapshots; live, after a crash, after
// a clean stop, after damage, after truncation, in one segment and in many.
#include "log_help.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "log/fates.h"
#include "log/internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define GOLDEN MILLRACE_SOURCE_DIR "/tests/golden/transactions/"
static const char first_index[] = "/data/t-0/00000000000000000000.txnindex";

enum { BATCHES = 150, LOOKUPS = 60, BYTES_MAX = 64 << 10 };

struct step {
    struct batch_header header;
    size_t from;
    int64_t watermark, unstable;
};

struct golden {
    uint8_t log[BYTES_MAX], index[BYTES_MAX], snapshot[BYTES_MAX];
    size_t log_len, index_len, snapshot_len;
    struct step steps[BATCHES];
};

static size_t read_all(const char *name, uint8_t *out)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", GOLDEN, name);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    size_t len = fread(out, 1, BYTES_MAX, file);
    fclose(file);
    return len;
}

static struct golden *golden_new(void)
{
    struct golden *golden = calloc(1, sizeof *golden);
    golden->log_len = read_all("00000000000000000000.log", golden->log);
    golden->index_len = read_all("00000000000000000000.txnindex", golden->index);
    golden->snapshot_len = read_all("00000000000000000330.snapshot", golden->snapshot);
    FILE *steps = fopen(GOLDEN "steps.txt", "r");
    cr_assert_not_null(steps);
    size_t at = 0;
    for (int i = 0; i < BATCHES; i++) {
        struct step *step = &golden->steps[i];
        long long watermark, unstable;
        step->from = at;
        cr_assert_eq(batch_parse(slice_of(golden->log + at, golden->log_len - at), &step->header), ST_OK);
        cr_assert_eq(fscanf(steps, "%lld %lld", &watermark, &unstable), 2);
        step->watermark = watermark;
        step->unstable = unstable;
        at += batch_size(&step->header);
    }
    fclose(steps);
    cr_assert_eq(at, golden->log_len);
    return golden;
}

static void append_step(struct help *help, const struct golden *golden, int i)
{
    const struct step *step = &golden->steps[i];
    struct block *block = block_copy(slice_of(golden->log + step->from, batch_size(&step->header)));
    cr_assert_eq(log_append(help->log, block, 0, block->len, &step->header), ST_OK);
    block_unref(&block);
}

static int64_t kafkas_stable(const struct step *step)
{
    return step->unstable >= 0 && step->unstable < step->watermark ? step->unstable : step->watermark;
}

static void open_one_segment(struct help *help)
{
    help_init(help, 1);
    help->config.log.segment_bytes = 1 << 20;
    help_open(help, true);
}

// Appends all; after each batch the stable end is Kafka's.
static void append_all(struct help *help, const struct golden *golden)
{
    for (int i = 0; i < BATCHES; i++) {
        append_step(help, golden, i);
        log_note_high_watermark(help->log, golden->steps[i].watermark);
        cr_assert_eq(log_stable_end(help->log, golden->steps[i].watermark), kafkas_stable(&golden->steps[i]),
                     "batch %d", i);
        if (i % 10 == 9)
            help_flush(help);
    }
}

static void check_index(struct help *help, const struct golden *golden)
{
    struct buf *index = fake_file(help->env, first_index);
    cr_assert_not_null(index);
    cr_assert(slice_equal(buf_slice(index), slice_of(golden->index, golden->index_len)));
}

// ---- look-ups ----

static void on_found(struct log *log, enum status status, const struct log_aborted *rows, int count,
                     void *context)
{
    char *text = context;
    cr_assert_eq(status, ST_OK);
    *text = 0;
    for (int i = 0; i < count; i++)
        text += sprintf(text, " %lld:%lld", (long long)rows[i].producer_id, (long long)rows[i].first);
}

static void check_lookups(struct help *help)
{
    char line[1024], found[1024];
    FILE *lookups = fopen(GOLDEN "lookups.txt", "r");
    for (int i = 0; i < LOOKUPS; i++) {
        long long from, to;
        int len;
        cr_assert_not_null(fgets(line, sizeof line, lookups));
        line[strcspn(line, "\n")] = 0;
        cr_assert_eq(sscanf(line, "%lld %lld%n", &from, &to, &len), 2);
        strcpy(found, "not told");
        log_find_aborted(help->log, from, to, on_found, found);
        fake_run(help->env);
        cr_assert_str_eq(found, line + len, "%lld to %lld", from, to);
        cr_assert(log_may_have_aborted(help->log, from, to) || line[len] == 0);
    }
    fclose(lookups);
}

Test(transactions, stable_offsets_and_the_index_are_kafkas)
{
    struct golden *golden = golden_new();
    struct help help;
    open_one_segment(&help);
    for (int i = 0; i < BATCHES; i++)
        append_step(&help, golden, i);
    check_lookups(&help); // all entries are in memory
    help_flush(&help);
    fake_advance_ms(help.env, 1000); // what the journal has is written to the segment
    check_index(&help, golden);
    check_lookups(&help);
    help_fini(&help);
    open_one_segment(&help);
    append_all(&help, golden);
    help_close(&help);
    check_index(&help, golden);
    help_fini(&help);
    free(golden);
}

Test(transactions, look_ups_over_many_segments_are_kafkas)
{
    struct golden *golden = golden_new();
    struct help help;
    help_init(&help, 1);
    help.config.log.segment_bytes = 900;
    help_open(&help, true);
    append_all(&help, golden);
    cr_assert_gt(help.log->state.count, 10);
    check_lookups(&help);
    help_flush(&help);
    check_lookups(&help);
    help_crash(&help, true, false);
    help_open(&help, false);
    check_lookups(&help);
    help_close(&help);
    help_open(&help, false);
    check_lookups(&help);
    help_fini(&help);
    free(golden);
}

// ---- snapshots ----

enum { ROW = 46, HEAD = 10 };

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, ROW);
}

Test(transactions, the_snapshot_has_kafkas_rows)
{
    struct golden *golden = golden_new();
    struct help help;
    open_one_segment(&help);
    append_all(&help, golden);
    help_close(&help);
    struct buf *snapshot = fake_file(help.env, "/data/t-0/00000000000000000330.snapshot");
    cr_assert_not_null(snapshot);
    uint32_t rows = load_be32(golden->snapshot + 6);
    cr_assert_eq(load_be32(snapshot->data + 6), rows);
    qsort(snapshot->data + HEAD, rows, ROW, by_bytes);
    qsort(golden->snapshot + HEAD, rows, ROW, by_bytes);
    cr_assert_arr_eq(snapshot->data + HEAD, golden->snapshot + HEAD, rows * ROW);
    help_fini(&help);
    free(golden);
}

// ---- recovery ----

static void check_recovered(struct help *help, const struct golden *golden)
{
    const struct step *last = &golden->steps[BATCHES - 1];
    help_open(help, false);
    check_index(help, golden);
    check_lookups(help);
    // A snapshot says nothing of ended transactions whose marker is above the watermark; Kafka's neither.
    cr_assert_geq(log_stable_end(help->log, last->watermark), kafkas_stable(last));
}

Test(transactions, everything_is_there_after_a_crash_a_stop_and_damage)
{
    struct golden *golden = golden_new();
    struct help help;
    open_one_segment(&help);
    append_all(&help, golden);
    help_crash(&help, true, false);
    check_recovered(&help, golden);
    help_close(&help);
    check_recovered(&help, golden);
    help_close(&help);
    long changes = fake_of(help.env)->changes;
    check_recovered(&help, golden);
    long clean = fake_of(help.env)->changes - changes;
    fake_file(help.env, first_index)->data[78] ^= 1; // a first offset above its marker's
    help_close(&help);
    changes = fake_of(help.env)->changes;
    check_recovered(&help, golden);
    cr_assert_gt(fake_of(help.env)->changes - changes, clean, "a clean start leaves the index alone");
    help_close(&help);
    fake_file(help.env, first_index)->len -= 5;
    check_recovered(&help, golden);
    help_fini(&help);
    free(golden);
}

Test(transactions, an_index_that_was_lost_with_the_power_is_made_anew)
{
    struct golden *golden = golden_new();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct help help;
        help_init(&help, seed);
        help.config.log.segment_bytes = 3000;
        help_open(&help, true);
        append_all(&help, golden);
        help_flush(&help);
        help_crash(&help, true, true);
        help_open(&help, false);
        cr_assert_eq(log_end(help.log), 330);
        check_lookups(&help);
        help_fini(&help);
    }
    free(golden);
}

static bool count_index(const char *name, void *context)
{
    int *count = context;
    if (strstr(name, ".txnindex") != NULL)
        (*count)++;
    return true;
}

// A snapshot is synced when its segment begins, the directory's entry of the index before it a moment later.
Test(transactions, a_snapshot_above_the_recovery_point_proves_no_index)
{
    struct golden *golden = golden_new();
    struct help help;
    int indexes = 0;
    help_init(&help, 1);
    help.config.log.segment_bytes = 3000;
    help_open(&help, true);
    append_all(&help, golden);
    help_flush(&help);
    help_crash(&help, false, false);
    cr_assert_eq(path_list(help.env, "/data/t-0", count_index, &indexes), ST_OK);
    cr_assert_gt(indexes, 1);
    cr_assert_eq(path_unlink(help.env, first_index), ST_OK);
    help_open(&help, false);
    check_lookups(&help);
    help_fini(&help);
    free(golden);
}

static void on_done(struct log *log, enum status status, void *context)
{
    cr_assert_eq(status, ST_OK);
}

// A transaction that was aborted and one that is open come back as they were at every cut.
Test(transactions, a_cut_takes_index_entries_and_opens_transactions_again)
{
    struct golden *golden = golden_new();
    for (int cut = BATCHES - 1; cut > 0; cut -= 7) {
        struct help help;
        help_init(&help, 1);
        help.config.log.segment_bytes = 2000;
        help_open(&help, true);
        append_all(&help, golden);
        const struct step *step = &golden->steps[cut - 1];
        int64_t to = golden->steps[cut].header.base_offset;
        log_note_high_watermark(help.log, step->watermark);
        log_truncate(help.log, to, on_done, NULL);
        fake_run(help.env);
        cr_assert_eq(log_end(help.log), to);
        cr_assert_leq(log_stable_end(help.log, step->watermark), kafkas_stable(step), "cut %d", cut);
        for (int i = cut; i < BATCHES; i++)
            append_step(&help, golden, i);
        check_lookups(&help);
        help_flush(&help);
        check_lookups(&help);
        help_fini(&help);
    }
    free(golden);
}

Test(transactions, a_producer_with_an_open_transaction_is_never_forgotten)
{
    struct log_producers producers;
    struct log_aborted aborted;
    log_producers_init(&producers, 2);
    for (int64_t id = 1; id <= 4; id++) {
        struct batch_header header = {
            .producer_id = id, .base_offset = id * 10, .attributes = id == 4 ? 0 : BATCH_TRANSACTIONAL};
        cr_assert(!log_producers_note(&producers, &header, NULL, 0, &aborted));
    }
    cr_assert_eq(log_producers_unstable(&producers, INT64_MAX), 10);
    log_producers_expire(&producers, 1000, 1);
    cr_assert_eq(producers.by_id.count, 3);
    struct batch_marker abort = {.abort = true, .coordinator_epoch = 5};
    struct batch_header marker = {
        .producer_id = 1, .base_offset = 50, .attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL};
    cr_assert(log_producers_note(&producers, &marker, &abort, 0, &aborted));
    cr_assert_eq(aborted.first, 10);
    cr_assert_eq(aborted.last, 50);
    cr_assert_eq(aborted.stable, 20, "the earliest that is open then");
    cr_assert_eq(log_producers_unstable(&producers, 50), 10, "its marker is not replicated");
    cr_assert_eq(log_producers_unstable(&producers, 51), 20);
    log_producers_fini(&producers);
}

Test(transactions, the_stable_end_is_never_below_the_start)
{
    struct golden *golden = golden_new();
    struct help help;
    open_one_segment(&help);
    append_all(&help, golden);
    int64_t end = log_end(help.log), open = log_stable_end(help.log, end);
    cr_assert_lt(open, end - 1, "a transaction is open");
    log_raise_start(help.log, open + 1, help_on_done, &help);
    fake_run(help.env);
    cr_expect_eq(log_stable_end(help.log, end), open + 1);
    log_raise_start(help.log, end, help_on_done, &help);
    fake_run(help.env);
    cr_expect_eq(log_stable_end(help.log, end), end);
    help_fini(&help);
    free(golden);
}

Test(transactions, markers_that_are_none_are_told)
{
    struct golden *golden = golden_new();
    struct batch_marker marker;
    int markers = 0;
    for (int i = 0; i < BATCHES; i++) {
        struct step *step = &golden->steps[i];
        uint8_t *bytes = golden->log + step->from;
        size_t len = batch_size(&step->header);
        if (!(step->header.attributes & BATCH_CONTROL))
            continue;
        markers++;
        cr_assert_eq(batch_marker_parse(slice_of(bytes, len), &step->header, &marker), ST_OK);
        cr_assert(marker.coordinator_epoch >= 40 && marker.coordinator_epoch <= 42);
        for (size_t cut = BATCH_HEADER_SIZE; cut < len; cut++)
            cr_assert_neq(batch_marker_parse(slice_of(bytes, cut), &step->header, &marker), ST_OK);
    }
    cr_assert_gt(markers, 10);
    free(golden);
}

// ---- compaction ----

static void fates_of_index(struct log_fates *fates, const struct golden *golden)
{
    int count = (int)(golden->index_len / LOG_ABORTED_ENTRY);
    struct log_aborted *rows = mem_calloc((size_t)count, sizeof *rows);
    for (int i = 0; i < count; i++)
        log_aborted_parse(golden->index + (size_t)i * LOG_ABORTED_ENTRY, &rows[i]);
    log_fates_init(fates, rows, count);
}

// Shows the batches that are not gone, as ShowFates.java does; *told grows by what it would print.
static void show_all(const struct golden *golden, bool gone[BATCHES], char **told)
{
    struct log_fates fates;
    const struct log_aborted *entry;
    char entries[4096] = "";
    size_t at = 0;
    fates_of_index(&fates, golden);
    for (int i = 0; i < BATCHES; i++) {
        const struct step *step = &golden->steps[i];
        bool data = (step->header.attributes & BATCH_CONTROL) == 0;
        struct slice batch = slice_of(golden->log + step->from, batch_size(&step->header));
        if (gone[i])
            continue;
        bool useless = log_fates_show(&fates, batch, &step->header, &entry);
        *told += sprintf(*told, "batch %lld %d\n", (long long)step->header.base_offset, useless);
        gone[i] = data && (useless || (i + 1) % 3 == 0);
        if (entry != NULL)
            at += (size_t)snprintf(entries + at, sizeof entries - at, "entry %lld %lld %lld\n",
                                   (long long)entry->producer_id, (long long)entry->first,
                                   (long long)entry->last);
    }
    *told += sprintf(*told, "%s", entries);
    log_fates_fini(&fates);
}

Test(transactions, what_compaction_may_discard_is_what_kafkas_cleaner_may)
{
    struct golden *golden = golden_new();
    bool gone[BATCHES] = {false};
    static uint8_t expected[BYTES_MAX];
    static char told[BYTES_MAX];
    char *at = told;
    size_t len = read_all("fates.txt", expected);
    show_all(golden, gone, &at);
    at += sprintf(at, "round\n");
    show_all(golden, gone, &at);
    cr_assert_eq((size_t)(at - told), len);
    cr_assert_arr_eq(told, expected, len);
    free(golden);
}
