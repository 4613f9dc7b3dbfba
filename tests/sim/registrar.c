// SPDX-License-Identifier: Apache-2.0
// See registrar.h.
#include "registrar.h"

#include "base/mem.h"
#include "http/json.h"
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_MS = 12000, // longer than a registry takes to answer
    LARGE_EVERY = 20,    // of so many schemas one is too large for the loop
    LARGE_BYTES = 40000,
    PAUSE_MS_MAX = 25,
    YOUNG_MS = 100,
    YOUNG_PAUSE_MS_MAX = 2
};

// One request to one life of a registry. It is not freed while that may still write to it.
struct registrar_call {
    struct call call; // first
    struct registrar *registrar;
    const struct daemon_sim *daemon;
    uint64_t generation; // of its process
    int64_t until_us;
    bool answered, given_up;
    int subject;
    int64_t number; // registering; 0: reading
    int32_t least;  // reading: version
    char *body;
    char once[32]; // the subject of SCHEMA_ONCE
};

// ---- one request ----

// The schema of a number: a record that is compatible with those of all others.
static char *schema_body(int64_t number)
{
    int padding = number % LARGE_EVERY == 0 ? LARGE_BYTES : 0;
    char *doc = mem_calloc(1, (size_t)padding + 1);
    memset(doc, 'x', (size_t)padding);
    char *body = mem_printf(
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"A\\\",\\\"doc\\\":\\\"%s\\\","
        "\\\"fields\\\":[{\\\"name\\\":\\\"f%lld\\\",\\\"type\\\":\\\"int\\\",\\\"default\\\":0}]}\"}",
        doc, (long long)number);
    mem_free(doc);
    return body;
}

static struct registrar_answer answer_of(const struct call *call)
{
    size_t at;
    cJSON *json = NULL;
    int64_t id = 0, version = 0;
    struct registrar_answer answer = {.code = call->code};
    if (json_parse(buf_slice(&call->reply), &json, &at) == ST_OK) {
        json_integer(json, "id", &id);
        json_integer(json, "version", &version);
        const char *schema = json_string(json, "schema");
        const char *field = schema != NULL ? strstr(schema, "\"name\":\"f") : NULL;
        answer.number = field != NULL ? atoll(field + 9) : 0;
    }
    answer.id = (int32_t)id;
    answer.version = (int32_t)version;
    cJSON_Delete(json);
    return answer;
}

static void call_free(struct registrar_call *call)
{
    call_fini(&call->call);
    mem_free(call->body);
    mem_free(call);
}

static void on_answer(struct call *answered, void *context)
{
    struct registrar_call *call = context;
    call->answered = true;
    if (call->given_up)
        call_free(call);
    else
        timer_start_ms(call->registrar->env, &call->registrar->timer, 0);
}

static struct registrar_call *call_new(const struct daemon_sim *daemon, const char *operation)
{
    struct registrar_call *call = mem_calloc(1, sizeof *call);
    call_init(&call->call);
    call->daemon = daemon;
    call->generation = daemon->process->generation;
    call->call.operation = operation_find(operation);
    return call;
}

// ---- the client ----

static const struct daemon_sim *any_registry(struct registrar *registrar)
{
    struct cluster *cluster = registrar->cluster;
    const struct daemon_sim *daemon =
        &cluster->registries[prng_below(&registrar->prng, (uint64_t)cluster->registry_count)];
    return daemon->process != NULL && daemon->registry != NULL ? daemon : NULL;
}

// One that has just begun; NULL: none.
static const struct daemon_sim *young_registry(const struct registrar *registrar)
{
    const struct cluster *cluster = registrar->cluster;
    const struct schema_facts *facts = registrar->facts;
    for (int i = 0; i < cluster->registry_count; i++) {
        const struct daemon_sim *daemon = &cluster->registries[i];
        bool young = facts->history->world->now_us - facts->begun_us[i] < 1000ll * YOUNG_MS;
        if (young && daemon->process != NULL && daemon->registry != NULL)
            return daemon;
    }
    return NULL;
}

static void again(struct registrar *registrar, int64_t ms_max)
{
    timer_start_ms(registrar->env, &registrar->timer,
                   1 + (int64_t)prng_below(&registrar->prng, (uint64_t)ms_max));
}

static void send(struct registrar *registrar, struct registrar_call *call)
{
    call->registrar = registrar;
    call->until_us = env_now_us(registrar->env) + 1000ll * PATIENCE_MS;
    registrar->call = call;
    timer_start_ms(registrar->env, &registrar->timer, PATIENCE_MS);
    registry_run(call->daemon->registry, &call->call, on_answer, call);
}

// A new schema, or the one that another client registers now.
static void choose(struct registrar *registrar)
{
    const struct registrar *other = &registrar->others[prng_below(&registrar->prng, REGISTRARS)];
    bool same = other->number != 0 && prng_below(&registrar->prng, 3) == 0;
    registrar->number = same ? other->number : registrar->facts->next_number++;
    registrar->subject = same ? other->subject : (int)prng_below(&registrar->prng, SCHEMA_SUBJECTS + 1);
    if (registrar->subject == SCHEMA_ONCE && !same)
        schema_facts_once(registrar->facts, registrar->number);
}

