// SPDX-License-Identifier: Apache-2.0
// Keys: files, and who gets in. A CURVE server without its handler would accept any key (stack.md section 4).
#include "trial.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct diag quiet = {.level = DIAG_ERROR + 1};
static const struct rpc_node storage_1 = {RPC_STORAGE, 1}, storage_2 = {RPC_STORAGE, 2};
static const struct rpc_node tool = {RPC_TOOL, -1};

static void set_up(void)
{
    strcpy(dir, "/tmp/millrace-keys-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(curve_keygen(dir, "storage-1", storage_1), ST_OK);
    cr_assert_eq(curve_keygen(dir, "storage-2", storage_2), ST_OK);
    cr_assert_eq(curve_keygen(dir, "tool", tool), ST_OK);
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(curve, .init = set_up, .fini = tear_down, .timeout = 60);

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static struct curve_keys *keys_of(const char *name)
{
    struct curve_keys *keys;
    cr_assert_eq(curve_keys_load(&quiet, path_of(name), dir, &keys), ST_OK);
    return keys;
}

// Asks server (storage 1, with keys) as the owner of keys; the envelope says self.
static struct outcome ask_as(struct rpc_node self, struct curve_keys *keys, int64_t deadline_ms)
{
    struct trial server, client;
    struct outcome outcome = {.trial = &client};
    struct rpc_options options = {.deadline_ms = deadline_ms};
    trial_start(&server, storage_1, keys_of("storage-1.key"), "tcp://127.0.0.1:0");
    trial_start(&client, self, keys, NULL);
    struct rpc_peer *peer = rpc_peer(client.rpc, server.endpoint, storage_1);
    trial_ask(peer, 7, &options, &outcome);
    trial_await(&client, &server, &outcome, 1);
    rpc_peer_release(&peer);
    trial_stop(&client);
    trial_stop(&server);
    return outcome;
}

Test(curve, known_key_is_let_in)
{
    struct outcome outcome = ask_as(tool, keys_of("tool.key"), 5000);
    cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
}

Test(curve, unknown_key_is_not_let_in)
{
    char stranger[128];
    struct curve_keys *keys;
    snprintf(stranger, sizeof stranger, "%s/elsewhere", dir);
    cr_assert_eq(mkdir(stranger, 0700), 0);
    cr_assert_eq(curve_keygen(stranger, "tool", tool), ST_OK);
    strcat(stranger, "/tool.key");
    cr_assert_eq(curve_keys_load(&quiet, stranger, dir, &keys), ST_OK); // it knows the server's key
    struct outcome outcome = ask_as(tool, keys, 1500);
    cr_assert_neq(outcome.status, ST_OK);
}

Test(curve, peer_without_keys_is_not_let_in)
{
    struct outcome outcome = ask_as(tool, NULL, 1500);
    cr_assert_neq(outcome.status, ST_OK);
}

Test(curve, envelope_that_contradicts_the_key_is_denied)
{
    struct outcome outcome = ask_as((struct rpc_node){RPC_STORAGE, 1}, keys_of("storage-2.key"), 5000);
    cr_assert_eq(outcome.status, ST_DENIED, "another node: %s", status_text(outcome.status));
    outcome = ask_as((struct rpc_node){RPC_STORAGE, 1}, keys_of("tool.key"), 5000);
    cr_assert_eq(outcome.status, ST_DENIED, "another role: %s", status_text(outcome.status));
    outcome = ask_as(storage_2, keys_of("storage-2.key"), 5000);
    cr_assert_eq(outcome.status, ST_OK);
}

Test(curve, server_that_lacks_the_expected_key_gets_no_call)
{
    struct trial server, client;
    struct outcome outcome = {.trial = &client};
    struct rpc_options options = {.deadline_ms = 1500};
    trial_start(&server, storage_2, keys_of("storage-2.key"), "tcp://127.0.0.1:0");
    trial_start(&client, tool, keys_of("tool.key"), NULL);
    struct rpc_peer *peer = rpc_peer(client.rpc, server.endpoint, storage_1);
    trial_ask(peer, 7, &options, &outcome);
    trial_await(&client, &server, &outcome, 1);
    cr_assert_neq(outcome.status, ST_OK);
    cr_assert_eq(server.served, 0);
    rpc_peer_release(&peer);
    trial_stop(&client);
    trial_stop(&server);
}

Test(curve, address_that_is_not_loopback_needs_keys)
{
    struct trial trial;
    int port;
    trial_start(&trial, storage_1, NULL, NULL);
    trial.env->diag.level = DIAG_ERROR + 1;
    cr_assert_eq(rpc_listen(trial.rpc, "tcp://0.0.0.0:0", &port), ST_DENIED);
    cr_assert_eq(rpc_listen(trial.rpc, "tcp://*:0", &port), ST_DENIED);
    cr_assert_eq(rpc_listen(trial.rpc, "tcp://127.0.0.1.example.org:0", &port), ST_DENIED);
    struct outcome outcome = {.trial = &trial};
    struct rpc_peer *peer = rpc_peer(trial.rpc, "tcp://192.0.2.1:9", storage_2);
    trial_ask(peer, 1, NULL, &outcome);
    trial_await(&trial, NULL, &outcome, 1);
    cr_assert_eq(outcome.status, ST_DENIED);
    rpc_peer_release(&peer);
    trial_stop(&trial);
}

Test(curve, name_that_does_not_resolve_fails_its_own_calls_and_delays_no_others)
{
    struct trial server, client;
    struct outcome nowhere = {.trial = &client}, outcome = {.trial = &client};
    trial_start(&server, storage_1, keys_of("storage-1.key"), "tcp://127.0.0.1:0");
    trial_start(&client, tool, keys_of("tool.key"), NULL);
    struct rpc_peer *lost = rpc_peer(client.rpc, "tcp://nosuch.invalid:9", storage_2);
    struct rpc_peer *peer = rpc_peer(client.rpc, server.endpoint, storage_1);
    struct rpc_options options = {.deadline_ms = 3000};
    trial_ask(lost, 7, &options, &nowhere);
    int64_t began_us = env_now_us(client.env);
    for (int i = 1; i <= 10; i++) {
        trial_ask(peer, 7, NULL, &outcome);
        trial_await(&client, &server, &outcome, i);
        cr_assert_eq(outcome.status, ST_OK, "%s", outcome.text);
    }
    cr_assert_lt(env_now_us(client.env) - began_us, 500000);
    trial_await(&client, &server, &nowhere, 1);
    cr_assert_neq(nowhere.status, ST_OK); // UNREACHABLE, or TIMEOUT where the name server is silent
    cr_assert_eq(server.served, 10);
    rpc_peer_release(&lost);
    rpc_peer_release(&peer);
    trial_stop(&client);
    trial_stop(&server);
}

Test(curve, key_added_later_is_seen_and_a_role_key_stands_for_any_node)
{
    struct curve_keys *keys = keys_of("tool.key");
    char text[CURVE_TEXT_SIZE];
    const struct rpc_node coordinator_7 = {RPC_COORDINATOR, 7};
    cr_assert_not(curve_find_node(keys, coordinator_7, text));
    cr_assert_eq(curve_keygen(dir, "coordinators", (struct rpc_node){RPC_COORDINATOR, -1}), ST_OK);
    sleep(3);
    curve_refresh(keys);
    cr_assert(curve_find_node(keys, coordinator_7, text));
    curve_keys_destroy(&keys);
}

Test(curve, key_files_are_private_and_never_overwritten)
{
    struct stat info;
    cr_assert_eq(stat(path_of("storage-1.key"), &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600);
    cr_assert_eq(curve_keygen(dir, "storage-1", storage_1), ST_EXISTS);
    cr_assert_eq(curve_keygen(dir, "../storage-1", storage_1), ST_INVALID);
    struct curve_keys *keys;
    cr_assert_eq(chmod(path_of("storage-1.key"), 0644), 0);
    cr_assert_eq(curve_keys_load(&quiet, path_of("storage-1.key"), dir, &keys), ST_DENIED);
}

Test(curve, damaged_files_are_left_out_or_refused)
{
    struct curve_keys *keys;
    char text[CURVE_TEXT_SIZE];
    FILE *file = fopen(path_of("storage-2.pub"), "w");
    fputs("role=storage\nnode=2\npublic=short\n", file);
    fclose(file);
    cr_assert_eq(curve_keys_load(&quiet, path_of("tool.key"), dir, &keys), ST_OK);
    cr_assert_not(curve_find_node(keys, storage_2, text));
    cr_assert(curve_find_node(keys, storage_1, text));
    curve_keys_destroy(&keys);
    cr_assert_eq(curve_keys_load(&quiet, path_of("tool.pub"), dir, &keys), ST_DENIED);
    cr_assert_eq(chmod(path_of("tool.pub"), 0600), 0);
    cr_assert_eq(curve_keys_load(&quiet, path_of("tool.pub"), dir, &keys), ST_MALFORMED);
    cr_assert_eq(curve_keys_load(&quiet, path_of("nobody.key"), dir, &keys), ST_NOT_FOUND);
}

Test(curve, a_pub_that_was_never_written_is_made_from_its_key)
{
    char text[CURVE_TEXT_SIZE];
    struct curve_keys *keys = keys_of("tool.key");
    cr_assert(curve_find_node(keys, storage_1, text));
    curve_keys_destroy(&keys);
    cr_assert_eq(unlink(path_of("storage-1.pub")), 0);
    cr_assert_eq(curve_publish(dir, "storage-1"), ST_OK);
    cr_assert_eq(curve_publish(dir, "storage-1"), ST_OK);
    keys = keys_of("storage-1.key");
    char again[CURVE_TEXT_SIZE];
    cr_assert(curve_find_node(keys, storage_1, again));
    cr_assert_str_eq(again, text);
    curve_keys_destroy(&keys);
    cr_assert_eq(curve_publish(dir, "storage-9"), ST_NOT_FOUND);
}
