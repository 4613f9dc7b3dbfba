// SPDX-License-Identifier: Apache-2.0
// What a storage node is told of a schema: whether records of a topic may have it, under which subject it was
// looked for, and the schema itself in one piece.
#include <criterion/criterion.h>
#include <stdio.h>

#include "desk.h"

#include "base/config.h"
#include "base/mem.h"
#include "io/env_posix.h"
#include "protos/registry.pb-c.h"
#include "registry_own.h"
#include "rpc/zmq.h"
#include "schema/pack.h"

#define INNER "{\"type\":\"record\",\"name\":\"n.In\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}"

static struct desk desk;

static void open_desk(void)
{
    desk_open(&desk);
}

static void close_desk(void)
{
    desk_close(&desk);
}

TestSuite(locating, .init = open_desk, .fini = close_desk);

struct question {
    const char *id, *guid, *topic, *strategy, *message;
    bool key, packed;
};

// The answer is the caller's; *code as answered.
static Millrace__Located *ask(struct question question, int *code)
{
    struct call call;
    call_init(&call);
    call.operation = operation_find("locate");
    call.state = desk.state;
    call.settings = &desk.settings;
    call.id = question.id;
    call.guid = question.guid;
    call.query[0] = (struct call_pair){"topic", question.topic};
    call.query[1] = (struct call_pair){"strategy", question.strategy ? question.strategy : "TOPIC_NAME"};
    call.query[2] = (struct call_pair){"key", question.key ? "true" : "false"};
    call.query[3] = (struct call_pair){"packed", question.packed ? "true" : "false"};
    call.query[4] = (struct call_pair){"message", question.message};
    call.query_count = question.message != NULL ? 5 : 4;
    operation_run(&call);
    cr_assert_eq(call.record_count, 0);
    *code = call.code;
    Millrace__Located *located = millrace__located__unpack(NULL, call.reply.len, call.reply.data);
    cr_assert_not_null(located);
    call_fini(&call);
    return located;
}

static void expect(struct question question, bool exists, bool registered, const char *subject)
{
    int code;
    Millrace__Located *located = ask(question, &code);
    cr_expect_eq(code, registered ? 200 : 404);
    cr_expect_eq(located->exists, exists);
    cr_expect_eq(located->registered, registered);
    cr_expect_str_eq(located->subject, subject);
    millrace__located__free_unpacked(located, NULL);
}

Test(locating, by_the_name_of_the_topic)
{
    desk_register(&desk, "t-value", "\"int\"");
    desk_register(&desk, "t-key", "\"string\"");
    expect((struct question){.id = "1", .topic = "t"}, true, true, "t-value");
    expect((struct question){.id = "2", .topic = "t"}, true, false, "t-value");
    expect((struct question){.id = "2", .topic = "t", .key = true}, true, true, "t-key");
    expect((struct question){.id = "1", .topic = "other"}, true, false, "other-value");
    expect((struct question){.id = "3", .topic = "t"}, false, false, "");
}

Test(locating, by_the_name_of_the_record)
{
    desk_register(&desk, "n.In", INNER);
    desk_register(&desk, "t-n.In", INNER);
    desk_register(&desk, "plain", "{\"type\":\"array\",\"items\":\"int\"}");
    struct question one = {.id = "1", .topic = "t", .strategy = "RECORD_NAME"};
    expect(one, true, true, "n.In");
    one.strategy = "TOPIC_RECORD_NAME";
    expect(one, true, true, "t-n.In");
    one.topic = "u";
    expect(one, true, false, "u-n.In");
    int code;
    Millrace__Located *located =
        ask((struct question){.id = "2", .topic = "t", .strategy = "RECORD_NAME"}, &code);
    cr_expect(located->exists && !located->registered);
    cr_expect_str_eq(located->fault, "the schema has no name");
    millrace__located__free_unpacked(located, NULL);
}

