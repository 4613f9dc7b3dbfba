// SPDX-License-Identifier: Apache-2.0
// The store on real files: what was acknowledged is read back, a torn end is dropped, damage is refused by
// name, directories of others are refused.
#include <criterion/criterion.h>

#include "store.h"
#include "store_files.h"

#include "base/mem.h"
#include "base/prng.h"
#include "io/env_posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct env *env;
    struct store *store;
    struct raft *raft;
    struct raft_updates out;
    char directory[64];
    uint64_t durable;
    int snapshots, failures;
};

static void on_durable(void *context, uint64_t step)
{
    ((struct fixture *)context)->durable = step;
}

static void on_installed(void *context, struct store_boot *boot)
{
}

static void on_snapshot(void *context, enum status status, int64_t index)
{
    ((struct fixture *)context)->snapshots += status == ST_OK;
}

static void on_failed(void *context, const char *why)
{
    ((struct fixture *)context)->failures++;
}

static enum status open_as(struct fixture *fixture, int32_t node_id, struct store **store)
{
    struct store_options options = {.env = fixture->env,
                                    .directory = fixture->directory,
                                    .node_id = node_id,
                                    .context = fixture,
                                    .on_durable = on_durable,
                                    .on_installed = on_installed,
                                    .on_snapshot = on_snapshot,
                                    .on_failed = on_failed};
    return store_open(&options, store);
}

static struct raft_voter self_of(const struct fixture *fixture)
{
    return (struct raft_voter){.id = 1, .directory = store_directory(fixture->store)};
}

static struct fixture *fresh(void)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/unit_store.XXXXXX");
    cr_assert_not_null(mkdtemp(fixture->directory));
    cr_assert_eq(env_posix_new("test", 1, &fixture->env), ST_OK);
    fixture->env->diag.level = DIAG_ERROR + 1;
    cr_assert_eq(open_as(fixture, 1, &fixture->store), ST_OK);
    struct raft_config config = {.count = 1, .voters = {self_of(fixture)}};
    cr_assert_eq(store_format(fixture->store, env_random_uuid(fixture->env), &config), ST_OK);
    raft_updates_init(&fixture->out);
    return fixture;
}

static void shut(struct fixture *fixture)
{
    raft_destroy(&fixture->raft);
    store_close(&fixture->store);
}

static void done(struct fixture *fixture)
{
    char command[100];
    shut(fixture);
    raft_updates_fini(&fixture->out);
    env_posix_destroy(&fixture->env);
    snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
    cr_assert_eq(system(command), 0);
    mem_free(fixture);
}

static void load(struct fixture *fixture)
{
    struct store_boot boot;
    cr_assert_eq(store_load(fixture->store, &boot), ST_OK);
    struct raft_start start = {.self = self_of(fixture),
                               .seed = 1,
                               .hard = boot.hard,
                               .snapshot = boot.snapshot,
                               .entries = boot.entries,
                               .entry_count = boot.entry_count};
    fixture->raft = raft_new(&start);
    store_boot_fini(&boot);
}

static void step(struct fixture *fixture, struct raft_event event)
{
    event.now_ms = env_now_ms(fixture->env);
    raft_step(fixture->raft, &event, &fixture->out);
    if (fixture->out.persist == 0)
        return;
    uint64_t wanted = fixture->out.persist;
    store_write(fixture->store, fixture->raft, &fixture->out);
    while (fixture->durable < wanted && fixture->failures == 0)
        env_posix_turn(fixture->env, 10000);
    step(fixture, (struct raft_event){.kind = RAFT_EVENT_PERSISTED, .sequence = wanted});
}

static void lead(struct fixture *fixture)
{
    load(fixture);
    fixture->durable = 0;
    step(fixture, (struct raft_event){.kind = RAFT_EVENT_TICK});
    cr_assert(raft_ready(fixture->raft));
}

