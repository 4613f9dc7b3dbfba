// SPDX-License-Identifier: Apache-2.0
// See tags.h.
#include "tags.h"

#include "answer.h"
#include "http/json.h"
#include "schema/schema.h"
#include "tags_walk.h"

#include <math.h>

#define TAGS "confluent:tags"

enum {
    TAGS_MAX = 1000,        // of one entity
    TAGS_TOTAL_MAX = 10000, // of all entities of one request, each of which is looked for among those there
    INTEGER_BITS = 53       // what a double holds exactly
};

bool tags_no_memory(struct call *call)
{
    return call_fail(call, 50001, "The request needs too much memory");
}

// The full name of a record whose enclosing namespace is space; *inner: what it encloses.
static const char *full_name(struct call *call, const cJSON *record, const char *space, const char **inner)
{
    const char *name = json_string(record, "name"), *own = json_string(record, "namespace");
    if (name == NULL)
        return NULL;
    const char *dot = strrchr(name, '.');
    if (dot != NULL) {
        *inner = arena_strndup(&call->arena, name, (size_t)(dot - name));
        return name;
    }
    *inner = own != NULL ? own : space;
    return **inner == '\0' ? name : arena_printf(&call->arena, "%s.%s", *inner, name);
}

static bool walk_schema(struct walk *walk, cJSON *schema, const char *space);

static bool walk_fields(struct walk *walk, cJSON *record, const char *path, const char *space)
{
    const cJSON *fields = json_get(record, "fields");
    for (cJSON *at = cJSON_IsArray(fields) ? fields->child : NULL; at != NULL; at = at->next) {
        const char *name = json_string(at, "name");
        const char *its = name != NULL ? arena_printf(&walk->call->arena, "%s.%s", path, name) : NULL;
        if (its == NULL)
            return tags_no_memory(walk->call);
        if (!walk->visit(walk->call, at, its, true, walk->context) ||
            !walk_schema(walk, (cJSON *)json_get(at, "type"), space))
            return false;
    }
    return true;
}

// Depth is what json_parse allows.
static bool walk_schema(struct walk *walk, cJSON *schema, const char *space)
{
    static const char *const parts[] = {"type", "items", "values"};
    const char *type = json_string(schema, "type"), *inner = space;
    if (cJSON_IsArray(schema)) {
        for (cJSON *at = schema->child; at != NULL; at = at->next)
            if (!walk_schema(walk, at, space))
                return false;
        return true;
    }
    if (!cJSON_IsObject(schema))
        return true;
    if (type != NULL && (strcmp(type, "record") == 0 || strcmp(type, "error") == 0)) {
        const char *path = full_name(walk->call, schema, space, &inner);
        if (path == NULL || inner == NULL)
            return tags_no_memory(walk->call);
        return walk->visit(walk->call, schema, path, false, walk->context) &&
               walk_fields(walk, schema, path, inner);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!walk_schema(walk, (cJSON *)json_get(schema, parts[i]), space))
            return false;
    return true;
}

static bool walk_entities(struct walk *walk, const char *type, cJSON *schema)
{
    bool json = strcmp(type, schema_format_name(SCHEMA_JSON)) == 0;
    return json ? tags_walk_json(walk, schema) : walk_schema(walk, schema, "");
}

bool tags_known(const char *type)
{
    return strcmp(type, schema_format_name(SCHEMA_AVRO)) == 0 ||
           strcmp(type, schema_format_name(SCHEMA_JSON)) == 0;
}

static bool is_field(const cJSON *entity)
{
    const char *type = json_string(entity, "entityType");
    return type != NULL && strcmp(type, "SR_FIELD") == 0;
}

// A record and a field of one path are two entities.
static struct slice entity_key(struct call *call, const char *path, bool field)
{
    const char *key = arena_printf(&call->arena, "%c%s", field ? 'f' : 'r', path);
    return slice_str(key != NULL ? key : "");
}

static int tag_at(const cJSON *tags, const char *text)
{
    int at = 0;
    for (const cJSON *tag = tags != NULL ? tags->child : NULL; tag != NULL; tag = tag->next, at++)
        if (cJSON_IsString(tag) && strcmp(tag->valuestring, text) == 0)
            return at;
    return -1;
}

// ---- changing ----

// What is to be done with one entity; more of the same entity behind it.
struct wish {
    const cJSON *tags;
    bool add; // else take away
    struct wish *next;
};

// A schema may have as many fields as fit its text: wishes are found by their entity.
struct change {
    struct map wishes;
    size_t wanted, found; // of the entities that are named
};

