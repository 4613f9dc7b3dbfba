// SPDX-License-Identifier: Apache-2.0
// Fetch, all versions: step 8 of a record's way. Reads whole batches below the watermark, in the order the
// partitions were asked for, and sends them from the file or from the memory they arrived in. With less than
// min_bytes there it waits until a watermark moves or max_wait_ms has passed. What is asked for, and which of
// the answers are worth sending, is the session's matter (fetch_context.h). A follower serves consumers, too,
// up to its own watermark, and a leader may send them to one that is closer (KIP-392).
#include "base/assert.h"
#include "closest.h"
#include "fetch_context.h"
#include "handlers.h"
#include "partitions.h"
#include "storage.h"

#include <stdlib.h>

typedef struct kafka_fetch_request_fetch_partition asked_t;
typedef struct kafka_fetch_response_partition_data answer_t;

enum {
    RACK_VERSION = 11,
    EPOCH_VERSION = 12,
    LEADER_HINT_VERSION = 16,
    STORAGE_ERROR_VERSION = 6, // since when clients know KAFKA_STORAGE_ERROR
    COLD_BYTES_MAX = 8 << 20,  // of one answer, read into memory on the pool; the rest comes with the next
    COLD_READS_MAX = 64        // of one answer: each may hold a file open
};

enum item_state { ITEM_TODO, ITEM_READING, ITEM_DONE };

struct fetch;

struct fetch_item {
    struct fetch *fetch;
    const asked_t *asked;
    answer_t *answer;
    const struct lookup_topic *named;
    struct uuid topic_id; // of the replica that was found
    bool found;
    enum item_state state;
    int64_t up_to;        // watermark or, for read_committed, last stable offset, read once (KAFKA-9807)
    struct piece *pieces; // LOG_PIECES, in the arena
    int piece_count;
    int64_t found_bytes; // of the pieces
    struct wait wait;
};

struct fetch {
    struct storage_request *request;
    struct fetch_context context;
    struct kafka_fetch_response response;
    struct timer timer; // max_wait_ms
    struct timer again; // something it waited for has moved
    int64_t bytes_max, bytes_min;
    int64_t bytes;    // found so far
    int64_t cold;     // of these, in memory that was filled on the pool
    int cold_reads;   // on the pool for this answer
    bool must_answer; // an error, a diverging epoch, more than one read gives, or the time is up
    bool cancelled;
    int reading; // reads on the pool under way
    int next;    // first item not looked at in this pass
    int count;
    int32_t endpoints_max; // room in the answer's node_endpoints
    struct fetch_item *items;
    answer_t *answers; // one per item
};

static void fetch_go_on(struct fetch *fetch);

static struct env *env_of(const struct fetch *fetch)
{
    return storage_env(fetch->request->storage);
}

static void item_release(struct fetch_item *item)
{
    for (int i = 0; i < item->piece_count; i++)
        piece_release(&item->pieces[i]);
    item->piece_count = 0;
}

static void waits_cancel(struct fetch *fetch)
{
    for (int i = 0; i < fetch->count; i++)
        wait_cancel(&fetch->items[i].wait);
    timer_stop(env_of(fetch), &fetch->timer);
    timer_stop(env_of(fetch), &fetch->again);
}

static void fetch_answer(struct fetch *fetch)
{
    waits_cancel(fetch);
    for (int i = 0; i < fetch->count; i++) {
        struct fetch_item *item = &fetch->items[i];
        item->answer->records = (struct kafka_records){
            .bytes = slice_of("", 0), .pieces = item->pieces, .piece_count = item->piece_count};
        item->piece_count = 0; // the answer owns them now
    }
    fetch_context_answer(&fetch->context, fetch->answers, &fetch->response);
    fetch_context_close(&fetch->context);
    storage_answer(fetch->request, &fetch->response);
}

