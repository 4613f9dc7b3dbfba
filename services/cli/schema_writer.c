// SPDX-License-Identifier: Apache-2.0
// See schema_writer.h. Whatever names a schema becomes an id first; then the registry's text of that id is
// what payloads are made by, so that they are what readers will take them for.
#include "schema_writer.h"

#include "base/mem.h"
#include "cluster.h"
#include "http/json.h"
#include "http_get.h"
#include "schema_fetch.h"
#include "schema_spec.h"
#include "schema_wire.h"

#include <string.h>

enum { PAYLOAD_MAX = 64 << 20, HEADER_MAX = 1024 };

// One side's part of the command line.
struct naming {
    const struct schema_writing *writing;
    const struct cli_many *references;
    const char *subject;
    const char *message;
};

static enum cli_exit id_of(const cJSON *answer, int32_t *id)
{
    int64_t number;
    if (json_integer(answer, "id", &number) != ST_OK || number < 0 || number > INT32_MAX)
        return cli_fail(CLI_FAILED, "the answer has no id; is that a schema registry?");
    *id = (int32_t)number;
    return CLI_DONE;
}

// Takes the request.
static enum cli_exit ask_id(const struct naming *naming, struct schema_request *request, int32_t *id)
{
    cJSON *answer;
    enum cli_exit code = schema_ask(&naming->writing->registry, request, &answer);
    if (code == CLI_DONE)
        code = id_of(answer, id);
    cJSON_Delete(answer);
    return code;
}

static enum cli_exit ask_subject(const struct naming *naming, const struct schema_spec *spec, int32_t *id)
{
    struct schema_request request;
    schema_request_init(&request, "GET", "/subjects", spec->subject);
    buf_printf(&request.path, "/versions/%s", spec->version);
    enum cli_exit code = ask_id(naming, &request, id);
    if (code == CLI_FAILED)
        cli_fail(code, "'%s' is no file and no subject with that version", spec->text);
    return code;
}

static enum cli_exit submit(const struct naming *naming, const struct schema_spec *spec, struct slice text,
                            int32_t *id)
{
    struct schema_request request;
    const char *type;
    enum cli_exit code = schema_spec_type(naming->writing->type, spec, &type);
    if (code != CLI_DONE)
        return code;
    schema_request_init(&request, "POST", "/subjects", naming->subject);
    buf_printf(&request.path, naming->writing->no_register ? "" : "/versions");
    code = schema_put_body(&request.body, text, type, naming->references);
    if (code == CLI_DONE)
        return ask_id(naming, &request, id);
    schema_request_fini(&request);
    return code;
}

static enum cli_exit submit_file(const struct naming *naming, const struct schema_spec *spec, int32_t *id)
{
    struct buf text;
    enum status status = file_slurp(spec->text, SCHEMA_BODY_MAX, &text);
    enum cli_exit code = status == ST_OK
                             ? submit(naming, spec, buf_slice(&text), id)
                             : cli_fail(CLI_FAILED, "%s cannot be read: %s", spec->text, status_text(status));
    buf_fini(&text);
    return code;
}

static enum cli_exit name_id(const struct naming *naming, const struct schema_spec *spec, int32_t *id)
{
    switch (spec->kind) {
    case SCHEMA_SPEC_ID:
        *id = spec->id;
        return CLI_DONE;
    case SCHEMA_SPEC_SUBJECT:
        return ask_subject(naming, spec, id);
    case SCHEMA_SPEC_FILE:
        return submit_file(naming, spec, id);
    case SCHEMA_SPEC_TEXT:
        break;
    }
    return submit(naming, spec, slice_str(spec->text), id);
}

static enum cli_exit no_message(const struct schema_side *side, const char *message)
{
    if (schema_format(side->schema) != SCHEMA_PROTOBUF)
        return cli_fail(CLI_USAGE, "--%s-message goes with a Protobuf schema", side->name);
    if (message == NULL)
        return cli_fail(CLI_FAILED, "the schema of the %s has no message", side->name);
    return cli_fail(CLI_FAILED, "the schema of the %s has no message '%.200s'", side->name, message);
}

