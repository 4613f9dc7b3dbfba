// SPDX-License-Identifier: Apache-2.0
// Fetch, all versions: step 8 of a record's way. Reads whole batches below the watermark, in the order the
// partitions were asked for, and sends them from the file or from the memory they arrived in. With less than
// min_bytes there it waits until a watermark moves or max_wait_ms has passed. Sessions (KIP-227) are
// declined: the answer's session id is 0, so every request names all its partitions.
#include "base/assert.h"
#include "handlers.h"
#include "kafka/messages/fetch.h"
#include "lookup.h"
#include "partitions.h"

typedef struct kafka_fetch_request_fetch_partition asked_t;
typedef struct kafka_fetch_response_partition_data answer_t;

enum {
    EPOCH_VERSION = 12,
    TOPIC_ID_VERSION = 13,
    LEADER_HINT_VERSION = 16,
    RESPONSE_BYTES_MAX = 55 << 20
}; // fetch.max.bytes

enum item_state { ITEM_TODO, ITEM_READING, ITEM_DONE };

struct fetch;

struct fetch_item {
    struct fetch *fetch;
    const asked_t *asked;
    answer_t *answer;
    struct lookup_topic named;
    struct uuid topic_id; // of the replica that was found
    bool found;
    enum item_state state;
    struct piece *pieces; // LOG_PIECES, in the arena
    int piece_count;
    struct wait wait;
};

struct fetch {
    struct storage_request *request;
    struct kafka_fetch_response response;
    struct timer timer; // max_wait_ms
    struct timer again; // something it waited for has moved
    int64_t bytes_max, bytes_min;
    int64_t bytes;    // found so far
    bool must_answer; // an error, a diverging epoch, or the time is up
    bool cancelled;
    int reading; // reads on the pool under way
    int next;    // first item not looked at in this pass
    int count;
    int32_t endpoints_max; // room in the answer's node_endpoints
    struct fetch_item *items;
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
                              .up_to = replica->state.high_watermark,
                              .max_bytes = room > 0 ? (size_t)room : 0,
                              .min_one = fetch->bytes == 0}; // the first batch is whole even above the limits
}

// Memory for the pieces of an item, on its first find. False at the arena's cap.
static bool item_room(struct fetch_item *item)
{
    if (item->pieces == NULL)
        item->pieces = arena_calloc(&item->fetch->request->arena, LOG_PIECES, sizeof *item->pieces);
    return item->pieces != NULL;
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
    }
    item->state = ITEM_DONE;
    if (fetch->cancelled) {
        storage_answer_none(fetch->request);
        return;
    }
    if (status == ST_AGAIN)
        item->state = ITEM_TODO; // the log moved under the read: look again
    else if (status != ST_OK)
        item_error(item, status == ST_CORRUPT ? KAFKA_ERR_CORRUPT_MESSAGE : lookup_error(status), NULL);
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
    if (status == ST_AGAIN) {
        item->state = ITEM_READING;
        fetch->reading++;
        log_read_async(replica->log, &range, item_on_read, item);
    } else if (status != ST_OK) {
        item_error(item, lookup_error(status), NULL);
    } else {
        fetch->bytes += (int64_t)found.bytes * (item->piece_count > 0);
    }
}

static void item_look(struct fetch_item *item)
{
    struct storage_request *request = item->fetch->request;
    const struct image_topic *topic;
    struct replica *replica = NULL;
    bool diverges = false;
    int16_t error = lookup_topic(request, &item->named, OPERATION_READ, &topic);
    if (error == KAFKA_ERR_NONE)
        error = lookup_leader(request, topic, item->asked->partition, item->asked->current_leader_epoch,
                              &replica);
    if (error == KAFKA_ERR_NONE)
        error = check_divergence(item, replica, &diverges);
    if (error == KAFKA_ERR_NONE && !diverges &&
        (item->asked->fetch_offset < log_start(replica->log) ||
         item->asked->fetch_offset > replica->state.log_end))
        error = KAFKA_ERR_OFFSET_OUT_OF_RANGE;
    if (error != KAFKA_ERR_NONE) {
        item_error(item, error, topic);
        return;
    }
    item->found = true;
    item->topic_id = topic->id;
    item->answer->high_watermark = replica->state.high_watermark;
    item->answer->last_stable_offset = replica->state.high_watermark; // no transactions: nothing is unstable
    item->answer->log_start_offset = log_start(replica->log);
    item->state = ITEM_DONE;
    if (!diverges)
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
    fetch->bytes = 0;
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
        storage_answer_none(request); // else the read's end does it
}

