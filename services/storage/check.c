// SPDX-License-Identifier: Apache-2.0
// See check.h. A check that is ended while the pool works on it is freed when it comes back; it judges no
// further record then, so that a client that sends the same again and again does not fill the pool.
#include "check.h"

#include "base/mem.h"

struct check {
    struct job job;
    struct checks *checks; // NULL: it never was on the pool
    struct block *block;
    struct slice batch;
    struct check_rules rules;
    struct check_result result;
    struct block *packed; // counted in checks once finished
    bool finished;
    _Atomic bool ended; // the pool looks, too
    check_fn *done;
    void *context;
};

void checks_init(struct checks *checks, struct env *env)
{
    *checks = (struct checks){.env = env};
    checks->packed = (struct metric){.name = "millrace_storage_repacked_bytes",
                                     .help = "Batches packed anew for compression.type, not yet appended.",
                                     .kind = METRIC_GAUGE};
    checks->batches = (struct metric){.name = "millrace_storage_repacked_batches_total",
                                      .help = "Batches packed anew for compression.type.",
                                      .kind = METRIC_COUNTER};
    metric_add(env->metrics, &checks->packed);
    metric_add(env->metrics, &checks->batches);
}

void checks_fini(struct checks *checks)
{
    metric_remove(checks->env->metrics, &checks->packed);
    metric_remove(checks->env->metrics, &checks->batches);
}

static bool to_repack(const struct check_rules *rules, const struct batch_header *header)
{
    return rules->repack && batch_compression(header) != rules->codec;
}

static void refuse(struct check_result *result, enum status status, const char *why)
{
    result->status = status;
    result->verdict.why = why;
}

static struct block *repack(const struct check_rules *rules, struct slice batch, struct slice records,
                            struct check_result *result)
{
    struct block *packed = NULL;
    struct buf out;
    buf_init(&out, BATCH_HEADER_SIZE + compress_pack_bound(rules->codec, records.len));
    if (batch_repack(batch, records, rules->codec, rules->level, &out) != ST_OK)
        refuse(result, ST_NO_MEMORY, "the batch cannot be packed anew");
    else if (out.len > rules->bytes_max)
        refuse(result, ST_LIMIT, "the batch is larger than max.message.bytes when packed anew");
    else
        packed = block_copy(buf_slice(&out));
    buf_fini(&out);
    return packed;
}

// The result, and the batch packed anew if it has to be and is valid. spare, stop: of guard_judge.
static struct block *validate(struct slice batch, const struct check_rules *rules, size_t spare,
                              const _Atomic bool *stop, struct check_result *result)
{
    struct block *packed = NULL;
    struct buf scratch;
    buf_init(&scratch, rules->batch.limits.bytes_max);
    result->guard = NULL;
    result->status = batch_validate(batch, &rules->batch, &scratch, &result->header, &result->verdict);
    if (result->status == ST_OK && (to_repack(rules, &result->header) || guard_books_any(&rules->guard))) {
        bool plain = batch_compression(&result->header) == COMPRESSION_NONE;
        struct slice body = slice_of(batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE);
        struct slice records = plain ? body : buf_slice(&scratch);
        if (guard_books_any(&rules->guard))
            result->guard = guard_judge(&rules->guard, &result->header, records, spare, stop);
        if (result->guard == NULL && to_repack(rules, &result->header))
            packed = repack(rules, batch, records, result);
    }
    buf_fini(&scratch);
    return packed;
}

// Payloads are dearer to look at than lengths.
static bool guard_is_dear(const struct check_rules *rules, struct slice batch)
{
    return guard_books_dear(&rules->guard) ||
           (batch.len > CHECK_UNPACKED_MAX && guard_books_full(&rules->guard));
}

