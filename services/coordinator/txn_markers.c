// SPDX-License-Identifier: Apache-2.0
// Markers are sent in rounds: one call per node with all of the transaction's partitions there; what failed
// is looked up and sent anew in the next round. See txn_markers.h.
#include "txn_markers.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "protos/coordinator.pb-c.h"
#include "protos/storage.pb-c.h"

#include <string.h>

enum {
    CALL_MS = 3000,
    RETRY_MS_MIN = 10,
    RETRY_MS_MAX = 500,
    CALL_BYTES_MAX = 256 << 10 // of one call's names and numbers; the rest waits for the next round
};

// One call under way.
struct txn_marker_call {
    struct txn_cell *cell;
    const struct image_node *node; // valid while the round is put together
    bool to_coordinator;
    size_t bytes;
    struct txn_partitions sent; // in the order of the call
    struct txn_marker_call *next;
};

void txn_markers_init(struct txn_cell *cell)
{
    txn_partitions_init(&cell->marking.open);
}

static void call_free(struct txn_marker_call *call)
{
    txn_partitions_fini(&call->sent);
    mem_free(call);
}

static void stop(struct txn_cell *cell)
{
    struct txn_marking *marking = &cell->marking;
    ledger_wait_cancel(&marking->wait);
    while (marking->calls != NULL) {
        struct txn_marker_call *call = marking->calls;
        marking->calls = call->next;
        rpc_cancel(txn_shard_options(cell->shard)->rpc, call);
        call_free(call);
    }
    marking->retry_ms = RETRY_MS_MIN;
    txn_partitions_clear(&marking->open);
}

void txn_markers_fini(struct txn_cell *cell)
{
    stop(cell);
    txn_partitions_fini(&cell->marking.open);
}

// ---- the end of a round ----

static void again_later(struct txn_cell *cell)
{
    struct txn_marking *marking = &cell->marking;
    timer_start_ms(txn_shard_options(cell->shard)->env, &cell->timer, marking->retry_ms);
    marking->retry_ms *= 2;
    if (marking->retry_ms > RETRY_MS_MAX)
        marking->retry_ms = RETRY_MS_MAX;
}

static void round_ended(struct txn_cell *cell)
{
    if (cell->marking.open.count == 0)
        txn_cell_marked(cell);
    else
        again_later(cell);
}

// Takes out what was written. statuses are in the order the partitions were sent in.
static void take_statuses(struct txn_marker_call *call, const Millrace__WriteMarkersReply *reply)
{
    struct slice name;
    const struct txn_topic *topic;
    size_t at = 0;
    for (struct map_entry *cursor = NULL; txn_partitions_next(&call->sent, &cursor, &name, &topic);)
        for (int32_t i = 0; i < topic->count; i++, at++)
            if (at < reply->n_status && reply->status[at] == ST_OK)
                txn_partitions_remove(&call->cell->marking.open, name, topic->partitions[i]);
}

static void on_marked(const Millrace__WriteMarkersReply *reply, void *context)
{
    struct txn_marker_call *call = context;
    struct txn_cell *cell = call->cell;
    if (reply != NULL)
        take_statuses(call, reply);
    struct txn_marker_call **at = &cell->marking.calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call_free(call);
    if (cell->marking.calls == NULL)
        round_ended(cell);
}

// ---- a round ----

enum where { AT_NODE, AT_NOBODY, GONE };

static enum where find_owner(const struct txn_cell *cell, int32_t partition, const struct image_node **node)
{
    const struct image *image = txn_shard_options(cell->shard)->image;
    const struct image_shard *shard = image_shard(image, SHARD_TOPIC_GROUPS, partition);
    *node = shard == NULL || shard->owner < 0 ? NULL : image_node(image, shard->owner);
    return image_node_live(*node, MILLRACE__ROLE__ROLE_COORDINATOR) ? AT_NODE : AT_NOBODY;
}

// Who takes the marker of a partition. GONE: its topic has been deleted. Whoever owned the shard had the
// partition in its image when it added it, and an owner's image is not behind those of the owners before.
static enum where find(const struct txn_cell *cell, struct slice topic, int32_t partition,
                       const struct image_node **node)
{
    const struct image *image = txn_shard_options(cell->shard)->image;
    if (slice_is(topic, SHARD_TOPIC_GROUPS))
        return find_owner(cell, partition, node);
    const struct image_topic *found = image_topic_slice(image, topic);
    const struct image_partition *at = found == NULL ? NULL : image_topic_partition(found, partition);
    if (at == NULL)
        return GONE;
    *node = image_node(image, at->leader);
    return image_node_live(*node, MILLRACE__ROLE__ROLE_STORAGE) ? AT_NODE : AT_NOBODY;
}

static struct txn_marker_call *call_to(struct txn_cell *cell, const struct image_node *node,
                                       bool to_coordinator)
{
    struct txn_marker_call *call = cell->marking.calls;
    while (call != NULL && call->node != node)
        call = call->next;
    if (call != NULL)
        return call;
    call = mem_calloc(1, sizeof *call);
    *call = (struct txn_marker_call){
        .cell = cell, .node = node, .to_coordinator = to_coordinator, .next = cell->marking.calls};
    txn_partitions_init(&call->sent);
    cell->marking.calls = call;
    return call;
}

