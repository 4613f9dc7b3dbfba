// SPDX-License-Identifier: Apache-2.0
// See streams_topics.h.
#include "streams_topics.h"

#include "base/block.h"
#include "base/map.h"
#include "base/mem.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/frame.h"
#include "kafka/messages/create_topics.h"

#include <inttypes.h>

typedef struct kafka_create_topics_request request_t;
typedef struct kafka_create_topics_request_creatable_topic topic_t;
typedef struct kafka_create_topics_request_creatable_topic_config config_t;
typedef struct kafka_create_topics_response response_t;

enum { VERSION = 5, TIMEOUT_MS = 10000, FRAME_MAX = 8 << 20, ARENA_MAX = 64 << 20 };

struct making {          // a name
    struct batch *batch; // on its way with it; NULL: it has failed
    char *error;
    int64_t failed_us;
};

struct batch { // one CreateTopics
    struct streams_topics *owner;
    struct controllers *controllers;
    struct controllers_pending *pending;
    struct batch *next;
};

struct streams_topics {
    struct env *env;
    struct map names; // struct making
    struct batch *batches;
    struct metric made, failed, waiting;
};

static void register_metrics(struct streams_topics *topics)
{
    topics->made = (struct metric){.name = "millrace_streams_topics_made_total",
                                   .help = "Internal topics made for streams groups.",
                                   .kind = METRIC_COUNTER};
    topics->failed = (struct metric){.name = "millrace_streams_topics_failed_total",
                                     .help = "Internal topics of streams groups that could not be made.",
                                     .kind = METRIC_COUNTER};
    topics->waiting = (struct metric){.name = "millrace_streams_topics_waiting",
                                      .help = "Internal topics on their way, or that failed lately.",
                                      .kind = METRIC_GAUGE};
    metric_add(topics->env->metrics, &topics->made);
    metric_add(topics->env->metrics, &topics->failed);
    metric_add(topics->env->metrics, &topics->waiting);
}

struct streams_topics *streams_topics_new(struct env *env)
{
    struct streams_topics *topics = mem_calloc(1, sizeof *topics);
    topics->env = env;
    map_init(&topics->names, env_random(env));
    register_metrics(topics);
    return topics;
}

static void making_free(void *value)
{
    struct making *making = value;
    mem_free(making->error);
    mem_free(making);
}

void streams_topics_destroy(struct streams_topics **pointer)
{
    struct streams_topics *topics = *pointer;
    *pointer = NULL;
    if (topics == NULL)
        return;
    for (struct batch *batch = topics->batches, *next; batch != NULL; batch = next) {
        next = batch->next;
        controllers_cancel(batch->controllers, &batch->pending);
        mem_free(batch);
    }
    metric_remove(topics->env->metrics, &topics->made);
    metric_remove(topics->env->metrics, &topics->failed);
    metric_remove(topics->env->metrics, &topics->waiting);
    map_clear(&topics->names, making_free);
    map_fini(&topics->names);
    mem_free(topics);
}

const char *streams_topics_error(const struct streams_topics *topics, struct slice name)
{
    const struct making *making = map_get(&topics->names, name);
    return making == NULL ? NULL : making->error;
}

// ---- the answer ----

static void forget(struct streams_topics *topics, struct slice name)
{
    struct making *making = map_remove(&topics->names, name);
    if (making != NULL)
        making_free(making);
    metric_set(&topics->waiting, (int64_t)topics->names.count);
}

static void failed(struct streams_topics *topics, struct slice name, struct slice text)
{
    struct making *making = map_get(&topics->names, name);
    if (making == NULL)
        return;
    mem_free(making->error);
    making->error = mem_strndup((const char *)text.data, text.len);
    making->batch = NULL;
    making->failed_us = env_now_us(topics->env);
    metric_inc(&topics->failed, 1);
    DIAG_WARN(&topics->env->diag, "internal topic of a streams group not made topic=%.*s error=\"%s\"",
              (int)name.len, (const char *)name.data, making->error);
}

static void take_answer(struct streams_topics *topics, const response_t *answer)
{
    for (int32_t i = 0; i < answer->topics_count; i++) {
        struct slice name = answer->topics[i].name, text = answer->topics[i].error_message;
        int16_t error = answer->topics[i].error_code;
        metric_inc(&topics->made, error == KAFKA_ERR_NONE ? 1 : 0);
        if (error == KAFKA_ERR_NONE || error == KAFKA_ERR_TOPIC_ALREADY_EXISTS)
            forget(topics, name);
        else
            failed(topics, name, text.len > 0 ? text : slice_str(kafka_error_text(error)));
    }
}

// What the answer did not speak of.
static void fail_rest(struct streams_topics *topics, const struct batch *batch, const char *text)
{
    struct slice name;
    void *value;
    for (struct map_entry *at = NULL; map_next(&topics->names, &at, &name, &value);) {
        if (((const struct making *)value)->batch == batch)
            failed(topics, name, slice_str(text));
    }
}

static void batch_free(struct batch *batch)
{
    struct batch **at = &batch->owner->batches;
    while (*at != batch)
        at = &(*at)->next;
    *at = batch->next;
    mem_free(batch);
}

