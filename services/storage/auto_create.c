// SPDX-License-Identifier: Apache-2.0
// See auto_create.h. One relay per topic, bounded; a failure is logged, and the next Metadata tries again. A
// share group's failures are remembered for a while: it asks ten times a second until the topic is there.
#include "auto_create.h"

#include "base/map.h"
#include "base/mem.h"
#include "frame.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/create_topics.h"
#include "relay.h"
#include "storage.h"

#include <stdio.h>

enum {
    UNDER_WAY_MAX = 200,
    REFUSED_MAX = 200,
    PAUSE_MS = 3000, // a dead-letter topic that was refused is not asked for again before
    TIMEOUT_MS = 10000,
    VERSION = 5,
    ANSWER_ARENA = 1 << 20
};

struct creation {
    struct auto_create *owner;
    char *name;
    const char *allows;                    // topic configuration that is true; NULL: none
    char who[128], listener[64], host[64]; // the principal's strings outlive the client's request
    struct principal principal;
    struct relay *relay;
};

struct auto_create {
    struct storage *storage;
    struct map creations; // name → struct creation
    struct map refused;   // name of a dead-letter topic → int64_t, it is not asked for before (us)
    struct auto_create_wait *waits;
};

struct auto_create *auto_create_new(struct storage *storage)
{
    struct auto_create *auto_create = mem_calloc(1, sizeof *auto_create);
    auto_create->storage = storage;
    map_init(&auto_create->creations, env_random(storage_env(storage)));
    map_init(&auto_create->refused, env_random(storage_env(storage)));
    return auto_create;
}

static void creation_free(struct creation *creation)
{
    relay_cancel(&creation->relay);
    mem_free(creation->name);
    mem_free(creation);
}

void auto_create_destroy(struct auto_create **pointer)
{
    struct auto_create *auto_create = *pointer;
    *pointer = NULL;
    if (auto_create == NULL)
        return;
    struct map_entry *at = NULL;
    void *value;
    while (map_next(&auto_create->creations, &at, NULL, &value))
        creation_free(value);
    map_fini(&auto_create->creations);
    map_clear(&auto_create->refused, mem_free);
    map_fini(&auto_create->refused);
    while (auto_create->waits != NULL)
        auto_create_wait_cancel(auto_create->waits);
    mem_free(auto_create);
}

bool auto_create_busy(const struct auto_create *auto_create, struct slice name)
{
    return map_get(&auto_create->creations, name) != NULL;
}

void auto_create_wait(struct auto_create *auto_create, struct auto_create_wait *wait,
                      void (*ended)(void *context), void *context)
{
    *wait = (struct auto_create_wait){
        .ended = ended, .context = context, .owner = auto_create, .next = auto_create->waits};
    if (auto_create->waits != NULL)
        auto_create->waits->previous = wait;
    auto_create->waits = wait;
}

void auto_create_wait_cancel(struct auto_create_wait *wait)
{
    if (wait->owner == NULL)
        return;
    *(wait->previous ? &wait->previous->next : &wait->owner->waits) = wait->next;
    if (wait->next != NULL)
        wait->next->previous = wait->previous;
    *wait = (struct auto_create_wait){0};
}

// The one told may cancel itself, nobody else.
static void waits_tell(struct auto_create *auto_create)
{
    for (struct auto_create_wait *wait = auto_create->waits, *next; wait != NULL; wait = next) {
        next = wait->next;
        wait->ended(wait->context);
    }
}

// ---- refusals ----

static void forget_past_refusals(struct auto_create *auto_create)
{
    int64_t now_us = env_now_us(storage_env(auto_create->storage));
    struct slice name;
    void *value;
    for (struct map_entry *at = NULL; map_next(&auto_create->refused, &at, &name, &value);)
        if (*(const int64_t *)value <= now_us)
            mem_free(map_remove(&auto_create->refused, name));
}

// When too many are remembered it is not: then it is asked for again at once.
static void remember_refusal(struct auto_create *auto_create, struct slice name)
{
    forget_past_refusals(auto_create);
    if (auto_create->refused.count >= REFUSED_MAX)
        return;
    int64_t *until_us = mem_calloc(1, sizeof *until_us);
    *until_us = env_now_us(storage_env(auto_create->storage)) + PAUSE_MS * 1000;
    mem_free(map_put(&auto_create->refused, name, until_us));
}

static bool refused_lately(struct auto_create *auto_create, struct slice name)
{
    forget_past_refusals(auto_create);
    return map_get(&auto_create->refused, name) != NULL;
}

