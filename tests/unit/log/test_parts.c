// SPDX-License-Identifier: Apache-2.0
// The pure parts: leader epochs, the producer table and its snapshot, checkpoint files, indexes' lookups.
#include "fake_env.h"
#include "log/epochs.h"
#include "log/files.h"
#include "log/producers.h"
#include "log/segment.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

// ---- epochs ----

static void expect_end(const struct log_epochs *epochs, int32_t requested, int32_t epoch, int64_t end)
{
    int32_t got_epoch;
    int64_t got_end;
    log_epochs_end(epochs, requested, 100, &got_epoch, &got_end);
    cr_assert_eq(got_epoch, epoch, "epoch for %d is %d", requested, got_epoch);
    cr_assert_eq(got_end, end, "end for %d is %lld", requested, (long long)got_end);
}

Test(epochs, the_largest_epoch_up_to_the_requested_one_is_told_with_its_end)
{
    struct log_epochs epochs = {0};
    expect_end(&epochs, 5, -1, -1);
    log_epochs_assign(&epochs, 2, 10);
    log_epochs_assign(&epochs, 2, 12);
    log_epochs_assign(&epochs, 5, 40);
    log_epochs_assign(&epochs, 4, 60); // older: ignored
    log_epochs_assign(&epochs, 9, 70);
    expect_end(&epochs, 9, 9, 100);
    expect_end(&epochs, 8, 5, 70); // KIP-279
    expect_end(&epochs, 5, 5, 70);
    expect_end(&epochs, 3, 2, 40);
    expect_end(&epochs, 1, 1, 10); // older than all known
    expect_end(&epochs, 10, -1, -1);
    expect_end(&epochs, -1, -1, -1);
    cr_assert_eq(log_epochs_at(&epochs, 39), 2);
    cr_assert_eq(log_epochs_at(&epochs, 40), 5);
    cr_assert_eq(log_epochs_at(&epochs, 9), -1);
    log_epochs_fini(&epochs);
}

Test(epochs, cut_and_trim_keep_what_still_has_records)
{
    struct log_epochs epochs = {0};
    log_epochs_assign(&epochs, 1, 0);
    log_epochs_assign(&epochs, 2, 10);
    log_epochs_assign(&epochs, 3, 20);
    log_epochs_cut(&epochs, 20);
    cr_assert_eq(log_epochs_last(&epochs), 2);
    log_epochs_trim(&epochs, 10);
    cr_assert_eq(epochs.count, 1);
    cr_assert_eq(epochs.rows[0].start, 10);
    log_epochs_trim(&epochs, 15);
    cr_assert_eq(epochs.rows[0].epoch, 2);
    cr_assert_eq(epochs.rows[0].start, 15);
    log_epochs_cut(&epochs, 0);
    cr_assert_eq(log_epochs_last(&epochs), -1);
    log_epochs_fini(&epochs);
}

Test(epochs, a_range_is_copied_with_the_epoch_it_begins_in)
{
    struct log_epochs epochs = {0}, some = {0};
    log_epochs_assign(&epochs, 1, 0);
    log_epochs_assign(&epochs, 2, 10);
    log_epochs_assign(&epochs, 3, 20);
    log_epochs_assign(&epochs, 4, 30);
    log_epochs_copy_range(&some, &epochs, 15, 30);
    cr_assert_eq(some.count, 2);
    cr_assert_eq(log_epochs_at(&some, 19), 2);
    cr_assert_eq(log_epochs_at(&some, 29), 3);
    cr_assert_eq(log_epochs_at(&some, 9), -1);
    log_epochs_fini(&some);
    log_epochs_copy_range(&some, &epochs, 0, 1);
    cr_assert_eq(some.count, 1);
    log_epochs_fini(&some);
    log_epochs_fini(&epochs);
}

