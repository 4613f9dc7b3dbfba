// SPDX-License-Identifier: Apache-2.0
// See member.h. One call is under way at a time: a registration until it is accepted, then heartbeats, then
// the farewell. A heartbeat that fails is followed by the next one; only the lease decides what the node may
// still do.
#include "cluster/member.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/features.h"

#include <stdio.h>

enum {
    REGISTER_TIMEOUT_MS = 3000,
    REGISTER_PAUSE_MS = 100,
    HEARTBEATS_PER_LEASE = 4, // so often that silence is noticed long before the lease ends
    HEARTBEAT_MS_MIN = 20,    // also the rhythm until the node may work: its start waits for the answers
    LEASE_MS_DEFAULT = 1000,
    LEASE_MS_MAX = 600000,
    ENDPOINTS_MAX = IMAGE_ENDPOINTS_MAX
};

struct member {
    struct member_options options;
    char *texts[3 + 2 * ENDPOINTS_MAX]; // owned copies of the options' strings
    size_t text_count;
    struct member_endpoint *endpoints;
    struct member_lost *lost;

    enum member_state state;
    int32_t node_id;
    int64_t registered_offset;
    int32_t lease_ms;
    int64_t sent_us; // when the call under way was made
    int64_t lease_until_us;
    int64_t lease_offset; // what the image must have before the lease counts, see on_heartbeat
    int64_t told_offset;  // what it had by the last heartbeat
    bool registered, unfenced, draining, leaving;
    struct controllers_pending *call;
    struct timer next;  // heartbeat or registration
    struct timer lease; // fires when it ends
    struct follow_wait caught_up;
};

// ---- state ----

const char *member_state_text(enum member_state state)
{
    static const char *const names[] = {"joining", "fenced", "active", "left", "refused"};
    return names[state];
}

static void become(struct member *member, enum member_state state, const char *text)
{
    if (member->state == state)
        return;
    member->state = state;
    DIAG_INFO(&member->options.env->diag, "membership %s node=%d%s%s", member_state_text(state),
              member->node_id, text[0] != '\0' ? " why=" : "", text);
    if (member->options.on_state != NULL)
        member->options.on_state(member->options.context, state, text);
}

// What registration, image, lease and the controller's word amount to.
static void settle(struct member *member, const char *why)
{
    if (member->state == MEMBER_LEFT || member->state == MEMBER_REFUSED)
        return;
    bool caught_up = follow_offset(member->options.follow) >= member->registered_offset;
    bool held = env_now_us(member->options.env) < member->lease_until_us &&
                follow_offset(member->options.follow) >= member->lease_offset;
    if (!member->registered || (!caught_up && member->state == MEMBER_JOINING))
        become(member, MEMBER_JOINING, why);
    else if (!held || !member->unfenced)
        become(member, MEMBER_FENCED, why);
    else
        become(member, MEMBER_ACTIVE, "");
}

static void refuse(struct member *member, const char *text)
{
    timer_stop(member->options.env, &member->next);
    timer_stop(member->options.env, &member->lease);
    member->unfenced = false;
    member->lease_until_us = 0;
    become(member, MEMBER_REFUSED, text);
}

static void renew_lease(struct member *member, int32_t lease_ms)
{
    member->lease_ms = lease_ms > 0 && lease_ms <= LEASE_MS_MAX ? lease_ms : LEASE_MS_DEFAULT;
    // 10 % early, counted from the sending: we stop before the controller acts.
    member->lease_until_us = member->sent_us + (int64_t)member->lease_ms * 900;
    int64_t left = member->lease_until_us - env_now_us(member->options.env);
    timer_start_us(member->options.env, &member->lease, left > 0 ? left : 0);
}

static void on_lease_end(struct timer *timer)
{
    settle(timer->context, "the lease has run out");
}

static void next_in(struct member *member, int64_t ms)
{
    timer_start_ms(member->options.env, &member->next, ms);
}

// ---- registration ----

static void on_registered(void *context, enum status status, const ProtobufCMessage *message,
                          struct slice payload, const char *text);

static void fill_endpoints(const struct member *member, Millrace__Endpoint *endpoints,
                           Millrace__Endpoint **pointers)
{
    for (size_t i = 0; i < member->options.endpoint_count; i++) {
        endpoints[i] = (Millrace__Endpoint)MILLRACE__ENDPOINT__INIT;
        endpoints[i].listener = (char *)(uintptr_t)member->endpoints[i].listener;
        endpoints[i].host = (char *)(uintptr_t)member->endpoints[i].host;
        endpoints[i].port = member->endpoints[i].port;
        pointers[i] = &endpoints[i];
    }
}