static void on_done(void *context, enum status status, const ProtobufCMessage *reply, struct slice payload,
                    const char *text)
{
    struct batch *batch = context;
    struct streams_topics *topics = batch->owner;
    struct arena arena;
    response_t answer;
    arena_init(&arena, ARENA_MAX);
    if (status == ST_OK)
        status = kafka_frame_answer(kafka_api(KAFKA_API_CREATE_TOPICS), VERSION, payload, &arena, &answer);
    if (status == ST_OK)
        take_answer(topics, &answer);
    fail_rest(topics, batch, status == ST_OK ? "the controller did not say" : status_text(status));
    arena_fini(&arena);
    batch_free(batch);
}

// ---- the request ----

static bool put_topic(struct arena *arena, const struct streams_internal *internal, topic_t *out)
{
    const streams_topic_info *info = internal->info;
    kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_type, out);
    out->name = info->name;
    out->num_partitions = internal->partitions;
    out->replication_factor = info->replication_factor > 0 ? info->replication_factor : -1;
    out->configs = arena_calloc(arena, (size_t)info->topic_configs_count + 1, sizeof(config_t));
    for (int32_t i = 0; out->configs != NULL && i < info->topic_configs_count; i++) {
        kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_config_type, &out->configs[i]);
        out->configs[i].name = info->topic_configs[i].key;
        out->configs[i].value = info->topic_configs[i].value;
        out->configs_count++;
    }
    return out->configs != NULL;
}

static void drop_old_errors(struct streams_topics *topics)
{
    int64_t now_us = env_now_us(topics->env);
    struct slice name;
    void *value;
    for (struct map_entry *at = NULL; map_next(&topics->names, &at, &name, &value);) {
        const struct making *making = value;
        if (making->batch == NULL && now_us - making->failed_us > (int64_t)STREAMS_CREATION_ERROR_MS * 1000)
            forget(topics, name);
    }
}

// Room for another name where an application's topics fail again and again. False: all are on their way.
static bool forget_oldest_error(struct streams_topics *topics)
{
    const struct making *oldest = NULL;
    struct slice name, oldest_name = {0};
    void *value;
    for (struct map_entry *at = NULL; map_next(&topics->names, &at, &name, &value);) {
        const struct making *making = value;
        if (making->batch == NULL && (oldest == NULL || making->failed_us < oldest->failed_us)) {
            oldest = making;
            oldest_name = name;
        }
    }
    if (oldest != NULL)
        forget(topics, oldest_name);
    return oldest != NULL;
}

// Whether the name is to go with the batch. The error of the last time stays until there is an answer.
static bool claim(struct streams_topics *topics, struct slice name, struct batch *batch)
{
    struct making *making = map_get(&topics->names, name);
    if (making == NULL && topics->names.count >= STREAMS_CREATIONS_MAX && !forget_oldest_error(topics))
        return false;
    if (making == NULL) {
        making = mem_calloc(1, sizeof *making);
        map_put(&topics->names, name, making);
        metric_set(&topics->waiting, (int64_t)topics->names.count);
    } else if (making->batch != NULL) {
        return false;
    }
    making->batch = batch;
    return true;
}

static bool gather(struct batch *batch, const struct streams_plan *plan, struct arena *arena,
                   request_t *request)
{
    kafka_defaults(&kafka_create_topics_request_message, request);
    request->timeout_ms = TIMEOUT_MS;
    request->topics = arena_calloc(arena, (size_t)plan->missing_count + 1, sizeof(topic_t));
    for (int32_t i = 0; request->topics != NULL && i < plan->missing_count; i++) {
        if (!claim(batch->owner, plan->missing[i].info->name, batch))
            continue;
        if (!put_topic(arena, &plan->missing[i], &request->topics[request->topics_count++]))
            return false;
    }
    return request->topics != NULL;
}

static void invoke(struct batch *batch, const struct principal *principal, struct block *frame)
{
    Millrace__RelayRequest relay = MILLRACE__RELAY_REQUEST__INIT;
    relay.principal = (char *)(uintptr_t)principal->name;
    relay.listener = (char *)(uintptr_t)principal->listener;
    relay.client_host = (char *)(uintptr_t)principal->host;
    relay.session = principal->session;
    struct controllers_call call = {.method = "Relay",
                                    .request = &relay.base,
                                    .payload = frame,
                                    .timeout_ms = TIMEOUT_MS,
                                    .idempotent = true, // a second run says TOPIC_ALREADY_EXISTS
                                    .done = on_done,
                                    .context = batch};
    batch->pending = controllers_invoke(batch->controllers, &call);
}

void streams_topics_make(struct streams_topics *topics, struct controllers *controllers,
                         const struct principal *principal, const struct streams_plan *plan)
{
    drop_old_errors(topics);
    struct batch *batch = mem_calloc(1, sizeof *batch);
    *batch = (struct batch){.owner = topics, .controllers = controllers, .next = topics->batches};
    topics->batches = batch;
    struct arena arena;
    request_t request;
    arena_init(&arena, ARENA_MAX);
    struct block *frame = NULL;
    if (gather(batch, plan, &arena, &request) && request.topics_count > 0)
        frame = kafka_frame_request(&(struct kafka_request_header){.request_api_key = KAFKA_API_CREATE_TOPICS,
                                                                   .request_api_version = VERSION},
                                    &request, FRAME_MAX);
    if (frame != NULL) {
        invoke(batch, principal, frame);
    } else {
        fail_rest(topics, batch, status_text(ST_LIMIT));
        batch_free(batch);
    }
    block_unref(&frame);
    arena_fini(&arena);
}
