// SPDX-License-Identifier: Apache-2.0
// One partition of a ShareFetch: its leader, its share partition, bytes from the log, and which of their
// records the member gets. Bytes are memory, since their batches are looked at (share_cut.h). See
// share_fetch.h.
#include "base/assert.h"
#include "base/mem.h"
#include "log/log.h"
#include "partitions.h"
#include "share_cut.h"
#include "share_fetch.h"
#include "storage.h"

typedef struct kafka_share_fetch_request request_t;

enum {
    READ_BYTES_MAX = 1 << 20, // at once, of one partition
    // The share partition cannot be served for now. Of the retriable errors Java's consumer of share groups knows
    // few: others, also LEADER_NOT_AVAILABLE, it throws out of poll.
    NOT_NOW = KAFKA_ERR_REPLICA_NOT_AVAILABLE
};

static const request_t *body_of(const struct share_item *item)
{
    return item->fetch->caller.request->body;
}

void share_item_release(struct share_item *item)
{
    for (int i = 0; i < item->piece_count; i++)
        piece_release(&item->pieces[i]);
    item->piece_count = 0;
}

// ---- where the leader is (KIP-951) ----

static void tell_node(struct share_fetch *fetch, int32_t id)
{
    struct storage_request *request = fetch->caller.request;
    struct kafka_share_fetch_response *response = &fetch->response;
    struct lookup_node node;
    for (int32_t i = 0; i < response->node_endpoints_count; i++)
        if (response->node_endpoints[i].node_id == id)
            return;
    if (response->node_endpoints == NULL)
        response->node_endpoints = kafka_structure_array(&kafka_share_fetch_response_node_endpoint_type,
                                                         &request->arena, fetch->count);
    if (response->node_endpoints == NULL || !lookup_node(request, id, &node))
        return;
    struct kafka_share_fetch_response_node_endpoint *told =
        &response->node_endpoints[response->node_endpoints_count++];
    told->node_id = id;
    told->host = node.host;
    told->port = node.port;
    told->rack = node.rack;
}

static void item_error(struct share_item *item, int16_t error, const struct image_topic *topic)
{
    const struct image_partition *current = lookup_current(topic, item->place.index);
    item->answer->error_code = error;
    item->state = SHARE_ITEM_DONE;
    item->fetch->must_answer = true;
    if (error != KAFKA_ERR_NOT_LEADER_OR_FOLLOWER || current == NULL)
        return;
    item->answer->current_leader.leader_id = current->leader;
    item->answer->current_leader.leader_epoch = current->leader_epoch;
    tell_node(item->fetch, current->leader);
}

// ---- what the member gets ----

static bool tell_acquired(struct share_item *item, const struct share_acquisition *got)
{
    share_answer *answer = item->answer;
    answer->acquired_records =
        kafka_structure_array(&kafka_share_fetch_response_acquired_records_type,
                              &item->fetch->caller.request->arena, (int32_t)got->count);
    if (answer->acquired_records == NULL)
        return false;
    for (size_t i = 0; i < got->count; i++) {
        answer->acquired_records[i].first_offset = got->parts[i].first;
        answer->acquired_records[i].last_offset = got->parts[i].last;
        answer->acquired_records[i].delivery_count = got->parts[i].deliveries;
    }
    answer->acquired_records_count = (int32_t)got->count;
    return true;
}

static void acquire(struct share_item *item, struct share_served *served, const struct share_cut *cut)
{
    struct share_fetch *fetch = item->fetch;
    const request_t *in = body_of(item);
    struct share_demand demand = {.member = fetch->caller.member,
                                  .records_max = (int32_t)(in->max_records - fetch->records),
                                  .batch_size = in->batch_size,
                                  .strict =
                                      fetch->caller.request->version >= 2 && in->share_acquire_mode == 1,
                                  .now_ms = env_now_us(storage_env(fetch->caller.request->storage)) / 1000};
    struct share_fetched fetched = {item->from, cut->spans, cut->span_count};
    struct share_acquisition got = {0};
    share_partition_pass(&served->partition, cut->passed, cut->passed_count);
    share_partition_acquire(&served->partition, &demand, &fetched, &got);
    share_partition_pass(&served->partition, cut->passed, cut->passed_count); // what was reached by it
    share_served_acquired(served);
    // Without memory to say so they stay with the member until their lock ends.
    if (got.count > 0 && tell_acquired(item, &got)) {
        struct share_span kept = {got.parts[0].first, got.parts[got.count - 1].last};
        item->piece_count = share_cut_trim(cut, item->pieces, item->piece_count, kept);
        fetch->records += got.records;
        for (int i = 0; i < item->piece_count; i++)
            fetch->bytes += (int64_t)item->pieces[i].len;
        share_groups_acquired(fetch->caller.groups, got.records);
    }
    mem_free(got.parts);
}

