// SPDX-License-Identifier: Apache-2.0
// See jschema_model.h. Which keywords make a part of their own follows everit's SchemaLoader: enum, the three
// combinations, not, const, then the type with its family of keywords, then each family that no type has
// taken. A reference hides what is beside it up to draft 7 and is one more part from 2019-09 on.
#include "schema/jschema_model.h"

enum {
    HOPS_MAX = 100, // references that lead to references
    PARTS_MAX = 16, // of one object
};

struct family {
    enum part_shape shape;
    const char *const *keywords;
};

static const char *const array_keywords[] = {"additionalItems", "contains",         "items",
                                             "maxItems",        "minItems",         "prefixItems",
                                             "uniqueItems",     "unevaluatedItems", NULL};
static const char *const object_keywords[] = {
    "additionalProperties", "dependencies",  "dependentRequired",     "dependentSchemas",
    "maxProperties",        "minProperties", "patternProperties",     "properties",
    "propertyNames",        "required",      "unevaluatedProperties", NULL};
static const char *const number_keywords[] = {"exclusiveMaximum", "exclusiveMinimum", "maximum",
                                              "minimum",          "multipleOf",       NULL};
static const char *const string_keywords[] = {"format", "maxLength", "minLength", "pattern", NULL};

static const struct family families[] = {{PART_ARRAY, array_keywords},
                                         {PART_OBJECT, object_keywords},
                                         {PART_NUMBER, number_keywords},
                                         {PART_STRING, string_keywords}};
enum { FAMILIES = sizeof families / sizeof *families };

// Keywords that not every draft has; "format" alone makes a string of what has no type up to draft 7.
static const struct {
    const char *name;
    enum jschema_draft first, last;
} since[] = {
    {"additionalItems", JSCHEMA_4, JSCHEMA_2019},
    {"const", JSCHEMA_6, JSCHEMA_2020},
    {"contains", JSCHEMA_6, JSCHEMA_2020},
    {"dependencies", JSCHEMA_4, JSCHEMA_7},
    {"dependentRequired", JSCHEMA_2019, JSCHEMA_2020},
    {"dependentSchemas", JSCHEMA_2019, JSCHEMA_2020},
    {"else", JSCHEMA_7, JSCHEMA_2020},
    {"format", JSCHEMA_4, JSCHEMA_7},
    {"if", JSCHEMA_7, JSCHEMA_2020},
    {"maxContains", JSCHEMA_2019, JSCHEMA_2020},
    {"minContains", JSCHEMA_2019, JSCHEMA_2020},
    {"prefixItems", JSCHEMA_2020, JSCHEMA_2020},
    {"propertyNames", JSCHEMA_6, JSCHEMA_2020},
    {"then", JSCHEMA_7, JSCHEMA_2020},
    {"unevaluatedItems", JSCHEMA_2019, JSCHEMA_2020},
    {"unevaluatedProperties", JSCHEMA_2019, JSCHEMA_2020},
};

const struct tree *part_keyword(const struct part *part, const char *name)
{
    const struct tree *found = tree_get(part->node, slice_str(name)); // most are not there: no table then
    for (size_t i = 0; found != NULL && i < sizeof since / sizeof *since; i++)
        if (strcmp(since[i].name, name) == 0 &&
            (part->resource->draft < since[i].first || part->resource->draft > since[i].last))
            return NULL;
    return found;
}

// Parts of one object while they are found.
struct gathering {
    struct part *owner; // its node, for part_keyword
    struct part *parts[PARTS_MAX];
    uint32_t count;
    bool taken[PART_LINK + 1]; // families that a type has
};

static struct part *new_part(struct model *model, enum part_shape shape, const struct tree *node,
                             const struct resource *resource)
{
    struct part *part = arena_alloc(model->arena, sizeof *part);
    if (part == NULL) {
        *model->status = ST_LIMIT;
        return &model->any;
    }
    *part = (struct part){.model = model, .shape = shape, .node = node, .resource = resource};
    return part;
}

struct part *part_at(const struct part *part, const struct tree *schema)
{
    return schema != NULL ? new_part(part->model, PART_LINK, schema, part->resource) : NULL;
}

static struct part *new_choice(struct part *owner, enum part_criterion criterion, uint32_t count)
{
    struct part *made = new_part(owner->model, PART_CHOICE, owner->node, owner->resource);
    struct part **parts = arena_calloc(owner->model->arena, count, sizeof *parts);
    if (parts == NULL || made == &owner->model->any) {
        *owner->model->status = ST_LIMIT;
        return &owner->model->any;
    }
    made->criterion = criterion;
    made->parts = parts;
    made->count = count;
    return made;
}

static struct part *choice_of_list(struct part *owner, enum part_criterion criterion, const struct tree *list)
{
    struct part *made = new_choice(owner, criterion, list->count);
    uint32_t i = 0;
    for (const struct tree *at = list->first; at != NULL && made->shape == PART_CHOICE; at = at->next)
        made->parts[i++] = part_at(owner, at);
    return made;
}

static void gather(struct gathering *g, struct part *part)
{
    if (g->count < PARTS_MAX)
        g->parts[g->count++] = part;
}

static void gather_if(struct gathering *g, enum part_shape shape, const char *keyword)
{
    struct part *owner = g->owner;
    if (part_keyword(owner, keyword) != NULL)
        gather(g, new_part(owner->model, shape, owner->node, owner->resource));
}

