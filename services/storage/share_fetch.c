// SPDX-License-Identifier: Apache-2.0
// ShareFetch (KIP-932): a member of a share group says what became of records it holds and gets others, which
// are its own for the time of a lock. The request names what has changed in its session (share_sessions.h).
// Its partitions are looked at one after the other until it has as many records as it wants; with none there
// it waits for a watermark to move or for records to come back. The answer also waits until all
// acknowledgements are written. share_fetch_item.c has what happens at one partition.
#include "share_fetch.h"

#include "base/mem.h"
#include "handlers.h"
#include "storage.h"

#include <stdlib.h>

typedef struct kafka_share_fetch_request request_t;
typedef struct kafka_share_fetch_request_fetch_partition asked_t;
typedef struct kafka_share_fetch_response_share_fetchable_topic_response topic_t;

static struct env *env_of(const struct share_fetch *fetch)
{
    return storage_env(fetch->caller.request->storage);
}

static const request_t *body_of(const struct share_fetch *fetch)
{
    return fetch->caller.request->body;
}

// ---- the end ----

static void waits_cancel(struct share_fetch *fetch)
{
    for (int32_t i = 0; i < fetch->count; i++)
        share_item_unwait(&fetch->items[i]);
    timer_stop(env_of(fetch), &fetch->timer);
    timer_stop(env_of(fetch), &fetch->again);
}

static void fetch_close(struct share_fetch *fetch)
{
    for (int32_t i = 0; i < fetch->count; i++)
        share_waiter_cancel(&fetch->items[i].waiter);
    map_fini(&fetch->by_place);
    share_session_unref(&fetch->session);
}

// Whether the answer has something to say of the item.
static bool is_news(const struct share_fetch *fetch, const struct share_item *item)
{
    const share_answer *answer = item->answer;
    struct share_news news = {.records = answer->acquired_records_count > 0,
                              .failed = answer->error_code != KAFKA_ERR_NONE,
                              .acknowledged = item->acks};
    struct fetch_partition *partition =
        fetch->session->sessions != NULL ? fetch_session_find(&fetch->session->content, item->place.topic_id,
                                                              (struct slice){0}, item->place.index)
                                         : NULL;
    if (partition == NULL)
        return true;
    if (news.records)
        fetch_session_rotate(&fetch->session->content, partition);
    return share_session_news(partition, &news);
}

static int by_topic(const void *left, const void *right)
{
    const struct share_item *a = *(struct share_item *const *)left;
    const struct share_item *b = *(struct share_item *const *)right;
    int order = memcmp(&a->place.topic_id, &b->place.topic_id, sizeof a->place.topic_id);
    return order != 0 ? order : (a > b) - (a < b);
}

// A topic has one entry in the answer: clients keep them in a map. Its items come one after the other.
static void put_news(struct share_fetch *fetch, const struct share_item *item)
{
    struct kafka_share_fetch_response *response = &fetch->response;
    const struct uuid id = item->place.topic_id;
    topic_t *topic =
        response->responses_count > 0 ? &response->responses[response->responses_count - 1] : NULL;
    if (topic == NULL || !uuid_equal(topic->topic_id, id)) {
        topic = &response->responses[response->responses_count++];
        topic->topic_id = id;
        topic->partitions = &fetch->told[fetch->told_count];
    }
    fetch->told[fetch->told_count++] = *item->answer;
    topic->partitions_count++;
}

static void fetch_answer(struct share_fetch *fetch)
{
    struct storage_request *request = fetch->caller.request;
    size_t count = 0;
    waits_cancel(fetch);
    for (int32_t i = 0; i < fetch->count; i++) {
        struct share_item *item = &fetch->items[i];
        item->answer->records = (struct kafka_records){
            .bytes = slice_of("", 0), .pieces = item->pieces, .piece_count = item->piece_count};
        item->piece_count = 0; // the answer owns them now
        if (is_news(fetch, item))
            fetch->news[count++] = item;
    }
    qsort(fetch->news, count, sizeof *fetch->news, by_topic);
    for (size_t i = 0; i < count; i++)
        put_news(fetch, fetch->news[i]);
    fetch_close(fetch);
    storage_answer(request, &fetch->response);
}

