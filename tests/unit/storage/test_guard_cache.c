// SPDX-License-Identifier: Apache-2.0
// How long what a registry said counts, what is asked about again, and what goes when there is too much.
#include "guard_cache.h"

#include <criterion/criterion.h>

#define MS 1000ll

static struct guard_cache cache;
static const struct guard_rule by_id = {.level = GUARD_ID};
static const struct uuid topic = {{1}}, other = {{2}};

static struct guard_id id_of(uint32_t number)
{
    return (struct guard_id){.schema = schema_id_of((int32_t)number)};
}

static struct guard_side *values(struct uuid of)
{
    return guard_cache_side(&cache, of, SCHEMA_VALUE, by_id);
}

static void tell(struct guard_side *side, uint32_t number, enum guard_verdict verdict, int64_t now_us)
{
    struct guard_id id = id_of(number);
    struct guard_told told = {.verdict = verdict, .subject = "s"};
    guard_side_tell(side, &id, &told, now_us);
}

static void silence(struct guard_side *side, uint32_t number, int64_t now_us)
{
    struct guard_id id = id_of(number);
    guard_side_silence(side, &id, now_us);
}

// The verdict in a book of that time; -1: nothing is known.
static int known(struct guard_side *side, uint32_t number, int64_t now_us)
{
    struct guard_id id = id_of(number);
    struct guard_book *book = guard_side_book(side, now_us);
    const struct guard_entry *entry = guard_book_find(book, &id);
    int verdict = entry != NULL ? (int)entry->verdict : -1;
    guard_book_unref(&book);
    return verdict;
}

static size_t due(struct guard_side *side, int64_t now_us)
{
    struct guard_id ids[4];
    return guard_side_due(side, now_us, ids, 4);
}

static void start(void)
{
    guard_cache_init(&cache, 100, 1 << 20, 7);
}

static void stop(void)
{
    guard_cache_fini(&cache);
    cr_expect_eq(cache.entries, 0);
    cr_expect_eq(cache.bytes, 0);
}

TestSuite(guard_cache, .init = start, .fini = stop);

Test(guard_cache, what_is_denied_counts_for_a_moment)
{
    struct guard_side *side = values(topic);
    tell(side, 1, GUARD_UNKNOWN, 0);
    tell(side, 2, GUARD_UNREGISTERED, 0);
    cr_expect_eq(known(side, 1, GUARD_DENIED_MS * MS - 1), GUARD_UNKNOWN);
    cr_expect_eq(known(side, 2, GUARD_DENIED_MS * MS - 1), GUARD_UNREGISTERED);
    cr_expect_eq(known(side, 1, GUARD_DENIED_MS * MS), -1);
    cr_expect_eq(known(side, 2, GUARD_DENIED_MS * MS), -1);
    cr_expect_eq(cache.entries, 0, "what is over is forgotten");
}

Test(guard_cache, what_is_good_is_asked_about_again_and_used_meanwhile)
{
    struct guard_side *side = values(topic);
    tell(side, 1, GUARD_GOOD, 0);
    cr_expect_eq(due(side, GUARD_FRESH_MS * MS - 1), 0);
    cr_expect_eq(due(side, GUARD_FRESH_MS * MS), 1);
    cr_expect_eq(due(side, GUARD_FRESH_MS * MS + 1), 0, "told once");
    cr_expect_eq(due(side, (GUARD_FRESH_MS + GUARD_DENIED_MS) * MS), 1, "and again when nothing came of it");
    cr_expect_eq(known(side, 1, GUARD_USED_MS * MS - 1), GUARD_GOOD);
    cr_expect_eq(known(side, 1, GUARD_USED_MS * MS), -1, "too old to be used unasked");
    cr_expect_eq(due(side, GUARD_USED_MS * MS), 0, "who needs it asks");
}

Test(guard_cache, what_was_good_stays_good_while_no_registry_answers)
{
    struct guard_side *side = values(topic);
    int64_t now = GUARD_USED_MS * MS * 10;
    tell(side, 1, GUARD_GOOD, 0);
    cr_expect_eq(known(side, 1, now), -1);
    silence(side, 1, now);
    cr_expect_eq(known(side, 1, now), GUARD_GOOD);
    cr_expect_eq(due(side, now + GUARD_DENIED_MS * MS), 1);
    silence(side, 2, now);
    cr_expect_eq(known(side, 2, now), GUARD_SILENCE);
    cr_expect_eq(known(side, 2, now + GUARD_SILENCE_MS * MS), -1);
    tell(side, 3, GUARD_UNKNOWN, now);
    silence(side, 3, now);
    cr_expect_eq(known(side, 3, now), GUARD_SILENCE, "what was denied is not denied for ever");
}

