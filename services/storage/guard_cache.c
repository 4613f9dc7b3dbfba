// SPDX-License-Identifier: Apache-2.0
// See guard_cache.h. A side keeps its entries in a map, in the order they were learned, and makes the book of
// them when it is asked for one and something has changed or become old.
#include "guard_cache.h"

#include "base/mem.h"

#include <stdlib.h>

enum { SIDE_KEY_SIZE = 17, ENTRY_BYTES = 256 };

struct guard_side {
    struct guard_cache *cache;
    uint8_t key[SIDE_KEY_SIZE];
    struct guard_rule rule;
    struct map entries;
    struct guard_book *book;
    bool changed;   // since the book was made
    int64_t due_us; // the first entry is to be asked about again
    struct guard_side *next, *previous;
};

static struct slice key_of(const struct guard_id *id)
{
    return slice_of(id, sizeof *id);
}

// Whether it stays true for a while.
static bool lasts(enum guard_verdict verdict)
{
    return verdict == GUARD_GOOD || verdict == GUARD_BY_MESSAGE;
}

// ---- entries and books ----

static void entry_unref(struct guard_entry *entry)
{
    if (--entry->refs > 0)
        return;
    schema_free(entry->schema);
    mem_free(entry->subject);
    mem_free(entry->fault);
    mem_free(entry);
}

struct guard_book *guard_book_ref(struct guard_book *book)
{
    if (book != NULL)
        book->refs++;
    return book;
}

void guard_book_unref(struct guard_book **pointer)
{
    struct guard_book *book = *pointer;
    *pointer = NULL;
    if (book == NULL || --book->refs > 0)
        return;
    for (size_t i = 0; i < book->count; i++)
        entry_unref(book->entries[i]);
    mem_free(book);
}

static int by_id(const void *left, const void *right)
{
    const struct guard_entry *a = *(struct guard_entry *const *)left;
    const struct guard_entry *b = *(struct guard_entry *const *)right;
    return memcmp(&a->id, &b->id, sizeof a->id);
}

const struct guard_entry *guard_book_find(const struct guard_book *book, const struct guard_id *id)
{
    size_t from = 0, to = book->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = memcmp(id, &book->entries[middle]->id, sizeof *id);
        if (order == 0)
            return book->entries[middle];
        *(order < 0 ? &to : &from) = order < 0 ? middle : middle + 1;
    }
    return NULL;
}

static int64_t later(int64_t now_us, int64_t ms)
{
    return now_us + ms * 1000;
}

// ---- sides ----

static void forget(struct guard_side *side, struct guard_entry *entry)
{
    map_remove(&side->entries, key_of(&entry->id));
    side->cache->entries--;
    side->cache->bytes -= entry->bytes;
    side->changed = true;
    entry_unref(entry);
}

static void forget_all(struct guard_side *side)
{
    void *entry;
    for (struct map_entry *at = NULL; map_next(&side->entries, &at, NULL, &entry);)
        forget(side, entry);
}

static void unlink_side(struct guard_side *side)
{
    struct guard_cache *cache = side->cache;
    *(side->previous ? &side->previous->next : &cache->first) = side->next;
    *(side->next ? &side->next->previous : &cache->last) = side->previous;
}

static void link_first(struct guard_side *side)
{
    struct guard_cache *cache = side->cache;
    side->previous = NULL;
    side->next = cache->first;
    *(side->next ? &side->next->previous : &cache->last) = side;
    cache->first = side;
}

static void side_destroy(struct guard_side *side)
{
    forget_all(side);
    map_fini(&side->entries);
    guard_book_unref(&side->book);
    map_remove(&side->cache->sides, slice_of(side->key, SIDE_KEY_SIZE));
    unlink_side(side);
    mem_free(side);
}

static struct slice side_key(uint8_t key[SIDE_KEY_SIZE], struct uuid topic, int side)
{
    memcpy(key, topic.bytes, sizeof topic.bytes);
    key[sizeof topic.bytes] = (uint8_t)side;
    return slice_of(key, SIDE_KEY_SIZE);
}

