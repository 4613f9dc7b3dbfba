// SPDX-License-Identifier: Apache-2.0
// Calls between two daemons of one process over real ZeroMQ: every way a call can end.
#include "trial.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdatomic.h>
#include <unistd.h>

static struct trial server, client;
static struct rpc_peer *peer;
static struct outcome outcome;
static const struct rpc_node storage_1 = {RPC_STORAGE, 1};
static const struct rpc_node tool = {RPC_TOOL, -1};

static void set_up(void)
{
    trial_start(&server, storage_1, NULL, "tcp://127.0.0.1:0");
    trial_start(&client, tool, NULL, NULL);
    peer = rpc_peer(client.rpc, server.endpoint, storage_1);
    outcome = (struct outcome){.trial = &client};
}

static void tear_down(void)
{
    rpc_peer_release(&peer);
    trial_stop(&client);
    trial_stop(&server);
}

TestSuite(calls, .init = set_up, .fini = tear_down, .timeout = 60);

Test(calls, first_call_waits_for_the_connection_and_is_answered)
{
    trial_ask(peer, 42, NULL, &outcome);
    cr_assert_eq(outcome.count, 0, "never from inside the call");
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
    cr_assert_eq(outcome.number, 42);
    cr_assert_eq(server.last_sender.node.role, RPC_TOOL);
    cr_assert_eq(server.last_sender.incarnation, 77);
}

Test(calls, payload_comes_back_without_being_packed)
{
    struct block *blocks[2] = {block_new(1 << 20), block_new(10)};
    memset(blocks[0]->data, 'x', blocks[0]->len);
    memset(blocks[1]->data, 'y', blocks[1]->len);
    struct rpc_options options = {.payload = blocks, .payload_count = 2};
    Trial__Question question = TRIAL__QUESTION__INIT;
    trial__trial__bulk(rpc_on(peer, &trial__trial__descriptor, &options), &question, outcome_note, &outcome);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
    cr_assert_eq(outcome.payload_count, 2);
    cr_assert_eq(outcome.payload_len, 1 << 20);
    cr_assert_eq(outcome.payload_first, 'x');
    for (int i = 0; i < 2000 && atomic_load(&blocks[0]->refs) > 1; i++)
        trial_turn(&client, &server); // ZeroMQ's thread gives its reference back
    cr_assert_eq(atomic_load(&blocks[0]->refs), 1);
    cr_assert_eq(trial_metric(&client, "millrace_rpc_bytes_waiting"), 0);
    block_unref(&blocks[0]);
    block_unref(&blocks[1]);
}

Test(calls, a_thousand_calls_in_flight_are_all_answered)
{
    for (uint64_t i = 0; i < 1000; i++)
        trial_ask(peer, i, NULL, &outcome);
    trial_await(&client, &server, &outcome, 1000);
    cr_assert_eq(server.served, 1000);
    cr_assert_eq(outcome.status, ST_OK);
    cr_assert_eq(trial_metric(&client, "millrace_rpc_calls_in_progress"), 0);
    cr_assert_eq(trial_metric(&server, "millrace_rpc_served_in_progress"), 0);
}

Test(calls, failure_carries_status_and_text)
{
    Trial__Question question = TRIAL__QUESTION__INIT;
    trial__trial__refuse(rpc_on(peer, &trial__trial__descriptor, NULL), &question, outcome_note, &outcome);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_NOT_LEADER);
    cr_assert_str_eq(outcome.text, "ask somebody else");
}

static void hold(int64_t deadline_ms)
{
    struct rpc_options options = {.deadline_ms = deadline_ms};
    Trial__Question question = TRIAL__QUESTION__INIT;
    trial__trial__hold(rpc_on(peer, &trial__trial__descriptor, &options), &question, outcome_note, &outcome);
}

static void answer_held(int index)
{
    rpc_fail(server.held[index], ST_STALE, "late");
}

