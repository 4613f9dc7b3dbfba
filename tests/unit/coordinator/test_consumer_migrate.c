// SPDX-License-Identifier: Apache-2.0
// Groups on their way from one protocol to the other (KIP-848): classic members in a consumer group, a
// classic group that becomes one, and the way back.
#include "consumer_world.h"
#include "group_world.h"

#include "consumer_protocol.h"
#include "group_writer.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "kafka/messages/consumer_protocol.h"
#include "migrate.h"
#include "record.h"

#include <criterion/criterion.h>

static struct consumer_world w;
static struct world classic;

static void setup(void)
{
    consumer_world_init(&w);
    consumer_world_topic(&w, "a", 4);
    world_init(&classic);
}

static void teardown(void)
{
    consumer_world_fini(&w);
    world_fini(&classic);
}

TestSuite(consumer_migrate, .init = setup, .fini = teardown);

// ---- classic members ----

static struct buf subscription(const char *owned)
{
    struct slice topic = slice_str("a");
    struct parts parts = consumer_world_parts(&w, owned);
    int32_t indexes[8];
    struct kafka_consumer_protocol_subscription_topic_partition has = {.topic = topic, .partitions = indexes};
    for (size_t i = 0; i < parts.count; i++)
        indexes[has.partitions_count++] = parts.items[i].index;
    struct kafka_consumer_protocol_subscription in;
    kafka_defaults(&kafka_consumer_protocol_subscription_message, &in);
    in.topics = &topic;
    in.topics_count = 1;
    in.owned_partitions = &has;
    in.owned_partitions_count = 1;
    struct buf bytes;
    buf_init(&bytes, 4096);
    cr_assert_eq(record_put(&kafka_consumer_protocol_subscription_message, 1, 1, &in, 4096, &bytes), ST_OK);
    parts_fini(&parts);
    return bytes;
}

struct joined {
    int16_t error;
    int32_t generation;
    char id[64], leader[64], protocol[32];
};

static struct joined join_as(const char *id, const char *instance, const char *owned, int16_t version)
{
    struct buf bytes = subscription(owned);
    struct group_protocol protocol = {slice_str("range"), buf_slice(&bytes)};
    struct group_join join = {
        .version = version,
        .member_id = slice_str(id),
        .instance_id = slice_str(instance),
        .client_id = slice_str("old"),
        .client_host = slice_str("/127.0.0.1"),
        .protocol_type = slice_str("consumer"),
        .protocols = &protocol,
        .protocol_count = 1,
        .session_ms = 6000,
        .rebalance_ms = 10000,
        .new_id = slice_str("made"),
    };
    struct group_joined answer;
    consumer_classic_join(w.group, w.now, &join, &answer);
    struct joined joined = {.error = answer.error, .generation = answer.generation};
    snprintf(joined.id, sizeof joined.id, "%.*s", (int)answer.member_id.len, answer.member_id.data);
    snprintf(joined.leader, sizeof joined.leader, "%.*s", (int)answer.leader.len,
             (const char *)answer.leader.data);
    snprintf(joined.protocol, sizeof joined.protocol, "%.*s", (int)answer.protocol.len,
             answer.protocol.data == NULL ? "" : (const char *)answer.protocol.data);
    buf_fini(&bytes);
    consumer_world_write(&w);
    return joined;
}

static struct joined join(const char *id, const char *owned)
{
    return join_as(id, NULL, owned, 5);
}

// The error, or what it was assigned.
static int16_t sync(const char *id, int32_t generation, char out[256])
{
    struct group_sync sync = {.generation = generation,
                              .member_id = slice_str(id),
                              .protocol_type = slice_str("consumer"),
                              .protocol = slice_str("range")};
    const struct consumer_member *member;
    int16_t error = consumer_classic_sync(w.group, w.now, &sync, &member);
    if (member == NULL)
        return error;
    struct buf bytes;
    buf_init(&bytes, 4096);
    cr_assert_eq(consumer_classic_assignment(w.group, member, &bytes), ST_OK);
    struct parts parts = {0};
    cr_assert_eq(assignment_read(buf_slice(&bytes), w.image, &parts), ST_OK);
    consumer_world_text(&w, &parts, out, 256);
    parts_fini(&parts);
    buf_fini(&bytes);
    return error;
}

static int16_t heartbeat(const char *id, int32_t generation)
{
    struct group_identity who = {.member_id = slice_str(id), .generation = generation};
    return consumer_classic_heartbeat(w.group, w.now, &who);
}

