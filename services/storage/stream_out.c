// SPDX-License-Identifier: Apache-2.0
// See stream_out.h. A subscription remembers the next offset its follower is to get; a log that grows makes
// it ready; the pump turns ready subscriptions into Append messages while the stream's window is open.
// Building a message is append_message.c's work.
#include "stream_out.h"

#include "append_message.h"
#include "base/assert.h"
#include "base/mem.h"
#include "partitions_state.h"
#include "watch.h"

enum {
    LIVE_WINDOW = 8 << 20,     // bytes under way that are sent from memory
    CATCH_UP_WINDOW = 4 << 20, // bytes under way that were read from disk
    MESSAGE_BYTES = 1 << 20,
    PACED_BYTES = 256 << 10,   // of one message that is paced; one of a stream is under way at a time
    APPEND_TIMEOUT_MS = 10000, // an unanswered message ends the stream
    HEARTBEAT_MS = 200,
    WATERMARK_DELAY_MS = 5,
    PACE_US_MAX = 1000000, // then what paces is looked at again: it may have changed
    SILENT_US = 1000000,   // a stream that answers no heartbeats for so long
    STREAMS_MAX = 1024
};

struct subscription {
    struct stream_out *stream;
    struct replica *replica;
    struct subscription *replica_next;
    struct subscription *stream_next, *stream_previous;
    struct subscription *ready_next;
    uint32_t id; // the follower's
    int64_t next_offset;
    int64_t watermark_sent;
    bool ready;   // in the ready list
    bool reading; // a read on the pool is under way
    bool stalled; // waits for the catch-up window to open, or for its time
    bool watermark_due;
    bool start_due; // the follower is to be told where the log starts, and to say that its own does
};

struct stream_out {
    struct streams_out *owner;
    int32_t follower;
    uint64_t incarnation;
    uint64_t id;
    struct rpc_peer *peer;
    uint64_t sequence; // of the next message
    int64_t live_bytes, catch_up_bytes;
    int64_t heard_us;
    struct subscription *subscriptions;
    struct subscription *ready_first, *ready_last;
    struct timer heartbeat, watermark, pace;
    bool paced_open;        // something that is paced is read or under way
    int64_t taken_again_us; // before it the follower wants nothing that is paced by its rate
    bool sent_since_heartbeat;
    bool silent; // has not answered for a while
    struct stream_out *next;
};

struct streams_out {
    struct partitions *partitions;
    struct stream_out *first;
    int count;
};

// A message or a read under way, found again by follower and stream id since the stream may end meanwhile.
struct under_way {
    struct streams_out *owner;
    int32_t follower;
    uint64_t stream_id;
    int64_t bytes;
    bool catch_up;
    int paced;            // bits of enum pace_why
    struct uuid topic_id; // of a read
    int32_t index;
    uint32_t subscription; // the follower's: one that came after it begins elsewhere
};

static void heartbeat_fire(struct timer *timer);
static void watermark_fire(struct timer *timer);
static void pace_fire(struct timer *timer);
static void stream_pump(struct stream_out *stream);

struct streams_out *streams_out_new(struct partitions *partitions)
{
    struct streams_out *streams = mem_calloc(1, sizeof *streams);
    streams->partitions = partitions;
    return streams;
}

static struct env *env_of(const struct streams_out *streams)
{
    return streams->partitions->options.env;
}

// ---- subscriptions ----

static void ready_remove(struct subscription *subscription)
{
    struct stream_out *stream = subscription->stream;
    struct subscription *previous = NULL;
    for (struct subscription *at = stream->ready_first; at != NULL; previous = at, at = at->ready_next) {
        if (at != subscription)
            continue;
        *(previous ? &previous->ready_next : &stream->ready_first) = at->ready_next;
        if (stream->ready_last == at)
            stream->ready_last = previous;
        break;
    }
    subscription->ready = false;
    subscription->ready_next = NULL;
}

