// SPDX-License-Identifier: Apache-2.0
// Records into state: the only place that gives `_schemas` its meaning. The rules are those of Confluent's
// KafkaStoreMessageHandler and InMemoryCache: a schema whose id already stands for another content is passed
// over; DELETE_SUBJECT marks what is there up to its version; CLEAR_SUBJECT forgets what is marked. See
// state.h.
#include "state_own.h"

#include "base/assert.h"
#include "base/mem.h"
#include "http/json.h"
#include "record.h"

#include <stdlib.h>

// ---- versions ----

static void version_live(struct state *state, struct state_version *version, bool live)
{
    struct state_subject *subject = (struct state_subject *)version->subject;
    if (version->deleted == !live)
        return;
    version->deleted = !live;
    subject->live = live ? subject->live + 1 : subject->live - 1;
    referrers_change(state, version, live ? 1 : -1);
}

static void schema_use(struct state_schema *schema, struct state_version *version)
{
    version->schema = schema;
    version->same_before = NULL;
    version->same = (struct state_version *)schema->first;
    if (version->same != NULL)
        version->same->same_before = version;
    schema->first = version;
    schema->uses++;
}

static void schema_unuse(struct state *state, struct state_version *version)
{
    struct state_schema *schema = (struct state_schema *)version->schema;
    if (version->same_before != NULL)
        version->same_before->same = version->same;
    else
        schema->first = version->same;
    if (version->same != NULL)
        version->same->same_before = version->same_before;
    if (--schema->uses > 0)
        return;
    struct schema_table *by_guid = &schema->context->by_guid;
    schema_table_remove(&schema->context->by_id, schema_table_id(schema->id));
    if (schema_table_get(by_guid, schema_table_guid(schema->guid)) == schema)
        schema_table_remove(by_guid, schema_table_guid(schema->guid));
    state->schema_count--;
    mem_free(schema);
}

static struct state_subject *subject_make(struct state *state, const char *name)
{
    struct state_subject *subject = map_get(&state->subjects, slice_str(name));
    if (subject != NULL)
        return subject;
    subject = mem_calloc(1, sizeof *subject);
    subject->name = mem_strdup(name);
    subject->context = state_context_make(state, name_split(slice_str(name)).context);
    subject->context->subjects++;
    map_put(&state->subjects, slice_str(name), subject);
    subject_list_add(&state->list, subject);
    return subject;
}

static void subject_drop(struct state *state, struct state_subject *subject)
{
    subject_list_remove(&state->list, subject);
    map_remove(&state->subjects, slice_str(subject->name));
    subject->context->subjects--;
    mem_free(subject->versions);
    mem_free((char *)subject->name);
    mem_free(subject);
}

static struct state_version *version_add(struct state_subject *subject, int32_t number)
{
    if (subject->count == subject->cap) {
        subject->cap = subject->cap == 0 ? 2 : subject->cap * 2;
        subject->versions = mem_realloc(subject->versions, subject->cap * sizeof *subject->versions);
    }
    size_t at = subject->count++;
    for (; at > 0 && subject->versions[at - 1]->version > number; at--)
        subject->versions[at] = subject->versions[at - 1];
    struct state_version *version = mem_calloc(1, sizeof *version);
    *version = (struct state_version){.subject = subject, .version = number, .deleted = true};
    subject->versions[at] = version;
    return version;
}

static void version_remove(struct state *state, struct state_version *version)
{
    struct state_subject *subject = (struct state_subject *)version->subject;
    size_t at = 0;
    while (subject->versions[at] != version)
        at++;
    version_live(state, version, false);
    schema_unuse(state, version);
    memmove(&subject->versions[at], &subject->versions[at + 1],
            (--subject->count - at) * sizeof *subject->versions);
    mem_free(version);
    if (subject->count == 0)
        subject_drop(state, subject);
}

static bool number_of(const cJSON *json, const char *name, int32_t *number)
{
    int64_t value;
    if (json_integer(json, name, &value) != ST_OK || value < 0 || value > INT32_MAX)
        return false;
    *number = (int32_t)value;
    return true;
}

// ---- SCHEMA ----

static struct state_schema *schema_add(struct state *state, struct state_context *context,
                                       const struct record_value *value, const uint8_t guid[STATE_GUID_SIZE])
{
    struct state_schema *schema = state_schema_new(context, value->id, &value->content);
    memcpy(schema->guid, guid, STATE_GUID_SIZE);
    schema_table_put(&context->by_id, schema_table_id(value->id), schema);
    schema_table_put(&context->by_guid, schema_table_guid(guid), schema);
    state->schema_count++;
    return schema;
}

static enum status apply_value(struct state *state, const struct record_key *key, int64_t timestamp_ms,
                               const struct record_value *value)
{
    uint8_t guid[STATE_GUID_SIZE];
    struct state_context *context = state_context_make(state, name_split(slice_str(key->subject)).context);
    struct state_schema *schema = schema_table_get(&context->by_id, schema_table_id(value->id));
    fingerprint_with(state->fingerprinter, &value->content, guid);
    if (schema != NULL && memcmp(schema->guid, guid, STATE_GUID_SIZE) != 0)
        return ST_MISMATCH;
    struct state_subject *subject = subject_make(state, key->subject);
    struct state_version *version = (struct state_version *)state_version(subject, key->version);
    if (schema == NULL)
        schema = schema_add(state, context, value, guid);
    if (version == NULL) {
        version = version_add(subject, key->version);
        schema_use(schema, version);
    } else if (version->schema != schema) {
        version_live(state, version, false);
        schema_unuse(state, version);
        schema_use(schema, version);
    }
    version->timestamp_ms = timestamp_ms;
    version_live(state, version, !value->deleted);
    if (value->id > context->id_max)
        context->id_max = value->id;
    return ST_OK;
}

