// SPDX-License-Identifier: Apache-2.0
// See guard.h. A question goes to one registry after the other, beginning with the one that answered last,
// until one says yes or no; any of them answers from memory, and asks the owner before it says no.
#include "guard.h"

#include "base/mem.h"
#include "cluster/contacts.h"
#include "protos/registry.pb-c.h"
#include "schema/pack.h"

#include <stdio.h>

enum { TRIES_MAX = 3, ASK_KEY_SIZE = 16 + 1 + sizeof(struct guard_id) };

struct ask {
    struct job job; // parses the schema
    struct guard *guard;
    uint8_t key[ASK_KEY_SIZE];
    struct uuid topic;
    char *name;
    int side;
    struct guard_rule rule;
    struct guard_id id;
    struct wait_list waits;
    struct timer timer; // until the next try
    int64_t deadline_us;
    int tries;
    // ---- the answer ----
    Millrace__Located *located;
    struct schema *schema;
    struct schema_error error;
    bool parsing, ended; // ended while the pool parses: freed when it comes back
};

struct guard {
    struct guard_options options;
    struct env *env;
    struct guard_cache cache;
    struct contacts registries;
    struct map asks;
    size_t turn; // which of the registries is asked
    struct metric hits, misses, questions, silences, bytes, entries;
    struct metric rejected[GUARD_REASONS];
    char labels[GUARD_REASONS][32];
};

static void measure(struct guard *guard)
{
    metric_set(&guard->bytes, (int64_t)guard->cache.bytes);
    metric_set(&guard->entries, (int64_t)guard->cache.entries);
}

// ---- a question's end ----

static void ask_free(struct ask *ask)
{
    if (ask->located != NULL)
        millrace__located__free_unpacked(ask->located, NULL);
    schema_free(ask->schema);
    mem_free(ask->name);
    mem_free(ask);
}

// Before it was answered.
static void ask_end(struct ask *ask)
{
    struct guard *guard = ask->guard;
    map_remove(&guard->asks, slice_of(ask->key, ASK_KEY_SIZE));
    timer_stop(guard->env, &ask->timer);
    rpc_cancel(guard->options.rpc, ask);
    ask->ended = true;
    if (!ask->parsing)
        ask_free(ask);
}

// What is known is in the cache: those that wait look there, and may ask about the same id anew.
static void ask_tell(struct ask *ask)
{
    measure(ask->guard);
    map_remove(&ask->guard->asks, slice_of(ask->key, ASK_KEY_SIZE));
    wait_reached(&ask->waits, 0);
    ask_free(ask);
}

static struct guard_side *side_of(const struct ask *ask)
{
    return guard_cache_find(&ask->guard->cache, ask->topic, ask->side, ask->rule);
}

static void ask_silence(struct ask *ask)
{
    struct guard_side *side = side_of(ask);
    metric_inc(&ask->guard->silences, 1);
    if (side != NULL)
        guard_side_silence(side, &ask->id, env_now_us(ask->guard->env));
    ask_tell(ask);
}

static enum guard_verdict verdict_of(const struct ask *ask)
{
    if (!ask->located->exists)
        return GUARD_UNKNOWN;
    if (ask->located->by_message && ask->id.message[0] == '\0') // one that is told is not asked for again
        return GUARD_BY_MESSAGE;
    if (!ask->located->registered)
        return GUARD_UNREGISTERED;
    return ask->rule.level == GUARD_FULL && ask->schema == NULL ? GUARD_UNREADABLE : GUARD_GOOD;
}

static void ask_answered(struct ask *ask)
{
    struct guard_side *side = side_of(ask);
    struct guard_told told = {.verdict = verdict_of(ask),
                              .schema = ask->schema,
                              .subject = ask->located->subject,
                              .fault = ask->error.code != ST_OK ? ask->error.text : ask->located->fault,
                              .bytes = ask->located->packed.len * GUARD_SCHEMA_FACTOR};
    if (side != NULL) {
        guard_side_tell(side, &ask->id, &told, env_now_us(ask->guard->env));
        ask->schema = NULL;
    }
    ask_tell(ask);
}

// ---- parsing ----

static void parse_run(struct job *job)
{
    struct ask *ask = (struct ask *)job;
    schema_unpack(slice_of(ask->located->packed.data, ask->located->packed.len), &ask->error, &ask->schema);
}

static void parse_on_done(struct job *job)
{
    struct ask *ask = (struct ask *)job;
    ask->parsing = false;
    if (ask->ended)
        ask_free(ask);
    else
        ask_answered(ask);
}

// ---- asking ----

static void ask_send(struct ask *ask);

static void ask_on_timer(struct timer *timer)
{
    ask_send(timer->context);
}

