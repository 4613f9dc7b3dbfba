// SPDX-License-Identifier: Apache-2.0
// Where a batch is validated, and what becomes of a check that nobody waits for any more.
#include "check.h"

#include "io/env_posix.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct env *env;
static int told;

static void on_done(void *context)
{
    told++;
    *(bool *)context = false;
}

static struct batch_rules rules(void)
{
    return (struct batch_rules){
        .from_client = true, .before_ms = INT64_MAX, .after_ms = INT64_MAX, .limits = compress_limits_default};
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
    struct batch_rules all = rules();
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
    cr_assert_eq(env_posix_new("check", 1, &env), ST_OK);
    struct block *block = make(COMPRESSION_LZ4, 500000);
    struct batch_rules all = rules();
    bool waiting = true;
    struct check *check = check_new(env, block, block_slice(block), &all, on_done, &waiting);
    cr_assert_null(check_result(check));
    for (int i = 0; i < 1000 && waiting; i++)
        env_posix_turn(env, 10000);
    cr_assert_eq(told, 1);
    cr_assert_eq(check_result(check)->status, ST_OK);
    cr_assert_eq(check_result(check)->header.count, 1);
    check_destroy(&check);
    block_unref(&block);
    env_posix_destroy(&env);
}

Test(check, one_that_is_ended_tells_nobody_and_frees_its_block)
{
    cr_assert_eq(env_posix_new("check", 1, &env), ST_OK);
    struct block *block = make(COMPRESSION_ZSTD, 500000);
    struct batch_rules all = rules();
    bool waiting = true;
    for (int i = 0; i < 20; i++) {
        struct check *check = check_new(env, block, block_slice(block), &all, on_done, &waiting);
        check_destroy(&check);
        cr_assert_null(check);
    }
    env_posix_destroy(&env); // runs what is queued to its end
    cr_assert_eq(told, 0);
    cr_assert_eq(atomic_load(&block->refs), 1);
    block_unref(&block);
}