Test(calls, deadline_ends_a_held_call_and_the_late_answer_is_dropped_and_counted)
{
    hold(200);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_TIMEOUT);
    trial_await_int(&client, &server, &server.held_count, 1);
    trial_turns_for(&client, &server, 250);
    answer_held(0);
    trial_turns_for(&client, &server, 20);
    cr_assert_eq(outcome.count, 1);
    cr_assert_eq(trial_metric(&server, "millrace_rpc_late_replies_total"), 1);
}

Test(calls, peer_that_is_not_there_refuses_at_once)
{
    struct rpc_peer *nobody = rpc_peer(client.rpc, "tcp://127.0.0.1:1", storage_1);
    int64_t began_us = env_now_us(client.env);
    trial_ask(nobody, 1, NULL, &outcome);
    trial_await(&client, NULL, &outcome, 1);
    cr_assert_eq(outcome.status, ST_UNREACHABLE);
    trial_ask(nobody, 1, NULL, &outcome);
    trial_await(&client, NULL, &outcome, 2);
    cr_assert_eq(outcome.status, ST_UNREACHABLE);
    cr_assert_lt(env_now_us(client.env) - began_us, 500000);
    rpc_peer_release(&nobody);
}

Test(calls, peer_released_ends_its_calls_with_closed)
{
    hold(0);
    trial_turns_for(&client, &server, 20);
    rpc_peer_release(&peer);
    cr_assert_eq(outcome.count, 0);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_CLOSED);
}

Test(calls, rpc_closed_ends_every_call_and_accepts_none)
{
    hold(0);
    hold(0);
    trial_await_int(&client, &server, &server.held_count, 2);
    rpc_close(client.rpc);
    cr_assert_eq(outcome.count, 2);
    cr_assert_eq(outcome.status, ST_CLOSED);
    hold(0);
    trial_await(&client, &server, &outcome, 3);
    cr_assert_eq(outcome.status, ST_CLOSED);
}

Test(calls, cancelled_calls_are_not_told)
{
    hold(0);
    trial_await_int(&client, &server, &server.held_count, 1);
    rpc_cancel(client.rpc, &outcome);
    answer_held(0);
    trial_turns_for(&client, &server, 200);
    cr_assert_eq(outcome.count, 0);
    cr_assert_eq(trial_metric(&client, "millrace_rpc_late_replies_total"), 1);
}

// Until the lane is up nothing lingers.
static void connect_lane(void)
{
    trial_ask(peer, 0, NULL, &outcome);
    trial_await(&client, &server, &outcome, 1);
}

Test(calls, lingering_ones_go_out_together_and_those_that_do_not_go_first)
{
    struct outcome other = {.trial = &client};
    connect_lane();
    int64_t began_us = env_now_us(client.env);
    trial_ask(peer, 1, &(struct rpc_options){.linger_us = 1000000}, &outcome);
    trial_ask(peer, 2, &(struct rpc_options){.linger_us = 3600000000}, &outcome);
    trial_ask(peer, 3, NULL, &other);
    trial_await(&client, &server, &other, 1);
    cr_assert_eq(outcome.count, 1, "they wait");
    trial_await(&client, &server, &outcome, 3);
    cr_assert_geq(env_now_us(client.env) - began_us, 1000000, "as long as the first of them may");
    cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
    trial_ask(peer, 4, &(struct rpc_options){.linger_us = 1000}, &outcome);
    trial_await(&client, &server, &outcome, 4);
    cr_assert_eq(server.served, 5);
}

Test(calls, lingering_ones_that_are_cancelled_are_never_sent)
{
    struct outcome cancelled = {.trial = &client};
    connect_lane();
    trial_ask(peer, 1, &(struct rpc_options){.linger_us = 20000}, &cancelled);
    trial_ask(peer, 2, &(struct rpc_options){.linger_us = 20000}, &outcome);
    rpc_cancel(client.rpc, &cancelled);
    trial_await(&client, &server, &outcome, 2);
    trial_turns_for(&client, &server, 50);
    cr_assert_eq(cancelled.count, 0);
    cr_assert_eq(server.served, 2);
}