static void ready_add(struct subscription *subscription)
{
    struct stream_out *stream = subscription->stream;
    if (subscription->ready || subscription->reading)
        return;
    subscription->ready = true;
    subscription->ready_next = NULL;
    *(stream->ready_last ? &stream->ready_last->ready_next : &stream->ready_first) = subscription;
    stream->ready_last = subscription;
}

static void subscription_end(struct subscription *subscription)
{
    struct stream_out *stream = subscription->stream;
    DIAG_DEBUG(&env_of(stream->owner)->diag, "subscription ended partition=%s follower=%d id=%u next=%lld",
               replica_name(subscription->replica), stream->follower, subscription->id,
               (long long)subscription->next_offset);
    watch_add(subscription->replica);
    if (subscription->ready)
        ready_remove(subscription);
    *(subscription->stream_previous ? &subscription->stream_previous->stream_next : &stream->subscriptions) =
        subscription->stream_next;
    if (subscription->stream_next != NULL)
        subscription->stream_next->stream_previous = subscription->stream_previous;
    struct subscription **link = &subscription->replica->subscriptions;
    while (*link != subscription)
        link = &(*link)->replica_next;
    *link = subscription->replica_next;
    mem_free(subscription);
}

static struct subscription *subscription_find(const struct stream_out *stream, const struct replica *replica)
{
    for (struct subscription *at = replica->subscriptions; at != NULL; at = at->replica_next)
        if (at->stream == stream)
            return at;
    return NULL;
}

// An entry of its own tells it: acknowledgements of records do not wait for the move.
static void start_news(struct subscription *subscription)
{
    struct stream_out *stream = subscription->stream;
    subscription->start_due = true;
    if (!timer_running(&stream->watermark))
        timer_start_ms(env_of(stream->owner), &stream->watermark, WATERMARK_DELAY_MS);
}

static void subscription_begin(struct stream_out *stream, struct replica *replica,
                               const Millrace__Subscription *asked)
{
    struct subscription *subscription = subscription_find(stream, replica);
    if (subscription != NULL)
        subscription_end(subscription);
    subscription = mem_calloc(1, sizeof *subscription);
    subscription->stream = stream;
    subscription->replica = replica;
    subscription->id = asked->subscription;
    subscription->next_offset = asked->log_end;
    subscription->watermark_sent = -1;
    subscription->replica_next = replica->subscriptions;
    replica->subscriptions = subscription;
    subscription->stream_next = stream->subscriptions;
    if (stream->subscriptions != NULL)
        stream->subscriptions->stream_previous = subscription;
    stream->subscriptions = subscription;
    if (asked->log_end < replica->state.log_end)
        ready_add(subscription);
    if (!asked->has_log_start || asked->log_start < replica->state.log_start)
        start_news(subscription);
    DIAG_DEBUG(&env_of(stream->owner)->diag, "subscribed partition=%s follower=%d id=%u from=%lld",
               replica_name(replica), stream->follower, subscription->id, (long long)asked->log_end);
}

void streams_out_drop(struct replica *replica)
{
    while (replica->subscriptions != NULL)
        subscription_end(replica->subscriptions);
}

void streams_out_forget(struct replica *replica, int32_t follower)
{
    for (struct subscription *at = replica->subscriptions, *next; at != NULL; at = next) {
        next = at->replica_next;
        if (at->stream->follower == follower)
            subscription_end(at);
    }
}

void streams_out_heard(struct replica *replica)
{
    for (struct subscription *at = replica->subscriptions; at != NULL; at = at->replica_next)
        partition_heard(&replica->state, at->stream->follower, at->stream->heard_us);
}

bool streams_out_carry(const struct replica *replica)
{
    const struct partition *state = &replica->state;
    for (int i = 0; state->role == PARTITION_LEADER && i < state->replica_count; i++) {
        const struct partition_replica *follower = &state->replicas[i];
        const struct subscription *at = replica->subscriptions;
        if (follower->node == state->self || !follower->in_isr)
            continue;
        while (at != NULL && at->stream->follower != follower->node)
            at = at->replica_next;
        if (at == NULL || at->stream->silent)
            return false;
    }
    return true;
}

