// SPDX-License-Identifier: Apache-2.0
// See check.h. A check that is ended while the pool works on it is freed when it comes back.
#include "check.h"

#include "base/mem.h"

struct check {
    struct job job;
    struct block *block; // NULL: it never was on the pool
    struct slice batch;
    struct batch_rules rules;
    struct check_result result;
    bool finished, ended;
    check_fn *done;
    void *context;
};

static enum status validate(struct slice batch, const struct batch_rules *rules, struct check_result *result)
{
    struct buf scratch;
    buf_init(&scratch, rules->limits.bytes_max);
    result->status = batch_validate(batch, rules, &scratch, &result->header, &result->verdict);
    buf_fini(&scratch);
    return result->status;
}

bool check_now(struct slice batch, const struct batch_rules *rules, struct check_result *result)
{
    struct batch_header header;
    bool packed = batch_parse(batch, &header) == ST_OK && batch_compression(&header) != COMPRESSION_NONE;
    if (packed && batch.len > CHECK_PACKED_MAX)
        return false;
    struct batch_rules bounded = *rules;
    if (packed && bounded.limits.bytes_max > CHECK_UNPACKED_MAX)
        bounded.limits.bytes_max = CHECK_UNPACKED_MAX;
    return validate(batch, &bounded, result) != ST_LIMIT ||
           bounded.limits.bytes_max == rules->limits.bytes_max;
}

static void check_free(struct check *check)
{
    block_unref(&check->block);
    mem_free(check);
}

static void check_run(struct job *job)
{
    struct check *check = (struct check *)job;
    validate(check->batch, &check->rules, &check->result);
}

static void check_on_done(struct job *job)
{
    struct check *check = (struct check *)job;
    check->finished = true;
    if (check->ended)
        check_free(check);
    else
        check->done(check->context);
}

struct check *check_new(struct env *env, struct block *block, struct slice batch,
                        const struct batch_rules *rules, check_fn *done, void *context)
{
    struct check *check = mem_calloc(1, sizeof *check);
    *check = (struct check){.job = {.run = check_run, .done = check_on_done},
                            .block = block_ref(block),
                            .batch = batch,
                            .rules = *rules,
                            .done = done,
                            .context = context};
    env_submit(env, env->pool, &check->job);
    return check;
}

struct check *check_known(const struct batch_rules *rules, const struct check_result *result)
{
    struct check *check = mem_calloc(1, sizeof *check);
    *check = (struct check){.rules = *rules, .result = *result, .finished = true};
    return check;
}

const struct check_result *check_result(const struct check *check)
{
    return check->finished ? &check->result : NULL;
}

const struct batch_rules *check_rules(const struct check *check)
{
    return &check->rules;
}

void check_destroy(struct check **pointer)
{
    struct check *check = *pointer;
    *pointer = NULL;
    if (check == NULL)
        return;
    check->ended = true;
    if (check->finished)
        check_free(check);
}
