// SPDX-License-Identifier: Apache-2.0
// See associate.h.
#include "associate.h"

#include "answer.h"
#include "http/json.h"
#include "operations.h"
#include "scope.h"

#include <stdlib.h>

#define RESOURCE_ANY "-"
#define TYPE_DEFAULT "topic"

// ---- which ----

static bool lifecycle_good(struct call *call, const char *lifecycle)
{
    return lifecycle == NULL || strcmp(lifecycle, "STRONG") == 0 || strcmp(lifecycle, "WEAK") == 0 ||
           call_fail(call, 404, "HTTP 404 Not Found");
}

static bool add_type(struct call *call, struct association_filter *filter, const char *type)
{
    if (filter->type_count == sizeof filter->types / sizeof *filter->types)
        return call_fail(call, 400, "There are too many association types");
    filter->types[filter->type_count++] = type;
    return true;
}

bool associate_read_filter(struct call *call, struct association_filter *filter)
{
    const char *type = call_query(call, "resourceType"), *kind;
    size_t at = 0;
    *filter =
        (struct association_filter){.resource_type = type != NULL && *type != '\0' ? type : TYPE_DEFAULT,
                                    .lifecycle = call_query(call, "lifecycle")};
    while ((kind = call_query_next(call, "associationType", &at)) != NULL)
        if (!add_type(call, filter, kind))
            return false;
    return lifecycle_good(call, filter->lifecycle);
}

bool associate_filter_of(struct call *call, const cJSON *object, struct association_filter *filter)
{
    const char *type = json_string(object, "resourceType");
    const cJSON *kinds = json_get(object, "associationTypes");
    *filter =
        (struct association_filter){.resource_type = type != NULL && *type != '\0' ? type : TYPE_DEFAULT,
                                    .lifecycle = json_string(object, "lifecycle")};
    for (const cJSON *at = cJSON_IsArray(kinds) ? kinds->child : NULL; at != NULL; at = at->next)
        if (cJSON_IsString(at) && !add_type(call, filter, at->valuestring))
            return false;
    return lifecycle_good(call, filter->lifecycle);
}

static bool wanted(const struct association *association, const char *name_space,
                   const struct association_filter *filter)
{
    const struct association_fields *is = &association->is;
    bool kind = filter->type_count == 0;
    for (size_t i = 0; i < filter->type_count && !kind; i++)
        kind = strcmp(filter->types[i], is->type) == 0;
    return kind && (filter->resource_type == NULL || strcmp(filter->resource_type, is->resource_type) == 0) &&
           (filter->lifecycle == NULL || (strcmp(filter->lifecycle, "STRONG") == 0) == is->strong) &&
           (name_space == NULL || strcmp(name_space, RESOURCE_ANY) == 0 ||
            strcmp(name_space, is->resource_namespace) == 0);
}

static int by_place(const void *left, const void *right)
{
    const struct association_fields *a = &(*(const struct association *const *)left)->is;
    const struct association_fields *b = &(*(const struct association *const *)right)->is;
    int order = strcmp(a->subject, b->subject);
    if (order == 0)
        order = strcmp(a->resource_name, b->resource_name);
    if (order == 0)
        order = strcmp(a->resource_namespace, b->resource_namespace);
    return order != 0 ? order : strcmp(a->type, b->type);
}

const struct association **associate_find(struct call *call, enum association_index index, const char *text,
                                          const char *name_space, const struct association_filter *filter,
                                          size_t *count)
{
    const struct association *first = associations_first(state_associations(call->state), index, text);
    size_t room = 0;
    for (const struct association *at = first; at != NULL; at = at->next[index])
        room++;
    const struct association **found = arena_calloc(&call->arena, room + 1, sizeof *found);
    *count = 0;
    if (found == NULL) {
        call_fail(call, 50001, "The request needs too much memory");
        return NULL;
    }
    for (const struct association *at = first; at != NULL; at = at->next[index])
        if (wanted(at, name_space, filter))
            found[(*count)++] = at;
    qsort(found, *count, sizeof *found, by_place);
    return found;
}

// ---- shapes ----

// A member that is there, after *count others.
static void put(struct buf *out, int64_t *count, const char *name, const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    answer_separate(out, count);
    buf_printf(out, "\"%s\":", name);
    json_put_string(out, slice_str(text));
}

void associate_put(struct buf *out, const struct association *association)
{
    const struct association_fields *is = &association->is;
    int64_t count = 0;
    buf_printf(out, "{");
    put(out, &count, "subject", is->subject);
    put(out, &count, "guid", is->guid);
    put(out, &count, "resourceName", is->resource_name);
    put(out, &count, "resourceNamespace", is->resource_namespace);
    put(out, &count, "resourceId", is->resource_id);
    put(out, &count, "resourceType", is->resource_type);
    put(out, &count, "associationType", is->type);
    put(out, &count, "lifecycle", is->strong ? "STRONG" : "WEAK");
    buf_printf(out, ",\"frozen\":%s}", is->frozen ? "true" : "false");
}

void associate_put_resource(struct buf *out, const struct association_resource *resource)
{
    int64_t count = 0;
    buf_printf(out, "{");
    put(out, &count, "resourceName", resource->name);
    put(out, &count, "resourceNamespace", resource->name_space);
    put(out, &count, "resourceId", resource->id);
    put(out, &count, "resourceType", resource->type);
    buf_printf(out, "%s\"associations\":[", count > 0 ? "," : "");
}

void associate_put_info(struct buf *out, const struct association_fields *fields, const char *schema)
{
    int64_t count = 0;
    buf_printf(out, "{");
    put(out, &count, "subject", fields->subject);
    put(out, &count, "associationType", fields->type);
    put(out, &count, "lifecycle", fields->strong ? "STRONG" : "WEAK");
    buf_printf(out, ",\"frozen\":%s", fields->frozen ? "true" : "false");
    if (schema != NULL)
        buf_printf(out, ",\"schema\":%s", schema);
    buf_printf(out, "}");
}

bool associate_schema(struct call *call, const char *subject, const char **schema)
{
    struct call inner;
    *schema = NULL;
    call_init(&inner);
    inner.subject = subject;
    inner.version = "latest";
    operation_run_inside(call, &inner, "get-version");
    bool there = inner.code == 200;
    if (there)
        *schema = arena_strndup(&call->arena, inner.reply.data, inner.reply.len);
    call_fini(&inner);
    return !there || *schema != NULL || call_fail(call, 50001, "The request needs too much memory");
}

// ---- refusals ----

bool associate_invalid(struct call *call, const char *property, const char *detail)
{
    return call_fail(call, 42212, "The property '%s' of the association is not valid: %s", property, detail);
}

bool associate_may_write(struct call *call, const char *subject)
{
    const char *own = call->subject;
    call->subject = subject;
    bool may = scope_writable(call);
    call->subject = own;
    return may && operation_permitted(call, subject);
}
