// SPDX-License-Identifier: Apache-2.0
// Reads on the pool: memory that answers hold is counted and has a limit, behind it the file is sent; a read
// that goes on from another needs no index and is fetched ahead; what is answered was checked, either way.
#include "log/cursor.h"
#include "log/internal.h"
#include "log/lent.h"
#include "log_help.h"

#include <criterion/criterion.h>
#include <string.h>

enum {
    BATCHES = 40,
    RECORDS = 60,
    VALUE = 500,
    SOME = 100000
}; // a batch has about 30 KB, three are asked for

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

// What a read of SOME bytes from offset is answered with.
static struct answer read_at(int64_t offset, bool in_file)
{
    struct log_range range = {
        .from = offset, .up_to = log_end(help.log), .max_bytes = SOME, .min_one = true, .in_file = in_file};
    struct answer answer = {.status = ST_COUNT};
    log_read_async(help.log, &range, on_read, &answer);
    fake_run(help.env);
    return answer;
}

// The batch that begins a piece, wherever its bytes are.
static struct batch_header first_of(const struct piece *piece)
{
    uint8_t head[BATCH_HEADER_SIZE];
    size_t got = sizeof head;
    struct batch_header header;
    if (piece->file != NULL)
        cr_assert_eq(file_pread(help.env, piece->file, head, sizeof head, piece->position, &got), ST_OK);
    else
        memcpy(head, piece->data, sizeof head);
    cr_assert_eq(batch_parse(slice_of(head, got), &header), ST_OK);
    return header;
}

// Half of the batches have epoch 3, the others 5.
static void start(int64_t lent_bytes_max)
{
    help_init(&help, 1);
    help.config.lent_bytes_max = lent_bytes_max;
    help.config.log.segment_bytes = 16 << 20;
    help_open(&help, true);
    for (int i = 0; i < BATCHES; i++) {
        cr_assert_eq(help_append(&help, RECORDS, VALUE, i < BATCHES / 2 ? 3 : 5), ST_OK);
        help_flush(&help);
    }
    help_close(&help);
    help_open(&help, false); // the ring is empty: every read is a cold one
}

static double lent(void)
{
    for (struct metric *metric = help.env->metrics->first; metric != NULL; metric = metric->next)
        if (strcmp(metric->name, "millrace_log_lent_bytes") == 0)
            return (double)metric->value;
    return -1;
}

Test(cold, memory_is_lent_until_the_limit_and_then_the_file_is_sent)
{
    start(SOME + 10);
    struct answer first = read_at(0, true);
    cr_assert_eq(first.status, ST_OK);
    cr_expect_null(first.piece.file);
    cr_expect_gt(lent(), RECORDS * VALUE);
    struct answer second = read_at(first.found.next, true);
    cr_assert_eq(second.status, ST_OK);
    cr_expect_not_null(second.piece.file);
    cr_expect_eq(first_of(&second.piece).base_offset, first.found.next);
    cr_expect_eq(second.piece.len, second.found.bytes);
    struct answer third = read_at(0, false); // who cannot send files gets memory all the same
    cr_expect_null(third.piece.file);
    piece_release(&third.piece);
    piece_release(&first.piece);
    struct answer fourth = read_at(second.found.next, true);
    cr_expect_null(fourth.piece.file);
    piece_release(&fourth.piece);
    piece_release(&second.piece);
    help_fini(&help);
}