// KIP-951: where the leader is, so that the client need not ask. Told once per node.
static void tell_node(struct fetch *fetch, int32_t id)
{
    struct storage_request *request = fetch->request;
    struct kafka_fetch_response *response = &fetch->response;
    struct lookup_node node;
    for (int32_t i = 0; i < response->node_endpoints_count; i++)
        if (response->node_endpoints[i].node_id == id)
            return;
    if (response->node_endpoints == NULL) {
        int32_t most = (int32_t)image_node_count(storage_image(request->storage));
        response->node_endpoints =
            kafka_structure_array(&kafka_fetch_response_node_endpoint_type, &request->arena, most);
        fetch->endpoints_max = response->node_endpoints != NULL ? most : 0;
    }
    if (response->node_endpoints_count == fetch->endpoints_max || !lookup_node(request, id, &node))
        return;
    struct kafka_fetch_response_node_endpoint *told =
        &response->node_endpoints[response->node_endpoints_count++];
    told->node_id = id;
    told->host = node.host;
    told->port = node.port;
    told->rack = node.rack;
}

static void item_error(struct fetch_item *item, int16_t error, const struct image_topic *topic)
{
    struct fetch *fetch = item->fetch;
    const struct image_partition *current = lookup_current(topic, item->asked->partition);
    if (error == KAFKA_ERR_KAFKA_STORAGE_ERROR && fetch->request->version < STORAGE_ERROR_VERSION)
        error = KAFKA_ERR_NOT_LEADER_OR_FOLLOWER; // KafkaApis.maybeDownConvertStorageError
    item->answer->error_code = error;
    item->answer->high_watermark = item->answer->last_stable_offset = item->answer->log_start_offset = -1;
    item->state = ITEM_DONE;
    fetch->must_answer = true;
    bool hint = error == KAFKA_ERR_NOT_LEADER_OR_FOLLOWER || error == KAFKA_ERR_FENCED_LEADER_EPOCH;
    if (hint && current != NULL && fetch->request->version >= LEADER_HINT_VERSION) {
        item->answer->current_leader.leader_id = current->leader;
        item->answer->current_leader.leader_epoch = current->leader_epoch;
        tell_node(fetch, current->leader);
    }
}

// KIP-320, Fetch v12: the client's last epoch ended before its offset, so what it has was truncated. An epoch
// that this log never had is no place to go on from.
static int16_t check_divergence(struct fetch_item *item, const struct replica *replica, bool *diverges)
{
    int32_t asked = item->asked->last_fetched_epoch, epoch;
    int64_t end;
    *diverges = false;
    if (asked < 0 || item->fetch->request->version < EPOCH_VERSION)
        return KAFKA_ERR_NONE;
    replica_epoch_end(replica, asked, &epoch, &end);
    if (end < 0)
        return KAFKA_ERR_OFFSET_OUT_OF_RANGE;
    if (epoch >= asked && end >= item->asked->fetch_offset)
        return KAFKA_ERR_NONE;
    item->answer->diverging_epoch.epoch = epoch;
    item->answer->diverging_epoch.end_offset = end;
    item->fetch->must_answer = *diverges = true;
    return KAFKA_ERR_NONE;
}

static struct log_range item_range(const struct fetch_item *item, const struct replica *replica)
{
    const struct fetch *fetch = item->fetch;
    int64_t room = fetch->bytes_max - fetch->bytes;
    int64_t partition_max = item->asked->partition_max_bytes > 0 ? item->asked->partition_max_bytes : 0;
    if (room > partition_max)
        room = partition_max;
    return (struct log_range){.from = item->asked->fetch_offset,
                              .up_to = item->up_to,
                              .max_bytes = room > 0 ? (size_t)room : 0,
                              .min_one = fetch->bytes == 0, // the first batch is whole even above the limits
                              .in_file = true};
}

