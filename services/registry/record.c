// SPDX-License-Identifier: Apache-2.0
// See record.h.
#include "record.h"

#include "base/assert.h"
#include "http/json.h"

#include <inttypes.h>

static const struct {
    const char *name;
    int magic;
    bool subject; // has one, perhaps null
} kinds[] = {
    [RECORD_SCHEMA] = {"SCHEMA", 1, true},
    [RECORD_CONFIG] = {"CONFIG", 0, true},
    [RECORD_MODE] = {"MODE", 0, true},
    [RECORD_DELETE_SUBJECT] = {"DELETE_SUBJECT", 0, true},
    [RECORD_CLEAR_SUBJECT] = {"CLEAR_SUBJECT", 0, true},
    [RECORD_CONTEXT] = {"CONTEXT", 0, false},
    [RECORD_NOOP] = {"NOOP", 0, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

// ---- reading ----

static enum status key_read(struct record_key *key)
{
    const char *type = json_string(key->json, "keytype");
    int64_t version = 0;
    int kind = 0;
    while (kind < KINDS && (type == NULL || strcmp(type, kinds[kind].name) != 0))
        kind++;
    if (kind == KINDS)
        return type == NULL ? ST_MALFORMED : ST_UNSUPPORTED;
    key->kind = (enum record_kind)kind;
    key->subject = json_string(key->json, key->kind == RECORD_CONTEXT ? "context" : "subject");
    if (key->subject == NULL && key->kind != RECORD_SCHEMA && key->kind != RECORD_CONTEXT)
        key->subject = "";
    if (key->subject == NULL && key->kind != RECORD_NOOP)
        return ST_MALFORMED;
    if (key->kind == RECORD_SCHEMA &&
        (json_integer(key->json, "version", &version) != ST_OK || version < 1 || version > INT32_MAX))
        return ST_MALFORMED;
    key->version = (int32_t)version;
    return ST_OK;
}

enum status record_key_parse(struct slice key, struct record_key *parsed)
{
    size_t at;
    *parsed = (struct record_key){0};
    if (json_parse(key, &parsed->json, &at) != ST_OK)
        return ST_MALFORMED;
    enum status status = key_read(parsed);
    if (status != ST_OK)
        record_key_free(parsed);
    return status;
}

void record_key_free(struct record_key *parsed)
{
    cJSON_Delete(parsed->json);
    *parsed = (struct record_key){0};
}

// ---- writing ----

static void put_named(struct buf *out, const char *separator, const char *name, const char *text)
{
    buf_printf(out, "%s\"%s\":", separator, name);
    json_put_string(out, slice_str(text));
}

void record_put_member(struct buf *out, const char *name, const char *text)
{
    put_named(out, ",", name, text);
}

void record_put_key(struct buf *out, enum record_kind kind, const char *subject, int32_t version)
{
    buf_printf(out, "{\"keytype\":\"%s\"", kinds[kind].name);
    if (kind == RECORD_CONTEXT) {
        record_put_member(out, "tenant", "default");
        record_put_member(out, "context", subject);
    } else if (kinds[kind].subject && *subject == '\0') {
        buf_printf(out, ",\"subject\":null");
    } else if (kinds[kind].subject) {
        record_put_member(out, "subject", subject);
    }
    if (kind == RECORD_SCHEMA)
        buf_printf(out, ",\"version\":%" PRId32, version);
    buf_printf(out, ",\"magic\":%d}", kinds[kind].magic);
}

static void put_references(struct buf *out, const struct content *content)
{
    buf_printf(out, ",\"references\":[");
    for (size_t i = 0; i < content->reference_count; i++) {
        const struct state_reference *reference = &content->references[i];
        put_named(out, i > 0 ? ",{" : "{", "name", reference->name);
        record_put_member(out, "subject", reference->subject);
        buf_printf(out, ",\"version\":%" PRId32 "}", reference->version);
    }
    buf_printf(out, "]");
}

void record_put_content(struct buf *out, const struct content *content, bool avro)
{
    if (avro || strcmp(content->type, "AVRO") != 0)
        record_put_member(out, "schemaType", content->type);
    if (content->reference_count > 0)
        put_references(out, content);
    if (content->metadata != NULL)
        buf_printf(out, ",\"metadata\":%s", content->metadata);
    if (content->rule_set != NULL)
        buf_printf(out, ",\"ruleSet\":%s", content->rule_set);
    record_put_member(out, "schema", content->text);
}

void record_put_schema(struct buf *out, const struct record_schema *schema)
{
    put_named(out, "{", "subject", schema->subject);
    buf_printf(out, ",\"version\":%" PRId32 ",\"id\":%" PRId32, schema->version, schema->id);
    record_put_content(out, &schema->content, false);
    buf_printf(out, ",\"deleted\":%s}", schema->deleted ? "true" : "false");
}

void record_put_mode(struct buf *out, const char *subject, const char *mode)
{
    if (*subject == '\0') {
        put_named(out, "{", "mode", mode);
    } else {
        put_named(out, "{", "subject", subject);
        record_put_member(out, "mode", mode);
    }
    buf_printf(out, "}");
}

void record_put_delete_subject(struct buf *out, const char *subject, int32_t version)
{
    put_named(out, "{", "subject", subject);
    buf_printf(out, ",\"version\":%" PRId32 "}", version);
}

void record_put_context(struct buf *out, const char *context, int32_t id_max, bool deleted)
{
    put_named(out, "{", "tenant", "default");
    record_put_member(out, "context", context);
    buf_printf(out, ",\"maxId\":%" PRId32 "%s}", id_max, deleted ? ",\"deleted\":true" : "");
}
