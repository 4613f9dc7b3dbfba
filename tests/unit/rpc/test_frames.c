// SPDX-License-Identifier: Apache-2.0
// One test per protobuf-c trap: recursion, amplification, frames at odd addresses, strings that are not
// UTF-8, enum values nobody knows; and the versions of the envelope.
#include "trial.h"

#include "protos/controller.pb-c.h"
#include "protos/coordinator.pb-c.h"
#include "protos/registry.pb-c.h"
#include "protos/storage.pb-c.h"
#include "rpc/internal.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <zmq.h>

static enum status unpack_question(const void *bytes, size_t len, Trial__Question **question)
{
    static struct arena arena;
    struct block *block = block_copy(slice_of(bytes, len));
    ProtobufCMessage *message = NULL;
    arena_fini(&arena);
    enum status status = message_unpack(&trial__question__descriptor, block, &arena, &message);
    *question = (Trial__Question *)message;
    block_unref(&block);
    return status;
}

Test(frames, recursive_message_type_is_measured_as_too_deep)
{
    cr_assert_eq(message_depth(&trial__question__descriptor, RPC_NESTING_MAX + 1), 2);
    cr_assert_gt(message_depth(&trial__chain__descriptor, RPC_NESTING_MAX + 1), RPC_NESTING_MAX);
}

static void serve_follow(Trial__Endless_Service *service, const Trial__Chain *chain,
                         Trial__Answer_Closure closure, void *closure_data)
{
}

Test(frames, service_with_a_recursive_message_cannot_be_offered, .signal = SIGABRT)
{
    struct trial trial;
    Trial__Endless_Service endless = TRIAL__ENDLESS__INIT(serve_);
    trial_start(&trial, (struct rpc_node){RPC_STORAGE, 1}, NULL, NULL);
    rpc_serve(trial.rpc, &endless.base);
}

static const ProtobufCServiceDescriptor *const services[] = {
    &millrace__controller__descriptor, &millrace__storage__descriptor, &millrace__coordinator__descriptor,
    &millrace__registry__descriptor};

static const ProtobufCServiceDescriptor *service_named(const char *name)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i]->name, name) == 0)
            return services[i];
    return NULL;
}

Test(frames, every_method_of_the_cluster_has_a_rule_and_bounded_messages)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        for (unsigned j = 0; j < services[i]->n_methods; j++) {
            const ProtobufCMethodDescriptor *method = &services[i]->methods[j];
            cr_assert_not_null(rpc_rule_find(rpc_rules, services[i]->name, method->name), "%s.%s",
                               services[i]->name, method->name);
            cr_assert_leq(message_depth(method->input, RPC_NESTING_MAX + 1), RPC_NESTING_MAX);
            cr_assert_leq(message_depth(method->output, RPC_NESTING_MAX + 1), RPC_NESTING_MAX);
        }
    }
    for (const struct rpc_rule *rule = rpc_rules; rule->service != NULL; rule++) {
        const ProtobufCServiceDescriptor *service = service_named(rule->service);
        cr_assert_not_null(service, "%s", rule->service);
        cr_assert_not_null(protobuf_c_service_descriptor_get_method_by_name(service, rule->method), "%s.%s",
                           rule->service, rule->method);
    }
}

Test(frames, amplification_meets_the_arenas_cap)
{
    static uint8_t hostile[RPC_MESSAGE_MAX] = {0x08, 0x01}; // number = 1
    Trial__Question *question;
    for (size_t i = 2; i + 1 < sizeof hostile; i += 2) {
        hostile[i] = 0x1a; // an empty item: two bytes become a structure
        hostile[i + 1] = 0;
    }
    cr_assert_eq(unpack_question(hostile, sizeof hostile, &question), ST_MALFORMED);
    cr_assert_eq(unpack_question(hostile, 1000, &question), ST_OK);
    cr_assert_eq(question->n_items, 499);
}

Test(frames, unknown_fields_meet_the_arenas_cap)
{
    static uint8_t hostile[RPC_MESSAGE_MAX] = {0x08, 0x01};
    Trial__Question *question;
    for (size_t i = 2; i + 1 < sizeof hostile; i += 2) {
        hostile[i] = 0x78; // field 15, varint 0
        hostile[i + 1] = 0;
    }
    cr_assert_eq(unpack_question(hostile, sizeof hostile, &question), ST_MALFORMED);
}

