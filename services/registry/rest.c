// SPDX-License-Identifier: Apache-2.0
// See rest.h. Media types: Confluent's two and plain JSON, in requests and answers; an Accept that takes none
// of them is answered 406, another Content-Type 415.
#include "rest.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "http/http.h"
#include "http/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    ROUTES_MAX = HTTP_ROUTES_MAX,
    REQUEST_TEXTS_MAX = 1 << 20,
    ARGUMENTS_MAX = 24, // of a request; its context may add two (move_query)
    ADDRESS_MAX = 300,
};

struct rest {
    struct env *env;
    struct registry *registry;
    struct http_server *server;
    struct http_route routes[ROUTES_MAX];
    const struct operation *operations[ROUTES_MAX]; // of the route at the same place
    char *paths[ROUTES_MAX];                        // owned, of routes behind a context; NULL
    size_t count;
    char address[ADDRESS_MAX];
};

// A request that is being answered.
struct serving {
    struct rest *rest;
    struct http_request *request;
    struct call call;
    struct arena texts; // what the call's request part points at
    const char *type;   // of the answer
    const char *prefix; // the context in front of the path, with its dot; NULL: none
};

// ---- media types ----

static const char *const types[] = {"application/vnd.schemaregistry.v1+json",
                                    "application/vnd.schemaregistry+json", "application/json"};
enum { TYPES = sizeof types / sizeof *types };

static struct slice type_word(const char *text)
{
    return slice_trim(slice_of(text, strcspn(text, ";,")));
}

static bool word_is(struct slice word, const char *text)
{
    return word.len == strlen(text) && strncasecmp((const char *)word.data, text, word.len) == 0;
}

static bool content_type_good(const char *header)
{
    if (header == NULL || *header == '\0')
        return true;
    struct slice word = type_word(header);
    for (int i = 0; i < TYPES; i++)
        if (word_is(word, types[i]))
            return true;
    return word_is(word, "application/octet-stream");
}

// The quality of one part of an Accept header, in thousandths.
static int quality(const char *part, size_t len)
{
    const char *q = memmem(part, len, "q=", 2);
    return q == NULL ? 1000 : (int)(strtod(q + 2, NULL) * 1000);
}

// The type of the answer: the best the client takes, the first of ours among equals; NULL: none.
static const char *answer_type(const char *accept)
{
    const char *best = accept == NULL || *accept == '\0' ? types[0] : NULL;
    int best_quality = 0;
    for (const char *at = accept; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ",");
        struct slice word = type_word(at);
        int its = quality(at, len);
        for (int i = 0; i < TYPES && its > best_quality; i++)
            if (word_is(word, types[i]) || word_is(word, "*/*") || word_is(word, "application/*")) {
                best = types[i];
                best_quality = its;
            }
        at += len + (at[len] == ',');
    }
    return best;
}

// ---- answers ----

static void answer(struct call *call, void *context)
{
    struct serving *serving = context;
    const char *type = call->type != NULL ? call->type : serving->type;
    if (call->code == 204)
        http_reply(serving->request, call->code, NULL, slice_of("", 0));
    else
        http_reply_take(serving->request, call->code, type, &call->reply);
    call_fini(&serving->call);
    arena_fini(&serving->texts);
    mem_free(serving);
}

static void refuse(struct serving *serving, int code, const char *text)
{
    call_fail(&serving->call, code, "%s", text);
    answer(&serving->call, serving);
}

// ---- requests ----

static const char *keep(struct serving *serving, const char *text)
{
    return arena_strndup(&serving->texts, text, strlen(text));
}

static const struct operation *operation_of(const struct serving *serving)
{
    const struct http_route *route = http_matched(serving->request);
    return serving->rest->operations[route - serving->rest->routes];
}

static bool path_has(const struct serving *serving, const char *parameter)
{
    return strstr(http_matched(serving->request)->path, parameter) != NULL;
}

static const char *path_text(struct serving *serving, const char *name, const char *braced)
{
    return path_has(serving, braced) ? keep(serving, http_param(serving->request, name)) : NULL;
}

// Arguments may be called "key[]" as well as "key".
static void add_query(const char *name, const char *value, void *context)
{
    struct serving *serving = context;
    struct call *call = &serving->call;
    size_t len = strlen(name);
    if (len > 2 && strcmp(name + len - 2, "[]") == 0)
        len -= 2;
    if (call->query_count < CALL_QUERY_MAX)
        call->query[call->query_count++] = (struct call_pair){
            .name = arena_strndup(&serving->texts, name, len), .value = keep(serving, value)};
}

