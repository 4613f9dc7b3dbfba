// SPDX-License-Identifier: Apache-2.0
// The clients of the controller quorum (controllers, follow, member) against scripted voters over real
// sockets.
#include "cluster/controllers.h"
#include "cluster/follow.h"
#include "cluster/member.h"
#include "voter.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct told {
    int count;
    enum status status;
    int64_t first;
    char text[64];
};

static void on_told(void *context, enum status status, const ProtobufCMessage *reply, struct slice payload,
                    const char *text)
{
    struct told *told = context;
    told->count++;
    told->status = status;
    snprintf(told->text, sizeof told->text, "%s", text);
    if (status == ST_OK)
        told->first = ((const Millrace__ProducerIdsReply *)reply)->first;
}

static void allocate(struct controllers *controllers, struct told *told, bool idempotent, int64_t timeout_ms)
{
    memset(told, 0, sizeof *told);
    Millrace__ProducerIdsRequest request = MILLRACE__PRODUCER_IDS_REQUEST__INIT;
    struct controllers_call call = {.method = "AllocateProducerIds",
                                    .request = &request.base,
                                    .timeout_ms = timeout_ms,
                                    .idempotent = idempotent,
                                    .done = on_told,
                                    .context = told};
    controllers_invoke(controllers, &call);
    cr_assert_eq(told->count, 0); // never from inside
}

Test(controllers, reads_the_forms_of_endpoint_lists_and_refuses_nonsense)
{
    struct client client;
    client_start(&client);
    struct controllers *controllers;
    const char *good = "localhost:9093, tcp://10.0.0.1:9093 3@host:1,localhost:9093";
    cr_assert_eq(controllers_new(client.env, client.rpc, good, &controllers), ST_OK);
    cr_assert_eq(controllers_count(controllers), 3);
    cr_assert_str_eq(controllers_endpoint(controllers, 2), "tcp://host:1");
    cr_assert_null(controllers_active(controllers));
    controllers_destroy(&controllers);
    static const char *const bad[] = {"",        " , ",     "host",     "host:",    ":9",
                                      "host:9x", "@host:9", "x@host:9", "-3@host:9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_neq(controllers_new(client.env, client.rpc, bad[i], &controllers), ST_OK, "%s", bad[i]);
        cr_assert_null(controllers);
    }
    client_stop(&client);
}

Test(controllers, follows_the_hint_to_the_active_one_and_stays_there)
{
    struct client client;
    struct voter one, two;
    client_start(&client);
    voter_start(&one, client.env);
    voter_start(&two, client.env);
    one.mood = VOTER_NOT_LEADER;
    one.hint = two.endpoint;
    struct controllers *controllers;
    cr_assert_eq(controllers_new(client.env, client.rpc, one.endpoint, &controllers), ST_OK);
    struct told told;
    allocate(controllers, &told, false, 5000);
    turn_until(&client, told.count == 1);
    cr_assert_eq(told.status, ST_OK);
    cr_assert_eq(told.first, 1000);
    cr_assert_str_eq(controllers_active(controllers), two.endpoint);
    allocate(controllers, &told, false, 5000);
    turn_until(&client, told.count == 1);
    cr_assert_eq(one.allocated, 1);
    cr_assert_eq(two.allocated, 2);
    controllers_destroy(&controllers);
    voter_stop(&one);
    voter_stop(&two);
    client_stop(&client);
}

Test(controllers, two_that_point_at_each_other_cost_time_not_a_storm)
{
    struct client client;
    struct voter one, two;
    client_start(&client);
    voter_start(&one, client.env);
    voter_start(&two, client.env);
    one.mood = two.mood = VOTER_NOT_LEADER;
    one.hint = two.endpoint;
    two.hint = one.endpoint;
    struct controllers *controllers;
    cr_assert_eq(controllers_new(client.env, client.rpc, one.endpoint, &controllers), ST_OK);
    struct told told;
    allocate(controllers, &told, false, 600);
    turn_until(&client, told.count == 1);
    cr_assert_eq(told.status, ST_TIMEOUT);
    cr_assert_lt(one.allocated + two.allocated, 60);
    controllers_destroy(&controllers);
    voter_stop(&one);
    voter_stop(&two);
    client_stop(&client);
}

