// SPDX-License-Identifier: Apache-2.0
// See positions.h. The answer goes when the last time has been read.
#include "positions.h"

#include "base/mem.h"
#include "replica.h"
#include "share_groups.h"
#include "storage.h"

enum { PER_CALL_MAX = 256 };

struct asking;

struct part { // one partition of a call
    struct asking *asking;
    struct uuid topic_id;
    int32_t partition;
    Millrace__Position answer;
};

struct asking {                  // one call
    struct positions *positions; // NULL: the node has stopped meanwhile
    struct asking *next, *previous;
    Millrace__PositionsReply_Closure closure;
    struct rpc_call *call;
    size_t count;
    size_t open; // reads under way, and one while the request is taken in
    struct part parts[];
};

struct positions {
    struct partitions *partitions;
    const struct storage *storage;
    struct asking *first;
};

// ---- the call ----

static struct asking *asking_new(struct positions *positions, size_t count)
{
    struct asking *asking = mem_calloc(1, sizeof *asking + count * sizeof asking->parts[0]);
    asking->positions = positions;
    asking->count = count;
    asking->open = 1;
    asking->next = positions->first;
    if (positions->first != NULL)
        positions->first->previous = asking;
    positions->first = asking;
    return asking;
}

static void asking_leave(struct asking *asking)
{
    *(asking->previous != NULL ? &asking->previous->next : &asking->positions->first) = asking->next;
    if (asking->next != NULL)
        asking->next->previous = asking->previous;
    asking->positions = NULL;
}

static void asking_answer(struct asking *asking)
{
    Millrace__PositionsReply reply = MILLRACE__POSITIONS_REPLY__INIT;
    Millrace__Position *rows[PER_CALL_MAX];
    for (size_t i = 0; i < asking->count; i++)
        rows[i] = &asking->parts[i].answer;
    reply.positions = rows;
    reply.n_positions = asking->count;
    asking->closure(&reply, asking->call);
    asking_leave(asking);
}

static void asking_step(struct asking *asking)
{
    if (--asking->open > 0)
        return;
    if (asking->positions != NULL)
        asking_answer(asking);
    mem_free(asking);
}

// ---- the time of a record ----

static void put_time(struct part *part, const struct batch_header *header)
{
    part->answer.has_timestamp = true;
    part->answer.timestamp = header->base_timestamp;
}

// Of a batch in memory. ST_AGAIN: it is in a file.
static enum status time_in_memory(struct part *part, const struct replica *replica,
                                  const struct log_range *range)
{
    struct piece piece;
    struct log_found found;
    struct batch_header header;
    int count;
    enum status status = log_read(replica->log, range, &piece, 1, &count, &found);
    if (status != ST_OK || count == 0)
        return status;
    if (piece.file != NULL)
        status = ST_AGAIN;
    else if (batch_parse(slice_of(piece.data, piece.len), &header) == ST_OK)
        put_time(part, &header);
    piece_release(&piece);
    return status;
}

static void on_read(struct log *log, enum status status, struct piece *piece, const struct log_found *found,
                    void *context)
{
    struct part *part = context;
    struct asking *asking = part->asking;
    struct batch_header header;
    struct replica *replica = asking->positions == NULL ? NULL
                                                        : partitions_find(asking->positions->partitions,
                                                                          part->topic_id, part->partition);
    if (replica != NULL && (status == ST_CORRUPT || status == ST_IO))
        replica_damaged(replica, found->first, status);
    if (status == ST_OK && piece->len > 0 && batch_parse(slice_of(piece->data, piece->len), &header) == ST_OK)
        put_time(part, &header);
    if (piece != NULL)
        piece_release(piece);
    asking_step(asking);
}

