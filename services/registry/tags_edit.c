// SPDX-License-Identifier: Apache-2.0
// See tags_edit.h.
#include "tags_edit.h"

#include "base/map.h"
#include "http/json.h"
#include "tags_walk.h"

#include <math.h>

enum {
    MEMORY_MAX = 24 << 20, // bytes of paths
    INTEGER_BITS = 53      // what a double holds exactly
};

bool tags_no_memory(struct walk *walk)
{
    schema_fail(walk->error, ST_NO_MEMORY, "The request needs too much memory");
    return false;
}

// ---- any language ----

// A schema whose entities are objects: of its own text, or of a list that was made for it.
struct tagged {
    const struct tags_source *source;
    struct arena arena;
    cJSON *json; // owned
};

static enum status no_json(struct schema_error *error)
{
    return schema_fail(error, ST_MALFORMED, "The schema is no JSON that can be tagged");
}

// tagged_close in any case.
static enum status tagged_open(const struct tags_source *source, struct tagged *tagged,
                               struct schema_error *error)
{
    size_t at;
    *tagged = (struct tagged){.source = source};
    arena_init(&tagged->arena, MEMORY_MAX);
    if (source->schema == NULL)
        return json_parse(source->text, &tagged->json, &at) == ST_OK ? ST_OK : no_json(error);
    tagged->json = tags_protobuf_entities(source->schema);
    return tagged->json != NULL ? ST_OK
                                : schema_fail(error, ST_LIMIT, "The schema has too many names to be tagged");
}

static void tagged_close(struct tagged *tagged)
{
    cJSON_Delete(tagged->json);
    arena_fini(&tagged->arena);
}

static bool tagged_walk(struct tagged *tagged, struct walk *walk)
{
    walk->arena = &tagged->arena;
    if (tagged->source->schema != NULL)
        return tags_walk_protobuf(walk, tagged->json);
    return tagged->source->format == SCHEMA_JSON ? tags_walk_json(walk, tagged->json)
                                                 : tags_walk_avro(walk, tagged->json);
}

static enum status tagged_text(struct tagged *tagged, struct buf *out)
{
    if (tagged->source->schema != NULL)
        return tags_protobuf_text(&tagged->arena, tagged->source->schema, tagged->json, out);
    char *printed = cJSON_PrintUnformatted(tagged->json);
    enum status status = printed != NULL ? buf_append(out, printed, strlen(printed)) : ST_NO_MEMORY;
    cJSON_free(printed);
    return status;
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
    size_t tags;          // of all wishes
    bool protobuf;
};

// A record and a field of one path are two entities. A dot in front of a path makes no difference.
static struct slice entity_key(struct arena *arena, const char *path, bool field)
{
    const char *key = arena_printf(arena, "%c%s", field ? 'f' : 'r', *path == '.' ? path + 1 : path);
    return slice_str(key != NULL ? key : "");
}

int tags_find(const cJSON *tags, const char *text)
{
    int at = 0;
    for (const cJSON *tag = tags != NULL ? tags->child : NULL; tag != NULL; tag = tag->next, at++)
        if (cJSON_IsString(tag) && strcmp(tag->valuestring, text) == 0)
            return at;
    return -1;
}

static bool all_texts(const cJSON *tags)
{
    for (const cJSON *at = tags->child; at != NULL; at = at->next)
        if (!cJSON_IsString(at))
            return false;
    return true;
}

// Those of a list in front of what is there, in its order. What is no list of texts is passed over.
static bool add_wishes(struct walk *walk, const cJSON *list, bool add)
{
    struct change *change = walk->context;
    for (const cJSON *at = list != NULL && list->child != NULL ? list->child->prev : NULL; at != NULL;
         at = at != list->child ? at->prev : NULL) {
        const cJSON *entity = json_get(at, "schemaEntity"), *tags = json_get(at, "tags");
        const char *path = json_string(entity, "entityPath"), *type = json_string(entity, "entityType");
        bool field = type != NULL && strcmp(type, "SR_FIELD") == 0;
        struct wish *wish = arena_calloc(walk->arena, 1, sizeof *wish);
        struct slice key = entity_key(walk->arena, path, field);
        if (wish == NULL || key.len == 0)
            return tags_no_memory(walk);
        if (!all_texts(tags))
            continue;
        change->tags += (size_t)cJSON_GetArraySize(tags);
        if (change->tags > TAGS_TOTAL_MAX) {
            schema_fail(walk->error, ST_LIMIT, "There are more than %d tags", TAGS_TOTAL_MAX);
            return false;
        }
        *wish = (struct wish){tags, add, map_get(&change->wishes, key)};
        map_put(&change->wishes, key, wish);
        change->wanted++;
    }
    return true;
}

