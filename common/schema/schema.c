// SPDX-License-Identifier: Apache-2.0
// The table of languages, and the limits that hold for all of them. See schema.h.
#include "schema/format.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
    [SCHEMA_AVRO] = "AVRO", [SCHEMA_JSON] = "JSON", [SCHEMA_PROTOBUF] = "PROTOBUF"};

enum { FORMATS = sizeof names / sizeof *names };

const struct schema_language *schema_language(enum schema_format format)
{
    static const struct schema_language *const languages[FORMATS] = {
        [SCHEMA_AVRO] = &avro_language,
        [SCHEMA_JSON] = &json_language,
        [SCHEMA_PROTOBUF] = &protobuf_language,
    };
    return (size_t)format < FORMATS ? languages[format] : NULL;
}

const char *schema_format_name(enum schema_format format)
{
    ASSERT((size_t)format < FORMATS);
    return names[format];
}

enum status schema_format_find(struct slice name, enum schema_format *format)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (slice_is(name, names[i])) {
            *format = (enum schema_format)i;
            return ST_OK;
        }
    return ST_NOT_FOUND;
}

enum status schema_fail(struct schema_error *error, enum status status, const char *format, ...)
{
    va_list arguments;
    if (error->code != ST_OK)
        return error->code;
    error->code = status;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

static enum status check_size(const struct schema_source *source, struct schema_error *error)
{
    size_t total = source->text.len;
    bool long_text = source->text.len > SCHEMA_TEXT_MAX;
    if (source->n_refs > SCHEMA_REFERENCES_MAX)
        return schema_fail(error, ST_LIMIT, "%zu references, %d are allowed", source->n_refs,
                           SCHEMA_REFERENCES_MAX);
    for (size_t i = 0; i < source->n_refs; i++) {
        long_text |= source->refs[i].text.len > SCHEMA_TEXT_MAX;
        total += source->refs[i].text.len;
    }
    if (long_text || total > SCHEMA_TOTAL_MAX)
        return schema_fail(error, ST_LIMIT,
                           "the schema is too long: %d bytes are allowed, %d with its references",
                           SCHEMA_TEXT_MAX, SCHEMA_TOTAL_MAX);
    return ST_OK;
}

enum status schema_parse(enum schema_format format, struct slice text, const struct schema_reference *refs,
                         size_t n_refs, struct schema_error *error, struct schema **schema)
{
    const struct schema_language *language = schema_language(format);
    struct schema_source source = {.text = text, .refs = refs, .n_refs = n_refs};
    *schema = NULL;
    *error = (struct schema_error){.code = ST_OK};
    if (language == NULL)
        return schema_fail(error, ST_UNSUPPORTED, "this format of schemas is not supported");
    enum status status = check_size(&source, error);
    if (status == ST_OK)
        status = language->parse(&source, error, schema);
    ASSERT((status == ST_OK) == (*schema != NULL) && (status == ST_OK) == (error->code == ST_OK));
    return status;
}

void schema_free(struct schema *schema)
{
    if (schema != NULL)
        schema->language->free(schema);
}

enum status schema_validate(const struct schema *schema, struct schema_error *error)
{
    *error = (struct schema_error){.code = ST_OK};
    return schema->language->validate(schema, error);
}

enum schema_format schema_format(const struct schema *schema)
{
    return schema->language->format;
}

struct slice schema_name(const struct schema *schema)
{
    return schema->language->title(schema);
}

enum status schema_text(const struct schema *schema, enum schema_text form, struct buf *out)
{
    return schema->language->text(schema, form, out);
}

static enum status check(const struct schema *reader, const struct schema *writer, bool lenient,
                         struct schema_findings *findings)
{
    const struct schema_language *language = reader->language;
    schema_findings_fini(findings);
    schema_findings_init(findings);
    if (language != writer->language)
        return ST_INVALID;
    enum status status = lenient && language->check_lenient != NULL
                             ? language->check_lenient(reader, writer, findings)
                             : language->check(reader, writer, findings);
    for (size_t i = 0; i < findings->count; i++)
        findings->items[i].format = language->format;
    return status;
}

enum status schema_check(const struct schema *reader, const struct schema *writer,
                         struct schema_findings *findings)
{
    return check(reader, writer, false, findings);
}

enum status schema_check_lenient(const struct schema *reader, const struct schema *writer,
                                 struct schema_findings *findings)
{
    return check(reader, writer, true, findings);
}

enum status schema_payload_check(const struct schema *schema, struct slice payload)
{
    const struct schema_language *language = schema->language;
    return language->payload_check ? language->payload_check(schema, payload) : ST_UNSUPPORTED;
}

enum status schema_payload_check_many(const struct schema *schema, struct slice payload, size_t *spare)
{
    const struct schema_language *language = schema->language;
    return language->payload_check_many ? language->payload_check_many(schema, payload, spare)
                                        : schema_payload_check(schema, payload);
}

static const char *payload_fault(enum status status)
{
    switch (status) {
    case ST_TRUNCATED:
        return "ends before its schema does";
    case ST_LIMIT:
        return "is deeper or has more values than is looked at";
    case ST_UNSUPPORTED:
        return "cannot be checked: no check is built in for its schema's format";
    default:
        return "is no value of its schema";
    }
}

enum status schema_payload_explain(const struct schema *schema, struct slice payload,
                                   struct schema_error *error)
{
    const struct schema_language *language = schema->language;
    *error = (struct schema_error){.code = ST_OK};
    enum status status = language->payload_explain ? language->payload_explain(schema, payload, error)
                                                   : schema_payload_check(schema, payload);
    if (status != ST_OK)
        schema_fail(error, status, "it %s", payload_fault(status));
    return status;
}

enum status schema_payload_to_json(const struct schema *schema, struct slice payload, struct buf *json)
{
    const struct schema_language *language = schema->language;
    return language->payload_to_json ? language->payload_to_json(schema, payload, json) : ST_UNSUPPORTED;
}

enum status schema_payload_from_json(const struct schema *schema, struct slice json,
                                     struct schema_error *error, struct buf *payload)
{
    const struct schema_language *language = schema->language;
    *error = (struct schema_error){.code = ST_OK};
    if (language->payload_from_json == NULL)
        return schema_fail(error, ST_UNSUPPORTED, "no conversion from JSON for this format");
    return language->payload_from_json(schema, json, error, payload);
}
