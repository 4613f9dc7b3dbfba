// SPDX-License-Identifier: Apache-2.0
// Where a batch is validated, what comes back packed anew, and what becomes of a check that nobody waits for
// any more.
#include "check.h"

#include "io/env_posix.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

static struct env *env;
static struct checks checks;
static int told;

static void on_done(void *context)
{
    told++;
    *(bool *)context = false;
}

static struct check_rules rules(void)
{
    return (struct check_rules){.batch = {.from_client = true,
                                          .before_ms = INT64_MAX,
                                          .after_ms = INT64_MAX,
                                          .limits = compress_limits_default},
                                .bytes_max = 1 << 20};
}

static void start(void)
{
    cr_assert_eq(env_posix_new("check", 1, &env), ST_OK);
    checks_init(&checks, env);
}

static void stop(void)
{
    checks_fini(&checks);
    env_posix_destroy(&env); // runs what is queued to its end
}

// A batch of one record with len bytes that pack well.
static struct block *make(enum compression compression, size_t len)
{
    char *value = calloc(1, len);
    struct batch_record record = {.timestamp = 1, .value = slice_of(value, len)};
    struct batch_spec spec = batch_spec_plain();
    struct buf out;
    buf_init(&out, 64 << 20);
    spec.compression = compression;
    cr_assert_eq(batch_build(&spec, &record, 1, &out), ST_OK);
    struct block *block = block_copy(buf_slice(&out));
    buf_fini(&out);
    free(value);
    return block;
}

static bool cheap(enum compression compression, size_t len)
{
    struct block *block = make(compression, len);
    struct check_result result;
    struct check_rules all = rules();
    bool known = check_now(block_slice(block), &all, &result);
    if (known)
        cr_assert_eq(result.status, ST_OK);
    block_unref(&block);
    return known;
}

Test(check, what_unpacks_to_little_is_validated_on_the_spot)
{
    for (int codec = COMPRESSION_NONE; codec < COMPRESSION_COUNT; codec++)
        cr_assert(cheap((enum compression)codec, 30000), "codec %d", codec);
    cr_assert(cheap(COMPRESSION_NONE, 900000), "nothing is unpacked");
    for (int codec = COMPRESSION_GZIP; codec < COMPRESSION_COUNT; codec++)
        cr_assert_not(cheap((enum compression)codec, 2 * CHECK_UNPACKED_MAX), "codec %d", codec);
}

Test(check, the_pool_says_what_the_spot_would_have_said)
{
    start();
    struct block *block = make(COMPRESSION_LZ4, 500000);
    struct check_rules all = rules();
    bool waiting = true;
    struct check *check = check_new(&checks, block, block_slice(block), &all, on_done, &waiting);
    cr_assert_null(check_result(check));
    for (int i = 0; i < 1000 && waiting; i++)
        env_posix_turn(env, 10000);
    cr_assert_eq(told, 1);
    cr_assert_eq(check_result(check)->status, ST_OK);
    cr_assert_eq(check_result(check)->header.count, 1);
    check_destroy(&check);
    block_unref(&block);
    stop();
}

Test(check, one_that_is_ended_tells_nobody_and_frees_its_block)
{
    start();
    struct block *block = make(COMPRESSION_ZSTD, 500000);
    struct check_rules all = rules();
    bool waiting = true;
    for (int i = 0; i < 20; i++) {
        struct check *check = check_new(&checks, block, block_slice(block), &all, on_done, &waiting);
        check_destroy(&check);
        cr_assert_null(check);
    }
    stop();
    cr_assert_eq(told, 0);
    cr_assert_eq(atomic_load(&block->refs), 1);
    block_unref(&block);
}

// ---- batches of another codec than the topic's ----

static struct check_rules packing(enum compression codec)
{
    struct check_rules all = rules();
    all.repack = true;
    all.codec = codec;
    all.level = compress_level_default(codec);
    all.bytes_max = 64 << 20;
    return all;
}