static void fetch_end(struct share_fetch *fetch)
{
    struct storage_request *request = fetch->caller.request;
    fetch_close(fetch);
    storage_answer_none(request);
}

// ---- passes ----

static void fetch_park(struct share_fetch *fetch)
{
    for (int32_t i = 0; i < fetch->count; i++)
        if (fetch->items[i].fetches)
            share_item_wait(&fetch->items[i]);
}

// A read on the pool holds the items behind it, so that what is wanted is spent in their order.
void share_fetch_go_on(struct share_fetch *fetch)
{
    if (fetch->cancelled) {
        fetch_end(fetch);
        return;
    }
    while (fetch->next < fetch->count) {
        struct share_item *item = &fetch->items[fetch->next];
        if (item->state == SHARE_ITEM_TODO)
            share_item_look(item);
        if (item->state == SHARE_ITEM_READING)
            return;
        fetch->next += item->state == SHARE_ITEM_DONE;
    }
    if (!fetch->must_answer && fetch->records == 0)
        fetch_park(fetch);
    else if (fetch->open == 0)
        fetch_answer(fetch);
}

static void fetch_restart(struct share_fetch *fetch)
{
    if (fetch->reading)
        return; // the pass under way sees what has moved
    for (int32_t i = 0; i < fetch->count && fetch->records == 0; i++) {
        if (fetch->items[i].fetches)
            fetch->items[i].state = SHARE_ITEM_TODO;
        fetch->next = 0;
    }
    share_fetch_go_on(fetch);
}

void share_fetch_again(struct share_fetch *fetch)
{
    if (!timer_running(&fetch->again))
        timer_start_us(env_of(fetch), &fetch->again, 0);
}

static void fetch_on_again(struct timer *timer)
{
    fetch_restart(timer->context);
}

static void fetch_on_timeout(struct timer *timer)
{
    struct share_fetch *fetch = timer->context;
    fetch->must_answer = true;
    fetch_restart(fetch);
}

static void fetch_on_cancelled(struct storage_request *request)
{
    struct share_fetch *fetch = request->held;
    waits_cancel(fetch);
    for (int32_t i = 0; i < fetch->count; i++)
        share_item_release(&fetch->items[i]);
    fetch->cancelled = true;
    if (!fetch->reading)
        fetch_end(fetch); // else the read's end does it
}

// ---- acknowledgements ----

static void item_on_written(struct share_waiter *waiter, int16_t error)
{
    struct share_item *item = (struct share_item *)waiter;
    item->answer->acknowledge_error_code = error;
    item->fetch->open--;
    // With nothing acquired the answer is still wanted as soon as the time is up.
    if (!item->fetch->reading)
        share_fetch_again(item->fetch);
}

// NULL when the arena is full.
static struct share_ack *acks_of(struct arena *arena, const asked_t *asked)
{
    size_t count = (size_t)asked->acknowledgement_batches_count;
    struct share_ack *acks = arena_calloc(arena, count + 1, sizeof *acks);
    for (size_t i = 0; acks != NULL && i < count; i++)
        acks[i] = (struct share_ack){.first = asked->acknowledgement_batches[i].first_offset,
                                     .last = asked->acknowledgement_batches[i].last_offset,
                                     .types = asked->acknowledgement_batches[i].acknowledge_types,
                                     .count = asked->acknowledgement_batches[i].acknowledge_types_count};
    return acks;
}

static int16_t acknowledge(struct share_item *item, const asked_t *asked)
{
    struct share_fetch *fetch = item->fetch;
    const struct image_topic *topic;
    struct replica *replica;
    bool waits = false;
    int16_t error = share_caller_lead(&fetch->caller, item->place, &topic, &replica);
    if (error != KAFKA_ERR_NONE)
        return error;
    struct share_ack *acks = acks_of(&fetch->caller.request->arena, asked);
    if (acks == NULL)
        return KAFKA_ERR_INVALID_REQUEST;
    error = share_caller_acknowledge(&fetch->caller, replica, acks,
                                     (size_t)asked->acknowledgement_batches_count, &item->waiter, &waits);
    fetch->open += waits;
    return error;
}

