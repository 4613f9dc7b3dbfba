// SPDX-License-Identifier: Apache-2.0
// Adopting a directory as Apache Kafka leaves it after compaction: holes between and behind segments, an
// epoch without records, a start within a segment. The life of it with real daemons is
// tests/e2e/test_adopt.py.
#include "fake_env.h"
#include "log/adopt.h"
#include "log/files.h"
#include "log/set.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char identity[] = "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA";
static const char epochs_text[] = "0\n3\n1 0\n2 50\n3 100\n";

static void put_bytes(struct env *env, const char *dir, const char *name, const void *data, size_t len)
{
    cr_assert_eq(log_file_replace(env, dir, name, slice_of(data, len), true), ST_OK, "%s/%s", dir, name);
}

static void put(struct env *env, const char *dir, const char *name, const char *text)
{
    put_bytes(env, dir, name, text, strlen(text));
}

static void put_segment(struct env *env, const char *name, int64_t base, int count, int32_t epoch)
{
    struct batch_spec spec = batch_spec_plain();
    struct batch_record record = {.timestamp = 1000 + base, .value = slice_str("v")};
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    spec.leader_epoch = epoch;
    for (int i = 0; i < count; i++) {
        spec.base_offset = base + 2 * i; // every second record is gone
        cr_assert_eq(batch_build(&spec, &record, 1, &bytes), ST_OK);
    }
    put_bytes(env, "/kafka/t-0", name, bytes.data, bytes.len);
    buf_fini(&bytes);
}

static struct env *make_kafka(void)
{
    struct env *env = fake_env_new(1);
    cr_assert_eq(path_mkdir(env, "/kafka"), ST_OK);
    cr_assert_eq(path_mkdir(env, "/kafka/t-0"), ST_OK);
    put_segment(env, "00000000000000000000.log", 0, 5, 1);
    put_segment(env, "00000000000000000100.log", 100, 3, 3);
    put_segment(env, "00000000000000000200.log", 200, 0, 3);
    put(env, "/kafka/t-0", "partition.metadata", identity);
    put(env, "/kafka/t-0", "leader-epoch-checkpoint", epochs_text);
    put(env, "/kafka", "recovery-point-offset-checkpoint", "0\n1\nt 0 200\n");
    put(env, "/kafka", "replication-offset-checkpoint", "0\n1\nt 0 104\n");
    put(env, "/kafka", "log-start-offset-checkpoint", "0\n1\nt 0 4\n");
    put(env, "/kafka", ".kafka_cleanshutdown", "{}");
    return env;
}

static void on_closed(enum status status, void *context)
{
    cr_assert_eq(status, ST_OK);
}

static struct log_set *open_set(struct env *env)
{
    struct log_set_config config = log_set_config_default();
    struct log_set *set;
    cr_assert_eq(log_set_open(env, "/node", &config, &set), ST_OK, "%s", fake_of(env)->last_line);
    return set;
}

static void close_set(struct env *env, struct log_set *set)
{
    log_set_close(set, on_closed, NULL);
    fake_run(env);
}

static enum status adopt(struct env *env, struct log_adopted *adopted)
{
    char why[LOG_ADOPT_WHY] = "";
    struct log_adoption *adoption;
    close_set(env, open_set(env));
    cr_assert_eq(log_adoption_new(env, LOG_ADOPT, "/kafka", "/node", why, &adoption), ST_OK, "%s", why);
    cr_assert_eq(log_adoption_count(adoption), 1);
    cr_assert_str_eq(log_adoption_name(adoption, 0), "t-0");
    enum status status = log_adoption_add(adoption, 0, why, adopted);
    cr_assert((status == ST_OK) == (why[0] == 0), "%s", why);
    if (status == ST_OK)
        cr_assert_eq(log_adoption_commit(adoption), ST_OK);
    log_adoption_destroy(&adoption);
    return status;
}

static void check_epoch(struct log *log, int32_t asked, int32_t epoch, int64_t end)
{
    int32_t found;
    int64_t found_end;
    log_epoch_end(log, asked, &found, &found_end);
    cr_assert_eq(found, epoch, "epoch %d", asked);
    cr_assert_eq(found_end, end, "epoch %d", asked);
}