void streams_out_silence(struct streams_out *streams, int64_t now_us, int64_t lag_max_us)
{
    int64_t limit_us = lag_max_us / 2 < SILENT_US ? lag_max_us / 2 : SILENT_US;
    for (struct stream_out *stream = streams->first; stream != NULL; stream = stream->next) {
        bool before = stream->silent;
        stream->silent = now_us - stream->heard_us > limit_us;
        if (before || !stream->silent)
            continue;
        for (struct subscription *at = stream->subscriptions; at != NULL; at = at->stream_next)
            watch_add(at->replica);
    }
}

// ---- streams ----

static struct stream_out *stream_find(const struct streams_out *streams, int32_t follower, uint64_t id)
{
    for (struct stream_out *at = streams->first; at != NULL; at = at->next)
        if (at->follower == follower && at->id == id)
            return at;
    return NULL;
}

static void stream_end(struct stream_out *stream)
{
    struct streams_out *streams = stream->owner;
    while (stream->subscriptions != NULL)
        subscription_end(stream->subscriptions);
    timer_stop(env_of(streams), &stream->heartbeat);
    timer_stop(env_of(streams), &stream->watermark);
    timer_stop(env_of(streams), &stream->pace);
    struct stream_out **link = &streams->first;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    streams->count--;
    rpc_peer_release(&stream->peer);
    mem_free(stream);
}

void streams_out_destroy(struct streams_out **pointer)
{
    struct streams_out *streams = *pointer;
    *pointer = NULL;
    while (streams->first != NULL)
        stream_end(streams->first);
    mem_free(streams);
}

void streams_out_open(struct streams_out *streams, const Millrace__OpenStreamRequest *request,
                      Millrace__OpenStreamReply_Closure closure, struct rpc_call *call)
{
    const struct partitions_options *options = &streams->partitions->options;
    const struct image_node *node = image_node(options->image, request->follower);
    if (node == NULL || node->incarnation != request->incarnation) {
        rpc_fail(call, ST_AGAIN, "the follower's registration is not known here yet");
        return;
    }
    Millrace__OpenStreamReply reply = MILLRACE__OPEN_STREAM_REPLY__INIT;
    reply.leader_incarnation = options->incarnation;
    // Delivered twice: the stream it opened may have subscriptions already.
#ifndef PLANTED_STREAM_OPENED_TWICE
    if (stream_find(streams, request->follower, request->stream_id) != NULL) {
        closure(&reply, call);
        return;
    }
#endif
    for (struct stream_out *at = streams->first, *next; at != NULL; at = next) {
        next = at->next;
        if (at->follower == request->follower)
            stream_end(at);
    }
    if (streams->count >= STREAMS_MAX) {
        rpc_fail(call, ST_LIMIT, "too many replication streams");
        return;
    }
    struct stream_out *stream = mem_calloc(1, sizeof *stream);
    stream->owner = streams;
    stream->follower = request->follower;
    stream->incarnation = request->incarnation;
    stream->id = request->stream_id;
    stream->heard_us = env_now_us(options->env);
    stream->peer = rpc_peer(options->rpc, request->rpc_endpoint,
                            (struct rpc_node){.role = RPC_STORAGE, .node = request->follower});
    timer_init(&stream->heartbeat, heartbeat_fire, stream);
    timer_init(&stream->watermark, watermark_fire, stream);
    timer_init(&stream->pace, pace_fire, stream);
    timer_start_ms(options->env, &stream->heartbeat, HEARTBEAT_MS);
    stream->next = streams->first;
    streams->first = stream;
    streams->count++;
    closure(&reply, call);
}

// ---- subscribing: do the logs agree? ----

