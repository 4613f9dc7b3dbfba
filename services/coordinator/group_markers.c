// SPDX-License-Identifier: Apache-2.0
// See group_markers.h.
#include "group_markers.h"

#include "base/mem.h"
#include "cluster/marker_parts.h"
#include "cluster/shard.h"

#include <string.h>

enum { ANSWER_MS = 200 }; // far below the caller's deadline (txn_outbox.c), as in storage's markers.c

struct marking;

// One shard of the request.
struct part {
    struct marking *marking;
    struct ledger_wait wait;
};

struct marking {
    struct coordinator *coordinator;
    Millrace__WriteMarkersReply_Closure closure;
    struct rpc_call *call;
    int32_t *statuses; // one per partition
    struct part *parts;
    size_t count;
    size_t open; // parts without a status, and one while the request is taken in
    struct timer limit;
};

static void marking_end(struct marking *marking)
{
    Millrace__WriteMarkersReply reply = MILLRACE__WRITE_MARKERS_REPLY__INIT;
    reply.status = marking->statuses;
    reply.n_status = marking->count;
    marking->closure(&reply, marking->call);
    timer_stop(marking->coordinator->env, &marking->limit);
    mem_free(marking->statuses);
    mem_free(marking->parts);
    mem_free(marking);
}

static void part_done(void *context, enum status status)
{
    struct part *part = context;
    struct marking *marking = part->marking;
    marking->statuses[part - marking->parts] = (int32_t)status;
    if (--marking->open == 0)
        marking_end(marking);
}

// A shard does not get on, perhaps for as long as its partition has no leader. Other transactions' ends are
// told without it, and the late one is sent again, in a call of its own: that finds the shard's state without
// the transaction, writes nothing (shard_end_txn) and waits as long as its caller does. So also a shard that
// is slow all the time is heard of.
static void marking_on_limit(struct timer *timer)
{
    struct marking *marking = timer->context;
    for (size_t i = 0; i < marking->count; i++) {
        if (marking->parts[i].wait.ledger == NULL)
            continue;
        ledger_wait_cancel(&marking->parts[i].wait);
        marking->statuses[i] = ST_AGAIN;
    }
    marking_end(marking);
}

// A former owner of the transaction may still be sending.
static bool outdated(const struct coordinator *coordinator, const Millrace__Marker *marker)
{
    const struct image_shard *shard =
        image_shard(coordinator->image, SHARD_TOPIC_TRANSACTIONS, marker->shard);
    return shard != NULL && marker->owner_epoch < shard->owner_epoch;
}

static void part_begin(const Millrace__Marker *marker, const char *topic, int32_t partition, size_t number,
                       void *context)
{
    struct marking *marking = context;
    struct coordinator *coordinator = marking->coordinator;
    struct part *part = &marking->parts[number];
    struct shard *shard = NULL;
    part->marking = marking;
    if (coordinator_serving(coordinator) && strcmp(topic, SHARD_TOPIC_GROUPS) == 0)
        shard = coordinator_shard_at(coordinator, partition);
    struct shard_end end = {.producer = {marker->producer_id, (int16_t)marker->producer_epoch},
                            .commit = marker->commit,
                            .coordinator_epoch = marker->owner_epoch,
                            .started_ms = marker->started_ms,
                            .raised = marker->raised};
    enum status status = ST_OK;
    if (shard == NULL)
        status = ST_NOT_LEADER;
    else if (!shard_ready(shard))
        status = ST_LOADING;
    else if (outdated(coordinator, marker))
        status = ST_STALE;
    else
        status = shard_end_txn(shard, &end);
    if (status == ST_OK)
        ledger_wait(shard_ledger(shard), &part->wait, part_done, part);
    else
        part_done(part, status);
}

void group_markers(struct coordinator *coordinator, const Millrace__WriteMarkersRequest *request,
                   Millrace__WriteMarkersReply_Closure closure, struct rpc_call *call)
{
    size_t count = marker_parts_count(request);
    if (count > MARKER_PARTS_MAX) {
        rpc_fail(call, ST_LIMIT, "too many partitions in one call");
        return;
    }
    struct marking *marking = mem_calloc(1, sizeof *marking);
    *marking = (struct marking){
        .coordinator = coordinator, .closure = closure, .call = call, .count = count, .open = count + 1};
    marking->statuses = mem_calloc(count + 1, sizeof *marking->statuses);
    marking->parts = mem_calloc(count + 1, sizeof *marking->parts);
    timer_init(&marking->limit, marking_on_limit, marking);
    marker_parts_each(request, part_begin, marking);
    if (--marking->open == 0)
        marking_end(marking);
    else if (request->n_markers > 1)
        timer_start_ms(coordinator->env, &marking->limit, ANSWER_MS);
}