Test(adopt, a_compacted_log_keeps_its_holes_epochs_and_ends)
{
    struct env *env = make_kafka();
    struct log_adopted adopted;
    cr_assert_eq(adopt(env, &adopted), ST_OK);
    cr_assert_eq(adopted.start, 4);
    cr_assert_eq(adopted.end, 200, "the base of the empty last segment");
    cr_assert_eq(adopted.unstable, -1);
    for (int i = 0; i < 3; i++) { // also after what the node writes itself
        struct log_set *set = open_set(env);
        struct log *log = log_set_find(set, "t-0");
        cr_assert_not_null(log);
        cr_assert(!log_lost(log));
        cr_assert_eq(log_start(log), 4);
        cr_assert_eq(log_end(log), 200);
        cr_assert_eq(log_high_watermark(log), 104);
        cr_assert(uuid_equal(log_id(log), adopted.id));
        check_epoch(log, 1, 1, 50);
        check_epoch(log, 2, 2, 100);
        check_epoch(log, 3, 3, 200);
        close_set(env, set);
    }
    fake_env_destroy(&env);
}

Test(adopt, epochs_that_the_batches_contradict_are_not_believed)
{
    struct env *env = make_kafka();
    struct log_adopted adopted;
    put(env, "/kafka/t-0", "leader-epoch-checkpoint", "0\n2\n1 0\n2 50\n");
    cr_assert_eq(adopt(env, &adopted), ST_OK);
    struct log_set *set = open_set(env);
    check_epoch(log_set_find(set, "t-0"), 1, 1, 100);
    check_epoch(log_set_find(set, "t-0"), 3, 3, 200);
    close_set(env, set);
    fake_env_destroy(&env);
}

Test(adopt, an_epoch_without_records_is_told_of)
{
    struct env *env = make_kafka();
    struct log_adopted adopted;
    put(env, "/kafka/t-0", "leader-epoch-checkpoint", "0\n4\n1 0\n2 5\n3 100\n7 200\n");
    cr_assert_eq(adopt(env, &adopted), ST_OK);
    cr_assert_eq(adopted.last_epoch, 7);
    struct log_set *set = open_set(env);
    cr_assert_eq(log_last_epoch(log_set_find(set, "t-0")), 3);
    close_set(env, set);
    fake_env_destroy(&env);
}

// ---- and back ----

// The node has what it adopted and two more records of epoch 5.
static void adopt_and_write(struct env *env)
{
    struct log_adopted adopted;
    struct batch_spec spec = batch_spec_plain();
    struct batch_record record = {.timestamp = 5000, .value = slice_str("w")};
    struct batch_header header;
    struct buf bytes;
    cr_assert_eq(adopt(env, &adopted), ST_OK);
    struct log_set *set = open_set(env);
    struct log *log = log_set_find(set, "t-0");
    spec.leader_epoch = 5;
    for (int64_t offset = 200; offset < 202; offset++) {
        buf_init(&bytes, 1 << 16);
        spec.base_offset = offset;
        cr_assert_eq(batch_build(&spec, &record, 1, &bytes), ST_OK);
        cr_assert_eq(batch_parse(buf_slice(&bytes), &header), ST_OK);
        struct block *block = block_new(bytes.len);
        memcpy(block->data, bytes.data, bytes.len);
        cr_assert_eq(log_append(log, block, 0, bytes.len, &header), ST_OK);
        block_unref(&block);
        buf_fini(&bytes);
    }
    log_note_high_watermark(log, 202);
    close_set(env, set);
}

static enum status release(struct env *env, char *why)
{
    struct log_adopted adopted;
    struct log_adoption *adoption;
    why[0] = 0;
    enum status status = log_adoption_new(env, LOG_RELEASE, "/node", "/kafka", why, &adoption);
    if (status != ST_OK)
        return status;
    status = log_adoption_add(adoption, 0, why, &adopted);
    cr_assert((status == ST_OK) == (why[0] == 0), "%s", why);
    if (status == ST_OK)
        cr_assert_eq(log_adoption_commit(adoption), ST_OK);
    log_adoption_destroy(&adoption);
    return status;
}

