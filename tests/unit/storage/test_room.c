// SPDX-License-Identifier: Apache-2.0
// Batches that find no room in memory: woken by whatever log makes it, in the order they came.
#include "base/mem.h"
#include "io/env_posix.h"
#include "kafka/batch.h"
#include "partitions.h"
#include "partitions_state.h"
#include "replica.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SELF = 1, VALUE = 3000 };

static struct env *env;
static struct log_budget budget = {.max = 4000};
static struct partitions *partitions;
static struct replica replicas[2];
static int woken[2];
static struct dirs *dirs;

static bool lease_held(void *context)
{
    return true;
}

static void replica_make(int index)
{
    struct replica *replica = &replicas[index];
    char name[16];
    snprintf(name, sizeof name, "t-%d", index);
    struct log_config config = log_config_default();
    struct uuid id = {{1}};
    *replica = (struct replica){.partitions = partitions, .topic = "t", .index = index, .topic_id = id};
    cr_assert_eq(dirs_create(dirs, name, id, &config, &replica->log), ST_OK);
    log_attach(replica->log, replica);
    struct partition_view view = {.leader = SELF,
                                  .leader_epoch = 1,
                                  .min_isr = 1,
                                  .replica_count = 1,
                                  .replicas = {{.node = SELF, .incarnation = 5, .in_isr = true}}};
    partition_init(&replica->state, SELF, 0, 0, 0);
    partition_view(&replica->state, &view, 0);
}

static void setup(void)
{
    char directory[] = "/tmp/millrace-room-XXXXXX";
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(env_posix_new("room", 1, &env), ST_OK);
    struct log_set_config config = log_set_config_default();
    config.budget = &budget;
    config.free_bytes_min = 0;
    struct log_set *set;
    cr_assert_eq(log_set_open(env, directory, &config, &set), ST_OK);
    dirs = dirs_of(env, set);
    struct partitions_options options = {
        .env = env, .dirs = dirs, .node_id = SELF, .rpc_endpoint = "", .lease_held = lease_held};
    partitions = partitions_new(&options);
    for (int i = 0; i < 2; i++)
        replica_make(i);
}

static void teardown(void)
{
    for (int i = 0; i < 2; i++) {
        log_attach(replicas[i].log, NULL);
        partition_fini(&replicas[i].state);
    }
    partitions_destroy(&partitions);
    dirs_destroy(&dirs);
    env_posix_destroy(&env);
}

static enum status append(int index)
{
    static const uint8_t value[VALUE];
    struct batch_record record = {.value = slice_of(value, sizeof value)};
    struct batch_spec spec = batch_spec_plain();
    struct batch_header header;
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    cr_assert_eq(batch_build(&spec, &record, 1, &bytes), ST_OK);
    struct block *block = block_copy(buf_slice(&bytes));
    cr_assert_eq(batch_parse(block_slice(block), &header), ST_OK);
    enum status status = replica_append(&replicas[index], block, 0, block->len, &header);
    block_unref(&block);
    buf_fini(&bytes);
    return status;
}

static void on_room(struct wait *wait, enum status status)
{
    int *count = wait->context;
    cr_expect_eq(status, ST_OK);
    ++*count;
}

TestSuite(room, .init = setup, .fini = teardown, .timeout = 60);

Test(room, what_met_the_cap_of_all_logs_is_woken_by_the_flush_of_another)
{
    struct wait waits[2] = {{0}};
    cr_assert_eq(append(0), ST_OK);
    cr_assert_eq(append(1), ST_LIMIT); // nothing of it is under way: no flush of its own will come
    replica_wait_room(&replicas[1], &waits[1], on_room, &woken[1]);
    cr_assert_eq(append(0), ST_LIMIT);
    replica_wait_room(&replicas[0], &waits[0], on_room, &woken[0]);
    partitions_flush(partitions);
    for (int i = 0; i < 200 && (woken[0] == 0 || woken[1] == 0); i++)
        env_posix_turn(env, 10000);
    cr_expect_eq(woken[0], 1);
    cr_expect_eq(woken[1], 1);
    cr_expect_eq(append(1), ST_OK);
    partitions_flush(partitions);
    for (int i = 0; i < 200 && log_flushed(replicas[1].log) == 0; i++)
        env_posix_turn(env, 10000);
    cr_expect_eq(replicas[1].state.high_watermark, 1);
}
