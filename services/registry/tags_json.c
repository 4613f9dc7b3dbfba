// SPDX-License-Identifier: Apache-2.0
// Entities of a JSON Schema (tags_walk.h). Branches of anyOf, oneOf and allOf, and the types of a list, are
// numbered in the order of Confluent's JsonSchemaComparator: by the kind of schema, title, description and,
// for objects, the number of properties; those that are equal in it stay as they are written.
#include "http/json.h"
#include "tags_walk.h"

#include <stdlib.h>

// In the order of their names, which is the comparator's.
enum kind {
    KIND_ARRAY,
    KIND_BOOLEAN,
    KIND_COMBINED,
    KIND_CONDITIONAL,
    KIND_CONST,
    KIND_EMPTY,
    KIND_ENUM,
    KIND_FALSE,
    KIND_NOT,
    KIND_NULL,
    KIND_NUMBER,
    KIND_OBJECT,
    KIND_REFERENCE,
    KIND_STRING,
    KIND_TRUE,
};

struct kind_name {
    const char *name;
    enum kind kind;
};

// Depth is what json_parse allows.
static bool walk_schema(struct walk *walk, cJSON *schema, const char *scope, bool in_field);

static bool named(const struct kind_name *names, size_t count, const char *name, enum kind *kind)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i].name, name) == 0) {
            *kind = names[i].kind;
            return true;
        }
    return false;
}

static enum kind kind_of_type(const char *type)
{
    static const struct kind_name types[] = {
        {"array", KIND_ARRAY},   {"boolean", KIND_BOOLEAN}, {"integer", KIND_NUMBER}, {"null", KIND_NULL},
        {"number", KIND_NUMBER}, {"object", KIND_OBJECT},   {"string", KIND_STRING}};
    enum kind kind = KIND_EMPTY;
    named(types, sizeof types / sizeof *types, type, &kind);
    return kind;
}

static enum kind kind_of(const cJSON *schema)
{
    static const struct kind_name keywords[] = {{"$ref", KIND_REFERENCE},    {"anyOf", KIND_COMBINED},
                                                {"oneOf", KIND_COMBINED},    {"allOf", KIND_COMBINED},
                                                {"enum", KIND_ENUM},         {"const", KIND_CONST},
                                                {"properties", KIND_OBJECT}, {"items", KIND_ARRAY},
                                                {"not", KIND_NOT},           {"if", KIND_CONDITIONAL}};
    const cJSON *type = json_get(schema, "type");
    if (cJSON_IsBool(schema))
        return cJSON_IsTrue(schema) ? KIND_TRUE : KIND_FALSE;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (json_get(schema, keywords[i].name) != NULL &&
            (keywords[i].kind == KIND_REFERENCE || keywords[i].kind == KIND_COMBINED || type == NULL))
            return keywords[i].kind;
    return cJSON_IsArray(type)    ? KIND_COMBINED
           : cJSON_IsString(type) ? kind_of_type(type->valuestring)
                                  : KIND_EMPTY;
}

// ---- branches ----

struct branch {
    cJSON *schema;
    enum kind kind;
    const char *title, *description;
    int properties, at; // at: as it is written
};

static const char *text_of(const cJSON *schema, const char *keyword)
{
    const char *text = json_string(schema, keyword);
    return text != NULL ? text : "";
}

static int branch_order(const void *left, const void *right)
{
    const struct branch *a = left, *b = right;
    int order = (int)a->kind - (int)b->kind;
    order = order != 0 ? order : strcmp(a->title, b->title);
    order = order != 0 ? order : strcmp(a->description, b->description);
    order = order != 0 ? order : a->properties - b->properties;
    return order != 0 ? order : a->at - b->at;
}

static struct branch branch_of(cJSON *schema, int at)
{
    struct branch branch = {.schema = schema,
                            .kind = kind_of(schema),
                            .title = text_of(schema, "title"),
                            .description = text_of(schema, "description"),
                            .at = at};
    if (branch.kind == KIND_OBJECT)
        branch.properties = cJSON_GetArraySize(json_get(schema, "properties"));
    return branch;
}

static bool walk_branches(struct walk *walk, const cJSON *list, const char *scope, const char *criterion)
{
    struct arena *arena = walk->arena;
    int count = 0;
    if (!cJSON_IsArray(list))
        return true;
    struct branch *branches = arena_calloc(arena, (size_t)cJSON_GetArraySize(list) + 1, sizeof *branches);
    if (branches == NULL)
        return tags_no_memory(walk);
    for (cJSON *at = list->child; at != NULL; at = at->next, count++)
        branches[count] = branch_of(at, count);
    qsort(branches, (size_t)count, sizeof *branches, branch_order);
    for (int i = 0; i < count; i++) {
        const char *its = arena_printf(arena, "%s%s.%d.", scope, criterion, i);
        if (its == NULL)
            return tags_no_memory(walk);
        if (!walk_schema(walk, branches[i].schema, its, false))
            return false;
    }
    return true;
}