#define MESSAGES                                                                                             \
    "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax = \\\"proto3\\\"; package p; message First {} "        \
    "message Second { map<string, int32> counts = 1; message Inner {} }\"}"

Test(locating, by_the_name_of_the_message_that_records_are_of)
{
    const struct question asked = {.id = "1", .topic = "t", .strategy = "RECORD_NAME"};
    struct question one = asked;
    int code;
    desk_ask(&desk, "register", "p.Second", NULL, MESSAGES);
    desk_ask(&desk, "register", "t-p.Second.Inner", NULL, MESSAGES);
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    Millrace__Located *located = ask(one, &code);
    cr_expect(code == 200 && located->exists && located->by_message && !located->registered);
    millrace__located__free_unpacked(located, NULL);
    one.message = "0";
    expect(one, true, false, "p.First");
    one.message = "1";
    expect(one, true, true, "p.Second");
    one.strategy = "TOPIC_RECORD_NAME";
    expect(one, true, false, "t-p.Second");
    one.message = "1.1";
    expect(one, true, true, "t-p.Second.Inner");
    one.message = "1.0"; // where the map's entry does not count
    expect(one, true, true, "t-p.Second.Inner");
    one.message = "7";
    located = ask(one, &code);
    cr_expect(code == 404 && !located->registered);
    cr_expect_str_eq(located->fault, "the schema has no such message");
    millrace__located__free_unpacked(located, NULL);
}

Test(locating, a_deleted_version_has_it_no_more)
{
    desk_register(&desk, "t-value", "\"int\"");
    desk_register(&desk, "u-value", "\"int\"");
    desk_ask(&desk, "delete-subject", "t-value", NULL, NULL);
    expect((struct question){.id = "1", .topic = "t"}, true, false, "t-value");
    expect((struct question){.id = "1", .topic = "u"}, true, true, "u-value");
}

Test(locating, an_alias_stands_for_its_subject)
{
    desk_register(&desk, "real", "\"int\"");
    desk_ask(&desk, "put-subject-config", "t-value", NULL, "{\"alias\":\"real\"}");
    expect((struct question){.id = "1", .topic = "t"}, true, true, "real");
}

Test(locating, ids_are_of_the_default_context_and_guids_of_all)
{
    desk_register(&desk, ":.dev:t-value", "\"int\"");
    expect((struct question){.id = "1", .topic = "t"}, false, false, "");
    desk.unknown_fields = true;
    char *guid = strstr(desk_ask(&desk, "get-version", ":.dev:t-value/1", NULL, NULL), "\"guid\":\"");
    cr_assert_not_null(guid, "%s", desk.answer);
    char *text = mem_strndup(guid + 8, 36);
    expect((struct question){.guid = text, .topic = "t"}, true, true, ":.dev:t-value");
    expect((struct question){.guid = text, .topic = "u"}, true, false, ":.dev:u-value");
    expect((struct question){.guid = "nonsense", .topic = "t"}, false, false, "");
    mem_free(text);
}