// Epoch 4 from 10 on, 6 from 20 on, 7 from 30 on. A batch that differs alone is damaged; two in a row make
// the list doubtful, and what has no other batch of its epoch is measured by the order of epochs.
Test(epochs, a_batch_that_differs_alone_is_damaged)
{
    static const struct {
        struct log_said said[3];
        bool damaged;
    } rows[] = {
        {{{11, 11, 4}, {12, 12, 4}, {13, 13, 4}}, false}, {{{11, 11, 4}, {12, 12, 5}, {13, 13, 4}}, true},
        {{{11, 11, 4}, {12, 12, 5}, {13, 13, 5}}, false}, {{{11, 11, 5}, {12, 12, 5}, {13, 13, 4}}, false},
        {{{0, -1, 0}, {12, 12, 5}, {13, 13, 4}}, true},   {{{11, 11, 4}, {12, 12, 5}, {0, -1, 0}}, true},
        {{{0, -1, 0}, {12, 12, 5}, {0, -1, 0}}, false},   {{{19, 19, 4}, {20, 20, 5}, {21, 21, 6}}, true},
        {{{19, 19, 4}, {20, 20, 5}, {30, 30, 7}}, false}, {{{19, 19, 4}, {20, 20, 3}, {30, 30, 7}}, true},
        {{{19, 19, 4}, {20, 20, 8}, {30, 30, 7}}, true},  {{{19, 19, 4}, {20, 20, 6}, {30, 30, 5}}, false},
        {{{29, 29, 6}, {30, 30, 23}, {31, 31, 7}}, true}, {{{0, -1, 0}, {9, 9, 77}, {12, 12, 4}}, false},
        {{{17, 18, 4}, {19, 22, 4}, {23, 23, 6}}, false},
    };
    struct log_epochs epochs = {0};
    log_epochs_assign(&epochs, 4, 10);
    log_epochs_assign(&epochs, 6, 20);
    log_epochs_assign(&epochs, 7, 30);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(log_epochs_damaged(&epochs, rows[i].said), rows[i].damaged, "row %zu", i);
    log_epochs_fini(&epochs);
}