static bool says(struct env *env, const char *dir, const char *name, const char *text)
{
    struct buf found;
    buf_init(&found, 1 << 16);
    cr_assert_eq(log_file_load(env, dir, name, &found), ST_OK, "%s/%s", dir, name);
    bool same = slice_is(buf_slice(&found), text);
    if (!same)
        fprintf(stderr, "%s: %.*s\n", name, (int)found.len, (const char *)found.data);
    buf_fini(&found);
    return same;
}

Test(adopt, what_the_broker_gets_back_is_what_it_would_have_written)
{
    char why[LOG_ADOPT_WHY];
    struct env *env = make_kafka();
    adopt_and_write(env);
    put(env, "/kafka/t-0", "leader-epoch-checkpoint", "0\n4\n1 0\n2 50\n3 100\n6 200\n");
    put(env, "/kafka", "recovery-point-offset-checkpoint", "0\n2\nu 0 7\nt 0 200\n");
    cr_assert_eq(release(env, why), ST_OK, "%s", why);
    cr_expect(says(env, "/kafka", "recovery-point-offset-checkpoint", "0\n2\nu 0 7\nt 0 202\n"));
    cr_expect(says(env, "/kafka", "replication-offset-checkpoint", "0\n1\nt 0 202\n"));
    cr_expect(says(env, "/kafka", "log-start-offset-checkpoint", "0\n1\nt 0 4\n"));
    cr_expect(says(env, "/kafka/t-0", "partition.metadata", identity));
    cr_expect(says(env, "/kafka/t-0", "leader-epoch-checkpoint", "0\n4\n1 4\n2 50\n3 100\n5 200\n"));
    struct buf *ours = fake_file(env, "/node/t-0/00000000000000000200.log");
    cr_assert_gt(ours->len, 0);
    cr_expect(slice_equal(buf_slice(ours), buf_slice(fake_file(env, "/kafka/t-0/00000000000000000200.log"))));
    fake_env_destroy(&env);
}

Test(adopt, an_empty_partition_of_the_brokers_keeps_its_topic_id)
{
    static const char other[] = "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEQ";
    char why[LOG_ADOPT_WHY];
    struct env *env = make_kafka();
    adopt_and_write(env);
    put(env, "/kafka/t-0", "partition.metadata", other);
    put(env, "/kafka/t-0", "leader-epoch-checkpoint", "0\n1\n5 0\n");
    cr_assert_eq(release(env, why), ST_MISMATCH, "it has records");
    put(env, "/kafka", "recovery-point-offset-checkpoint", "0\n1\nt 0 0\n");
    cr_assert_eq(release(env, why), ST_OK, "%s", why);
    cr_expect(says(env, "/kafka/t-0", "partition.metadata", other));
    cr_expect(says(env, "/node/t-0", "partition.metadata", identity));
    fake_env_destroy(&env);
}

Test(adopt, nothing_of_the_brokers_is_lost_by_giving_back)
{
    static const char points[] = "recovery-point-offset-checkpoint", epochs[] = "leader-epoch-checkpoint";
    char why[LOG_ADOPT_WHY];
    struct env *env = make_kafka();
    adopt_and_write(env);
    put(env, "/kafka/t-0", epochs, "0\n1\n4 0\n");
    cr_assert_eq(release(env, why), ST_STALE);
    cr_expect_not_null(strstr(why, "leader epoch 5"));
    put(env, "/kafka/t-0", epochs, "0\n1\n5 0\n");
    put(env, "/kafka", points, "0\n1\nt 0 203\n");
    cr_assert_eq(release(env, why), ST_MISMATCH);
    put(env, "/kafka", points, "0\n1\nt 0 202\n");
    cr_assert_eq(path_unlink(env, "/kafka/.kafka_cleanshutdown"), ST_OK);
    cr_assert_eq(release(env, why), ST_AGAIN);
    put(env, "/kafka", ".kafka_cleanshutdown", "{}");
    cr_assert_eq(path_rename(env, "/kafka/t-0", "/kafka/u-0"), ST_OK);
    cr_assert_eq(release(env, why), ST_NOT_FOUND);
    cr_assert_eq(path_rename(env, "/kafka/u-0", "/kafka/t-0"), ST_OK);
    cr_expect(says(env, "/kafka/t-0", epochs, "0\n1\n5 0\n"));
    cr_assert_eq(release(env, why), ST_OK, "%s", why);
    fake_env_destroy(&env);
}

