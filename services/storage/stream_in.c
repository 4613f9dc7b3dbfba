// SPDX-License-Identifier: Apache-2.0
// See stream_in.h. Opening, subscribing and truncating are here; what a leader pushes is taken in
// append_in.c.
#include "stream_in.h"

#include "base/assert.h"
#include "base/mem.h"
#include "partitions_state.h"
#include "report.h"
#include "stream_in_state.h"

enum {
    SUBSCRIBE_MAX = 500, // partitions of one request
    CALL_TIMEOUT_MS = 3000,
    RETRY_MS = 20,
    RETRY_MS_MAX = 200,
    WATCH_MS = 200,
    LOST_MS_MAX = 1000,  // a lease
    FLUSH_MS = 2,        // a flush under way ends soon
    SILENCE_US = 1000000 // a stream without a message (heartbeats are every 200 ms) is opened anew
};

static void stream_fire(struct timer *timer);
static void stream_subscribe(struct stream_in *stream);

struct streams_in *streams_in_new(struct partitions *partitions)
{
    struct streams_in *streams = mem_calloc(1, sizeof *streams);
    streams->partitions = partitions;
    return streams;
}

static struct env *env_of(const struct streams_in *streams)
{
    return streams->partitions->options.env;
}

static void stream_later(struct stream_in *stream, int64_t delay_ms)
{
    timer_start_ms(env_of(stream->owner), &stream->timer, delay_ms);
}

// Whatever arrived on the old stream is over: every replica subscribes again.
void stream_in_reset(struct stream_in *stream, int64_t delay_ms)
{
    stream->state = STREAM_IN_CLOSED;
    stream->id = 0;
    for (struct replica *at = stream->replicas; at != NULL; at = at->link_next)
        if (at->link == REPLICA_ASKED || at->link == REPLICA_LINKED)
            at->link = REPLICA_WANTED;
    stream_later(stream, delay_ms);
}

void stream_in_wanted(struct replica *replica, int64_t delay_ms)
{
    replica->link = REPLICA_WANTED;
    if (!timer_running(&replica->stream->timer) ||
        replica->stream->timer.at_us > env_now_us(env_of(replica->stream->owner)) + delay_ms * 1000)
        stream_later(replica->stream, delay_ms);
}

static struct stream_in *stream_to(struct streams_in *streams, int32_t leader)
{
    struct stream_in *stream = map_get_u64(&streams->by_leader, (uint64_t)leader);
    if (stream != NULL)
        return stream;
    stream = mem_calloc(1, sizeof *stream);
    stream->owner = streams;
    stream->leader = leader;
    timer_init(&stream->timer, stream_fire, stream);
    map_put_u64(&streams->by_leader, (uint64_t)leader, stream);
    return stream;
}

static void peer_release(struct stream_in *stream)
{
    if (stream->peer == NULL)
        return;
    rpc_peer_watch(stream->peer, NULL, NULL);
    rpc_peer_release(&stream->peer);
    stream->lost_us = 0;
}

void streams_in_destroy(struct streams_in **pointer)
{
    struct streams_in *streams = *pointer;
    struct map_entry *at = NULL;
    void *value;
    *pointer = NULL;
    while (map_next(&streams->by_leader, &at, NULL, &value)) {
        struct stream_in *stream = value;
        ASSERT(stream->replicas == NULL);
        timer_stop(env_of(streams), &stream->timer);
        peer_release(stream);
        mem_free(stream);
    }
    map_fini(&streams->by_leader);
    mem_free(streams);
}

void streams_in_follow(struct streams_in *streams, struct replica *replica)
{
    struct stream_in *stream = stream_to(streams, replica->state.leader);
    ASSERT(replica->stream == NULL);
    replica->stream = stream;
    replica->link_previous = NULL;
    replica->link_next = stream->replicas;
    if (stream->replicas != NULL)
        stream->replicas->link_previous = replica;
    stream->replicas = replica;
    stream_in_wanted(replica, 0);
#ifdef PLANTED_TRUNCATES_TO_WATERMARK
    replica->link = REPLICA_TRUNCATING;
    replica->cutting = true;
    log_truncate(replica->log, replica->state.high_watermark, stream_in_truncated, NULL);
#endif
}