Test(controllers, what_could_have_run_is_sent_again_only_when_twice_is_harmless)
{
    for (int idempotent = 0; idempotent <= 1; idempotent++) {
        struct client client;
        struct voter one;
        client_start(&client);
        voter_start(&one, client.env);
        one.mood = VOTER_SILENT;
        struct controllers *controllers;
        cr_assert_eq(controllers_new(client.env, client.rpc, one.endpoint, &controllers), ST_OK);
        struct told told;
        allocate(controllers, &told, idempotent, 1000);
        turn_until(&client, told.count == 1);
        cr_assert_eq(told.status, ST_TIMEOUT);
        if (idempotent)
            cr_assert_gt(one.allocated, 1);
        else
            cr_assert_eq(one.allocated, 1);
        controllers_destroy(&controllers);
        voter_stop(&one);
        client_stop(&client);
    }
}

Test(controllers, an_unknown_outcome_is_told_unless_twice_is_harmless)
{
    for (int idempotent = 0; idempotent <= 1; idempotent++) {
        struct client client;
        struct voter one, two;
        client_start(&client);
        voter_start(&one, client.env);
        voter_start(&two, client.env);
        one.mood = VOTER_SILENT;
        char list[140];
        snprintf(list, sizeof list, "%s,%s", one.endpoint, two.endpoint);
        struct controllers *controllers;
        cr_assert_eq(controllers_new(client.env, client.rpc, list, &controllers), ST_OK);
        struct told told;
        allocate(controllers, &told, idempotent, 9000);
        turn_until(&client, one.allocated == 1);
        voter_stop(&one); // dies with the call in its hands
        turn_until(&client, told.count == 1);
        cr_assert_eq(told.status, idempotent ? ST_OK : ST_UNREACHABLE);
        cr_assert_eq(two.allocated, idempotent);
        controllers_destroy(&controllers);
        voter_stop(&two);
        client_stop(&client);
    }
}

Test(controllers, a_dead_endpoint_delays_but_loses_nothing)
{
    struct client client;
    struct voter one;
    client_start(&client);
    voter_start(&one, client.env);
    char list[100];
    snprintf(list, sizeof list, "127.0.0.1:1,%s", one.endpoint); // nobody listens on port 1
    struct controllers *controllers;
    cr_assert_eq(controllers_new(client.env, client.rpc, list, &controllers), ST_OK);
    struct told told;
    allocate(controllers, &told, false, 8000);
    turn_until(&client, told.count == 1);
    cr_assert_eq(told.status, ST_OK, "%s", told.text);
    cr_assert_eq(one.allocated, 1);
    controllers_destroy(&controllers);
    voter_stop(&one);
    client_stop(&client);
}

// ---- follow ----

struct following {
    struct client client;
    struct voter one, two;
    struct controllers *controllers;
    struct image *image;
    struct follow *follow;
    struct uuid mismatch;
};

static void on_mismatch(void *context, struct uuid theirs)
{
    ((struct following *)context)->mismatch = theirs;
}

static void following_start(struct following *it)
{
    memset(it, 0, sizeof *it);
    client_start(&it->client);
    voter_start(&it->one, it->client.env);
    voter_start(&it->two, it->client.env);
    char list[140];
    snprintf(list, sizeof list, "%s,%s", it->one.endpoint, it->two.endpoint);
    cr_assert_eq(controllers_new(it->client.env, it->client.rpc, list, &it->controllers), ST_OK);
    it->image = image_new();
}

