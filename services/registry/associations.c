// SPDX-License-Identifier: Apache-2.0
// See associations.h.
#include "associations.h"

#include "base/mem.h"
#include "http/json.h"

#include <string.h>

void associations_init(struct associations *all)
{
    map_init(&all->all, 9);
    for (int i = 0; i < ASSOCIATION_INDEXES; i++)
        map_init(&all->first[i], (uint64_t)(10 + i));
}

static void fields_free(struct association_fields *is)
{
    const char *const texts[] = {
        is->subject,     is->guid,          is->resource_name, is->resource_namespace,
        is->resource_id, is->resource_type, is->type};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free((char *)texts[i]);
}

static void association_free(void *value)
{
    struct association *association = value;
    fields_free(&association->is);
    mem_free((char *)association->record_key);
    mem_free(association);
}

void associations_fini(struct associations *all)
{
    for (int i = 0; i < ASSOCIATION_INDEXES; i++)
        map_fini(&all->first[i]);
    map_clear(&all->all, association_free);
}

// ---- indexes ----

static struct slice indexed(const struct association *association, int index)
{
    const char *const texts[] = {[BY_SUBJECT] = association->is.subject,
                                 [BY_RESOURCE_ID] = association->is.resource_id,
                                 [BY_RESOURCE_NAME] = association->is.resource_name};
    return slice_str(texts[index]);
}

static void link_all(struct associations *all, struct association *association)
{
    for (int i = 0; i < ASSOCIATION_INDEXES; i++) {
        struct association *next = map_put(&all->first[i], indexed(association, i), association);
        association->next[i] = next;
        association->previous[i] = NULL;
        if (next != NULL)
            next->previous[i] = association;
    }
}

static void unlink_all(struct associations *all, struct association *association)
{
    for (int i = 0; i < ASSOCIATION_INDEXES; i++) {
        struct association *next = association->next[i], *previous = association->previous[i];
        if (next != NULL)
            next->previous[i] = previous;
        if (previous != NULL)
            previous->next[i] = next;
        else if (next != NULL)
            map_put(&all->first[i], indexed(association, i), next);
        else
            map_remove(&all->first[i], indexed(association, i));
    }
}

const struct association *associations_first(const struct associations *all, enum association_index index,
                                             const char *text)
{
    return map_get(&all->first[index], slice_str(text));
}

size_t associations_count(const struct associations *all)
{
    return all->all.count;
}

// ---- records ----

static const char *text_or(const cJSON *object, const char *name, const char *fallback)
{
    const char *text = object != NULL ? json_string(object, name) : NULL;
    return text != NULL ? text : fallback;
}

// What the key says; a key of an older registry has no subject, its value has.
static struct association_fields fields_of(const cJSON *key, const cJSON *value)
{
    return (struct association_fields){.subject = text_or(key, "subject", text_or(value, "subject", "")),
                                       .guid = text_or(value, "guid", ""),
                                       .resource_name = text_or(key, "resourceName", ""),
                                       .resource_namespace = text_or(key, "resourceNamespace", ""),
                                       .resource_id = text_or(value, "resourceId", ""),
                                       .resource_type = text_or(key, "resourceType", ""),
                                       .type = text_or(key, "associationType", ""),
                                       .strong = strcmp(text_or(value, "lifecycle", ""), "STRONG") == 0,
                                       .frozen = value != NULL && cJSON_IsTrue(json_get(value, "frozen"))};
}

static struct association *association_new(const struct association_fields *fields, struct slice key_bytes)
{
    struct association *association = mem_calloc(1, sizeof *association);
    association->is =
        (struct association_fields){.subject = mem_strdup(fields->subject),
                                    .guid = mem_strdup(fields->guid),
                                    .resource_name = mem_strdup(fields->resource_name),
                                    .resource_namespace = mem_strdup(fields->resource_namespace),
                                    .resource_id = mem_strdup(fields->resource_id),
                                    .resource_type = mem_strdup(fields->resource_type),
                                    .type = mem_strdup(fields->type),
                                    .strong = fields->strong,
                                    .frozen = fields->frozen};
    association->record_key = mem_strndup((const char *)key_bytes.data, key_bytes.len);
    return association;
}

// The same for the record and its tombstone: goes by the key alone.
static char *name_of(const cJSON *key, const struct association_fields *fields)
{
    return mem_printf("%s%c%s%c%s%c%s%c%s", fields->resource_name, 1, fields->resource_namespace, 1,
                      fields->resource_type, 1, fields->type, 1, text_or(key, "subject", ""));
}

static enum status apply(struct associations *all, struct slice key_bytes, const cJSON *key,
                         const struct association_fields *fields, bool tombstone)
{
    if (*fields->resource_name == '\0' || *fields->type == '\0')
        return ST_MALFORMED;
    char *name = name_of(key, fields);
    struct association *old = map_get(&all->all, slice_str(name));
    if (old != NULL)
        unlink_all(all, old);
    if (tombstone) {
        map_remove(&all->all, slice_str(name));
    } else {
        struct association *association = association_new(fields, key_bytes);
        map_put(&all->all, slice_str(name), association);
        link_all(all, association);
    }
    if (old != NULL)
        association_free(old);
    mem_free(name);
    return ST_OK;
}

enum status associations_apply(struct associations *all, struct slice key, const cJSON *value)
{
    cJSON *json = NULL;
    size_t at;
    if (json_parse(key, &json, &at) != ST_OK)
        return ST_MALFORMED;
    struct association_fields fields = fields_of(json, value);
    enum status status = apply(all, key, json, &fields, value == NULL);
    cJSON_Delete(json);
    return status;
}

// ---- writing ----

static void put(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_put_string(out, slice_str(text));
}

void association_put_key(struct buf *out, const struct association_fields *fields)
{
    buf_printf(out, "{\"keytype\":\"ASSOC\",\"tenant\":\"default\"");
    put(out, "resourceName", fields->resource_name);
    put(out, "resourceNamespace", fields->resource_namespace);
    put(out, "resourceType", fields->resource_type);
    put(out, "associationType", fields->type);
    put(out, "subject", fields->subject);
    buf_printf(out, ",\"magic\":0}");
}

void association_put_value(struct buf *out, const struct association_fields *fields)
{
    buf_printf(out, "{\"subject\":");
    json_put_string(out, slice_str(fields->subject));
    put(out, "guid", fields->guid);
    put(out, "tenant", "default");
    put(out, "resourceName", fields->resource_name);
    put(out, "resourceNamespace", fields->resource_namespace);
    put(out, "resourceId", fields->resource_id);
    put(out, "resourceType", fields->resource_type);
    put(out, "associationType", fields->type);
    buf_printf(out, ",\"lifecycle\":\"%s\",\"frozen\":%s}", fields->strong ? "STRONG" : "WEAK",
               fields->frozen ? "true" : "false");
}
