// SPDX-License-Identifier: Apache-2.0
// A value held against a JSON schema: the keywords that apply other schemas, to the value itself or to what
// it holds. What one applicator has looked at is marked, for "unevaluatedItems" and "unevaluatedProperties";
// the marks of a schema that fails are dropped with it. Steps and depth are counted, since references can
// lead in circles and a small schema can ask for much.
#include "schema/jschema_own.h"

#include <stdio.h>

static size_t write_spot(const struct spot *spot, char *out, size_t size)
{
    if (spot->up == NULL)
        return 0;
    size_t len = write_spot(spot->up, out, size);
    if (spot->up->node->kind == TREE_OBJECT)
        len += (size_t)snprintf(out + len, size - len, "/%.*s",
                                (int)(spot->node->name.len < 100 ? spot->node->name.len : 100),
                                (const char *)spot->node->name.data);
    else
        len += (size_t)snprintf(out + len, size - len, "/%u", spot->index);
    return len < size ? len : size - 1;
}

bool checking_fail(struct checking *c, const struct spot *spot, const struct tree *keyword)
{
    char place[250] = "";
    if (c->quiet > 0 || c->error->code != ST_OK || c->status != ST_OK)
        return false;
    size_t len = write_spot(spot, place, sizeof place);
    struct buf text;
    buf_init(&text, 180);
    if (keyword != NULL)
        tree_print(keyword, false, &text);
    schema_fail(c->error, ST_MALFORMED, "%s%sthe value breaks %.*s %.*s", place, len > 0 ? ": " : "",
                keyword != NULL ? (int)(keyword->name.len < 60 ? keyword->name.len : 60) : 0,
                keyword != NULL ? (const char *)keyword->name.data : "", (int)text.len,
                (const char *)text.data);
    buf_fini(&text);
    return false;
}

const struct tree *checking_keyword(const struct scope *scope, const struct tree *schema, const char *name,
                                    enum jschema_draft first, enum jschema_draft last)
{
    enum jschema_draft draft = scope->resource->draft;
    return draft >= first && draft <= last ? tree_get(schema, slice_str(name)) : NULL;
}

static void mark(const struct spot *spot, uint32_t index)
{
    if (spot->marks != NULL)
        spot->marks[index] = true;
}

// A schema for an element or member.
static bool apply_inside(struct checking *c, const struct scope *scope, const struct tree *schema,
                         const struct spot *inner)
{
    if (!checking_apply(c, scope, schema, inner))
        return false;
    mark(inner->up, inner->index);
    return true;
}

// A schema for the same value that may fail without the whole failing: its marks count if it does not.
static bool try_apply(struct checking *c, const struct scope *scope, const struct tree *schema,
                      const struct spot *spot)
{
    struct spot own = *spot;
    if (spot->marks != NULL) {
        own.marks = arena_calloc(&c->scratch, spot->node->count, sizeof *own.marks);
        if (own.marks == NULL) {
            c->status = ST_LIMIT;
            return false;
        }
    }
    c->quiet++;
    bool valid = checking_apply(c, scope, schema, &own);
    c->quiet--;
    for (uint32_t i = 0; valid && own.marks != NULL && i < spot->node->count; i++)
        spot->marks[i] |= own.marks[i];
    return valid;
}

static bool check_all_of(struct checking *c, const struct scope *scope, const struct tree *list,
                         const struct spot *spot)
{
    for (const struct tree *at = list != NULL ? list->first : NULL; at != NULL; at = at->next)
        if (!checking_apply(c, scope, at, spot))
            return false;
    return true;
}

// How many of the list hold; all are tried where their marks are asked for.
static uint32_t count_valid(struct checking *c, const struct scope *scope, const struct tree *list,
                            const struct spot *spot, uint32_t enough)
{
    uint32_t valid = 0;
    for (const struct tree *at = list->first; at != NULL && (valid < enough || spot->marks != NULL);
         at = at->next)
        valid += try_apply(c, scope, at, spot);
    return valid;
}