static void follow_begin(struct following *it)
{
    struct follow_options options = {.env = it->client.env,
                                     .rpc = it->client.rpc,
                                     .controllers = it->controllers,
                                     .image = it->image,
                                     .on_mismatch = on_mismatch,
                                     .context = it};
    cr_assert_eq(follow_new(&options, &it->follow), ST_OK);
}

static void following_stop(struct following *it)
{
    follow_destroy(&it->follow);
    controllers_destroy(&it->controllers);
    voter_stop(&it->one);
    voter_stop(&it->two);
    image_destroy(&it->image);
    client_stop(&it->client);
}

static void both_log(struct following *it, uint8_t id, const char *name)
{
    voter_log_topic(&it->one, id, name);
    voter_log_topic(&it->two, id, name);
}

static void on_wait(void *context, enum status status)
{
    *(int *)context = 100 + (int)status;
}

Test(follow, applies_the_log_skips_entries_without_record_and_tells_waiters)
{
    struct following it;
    following_start(&it);
    both_log(&it, 1, "a");
    both_log(&it, 0, NULL);
    both_log(&it, 2, "b");
    follow_begin(&it);
    struct follow_wait reached, late;
    int told_reached = 0, told_late = 0;
    int64_t now = env_now_us(it.client.env);
    follow_when(it.follow, &reached, 2, now + 5000000, on_wait, &told_reached);
    follow_when(it.follow, &late, 9, now + 300000, on_wait, &told_late);
    turn_until(&it.client, told_reached != 0);
    cr_assert_eq(told_reached, 100 + ST_OK);
    cr_assert_not_null(image_topic_named(it.image, "b"));
    cr_assert_eq(follow_offset(it.follow), 2);
    cr_assert_eq(follow_behind_ms(it.follow), 0);
    turn_until(&it.client, told_late != 0);
    cr_assert_eq(told_late, 100 + ST_TIMEOUT);
    following_stop(&it);
}

Test(follow, a_long_log_is_applied_in_slices)
{
    struct following it;
    following_start(&it);
    for (int i = 0; i < 5000; i++)
        both_log(&it, 0, NULL);
    both_log(&it, 2, "last");
    follow_begin(&it);
    int64_t largest = 0, before = -1;
    while (follow_offset(it.follow) < 5000) {
        env_posix_turn(it.client.env, 10000);
        int64_t step = follow_offset(it.follow) - before;
        before = follow_offset(it.follow);
        largest = step > largest ? step : largest;
    }
    cr_assert_leq(largest, 2000); // a slice, and the one that a reply begins with
    cr_assert_not_null(image_topic_named(it.image, "last"));
    following_stop(&it);
}

Test(follow, takes_a_snapshot_in_chunks_and_tells_differences)
{
    struct following it;
    following_start(&it);
    for (int i = 1; i <= 9; i++) {
        char name[24];
        snprintf(name, sizeof name, "topic-%d", i);
        both_log(&it, (uint8_t)i, name);
    }
    it.one.snapshot_offset = it.two.snapshot_offset = 500;
    follow_begin(&it);
    turn_until(&it.client, follow_offset(it.follow) == 499);
    cr_assert_eq(image_topic_count(it.image), 9);
    cr_assert_gt(it.one.follows + it.two.follows, 2); // several chunks
    following_stop(&it);
}

Test(follow, changes_the_voter_after_a_failure)
{
    struct following it;
    following_start(&it);
    both_log(&it, 1, "a");
    follow_begin(&it);
    turn_until(&it.client, follow_offset(it.follow) == 0);
    struct voter *asked = it.one.follows > 0 ? &it.one : &it.two;
    both_log(&it, 2, "b");
    asked->mood = VOTER_FAILS; // from the next poll on; the one under way is never answered
    asked->failure = ST_LOADING;
    turn_until(&it.client, follow_offset(it.follow) == 1);
    following_stop(&it);
}