// A finished check of a batch with len bytes.
static struct check *finished(enum compression codec, size_t len, const struct check_rules *all)
{
    struct block *block = make(codec, len);
    bool waiting = true;
    struct check *check = check_new(&checks, block, block_slice(block), all, on_done, &waiting);
    for (int i = 0; i < 1000 && waiting; i++)
        env_posix_turn(env, 10000);
    cr_assert_not(waiting);
    block_unref(&block);
    return check;
}

Test(check, another_codec_than_the_topics_goes_to_the_pool_however_small)
{
    struct check_result result;
    for (int from = COMPRESSION_NONE; from < COMPRESSION_COUNT; from++) {
        for (int to = COMPRESSION_NONE; to < COMPRESSION_COUNT; to++) {
            struct check_rules all = packing((enum compression)to);
            struct block *block = make((enum compression)from, 10);
            cr_assert_eq(check_now(block_slice(block), &all, &result), from == to, "%d to %d", from, to);
            block_unref(&block);
        }
    }
}

Test(check, it_comes_back_packed_by_the_topics_codec)
{
    start();
    for (int to = COMPRESSION_NONE; to < COMPRESSION_COUNT; to++) {
        struct check_rules all = packing((enum compression)to);
        struct check *check =
            finished(to == COMPRESSION_ZSTD ? COMPRESSION_GZIP : COMPRESSION_ZSTD, 5000, &all);
        cr_assert_eq(check_result(check)->status, ST_OK);
        struct block *packed = check_take_packed(check);
        struct batch_header header;
        cr_assert_eq(batch_parse(block_slice(packed), &header), ST_OK);
        cr_assert_eq((int)batch_compression(&header), to);
        cr_assert_eq(batch_size(&header), packed->len);
        cr_assert(batch_crc_ok(block_slice(packed), &header));
        check_destroy(&check);
        cr_assert_eq(checks.packed_bytes, (int64_t)packed->len, "counts until it is given back");
        checks_give_back(&checks, &packed);
        cr_assert_null(packed);
        cr_assert_eq(checks.packed_bytes, 0);
    }
    stop();
}

Test(check, the_topics_own_codec_is_left_as_it_came)
{
    start();
    struct check_rules all = packing(COMPRESSION_LZ4);
    struct check *check = finished(COMPRESSION_LZ4, 500000, &all);
    cr_assert_eq(check_result(check)->status, ST_OK);
    cr_assert_null(check_take_packed(check));
    check_destroy(&check);
    stop();
}

Test(check, records_are_looked_at_when_they_are_unpacked_anyway)
{
    start();
    struct check_rules all = packing(COMPRESSION_NONE);
    all.batch.header_only = all.batch.key_required = true;
    struct check *check = finished(COMPRESSION_GZIP, 100, &all);
    cr_assert_eq(check_result(check)->status, ST_MALFORMED);
    cr_assert_null(check_take_packed(check));
    check_destroy(&check);
    stop();
}

Test(check, header_only_unpacks_nothing)
{
    struct block *block = make(COMPRESSION_GZIP, 30 << 20);
    struct check_rules all = rules();
    struct check_result result;
    all.batch.header_only = true;
    cr_assert_gt(block->len, CHECK_PACKED_MAX);
    cr_assert(check_now(block_slice(block), &all, &result));
    cr_assert_eq(result.status, ST_OK);
    block_unref(&block);
}

Test(check, what_grows_beyond_the_topics_size_is_refused)
{
    start();
    struct check_rules all = packing(COMPRESSION_NONE);
    all.bytes_max = 61 + 4 + 5000;
    struct check *check = finished(COMPRESSION_GZIP, 4990, &all);
    cr_assert_eq(check_result(check)->status, ST_OK);
    check_destroy(&check);
    check = finished(COMPRESSION_GZIP, 5010, &all);
    cr_assert_eq(check_result(check)->status, ST_LIMIT);
    cr_assert_null(check_take_packed(check));
    check_destroy(&check);
    cr_assert_eq(checks.packed_bytes, 0, "also that of a check that was not asked for it");
    stop();
}

