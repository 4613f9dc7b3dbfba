// SPDX-License-Identifier: Apache-2.0
// allOf, anyOf and oneOf against each other (Confluent's CombinedSchemaDiff): branches that are written twice
// count once, and each branch of the side that has fewer must have one of the other side to itself that it
// fits, which is a maximum matching in the graph of branches that fit.
#include "schema/jschema_compare.h"

#include <stdlib.h>

// Branches without those that say the same.
struct branches {
    struct part **parts;
    uint32_t count;
};

static int order(const struct part *a, const struct part *b)
{
    if (a->shape != b->shape)
        return a->shape < b->shape ? -1 : 1;
    if (a->shape == PART_LINK)
        return keywords_order(a->node, b->node);
    return (a->integer > b->integer) - (a->integer < b->integer);
}

static int by_content(const void *a, const void *b)
{
    struct part *const *x = *(struct part *const *const *)a, *const *y = *(struct part *const *const *)b;
    int found = order(*x, *y);
    return found != 0 ? found : (x > y) - (x < y);
}

// Of branches that are alike the first stays in its place. Parts of one object that are no links differ by
// their shape, but for the types of a list.
static bool collect(struct comparing *c, const struct part *choice, struct branches *out)
{
    struct part ***sorted = arena_calloc(&c->arena, (size_t)choice->count + 1, sizeof *sorted);
    bool *twice = arena_calloc(&c->arena, (size_t)choice->count + 1, sizeof *twice);
    out->parts = arena_calloc(&c->arena, (size_t)choice->count + 1, sizeof *out->parts);
    if (sorted == NULL || twice == NULL || out->parts == NULL || !compare_step(c, choice->count)) {
        c->status = ST_LIMIT;
        return false;
    }
    for (uint32_t i = 0; i < choice->count; i++)
        sorted[i] = &choice->parts[i];
    qsort(sorted, choice->count, sizeof *sorted, by_content);
    for (uint32_t i = 1; i < choice->count; i++)
        twice[sorted[i] - choice->parts] =
            (*sorted[i])->shape != PART_CHOICE && order(*sorted[i - 1], *sorted[i]) == 0;
    for (uint32_t i = 0; i < choice->count; i++)
        if (!twice[i])
            out->parts[out->count++] = choice->parts[i];
    return true;
}

struct matching {
    struct comparing *c;
    struct branches from, to;
    bool *fits;     // [from * to.count + to]
    int32_t *owner; // of each of to: index in from, or -1
    bool *seen;     // of each of to, in one search
};

// A path along which from gets a partner (Kuhn). Each of to is looked at once in a search.
static bool augment(struct matching *m, uint32_t from)
{
    for (uint32_t to = 0; to < m->to.count && compare_step(m->c, 1); to++) {
        if (!m->fits[(size_t)from * m->to.count + to] || m->seen[to])
            continue;
        m->seen[to] = true;
        if (m->owner[to] < 0 || augment(m, (uint32_t)m->owner[to])) {
            m->owner[to] = (int32_t)from;
            return true;
        }
    }
    return false;
}

static uint32_t match_all(struct matching *m)
{
    uint32_t matched = 0;
    for (uint32_t to = 0; to < m->to.count; to++)
        m->owner[to] = -1;
    for (uint32_t from = 0; from < m->from.count && m->c->status == ST_OK; from++) {
        memset(m->seen, 0, m->to.count * sizeof *m->seen);
        matched += augment(m, from);
    }
    return matched;
}

static uint32_t largest_matching(struct comparing *c, struct branches from, struct branches to)
{
    struct matching m = {.c = c, .from = from, .to = to};
    size_t cells = (size_t)from.count * to.count;
    if (cells > JSCHEMA_PAIRS_MAX) {
        c->status = ST_LIMIT;
        return 0;
    }
    m.fits = arena_calloc(&c->arena, cells + 1, sizeof *m.fits);
    m.owner = arena_calloc(&c->arena, (size_t)to.count + 1, sizeof *m.owner);
    m.seen = arena_calloc(&c->arena, (size_t)to.count + 1, sizeof *m.seen);
    if (m.fits == NULL || m.owner == NULL || m.seen == NULL) {
        c->status = ST_LIMIT;
        return 0;
    }
    for (uint32_t i = 0; i < from.count; i++)
        for (uint32_t j = 0; j < to.count && c->status == ST_OK; j++)
            m.fits[(size_t)i * to.count + j] = compare_fits(c, from.parts[i], to.parts[j]);
    return match_all(&m);
}

// What held by one criterion holds by the other: always by anyOf; one branch alone by any.
static bool criterion_kept(const struct part *writer, const struct part *reader)
{
    if (writer->criterion == reader->criterion || reader->criterion == PART_ANY_OF)
        return true;
    return writer->count == 1 && (reader->criterion == PART_ONE_OF || reader->count == 1);
}

void compare_choices(struct comparing *c, struct outcome *outcome, const struct part *writer,
                     const struct part *reader)
{
    struct branches from = {.count = 0}, to = {.count = 0};
    bool all = reader->criterion == PART_ALL_OF;
    if (!criterion_kept(writer, reader)) {
        compare_fail(c, outcome, NULL, "COMBINED_TYPE_CHANGED", writer->node, reader->node);
        return;
    }
    if (!collect(c, writer, &from) || !collect(c, reader, &to))
        return;
    if (all && to.count > from.count)
        compare_fail(c, outcome, NULL, "PRODUCT_TYPE_EXTENDED", writer->node, reader->node);
    if (!all && to.count < from.count)
        compare_fail(c, outcome, NULL, "SUM_TYPE_NARROWED", writer->node, reader->node);
    if (largest_matching(c, from, to) < (from.count < to.count ? from.count : to.count))
        compare_fail(c, outcome, NULL, "COMBINED_TYPE_SUBSCHEMAS_CHANGED", writer->node, reader->node);
}
