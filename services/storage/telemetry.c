// SPDX-License-Identifier: Apache-2.0
// See telemetry.h. Subscriptions are read from the image when the first request after a change comes, and an
// instance's own is made from them at its next request.
#include "telemetry.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "cluster/configs.h"
#include "kafka/compress.h"
#include "kafka/errors.h"

#include <stdlib.h>

#define METRICS MILLRACE__RESOURCE_TYPE__RESOURCE_CLIENT_METRICS

enum { SWEEP_MS = 5000, SWEEP_INSTANCES = 1000 };

struct wanted { // one subscription of the image
    struct client_match *match;
    int32_t interval_ms;
    char *metrics; // the list as text
};

struct instance {
    struct instance *previous, *next; // least recently heard first
    struct uuid id;
    uint64_t generation; // of the subscriptions its own was made from
    struct telemetry_subscription subscription;
    char **metrics; // owned, what subscription.metrics shows
    int64_t asked_ms, pushed_ms, heard_ms;
    bool terminating;
    int16_t error; // of its last request
    struct series_set series;
};

struct telemetry {
    struct env *env;
    struct image *image;
    struct image_listener listener;
    uint64_t generation; // grows with every change of subscriptions
    uint64_t read;       // generation that wanted shows
    struct wanted *wanted;
    size_t wanted_count;
    struct map instances; // by id
    struct instance *first, *last;
    struct series_registry series;
    struct metric known;
    struct timer sweep;
};

// ---- subscriptions ----

static void wanted_clear(struct telemetry *telemetry)
{
    for (size_t i = 0; i < telemetry->wanted_count; i++) {
        client_match_destroy(&telemetry->wanted[i].match);
        mem_free(telemetry->wanted[i].metrics);
    }
    mem_free(telemetry->wanted);
    telemetry->wanted = NULL;
    telemetry->wanted_count = 0;
}

static const char *value_of(const struct telemetry *telemetry, const char *name, const char *key)
{
    const char *value = image_config(telemetry->image, METRICS, name, key);
    return value != NULL ? value : configs_metrics_key(slice_str(key))->fallback;
}

static void wanted_read(struct telemetry *telemetry)
{
    if (telemetry->read == telemetry->generation)
        return;
    size_t count = image_resource_count(telemetry->image, METRICS);
    wanted_clear(telemetry);
    telemetry->wanted = mem_calloc(count + 1, sizeof *telemetry->wanted);
    for (size_t i = 0; i < count; i++) {
        char why[CLIENT_MATCH_WHY_SIZE];
        const char *name = image_resource_name(telemetry->image, METRICS, i);
        struct wanted *wanted = &telemetry->wanted[telemetry->wanted_count];
        if (client_match_new(slice_str(value_of(telemetry, name, "match")), &wanted->match, why) != ST_OK)
            continue; // of a release that takes more
        wanted->interval_ms = (int32_t)strtol(value_of(telemetry, name, "interval.ms"), NULL, 10);
        wanted->metrics = mem_strdup(value_of(telemetry, name, "metrics"));
        telemetry->wanted_count++;
    }
    telemetry->read = telemetry->generation;
}

static void on_config(void *context, Millrace__ResourceType type, const char *name, const char *key,
                      const char *value)
{
    struct telemetry *telemetry = context;
    telemetry->generation += type == METRICS;
}

// ---- an instance's subscription ----

static void metrics_clear(struct instance *instance)
{
    for (int32_t i = 0; i < instance->subscription.metric_count; i++)
        mem_free(instance->metrics[i]);
    mem_free(instance->metrics);
    instance->metrics = NULL;
    instance->subscription = (struct telemetry_subscription){.interval_ms = TELEMETRY_INTERVAL_MS};
}

// Keeps them ascending and each once.
static void metrics_add(struct instance *instance, struct slice item)
{
    int32_t count = instance->subscription.metric_count, at = 0;
    if (item.len == 0 || count == TELEMETRY_METRICS_MAX)
        return;
    char *text = mem_strndup((const char *)item.data, item.len);
    while (at < count && strcmp(instance->metrics[at], text) < 0)
        at++;
    if (at < count && strcmp(instance->metrics[at], text) == 0) {
        mem_free(text);
        return;
    }
    instance->metrics = mem_realloc(instance->metrics, (size_t)(count + 1) * sizeof *instance->metrics);
    memmove(instance->metrics + at + 1, instance->metrics + at,
            (size_t)(count - at) * sizeof *instance->metrics);
    instance->metrics[at] = text;
    instance->subscription.metric_count++;
}

static void metrics_merge(struct instance *instance, const char *list)
{
    while (*list != 0) {
        size_t len = strcspn(list, ",");
        metrics_add(instance, slice_of(list, len));
        list += len + (list[len] == ',');
    }
}

// "*" goes before everything else, which it stands for.
static void metrics_settle(struct instance *instance)
{
    bool all = false;
    for (int32_t i = 0; i < instance->subscription.metric_count; i++)
        all |= strcmp(instance->metrics[i], "*") == 0;
    if (!all)
        return;
    int32_t interval_ms = instance->subscription.interval_ms;
    metrics_clear(instance);
    instance->subscription.interval_ms = interval_ms;
    metrics_add(instance, slice_str("*"));
}