// Those of a list in front of what is there, in its order: what is taken away goes before what is added.
static bool change_wish(struct call *call, struct change *change, const cJSON *list, bool add)
{
    for (const cJSON *at = list != NULL && list->child != NULL ? list->child->prev : NULL; at != NULL;
         at = at != list->child ? at->prev : NULL) {
        const cJSON *entity = json_get(at, "schemaEntity");
        const char *path = json_string(entity, "entityPath");
        struct wish *wish = arena_calloc(&call->arena, 1, sizeof *wish);
        struct slice key = entity_key(call, *path == '.' ? path + 1 : path, is_field(entity));
        if (wish == NULL || key.len == 0)
            return tags_no_memory(call);
        *wish = (struct wish){json_get(at, "tags"), add, map_get(&change->wishes, key)};
        map_put(&change->wishes, key, wish);
    }
    return true;
}

static void grant(cJSON *object, const struct wish *wish)
{
    cJSON *own = (cJSON *)json_get(object, TAGS);
    if (!cJSON_IsArray(own) && wish->add) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, TAGS);
        own = cJSON_AddArrayToObject(object, TAGS);
    }
    for (const cJSON *tag = wish->tags->child; tag != NULL && cJSON_IsArray(own); tag = tag->next) {
        int there = tag_at(own, tag->valuestring);
        if (wish->add && there < 0 && cJSON_GetArraySize(own) < TAGS_MAX)
            cJSON_AddItemToArray(own, cJSON_CreateString(tag->valuestring));
        else if (!wish->add && there >= 0)
            cJSON_DeleteItemFromArray(own, there);
    }
    if (cJSON_IsArray(own) && own->child == NULL)
        cJSON_DeleteItemFromObjectCaseSensitive(object, TAGS);
}

static bool change_entity(struct call *call, cJSON *object, const char *path, bool field, void *context)
{
    struct change *change = context;
    struct slice key = entity_key(call, path, field);
    if (key.len == 0)
        return tags_no_memory(call);
    for (const struct wish *wish = map_get(&change->wishes, key); wish != NULL; wish = wish->next) {
        change->found++;
        grant(object, wish);
    }
    return true;
}

// The number of entities a list names; -1: answered.
static int64_t list_good(struct call *call, const cJSON *list)
{
    int64_t count = 0, all = 0;
    if (list == NULL || cJSON_IsNull(list))
        return 0;
    for (const cJSON *at = cJSON_IsArray(list) ? list->child : list; at != NULL; at = at->next, count++) {
        const cJSON *tags = json_get(at, "tags");
        bool good = cJSON_IsObject(at) && cJSON_IsArray(list) && cJSON_IsArray(tags) && count < TAGS_MAX &&
                    json_string(json_get(at, "schemaEntity"), "entityPath") != NULL &&
                    (all += cJSON_GetArraySize(tags)) <= TAGS_TOTAL_MAX;
        for (const cJSON *tag = good ? tags->child : NULL; tag != NULL; tag = tag->next)
            good = good && cJSON_IsString(tag);
        if (!good) {
            call_fail(call, 422, "Tags are a list of objects with a schemaEntity and tags");
            return -1;
        }
    }
    return count;
}

// Numbers pass through doubles here; one that would come out as another one must not.
static bool numbers_exact(const cJSON *json)
{
    for (const cJSON *at = json; at != NULL; at = at->next)
        if ((cJSON_IsNumber(at) && fabs(at->valuedouble) >= ldexp(1, INTEGER_BITS)) ||
            (at->child != NULL && !numbers_exact(at->child)))
            return false;
    return true;
}

static const char *changed(struct call *call, const char *type, cJSON *schema, struct change *change)
{
    struct walk walk = {.call = call, .visit = change_entity, .context = change, .by_all_names = true};
    if (!numbers_exact(schema)) {
        call_fail(call, 42201, "A schema with numbers of more than %d bits cannot be tagged here",
                  INTEGER_BITS);
        return NULL;
    }
    if (!walk_entities(&walk, type, schema))
        return NULL;
    if (change->found < change->wanted) {
        call_fail(call, 42201, "The schema has no such record or field to be tagged");
        return NULL;
    }
    char *printed = cJSON_PrintUnformatted(schema);
    const char *text = printed != NULL ? arena_strndup(&call->arena, printed, strlen(printed)) : NULL;
    cJSON_free(printed);
    if (text == NULL)
        tags_no_memory(call);
    return text;
}

