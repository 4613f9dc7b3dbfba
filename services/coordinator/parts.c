// SPDX-License-Identifier: Apache-2.0
// Sorted arrays of partitions. See parts.h.
#include "parts.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

void parts_fini(struct parts *set)
{
    mem_free(set->items);
    *set = (struct parts){0};
}

int parts_compare(const struct parts_item *a, const struct parts_item *b)
{
    int order = memcmp(&a->topic, &b->topic, sizeof a->topic);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

void parts_push(struct parts *set, const struct parts_item *part)
{
    if (set->count == set->room) {
        set->room = set->room == 0 ? 4 : set->room * 2;
        set->items = mem_realloc(set->items, set->room * sizeof *set->items);
    }
    set->items[set->count++] = *part;
}

void parts_append(struct parts *set, const struct parts_item *part)
{
    ASSERT(set->count == 0 || parts_compare(&set->items[set->count - 1], part) < 0);
    parts_push(set, part);
}

static int by_order(const void *a, const void *b)
{
    return parts_compare(a, b);
}

void parts_sort(struct parts *set)
{
    if (set->count == 0)
        return;
    qsort(set->items, set->count, sizeof *set->items, by_order);
    size_t kept = 1;
    for (size_t i = 1; i < set->count; i++) {
        if (parts_compare(&set->items[kept - 1], &set->items[i]) != 0)
            set->items[kept++] = set->items[i];
    }
    set->count = kept;
}

const struct parts_item *parts_find(const struct parts *set, const struct parts_item *part)
{
    return set->count == 0 ? NULL : bsearch(part, set->items, set->count, sizeof *set->items, by_order);
}

bool parts_have(const struct parts *set, const struct parts_item *part)
{
    return parts_find(set, part) != NULL;
}

bool parts_equal(const struct parts *a, const struct parts *b)
{
    return a->count == b->count && parts_within(a, b);
}

bool parts_within(const struct parts *a, const struct parts *b)
{
    size_t at = 0;
    for (size_t i = 0; i < a->count; i++) {
        while (at < b->count && parts_compare(&b->items[at], &a->items[i]) < 0)
            at++;
        if (at == b->count || parts_compare(&b->items[at], &a->items[i]) != 0)
            return false;
    }
    return true;
}

bool parts_meet(const struct parts *a, const struct parts *b)
{
    for (size_t i = 0, at = 0; i < a->count && at < b->count;) {
        int order = parts_compare(&a->items[i], &b->items[at]);
        if (order == 0)
            return true;
        if (order < 0)
            i++;
        else
            at++;
    }
    return false;
}

// Which of the three kinds of partitions a merge keeps.
struct keep {
    bool a_only, both, b_only;
};

static struct parts merge(const struct parts *a, const struct parts *b, struct keep keep)
{
    struct parts out = {0};
    size_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        int order = i == a->count ? 1 : j == b->count ? -1 : parts_compare(&a->items[i], &b->items[j]);
        const struct parts_item *part = order <= 0 ? &a->items[i] : &b->items[j];
        if (order == 0 ? keep.both : order < 0 ? keep.a_only : keep.b_only)
            parts_push(&out, part);
        i += order <= 0 ? 1 : 0;
        j += order >= 0 ? 1 : 0;
    }
    return out;
}

struct parts parts_copy(const struct parts *a)
{
    return merge(a, a, (struct keep){.both = true});
}

struct parts parts_both(const struct parts *a, const struct parts *b)
{
    return merge(a, b, (struct keep){.both = true});
}

struct parts parts_without(const struct parts *a, const struct parts *b)
{
    return merge(a, b, (struct keep){.a_only = true});
}

struct parts parts_sum(const struct parts *a, const struct parts *b)
{
    return merge(a, b, (struct keep){.a_only = true, .both = true, .b_only = true});
}

void parts_move(struct parts *set, struct parts *from)
{
    parts_fini(set);
    *set = *from;
    *from = (struct parts){0};
}

size_t parts_topic_end(const struct parts *set, size_t from)
{
    size_t end = from;
    while (end < set->count && uuid_equal(set->items[end].topic, set->items[from].topic))
        end++;
    return end;
}

size_t parts_topics(const struct parts *set)
{
    size_t topics = 0;
    for (size_t at = 0; at < set->count; at = parts_topic_end(set, at))
        topics++;
    return topics;
}

int32_t *parts_indexes(const struct parts *set, size_t from, size_t end, struct arena *arena)
{
    int32_t *indexes = arena_calloc(arena, end - from, sizeof *indexes);
    for (size_t i = from; indexes != NULL && i < end; i++)
        indexes[i - from] = set->items[i].index;
    return indexes;
}