static bool topic_shape(struct fetch *fetch, const struct kafka_fetch_request_fetch_topic *asked,
                        struct kafka_fetch_response_fetchable_topic_response *answer)
{
    struct storage_request *request = fetch->request;
    answer->topic = asked->topic;
    answer->topic_id = asked->topic_id;
    answer->partitions_count = asked->partitions_count;
    answer->partitions = kafka_structure_array(&kafka_fetch_response_partition_data_type, &request->arena,
                                               asked->partitions_count);
    for (int k = 0; answer->partitions != NULL && k < asked->partitions_count; k++) {
        struct fetch_item *item = &fetch->items[fetch->count++];
        item->fetch = fetch;
        item->asked = &asked->partitions[k];
        item->answer = &answer->partitions[k];
        item->answer->partition_index = item->asked->partition;
        item->named = (struct lookup_topic){
            .by_id = request->version >= TOPIC_ID_VERSION, .name = asked->topic, .id = asked->topic_id};
    }
    return answer->partitions != NULL;
}

static bool answer_shape(struct fetch *fetch, const struct kafka_fetch_request *body)
{
    struct arena *arena = &fetch->request->arena;
    int total = 0;
    for (int i = 0; i < body->topics_count; i++)
        total += body->topics[i].partitions_count;
    kafka_defaults(&kafka_fetch_response_message, &fetch->response);
    fetch->items = arena_calloc(arena, (size_t)total, sizeof *fetch->items);
    fetch->response.responses =
        kafka_structure_array(&kafka_fetch_response_fetchable_topic_response_type, arena, body->topics_count);
    fetch->response.responses_count = body->topics_count;
    if (fetch->items == NULL || fetch->response.responses == NULL)
        return false;
    for (int i = 0; i < body->topics_count; i++)
        if (!topic_shape(fetch, &body->topics[i], &fetch->response.responses[i]))
            return false;
    for (int i = 0; i < fetch->count; i++) // null for read_uncommitted, empty for read_committed
        fetch->items[i].answer->aborted_transactions_count = body->isolation_level == 0 ? -1 : 0;
    return true;
}

// A session this node never gave out: the client falls back to full requests.
static bool session_unknown(const struct kafka_fetch_request *body)
{
    return body->session_epoch != 0 && body->session_epoch != -1;
}

void storage_fetch(struct storage_request *request)
{
    const struct kafka_fetch_request *body = request->body;
    struct fetch *fetch = arena_alloc(&request->arena, sizeof *fetch);
    if (fetch == NULL) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    fetch->request = request;
    fetch->bytes_min = body->min_bytes;
    fetch->bytes_max = body->max_bytes < RESPONSE_BYTES_MAX ? body->max_bytes : RESPONSE_BYTES_MAX;
    timer_init(&fetch->timer, fetch_on_timeout, fetch);
    timer_init(&fetch->again, fetch_on_again, fetch);
    if (!answer_shape(fetch, body)) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    if (session_unknown(body)) {
        fetch->response.error_code = KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND;
        fetch->response.responses_count = 0;
        storage_answer(request, &fetch->response);
        return;
    }
    request->held = fetch;
    request->on_cancelled = fetch_on_cancelled;
    fetch->must_answer = body->max_wait_ms <= 0 || fetch->count == 0;
    if (!fetch->must_answer)
        timer_start_ms(env_of(fetch), &fetch->timer, body->max_wait_ms);
    fetch_go_on(fetch);
}
