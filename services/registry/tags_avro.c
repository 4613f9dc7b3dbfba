// SPDX-License-Identifier: Apache-2.0
// Records and fields of an Avro schema (tags_walk.h).
#include "http/json.h"
#include "tags_walk.h"

// The full name of a record whose enclosing namespace is space; *inner: what it encloses.
static const char *full_name(struct arena *arena, const cJSON *record, const char *space, const char **inner)
{
    const char *name = json_string(record, "name"), *own = json_string(record, "namespace");
    const char *dot = strrchr(name, '.');
    if (dot != NULL) {
        *inner = arena_strndup(arena, name, (size_t)(dot - name));
        return name;
    }
    *inner = own != NULL ? own : space;
    return **inner == '\0' ? name : arena_printf(arena, "%s.%s", *inner, name);
}

static bool no_name(struct walk *walk)
{
    schema_fail(walk->error, ST_MALFORMED, "A record or a field has no name");
    return false;
}

static bool walk_schema(struct walk *walk, cJSON *schema, const char *space);

static bool walk_fields(struct walk *walk, cJSON *record, const char *path, const char *space)
{
    const cJSON *fields = json_get(record, "fields");
    for (cJSON *at = cJSON_IsArray(fields) ? fields->child : NULL; at != NULL; at = at->next) {
        const char *name = json_string(at, "name");
        if (name == NULL)
            return no_name(walk);
        const char *its = arena_printf(walk->arena, "%s.%s", path, name);
        if (its == NULL)
            return tags_no_memory(walk);
        if (!walk->visit(walk, at, its, true) || !walk_schema(walk, (cJSON *)json_get(at, "type"), space))
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
        if (json_string(schema, "name") == NULL)
            return no_name(walk);
        const char *path = full_name(walk->arena, schema, space, &inner);
        if (path == NULL || inner == NULL)
            return tags_no_memory(walk);
        return walk->visit(walk, schema, path, false) && walk_fields(walk, schema, path, inner);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!walk_schema(walk, (cJSON *)json_get(schema, parts[i]), space))
            return false;
    return true;
}

bool tags_walk_avro(struct walk *walk, cJSON *schema)
{
    return walk_schema(walk, schema, "");
}