Test(follow, leaves_a_voter_that_stays_behind_what_heartbeats_tell)
{
    struct following it;
    following_start(&it);
    both_log(&it, 1, "a");
    follow_begin(&it);
    turn_until(&it.client, follow_offset(it.follow) == 0);
    // Only the voter we do not ask gets the next record; the one we ask keeps its long poll open.
    struct voter *fresh = it.one.follows > 0 ? &it.two : &it.one;
    int before = fresh->follows;
    voter_log_topic(fresh, 2, "b");
    while (follow_offset(it.follow) < 1) {
        follow_heard(it.follow, 1);
        turn_for(&it.client, 50);
        cr_assert_lt(follow_behind_ms(it.follow), 1800); // before the poll's own deadline
    }
    cr_assert_gt(fresh->follows, before);
    following_stop(&it);
}

Test(follow, refuses_another_cluster)
{
    struct following it;
    following_start(&it);
    both_log(&it, 1, "a");
    follow_begin(&it);
    turn_until(&it.client, follow_offset(it.follow) == 0);
    it.one.cluster = it.two.cluster = 8;
    both_log(&it, 2, "b");
    it.one.mood = it.two.mood = VOTER_ANSWERS;
    turn_until(&it.client, it.mismatch.bytes[0] == 8);
    cr_assert_null(image_topic_named(it.image, "b"));
    following_stop(&it);
}

// ---- member ----

struct membership {
    struct following base;
    struct member *member;
    int32_t kept_id;
    char states[200];
    int64_t fenced_us;
};

static enum status keep_id(void *context, int32_t node_id, struct uuid cluster_id)
{
    ((struct membership *)context)->kept_id = node_id;
    return ST_OK;
}

static void note_state(void *context, enum member_state state, const char *text)
{
    struct membership *it = context;
    size_t used = strlen(it->states);
    snprintf(it->states + used, sizeof it->states - used, "%s ", member_state_text(state));
    if (state == MEMBER_FENCED)
        it->fenced_us = env_now_us(it->base.client.env);
}

static void membership_start(struct membership *it)
{
    memset(it, 0, sizeof *it);
    following_start(&it->base);
    both_log(&it->base, 1, "a");
    follow_begin(&it->base);
}

static void member_begin(struct membership *it)
{
    struct member_endpoint endpoint = {.listener = "PLAINTEXT", .host = "127.0.0.1", .port = 9092};
    struct member_options options = {.env = it->base.client.env,
                                     .controllers = it->base.controllers,
                                     .follow = it->base.follow,
                                     .role = MILLRACE__ROLE__ROLE_STORAGE,
                                     .node_id = -1,
                                     .incarnation = 5,
                                     .rpc_endpoint = "tcp://127.0.0.1:5",
                                     .endpoints = &endpoint,
                                     .endpoint_count = 1,
                                     .context = it,
                                     .on_registered = keep_id,
                                     .on_state = note_state};
    cr_assert_eq(member_new(&options, &it->member), ST_OK);
}

static void membership_stop(struct membership *it)
{
    member_destroy(&it->member);
    following_stop(&it->base);
}

Test(member, registers_keeps_its_id_and_becomes_active_when_the_image_has_the_registration)
{
    struct membership it;
    membership_start(&it);
    it.base.one.commit_offset = it.base.two.commit_offset = 1; // one further than the log has
    member_begin(&it);
    turn_until(&it.base.client, it.base.one.heartbeats + it.base.two.heartbeats > 2);
    cr_assert_eq(it.kept_id, 7);
    cr_assert_eq(it.base.one.told_max + it.base.two.told_max, 2, "does not tell what it understands");
    cr_assert_eq(member_state(it.member), MEMBER_JOINING);
    both_log(&it.base, 2, "b");
    turn_until(&it.base.client, member_state(it.member) == MEMBER_ACTIVE);
    cr_assert(member_lease_held(it.member));
    cr_assert_eq(member_node_id(it.member), 7);
    membership_stop(&it);
}

