// SPDX-License-Identifier: Apache-2.0
// See tags.h.
#include "tags.h"

#include "answer.h"
#include "http/json.h"
#include "submission.h"
#include "tags_edit.h"

static bool is_protobuf(const char *type)
{
    return strcmp(type, schema_format_name(SCHEMA_PROTOBUF)) == 0;
}

bool tags_known(const char *type)
{
    return strcmp(type, schema_format_name(SCHEMA_AVRO)) == 0 ||
           strcmp(type, schema_format_name(SCHEMA_JSON)) == 0 || is_protobuf(type);
}

// ---- chores ----

// Unless the call is to be run again.
static void refuse(struct call *call, const struct schema_error *error)
{
    int code = error->code == ST_NO_MEMORY ? 50001 : error->code == ST_LIMIT ? 42209 : 42201;
    if (!call->later)
        call_fail(call, code, "%s", error->text);
}

// Lists the tags (wishes empty) or changes them. NULL: *error says why, or the call is to be run again.
static const struct chore *done(struct call *call, struct tags_of of, struct slice wishes,
                                struct schema_error *error)
{
    const struct chore *parsed = NULL, *chore;
    struct chore_tagging tagging = {.text = slice_str(of.content->text), .wishes = wishes};
    *error = (struct schema_error){.code = ST_OK};
    schema_format_find(slice_str(of.content->type), &tagging.format);
    if (is_protobuf(of.content->type)) {
        parsed = submission_content(call, of.subject, of.content, error);
        if (parsed == NULL)
            return NULL;
        if (parsed->schema == NULL) {
            *error = parsed->error;
            error->code = ST_MALFORMED;
            return NULL;
        }
    }
    tagging.with = parsed;
    chore = chore_tags(call, &tagging);
    if (chore != NULL && chore->status != ST_OK)
        *error = chore->error;
    return chore != NULL && chore->status == ST_OK ? chore : NULL;
}

static const char *apply(struct call *call, struct tags_of of, struct slice wishes)
{
    struct schema_error error;
    const struct chore *chore = done(call, of, wishes, &error);
    if (chore == NULL) {
        refuse(call, &error);
        return NULL;
    }
    const char *text = arena_strndup(&call->arena, chore->text.data, chore->text.len);
    if (text == NULL)
        call_fail(call, 50001, "The request needs too much memory");
    return text;
}

// ---- changing ----

// Whether a list is one of entities with texts.
static bool list_good(struct call *call, const cJSON *list)
{
    int64_t count = 0, all = 0;
    if (list == NULL || cJSON_IsNull(list))
        return true;
    for (const cJSON *at = cJSON_IsArray(list) ? list->child : list; at != NULL; at = at->next, count++) {
        const cJSON *tags = json_get(at, "tags");
        bool good = cJSON_IsObject(at) && cJSON_IsArray(list) && cJSON_IsArray(tags) && count < TAGS_MAX &&
                    json_string(json_get(at, "schemaEntity"), "entityPath") != NULL &&
                    (all += cJSON_GetArraySize(tags)) <= TAGS_TOTAL_MAX;
        for (const cJSON *tag = good ? tags->child : NULL; tag != NULL; tag = tag->next)
            good = good && cJSON_IsString(tag);
        if (!good)
            return call_fail(call, 422, "Tags are a list of objects with a schemaEntity and tags");
    }
    return true;
}

static void add_list(struct buf *wishes, const char *name, const cJSON *list)
{
    char *text = cJSON_IsArray(list) ? cJSON_PrintUnformatted(list) : NULL;
    buf_printf(wishes, "\"%s\":%s", name, text != NULL ? text : "[]");
    cJSON_free(text);
}

const char *tags_change(struct call *call, struct tags_of of, const cJSON *add, const cJSON *remove)
{
    struct buf wishes;
    if (!list_good(call, add) || !list_good(call, remove))
        return NULL;
    buf_init(&wishes, JSON_TEXT_MAX);
    buf_printf(&wishes, "{");
    add_list(&wishes, "add", add);
    buf_printf(&wishes, ",");
    add_list(&wishes, "remove", remove);
    buf_printf(&wishes, "}");
    const char *text = apply(call, of, buf_slice(&wishes));
    buf_fini(&wishes);
    return text;
}

// ---- propagating ----

static bool has_tags(const struct content *content)
{
    return strstr(content->text, is_protobuf(content->type) ? "_meta" : "confluent:tags") != NULL;
}

const char *tags_propagate(struct call *call, struct tags_of of, struct tags_of older)
{
    struct schema_error error;
    struct buf wishes;
    if (strcmp(older.content->type, of.content->type) != 0 || !tags_known(of.content->type) ||
        !has_tags(older.content))
        return of.content->text;
    const struct chore *list = done(call, older, slice_of(NULL, 0), &error);
    if (list == NULL) {
        refuse(call, &error);
        return NULL;
    }
    if (slice_is(buf_slice(&list->text), "[]"))
        return of.content->text;
    buf_init(&wishes, JSON_TEXT_MAX);
    buf_printf(&wishes, "{\"common\":true,\"add\":%.*s}", (int)list->text.len, (const char *)list->text.data);
    const char *text = apply(call, of, buf_slice(&wishes));
    buf_fini(&wishes);
    return text;
}

// ---- finding ----

static bool asked_for(const struct call *call, const cJSON *tags)
{
    size_t at = 0;
    for (const char *tag; (tag = call_query_next(call, "findTags", &at)) != NULL;)
        if (strcmp(tag, "*") == 0 || tags_find(tags, tag) >= 0)
            return true;
    return false;
}

void tags_answer(struct call *call, const struct state_version *version)
{
    size_t at;
    int64_t count = 0;
    cJSON *list = NULL;
    struct schema_error error;
    struct content content = submission_stored_content(version);
    if (call_query(call, "findTags") == NULL || call->code != 200 || !tags_known(content.type))
        return;
    const struct chore *chore =
        done(call, (struct tags_of){version->subject->name, &content}, slice_of(NULL, 0), &error);
    if (chore == NULL || json_parse(buf_slice(&chore->text), &list, &at) != ST_OK)
        return;
    call->reply.len--; // the closing brace
    buf_printf(&call->reply, ",\"schemaTags\":[");
    for (const cJSON *entity = list->child; entity != NULL; entity = entity->next) {
        char *text = asked_for(call, json_get(entity, "tags")) ? cJSON_PrintUnformatted(entity) : NULL;
        if (text == NULL)
            continue;
        answer_separate(&call->reply, &count);
        buf_append(&call->reply, text, strlen(text));
        cJSON_free(text);
    }
    buf_printf(&call->reply, "]}");
    cJSON_Delete(list);
}
