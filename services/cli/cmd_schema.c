// SPDX-License-Identifier: Apache-2.0
// millrace schema list|get|register|check|delete|mode|config|diff: a schema registry by its REST interface,
// ours or any other of Confluent's kind.
#include "commands.h"
#include "schema.h"
#include "schema_diff.h"
#include "table.h"

#include "base/mem.h"
#include "cluster.h"
#include "http/json.h"
#include "http_get.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_PAGE = 1000, INPUT_PIECE = 64 << 10 };

struct schema {
    struct schema_options options;
    const char *version, *id, *type, *set, *policy;
    struct cli_many references;
    bool deleted, permanent, normalize, resolved, force, drop;
};

static bool arguments(const struct cli_usage *usage, int argc, char **argv, struct cli_many *positional,
                      enum cli_exit *code)
{
    *positional = (struct cli_many){0};
    return cli_args(usage, argc, argv, positional, code);
}

#define USAGE(text, what, args, low, high)                                                                   \
    {                                                                                                        \
        .line = text, .help = what, .args = args, .count = sizeof args / sizeof *args,                       \
        .positional_min = low, .positional_max = high                                                        \
    }

// ---- list ----

static void list_row(struct table *table, const cJSON *schema)
{
    int64_t version = 0, id = 0;
    const char *type = json_string(schema, "schemaType");
    json_integer(schema, "version", &version);
    json_integer(schema, "id", &id);
    table_text(table, slice_str(json_string(schema, "subject")));
    table_number(table, version);
    table_number(table, id);
    table_text(table, slice_str(type != NULL ? type : "AVRO"));
}

static enum cli_exit list_page(const struct schema *schema, const char *prefix, int64_t offset, cJSON **page)
{
    struct schema_request request;
    schema_request_init(&request, "GET", "/schemas?latestOnly=true&subjectPrefix=", NULL);
    http_put_segment(&request.path, ":*:");
    http_put_segment(&request.path, prefix);
    buf_printf(&request.path, "&offset=%" PRId64 "&limit=%d%s", offset, LIST_PAGE,
               schema->deleted ? "&deleted=true" : "");
    return schema_ask(&schema->options, &request, page);
}

