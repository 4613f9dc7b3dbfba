// SPDX-License-Identifier: Apache-2.0
// The raw client against the listener, both in one environment, and against peers that misbehave.
#include "server.h"

#include "conn/client.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/messages/api_versions.h"
#include "kafka/messages/heartbeat.h"

#include <criterion/criterion.h>

struct broker {
    struct env *env;
    struct conn_listener *listener;
    int16_t versions_max; // of ApiVersions
    bool silent;          // requests other than ApiVersions are held
    struct conn_request *held;
};

static struct broker broker;

static void answer_versions(struct conn_request *request)
{
    struct kafka_api_versions_response_api_version keys[] = {
        {.api_key = KAFKA_API_HEARTBEAT, .min_version = 1, .max_version = 3},
        {.api_key = KAFKA_API_API_VERSIONS, .max_version = broker.versions_max}};
    bool known = request->version <= broker.versions_max;
    struct kafka_api_versions_response response = {.api_keys = keys, .api_keys_count = 2};
    response.error_code = known ? 0 : 35;
    struct kafka_out out;
    kafka_out_init(&out, 1 << 16);
    cr_assert_eq(
        kafka_encode(&kafka_api_versions_response_message, known ? request->version : 0, &response, &out),
        ST_OK);
    conn_reply(request, &out);
}

static void on_request(struct conn_request *request, void *context)
{
    (void)context;
    if (request->api == KAFKA_API_API_VERSIONS) {
        answer_versions(request);
    } else if (broker.silent) {
        broker.held = request;
    } else {
        struct kafka_heartbeat_response response = {.error_code = 27, .throttle_time_ms = 5};
        struct kafka_out out;
        kafka_out_init(&out, 1 << 16);
        cr_assert_eq(kafka_encode(&kafka_heartbeat_response_message, request->version, &response, &out),
                     ST_OK);
        conn_reply(request, &out);
    }
}

static void on_cancelled(struct conn_request *request, void *context)
{
    (void)context;
    broker.held = NULL;
    conn_no_reply(request);
}

static void setup(void)
{
    static const struct conn_handler handler = {.on_request = on_request, .on_cancelled = on_cancelled};
    broker = (struct broker){.versions_max = 4};
    cr_assert_eq(env_posix_new("test", 1, &broker.env), ST_OK);
    struct conn_config config = conn_config_default();
    config.port = 0;
    broker.listener = conn_listener_new(broker.env, &config, &handler, NULL);
    cr_assert_eq(conn_listener_open(broker.listener), ST_OK);
}

static void teardown(void)
{
    conn_listener_destroy(&broker.listener);
    env_posix_destroy(&broker.env);
}

TestSuite(conn_client, .init = setup, .fini = teardown, .timeout = 60);

static struct conn_client *connected(void)
{
    struct conn_client_config config = conn_client_config_default();
    struct conn_client *client = NULL;
    cr_assert_eq(conn_client_connect_wait(broker.env, &config, "127.0.0.1",
                                          conn_listener_port(broker.listener), &client),
                 ST_OK);
    return client;
}

static enum status heartbeat(struct conn_client *client, int64_t timeout_ms, int16_t *error)
{
    struct kafka_heartbeat_request request = {.group_id = slice_str("g"), .member_id = slice_str("m")};
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const void *body = NULL;
    enum status status =
        conn_client_call_wait(client, KAFKA_API_HEARTBEAT, -1, &request, timeout_ms, &arena, &body);
    if (status == ST_OK)
        *error = ((const struct kafka_heartbeat_response *)body)->error_code;
    arena_fini(&arena);
    return status;
}

Test(conn_client, picks_the_highest_common_version_and_decodes_the_answer)
{
    struct conn_client *client = connected();
    cr_expect_eq(conn_client_version(client, KAFKA_API_HEARTBEAT, -1), 3);
    cr_expect_eq(conn_client_version(client, KAFKA_API_HEARTBEAT, 2), 2);
    cr_expect_eq(conn_client_version(client, KAFKA_API_HEARTBEAT, 0), -1);
    cr_expect_eq(conn_client_version(client, KAFKA_API_FETCH, -1), -1);
    int16_t error = 0;
    cr_expect_eq(heartbeat(client, 1000, &error), ST_OK);
    cr_expect_eq(error, 27);
    conn_client_destroy(&client);
}

Test(conn_client, falls_back_to_api_versions_zero)
{
    broker.versions_max = 2;
    struct conn_client *client = connected();
    cr_expect_eq(conn_client_version(client, KAFKA_API_HEARTBEAT, -1), 3);
    conn_client_destroy(&client);
}

Test(conn_client, call_without_answer_times_out_and_closes)
{
    struct conn_client *client = connected();
    broker.silent = true;
    int16_t error;
    cr_expect_eq(heartbeat(client, 30, &error), ST_TIMEOUT);
    cr_expect_not(conn_client_ready(client));
    cr_expect_eq(heartbeat(client, 30, &error), ST_CLOSED);
    conn_client_destroy(&client);
}

Test(conn_client, refused_connection_is_unreachable)
{
    struct conn_client_config config = conn_client_config_default();
    struct conn_client *client = NULL;
    int port = conn_listener_port(broker.listener);
    conn_listener_drain(broker.listener, NULL, NULL);
    cr_expect_eq(conn_client_connect_wait(broker.env, &config, "127.0.0.1", port, &client), ST_UNREACHABLE);
    cr_expect_null(client);
}

static void note(enum status status, const struct conn_answer *answer, void *context)
{
    (void)answer;
    *(enum status *)context = status;
}

Test(conn_client, open_calls_fail_when_the_connection_breaks_or_the_client_is_destroyed)
{
    struct conn_client *client = connected();
    broker.silent = true;
    struct kafka_heartbeat_request request = {.group_id = slice_str("g"), .member_id = slice_str("m")};
    enum status first = ST_OK, second = ST_OK;
    cr_assert_eq(conn_client_call(client, KAFKA_API_HEARTBEAT, -1, &request, 0, note, &first), ST_OK);
    cr_assert_eq(conn_client_call(client, KAFKA_API_HEARTBEAT, -1, &request, 0, note, &second), ST_OK);
    while (broker.held == NULL)
        env_posix_turn(broker.env, 1000);
    conn_close_request(broker.held, "test");
    broker.held = NULL;
    while (first == ST_OK)
        env_posix_turn(broker.env, 1000);
    cr_expect_eq(first, ST_CLOSED);
    cr_expect_eq(second, ST_CLOSED);
    conn_client_destroy(&client);

    broker.silent = false;
    client = connected();
    broker.silent = true;
    first = ST_OK;
    cr_assert_eq(conn_client_call(client, KAFKA_API_HEARTBEAT, -1, &request, 0, note, &first), ST_OK);
    conn_client_destroy(&client);
    cr_expect_eq(first, ST_CANCELLED);
}
