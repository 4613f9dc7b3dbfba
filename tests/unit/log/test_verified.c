// SPDX-License-Identifier: Apache-2.0
// What is remembered of verified batches: which are found, what bounds it, what ends it; and reads of a log
// that are answered by it, which must never see what is not there any more.
#include "log/verified.h"

#include "log/internal.h"
#include "log_help.h"

#include <criterion/criterion.h>
#include <string.h>

enum { KEEP_MS = 1000, SIZE = 100, SPAN = 10, PLENTY = 1 << 20 }; // a batch's bytes and offsets

static struct env *env;
static struct log_verified *verified;
static struct log_known known;
static struct log_handle *handle;

static void set_up_with(int64_t keep_ms, int64_t bytes_max)
{
    env = fake_env_new(1);
    struct file *file;
    cr_assert_eq(file_open(env, "/f", FILE_WRITE | FILE_CREATE, &file), ST_OK);
    handle = log_handle_new(env, file);
    verified = log_verified_new(env, keep_ms, bytes_max);
    log_verified_each_metric(verified, NULL, metric_add);
    known = (struct log_known){0};
}

static void set_up(void)
{
    set_up_with(KEEP_MS, PLENTY);
}

static void tear_down(void)
{
    log_verified_each_metric(verified, NULL, metric_remove);
    log_verified_destroy(&verified);
    cr_expect_eq(handle->refs, 1, "the file is given back");
    log_handle_unref(&handle);
    fake_env_destroy(&env);
}