Test(epochs, the_file_is_kafkas_and_disorder_in_it_is_refused)
{
    struct log_epochs epochs = {0};
    struct buf text;
    buf_init(&text, 1000);
    cr_assert_eq(log_epochs_parse(slice_str("0\n2\n0 0\n7 123456789012\n"), &epochs), ST_OK);
    cr_assert_eq(log_epochs_print(&epochs, &text), ST_OK);
    cr_assert(slice_is(buf_slice(&text), "0\n2\n0 0\n7 123456789012\n"));
    log_epochs_fini(&epochs);
    static const char *const bad[] = {"",
                                      "0\n",
                                      "0\n2\n0 0\n",
                                      "0\n2\n3 0\n2 5\n",
                                      "0\n2\n0 9\n1 5\n",
                                      "0\n1\n0 0\nx",
                                      "0\n-1\n",
                                      "0\n1\n0 -5\n",
                                      "0\n99999999999999999999\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(log_epochs_parse(slice_str(bad[i]), &epochs), ST_MALFORMED, "%zu", i);
    cr_assert_eq(log_epochs_parse(slice_str("1\n0\n"), &epochs), ST_UNSUPPORTED);
    cr_assert_eq(epochs.count, 0);
    buf_fini(&text);
}

// ---- producers ----

static struct batch_header batch_of(int64_t id, int16_t epoch, int32_t sequence, int32_t count,
                                    int64_t offset)
{
    return (struct batch_header){.producer_id = id,
                                 .producer_epoch = epoch,
                                 .base_sequence = sequence,
                                 .last_offset_delta = count - 1,
                                 .base_offset = offset,
                                 .max_timestamp = 1000 + offset};
}

static enum sequence_verdict check(const struct log_producers *producers, int64_t id, int16_t epoch,
                                   int32_t sequence, int32_t count)
{
    struct batch_header header = batch_of(id, epoch, sequence, count, 0);
    struct batch_place place;
    return log_producers_check(producers, &header, &place);
}

static void note(struct log_producers *producers, int64_t id, int16_t epoch, int32_t sequence, int32_t count,
                 int64_t offset)
{
    struct batch_header header = batch_of(id, epoch, sequence, count, offset);
    struct log_aborted aborted;
    log_producers_note(producers, &header, NULL, 0, &aborted);
}

Test(producers, sequences_are_judged_as_kafka_does)
{
    struct log_producers producers;
    log_producers_init(&producers, 100);
    cr_assert_eq(check(&producers, -1, -1, -1, 3), SEQUENCE_APPEND);
    cr_assert_eq(check(&producers, 1, 0, 17, 3), SEQUENCE_UNKNOWN, "nothing known: any sequence (KIP-360)");
    cr_assert_eq(check(&producers, 1, 0, 0, 3), SEQUENCE_APPEND);
    note(&producers, 1, 0, 0, 3, 100);
    cr_assert_eq(check(&producers, 1, 0, 3, 1), SEQUENCE_APPEND);
    cr_assert_eq(check(&producers, 1, 0, 4, 1), SEQUENCE_OUT_OF_ORDER);
    cr_assert_eq(check(&producers, 1, 0, 0, 3), SEQUENCE_DUPLICATE);
    cr_assert_eq(check(&producers, 1, 0, 0, 2), SEQUENCE_OUT_OF_ORDER, "same start, other end");
    for (int i = 0; i < 5; i++)
        note(&producers, 1, 0, 3 + i, 1, 103 + i);
    cr_assert_eq(check(&producers, 1, 0, 3, 1), SEQUENCE_DUPLICATE, "the fifth last");
    cr_assert_eq(check(&producers, 1, 0, 0, 3), SEQUENCE_OUT_OF_ORDER, "the sixth last is forgotten");
    cr_assert_eq(check(&producers, 1, 1, 5, 1), SEQUENCE_OUT_OF_ORDER, "a new epoch begins at 0");
    cr_assert_eq(check(&producers, 1, 1, 0, 1), SEQUENCE_APPEND);
    note(&producers, 1, 1, 0, 1, 108);
    cr_assert_eq(check(&producers, 1, 0, 8, 1), SEQUENCE_FENCED);
    cr_assert_eq(check(&producers, 1, 1, 0, 1), SEQUENCE_DUPLICATE);
    log_producers_fini(&producers);
}

Test(producers, the_sequence_wraps_to_zero)
{
    struct log_producers producers;
    log_producers_init(&producers, 100);
    note(&producers, 1, 0, INT32_MAX - 1, 2, 0);
    cr_assert_eq(check(&producers, 1, 0, 0, 1), SEQUENCE_APPEND);
    note(&producers, 1, 0, 0, 1, 2);
    note(&producers, 2, 0, INT32_MAX, 3, 3); // wraps inside the batch: ends at 1
    cr_assert_eq(check(&producers, 2, 0, 2, 1), SEQUENCE_APPEND);
    cr_assert_eq(check(&producers, 2, 0, INT32_MAX, 3), SEQUENCE_DUPLICATE);
    log_producers_fini(&producers);
}

Test(producers, a_marker_closes_the_transaction_and_a_new_epoch_starts_over)
{
    struct log_producers producers;
    log_producers_init(&producers, 100);
    note(&producers, 1, 0, 0, 3, 0);
    struct batch_header marker = batch_of(1, 1, -1, 1, 3);
    marker.attributes = BATCH_CONTROL | BATCH_TRANSACTIONAL;
    struct batch_marker commit = {.coordinator_epoch = 7};
    struct log_aborted aborted;
    cr_assert(!log_producers_note(&producers, &marker, &commit, 0, &aborted));
    cr_assert_eq(check(&producers, 1, 0, 3, 1), SEQUENCE_FENCED);
    cr_assert_eq(check(&producers, 1, 1, 0, 1), SEQUENCE_APPEND);
    cr_assert_eq(check(&producers, 1, 1, 3, 1), SEQUENCE_OUT_OF_ORDER);
    log_producers_fini(&producers);
}

Test(producers, the_table_is_bounded_and_forgets_the_one_idle_longest)
{
    struct log_producers producers;
    log_producers_init(&producers, 3);
    for (int64_t id = 1; id <= 3; id++)
        note(&producers, id, 0, 0, 1, id);
    note(&producers, 1, 0, 1, 1, 4);
    note(&producers, 4, 0, 0, 1, 5);
    cr_assert_eq(producers.by_id.count, 3);
    cr_assert_eq(check(&producers, 2, 0, 77, 1), SEQUENCE_UNKNOWN, "2 is forgotten");
    cr_assert_eq(check(&producers, 1, 0, 77, 1), SEQUENCE_OUT_OF_ORDER);
    log_producers_expire(&producers, 1000, 999);
    cr_assert_eq(producers.by_id.count, 0);
    log_producers_fini(&producers);
}

Test(producers, a_snapshot_keeps_all_five_batches_and_damage_is_noticed)
{
    struct log_producers producers, back;
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    log_producers_init(&producers, 100);
    log_producers_init(&back, 100);
    for (int i = 0; i < 7; i++)
        for (int64_t id = 1; id <= 3; id++)
            note(&producers, id * 1000, 2, i * 2, 2, i * 6 + id * 2);
    cr_assert_eq(log_producers_print(&producers, &bytes), ST_OK);
    cr_assert_eq(log_producers_parse(buf_slice(&bytes), &back, 0), ST_OK);
    for (int64_t id = 1; id <= 3; id++) {
        for (int i = 0; i < 7; i++)
            cr_assert_eq(check(&back, id * 1000, 2, i * 2, 2),
                         i < 2 ? SEQUENCE_OUT_OF_ORDER : SEQUENCE_DUPLICATE);
        cr_assert_eq(check(&back, id * 1000, 2, 14, 1), SEQUENCE_APPEND);
    }
    for (size_t i = 0; i < bytes.len; i++) {
        bytes.data[i] ^= 4;
        cr_assert_neq(log_producers_parse(buf_slice(&bytes), &back, 0), ST_OK, "byte %zu", i);
        cr_assert_eq(back.by_id.count, 0);
        bytes.data[i] ^= 4;
    }
    for (size_t len = 0; len < bytes.len; len++)
        cr_assert_neq(log_producers_parse(slice_of(bytes.data, len), &back, 0), ST_OK);
    log_producers_fini(&producers);
    log_producers_fini(&back);
    buf_fini(&bytes);
}

// ---- files ----

struct seen {
    char text[256];
};

static void see(const char *name, int64_t offset, void *context)
{
    struct seen *seen = context;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof seen->text - len, "%s=%lld;", name, (long long)offset);
}