// KIP-101, 279, 320: the follower's last epoch must be one the leader has, and end no later than there. One
// that ends below the start begins anew, where the batch that holds the start may begin.
static void result_by_epoch(const struct replica *replica, const Millrace__Subscription *asked,
                            Millrace__SubscribeResult *result)
{
    int32_t epoch = -1;
    int64_t end = -1;
    int64_t start_at = log_start_base(replica->log);
    bool begun = asked->last_epoch < 0 && asked->log_end >= start_at;
    if (asked->log_end < log_start(replica->log) && !begun) {
        result->has_start_at = true;
        result->start_at = start_at;
        return;
    }
    if (asked->last_epoch >= 0)
        log_epoch_end(replica->log, asked->last_epoch, &epoch, &end);
    if (end < 0) { // newer than every epoch with records here: the largest one below it is our last
        epoch = log_last_epoch(replica->log);
        end = log_end(replica->log);
    }
    bool empty = asked->last_epoch < 0 || log_last_epoch(replica->log) < 0;
    if (empty && asked->log_end <= log_end(replica->log))
        return; // one of them has nothing that could differ
    if (epoch == asked->last_epoch && asked->log_end <= end)
        return;
    result->has_truncate_to = true;
    result->truncate_to = end < asked->log_end ? end : asked->log_end;
    result->has_truncate_epoch = true;
    result->truncate_epoch = epoch;
}

static void subscribe_one(struct stream_out *stream, const Millrace__Subscription *asked,
                          Millrace__SubscribeResult *result)
{
    struct partitions *partitions = stream->owner->partitions;
    struct replica *replica = partitions_find_proto(partitions, asked->topic_id, asked->partition);
    result->status = ST_NOT_LEADER;
    if (replica == NULL || replica->closing)
        return;
    if (asked->leader_epoch != replica->state.leader_epoch) {
        result->status = asked->leader_epoch > replica->state.leader_epoch ? ST_AGAIN : ST_STALE;
        return;
    }
    if (replica->state.role != PARTITION_LEADER || replica->log == NULL || log_lost(replica->log))
        return;
    // It may be about to throw away what it has: what it says of itself counts once the mark is gone. If it
    // knows of more than we do, a mark that is gone may be still to come here, and end the subscription.
    const struct partition_replica *follower = partition_replica(&replica->state, stream->follower);
    bool behind = asked->has_partition_epoch && asked->partition_epoch > replica->state.partition_epoch;
    if (behind || (follower != NULL && follower->failed)) {
        result->status = ST_AGAIN;
        return;
    }
    // Begun as a follower: where the log ends is not settled yet. Or the follower has just become a replica
    // and knows it before we do: what it acknowledges would not count, and without new records it says no
    // more.
    if (replica->cutting || partition_replica(&replica->state, stream->follower) == NULL) {
        result->status = ST_AGAIN;
        return;
    }
    // A request that was delivered twice or late must not replace what the follower has asked for since.
    struct subscription *present = subscription_find(stream, replica);
    if (present != NULL && (int32_t)(asked->subscription - present->id) <= 0) {
        result->status = ST_AGAIN;
        return;
    }
    result->status = ST_OK;
    result->has_log_start = result->has_high_watermark = true;
    result->log_start = log_start(replica->log);
    result->high_watermark = replica->state.high_watermark;
    result_by_epoch(replica, asked, result);
    if (result->has_truncate_to || result->has_start_at)
        return;
    watch_add(replica);
    subscription_begin(stream, replica, asked);
    int64_t flushed = asked->has_flushed ? asked->flushed : 0;
    replica_act(replica,
                partition_acknowledged(&replica->state, stream->follower, stream->incarnation,
                                       asked->leader_epoch, flushed, env_now_us(partitions->options.env)));
    if (asked->has_log_start)
        partition_follower_started(&replica->state, stream->follower, stream->incarnation,
                                   asked->leader_epoch, asked->log_start);
    replica_low_moved(replica);
}