static void gather_choices(struct gathering *g)
{
    static const char *const names[] = {
        [PART_ALL_OF] = "allOf", [PART_ANY_OF] = "anyOf", [PART_ONE_OF] = "oneOf"};
    for (enum part_criterion criterion = PART_ALL_OF; criterion <= PART_ONE_OF; criterion++) {
        const struct tree *list = part_keyword(g->owner, names[criterion]);
        if (list != NULL && list->kind == TREE_ARRAY)
            gather(g, choice_of_list(g->owner, criterion, list));
    }
}

static struct part *typed(struct gathering *g, struct slice name)
{
    static const struct {
        const char *name;
        enum part_shape shape;
    } types[] = {{"array", PART_ARRAY},  {"boolean", PART_BOOLEAN}, {"integer", PART_NUMBER},
                 {"null", PART_NULL},    {"number", PART_NUMBER},   {"object", PART_OBJECT},
                 {"string", PART_STRING}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!slice_is(name, types[i].name))
            continue;
        struct part *owner = g->owner;
        struct part *made = new_part(owner->model, types[i].shape, owner->node, owner->resource);
        if (made->shape == PART_NUMBER)
            made->integer = slice_is(name, "integer");
        g->taken[types[i].shape] = true;
        return made;
    }
    return &g->owner->model->any; // no such type; parsing refuses it
}

static void gather_type(struct gathering *g)
{
    const struct tree *type = part_keyword(g->owner, "type");
    if (type == NULL)
        return;
    if (type->kind == TREE_STRING) {
        gather(g, typed(g, type->text));
        return;
    }
    struct part *choice = new_choice(g->owner, PART_ANY_OF, type->count);
    uint32_t i = 0;
    for (const struct tree *at = type->first; at != NULL && choice->shape == PART_CHOICE; at = at->next)
        choice->parts[i++] = typed(g, at->text);
    gather(g, choice);
}

static void gather_families(struct gathering *g)
{
    for (int i = 0; i < FAMILIES; i++) {
        bool present = false;
        for (const char *const *name = families[i].keywords; *name != NULL; name++)
            present |= part_keyword(g->owner, *name) != NULL;
        if (present && !g->taken[families[i].shape])
            gather(g, new_part(g->owner->model, families[i].shape, g->owner->node, g->owner->resource));
    }
    bool condition =
        part_keyword(g->owner, "if") || part_keyword(g->owner, "then") || part_keyword(g->owner, "else");
    if (condition)
        gather(g, new_part(g->owner->model, PART_CONDITION, g->owner->node, g->owner->resource));
}

static struct part *reference(struct part *owner, const char *keyword)
{
    const struct tree *member = tree_get(owner->node, slice_str(keyword));
    const struct target *target =
        member != NULL ? map_get_u64(&owner->model->schema->refs, jschema_key(member)) : NULL;
    return target != NULL ? new_part(owner->model, PART_LINK, target->node, target->resource) : NULL;
}

static void gather_references(struct gathering *g)
{
    static const char *const names[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct part *found = reference(g->owner, names[i]);
        if (found != NULL)
            gather(g, found);
    }
}

static struct part *join(struct gathering *g)
{
    if (g->count == 0)
        return new_part(g->owner->model, PART_ANY, g->owner->node, g->owner->resource);
    if (g->count == 1)
        return g->parts[0];
    struct part *all = new_choice(g->owner, PART_ALL_OF, g->count);
    for (uint32_t i = 0; i < g->count && all->shape == PART_CHOICE; i++)
        all->parts[i] = g->parts[i];
    return all;
}

static struct part *make(struct model *model, const struct tree *node, const struct resource *resource)
{
    if (node->kind != TREE_OBJECT)
        return new_part(model, node->kind == TREE_FALSE ? PART_NEVER : PART_ANY, node, resource);
    struct part owner = {.model = model, .node = node, .resource = resource};
    struct gathering g = {.owner = &owner};
    if (resource->draft <= JSCHEMA_7 && tree_get(node, slice_str("$ref")) != NULL) {
        struct part *found = reference(&owner, "$ref");
        return found != NULL ? found : &model->any;
    }
    gather_if(&g, PART_ENUM, "enum");
    gather_choices(&g);
    gather_if(&g, PART_NOT, "not");
    gather_if(&g, PART_CONST, "const");
    gather_type(&g);
    gather_families(&g);
    if (resource->draft >= JSCHEMA_2019)
        gather_references(&g);
    return join(&g);
}

const struct part *part_settle(const struct part *part)
{
    struct model *model = part->model;
    for (int hops = 0; part->shape == PART_LINK; hops++) {
        const struct tree *node = part->node;
        const struct resource *own = map_get_u64(&model->schema->resources, jschema_key(node));
        struct part *known = map_get_u64(&model->made, jschema_key(node));
        if (hops == HOPS_MAX)
            return &model->any;
        if (known == NULL) {
            known = make(model, node, own != NULL ? own : part->resource);
            map_put_u64(&model->made, jschema_key(node), known);
        }
        part = known;
    }
    return part;
}

struct part *model_root(struct model *model)
{
    return new_part(model, PART_LINK, model->schema->root, model->schema->resource);
}

void model_init(struct model *model, const struct jschema *schema, struct arena *arena, enum status *status)
{
    *model = (struct model){.schema = schema, .arena = arena, .status = status};
    model->any =
        (struct part){.model = model, .shape = PART_ANY, .node = schema->root, .resource = schema->resource};
    map_init(&model->made, jschema_key(model));
}

void model_fini(struct model *model)
{
    map_fini(&model->made);
}