void streams_in_unfollow(struct replica *replica)
{
    struct stream_in *stream = replica->stream;
    replica->link = REPLICA_UNLINKED;
    if (stream == NULL)
        return;
    *(replica->link_previous ? &replica->link_previous->link_next : &stream->replicas) = replica->link_next;
    if (replica->link_next != NULL)
        replica->link_next->link_previous = replica->link_previous;
    replica->link_next = replica->link_previous = NULL;
    replica->stream = NULL;
}

void streams_in_node_changed(struct streams_in *streams, int32_t node)
{
    struct stream_in *stream = map_get_u64(&streams->by_leader, (uint64_t)node);
    if (stream == NULL)
        return;
    peer_release(stream);
    stream_in_reset(stream, 0);
}

// ---- opening ----

static void open_on_reply(const Millrace__OpenStreamReply *reply, void *context)
{
    struct stream_in *stream = context;
    if (stream->state != STREAM_IN_OPENING)
        return; // reset meanwhile
    if (reply == NULL) {
        stream->retry_ms =
            stream->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : stream->retry_ms * 2 + RETRY_MS;
        stream_in_reset(stream, stream->retry_ms);
        return;
    }
    stream->state = STREAM_IN_OPEN;
    stream->retry_ms = 0;
    stream->heard_us = env_now_us(env_of(stream->owner));
    stream_subscribe(stream);
}

static void on_lane(struct rpc_peer *peer, enum rpc_lane lane, enum transport_state state, void *context)
{
    struct stream_in *stream = context;
    if (state == TRANSPORT_UP)
        stream->lost_us = 0;
    else if (state == TRANSPORT_LOST && stream->lost_us == 0)
        stream->lost_us = env_now_us(env_of(stream->owner));
}

bool streams_in_lost(const struct streams_in *streams, int32_t leader)
{
    const struct stream_in *stream = map_get_u64(&streams->by_leader, (uint64_t)leader);
    return stream != NULL && stream->lost_us != 0 &&
           env_now_us(env_of(streams)) - stream->lost_us < LOST_MS_MAX * 1000;
}

static void stream_open(struct stream_in *stream)
{
    const struct partitions_options *options = &stream->owner->partitions->options;
    const struct image_node *node = image_node(options->image, stream->leader);
    if (node == NULL) {
        stream_later(stream, RETRY_MS_MAX);
        return;
    }
    if (stream->peer == NULL) {
        stream->peer = rpc_peer(options->rpc, node->rpc_endpoint,
                                (struct rpc_node){.role = RPC_STORAGE, .node = stream->leader});
        rpc_peer_watch(stream->peer, on_lane, stream);
    }
    stream->state = STREAM_IN_OPENING;
    stream->id = env_random(options->env);
    stream->next_sequence = 0;
    stream->heard_us = env_now_us(options->env);
    Millrace__OpenStreamRequest request = MILLRACE__OPEN_STREAM_REQUEST__INIT;
    request.stream_id = stream->id;
    request.follower = options->node_id;
    request.incarnation = options->incarnation;
    request.rpc_endpoint = (char *)(uintptr_t)options->rpc_endpoint;
    struct rpc_options call = {.deadline_ms = CALL_TIMEOUT_MS};
    millrace__storage__open_stream(rpc_on(stream->peer, &millrace__storage__descriptor, &call), &request,
                                   open_on_reply, stream);
}

// ---- subscribing ----

// A request under way: which replicas it asked for, in its order, and with what.
struct subscribe_asked {
    struct streams_in *owner;
    int32_t leader;
    uint64_t stream_id;
    int count;
    struct {
        struct uuid topic_id;
        int32_t index;
        int32_t leader_epoch;
    } items[];
};