static bool same_rule(struct guard_rule a, struct guard_rule b)
{
    return a.level == b.level && a.strategy == b.strategy;
}

static struct guard_side *side_new(struct guard_cache *cache, struct slice key)
{
    struct guard_side *side = mem_calloc(1, sizeof *side);
    side->cache = cache;
    memcpy(side->key, key.data, key.len);
    map_init(&side->entries, cache->sides.seed);
    map_put(&cache->sides, key, side);
    link_first(side);
    if (cache->sides.count > GUARD_TOPICS_MAX)
        side_destroy(cache->last);
    return side;
}

struct guard_side *guard_cache_find(struct guard_cache *cache, struct uuid topic, int side,
                                    struct guard_rule rule)
{
    uint8_t key[SIDE_KEY_SIZE];
    struct guard_side *found = map_get(&cache->sides, side_key(key, topic, side));
    return found != NULL && same_rule(found->rule, rule) ? found : NULL;
}

struct guard_side *guard_cache_side(struct guard_cache *cache, struct uuid topic, int side,
                                    struct guard_rule rule)
{
    uint8_t bytes[SIDE_KEY_SIZE];
    struct slice key = side_key(bytes, topic, side);
    struct guard_side *found = map_get(&cache->sides, key);
    if (found == NULL)
        found = side_new(cache, key);
    if (!same_rule(found->rule, rule))
        forget_all(found);
    found->changed |= !same_rule(found->rule, rule);
    found->rule = rule;
    unlink_side(found);
    link_first(found);
    return found;
}

// ---- the book ----

// Only Avro's payloads are checked in a time that their size bounds.
static bool dear(const struct guard_entry *entry)
{
    return entry->schema != NULL && schema_format(entry->schema) != SCHEMA_AVRO;
}

static void book_add(struct guard_book *book, struct guard_entry *entry, int64_t now_us)
{
    int64_t next_us = entry->fresh_us > now_us ? entry->fresh_us : entry->until_us;
    if (next_us < book->until_us)
        book->until_us = next_us;
    entry->refs++;
    book->dear |= dear(entry);
    book->entries[book->count++] = entry;
}

static void make_book(struct guard_side *side, int64_t now_us)
{
    void *value;
    struct guard_book *book =
        mem_calloc(1, sizeof *book + side->entries.count * sizeof(struct guard_entry *));
    book->refs = 1;
    book->level = side->rule.level;
    book->until_us = INT64_MAX;
    for (struct map_entry *at = NULL; map_next(&side->entries, &at, NULL, &value);) {
        struct guard_entry *entry = value;
        if (now_us < entry->until_us)
            book_add(book, entry, now_us);
        else if (!lasts(entry->verdict)) // one that lasts counts again when no registry answers
            forget(side, entry);
    }
    side->due_us = 0; // looked for anew
    qsort(book->entries, book->count, sizeof *book->entries, by_id);
    guard_book_unref(&side->book);
    side->book = book;
    side->changed = false;
}

struct guard_book *guard_side_book(struct guard_side *side, int64_t now_us)
{
    if (side->book == NULL || side->changed || now_us >= side->book->until_us)
        make_book(side, now_us);
    return guard_book_ref(side->book);
}

size_t guard_side_due(struct guard_side *side, int64_t now_us, struct guard_id *ids, size_t max)
{
    size_t count = 0;
    void *value;
    if (now_us < side->due_us)
        return 0;
    side->due_us = INT64_MAX;
    for (struct map_entry *at = NULL; map_next(&side->entries, &at, NULL, &value);) {
        struct guard_entry *entry = value;
        if (!lasts(entry->verdict) || now_us >= entry->until_us)
            continue;
        if (now_us >= entry->fresh_us && count < max) {
            entry->fresh_us = later(now_us, GUARD_DENIED_MS);
            ids[count++] = entry->id;
        }
        if (entry->fresh_us < side->due_us)
            side->due_us = entry->fresh_us;
    }
    return count;
}

