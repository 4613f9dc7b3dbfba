// SPDX-License-Identifier: Apache-2.0
// ListOffsets, all versions: begin, end, newest timestamp, or the first record at or after a timestamp. The
// end of a log is not told before this leader's watermark has passed the start of its epoch (KIP-207): an
// older number would let a client see offsets go back. Nor is it said till then that no record is as new as a
// timestamp: one may have been read, behind the watermark as far as this leader knows it.
#include "handlers.h"
#include "kafka/messages/list_offsets.h"
#include "lookup.h"
#include "partitions.h"

#include "base/assert.h"

#include <stdlib.h>

typedef struct kafka_list_offsets_request_list_offsets_partition asked_t;
typedef struct kafka_list_offsets_response_list_offsets_partition_response answer_t;

enum list_offsets_timestamp {
    TIMESTAMP_LATEST = -1,
    TIMESTAMP_EARLIEST = -2,
    TIMESTAMP_MAX = -3,                  // KIP-734
    TIMESTAMP_EARLIEST_LOCAL = -4,       // KIP-405
    TIMESTAMP_LATEST_TIERED = -5,        // KIP-1005; nothing is tiered here
    TIMESTAMP_EARLIEST_NOT_UPLOADED = -6 // KIP-1023
};

struct listing {
    struct storage_request *request;
    struct kafka_list_offsets_response response;
    int remaining; // partitions searched on the pool, and one while the request is taken in
};

struct listing_item {
    struct listing *listing;
    answer_t *answer;
    bool end_known;
};

// Before version 4 an answer has no leader epoch.
static void set_epoch(const struct listing *listing, answer_t *answer, int32_t leader_epoch)
{
    if (listing->request->version >= 4)
        answer->leader_epoch = leader_epoch;
}

static void listing_step(struct listing *listing)
{
    if (--listing->remaining == 0)
        storage_answer(listing->request, &listing->response);
}

static int16_t end_unknown(int16_t version)
{
    return version >= 5 ? KAFKA_ERR_OFFSET_NOT_AVAILABLE : KAFKA_ERR_LEADER_NOT_AVAILABLE;
}

static void item_on_found(struct log *log, enum status status, const struct log_time_answer *found,
                          void *context)
{
    struct listing_item *item = context;
    if (status == ST_OK && found->offset < 0 && !item->end_known) {
        item->answer->error_code = end_unknown(item->listing->request->version);
    } else if (status == ST_OK) {
        item->answer->timestamp = found->timestamp;
        item->answer->offset = found->offset;
        set_epoch(item->listing, item->answer, found->leader_epoch);
    } else {
        item->answer->error_code = lookup_error(status);
    }
    listing_step(item->listing);
}

// The lowest version that knows each special timestamp.
static bool timestamp_known(int64_t timestamp, int16_t version)
{
    static const int16_t since[] = {0, 1, 1, 7, 8, 9, 11};
    return timestamp >= 0 || (timestamp >= TIMESTAMP_EARLIEST_NOT_UPLOADED && version >= since[-timestamp]);
}

// The offset behind the last record the client may see.
static int64_t visible_end(const struct listing *listing, const struct replica *replica)
{
    const struct kafka_list_offsets_request *body = listing->request->body;
    return body->isolation_level == 1 ? log_stable_end(replica->log, replica->state.high_watermark)
                                      : replica->state.high_watermark;
}

static void found_at(const struct listing *listing, answer_t *answer, const struct replica *replica,
                     int64_t offset)
{
    int32_t leader_epoch = log_epoch_at(replica->log, offset);
    answer->offset = offset;
    set_epoch(listing, answer, leader_epoch >= 0 ? leader_epoch : replica->state.leader_epoch);
}

static void item_begin(struct listing *listing, const asked_t *asked, struct replica *replica,
                       answer_t *answer)
{
    int64_t timestamp = asked->timestamp;
    int64_t newest_offset;
    switch (timestamp) {
    case TIMESTAMP_LATEST:
        answer->error_code =
            partition_end_known(&replica->state) ? KAFKA_ERR_NONE : end_unknown(listing->request->version);
        if (answer->error_code == KAFKA_ERR_NONE)
            found_at(listing, answer, replica, visible_end(listing, replica));
        return;
    case TIMESTAMP_EARLIEST:
    case TIMESTAMP_EARLIEST_LOCAL:
        found_at(listing, answer, replica, log_start(replica->log));
        return;
    case TIMESTAMP_LATEST_TIERED:
    case TIMESTAMP_EARLIEST_NOT_UPLOADED: // said to be unknown where nothing is uploaded
        return;
    case TIMESTAMP_MAX:
        log_max_timestamp(replica->log, &timestamp, &newest_offset);
        if (newest_offset < 0)
            return;
        break; // the first record with the newest timestamp
    default:
        break;
    }
    struct listing_item *item = arena_alloc(&listing->request->arena, sizeof *item);
    if (item == NULL) {
        answer->error_code = KAFKA_ERR_KAFKA_STORAGE_ERROR;
        return;
    }
    *item = (struct listing_item){
        .listing = listing, .answer = answer, .end_known = partition_end_known(&replica->state)};
    listing->remaining++;
    log_find_by_timestamp(replica->log, timestamp, visible_end(listing, replica), item_on_found, item);
}