static void find_time(struct part *part, const struct replica *replica, int64_t offset)
{
    int64_t start = log_start(replica->log);
    struct log_range range = {.from = offset > start ? offset : start,
                              .up_to = replica->state.high_watermark,
                              .max_bytes = 1,
                              .min_one = true};
    if (range.from >= range.up_to || time_in_memory(part, replica, &range) != ST_AGAIN)
        return;
    part->asking->open++;
    log_read_async(replica->log, &range, on_read, part);
}

// ---- one partition ----

static void put_ends(Millrace__Position *answer, const struct replica *replica)
{
    answer->has_log_start = answer->has_high_watermark = answer->has_stable_end = true;
    answer->log_start = log_start(replica->log);
    answer->high_watermark = replica->state.high_watermark;
    answer->stable_end = log_stable_end(replica->log, replica->state.high_watermark);
}

// Where a share group is in it, when that is known here. Returns the offset whose time is wanted.
static int64_t put_share(struct part *part, const struct replica *replica,
                         const Millrace__PositionAsked *asked)
{
    const struct share_groups *groups = storage_share_groups(part->asking->positions->storage);
    struct slice group = slice_of(asked->share_group.data, asked->share_group.len);
    const struct share_served *served =
        !asked->has_share_group || groups == NULL ? NULL : share_groups_look(groups, group, replica);
    if (served == NULL || served->state != SHARE_READY)
        return asked->time_of;
    Millrace__Position *answer = &part->answer;
    answer->has_share_start = answer->has_share_complete = true;
    answer->has_share_acquired = answer->has_share_available = true;
    answer->share_start = served->partition.start;
    answer->share_complete = served->partition.runs.over;
    answer->share_acquired = served->partition.runs.acquired;
    answer->share_available = served->partition.runs.available;
    return answer->share_start;
}

static void part_begin(struct part *part, const Millrace__PositionAsked *asked)
{
    struct partitions *partitions = part->asking->positions->partitions;
    struct replica *replica = NULL;
    bool fenced;
    millrace__position__init(&part->answer);
    part->partition = asked->partition;
    if (asked->topic_id.len == sizeof part->topic_id.bytes) {
        memcpy(part->topic_id.bytes, asked->topic_id.data, sizeof part->topic_id.bytes);
        replica = partitions_find(partitions, part->topic_id, asked->partition);
    }
    enum status status = replica == NULL ? ST_NOT_LEADER : replica_lead(replica, -1, &fenced);
    if (status == ST_OK && !partition_end_known(&replica->state))
        status = ST_LOADING; // an older end than clients have seen (KIP-207)
    part->answer.status = (int32_t)status;
    if (status != ST_OK)
        return;
    put_ends(&part->answer, replica);
    int64_t time_of = put_share(part, replica, asked);
    if (time_of >= 0)
        find_time(part, replica, time_of);
}

void positions_serve(struct positions *positions, const Millrace__PositionsRequest *request,
                     Millrace__PositionsReply_Closure closure, struct rpc_call *call)
{
    if (request->n_partitions > PER_CALL_MAX) {
        rpc_fail(call, ST_LIMIT, "too many partitions in one call");
        return;
    }
    struct asking *asking = asking_new(positions, request->n_partitions);
    asking->closure = closure;
    asking->call = call;
    for (size_t i = 0; i < request->n_partitions; i++) {
        asking->parts[i].asking = asking;
        part_begin(&asking->parts[i], request->partitions[i]);
    }
    asking_step(asking);
}

struct positions *positions_new(struct partitions *partitions, const struct storage *storage)
{
    struct positions *positions = mem_calloc(1, sizeof *positions);
    positions->partitions = partitions;
    positions->storage = storage;
    return positions;
}

void positions_destroy(struct positions **pointer)
{
    struct positions *positions = *pointer;
    *pointer = NULL;
    while (positions->first != NULL) {
        struct asking *asking = positions->first;
        rpc_fail(asking->call, ST_CLOSED, "the storage node stops");
        asking_leave(asking); // its reads free it
    }
    mem_free(positions);
}