// The share partition as it is now: reads on the pool take time. NULL: look again.
static struct share_served *served_now(const struct share_item *item)
{
    const struct share_caller *caller = &item->fetch->caller;
    struct replica *replica = partitions_find(storage_partitions(caller->request->storage),
                                              item->place.topic_id, item->place.index);
    struct share_served *served =
        replica != NULL ? share_groups_find(caller->groups, caller->group, replica) : NULL;
    bool ready = served != NULL && served->state == SHARE_READY;
    return ready && item->from <= served->partition.end ? served : NULL;
}

// Everything that was read is looked at and nothing of it was there for this member: the next look begins
// behind it.
static bool moved_on(const struct share_item *item, const struct share_served *served)
{
    return share_partition_room(&served->partition) && share_partition_next(&served->partition) > item->from;
}

static void item_take(struct share_item *item, const struct share_aborted *aborted)
{
    struct share_cut cut;
    struct share_served *served = served_now(item);
    item->state = SHARE_ITEM_TODO;
    if (served != NULL &&
        share_cut_parse(&cut, item->pieces, item->piece_count, item->from, aborted) == ST_OK) {
        acquire(item, served, &cut);
        bool again = item->answer->acquired_records_count == 0 && moved_on(item, served);
        item->state = again ? SHARE_ITEM_TODO : SHARE_ITEM_DONE;
        share_cut_fini(&cut);
    } else if (served != NULL) {
        share_cut_fini(&cut);
        item_error(item, KAFKA_ERR_CORRUPT_MESSAGE, NULL);
    }
    if (item->answer->acquired_records_count == 0)
        share_item_release(item);
}

// ---- reading ----

// The log moved under the read, or retention passed its begin: the next look begins where the log does.
static bool has_moved(enum status status)
{
    return status == ST_AGAIN || status == ST_OUT_OF_RANGE;
}

static void item_on_aborted(struct log *log, enum status status, const struct log_aborted *rows, int count,
                            void *context)
{
    struct share_item *item = context;
    item->fetch->reading = false;
    if (item->fetch->cancelled || status != ST_OK)
        share_item_release(item);
    if (!item->fetch->cancelled && status == ST_OK)
        item_take(item, &(struct share_aborted){rows, count});
    else if (has_moved(status))
        item->state = SHARE_ITEM_TODO;
    else
        item_error(item, lookup_error(status), NULL);
    share_fetch_go_on(item->fetch);
}

// The bytes up to next are there. READING: aborted transactions among them are looked for.
static void item_found(struct share_item *item, struct log *log, int64_t next)
{
    if (!item->fetch->read_committed || !log_may_have_aborted(log, item->from, next)) {
        item_take(item, &(struct share_aborted){NULL, 0});
        return;
    }
    item->state = SHARE_ITEM_READING;
    item->fetch->reading = true;
    log_find_aborted(log, item->from, next, item_on_aborted, item);
}

static int16_t read_error(const struct share_item *item, enum status status, const struct log_found *found)
{
    struct replica *replica = partitions_find(storage_partitions(item->fetch->caller.request->storage),
                                              item->place.topic_id, item->place.index);
    if (replica == NULL || (status != ST_CORRUPT && status != ST_IO))
        return lookup_error(status);
    replica_damaged(replica, found->first, status);
    return KAFKA_ERR_KAFKA_STORAGE_ERROR;
}

static void item_on_read(struct log *log, enum status status, struct piece *piece,
                         const struct log_found *found, void *context)
{
    struct share_item *item = context;
    struct share_fetch *fetch = item->fetch;
    fetch->reading = false;
    item->state = SHARE_ITEM_DONE;
    if ((fetch->cancelled || status != ST_OK || piece->len == 0) && piece != NULL) {
        piece_release(piece);
    } else if (status == ST_OK && !fetch->cancelled) {
        item->pieces[item->piece_count++] = *piece;
        item_found(item, log, found->next);
    }
    if (item->state == SHARE_ITEM_READING)
        return;
    if (has_moved(status))
        item->state = SHARE_ITEM_TODO;
    else if (status != ST_OK && !fetch->cancelled)
        item_error(item, read_error(item, status, found), NULL);
    share_fetch_go_on(fetch);
}

static bool in_memory(const struct share_item *item)
{
    for (int i = 0; i < item->piece_count; i++)
        if (item->pieces[i].file != NULL)
            return false;
    return true;
}

