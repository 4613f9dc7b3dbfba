// SPDX-License-Identifier: Apache-2.0
// See desk.h.
#include "desk.h"

#include "base/mem.h"
#include "chores.h"
#include "http/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { LOG_MAX = 16 << 20, TEXT_MAX = 2 << 20 };

void desk_open(struct desk *desk)
{
    *desk = (struct desk){.state = state_new(), .keys = keys_new(), .spot_max = SIZE_MAX};
    struct config *config = config_new();
    config_declare(config, registry_config_rows, registry_config_count);
    desk->settings = settings_of(config);
    desk->settings.level = "BACKWARD";
    config_destroy(&config);
    buf_init(&desk->log, LOG_MAX);
}

void desk_close(struct desk *desk)
{
    state_destroy(&desk->state);
    keys_destroy(&desk->keys);
    buf_fini(&desk->log);
    mem_free(desk->answer);
}

static void keep(struct desk *desk, struct slice key, struct slice value)
{
    buf_append(&desk->log, key.data, key.len);
    buf_printf(&desk->log, " ");
    if (value.data == NULL)
        buf_printf(&desk->log, "-");
    else
        buf_append(&desk->log, value.data, value.len);
    buf_printf(&desk->log, "\n");
}

// Splits "a=b&c=d" in place.
static void add_query(struct call *call, char *text)
{
    for (char *at = text; at != NULL && *at != '\0';) {
        char *next = strchr(at, '&'), *value;
        if (next != NULL)
            *next++ = '\0';
        value = strchr(at, '=');
        *value++ = '\0';
        call->query[call->query_count++] = (struct call_pair){at, value};
        at = next;
    }
}

// "a|b" in the order of the path's braces.
static void place_parts(struct call *call, char *where)
{
    static const char *const names[] = {"{namespace}", "{name}", "{subject}", "{version}"};
    const char **parts[] = {&call->name_space, &call->name, &call->subject, &call->version};
    for (int i = 0; i < 4 && where != NULL; i++) {
        if (strstr(call->operation->path, names[i]) == NULL)
            continue;
        char *next = strchr(where, '|');
        if (next != NULL)
            *next++ = '\0';
        *parts[i] = where;
        where = next;
    }
}

static void place(struct call *call, char *where)
{
    const char *path = call->operation->path;
    if (strstr(path, "{name}") != NULL) {
        place_parts(call, where);
        return;
    }
    char *slash = strstr(path, "{version}") != NULL ? strrchr(where, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
        call->version = slash + 1;
    }
    if (strstr(path, "{subject}") != NULL || (strstr(path, "{") == NULL && *where != '\0'))
        call->subject = where;
    else if (strstr(path, "{id}") != NULL)
        call->id = where;
    else if (strstr(path, "{guid}") != NULL)
        call->guid = where;
    else if (strstr(path, "{context}") != NULL)
        call->context = where;
}

static void write_all(struct desk *desk, const struct call *call)
{
    for (size_t i = 0; i < call->record_count; i++) {
        struct slice key, value;
        call_record_at(call, i, &key, &value);
        keep(desk, key, value);
        bool of_keys = call->operation->store == STORE_KEYS;
        enum status status = of_keys ? keys_apply(desk->keys, 1700000000000, key, value)
                                     : state_apply(desk->state, 1700000000000, key, value);
        cr_assert_eq(status, ST_OK, "%.*s", (int)key.len, (const char *)key.data);
    }
}

static uint64_t next_random(void *context)
{
    struct desk *desk = context;
    return desk->random = desk->random * 6364136223846793005ULL + 1442695040888963407ULL;
}

static enum status settle(struct call *call, void *context)
{
    write_all(context, call);
    return ST_OK;
}

// As work.c does, with jobs that are done at once.
static void run(struct desk *desk, struct call *call)
{
    desk->jobs = 0;
    operation_run(call);
    while (call->later) {
        cr_assert_eq(call->record_count, 0);
        chores_work(call->chores);
        desk->jobs++;
        if (desk->in_job != NULL)
            desk->in_job(desk);
        call_reset(call);
        operation_run(call);
    }
}