static bool check_choices(struct checking *c, const struct scope *scope, const struct tree *schema,
                          const struct spot *spot)
{
    const struct tree *any = checking_keyword(scope, schema, "anyOf", JSCHEMA_4, JSCHEMA_2020);
    const struct tree *one = checking_keyword(scope, schema, "oneOf", JSCHEMA_4, JSCHEMA_2020);
    const struct tree *not = checking_keyword(scope, schema, "not", JSCHEMA_4, JSCHEMA_2020);
    if (any != NULL && any->kind == TREE_ARRAY && count_valid(c, scope, any, spot, 1) == 0)
        return checking_fail(c, spot, any);
    if (one != NULL && one->kind == TREE_ARRAY && count_valid(c, scope, one, spot, 2) != 1)
        return checking_fail(c, spot, one);
    if (not != NULL && try_apply(c, scope, not, spot))
        return checking_fail(c, spot, not );
    return true;
}

static bool check_condition(struct checking *c, const struct scope *scope, const struct tree *schema,
                            const struct spot *spot)
{
    const struct tree *condition = checking_keyword(scope, schema, "if", JSCHEMA_7, JSCHEMA_2020);
    if (condition == NULL)
        return true;
    const char *branch = try_apply(c, scope, condition, spot) ? "then" : "else";
    const struct tree *then = checking_keyword(scope, schema, branch, JSCHEMA_7, JSCHEMA_2020);
    return then == NULL || checking_apply(c, scope, then, spot);
}

static bool enter(struct checking *c, const struct scope *scope, const struct target *target,
                  const struct spot *spot)
{
    struct scope inner = {.up = scope, .resource = target->resource};
    return checking_apply(c, &inner, target->node, spot);
}

static const struct target *anchor_of(struct checking *c, const struct resource *resource,
                                      struct slice anchor)
{
    char *key = arena_printf(&c->scratch, "%.*s#%.*s", (int)resource->uri.len,
                             (const char *)resource->uri.data, (int)anchor.len, (const char *)anchor.data);
    if (key == NULL)
        c->status = ST_LIMIT;
    return key != NULL ? map_get(&c->schema->places, slice_str(key)) : NULL;
}

// "$dynamicRef" to a dynamic anchor: the outermost resource that was entered and has one of that name.
static const struct target *outermost_anchor(struct checking *c, const struct scope *scope,
                                             const struct target *found)
{
    const struct tree *name = tree_get(found->node, slice_str("$dynamicAnchor"));
    for (; scope != NULL && name != NULL; scope = scope->up) {
        const struct target *outer = anchor_of(c, scope->resource, name->text);
        if (outer != NULL && outer->dynamic)
            found = outer;
    }
    return found;
}

// "$recursiveRef": the outermost root with "$recursiveAnchor", if the next one has it.
static struct target outermost_root(const struct scope *scope, struct target found)
{
    const struct tree *flag = tree_get(found.node, slice_str("$recursiveAnchor"));
    for (; flag != NULL && flag->kind == TREE_TRUE && scope != NULL; scope = scope->up) {
        const struct tree *outer = tree_get(scope->resource->root, slice_str("$recursiveAnchor"));
        if (outer != NULL && outer->kind == TREE_TRUE)
            found = (struct target){.node = scope->resource->root, .resource = scope->resource};
    }
    return found;
}

static const struct target *target_of(const struct checking *c, const struct tree *ref)
{
    return ref != NULL ? map_get_u64(&c->schema->refs, jschema_key(ref)) : NULL;
}

static bool check_references(struct checking *c, const struct scope *scope, const struct tree *schema,
                             const struct spot *spot)
{
    const struct target *plain =
        target_of(c, checking_keyword(scope, schema, "$ref", JSCHEMA_4, JSCHEMA_2020));
    const struct target *dynamic =
        target_of(c, checking_keyword(scope, schema, "$dynamicRef", JSCHEMA_2020, JSCHEMA_2020));
    const struct target *recursive =
        target_of(c, checking_keyword(scope, schema, "$recursiveRef", JSCHEMA_2019, JSCHEMA_2019));
    if (plain != NULL && !enter(c, scope, plain, spot))
        return false;
    if (dynamic != NULL && dynamic->dynamic)
        dynamic = outermost_anchor(c, scope, dynamic);
    if (dynamic != NULL && !enter(c, scope, dynamic, spot))
        return false;
    if (recursive == NULL)
        return true;
    struct target root = outermost_root(scope, *recursive);
    return enter(c, scope, &root, spot);
}

