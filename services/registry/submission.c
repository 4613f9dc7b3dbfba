// SPDX-License-Identifier: Apache-2.0
// See submission.h. References are found in the state, dependencies first, each name once (as Confluent's
// AbstractSchemaProvider does), within the limits of number and depth.
#include "submission.h"

#include "base/assert.h"
#include "base/mem.h"
#include "contract.h"
#include "http/json.h"
#include "schema/pack.h"

#include <stdio.h>

// ---- references ----

struct resolving {
    struct call *call;
    bool deleted_too;
    struct schema_reference *found;
    size_t count;
    struct schema_error *error;
};

static bool cannot(struct resolving *resolving, enum status code, const char *text,
                   const struct state_reference *reference)
{
    resolving->error->code = code;
    snprintf(resolving->error->text, sizeof resolving->error->text,
             "%s name=%.200s subject=%.200s version=%d", text, reference->name, reference->subject,
             reference->version);
    return false;
}

static const struct state_version *referred(struct call *call, const char *referring,
                                            const struct state_reference *reference)
{
    const char *name = name_of_reference(&call->arena, referring, reference->subject);
    const struct state_subject *subject = name ? state_subject(call->state, name) : NULL;
    if (subject == NULL)
        return NULL;
    return reference->version == -1 ? state_latest(subject) : state_version(subject, reference->version);
}

static bool has_name(const struct resolving *resolving, const char *name)
{
    for (size_t i = 0; i < resolving->count; i++)
        if (slice_is(resolving->found[i].name, name))
            return true;
    return false;
}

static bool resolve(struct resolving *resolving, const char *referring, const struct content *content,
                    int64_t depth)
{
    const struct settings *settings = resolving->call->settings;
    for (size_t i = 0; i < content->reference_count; i++) {
        const struct state_reference *reference = &content->references[i];
        if (has_name(resolving, reference->name))
            continue;
        const struct state_version *version = referred(resolving->call, referring, reference);
        if (version == NULL || (version->deleted && !resolving->deleted_too))
            return cannot(resolving, ST_NOT_FOUND, "no schema is registered for the reference", reference);
        if (depth >= settings->reference_depth)
            return cannot(resolving, ST_LIMIT, "references lead too deep", reference);
        struct content inner = {.references = version->schema->references,
                                .reference_count = version->schema->reference_count};
        if (!resolve(resolving, version->subject->name, &inner, depth + 1))
            return false;
        if ((int64_t)resolving->count >= settings->references_max)
            return cannot(resolving, ST_LIMIT, "too many references", reference);
        resolving->found[resolving->count++] = (struct schema_reference){
            .name = slice_str(reference->name), .text = slice_str(version->schema->text)};
    }
    return true;
}

// A request has a budget for parsing, since others wait for the same threads. One that needs more is answered
// with an error, whatever it comes to without the rest (operation_run). Protobuf's texts cost more: 0.7 s for
// a MiB.
static bool may_parse(struct resolving *resolving, const struct content *content)
{
    struct call *call = resolving->call;
    size_t weight = strcmp(content->type, "PROTOBUF") == 0 ? CALL_PROTOBUF_WEIGHT : 1;
    call->parsed += weight * strlen(content->text);
    for (size_t i = 0; i < resolving->count; i++)
        call->parsed += weight * resolving->found[i].text.len;
    if (call->parsed <= CALL_PARSED_MAX)
        return true;
    *resolving->error = (struct schema_error){.code = ST_LIMIT, .text = "too much to be parsed at once"};
    return false;
}

// All that parsing content as a schema of the subject takes; input_free in any case. False with *error.
static bool input_of(struct call *call, const char *subject, const struct content *content, bool deleted_too,
                     struct chore_input *input, struct schema_error *error)
{
    *input = (struct chore_input){.text = slice_str(content->text)};
    *error = (struct schema_error){.code = ST_UNSUPPORTED};
    if (schema_format_find(slice_str(content->type), &input->format) != ST_OK) {
        snprintf(error->text, sizeof error->text, "Invalid schema type %.100s", content->type);
        return false;
    }
    struct resolving resolving = {.call = call, .deleted_too = deleted_too, .error = error};
    if (content->reference_count > 0)
        resolving.found = mem_calloc((size_t)call->settings->references_max + 1, sizeof *resolving.found);
    input->references = resolving.found;
    bool good = resolve(&resolving, subject, content, 0) && may_parse(&resolving, content);
    input->reference_count = resolving.count;
    return good;
}

static void input_free(struct chore_input *input)
{
    mem_free((void *)input->references);
}

// ---- the body ----

static bool number_read(const cJSON *body, const char *name, int32_t fallback, int32_t *number)
{
    int64_t value;
    const cJSON *item = json_get(body, name);
    *number = fallback;
    if (item == NULL || cJSON_IsNull(item))
        return true;
    if (json_integer(body, name, &value) != ST_OK || value < -1 || value > INT32_MAX)
        return false;
    *number = (int32_t)value;
    return true;
}