// Memory for the pieces of an item, on its first find. False at the arena's cap.
static bool item_room(struct fetch_item *item)
{
    if (item->pieces == NULL)
        item->pieces = arena_calloc(&item->fetch->request->arena, LOG_PIECES, sizeof *item->pieces);
    return item->pieces != NULL;
}

static void fetch_end(struct fetch *fetch)
{
    fetch_context_close(&fetch->context);
    storage_answer_none(fetch->request);
}

// ---- read_committed: what the client must skip in what it gets ----

static bool read_committed(const struct fetch *fetch)
{
    const struct kafka_fetch_request *body = fetch->request->body;
    return body->isolation_level == 1;
}

typedef struct kafka_fetch_response_aborted_transaction aborted_t;

static int by_first_offset(const void *one, const void *other)
{
    int64_t a = ((const aborted_t *)one)->first_offset, b = ((const aborted_t *)other)->first_offset;
    return (a > b) - (a < b);
}

// The rows come in the order of their markers, and so does Kafka send them. In the order of their first
// offsets they are also right for clients that take one after the other (kafkajs, filterAbortedMessages.js).
static bool take_aborted(struct fetch_item *item, const struct log_aborted *rows, int count)
{
    aborted_t *told = kafka_structure_array(&kafka_fetch_response_aborted_transaction_type,
                                            &item->fetch->request->arena, count);
    for (int i = 0; told != NULL && i < count; i++) {
        told[i].producer_id = rows[i].producer_id;
        told[i].first_offset = rows[i].first;
    }
    if (told != NULL && count > 1)
        qsort(told, (size_t)count, sizeof *told, by_first_offset);
    item->answer->aborted_transactions = told;
    item->answer->aborted_transactions_count = told != NULL ? count : 0;
    return told != NULL || count == 0;
}

static void item_on_aborted(struct log *log, enum status status, const struct log_aborted *rows, int count,
                            void *context)
{
    struct fetch_item *item = context;
    struct fetch *fetch = item->fetch;
    fetch->reading--;
    item->state = ITEM_DONE;
    if (status == ST_OK && !fetch->cancelled && !take_aborted(item, rows, count))
        status = ST_NO_MEMORY;
    if (status != ST_OK || fetch->cancelled) {
        fetch->bytes -= item->found_bytes;
        item_release(item);
    }
    if (fetch->cancelled) {
        fetch_end(fetch);
        return;
    }
    if (status == ST_AGAIN)
        item->state = ITEM_TODO; // the log moved under the look-up: read again
    else if (status != ST_OK)
        item_error(item, lookup_error(status), NULL);
    fetch_go_on(fetch);
}

// The item was read up to next.
static void item_found(struct fetch_item *item, struct log *log, const struct log_found *found)
{
    struct fetch *fetch = item->fetch;
    item->found_bytes = (int64_t)found->bytes;
    item->state = ITEM_DONE;
    fetch->must_answer |= found->more; // nothing would end a wait for it
    if (!read_committed(fetch) || !log_may_have_aborted(log, item->asked->fetch_offset, found->next))
        return;
    item->state = ITEM_READING;
    fetch->reading++;
    log_find_aborted(log, item->asked->fetch_offset, found->next, item_on_aborted, item);
}

// Clients give up at CORRUPT_MESSAGE; where another replica has the records, they are to ask again.
static int16_t read_error(const struct fetch_item *item, enum status status, const struct log_found *found)
{
    struct replica *replica = partitions_find(storage_partitions(item->fetch->request->storage),
                                              item->topic_id, item->asked->partition);
    if (replica == NULL || (status != ST_CORRUPT && status != ST_IO))
        return lookup_error(status);
    replica_damaged(replica, found->first, status);
    bool only = partition_isr_size(&replica->state) <= 1;
    return only && status == ST_CORRUPT ? KAFKA_ERR_CORRUPT_MESSAGE : KAFKA_ERR_KAFKA_STORAGE_ERROR;
}