// What payloads are written by, once there is the schema.
static enum cli_exit settle(struct schema_side *side, const struct naming *naming, struct schema_id id,
                            const char *subject)
{
    const struct schema_writing *writing = naming->writing;
    enum cli_exit code = CLI_DONE;
    if (writing->in_header)
        code = schema_fetch_guid(&writing->registry, subject, &id);
    if (code != CLI_DONE)
        return code;
    if (schema_wire_init(&side->wire, side->schema, &id, naming->message) != ST_OK)
        return no_message(side, naming->message);
    side->wire.in_header = writing->in_header;
    if (writing->in_header)
        schema_wire_header(&side->wire, &side->header);
    return CLI_DONE;
}

static enum cli_exit side_open(struct schema_side *side, const struct naming *naming, const char *text)
{
    struct schema_spec spec;
    size_t bytes;
    int32_t number;
    buf_init(&side->bytes, PAYLOAD_MAX);
    buf_init(&side->header, HEADER_MAX);
    if (text == NULL)
        return CLI_DONE;
    enum cli_exit code = schema_spec_parse(text, &spec);
    if (code == CLI_DONE)
        code = name_id(naming, &spec, &number);
    const char *subject = spec.kind == SCHEMA_SPEC_SUBJECT ? spec.subject : naming->subject;
    if (code != CLI_DONE)
        return code;
    struct schema_id id = schema_id_of(number);
    code = schema_fetch(&naming->writing->registry, &id, subject, &side->schema, &bytes);
    return code == CLI_DONE ? settle(side, naming, id, subject) : code;
}

// Options that would change nothing are refused rather than left unread.
static enum cli_exit check(const struct schema_writing *writing)
{
    if (writing->value == NULL && (writing->value_subject != NULL || writing->references.count > 0))
        return cli_fail(CLI_USAGE, "--subject and --reference go with --value-schema");
    if (writing->value == NULL && writing->value_message != NULL)
        return cli_fail(CLI_USAGE, "--value-message goes with --value-schema");
    if (writing->key == NULL && (writing->key_subject != NULL || writing->key_message != NULL))
        return cli_fail(CLI_USAGE, "--key-subject and --key-message go with --key-schema");
    if (writing->key == NULL && writing->value == NULL &&
        (writing->type != NULL || writing->no_register || writing->in_header))
        return cli_fail(CLI_USAGE, "--schema-type, --schema-header and --no-register go with --value-schema "
                                   "or --key-schema");
    return CLI_DONE;
}

enum cli_exit schema_writer_open(struct schema_writer *writer, const struct schema_writing *writing,
                                 const char *topic)
{
    static const struct cli_many none = {0};
    char *value_subject = mem_printf("%s-value", topic), *key_subject = mem_printf("%s-key", topic);
    struct naming value = {writing, &writing->references,
                           writing->value_subject != NULL ? writing->value_subject : value_subject,
                           writing->value_message};
    struct naming key = {writing, &none, writing->key_subject != NULL ? writing->key_subject : key_subject,
                         writing->key_message};
    *writer = (struct schema_writer){.key = {.name = "key"}, .value = {.name = "value"}};
    enum cli_exit code = check(writing);
    if (code == CLI_DONE)
        code = side_open(&writer->value, &value, writing->value);
    if (code == CLI_DONE)
        code = side_open(&writer->key, &key, writing->key);
    if (code != CLI_DONE)
        schema_writer_close(writer);
    mem_free(value_subject);
    mem_free(key_subject);
    return code;
}

static void side_close(struct schema_side *side)
{
    schema_free(side->schema);
    side->schema = NULL;
    buf_fini(&side->bytes);
    buf_fini(&side->header);
}

void schema_writer_close(struct schema_writer *writer)
{
    side_close(&writer->key);
    side_close(&writer->value);
}

enum cli_exit schema_side_encode(struct schema_side *side, int64_t line, struct slice *text)
{
    static const char only_line[] = "line 1, "; // a place in the JSON text, which is one line
    struct schema_error error;
    if (side->schema == NULL)
        return CLI_DONE;
    buf_clear(&side->bytes);
    enum status status = schema_wire_encode(&side->wire, *text, &error, &side->bytes);
    *text = buf_slice(&side->bytes);
    if (status == ST_OK)
        return CLI_DONE;
    const char *why = error.text;
    if (strncmp(why, only_line, strlen(only_line)) == 0)
        why += strlen(only_line);
    return cli_fail(CLI_FAILED, "line %lld: %s: %s", (long long)line, side->name, why);
}
