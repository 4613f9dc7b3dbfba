// SPDX-License-Identifier: Apache-2.0
// Decodes a request by its API and version and sends it on its way. A version this node does not serve closes
// the connection, as in Kafka; only ApiVersions of the future is answered, in version 0 (KIP-511).
#include "apis.h"

#include "base/assert.h"
#include "base/mem.h"
#include "answer_handlers.h"
#include "handlers.h"
#include "lists.h"
#include "logger_levels.h"
#include "relay_apis.h"
#include "split.h"

// clang-format off
const struct api_row api_rows[] = { // ascending key
    {KAFKA_API_PRODUCE,                  API_OWN, storage_produce},
    {KAFKA_API_FETCH,                    API_OWN, storage_fetch},
    {KAFKA_API_LIST_OFFSETS,             API_OWN, storage_list_offsets},
    {KAFKA_API_METADATA,                 API_OWN, handle_metadata},
    {KAFKA_API_OFFSET_COMMIT,            API_GROUP, NULL},
    {KAFKA_API_OFFSET_FETCH,             API_SPLIT, NULL},
    {KAFKA_API_FIND_COORDINATOR,         API_OWN, handle_find_coordinator},
    {KAFKA_API_JOIN_GROUP,               API_GROUP, NULL},
    {KAFKA_API_HEARTBEAT,                API_GROUP, NULL},
    {KAFKA_API_LEAVE_GROUP,              API_GROUP, NULL},
    {KAFKA_API_SYNC_GROUP,               API_GROUP, NULL},
    {KAFKA_API_DESCRIBE_GROUPS,          API_SPLIT, NULL},
    {KAFKA_API_LIST_GROUPS,              API_LIST, NULL},
    {KAFKA_API_API_VERSIONS,             API_OWN, handle_api_versions},
    {KAFKA_API_CREATE_TOPICS,            API_CONTROLLER, NULL},
    {KAFKA_API_DELETE_TOPICS,            API_CONTROLLER, NULL},
    {KAFKA_API_DELETE_RECORDS,           API_OWN, storage_delete_records},
    {KAFKA_API_INIT_PRODUCER_ID,         API_OWN, handle_init_producer_id},
    {KAFKA_API_OFFSET_FOR_LEADER_EPOCH,  API_OWN, storage_offset_for_leader_epoch},
    {KAFKA_API_ADD_PARTITIONS_TO_TXN,    API_TRANSACTION, NULL},
    {KAFKA_API_ADD_OFFSETS_TO_TXN,       API_TRANSACTION, NULL},
    {KAFKA_API_END_TXN,                  API_TRANSACTION, NULL},
    {KAFKA_API_WRITE_TXN_MARKERS,        API_OWN, storage_write_txn_markers},
    {KAFKA_API_TXN_OFFSET_COMMIT,        API_GROUP, NULL},
    {KAFKA_API_DESCRIBE_CONFIGS,         API_OWN, handle_describe_configs},
    {KAFKA_API_ALTER_CONFIGS,            API_CONTROLLER, NULL},
    {KAFKA_API_ALTER_REPLICA_LOG_DIRS,   API_OWN, storage_alter_replica_log_dirs},
    {KAFKA_API_DESCRIBE_LOG_DIRS,        API_OWN, storage_describe_log_dirs},
    {KAFKA_API_CREATE_PARTITIONS,        API_CONTROLLER, NULL},
    {KAFKA_API_DELETE_GROUPS,            API_SPLIT, NULL},
    {KAFKA_API_ELECT_LEADERS,            API_CONTROLLER, NULL},
    {KAFKA_API_INCREMENTAL_ALTER_CONFIGS, API_OWN, handle_incremental_alter_configs},
    {KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, API_CONTROLLER, NULL},
    {KAFKA_API_LIST_PARTITION_REASSIGNMENTS, API_CONTROLLER, NULL},
    {KAFKA_API_OFFSET_DELETE,            API_GROUP, NULL},
    {KAFKA_API_DESCRIBE_QUORUM,          API_CONTROLLER, NULL},
    {KAFKA_API_UPDATE_FEATURES,          API_CONTROLLER, NULL},
    {KAFKA_API_DESCRIBE_CLUSTER,         API_OWN, handle_describe_cluster},
    {KAFKA_API_DESCRIBE_PRODUCERS,       API_OWN, storage_describe_producers},
    {KAFKA_API_UNREGISTER_BROKER,        API_CONTROLLER, NULL},
    {KAFKA_API_DESCRIBE_TRANSACTIONS,    API_SPLIT, NULL},
    {KAFKA_API_LIST_TRANSACTIONS,        API_LIST, NULL},
    {KAFKA_API_CONSUMER_GROUP_HEARTBEAT, API_GROUP, NULL},
    {KAFKA_API_CONSUMER_GROUP_DESCRIBE,  API_SPLIT, NULL},
    {KAFKA_API_GET_TELEMETRY_SUBSCRIPTIONS, API_OWN, handle_get_telemetry_subscriptions},
    {KAFKA_API_PUSH_TELEMETRY,           API_OWN, handle_push_telemetry},
    {KAFKA_API_LIST_CONFIG_RESOURCES,    API_OWN, handle_list_config_resources},
    {KAFKA_API_DESCRIBE_TOPIC_PARTITIONS, API_OWN, handle_describe_topic_partitions},
    {KAFKA_API_SHARE_GROUP_HEARTBEAT,    API_GROUP, NULL},
    {KAFKA_API_SHARE_GROUP_DESCRIBE,     API_SPLIT, NULL},
    {KAFKA_API_SHARE_FETCH,              API_OWN, storage_share_fetch},
    {KAFKA_API_SHARE_ACKNOWLEDGE,        API_OWN, storage_share_acknowledge},
    {KAFKA_API_ADD_RAFT_VOTER,           API_CONTROLLER, NULL},
    {KAFKA_API_REMOVE_RAFT_VOTER,        API_CONTROLLER, NULL},
    {KAFKA_API_STREAMS_GROUP_HEARTBEAT,  API_GROUP, NULL},
    {KAFKA_API_STREAMS_GROUP_DESCRIBE,   API_SPLIT, NULL},
    {KAFKA_API_DESCRIBE_SHARE_GROUP_OFFSETS, API_SPLIT, NULL},
    {KAFKA_API_ALTER_SHARE_GROUP_OFFSETS, API_GROUP, NULL},
    {KAFKA_API_DELETE_SHARE_GROUP_OFFSETS, API_GROUP, NULL},
};
// clang-format on
const int api_row_count = sizeof api_rows / sizeof *api_rows;

