// SPDX-License-Identifier: Apache-2.0
// What the state keeps in order or counts: the list of subjects, sorted when somebody asks, and who refers to
// a version. See state_own.h.
#include "state_own.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <stdlib.h>

// ---- subjects by name ----

void subject_list_add(struct subject_list *list, struct state_subject *subject)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 64 : list->cap * 2;
        list->items = mem_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count++] = subject;
}

static int by_name(const void *left, const void *right)
{
    const struct state_subject *a = *(struct state_subject *const *)left;
    const struct state_subject *b = *(struct state_subject *const *)right;
    return strcmp(a->name, b->name);
}

static size_t position_of(const struct subject_list *list, const struct state_subject *subject)
{
    struct state_subject *const *found =
        list->sorted == 0 ? NULL : bsearch(&subject, list->items, list->sorted, sizeof *list->items, by_name);
    size_t at = found != NULL ? (size_t)(found - list->items) : list->sorted;
    while (at < list->count && list->items[at] != subject)
        at++;
    return at;
}

void subject_list_remove(struct subject_list *list, const struct state_subject *subject)
{
    size_t at = position_of(list, subject);
    ASSERT(at < list->count);
    if (at < list->sorted)
        list->sorted--;
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof *list->items);
}

// Sorts the new ones and merges them in, from the end.
void subject_list_sort(struct subject_list *list)
{
    size_t fresh = list->count - list->sorted;
    if (fresh == 0)
        return;
    qsort(list->items + list->sorted, fresh, sizeof *list->items, by_name);
    struct state_subject **tail = mem_calloc(fresh, sizeof *tail);
    memcpy(tail, list->items + list->sorted, fresh * sizeof *tail);
    size_t old = list->sorted, out = list->count;
    while (fresh > 0) {
        bool from_old = old > 0 && by_name(&list->items[old - 1], &tail[fresh - 1]) > 0;
        list->items[--out] = from_old ? list->items[--old] : tail[--fresh];
    }
    mem_free(tail);
    list->sorted = list->count;
}

void subject_list_fini(struct subject_list *list)
{
    mem_free(list->items);
    *list = (struct subject_list){0};
}

// ---- referrers ----

enum { KEY_MAX = NAMES_SUBJECT_MAX + NAMES_CONTEXT_MAX + 8 };

static struct slice key_of(uint8_t key[KEY_MAX], const char *subject, int32_t version)
{
    size_t len = strlen(subject);
    if (len > KEY_MAX - 5)
        len = KEY_MAX - 5; // no such subject can be registered here
    memcpy(key, subject, len);
    key[len] = 0;
    store_be32(key + len + 1, (uint32_t)version);
    return slice_of(key, len + 5);
}

const struct referrers *referrers_of(const struct state *state, const char *subject, int32_t version)
{
    uint8_t key[KEY_MAX];
    return map_get(&state->referrers, key_of(key, subject, version));
}

void referrers_free(void *value)
{
    struct referrers *referrers = value;
    mem_free(referrers->schemas);
    mem_free(referrers->ids);
    mem_free(referrers->uses);
    mem_free(referrers);
}

static void insert(struct referrers *all, size_t at, const struct state_schema *schema)
{
    if (all->count == all->cap) {
        all->cap = all->cap == 0 ? 2 : all->cap * 2;
        all->schemas = mem_realloc(all->schemas, all->cap * sizeof *all->schemas);
        all->ids = mem_realloc(all->ids, all->cap * sizeof *all->ids);
        all->uses = mem_realloc(all->uses, all->cap * sizeof *all->uses);
    }
    size_t behind = all->count - at;
    memmove(&all->schemas[at + 1], &all->schemas[at], behind * sizeof *all->schemas);
    memmove(&all->ids[at + 1], &all->ids[at], behind * sizeof *all->ids);
    memmove(&all->uses[at + 1], &all->uses[at], behind * sizeof *all->uses);
    all->schemas[at] = schema;
    all->ids[at] = schema->id;
    all->uses[at] = 1;
    all->count++;
}

static void drop(struct referrers *all, size_t at)
{
    size_t behind = --all->count - at;
    memmove(&all->schemas[at], &all->schemas[at + 1], behind * sizeof *all->schemas);
    memmove(&all->ids[at], &all->ids[at + 1], behind * sizeof *all->ids);
    memmove(&all->uses[at], &all->uses[at + 1], behind * sizeof *all->uses);
}

static void change_one(struct state *state, struct slice key, const struct state_schema *schema, int by)
{
    struct referrers *all = map_get(&state->referrers, key);
    if (all == NULL && by < 0)
        return;
    if (all == NULL) {
        all = mem_calloc(1, sizeof *all);
        map_put(&state->referrers, key, all);
    }
    size_t at = 0;
    while (at < all->count && all->ids[at] < schema->id)
        at++;
    while (at < all->count && all->ids[at] == schema->id && all->schemas[at] != schema)
        at++; // one of another context with the same id
    bool found = at < all->count && all->schemas[at] == schema;
    if (by > 0 && found)
        all->uses[at]++;
    else if (by > 0)
        insert(all, at, schema);
    else if (found && --all->uses[at] == 0)
        drop(all, at);
    if (all->count == 0)
        referrers_free(map_remove(&state->referrers, key));
}

void referrers_change(struct state *state, const struct state_version *version, int by)
{
    uint8_t key[KEY_MAX];
    const struct state_schema *schema = version->schema;
    for (size_t i = 0; i < schema->reference_count; i++) {
        const struct state_reference *reference = &schema->references[i];
        struct arena arena;
        arena_init(&arena, 2 * KEY_MAX);
        const char *subject = name_of_reference(&arena, version->subject->name, reference->subject);
        if (subject != NULL)
            change_one(state, key_of(key, subject, reference->version), schema, by);
        arena_fini(&arena);
    }
}