// Schemas that count when a member is there: "dependentSchemas", and those of "dependencies" before it.
static bool check_dependents(struct checking *c, const struct scope *scope, const struct tree *schema,
                             const struct spot *spot)
{
    const struct tree *dependents = checking_keyword(scope, schema, "dependencies", JSCHEMA_4, JSCHEMA_7);
    if (dependents == NULL)
        dependents = checking_keyword(scope, schema, "dependentSchemas", JSCHEMA_2019, JSCHEMA_2020);
    c->steps += dependents != NULL && dependents->kind == TREE_OBJECT ? dependents->count : 0;
    for (const struct tree *at = dependents != NULL && dependents->kind == TREE_OBJECT ? dependents->first
                                                                                       : NULL;
         at != NULL; at = at->next)
        if (at->kind != TREE_ARRAY && tree_get(spot->node, at->name) != NULL &&
            !checking_apply(c, scope, at, spot))
            return false;
    return true;
}

static bool check_patterns(struct checking *c, const struct scope *scope, const struct tree *patterns,
                           const struct spot *member, bool *matched)
{
    for (const struct tree *at = patterns->first; at != NULL; at = at->next) {
        c->steps++;
        if (!checking_match(c, at, member->node->name))
            continue;
        *matched = true;
        if (!apply_inside(c, scope, at, member))
            return false;
    }
    return true;
}

struct member_rules {
    const struct tree *properties, *patterns, *additional, *names;
};

static bool check_name(struct checking *c, const struct scope *scope, const struct tree *names,
                       const struct spot *member)
{
    struct tree name = {.kind = TREE_STRING, .name = member->node->name, .text = member->node->name};
    struct spot spot = {.up = member->up, .node = &name, .index = member->index};
    return names == NULL || checking_apply(c, scope, names, &spot);
}

static bool check_member(struct checking *c, const struct scope *scope, const struct member_rules *rules,
                         const struct spot *member)
{
    const struct tree *own =
        rules->properties != NULL ? tree_get(rules->properties, member->node->name) : NULL;
    bool matched = own != NULL;
    if (!check_name(c, scope, rules->names, member))
        return false;
    if (own != NULL && !apply_inside(c, scope, own, member))
        return false;
    if (rules->patterns != NULL && rules->patterns->kind == TREE_OBJECT &&
        !check_patterns(c, scope, rules->patterns, member, &matched))
        return false;
    return matched || rules->additional == NULL || apply_inside(c, scope, rules->additional, member);
}

static bool check_object(struct checking *c, const struct scope *scope, const struct tree *schema,
                         const struct spot *spot)
{
    const struct member_rules rules = {
        .properties = checking_keyword(scope, schema, "properties", JSCHEMA_4, JSCHEMA_2020),
        .patterns = checking_keyword(scope, schema, "patternProperties", JSCHEMA_4, JSCHEMA_2020),
        .additional = checking_keyword(scope, schema, "additionalProperties", JSCHEMA_4, JSCHEMA_2020),
        .names = checking_keyword(scope, schema, "propertyNames", JSCHEMA_6, JSCHEMA_2020)};
    struct spot member = {.up = spot, .node = spot->node->first};
    if (!check_dependents(c, scope, schema, spot))
        return false;
    if (!rules.properties && !rules.patterns && !rules.additional && !rules.names)
        return true;
    for (; member.node != NULL; member.node = member.node->next, member.index++)
        if (!check_member(c, scope, &rules, &member))
            return false;
    return true;
}

