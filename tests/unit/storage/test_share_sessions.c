// SPDX-License-Identifier: Apache-2.0
// Share sessions (KIP-932): epochs, limits, connections that end, and what an answer must say.
#include "share_sessions.h"

#include "kafka/errors.h"

#include <criterion/criterion.h>

static const struct uuid topic = {{1}};
static const struct fetch_position whole = {.bytes_max = 1000};
static struct share_sessions *sessions;

static void begin(int32_t sessions_max, int64_t partitions_max)
{
    struct share_sessions_config config = {
        .sessions_max = sessions_max, .partitions_max = partitions_max, .seed = 1};
    sessions = share_sessions_new(&config);
}

static struct share_session_key key_of(const char *group, const char *member)
{
    return (struct share_session_key){slice_str(group), slice_str(member)};
}

// The reference is given back: the session lives as long as it is not ended.
static struct share_session *open_with(const char *member, uint64_t connection, int32_t partitions)
{
    struct share_session_key key = key_of("g", member);
    struct share_session *session;
    cr_assert_eq(share_sessions_begin(sessions, &key, connection, &session), KAFKA_ERR_NONE);
    for (int32_t i = 0; i < partitions; i++)
        fetch_session_put(&session->content, topic, slice_str(""), i, &whole);
    struct share_session *kept = session;
    bool used = share_session_used(session);
    share_session_unref(&session);
    return used ? kept : NULL;
}

static int16_t use(const char *group, const char *member, int32_t epoch)
{
    struct share_session_key key = key_of(group, member);
    struct share_session *session;
    int16_t error = share_sessions_use(sessions, &key, epoch, &session);
    cr_expect_eq(error == KAFKA_ERR_NONE, session != NULL);
    share_session_unref(&session);
    return error;
}

Test(share_sessions, every_request_names_the_next_epoch)
{
    begin(10, 100);
    cr_expect_eq(use("g", "m", 1), KAFKA_ERR_SHARE_SESSION_NOT_FOUND);
    cr_expect_eq(use("g", "m", -1), KAFKA_ERR_SHARE_SESSION_NOT_FOUND);
    struct share_session *session = open_with("m", 7, 2);
    cr_expect_eq(use("g", "m", 1), KAFKA_ERR_NONE);
    cr_expect_eq(use("g", "m", 1), KAFKA_ERR_INVALID_SHARE_SESSION_EPOCH);
    cr_expect_eq(use("g", "m", 0), KAFKA_ERR_INVALID_SHARE_SESSION_EPOCH);
    cr_expect_eq(use("g", "m", -2), KAFKA_ERR_INVALID_SHARE_SESSION_EPOCH);
    cr_expect_eq(use("g", "m", 2), KAFKA_ERR_NONE);
    session->epoch = INT32_MAX;
    cr_expect_eq(use("g", "m", INT32_MAX), KAFKA_ERR_NONE);
    cr_expect_eq(use("g", "m", 1), KAFKA_ERR_NONE);
    share_sessions_destroy(&sessions);
}

Test(share_sessions, the_last_request_finds_the_session_and_moves_nothing)
{
    begin(10, 100);
    struct share_session *session = open_with("m", 7, 2);
    cr_expect_eq(use("g", "m", -1), KAFKA_ERR_NONE);
    cr_expect_eq(session->epoch, 1);
    share_session_end(session);
    cr_expect_eq(use("g", "m", -1), KAFKA_ERR_SHARE_SESSION_NOT_FOUND);
    cr_expect_eq(share_sessions_partitions(sessions), 0);
    share_sessions_destroy(&sessions);
}

Test(share_sessions, group_and_member_together_are_the_key)
{
    begin(10, 100);
    struct share_session_key keys[] = {key_of("ab", "c"), key_of("a", "bc"), key_of("", "abc"),
                                       key_of("abc", "")};
    for (int i = 0; i < 4; i++) {
        struct share_session *session;
        cr_assert_eq(share_sessions_begin(sessions, &keys[i], 7, &session), KAFKA_ERR_NONE);
        share_session_unref(&session);
        cr_expect_eq(share_sessions_count(sessions), i + 1);
    }
    cr_expect_eq(use("ab", "c", 1), KAFKA_ERR_NONE);
    cr_expect_eq(use("a", "bc", 1), KAFKA_ERR_NONE);
    share_sessions_destroy(&sessions);
}