const char *tags_change(struct call *call, const struct tags_text *of, const cJSON *add, const cJSON *remove)
{
    cJSON *schema = NULL;
    size_t at;
    const char *out = NULL;
    int64_t to_add = list_good(call, add), to_remove = to_add < 0 ? -1 : list_good(call, remove);
    if (to_remove < 0)
        return NULL;
    struct change change = {.wanted = (size_t)(to_add + to_remove)};
    map_init(&change.wishes, 0);
    if (json_parse(slice_str(of->text), &schema, &at) != ST_OK)
        call_fail(call, 42201, "The schema is no JSON that can be tagged");
    else if (change_wish(call, &change, to_add > 0 ? add : NULL, true) &&
             change_wish(call, &change, to_remove > 0 ? remove : NULL, false))
        out = changed(call, of->type, schema, &change);
    cJSON_Delete(schema);
    map_fini(&change.wishes);
    return out;
}

// ---- propagating ----

struct older {
    struct change *change;
    size_t tags; // of all entities so far
};

// What an older schema's entity has is to be added; what is no list of texts is passed over.
static bool wish_again(struct call *call, cJSON *object, const char *path, bool field, void *context)
{
    struct older *older = context;
    const cJSON *tags = json_get(object, TAGS);
    struct slice key = entity_key(call, path, field);
    struct wish *wish = arena_calloc(&call->arena, 1, sizeof *wish);
    if (wish == NULL || key.len == 0)
        return tags_no_memory(call);
    for (const cJSON *at = cJSON_IsArray(tags) ? tags->child : NULL; at != NULL; at = at->next)
        if (!cJSON_IsString(at))
            return true;
    older->tags += cJSON_IsArray(tags) ? (size_t)cJSON_GetArraySize(tags) : 0;
    if (older->tags > TAGS_TOTAL_MAX)
        return call_fail(call, 42201, "The latest schema has more than %d tags", TAGS_TOTAL_MAX);
    if (!cJSON_IsArray(tags))
        return true;
    *wish = (struct wish){tags, true, map_get(&older->change->wishes, key)};
    map_put(&older->change->wishes, key, wish);
    return true;
}

static const char *propagated(struct call *call, const struct tags_text *of, cJSON *from, cJSON *schema)
{
    struct change change = {.found = 0};
    struct older older = {.change = &change};
    struct walk walk = {.call = call, .visit = wish_again, .context = &older};
    const char *out = of->text;
    map_init(&change.wishes, 0);
    if (!walk_entities(&walk, of->type, from))
        out = NULL;
    else if (older.tags > 0)
        out = changed(call, of->type, schema, &change);
    map_fini(&change.wishes);
    return out;
}

const char *tags_propagate(struct call *call, const struct tags_text *of, const struct state_schema *older)
{
    cJSON *from = NULL, *schema = NULL;
    size_t at;
    const char *out = NULL;
    if (strcmp(older->type, of->type) != 0 || !tags_known(of->type) || strstr(older->text, TAGS) == NULL)
        return of->text;
    if (json_parse(slice_str(older->text), &from, &at) != ST_OK ||
        json_parse(slice_str(of->text), &schema, &at) != ST_OK)
        call_fail(call, 42201, "The schema is no JSON that can be tagged");
    else
        out = propagated(call, of, from, schema);
    cJSON_Delete(from);
    cJSON_Delete(schema);
    return out;
}

// ---- finding ----

static bool asked_for(const struct call *call, const cJSON *tags)
{
    size_t at = 0;
    for (const char *tag; (tag = call_query_next(call, "findTags", &at)) != NULL;)
        if (strcmp(tag, "*") == 0 || tag_at(tags, tag) >= 0)
            return true;
    return false;
}

static bool put_entity(struct call *call, cJSON *object, const char *path, bool field, void *context)
{
    int64_t *count = context;
    const cJSON *tags = json_get(object, TAGS);
    if (!cJSON_IsArray(tags) || !asked_for(call, tags))
        return true;
    char *text = cJSON_PrintUnformatted(tags);
    answer_separate(&call->reply, count);
    buf_printf(&call->reply, "{\"schemaEntity\":{\"entityPath\":");
    json_put_string(&call->reply, slice_str(path));
    buf_printf(&call->reply, ",\"entityType\":\"%s\"},\"tags\":%s}", field ? "SR_FIELD" : "SR_RECORD",
               text != NULL ? text : "[]");
    cJSON_free(text);
    return true;
}

void tags_answer(struct call *call, const struct state_version *version)
{
    cJSON *schema = NULL;
    size_t at;
    int64_t count = 0;
    struct walk walk = {.call = call, .visit = put_entity, .context = &count};
    if (call_query(call, "findTags") == NULL || call->code != 200 || !tags_known(version->schema->type) ||
        json_parse(slice_str(version->schema->text), &schema, &at) != ST_OK)
        return;
    call->reply.len--; // the closing brace
    buf_printf(&call->reply, ",\"schemaTags\":[");
    if (walk_entities(&walk, version->schema->type, schema))
        buf_printf(&call->reply, "]}");
    cJSON_Delete(schema);
}