// False: there are too many to be heeded, all of them.
static bool read_query(struct serving *serving)
{
    _Static_assert(ARGUMENTS_MAX + 2 <= CALL_QUERY_MAX, "one too many is seen, and two can be added");
    http_query_each(serving->request, add_query, serving);
    return serving->call.query_count <= ARGUMENTS_MAX;
}

// As Confluent's server: a number that is none names nothing that is there.
static bool numbers_good(const struct call *call)
{
    static const char *const names[] = {"offset", "limit"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = call_query(call, names[i]);
        char *end;
        errno = 0;
        long number = text != NULL && *text != '\0' ? strtol(text, &end, 10) : 0;
        if (text != NULL && *text != '\0' &&
            (errno != 0 || *end != '\0' || number < INT32_MIN || number > INT32_MAX))
            return false;
    }
    return true;
}

static bool query_kept(const struct call *call)
{
    for (size_t i = 0; i < call->query_count; i++)
        if (call->query[i].name == NULL || call->query[i].value == NULL)
            return false;
    return true;
}

// ---- contexts ----

// As ".dev", "dev" or ":.dev:".
static const char *prefix_context(struct serving *serving)
{
    if (strncmp(http_matched(serving->request)->path, "/contexts/{context}/", 20) != 0)
        return NULL;
    struct slice given = slice_str(http_param(serving->request, "context"));
    if (given.len > 0 && given.data[0] == ':')
        given = slice_of(given.data + 1, given.len - 1);
    if (given.len > 0 && given.data[given.len - 1] == ':')
        given.len--;
    bool dot = given.len > 0 && given.data[0] == '.';
    return arena_printf(&serving->texts, "%s%.*s", dot ? "" : ".", (int)given.len, (const char *)given.data);
}

// A name that says its context, or ":*:" for all, means that one.
static const char *within(struct serving *serving, const char *subject)
{
    struct name name = name_split(slice_str(subject));
    bool says = strncmp(subject, ":.", 2) == 0 || strncmp(subject, NAMES_ALL_CONTEXTS, 3) == 0;
    if (serving->prefix != NULL && !says)
        name.context = slice_str(serving->prefix);
    return name_qualify(&serving->texts, name);
}

// Arguments that name subjects are of the prefix's context too, and are there when nobody wrote them.
static void move_query(struct serving *serving, const char *argument)
{
    struct call *call = &serving->call;
    for (size_t i = 0; i < call->query_count; i++) {
        if (strcmp(call->query[i].name, argument) != 0)
            continue;
        call->query[i].value = within(serving, call->query[i].value);
        return;
    }
    add_query(argument, within(serving, ""), serving);
}

static bool fill(struct serving *serving)
{
    struct call *call = &serving->call;
    const char *subject = path_text(serving, "subject", "{subject}");
    serving->prefix = prefix_context(serving);
    call->operation = operation_of(serving);
    call->version = path_text(serving, "version", "{version}");
    call->id = path_text(serving, "id", "{id}");
    call->guid = path_text(serving, "guid", "{guid}");
    call->name = path_text(serving, "name", "{name}");
    call->name_space = path_text(serving, "namespace", "{namespace}");
    call->context = serving->prefix == NULL ? path_text(serving, "context", "{context}") : NULL;
    call->body = http_body(serving->request);
    const char *unknown = http_header(serving->request, "Confluent-Accept-Unknown-Properties");
    call->unknown_fields = unknown != NULL && strcasecmp(unknown, "true") == 0;
    call->subject = within(serving, subject != NULL ? subject : "");
    if (serving->prefix != NULL && subject == NULL) {
        move_query(serving, "subject");
        move_query(serving, "subjectPrefix");
    }
    return call->subject != NULL && query_kept(call);
}

static bool text_valid(const char *text)
{
    return text == NULL || utf8_valid(slice_str(text));
}

// A name that is not UTF-8 would be answered, and written, as another one: JSON has no bytes of its own.
static bool names_are_text(const struct call *call)
{
    bool text = utf8_valid(slice_str(call->subject)) && text_valid(call->context) && text_valid(call->name) &&
                text_valid(call->name_space) && text_valid(call->id);
    for (size_t i = 0; i < call->query_count && text; i++)
        text = utf8_valid(slice_str(call->query[i].value));
    return text;
}

