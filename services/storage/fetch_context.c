// SPDX-License-Identifier: Apache-2.0
// See fetch_context.h.
#include "fetch_context.h"

#include "base/assert.h"
#include "storage.h"

#include <string.h>

typedef struct kafka_fetch_request_fetch_partition asked_t;
typedef struct kafka_fetch_response_partition_data answer_t;
typedef struct kafka_fetch_response_fetchable_topic_response topic_t;

static const struct kafka_fetch_request *body_of(const struct fetch_context *context)
{
    return context->request->body;
}

static int64_t now_ms(const struct fetch_context *context)
{
    return env_now_us(storage_env(context->request->storage)) / 1000;
}

static bool by_id(const struct fetch_context *context)
{
    return context->request->version >= FETCH_TOPIC_ID_VERSION;
}

static bool room_for(struct fetch_context *context, int count)
{
    struct arena *arena = &context->request->arena;
    context->asked = arena_calloc(arena, (size_t)count, sizeof *context->asked);
    context->topics =
        kafka_structure_array(&kafka_fetch_response_fetchable_topic_response_type, arena, count);
    return context->asked != NULL && context->topics != NULL;
}

// ---- without a session ----

static int count_named(const struct kafka_fetch_request *body)
{
    int count = 0;
    for (int i = 0; i < body->topics_count; i++)
        count += body->topics[i].partitions_count;
    return count;
}

static enum status list_named(struct fetch_context *context)
{
    const struct kafka_fetch_request *body = body_of(context);
    if (!room_for(context, count_named(body)))
        return ST_NO_MEMORY;
    for (int i = 0; i < body->topics_count; i++)
        for (int k = 0; k < body->topics[i].partitions_count; k++)
            context->asked[context->count++] =
                (struct fetch_asked){.named = {.by_id = by_id(context),
                                               .name = body->topics[i].topic,
                                               .id = body->topics[i].topic_id},
                                     .partition = body->topics[i].partitions[k]};
    return ST_OK;
}

// ---- with a session ----

static struct fetch_position position_of(const asked_t *asked)
{
    return (struct fetch_position){.offset = asked->fetch_offset,
                                   .bytes_max = asked->partition_max_bytes,
                                   .leader_epoch = asked->current_leader_epoch,
                                   .last_fetched_epoch = asked->last_fetched_epoch};
}

static void resolve_name(const struct fetch_context *context, struct fetch_topic *topic)
{
    if (topic->name.data != NULL)
        return;
    const struct image_topic *known = image_topic(storage_image(context->request->storage), topic->id);
    if (known != NULL)
        fetch_session_name(topic, known->name);
}

// Takes over what the request says is new and what it forgets; stops when there is no room for more.
static void update(struct fetch_context *context)
{
    const struct kafka_fetch_request *body = body_of(context);
    struct fetch_session *session = &context->cached->content;
    for (int i = 0; i < body->topics_count; i++) {
        const struct kafka_fetch_request_fetch_topic *topic = &body->topics[i];
        for (int k = 0; k < topic->partitions_count && fetch_sessions_room(context->cached); k++) {
            struct fetch_position position = position_of(&topic->partitions[k]);
            fetch_session_put(session, topic->topic_id, topic->topic, topic->partitions[k].partition,
                              &position);
        }
    }
    for (int i = 0; i < body->forgotten_topics_data_count; i++) {
        const struct kafka_fetch_request_forgotten_topic *topic = &body->forgotten_topics_data[i];
        for (int k = 0; k < topic->partitions_count; k++)
            fetch_session_forget(session, topic->topic_id, topic->topic, topic->partitions[k]);
    }
}

// Another request may change the session while this one waits: names are copied, once for neighbours.
static bool copy_name(struct fetch_context *context, const struct fetch_topic *topic, struct slice *name)
{
    if (topic->name.data == NULL)
        return true;
    char *copy = arena_strndup(&context->request->arena, topic->name.data, topic->name.len);
    *name = slice_of(copy, topic->name.len);
    return copy != NULL;
}

static enum status list_remembered(struct fetch_context *context)
{
    struct fetch_session *session = &context->cached->content;
    struct map_entry *at = NULL;
    struct fetch_partition *partition;
    struct fetch_topic *topic = NULL;
    struct slice name = {0};
    if (!room_for(context, fetch_session_size(session)))
        return ST_NO_MEMORY;
    while ((partition = fetch_session_next(session, &at)) != NULL) {
        if (partition->topic != topic) {
            topic = partition->topic;
            name = (struct slice){0};
            if (session->by_id)
                resolve_name(context, topic);
            if (!copy_name(context, topic, &name))
                return ST_NO_MEMORY;
        }
        struct fetch_asked *asked = &context->asked[context->count++];
        asked->named = (struct lookup_topic){.by_id = session->by_id, .id = topic->id};
        *(session->by_id ? &asked->once : &asked->named.name) = name;
        asked->partition = (asked_t){.partition = partition->index,
                                     .fetch_offset = partition->position.offset,
                                     .partition_max_bytes = partition->position.bytes_max,
                                     .current_leader_epoch = partition->position.leader_epoch,
                                     .last_fetched_epoch = partition->position.last_fetched_epoch};
    }
    return ST_OK;
}