static int by_index(const void *left, const void *right)
{
    const int32_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

// The indexes asked for in their order, in the arena; NULL at its cap.
static int32_t *indexes_sort(struct arena *arena,
                             const struct kafka_list_offsets_request_list_offsets_topic *topic)
{
    int32_t *indexes = arena_calloc(arena, (size_t)topic->partitions_count + 1, sizeof *indexes);
    for (int i = 0; indexes != NULL && i < topic->partitions_count; i++)
        indexes[i] = topic->partitions[i].partition_index;
    if (indexes != NULL)
        qsort(indexes, (size_t)topic->partitions_count, sizeof *indexes, by_index);
    return indexes;
}

static bool asked_twice(const int32_t *indexes, int count, int32_t index)
{
    const int32_t *at = bsearch(&index, indexes, (size_t)count, sizeof *indexes, by_index);
    ASSERT(at != NULL);
    return (at > indexes && at[-1] == index) || (at + 1 < indexes + count && at[1] == index);
}

static bool topic_begin(struct listing *listing,
                        const struct kafka_list_offsets_request_list_offsets_topic *asked,
                        struct kafka_list_offsets_response_list_offsets_topic_response *answer)
{
    struct storage_request *request = listing->request;
    struct lookup_topic named = {.name = asked->name};
    const struct image_topic *topic;
    int16_t topic_error = lookup_topic(request, &named, OPERATION_DESCRIBE, &topic);
    answer->name = asked->name;
    answer->partitions_count = asked->partitions_count;
    answer->partitions =
        kafka_structure_array(&kafka_list_offsets_response_list_offsets_partition_response_type,
                              &request->arena, asked->partitions_count);
    const int32_t *indexes = indexes_sort(&request->arena, asked);
    if (indexes == NULL)
        return false;
    for (int i = 0; answer->partitions != NULL && i < asked->partitions_count; i++) {
        const asked_t *partition = &asked->partitions[i];
        answer_t *out = &answer->partitions[i];
        struct replica *replica = NULL;
        out->partition_index = partition->partition_index;
        out->error_code = topic_error;
        if (topic_error == KAFKA_ERR_NONE && asked_twice(indexes, asked->partitions_count, out->partition_index))
            out->error_code = KAFKA_ERR_INVALID_REQUEST;
        else if (topic_error == KAFKA_ERR_NONE && !timestamp_known(partition->timestamp, request->version))
            out->error_code = KAFKA_ERR_UNSUPPORTED_VERSION;
        else if (topic_error == KAFKA_ERR_NONE)
            out->error_code = lookup_leader(request, topic, partition->partition_index,
                                            partition->current_leader_epoch, &replica);
        if (out->error_code == KAFKA_ERR_NONE)
            item_begin(listing, partition, replica, out);
    }
    return answer->partitions != NULL;
}

void storage_list_offsets(struct storage_request *request)
{
    const struct kafka_list_offsets_request *body = request->body;
    struct listing *listing = arena_alloc(&request->arena, sizeof *listing);
    bool room = listing != NULL;
    if (room) {
        listing->request = request;
        listing->remaining = 1;
        kafka_defaults(&kafka_list_offsets_response_message, &listing->response);
        listing->response.topics_count = body->topics_count;
        listing->response.topics =
            kafka_structure_array(&kafka_list_offsets_response_list_offsets_topic_response_type,
                                  &request->arena, body->topics_count);
        room = listing->response.topics != NULL;
    }
    // At the arena's cap the answer has the topics that fitted; a client asks again for what it misses.
    for (int i = 0; room && i < listing->response.topics_count; i++)
        if (!topic_begin(listing, &body->topics[i], &listing->response.topics[i]))
            listing->response.topics_count = i;
    if (!room)
        storage_answer_close(request, "the request needs too much memory");
    else
        listing_step(listing);
}
