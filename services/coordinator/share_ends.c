// SPDX-License-Identifier: Apache-2.0
// See share_ends.h.
#include "share_ends.h"

#include "base/mem.h"
#include "protos/storage.pb-c.h"

enum { CALL_MS = 3000, CALL_PARTITIONS = 256 }; // as services/storage/positions.c takes them

// One question under way.
struct ends_call {
    struct share_ends *ends;
    struct share_round_item *items[CALL_PARTITIONS];
    size_t count;
    struct ends_call *next;
};

struct share_ends {
    struct share_ends_options options;
    struct ends_call *calls;
};

static void drop_call(struct share_ends *ends, struct ends_call *call)
{
    struct ends_call **at = &ends->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    mem_free(call);
}

static void on_positions(const Millrace__PositionsReply *reply, void *context)
{
    struct ends_call *call = context;
    struct share_ends *ends = call->ends;
    for (size_t i = 0; reply != NULL && i < call->count && i < reply->n_positions; i++)
        if (reply->positions[i]->status == ST_OK && reply->positions[i]->has_high_watermark)
            call->items[i]->end = reply->positions[i]->high_watermark;
    drop_call(ends, call);
    if (ends->calls != NULL)
        return;
    struct share_ends_options options = ends->options;
    mem_free(ends);
    options.done(options.context);
}

static void send(struct ends_call *call, const struct image_node *leader)
{
    const struct share_ends_options *to = &call->ends->options;
    Millrace__PositionsRequest request = MILLRACE__POSITIONS_REQUEST__INIT;
    Millrace__PositionAsked asked[CALL_PARTITIONS], *pointers[CALL_PARTITIONS];
    struct rpc_options options = {.deadline_ms = CALL_MS};
    for (size_t i = 0; i < call->count; i++) {
        struct parts_item *part = &call->items[i]->part;
        millrace__position_asked__init(&asked[i]);
        asked[i].topic_id = (ProtobufCBinaryData){sizeof part->topic.bytes, part->topic.bytes};
        asked[i].partition = part->index;
        pointers[i] = &asked[i];
    }
    request.partitions = pointers;
    request.n_partitions = call->count;
    millrace__storage__positions(
        rpc_on(contacts_to(to->storages, leader, RPC_STORAGE), &millrace__storage__descriptor, &options),
        &request, on_positions, call);
}

static int32_t leader_of(const struct image *image, const struct parts_item *part)
{
    const struct image_topic *topic = image_topic(image, part->topic);
    const struct image_partition *partition =
        topic != NULL ? image_topic_partition(topic, part->index) : NULL;
    return partition != NULL ? partition->leader : -1;
}

static struct ends_call *new_call(struct share_ends *ends)
{
    struct ends_call *call = mem_calloc(1, sizeof *call);
    call->ends = ends;
    call->next = ends->calls;
    ends->calls = call;
    return call;
}

// All of the partitions that the node leads.
static void ask_node(struct share_ends *ends, const struct image_node *node, struct share_round_item *items,
                     size_t count)
{
    struct ends_call *call = NULL;
    for (size_t i = 0; i < count; i++) {
        if (leader_of(ends->options.image, &items[i].part) != node->id)
            continue;
        if (call == NULL)
            call = new_call(ends);
        call->items[call->count++] = &items[i];
        if (call->count == CALL_PARTITIONS) {
            send(call, node);
            call = NULL;
        }
    }
    if (call != NULL)
        send(call, node);
}

struct share_ends *share_ends_begin(const struct share_ends_options *options, struct share_round_item *items,
                                    size_t count)
{
    struct share_ends *ends = mem_calloc(1, sizeof *ends);
    ends->options = *options;
    for (size_t i = 0; i < count; i++)
        items[i].end = -1;
    for (size_t i = 0; i < image_node_count(options->image); i++) {
        const struct image_node *node = image_node_at(options->image, i);
        if (image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE))
            ask_node(ends, node, items, count);
    }
    if (ends->calls == NULL) {
        mem_free(ends);
        return NULL;
    }
    return ends;
}

void share_ends_cancel(struct share_ends **pointer)
{
    struct share_ends *ends = *pointer;
    *pointer = NULL;
    if (ends == NULL)
        return;
    while (ends->calls != NULL) {
        rpc_cancel(ends->options.rpc, ends->calls);
        drop_call(ends, ends->calls);
    }
    mem_free(ends);
}