void stream_in_truncated(struct log *log, enum status status, void *context)
{
    struct replica *replica = log_user(log);
    if (replica == NULL || replica->closing)
        return;
    replica->cutting = false;
    partition_truncated(&replica->state, log_end(log));
    if (status == ST_OK && log_start(log) > replica->state.log_start) {
        replica->state.log_start = log_start(log);
        replica->state.log_end = replica->state.flushed = replica->state.high_watermark = log_start(log);
    } else if (status == ST_OK) {
        replica->state.log_start = log_start(log); // cut below it: an unclean election took that back too
    }
    if (report_due(replica))
        reports_soon(replica->partitions->reports);
    if (replica->link != REPLICA_TRUNCATING)
        return;
    if (status != ST_OK)
        DIAG_ERROR(&replica->partitions->options.env->diag, "cannot truncate partition=%s why=%s",
                   replica_name(replica), status_text(status));
    stream_in_wanted(replica, status == ST_OK ? 0 : RETRY_MS_MAX);
}

static void replica_truncate(struct replica *replica, const Millrace__SubscribeResult *result)
{
    struct diag *diag = &replica->partitions->options.env->diag;
    replica->link = REPLICA_TRUNCATING;
    replica->cutting = true;
    wait_fail(&replica->flush_waits, ST_STALE);
    wait_fail(&replica->start_waits, ST_STALE);
    if (result->has_start_at && result->start_at >= 0) {
        DIAG_INFO(diag, "log starts anew partition=%s offset=%lld", replica_name(replica),
                  (long long)result->start_at);
        log_truncate_fully(replica->log, result->start_at, stream_in_truncated, NULL);
        return;
    }
    int64_t to = result->truncate_to;
    if (result->has_truncate_epoch && result->truncate_epoch >= 0) {
        int32_t epoch;
        int64_t own_end;
        log_epoch_end(replica->log, result->truncate_epoch, &epoch, &own_end);
        if (own_end >= 0 && own_end < to)
            to = own_end;
    }
    DIAG_INFO(diag, "truncating partition=%s from=%lld to=%lld", replica_name(replica),
              (long long)log_end(replica->log), (long long)to);
    // Now, not only when it is done: this node may be made the leader meanwhile.
    partition_truncated(&replica->state, to);
    log_truncate(replica->log, to, stream_in_truncated, NULL);
}

static void result_take(struct replica *replica, const Millrace__SubscribeResult *result)
{
    if (result->status != ST_OK) {
        stream_in_wanted(replica, RETRY_MS);
        return;
    }
    if ((result->has_truncate_to && result->truncate_to >= 0) ||
        (result->has_start_at && result->start_at >= 0)) {
        replica_truncate(replica, result);
        return;
    }
    replica->link = REPLICA_LINKED;
    replica_act(replica, partition_leader_watermark(&replica->state, replica->state.leader_epoch,
                                                    result->high_watermark));
}

static void subscribe_on_reply(const Millrace__SubscribeReply *reply, void *context)
{
    struct subscribe_asked *asked = context;
    struct stream_in *stream = map_get_u64(&asked->owner->by_leader, (uint64_t)asked->leader);
    bool current = stream->state == STREAM_IN_OPEN && stream->id == asked->stream_id;
    if (current && (reply == NULL || reply->n_partitions != (size_t)asked->count)) {
        stream_in_reset(stream, RETRY_MS);
        current = false;
    }
    for (int i = 0; current && i < asked->count; i++) {
        struct replica *replica =
            partitions_find(asked->owner->partitions, asked->items[i].topic_id, asked->items[i].index);
        // Linked already when the leader's first batch overtook this answer.
        if (replica != NULL && replica->stream == stream && replica->link == REPLICA_ASKED &&
            replica->state.leader_epoch == asked->items[i].leader_epoch)
            result_take(replica, reply->partitions[i]);
    }
    mem_free(asked);
}