Test(check, batches_that_wait_packed_anew_are_bounded)
{
    enum { LARGE = 30 << 20, FIT = CHECKS_PACKED_BYTES_MAX / LARGE };
    struct check *list[FIT + 1];
    start();
    struct check_rules all = packing(COMPRESSION_NONE);
    all.batch.limits.ratio_max = 2000; // zeros
    for (int i = 0; i < FIT; i++) {
        list[i] = finished(COMPRESSION_GZIP, LARGE, &all);
        cr_assert_eq(check_result(list[i])->status, ST_OK);
    }
    list[FIT] = finished(COMPRESSION_GZIP, LARGE, &all);
    cr_assert_eq(check_result(list[FIT])->status, ST_NO_MEMORY, "it can be sent again");
    cr_assert_null(check_take_packed(list[FIT]));
    for (int i = 0; i <= FIT; i++)
        check_destroy(&list[i]);
    cr_assert_eq(checks.packed_bytes, 0);
    stop();
}

// ---- batches whose payloads take long to look at ----

static const struct guard_rule full = {.level = GUARD_FULL};

// A side with id 1, of a JSON schema that takes 5,000 steps for any value.
static struct guard_side *learn_costly(struct guard_cache *cache)
{
    struct guard_side *side = guard_cache_side(cache, (struct uuid){{1}}, SCHEMA_VALUE, full);
    struct guard_id id = {.schema = schema_id_of(1)};
    struct guard_told costly = {.verdict = GUARD_GOOD};
    struct schema_error error;
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "{\"allOf\":[{}");
    for (int i = 1; i < 5000; i++)
        buf_printf(&text, ",{}");
    buf_printf(&text, "]}");
    cr_assert_eq(schema_parse(SCHEMA_JSON, buf_slice(&text), NULL, 0, &error, &costly.schema), ST_OK);
    buf_fini(&text);
    guard_side_tell(side, &id, &costly, 0);
    return side;
}

static struct block *make_costly(void)
{
    static struct batch_record records[500];
    struct batch_spec spec = batch_spec_plain();
    struct buf out;
    buf_init(&out, 1 << 20);
    for (int i = 0; i < 500; i++)
        records[i] = (struct batch_record){.timestamp = 1,
                                           .value = slice_of("\0\0\0\0\1"
                                                             "1",
                                                             6)};
    cr_assert_eq(batch_build(&spec, records, 500, &out), ST_OK);
    struct block *block = block_copy(buf_slice(&out));
    buf_fini(&out);
    return block;
}

struct hold {
    struct job job;
    sem_t go;
};

static void hold_run(struct job *job)
{
    sem_wait(&((struct hold *)(void *)job)->go);
}

static void hold_done(struct job *job)
{
}

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// CPU time of a check that comes to its turn on the pool when it was ended already, or is not ended.
static double time_check(struct block *block, const struct check_rules *all, bool ended)
{
    struct hold hold = {.job = {.run = hold_run, .done = hold_done}};
    bool waiting = true;
    double began = cpu_s();
    start();
    sem_init(&hold.go, 0, 0);
    env_submit(env, env->pool, &hold.job);
    struct check *check = check_new(&checks, block, block_slice(block), all, on_done, &waiting);
    if (ended)
        check_destroy(&check);
    sem_post(&hold.go);
    for (int i = 0; i < 6000 && waiting && !ended; i++)
        env_posix_turn(env, 10000);
    cr_assert(ended || (check_result(check)->status == ST_OK && check_result(check)->guard == NULL));
    check_destroy(&check);
    stop();
    sem_destroy(&hold.go);
    return cpu_s() - began;
}

Test(check, one_that_is_ended_looks_at_no_further_payload)
{
    struct guard_cache cache;
    struct check_rules all = rules();
    struct block *block = make_costly();
    guard_cache_init(&cache, 100, 1 << 20, 7);
    all.guard.sides[SCHEMA_VALUE] = guard_side_book(learn_costly(&cache), 0);
    double whole = time_check(block, &all, false);
    cr_expect_lt(time_check(block, &all, true), whole / 4, "%f s for all", whole);
    guard_books_unref(&all.guard);
    guard_cache_fini(&cache);
    block_unref(&block);
}