enum {
    ARENA_LEAST = 256 << 10, // decoded request of any size
    ARENA_PER_BYTE = 32,     // decoded bytes per byte of the frame: no honest request needs more
    ARENA_DECODE_MAX = 64 << 20,
    ARENA_ANSWER_MAX = 512 << 20, // request and answer together
    ANSWER_MAX = 256 << 20        // encoded bytes of an answer, record bytes aside
};

const struct api_row *api_row(int16_t key)
{
    for (int i = 0; i < api_row_count; i++) {
        if (api_rows[i].key == key)
            return &api_rows[i];
    }
    return NULL;
}

int16_t api_version_low(const struct api_row *row)
{
    return row->key == KAFKA_API_PRODUCE ? 0 : kafka_api(row->key)->min_version;
}

int16_t api_version_high(const struct api_row *row)
{
    return kafka_api_stable_version(kafka_api(row->key));
}

// ---- the ends of a request ----

static void request_free(struct storage_request *request)
{
    arena_fini(&request->arena);
    mem_free(request);
}

void storage_answer(struct storage_request *request, const void *response)
{
    struct kafka_out out;
    kafka_out_init(&out, ANSWER_MAX);
    enum status status = kafka_encode(request->api->response, request->version, response, &out);
    if (status == ST_OK) {
        conn_reply(request->conn, &out);
    } else {
        DIAG_ERROR(&storage_env(request->storage)->diag,
                   "answer cannot be encoded api=%s version=%d status=%s", request->api->name,
                   request->version, status_name(status));
        kafka_out_fini(&out);
        conn_close_request(request->conn, "its answer cannot be encoded");
    }
    request_free(request);
}

void storage_answer_none(struct storage_request *request)
{
    conn_no_reply(request->conn);
    request_free(request);
}

void storage_answer_close(struct storage_request *request, const char *why)
{
    conn_close_request(request->conn, why);
    request_free(request);
}

void storage_answer_raw(struct storage_request *request, struct block *response_take)
{
    conn_reply_raw(request->conn, response_take);
    request_free(request);
}

// ---- their begin ----

static enum status decode(struct storage_request *request)
{
    size_t cap = ARENA_LEAST + request->conn->frame.len * ARENA_PER_BYTE;
    arena_init(&request->arena, cap < ARENA_DECODE_MAX ? cap : ARENA_DECODE_MAX);
    request->body = arena_alloc(&request->arena, request->api->request->structure->size);
    enum status status = kafka_decode_request(request->api->request, request->version, request->conn->body,
                                              &request->arena, request->body);
    request->arena.cap = ARENA_ANSWER_MAX;
    return status;
}

static void dispatch(const struct api_row *row, struct storage_request *request)
{
    switch (row->route) {
    case API_OWN:
        row->handle(request);
        return;
    case API_GROUP:
        relay_group(request);
        return;
    case API_TRANSACTION:
        relay_transaction(request);
        return;
    case API_CONTROLLER:
        relay_controller(request);
        return;
    case API_SPLIT:
        split_request(request);
        return;
    case API_LIST:
        list_request(request);
        return;
    }
    UNREACHABLE("route of an API");
}

void apis_request(struct storage *storage, struct conn_request *conn)
{
    const struct api_row *row = api_row(conn->api);
    if (row == NULL) {
        conn_close_request(conn, "API is not served");
        return;
    }
    struct storage_request *request = mem_calloc(1, sizeof *request);
    *request = (struct storage_request){.storage = storage,
                                        .conn = conn,
                                        .api = kafka_api(conn->api),
                                        .version = conn->version,
                                        .principal = {.name = conn->peer->principal,
                                                      .listener = conn->peer->listener,
                                                      .host = conn->peer->host,
                                                      .session = conn->peer->session}};
    conn->user = request;
    if (conn->version < request->api->min_version || conn->version > api_version_high(row)) {
        if (conn->api == KAFKA_API_API_VERSIONS)
            handle_api_versions_unsupported(request);
        else
            storage_answer_close(request, "version of the API is not served");
        return;
    }
    enum status status = decode(request);
    if (status != ST_OK)
        storage_answer_close(request,
                             status == ST_NO_MEMORY ? "request needs too much memory" : "malformed request");
    else
        dispatch(row, request);
}

void apis_cancelled(struct conn_request *conn)
{
    struct storage_request *request = conn->user;
    if (request->on_cancelled != NULL)
        request->on_cancelled(request);
}