static void propose(struct fixture *fixture, const char *text)
{
    struct block *block = block_copy(slice_str(text));
    step(fixture, (struct raft_event){.kind = RAFT_EVENT_PROPOSE, .blocks = &block, .block_count = 1});
    block_unref(&block);
}

static void reopen(struct fixture *fixture)
{
    shut(fixture);
    cr_assert_eq(open_as(fixture, 1, &fixture->store), ST_OK);
}

static char *path_of(const struct fixture *fixture, const char *name)
{
    return mem_printf("%s/%s", fixture->directory, name);
}

// Flips one bit; from the end when at < 0.
static void flip(const struct fixture *fixture, const char *name, long at)
{
    char *path = path_of(fixture, name);
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 4, file);
    fclose(file);
    mem_free(path);
}

static enum status load_status(struct fixture *fixture)
{
    struct store_boot boot;
    enum status status = store_load(fixture->store, &boot);
    store_boot_fini(&boot);
    return status;
}

Test(store, term_vote_and_entries_survive)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    propose(fixture, "one");
    propose(fixture, "two");
    int64_t term = raft_term(fixture->raft), last = raft_last_index(fixture->raft);
    reopen(fixture);
    load(fixture);
    cr_assert_eq(raft_term(fixture->raft), term);
    cr_assert_eq(raft_last_index(fixture->raft), last);
    cr_assert(slice_is(block_slice(raft_entry(fixture->raft, last)->data), "two"));
    done(fixture);
}

Test(store, a_snapshot_replaces_the_front_of_the_log)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    propose(fixture, "one");
    struct raft_snapshot snapshot = raft_snapshot_at(fixture->raft, raft_commit(fixture->raft));
    struct buf records;
    buf_init(&records, 100);
    buf_append(&records, "records", 7);
    store_snapshot_take(fixture->store, fixture->raft, &snapshot, 77, &records);
    while (fixture->snapshots == 0)
        env_posix_turn(fixture->env, 10000);
    propose(fixture, "two");
    reopen(fixture);
    struct store_boot boot;
    cr_assert_eq(store_load(fixture->store, &boot), ST_OK);
    cr_assert_eq(boot.snapshot.index, snapshot.index);
    cr_assert_eq(boot.next_offset, 77);
    cr_assert(slice_is(buf_slice(&boot.records), "records"));
    cr_assert_eq(boot.entry_count, 1);
    cr_assert(slice_is(block_slice(boot.entries[0].data), "two"));
    store_boot_fini(&boot);
    reopen(fixture);
    char *name = mem_printf("snapshot-%020lld", (long long)snapshot.index);
    flip(fixture, name, -3);
    cr_assert_eq(load_status(fixture), ST_CORRUPT, "a damaged snapshot was taken");
    mem_free(name);
    done(fixture);
}

Test(store, a_write_cut_short_by_a_power_loss_is_dropped)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    propose(fixture, "one");
    int64_t last = raft_last_index(fixture->raft);
    propose(fixture, "this one was never acknowledged");
    shut(fixture);
    char *path = path_of(fixture, "log");
    FILE *file = fopen(path, "r+");
    fseek(file, 0, SEEK_END);
    cr_assert_eq(truncate(path, ftell(file) - 5), 0);
    fclose(file);
    mem_free(path);
    cr_assert_eq(open_as(fixture, 1, &fixture->store), ST_OK);
    load(fixture);
    cr_assert_eq(raft_last_index(fixture->raft), last);
    done(fixture);
}

static void wipe(struct fixture *fixture, long from, size_t len)
{
    static const uint8_t zeroes[4096];
    char *path = path_of(fixture, "log");
    FILE *file = fopen(path, "r+");
    fseek(file, from, SEEK_SET);
    cr_assert_eq(fwrite(zeroes, 1, len, file), len);
    fclose(file);
    mem_free(path);
}