// "contains" with its numbers. From 2020-12 on the items it finds count as looked at.
static bool check_contains(struct checking *c, const struct scope *scope, const struct tree *schema,
                           const struct spot *spot)
{
    const struct tree *contains = checking_keyword(scope, schema, "contains", JSCHEMA_6, JSCHEMA_2020);
    const struct tree *least = checking_keyword(scope, schema, "minContains", JSCHEMA_2019, JSCHEMA_2020);
    const struct tree *most = checking_keyword(scope, schema, "maxContains", JSCHEMA_2019, JSCHEMA_2020);
    struct spot item = {.up = spot, .node = spot->node->first};
    uint32_t found = 0;
    if (contains == NULL)
        return true;
    c->quiet++;
    for (; item.node != NULL; item.node = item.node->next, item.index++) {
        bool valid = checking_apply(c, scope, contains, &item);
        found += valid;
        if (valid && scope->resource->draft >= JSCHEMA_2020)
            mark(spot, item.index);
    }
    c->quiet--;
    if (found < (least != NULL ? tree_number(least) : 1))
        return checking_fail(c, spot, least != NULL ? least : contains);
    return most == NULL || found <= tree_number(most) || checking_fail(c, spot, most);
}

// The first items one by one, the others by one schema: "prefixItems" and "items" in 2020-12, "items" and
// "additionalItems" before.
static bool check_array(struct checking *c, const struct scope *scope, const struct tree *schema,
                        const struct spot *spot)
{
    bool newest = scope->resource->draft == JSCHEMA_2020;
    const struct tree *items = checking_keyword(scope, schema, "items", JSCHEMA_4, JSCHEMA_2020);
    const struct tree *prefix = newest ? tree_get(schema, slice_str("prefixItems")) : items;
    const struct tree *rest = items;
    if (prefix != NULL && prefix->kind != TREE_ARRAY)
        prefix = NULL;
    if (!newest && prefix != NULL)
        rest = tree_get(schema, slice_str("additionalItems"));
    struct spot item = {.up = spot, .node = spot->node->first};
    const struct tree *next = prefix != NULL ? prefix->first : NULL;
    for (; item.node != NULL; item.node = item.node->next, item.index++) {
        const struct tree *own = next != NULL ? next : rest;
        next = next != NULL ? next->next : NULL;
        if (own != NULL && !apply_inside(c, scope, own, &item))
            return false;
    }
    return check_contains(c, scope, schema, spot);
}

static bool check_unevaluated(struct checking *c, const struct scope *scope, const struct tree *rule,
                              const struct spot *spot)
{
    struct spot inner = {.up = spot, .node = spot->node->first};
    for (; inner.node != NULL; inner.node = inner.node->next, inner.index++)
        if (!spot->marks[inner.index] && !apply_inside(c, scope, rule, &inner))
            return false;
    return true;
}

static const struct tree *unevaluated_rule(const struct scope *scope, const struct tree *schema,
                                           const struct tree *value)
{
    const char *name = value->kind == TREE_ARRAY ? "unevaluatedItems" : "unevaluatedProperties";
    return value->kind >= TREE_ARRAY ? checking_keyword(scope, schema, name, JSCHEMA_2019, JSCHEMA_2020)
                                     : NULL;
}

static bool check_keywords(struct checking *c, const struct scope *scope, const struct tree *schema,
                           const struct spot *spot)
{
    if (scope->resource->draft <= JSCHEMA_7 && tree_get(schema, slice_str("$ref")) != NULL)
        return check_references(c, scope, schema, spot);
    if (scope->resource->asserts && !keywords_assert(c, scope, schema, spot))
        return false;
    const struct tree *all = checking_keyword(scope, schema, "allOf", JSCHEMA_4, JSCHEMA_2020);
    if (!check_references(c, scope, schema, spot) || !check_all_of(c, scope, all, spot) ||
        !check_choices(c, scope, schema, spot) || !check_condition(c, scope, schema, spot))
        return false;
    if (spot->node->kind == TREE_OBJECT)
        return check_object(c, scope, schema, spot);
    return spot->node->kind != TREE_ARRAY || check_array(c, scope, schema, spot);
}