static void subscription_fill(Millrace__Subscription *item, struct replica *replica)
{
    millrace__subscription__init(item);
    item->topic_id = (ProtobufCBinaryData){.len = 16, .data = replica->topic_id.bytes};
    item->partition = replica->index;
    item->leader_epoch = replica->state.leader_epoch;
    item->log_end = log_end(replica->log);
    item->last_epoch = log_last_epoch(replica->log);
    // Of the stream, not the replica: one that was removed and made again must not be taken for its former
    // self.
    item->subscription = replica->subscription = ++replica->stream->subscriptions;
    item->has_flushed = true;
    item->flushed = log_flushed(replica->log);
    item->has_log_start = true;
    item->log_start = log_start_saved(replica->log);
    item->has_partition_epoch = true;
    item->partition_epoch = replica->state.partition_epoch;
}

// What a replica took from the former leader counts for the new one only as far as the subscription says it
// is flushed: acknowledgements answer new records, and there may be none while a producer waits for just
// these. So a replica asks when its flush is through.
static void stream_subscribe(struct stream_in *stream)
{
    bool unflushed = false;
    struct subscribe_asked *asked = mem_calloc(1, sizeof *asked + SUBSCRIBE_MAX * sizeof asked->items[0]);
    Millrace__Subscription *items = mem_calloc(SUBSCRIBE_MAX, sizeof *items);
    Millrace__Subscription **pointers = mem_calloc(SUBSCRIBE_MAX, sizeof *pointers);
    for (struct replica *at = stream->replicas; at != NULL && asked->count < SUBSCRIBE_MAX;
         at = at->link_next) {
        if (at->link != REPLICA_WANTED || !replica_linkable(at))
            continue;
        if (log_flushed(at->log) < log_end(at->log)) {
            unflushed = true;
            continue;
        }
        subscription_fill(&items[asked->count], at);
        pointers[asked->count] = &items[asked->count];
        asked->items[asked->count].topic_id = at->topic_id;
        asked->items[asked->count].index = at->index;
        asked->items[asked->count++].leader_epoch = at->state.leader_epoch;
        at->link = REPLICA_ASKED;
    }
    if (asked->count > 0) {
        asked->owner = stream->owner;
        asked->leader = stream->leader;
        asked->stream_id = stream->id;
        Millrace__SubscribeRequest request = MILLRACE__SUBSCRIBE_REQUEST__INIT;
        request.stream_id = stream->id;
        request.n_partitions = (size_t)asked->count;
        request.partitions = pointers;
        struct rpc_options call = {.deadline_ms = CALL_TIMEOUT_MS};
        stream_later(stream, asked->count == SUBSCRIBE_MAX ? 0 : unflushed ? FLUSH_MS : WATCH_MS);
        millrace__storage__subscribe(rpc_on(stream->peer, &millrace__storage__descriptor, &call), &request,
                                     subscribe_on_reply, asked);
    } else {
        mem_free(asked);
        stream_later(stream, unflushed ? FLUSH_MS : WATCH_MS);
    }
    mem_free(pointers);
    mem_free(items);
}

// The stream's one clock: opens it, subscribes what wants to be, notices silence.
static void stream_fire(struct timer *timer)
{
    struct stream_in *stream = timer->context;
    if (stream->replicas == NULL)
        return; // nobody follows that node now; streams_in_follow starts the clock again
    if (stream->state == STREAM_IN_CLOSED) {
        stream_open(stream);
        return;
    }
    if (env_now_us(env_of(stream->owner)) - stream->heard_us > SILENCE_US &&
        stream->state == STREAM_IN_OPEN) {
        stream_in_reset(stream, 0);
        return;
    }
    if (stream->state == STREAM_IN_OPEN)
        stream_subscribe(stream);
}