Test(consumer_migrate, a_classic_member_joins_syncs_and_beats_in_a_consumer_group)
{
    consumer_world_join(&w, "m1", "a");
    struct joined joined = join_as("", NULL, "", 5);
    cr_assert_eq(joined.error, KAFKA_ERR_MEMBER_ID_REQUIRED); // KIP-394
    cr_assert_str_eq(joined.id, "made");
    joined = join("made", "");
    cr_assert_eq(joined.error, KAFKA_ERR_NONE);
    cr_assert_eq(joined.generation, 2);
    cr_assert_str_eq(joined.protocol, "range");
    cr_assert_str_eq(joined.leader, ""); // nobody leads
    char has[256];
    cr_assert_eq(sync("made", 2, has), KAFKA_ERR_NONE);
    cr_assert_str_eq(has, "");
    cr_assert_eq(heartbeat("made", 2), KAFKA_ERR_NONE); // what it is to have is not free yet
    consumer_world_beat(&w, "m1", (struct said){.epoch = 1, .owned = "a0 a1 a2 a3"});
    const char *kept = consumer_world_has(&w, "m1");
    consumer_world_beat(&w, "m1", (struct said){.epoch = 1, .owned = kept});
    cr_assert_eq(heartbeat("made", 2), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    joined = join("made", "");
    cr_assert_eq(joined.generation, 2);
    cr_assert_eq(sync("made", 2, has), KAFKA_ERR_NONE);
    cr_assert_eq(strlen(has), strlen("a0 a1"));
    cr_assert_eq(heartbeat("made", 2), KAFKA_ERR_NONE);
}

Test(consumer_migrate, a_classic_member_gives_up_by_joining_without_it)
{
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    cr_assert_eq(heartbeat("old", 2), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    join("old", "");
    char has[256];
    cr_assert_eq(sync("old", 3, has), KAFKA_ERR_NONE);
    cr_assert_str_eq(has, "a0 a1 a2 a3");
    consumer_world_join(&w, "m2", "a");
    cr_assert_eq(heartbeat("old", 3), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    struct joined joined = join("old", "a0 a1 a2 a3"); // says what it has: it is told what to keep
    cr_assert_eq(joined.generation, 3);
    cr_assert_eq(sync("old", 3, has), KAFKA_ERR_NONE);
    cr_assert_str_eq(has, "a0 a1");
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "");
    cr_assert_eq(heartbeat("old", 3), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    cr_assert_eq(join("old", "a0 a1").generation, 4);
    cr_assert_str_eq(consumer_world_beat(&w, "m2", (struct said){.epoch = 4}).assignment, "a2 a3");
}

Test(consumer_migrate, classic_members_are_told_apart)
{
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    cr_assert_eq(heartbeat("m1", 1), KAFKA_ERR_UNKNOWN_MEMBER_ID); // of the other protocol
    cr_assert_eq(heartbeat("old", 7), KAFKA_ERR_ILLEGAL_GENERATION);
    cr_assert_eq(heartbeat("nobody", 2), KAFKA_ERR_UNKNOWN_MEMBER_ID);
    char has[256];
    cr_assert_eq(sync("old", 1, has), KAFKA_ERR_ILLEGAL_GENERATION);
    struct group_protocol other = {slice_str("sticky"), slice_str("")};
    struct group_join wrong = {.version = 3,
                               .member_id = slice_str(""),
                               .new_id = slice_str("new"),
                               .protocol_type = slice_str("consumer"),
                               .protocols = &other,
                               .protocol_count = 1};
    struct group_joined answer;
    consumer_classic_join(w.group, w.now, &wrong, &answer);
    cr_assert_eq(answer.error, KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
}

Test(consumer_migrate, a_classic_member_that_does_not_come_back_is_put_out)
{
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    char has[256];
    sync("old", 2, has);
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    w.settings.may_downgrade = false;
    cr_assert_eq(heartbeat("old", 2), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    consumer_world_pass(&w, 5000);
    cr_assert_eq(heartbeat("old", 2), KAFKA_ERR_REBALANCE_IN_PROGRESS); // alive, but it does not join
    consumer_world_pass(&w, 5001);
    cr_assert_eq(heartbeat("old", 2), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(consumer_migrate, a_classic_member_that_never_syncs_is_put_out)
{
    consumer_world_join(&w, "m1", "a");
    cr_assert_eq(join("old", "").generation, 2);
    for (int i = 0; i < 3; i++) {
        consumer_world_pass(&w, 4000);
        heartbeat("old", 2);
    }
    cr_assert_eq(heartbeat("old", 2), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

Test(consumer_migrate, leave_group_takes_out_members_of_both_protocols)
{
    struct said said = {.topics = "a", .instance = "i", .owned = "", .rebalance_ms = 10000};
    consumer_world_beat(&w, "m1", said);
    join("old", "");
    struct group_identity who[] = {{.member_id = slice_str("old")},
                                   {.member_id = slice_str(""), .instance_id = slice_str("i")},
                                   {.member_id = slice_str("nobody")}};
    int16_t errors[3];
    consumer_classic_leave(w.group, w.now, who, 3, errors);
    cr_assert_eq(errors[0], KAFKA_ERR_NONE);
    cr_assert_eq(errors[1], KAFKA_ERR_NONE);
    cr_assert_eq(errors[2], KAFKA_ERR_UNKNOWN_MEMBER_ID);
    cr_assert_eq(consumer_size(w.group), 0);
    cr_assert_eq(consumer_epoch(w.group), 3);
}

Test(consumer_migrate, a_static_member_changes_its_protocol_in_place)
{
    struct said said = {.topics = "a", .instance = "i", .owned = "", .rebalance_ms = 10000};
    consumer_world_beat(&w, "m1", said);
    consumer_world_beat(&w, "m1", (struct said){.instance = "i", .epoch = CONSUMER_LEAVE_STATIC});
    struct joined joined = join_as("", "i", "", 5);
    cr_assert_eq(joined.error, KAFKA_ERR_NONE);
    cr_assert_eq(consumer_size(w.group), 1);
    cr_assert(consumer_wants_downgrade(w.group));
    cr_assert_str_eq(consumer_world_has(&w, joined.id), "a0 a1 a2 a3");
}

Test(consumer_migrate, classic_members_survive_a_take_over)
{
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    consumer_world_take_over(&w, 0);
    char has[256];
    cr_assert_eq(sync("old", 2, has), KAFKA_ERR_NONE);
    consumer_world_pass(&w, 5000);
    cr_assert_eq(heartbeat("old", 2), KAFKA_ERR_NONE);
    consumer_world_pass(&w, 6001); // its own session
    cr_assert_eq(heartbeat("old", 2), KAFKA_ERR_UNKNOWN_MEMBER_ID);
}

// ---- a classic group becomes a consumer group ----

static struct buf assignment(const char *text)
{
    struct parts parts = consumer_world_parts(&w, text);
    struct buf bytes;
    buf_init(&bytes, 4096);
    cr_assert_eq(assignment_write(&parts, w.image, slice_of("\0\1", 2), &bytes), ST_OK);
    parts_fini(&parts);
    return bytes;
}

// A stable classic group of m1 (a0 a1) and m2 (a2 a3), of generation 1, into the world of classic groups.
static void stable_classic(char ids[2][128])
{
    struct buf bytes = subscription("");
    struct group_protocol protocol = {slice_str("range"), buf_slice(&bytes)};
    struct ask asks[2] = {0}, again[2] = {0};
    classic.settings.initial_delay_ms = 1;
    for (int i = 0; i < 2; i++) {
        snprintf(ids[i], 128, "m%d", i + 1);
        struct group_join join = {.version = 3,
                                  .member_id = slice_str(""),
                                  .client_id = slice_str("old"),
                                  .client_host = slice_str("/h"),
                                  .protocol_type = slice_str("consumer"),
                                  .protocols = &protocol,
                                  .protocol_count = 1,
                                  .session_ms = 6000,
                                  .rebalance_ms = 10000,
                                  .new_id = slice_str(ids[i]),
                                  .waiter = &asks[i]};
        group_join(classic.group, classic.now, &join);
    }
    world_pass(&classic, 10);
    cr_assert_eq(asks[1].generation, 1);
    struct buf first = assignment("a0 a1"), second = assignment("a2 a3");
    struct group_assignment given[] = {{slice_str("m1"), buf_slice(&first)},
                                       {slice_str("m2"), buf_slice(&second)}};
    for (int i = 1; i >= 0; i--) {
        struct group_sync sync = {.generation = 1,
                                  .member_id = slice_str(ids[i]),
                                  .assignments = given,
                                  .assignment_count = i == 0 ? 2 : 0,
                                  .waiter = &again[i]};
        group_sync(classic.group, classic.now, &sync);
    }
    cr_assert_eq(group_state(classic.group), GROUP_STABLE);
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&bytes);
}

Test(consumer_migrate, a_classic_group_goes_up_with_its_members_and_what_they_have)
{
    char ids[2][128];
    stable_classic(ids);
    cr_assert_eq(migrate_up(classic.group, w.now, w.group), KAFKA_ERR_NONE);
    consumer_world_write(&w);
    cr_assert_eq(consumer_size(w.group), 2);
    cr_assert_eq(consumer_epoch(w.group), 1);
    cr_assert_str_eq(consumer_world_has(&w, "m1"), "a0 a1");
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "a2 a3");
    cr_assert_eq(heartbeat("m1", 1), KAFKA_ERR_NONE);
    cr_assert_eq(consumer_world_join(&w, "new", "a").epoch, 2);
    cr_assert_eq(heartbeat("m1", 1), KAFKA_ERR_REBALANCE_IN_PROGRESS);
    consumer_world_take_over(&w, 0);
    cr_assert_str_eq(consumer_world_has(&w, "m1"), "a0 a1");
}

Test(consumer_migrate, whoever_waits_in_the_classic_group_is_told_to_join_again)
{
    struct buf bytes = subscription("");
    struct group_protocol protocol = {slice_str("range"), buf_slice(&bytes)};
    struct ask ask = {0};
    struct group_join join = {.version = 3,
                              .member_id = slice_str(""),
                              .client_id = slice_str("old"),
                              .client_host = slice_str("/h"),
                              .protocol_type = slice_str("consumer"),
                              .protocols = &protocol,
                              .protocol_count = 1,
                              .session_ms = 6000,
                              .rebalance_ms = 10000,
                              .new_id = slice_str("m1"),
                              .waiter = &ask};
    group_join(classic.group, classic.now, &join);
    cr_assert_not(ask.answered);
    cr_assert_eq(migrate_up(classic.group, w.now, w.group), KAFKA_ERR_NONE);
    cr_assert(ask.answered);
    cr_assert_eq(ask.error, KAFKA_ERR_REBALANCE_IN_PROGRESS);
    buf_fini(&bytes);
}

Test(consumer_migrate, what_is_no_consumer_group_does_not_go_up)
{
    struct ask ask = {0};
    world_join(&classic, (struct client){.type = "connect", .protocols = "x=y", .version = 3}, &ask);
    cr_assert_eq(migrate_up(classic.group, w.now, w.group), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_not(ask.answered);
    cr_assert_eq(consumer_size(w.group), 0);
}

Test(consumer_migrate, the_policy_forbids_the_way_up)
{
    char ids[2][128];
    stable_classic(ids);
    w.settings.may_upgrade = false;
    cr_assert_eq(migrate_up(classic.group, w.now, w.group), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_eq(group_state(classic.group), GROUP_STABLE);
}

Test(consumer_migrate, what_is_too_large_for_a_consumer_group_does_not_go_up)
{
    static char id[1001];
    char ids[2][128];
    memset(id, 'g', sizeof id - 1);
    stable_classic(ids);
    consumer_group_destroy(&w.group);
    w.group = consumer_group_new(slice_str(id), &w.settings, &w.topics);
    w.settings.bytes_max = 2000;
    cr_assert_eq(migrate_up(classic.group, w.now, w.group), KAFKA_ERR_GROUP_ID_NOT_FOUND);
    cr_assert_eq(group_state(classic.group), GROUP_STABLE);
}

// ---- and back ----

Test(consumer_migrate, a_group_goes_down_when_its_last_consumer_member_leaves)
{
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    cr_assert_not(consumer_wants_downgrade(w.group));
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    cr_assert(consumer_wants_downgrade(w.group));
    struct group *down = migrate_down(w.group, w.now, &classic.settings, &classic.sink);
    cr_assert_not_null(down);
    cr_assert_eq(group_size(down), 1);
    cr_assert_eq(group_state(down), GROUP_PREPARING); // what m1 had is to be shared
    cr_assert_eq(group_generation(down), consumer_epoch(w.group));
    cr_assert(slice_is(group_protocol_type(down), "consumer"));
    cr_assert(group_dirty(down));
    group_destroy(&down);
}

static int16_t join_with_many_protocols(const char *id)
{
    enum { MANY = GROUP_PROTOCOLS_MAX + 1 };
    struct buf bytes = subscription("");
    struct group_protocol protocols[MANY];
    char names[MANY][16];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        protocols[i] = (struct group_protocol){slice_str(names[i]), buf_slice(&bytes)};
    }
    struct group_join join = {.version = 5,
                              .member_id = slice_str(id),
                              .protocol_type = slice_str("consumer"),
                              .protocols = protocols,
                              .protocol_count = MANY,
                              .session_ms = 6000,
                              .rebalance_ms = 10000};
    struct group_joined answer;
    consumer_classic_join(w.group, w.now, &join, &answer);
    buf_fini(&bytes);
    consumer_world_write(&w);
    return answer.error;
}

Test(consumer_migrate, nobody_joins_with_what_would_not_go_down)
{
    consumer_world_join(&w, "m1", "a");
    cr_expect_eq(join_with_many_protocols("old"), KAFKA_ERR_INCONSISTENT_GROUP_PROTOCOL);
    cr_assert_eq(join("old", "").error, KAFKA_ERR_NONE);
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    cr_assert(consumer_wants_downgrade(w.group));
    struct group *down = migrate_down(w.group, w.now, &classic.settings, &classic.sink);
    cr_assert_neq(down, NULL);
    group_destroy(&down);
}

// Kafka has no such limit: its records may hold what was never let in here.
static void write_many_protocols(const char *id)
{
    struct kafka_consumer_group_member_metadata_value_classic_protocol protocols[GROUP_PROTOCOLS_MAX + 1] = {0};
    struct kafka_consumer_group_member_metadata_value_classic_member_metadata metadata = {
        .session_timeout_ms = 6000,
        .supported_protocols = protocols,
        .supported_protocols_count = GROUP_PROTOCOLS_MAX + 1};
    struct kafka_consumer_group_member_metadata_value value = {.classic_member_metadata = &metadata};
    struct group_writer writer;
    group_writer_init(&writer, slice_str("g"), consumer_world_log, &w);
    group_writer_put(&writer, CONSUMER_KEY_MEMBER, slice_str(id),
                     &kafka_consumer_group_member_metadata_value_message, &value);
    cr_assert_eq(group_writer_fini(&writer), ST_OK);
}

Test(consumer_migrate, what_would_not_go_down_stays)
{
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    write_many_protocols("old");
    consumer_world_take_over(&w, 0);
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    cr_assert_eq(consumer_size(w.group), 1);
    cr_assert_not(consumer_wants_downgrade(w.group));
}

Test(consumer_migrate, a_replaced_static_member_goes_down_without_a_rebalance)
{
    struct said said = {.topics = "a", .instance = "i", .owned = "", .rebalance_ms = 10000};
    consumer_world_beat(&w, "m1", said);
    consumer_world_beat(&w, "m1", (struct said){.instance = "i", .epoch = CONSUMER_LEAVE_STATIC});
    struct joined joined = join_as("", "i", "", 5);
    struct group *down = migrate_down(w.group, w.now, &classic.settings, &classic.sink);
    cr_assert_eq(group_state(down), GROUP_STABLE);
    cr_assert_eq(group_generation(down), joined.generation);
    struct map_entry *at = NULL;
    struct group_member_view view;
    cr_assert(group_next_member(down, &at, &view));
    struct parts parts = {0};
    cr_assert_eq(assignment_read(view.assignment, w.image, &parts), ST_OK);
    cr_assert_eq(parts.count, 4);
    parts_fini(&parts);
    group_destroy(&down);
}

Test(consumer_migrate, the_policy_and_the_size_forbid_the_way_down)
{
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    join("older", "");
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    w.settings.downgrade_size_max = 1;
    cr_assert_not(consumer_wants_downgrade(w.group));
    w.settings.downgrade_size_max = 2;
    cr_assert(consumer_wants_downgrade(w.group));
    w.settings.may_downgrade = false;
    cr_assert_not(consumer_wants_downgrade(w.group));
}

Test(consumer_migrate, what_is_too_large_for_one_record_stays)
{
    enum { BYTES_MAX = 1024 };
    consumer_world_topic(&w, "a", 1000);
    consumer_world_join(&w, "m1", "a");
    join("old", "");
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    join("old", ""); // its assignment, as a classic client reads it, takes 4 KB
    cr_assert(consumer_wants_downgrade(w.group));
    struct group *down = migrate_down(w.group, w.now, &classic.settings, &classic.sink);
    cr_assert_neq(down, NULL);
    group_destroy(&down);
    classic.settings.bytes_max = BYTES_MAX;
    cr_assert_eq(migrate_down(w.group, w.now, &classic.settings, &classic.sink), NULL);
    consumer_stay(w.group);
    cr_assert_not(consumer_wants_downgrade(w.group));
    join("other", "");
    cr_assert(consumer_wants_downgrade(w.group)); // an epoch later
}