static void handle(struct http_request *request, void *context)
{
    struct rest *rest = context;
    struct serving *serving = mem_calloc(1, sizeof *serving);
    serving->rest = rest;
    serving->request = request;
    serving->type = answer_type(http_header(request, "Accept"));
    call_init(&serving->call);
    arena_init(&serving->texts, REQUEST_TEXTS_MAX);
    if (serving->type == NULL && operation_of(serving)->run == op_openapi)
        serving->type = types[0]; // it has one type of its own, whatever is asked for
    if (serving->type == NULL) {
        serving->type = types[0];
        refuse(serving, 406, "HTTP 406 Not Acceptable");
    } else if (http_body(request).len > 0 && !content_type_good(http_header(request, "Content-Type"))) {
        refuse(serving, 415, "HTTP 415 Unsupported Media Type");
    } else if (!read_query(serving)) {
        refuse(serving, 414, "The request has too many arguments");
    } else if (!numbers_good(&serving->call)) {
        refuse(serving, 404, "HTTP 404 Not Found");
    } else if (!fill(serving)) {
        refuse(serving, 414, "The names in the request are too long");
    } else if (serving->prefix != NULL && strchr(serving->prefix, ':') != NULL) {
        refuse(serving, 400, "The name of a context has no colon");
    } else if (!names_are_text(&serving->call)) {
        refuse(serving, 400, "The names in the request are not UTF-8");
    } else {
        registry_run(rest->registry, &serving->call, answer, serving);
    }
}

// ---- routes ----

static void add_route(struct rest *rest, const struct operation *operation, const char *path)
{
    ASSERT(rest->count < ROUTES_MAX);
    rest->operations[rest->count] = operation;
    rest->routes[rest->count++] =
        (struct http_route){.method = operation->method, .path = path, .handle = handle};
}

static void make_routes(struct rest *rest)
{
    for (size_t i = 0; i < operation_count; i++)
        add_route(rest, &operations[i], operations[i].path);
    for (size_t i = 0; i < operation_count; i++) {
        const char *path = operations[i].path;
        if (strncmp(path, "/subjects", 9) != 0 && strncmp(path, "/schemas", 8) != 0 &&
            strncmp(path, "/compatibility", 14) != 0 && strncmp(path, "/config", 7) != 0 &&
            strncmp(path, "/mode", 5) != 0 && strncmp(path, "/associations", 13) != 0 &&
            strncmp(path, "/dek-registry", 13) != 0)
            continue;
        rest->paths[rest->count] = mem_printf("/contexts/{context}%s", path);
        add_route(rest, &operations[i], rest->paths[rest->count]);
    }
}

// ---- life ----

enum status rest_new(struct env *env, const struct config *config, struct registry *registry,
                     struct rest **out)
{
    char scheme[256], host[256];
    int port;
    const char *listen = config_string(config, "listeners");
    *out = NULL;
    if (config_address(listen, scheme, host, &port) != ST_OK || strcasecmp(scheme, "http") != 0) {
        DIAG_ERROR(&env->diag, "listeners is not http://host:port value=\"%s\"", listen);
        return ST_INVALID;
    }
    struct rest *rest = mem_calloc(1, sizeof *rest);
    rest->env = env;
    rest->registry = registry;
    make_routes(rest);
    struct http_config http = {
        .env = env,
        .host = host,
        .port = port,
        .tables = {{rest->routes, rest->count, rest}},
        .body_max = (size_t)config_int(config, "millrace.registry.body.max.bytes"),
        .connections_max = (int)config_int(config, "millrace.registry.connections.max"),
    };
    enum status status = http_server_new(&http, &rest->server);
    if (status != ST_OK) {
        DIAG_ERROR(&env->diag, "cannot listen listeners=%s error=\"%s\"", listen, status_text(status));
        rest_destroy(&rest);
        return status;
    }
    bool v6 = strchr(host, ':') != NULL;
    snprintf(rest->address, sizeof rest->address, "%s%s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "",
             http_server_port(rest->server));
    *out = rest;
    return ST_OK;
}

void rest_quiesce(struct rest *rest)
{
    http_server_quiesce(rest->server);
}

void rest_destroy(struct rest **pointer)
{
    struct rest *rest = *pointer;
    *pointer = NULL;
    if (rest == NULL)
        return;
    http_server_destroy(&rest->server);
    for (size_t i = 0; i < rest->count; i++)
        mem_free(rest->paths[i]);
    mem_free(rest);
}

const char *rest_address(const struct rest *rest)
{
    return rest->address;
}