static int32_t subscription_id(const struct instance *instance)
{
    uint32_t crc = crc32c(0, instance->id.bytes, sizeof instance->id.bytes);
    int32_t interval_ms = instance->subscription.interval_ms;
    uint8_t interval[4] = {(uint8_t)(interval_ms >> 24), (uint8_t)(interval_ms >> 16),
                           (uint8_t)(interval_ms >> 8), (uint8_t)interval_ms};
    crc = crc32c(crc, interval, sizeof interval);
    for (int32_t i = 0; i < instance->subscription.metric_count; i++)
        crc = crc32c(crc, instance->metrics[i], strlen(instance->metrics[i]) + 1);
    return (int32_t)crc;
}

static void subscribe(struct telemetry *telemetry, struct instance *instance,
                      const struct telemetry_client *client)
{
    char id[UUID_TEXT_SIZE];
    struct slice known[CLIENT_MATCH_SELECTORS];
    wanted_read(telemetry);
    metrics_clear(instance);
    uuid_format(instance->id, id);
    memcpy(known, client->client, sizeof known);
    known[CLIENT_MATCH_INSTANCE_ID] = slice_str(id);
    for (size_t i = 0; i < telemetry->wanted_count; i++) {
        const struct wanted *wanted = &telemetry->wanted[i];
        if (!client_match_holds(wanted->match, known))
            continue;
        metrics_merge(instance, wanted->metrics);
        if (wanted->interval_ms < instance->subscription.interval_ms)
            instance->subscription.interval_ms = wanted->interval_ms;
    }
    metrics_settle(instance);
    instance->subscription.id = subscription_id(instance);
    instance->subscription.metrics = (const char *const *)instance->metrics;
    instance->generation = telemetry->generation;
}

// ---- instances ----

static void unlink_instance(struct telemetry *telemetry, struct instance *instance)
{
    *(instance->previous != NULL ? &instance->previous->next : &telemetry->first) = instance->next;
    *(instance->next != NULL ? &instance->next->previous : &telemetry->last) = instance->previous;
}

static void link_last(struct telemetry *telemetry, struct instance *instance)
{
    instance->previous = telemetry->last;
    instance->next = NULL;
    *(telemetry->last != NULL ? &telemetry->last->next : &telemetry->first) = instance;
    telemetry->last = instance;
}

static struct slice key_of(const struct uuid *id)
{
    return slice_of(id->bytes, sizeof id->bytes);
}

static void forget(struct telemetry *telemetry, struct instance *instance)
{
    unlink_instance(telemetry, instance);
    map_remove(&telemetry->instances, key_of(&instance->id));
    series_set_fini(&instance->series, &telemetry->series);
    metrics_clear(instance);
    mem_free(instance);
    metric_set(&telemetry->known, (int64_t)telemetry->instances.count);
}

static struct instance *instance_make(struct telemetry *telemetry, struct uuid id)
{
    if (telemetry->instances.count >= TELEMETRY_INSTANCES_MAX)
        forget(telemetry, telemetry->first);
    struct instance *instance = mem_calloc(1, sizeof *instance);
    instance->id = id;
    instance->generation = telemetry->generation - 1; // none yet
    map_put(&telemetry->instances, key_of(&id), instance);
    link_last(telemetry, instance);
    metric_set(&telemetry->known, (int64_t)telemetry->instances.count);
    return instance;
}

// The instance, its subscription up to date; after a change of it everything is as for a new one.
static struct instance *instance_get(struct telemetry *telemetry, const struct telemetry_client *client)
{
    struct instance *instance = map_get(&telemetry->instances, key_of(&client->instance));
    if (instance == NULL)
        instance = instance_make(telemetry, client->instance);
    instance->heard_ms = env_now_ms(telemetry->env);
    unlink_instance(telemetry, instance);
    link_last(telemetry, instance);
    if (instance->generation == telemetry->generation)
        return instance;
    subscribe(telemetry, instance, client);
    instance->asked_ms = instance->pushed_ms = 0;
    instance->terminating = false;
    instance->error = 0;
    return instance;
}

static int64_t quiet_ms_max(const struct instance *instance)
{
    int64_t three = 3 * (int64_t)instance->subscription.interval_ms;
    return three > TELEMETRY_QUIET_MS_MIN ? three : TELEMETRY_QUIET_MS_MIN;
}

// Some at a time; intervals differ, so not only the first ones can be due.
static void on_sweep(struct timer *timer)
{
    struct telemetry *telemetry = timer->context;
    int64_t now = env_now_ms(telemetry->env);
    int looked = 0;
    for (struct instance *at = telemetry->first, *next; at != NULL && looked < SWEEP_INSTANCES;
         at = next, looked++) {
        next = at->next;
        if (now - at->heard_ms > quiet_ms_max(at))
            forget(telemetry, at);
    }
    timer_start_ms(telemetry->env, timer, SWEEP_MS);
}

// ---- requests ----