Test(store, a_stretch_of_zeroes_amid_durable_entries_is_damage)
{
    char text[900];
    struct fixture *fixture = fresh();
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    lead(fixture);
    for (int i = 0; i < 6; i++)
        propose(fixture, text);
    reopen(fixture);
    wipe(fixture, 1024, 1024);
    cr_assert_eq(load_status(fixture), ST_CORRUPT, "entries that were acknowledged are gone without a word");
    done(fixture);
}

Test(store, a_flipped_bit_is_refused_and_nothing_is_deleted)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    for (int i = 0; i < 5; i++)
        propose(fixture, "an entry that somebody was told of");
    reopen(fixture);
    flip(fixture, "log", 150);
    cr_assert_eq(load_status(fixture), ST_CORRUPT);
    flip(fixture, "log", 150);
    cr_assert_eq(load_status(fixture), ST_OK);
    flip(fixture, "log", -3);
    cr_assert_eq(load_status(fixture), ST_CORRUPT, "the last entry was acknowledged too");
    flip(fixture, "log", -3);
    flip(fixture, "hard-state", 20);
    flip(fixture, "hard-state", 4096 + 30);
    cr_assert_eq(load_status(fixture), ST_CORRUPT, "a damaged vote was believed");
    flip(fixture, "hard-state", 20);
    flip(fixture, "hard-state", 4096 + 30);
    flip(fixture, "meta.properties", 15);
    store_close(&fixture->store);
    cr_assert_eq(open_as(fixture, 1, &fixture->store), ST_CORRUPT);
    done(fixture);
}

static struct raft_hard hard_of(struct fixture *fixture)
{
    struct store_boot boot;
    cr_assert_eq(store_load(fixture->store, &boot), ST_OK);
    struct raft_hard hard = boot.hard;
    store_boot_fini(&boot);
    return hard;
}

static struct stat hard_file(const struct fixture *fixture)
{
    struct stat info;
    char *path = path_of(fixture, "hard-state");
    cr_assert_eq(stat(path, &info), 0);
    mem_free(path);
    return info;
}

// Each bit of both copies, one after the other: the next start finds the first flip mended.
Test(store, term_and_vote_survive_what_befalls_one_copy)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    reopen(fixture);
    struct raft_hard right = hard_of(fixture);
    cr_assert_gt(right.term, 1);
    for (int at = 0; at < 64; at++)
        for (int copy = 0; copy < 2; copy++) {
            flip(fixture, "hard-state", copy * 4096 + at);
            struct raft_hard hard = hard_of(fixture);
            cr_assert_eq(hard.term, right.term, "byte %d of copy %d", at, copy);
            cr_assert_eq(hard.vote.id, right.vote.id);
            cr_assert(uuid_equal(hard.vote.directory, right.vote.directory));
        }
    done(fixture);
}

// A vote needs no space: the file and its blocks stay what they are.
Test(store, a_vote_is_written_over_the_one_before)
{
    struct fixture *fixture = fresh();
    struct stat before = hard_file(fixture);
    lead(fixture);
    struct stat after = hard_file(fixture);
    cr_assert_eq(before.st_ino, after.st_ino);
    cr_assert_eq(before.st_size, after.st_size);
    reopen(fixture);
    cr_assert_eq(hard_of(fixture).vote.id, 1);
    done(fixture);
}

Test(store, the_directory_of_another_node_is_refused)
{
    struct fixture *fixture = fresh();
    shut(fixture);
    cr_assert_eq(open_as(fixture, 2, &fixture->store), ST_MISMATCH);
    done(fixture);
}

Test(store, a_missing_vote_is_no_first_start)
{
    struct fixture *fixture = fresh();
    reopen(fixture);
    char *path = path_of(fixture, "hard-state");
    cr_assert_eq(unlink(path), 0);
    mem_free(path);
    cr_assert_eq(load_status(fixture), ST_CORRUPT);
    done(fixture);
}