Test(share_sessions, a_new_session_takes_the_place_of_the_member_s_former_one)
{
    begin(1, 100);
    struct share_session_key key = key_of("g", "m");
    struct share_session *parked;
    open_with("m", 7, 3);
    cr_assert_eq(share_sessions_use(sessions, &key, 1, &parked), KAFKA_ERR_NONE);
    open_with("m", 8, 2);
    cr_expect_eq(share_sessions_count(sessions), 1);
    cr_expect_eq(share_sessions_partitions(sessions), 2);
    cr_expect_null(parked->sessions);
    cr_expect_eq(fetch_session_size(&parked->content), 3);
    share_session_end(parked); // it has ended already
    cr_expect_eq(share_sessions_count(sessions), 1);
    share_session_unref(&parked);
    share_sessions_destroy(&sessions);
}

Test(share_sessions, no_session_gives_way_to_another)
{
    begin(2, 100);
    struct share_session_key key = key_of("g", "c");
    struct share_session *session;
    open_with("a", 7, 1);
    open_with("b", 7, 1);
    cr_expect_eq(share_sessions_begin(sessions, &key, 7, &session), KAFKA_ERR_SHARE_SESSION_LIMIT_REACHED);
    cr_expect_null(session);
    cr_expect_eq(use("g", "a", 1), KAFKA_ERR_NONE);
    cr_expect_eq(use("g", "b", 1), KAFKA_ERR_NONE);
    share_sessions_destroy(&sessions);
}

Test(share_sessions, partitions_of_all_sessions_are_limited)
{
    begin(10, 5);
    struct share_session *session = open_with("a", 7, 3);
    cr_expect_null(open_with("b", 7, 3));
    cr_expect_eq(share_sessions_count(sessions), 1);
    cr_expect_eq(share_sessions_partitions(sessions), 3);
    cr_assert_not_null(open_with("b", 7, 2));
    cr_expect(fetch_session_put(&session->content, topic, slice_str(""), 9, &whole));
    cr_expect_not(share_session_room(session));
    cr_expect(fetch_session_forget(&session->content, topic, slice_str(""), 0));
    cr_expect(share_session_room(session));
    cr_expect(share_session_used(session));
    cr_expect_eq(share_sessions_partitions(sessions), 5);
    share_sessions_destroy(&sessions);
}

static void on_ended(void *context, const struct share_session *session)
{
    cr_expect_null(session->sessions, "its group may have none left now");
    cr_expect(slice_is(session->key.group, "g"));
    (*(int *)context)++;
}

Test(share_sessions, sessions_end_with_their_connection)
{
    begin(10, 100);
    int ended = 0;
    open_with("a", 7, 1);
    open_with("b", 8, 1);
    open_with("c", 7, 1);
    share_sessions_disconnected(sessions, 9, on_ended, &ended);
    cr_expect_eq(ended, 0);
    share_sessions_disconnected(sessions, 7, on_ended, &ended);
    cr_expect_eq(ended, 2);
    cr_expect_eq(share_sessions_count(sessions), 1);
    cr_expect_eq(use("g", "a", 1), KAFKA_ERR_SHARE_SESSION_NOT_FOUND);
    cr_expect_eq(use("g", "b", 1), KAFKA_ERR_NONE);
    share_sessions_destroy(&sessions);
}

Test(share_sessions, an_answer_names_what_is_new_and_all_that_was_acknowledged)
{
    begin(10, 100);
    struct share_session *session = open_with("m", 7, 1);
    struct fetch_partition *partition = fetch_session_find(&session->content, topic, slice_str(""), 0);
    struct share_news nothing = {.records = false}, records = {.records = true}, failed = {.failed = true},
                      acknowledged = {.acknowledged = true};
    cr_expect(share_session_news(partition, &nothing), "the first answer names it");
    cr_expect_not(share_session_news(partition, &nothing));
    cr_expect(share_session_news(partition, &records));
    cr_expect(share_session_news(partition, &acknowledged));
    cr_expect_not(share_session_news(partition, &nothing));
    cr_expect(share_session_news(partition, &failed));
    cr_expect(share_session_news(partition, &failed));
    cr_expect(share_session_news(partition, &nothing), "the error is over");
    cr_expect_not(share_session_news(partition, &nothing));
    share_sessions_destroy(&sessions);
}
