// SPDX-License-Identifier: Apache-2.0
// See markers.h.
#include "markers.h"

#include "admission.h"
#include "base/mem.h"
#include "cluster/marker_parts.h"
#include "cluster/shard.h"
#include "handlers.h"
#include "late_markers.h"
#include "partitions_state.h"

enum {
    MARKER_BYTES_MAX = 256,
    ANSWER_MS = 200 // far below the caller's deadline (txn_outbox.c): what is late then holds up nobody else
};

// ---- one marker ----

static void on_committed(struct wait *wait, enum status status)
{
    struct marker_wait *waiting = wait->context;
    waiting->done(waiting->context, status);
}

// A former owner of the transaction may still be sending: the image or the log knows a newer one.
static bool outdated(const struct replica *replica, const struct marker *marker,
                     const struct log_producer_view *producer)
{
    const struct image *image = replica->partitions->options.image;
    const struct image_shard *shard = image_shard(image, SHARD_TOPIC_TRANSACTIONS, marker->shard);
    return (shard != NULL && marker->owner_epoch < shard->owner_epoch) ||
           (producer != NULL && marker->owner_epoch < producer->coordinator_epoch);
}

// Whether the producer has gone on since: then the marker has been here. In the new flow an open transaction
// with the marker's own epoch is a later one; in the old one the time it began tells, while the grant is
// kept.
static bool is_over(const struct replica *replica, const struct marker *marker,
                    const struct log_producer_view *producer)
{
    bool open = producer != NULL && producer->txn_first_offset >= 0;
    return (open && marker->raised && producer->epoch == marker->producer_epoch) ||
           admission_newer(replica, marker->producer_id, marker->started_ms);
}

// Whether the marker is to be written. *status: what is answered when it is not. Batches that wait for room are
// passed: where there are always some it would never have its turn, and those of its own transaction that have
// no answer yet are not in it.
static bool wanted(const struct replica *replica, const struct marker *marker, enum status *status)
{
    struct log_producer_view producer;
    bool known = log_find_producer(replica->log, marker->producer_id, &producer);
    bool older = known && producer.epoch > marker->producer_epoch;
    bool operator= marker->shard<0;
    *status = ST_STALE;
    if (outdated(replica, marker, known ? &producer : NULL))
        return false;
    *status = operator&& older ? ST_INVALID : ST_OK;
    if (older || is_over(replica, marker, known ? &producer : NULL))
        return false;
    *status = ST_AGAIN;
    return partition_isr_size(&replica->state) >= partition_isr_needed(&replica->state);
}

static struct block *build(const struct replica *replica, const struct marker *marker,
                           struct batch_header *header)
{
    struct batch_spec spec = batch_spec_plain();
    spec.producer_id = marker->producer_id;
    spec.producer_epoch = marker->producer_epoch;
    struct buf bytes;
    buf_init(&bytes, MARKER_BYTES_MAX);
    enum status status = batch_build_marker(&spec, marker->commit, marker->owner_epoch,
                                            env_wall_ms(replica->partitions->options.env), &bytes);
    if (status == ST_OK)
        status = batch_parse(buf_slice(&bytes), header);
    struct block *block = status == ST_OK ? block_copy(buf_slice(&bytes)) : NULL;
    buf_fini(&bytes);
    return block;
}

static enum status append(struct replica *replica, const struct marker *marker)
{
    struct batch_header header;
    struct block *block = build(replica, marker, &header);
    if (block == NULL)
        return ST_NO_MEMORY;
    enum status status = replica_append(replica, block, 0, block->len, &header);
    block_unref(&block);
    return status == ST_LIMIT ? ST_AGAIN : status;
}

static void await(struct replica *replica, int64_t end, struct marker_wait *wait)
{
    if (replica->state.high_watermark >= end)
        wait->done(wait->context, ST_OK);
    else
        wait_add(&replica->commit_waits, &wait->wait, end, on_committed, wait);
}

void marker_write(struct replica *replica, const struct marker *marker, struct marker_wait *wait,
                  marker_fn *done, void *context)
{
    enum status status;
    wait->done = done;
    wait->context = context;
    if (wanted(replica, marker, &status))
        status = append(replica, marker);
    if (status != ST_OK) {
        done(context, status);
        return;
    }
    admission_end(replica, marker->producer_id, marker->started_ms);
    await(replica, replica->state.log_end, wait); // also a marker that was here before may not be committed
    storage_produce_resume(replica); // what waited for the transaction that has just ended asks anew
}

// ---- the call ----

struct marking;

struct part {
    struct marking *marking;
    struct replica *replica; // while it waits
    struct marker marker;
    struct marker_wait wait;
};

struct marking {
    struct markers *markers;
    struct marking *next, *previous;
    Millrace__WriteMarkersReply_Closure closure;
    struct rpc_call *call;
    int32_t *statuses;
    struct part *parts;
    size_t count;
    size_t open; // parts without a status, and one while the request is taken in
    struct timer limit;
};