static enum cli_exit list(int argc, char **argv)
{
    static const char *const columns[] = {"subject", "version", "id", "type"};
    struct schema schema = {0};
    const struct cli_arg args[] = {{"--deleted", CLI_FLAG, &schema.deleted, 0, 0, NULL, "deleted ones too"},
                                   SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage =
        USAGE("schema list [PREFIX] [options]", "Shows the latest version of every subject.", args, 0, 1);
    struct cli_many positional;
    enum cli_exit code;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    code = CLI_DONE;
    struct table *table = table_new(columns, 4);
    cJSON *page = NULL;
    for (int64_t offset = 0, got = LIST_PAGE; got == LIST_PAGE && code == CLI_DONE; offset += got) {
        code = list_page(&schema, positional.count > 0 ? positional.items[0] : "", offset, &page);
        got = page != NULL ? cJSON_GetArraySize(page) : 0;
        for (const cJSON *at = page != NULL ? page->child : NULL; at != NULL; at = at->next)
            list_row(table, at);
        cJSON_Delete(page);
    }
    if (code == CLI_DONE)
        table_print(&table, schema.options.json, "no schemas");
    else
        table_destroy(&table);
    return code;
}

// ---- get ----

static enum cli_exit get(int argc, char **argv)
{
    struct schema schema = {.version = "latest"};
    const struct cli_arg args[] = {
        {"--version|-v", CLI_TEXT, &schema.version, 0, 0, "N", "which version (latest)"},
        {"--id", CLI_TEXT, &schema.id, 0, 0, "ID", "by id instead of subject and version"},
        {"--resolved", CLI_FLAG, &schema.resolved, 0, 0, NULL, "with its references written out"},
        SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage =
        USAGE("schema get SUBJECT [options]", "Prints a schema as it is registered.", args, 0, 1);
    struct cli_many positional;
    enum cli_exit code;
    struct schema_request request;
    cJSON *answer;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    if ((positional.count == 1) == (schema.id != NULL))
        return cli_fail(CLI_USAGE, "either a subject or --id");
    if (schema.id != NULL) {
        schema_request_init(&request, "GET", "/schemas/ids", schema.id);
    } else {
        schema_request_init(&request, "GET", "/subjects", positional.items[0]);
        buf_printf(&request.path, "/versions/");
        http_put_segment(&request.path, schema.version);
    }
    buf_printf(&request.path, "%s", schema.resolved ? "?format=resolved" : "");
    code = schema_ask(&schema.options, &request, &answer);
    if (code == CLI_DONE && schema.options.json)
        schema_print(answer);
    else if (code == CLI_DONE && json_string(answer, "schema") != NULL)
        printf("%s\n", json_string(answer, "schema"));
    cJSON_Delete(answer);
    return code;
}

// ---- register and check ----

static enum cli_exit read_input(const char *path, struct buf *text)
{
    if (path != NULL && strcmp(path, "-") != 0) {
        enum status status = file_slurp(path, SCHEMA_BODY_MAX, text);
        return status == ST_OK ? CLI_DONE
                               : cli_fail(CLI_FAILED, "%s cannot be read: %s", path, status_text(status));
    }
    for (;;) {
        if (buf_reserve(text, INPUT_PIECE) != ST_OK)
            return cli_fail(CLI_FAILED, "the schema is too long");
        ssize_t got = read(STDIN_FILENO, text->data + text->len, INPUT_PIECE);
        if (got <= 0)
            return got == 0 ? CLI_DONE : cli_fail(CLI_FAILED, "standard input cannot be read");
        text->len += (size_t)got;
    }
}

static enum cli_exit put_body(const struct schema *schema, const char *path, struct buf *out)
{
    struct buf text;
    buf_init(&text, SCHEMA_BODY_MAX);
    enum cli_exit code = read_input(path, &text);
    if (code == CLI_DONE)
        code = schema_put_body(out, buf_slice(&text), schema->type, &schema->references);
    buf_fini(&text);
    return code;
}

#define BODY_OPTIONS(schema)                                                                                 \
    {"--type", CLI_TEXT, &(schema)->type, 0, 0, "TYPE", "AVRO (default), JSON or PROTOBUF"},                 \
        {"--reference",                                                                                      \
         CLI_MANY,                                                                                           \
         &(schema)->references,                                                                              \
         0,                                                                                                  \
         0,                                                                                                  \
         "NAME=SUBJECT:VERSION",                                                                             \
         "a schema it refers to (repeatable)"},                                                              \
    {                                                                                                        \
        "--normalize", CLI_FLAG, &(schema)->normalize, 0, 0, NULL, "texts that mean the same are the same"   \
    }

static enum cli_exit registers(int argc, char **argv)
{
    struct schema schema = {0};
    const struct cli_arg args[] = {BODY_OPTIONS(&schema), SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage =
        USAGE("schema register SUBJECT [FILE] [options]",
              "Registers a schema (of FILE or standard input) and prints its id.", args, 1, 2);
    struct cli_many positional;
    enum cli_exit code;
    struct schema_request request;
    cJSON *answer = NULL;
    int64_t id = 0;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    schema_request_init(&request, "POST", "/subjects", positional.items[0]);
    buf_printf(&request.path, "/versions%s", schema.normalize ? "?normalize=true" : "");
    code = put_body(&schema, positional.count > 1 ? positional.items[1] : NULL, &request.body);
    if (code == CLI_DONE)
        code = schema_ask(&schema.options, &request, &answer);
    else
        schema_request_fini(&request);
    if (code == CLI_DONE && schema.options.json)
        schema_print(answer);
    else if (code == CLI_DONE && json_integer(answer, "id", &id) == ST_OK)
        printf("%" PRId64 "\n", id);
    cJSON_Delete(answer);
    return code;
}

static enum cli_exit verdict(const cJSON *answer, bool json)
{
    bool fits = cJSON_IsTrue(json_get(answer, "is_compatible"));
    if (json)
        schema_print(answer);
    else
        printf(fits ? "compatible\n" : "not compatible\n");
    const cJSON *messages = json_get(answer, "messages");
    for (const cJSON *at = messages != NULL && !json ? messages->child : NULL; at != NULL; at = at->next)
        printf("  %s\n", cJSON_IsString(at) ? at->valuestring : "");
    return fits ? CLI_DONE : CLI_FAILED;
}

static enum cli_exit check(int argc, char **argv)
{
    struct schema schema = {0};
    const struct cli_arg args[] = {
        {"--version|-v", CLI_TEXT, &schema.version, 0, 0, "N", "only against this version, or 'latest'"},
        BODY_OPTIONS(&schema),
        SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage =
        USAGE("schema check SUBJECT [FILE] [options]",
              "Whether a schema may be registered: compares it with what the subject's level asks for.", args,
              1, 2);
    struct cli_many positional;
    enum cli_exit code;
    struct schema_request request;
    cJSON *answer = NULL;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    schema_request_init(&request, "POST", "/compatibility/subjects", positional.items[0]);
    buf_printf(&request.path, "/versions");
    if (schema.version != NULL) {
        buf_printf(&request.path, "/");
        http_put_segment(&request.path, schema.version);
    }
    buf_printf(&request.path, "?verbose=true%s", schema.normalize ? "&normalize=true" : "");
    code = put_body(&schema, positional.count > 1 ? positional.items[1] : NULL, &request.body);
    if (code == CLI_DONE)
        code = schema_ask(&schema.options, &request, &answer);
    else
        schema_request_fini(&request);
    if (code == CLI_DONE)
        code = verdict(answer, schema.options.json);
    cJSON_Delete(answer);
    return code;
}

// ---- delete ----

static enum cli_exit deletes(int argc, char **argv)
{
    struct schema schema = {0};
    const struct cli_arg args[] = {
        {"--version|-v", CLI_TEXT, &schema.version, 0, 0, "N", "only this version, or 'latest'"},
        {"--permanent", CLI_FLAG, &schema.permanent, 0, 0, NULL, "for good; it must be deleted already"},
        SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage = USAGE(
        "schema delete SUBJECT [options]",
        "Deletes a subject or a version. Softly: whoever has the id can still read the schema.", args, 1, 1);
    struct cli_many positional;
    enum cli_exit code;
    struct schema_request request;
    cJSON *answer;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    schema_request_init(&request, "DELETE", "/subjects", positional.items[0]);
    if (schema.version != NULL) {
        buf_printf(&request.path, "/versions/");
        http_put_segment(&request.path, schema.version);
    }
    buf_printf(&request.path, "%s", schema.permanent ? "?permanent=true" : "");
    code = schema_ask(&schema.options, &request, &answer);
    if (code == CLI_DONE && schema.options.json)
        schema_print(answer);
    else if (code == CLI_DONE)
        printf("deleted %s\n", positional.items[0]);
    cJSON_Delete(answer);
    return code;
}

// ---- mode and config ----

// GET, PUT or DELETE of /config or /mode, of everything or a subject. body: of a PUT; NULL: none.
static enum cli_exit setting(const struct schema *schema, const char *path, const char *subject,
                             const char *body)
{
    struct schema_request request;
    cJSON *answer;
    const char *method = body != NULL ? "PUT" : schema->drop ? "DELETE" : "GET";
    schema_request_init(&request, method, path, subject);
    if (body == NULL && !schema->drop && subject != NULL)
        buf_printf(&request.path, "?defaultToGlobal=true");
    else if (schema->force)
        buf_printf(&request.path, "?force=true");
    if (body != NULL)
        buf_printf(&request.body, "%s", body);
    enum cli_exit code = schema_ask(&schema->options, &request, &answer);
    const char *shown = json_string(answer, "mode");
    if (shown == NULL)
        shown = json_string(answer, "compatibilityLevel");
    if (shown == NULL)
        shown = json_string(answer, "compatibility");
    if (shown == NULL)
        shown = json_string(answer, "compatibilityPolicy");
    if (code == CLI_DONE && !schema->options.json && shown != NULL)
        printf("%s\n", shown);
    else if (code == CLI_DONE)
        schema_print(answer);
    cJSON_Delete(answer);
    return code;
}

static enum cli_exit set_or_show(const struct schema *schema, const char *path,
                                 const struct cli_many *positional)
{
    const char *subject = positional->count > 0 ? positional->items[0] : NULL;
    const char *const members[][2] = {
        {strcmp(path, "/mode") == 0 ? "mode" : "compatibility", schema->set},
        {"compatibilityPolicy", schema->policy},
    };
    struct buf body;
    buf_init(&body, 4096);
    for (size_t i = 0; i < 2; i++) {
        if (members[i][1] == NULL)
            continue;
        buf_printf(&body, "%s\"%s\":", body.len == 0 ? "{" : ",", members[i][0]);
        json_put_string(&body, slice_str(members[i][1]));
    }
    if (body.len > 0)
        buf_append(&body, "}", sizeof "}"); // with its NUL
    enum cli_exit code = setting(schema, path, subject, (const char *)body.data);
    buf_fini(&body);
    return code;
}

static enum cli_exit mode(int argc, char **argv)
{
    struct schema schema = {0};
    const struct cli_arg args[] = {
        {"--set", CLI_TEXT, &schema.set, 0, 0, "MODE", "READWRITE, READONLY, READONLY_OVERRIDE or IMPORT"},
        {"--force", CLI_FLAG, &schema.force, 0, 0, NULL, "IMPORT although there are schemas"},
        {"--delete", CLI_FLAG, &schema.drop, 0, 0, NULL, "back to what is set above it"},
        SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage = USAGE("schema mode [SUBJECT] [options]",
                                         "Shows or sets whether schemas may be registered.", args, 0, 1);
    struct cli_many positional;
    enum cli_exit code;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    return set_or_show(&schema, "/mode", &positional);
}

static enum cli_exit config(int argc, char **argv)
{
    struct schema schema = {0};
    const struct cli_arg args[] = {
        {"--level|--set", CLI_TEXT, &schema.set, 0, 0, "LEVEL",
         "NONE, BACKWARD, FORWARD or FULL, or one of these with _TRANSITIVE"},
        {"--policy", CLI_TEXT, &schema.policy, 0, 0, "POLICY",
         "STRICT, or LENIENT: optional properties of JSON schemas may come and go"},
        {"--delete", CLI_FLAG, &schema.drop, 0, 0, NULL, "back to what is set above it"},
        SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage =
        USAGE("schema config [SUBJECT] [options]",
              "Shows or sets compatibility level and policy; with --json the whole configuration.", args, 0, 1);
    struct cli_many positional;
    enum cli_exit code;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    return set_or_show(&schema, "/config", &positional);
}

// ---- diff ----

static enum cli_exit fetch(const struct schema *schema, const char *subject, const char *version, char **text)
{
    struct schema_request request;
    cJSON *answer;
    *text = NULL;
    schema_request_init(&request, "GET", "/subjects", subject);
    buf_printf(&request.path, "/versions/");
    http_put_segment(&request.path, version);
    enum cli_exit code = schema_ask(&schema->options, &request, &answer);
    if (code == CLI_DONE)
        *text = schema_diff_lines(json_string(answer, "schema") != NULL ? json_string(answer, "schema") : "");
    cJSON_Delete(answer);
    return code;
}

static enum cli_exit diff(int argc, char **argv)
{
    struct schema schema = {0};
    const struct cli_arg args[] = {SCHEMA_OPTIONS(&schema.options)};
    const struct cli_usage usage = USAGE(
        "schema diff SUBJECT OLD [NEW] [options]",
        "Shows what differs between two versions, line by line; NEW is the latest when it is left out.\n"
        "Exit code 1 when anything does.",
        args, 2, 3);
    struct cli_many positional;
    enum cli_exit code;
    char *before = NULL, *after = NULL;
    if (!arguments(&usage, argc, argv, &positional, &code))
        return code;
    const char *newer = positional.count > 2 ? positional.items[2] : "latest";
    code = fetch(&schema, positional.items[0], positional.items[1], &before);
    if (code == CLI_DONE)
        code = fetch(&schema, positional.items[0], newer, &after);
    if (code == CLI_DONE && schema_diff_print(before, after))
        code = CLI_FAILED;
    mem_free(before);
    mem_free(after);
    return code;
}

enum cli_exit cmd_schema(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"list", list, "show subjects and their latest versions"},
        {"get", get, "print a schema"},
        {"register", registers, "register a schema"},
        {"check", check, "whether a schema may be registered"},
        {"diff", diff, "what differs between two versions"},
        {"delete", deletes, "delete a subject or a version"},
        {"config", config, "show or set the compatibility level"},
        {"mode", mode, "show or set whether schemas may be registered"}};
    return cli_dispatch("millrace schema", commands, sizeof commands / sizeof *commands, argc, argv);
}