static enum status go_on(struct fetch_context *context, int16_t *error)
{
    const struct kafka_fetch_request *body = body_of(context);
    struct fetch_sessions *sessions = storage_fetch_sessions(context->request->storage);
    *error =
        fetch_sessions_use(sessions, body->session_id, body->session_epoch, by_id(context), &context->cached);
    if (*error != KAFKA_ERR_NONE)
        return ST_OK;
    update(context);
    context->epoch = context->cached->epoch;
    if (!fetch_sessions_used(context->cached, now_ms(context))) {
        *error = KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND; // the client begins anew, with a full request
        return ST_OK;
    }
    if (fetch_session_size(&context->cached->content) > 0)
        return list_remembered(context);
    fetch_sessions_end(sessions, body->session_id);
    fetch_cached_unref(&context->cached);
    return list_named(context);
}

enum status fetch_context_open(struct fetch_context *context, struct storage_request *request, int16_t *error)
{
    const struct kafka_fetch_request *body = request->body;
    *context = (struct fetch_context){.request = request};
    *error = KAFKA_ERR_NONE;
    if (body->session_epoch != FETCH_EPOCH_NEW && body->session_epoch != FETCH_EPOCH_NONE)
        return go_on(context, error);
    fetch_sessions_end(storage_fetch_sessions(request->storage), body->session_id);
    context->makes = body->session_epoch == FETCH_EPOCH_NEW;
    return list_named(context);
}

void fetch_context_close(struct fetch_context *context)
{
    fetch_cached_unref(&context->cached);
}

// ---- the answer ----

static struct fetch_news news_of(const answer_t *answer)
{
    return (struct fetch_news){.high_watermark = answer->high_watermark,
                               .last_stable_offset = answer->last_stable_offset,
                               .log_start_offset = answer->log_start_offset,
                               .records = answer->records.piece_count > 0,
                               .failed = answer->error_code != KAFKA_ERR_NONE ||
                                         answer->diverging_epoch.end_offset >= 0,
                               .redirects = answer->preferred_read_replica >= 0};
}

static struct fetch_partition *partition_of(struct fetch_session *session, const struct fetch_asked *asked)
{
    return fetch_session_find(session, asked->named.id, asked->named.name, asked->partition.partition);
}

// The session that begins with this answer knows what it says; 0 when it is declined.
static int32_t make_session(struct fetch_context *context, const answer_t *answers)
{
    struct storage_request *request = context->request;
    uint64_t random = env_random(storage_env(request->storage));
    struct fetch_cached *cached = fetch_sessions_make(
        storage_fetch_sessions(request->storage), by_id(context), context->count, random, now_ms(context));
    if (cached == NULL)
        return 0;
    for (int i = 0; i < context->count; i++) {
        const struct fetch_asked *asked = &context->asked[i];
        struct fetch_position position = position_of(&asked->partition);
        struct fetch_news news = news_of(&answers[i]);
        fetch_session_put(&cached->content, asked->named.id, asked->named.name, asked->partition.partition,
                          &position);
        struct fetch_partition *partition = partition_of(&cached->content, asked);
        resolve_name(context, partition->topic);
        fetch_session_news(partition, &news);
    }
    bool counted = fetch_sessions_used(cached, now_ms(context));
    ASSERT(counted); // there was room for all of them when it was made
    int32_t id = cached->id;
    fetch_cached_unref(&cached);
    return id;
}

static bool is_news(const struct fetch_context *context, const struct fetch_asked *asked,
                    const answer_t *answer)
{
    struct fetch_news news = news_of(answer);
    struct fetch_session *session = context->cached != NULL ? &context->cached->content : NULL;
    struct fetch_partition *partition = session != NULL ? partition_of(session, asked) : NULL;
    if (partition == NULL)
        return true;
    if (news.records)
        fetch_session_rotate(session, partition);
    return fetch_session_news(partition, &news);
}

static bool same_topic(const topic_t *topic, const struct lookup_topic *named)
{
    return named->by_id ? uuid_equal(topic->topic_id, named->id) : slice_equal(topic->topic, named->name);
}

// Neighbours of one topic share its entry; a topic may have several.
static void put_together(struct fetch_context *context, answer_t *answers,
                         struct kafka_fetch_response *response)
{
    topic_t *topic = NULL;
    int kept = 0;
    response->responses = context->topics;
    for (int i = 0; i < context->count; i++) {
        const struct fetch_asked *asked = &context->asked[i];
        if (!is_news(context, asked, &answers[i]))
            continue;
        if (topic == NULL || !same_topic(topic, &asked->named)) {
            topic = &context->topics[response->responses_count++];
            topic->topic = asked->named.name;
            topic->topic_id = asked->named.id;
            topic->partitions = &answers[kept];
        }
        answers[kept++] = answers[i];
        topic->partitions_count++;
    }
}

static void drop_records(struct fetch_context *context, answer_t *answers)
{
    for (int i = 0; i < context->count; i++)
        for (int k = 0; k < answers[i].records.piece_count; k++)
            piece_release(&answers[i].records.pieces[k]);
}

void fetch_context_answer(struct fetch_context *context, answer_t *answers,
                          struct kafka_fetch_response *response)
{
    if (context->cached != NULL)
        response->session_id = context->cached->id;
    if (context->cached != NULL && context->cached->epoch != context->epoch) {
        response->error_code = KAFKA_ERR_INVALID_FETCH_SESSION_EPOCH;
        drop_records(context, answers);
        return;
    }
    if (context->makes)
        response->session_id = make_session(context, answers);
    put_together(context, answers, response);
}
