// SPDX-License-Identifier: Apache-2.0
// The way of a relayed request: decode, find the shard, run the handler, hold the answer until what it saw is
// committed. See request.h.
#include "request.h"

#include "apis.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "coordinator_state.h"

#include <stdlib.h>

enum {
    ARENA_LEAST = 256 << 10,
    ARENA_PER_BYTE = 32, // decoded bytes per byte of the frame: no honest request needs more
    ARENA_DECODE_MAX = 128 << 20,
    ARENA_ANSWER_MAX = 256 << 20, // request and answer together
    ANSWER_MAX = 16 << 20,        // a relay carries no more
    IMAGE_WAIT_MS = 250
};

static void relay_key(uint8_t key[16], uint64_t incarnation, uint64_t relay_id)
{
    store_be64(key, incarnation);
    store_be64(key + 8, relay_id);
}

// ---- ends ----

static void request_free(struct coordinator_request *request)
{
    struct requests *requests = &request->coordinator->requests;
    uint8_t key[16];
    relay_key(key, rpc_call_sender(request->call)->incarnation, request->relay_id);
    if (map_get(&requests->by_relay, slice_of(key, sizeof key)) == request)
        map_remove(&requests->by_relay, slice_of(key, sizeof key));
    if (request->state == REQUEST_PARKED)
        requests->parked--;
    follow_wait_cancel(&request->image_wait);
    *(request->previous ? &request->previous->next : &requests->first) = request->next;
    *(request->next ? &request->next->previous : &requests->last) = request->previous;
    requests->count--;
    block_unref(&request->response);
    arena_fini(&request->arena);
    mem_free(request);
}

static void request_fail(struct coordinator_request *request, enum status status, const char *text)
{
    struct rpc_call *call = request->call;
    request_free(request); // looks at the call
    rpc_fail(call, status, text);
}

static void request_send(struct coordinator_request *request)
{
    struct rpc_call *call = request->call;
    Millrace__RelayReply_Closure closure = request->closure;
    Millrace__RelayReply reply = MILLRACE__RELAY_REPLY__INIT;
    rpc_reply_payload(call, &request->response, 1);
    request_free(request);
    closure(&reply, call);
}

// ---- answering ----

static enum status encode(const struct coordinator_request *request, const void *response,
                          struct kafka_out *out)
{
    struct kafka_response_header header = {.correlation_id = request->correlation_id};
    int16_t version = kafka_response_header_version(request->api, request->version);
    enum status status = kafka_encode(&kafka_response_header_message, version, &header, out);
    return status == ST_OK ? kafka_encode(request->api->response, request->version, response, out) : status;
}

void request_answer(struct coordinator_request *request, const void *response)
{
    struct requests *requests = &request->coordinator->requests;
    ASSERT(request->state != REQUEST_ANSWERED);
    if (request->state == REQUEST_PARKED)
        requests->parked--;
    request->state = REQUEST_ANSWERED;
    struct kafka_out out;
    kafka_out_init(&out, ANSWER_MAX);
    enum status status = encode(request, response, &out);
    if (status == ST_OK)
        request->response = block_copy(buf_slice(&out.bytes));
    else
        DIAG_ERROR(&request->coordinator->env->diag, "answer cannot be encoded api=%s version=%d status=%s",
                   request->api->name, request->version, status_name(status));
    kafka_out_fini(&out);
    *(requests->answered_last ? &requests->answered_last->next_answered : &requests->answered) = request;
    requests->answered_last = request;
}

static void end_if_done(struct coordinator_request *request)
{
    if (request->open > 0)
        return;
    if (request->failed) // it may have been executed, or not
        request_fail(request, ST_UNREACHABLE, "the shard was lost before the answer was committed");
    else if (request->response == NULL)
        request_fail(request, ST_LIMIT, "the answer does not fit");
    else
        request_send(request);
}

static void on_committed(void *context, enum status status)
{
    struct coordinator_request *request = context;
    request->open--;
    request->failed = request->failed || status != ST_OK;
    end_if_done(request);
}

static void wait_for(struct coordinator_request *request, size_t at, struct ledger *ledger)
{
    request->open++;
    ledger_wait(ledger, &request->waits[at], on_committed, request);
}

