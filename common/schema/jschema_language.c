// SPDX-License-Identifier: Apache-2.0
// JSON Schema as a schema language of schema.h. A text without "$schema", or with one that nobody knows, is
// of draft 7, as in Confluent's registry. What is stored is the text as Jackson prints it with exact
// decimals, members in their order; normalized, members are sorted. A payload is JSON text, so that
// converting it is checking it.
#include "schema/fields.h"
#include "schema/jschema_compare.h"

#include "base/mem.h"

struct json_schema {
    struct schema base;
    struct jschema *parsed;
};

static const struct jschema *parsed_of(const struct schema *schema)
{
    return ((const struct json_schema *)(const void *)schema)->parsed;
}

static enum status json_parse_schema(const struct schema_source *source, struct schema_error *error,
                                     struct schema **schema)
{
    struct jschema *parsed;
    enum status status = jschema_parse(source, JSCHEMA_7, error, &parsed);
    if (status != ST_OK)
        return status;
    struct json_schema *made = mem_calloc(1, sizeof *made);
    made->base.language = &json_language;
    made->parsed = parsed;
    *schema = &made->base;
    return ST_OK;
}

static void json_free(struct schema *schema)
{
    struct json_schema *own = (struct json_schema *)(void *)schema;
    jschema_free(own->parsed);
    mem_free(own);
}

// JsonSchema.validate(strict): names of properties of the outermost object that the registry keeps for
// itself.
static enum status json_validate(const struct schema *schema, struct schema_error *error)
{
    const struct tree *properties = tree_get(parsed_of(schema)->root, slice_str("properties"));
    const struct tree *at = properties != NULL && properties->kind == TREE_OBJECT ? properties->first : NULL;
    for (; at != NULL; at = at->next)
        if (at->name.len >= 2 && memcmp(at->name.data, "$$", 2) == 0)
            return schema_fail(error, ST_MALFORMED, "/properties: the name %.*s begins with $$",
                               (int)(at->name.len < 100 ? at->name.len : 100), (const char *)at->name.data);
    return ST_OK;
}

bool json_has_field(const struct schema *schema, struct slice name)
{
    const struct tree *properties = tree_get(parsed_of(schema)->root, slice_str("properties"));
    return properties != NULL && properties->kind == TREE_OBJECT && tree_get(properties, name) != NULL;
}

// JsonSchema.name().
static struct slice json_title(const struct schema *schema)
{
    const struct tree *title = tree_get(parsed_of(schema)->root, slice_str("title"));
    return title != NULL && title->kind == TREE_STRING ? title->text : slice_of("", 0);
}

static enum status json_text(const struct schema *schema, enum schema_text form, struct buf *out)
{
    const struct jschema *own = parsed_of(schema);
    if (form == SCHEMA_TEXT_RESOLVED)
        return jschema_resolved_text(own, out);
    tree_print_exact(own->root, form != SCHEMA_TEXT_PLAIN, out);
    return buf_status(out);
}

static enum status json_check(const struct schema *reader, const struct schema *writer,
                              struct schema_findings *findings)
{
    return jschema_compare(parsed_of(reader), parsed_of(writer), false, findings);
}

static enum status json_check_lenient(const struct schema *reader, const struct schema *writer,
                                      struct schema_findings *findings)
{
    return jschema_compare(parsed_of(reader), parsed_of(writer), true, findings);
}

static enum status json_payload_check(const struct schema *schema, struct slice payload)
{
    struct schema_error error;
    return jschema_check(parsed_of(schema), payload, &error);
}

static enum status json_payload_check_many(const struct schema *schema, struct slice payload, size_t *spare)
{
    return jschema_check_many(parsed_of(schema), payload, spare);
}

static enum status json_payload_explain(const struct schema *schema, struct slice payload,
                                        struct schema_error *error)
{
    return jschema_check(parsed_of(schema), payload, error);
}

static enum status json_payload_to_json(const struct schema *schema, struct slice payload, struct buf *json)
{
    enum status status = json_payload_check(schema, payload);
    if (status == ST_OK)
        buf_append(json, payload.data, payload.len);
    return status == ST_OK ? buf_status(json) : status;
}

static enum status json_payload_from_json(const struct schema *schema, struct slice json,
                                          struct schema_error *error, struct buf *payload)
{
    enum status status = jschema_check(parsed_of(schema), json, error);
    if (status == ST_OK)
        buf_append(payload, json.data, json.len);
    if (status == ST_OK && buf_status(payload) != ST_OK)
        status = schema_fail(error, buf_status(payload), "the payload is too long");
    return status;
}

const struct schema_language json_language = {
    .name = "JSON",
    .format = SCHEMA_JSON,
    .parse = json_parse_schema,
    .free = json_free,
    .validate = json_validate,
    .title = json_title,
    .text = json_text,
    .check = json_check,
    .check_lenient = json_check_lenient,
    .payload_check = json_payload_check,
    .payload_check_many = json_payload_check_many,
    .payload_explain = json_payload_explain,
    .payload_to_json = json_payload_to_json,
    .payload_from_json = json_payload_from_json,
};