Test(guard_cache, a_book_does_not_change)
{
    struct guard_side *side = values(topic);
    struct guard_id id = id_of(1);
    tell(side, 1, GUARD_UNKNOWN, 0);
    struct guard_book *before = guard_side_book(side, 0);
    tell(side, 1, GUARD_GOOD, 1);
    cr_expect_eq(known(side, 1, 1), GUARD_GOOD);
    cr_expect_eq(guard_book_find(before, &id)->verdict, GUARD_UNKNOWN);
    guard_book_unref(&before);
    struct guard_book *one = guard_side_book(side, 2), *two = guard_side_book(side, 3);
    cr_expect_eq(one, two, "and is made once");
    guard_book_unref(&one);
    guard_book_unref(&two);
}

Test(guard_cache, many_ids_are_found_in_any_order)
{
    struct guard_side *side = values(topic);
    for (uint32_t i = 0; i < 50; i++)
        tell(side, i * 37 % 50 + 1000, GUARD_GOOD, 0);
    for (uint32_t i = 0; i < 50; i++)
        cr_expect_eq(known(side, i + 1000, 1), GUARD_GOOD, "%u", i);
    cr_expect_eq(known(side, 999, 1), -1);
    cr_expect_eq(known(side, 1050, 1), -1);
}

Test(guard_cache, another_rule_forgets_what_was_known)
{
    struct guard_side *side = values(topic);
    tell(side, 1, GUARD_GOOD, 0);
    struct guard_rule full = {.level = GUARD_FULL};
    cr_expect(guard_cache_find(&cache, topic, SCHEMA_VALUE, by_id) == side);
    cr_expect(guard_cache_find(&cache, topic, SCHEMA_VALUE, full) == NULL);
    cr_expect(guard_cache_find(&cache, topic, SCHEMA_KEY, by_id) == NULL);
    side = guard_cache_side(&cache, topic, SCHEMA_VALUE, full);
    cr_expect_eq(known(side, 1, 0), -1);
    cr_expect(guard_cache_find(&cache, topic, SCHEMA_VALUE, by_id) == NULL);
    struct guard_book *book = guard_side_book(side, 0);
    cr_expect_eq(book->level, GUARD_FULL);
    guard_book_unref(&book);
}

Test(guard_cache, the_least_used_side_goes_first)
{
    struct guard_side *old = values(other);
    tell(old, 1, GUARD_GOOD, 0);
    tell(values(topic), 1, GUARD_GOOD, 0);
    for (uint32_t i = 2; i <= 100; i++)
        tell(values(topic), i, GUARD_GOOD, 0);
    cr_expect(guard_cache_find(&cache, other, SCHEMA_VALUE, by_id) == NULL);
    cr_expect_eq(cache.entries, 100);
    tell(values(topic), 101, GUARD_GOOD, 0);
    cr_expect_eq(cache.entries, 100);
    cr_expect_eq(known(values(topic), 1, 0), -1, "then what was learned first");
    cr_expect_eq(known(values(topic), 101, 0), GUARD_GOOD, "never what is new");
}

static void tell_sized(uint32_t number, size_t bytes)
{
    struct guard_id id = id_of(number);
    struct guard_told told = {.verdict = GUARD_GOOD, .bytes = bytes};
    guard_side_tell(values(topic), &id, &told, 0);
}

Test(guard_cache, memory_has_a_limit)
{
    tell(values(other), 1, GUARD_GOOD, 0);
    for (uint32_t i = 1; i <= 8; i++)
        tell_sized(i, 200000);
    cr_expect_eq(known(values(other), 1, 0), -1);
    cr_expect_eq(cache.entries, 5);
    cr_expect_eq(known(values(topic), 3, 0), -1, "what was learned first goes");
    cr_expect_eq(known(values(topic), 4, 0), GUARD_GOOD);
    cr_expect_leq(cache.bytes, 1 << 20);
}

Test(guard_cache, large_schemas_leave_room_for_each_other)
{
    for (uint32_t i = 1; i <= GUARD_LARGE_MAX; i++)
        tell_sized(i, 2 << 20);
    for (uint32_t i = 1; i <= GUARD_LARGE_MAX; i++)
        cr_expect_eq(known(values(topic), i, 0), GUARD_GOOD, "%u", i);
    tell_sized(5, 2 << 20);
    cr_expect_eq(known(values(topic), 1, 0), -1);
    cr_expect_eq(known(values(topic), 2, 0), GUARD_GOOD);
    cr_expect_leq(cache.bytes, 1 << 20);
}

Test(guard_cache, one_side_cannot_take_it_all)
{
    cache.entries_max = 1 << 20;
    for (uint32_t i = 0; i < GUARD_SIDE_MAX + 10; i++)
        tell(values(topic), i, GUARD_UNKNOWN, 0);
    cr_expect_eq(cache.entries, GUARD_SIDE_MAX);
}

Test(guard_cache, there_are_not_more_sides_than_the_limit)
{
    for (uint32_t i = 0; i < GUARD_TOPICS_MAX + 10; i++) {
        struct uuid id = {{0}};
        memcpy(id.bytes, &i, sizeof i);
        values(id);
    }
    cr_expect_eq(cache.sides.count, GUARD_TOPICS_MAX);
}
