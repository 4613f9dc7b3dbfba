// SPDX-License-Identifier: Apache-2.0
// Fetch sessions (KIP-227): what they remember, what is news, who is served first, and who gives way.
#include "fetch_sessions.h"

#include "kafka/errors.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { EVICT_MS = 1000 };

static const struct uuid no_id, id_a = {{1}}, id_b = {{2}};
static const struct fetch_position start = {.offset = 0, .bytes_max = 1000};

static struct slice name_of(const char *text)
{
    return slice_str(text);
}

static void put(struct fetch_session *session, const char *topic, int32_t index)
{
    fetch_session_put(session, no_id, name_of(topic), index, &start);
}

// "a0 a1 b0"
static const char *order(const struct fetch_session *session)
{
    static char text[200];
    struct map_entry *at = NULL;
    const struct fetch_partition *partition;
    int len = 0;
    text[0] = '\0';
    while ((partition = fetch_session_next(session, &at)) != NULL)
        len += snprintf(text + len, sizeof text - (size_t)len, "%.*s%d ", (int)partition->topic->name.len,
                        (const char *)partition->topic->name.data, partition->index);
    if (len > 0)
        text[len - 1] = '\0';
    return text;
}

// ---- one session ----

Test(fetch_session, partitions_are_kept_in_order_and_positions_change_in_place)
{
    struct fetch_session session;
    fetch_session_init(&session, false, 1);
    put(&session, "a", 0);
    put(&session, "b", 0);
    put(&session, "a", 1);
    cr_assert_str_eq(order(&session), "a0 b0 a1");
    struct fetch_position further = {.offset = 7, .bytes_max = 5, .leader_epoch = 3, .last_fetched_epoch = 2};
    cr_expect_not(fetch_session_put(&session, no_id, name_of("a"), 0, &further));
    cr_expect_str_eq(order(&session), "a0 b0 a1");
    cr_expect_eq(fetch_session_find(&session, no_id, name_of("a"), 0)->position.offset, 7);
    cr_expect_eq(fetch_session_find(&session, no_id, name_of("a"), 0)->position.leader_epoch, 3);
    fetch_session_fini(&session);
}

Test(fetch_session, what_returned_records_goes_to_the_end)
{
    struct fetch_session session;
    fetch_session_init(&session, false, 1);
    for (int32_t i = 0; i < 3; i++)
        put(&session, "a", i);
    fetch_session_rotate(&session, fetch_session_find(&session, no_id, name_of("a"), 0));
    cr_expect_str_eq(order(&session), "a1 a2 a0");
    fetch_session_rotate(&session, fetch_session_find(&session, no_id, name_of("a"), 2));
    cr_expect_str_eq(order(&session), "a1 a0 a2");
    fetch_session_fini(&session);
}

Test(fetch_session, a_topic_goes_with_its_last_partition)
{
    struct fetch_session session;
    fetch_session_init(&session, false, 1);
    put(&session, "a", 0);
    put(&session, "a", 1);
    cr_expect(fetch_session_forget(&session, no_id, name_of("a"), 0));
    cr_expect_not(fetch_session_forget(&session, no_id, name_of("a"), 0));
    cr_expect_not(fetch_session_forget(&session, no_id, name_of("b"), 0));
    cr_expect_eq(session.topics.count, 1);
    cr_expect(fetch_session_forget(&session, no_id, name_of("a"), 1));
    cr_expect_eq(session.topics.count, 0);
    cr_expect_eq(fetch_session_size(&session), 0);
    fetch_session_fini(&session);
}

Test(fetch_session, ids_keep_topics_of_one_name_apart)
{
    struct fetch_session session;
    fetch_session_init(&session, true, 1);
    cr_expect(fetch_session_put(&session, id_a, name_of(""), 0, &start));
    cr_expect(fetch_session_put(&session, id_b, name_of(""), 0, &start));
    struct fetch_partition *a = fetch_session_find(&session, id_a, name_of(""), 0);
    fetch_session_name(a->topic, "t");
    fetch_session_name(a->topic, "another");
    cr_expect(slice_is(a->topic->name, "t"));
    cr_expect_null(fetch_session_find(&session, id_b, name_of(""), 0)->topic->name.data);
    cr_expect(fetch_session_forget(&session, id_a, name_of(""), 0));
    cr_expect_eq(fetch_session_size(&session), 1);
    fetch_session_fini(&session);
}