int16_t telemetry_ask(struct telemetry *telemetry, const struct telemetry_client *client,
                      struct telemetry_subscription *subscription)
{
    struct instance *instance = instance_get(telemetry, client);
    int64_t now = env_now_ms(telemetry->env);
    int64_t last = instance->asked_ms > instance->pushed_ms ? instance->asked_ms : instance->pushed_ms;
    bool early = last > 0 && now - last < instance->subscription.interval_ms;
    bool corrects = instance->error == KAFKA_ERR_UNKNOWN_SUBSCRIPTION_ID ||
                    instance->error == KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE;
    if (early && !corrects) {
        instance->error = KAFKA_ERR_THROTTLING_QUOTA_EXCEEDED;
        return instance->error;
    }
    if (!early)
        instance->asked_ms = now;
    instance->error = 0;
    *subscription = instance->subscription;
    return 0;
}

// The first push after asking comes at any time: clients spread theirs over the interval.
static bool push_in_time(struct instance *instance, int64_t now)
{
    bool ok = instance->asked_ms > instance->pushed_ms ||
              now - instance->pushed_ms >= instance->subscription.interval_ms;
    if (ok)
        instance->pushed_ms = now;
    return ok;
}

static int16_t push_check(struct instance *instance, const struct telemetry_push *push, int64_t now)
{
    if (instance->terminating)
        return KAFKA_ERR_INVALID_REQUEST;
    if (!push_in_time(instance, now) && !push->terminating)
        return KAFKA_ERR_THROTTLING_QUOTA_EXCEEDED;
    if (push->subscription_id != instance->subscription.id)
        return KAFKA_ERR_UNKNOWN_SUBSCRIPTION_ID;
    if (push->compression < 0 || push->compression >= COMPRESSION_COUNT)
        return KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE;
    return push->bytes > push->bytes_max ? KAFKA_ERR_TELEMETRY_TOO_LARGE : 0;
}

int16_t telemetry_admit(struct telemetry *telemetry, const struct telemetry_client *client,
                        const struct telemetry_push *push)
{
    if (uuid_is_zero(client->instance))
        return KAFKA_ERR_INVALID_REQUEST;
    struct instance *instance = instance_get(telemetry, client);
    instance->error = push_check(instance, push, env_now_ms(telemetry->env));
    instance->terminating = push->terminating;
    return instance->error;
}

struct taking {
    struct telemetry *telemetry;
    struct instance *instance;
    struct slice instance_id, client_id;
};

static void on_point(void *context, const struct otlp_point *point)
{
    struct taking *taking = context;
    series_set_take(&taking->instance->series, &taking->telemetry->series, taking->instance_id,
                    taking->client_id, point);
}

int16_t telemetry_take(struct telemetry *telemetry, const struct telemetry_client *client,
                       struct slice unpacked)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(client->instance, id);
    struct taking taking = {.telemetry = telemetry,
                            .instance = map_get(&telemetry->instances, key_of(&client->instance)),
                            .instance_id = slice_str(id),
                            .client_id = client->client[CLIENT_MATCH_ID]};
    if (taking.instance == NULL)
        return 0;
    if (otlp_read(unpacked, on_point, &taking) != ST_OK)
        taking.instance->error = KAFKA_ERR_INVALID_RECORD;
    return taking.instance->error;
}

void telemetry_failed(struct telemetry *telemetry, struct uuid id)
{
    struct instance *instance = map_get(&telemetry->instances, key_of(&id));
    if (instance != NULL)
        instance->error = KAFKA_ERR_INVALID_RECORD;
}

// ---- life ----

struct telemetry *telemetry_new(struct env *env, struct image *image)
{
    struct telemetry *telemetry = mem_calloc(1, sizeof *telemetry);
    telemetry->env = env;
    telemetry->image = image;
    telemetry->generation = 1;
    telemetry->listener = (struct image_listener){.context = telemetry, .on_config = on_config};
    image_listen(image, &telemetry->listener);
    map_init(&telemetry->instances, env_random(env));
    series_registry_init(&telemetry->series, env->metrics);
    telemetry->known = (struct metric){.name = "millrace_client_instances",
                                       .help = "Client instances remembered for their metrics (KIP-714).",
                                       .kind = METRIC_GAUGE};
    metric_add(env->metrics, &telemetry->known);
    timer_init(&telemetry->sweep, on_sweep, telemetry);
    timer_start_ms(env, &telemetry->sweep, SWEEP_MS);
    return telemetry;
}

void telemetry_destroy(struct telemetry **pointer)
{
    struct telemetry *telemetry = *pointer;
    *pointer = NULL;
    if (telemetry == NULL)
        return;
    timer_stop(telemetry->env, &telemetry->sweep);
    image_unlisten(telemetry->image, &telemetry->listener);
    while (telemetry->first != NULL)
        forget(telemetry, telemetry->first);
    map_fini(&telemetry->instances);
    wanted_clear(telemetry);
    series_registry_fini(&telemetry->series);
    metric_remove(telemetry->env->metrics, &telemetry->known);
    mem_free(telemetry);
}