void streams_out_subscribe(struct streams_out *streams, const Millrace__SubscribeRequest *request,
                           Millrace__SubscribeReply_Closure closure, struct rpc_call *call)
{
    const struct rpc_sender *sender = rpc_call_sender(call);
    struct stream_out *stream = stream_find(streams, sender->node.node, request->stream_id);
    if (stream == NULL) {
        rpc_fail(call, ST_STALE, "no such stream");
        return;
    }
    size_t count = request->n_partitions;
    Millrace__SubscribeReply reply = MILLRACE__SUBSCRIBE_REPLY__INIT;
    Millrace__SubscribeResult *results = mem_calloc(count, sizeof *results);
    Millrace__SubscribeResult **pointers = mem_calloc(count, sizeof *pointers);
    for (size_t i = 0; i < count; i++) {
        millrace__subscribe_result__init(&results[i]);
        subscribe_one(stream, request->partitions[i], &results[i]);
        pointers[i] = &results[i];
    }
    reply.n_partitions = count;
    reply.partitions = pointers;
    closure(&reply, call);
    mem_free(pointers);
    mem_free(results);
    stream_pump(stream);
}

// ---- sending ----

static void pieces_release(struct piece *pieces, int from, int count)
{
    for (int i = from; i < count; i++)
        piece_release(&pieces[i]);
}

static void stalled_ready(struct stream_out *stream)
{
    for (struct subscription *at = stream->subscriptions; at != NULL; at = at->stream_next) {
        if (at->stalled)
            ready_add(at);
        at->stalled = false;
    }
}

// A read or message of the catch-up window is over.
static void catch_up_credit(struct stream_out *stream, const struct under_way *over)
{
    stream->catch_up_bytes -= over->bytes;
    if (over->paced != 0)
        stream->paced_open = false;
    stalled_ready(stream);
}

static void ack_take(struct stream_out *stream, const Millrace__AppendAck *ack)
{
    struct partitions *partitions = stream->owner->partitions;
    struct replica *replica = partitions_find_proto(partitions, ack->topic_id, ack->partition);
    if (replica == NULL)
        return;
    struct subscription *subscription = subscription_find(stream, replica);
    if (subscription == NULL || subscription->id != ack->subscription)
        return; // the one to come says how far the follower is, which may be less
    watch_add(replica);
    int change = partition_acknowledged(&replica->state, stream->follower, stream->incarnation,
                                        ack->leader_epoch, ack->flushed, env_now_us(partitions->options.env));
    if (ack->status != ST_OK)
        subscription_end(subscription); // the follower subscribes again
    replica_act(replica, change);
    if (!ack->has_log_start)
        return;
    partition_follower_started(&replica->state, stream->follower, stream->incarnation, ack->leader_epoch,
                               ack->log_start);
    replica_low_moved(replica);
}

static void append_on_reply(const Millrace__AppendReply *reply, void *context)
{
    struct under_way *sent = context;
    struct streams_out *streams = sent->owner;
    struct stream_out *stream = stream_find(streams, sent->follower, sent->stream_id);
    if (stream != NULL && reply == NULL) {
        DIAG_INFO(&env_of(streams)->diag, "replication stream lost follower=%d why=%s", sent->follower,
                  status_text(rpc_result(streams->partitions->options.rpc)->status));
        stream_end(stream);
    } else if (stream != NULL) {
        stream->heard_us = env_now_us(env_of(streams));
        if (reply->has_throttle_ms && reply->throttle_ms > 0)
            stream->taken_again_us = stream->heard_us + reply->throttle_ms * 1000ll;
        if (sent->catch_up)
            catch_up_credit(stream, sent);
        else
            stream->live_bytes -= sent->bytes;
        for (size_t i = 0; i < reply->n_acks; i++)
            ack_take(stream, reply->acks[i]);
        stream_pump(stream);
    }
    mem_free(sent);
}