// With marks of its own where the schema asks what was left, which are then its parent's too.
static bool check_schema(struct checking *c, const struct scope *scope, const struct tree *schema,
                         const struct spot *spot)
{
    const struct tree *rule = unevaluated_rule(scope, schema, spot->node);
    if (rule == NULL)
        return check_keywords(c, scope, schema, spot);
    struct spot own = *spot;
    own.marks = arena_calloc(&c->scratch, spot->node->count, sizeof *own.marks);
    if (own.marks == NULL) {
        c->status = ST_LIMIT;
        return false;
    }
    bool valid = check_keywords(c, scope, schema, &own) && check_unevaluated(c, scope, rule, &own);
    for (uint32_t i = 0; valid && i < spot->node->count; i++)
        if (own.marks[i])
            mark(spot, i);
    return valid;
}

bool checking_apply(struct checking *c, const struct scope *scope, const struct tree *schema,
                    const struct spot *spot)
{
    if (++c->steps > c->steps_max || c->depth == JSCHEMA_NEST_MAX)
        c->status = ST_LIMIT;
    if (c->status != ST_OK)
        return false;
    if (schema->kind != TREE_OBJECT)
        return schema->kind != TREE_FALSE || checking_fail(c, spot, schema);
    const struct resource *own = map_get_u64(&c->schema->resources, jschema_key(schema));
    struct scope inner = {.up = scope, .resource = own};
    c->depth++;
    bool valid = check_schema(c, own != NULL ? &inner : scope, schema, spot);
    c->depth--;
    return valid && c->status == ST_OK;
}

// What one value may take by itself.
static struct checking begin(const struct jschema *schema, struct slice json, struct schema_error *error)
{
    *error = (struct schema_error){.code = ST_OK};
    return (struct checking){.schema = schema,
                             .error = error,
                             .steps_max = JSCHEMA_STEPS_MAX,
                             .quick_left = JSCHEMA_QUICK_MAX,
                             .counted_left = JSCHEMA_MATCH_MAX + 16 * (uint64_t)json.len};
}

static enum status check_value(struct checking *c, struct slice json)
{
    enum { SCRATCH_MAX = 64 << 20 };
    struct arena arena;
    struct tree *value;
    struct tree_fault fault;
    struct scope scope = {.resource = c->schema->resource};
    if (json.len > JSCHEMA_VALUE_MAX)
        return schema_fail(c->error, ST_LIMIT, "the value is too long");
    arena_init(&arena, 96 * json.len + (1 << 20));
    arena_init(&c->scratch, SCRATCH_MAX);
    enum status status = tree_parse(&arena, json, JSCHEMA_VALUE_DEPTH_MAX, false, &value, &fault);
    if (status != ST_OK)
        schema_fail(c->error, status, "line %zu, column %zu: %s", fault.line, fault.column, fault.text);
    else if (!checking_apply(c, &scope, c->schema->root, &(struct spot){.node = value}))
        status = schema_fail(c->error, c->status != ST_OK ? c->status : ST_MALFORMED,
                             "the value takes too many steps");
    arena_fini(&c->scratch);
    arena_fini(&arena);
    return status;
}

enum status jschema_check(const struct jschema *schema, struct slice json, struct schema_error *error)
{
    struct checking c = begin(schema, json, error);
    return check_value(&c, json);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// Characters that are not counted are charged as they would be at worst, which is far from what an ordinary
// expression looks at: they get no more than half of what is left, and are counted beyond that.
enum status jschema_check_many(const struct jschema *schema, struct slice json, size_t *spare)
{
    enum { QUICK_PER_STEP = JSCHEMA_QUICK_MAX / JSCHEMA_STEPS_MAX };
    struct schema_error error;
    struct checking c = begin(schema, json, &error);
    uint64_t own = JSCHEMA_BYTE_STEPS * (uint64_t)json.len, left = own + *spare;
    uint64_t quick = least(c.quick_left, left / 2 * QUICK_PER_STEP), counted = least(c.counted_left, left);
    c.quiet = 1; // nobody reads the error
    c.steps_max = least(c.steps_max, left);
    c.quick_left = quick;
    c.counted_left = counted;
    enum status status = check_value(&c, json);
    uint64_t used = c.steps + (counted - c.counted_left) + (quick - c.quick_left) / QUICK_PER_STEP;
    if (used > own)
        *spare = used < left ? left - used : 0;
    return used > left ? ST_LIMIT : status;
}
