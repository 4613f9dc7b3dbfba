// SPDX-License-Identifier: Apache-2.0
// Reading the value of a SCHEMA record, most of what there is to read at a start: the members are walked, and
// only lists and objects (references, metadata, rules), which few schemas have, become trees. See record.h.
#include "record.h"

#include "base/mem.h"
#include "http/json_walk.h"

// Numbers that are kept are from 0 to 2^31-1.
static enum status take_id(const struct json_member *member, struct record_value *value)
{
    int64_t number;
    bool good =
        value->id < 0 && json_member_integer(member, &number) == ST_OK && number >= 0 && number <= INT32_MAX;
    value->id = good ? (int32_t)number : -1;
    return good ? ST_OK : ST_MALFORMED;
}

static enum status take_text(const struct json_member *member, const char **text)
{
    if (*text != NULL)
        return ST_MALFORMED; // it comes twice
    *text = member->kind == JSON_STRING ? (const char *)member->text.data : NULL;
    return ST_OK;
}

static enum status take_object(const struct json_member *member, char **text)
{
    size_t at;
    cJSON *json;
    if (*text != NULL)
        return ST_MALFORMED;
    if (member->kind != JSON_OBJECT)
        return ST_OK;
    enum status status = json_parse(member->text, &json, &at);
    if (status != ST_OK)
        return status;
    *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return *text != NULL ? ST_OK : ST_NO_MEMORY;
}

// ---- references ----

// Confluent's registry keeps a reference to the latest version as it was sent, -1.
static bool reference_read(const cJSON *item, struct state_reference *reference)
{
    int64_t version;
    reference->name = json_string(item, "name");
    reference->subject = json_string(item, "subject");
    if (reference->name == NULL || reference->subject == NULL ||
        json_integer(item, "version", &version) != ST_OK || version < -1 || version > INT32_MAX)
        return false;
    reference->version = (int32_t)version;
    return true;
}

static enum status take_references(const struct json_member *member, struct record_value *value)
{
    size_t at, count = 0;
    if (value->references != NULL)
        return ST_MALFORMED;
    if (member->kind != JSON_ARRAY)
        return ST_OK;
    enum status status = json_parse(member->text, &value->reference_list, &at);
    if (status != ST_OK)
        return status;
    size_t room = (size_t)cJSON_GetArraySize(value->reference_list) + 1;
    value->references = mem_calloc(room, sizeof *value->references);
    for (const cJSON *item = value->reference_list->child; item != NULL; item = item->next)
        if (!reference_read(item, &value->references[count++]))
            return ST_MALFORMED;
    value->content.references = value->references;
    value->content.reference_count = count;
    return ST_OK;
}

// ---- all of it ----

static enum status take_member(const struct json_member *member, struct record_value *value)
{
    if (slice_is(member->name, "id"))
        return take_id(member, value);
    if (slice_is(member->name, "schema"))
        return take_text(member, &value->content.text);
    if (slice_is(member->name, "schemaType"))
        return take_text(member, &value->content.type);
    if (slice_is(member->name, "references"))
        return take_references(member, value);
    if (slice_is(member->name, "metadata"))
        return take_object(member, &value->metadata);
    if (slice_is(member->name, "ruleSet"))
        return take_object(member, &value->rule_set);
    if (slice_is(member->name, "deleted"))
        value->deleted = member->kind == JSON_TRUE;
    return ST_OK;
}

enum status record_value_parse(struct slice bytes, struct record_value *value)
{
    struct json_walk walk;
    struct json_member member;
    enum status status;
    *value = (struct record_value){.id = -1, .texts = mem_calloc(1, bytes.len + 1)};
    json_walk_init(&walk, bytes, value->texts);
    while ((status = json_walk_next(&walk, &member)) == ST_OK)
        if ((status = take_member(&member, value)) != ST_OK)
            return ST_MALFORMED;
    if (status != ST_NOT_FOUND || value->id < 0 || value->content.text == NULL)
        return ST_MALFORMED;
    if (value->content.type == NULL)
        value->content.type = "AVRO";
    value->content.metadata = value->metadata;
    value->content.rule_set = value->rule_set;
    return ST_OK;
}

void record_value_free(struct record_value *value)
{
    mem_free(value->references);
    cJSON_Delete(value->reference_list);
    cJSON_free(value->metadata);
    cJSON_free(value->rule_set);
    mem_free(value->texts);
    *value = (struct record_value){0};
}
