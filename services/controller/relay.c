// SPDX-License-Identifier: Apache-2.0
// See relay.h.
#include "relay.h"

#include "base/assert.h"
#include "base/mem.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"

enum { ARENA_MAX = 64 << 20, RESPONSE_MAX = 16 << 20 };

static const struct relay_row {
    int16_t key;
    relay_fn *handle;
} rows[] = {
    {KAFKA_API_CREATE_TOPICS, create_topics},
    {KAFKA_API_DELETE_TOPICS, delete_topics},
    {KAFKA_API_CREATE_PARTITIONS, create_partitions},
    {KAFKA_API_ALTER_CONFIGS, alter_configs},
    {KAFKA_API_INCREMENTAL_ALTER_CONFIGS, incremental_alter_configs},
    {KAFKA_API_ELECT_LEADERS, elect_leaders},
    {KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, alter_partition_reassignments},
    {KAFKA_API_LIST_PARTITION_REASSIGNMENTS, list_partition_reassignments},
    {KAFKA_API_DESCRIBE_QUORUM, describe_quorum},
    {KAFKA_API_UPDATE_FEATURES, update_features},
    {KAFKA_API_UNREGISTER_BROKER, unregister_broker},
    {KAFKA_API_ADD_RAFT_VOTER, add_raft_voter},
    {KAFKA_API_REMOVE_RAFT_VOTER, remove_raft_voter},
};

struct pending {
    struct controller *controller;
    struct block *frame; // the response
    int64_t offset;
    bool appended;
    Millrace__RelayReply_Closure closure;
    struct rpc_call *call;
};

static void pending_end(void *context, enum status status)
{
    struct pending *pending = context;
    if (status == ST_OK) {
        Millrace__RelayReply reply = MILLRACE__RELAY_REPLY__INIT;
        reply.has_metadata_offset = true;
        reply.metadata_offset = pending->offset;
        rpc_reply_payload(pending->call, &pending->frame, 1);
        pending->closure(&reply, pending->call);
    } else if (status == ST_LIMIT) {
        rpc_fail(pending->call, ST_AGAIN, "too many requests wait");
    } else if (pending->appended) {
        rpc_fail(pending->call, ST_CANCELLED, "leadership was lost, the outcome is not known here");
    } else {
        controller_redirect(pending->controller, pending->call);
    }
    block_unref(&pending->frame);
    mem_free(pending);
}

static const struct relay_row *row_of(int16_t key)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].key == key)
            return &rows[i];
    return NULL;
}

static struct block *encode(const struct kafka_api *api, const struct kafka_request_header *request,
                            const void *response)
{
    struct kafka_out out;
    struct kafka_response_header header;
    kafka_out_init(&out, RESPONSE_MAX);
    kafka_defaults(&kafka_response_header_message, &header);
    header.correlation_id = request->correlation_id;
    enum status status =
        kafka_encode(&kafka_response_header_message,
                     kafka_response_header_version(api, request->request_api_version), &header, &out);
    if (status == ST_OK)
        status = kafka_encode(api->response, request->request_api_version, response, &out);
    struct block *block = status == ST_OK ? block_copy(buf_slice(&out.bytes)) : NULL;
    kafka_out_fini(&out);
    return block;
}

bool relay_append(struct relay *relay, const struct decision *decision, struct topics_error *error)
{
    if (relay->validate_only || decision->count == 0)
        return true;
    enum status status = metadata_append(relay->controller->metadata, decision);
    if (status == ST_OK) {
        relay->appended = true;
        return true;
    }
    if (status == ST_NOT_LEADER)
        relay->failed = relay->appended ? ST_CANCELLED : ST_NOT_LEADER;
    if (status == ST_NO_SPACE)
        return topics_refuse(error, KAFKA_ERR_KAFKA_STORAGE_ERROR, "The metadata log has no space left.");
    if (status == ST_INVALID)
        return topics_refuse(error, KAFKA_ERR_UNKNOWN_SERVER_ERROR, "The change contradicts the metadata.");
    return topics_refuse(error, KAFKA_ERR_REQUEST_TIMED_OUT, "The controller cannot take it now: %s.",
                         status_text(status));
}

struct slice relay_text(struct relay *relay, const struct topics_error *error)
{
    if (error->code == 0)
        return (struct slice){0};
    const char *copy = arena_strndup(&relay->arena, error->why, strlen(error->why));
    return slice_str(copy);
}

static enum status run(struct relay *relay, const struct kafka_api *api, const struct relay_row *row,
                       struct slice body)
{
    void *request = arena_alloc(&relay->arena, api->request->structure->size);
    relay->response = arena_alloc(&relay->arena, api->response->structure->size);
    if (request == NULL || relay->response == NULL)
        return ST_NO_MEMORY;
    enum status status = kafka_decode_request(api->request, relay->version, body, &relay->arena, request);
    if (status != ST_OK)
        return status;
    relay->request = request;
    kafka_defaults(api->response, relay->response);
    row->handle(relay);
    return relay->failed;
}

static void finish(struct relay *relay, struct block *frame, Millrace__RelayReply_Closure closure,
                   struct rpc_call *call)
{
    struct pending *pending = mem_calloc(1, sizeof *pending);
    *pending = (struct pending){.controller = relay->controller,
                                .frame = frame,
                                .appended = relay->appended,
                                .offset = metadata_offset(relay->controller->metadata),
                                .closure = closure,
                                .call = call};
    if (relay->appended)
        metadata_when_committed(relay->controller->metadata, pending_end, pending);
    else
        metadata_when_current(relay->controller->metadata, pending_end, pending);
}

void relay_request(struct controller *controller, const Millrace__RelayRequest *request,
                   Millrace__RelayReply_Closure closure, struct rpc_call *call)
{
    struct block *payload = rpc_call_payload(call);
    struct kafka_request_header header;
    struct relay relay = {.controller = controller,
                          .principal = {.name = request->principal,
                                        .listener = request->listener,
                                        .host = request->client_host,
                                        .session = request->session}};
    size_t used = 0;
    arena_init(&relay.arena, ARENA_MAX);
    struct slice frame = payload != NULL ? block_slice(payload) : slice_of("", 0);
    enum status status = kafka_request_decode_header(frame, &relay.arena, &header, &used);
    const struct relay_row *row = status == ST_OK ? row_of(header.request_api_key) : NULL;
    const struct kafka_api *api = row != NULL ? kafka_api(row->key) : NULL;
    if (status == ST_OK && (api == NULL || !kafka_api_valid(api, header.request_api_version)))
        status = ST_UNSUPPORTED;
    struct block *answer = NULL;
    if (status == ST_OK) {
        relay.version = header.request_api_version;
        status = run(&relay, api, row, slice_of(frame.data + used, frame.len - used));
    }
    if (status == ST_OK) {
        answer = encode(api, &header, relay.response);
        if (answer == NULL)
            status = relay.appended ? ST_CANCELLED : ST_LIMIT;
    }
    if (status == ST_OK)
        finish(&relay, answer, closure, call);
    else if (status == ST_NOT_LEADER)
        controller_redirect(controller, call);
    else
        rpc_fail(call, status, "the request cannot be executed");
    arena_fini(&relay.arena);
}