// ---- what is asked for ----

static struct share_item *item_add(struct share_fetch *fetch, struct share_place place)
{
    struct share_item *item = &fetch->items[fetch->count];
    share_answer *answer = &fetch->answers[fetch->count++];
    answer->partition_index = place.index;
    *item = (struct share_item){.waiter = {.done = item_on_written},
                                .fetch = fetch,
                                .place = place,
                                .answer = answer,
                                .state = SHARE_ITEM_DONE};
    map_put(&fetch->by_place, slice_of(&item->place, sizeof item->place), item);
    return item;
}

static int32_t asked_count(const request_t *in)
{
    int32_t count = 0;
    for (int32_t i = 0; i < in->topics_count; i++)
        count += in->topics[i].partitions_count;
    return count;
}

static bool room(struct share_fetch *fetch)
{
    struct arena *arena = &fetch->caller.request->arena;
    int32_t count = asked_count(body_of(fetch)) + fetch_session_size(&fetch->session->content);
    fetch->items = arena_calloc(arena, (size_t)count + 1, sizeof *fetch->items);
    fetch->news = arena_calloc(arena, (size_t)count + 1, sizeof(struct share_item *));
    fetch->answers = kafka_structure_array(&kafka_share_fetch_response_partition_data_type, arena, count);
    fetch->told = kafka_structure_array(&kafka_share_fetch_response_partition_data_type, arena, count);
    fetch->response.responses =
        kafka_structure_array(&kafka_share_fetch_response_share_fetchable_topic_response_type, arena, count);
    return fetch->items != NULL && fetch->news != NULL && fetch->answers != NULL && fetch->told != NULL &&
           fetch->response.responses != NULL;
}

static void list_session(struct share_fetch *fetch)
{
    struct map_entry *at = NULL;
    struct fetch_partition *partition;
    if (body_of(fetch)->share_session_epoch == SHARE_EPOCH_LAST || fetch->caller.renews)
        return;
    while ((partition = fetch_session_next(&fetch->session->content, &at)) != NULL) {
        struct share_item *item =
            item_add(fetch, (struct share_place){partition->topic->id, partition->index});
        item->fetches = true;
        item->state = SHARE_ITEM_TODO;
    }
}

static void take_acks(struct share_fetch *fetch)
{
    const request_t *in = body_of(fetch);
    for (int32_t i = 0; i < in->topics_count; i++) {
        for (int32_t k = 0; k < in->topics[i].partitions_count; k++) {
            const asked_t *asked = &in->topics[i].partitions[k];
            struct share_place place = {in->topics[i].topic_id, asked->partition_index};
            struct share_item *item = map_get(&fetch->by_place, slice_of(&place, sizeof place));
            if (asked->acknowledgement_batches_count <= 0 || (item != NULL && item->acks))
                continue; // named twice: the first counts
            if (item == NULL)
                item = item_add(fetch, place);
            item->acks = true;
            item->answer->acknowledge_error_code = acknowledge(item, asked);
        }
    }
}

// What the session reads from now on; false: there is no room for so many partitions.
static bool update_session(struct share_fetch *fetch)
{
    const request_t *in = body_of(fetch);
    struct share_session *session = fetch->session;
    struct fetch_position position = {.leader_epoch = -1, .last_fetched_epoch = -1};
    for (int32_t i = 0; i < in->topics_count; i++)
        for (int32_t k = 0; k < in->topics[i].partitions_count && share_session_room(session); k++)
            fetch_session_put(&session->content, in->topics[i].topic_id, (struct slice){0},
                              in->topics[i].partitions[k].partition_index, &position);
    for (int32_t i = 0; i < in->forgotten_topics_data_count; i++)
        for (int32_t k = 0; k < in->forgotten_topics_data[i].partitions_count; k++)
            fetch_session_forget(&session->content, in->forgotten_topics_data[i].topic_id, (struct slice){0},
                                 in->forgotten_topics_data[i].partitions[k]);
    return share_session_used(session);
}