static void put(struct txn_cell *cell, struct slice topic, int32_t partition, struct txn_partitions *gone)
{
    const struct image_node *node = NULL;
    switch (find(cell, topic, partition, &node)) {
    case GONE:
        txn_partitions_add(gone, topic, partition);
        return;
    case AT_NOBODY:
        return;
    case AT_NODE:
        break;
    }
    struct txn_marker_call *call = call_to(cell, node, slice_is(topic, SHARD_TOPIC_GROUPS));
    if (call->bytes >= CALL_BYTES_MAX)
        return;
    call->bytes += 10 + topic.len;
    txn_partitions_add(&call->sent, topic, partition);
}

static void gather(struct txn_cell *cell)
{
    struct txn_partitions *open = &cell->marking.open, gone;
    txn_partitions_init(&gone);
    struct slice topic;
    const struct txn_topic *partitions;
    for (struct map_entry *at = NULL; txn_partitions_next(open, &at, &topic, &partitions);)
        for (int32_t i = 0; i < partitions->count; i++)
            put(cell, topic, partitions->partitions[i], &gone);
    for (struct map_entry *at = NULL; txn_partitions_next(&gone, &at, &topic, &partitions);)
        for (int32_t i = 0; i < partitions->count; i++)
            txn_partitions_remove(open, topic, partitions->partitions[i]);
    txn_partitions_fini(&gone);
}

static Millrace__Marker marker_of(const struct txn_cell *cell)
{
    const struct txn_shard_options *options = txn_shard_options(cell->shard);
    Millrace__Marker marker = MILLRACE__MARKER__INIT;
    marker.producer_id = cell->head.producer_id;
    marker.producer_epoch = cell->head.epoch;
    marker.commit = cell->head.state == TXN_PREPARE_COMMIT;
    marker.shard = options->index;
    marker.owner_epoch = options->owner_epoch;
    marker.started_ms = cell->head.started_ms;
    marker.has_raised = true;
    marker.raised = cell->head.flow == TXN_FLOW_NEW;
    return marker;
}

static void call_node(struct txn_marker_call *call, Millrace__Marker *marker)
{
    const struct txn_shard_options *options = txn_shard_options(call->cell->shard);
    Millrace__WriteMarkersRequest request = MILLRACE__WRITE_MARKERS_REQUEST__INIT;
    struct rpc_options rpc = {.deadline_ms = CALL_MS};
    request.markers = &marker;
    request.n_markers = 1;
    if (call->to_coordinator)
        millrace__coordinator__write_markers(
            rpc_on(contacts_to(options->coordinators, call->node, RPC_COORDINATOR),
                   &millrace__coordinator__descriptor, &rpc),
            &request, on_marked, call);
    else
        millrace__storage__write_markers(rpc_on(contacts_to(options->storages, call->node, RPC_STORAGE),
                                                &millrace__storage__descriptor, &rpc),
                                         &request, on_marked, call);
    call->node = NULL;
}

static void send(struct txn_marker_call *call)
{
    Millrace__Marker marker = marker_of(call->cell);
    size_t count = call->sent.topics.count, at = 0;
    Millrace__MarkerTopic *topics = mem_calloc(count, sizeof *topics);
    Millrace__MarkerTopic **pointers = mem_calloc(count, sizeof *pointers);
    struct slice name;
    const struct txn_topic *topic;
    for (struct map_entry *cursor = NULL; txn_partitions_next(&call->sent, &cursor, &name, &topic); at++) {
        millrace__marker_topic__init(&topics[at]);
        topics[at].name = mem_strndup((const char *)name.data, name.len);
        topics[at].partitions = topic->partitions;
        topics[at].n_partitions = (size_t)topic->count;
        pointers[at] = &topics[at];
    }
    marker.topics = pointers;
    marker.n_topics = count;
    call_node(call, &marker);
    for (size_t i = 0; i < count; i++)
        mem_free(topics[i].name);
    mem_free(pointers);
    mem_free(topics);
}

static void begin_round(struct txn_cell *cell)
{
    struct txn_marking *marking = &cell->marking;
    ASSERT(marking->calls == NULL);
    gather(cell);
    for (struct txn_marker_call *call = marking->calls; call != NULL; call = call->next)
        send(call); // ends never from inside
    if (marking->calls == NULL)
        round_ended(cell);
}

static void on_prepared(void *context, enum status status)
{
    if (status == ST_OK)
        begin_round(context);
}

void txn_markers_begin(struct txn_cell *cell)
{
    stop(cell);
    txn_partitions_copy(&cell->marking.open, &cell->partitions);
    ledger_wait(txn_shard_ledger(cell->shard), &cell->marking.wait, on_prepared, cell);
}

void txn_markers_again(struct txn_cell *cell)
{
    begin_round(cell);
}
