// SPDX-License-Identifier: Apache-2.0
// WriteTxnMarkers: an operator ends transactions that nobody ends (kafka-transactions.sh abort), partition by
// partition at their leaders. Group shards are written by their owners alone, so theirs are passed on.
#include "cluster/contacts.h"
#include "cluster/shard.h"
#include "handlers.h"
#include "kafka/messages/write_txn_markers.h"
#include "lookup.h"
#include "markers.h"
#include "partitions_state.h"
#include "protos/coordinator.pb-c.h"
#include "storage.h"

typedef struct kafka_write_txn_markers_request_writable_txn_marker marker_in;
typedef struct kafka_write_txn_markers_request_writable_txn_marker_topic topic_in;
typedef struct kafka_write_txn_markers_response_writable_txn_marker_result marker_out;
typedef struct kafka_write_txn_markers_response_writable_txn_marker_topic_result topic_out;
typedef struct kafka_write_txn_markers_response_writable_txn_marker_partition_result partition_out;

enum { OWNER_MS = 5000 };

struct writing;

struct item {
    struct writing *writing;
    partition_out *answer;
    struct marker_wait wait;
};

struct writing {
    struct storage_request *request;
    struct kafka_write_txn_markers_response response;
    struct item *items;
    int32_t count;
    int32_t open; // items without an answer, and one while the request is taken in
};

static void item_done(struct item *item, int16_t error)
{
    struct writing *writing = item->writing;
    item->answer->error_code = error;
    if (--writing->open == 0)
        storage_answer(writing->request, &writing->response);
}

static int16_t error_of(enum status status)
{
    switch (status) {
    case ST_OK:
        return KAFKA_ERR_NONE;
    case ST_STALE:
        return KAFKA_ERR_TRANSACTION_COORDINATOR_FENCED;
    case ST_INVALID:
        return KAFKA_ERR_INVALID_PRODUCER_EPOCH;
    case ST_AGAIN:
        return KAFKA_ERR_NOT_ENOUGH_REPLICAS;
    default:
        return lookup_error(status);
    }
}

static void item_on_written(void *context, enum status status)
{
    item_done(context, error_of(status));
}

// ---- group shards ----

static void item_on_owner(const Millrace__WriteMarkersReply *reply, void *context)
{
    enum status status = reply == NULL || reply->n_status != 1 ? ST_NOT_LEADER : (enum status)reply->status[0];
    item_done(context, error_of(status));
}

static void tell_owner(struct item *item, const marker_in *in, int32_t shard)
{
    struct partitions *partitions = storage_partitions(item->writing->request->storage);
    const struct image *image = storage_image(item->writing->request->storage);
    const struct image_shard *found = image_shard(image, SHARD_TOPIC_GROUPS, shard);
    const struct image_node *owner = found == NULL ? NULL : image_node(image, found->owner);
    if (!image_node_live(owner, MILLRACE__ROLE__ROLE_COORDINATOR)) {
        item_done(item, KAFKA_ERR_NOT_LEADER_OR_FOLLOWER);
        return;
    }
    Millrace__MarkerTopic topic = MILLRACE__MARKER_TOPIC__INIT, *topics = &topic;
    topic.name = SHARD_TOPIC_GROUPS;
    topic.partitions = &shard;
    topic.n_partitions = 1;
    Millrace__Marker marker = MILLRACE__MARKER__INIT, *markers = &marker;
    marker.producer_id = in->producer_id;
    marker.producer_epoch = in->producer_epoch;
    marker.commit = in->transaction_result;
    marker.shard = -1;
    marker.owner_epoch = in->coordinator_epoch;
    marker.started_ms = -1;
    marker.topics = &topics;
    marker.n_topics = 1;
    Millrace__WriteMarkersRequest request = MILLRACE__WRITE_MARKERS_REQUEST__INIT;
    request.markers = &markers;
    request.n_markers = 1;
    struct rpc_options options = {.deadline_ms = OWNER_MS};
    millrace__coordinator__write_markers(
        rpc_on(contacts_to(&partitions->coordinators, owner, RPC_COORDINATOR),
               &millrace__coordinator__descriptor, &options),
        &request, item_on_owner, item);
}

// ---- a request ----