Test(locating, what_it_refers_to_comes_with_it)
{
    int code;
    struct schema_error error;
    struct schema *schema;
    desk_register(&desk, "in", INNER);
    desk_ask(
        &desk, "register", "t-value", NULL,
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"n.Out\\\",\\\"fields\\\":[{\\\"name\\\":"
        "\\\"in\\\",\\\"type\\\":\\\"n.In\\\"}]}\",\"references\":[{\"name\":\"n.In\",\"subject\":\"in\","
        "\"version\":1}]}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    Millrace__Located *located = ask((struct question){.id = "2", .topic = "t", .packed = true}, &code);
    cr_assert(located->has_packed, "%s", located->fault);
    cr_assert_eq(schema_unpack(slice_of(located->packed.data, located->packed.len), &error, &schema), ST_OK);
    cr_expect(slice_is(schema_name(schema), "n.Out"));
    schema_free(schema);
    millrace__located__free_unpacked(located, NULL);
    located = ask((struct question){.id = "2", .topic = "t"}, &code);
    cr_expect(!located->has_packed, "only when it is asked for");
    millrace__located__free_unpacked(located, NULL);
}

// ---- over rpc ----

static void on_reply(const Millrace__RegistryReply *reply, void *context)
{
    *(bool *)context = true;
}

static struct config *alone(void)
{
    struct config *config = config_new();
    config_declare(config, config_common_rows, config_common_count);
    config_declare(config, registry_config_rows, registry_config_count);
    char error[CONFIG_ERROR_SIZE];
    config_set(config, "controller.quorum.bootstrap.servers", "127.0.0.1:1", error);
    return config;
}

// A registry that never gets its state holds the question as long as somebody waits, not REGISTRY_RUN_MS.
Test(locate_rpc, a_question_ends_with_its_callers_patience, .timeout = 60)
{
    struct env *env;
    int port;
    bool over = false;
    char endpoint[64];
    struct registry *registry;
    cr_assert_eq(env_posix_new("locate", 1, &env), ST_OK);
    env->diag.level = DIAG_ERROR;
    struct transport *transport = zmq_transport_new(env, NULL), *other = zmq_transport_new(env, NULL);
    struct rpc *server = rpc_new(&(struct rpc_config){
        .env = env, .transport = transport, .self = {RPC_REGISTRY, 1}, .incarnation = 1});
    struct rpc *client = rpc_new(
        &(struct rpc_config){.env = env, .transport = other, .self = {RPC_STORAGE, 2}, .incarnation = 2});
    struct config *config = alone();
    struct registry_options options = {
        .env = env, .config = config, .rpc = server, .rpc_endpoint = "tcp://127.0.0.1:1"};
    cr_assert_eq(rpc_listen(server, "tcp://127.0.0.1:0", &port), ST_OK);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    cr_assert_eq(registry_new(&options, &registry), ST_OK);
    struct rpc_peer *peer = rpc_peer(client, endpoint, (struct rpc_node){RPC_REGISTRY, 1});
    Millrace__LocateRequest request = MILLRACE__LOCATE_REQUEST__INIT;
    request.topic = "t";
    millrace__registry__locate(
        rpc_on(peer, &millrace__registry__descriptor, &(struct rpc_options){.deadline_ms = 2000}), &request,
        on_reply, &over);
    for (int i = 0; i < 2000 && registry->work_count == 0; i++)
        env_posix_turn(env, 1000);
    cr_assert_eq(registry->work_count, 1);
    int64_t began_us = env_now_us(env);
    while (registry->work_count > 0 || !over)
        env_posix_turn(env, 1000);
    cr_expect_lt(env_now_us(env) - began_us, (REGISTRY_RUN_MS - 2000) * 1000ll);
    rpc_peer_release(&peer);
    rpc_close(server);
    registry_destroy(&registry);
    rpc_destroy(&client);
    rpc_destroy(&server);
    zmq_transport_destroy(&other);
    zmq_transport_destroy(&transport);
    config_destroy(&config);
    env_posix_destroy(&env);
}

Test(locating, what_another_process_leaves_out_is_refused)
{
    const char *const names[] = {"topic", "strategy"};
    desk_register(&desk, "t-value", "\"int\"");
    for (size_t given = 0; given < 8; given++) {
        struct call call;
        call_init(&call);
        call.operation = operation_find("locate");
        call.state = desk.state;
        call.settings = &desk.settings;
        call.id = (given & 4) != 0 ? "1" : NULL;
        for (size_t i = 0; i < 2; i++)
            if ((given & 1U << i) != 0)
                call.query[call.query_count++] = (struct call_pair){names[i], i == 0 ? "t" : "TOPIC_NAME"};
        operation_run(&call);
        cr_expect_eq(call.code, given == 7 ? 200 : 400, "%zu: %d", given, call.code);
        call_fini(&call);
    }
}