// Where a type of the list `type` is: "anyof.N." behind the scope. The scope itself when there is no list.
static const char *scope_of_type(struct walk *walk, const cJSON *schema, const char *scope, enum kind kind)
{
    const cJSON *type = json_get(schema, "type");
    int number = 0;
    if (!cJSON_IsArray(type) || cJSON_GetArraySize(type) < 2)
        return scope;
    for (const cJSON *at = type->child; at != NULL; at = at->next)
        number += cJSON_IsString(at) && kind_of_type(at->valuestring) < kind ? 1 : 0;
    return arena_printf(walk->arena, "%sanyof.%d.", scope, number);
}

// ---- objects ----

static bool may_be(const cJSON *schema, const char *name, const char *keyword)
{
    const cJSON *type = json_get(schema, "type");
    if (cJSON_IsString(type))
        return strcmp(type->valuestring, name) == 0;
    for (const cJSON *at = cJSON_IsArray(type) ? type->child : NULL; at != NULL; at = at->next)
        if (cJSON_IsString(at) && strcmp(at->valuestring, name) == 0)
            return true;
    return type == NULL && json_get(schema, keyword) != NULL;
}

// Schemas by name; behind: between the object's path and the name.
static bool walk_named(struct walk *walk, const cJSON *schemas, const char *path, const char *behind)
{
    bool field = *behind == '\0';
    for (cJSON *at = cJSON_IsObject(schemas) ? schemas->child : NULL; at != NULL; at = at->next) {
        const char *its = arena_printf(walk->arena, "%s.%s%s", path, behind, at->string);
        const char *inner = its != NULL ? arena_printf(walk->arena, "%s.", its) : NULL;
        if (inner == NULL)
            return tags_no_memory(walk);
        if ((field && cJSON_IsObject(at) && !walk->visit(walk, at, its, true)) ||
            !walk_schema(walk, at, inner, field))
            return false;
    }
    return true;
}

static bool walk_object(struct walk *walk, cJSON *schema, const char *scope, bool in_field)
{
    const char *before = scope_of_type(walk, schema, scope, KIND_OBJECT);
    const char *path = before != NULL ? arena_printf(walk->arena, "%sobject", before) : NULL;
    if (path == NULL)
        return tags_no_memory(walk);
    if (may_be(schema, "object", "properties") && (!in_field || walk->by_all_names) &&
        !walk->visit(walk, schema, path, false))
        return false;
    return walk_named(walk, json_get(schema, "properties"), path, "") &&
           walk_named(walk, json_get(schema, "definitions"), path, "definitions.") &&
           walk_named(walk, json_get(schema, "$defs"), path, "$defs.");
}

// ---- any schema ----

struct part {
    const char *keyword, *path; // path: behind the scope
};

static bool walk_part(struct walk *walk, cJSON *schema, const char *scope, const char *path)
{
    const char *its = scope != NULL ? arena_printf(walk->arena, "%s%s", scope, path) : NULL;
    return its != NULL ? walk_schema(walk, schema, its, false) : tags_no_memory(walk);
}

static bool walk_schema(struct walk *walk, cJSON *schema, const char *scope, bool in_field)
{
    static const struct part lists[] = {{"anyOf", "anyof"}, {"oneOf", "oneof"}, {"allOf", "allof"}};
    static const struct part singles[] = {{"not", "not."},
                                          {"if", "conditional.if."},
                                          {"then", "conditional.then."},
                                          {"else", "conditional.else."}};
    cJSON *items = (cJSON *)json_get(schema, "items");
    if (!cJSON_IsObject(schema))
        return true;
    if (!walk_object(walk, schema, scope, in_field))
        return false;
    if (items != NULL && may_be(schema, "array", "items") &&
        !walk_part(walk, items, scope_of_type(walk, schema, scope, KIND_ARRAY), "array."))
        return false;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!walk_branches(walk, json_get(schema, lists[i].keyword), scope, lists[i].path))
            return false;
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
        cJSON *part = (cJSON *)json_get(schema, singles[i].keyword);
        if (part != NULL && !walk_part(walk, part, scope, singles[i].path))
            return false;
    }
    return true;
}

bool tags_walk_json(struct walk *walk, cJSON *schema)
{
    return walk_schema(walk, schema, "", false);
}
