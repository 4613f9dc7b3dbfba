// SPDX-License-Identifier: Apache-2.0
// See schema.h.
#include "schema.h"

#include "cluster.h"
#include "http/json.h"
#include "http_get.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX = 64 << 20, PATH_TEXT_MAX = 64 << 10, TIMEOUT_S = 30 };

void schema_request_init(struct schema_request *request, const char *method, const char *path,
                         const char *subject)
{
    request->method = method;
    request->all_fields = false;
    buf_init(&request->path, PATH_TEXT_MAX);
    buf_init(&request->body, SCHEMA_BODY_MAX);
    buf_printf(&request->path, "%s", path);
    if (subject != NULL) {
        buf_put_u8(&request->path, '/');
        http_put_segment(&request->path, subject);
    }
}

void schema_request_fini(struct schema_request *request)
{
    buf_fini(&request->path);
    buf_fini(&request->body);
}

// Where the registry is: "host:port", and what its paths begin with ("/contexts/.dev", or a proxy's path).
struct place {
    char address[300], base[300];
};

// False when the URL is none we can speak to.
static bool place_of(const char *url, struct place *place)
{
    const char *at = strncmp(url, "http://", 7) == 0 ? url + 7 : url;
    size_t len = strcspn(at, "/"), base = strlen(at + len);
    if (strstr(at, "://") != NULL || len == 0 || len > 280 || base >= sizeof place->base)
        return false;
    while (base > 0 && at[len + base - 1] == '/')
        base--;
    bool port = memchr(at, ':', len) != NULL;
    snprintf(place->address, sizeof place->address, "%.*s%s", (int)len, at, port ? "" : ":80");
    snprintf(place->base, sizeof place->base, "%.*s", (int)base, at + len);
    return true;
}

static enum cli_exit find(const struct schema_options *options, struct place *place)
{
    char own[64];
    const char *url = options->registry != NULL ? options->registry : getenv("MILLRACE_REGISTRY");
    cluster_find_registry(own);
    if (url == NULL || *url == '\0')
        url = own[0] != '\0' ? own : "http://127.0.0.1:8081";
    if (place_of(url, place))
        return CLI_DONE;
    return cli_fail(CLI_USAGE, "'%s' is not http://host:port", url);
}

static enum cli_exit refused(const struct buf *body, int code)
{
    cJSON *error = NULL;
    size_t at;
    int64_t number = code;
    json_parse(buf_slice(body), &error, &at);
    const char *message = json_string(error, "message");
    json_integer(error, "error_code", &number);
    cli_fail(CLI_FAILED, "%s (%" PRId64 ")", message != NULL ? message : "the registry refuses", number);
    cJSON_Delete(error);
    return CLI_FAILED;
}

static enum cli_exit answered(const struct buf *body, int code, cJSON **answer)
{
    size_t at;
    if (code != 200 && code != 204)
        return refused(body, code);
    if (body->len > 0 && json_parse(buf_slice(body), answer, &at) != ST_OK)
        return cli_fail(CLI_FAILED, "the answer is no JSON; is that a schema registry?");
    return CLI_DONE;
}

static const char all_fields[] = "Confluent-Accept-Unknown-Properties: true";

static enum cli_exit ask(const struct schema_options *options, const struct schema_request *request,
                         const struct place *place, struct buf *path, cJSON **answer)
{
    struct buf body;
    int code = 0;
    buf_printf(path, "%s%.*s", place->base, (int)request->path.len, request->path.data);
    buf_put_u8(path, '\0');
    if (buf_status(&request->path) != ST_OK || buf_status(path) != ST_OK ||
        buf_status(&request->body) != ST_OK)
        return cli_fail(CLI_USAGE, "the names or the schema are too long");
    struct http_ask ask = {.address = place->address,
                           .method = request->method,
                           .path = (const char *)path->data,
                           .json = request->body.len > 0 ? buf_slice(&request->body) : (struct slice){0},
                           .header = request->all_fields ? all_fields : NULL,
                           .wait_ms = (int)(options->timeout_s > 0 ? options->timeout_s : TIMEOUT_S) * 1000};
    buf_init(&body, ANSWER_MAX);
    enum status status = http_ask(&ask, &body, &code);
    enum cli_exit result = CLI_DONE;
    if (status == ST_OK)
        result = answered(&body, code, answer);
    else if (status == ST_TIMEOUT)
        result = cli_fail(CLI_TIMEOUT, "the registry at %s does not answer in time", place->address);
    else
        result =
            cli_fail(CLI_ABSENT, "no schema registry answers at %s: %s", place->address, status_text(status));
    buf_fini(&body);
    return result;
}

enum cli_exit schema_ask(const struct schema_options *options, struct schema_request *request, cJSON **answer)
{
    struct place place;
    struct buf path;
    *answer = NULL;
    buf_init(&path, PATH_TEXT_MAX);
    enum cli_exit result = find(options, &place);
    if (result == CLI_DONE)
        result = ask(options, request, &place, &path, answer);
    buf_fini(&path);
    schema_request_fini(request);
    return result;
}

// NAME=SUBJECT:VERSION; a subject may have colons.
static bool put_reference(struct buf *out, const char *text)
{
    const char *equals = strchr(text, '='), *colon = strrchr(text, ':');
    if (equals == NULL || colon == NULL || colon < equals || equals == text || colon[1] == '\0')
        return false;
    buf_printf(out, "{\"name\":");
    json_put_string(out, slice_of(text, (size_t)(equals - text)));
    buf_printf(out, ",\"subject\":");
    json_put_string(out, slice_of(equals + 1, (size_t)(colon - equals - 1)));
    buf_printf(out, ",\"version\":%ld}", strtol(colon + 1, NULL, 10));
    return true;
}

enum cli_exit schema_put_body(struct buf *out, struct slice text, const char *type,
                              const struct cli_many *references)
{
    buf_printf(out, "{\"schema\":");
    json_put_string(out, text);
    if (type != NULL) {
        buf_printf(out, ",\"schemaType\":");
        json_put_string(out, slice_str(type));
    }
    for (int i = 0; i < references->count; i++) {
        buf_printf(out, i == 0 ? ",\"references\":[" : ",");
        if (!put_reference(out, references->items[i]))
            return cli_fail(CLI_USAGE, "'%s' is not NAME=SUBJECT:VERSION", references->items[i]);
    }
    buf_printf(out, "%s}", references->count > 0 ? "]" : "");
    return CLI_DONE;
}

void schema_print(const cJSON *answer)
{
    char *text = cJSON_PrintUnformatted(answer);
    printf("%s\n", text != NULL ? text : "null");
    cJSON_free(text);
}