static bool has_acks(const request_t *in)
{
    for (int32_t i = 0; i < in->topics_count; i++)
        for (int32_t k = 0; k < in->topics[i].partitions_count; k++)
            if (in->topics[i].partitions[k].acknowledgement_batches_count > 0)
                return true;
    return false;
}

// KIP-1222: who only renews gets no records, and says so.
static bool renewal_wrong(const request_t *in)
{
    return in->is_renew_ack &&
           (in->max_wait_ms > 0 || in->min_bytes > 0 || in->max_bytes > 0 || in->max_records > 0);
}

// ---- the begin ----

static int16_t open_session(struct share_fetch *fetch)
{
    const request_t *in = body_of(fetch);
    struct share_sessions *sessions = share_groups_sessions(fetch->caller.groups);
    struct share_session_key key = {in->group_id, in->member_id};
    bool begins = in->share_session_epoch == SHARE_EPOCH_FIRST;
    if (renewal_wrong(in) || (begins && has_acks(in)))
        return KAFKA_ERR_INVALID_REQUEST;
    int16_t error = begins ? share_sessions_begin(sessions, &key, fetch->caller.request->principal.session,
                                                  &fetch->session)
                           : share_sessions_use(sessions, &key, in->share_session_epoch, &fetch->session);
    if (error != KAFKA_ERR_NONE)
        return error;
    if (in->share_session_epoch != SHARE_EPOCH_LAST && !update_session(fetch))
        return KAFKA_ERR_SHARE_SESSION_LIMIT_REACHED;
    return room(fetch) ? KAFKA_ERR_NONE : KAFKA_ERR_INVALID_REQUEST;
}

static void fetch_begin(struct share_fetch *fetch)
{
    const request_t *in = body_of(fetch);
    struct storage_request *request = fetch->caller.request;
    bool last = in->share_session_epoch == SHARE_EPOCH_LAST;
    request->held = fetch;
    request->on_cancelled = fetch_on_cancelled;
    list_session(fetch);
    take_acks(fetch);
    if (last)
        share_groups_end_session(fetch->caller.groups, fetch->session);
    fetch->must_answer = in->max_wait_ms <= 0 || last || fetch->caller.renews || fetch->count == 0;
    if (!fetch->must_answer)
        timer_start_ms(env_of(fetch), &fetch->timer, in->max_wait_ms);
    share_fetch_go_on(fetch);
}

static struct share_fetch *fetch_make(struct storage_request *request)
{
    const request_t *in = request->body;
    int64_t bytes_max = config_int(storage_config(request->storage), "fetch.max.bytes");
    struct share_fetch *fetch = arena_calloc(&request->arena, 1, sizeof *fetch);
    if (fetch == NULL)
        return NULL;
    fetch->bytes_max = in->max_bytes < bytes_max ? in->max_bytes : bytes_max;
    map_init(&fetch->by_place, env_random(storage_env(request->storage)));
    timer_init(&fetch->timer, fetch_on_timeout, fetch);
    timer_init(&fetch->again, fetch_on_again, fetch);
    kafka_defaults(&kafka_share_fetch_response_message, &fetch->response);
    return fetch;
}

void storage_share_fetch(struct storage_request *request)
{
    const request_t *in = request->body;
    struct share_fetch *fetch = fetch_make(request);
    if (fetch == NULL) {
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    int16_t error = share_caller_open(&fetch->caller, request, in->group_id, in->member_id);
    fetch->caller.renews = request->version >= 2 && in->is_renew_ack;
    if (error == KAFKA_ERR_NONE)
        error = open_session(fetch);
    if (error != KAFKA_ERR_NONE) {
        fetch->response.error_code = error;
        fetch_close(fetch);
        storage_answer(request, &fetch->response);
        return;
    }
    fetch->response.acquisition_lock_timeout_ms =
        share_groups_lock_ms(fetch->caller.groups, fetch->caller.group_text);
    fetch->read_committed = share_groups_read_committed(fetch->caller.groups, fetch->caller.group_text);
    fetch_begin(fetch);
}