static void item_begin(struct item *item, const marker_in *in, struct slice name, int32_t partition)
{
    struct storage_request *request = item->writing->request;
    struct lookup_topic named = {.name = name};
    const struct image_topic *topic;
    struct replica *replica = NULL;
    int16_t error = lookup_topic(request, &named, OPERATION_ALTER, &topic);
    if (error == KAFKA_ERR_NONE && !authorise(&request->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                                              slice_str(RESOURCE_CLUSTER_NAME)))
        error = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
    if (error == KAFKA_ERR_NONE)
        error = lookup_leader(request, topic, partition, -1, &replica);
    if (error == KAFKA_ERR_NONE && topic->internal && !slice_is(name, SHARD_TOPIC_GROUPS))
        error = KAFKA_ERR_INVALID_TOPIC_EXCEPTION;
    if (error != KAFKA_ERR_NONE) {
        item_done(item, error);
        return;
    }
    if (topic->internal) {
        tell_owner(item, in, partition);
        return;
    }
    struct marker marker = {.producer_id = in->producer_id,
                            .producer_epoch = in->producer_epoch,
                            .commit = in->transaction_result,
                            .shard = -1,
                            .owner_epoch = in->coordinator_epoch,
                            .started_ms = -1};
    marker_write(replica, &marker, &item->wait, item_on_written, item);
}

static void on_cancelled(struct storage_request *request)
{
    struct writing *writing = request->held;
    struct rpc *rpc = storage_rpc_end(request->storage);
    for (int32_t i = 0; i < writing->count; i++) {
        wait_cancel(&writing->items[i].wait.wait);
        rpc_cancel(rpc, &writing->items[i]);
    }
    storage_answer_none(request);
}

static int32_t partitions_in(const struct kafka_write_txn_markers_request *body)
{
    int32_t count = 0;
    for (int32_t m = 0; m < body->markers_count; m++)
        for (int32_t t = 0; t < body->markers[m].topics_count; t++)
            count += body->markers[m].topics[t].partition_indexes_count;
    return count;
}

static bool shape_topic(struct arena *arena, const topic_in *in, topic_out *out)
{
    out->name = in->name;
    out->partitions_count = in->partition_indexes_count;
    out->partitions =
        kafka_structure_array(&kafka_write_txn_markers_response_writable_txn_marker_partition_result_type,
                              arena, out->partitions_count);
    for (int32_t p = 0; out->partitions != NULL && p < out->partitions_count; p++)
        out->partitions[p].partition_index = in->partition_indexes[p];
    return out->partitions != NULL;
}

static bool shape_marker(struct arena *arena, const marker_in *in, marker_out *out)
{
    out->producer_id = in->producer_id;
    out->topics_count = in->topics_count;
    out->topics =
        kafka_structure_array(&kafka_write_txn_markers_response_writable_txn_marker_topic_result_type, arena,
                              out->topics_count);
    bool done = out->topics != NULL;
    for (int32_t t = 0; done && t < out->topics_count; t++)
        done = shape_topic(arena, &in->topics[t], &out->topics[t]);
    return done;
}

// Lays out the answer in the request's shape. False at the arena's cap.
static bool shape(struct writing *writing, const struct kafka_write_txn_markers_request *body)
{
    struct arena *arena = &writing->request->arena;
    kafka_defaults(&kafka_write_txn_markers_response_message, &writing->response);
    writing->items = arena_calloc(arena, (size_t)partitions_in(body) + 1, sizeof *writing->items);
    writing->response.markers_count = body->markers_count;
    writing->response.markers =
        kafka_structure_array(&kafka_write_txn_markers_response_writable_txn_marker_result_type, arena,
                              body->markers_count);
    bool done = writing->items != NULL && writing->response.markers != NULL;
    for (int32_t m = 0; done && m < body->markers_count; m++)
        done = shape_marker(arena, &body->markers[m], &writing->response.markers[m]);
    return done;
}

static void begin_all(struct writing *writing, const struct kafka_write_txn_markers_request *body)
{
    for (int32_t m = 0; m < body->markers_count; m++) {
        const marker_in *marker = &body->markers[m];
        for (int32_t t = 0; t < marker->topics_count; t++) {
            for (int32_t p = 0; p < marker->topics[t].partition_indexes_count; p++) {
                struct item *item = &writing->items[writing->count++];
                item->writing = writing;
                item->answer = &writing->response.markers[m].topics[t].partitions[p];
                item_begin(item, marker, marker->topics[t].name, marker->topics[t].partition_indexes[p]);
            }
        }
    }
}

void storage_write_txn_markers(struct storage_request *request)
{
    const struct kafka_write_txn_markers_request *body = request->body;
    struct writing *writing = arena_calloc(&request->arena, 1, sizeof *writing);
    if (writing != NULL)
        writing->request = request;
    if (writing == NULL || !shape(writing, body)) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    request->held = writing;
    request->on_cancelled = on_cancelled;
    writing->open = partitions_in(body) + 1;
    begin_all(writing, body);
    partitions_flush(storage_partitions(request->storage));
    if (--writing->open == 0)
        storage_answer(request, &writing->response);
}