// Sends what the message holds and leaves it empty. paced: bits of enum pace_why; then it is catching up.
static void message_send(struct stream_out *stream, struct append_message *message, bool catch_up, int paced)
{
    struct streams_out *streams = stream->owner;
    struct under_way *sent = mem_calloc(1, sizeof *sent);
    ASSERT(catch_up || paced == 0);
    *sent = (struct under_way){.owner = streams,
                               .follower = stream->follower,
                               .stream_id = stream->id,
                               .bytes = (int64_t)message->bytes,
                               .catch_up = catch_up,
                               .paced = paced};
    stream->paced_open |= paced != 0;
    pace_sent(&streams->partitions->pace, paced, sent->bytes, env_now_us(env_of(streams)));
    *(catch_up ? &stream->catch_up_bytes : &stream->live_bytes) += sent->bytes;
    Millrace__AppendRequest request = MILLRACE__APPEND_REQUEST__INIT;
    request.stream_id = stream->id;
    request.sequence = stream->sequence++;
    request.catch_up = catch_up;
    append_message_finish(message, &request);
    struct rpc_options options = {
        .deadline_ms = APPEND_TIMEOUT_MS, .payload = message->frames, .payload_count = message->frame_count};
    millrace__storage__append(rpc_on(stream->peer, &millrace__storage__descriptor, &options), &request,
                              append_on_reply, sent);
    append_message_clear(message);
    stream->sent_since_heartbeat = true;
}

static void entry_head(struct append_entry *entry, struct subscription *subscription)
{
    const struct replica *replica = subscription->replica;
    *entry = (struct append_entry){.topic_id = replica->topic_id,
                                   .partition = replica->index,
                                   .leader_epoch = replica->state.leader_epoch,
                                   .base_offset = subscription->next_offset,
                                   .subscription = subscription->id,
                                   .high_watermark = replica->state.high_watermark,
                                   .log_start = replica->state.log_start};
    subscription->watermark_sent = entry->high_watermark;
    subscription->watermark_due = false;
}

static void read_on_done(struct log *log, enum status status, struct piece *piece,
                         const struct log_found *found, void *context)
{
    struct under_way *read = context;
    struct stream_out *stream = stream_find(read->owner, read->follower, read->stream_id);
    struct replica *replica = partitions_find(read->owner->partitions, read->topic_id, read->index);
    struct subscription *subscription = stream && replica ? subscription_find(stream, replica) : NULL;
    if (subscription == NULL || subscription->id != read->subscription) {
        if (stream != NULL)
            catch_up_credit(stream, read);
        if (piece != NULL)
            piece_release(piece);
        mem_free(read);
        return;
    }
    subscription->reading = false;
    catch_up_credit(stream, read);
    int paced = read->paced;
    mem_free(read);
    if (status == ST_OK && piece->len > 0 && found->first >= subscription->next_offset) {
        struct append_message message = {0};
        struct append_entry entry;
        entry_head(&entry, subscription);
        append_message_add(&message, &entry, piece);
        subscription->next_offset = found->next;
        message_send(stream, &message, true, paced);
    } else {
        if (piece != NULL)
            piece_release(piece);
        if (status == ST_OUT_OF_RANGE)
            return; // below the start: the follower hears of it and subscribes anew
        if (status == ST_CORRUPT || status == ST_IO)
            replica_damaged(replica, found->first, status);
        if (status != ST_OK && status != ST_AGAIN) {
            DIAG_WARN(&env_of(stream->owner)->diag,
                      "cannot read for a follower partition=%s follower=%d why=%s", replica_name(replica),
                      stream->follower, status_text(status));
            subscription_end(subscription);
            return;
        }
    }
    if (subscription->next_offset < replica->state.log_end)
        ready_add(subscription);
    stream_pump(stream);
}