Test(frames, message_above_the_limit_is_not_unpacked)
{
    static uint8_t large[RPC_MESSAGE_MAX + 1] = {0x08, 0x01};
    Trial__Question *question;
    cr_assert_eq(unpack_question(large, sizeof large, &question), ST_LIMIT);
}

static void nothing(void *foreign)
{
}

Test(frames, message_at_an_odd_address_is_read) // the undefined-behaviour sanitizer watches
{
    Trial__Question question = TRIAL__QUESTION__INIT;
    uint64_t numbers[] = {1, 1ull << 40, 3};
    Trial__Item item = TRIAL__ITEM__INIT, *items[] = {&item};
    item.n_numbers = 3;
    item.numbers = numbers;
    question.number = 1ull << 60;
    question.n_items = 1;
    question.items = items;
    uint8_t bytes[200];
    for (size_t shift = 0; shift < 8; shift++) {
        size_t len = trial__question__pack(&question, bytes + shift);
        struct block *block = block_wrap(bytes + shift, len, nothing, NULL);
        struct arena arena;
        ProtobufCMessage *message;
        cr_assert_eq(message_unpack(&trial__question__descriptor, block, &arena, &message), ST_OK);
        cr_assert_eq(((Trial__Question *)message)->items[0]->numbers[1], 1ull << 40);
        arena_fini(&arena);
        block_unref(&block);
    }
}