Test(fetch_session, only_news_is_told)
{
    struct fetch_session session;
    fetch_session_init(&session, false, 1);
    put(&session, "a", 0);
    struct fetch_partition *at = fetch_session_find(&session, no_id, name_of("a"), 0);
    struct fetch_news news = {0};
    cr_expect(fetch_session_news(at, &news)); // never told, even when all is zero
    cr_expect_not(fetch_session_news(at, &news));
    news.high_watermark = 5;
    cr_expect(fetch_session_news(at, &news));
    cr_expect_not(fetch_session_news(at, &news));
    news.last_stable_offset = 5;
    cr_expect(fetch_session_news(at, &news));
    news.log_start_offset = 2;
    cr_expect(fetch_session_news(at, &news));
    cr_expect_not(fetch_session_news(at, &news));
    news.records = true;
    cr_expect(fetch_session_news(at, &news));
    news.records = false;
    news.redirects = true;
    cr_expect(fetch_session_news(at, &news));
    cr_expect(fetch_session_news(at, &news));
    news.redirects = false;
    cr_expect_not(fetch_session_news(at, &news));
    fetch_session_fini(&session);
}

Test(fetch_session, a_failure_is_told_every_time_and_its_end_once)
{
    struct fetch_session session;
    fetch_session_init(&session, false, 1);
    put(&session, "a", 0);
    struct fetch_partition *at = fetch_session_find(&session, no_id, name_of("a"), 0);
    struct fetch_news well = {.high_watermark = 5}, ill = {.high_watermark = 5, .failed = true};
    cr_expect(fetch_session_news(at, &well));
    cr_expect(fetch_session_news(at, &ill));
    cr_expect(fetch_session_news(at, &ill));
    cr_expect(fetch_session_news(at, &well));
    cr_expect_not(fetch_session_news(at, &well));
    fetch_session_fini(&session);
}

// ---- the cache ----

static struct fetch_sessions *sessions;

static void setup_cache(int32_t slots, int64_t partitions_max)
{
    struct fetch_sessions_config config = {
        .slots = slots, .evict_ms = EVICT_MS, .partitions_max = partitions_max, .seed = 9};
    sessions = fetch_sessions_new(&config);
}

// A session of size partitions made at now_ms; its id, 0 when it was declined.
static int32_t make(int32_t size, int64_t now_ms)
{
    static uint64_t random;
    struct fetch_cached *cached = fetch_sessions_make(sessions, false, size, ++random, now_ms);
    if (cached == NULL)
        return 0;
    for (int32_t i = 0; i < size; i++)
        put(&cached->content, "t", i);
    cr_assert(fetch_sessions_used(cached, now_ms));
    int32_t id = cached->id;
    fetch_cached_unref(&cached);
    return id;
}

static int16_t use(int32_t id, int32_t epoch, int64_t now_ms)
{
    struct fetch_cached *cached;
    int16_t error = fetch_sessions_use(sessions, id, epoch, false, &cached);
    if (error == KAFKA_ERR_NONE)
        cr_assert(fetch_sessions_used(cached, now_ms));
    fetch_cached_unref(&cached);
    return error;
}

Test(fetch_sessions, epochs_follow_one_another)
{
    setup_cache(10, 100);
    int32_t id = make(1, 0);
    cr_assert_gt(id, 0);
    cr_expect_eq(use(id, 2, 0), KAFKA_ERR_INVALID_FETCH_SESSION_EPOCH);
    cr_expect_eq(use(id, 1, 0), KAFKA_ERR_NONE);
    cr_expect_eq(use(id, 1, 0), KAFKA_ERR_INVALID_FETCH_SESSION_EPOCH);
    cr_expect_eq(use(id, 2, 0), KAFKA_ERR_NONE);
    cr_expect_eq(use(id + 1, 3, 0), KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND);
    cr_expect_eq(fetch_epoch_next(INT32_MAX), 1);
    cr_expect_eq(fetch_epoch_next(FETCH_EPOCH_NONE), FETCH_EPOCH_NONE);
    fetch_sessions_destroy(&sessions);
}