const char *desk_ask(struct desk *desk, const char *operation, const char *where, const char *query,
                     const char *body)
{
    struct call call;
    char *place_text = mem_strdup(where != NULL ? where : ""), *query_text = mem_strdup(query ? query : "");
    call_init(&call);
    call.operation = operation_find(operation);
    cr_assert_not_null(call.operation, "%s", operation);
    call.state = desk->state;
    call.settings = &desk->settings;
    call.keys = desk->keys;
    call.now_ms = 1700000000000;
    struct call_host host = {.random = next_random, .settle = settle, .context = desk};
    call.host = &host;
    call.body = slice_str(body != NULL ? body : "");
    call.unknown_fields = desk->unknown_fields;
    call.there_only = desk->there_only;
    call.spot_max = desk->spot_max;
    place(&call, place_text);
    add_query(&call, query_text);
    run(desk, &call);
    write_all(desk, &call);
    mem_free(desk->answer);
    desk->code = call.code;
    desk->answer = mem_strndup(call.reply.len > 0 ? (const char *)call.reply.data : "", call.reply.len);
    call_fini(&call);
    mem_free(place_text);
    mem_free(query_text);
    return desk->answer;
}

int desk_register(struct desk *desk, const char *subject, const char *schema)
{
    struct buf body;
    int64_t number = 0;
    size_t at;
    cJSON *json = NULL;
    buf_init(&body, TEXT_MAX);
    buf_printf(&body, "{\"schema\":");
    json_put_string(&body, slice_str(schema));
    buf_printf(&body, "}");
    char *text = mem_strndup((const char *)body.data, body.len);
    desk_ask(desk, "register", subject, NULL, text);
    cr_assert_eq(json_parse(slice_str(desk->answer), &json, &at), ST_OK);
    if (json_integer(json, "id", &number) != ST_OK) {
        json_integer(json, "error_code", &number);
        number = -number;
    }
    cJSON_Delete(json);
    mem_free(text);
    buf_fini(&body);
    return (int)number;
}

enum status desk_apply(struct desk *desk, const char *key, const char *value)
{
    struct slice bytes = value != NULL ? slice_str(value) : (struct slice){0};
    keep(desk, slice_str(key), bytes);
    return state_apply(desk->state, 1700000000000, slice_str(key), bytes);
}

// Takes the next line off *rest, split at the space between key and value: keys of records have none outside
// of texts, and the tests' texts have none.
static bool next_line(struct slice *rest, struct slice *key, struct slice *value)
{
    if (rest->len == 0)
        return false;
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    const uint8_t *space = memchr(rest->data, ' ', rest->len);
    *key = slice_of(rest->data, (size_t)(space - rest->data));
    *value = slice_of(space + 1, (size_t)(end - space - 1));
    *rest = slice_of(end + 1, rest->len - (size_t)(end + 1 - rest->data));
    return true;
}

static bool comes_again(struct slice rest, struct slice key)
{
    struct slice other, value;
    while (next_line(&rest, &other, &value))
        if (slice_equal(other, key))
            return true;
    return false;
}

void desk_replay(struct desk *desk, bool compact)
{
    struct slice rest = buf_slice(&desk->log), key, value;
    state_clear(desk->state);
    keys_clear(desk->keys);
    while (next_line(&rest, &key, &value)) {
        bool tombstone = slice_is(value, "-");
        if (compact && (tombstone || comes_again(rest, key)))
            continue; // tombstones go too, in the end
        struct slice content = tombstone ? (struct slice){0} : value;
        if (state_apply(desk->state, 1700000000000, key, content) != ST_OK)
            keys_apply(desk->keys, 1700000000000, key, content); // of the other topic
    }
}

const char *desk_record(struct desk *desk, const char *wanted)
{
    struct slice rest = buf_slice(&desk->log), key, value, found = slice_str("");
    while (next_line(&rest, &key, &value))
        if (slice_is(key, wanted))
            found = value;
    mem_free(desk->answer);
    desk->answer = mem_strndup((const char *)found.data, found.len);
    return desk->answer;
}