Test(frames, strings_that_are_not_utf8_are_malformed)
{
    static const char *const wrong[] = {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"};
    static const char *const right[] = {"", "plain", "\xc3\xa9", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    Trial__Question *question;
    for (int i = 0; i < 5; i++) {
        char bytes[32];
        int len = snprintf(bytes, sizeof bytes, "\x08\x01\x12%c%s", (char)strlen(wrong[i]), wrong[i]);
        cr_assert_eq(unpack_question(bytes, (size_t)len, &question), ST_MALFORMED, "%d", i);
    }
    for (int i = 0; i < 5; i++) {
        uint8_t bytes[32] = {0x08, 0x01, 0x12, (uint8_t)strlen(right[i])};
        memcpy(bytes + 4, right[i], strlen(right[i]));
        cr_assert_eq(unpack_question(bytes, 4 + strlen(right[i]), &question), ST_OK, "%d", i);
        cr_assert_str_eq(question->text, right[i]);
    }
}

Test(frames, enum_value_nobody_knows_is_malformed_also_when_nested)
{
    Trial__Question *question;
    static const uint8_t red[] = {0x08, 1, 0x1a, 2, 0x10, 1}, purple[] = {0x08, 1, 0x1a, 2, 0x10, 9};
    cr_assert_eq(unpack_question(red, sizeof red, &question), ST_OK);
    cr_assert_eq(question->items[0]->colour, TRIAL__COLOUR__RED);
    cr_assert_eq(unpack_question(purple, sizeof purple, &question), ST_MALFORMED);
}

Test(frames, missing_required_field_and_cut_bytes_are_malformed)
{
    Trial__Question *question;
    cr_assert_eq(unpack_question("", 0, &question), ST_MALFORMED);
    cr_assert_eq(unpack_question("\x08\x01\x12\x7f", 4, &question), ST_MALFORMED);
}

// ---- versions, against a peer made by hand ----

struct hand {
    void *context, *socket;
};

static void hand_start(struct hand *hand, int type)
{
    int zero = 0;
    hand->context = zmq_ctx_new();
    hand->socket = zmq_socket(hand->context, type);
    zmq_setsockopt(hand->socket, ZMQ_LINGER, &zero, sizeof zero);
}

static void hand_stop(struct hand *hand)
{
    zmq_close(hand->socket);
    zmq_ctx_term(hand->context);
}

static void hand_send(struct hand *hand, const Millrace__Envelope *envelope, int more)
{
    uint8_t bytes[512];
    size_t len = millrace__envelope__pack(envelope, bytes);
    cr_assert_eq(zmq_send(hand->socket, bytes, len, more), (int)len);
}

// The next envelope, as an own copy; turns the trial meanwhile.
static Millrace__Envelope *hand_receive(struct hand *hand, struct trial *trial, int skip_frames)
{
    uint8_t bytes[4096];
    for (int i = 0; i < 2000; i++) {
        trial_turn(trial, NULL);
        int len = zmq_recv(hand->socket, bytes, sizeof bytes, ZMQ_DONTWAIT);
        if (len < 0)
            continue;
        while (skip_frames-- > 0)
            len = zmq_recv(hand->socket, bytes, sizeof bytes, 0);
        return millrace__envelope__unpack(NULL, (size_t)len, bytes);
    }
    return NULL;
}

Test(frames, request_of_an_unknown_version_is_refused_with_both_numbers)
{
    struct trial trial;
    struct hand hand;
    trial_start(&trial, (struct rpc_node){RPC_STORAGE, 1}, NULL, "tcp://127.0.0.1:0");
    hand_start(&hand, ZMQ_DEALER);
    zmq_connect(hand.socket, trial.endpoint);
    Millrace__Envelope request = MILLRACE__ENVELOPE__INIT;
    request.version = 7;
    request.kind = MILLRACE__ENVELOPE__KIND__REQUEST;
    request.correlation = 99;
    hand_send(&hand, &request, 0);
    Millrace__Envelope *reply = hand_receive(&hand, &trial, 0);
    cr_assert_not_null(reply);
    cr_assert_eq(reply->correlation, 99);
    cr_assert_eq(reply->kind, MILLRACE__ENVELOPE__KIND__FAILURE);
    cr_assert_str_eq(reply->status, "UNSUPPORTED");
    cr_assert(strstr(reply->text, "version 7") && strstr(reply->text, "only 1"), "%s", reply->text);
    millrace__envelope__free_unpacked(reply, NULL);
    hand_stop(&hand);
    trial_stop(&trial);
}

Test(frames, unknown_method_fails_and_a_reply_sent_as_request_is_dropped)
{
    struct trial trial;
    struct hand hand;
    trial_start(&trial, (struct rpc_node){RPC_STORAGE, 1}, NULL, "tcp://127.0.0.1:0");
    hand_start(&hand, ZMQ_DEALER);
    zmq_connect(hand.socket, trial.endpoint);
    Millrace__Envelope request = MILLRACE__ENVELOPE__INIT;
    request.version = RPC_VERSION;
    request.has_role = true;
    request.role = RPC_TOOL;
    request.kind = MILLRACE__ENVELOPE__KIND__REPLY;
    hand_send(&hand, &request, 0);
    request.kind = MILLRACE__ENVELOPE__KIND__REQUEST;
    request.service = (char *)"trial.Trial";
    request.method = (char *)"Unheard";
    hand_send(&hand, &request, 0);
    Millrace__Envelope *reply = hand_receive(&hand, &trial, 0);
    cr_assert_not_null(reply);
    cr_assert_str_eq(reply->status, "UNSUPPORTED");
    millrace__envelope__free_unpacked(reply, NULL);
    cr_assert_eq(trial_metric(&trial, "millrace_rpc_unknown_total"), 2);
    hand_stop(&hand);
    trial_stop(&trial);
}

Test(frames, reply_of_an_unknown_version_fails_the_call_with_both_numbers)
{
    struct trial trial;
    struct hand hand;
    char endpoint[64];
    size_t size = sizeof endpoint;
    hand_start(&hand, ZMQ_DEALER); // bound: one connection, no routing ids
    cr_assert_eq(zmq_bind(hand.socket, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(hand.socket, ZMQ_LAST_ENDPOINT, endpoint, &size);
    trial_start(&trial, (struct rpc_node){RPC_TOOL, -1}, NULL, NULL);
    struct outcome outcome = {.trial = &trial};
    struct rpc_peer *peer = rpc_peer(trial.rpc, endpoint, (struct rpc_node){RPC_STORAGE, 1});
    trial_ask(peer, 5, NULL, &outcome);
    Millrace__Envelope *request = hand_receive(&hand, &trial, 0);
    cr_assert_not_null(request);
    cr_assert_str_eq(request->method, "Echo");
    Millrace__Envelope reply = MILLRACE__ENVELOPE__INIT;
    reply.version = 3;
    reply.kind = MILLRACE__ENVELOPE__KIND__REPLY;
    reply.correlation = request->correlation;
    hand_send(&hand, &reply, 0);
    trial_await(&trial, NULL, &outcome, 1);
    cr_assert_eq(outcome.status, ST_UNSUPPORTED);
    cr_assert(strstr(outcome.text, "version 3") && strstr(outcome.text, "daemon 1"), "%s", outcome.text);
    millrace__envelope__free_unpacked(request, NULL);
    rpc_peer_release(&peer);
    trial_stop(&trial);
    hand_stop(&hand);
}