static void item_on_read(struct log *log, enum status status, struct piece *piece,
                         const struct log_found *found, void *context)
{
    struct fetch_item *item = context;
    struct fetch *fetch = item->fetch;
    fetch->reading--;
    if (fetch->cancelled || status != ST_OK) {
        if (piece != NULL)
            piece_release(piece);
    } else if (piece->len > 0) {
        item->pieces[item->piece_count++] = *piece;
        fetch->bytes += (int64_t)piece->len;
        fetch->cold += piece->file == NULL ? (int64_t)piece->len : 0;
        item_found(item, log, found);
        if (item->state == ITEM_READING)
            return;
    }
    item->state = ITEM_DONE;
    if (fetch->cancelled) {
        fetch_end(fetch);
        return;
    }
    if (status == ST_AGAIN)
        item->state = ITEM_TODO; // the log moved under the read: look again
    else if (status != ST_OK)
        item_error(item, read_error(item, status, found), NULL);
    fetch_go_on(fetch);
}

static void item_read(struct fetch_item *item, struct replica *replica)
{
    struct fetch *fetch = item->fetch;
    struct log_range range = item_range(item, replica);
    struct log_found found;
    item->state = ITEM_DONE;
    if (range.from >= range.up_to || (range.max_bytes == 0 && !range.min_one))
        return;
    enum status status =
        item_room(item) ? log_read(replica->log, &range, item->pieces, LOG_PIECES, &item->piece_count, &found)
                        : ST_NO_MEMORY;
    if (status == ST_AGAIN && fetch->cold < COLD_BYTES_MAX && fetch->cold_reads < COLD_READS_MAX) {
        item->state = ITEM_READING;
        fetch->reading++;
        fetch->cold_reads++;
        log_read_async(replica->log, &range, item_on_read, item);
    } else if (status == ST_AGAIN) {
        fetch->must_answer = true; // enough for one answer, whatever min_bytes says
    } else if (status != ST_OK) {
        item_error(item, lookup_error(status), NULL);
    } else {
        fetch->bytes += (int64_t)found.bytes * (item->piece_count > 0);
        if (item->piece_count > 0)
            item_found(item, replica->log, &found);
    }
}

