// SPDX-License-Identifier: Apache-2.0
// The log over the real environment: threads, files, fsync. Several logs are written at once while rounds
// run, read both ways, truncated, closed, reopened. The thread sanitizer looks on in its build.
#include "io/env_posix.h"
#include "log/set.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOGS = 5 };

struct world {
    char path[64];
    struct env *env;
    struct log_set *set;
    struct log *logs[LOGS];
    bool closed, done;
    int64_t next;
};

static void on_durable(struct log *log, enum status status)
{
    cr_assert_eq(status, ST_OK);
}

static void on_closed(enum status status, void *context)
{
    struct world *world = context;
    cr_assert_eq(status, ST_OK);
    world->closed = true;
}

static void on_done(struct log *log, enum status status, void *context)
{
    cr_assert_eq(status, ST_OK);
    ((struct world *)context)->done = true;
}

static void on_read(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    struct world *world = context;
    cr_assert_eq(status, ST_OK, "%s", status_name(status));
    cr_assert_eq(piece->len, found->bytes);
    world->next = found->next;
    world->done = true;
    piece_release(piece);
}

static void world_open(struct world *world)
{
    struct log_set_config config = log_set_config_default();
    config.cluster_id = "c";
    config.node_id = 1;
    config.log.segment_bytes = 20000;
    config.free_bytes_min = 0;
    cr_assert_eq(env_posix_new("log-test", 2, &world->env), ST_OK);
    cr_assert_eq(log_set_open(world->env, world->path, &config, &world->set), ST_OK);
    for (int i = 0; i < LOGS; i++) {
        char name[16];
        snprintf(name, sizeof name, "t-%d", i);
        world->logs[i] = log_set_find(world->set, name);
        if (world->logs[i] == NULL)
            cr_assert_eq(
                log_create(world->set, name, env_random_uuid(world->env), &config.log, &world->logs[i]),
                ST_OK);
    }
}

static void world_close(struct world *world)
{
    world->closed = false;
    log_set_close(world->set, on_closed, world);
    while (!world->closed)
        env_posix_turn(world->env, -1);
    env_posix_destroy(&world->env);
}

static void append(struct log *log)
{
    char value[500] = "v";
    struct batch_record record = {.timestamp = 1700000000000, .value = slice_of(value, sizeof value)};
    struct batch_spec spec = batch_spec_plain();
    spec.base_offset = log_end(log);
    struct buf bytes;
    buf_init(&bytes, 1000);
    batch_build(&spec, &record, 1, &bytes);
    struct block *block = block_copy(buf_slice(&bytes));
    struct batch_header header;
    batch_parse(block_slice(block), &header);
    cr_assert_eq(log_append(log, block, 0, block->len, &header), ST_OK);
    block_unref(&block);
    buf_fini(&bytes);
}

static void wait_flushed(struct world *world)
{
    log_flush(world->set, on_durable);
    for (int i = 0; i < LOGS; i++)
        while (log_flushed(world->logs[i]) < log_end(world->logs[i]))
            env_posix_turn(world->env, -1);
}

static void read_through(struct world *world, struct log *log)
{
    int64_t offset = log_start(log);
    while (offset < log_end(log)) {
        struct log_range range = {.from = offset, .up_to = log_end(log), .max_bytes = 3000, .min_one = true};
        struct piece pieces[LOG_PIECES];
        struct log_found found;
        int count;
        enum status status = log_read(log, &range, pieces, LOG_PIECES, &count, &found);
        if (status == ST_OK) {
            for (int i = 0; i < count; i++)
                piece_release(&pieces[i]);
            offset = found.next;
            continue;
        }
        cr_assert_eq(status, ST_AGAIN);
        world->done = false;
        log_read_async(log, &range, on_read, world);
        while (!world->done)
            env_posix_turn(world->env, -1);
        cr_assert_gt(world->next, offset);
        offset = world->next;
    }
}

Test(posix, logs_written_during_rounds_are_whole_after_reopening)
{
    struct world world = {.path = "/tmp/millrace-log-XXXXXX"};
    cr_assert_not_null(mkdtemp(world.path));
    world_open(&world);
    for (int n = 0; n < 2000; n++) {
        append(world.logs[n % LOGS]);
        log_flush(world.set, on_durable);
        if (n % 5 == 4)
            env_posix_turn(world.env, 0);
        if (n % 500 == 499)
            log_set_checkpoint(world.set, NULL, NULL);
    }
    wait_flushed(&world);
    for (int i = 0; i < LOGS; i++)
        cr_assert_eq(log_end(world.logs[i]), 400);
    world.done = false;
    log_truncate(world.logs[0], 100, on_done, &world);
    while (!world.done)
        env_posix_turn(world.env, -1);
    cr_assert_eq(log_end(world.logs[0]), 100);
    world_close(&world);

    world_open(&world);
    cr_assert(log_set_was_clean(world.set));
    cr_assert_eq(log_end(world.logs[0]), 100);
    read_through(&world, world.logs[1]);
    for (int i = 0; i < LOGS; i++) {
        world.done = false;
        log_delete(world.logs[i], on_done, &world);
        while (!world.done)
            env_posix_turn(world.env, -1);
    }
    world_close(&world);
    char command[256];
    snprintf(command, sizeof command, "test -z \"$(ls -d %s/t-* 2>/dev/null)\" && rm -r %s", world.path,
             world.path);
    cr_assert_eq(system(command), 0, "deleted logs leave no directory");
}