Test(member, learns_where_controllers_are_from_heartbeats)
{
    struct membership it;
    membership_start(&it);
    size_t known = controllers_count(it.base.controllers);
    it.base.one.tells = "http://what:1";
    it.base.two.tells = "tcp://moved:1";
    it.base.one.mood = VOTER_SILENT;
    member_begin(&it);
    turn_until(&it.base.client, controllers_count(it.base.controllers) > known);
    cr_assert_str_eq(controllers_endpoint(it.base.controllers, known), "tcp://moved:1");
    it.base.one.mood = VOTER_ANSWERS;
    it.base.two.mood = VOTER_SILENT;
    int beats = it.base.one.heartbeats;
    turn_until(&it.base.client, it.base.one.heartbeats > beats + 1);
    cr_assert_eq(controllers_count(it.base.controllers), known + 1, "took what is no address");
    membership_stop(&it);
}

Test(member, gives_the_lease_up_early_when_nobody_answers_and_gets_it_back)
{
    struct membership it;
    membership_start(&it);
    member_begin(&it);
    turn_until(&it.base.client, member_state(it.member) == MEMBER_ACTIVE);
    it.base.one.mood = it.base.two.mood = VOTER_SILENT;
    int64_t silent_us = env_now_us(it.base.client.env);
    turn_until(&it.base.client, member_state(it.member) == MEMBER_FENCED);
    cr_assert(!member_lease_held(it.member));
    cr_assert_leq(it.fenced_us - silent_us,
                  300000); // 10 % before the 300 ms of the lease, counted from the sending
    it.base.one.mood = it.base.two.mood = VOTER_ANSWERS;
    turn_until(&it.base.client, member_state(it.member) == MEMBER_ACTIVE);
    membership_stop(&it);
}

Test(member, a_fenced_node_knows_it_and_an_unknown_one_registers_again)
{
    struct membership it;
    membership_start(&it);
    member_begin(&it);
    turn_until(&it.base.client, member_state(it.member) == MEMBER_ACTIVE);
    it.base.one.fenced = it.base.two.fenced = true;
    turn_until(&it.base.client, member_state(it.member) == MEMBER_FENCED);
    it.base.one.fenced = it.base.two.fenced = false;
    turn_until(&it.base.client, member_state(it.member) == MEMBER_ACTIVE);
    int registered = it.base.one.registered + it.base.two.registered;
    it.base.one.mood = it.base.two.mood = VOTER_FAILS;
    it.base.one.failure = it.base.two.failure = ST_STALE;
    turn_until(&it.base.client, member_state(it.member) == MEMBER_JOINING);
    it.base.one.mood = it.base.two.mood = VOTER_ANSWERS;
    turn_until(&it.base.client, member_state(it.member) == MEMBER_ACTIVE);
    cr_assert_gt(it.base.one.registered + it.base.two.registered, registered);
    membership_stop(&it);
}

Test(member, a_refused_registration_is_final)
{
    struct membership it;
    membership_start(&it);
    it.base.one.mood = it.base.two.mood = VOTER_FAILS;
    it.base.one.failure = it.base.two.failure = ST_MISMATCH;
    member_begin(&it);
    turn_until(&it.base.client, member_state(it.member) == MEMBER_REFUSED);
    int asked = it.base.one.registered + it.base.two.registered;
    turn_for(&it.base.client, 300);
    cr_assert_eq(it.base.one.registered + it.base.two.registered, asked);
    membership_stop(&it);
}

Test(member, says_goodbye)
{
    struct membership it;
    membership_start(&it);
    member_begin(&it);
    turn_until(&it.base.client, member_state(it.member) == MEMBER_ACTIVE);
    member_drain(it.member);
    member_leave(it.member, 1000);
    turn_until(&it.base.client, member_state(it.member) == MEMBER_LEFT);
    cr_assert(it.base.one.left || it.base.two.left);
    cr_assert(!member_lease_held(it.member));
    membership_stop(&it);
}