// A session that knew the topic by this id tells what has become of it: gone, or made anew (as Kafka).
static int16_t topic_gone(const struct fetch_item *item)
{
    const struct fetch_context *context = &item->fetch->context;
    struct slice once = context->asked[item - item->fetch->items].once;
    if (once.data == NULL)
        return KAFKA_ERR_UNKNOWN_TOPIC_ID;
    return image_topic_slice(storage_image(context->request->storage), once) != NULL
               ? KAFKA_ERR_INCONSISTENT_TOPIC_ID
               : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static int16_t item_find(struct fetch_item *item, const struct image_topic **topic, struct replica **replica)
{
    struct storage_request *request = item->fetch->request;
    const asked_t *asked = item->asked;
    int16_t error = lookup_topic(request, item->named, OPERATION_READ, topic);
    if (error == KAFKA_ERR_UNKNOWN_TOPIC_ID)
        return topic_gone(item);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (request->version < RACK_VERSION) // it cannot have been sent to a follower
        return lookup_leader(request, *topic, asked->partition, asked->current_leader_epoch, replica);
    return lookup_readable(request, *topic, asked->partition, asked->current_leader_epoch, replica);
}

static bool out_of_range(const struct fetch_item *item, const struct replica *replica)
{
    int64_t offset = item->asked->fetch_offset;
    return offset < log_start(replica->log) || offset > replica->state.log_end;
}

// Where the log begins and ends comes first on a follower: what it has not got yet has not been truncated,
// and the error sends the consumer back to the leader. The leader knows better and asks the epochs first.
static int16_t check_position(struct fetch_item *item, const struct replica *replica, bool *diverges)
{
    *diverges = false;
    if (replica->state.role == PARTITION_FOLLOWER && out_of_range(item, replica))
        return KAFKA_ERR_OFFSET_OUT_OF_RANGE;
    int16_t error = check_divergence(item, replica, diverges);
    if (error == KAFKA_ERR_NONE && !*diverges && out_of_range(item, replica))
        return KAFKA_ERR_OFFSET_OUT_OF_RANGE;
    return error;
}

// KIP-392: sends the consumer to a replica in its rack; the answer has no records then.
static bool item_redirect(struct fetch_item *item, const struct replica *replica)
{
    struct storage_request *request = item->fetch->request;
    const struct kafka_fetch_request *body = request->body;
    if (!storage_reads_closest(request->storage) || replica->state.role != PARTITION_LEADER ||
        request->version < RACK_VERSION)
        return false;
    struct closest_reader reader = {
        .rack = body->rack_id, .listener = request->principal.listener, .offset = item->asked->fetch_offset};
    int32_t node = closest_replica(storage_image(request->storage), &replica->state, &reader);
    item->answer->preferred_read_replica = node;
    item->fetch->must_answer |= node >= 0;
    return node >= 0;
}

static void item_look(struct fetch_item *item)
{
    const struct image_topic *topic = NULL;
    struct replica *replica = NULL;
    bool diverges = false;
    int16_t error = item_find(item, &topic, &replica);
    if (error == KAFKA_ERR_NONE)
        error = check_position(item, replica, &diverges);
    if (error != KAFKA_ERR_NONE) {
        item_error(item, error, topic);
        return;
    }
    item->found = true;
    item->topic_id = topic->id;
    item->answer->high_watermark = replica->state.high_watermark;
    item->answer->last_stable_offset = log_stable_end(replica->log, replica->state.high_watermark);
    item->up_to =
        read_committed(item->fetch) ? item->answer->last_stable_offset : item->answer->high_watermark;
    item->answer->log_start_offset = log_start(replica->log);
    item->answer->aborted_transactions_count = read_committed(item->fetch) ? 0 : -1; // of an earlier pass
    item->state = ITEM_DONE;
    if (!diverges && !item_redirect(item, replica))
        item_read(item, replica);
}

static void item_on_moved(struct wait *wait, enum status status)
{
    struct fetch_item *item = wait->context;
    struct fetch *fetch = item->fetch;
    if (!timer_running(&fetch->again))
        timer_start_us(env_of(fetch), &fetch->again, 0);
}

// Parks the request on every partition it asked for.
static void fetch_park(struct fetch *fetch)
{
    struct partitions *partitions = storage_partitions(fetch->request->storage);
    for (int i = 0; i < fetch->count; i++) {
        struct fetch_item *item = &fetch->items[i];
        struct replica *replica =
            item->found ? partitions_find(partitions, item->topic_id, item->asked->partition) : NULL;
        if (replica == NULL || item->wait.list != NULL)
            continue;
        wait_add(&replica->read_waits, &item->wait, item->answer->high_watermark + 1, item_on_moved, item);
        if (replica->state.high_watermark > item->answer->high_watermark) // moved while another item was read
            timer_start_us(env_of(fetch), &fetch->again, 0);
    }
}

// Looks at the items from where the last pass stopped; a read on the pool holds the ones behind it, so that
// limits are spent in the order of the request.
static void fetch_go_on(struct fetch *fetch)
{
    while (fetch->next < fetch->count) {
        struct fetch_item *item = &fetch->items[fetch->next];
        if (item->state == ITEM_TODO)
            item_look(item);
        if (item->state == ITEM_READING)
            return;
        fetch->next += item->state == ITEM_DONE;
    }
    if (fetch->must_answer || fetch->bytes >= fetch->bytes_min)
        fetch_answer(fetch);
    else
        fetch_park(fetch);
}

static void fetch_restart(struct fetch *fetch)
{
    if (fetch->reading > 0)
        return; // the pass under way sees what has moved
    for (int i = 0; i < fetch->count; i++) {
        item_release(&fetch->items[i]);
        fetch->items[i].state = ITEM_TODO;
    }
    fetch->bytes = fetch->cold = 0;
    fetch->cold_reads = 0;
    fetch->next = 0;
    fetch_go_on(fetch);
}

static void fetch_on_again(struct timer *timer)
{
    fetch_restart(timer->context);
}

static void fetch_on_timeout(struct timer *timer)
{
    struct fetch *fetch = timer->context;
    fetch->must_answer = true;
    fetch_restart(fetch);
}

static void fetch_on_cancelled(struct storage_request *request)
{
    struct fetch *fetch = request->held;
    waits_cancel(fetch);
    for (int i = 0; i < fetch->count; i++)
        item_release(&fetch->items[i]);
    fetch->cancelled = true;
    if (fetch->reading == 0)
        fetch_end(fetch); // else the read's end does it
}

static bool items_make(struct fetch *fetch)
{
    const struct fetch_context *context = &fetch->context;
    const struct kafka_fetch_request *body = fetch->request->body;
    struct arena *arena = &fetch->request->arena;
    fetch->items = arena_calloc(arena, (size_t)context->count, sizeof *fetch->items);
    fetch->answers = kafka_structure_array(&kafka_fetch_response_partition_data_type, arena, context->count);
    if (fetch->items == NULL || fetch->answers == NULL)
        return false;
    for (fetch->count = 0; fetch->count < context->count; fetch->count++) {
        const struct fetch_asked *asked = &context->asked[fetch->count];
        answer_t *answer = &fetch->answers[fetch->count];
        fetch->items[fetch->count] = (struct fetch_item){
            .fetch = fetch, .asked = &asked->partition, .answer = answer, .named = &asked->named};
        answer->partition_index = asked->partition.partition;
        // null for read_uncommitted, empty for read_committed
        answer->aborted_transactions_count = body->isolation_level == 0 ? -1 : 0;
    }
    return true;
}

static void fetch_begin(struct fetch *fetch)
{
    struct storage_request *request = fetch->request;
    const struct kafka_fetch_request *body = request->body;
    request->held = fetch;
    request->on_cancelled = fetch_on_cancelled;
    fetch->must_answer = body->max_wait_ms <= 0 || fetch->count == 0;
    if (!fetch->must_answer)
        timer_start_ms(env_of(fetch), &fetch->timer, body->max_wait_ms);
    fetch_go_on(fetch);
}

static struct fetch *fetch_make(struct storage_request *request)
{
    const struct kafka_fetch_request *body = request->body;
    int64_t bytes_max = config_int(storage_config(request->storage), "fetch.max.bytes");
    struct fetch *fetch = arena_alloc(&request->arena, sizeof *fetch);
    if (fetch == NULL)
        return NULL;
    fetch->request = request;
    fetch->bytes_min = body->min_bytes;
    fetch->bytes_max = body->max_bytes < bytes_max ? body->max_bytes : bytes_max;
    timer_init(&fetch->timer, fetch_on_timeout, fetch);
    timer_init(&fetch->again, fetch_on_again, fetch);
    kafka_defaults(&kafka_fetch_response_message, &fetch->response);
    return fetch;
}

void storage_fetch(struct storage_request *request)
{
    struct fetch *fetch = fetch_make(request);
    enum status status = ST_NO_MEMORY;
    int16_t error = KAFKA_ERR_NONE;
    if (fetch != NULL)
        status = fetch_context_open(&fetch->context, request, &error);
    if (status == ST_OK && error == KAFKA_ERR_NONE && items_make(fetch)) {
        fetch_begin(fetch);
        return;
    }
    if (fetch != NULL)
        fetch_context_close(&fetch->context);
    if (error == KAFKA_ERR_NONE) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    fetch->response.error_code = error; // of the session; the answer has nothing else
    storage_answer(request, &fetch->response);
}