// The base offset is under no checksum; what a batch says of it is held against those around it. The end is
// the last batch's only neighbour.
Test(cold, a_flipped_bit_in_a_base_offset_is_damage_and_hides_no_batch)
{
    static const struct {
        int batch, byte;
        uint8_t bit;
    } flips[] = {{5, 6, 1}, {5, 6, 2}, {20, 6, 4}, {20, 4, 1}, {20, 0, 128}, {BATCHES - 1, 5, 1}, {7, 7, 4}};
    for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
        start(SOME);
        struct buf *bytes = fake_file(help.env, "/data/t-0/00000000000000000000.log");
        size_t size = bytes->len / BATCHES;
        bytes->data[size * (size_t)flips[i].batch + (size_t)flips[i].byte] ^= flips[i].bit;
        int64_t offset = 0, damaged = (int64_t)flips[i].batch * RECORDS;
        struct answer answer;
        while (offset <= damaged && (answer = read_at(offset, false)).status == ST_OK) {
            cr_assert_leq(answer.found.first, offset, "flip %zu", i);
            cr_assert_gt(answer.found.next, offset, "flip %zu", i);
            offset = answer.found.next;
            piece_release(&answer.piece);
        }
        cr_expect_eq(offset, damaged, "flip %zu reads up to %lld", i, (long long)offset);
        cr_expect_eq(answer.status, ST_CORRUPT, "flip %zu", i);
        help_fini(&help);
    }
}

// Reads on until one fails; the offset of that one.
static int64_t read_to_damage(bool in_file)
{
    int64_t offset = 0;
    while (offset < log_end(help.log)) {
        struct answer answer = read_at(offset, in_file);
        if (answer.status != ST_OK) {
            cr_assert_eq(answer.status, ST_CORRUPT);
            break;
        }
        cr_assert_gt(answer.found.next, offset);
        offset = answer.found.next;
        piece_release(&answer.piece);
    }
    return offset;
}