// For the loaded shards of the kind the request is about.
static void wait_for_all(struct coordinator_request *request)
{
    struct coordinator *coordinator = request->coordinator;
    bool transactions = request->row->shards == API_TRANSACTIONS;
    const struct map *shards = transactions ? &coordinator->txn_shards : &coordinator->shards;
    void *value;
    size_t i = 0;
    for (struct map_entry *at = NULL; map_next(shards, &at, NULL, &value);) {
        struct ledger *ledger = transactions ? txn_shard_ledger(value) : shard_ledger(value);
        if (ledger_ready(ledger))
            wait_for(request, i++, ledger);
    }
}

// One wait per ledger the answer was decided on. open is held up by one so that waits that end at once do
// not end the request.
static void begin_waits(struct coordinator_request *request)
{
    struct coordinator *coordinator = request->coordinator;
    size_t all = coordinator->shards.count + coordinator->txn_shards.count;
    size_t count = request->ledger != NULL ? 1 : all;
    request->waits = arena_calloc(&request->arena, count + 1, sizeof *request->waits);
    if (request->waits == NULL) {
        request_fail(request, ST_LIMIT, "no memory to wait for a commit");
        return;
    }
    request->open = 1;
    if (request->ledger == NULL)
        wait_for_all(request);
    else if (ledger_ready(request->ledger))
        wait_for(request, 0, request->ledger);
    request->open--;
    end_if_done(request);
}

void request_settle(struct coordinator *coordinator)
{
    struct requests *requests = &coordinator->requests;
    while (requests->answered != NULL) {
        struct coordinator_request *request = requests->answered;
        requests->answered = request->next_answered;
        if (requests->answered == NULL)
            requests->answered_last = NULL;
        request->next_answered = NULL;
        begin_waits(request);
    }
}

// ---- beginning ----

static enum status decode(struct coordinator_request *request, struct slice frame)
{
    struct kafka_request_header header;
    size_t used;
    enum status status = kafka_request_decode_header(frame, &request->arena, &header, &used);
    if (status != ST_OK)
        return status;
    request->api = kafka_api(header.request_api_key);
    request->row = coordinator_api(header.request_api_key);
    request->version = header.request_api_version;
    request->correlation_id = header.correlation_id;
    request->client_id = header.client_id.data == NULL ? slice_str("") : header.client_id;
    if (request->row == NULL || !kafka_api_valid(request->api, request->version))
        return ST_UNSUPPORTED;
    request->body = arena_alloc(&request->arena, request->api->request->structure->size);
    if (request->body == NULL)
        return ST_NO_MEMORY;
    status = kafka_decode_request(request->api->request, request->version,
                                  slice_of(frame.data + used, frame.len - used), &request->arena,
                                  request->body);
    request->arena.cap = ARENA_ANSWER_MAX;
    return status;
}

static enum status find_all(const struct coordinator_request *request)
{
    const struct coordinator *coordinator = request->coordinator;
    void *value;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);)
        if (request->row->shards == API_GROUPS && !shard_ready(value))
            return ST_LOADING;
    for (struct map_entry *at = NULL; map_next(&coordinator->txn_shards, &at, NULL, &value);)
        if (request->row->shards == API_TRANSACTIONS && !txn_shard_ready(value))
            return ST_LOADING;
    return ST_OK;
}

// The ledger of the shard the request is about; NULL: this process does not own it.
static struct ledger *find_ledger(struct coordinator_request *request, struct slice key)
{
    struct coordinator *coordinator = request->coordinator;
    struct share_key share;
    request->shard = NULL;
    request->txn_shard = NULL;
    request->share_shard = NULL;
    switch (request->row->shards) {
    case API_GROUPS:
        request->shard = coordinator_shard_of(coordinator, key);
        return request->shard == NULL ? NULL : shard_ledger(request->shard);
    case API_TRANSACTIONS:
        request->txn_shard = coordinator_txn_shard_of(coordinator, key);
        return request->txn_shard == NULL ? NULL : txn_shard_ledger(request->txn_shard);
    case API_SHARE_STATE:
        if (request->row->share_of(request->body, &share))
            request->share_shard = coordinator_share_shard_of(coordinator, &share);
        return request->share_shard == NULL ? NULL : share_shard_ledger(request->share_shard);
    }
    UNREACHABLE("shards of an API");
}