static bool references_read(struct call *call, struct submission *submission)
{
    const cJSON *list = json_get(submission->body, "references");
    size_t count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0, i = 0;
    if (list != NULL && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return call_fail(call, 42201, "references is not a list");
    if ((int64_t)count > call->settings->references_max)
        return call_fail(call, 42201, "A schema has at most %lld references, not %zu",
                         (long long)call->settings->references_max, count);
    struct state_reference *references = arena_calloc(&call->arena, count + 1, sizeof *references);
    for (const cJSON *at = count > 0 ? list->child : NULL; at != NULL; at = at->next, i++) {
        references[i].name = json_string(at, "name");
        references[i].subject = json_string(at, "subject");
        if (references[i].name == NULL || references[i].subject == NULL ||
            !number_read(at, "version", -1, &references[i].version) || references[i].version == 0)
            return call_fail(call, 42201, "A reference has a name, a subject and a version from 1 on");
    }
    submission->content.references = references;
    submission->content.reference_count = count;
    return true;
}

static bool members_read(struct call *call, struct submission *submission)
{
    const cJSON *body = submission->body;
    const char *type = json_string(body, "schemaType"), *text = json_string(body, "schema");
    const cJSON *rules = json_get(body, "ruleSet");
    const char *wrong = cJSON_IsObject(rules) ? contract_rules_wrong(rules) : NULL;
    const char *metadata_wrong = contract_metadata_wrong(json_get(body, "metadata"));
    submission->content.type = type != NULL ? type : "AVRO";
    submission->content.text = text != NULL ? text : "";
    submission->empty = submission->content.text[strspn(submission->content.text, " \t\r\n")] == '\0';
    if (!number_read(body, "id", -1, &submission->id))
        return call_fail(call, 422, "id is not a number from -1 on");
    if (!number_read(body, "version", 0, &submission->version))
        return call_fail(call, 422, "version is not a number from -1 on");
    if (wrong != NULL)
        return call_fail(call, 42210, "Invalid rule set: %s", wrong);
    if (metadata_wrong != NULL)
        return call_fail(call, 42201, "Invalid metadata: %s", metadata_wrong);
    cJSON *metadata = contract_metadata(json_get(body, "metadata"));
    submission_set_metadata(call, submission, metadata);
    submission_set_rules(call, submission, rules);
    cJSON_Delete(metadata);
    return references_read(call, submission);
}

bool submission_read(struct call *call, struct submission *submission)
{
    *submission = (struct submission){.id = -1};
    const struct chore *read = chore_body(call);
    if (read == NULL)
        return false;
    if (read->status != ST_OK)
        return call_fail(call, 400, "The body is no JSON: %s at byte %zu", status_text(read->status),
                         read->error_at);
    if (!cJSON_IsObject(read->body))
        return call_fail(call, 400, "The body is no JSON object");
    submission->body = read->body;
    return members_read(call, submission);
}

static const char *object_text(struct call *call, const cJSON *object)
{
    if (!cJSON_IsObject(object))
        return NULL;
    char *printed = cJSON_PrintUnformatted(object);
    ASSERT(printed != NULL);
    const char *text = arena_strndup(&call->arena, printed, strlen(printed));
    cJSON_free(printed);
    return text;
}

void submission_set_metadata(struct call *call, struct submission *submission, const cJSON *metadata)
{
    submission->content.metadata = object_text(call, metadata);
}

void submission_set_rules(struct call *call, struct submission *submission, const cJSON *rule_set)
{
    submission->content.rule_set = object_text(call, rule_set);
}

// ---- parsing ----

static bool refuse(struct call *call, const struct submission *submission, const struct schema_error *error)
{
    return call_fail(call, 42201, "Invalid schema of type %s, details: %s", submission->content.type,
                     error->text);
}

static const char *printed(struct call *call, const struct chore *done)
{
    return arena_strndup(&call->arena, done->text.data, done->text.len);
}

static bool parse(struct call *call, struct submission *submission, struct submission_use use)
{
    struct schema_error error;
    struct chore_input input;
    enum schema_text form = use.normalise ? SCHEMA_TEXT_NORMAL : SCHEMA_TEXT_PLAIN;
    bool good = input_of(call, call->subject, &submission->content, !use.fresh, &input, &error);
    submission->parsed = good ? chore_parse(call, &input, form, use.fresh) : NULL;
    input_free(&input);
    if (!good)
        return refuse(call, submission, &error);
    if (submission->parsed == NULL)
        return false; // later
    if (submission->parsed->status == ST_OK)
        return true;
    if (submission->parsed->error.text[0] == '\0')
        return call_fail(call, 42209, "The schema is too large");
    return refuse(call, submission, &submission->parsed->error);
}

// -1 stands for the version that is the latest now. What is fingerprinted and stored names that version: a
// schema does not change its meaning with the next one, and the version knows who refers to it.
static bool settle_references(struct call *call, struct content *content)
{
    struct state_reference *settled =
        arena_calloc(&call->arena, content->reference_count + 1, sizeof *settled);
    if (settled == NULL)
        return call_fail(call, 50001, "The request needs too much memory");
    for (size_t i = 0; i < content->reference_count; i++) {
        settled[i] = content->references[i];
        const struct state_version *version = referred(call, call->subject, &settled[i]);
        if (settled[i].version == -1 && version == NULL)
            return call_fail(call, 42201, "No schema is registered for the reference %s", settled[i].name);
        if (settled[i].version == -1)
            settled[i].version = version->version;
    }
    content->references = settled;
    return true;
}

bool submission_parse(struct call *call, struct submission *submission, struct submission_use use)
{
    struct content *content = &submission->content;
    if (submission->empty)
        return call_fail(call, 42201, "Empty schema");
    if (strlen(content->text) > SCHEMA_TEXT_MAX)
        return call_fail(call, 42209, "A schema has at most %d bytes, not %zu", SCHEMA_TEXT_MAX,
                         strlen(content->text));
    if (!parse(call, submission, use))
        return false;
    if (!settle_references(call, content))
        return false;
    content->type = schema_format_name(schema_format(submission->parsed->schema));
    content->text = printed(call, submission->parsed);
    if (content->text == NULL)
        return call_fail(call, 42209, "The schema is too large");
    fingerprint(content, submission->guid);
    return true;
}

struct content submission_stored_content(const struct state_version *version)
{
    const struct state_schema *schema = version->schema;
    return (struct content){.type = schema->type,
                            .text = schema->text,
                            .references = schema->references,
                            .reference_count = schema->reference_count};
}

static bool stored_input(struct call *call, const struct state_version *version, struct chore_input *input,
                         struct schema_error *error)
{
    struct content content = submission_stored_content(version);
    return input_of(call, version->subject->name, &content, true, input, error);
}

void submission_compare(struct call *call, const struct submission *submission,
                        const struct state_version *version, struct comparison by, struct messages *messages)
{
    struct schema_error error;
    struct chore_input input;
    if (stored_input(call, version, &input, &error)) {
        const struct chore *done = chore_compare(call, submission->parsed, by, &input);
        if (done != NULL)
            messages_add_all(messages, &done->messages);
    } else {
        messages_add_printed(messages, "an older version cannot be read", error.text);
    }
    input_free(&input);
}

// NULL: *error says why, or the call is to be run again.
static const struct chore *parse_content(struct call *call, const char *subject,
                                         const struct content *content, enum schema_text form,
                                         struct schema_error *error)
{
    struct chore_input input;
    bool good = input_of(call, subject, content, true, &input, error);
    const struct chore *done = good ? chore_parse(call, &input, form, false) : NULL;
    input_free(&input);
    return done;
}

static const struct chore *parse_stored(struct call *call, const struct state_version *version,
                                        enum schema_text form, struct schema_error *error)
{
    struct content content = submission_stored_content(version);
    return parse_content(call, version->subject->name, &content, form, error);
}

const struct chore *submission_content(struct call *call, const char *subject, const struct content *content,
                                       struct schema_error *error)
{
    return parse_content(call, subject, content, SCHEMA_TEXT_PLAIN, error);
}

const struct schema *submission_stored(struct call *call, const struct state_version *version,
                                       struct schema_error *error)
{
    const struct chore *done = parse_stored(call, version, SCHEMA_TEXT_PLAIN, error);
    if (done != NULL && done->schema == NULL)
        *error = done->error;
    return done != NULL ? done->schema : NULL;
}

static enum status pack(struct call *call, const struct state_version *version, struct buf *out,
                        struct schema_error *error)
{
    struct chore_input input;
    if (strcmp(version->schema->type, schema_format_name(SCHEMA_PROTOBUF)) == 0) {
        const struct schema *schema = submission_stored(call, version, error);
        return schema != NULL ? schema_pack_descriptors(schema, out) : ST_MALFORMED;
    }
    enum status status = ST_MALFORMED;
    if (stored_input(call, version, &input, error))
        status = schema_pack(input.format, input.text, input.references, input.reference_count, out);
    input_free(&input);
    return status;
}

enum status submission_pack(struct call *call, const struct state_version *version, struct buf *out,
                            struct schema_error *error)
{
    *error = (struct schema_error){.code = ST_OK};
    enum status status = pack(call, version, out, error);
    if (status != ST_OK && error->text[0] == '\0')
        snprintf(error->text, sizeof error->text, "%s schemas cannot be packed: %s", version->schema->type,
                 status_text(status));
    return status;
}

const char *submission_format(struct call *call, const struct state_version *version, const char *format)
{
    static const struct {
        const char *name;
        enum schema_text form;
    } formats[] = {{"resolved", SCHEMA_TEXT_RESOLVED},
                   {"serialized", SCHEMA_TEXT_SERIALIZED},
                   {"ignore_extensions", SCHEMA_TEXT_BARE}};
    struct schema_error error;
    size_t i = 0, count = sizeof formats / sizeof *formats;
    while (format != NULL && i < count && strcmp(format, formats[i].name) != 0)
        i++;
    if (format == NULL || i == count)
        return NULL;
    const struct chore *done = parse_stored(call, version, formats[i].form, &error);
    return done != NULL && done->status == ST_OK ? printed(call, done) : NULL;
}