static int64_t metric(struct env *of, const char *name)
{
    for (struct metric *at = of->metrics->first; at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            return at->value;
    return -1;
}

static int64_t memory(void)
{
    return metric(env, "millrace_log_verified_memory_bytes");
}

static int64_t bytes(void)
{
    return metric(env, "millrace_log_verified_bytes");
}

// Batch i of a segment: offsets and bytes one behind the other.
static void add_to(int64_t segment, int i, int32_t epoch)
{
    log_verified_add(verified, &known, segment, handle,
                     &(struct log_place){.base = (int64_t)i * SPAN,
                                         .last = (int64_t)i * SPAN + SPAN - 1,
                                         .position = (int64_t)i * SIZE,
                                         .size = SIZE,
                                         .epoch = epoch});
}

static void add(int from, int to)
{
    for (int i = from; i < to; i++)
        add_to(0, i, 7);
}

static bool find(int64_t from, int64_t up_to, size_t max_bytes, struct log_stretch *found)
{
    struct log_range range = {.from = from, .up_to = up_to, .max_bytes = max_bytes};
    return log_verified_find(verified, &known, 0, &range, found);
}

// How many batches are known from batch i on.
static int length(int i)
{
    struct log_stretch found;
    return find((int64_t)i * SPAN, INT64_MAX, SIZE_MAX, &found) ? (int)(found.len / SIZE) : 0;
}

TestSuite(verified, .init = set_up, .fini = tear_down);
TestSuite(verified_otherwise, .fini = tear_down); // each sets up what it needs

Test(verified, whole_batches_are_found_from_the_one_that_holds_the_offset)
{
    struct log_stretch found;
    add(2, 10);
    cr_assert(find(35, INT64_MAX, 350, &found));
    cr_expect_eq(found.first, 30);
    cr_expect_eq(found.next, 60);
    cr_expect_eq(found.position, 300);
    cr_expect_eq(found.len, 300);
    cr_expect_eq(found.epoch, 7);
    cr_expect_eq(found.handle, handle);
    cr_assert(find(20, 49, PLENTY, &found)); // no batch that reaches the limit
    cr_expect_eq(found.next, 40);
    cr_assert(find(20, 30, SIZE - 1, &found)); // known, but too large
    cr_expect_eq(found.len, 0);
    cr_expect_eq(found.next, 20);
    struct log_range one = {.from = 20, .up_to = INT64_MAX, .max_bytes = 1, .min_one = true};
    cr_assert(log_verified_find(verified, &known, 0, &one, &found));
    cr_expect_eq(found.len, SIZE);
    cr_expect_not(find(19, INT64_MAX, PLENTY, &found));
    cr_expect_not(find(100, INT64_MAX, PLENTY, &found));
    cr_expect_not(log_verified_find(verified, &known, 50, &one, &found));
}

Test(verified, offsets_that_compaction_left_out_belong_to_the_batch_behind_them)
{
    struct log_stretch found;
    add(0, 1);
    log_verified_add(verified, &known, 0, handle,
                     &(struct log_place){.base = 50, .last = 59, .position = SIZE, .size = SIZE});
    cr_assert(find(0, INT64_MAX, PLENTY, &found)); // another epoch: another run, but the next bytes
    cr_expect_eq(found.next, 60);
    cr_expect_eq(found.len, 2 * SIZE);
    cr_expect_not(find(30, INT64_MAX, PLENTY, &found)); // what lies before a run it does not know
}

Test(verified, a_hole_ends_what_is_found)
{
    add(0, 3);
    add(4, 8);
    cr_expect_eq(length(0), 3);
    cr_expect_eq(length(3), 0);
    cr_expect_eq(length(4), 4);
    add(3, 4);
    cr_expect_eq(length(0), 8);
}

Test(verified, what_overlaps_is_kept_once)
{
    add(0, 5);
    add(8, 10);
    add(3, 9);
    add(0, 10);
    cr_expect_eq(length(0), 10);
    cr_expect_eq(bytes(), 10 * SIZE);
}

Test(verified, many_batches_and_epochs_are_one_stretch)
{
    struct log_stretch found;
    for (int i = 0; i < 3 * LOG_VERIFIED_RUN_ROWS + 5; i++)
        add_to(0, i, i / 100);
    cr_assert(find(5, INT64_MAX, SIZE_MAX, &found));
    cr_expect_eq(found.len, (3 * LOG_VERIFIED_RUN_ROWS + 5) * SIZE);
    cr_expect_eq(found.epoch, (3 * LOG_VERIFIED_RUN_ROWS + 4) / 100);
    cr_assert(find(LOG_VERIFIED_RUN_ROWS * SPAN, INT64_MAX, SIZE, &found));
    cr_expect_eq(found.position, LOG_VERIFIED_RUN_ROWS * SIZE);
    cr_expect_eq(found.epoch, LOG_VERIFIED_RUN_ROWS / 100);
}

Test(verified, it_is_forgotten_in_time_also_when_nobody_asks)
{
    add(0, 10);
    fake_advance_ms(env, KEEP_MS / 2);
    add(10, 20);
    add(0, 10); // known already: it does not count anew
    cr_expect_eq(length(0), 20);
    fake_advance_ms(env, KEEP_MS / 2 - 1);
    cr_expect_eq(length(0), 20);
    fake_advance_ms(env, 1);
    cr_expect_eq(bytes(), 10 * SIZE);
    cr_expect_eq(length(0), 0);
    cr_expect_eq(length(10), 10);
    fake_advance_ms(env, KEEP_MS / 2);
    cr_expect_eq(memory(), 0);
    cr_expect_eq(handle->refs, 1);
}

Test(verified, a_run_that_is_extended_for_ever_does_not_last_for_ever)
{
    for (int i = 0; i < 100; i++) {
        add(i, i + 1);
        fake_advance_ms(env, KEEP_MS / 20);
    }
    struct log_stretch found;
    cr_expect_leq(bytes(), 20 * SIZE);
    cr_expect_not(find(79 * SPAN - 1, INT64_MAX, SIZE, &found));
    cr_expect(find(99 * SPAN, INT64_MAX, SIZE, &found));
}

Test(verified_otherwise, memory_is_bounded_and_the_oldest_goes)
{
    enum { MAX = 20000 };
    set_up_with(KEEP_MS, MAX);
    for (int i = 0; i < 10000; i++) {
        add(i, i + 1);
        cr_assert_leq(memory(), MAX);
    }
    struct log_stretch found;
    cr_expect_not(find(0, INT64_MAX, SIZE, &found));
    cr_expect_gt(length(9900), 99);
}

Test(verified_otherwise, memory_for_nothing_remembers_nothing)
{
    set_up_with(KEEP_MS, 1);
    add(0, 10);
    cr_expect_eq(length(0), 0);
    cr_expect_eq(memory(), 0);
}

Test(verified_otherwise, no_time_remembers_nothing)
{
    set_up_with(0, PLENTY);
    add(0, 10);
    cr_expect_eq(length(0), 0);
}

Test(verified, files_are_bounded)
{
    for (int i = 0; i < LOG_VERIFIED_FILES + 50; i++)
        add_to(i, 0, 1);
    cr_expect_eq(handle->refs, 1 + LOG_VERIFIED_FILES);
    cr_expect_null(log_verified_handle(&known, 49));
    cr_expect_eq(log_verified_handle(&known, 50), handle);
}

Test(verified, what_left_the_cache_is_dropped_and_the_rest_stays)
{
    for (int i = 0; i < 30; i++)
        add_to(0, i, i / 10); // three runs
    struct log_stretch found;
    cr_assert(find(12 * SPAN, INT64_MAX, SIZE, &found));
    log_verified_drop(verified, &known, 0, &found);
    cr_expect_eq(length(0), 10);
    cr_expect_eq(length(12), 0);
    cr_expect_eq(length(20), 10);
    cr_assert(find(0, INT64_MAX, SIZE_MAX, &found));
    log_verified_drop(verified, &known, 0, &found);
    cr_expect_eq(length(0), 0);
    cr_expect_eq(length(20), 10);
}

Test(verified, segments_are_forgotten_by_their_base)
{
    for (int i = 0; i < 5; i++)
        add_to((int64_t)i * 1000, i, 1);
    log_verified_forget(verified, &known, 2000);
    cr_expect_null(log_verified_handle(&known, 1000));
    cr_expect_eq(log_verified_handle(&known, 2000), handle);
    log_verified_forget(verified, &known, INT64_MAX);
    cr_expect_eq(memory(), 0);
}

// Whatever comes and goes, what is found was added and not forgotten since.
Test(verified_otherwise, random_changes_leave_only_what_was_added)
{
    enum { BATCHES = 400, STEPS = 20000 };
    set_up_with(KEEP_MS, 30000);
    int64_t added_ms[BATCHES];
    struct log_stretch found;
    struct prng prng = {.state = 3};
    for (int i = 0; i < BATCHES; i++)
        added_ms[i] = INT64_MIN / 2;
    for (int step = 0; step < STEPS; step++) {
        int at = (int)prng_below(&prng, BATCHES), count = (int)prng_below(&prng, 20);
        switch (prng_below(&prng, 4)) {
        case 0:
            for (int i = at; i < at + count && i < BATCHES; i++) {
                add_to(0, i, i / 90);
                if (length(i) > 0)
                    added_ms[i] = env_now_ms(env);
            }
            break;
        case 1:
            if (count == 0 && find((int64_t)at * SPAN, INT64_MAX, SIZE, &found)) {
                log_verified_drop(verified, &known, 0, &found);
                added_ms[at] = INT64_MIN / 2;
            }
            break;
        case 2:
            fake_advance_ms(env, count);
            break;
        default:
            if (!find((int64_t)at * SPAN + count % SPAN, INT64_MAX, SIZE_MAX, &found))
                break;
            cr_assert_eq(found.first, at * SPAN);
            cr_assert_eq(found.position, at * SIZE);
            for (int i = at; i < at + (int)(found.len / SIZE); i++)
                cr_assert_lt(env_now_ms(env) - added_ms[i], KEEP_MS, "step %d batch %d", step, i);
        }
        cr_assert_leq(memory(), 30000);
    }
    log_verified_forget(verified, &known, INT64_MAX);
    cr_expect_eq(memory(), 0);
    cr_expect_eq(bytes(), 0);
}

// ---- reads of a log ----

enum { RECORDS = 10, VALUE = 50, MANY = 30 };

static struct help help;

struct answer {
    enum status status;
    struct piece piece;
    struct log_found found;
};

static void on_read(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    *(struct answer *)context = (struct answer){.status = status, .piece = *piece, .found = *found};
}

static struct log_range range_at(int64_t offset)
{
    return (struct log_range){.from = offset,
                              .up_to = log_end(help.log),
                              .max_bytes = 4 * RECORDS * VALUE,
                              .min_one = true,
                              .in_file = true};
}

// What is read on the pool.
static struct answer cold_at(int64_t offset)
{
    struct log_range range = range_at(offset);
    struct answer answer = {.status = ST_COUNT};
    log_read_async(help.log, &range, on_read, &answer);
    fake_run(help.env);
    return answer;
}

// What is read without waiting, ST_AGAIN when it cannot be.
static struct answer warm_at(int64_t offset)
{
    struct log_range range = range_at(offset);
    struct piece pieces[LOG_PIECES];
    struct answer answer = {0};
    int count;
    answer.status = log_read(help.log, &range, pieces, LOG_PIECES, &count, &answer.found);
    if (answer.status == ST_OK && count > 0)
        answer.piece = pieces[0];
    return answer;
}

// A log of batches that this process has not written.
static void log_start_found(int32_t segment_bytes)
{
    help_init(&help, 1);
    help.config.verified_ms = KEEP_MS;
    help.config.log.segment_bytes = segment_bytes;
    help_open(&help, true);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(help_append(&help, RECORDS, VALUE, 0), ST_OK);
    help_flush(&help);
    help_close(&help);
    help_open(&help, false);
}

static void read_cold(int64_t offset)
{
    struct answer answer = cold_at(offset);
    cr_assert_eq(answer.status, ST_OK);
    piece_release(&answer.piece);
}

Test(known, what_was_verified_is_sent_from_the_file_next_time)
{
    log_start_found(1 << 20);
    cr_assert_eq(warm_at(0).status, ST_AGAIN);
    struct answer cold = cold_at(0), warm = warm_at(RECORDS + 3);
    cr_assert_eq(warm.status, ST_OK);
    cr_expect_not_null(warm.piece.file);
    cr_expect_eq(warm.found.first, RECORDS);
    cr_expect_eq(warm.found.next, cold.found.next);
    cr_expect_eq(warm.found.bytes, warm.piece.len);
    cr_expect_eq(warm.found.leader_epoch, cold.found.leader_epoch);
    uint8_t head[BATCH_HEADER_SIZE];
    size_t got;
    struct batch_header header;
    cr_assert_eq(file_pread(help.env, warm.piece.file, head, sizeof head, warm.piece.position, &got), ST_OK);
    cr_assert_eq(batch_parse(slice_of(head, got), &header), ST_OK);
    cr_expect_eq(header.base_offset, RECORDS);
    cr_expect_eq(warm_at(cold.found.next).status, ST_AGAIN);
    struct log_range memory_only = range_at(0);
    memory_only.in_file = false;
    struct piece pieces[LOG_PIECES];
    int count;
    cr_expect_eq(log_read(help.log, &memory_only, pieces, LOG_PIECES, &count, &warm.found), ST_AGAIN);
    piece_release(&cold.piece);
    piece_release(&warm.piece);
    help_fini(&help);
}

Test(known, what_has_left_the_page_cache_is_verified_again)
{
    log_start_found(1 << 20);
    read_cold(0);
    fake_of(help.env)->cache_empty = true;
    cr_expect_eq(warm_at(0).status, ST_AGAIN);
    cr_expect_eq(fake_of(help.env)->cache_looks, 1);
    fake_of(help.env)->cache_empty = false; // it comes back from the disk, by whoever reads it
    cr_expect_eq(warm_at(0).status, ST_AGAIN);
    read_cold(0);
    struct answer warm = warm_at(0);
    cr_expect_eq(warm.status, ST_OK);
    piece_release(&warm.piece);
    help_fini(&help);
}

Test(known, a_bit_that_flips_later_is_seen_once_the_time_is_over)
{
    log_start_found(1 << 20);
    read_cold(0);
    fake_file(help.env, "/data/t-0/00000000000000000000.log")->data[100] ^= 1;
    struct answer warm = warm_at(0);
    cr_expect_eq(warm.status, ST_OK);
    piece_release(&warm.piece);
    fake_advance_ms(help.env, KEEP_MS);
    cr_expect_eq(warm_at(0).status, ST_AGAIN);
    cr_expect_eq(cold_at(0).status, ST_CORRUPT);
    cr_expect_eq(warm_at(0).status, ST_AGAIN); // what is damaged is not remembered
    help_fini(&help);
}

Test(known, what_this_process_wrote_needs_no_verification_behind_the_newest)
{
    help_init(&help, 1);
    help.config.verified_ms = KEEP_MS;
    help.config.log.segment_bytes = 1 << 20;
    help_open(&help, true);
    for (int i = 0; i < LOG_RECENT_MAX + MANY; i++) {
        cr_assert_eq(help_append(&help, RECORDS, VALUE, 0), ST_OK);
        if (i % 7 == 0)
            help_flush(&help);
    }
    help_flush(&help);
    fake_advance_ms(help.env, 200); // from the journal to the segments
    for (int64_t offset = 0; offset < log_end(help.log);) {
        struct answer warm = warm_at(offset);
        cr_assert_eq(warm.status, ST_OK, "%lld", (long long)offset);
        cr_assert_eq(warm.found.first, offset);
        offset = warm.found.next;
        piece_release(&warm.piece);
    }
    help_fini(&help);
}

Test(known, a_truncation_forgets)
{
    log_start_found(1 << 20);
    for (int64_t offset = 0; offset < log_end(help.log); offset += RECORDS)
        read_cold(offset);
    uint64_t before = help.log->generation;
    log_truncate(help.log, 25, help_on_done, &help);
    while (help.log->generation == before)
        cr_assert(fake_step(help.env));
    cr_expect_eq(help.done_calls, 0);
    cr_expect_eq(warm_at(0).status, ST_AGAIN); // also while it is under way
    fake_run(help.env);
    cr_assert_eq(help.done, ST_OK);
    cr_expect_eq(warm_at(0).status, ST_AGAIN);
    help_forget_from(&help, 20);
    help_check_content(&help);
    help_fini(&help);
}

Test(known, a_read_begun_during_a_truncation_is_begun_anew)
{
    log_start_found(1 << 20);
    log_truncate(help.log, 25, help_on_done, &help);
    fake_of(help.env)->pool_last = true; // the cut comes first
    cr_expect_eq(cold_at(100).status, ST_AGAIN);
    cr_expect_eq(help.done, ST_OK);
    cr_expect_eq(warm_at(0).status, ST_AGAIN);
    help_fini(&help);
}

static void on_start(struct log *log)
{
    (void)log;
}

Test(known, removed_segments_and_logs_are_forgotten)
{
    log_start_found(3 * RECORDS * VALUE);
    cr_assert_gt(help.log->state.count, 5);
    for (int64_t offset = 0; offset < log_end(help.log); offset += RECORDS)
        read_cold(offset);
    int64_t before = metric(help.env, "millrace_log_verified_bytes");
    int64_t start = help.log->state.segments[3]->base;
    log_set_retain(help.set, on_start);
    log_raise_start(help.log, start, help_on_done, &help);
    fake_run(help.env);
    fake_advance_ms(help.env, KEEP_MS / 2);
    cr_assert_eq(help.log->state.segments[0]->base, start, "they are removed");
    int64_t after = metric(help.env, "millrace_log_verified_bytes");
    cr_expect_lt(after, before);
    cr_expect_gt(after, 0);
    cr_expect_null(log_verified_handle(&help.log->known, 0));
    cr_expect_eq(warm_at(0).status, ST_OUT_OF_RANGE);
    log_delete(help.log, help_on_done, &help);
    cr_expect_eq(metric(help.env, "millrace_log_verified_bytes"), 0);
    fake_run(help.env);
    help.log = NULL;
    help_fini(&help);
}

Test(known, a_file_opened_for_a_read_stays_open_for_the_next)
{
    log_start_found(1 << 20);
    read_cold(0);
    struct log_handle *kept = log_verified_handle(&help.log->known, 0);
    cr_assert_not_null(kept);
    struct answer other = cold_at(20 * RECORDS);
    cr_expect_eq(log_verified_handle(&help.log->known, 0), kept);
    cr_expect_eq(kept->refs, 1);
    piece_release(&other.piece);
    help_fini(&help);
}