static void ask_again(struct ask *ask)
{
    struct guard *guard = ask->guard;
    guard->turn++;
    if (++ask->tries >= TRIES_MAX || env_now_us(guard->env) >= ask->deadline_us)
        ask_silence(ask);
    else
        timer_start_ms(guard->env, &ask->timer, GUARD_PAUSE_MS);
}

// The answer in the first payload frame. NULL: it says nothing.
static Millrace__Located *located_of(const struct rpc_result *result, int32_t code)
{
    if (result->payload_count == 0 || (code != 200 && code != 404))
        return NULL;
    return millrace__located__unpack(NULL, result->payload[0]->len, result->payload[0]->data);
}

static void ask_on_reply(const Millrace__RegistryReply *reply, void *context)
{
    struct ask *ask = context;
    struct guard *guard = ask->guard;
    ask->located = reply != NULL ? located_of(rpc_result(guard->options.rpc), reply->code) : NULL;
    if (ask->located == NULL) {
        ask_again(ask);
    } else if (ask->located->has_packed) {
        ask->parsing = true;
        env_submit(guard->env, guard->env->pool, &ask->job);
    } else {
        ask_answered(ask);
    }
}

// The registry whose turn it is. NULL: none is there.
static const struct image_node *registry_in_turn(const struct guard *guard)
{
    const struct image *image = guard->options.image;
    size_t live = 0, count = image_node_count(image);
    for (size_t i = 0; i < count; i++)
        live += image_node_live(image_node_at(image, i), MILLRACE__ROLE__ROLE_REGISTRY);
    size_t skip = live > 0 ? guard->turn % live : 0;
    for (size_t i = 0; i < count && live > 0; i++)
        if (image_node_live(image_node_at(image, i), MILLRACE__ROLE__ROLE_REGISTRY) && skip-- == 0)
            return image_node_at(image, i);
    return NULL;
}

static void ask_send(struct ask *ask)
{
    struct guard *guard = ask->guard;
    const struct image_node *registry = registry_in_turn(guard);
    int64_t left_ms = (ask->deadline_us - env_now_us(guard->env)) / 1000;
    Millrace__LocateRequest request = MILLRACE__LOCATE_REQUEST__INIT;
    char text[SCHEMA_ID_TEXT];
    if (registry == NULL || left_ms <= 0) {
        ask_again(ask);
        return;
    }
    request.has_id = !schema_id_is_guid(&ask->id.schema);
    if (request.has_id)
        request.id = schema_id_number(&ask->id.schema);
    else
        request.guid = (char *)(uintptr_t)schema_id_text(&ask->id.schema, text);
    request.message = ask->id.message[0] != '\0' ? ask->id.message : NULL;
    request.topic = ask->name;
    request.key = ask->side == SCHEMA_KEY;
    request.strategy = (Millrace__SubjectStrategy)ask->rule.strategy;
    request.packed = ask->rule.level == GUARD_FULL;
    struct rpc_options options = {.deadline_ms = left_ms < GUARD_TRY_MS ? left_ms : GUARD_TRY_MS};
    millrace__registry__locate(rpc_on(contacts_to(&guard->registries, registry, RPC_REGISTRY),
                                      &millrace__registry__descriptor, &options),
                               &request, ask_on_reply, ask);
}

static struct slice ask_key(uint8_t key[ASK_KEY_SIZE], struct uuid topic, int side, const struct guard_id *id)
{
    memcpy(key, topic.bytes, 16);
    key[16] = (uint8_t)side;
    memcpy(key + 17, id, sizeof *id);
    return slice_of(key, ASK_KEY_SIZE);
}

// The question about an id, begun when it is not under way. NULL: there are too many.
static struct ask *ask_about(struct guard *guard, const struct guard_topic *topic, int side,
                             const struct guard_id *id)
{
    uint8_t bytes[ASK_KEY_SIZE];
    struct slice key = ask_key(bytes, topic->id, side, id);
    struct ask *ask = map_get(&guard->asks, key);
    if (ask != NULL || guard->asks.count >= GUARD_ASKS_MAX)
        return ask;
    ask = mem_calloc(1, sizeof *ask);
    *ask = (struct ask){.job = {.run = parse_run, .done = parse_on_done},
                        .guard = guard,
                        .topic = topic->id,
                        .name = mem_strdup(topic->name),
                        .side = side,
                        .rule = topic->rules->sides[side],
                        .id = *id,
                        .deadline_us = env_now_us(guard->env) + GUARD_ASK_MS * 1000};
    memcpy(ask->key, bytes, ASK_KEY_SIZE);
    map_put(&guard->asks, key, ask);
    timer_init(&ask->timer, ask_on_timer, ask);
    timer_start_ms(guard->env, &ask->timer, 0); // it ends in a later turn, whatever becomes of it
    metric_inc(&guard->questions, 1);
    return ask;
}

