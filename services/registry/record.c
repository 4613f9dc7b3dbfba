// SPDX-License-Identifier: Apache-2.0
// See record.h.
#include "record.h"

#include "base/assert.h"
#include "base/mem.h"
#include "http/json_walk.h"

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
    [RECORD_ASSOCIATION] = {"ASSOC", 0, true},
    [RECORD_NOOP] = {"NOOP", 0, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

// ---- reading ----

static enum status take_text(const struct json_member *member, const char **text)
{
    if (*text != NULL)
        return ST_MALFORMED; // it comes twice
    *text = member->kind == JSON_STRING ? (const char *)member->text.data : NULL;
    return ST_OK;
}

static enum status take_version(const struct json_member *member, int32_t *version)
{
    int64_t number;
    if (*version != 0 || json_member_integer(member, &number) != ST_OK || number < 1 || number > INT32_MAX)
        return ST_MALFORMED;
    *version = (int32_t)number;
    return ST_OK;
}

// What a key's members say.
struct key_members {
    const char *type, *subject, *context;
    int32_t version; // 0: none
};

static enum status members_read(struct slice key, char *room, struct key_members *members)
{
    struct json_walk walk;
    struct json_member member;
    enum status status;
    json_walk_init(&walk, key, room);
    while ((status = json_walk_next(&walk, &member)) == ST_OK) {
        if (slice_is(member.name, "keytype"))
            status = take_text(&member, &members->type);
        else if (slice_is(member.name, "subject"))
            status = take_text(&member, &members->subject);
        else if (slice_is(member.name, "context"))
            status = take_text(&member, &members->context);
        else if (slice_is(member.name, "version"))
            status = take_version(&member, &members->version);
        if (status != ST_OK)
            return status;
    }
    return status == ST_NOT_FOUND ? ST_OK : status;
}

static enum status key_of(const struct key_members *members, struct record_key *key)
{
    int kind = 0;
    while (kind < KINDS && (members->type == NULL || strcmp(members->type, kinds[kind].name) != 0))
        kind++;
    if (kind == KINDS)
        return members->type == NULL ? ST_MALFORMED : ST_UNSUPPORTED;
    key->kind = (enum record_kind)kind;
    key->subject = key->kind == RECORD_CONTEXT ? members->context : members->subject;
    key->version = members->version;
    if (key->subject == NULL && key->kind != RECORD_SCHEMA && key->kind != RECORD_CONTEXT)
        key->subject = "";
    bool whole = key->subject != NULL && (key->kind != RECORD_SCHEMA || key->version != 0);
    return whole ? ST_OK : ST_MALFORMED;
}

enum status record_key_read(struct slice key, struct record_key *parsed)
{
    struct key_members members = {0};
    *parsed = (struct record_key){.texts = mem_calloc(1, key.len + 1)};
    enum status status = members_read(key, parsed->texts, &members);
    if (status == ST_OK)
        status = key_of(&members, parsed);
    else
        status = ST_MALFORMED;
    if (status != ST_OK)
        record_key_free(parsed);
    return status;
}

void record_key_free(struct record_key *parsed)
{
    mem_free(parsed->texts);
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