static void item_read(struct share_item *item, struct replica *replica, int64_t up_to)
{
    struct share_fetch *fetch = item->fetch;
    int64_t left = fetch->bytes_max - fetch->bytes;
    struct log_found found;
    struct log_range range = {.from = item->from,
                              .up_to = up_to,
                              .max_bytes = (size_t)(left > READ_BYTES_MAX ? READ_BYTES_MAX : left),
                              .min_one = fetch->bytes == 0};
    if (item->pieces == NULL)
        item->pieces = arena_calloc(&fetch->caller.request->arena, LOG_PIECES, sizeof *item->pieces);
    enum status status = item->pieces == NULL ? ST_NO_MEMORY
                                              : log_read(replica->log, &range, item->pieces, LOG_PIECES,
                                                         &item->piece_count, &found);
    if (status == ST_AGAIN || (status == ST_OK && !in_memory(item))) {
        share_item_release(item);
        item->state = SHARE_ITEM_READING;
        fetch->reading = true;
        log_read_async(replica->log, &range, item_on_read, item);
    } else if (status != ST_OK) {
        item_error(item, lookup_error(status), NULL);
    } else if (item->piece_count > 0) {
        item_found(item, replica->log, found.next);
    }
}

// ---- looking ----

// READY: where the next record for anybody lies, if there is one.
static void item_begin(struct share_item *item, struct share_served *served, struct replica *replica)
{
    struct share_fetch *fetch = item->fetch;
    int64_t end = replica->state.high_watermark;
    if (fetch->read_committed)
        end = log_stable_end(replica->log, end);
    share_partition_move_start(&served->partition, log_start(replica->log));
    item->ready = true;
    item->from = share_partition_next(&served->partition);
    item->room = share_partition_room(&served->partition);
    if (item->room && item->from < end && fetch->records < body_of(item)->max_records &&
        (fetch->bytes < fetch->bytes_max))
        item_read(item, replica, end);
}

void share_item_look(struct share_item *item)
{
    const struct share_caller *caller = &item->fetch->caller;
    const struct image_topic *topic = NULL;
    struct replica *replica = NULL;
    item->state = SHARE_ITEM_DONE;
    item->ready = item->room = false;
    if (item->answer->error_code != KAFKA_ERR_NONE)
        return; // while it waited
    int16_t error = share_caller_lead(caller, item->place, &topic, &replica);
    if (error != KAFKA_ERR_NONE) {
        item_error(item, error, topic);
        return;
    }
    item->seen_end = replica->state.high_watermark;
    struct share_served *served = share_groups_serve(caller->groups, caller->group, replica);
    if (served == NULL)
        item_error(item, NOT_NOW, topic); // too many are served
    else if (served->state == SHARE_READY)
        item_begin(item, served, replica);
}

// ---- waiting ----

static void item_on_moved(struct wait *wait, enum status status)
{
    struct share_item *item = wait->context;
    share_fetch_again(item->fetch);
}

// The share partition is ready, has records again, or has ended.
static void item_on_freed(struct wait *wait, enum status status)
{
    struct share_item *item = wait->context;
    if (status == ST_NOT_FOUND) // the group is not known to the share coordinator
        item_error(item, KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL);
    else if (status == ST_LOADING || status == ST_CORRUPT)
        item_error(item, NOT_NOW, NULL);
    share_fetch_again(item->fetch);
}

// Whether something has happened since the last look, while another partition was read on the pool.
static bool changed(const struct share_item *item, const struct share_served *served,
                    const struct replica *replica)
{
    if (replica->state.high_watermark > item->seen_end)
        return true;
    if (served->state != SHARE_READY)
        return false;
    bool room = share_partition_room(&served->partition);
    return !item->ready || (room && (!item->room || share_partition_next(&served->partition) != item->from));
}

void share_item_wait(struct share_item *item)
{
    const struct share_caller *caller = &item->fetch->caller;
    struct replica *replica = partitions_find(storage_partitions(caller->request->storage),
                                              item->place.topic_id, item->place.index);
    struct share_served *served =
        replica != NULL ? share_groups_find(caller->groups, caller->group, replica) : NULL;
    if (served == NULL || changed(item, served, replica)) {
        share_fetch_again(item->fetch);
        return;
    }
    if (item->moved.list == NULL)
        wait_add(&replica->read_waits, &item->moved, item->seen_end + 1, item_on_moved, item);
    if (item->freed.list == NULL)
        wait_add(&served->waits, &item->freed, 0, item_on_freed, item);
}

void share_item_unwait(struct share_item *item)
{
    wait_cancel(&item->moved);
    wait_cancel(&item->freed);
}