bool guard_ask(struct guard *guard, const struct guard_topic *topic, const struct guard_report *report,
               struct wait *wait, wait_fn *told, void *context)
{
    struct ask *last = NULL; // answered after the others, as a rule
    for (int i = 0; i < report->missing_count; i++) {
        const struct guard_missing *missing = &report->missing[i];
        struct ask *ask = ask_about(guard, topic, missing->side, &missing->id);
        if (ask != NULL)
            last = ask;
    }
    if (last != NULL)
        wait_add(&last->waits, wait, 0, told, context);
    return last != NULL;
}

// ---- what is known ----

static void ask_about_old(struct guard *guard, const struct guard_topic *topic, int side,
                          struct guard_side *known, int64_t now_us)
{
    struct guard_id ids[GUARD_MISSING_MAX];
    size_t count = guard_side_due(known, now_us, ids, GUARD_MISSING_MAX);
    for (size_t i = 0; i < count; i++)
        ask_about(guard, topic, side, &ids[i]);
}

struct guard_books guard_books_of(struct guard *guard, const struct guard_topic *topic)
{
    struct guard_books books = {{NULL, NULL}};
    int64_t now_us = env_now_us(guard->env);
    for (int i = 0; i < SCHEMA_SIDES; i++) {
        if (topic->rules->sides[i].level == GUARD_NONE)
            continue;
        struct guard_side *side = guard_cache_side(&guard->cache, topic->id, i, topic->rules->sides[i]);
        books.sides[i] = guard_side_book(side, now_us);
        ask_about_old(guard, topic, i, side, now_us);
    }
    return books;
}

void guard_count_batch(struct guard *guard, const struct guard_report *report)
{
    bool missing = report != NULL && report->bad == 0 && report->missing_count > 0;
    metric_inc(missing ? &guard->misses : &guard->hits, 1);
}

void guard_count_refused(struct guard *guard, const struct guard_report *report)
{
    for (int i = 0; i < GUARD_REASONS; i++)
        metric_inc(&guard->rejected[i], report->by_reason[i]);
}

// ---- life ----

static void add_metric(struct guard *guard, struct metric *metric, enum metric_kind kind, const char *name,
                       const char *help)
{
    *metric = (struct metric){.name = name, .help = help, .kind = kind, .labels = metric->labels};
    metric_add(guard->env->metrics, metric);
}

static void add_metrics(struct guard *guard)
{
    add_metric(guard, &guard->hits, METRIC_COUNTER, "millrace_storage_schema_hits_total",
               "Batches whose schemas were known when they came.");
    add_metric(guard, &guard->misses, METRIC_COUNTER, "millrace_storage_schema_misses_total",
               "Batches with a schema that a registry had to be asked about.");
    add_metric(guard, &guard->questions, METRIC_COUNTER, "millrace_storage_schema_questions_total",
               "Questions about schemas to registries.");
    add_metric(guard, &guard->silences, METRIC_COUNTER, "millrace_storage_schema_unanswered_total",
               "Questions about schemas that no registry answered.");
    add_metric(guard, &guard->bytes, METRIC_GAUGE, "millrace_storage_schema_cache_bytes",
               "Memory of what is known of schemas.");
    add_metric(guard, &guard->entries, METRIC_GAUGE, "millrace_storage_schema_cache_entries",
               "Schemas, each per topic, that something is known of.");
    for (int i = 0; i < GUARD_REASONS; i++) {
        snprintf(guard->labels[i], sizeof guard->labels[i], "reason=\"%s\"", guard_reason_name(i));
        guard->rejected[i].labels = guard->labels[i];
        add_metric(guard, &guard->rejected[i], METRIC_COUNTER,
                   "millrace_storage_schema_rejected_records_total", "Records refused for their schema.");
    }
}

struct guard *guard_new(const struct guard_options *options)
{
    struct guard *guard = mem_calloc(1, sizeof *guard);
    guard->options = *options;
    guard->env = options->env;
    guard_cache_init(&guard->cache, options->entries_max, options->bytes_max, env_random(options->env));
    contacts_init(&guard->registries, options->rpc, env_random(options->env));
    map_init(&guard->asks, env_random(options->env));
    add_metrics(guard);
    return guard;
}

void guard_destroy(struct guard **pointer)
{
    struct guard *guard = *pointer;
    void *ask;
    *pointer = NULL;
    if (guard == NULL)
        return;
    for (struct map_entry *at = NULL; map_next(&guard->asks, &at, NULL, &ask);)
        ask_end(ask);
    map_fini(&guard->asks);
    contacts_fini(&guard->registries);
    guard_cache_fini(&guard->cache);
    struct metric *metrics[] = {&guard->hits,     &guard->misses, &guard->questions,
                                &guard->silences, &guard->bytes,  &guard->entries};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        metric_remove(guard->env->metrics, metrics[i]);
    for (int i = 0; i < GUARD_REASONS; i++)
        metric_remove(guard->env->metrics, &guard->rejected[i]);
    mem_free(guard);
}