// ---- creations ----

static int16_t answer_error(const struct block *response)
{
    struct arena arena;
    arena_init(&arena, ANSWER_ARENA);
    struct kafka_create_topics_response answer;
    int16_t error = KAFKA_ERR_UNKNOWN_SERVER_ERROR;
    if (frame_decode(kafka_api(KAFKA_API_CREATE_TOPICS), VERSION, response, &arena, &answer) == ST_OK &&
        answer.topics_count == 1)
        error = answer.topics[0].error_code;
    arena_fini(&arena);
    return error;
}

static void creation_on_done(void *context, enum status status, struct block *response)
{
    struct creation *creation = context;
    struct auto_create *owner = creation->owner;
    struct diag *diag = &storage_env(owner->storage)->diag;
    int16_t error = status == ST_OK ? answer_error(response) : KAFKA_ERR_NONE;
    creation->relay = NULL;
    if (status != ST_OK)
        DIAG_WARN(diag, "automatic topic creation failed topic=%s status=%s", creation->name,
                  status_name(status));
    else if (error == KAFKA_ERR_NONE)
        DIAG_INFO(diag, "created topic on request topic=%s", creation->name);
    else if (error != KAFKA_ERR_TOPIC_ALREADY_EXISTS)
        DIAG_WARN(diag, "automatic topic creation refused topic=%s error=%d", creation->name, error);
    map_remove(&owner->creations, slice_str(creation->name));
    bool made = status == ST_OK && (error == KAFKA_ERR_NONE || error == KAFKA_ERR_TOPIC_ALREADY_EXISTS);
    if (!made && creation->allows != NULL)
        remember_refusal(owner, slice_str(creation->name));
    creation_free(creation);
    waits_tell(owner);
}

static struct block *creation_frame(const struct creation *creation)
{
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_structure_defaults(&kafka_create_topics_request_creatable_topic_type, &topic);
    topic.name = slice_str(creation->name);
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    struct kafka_create_topics_request_creatable_topic_config config = {
        .name = slice_str(creation->allows != NULL ? creation->allows : ""), .value = slice_str("true")};
    topic.configs = &config;
    topic.configs_count = creation->allows != NULL;
    struct kafka_create_topics_request request;
    kafka_defaults(&kafka_create_topics_request_message, &request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = TIMEOUT_MS;
    return frame_encode(kafka_api(KAFKA_API_CREATE_TOPICS), VERSION, NULL, &request);
}

static void keep_principal(struct creation *creation, const struct principal *principal)
{
    snprintf(creation->who, sizeof creation->who, "%s", principal->name);
    snprintf(creation->listener, sizeof creation->listener, "%s", principal->listener);
    snprintf(creation->host, sizeof creation->host, "%s", principal->host);
    creation->principal = (struct principal){.name = creation->who,
                                             .listener = creation->listener,
                                             .host = creation->host,
                                             .session = principal->session};
}

static void create(struct auto_create *auto_create, const struct principal *principal, struct slice name,
                   const char *allows)
{
    if (map_get(&auto_create->creations, name) != NULL || auto_create->creations.count >= UNDER_WAY_MAX)
        return;
    struct creation *creation = mem_calloc(1, sizeof *creation);
    creation->owner = auto_create;
    creation->name = mem_strndup((const char *)name.data, name.len);
    creation->allows = allows;
    keep_principal(creation, principal);
    struct block *frame = creation_frame(creation);
    if (frame == NULL) {
        creation_free(creation);
        return;
    }
    map_put(&auto_create->creations, name, creation);
    struct relay_call call = {.frame = frame,
                              .principal = &creation->principal,
                              .target = RELAY_CONTROLLER,
                              .timeout_ms = TIMEOUT_MS,
                              .repeatable =
                                  true, // the second run says TOPIC_ALREADY_EXISTS, which is as good
                              .done = creation_on_done,
                              .context = creation};
    creation->relay = relay_start(storage_relays(auto_create->storage), &call);
    block_unref(&frame);
}

void auto_create_topic(struct auto_create *auto_create, const struct principal *principal, struct slice name)
{
    create(auto_create, principal, name, NULL);
}

void auto_create_dead_letters(struct auto_create *auto_create, struct slice name, const char *allows)
{
    static const struct principal self = {.name = PRINCIPAL_ANONYMOUS, .listener = "", .host = ""};
    if (refused_lately(auto_create, name))
        return;
    create(auto_create, &self, name, allows);
}