bool check_now(struct slice batch, const struct check_rules *rules, struct check_result *result)
{
    struct batch_header header;
    bool whole = batch_parse(batch, &header) == ST_OK;
    bool unpacks = whole && batch_compression(&header) != COMPRESSION_NONE && !rules->batch.header_only;
    if ((unpacks && batch.len > CHECK_PACKED_MAX) || (whole && to_repack(rules, &header)) ||
        guard_is_dear(rules, batch))
        return false;
    struct check_rules bounded = *rules;
    size_t *bytes_max = &bounded.batch.limits.bytes_max;
    if (unpacks && *bytes_max > CHECK_UNPACKED_MAX)
        *bytes_max = CHECK_UNPACKED_MAX;
    validate(batch, &bounded, GUARD_SPARE_LOOP, NULL, result);
    if (result->guard != NULL && result->guard->spent) {
        guard_report_free(&result->guard);
        return false;
    }
    return result->status != ST_LIMIT || *bytes_max == rules->batch.limits.bytes_max;
}

static void check_free(struct check *check)
{
    block_unref(&check->packed);
    block_unref(&check->block);
    guard_report_free(&check->result.guard);
    guard_books_unref(&check->rules.guard);
    mem_free(check);
}

static void check_run(struct job *job)
{
    struct check *check = (struct check *)job;
    check->packed = validate(check->batch, &check->rules, GUARD_SPARE_POOL, &check->ended, &check->result);
}

static void count(struct checks *checks, int64_t bytes)
{
    checks->packed_bytes += bytes;
    metric_set(&checks->packed, checks->packed_bytes);
}

// A small batch may have become a large one, and many may wait for room in the log.
static void count_packed(struct check *check)
{
    struct checks *checks = check->checks;
    if (check->packed == NULL)
        return;
    if (checks->packed_bytes + (int64_t)check->packed->len > CHECKS_PACKED_BYTES_MAX) {
        refuse(&check->result, ST_NO_MEMORY, "too many batches packed anew wait for the log");
        block_unref(&check->packed);
        return;
    }
    count(checks, (int64_t)check->packed->len);
    metric_inc(&checks->batches, 1);
}

static void check_on_done(struct job *job)
{
    struct check *check = (struct check *)job;
    check->finished = true;
    if (check->ended) {
        check_free(check);
        return;
    }
    count_packed(check);
    check->done(check->context);
}

struct check *check_new(struct checks *checks, struct block *block, struct slice batch,
                        const struct check_rules *rules, check_fn *done, void *context)
{
    struct check *check = mem_calloc(1, sizeof *check);
    *check = (struct check){.job = {.run = check_run, .done = check_on_done},
                            .checks = checks,
                            .block = block_ref(block),
                            .batch = batch,
                            .rules = *rules,
                            .done = done,
                            .context = context};
    guard_books_ref(&rules->guard);
    if (rules->repack)
        check->rules.batch.header_only = false; // what it unpacks anyway it can look at
    env_submit(checks->env, checks->env->pool, &check->job);
    return check;
}

struct check *check_known(const struct check_rules *rules, const struct check_result *result)
{
    struct check *check = mem_calloc(1, sizeof *check);
    *check = (struct check){.rules = *rules, .result = *result, .finished = true};
    guard_books_ref(&rules->guard);
    return check;
}

const struct check_result *check_result(const struct check *check)
{
    return check->finished ? &check->result : NULL;
}

const struct check_rules *check_rules(const struct check *check)
{
    return &check->rules;
}

struct block *check_take_packed(struct check *check)
{
    struct block *packed = check->packed;
    check->packed = NULL;
    return packed;
}

void checks_give_back(struct checks *checks, struct block **packed)
{
    if (*packed == NULL)
        return;
    count(checks, -(int64_t)(*packed)->len);
    block_unref(packed);
}

void check_destroy(struct check **pointer)
{
    struct check *check = *pointer;
    *pointer = NULL;
    if (check == NULL)
        return;
    check->ended = true;
    if (!check->finished)
        return;
    if (check->packed != NULL)
        checks_give_back(check->checks, &check->packed);
    check_free(check);
}