// ---- learning ----

// The entry learned first, but never the newest. False: there is no other.
static bool forget_oldest(struct guard_side *side, const struct guard_entry *newest)
{
    void *entry;
    for (struct map_entry *at = NULL; map_next(&side->entries, &at, NULL, &entry);)
        if (entry != newest) {
            forget(side, entry);
            return true;
        }
    return false;
}

static void enforce(struct guard_side *told, const struct guard_entry *newest)
{
    struct guard_cache *cache = told->cache;
    bool others = true;
    if (told->entries.count > GUARD_SIDE_MAX)
        forget_oldest(told, newest);
    while (others && (cache->entries > cache->entries_max || cache->bytes > cache->bytes_max)) {
        if (cache->last != told)
            side_destroy(cache->last);
        else
            others = forget_oldest(told, newest);
    }
}

static struct guard_entry *entry_of(const struct guard_side *side, const struct guard_id *id)
{
    return map_get(&side->entries, key_of(id));
}

static void put(struct guard_side *side, struct guard_entry *entry)
{
    struct guard_cache *cache = side->cache;
    struct guard_entry *before = entry_of(side, &entry->id);
    if (before != NULL)
        forget(side, before);
    map_put(&side->entries, key_of(&entry->id), entry);
    cache->entries++;
    cache->bytes += entry->bytes;
    side->changed = true;
    unlink_side(side);
    link_first(side);
    enforce(side, entry);
}

// A large schema counts no more than its share, so that a batch with two of them gets both: else each time
// one is told the other would go, and all else with it.
static size_t counted(const struct guard_cache *cache, size_t bytes)
{
    size_t share = cache->bytes_max / GUARD_LARGE_MAX;
    return ENTRY_BYTES + bytes < share ? ENTRY_BYTES + bytes : share;
}

void guard_side_tell(struct guard_side *side, const struct guard_id *id, const struct guard_told *told,
                     int64_t now_us)
{
    bool good = lasts(told->verdict), silent = told->verdict == GUARD_SILENCE;
    struct guard_entry *entry = mem_calloc(1, sizeof *entry);
    *entry = (struct guard_entry){.id = *id,
                                  .verdict = told->verdict,
                                  .schema = told->schema,
                                  .subject = told->subject != NULL ? mem_strdup(told->subject) : NULL,
                                  .fault = told->fault != NULL ? mem_strdup(told->fault) : NULL,
                                  .bytes = counted(side->cache, told->bytes),
                                  .refs = 1};
    entry->fresh_us = later(now_us, good ? GUARD_FRESH_MS : silent ? GUARD_SILENCE_MS : GUARD_DENIED_MS);
    entry->until_us = good ? later(now_us, GUARD_USED_MS) : entry->fresh_us;
    put(side, entry);
}

void guard_side_silence(struct guard_side *side, const struct guard_id *id, int64_t now_us)
{
    struct guard_entry *entry = entry_of(side, id);
    if (entry == NULL || !lasts(entry->verdict)) {
        struct guard_told told = {.verdict = GUARD_SILENCE};
        guard_side_tell(side, id, &told, now_us);
        return;
    }
    entry->fresh_us = later(now_us, GUARD_DENIED_MS);
    entry->until_us = later(now_us, GUARD_USED_MS);
    side->changed = true;
}

// ---- life ----

void guard_cache_init(struct guard_cache *cache, size_t entries_max, size_t bytes_max, uint64_t seed)
{
    *cache = (struct guard_cache){.entries_max = entries_max, .bytes_max = bytes_max};
    map_init(&cache->sides, seed);
}

void guard_cache_fini(struct guard_cache *cache)
{
    while (cache->first != NULL)
        side_destroy(cache->first);
    map_fini(&cache->sides);
}