void registrar_once(int64_t number, char name[32])
{
    snprintf(name, 32, "once-%lld", (long long)number);
}

static void register_it(struct registrar *registrar, const struct daemon_sim *daemon)
{
    struct registrar_call *call = call_new(daemon, "register");
    call->subject = registrar->subject;
    call->number = registrar->number;
    call->body = schema_body(registrar->number);
    registrar_once(call->number, call->once);
    call->call.subject = call->subject == SCHEMA_ONCE ? call->once : schema_subject(call->subject);
    call->call.body = slice_str(call->body);
    send(registrar, call);
}

static void look_up(struct registrar *registrar, const struct daemon_sim *daemon)
{
    struct registrar_call *call = call_new(daemon, "get-version");
    call->subject = (int)prng_below(&registrar->prng, SCHEMA_SUBJECTS);
    call->call.subject = schema_subject(call->subject);
    call->call.version = "latest";
    call->least = schema_facts_least(registrar->facts, daemon, call->subject);
    send(registrar, call);
}

static void registered(struct registrar *registrar, const struct registrar_call *call)
{
    struct world *world = registrar->facts->history->world;
    struct registrar_answer answer = answer_of(&call->call);
    if (answer.code != 200)
        return; // again, at another one
    schema_facts_acknowledged(registrar->facts, (struct schema_ack){call->subject, call->number, answer.id});
    registrar->acknowledged++;
    registrar->number = 0;
    world_count(world, COUNT_schema_registered);
    if (call->number % LARGE_EVERY == 0)
        world_count(world, COUNT_large_schema);
}

static void looked_up(struct registrar *registrar, const struct registrar_call *call)
{
    struct registrar_answer answer = answer_of(&call->call);
    if (answer.code != 200 && answer.code != 404)
        return;
    schema_facts_latest(registrar->facts, call->daemon, call->subject, call->least, answer.version,
                        answer.id);
    if (answer.code == 200)
        schema_facts_id(registrar->facts, call->subject, answer.id, answer.number);
    world_count(registrar->facts->history->world, COUNT_schema_read);
}

// A call whose registry has died is left to it.
static void take_answer(struct registrar *registrar)
{
    struct registrar_call *call = registrar->call;
    const struct process *process = call->daemon->process;
    bool lives = process != NULL && process->generation == call->generation;
    registrar->call = NULL;
    if (call->answered && lives && call->number != 0)
        registered(registrar, call);
    else if (call->answered && lives)
        looked_up(registrar, call);
    // It may not be registered, but what became of it must be the same everywhere.
    if (call->number != 0 && registrar->number != 0 && registrar->subject == SCHEMA_ONCE &&
        prng_below(&registrar->prng, 2) == 0)
        registrar->number = 0;
    if (call->answered)
        call_free(call);
    else
        call->given_up = true;
}

static void registrar_step(struct timer *timer)
{
    struct registrar *registrar = timer->context;
    if (registrar->call != NULL)
        take_answer(registrar);
    if (registrar->finishing)
        return;
    const struct daemon_sim *young = young_registry(registrar);
    if (young != NULL) {
        if (prng_below(&registrar->prng, 2) == 0)
            look_up(registrar, young);
        else
            again(registrar, YOUNG_PAUSE_MS_MAX);
        return;
    }
    const struct daemon_sim *daemon = any_registry(registrar);
    if (daemon == NULL || prng_below(&registrar->prng, 5) != 0) {
        again(registrar, PAUSE_MS_MAX);
        return;
    }
    if (registrar->number == 0)
        choose(registrar);
    if (prng_below(&registrar->prng, 3) == 0)
        look_up(registrar, daemon);
    else
        register_it(registrar, daemon);
}

void registrar_hurry(struct registrar *registrar)
{
    if (registrar->call == NULL)
        timer_start_ms(registrar->env, &registrar->timer, 0);
}

void registrar_init(struct registrar *registrar, struct cluster *cluster, struct schema_facts *facts)
{
    struct env *env = cluster->observer;
    *registrar =
        (struct registrar){.cluster = cluster, .facts = facts, .env = env, .prng = {env_random(env)}};
    timer_init(&registrar->timer, registrar_step, registrar);
    again(registrar, 100);
}

// ---- the end ----

static void on_read(struct call *answered, void *context)
{
    *(bool *)context = true;
}

struct registrar_answer registrar_read(const struct daemon_sim *daemon, const char *operation,
                                       const char *subject, const char *id, const char *context)
{
    bool answered = false;
    struct registrar_call *call = call_new(daemon, operation);
    call->call.subject = subject != NULL ? subject : "";
    call->call.version = subject != NULL ? "latest" : NULL;
    call->call.id = id;
    if (context != NULL)
        call->call.query[call->call.query_count++] = (struct call_pair){"subject", context};
    registry_run(daemon->registry, &call->call, on_read, &answered);
    if (!answered)
        return (struct registrar_answer){0}; // and the call stays
    struct registrar_answer answer = answer_of(&call->call);
    call_free(call);
    return answer;
}