static enum status apply_schema(struct state *state, const struct record_key *key, int64_t timestamp_ms,
                                struct slice bytes)
{
    if (bytes.data == NULL) {
        const struct state_subject *subject = state_subject(state, key->subject);
        const struct state_version *version = subject ? state_version(subject, key->version) : NULL;
        if (version != NULL)
            version_remove(state, (struct state_version *)version);
        return ST_OK;
    }
    struct record_value value;
    enum status status = record_value_parse(bytes, &value);
    if (status == ST_OK)
        status = apply_value(state, key, timestamp_ms, &value);
    record_value_free(&value);
    return status;
}

// ---- the others ----

static enum status apply_config(struct state *state, const struct record_key *key, cJSON **json_take)
{
    struct slice name = slice_str(key->subject);
    cJSON *old =
        *json_take != NULL ? map_put(&state->configs, name, *json_take) : map_remove(&state->configs, name);
    *json_take = NULL;
    cJSON_Delete(old);
    return ST_OK;
}

static enum status apply_mode(struct state *state, const struct record_key *key, const cJSON *json)
{
    struct slice name = slice_str(key->subject);
    enum state_mode mode = json != NULL ? state_mode_find(json_string(json, "mode")) : MODE_NONE;
    if (json != NULL && mode == MODE_NONE)
        return ST_MALFORMED;
    if (mode == MODE_NONE)
        map_remove(&state->modes, name);
    else
        map_put(&state->modes, name, (void *)(uintptr_t)mode);
    return ST_OK;
}

static enum status apply_delete_subject(struct state *state, const struct record_key *key, const cJSON *json)
{
    int32_t up_to;
    const struct state_subject *subject = state_subject(state, key->subject);
    if (json == NULL)
        return ST_OK;
    if (!number_of(json, "version", &up_to))
        return ST_MALFORMED;
    for (size_t i = 0; subject != NULL && i < subject->count && subject->versions[i]->version <= up_to; i++)
        version_live(state, subject->versions[i], false);
    return ST_OK;
}

static void clear_one(struct state *state, struct state_subject *subject)
{
    for (size_t i = subject->count; i > 0; i--) {
        bool last = subject->count == 1;
        if (subject->versions[i - 1]->deleted)
            version_remove(state, subject->versions[i - 1]);
        else
            continue;
        if (last)
            return; // the subject is gone
    }
}

// The key's subject may be all of a context, or (global) everything.
static enum status apply_clear_subject(struct state *state, const struct record_key *key)
{
    struct name name = name_split(slice_str(key->subject));
    void *value;
    if (name.subject.len > 0) {
        struct state_subject *subject = map_get(&state->subjects, slice_str(key->subject));
        if (subject != NULL)
            clear_one(state, subject);
        return ST_OK;
    }
    for (struct map_entry *at = NULL; map_next(&state->subjects, &at, NULL, &value);) {
        struct state_subject *subject = value;
        if (*key->subject == '\0' || slice_is(name.context, subject->context->name))
            clear_one(state, subject);
    }
    return ST_OK;
}

static enum status apply_context(struct state *state, const struct record_key *key, const cJSON *json)
{
    int32_t id_max;
    if (json == NULL) {
        struct state_context *gone = map_get(&state->contexts, slice_str(key->subject));
        if (gone != NULL)
            gone->noted = false;
        if (gone != NULL && gone->by_id.count == 0)
            gone->id_max = 0; // as whoever reads the topic from now on will have it
        return ST_OK;
    }
    struct state_context *context = state_context_make(state, slice_str(key->subject));
    context->noted = !cJSON_IsTrue(json_get(json, "deleted"));
    if (number_of(json, "maxId", &id_max) && id_max > context->id_max)
        context->id_max = id_max;
    return ST_OK;
}

// json: the value, NULL for a tombstone; apply_config takes it.
static enum status apply_other(struct state *state, const struct record_key *key, struct slice key_bytes,
                               cJSON **json)
{
    switch (key->kind) {
    case RECORD_CONFIG:
        return apply_config(state, key, json);
    case RECORD_MODE:
        return apply_mode(state, key, *json);
    case RECORD_DELETE_SUBJECT:
        return apply_delete_subject(state, key, *json);
    case RECORD_CLEAR_SUBJECT:
        return apply_clear_subject(state, key);
    case RECORD_CONTEXT:
        return apply_context(state, key, *json);
    case RECORD_ASSOCIATION:
        return associations_apply(&state->associations, key_bytes, *json);
    case RECORD_SCHEMA:
    case RECORD_NOOP:
        break;
    }
    UNREACHABLE("record kind");
}

static enum status apply_tree(struct state *state, const struct record_key *key, struct slice key_bytes,
                              struct slice value)
{
    size_t at;
    cJSON *json = NULL;
    enum status status = ST_OK;
    if (value.data != NULL && json_parse(value, &json, &at) != ST_OK)
        status = ST_MALFORMED;
    if (status == ST_OK && json != NULL && !cJSON_IsObject(json))
        status = ST_MALFORMED;
    if (status == ST_OK)
        status = apply_other(state, key, key_bytes, &json);
    cJSON_Delete(json);
    return status;
}

enum status state_apply(struct state *state, int64_t timestamp_ms, struct slice key, struct slice value)
{
    struct record_key parsed;
    enum status status = record_key_read(key, &parsed);
    if (status == ST_UNSUPPORTED)
        return ST_MALFORMED;
    if (status != ST_OK)
        return status;
    if (parsed.kind == RECORD_SCHEMA)
        status = apply_schema(state, &parsed, timestamp_ms, value);
    else if (parsed.kind != RECORD_NOOP)
        status = apply_tree(state, &parsed, key, value);
    record_key_free(&parsed);
    return status;
}