// The shard the request is about must be owned and loaded; requests about all shards need all of them loaded.
static enum status find_shard(struct coordinator_request *request)
{
    if (!coordinator_serving(request->coordinator))
        return ST_NOT_LEADER;
    struct slice key = request->row->id_of == NULL ? (struct slice){0}
                                                   : request->row->id_of(request->body, request->version);
    if (key.data == NULL && request->row->share_of == NULL)
        return find_all(request);
    request->ledger = find_ledger(request, key);
    if (request->ledger == NULL)
        return ST_NOT_LEADER;
    return ledger_ready(request->ledger) ? ST_OK : ST_LOADING;
}

static void run(struct coordinator_request *request)
{
    struct coordinator *coordinator = request->coordinator;
    enum status status = find_shard(request);
    if (status != ST_OK) {
        request_fail(request, status, status == ST_LOADING ? "the shard is being loaded" : "not the owner");
        return;
    }
    request->state = REQUEST_RUNNING;
    request->row->handle(request);
    request_settle(coordinator);
}

static struct coordinator_request *request_new(struct coordinator *coordinator,
                                               const Millrace__RelayRequest *relay, size_t frame_len,
                                               struct rpc_call *call)
{
    struct requests *requests = &coordinator->requests;
    struct coordinator_request *request = mem_calloc(1, sizeof *request);
    size_t cap = ARENA_LEAST + frame_len * ARENA_PER_BYTE;
    request->coordinator = coordinator;
    request->call = call;
    request->relay_id = relay->relay_id;
    request->principal = (struct principal){.name = relay->principal,
                                            .listener = relay->listener,
                                            .host = relay->client_host,
                                            .session = relay->session};
    arena_init(&request->arena, cap < ARENA_DECODE_MAX ? cap : ARENA_DECODE_MAX);
    request->previous = requests->last;
    *(requests->last ? &requests->last->next : &requests->first) = request;
    requests->last = request;
    requests->count++;
    uint8_t key[16];
    relay_key(key, rpc_call_sender(call)->incarnation, relay->relay_id);
    map_put(&requests->by_relay, slice_of(key, sizeof key), request);
    return request;
}

void request_begin(struct coordinator *coordinator, const Millrace__RelayRequest *relay,
                   Millrace__RelayReply_Closure closure, struct rpc_call *call)
{
    struct block *frame = rpc_call_payload(call);
    if (frame == NULL) {
        rpc_fail(call, ST_MALFORMED, "a relay needs the request as payload");
        return;
    }
    metric_inc(&coordinator->relayed, 1);
    struct coordinator_request *request = request_new(coordinator, relay, frame->len, call);
    request->closure = closure;
    enum status status = decode(request, block_slice(frame));
    if (status != ST_OK)
        request_fail(request, status, "the relayed request cannot be decoded");
    else
        run(request);
}

// ---- waiting for something else ----

void request_park(struct coordinator_request *request)
{
    ASSERT(request->state == REQUEST_RUNNING);
    request->state = REQUEST_PARKED;
    request->coordinator->requests.parked++;
}

void request_park_for(struct coordinator_request *request,
                      void (*on_dropped)(struct coordinator_request *request), void *parked_in)
{
    request_park(request);
    request->on_dropped = on_dropped;
    request->parked_in = parked_in;
}

void request_run_again(struct coordinator_request *request)
{
    ASSERT(request->state == REQUEST_PARKED && request->on_dropped != NULL);
    request->coordinator->requests.parked--;
    request->on_dropped = NULL;
    request->state = REQUEST_RUNNING; // not parked: run may fail it
    run(request);
}

static void on_image(void *context, enum status status)
{
    struct coordinator_request *request = context;
    if (status == ST_CANCELLED)
        request_fail(request, ST_NOT_LEADER, "this process stops");
    else
        run(request);
}

