// SPDX-License-Identifier: Apache-2.0
// See schema_fetch.h. References are asked for one by one, dependencies first, each name once (as Confluent's
// AbstractSchemaProvider does), within the limits of a schema: another registry may answer anything.
#include "schema_fetch.h"

#include "base/mem.h"
#include "http/json.h"
#include "http_get.h"

#include <inttypes.h>
#include <string.h>

struct fetching {
    const struct schema_options *options;
    struct schema_reference *references;
    cJSON **answers; // names and texts of references live there
    size_t count, asked, bytes;
};

// A subject without context is in the context of the one that refers to it: ":.dev:a" and "b" give ":.dev:b".
static char *qualified(const char *referring, const char *subject)
{
    const char *end = strncmp(referring, ":.", 2) == 0 ? strchr(referring + 2, ':') : NULL;
    if (end == NULL || subject[0] == ':')
        return mem_strdup(subject);
    return mem_printf("%.*s%s", (int)(end + 1 - referring), referring, subject);
}

static enum cli_exit ask_version(struct fetching *fetching, const char *subject, int64_t version,
                                 const cJSON **answer)
{
    struct schema_request request;
    schema_request_init(&request, "GET", "/subjects", subject);
    buf_printf(&request.path, "/versions/%" PRId64 "?deleted=true", version);
    cJSON **slot = &fetching->answers[fetching->asked++];
    enum cli_exit code = schema_ask(fetching->options, &request, slot);
    *answer = *slot;
    return code;
}

static bool has_name(const struct fetching *fetching, const char *name)
{
    for (size_t i = 0; i < fetching->count; i++)
        if (slice_is(fetching->references[i].name, name))
            return true;
    return false;
}

static enum cli_exit text_of(struct fetching *fetching, const cJSON *answer, struct slice *text)
{
    *text = slice_str(json_string(answer, "schema"));
    if (text->data == NULL)
        return cli_fail(CLI_FAILED, "the answer has no schema; is that a schema registry?");
    fetching->bytes += text->len;
    return fetching->bytes <= SCHEMA_TOTAL_MAX
               ? CLI_DONE
               : cli_fail(CLI_FAILED, "the schema and what it refers to are longer than %d bytes",
                          SCHEMA_TOTAL_MAX);
}

static enum cli_exit gather(struct fetching *fetching, const char *referring, const cJSON *answer);

static enum cli_exit gather_one(struct fetching *fetching, const char *referring, const cJSON *reference)
{
    const char *name = json_string(reference, "name"), *subject = json_string(reference, "subject");
    const cJSON *answer;
    int64_t version;
    struct slice text;
    if (name == NULL || subject == NULL || json_integer(reference, "version", &version) != ST_OK)
        return cli_fail(CLI_FAILED, "the schema has a reference without name, subject or version");
    if (has_name(fetching, name))
        return CLI_DONE;
    if (fetching->asked == SCHEMA_REFERENCES_MAX) // in a circle, too
        return cli_fail(CLI_FAILED, "the schema has more references than %d", SCHEMA_REFERENCES_MAX);
    char *full = qualified(referring, subject);
    enum cli_exit code = ask_version(fetching, full, version, &answer);
    if (code == CLI_DONE)
        code = text_of(fetching, answer, &text); // before what it refers to: counted before there is more
    if (code == CLI_DONE)
        code = gather(fetching, full, answer);
    mem_free(full);
    if (code == CLI_DONE && !has_name(fetching, name))
        fetching->references[fetching->count++] =
            (struct schema_reference){.name = slice_str(name), .text = text};
    return code;
}

static enum cli_exit gather(struct fetching *fetching, const char *referring, const cJSON *answer)
{
    const cJSON *list = json_get(answer, "references");
    enum cli_exit code = CLI_DONE;
    for (const cJSON *at = list != NULL ? list->child : NULL; at != NULL && code == CLI_DONE; at = at->next)
        code = gather_one(fetching, referring, at);
    return code;
}

static enum cli_exit parse(struct fetching *fetching, const cJSON *answer, const struct schema_id *id,
                           struct schema **schema)
{
    char name[SCHEMA_ID_TEXT];
    const char *type = json_string(answer, "schemaType");
    struct slice text;
    struct schema_error error;
    enum schema_format format = SCHEMA_AVRO;
    enum cli_exit code = text_of(fetching, answer, &text);
    if (code != CLI_DONE)
        return code;
    if (type != NULL && schema_format_find(slice_str(type), &format) != ST_OK)
        return cli_fail(CLI_FAILED, "schema %s is of type %.100s, which is not known here",
                        schema_id_text(id, name), type);
    if (schema_parse(format, text, fetching->references, fetching->count, &error, schema) == ST_OK)
        return CLI_DONE;
    return cli_fail(CLI_FAILED, "schema %s cannot be used: %s", schema_id_text(id, name), error.text);
}

// A number is one of the subject's context; a guid is the same in all.
static void ask_for(struct schema_request *request, const struct schema_id *id, const char *subject)
{
    char name[SCHEMA_ID_TEXT];
    bool guid = schema_id_is_guid(id);
    schema_request_init(request, "GET", guid ? "/schemas/guids" : "/schemas/ids", NULL);
    buf_printf(&request->path, "/%s", schema_id_text(id, name));
    if (guid)
        return;
    buf_printf(&request->path, "?subject=");
    http_put_segment(&request->path, subject);
}

enum cli_exit schema_fetch(const struct schema_options *options, const struct schema_id *id,
                           const char *subject, struct schema **schema, size_t *bytes)
{
    struct schema_request request;
    cJSON *answer;
    struct fetching fetching = {.options = options};
    *schema = NULL;
    ask_for(&request, id, subject);
    enum cli_exit code = schema_ask(options, &request, &answer);
    if (code == CLI_DONE) {
        fetching.references = mem_calloc(SCHEMA_REFERENCES_MAX, sizeof *fetching.references);
        fetching.answers = mem_calloc(SCHEMA_REFERENCES_MAX, sizeof(cJSON *));
        code = gather(&fetching, subject, answer);
    }
    if (code == CLI_DONE)
        code = parse(&fetching, answer, id, schema);
    *bytes = fetching.bytes;
    for (size_t i = 0; i < fetching.asked; i++)
        cJSON_Delete(fetching.answers[i]);
    mem_free(fetching.answers);
    mem_free(fetching.references);
    cJSON_Delete(answer);
    return code;
}

enum cli_exit schema_fetch_guid(const struct schema_options *options, const char *subject,
                                struct schema_id *id)
{
    struct schema_request request;
    cJSON *answer;
    ask_for(&request, id, subject);
    request.all_fields = true;
    enum cli_exit code = schema_ask(options, &request, &answer);
    if (code == CLI_DONE) {
        const char *guid = json_string(answer, "guid");
        if (guid == NULL || schema_id_parse(slice_str(guid), id) != ST_OK)
            code = cli_fail(CLI_FAILED, "the registry names schemas by number only: no --schema-header");
    }
    cJSON_Delete(answer);
    return code;
}
