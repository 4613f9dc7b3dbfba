// SPDX-License-Identifier: Apache-2.0
// One call per node is open at a time and takes letters until the turn ends or it is full. Letters that are
// taken back leave a gap in it. See txn_outbox.h.
#include "txn_outbox.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/mem.h"
#include "protos/coordinator.pb-c.h"
#include "protos/storage.pb-c.h"

enum {
    CALL_MS = 3000,
    CALL_LETTERS_MAX = 1000, // a node appends as many markers in one turn of its loop
    CALL_BYTES_MAX = TXN_LETTER_BYTES_MAX,
    CALL_ARENA_MAX = 8 << 20 // the message unpacked: at most some 10 bytes per byte of names and numbers
};

struct entry {
    struct txn_letter *letter; // NULL: taken back
    size_t statuses;           // its share of the answer
};

// On its way, or open for letters.
struct txn_outbox_call {
    struct txn_outbox *outbox;
    int32_t node;
    bool to_coordinator;
    struct entry *entries;
    size_t count, cap, bytes;
    struct call_list *list;
    struct txn_outbox_call *next, *previous;
};

struct call_list {
    struct txn_outbox_call *first, *last;
};

struct txn_outbox {
    struct txn_outbox_options options;
    struct call_list waiting, sent;
    struct map open;   // of those that wait, the one per destination that takes more
    struct timer turn; // runs while a call waits
    struct metric calls, markers;
};

static uint64_t destination(const struct txn_letter *letter)
{
    return (uint64_t)(uint32_t)letter->node << 1 | letter->to_coordinator;
}

// ---- calls ----

static void list_join(struct call_list *list, struct txn_outbox_call *call)
{
    call->list = list;
    call->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = call;
    list->last = call;
}

static void list_leave(struct txn_outbox_call *call)
{
    *(call->previous != NULL ? &call->previous->next : &call->list->first) = call->next;
    *(call->next != NULL ? &call->next->previous : &call->list->last) = call->previous;
    call->next = call->previous = NULL;
}

static struct txn_outbox_call *call_new(struct txn_outbox *outbox, const struct txn_letter *letter)
{
    struct txn_outbox_call *call = mem_calloc(1, sizeof *call);
    *call = (struct txn_outbox_call){
        .outbox = outbox, .node = letter->node, .to_coordinator = letter->to_coordinator};
    list_join(&outbox->waiting, call);
    return call;
}

static void call_free(struct txn_outbox_call *call)
{
    list_leave(call);
    mem_free(call->entries);
    mem_free(call);
}

static void call_take(struct txn_outbox_call *call, struct txn_letter *letter)
{
    if (call->count == call->cap) {
        call->cap = call->cap == 0 ? 4 : 2 * call->cap;
        call->entries = mem_realloc(call->entries, call->cap * sizeof *call->entries);
    }
    call->entries[call->count] = (struct entry){.letter = letter};
    call->bytes += letter->bytes;
    letter->call = call;
    letter->place = call->count++;
}

// Tells every letter how it went. An end may take back others of the same call.
static void call_end(struct txn_outbox_call *call, const Millrace__WriteMarkersReply *reply)
{
    size_t known = reply == NULL ? 0 : reply->n_status, at = 0;
    for (size_t i = 0; i < call->count; i++) {
        struct txn_letter *letter = call->entries[i].letter;
        size_t end = at + call->entries[i].statuses;
        if (letter != NULL) {
            call->entries[i].letter = NULL;
            letter->call = NULL;
            letter->done(letter, reply == NULL || end > known ? NULL : reply->status + at);
        }
        at = end;
    }
    call_free(call);
}

static void on_marked(const Millrace__WriteMarkersReply *reply, void *context)
{
    call_end(context, reply);
}

// ---- the message ----

static Millrace__MarkerTopic *topic_of(struct slice name, const struct txn_topic *from, struct arena *arena)
{
    Millrace__MarkerTopic *topic = arena_alloc(arena, sizeof *topic);
    millrace__marker_topic__init(topic);
    topic->name = arena_strndup(arena, name.data, name.len);
    topic->partitions = from->partitions;
    topic->n_partitions = (size_t)from->count;
    return topic;
}

static Millrace__Marker *marker_of(const struct txn_letter *letter, struct arena *arena)
{
    const struct txn_marker *from = &letter->marker;
    Millrace__Marker *marker = arena_alloc(arena, sizeof *marker);
    millrace__marker__init(marker);
    marker->producer_id = from->producer_id;
    marker->producer_epoch = from->producer_epoch;
    marker->commit = from->commit;
    marker->shard = from->shard;
    marker->owner_epoch = from->owner_epoch;
    marker->started_ms = from->started_ms;
    marker->has_raised = true;
    marker->raised = from->raised;
    marker->topics = arena_calloc(arena, letter->partitions.topics.count, sizeof *marker->topics);
    struct slice name;
    const struct txn_topic *topic;
    for (struct map_entry *at = NULL; txn_partitions_next(&letter->partitions, &at, &name, &topic);)
        marker->topics[marker->n_topics++] = topic_of(name, topic, arena);
    return marker;
}

