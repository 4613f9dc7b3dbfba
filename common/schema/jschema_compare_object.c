// SPDX-License-Identifier: Apache-2.0
// Objects (Confluent's ObjectSchemaDiff). Whether a property may come or go depends on the content model:
// open (anything may stand beside the properties), closed (nothing), or partially open (what a pattern,
// "additionalProperties" or "unevaluatedProperties" says). A property that comes is judged by the writer's
// model, one that goes by the reader's.
#include "schema/jschema_compare.h"

// A try counts for what it may cost, PATTERN_MATCH_MAX characters looked at.
enum { PATTERN_STEPS = 2048, PATTERN_MATCH_MAX = 1 << 16 };

// The two sides, with their required names.
struct objects {
    struct comparing *c;
    struct outcome *outcome;
    const struct part *writer, *reader;
    struct map required_before, required_now;
};

static const struct tree *members(const struct part *part, const char *keyword)
{
    const struct tree *found = part_keyword(part, keyword);
    return found != NULL && found->kind == TREE_OBJECT ? found : NULL;
}

static const struct tree *property(const struct part *part, const char *keyword, struct slice name)
{
    const struct tree *found = members(part, keyword);
    return found != NULL ? tree_get(found, name) : NULL;
}

static enum part_shape shape_at(const struct part *part, const struct tree *schema)
{
    return part_settle(part_at(part, schema))->shape;
}

// ---- content models ----

static bool closes(const struct part *part)
{
    const struct tree *additional = part_keyword(part, "additionalProperties");
    return additional != NULL && additional->kind == TREE_FALSE;
}

static const struct tree *additional_schema(const struct part *part)
{
    const struct tree *additional = part_keyword(part, "additionalProperties");
    return additional != NULL && additional->kind == TREE_OBJECT ? additional : NULL;
}

static bool is_open(const struct part *part)
{
    const struct tree *patterns = members(part, "patternProperties");
    const struct tree *unevaluated = part_keyword(part, "unevaluatedProperties");
    return (patterns == NULL || patterns->count == 0) && additional_schema(part) == NULL && !closes(part) &&
           (unevaluated == NULL || shape_at(part, unevaluated) == PART_ANY);
}

static bool pattern_finds(struct comparing *c, const struct part *part, const struct tree *pattern,
                          struct slice name)
{
    struct checking probe = {.schema = part->model->schema,
                             .quick_left = PATTERN_MATCH_MAX,
                             .counted_left = PATTERN_MATCH_MAX + name.len};
    bool found = compare_step(c, PATTERN_STEPS + name.len) && checking_match(&probe, pattern, name);
    if (probe.status != ST_OK)
        c->status = probe.status;
    return found;
}

// The schema that a partially open content model has for a property of that name, or NULL.
static const struct tree *partly(struct comparing *c, const struct part *part, struct slice name)
{
    const struct tree *patterns = members(part, "patternProperties");
    for (const struct tree *at = patterns != NULL ? patterns->first : NULL; at != NULL; at = at->next)
        if (pattern_finds(c, part, at, name))
            return at;
    const struct tree *additional = additional_schema(part);
    const struct tree *unevaluated = part_keyword(part, "unevaluatedProperties");
    if (additional != NULL || closes(part) || unevaluated == NULL)
        return additional;
    enum part_shape shape = shape_at(part, unevaluated);
    return shape != PART_ANY && shape != PART_NEVER ? unevaluated : NULL;
}

// ---- properties ----

static void compare_covered(struct objects *o, const struct place *at, const struct part *writer,
                            const struct part *reader, const char *code)
{
    compare_inside(o->c, o->outcome, at, writer, reader);
    if (!compare_fits(o->c, writer, reader))
        compare_fail(o->c, o->outcome, at, code, writer->node, reader->node);
}

static bool has_default(const struct tree *schema)
{
    return tree_get(schema, slice_str("default")) != NULL;
}