Test(fetch_sessions, names_and_ids_do_not_mix)
{
    setup_cache(10, 100);
    struct fetch_cached *cached;
    int32_t id = make(1, 0);
    cr_expect_eq(fetch_sessions_use(sessions, id, 1, true, &cached), KAFKA_ERR_FETCH_SESSION_TOPIC_ID_ERROR);
    cr_expect_null(cached);
    cr_expect_eq(use(id, 1, 0), KAFKA_ERR_NONE); // the refused request has not moved the epoch
    fetch_sessions_destroy(&sessions);
}

Test(fetch_sessions, an_ended_session_lives_as_long_as_a_request_holds_it)
{
    setup_cache(10, 100);
    int32_t id = make(3, 0);
    struct fetch_cached *held;
    cr_assert_eq(fetch_sessions_use(sessions, id, 1, false, &held), KAFKA_ERR_NONE);
    fetch_sessions_end(sessions, id);
    cr_expect_eq(fetch_sessions_count(sessions), 0);
    cr_expect_eq(fetch_sessions_partitions(sessions), 0);
    cr_expect_eq(use(id, 2, 0), KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND);
    cr_expect_str_eq(order(&held->content), "t0 t1 t2");
    fetch_sessions_destroy(&sessions);
    fetch_cached_unref(&held); // also when the cache itself is gone
}

Test(fetch_sessions, a_young_session_does_not_give_way)
{
    setup_cache(2, 100);
    int32_t small = make(1, 0);
    make(5, 0);
    cr_expect_eq(make(9, EVICT_MS), 0);
    cr_expect_eq(use(small, 1, EVICT_MS), KAFKA_ERR_NONE);
    fetch_sessions_destroy(&sessions);
}

Test(fetch_sessions, one_in_use_gives_way_to_a_larger_one_only)
{
    setup_cache(2, 100);
    int32_t small = make(2, 0), large = make(5, 0);
    int64_t later = EVICT_MS + 1;
    cr_expect_eq(use(large, 1, later), KAFKA_ERR_NONE);
    cr_expect_eq(use(small, 1, later), KAFKA_ERR_NONE);
    cr_expect_eq(make(2, later), 0); // of equal worth
    cr_expect_neq(make(3, later), 0);
    cr_expect_eq(use(small, 2, later), KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND);
    cr_expect_eq(use(large, 2, later), KAFKA_ERR_NONE);
    fetch_sessions_destroy(&sessions);
}

Test(fetch_sessions, one_not_used_for_long_gives_way_to_any)
{
    setup_cache(2, 100);
    int32_t unused = make(9, 0), used = make(9, 0);
    cr_expect_eq(use(used, 1, 10), KAFKA_ERR_NONE);
    cr_expect_eq(make(1, EVICT_MS), 0);
    cr_expect_neq(make(1, EVICT_MS + 1), 0);
    cr_expect_eq(use(unused, 1, EVICT_MS + 1), KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND);
    cr_expect_eq(use(used, 2, EVICT_MS + 1), KAFKA_ERR_NONE);
    fetch_sessions_destroy(&sessions);
}

Test(fetch_sessions, partitions_of_all_together_have_a_limit)
{
    setup_cache(10, 10);
    cr_expect_eq(make(11, 0), 0);
    int32_t id = make(7, 0);
    cr_expect_eq(make(4, 0), 0);
    cr_expect_neq(make(3, 0), 0);
    struct fetch_cached *cached;
    cr_assert_eq(fetch_sessions_use(sessions, id, 1, false, &cached), KAFKA_ERR_NONE);
    put(&cached->content, "more", 0);
    cr_expect_not(fetch_sessions_used(cached, 0));
    fetch_cached_unref(&cached);
    cr_expect_eq(use(id, 2, 0), KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND);
    cr_expect_eq(fetch_sessions_partitions(sessions), 3);
    fetch_sessions_destroy(&sessions);
}

Test(fetch_sessions, without_slots_all_are_declined)
{
    setup_cache(0, 100);
    cr_expect_eq(make(1, 0), 0);
    fetch_sessions_destroy(&sessions);
}