// A follower that begins anew is below the start, and gets the batch that holds it first.
static int64_t read_from(const struct subscription *subscription)
{
    int64_t start = log_start(subscription->replica->log);
    return subscription->next_offset > start ? subscription->next_offset : start;
}

// The range is no longer in memory: reads some of it on the pool, when the catch-up window allows.
static void read_start(struct subscription *subscription, int paced)
{
    struct stream_out *stream = subscription->stream;
    struct replica *replica = subscription->replica;
    subscription->stalled = stream->catch_up_bytes >= CATCH_UP_WINDOW;
    if (subscription->stalled)
        return;
    struct under_way *read = mem_calloc(1, sizeof *read);
    *read = (struct under_way){.owner = stream->owner,
                               .follower = stream->follower,
                               .stream_id = stream->id,
                               .bytes = paced != 0 ? PACED_BYTES : MESSAGE_BYTES,
                               .paced = paced,
                               .topic_id = replica->topic_id,
                               .index = replica->index,
                               .subscription = subscription->id};
    subscription->reading = true;
    stream->paced_open |= paced != 0;
    stream->catch_up_bytes += read->bytes;
    struct log_range range = {.from = read_from(subscription),
                              .up_to = replica->state.log_end,
                              .max_bytes = (size_t)read->bytes,
                              .min_one = true};
    log_read_async(replica->log, &range, read_on_done, read);
}

// The offset behind the last of the whole batches.
static int64_t batches_end(struct slice bytes)
{
    int64_t end = 0;
    while (bytes.len > 0) {
        struct batch_header header;
        enum status parsed = batch_parse(bytes, &header);
        ASSERT(parsed == ST_OK && batch_size(&header) <= bytes.len);
        end = batch_last_offset(&header) + 1;
        bytes = slice_of(bytes.data + batch_size(&header), bytes.len - batch_size(&header));
    }
    return end;
}

enum added { ADDED, ADDED_FULL, ADDED_LATER };

// Adds what the log has for one subscription. ADDED_FULL: the message must be sent first, then again.
// ADDED_LATER: the range is read on the pool or the log is offline; the subscription becomes ready again by
// itself.
static enum added subscription_add(struct subscription *subscription, struct append_message *message,
                                   int paced)
{
    struct replica *replica = subscription->replica;
    struct piece pieces[LOG_PIECES];
    struct log_found found;
    int count = 0;
    struct log_range range = {.from = read_from(subscription),
                              .up_to = replica->state.log_end,
                              .max_bytes = (paced != 0 ? PACED_BYTES : MESSAGE_BYTES) - message->bytes,
                              .min_one = message->bytes == 0};
    if (range.from >= range.up_to) { // all it lacks is gone: it hears of it, subscribes again and begins anew
        subscription->next_offset = range.from;
        start_news(subscription);
        return ADDED;
    }
    enum status status = log_read(replica->log, &range, pieces, LOG_PIECES, &count, &found);
    if (status == ST_AGAIN || (status == ST_OK && count > 0 && pieces[0].file != NULL)) {
        pieces_release(pieces, 0, count);
        read_start(subscription, paced);
        return ADDED_LATER;
    }
    if (status != ST_OK)
        return ADDED_LATER;
    if (count == 0)
        return range.min_one ? ADDED : ADDED_FULL;
    for (int i = 0; i < count; i++) {
        struct append_entry entry;
        if (pieces[i].file != NULL) {
            pieces_release(pieces, i, count);
            return ADDED_FULL;
        }
        int64_t end = batches_end(slice_of(pieces[i].data, pieces[i].len));
        entry_head(&entry, subscription);
        if (!append_message_add(message, &entry, &pieces[i])) {
            pieces_release(pieces, i, count);
            return ADDED_FULL;
        }
        subscription->next_offset = end;
    }
    return ADDED;
}

