// SPDX-License-Identifier: Apache-2.0
// See share_batches.h.
#include "share_batches.h"

#include "base/mem.h"

void share_batches_fini(struct share_batches *batches)
{
    mem_free(batches->items);
    *batches = (struct share_batches){.count = 0};
}

static bool known(int8_t state)
{
    return state == SHARE_BATCH_AVAILABLE || state == SHARE_BATCH_ACKNOWLEDGED ||
           state == SHARE_BATCH_ARCHIVED;
}

bool share_batches_valid(const struct share_batch *items, size_t count)
{
    int64_t behind = 0;
    for (size_t i = 0; i < count; i++) {
        const struct share_batch *batch = &items[i];
        if (batch->first < behind || batch->last < batch->first || batch->last == INT64_MAX)
            return false;
        if (!known(batch->state) || batch->deliveries < 0)
            return false;
        behind = batch->last + 1;
    }
    return true;
}

// Those of a list that lie at or behind an offset that only grows.
struct rest {
    const struct share_batch *at, *end;
};

static struct rest rest_of(const struct share_batches *batches)
{
    return (struct rest){batches->items, batches->items + batches->count};
}

// NULL: no more.
static const struct share_batch *rest_from(struct rest *rest, int64_t offset)
{
    while (rest->at < rest->end && rest->at->last < offset)
        rest->at++;
    return rest->at < rest->end ? rest->at : NULL;
}

static bool covers(const struct share_batch *batch, int64_t offset)
{
    return batch != NULL && batch->first <= offset;
}

// Where what is known of the offset ends, or begins.
static int64_t stretch(const struct share_batch *batch, int64_t offset)
{
    if (batch == NULL)
        return INT64_MAX;
    return covers(batch, offset) ? batch->last : batch->first - 1;
}

static const struct share_batch *stronger(const struct share_batch *one, const struct share_batch *other,
                                          int64_t offset)
{
    if (!covers(one, offset) || !covers(other, offset))
        return covers(one, offset) ? one : covers(other, offset) ? other : NULL;
    if (one->deliveries != other->deliveries)
        return one->deliveries > other->deliveries ? one : other;
    return one->state > other->state ? one : other;
}

static void put(struct share_batches *out, int64_t first, int64_t last, const struct share_batch *like)
{
    struct share_batch *end = out->count > 0 ? &out->items[out->count - 1] : NULL;
    if (end != NULL && end->last + 1 == first && end->state == like->state &&
        end->deliveries == like->deliveries) {
        end->last = last;
        return;
    }
    out->items[out->count++] = (struct share_batch){first, last, like->state, like->deliveries};
}

void share_batches_merge(const struct share_batches *one, const struct share_batches *other, int64_t start,
                         struct share_batches *out)
{
    struct rest ones = rest_of(one), others = rest_of(other);
    int64_t offset = start > 0 ? start : 0;
    // Every piece ends where a batch begins or ends.
    out->items = mem_calloc(2 * (one->count + other->count) + 1, sizeof *out->items);
    out->count = 0;
    for (;;) {
        const struct share_batch *a = rest_from(&ones, offset), *b = rest_from(&others, offset);
        if (a == NULL && b == NULL)
            return;
        int64_t a_end = stretch(a, offset), b_end = stretch(b, offset), end = a_end < b_end ? a_end : b_end;
        const struct share_batch *like = stronger(a, b, offset);
        if (like != NULL)
            put(out, offset, end, like);
        offset = end + 1;
    }
}