Test(calls, lingering_ones_end_with_their_peer)
{
    connect_lane();
    trial_ask(peer, 1, &(struct rpc_options){.linger_us = 20000}, &outcome);
    rpc_peer_release(&peer);
    trial_await(&client, &server, &outcome, 2);
    cr_assert_eq(outcome.status, ST_CLOSED);
    trial_turns_for(&client, &server, 50);
    cr_assert_eq(server.served, 1);
}

Test(calls, calls_in_progress_per_peer_are_limited)
{
    for (int i = 0; i < RPC_CALLS_PER_PEER + 5; i++)
        hold(0);
    trial_await(&client, &server, &outcome, 5);
    cr_assert_eq(outcome.status, ST_LIMIT);
    trial_await_int(&client, &server, &server.held_count, RPC_CALLS_PER_PEER);
    cr_assert_eq(outcome.count, 5);
    cr_assert_eq(server.held_count, RPC_CALLS_PER_PEER);
}

Test(calls, all_that_are_held_can_be_answered_at_once)
{
    for (int i = 0; i < RPC_CALLS_PER_PEER; i++)
        hold(0);
    trial_await_int(&client, &server, &server.held_count, RPC_CALLS_PER_PEER);
    for (int i = 0; i < RPC_CALLS_PER_PEER; i++)
        answer_held(i);
    trial_await(&client, &server, &outcome, RPC_CALLS_PER_PEER);
    cr_assert_eq(outcome.status, ST_STALE, "%s", outcome.text);
    cr_assert_eq(trial_metric(&server, "millrace_rpc_lost_replies_total"), 0);
    cr_assert_eq(trial_metric(&server, "millrace_rpc_served_bytes"), 0);
}

// Counts the calls served from one turn of the server's loop to the next.
struct meter {
    struct timer timer;
    int before, most;
};

static void meter_on_turn(struct timer *timer)
{
    struct meter *meter = timer->context;
    int now = server.served - meter->before;
    meter->most = now > meter->most ? now : meter->most;
    meter->before = server.served;
    timer_start_us(server.env, timer, 0);
}

Test(calls, slow_ones_do_not_keep_a_turn_of_the_loop)
{
    enum { COUNT = 40, ECHO_US = 1000, SHARE_US = 4000 };
    struct meter meter = {.before = 0};
    hold(0); // connects
    trial_await_int(&client, &server, &server.held_count, 1);
    for (int i = 0; i < COUNT; i++)
        trial_ask(peer, 1, NULL, &outcome);
    usleep(20000); // they arrive
    server.echo_us = ECHO_US;
    timer_init(&meter.timer, meter_on_turn, &meter);
    timer_start_us(server.env, &meter.timer, 0);
    trial_await(&client, &server, &outcome, COUNT);
    timer_stop(server.env, &meter.timer);
    cr_assert_geq(meter.most, 1);
    cr_assert_leq(meter.most, 2 * SHARE_US / ECHO_US, "a turn by hand runs the hooks twice");
}

Test(calls, those_of_one_owner_are_cancelled_among_many_others)
{
    struct outcome others = {.trial = &client};
    struct outcome mine = {.trial = &client};
    Trial__Question question = TRIAL__QUESTION__INIT;
    for (int i = 0; i < 30; i++)
        trial__trial__hold(rpc_on(peer, &trial__trial__descriptor, NULL), &question, outcome_note,
                           i % 3 == 0 ? &mine : &others);
    trial_await_int(&client, &server, &server.held_count, 30);
    answer_held(3); // the second of mine
    trial_await(&client, &server, &mine, 1);
    rpc_cancel(client.rpc, &mine);
    rpc_cancel(client.rpc, &mine);
    for (int i = 0; i < 30; i++)
        if (i != 3)
            answer_held(i);
    trial_await(&client, &server, &others, 20);
    cr_assert_eq(mine.count, 1);
    cr_assert_eq(trial_metric(&client, "millrace_rpc_calls_in_progress"), 0);
}

