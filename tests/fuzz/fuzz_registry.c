// SPDX-License-Identifier: Apache-2.0
// A registry's operations on bodies, names and arguments as nobody should send them, over a state in memory:
// every line of the input is a request, "operation\twhere\targuments\tbody", all of them one after the other.
// where: the parts of the path in the order of the routes' braces, separated by "|"; arguments: "a=b&c=d";
// operation "record" applies the key `where` with the value `body` as if another registry had written it.
// What an operation writes must be readable, no answer may be one of the server's own failures unless a limit
// or a key service says so, and openapi.yaml has the status of each.
#include "base/assert.h"
#include "chores.h"
#include "openapi.h"
#include "operations.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINES_MAX = 12, TEXT_MAX = 64 << 10, OPERATIONS_MAX = 128, NOW_MS = 1700000000 };

struct world {
    struct state *state;
    struct keys *keys;
    struct settings settings;
    uint64_t random;
};

static void apply(struct world *world, const struct call *call)
{
    for (size_t i = 0; i < call->record_count; i++) {
        struct slice key, value;
        call_record_at(call, i, &key, &value);
        enum status status = call->operation->store == STORE_KEYS
                                 ? keys_apply(world->keys, NOW_MS, key, value)
                                 : state_apply(world->state, NOW_MS, key, value);
        ASSERT(status == ST_OK);
    }
}

static uint64_t next_random(void *context)
{
    struct world *world = context;
    return world->random = world->random * 6364136223846793005ULL + 1442695040888963407ULL;
}

static enum status settle(struct call *call, void *context)
{
    apply(context, call);
    return ST_OK;
}

// The text up to the separator, cut off; *rest: behind it, "" when there is none.
static char *cut(char **rest, char separator)
{
    char *text = *rest, *end = strchr(text, separator);
    *rest = end != NULL ? end + 1 : text + strlen(text);
    if (end != NULL)
        *end = '\0';
    return text;
}

static void place(struct call *call, char *where)
{
    static const char *const names[] = {"{namespace}", "{name}", "{subject}", "{version}",
                                        "{id}",        "{guid}", "{context}"};
    const char **parts[] = {&call->name_space, &call->name, &call->subject, &call->version,
                            &call->id,         &call->guid, &call->context};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(call->operation->path, names[i]) != NULL)
            *parts[i] = cut(&where, '|');
    const char *subject = name_normalise(&call->arena, call->subject);
    call->subject = subject != NULL ? strdup(subject) : strdup("");
    ASSERT(call->subject != NULL);
}

static void add_query(struct call *call, char *text)
{
    while (*text != '\0' && call->query_count < CALL_QUERY_MAX) {
        char *pair = cut(&text, '&'), *value = pair;
        const char *name = cut(&value, '=');
        call->query[call->query_count++] = (struct call_pair){name, value};
    }
}

// What openapi.yaml says of an operation: from its id to the next one's.
static struct slice description_of(const struct operation *operation)
{
    static struct slice known[OPERATIONS_MAX];
    struct slice *known_here = &known[operation - operations];
    if (known_here->len == 0) {
        char id[64];
        int len = snprintf(id, sizeof id, "operationId: %s\n", operation->name);
        const uint8_t *end = openapi_text + openapi_text_len;
        const uint8_t *at = memmem(openapi_text, openapi_text_len, id, (size_t)len);
        ASSERT(at != NULL && operation_count <= OPERATIONS_MAX);
        const uint8_t *next = memmem(at + len, (size_t)(end - at) - (size_t)len, "operationId: ", 13);
        *known_here = slice_of(at, (size_t)((next != NULL ? next : end) - at));
    }
    return *known_here;
}

static bool described(const struct call *call)
{
    char status[16];
    int len = snprintf(status, sizeof status, "\"%d\":", call->code);
    if (call->code == 500 || call->operation == &operation_locate)
        return true;
    struct slice text = description_of(call->operation);
    return memmem(text.data, text.len, status, (size_t)len) != NULL;
}

static void run(struct world *world, struct call *call)
{
    operation_run(call);
    for (int rounds = 0; call->later; rounds++) {
        ASSERT(rounds < 1000);
        chores_work(call->chores);
        call_reset(call);
        operation_run(call);
    }
    ASSERT(call->code >= 200 && call->code <= 500 && described(call));
    apply(world, call);
}

static void request(struct world *world, const struct operation *operation, char *where, char *query,
                    char *body)
{
    struct call call;
    struct call_host host = {.random = next_random, .settle = settle, .context = world};
    call_init(&call);
    call.operation = operation;
    call.state = world->state;
    call.keys = world->keys;
    call.settings = &world->settings;
    call.now_ms = NOW_MS;
    call.host = &host;
    call.body = slice_str(body);
    call.spot_max = world->random % 2 == 0 ? SIZE_MAX : 64;
    place(&call, where);
    add_query(&call, query);
    char *subject = (char *)call.subject;
    run(world, &call);
    call_fini(&call);
    free(subject);
}

static void line(struct world *world, char *text)
{
    const char *name = cut(&text, '\t');
    char *where = cut(&text, '\t'), *query = cut(&text, '\t');
    const struct operation *operation = operation_find(name);
    world->random += (uint8_t)*name;
    if (strcmp(name, "record") == 0)
        state_apply(world->state, NOW_MS, slice_str(where), slice_str(text));
    else if (strcmp(name, "key") == 0)
        keys_apply(world->keys, NOW_MS, slice_str(where), slice_str(text));
    else
        request(world, operation != NULL ? operation : &operations[(uint8_t)*name % operation_count], where,
                query, text);
}

// Made once: it costs more than most inputs.
static struct settings default_settings(void)
{
    static struct config *config;
    if (config == NULL) {
        config = config_new();
        config_declare(config, registry_config_rows, registry_config_count);
    }
    return settings_of(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > TEXT_MAX)
        return 0;
    char *text = strndup((const char *)data, len), *at = text;
    struct world world = {.state = state_new(), .keys = keys_new(), .settings = default_settings()};
    world.settings.local_secret = "secret";
    ASSERT(text != NULL);
    for (int i = 0; i < LINES_MAX && *at != '\0'; i++)
        line(&world, cut(&at, '\n'));
    keys_destroy(&world.keys);
    state_destroy(&world.state);
    free(text);
    return 0;
}