static void fill(struct txn_outbox_call *call, Millrace__WriteMarkersRequest *request, struct arena *arena)
{
    request->markers = arena_calloc(arena, call->count, sizeof *request->markers);
    ASSERT(request->markers != NULL);
    for (size_t i = 0; i < call->count; i++) {
        const struct txn_letter *letter = call->entries[i].letter;
        if (letter == NULL)
            continue;
        request->markers[request->n_markers++] = marker_of(letter, arena);
        call->entries[i].statuses = letter->partitions.count;
    }
}

static void call_node(struct txn_outbox_call *call, const struct image_node *node,
                      const Millrace__WriteMarkersRequest *request)
{
    const struct txn_outbox_options *options = &call->outbox->options;
    struct rpc_options rpc = {.deadline_ms = CALL_MS};
    if (call->to_coordinator)
        millrace__coordinator__write_markers(rpc_on(contacts_to(options->coordinators, node, RPC_COORDINATOR),
                                                    &millrace__coordinator__descriptor, &rpc),
                                             request, on_marked, call);
    else
        millrace__storage__write_markers(
            rpc_on(contacts_to(options->storages, node, RPC_STORAGE), &millrace__storage__descriptor, &rpc),
            request, on_marked, call);
}

static void call_send(struct txn_outbox_call *call)
{
    struct txn_outbox *outbox = call->outbox;
    Millrace__WriteMarkersRequest request = MILLRACE__WRITE_MARKERS_REQUEST__INIT;
    struct arena arena;
    arena_init(&arena, CALL_ARENA_MAX);
    fill(call, &request, &arena);
    const struct image_node *node = image_node(outbox->options.image, call->node);
    if (node == NULL ||
        request.n_markers == 0) { // it has left the cluster since, or nothing is left to be told
        call_end(call, NULL);
    } else {
        metric_inc(&outbox->calls, 1);
        metric_inc(&outbox->markers, (int64_t)request.n_markers);
        call_node(call, node, &request);
    }
    arena_fini(&arena);
}

// ---- the turn ----

static void on_turn(struct timer *timer)
{
    struct txn_outbox *outbox = timer->context;
    map_fini(&outbox->open);
    map_init(&outbox->open, 0);
    while (outbox->waiting.first != NULL) {
        struct txn_outbox_call *call = outbox->waiting.first;
        list_leave(call);
        list_join(&outbox->sent, call);
        call_send(call);
    }
}

static bool has_room(const struct txn_outbox_call *call, const struct txn_letter *letter)
{
    return call->count < CALL_LETTERS_MAX && call->bytes + letter->bytes <= CALL_BYTES_MAX;
}

static struct txn_outbox_call *open_call(struct txn_outbox *outbox, const struct txn_letter *letter)
{
    struct txn_outbox_call *call = map_get_u64(&outbox->open, destination(letter));
    if (call != NULL && has_room(call, letter))
        return call;
    call = call_new(outbox, letter);
    map_put_u64(&outbox->open, destination(letter), call);
    return call;
}

void txn_outbox_put(struct txn_outbox *outbox, struct txn_letter *letter, bool alone)
{
    ASSERT(letter->call == NULL && letter->partitions.count > 0);
    call_take(alone ? call_new(outbox, letter) : open_call(outbox, letter), letter);
    if (!timer_running(&outbox->turn))
        timer_start_us(outbox->options.env, &outbox->turn, 0);
}

void txn_outbox_cancel(struct txn_letter *letter)
{
    if (letter->call == NULL)
        return;
    letter->call->entries[letter->place].letter = NULL;
    letter->call = NULL;
}

// ---- life ----

struct txn_outbox *txn_outbox_new(const struct txn_outbox_options *options)
{
    struct txn_outbox *outbox = mem_calloc(1, sizeof *outbox);
    outbox->options = *options;
    map_init(&outbox->open, 0);
    timer_init(&outbox->turn, on_turn, outbox);
    outbox->calls = (struct metric){.name = "millrace_coordinator_marker_calls_total",
                                    .help = "Calls that told nodes how transactions ended.",
                                    .kind = METRIC_COUNTER};
    outbox->markers = (struct metric){.name = "millrace_coordinator_markers_total",
                                      .help = "Ends of transactions in those calls.",
                                      .kind = METRIC_COUNTER};
    metric_add(options->env->metrics, &outbox->calls);
    metric_add(options->env->metrics, &outbox->markers);
    return outbox;
}

void txn_outbox_destroy(struct txn_outbox **pointer)
{
    struct txn_outbox *outbox = *pointer;
    *pointer = NULL;
    timer_stop(outbox->options.env, &outbox->turn);
    while (outbox->waiting.first != NULL)
        call_free(outbox->waiting.first);
    while (outbox->sent.first != NULL) {
        rpc_cancel(outbox->options.rpc, outbox->sent.first);
        call_free(outbox->sent.first);
    }
    map_fini(&outbox->open);
    metric_remove(outbox->options.env->metrics, &outbox->calls);
    metric_remove(outbox->options.env->metrics, &outbox->markers);
    mem_free(outbox);
}
