// SPDX-License-Identifier: Apache-2.0
// Entities of a Protobuf schema (tags_walk.h): what common/protobuf tells of them, as objects.
#include "http/json.h"
#include "schema/protobuf.h"
#include "tags_walk.h"

#define PATH     "path"
#define BY_ONEOF "oneof"
#define FIELD    "field"
#define CHANGED  "changed"

static void entities_on_entity(const struct protobuf_entity *entity, void *context)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, PATH, entity->path);
    if (entity->by_oneof != NULL)
        cJSON_AddStringToObject(object, BY_ONEOF, entity->by_oneof);
    if (entity->field)
        cJSON_AddTrueToObject(object, FIELD);
    cJSON *tags = entity->tag_count > 0 ? cJSON_AddArrayToObject(object, TAGS_MEMBER) : NULL;
    for (size_t i = 0; i < entity->tag_count; i++)
        cJSON_AddItemToArray(tags, cJSON_CreateString(entity->tags[i]));
    cJSON_AddItemToArray(context, object);
}

cJSON *tags_protobuf_entities(const struct schema *schema)
{
    cJSON *entities = cJSON_CreateArray();
    if (protobuf_entities(protobuf_of(schema)->written, entities_on_entity, entities) == ST_OK)
        return entities;
    cJSON_Delete(entities);
    return NULL;
}

bool tags_walk_protobuf(struct walk *walk, cJSON *entities)
{
    for (cJSON *at = entities->child; at != NULL; at = at->next) {
        bool field = json_get(at, FIELD) != NULL;
        const char *other = walk->by_all_names ? json_string(at, BY_ONEOF) : NULL;
        if (!walk->visit(walk, at, json_string(at, PATH), field) ||
            (other != NULL && !walk->visit(walk, at, other, field)))
            return false;
    }
    return true;
}

void tags_protobuf_changed(cJSON *entity)
{
    if (json_get(entity, CHANGED) == NULL)
        cJSON_AddTrueToObject(entity, CHANGED);
}

// The texts of a list, borrowed from it. NULL: no memory.
static const char *const *texts_of(struct arena *arena, const cJSON *list, size_t *count)
{
    *count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0;
    const char **texts = arena_calloc(arena, *count + 1, sizeof *texts);
    size_t i = 0;
    for (const cJSON *at = *count > 0 && texts != NULL ? list->child : NULL; at != NULL; at = at->next)
        texts[i++] = at->valuestring;
    return texts;
}

// NULL: no memory.
static const struct protobuf_tags *changes(struct arena *arena, const cJSON *entities, size_t *count)
{
    size_t entity = 0;
    struct protobuf_tags *out = arena_calloc(arena, (size_t)cJSON_GetArraySize(entities) + 1, sizeof *out);
    *count = 0;
    for (const cJSON *at = entities->child; at != NULL && out != NULL; at = at->next, entity++) {
        if (json_get(at, CHANGED) == NULL)
            continue;
        struct protobuf_tags *one = &out[(*count)++];
        one->entity = entity;
        one->tags = texts_of(arena, json_get(at, TAGS_MEMBER), &one->count);
        if (one->tags == NULL)
            out = NULL;
    }
    return out;
}

enum status tags_protobuf_text(struct arena *arena, const struct schema *schema, const cJSON *entities,
                               struct buf *out)
{
    const struct protobuf *own = protobuf_of(schema);
    struct protobuf_retagging wanted = {.set = own->set, .written = own->written};
    wanted.entities = changes(arena, entities, &wanted.count);
    return wanted.entities != NULL ? protobuf_retag(&wanted, out) : ST_NO_MEMORY;
}