Test(files, offset_checkpoints_are_kafkas)
{
    struct seen seen = {""};
    cr_assert_eq(log_offsets_parse(slice_str("0\n3\na 0 5\nb-c 12 0\n__consumer_offsets 49 7\n"), see, &seen),
                 ST_OK);
    cr_assert_str_eq(seen.text, "a-0=5;b-c-12=0;__consumer_offsets-49=7;");
    struct log_offset_row rows[] = {{"a-0", 5}, {"b-c-12", 0}, {"__consumer_offsets-49", 7}};
    struct buf text;
    buf_init(&text, 1000);
    cr_assert_eq(log_offsets_print(rows, 3, &text), ST_OK);
    cr_assert(slice_is(buf_slice(&text), "0\n3\na 0 5\nb-c 12 0\n__consumer_offsets 49 7\n"));
    static const char *const bad[] = {"",
                                      "0\n",
                                      "x\n0\n",
                                      "0\n2\na 0 5\n",
                                      "0\n1\na 0 5\na 1 5\n",
                                      "0\n1\na 5\n",
                                      "0\n1\na x 5\n",
                                      "0\n1\na 0 5x\n",
                                      "0\n1\na -1 5\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(log_offsets_parse(slice_str(bad[i]), see, &seen), ST_MALFORMED, "%zu", i);
    cr_assert_eq(log_offsets_parse(slice_str("1\n0\n"), see, &seen), ST_UNSUPPORTED);
    buf_fini(&text);
}

Test(files, identity_is_read_as_kafka_writes_it)
{
    struct log_identity identity;
    static const char text[] = "#\n#Fri Nov 20 11:00:00 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n"
                               "directory.id=n9NFu7QAQme0WA2nhbF5Gg\nnode.id=3\nversion=1\n";
    cr_assert_eq(log_identity_parse(slice_str(text), &identity), ST_OK);
    cr_assert_str_eq(identity.cluster_id, "MkU3OEVBNTcwNTJENDM2Qg");
    cr_assert_eq(identity.node_id, 3);
    char id[UUID_TEXT_SIZE];
    uuid_format(identity.directory_id, id);
    cr_assert_str_eq(id, "n9NFu7QAQme0WA2nhbF5Gg");
    cr_assert_eq(log_identity_parse(slice_str("version=0\nbroker.id=3\n"), &identity), ST_UNSUPPORTED);
    cr_assert_eq(log_identity_parse(slice_str("node.id=x\n"), &identity), ST_MALFORMED);
}

Test(files, segment_names_are_twenty_digits)
{
    cr_assert_str_eq(log_segment_name(4711, ".timeindex").text, "00000000000000004711.timeindex");
    cr_assert_eq(log_segment_name_base("00000000000000004711.log", ".log"), 4711);
    cr_assert_eq(log_segment_name_base("09223372036854775807.log", ".log"), INT64_MAX);
    cr_assert_eq(log_segment_name_base("09223372036854775808.log", ".log"), -1);
    cr_assert_eq(log_segment_name_base("00000000000000004711.log.deleted", ".log"), -1);
    cr_assert_eq(log_segment_name_base("0000000000000000471.log", ".log"), -1);
    cr_assert_eq(log_segment_name_base("", ".log"), -1);
}

// ---- indexes ----

Test(index, lookups_find_the_last_entry_at_or_below)
{
    struct env *env = fake_env_new(1);
    struct file *file;
    cr_assert_eq(file_open(env, "/index", FILE_WRITE | FILE_CREATE, &file), ST_OK);
    enum { ENTRIES = 50 };
    uint8_t bytes[ENTRIES * LOG_TIME_ENTRY];
    for (uint32_t i = 0; i < ENTRIES; i++) { // offsets 1000 + 10, 1000 + 20, … at 100, 200, …
        store_be32(bytes + i * LOG_INDEX_ENTRY, (i + 1) * 10);
        store_be32(bytes + i * LOG_INDEX_ENTRY + 4, (i + 1) * 100);
    }
    file_pwrite(env, file, bytes, ENTRIES * LOG_INDEX_ENTRY, 0);
    for (int64_t offset = 1000; offset < 1600; offset++) {
        int64_t position, entry = (offset - 1000) / 10 < ENTRIES ? (offset - 1000) / 10 : ENTRIES;
        cr_assert_eq(log_index_find(env, file, ENTRIES * LOG_INDEX_ENTRY, 1000, offset, &position), ST_OK);
        cr_assert_eq(position, entry * 100);
    }
    for (uint32_t i = 0; i < ENTRIES; i++) { // times 5, 10, … of offsets 1003, 1006, …
        store_be64(bytes + i * LOG_TIME_ENTRY, (i + 1) * 5);
        store_be32(bytes + i * LOG_TIME_ENTRY + 8, (i + 1) * 3);
    }
    file_pwrite(env, file, bytes, sizeof bytes, 0);
    for (int64_t time = 0; time < 300; time++) {
        int64_t offset, entry = time == 0 ? 0 : (time - 1) / 5 < ENTRIES ? (time - 1) / 5 : ENTRIES;
        cr_assert_eq(log_times_find(env, file, sizeof bytes, 1000, time, &offset), ST_OK);
        cr_assert_eq(offset, entry == 0 ? 999 : 1000 + entry * 3, "time %lld", (long long)time);
    }
    int64_t position;
    cr_assert_eq(log_index_find(env, file, sizeof bytes + 80, 0, INT32_MAX, &position), ST_CORRUPT,
                 "shorter than told");
    file_close(env, &file);
    fake_env_destroy(&env);
}