struct markers {
    struct partitions *partitions;
    struct marking *first;
    struct late_markers *late;
};

static struct env *env_of(const struct markers *markers)
{
    return markers->partitions->options.env;
}

static void marking_free(struct marking *marking)
{
    *(marking->previous != NULL ? &marking->previous->next : &marking->markers->first) = marking->next;
    if (marking->next != NULL)
        marking->next->previous = marking->previous;
    timer_stop(env_of(marking->markers), &marking->limit);
    for (size_t i = 0; i < marking->count; i++)
        wait_cancel(&marking->parts[i].wait.wait);
    mem_free(marking->statuses);
    mem_free(marking->parts);
    mem_free(marking);
}

static void marking_end(struct marking *marking)
{
    Millrace__WriteMarkersReply reply = MILLRACE__WRITE_MARKERS_REPLY__INIT;
    reply.status = marking->statuses;
    reply.n_status = marking->count;
    marking->closure(&reply, marking->call);
    marking_free(marking);
}

static void part_done(void *context, enum status status)
{
    struct part *part = context;
    struct marking *marking = part->marking;
    marking->statuses[part - marking->parts] = (int32_t)status;
    if (--marking->open == 0)
        marking_end(marking);
}

// A partition does not get on, perhaps for as long as a follower hangs that is in sync. The others' markers
// are told, so that only the late ones are sent again.
static void marking_on_limit(struct timer *timer)
{
    struct marking *marking = timer->context;
    for (size_t i = 0; i < marking->count; i++) {
        struct part *part = &marking->parts[i];
        if (part->wait.wait.list == NULL)
            continue;
        marking->statuses[i] = ST_AGAIN;
        late_markers_keep(marking->markers->late, part->replica, &part->marker, &part->wait.wait);
    }
    marking_end(marking);
}

static void part_write(struct part *part)
{
    int64_t end = late_markers_take(part->marking->markers->late, part->replica, &part->marker);
    if (end < 0) {
        marker_write(part->replica, &part->marker, &part->wait, part_done, part);
        return;
    }
    part->wait.done = part_done;
    part->wait.context = part;
    await(part->replica, end, &part->wait);
}

static void part_begin(const Millrace__Marker *asked, const char *topic, int32_t partition, size_t number,
                       void *context)
{
    struct marking *marking = context;
    struct part *part = &marking->parts[number];
    struct partitions *partitions = marking->markers->partitions;
    struct replica *replica = partitions_find_named(partitions, slice_str(topic), partition);
    part->marking = marking;
    part->replica = replica;
    part->marker = (struct marker){.producer_id = asked->producer_id,
                                   .producer_epoch = (int16_t)asked->producer_epoch,
                                   .commit = asked->commit,
                                   .shard = asked->shard,
                                   .owner_epoch = asked->owner_epoch,
                                   .started_ms = asked->started_ms,
                                   .raised = asked->raised};
    bool fenced;
    enum status status =
        replica == NULL || replica->internal ? ST_NOT_LEADER : replica_lead(replica, -1, &fenced);
    if (status == ST_OK)
        part_write(part);
    else
        part_done(part, status);
}

static struct marking *marking_new(struct markers *markers, size_t count)
{
    struct marking *marking = mem_calloc(1, sizeof *marking);
    marking->markers = markers;
    marking->next = markers->first;
    if (markers->first != NULL)
        markers->first->previous = marking;
    markers->first = marking;
    marking->count = count;
    marking->open = count + 1;
    marking->statuses = mem_calloc(count + 1, sizeof *marking->statuses);
    marking->parts = mem_calloc(count + 1, sizeof *marking->parts);
    timer_init(&marking->limit, marking_on_limit, marking);
    return marking;
}

void markers_serve(struct markers *markers, const Millrace__WriteMarkersRequest *request,
                   Millrace__WriteMarkersReply_Closure closure, struct rpc_call *call)
{
    size_t count = marker_parts_count(request);
    if (count > MARKER_PARTS_MAX) {
        rpc_fail(call, ST_LIMIT, "too many partitions in one call");
        return;
    }
    struct marking *marking = marking_new(markers, count);
    marking->closure = closure;
    marking->call = call;
    marker_parts_each(request, part_begin, marking);
    partitions_flush(markers->partitions);
    if (--marking->open == 0)
        marking_end(marking);
    else
        timer_start_ms(env_of(markers), &marking->limit, ANSWER_MS);
}

struct markers *markers_new(struct partitions *partitions)
{
    struct markers *markers = mem_calloc(1, sizeof *markers);
    markers->partitions = partitions;
    markers->late = late_markers_new(env_of(markers));
    return markers;
}

void markers_destroy(struct markers **pointer)
{
    struct markers *markers = *pointer;
    *pointer = NULL;
    while (markers->first != NULL) {
        rpc_fail(markers->first->call, ST_CLOSED, "the storage node stops");
        marking_free(markers->first);
    }
    late_markers_destroy(&markers->late);
    mem_free(markers);
}