// Nor does one cover the leader epoch: it is held against what the log knows.
Test(cold, a_flipped_bit_in_a_leader_epoch_is_damage)
{
    static const int batches[] = {0, 7, BATCHES / 2 - 1, BATCHES / 2, BATCHES - 1};
    start(SOME);
    for (int i = 0; i < 5 * 32; i++) {
        int batch = batches[i / 32], bit = i % 32;
        struct buf *bytes = fake_file(help.env, "/data/t-0/00000000000000000000.log");
        uint8_t *epoch = bytes->data + bytes->len / BATCHES * (size_t)batch + 12;
        epoch[bit / 8] ^= (uint8_t)(1u << bit % 8);
        log_files_changed(help.log); // nothing is remembered as verified
        cr_expect_eq(read_to_damage(false), batch * RECORDS, "bit %d of batch %d", bit, batch);
        log_files_changed(help.log);
        help.config.lent_bytes_max = 0;
        cr_expect_eq(read_to_damage(true), batch * RECORDS, "bit %d of batch %d", bit, batch);
        epoch[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    log_files_changed(help.log);
    cr_expect_eq(read_to_damage(false), log_end(help.log));
    help_fini(&help);
}

// The file of epochs has no checksum either. What it says against all batches hides none of them.
Test(cold, a_list_of_epochs_that_is_wrong_hides_no_batch)
{
    start(SOME);
    struct log_epoch *row = &help.log->state.epochs.rows[1];
    for (int bit = 3; bit < 12; bit++) {
        if (bit == 6)
            continue; // one batch alone is on the other side: it is taken for damaged
        row->epoch ^= 1 << bit;
        cr_expect_eq(read_to_damage(false), log_end(help.log), "epoch, bit %d", bit);
        row->epoch ^= 1 << bit;
        row->start ^= 1 << bit;
        log_files_changed(help.log);
        cr_expect_eq(read_to_damage(false), log_end(help.log), "start, bit %d", bit);
        row->start ^= 1 << bit;
        log_files_changed(help.log);
    }
    help_fini(&help);
}

Test(cold, an_index_that_leads_astray_hides_no_batch)
{
    static const char index[] = "/data/t-0/00000000000000000000.index";
    start(SOME);
    size_t len = fake_file(help.env, index)->len;
    for (size_t bit = 0; bit < len * 8; bit += 5) {
        fake_file(help.env, index)->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        for (int64_t offset = 30; offset < BATCHES * RECORDS; offset += 7 * RECORDS) {
            struct answer answer = read_at(offset, false);
            cr_assert_eq(answer.status, ST_OK, "bit %zu", bit);
            cr_assert_eq(answer.found.first, offset - 30, "bit %zu", bit);
            piece_release(&answer.piece);
        }
        fake_file(help.env, index)->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    help_fini(&help);
}

Test(cold, what_is_sent_from_the_file_was_checked)
{
    start(0);
    struct buf *bytes = fake_file(help.env, "/data/t-0/00000000000000000000.log");
    struct answer whole = read_at(0, true);
    cr_assert_eq(whole.found.next, 3 * RECORDS);
    piece_release(&whole.piece);
    bytes->data[bytes->len / BATCHES + 100] ^= 1; // in the second batch
    struct answer cut = read_at(0, true);
    cr_assert_eq(cut.status, ST_OK);
    cr_expect_eq(cut.found.next, RECORDS);
    cr_expect_eq(cut.piece.len, cut.found.bytes);
    piece_release(&cut.piece);
    cr_expect_eq(read_at(RECORDS, true).status, ST_CORRUPT);
    help_fini(&help);
}

Test(cold, no_batch_that_reaches_the_limit_is_sent_from_the_file)
{
    start(0);
    struct log_range range = {
        .from = 0, .up_to = 2 * RECORDS + 1, .max_bytes = 1 << 20, .min_one = true, .in_file = true};
    struct answer answer = {.status = ST_COUNT};
    log_read_async(help.log, &range, on_read, &answer);
    fake_run(help.env);
    cr_expect_eq(answer.found.next, 2 * RECORDS);
    piece_release(&answer.piece);
    help_fini(&help);
}

Test(cold, memory_outlives_the_set)
{
    start(1 << 20);
    struct answer answer = read_at(0, true);
    help_close(&help);
    cr_expect_eq(first_of(&answer.piece).base_offset, 0);
    piece_release(&answer.piece);
    help_open(&help, false);
    help_fini(&help);
}

Test(cold, a_read_that_goes_on_is_fetched_ahead_and_needs_no_index)
{
    start(1 << 20);
    struct answer first = read_at(0, false);
    cr_expect_eq(fake_of(help.env)->needed, 0); // one read alone does not say where the next will be
    fake_file(help.env, "/data/t-0/00000000000000000000.index")->len = 0; // else the way would lead from here
    fake_file(help.env, "/data/t-0/00000000000000000000.log")->data[16] ^= 1; // by the first batch's header
    struct answer second = read_at(first.found.next, false);
    cr_expect_gt(fake_of(help.env)->needed, 0);
    cr_expect_eq(second.found.first, first.found.next);
    int64_t needed = fake_of(help.env)->needed;
    struct answer elsewhere = read_at(30 * RECORDS, false);
    cr_expect_eq(fake_of(help.env)->needed, needed);
    cr_expect_eq(elsewhere.found.first, 30 * RECORDS);
    piece_release(&first.piece);
    piece_release(&second.piece);
    piece_release(&elsewhere.piece);
    help_fini(&help);
}

// ---- beside flush rounds ----

enum { READERS = 5, AT_ONCE = 2, QUIET_MS = 200 }; // more readers than may read beside a round

static int answered(const struct answer *answers, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        found += answers[i].status != ST_COUNT;
    return found;
}

// Readers that want everything ask at once.
static void ask_all(struct answer *answers)
{
    for (int i = 0; i < READERS; i++) {
        struct log_range range = {
            .from = i * RECORDS, .up_to = log_end(help.log), .max_bytes = LOG_READ_MAX, .min_one = true};
        answers[i] = (struct answer){.status = ST_COUNT};
        log_read_async(help.log, &range, on_read, &answers[i]);
    }
}

static void release_all(struct answer *answers)
{
    for (int i = 0; i < READERS; i++)
        piece_release(&answers[i].piece);
}

static void on_durable(struct log *log, enum status status)
{
    cr_expect_eq(status, ST_OK);
}

static void begin_round(void)
{
    cr_assert_eq(help_append(&help, RECORDS, VALUE, 5), ST_OK);
    log_flush(help.set, on_durable);
    while (!help.set->running) // the manifest names the log first
        cr_assert(fake_step(help.env));
}

static void start_quiet(void)
{
    start(64 << 20);
    fake_advance_ms(help.env, QUIET_MS);
}

Test(cold, readers_have_the_disk_for_themselves_when_nothing_is_flushed)
{
    start_quiet();
    struct answer answers[READERS];
    ask_all(answers);
    cr_expect_eq(help.set->cold.under_way, READERS);
    fake_run(help.env);
    cr_expect_eq(answered(answers, READERS), READERS);
    cr_expect_gt(answers[0].found.bytes, LOG_READ_MAX / 2);
    release_all(answers);
    help_fini(&help);
}

Test(cold, few_read_beside_a_flush_round_and_less_at_a_time)
{
    start_quiet();
    struct answer answers[READERS];
    begin_round();
    ask_all(answers);
    cr_expect_eq(help.set->cold.under_way, AT_ONCE);
    fake_run(help.env); // the round ends, and with it the next turn comes; behind it there is no other
    cr_expect_eq(answered(answers, READERS), READERS);
    cr_expect_eq(help.set->cold.under_way, 0);
    for (int i = 0; i < READERS; i++) {
        cr_expect_eq(answers[i].status, ST_OK);
        cr_expect_lt(answers[i].found.bytes, LOG_READ_MAX / 2, "%zu", answers[i].found.bytes);
        cr_expect(answers[i].found.more);
    }
    release_all(answers);
    help_fini(&help);
}

Test(cold, a_round_that_does_not_end_holds_readers_up_for_a_moment_only)
{
    start_quiet();
    struct answer answers[READERS];
    begin_round();
    ask_all(answers);
    while (answered(answers, READERS) < AT_ONCE)
        cr_assert(fake_step_pool(help.env));
    cr_expect_not(fake_step_pool(help.env), "the others wait");
    for (int ms = 0; answered(answers, READERS) < READERS && ms < 1000; ms += 10) {
        fake_of(help.env)->now_us += 10000;
        while (fake_fire(help.env))
            continue;
        while (fake_step_pool(help.env))
            continue;
    }
    cr_expect_eq(answered(answers, READERS), READERS);
    cr_expect(help.set->running);
    fake_run(help.env);
    release_all(answers);
    help_fini(&help);
}

Test(cold, a_set_that_closes_has_answered_who_waits)
{
    start_quiet();
    struct answer answers[READERS];
    begin_round();
    ask_all(answers);
    help_close(&help);
    cr_expect_eq(answered(answers, READERS), READERS);
    release_all(answers);
    help_open(&help, false);
    help_fini(&help);
}

// ---- cursors ----

Test(cursor, readers_at_different_places_are_told_apart)
{
    struct log_cursors *cursors = NULL;
    cr_expect_eq(log_cursors_find(cursors, 0, 200), -1);
    for (int64_t i = 1; i <= 3; i++)
        log_cursors_note(&cursors, 0,
                         (struct log_cursor){.offset = i * 100, .base = 0, .position = i * 1000});
    cr_expect_eq(log_cursors_find(cursors, 0, 200), 2000);
    log_cursors_note(&cursors, 200, (struct log_cursor){.offset = 250, .base = 0, .position = 2500});
    cr_expect_eq(log_cursors_find(cursors, 0, 200), -1); // it has gone on
    cr_expect_eq(log_cursors_find(cursors, 0, 250), 2500);
    cr_expect_eq(log_cursors_find(cursors, 0, 100), 1000);
    cr_expect_eq(log_cursors_find(cursors, 77, 100), -1); // another segment
    cr_expect_eq(log_cursors_find(cursors, 0, 0), -1);
    log_cursors_destroy(&cursors);
}

Test(cursor, the_oldest_gives_way)
{
    struct log_cursors *cursors = NULL;
    for (int64_t i = 1; i <= LOG_CURSORS + 1; i++)
        log_cursors_note(&cursors, 0, (struct log_cursor){.offset = i, .base = 0, .position = i});
    cr_expect_eq(log_cursors_find(cursors, 0, 1), -1);
    for (int64_t i = 2; i <= LOG_CURSORS + 1; i++)
        cr_expect_eq(log_cursors_find(cursors, 0, i), i);
    log_cursors_destroy(&cursors);
}