static Millrace__LostPartition **lost_messages(const struct member *member)
{
    size_t count = member->options.lost_count;
    Millrace__LostPartition **pointers = mem_calloc(count + 1, sizeof *pointers + sizeof **pointers);
    Millrace__LostPartition *messages = (Millrace__LostPartition *)(pointers + count);
    for (size_t i = 0; i < count; i++) {
        messages[i] = (Millrace__LostPartition)MILLRACE__LOST_PARTITION__INIT;
        messages[i].topic_id = (ProtobufCBinaryData){.len = sizeof member->lost[i].topic_id.bytes,
                                                     .data = member->lost[i].topic_id.bytes};
        messages[i].partition = member->lost[i].partition;
        pointers[i] = &messages[i];
    }
    return pointers;
}

// What this build understands; the number of ranges.
static size_t ranges_put(Millrace__FeatureRange ranges[IMAGE_FEATURES_MAX],
                         Millrace__FeatureRange *pointers[IMAGE_FEATURES_MAX])
{
    ASSERT(features_count <= IMAGE_FEATURES_MAX);
    for (int i = 0; i < features_count; i++) {
        ranges[i] = (Millrace__FeatureRange)MILLRACE__FEATURE_RANGE__INIT;
        ranges[i].name = (char *)(uintptr_t)features_rows[i].name;
        ranges[i].min = features_rows[i].min;
        ranges[i].max = features_rows[i].max;
        pointers[i] = &ranges[i];
    }
    return (size_t)features_count;
}

static void call(struct member *member, const char *method, const ProtobufCMessage *request,
                 int64_t timeout_ms, controllers_fn *done)
{
    ASSERT(member->call == NULL);
    // Registering or heartbeating twice with one incarnation says the same thing twice.
    struct controllers_call what = {.method = method,
                                    .request = request,
                                    .timeout_ms = timeout_ms,
                                    .idempotent = true,
                                    .done = done,
                                    .context = member};
    member->sent_us = env_now_us(member->options.env);
    member->call = controllers_invoke(member->options.controllers, &what);
}

static void send_registration(struct member *member)
{
    struct member_options *options = &member->options;
    Millrace__Endpoint endpoints[ENDPOINTS_MAX], *pointers[ENDPOINTS_MAX];
    fill_endpoints(member, endpoints, pointers);
    Millrace__LostPartition **lost = lost_messages(member);
    Millrace__FeatureRange ranges[IMAGE_FEATURES_MAX], *range_pointers[IMAGE_FEATURES_MAX];
    Millrace__RegisterRequest request = MILLRACE__REGISTER_REQUEST__INIT;
    request.role = options->role;
    request.has_node_id = true;
    request.node_id = member->node_id;
    request.incarnation = options->incarnation;
    request.directory_id =
        (ProtobufCBinaryData){.len = sizeof options->directory_id.bytes, .data = options->directory_id.bytes};
    request.rpc_endpoint = (char *)(uintptr_t)options->rpc_endpoint;
    request.n_endpoints = options->endpoint_count;
    request.endpoints = pointers;
    request.rack = (char *)(uintptr_t)options->rack;
    request.host = (char *)(uintptr_t)options->host;
    request.has_cluster_id = !uuid_is_zero(options->cluster_id);
    request.cluster_id =
        (ProtobufCBinaryData){.len = sizeof options->cluster_id.bytes, .data = options->cluster_id.bytes};
    request.n_features = ranges_put(ranges, range_pointers);
    request.features = range_pointers;
    request.n_lost = options->lost_count;
    request.lost = lost;
    request.has_draining = true;
    request.draining = member->draining;
    call(member, "RegisterNode", &request.base, REGISTER_TIMEOUT_MS, on_registered);
    mem_free(lost);
}

// Whether the last heartbeat came too early: the image has since reached what a node must have to be
// unfenced, which is worth saying at once.
static bool has_caught_up(const struct member *member)
{
    int64_t needed =
        member->registered_offset > member->lease_offset ? member->registered_offset : member->lease_offset;
    return member->registered && member->state != MEMBER_ACTIVE && member->told_offset < needed &&
           follow_offset(member->options.follow) >= needed;
}

