// SPDX-License-Identifier: Apache-2.0
// Markers are sent in rounds: one letter per node with all of the transaction's partitions there, which goes
// with those of other transactions (txn_outbox.h); what failed is looked up and sent anew in the next round.
// See txn_markers.h.
#include "txn_markers.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"

enum {
    RETRY_MS_MIN = 10,
    RETRY_MS_MAX = 500,
    PARTITION_BYTES = 10 // in a message, besides the topic's name
};

// What a node is told in this round.
struct txn_marker_call {
    struct txn_letter letter;
    struct txn_cell *cell;
    struct txn_marker_call *next;
};

void txn_markers_init(struct txn_cell *cell)
{
    txn_partitions_init(&cell->marking.open);
}

static void call_free(struct txn_marker_call *call)
{
    txn_outbox_cancel(&call->letter);
    txn_partitions_fini(&call->letter.partitions);
    mem_free(call);
}

static void stop(struct txn_cell *cell)
{
    struct txn_marking *marking = &cell->marking;
    ledger_wait_cancel(&marking->wait);
    while (marking->calls != NULL) {
        struct txn_marker_call *call = marking->calls;
        marking->calls = call->next;
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

// Takes out what was written.
static void take_statuses(struct txn_marker_call *call, const int32_t *status)
{
    struct slice name;
    const struct txn_topic *topic;
    for (struct map_entry *at = NULL; txn_partitions_next(&call->letter.partitions, &at, &name, &topic);)
        for (int32_t i = 0; i < topic->count; i++)
            if (*status++ == ST_OK)
                txn_partitions_remove(&call->cell->marking.open, name, topic->partitions[i]);
}

static void on_told(struct txn_letter *letter, const int32_t *status)
{
    struct txn_marker_call *call = (struct txn_marker_call *)letter; // its first member
    struct txn_cell *cell = call->cell;
    if (status != NULL)
        take_statuses(call, status);
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

static struct txn_marker marker_of(const struct txn_cell *cell)
{
    const struct txn_shard_options *options = txn_shard_options(cell->shard);
    return (struct txn_marker){.producer_id = cell->head.producer_id,
                               .producer_epoch = cell->head.epoch,
                               .commit = cell->head.state == TXN_PREPARE_COMMIT,
                               .raised = cell->head.flow == TXN_FLOW_NEW,
                               .shard = options->index,
                               .owner_epoch = options->owner_epoch,
                               .started_ms = cell->head.started_ms};
}

static struct txn_marker_call *call_to(struct txn_cell *cell, int32_t node, bool to_coordinator)
{
    struct txn_marker_call *call = cell->marking.calls;
    while (call != NULL && (call->letter.node != node || call->letter.to_coordinator != to_coordinator))
        call = call->next;
    if (call != NULL)
        return call;
    call = mem_calloc(1, sizeof *call);
    *call = (struct txn_marker_call){.letter = {.node = node,
                                                .to_coordinator = to_coordinator,
                                                .marker = marker_of(cell),
                                                .done = on_told},
                                     .cell = cell,
                                     .next = cell->marking.calls};
    txn_partitions_init(&call->letter.partitions);
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
    struct txn_letter *letter = &call_to(cell, node->id, slice_is(topic, SHARD_TOPIC_GROUPS))->letter;
    size_t bytes = PARTITION_BYTES + topic.len;
    if (letter->bytes + bytes > TXN_LETTER_BYTES_MAX)
        return; // with the next round
    letter->bytes += bytes;
    txn_partitions_add(&letter->partitions, topic, partition);
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

static void begin_round(struct txn_cell *cell)
{
    struct txn_marking *marking = &cell->marking;
    ASSERT(marking->calls == NULL);
    gather(cell);
    bool again = marking->retry_ms > RETRY_MS_MIN;
    for (struct txn_marker_call *call = marking->calls; call != NULL; call = call->next)
        txn_outbox_put(txn_shard_options(cell->shard)->outbox, &call->letter, again);
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