static void property_removed(struct objects *o, const struct place *at, const struct tree *old)
{
    const struct tree *covering = partly(o->c, o->reader, at->name);
    const struct part *writer = part_at(o->writer, old);
    if (is_open(o->reader))
        return;
    if (covering != NULL)
        compare_covered(o, at, writer, part_at(o->reader, covering),
                        "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
    else if (part_settle(writer)->shape != PART_NEVER)
        compare_fail(o->c, o->outcome, at, "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", old, NULL);
}

static void added_to_open(struct objects *o, const struct place *at, const struct tree *new)
{
    bool required = map_get(&o->required_now, at->name) != NULL;
    const char *code = !required          ? "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
                       : has_default(new) ? "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL"
                                          : "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL";
    if (shape_at(o->reader, new) != PART_ANY)
        compare_fail(o->c, o->outcome, at, code, NULL, new);
}

static void property_added(struct objects *o, const struct place *at, const struct tree *new)
{
    if (is_open(o->writer)) {
        added_to_open(o, at, new);
        return;
    }
    const struct tree *covering = partly(o->c, o->writer, at->name);
    if (covering != NULL)
        compare_covered(o, at, part_at(o->writer, covering), part_at(o->reader, new),
                        "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
    if (map_get(&o->required_now, at->name) != NULL && !has_default(new))
        compare_fail(o->c, o->outcome, at, "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", NULL, new);
}

static void property_kept(struct objects *o, const struct place *at, const struct tree *old,
                          const struct tree *new)
{
    struct place list = {.keyword = "required", .index = -1}, name = {.up = &list, .name = at->name};
    if (map_get(&o->required_now, at->name) != NULL && map_get(&o->required_before, at->name) == NULL &&
        !has_default(new))
        compare_fail(o->c, o->outcome, &name, "REQUIRED_ATTRIBUTE_ADDED", old, new);
    compare_inside(o->c, o->outcome, at, part_at(o->writer, old), part_at(o->reader, new));
}

static void compare_properties(struct objects *o)
{
    const struct tree *before = members(o->writer, "properties"), *now = members(o->reader, "properties");
    struct place list = {.keyword = "properties", .index = -1}, at = {.up = &list};
    for (const struct tree *new = now != NULL ? now->first : NULL; new != NULL &&compare_step(o->c, 1);
         new = new->next) {
        const struct tree *old = before != NULL ? tree_get(before, new->name) : NULL;
        at.name = new->name;
        if (old != NULL)
            property_kept(o, &at, old, new);
        else
            property_added(o, &at, new);
    }
    for (const struct tree *old = before != NULL ? before->first : NULL; old != NULL && compare_step(o->c, 1);
         old = old->next) {
        at.name = old->name;
        if (now == NULL || tree_get(now, old->name) == NULL)
            property_removed(o, &at, old);
    }
}

// ---- what stands beside the properties ----

static void compare_additional(struct objects *o)
{
    const struct tree *from = additional_schema(o->writer), *to = additional_schema(o->reader);
    struct place at = {.keyword = "additionalProperties", .index = -1};
    if (closes(o->reader) && !closes(o->writer))
        compare_fail(o->c, o->outcome, &at, "ADDITIONAL_PROPERTIES_REMOVED",
                     part_keyword(o->writer, at.keyword), part_keyword(o->reader, at.keyword));
    if (closes(o->reader) || closes(o->writer) || to == NULL)
        return;
    if (from == NULL)
        compare_fail(o->c, o->outcome, &at, "ADDITIONAL_PROPERTIES_NARROWED", NULL, to);
    else
        compare_inside(o->c, o->outcome, &at, part_at(o->writer, from), part_at(o->reader, to));
}

static void compare_unevaluated(struct objects *o)
{
    const struct tree *from = part_keyword(o->writer, "unevaluatedProperties");
    const struct tree *to = part_keyword(o->reader, "unevaluatedProperties");
    struct place at = {.keyword = "unevaluatedProperties", .index = -1};
    enum part_shape was = from != NULL ? shape_at(o->writer, from) : PART_ANY;
    enum part_shape is = to != NULL ? shape_at(o->reader, to) : PART_ANY;
    if (is == PART_ANY || was == PART_NEVER)
        return;
    if (is == PART_NEVER)
        compare_fail(o->c, o->outcome, &at, "UNEVALUATED_PROPERTIES_REMOVED", from, to);
    else if (was == PART_ANY)
        compare_fail(o->c, o->outcome, &at, "UNEVALUATED_PROPERTIES_NARROWED", from, to);
    else
        compare_inside(o->c, o->outcome, &at, part_at(o->writer, from), part_at(o->reader, to));
}

// ---- dependencies ----

static void compare_needed_names(struct objects *o, const struct place *at, const struct tree *old,
                                 const struct tree *new)
{
    if (old == NULL) {
        compare_fail(o->c, o->outcome, at, "DEPENDENCY_ARRAY_ADDED", NULL, new);
        return;
    }
    enum relation relation = compare_lists(o->c, old, new);
    if (relation == READER_HAS_MORE || relation == APART)
        compare_fail(o->c, o->outcome, at,
                     relation == APART ? "DEPENDENCY_ARRAY_CHANGED" : "DEPENDENCY_ARRAY_EXTENDED", old, new);
}

// Those of the writer under the keyword that goes with a draft's.
static const struct tree *dependency(const struct part *part, struct slice name, enum tree_kind kind)
{
    const char *keyword = kind == TREE_ARRAY ? "dependentRequired" : "dependentSchemas";
    const struct tree *found = property(part, keyword, name);
    if (found == NULL)
        found = property(part, "dependencies", name);
    return found != NULL && (found->kind == TREE_ARRAY) == (kind == TREE_ARRAY) ? found : NULL;
}

static void compare_dependencies(struct objects *o, const char *keyword)
{
    const struct tree *now = members(o->reader, keyword);
    struct place list = {.keyword = keyword, .index = -1}, at = {.up = &list};
    for (const struct tree *new = now != NULL ? now->first : NULL; new != NULL &&compare_step(o->c, 1);
         new = new->next) {
        const struct tree *old = dependency(o->writer, new->name, new->kind);
        at.name = new->name;
        if (new->kind == TREE_ARRAY)
            compare_needed_names(o, &at, old, new);
        else if (old == NULL)
            compare_fail(o->c, o->outcome, &at, "DEPENDENCY_SCHEMA_ADDED", NULL, new);
        else
            compare_inside(o->c, o->outcome, &at, part_at(o->writer, old), part_at(o->reader, new));
    }
}

// ---- the whole ----

static void put_names(struct comparing *c, const struct part *part, struct map *names)
{
    const struct tree *list = part_keyword(part, "required");
    map_init(names, jschema_key(part));
    for (const struct tree *at = list != NULL && list->kind == TREE_ARRAY ? list->first : NULL;
         at != NULL && compare_step(c, 1); at = at->next)
        if (at->kind == TREE_STRING)
            map_put(names, at->text, part->model);
}

void compare_objects(struct comparing *c, struct outcome *outcome, const struct part *writer,
                     const struct part *reader)
{
    static const struct limit limits[] = {
        {"maxProperties", 1, "MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_DECREASED"},
        {"minProperties", -1, "MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_INCREASED"}};
    struct objects o = {.c = c, .outcome = outcome, .writer = writer, .reader = reader};
    put_names(c, writer, &o.required_before);
    put_names(c, reader, &o.required_now);
    compare_properties(&o);
    compare_dependencies(&o, "dependencies");
    compare_dependencies(&o, "dependentRequired");
    compare_dependencies(&o, "dependentSchemas");
    compare_additional(&o);
    compare_unevaluated(&o);
    compare_limits(c, outcome, limits, 2, writer, reader);
    map_fini(&o.required_now);
    map_fini(&o.required_before);
}