static void grant(cJSON *object, const struct wish *wish)
{
    cJSON *own = (cJSON *)json_get(object, TAGS_MEMBER);
    if (!cJSON_IsArray(own) && wish->add) {
        cJSON_DeleteItemFromObjectCaseSensitive(object, TAGS_MEMBER);
        own = cJSON_AddArrayToObject(object, TAGS_MEMBER);
    }
    for (const cJSON *tag = wish->tags->child; tag != NULL && cJSON_IsArray(own); tag = tag->next) {
        int there = tags_find(own, tag->valuestring);
        if (wish->add && there < 0 && cJSON_GetArraySize(own) < TAGS_MAX)
            cJSON_AddItemToArray(own, cJSON_CreateString(tag->valuestring));
        else if (!wish->add && there >= 0)
            cJSON_DeleteItemFromArray(own, there);
    }
    if (cJSON_IsArray(own) && own->child == NULL)
        cJSON_DeleteItemFromObjectCaseSensitive(object, TAGS_MEMBER);
}

static bool change_entity(struct walk *walk, cJSON *object, const char *path, bool field)
{
    struct change *change = walk->context;
    struct slice key = entity_key(walk->arena, path, field);
    if (key.len == 0)
        return tags_no_memory(walk);
    const struct wish *wish = map_get(&change->wishes, key);
    if (wish != NULL && cJSON_GetArraySize(json_get(object, TAGS_MEMBER)) > TAGS_MAX) {
        schema_fail(walk->error, ST_LIMIT, "A record or a field has more than %d tags", TAGS_MAX);
        return false;
    }
    if (wish != NULL && change->protobuf)
        tags_protobuf_changed(object);
    for (; wish != NULL; wish = wish->next) {
        change->found++;
        grant(object, wish);
    }
    return true;
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

static enum status change(struct tagged *tagged, struct walk *walk, const cJSON *wishes)
{
    struct change *change = walk->context;
    walk->arena = &tagged->arena;
    if (!numbers_exact(tagged->json))
        return schema_fail(walk->error, ST_MALFORMED,
                           "A schema with numbers of more than %d bits cannot be tagged here", INTEGER_BITS);
    if (!add_wishes(walk, json_get(wishes, "remove"), false) ||
        !add_wishes(walk, json_get(wishes, "add"), true) || !tagged_walk(tagged, walk))
        return walk->error->code;
    if (change->found < change->wanted && !cJSON_IsTrue(json_get(wishes, "common")))
        return schema_fail(walk->error, ST_MALFORMED, "The schema has no such record or field to be tagged");
    return ST_OK;
}

enum status tags_apply(const struct tags_source *source, struct slice wishes, struct schema_error *error,
                       struct buf *out)
{
    size_t at;
    struct tagged tagged;
    cJSON *json = NULL;
    struct change wanted = {.protobuf = source->schema != NULL};
    struct walk walk = {.error = error, .visit = change_entity, .context = &wanted, .by_all_names = true};
    map_init(&wanted.wishes, 0);
    enum status status = tagged_open(source, &tagged, error);
    if (status == ST_OK && json_parse(wishes, &json, &at) != ST_OK)
        status = schema_fail(error, ST_LIMIT, "There are too many tags");
    if (status == ST_OK)
        status = change(&tagged, &walk, json);
    if (status == ST_OK && (status = tagged_text(&tagged, out)) != ST_OK)
        schema_fail(error, status, "The schema is too large");
    tagged_close(&tagged);
    cJSON_Delete(json);
    map_fini(&wanted.wishes);
    return status;
}

// ---- listing ----

static bool put_entity(struct walk *walk, cJSON *object, const char *path, bool field)
{
    struct buf *out = walk->context;
    const cJSON *tags = json_get(object, TAGS_MEMBER);
    if (!cJSON_IsArray(tags) || tags->child == NULL)
        return true;
    char *text = cJSON_PrintUnformatted(tags);
    buf_printf(out, "%s{\"schemaEntity\":{\"entityPath\":", out->data[out->len - 1] == '[' ? "" : ",");
    json_put_string(out, slice_str(path));
    buf_printf(out, ",\"entityType\":\"%s\"},\"tags\":%s}", field ? "SR_FIELD" : "SR_RECORD",
               text != NULL ? text : "[]");
    cJSON_free(text);
    return true;
}

enum status tags_list(const struct tags_source *source, struct schema_error *error, struct buf *out)
{
    struct tagged tagged;
    struct walk walk = {.error = error, .visit = put_entity, .context = out};
    enum status status = tagged_open(source, &tagged, error);
    buf_printf(out, "[");
    if (status == ST_OK && !tagged_walk(&tagged, &walk))
        status = error->code;
    buf_printf(out, "]");
    if (status == ST_OK && buf_status(out) != ST_OK)
        status = schema_fail(error, ST_LIMIT, "There are too many tags");
    tagged_close(&tagged);
    return status;
}