bool request_wait_image(struct coordinator_request *request)
{
    struct coordinator *coordinator = request->coordinator;
    int64_t now_us = env_now_us(coordinator->env);
    if (request->image_deadline_us == 0)
        request->image_deadline_us = now_us + IMAGE_WAIT_MS * 1000;
    if (now_us >= request->image_deadline_us)
        return false;
    request->state = REQUEST_WAITING;
    follow_when(coordinator->follow, &request->image_wait, follow_offset(coordinator->follow) + 1,
                request->image_deadline_us, on_image, request);
    return true;
}

static void forget(struct coordinator_request *request)
{
    if (request->on_dropped != NULL) {
        request->on_dropped(request);
        return;
    }
    struct slice group = request->row->id_of(request->body, request->version);
    struct shard_group *cell = shard_find(request->shard, group, false);
    if (cell != NULL)
        group_forget(cell->group, request);
}

void request_cancel(struct coordinator *coordinator, const struct rpc_sender *sender, uint64_t relay_id)
{
    uint8_t key[16];
    relay_key(key, sender->incarnation, relay_id);
    struct coordinator_request *request = map_get(&coordinator->requests.by_relay, slice_of(key, sizeof key));
    if (request == NULL || request->state == REQUEST_ANSWERED)
        return;
    if (request->state == REQUEST_PARKED)
        forget(request);
    request_fail(request, ST_CANCELLED, "the client is gone");
}

void request_fail_parked(struct coordinator *coordinator, const struct ledger *ledger)
{
    struct coordinator_request *next;
    for (struct coordinator_request *request = coordinator->requests.first; request != NULL; request = next) {
        next = request->next;
        if (request->state != REQUEST_PARKED || (ledger != NULL && request->ledger != ledger))
            continue;
        forget(request);
        request_fail(request, ST_NOT_LEADER, "the shard has moved");
    }
}

// ---- for handlers ----

bool request_allowed(const struct coordinator_request *request, struct slice group_id)
{
    const struct authorise_rule *rule = authorise_rule(request->api->key);
    ASSERT(rule != NULL);
    return authorise(&request->principal, rule->operation, RESOURCE_TYPE_GROUP, group_id);
}

bool request_allowed_txn(const struct coordinator_request *request, struct slice transactional_id)
{
    const struct authorise_rule *rule = authorise_rule(request->api->key);
    bool main = rule->resource == RESOURCE_TYPE_TRANSACTIONAL_ID;
    ASSERT(main || rule->also_on == RESOURCE_TYPE_TRANSACTIONAL_ID);
    return authorise(&request->principal, main ? rule->operation : rule->also, RESOURCE_TYPE_TRANSACTIONAL_ID,
                     transactional_id);
}

const struct image *request_image(const struct coordinator_request *request)
{
    return request->coordinator->image;
}

struct env *request_env(const struct coordinator_request *request)
{
    return request->coordinator->env;
}

const struct config *request_config(const struct coordinator_request *request)
{
    return request->coordinator->config;
}

int32_t request_group_setting(struct coordinator_request *request, struct slice group_id, const char *key,
                              int32_t fallback)
{
    const char *group = arena_strndup(&request->arena, group_id.data, group_id.len), *value = NULL;
    if (group != NULL)
        value = image_config(request_image(request), MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP, group, key);
    return value != NULL ? (int32_t)strtol(value, NULL, 10) : fallback; // the controller has checked it
}

bool request_owns(const struct coordinator_request *request, struct slice group_id)
{
    return request->shard != NULL && coordinator_shard_of(request->coordinator, group_id) == request->shard;
}

bool request_owns_txn(const struct coordinator_request *request, struct slice transactional_id)
{
    return request->txn_shard != NULL &&
           coordinator_txn_shard_of(request->coordinator, transactional_id) == request->txn_shard;
}

int16_t request_may_share(const struct coordinator_request *request, const struct share_key *key)
{
    if (!authorise(&request->principal, OPERATION_CLUSTER_ACTION, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME)))
        return KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
    bool ours = coordinator_share_shard_of(request->coordinator, key) == request->share_shard;
    return ours ? KAFKA_ERR_NONE : KAFKA_ERR_NOT_COORDINATOR;
}