// Sends some of what is paced, if it is time; else it waits until it is, or until what is under way is over.
static enum added paced_send(struct subscription *subscription, int paced)
{
    struct stream_out *stream = subscription->stream;
    struct env *env = env_of(stream->owner);
    int64_t now_us = env_now_us(env), wait_us = pace_wait_us(&stream->owner->partitions->pace, paced, now_us);
    if (paced & PACE_FOLLOWER && stream->taken_again_us - now_us > wait_us)
        wait_us = stream->taken_again_us - now_us;
    subscription->stalled = stream->paced_open || wait_us > 0;
    if (subscription->stalled) {
        if (!stream->paced_open && !timer_running(&stream->pace))
            timer_start_us(env, &stream->pace, wait_us < PACE_US_MAX ? wait_us : PACE_US_MAX);
        return ADDED_LATER;
    }
    struct append_message message = {0};
    enum added added = subscription_add(subscription, &message, paced);
    if (message.entry_count > 0)
        message_send(stream, &message, true, paced);
    return added;
}

static void pace_fire(struct timer *timer)
{
    struct stream_out *stream = timer->context;
    stalled_ready(stream);
    stream_pump(stream);
}

static void stream_pump(struct stream_out *stream)
{
    struct append_message message = {0};
    while (stream->ready_first != NULL && stream->live_bytes < LIVE_WINDOW) {
        struct subscription *subscription = stream->ready_first;
        ready_remove(subscription);
        int paced = pace_of(subscription->replica, stream->follower);
        enum added added =
            paced != 0 ? paced_send(subscription, paced) : subscription_add(subscription, &message, 0);
        if ((paced == 0 && added == ADDED_FULL) || message.bytes >= MESSAGE_BYTES) {
            ASSERT(message.entry_count > 0);
            message_send(stream, &message, false, 0);
        }
        if (added != ADDED_LATER && subscription->next_offset < subscription->replica->state.log_end)
            ready_add(subscription); // behind the others
    }
    if (message.entry_count > 0)
        message_send(stream, &message, false, 0);
}

void streams_out_changed(struct replica *replica)
{
    for (struct subscription *at = replica->subscriptions; at != NULL; at = at->replica_next)
        ready_add(at);
}

void streams_out_pump(struct streams_out *streams)
{
    for (struct stream_out *at = streams->first; at != NULL; at = at->next)
        if (at->ready_first != NULL)
            stream_pump(at);
}

// ---- watermark and heartbeat ----

void streams_out_watermark(struct replica *replica)
{
    for (struct subscription *at = replica->subscriptions; at != NULL; at = at->replica_next) {
        at->watermark_due = at->watermark_sent != replica->state.high_watermark;
        struct stream_out *stream = at->stream;
        if (at->watermark_due && !timer_running(&stream->watermark))
            timer_start_ms(env_of(stream->owner), &stream->watermark, WATERMARK_DELAY_MS);
    }
}

void streams_out_started(struct replica *replica)
{
    for (struct subscription *at = replica->subscriptions; at != NULL; at = at->replica_next)
        start_news(at);
}

static void watermark_fire(struct timer *timer)
{
    struct stream_out *stream = timer->context;
    struct append_message message = {0};
    for (struct subscription *at = stream->subscriptions; at != NULL; at = at->stream_next) {
        struct append_entry entry;
        if (!at->watermark_due && !at->start_due)
            continue;
        entry_head(&entry, at);
        entry.tell_start = at->start_due;
        at->start_due = false;
        if (!append_message_add(&message, &entry, NULL)) {
            message_send(stream, &message, false, 0);
            append_message_add(&message, &entry, NULL);
        }
    }
    if (message.entry_count > 0)
        message_send(stream, &message, false, 0);
}

static void heartbeat_fire(struct timer *timer)
{
    struct stream_out *stream = timer->context;
    if (!stream->sent_since_heartbeat) {
        struct append_message message = {0};
        message_send(stream, &message, false, 0);
    }
    stream->sent_since_heartbeat = false;
    timer_start_ms(env_of(stream->owner), &stream->heartbeat, HEARTBEAT_MS);
}