Test(calls, the_servers_own_limits_hold_too)
{
    static struct trial small;
    static uint8_t bytes[1000];
    struct rpc_config limits = {.calls_per_peer = 8, .held_bytes_max = 4 * sizeof bytes};
    trial_start_limited(&small, storage_1, "tcp://127.0.0.1:0", &limits);
    struct rpc_peer *there = rpc_peer(client.rpc, small.endpoint, storage_1);
    struct block *payload = block_copy(slice_of(bytes, sizeof bytes));
    struct rpc_options large = {.payload = &payload, .payload_count = 1};
    Trial__Question question = TRIAL__QUESTION__INIT;
    for (int i = 0; i < 4; i++) // with their envelopes three fit
        trial__trial__keep(rpc_on(there, &trial__trial__descriptor, &large), &question, outcome_note,
                           &outcome);
    trial_await(&client, &small, &outcome, 1);
    cr_assert_eq(outcome.status, ST_LIMIT);
    cr_assert_eq(small.held_count, 3);
    for (int i = 0; i < 3; i++)
        rpc_fail(small.held[i], ST_STALE, "");
    trial_await(&client, &small, &outcome, 4);
    for (int i = 0; i < 9; i++)
        trial__trial__keep(rpc_on(there, &trial__trial__descriptor, NULL), &question, outcome_note, &outcome);
    trial_await(&client, &small, &outcome, 5);
    cr_assert_eq(outcome.status, ST_LIMIT);
    cr_assert_eq(small.held_count, 3 + 8);
    block_unref(&payload);
    rpc_peer_release(&there);
    trial_stop(&small);
}

Test(calls, another_node_at_the_address_is_a_mismatch)
{
    struct rpc_peer *other = rpc_peer(client.rpc, server.endpoint, (struct rpc_node){RPC_STORAGE, 2});
    trial_ask(other, 1, NULL, &outcome);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_MISMATCH);
    rpc_peer_release(&other);
}

Test(calls, another_cluster_is_a_mismatch_and_an_unknown_one_is_not)
{
    rpc_set_cluster(server.rpc, uuid_from_random(1, 2));
    trial_ask(peer, 1, NULL, &outcome);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_OK);
    rpc_set_cluster(client.rpc, uuid_from_random(3, 4));
    trial_ask(peer, 1, NULL, &outcome);
    trial_await(&client, &server, &outcome, 2);
    cr_assert_eq(outcome.status, ST_MISMATCH);
    cr_assert_eq(server.served, 1);
}

Test(calls, role_that_may_not_call_is_denied)
{
    struct trial controller;
    trial_start(&controller, (struct rpc_node){RPC_CONTROLLER, 1}, NULL, NULL);
    struct outcome denied = {.trial = &controller};
    struct rpc_peer *to = rpc_peer(controller.rpc, server.endpoint, storage_1);
    trial_ask(to, 1, NULL, &denied);
    trial_await(&controller, &server, &denied, 1);
    cr_assert_eq(denied.status, ST_DENIED);
    rpc_peer_release(&to);
    trial_stop(&controller);
}

Test(calls, one_way_message_arrives_and_nothing_is_told)
{
    Trial__Question question = TRIAL__QUESTION__INIT;
    question.number = 9;
    for (int i = 0; i < 2; i++) { // before the lane is up, and after
        trial__trial__echo(rpc_on(peer, &trial__trial__descriptor, NULL), &question, NULL, NULL);
        trial_await_int(&client, &server, &server.served, i + 1);
    }
    cr_assert_eq(server.served, 2);
    cr_assert_eq(server.last_number, 9);
    cr_assert_eq(trial_metric(&client, "millrace_rpc_calls_in_progress"), 0);
}

Test(calls, request_above_the_message_limit_fails_alone)
{
    static uint8_t data[RPC_MESSAGE_MAX];
    Trial__Question question = TRIAL__QUESTION__INIT;
    question.has_data = true;
    question.data = (ProtobufCBinaryData){.len = sizeof data, .data = data};
    trial__trial__echo(rpc_on(peer, &trial__trial__descriptor, NULL), &question, outcome_note, &outcome);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_LIMIT);
    trial_ask(peer, 1, NULL, &outcome);
    trial_await(&client, &server, &outcome, 2);
    cr_assert_eq(outcome.status, ST_OK);
}

static int probes;
static enum status probed;

static void note_probe(void *context, enum status status)
{
    probes++;
    probed = status;
}

