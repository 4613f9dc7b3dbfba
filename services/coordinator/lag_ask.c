// SPDX-License-Identifier: Apache-2.0
// Questions about partitions, gathered per storage node: one call at a time each, of bounded size; what comes
// meanwhile waits in line. See lag_state.h.
#include "base/mem.h"
#include "lag_state.h"
#include "protos/storage.pb-c.h"

enum { CALL_MS = 3000 };

// ---- lines ----

static struct lag_node *node_of(struct lag *lag, int32_t id)
{
    struct lag_node *node = map_get_u64(&lag->nodes, (uint64_t)id);
    if (node != NULL)
        return node;
    node = mem_calloc(1, sizeof *node);
    *node = (struct lag_node){.lag = lag, .id = id};
    map_put_u64(&lag->nodes, (uint64_t)id, node);
    return node;
}

static void line_join(struct lag_node *node, struct lag_row *row, bool front)
{
    row->node = node;
    row->previous = front ? NULL : node->last;
    row->next = front ? node->first : NULL;
    *(row->previous != NULL ? &row->previous->next : &node->first) = row;
    *(row->next != NULL ? &row->next->previous : &node->last) = row;
}

static void line_leave(struct lag_row *row)
{
    struct lag_node *node = row->node;
    *(row->previous != NULL ? &row->previous->next : &node->first) = row->next;
    *(row->next != NULL ? &row->next->previous : &node->last) = row->previous;
    row->next = row->previous = NULL;
    row->node = NULL;
}

bool lag_ask(struct lag_row *row, bool front)
{
    struct lag *lag = row->group->lag;
    const struct image_topic *topic = image_topic_slice(lag->options.image, lag_topic(row));
    const struct image_partition *partition =
        topic == NULL ? NULL : image_topic_partition(topic, row->partition);
    const struct image_node *leader =
        partition == NULL ? NULL : image_node(lag->options.image, partition->leader);
    if (!image_node_live(leader, MILLRACE__ROLE__ROLE_STORAGE)) {
        row->status = partition == NULL ? ST_NOT_FOUND : ST_NOT_LEADER;
        return false;
    }
    row->topic_id = topic->id;
    line_join(node_of(lag, leader->id), row, front);
    return true;
}

void lag_unask(struct lag_row *row)
{
    if (row->node != NULL)
        line_leave(row);
    if (row->call != NULL)
        row->call->rows[row->place] = NULL;
    row->call = NULL;
}

// ---- answers ----

static void take_position(struct lag_row *row, const Millrace__Position *position)
{
    if (position->status != ST_OK)
        return;
    if (row->group->cell->share != NULL)
        lag_share_take(row, position);
    if (row->committed < 0)
        return; // a share group that has not begun here
    struct lag_sample sample = {.at_us = row->asked_us,
                                .committed = row->committed + (row->complete > 0 ? row->complete : 0),
                                .start = position->log_start,
                                .end = position->high_watermark,
                                .stable = position->stable_end};
    lag_figures_take(&row->figures, &sample);
    if (!position->has_timestamp)
        return;
    row->has_time = true;
    row->timestamp = position->timestamp;
    row->dated = row->committed > position->log_start ? row->committed : position->log_start;
}

static void on_positions(const Millrace__PositionsReply *reply, void *context)
{
    struct lag_call *call = context;
    struct lag *lag = call->node->lag;
    enum status failure = rpc_result(lag->options.rpc)->status;
    call->node->call = NULL;
    for (size_t i = 0; i < call->count; i++) {
        struct lag_row *row = call->rows[i];
        if (row == NULL)
            continue;
        bool answered = reply != NULL && i < reply->n_positions;
        row->call = NULL;
        row->status = answered ? (enum status)reply->positions[i]->status : failure;
        if (answered)
            take_position(row, reply->positions[i]);
        lag_group_step(row->group);
    }
    mem_free(call);
    if (failure != ST_CLOSED) // the process ends, or the next round asks where the node is now
        lag_send(lag);
}

// ---- questions ----

static void fill(struct lag_row *row, Millrace__PositionAsked *asked)
{
    millrace__position_asked__init(asked);
    asked->topic_id = (ProtobufCBinaryData){sizeof row->topic_id.bytes, row->topic_id.bytes};
    asked->partition = row->partition;
    const struct lag_figures *figures = &row->figures;
    int64_t start = figures->known ? figures->newest.start : 0;
    int64_t oldest = row->committed > start ? row->committed : start;
    asked->has_time_of = !row->has_time || row->dated != oldest;
    asked->time_of = row->committed > 0 ? row->committed : 0;
    if (row->group->cell->share == NULL)
        return;
    struct slice name = group_id(row->group->cell->group);
    asked->has_share_group = true;
    asked->share_group = (ProtobufCBinaryData){name.len, (uint8_t *)(uintptr_t)name.data};
}

static void call_send(struct lag_call *call, const struct image_node *to)
{
    struct lag *lag = call->node->lag;
    Millrace__PositionsRequest request = MILLRACE__POSITIONS_REQUEST__INIT;
    Millrace__PositionAsked asked[LAG_CALL_PARTITIONS], *pointers[LAG_CALL_PARTITIONS];
    struct rpc_options options = {.deadline_ms = CALL_MS};
    for (size_t i = 0; i < call->count; i++) {
        fill(call->rows[i], &asked[i]);
        pointers[i] = &asked[i];
    }
    request.partitions = pointers;
    request.n_partitions = call->count;
    metric_inc(&lag->asked, (int64_t)call->count);
    millrace__storage__positions(
        rpc_on(contacts_to(lag->options.storages, to, RPC_STORAGE), &millrace__storage__descriptor, &options),
        &request, on_positions, call);
}

// The node has gone since its line began: nobody can be asked now.
static void line_drop(struct lag_node *node)
{
    while (node->first != NULL) {
        struct lag_row *row = node->first;
        line_leave(row);
        row->status = ST_NOT_LEADER;
        lag_group_step(row->group);
    }
}

static void node_send(struct lag_node *node)
{
    const struct image_node *to = image_node(node->lag->options.image, node->id);
    if (!image_node_live(to, MILLRACE__ROLE__ROLE_STORAGE)) {
        line_drop(node);
        return;
    }
    struct lag_call *call = mem_calloc(1, sizeof *call);
    call->node = node;
    while (node->first != NULL && call->count < LAG_CALL_PARTITIONS) {
        struct lag_row *row = node->first;
        line_leave(row);
        row->call = call;
        row->place = call->count;
        call->rows[call->count++] = row;
    }
    node->call = call;
    call_send(call, to);
}

void lag_send(struct lag *lag)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&lag->nodes, &at, NULL, &value);) {
        struct lag_node *node = value;
        if (node->call == NULL && node->first != NULL)
            node_send(node);
    }
}

void lag_nodes_free(struct lag *lag)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&lag->nodes, &at, NULL, &value);) {
        struct lag_node *node = value;
        if (node->call != NULL)
            rpc_cancel(lag->options.rpc, node->call);
        mem_free(node->call);
        mem_free(node);
    }
}