static void on_caught_up(void *context, enum status status)
{
    struct member *member = context;
    if (status != ST_OK)
        return;
    settle(member, "");
    if (has_caught_up(member) && member->call == NULL && !member->leaving)
        next_in(member, 0);
}

static bool refusal(enum status status)
{
    return status == ST_MISMATCH || status == ST_DENIED || status == ST_EXISTS || status == ST_INVALID ||
           status == ST_UNSUPPORTED;
}

static enum status accept(struct member *member, const Millrace__RegisterReply *reply)
{
    struct uuid cluster_id;
    if (reply->node_id < 0 || reply->cluster_id.len != sizeof cluster_id.bytes)
        return ST_MALFORMED;
    memcpy(cluster_id.bytes, reply->cluster_id.data, sizeof cluster_id.bytes);
    struct member_options *options = &member->options;
    enum status status = ST_OK;
    if (options->on_registered != NULL)
        status = options->on_registered(options->context, reply->node_id, cluster_id);
    if (status != ST_OK)
        return status;
    options->cluster_id = cluster_id;
    options->lost_count = 0; // told
    member->node_id = reply->node_id;
    member->registered_offset = reply->metadata_offset;
    member->registered = true;
    return ST_OK;
}

static void on_registered(void *context, enum status status, const ProtobufCMessage *message,
                          struct slice payload, const char *text)
{
    struct member *member = context;
    member->call = NULL;
    if (refusal(status)) {
        refuse(member, text);
        return;
    }
    if (status != ST_OK) {
        DIAG_WARN(&member->options.env->diag, "registration failed status=%s why=\"%s\"", status_name(status),
                  text);
        next_in(member, REGISTER_PAUSE_MS);
        return;
    }
    const Millrace__RegisterReply *reply = (const Millrace__RegisterReply *)message;
    if (accept(member, reply) != ST_OK) {
        refuse(member, "the registration could not be kept");
        return;
    }
    renew_lease(member, reply->lease_ms);
    follow_heard(member->options.follow, reply->metadata_offset);
    follow_wait_cancel(&member->caught_up);
    follow_when(member->options.follow, &member->caught_up, member->registered_offset, INT64_MAX / 2,
                on_caught_up, member);
    next_in(member, 0);
}

// ---- heartbeats ----

static void on_heartbeat(void *context, enum status status, const ProtobufCMessage *message,
                         struct slice payload, const char *text);

static void send_heartbeat(struct member *member, bool leaving, int64_t timeout_ms)
{
    struct member_options *options = &member->options;
    Millrace__HeartbeatRequest request = MILLRACE__HEARTBEAT_REQUEST__INIT;
    request.node_id = member->node_id;
    request.incarnation = options->incarnation;
    request.metadata_offset = member->told_offset = follow_offset(options->follow);
    if (options->flush_age_ms != NULL) {
        request.has_flush_age_ms = true;
        request.flush_age_ms = options->flush_age_ms(options->context);
    }
    request.has_draining = request.has_leaving = true;
    request.draining = member->draining;
    request.leaving = leaving;
    call(member, "Heartbeat", &request.base, timeout_ms, on_heartbeat);
}

static int64_t heartbeat_ms(const struct member *member)
{
    int64_t every = member->lease_ms / HEARTBEATS_PER_LEASE;
    return member->state == MEMBER_ACTIVE && every > HEARTBEAT_MS_MIN ? every : HEARTBEAT_MS_MIN;
}

// Counted from the sending of the last, so that a slow answer does not stretch the rhythm.
static void next_heartbeat(struct member *member)
{
    int64_t passed_ms = (env_now_us(member->options.env) - member->sent_us) / 1000;
    int64_t left = has_caught_up(member) ? 0 : heartbeat_ms(member) - passed_ms;
    next_in(member, left > 0 ? left : 0);
}