Test(calls, probe_tells_a_listening_port_from_a_refusing_one)
{
    rpc_probe(client.rpc, server.endpoint, note_probe, NULL);
    cr_assert_eq(probes, 0);
    trial_await_int(&client, &server, &probes, 1);
    cr_assert_eq(probed, ST_OK);
    rpc_probe(client.rpc, "tcp://127.0.0.1:1", note_probe, NULL);
    trial_await_int(&client, &server, &probes, 2);
    cr_assert_eq(probed, ST_UNREACHABLE);
    rpc_probe(client.rpc, "nonsense", note_probe, NULL);
    trial_await_int(&client, &server, &probes, 3);
    cr_assert_eq(probed, ST_IO);
}

static int gone_count;
static uint64_t gone;

static void note_gone(void *context, uint64_t connection)
{
    gone_count++;
    gone = connection;
}

Test(calls, end_of_a_callers_connection_is_told)
{
    struct trial other;
    struct outcome heard = {.trial = &other};
    trial_start(&other, tool, NULL, NULL);
    rpc_watch_gone(server.rpc, note_gone, NULL);
    trial_ask(peer, 1, NULL, &outcome);
    trial_await(&client, &server, &outcome, 1);
    uint64_t stays = server.last_connection;
    struct rpc_peer *again = rpc_peer(other.rpc, server.endpoint, storage_1);
    trial_ask(again, 2, NULL, &heard);
    trial_await(&other, &server, &heard, 1);
    uint64_t goes = server.last_connection;
    cr_assert_neq(goes, stays);
    rpc_peer_release(&again);
    trial_stop(&other);
    trial_await_int(&client, &server, &gone_count, 1);
    cr_assert_eq(gone, goes);
    trial_ask(peer, 3, NULL, &outcome);
    trial_await(&client, &server, &outcome, 2);
    cr_assert_eq(gone_count, 1);
}

Test(calls, peer_given_by_name_is_resolved_and_found_again)
{
    char by_name[64];
    snprintf(by_name, sizeof by_name, "tcp://localhost%s", strrchr(server.endpoint, ':'));
    struct rpc_peer *named = rpc_peer(client.rpc, by_name, storage_1);
    trial_ask(named, 1, NULL, &outcome);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
    char endpoint[64];
    memcpy(endpoint, server.endpoint, sizeof endpoint);
    trial_stop(&server);
    trial_turns_for(&client, NULL, 700);
    trial_ask(named, 1, NULL, &outcome);
    trial_await(&client, NULL, &outcome, 2);
    cr_assert_eq(outcome.status, ST_UNREACHABLE);
    trial_start(&server, storage_1, NULL, endpoint);
    trial_turns_for(&client, &server, 400);
    trial_ask(named, 1, NULL, &outcome);
    trial_await(&client, &server, &outcome, 3);
    cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
    rpc_peer_release(&named);
}

static atomic_bool pool_may_go_on;
static int pool_jobs_done;

static void pool_occupy(struct job *job)
{
    while (!atomic_load(&pool_may_go_on))
        usleep(1000);
}

static void pool_occupied(struct job *job)
{
    pool_jobs_done++;
}

// Names and files do not wait for one another: here the files' threads are all busy.
Test(calls, names_are_resolved_while_the_pool_is_busy)
{
    char by_name[64];
    struct job jobs[16];
    for (int i = 0; i < 16; i++) {
        jobs[i] = (struct job){.run = pool_occupy, .done = pool_occupied};
        env_submit(client.env, client.env->pool, &jobs[i]);
    }
    snprintf(by_name, sizeof by_name, "tcp://localhost%s", strrchr(server.endpoint, ':'));
    struct rpc_peer *named = rpc_peer(client.rpc, by_name, storage_1);
    struct rpc_options options = {.deadline_ms = 5000};
    trial_ask(named, 1, &options, &outcome);
    trial_await(&client, &server, &outcome, 1);
    atomic_store(&pool_may_go_on, true);
    cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
    trial_await_int(&client, &server, &pool_jobs_done, 16);
    rpc_peer_release(&named);
}