// Whatever the bytes are: read, or refused; never a crash, never an entry that was not written.
Test(store, any_damage_is_survived)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    for (int i = 0; i < 8; i++)
        propose(fixture, "an entry that somebody was told of");
    int64_t last = raft_last_index(fixture->raft);
    reopen(fixture);
    struct prng prng = {.state = 5};
    for (int round = 0; round < 300; round++) {
        struct store_boot boot;
        long at = 1 + (long)prng_below(&prng, 500);
        flip(fixture, "log", -at);
        if (store_load(fixture->store, &boot) == ST_OK)
            cr_assert_leq(boot.entry_count, last);
        store_boot_fini(&boot);
        flip(fixture, "log", -at);
        cr_assert_eq(load_status(fixture), ST_OK, "an undamaged log was changed by reading");
    }
    done(fixture);
}

// What is on the disk when the power goes between the renaming of the leader's snapshot and the new log.
static void put_snapshot_beyond_the_log(const struct fixture *fixture, int64_t index, int64_t term)
{
    struct files files = {.env = fixture->env,
                          .directory = fixture->directory,
                          .node_id = 1,
                          .cluster = store_cluster(fixture->store)};
    struct raft_snapshot snapshot = {
        .index = index, .term = term, .config = {.count = 1, .voters = {self_of(fixture)}}};
    struct buf bytes;
    buf_init(&bytes, 10000);
    store_snapshot_put_header(&files, &bytes, &snapshot, 77, slice_of("", 0));
    char *name = store_files_snapshot_name(index);
    struct iovec iov = {.iov_base = bytes.data, .iov_len = bytes.len};
    cr_assert_eq(store_files_replace(&files, name, &iov, 1), ST_OK);
    mem_free(name);
    buf_fini(&bytes);
}

Test(store, a_log_that_an_installed_snapshot_left_behind_is_begun_anew)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    propose(fixture, "an entry that the snapshot covers");
    put_snapshot_beyond_the_log(fixture, 1000, raft_term(fixture->raft));
    reopen(fixture);
    lead(fixture);
    propose(fixture, "behind it");
    int64_t last = raft_last_index(fixture->raft);
    cr_assert_gt(last, 1000);
    reopen(fixture);
    load(fixture);
    cr_assert_eq(raft_last_index(fixture->raft), last);
    cr_assert(slice_is(block_slice(raft_entry(fixture->raft, last)->data), "behind it"));
    done(fixture);
}

static const struct env_ops *real_ops;
static int syncs_left; // of directories, then they fail

static enum status sync_dir_or_fail(struct env *env, const char *path)
{
    enum status status = real_ops->path_sync_dir(env, path);
    return syncs_left-- > 0 ? status : ST_IO;
}

// The rename may be lost, or the file it replaced is gone: what is written to either proves nothing.
Test(store, nothing_is_acknowledged_when_the_renaming_of_the_log_is_in_doubt)
{
    struct fixture *fixture = fresh();
    lead(fixture);
    propose(fixture, "one");
    struct raft_snapshot snapshot = raft_snapshot_at(fixture->raft, raft_commit(fixture->raft));
    struct buf records;
    buf_init(&records, 100);
    buf_append(&records, "records", 7);
    real_ops = fixture->env->ops;
    struct env_ops ops = *real_ops;
    ops.path_sync_dir = sync_dir_or_fail;
    syncs_left = 1; // the snapshot's, not the log's
    fixture->env->ops = &ops;
    store_snapshot_take(fixture->store, fixture->raft, &snapshot, 77, &records);
    propose(fixture, "two");
    int64_t last = raft_last_index(fixture->raft);
    bool told = fixture->failures == 0;
    fixture->env->ops = real_ops;
    reopen(fixture);
    load(fixture);
    cr_assert(!told || raft_last_index(fixture->raft) == last, "an acknowledged entry is gone");
    done(fixture);
}