Test(adopt, damage_below_the_recovery_point_is_refused)
{
    struct log_adopted adopted;
    for (size_t at = 0; at < 5 * 69; at += 23) {
        struct env *env = make_kafka();
        struct buf *bytes = fake_file(env, "/kafka/t-0/00000000000000000000.log");
        size_t in_batch = at % (bytes->len / 5);
        bytes->data[at] ^= 64;
        bool seen = in_batch < 12 || in_batch > 15; // the leader epoch has no checksum
        enum status status = adopt(env, &adopted);
        cr_assert_eq(status != ST_OK, seen, "byte %zu", at);
        fake_env_destroy(&env);
    }
}

// As far as recovery by Kafka would go: an incomplete batch at the end goes, a hole that may be a
// compaction's does not take with it what is behind.
Test(adopt, after_an_unclean_stop_only_a_torn_end_is_left_out)
{
    struct log_adopted adopted;
    struct env *env = make_kafka();
    cr_assert_eq(path_unlink(env, "/kafka/.kafka_cleanshutdown"), ST_OK);
    cr_assert_eq(path_unlink(env, "/kafka/t-0/00000000000000000200.log"), ST_OK);
    put(env, "/kafka", "recovery-point-offset-checkpoint", "0\n1\nt 0 102\n");
    fake_file(env, "/kafka/t-0/00000000000000000100.log")->len -= 5;
    cr_assert_eq(adopt(env, &adopted), ST_OK);
    cr_assert_eq(adopted.end, 103);
    cr_assert_gt(adopted.dropped, 0);
    fake_env_destroy(&env);
    env = make_kafka();
    cr_assert_eq(path_unlink(env, "/kafka/.kafka_cleanshutdown"), ST_OK);
    put(env, "/kafka", "recovery-point-offset-checkpoint", "0\n1\nt 0 9\n");
    cr_assert_eq(adopt(env, &adopted), ST_CORRUPT);
    fake_env_destroy(&env);
}

// Everything may end at any change of a file: what is not whole is no log, and the next run does it all.
Test(adopt, a_crash_at_any_moment_leaves_all_or_nothing)
{
    long die = 0;
    for (bool ended = false; !ended; die++) {
        struct env *env = make_kafka();
        struct log_adopted adopted;
        struct log_adoption *adoption = NULL;
        char why[LOG_ADOPT_WHY];
        close_set(env, open_set(env));
        long before = fake_of(env)->changes;
        fake_of(env)->die_at = before + die;
        bool done = log_adoption_new(env, LOG_ADOPT, "/kafka", "/node", why, &adoption) == ST_OK;
        done = done && log_adoption_add(adoption, 0, why, &adopted) == ST_OK &&
               log_adoption_commit(adoption) == ST_OK;
        if (adoption != NULL)
            log_adoption_destroy(&adoption);
        fake_of(env)->dead = true;
        fake_of(env)->die_at = -1;
        fake_power_cut(env, die % 2 == 0);
        struct log_set *set = open_set(env);
        struct log *log = log_set_find(set, "t-0");
        cr_assert(log == NULL || log_lost(log) || log_end(log) == 200, "change %ld", die);
        cr_assert(!done || (log != NULL && !log_lost(log)), "change %ld", die);
        log_set_abandon(&set);
        ended = done;
        fake_env_destroy(&env);
    }
    cr_assert_gt(die, 20);
}