static void on_heartbeat(void *context, enum status status, const ProtobufCMessage *message,
                         struct slice payload, const char *text)
{
    struct member *member = context;
    member->call = NULL;
    if (member->leaving) {
        become(member, MEMBER_LEFT, "");
        return;
    }
    if (status == ST_NOT_FOUND || status == ST_STALE) { // unknown, or under another incarnation
        member->registered = member->unfenced = false;
        settle(member, "the controller does not know this incarnation");
        next_in(member, 0);
        return;
    }
    if (refusal(status)) {
        refuse(member, text);
        return;
    }
    if (status == ST_OK) {
        const Millrace__HeartbeatReply *reply = (const Millrace__HeartbeatReply *)message;
        renew_lease(member, reply->lease_ms);
        member->unfenced = !reply->fenced;
        // Without the lease others may have been given what was ours: work goes on only once the image knows
        // of it.
        if (member->state != MEMBER_ACTIVE && member->lease_offset < reply->commit_offset) {
            member->lease_offset = reply->commit_offset;
            follow_wait_cancel(&member->caught_up);
            follow_when(member->options.follow, &member->caught_up, member->lease_offset, INT64_MAX / 2,
                        on_caught_up, member);
        }
        follow_heard(member->options.follow, reply->commit_offset);
        for (size_t i = 0; i < reply->n_controllers; i++)
            controllers_learn(member->options.controllers, reply->controllers[i]);
        if (member->draining && member->options.on_leaderships != NULL && reply->has_leaderships)
            member->options.on_leaderships(member->options.context, reply->leaderships);
    }
    settle(member, status == ST_OK ? "the controller has fenced this node" : "the lease has run out");
    if (member->state != MEMBER_LEFT && member->call == NULL)
        next_heartbeat(member);
}

static void on_next(struct timer *timer)
{
    struct member *member = timer->context;
    if (member->registered)
        send_heartbeat(member, false, member->lease_ms);
    else
        send_registration(member);
}

// ---- life ----

static const char *keep(struct member *member, const char *text)
{
    return text != NULL ? member->texts[member->text_count++] = mem_strdup(text) : NULL;
}

static void copy_options(struct member *member)
{
    struct member_options *options = &member->options;
    options->rpc_endpoint = keep(member, options->rpc_endpoint);
    options->rack = keep(member, options->rack);
    options->host = keep(member, options->host);
    member->endpoints = mem_calloc(options->endpoint_count + 1, sizeof *member->endpoints);
    for (size_t i = 0; i < options->endpoint_count; i++)
        member->endpoints[i] =
            (struct member_endpoint){.listener = keep(member, options->endpoints[i].listener),
                                     .host = keep(member, options->endpoints[i].host),
                                     .port = options->endpoints[i].port};
    member->lost = mem_calloc(options->lost_count + 1, sizeof *member->lost);
    if (options->lost_count > 0)
        memcpy(member->lost, options->lost, options->lost_count * sizeof *member->lost);
}

enum status member_new(const struct member_options *options, struct member **out)
{
    if (options->endpoint_count > ENDPOINTS_MAX || options->rpc_endpoint == NULL)
        return ST_INVALID;
    struct member *member = mem_calloc(1, sizeof *member);
    member->options = *options;
    member->node_id = options->node_id;
    member->registered_offset = -1;
    member->lease_ms = LEASE_MS_DEFAULT;
    copy_options(member);
    timer_init(&member->next, on_next, member);
    timer_init(&member->lease, on_lease_end, member);
    next_in(member, 0);
    *out = member;
    return ST_OK;
}

void member_destroy(struct member **out)
{
    struct member *member = *out;
    if (member == NULL)
        return;
    controllers_cancel(member->options.controllers, &member->call);
    follow_wait_cancel(&member->caught_up);
    timer_stop(member->options.env, &member->next);
    timer_stop(member->options.env, &member->lease);
    for (size_t i = 0; i < member->text_count; i++)
        mem_free(member->texts[i]);
    mem_free(member->endpoints);
    mem_free(member->lost);
    mem_free(member);
    *out = NULL;
}

enum member_state member_state(const struct member *member)
{
    return member->state;
}

int32_t member_node_id(const struct member *member)
{
    return member->registered_offset >= 0 ? member->node_id : -1;
}

uint64_t member_incarnation(const struct member *member)
{
    return member->options.incarnation;
}

int64_t member_registered_offset(const struct member *member)
{
    return member->registered_offset;
}

bool member_lease_held(const struct member *member)
{
    return member->state == MEMBER_ACTIVE && env_now_us(member->options.env) < member->lease_until_us;
}

void member_drain(struct member *member)
{
    member->draining = true;
    if (member->registered && member->call == NULL && !member->leaving)
        next_in(member, 0); // say so at once
}

void member_leave(struct member *member, int64_t timeout_ms)
{
    if (member->leaving || member->state == MEMBER_REFUSED)
        return;
    member->leaving = true;
    timer_stop(member->options.env, &member->next);
    controllers_cancel(member->options.controllers, &member->call);
    if (member->registered)
        send_heartbeat(member, true, timeout_ms);
    else
        become(member, MEMBER_LEFT, "");
}
