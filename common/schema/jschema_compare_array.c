// SPDX-License-Identifier: Apache-2.0
// Arrays (Confluent's ArraySchemaDiff). The items one by one are the list of "items" up to 2019-09 and
// "prefixItems" in 2020-12; what may follow them is "additionalItems" or "items", then "unevaluatedItems".
// Whether items can be added or taken away depends on that: anything may follow (open), nothing (closed), or
// what a schema says (partially open).
#include "schema/jschema_compare.h"

// What may stand behind the listed items, or beside the listed properties: nothing of it is in the schema
// (schema NULL and not closed), false, or a schema.
struct rest {
    const struct tree *schema;
    bool closed;
};

static const struct tree *all_items(const struct part *part)
{
    const struct tree *items = part_keyword(part, "items");
    if (items == NULL || items->kind == TREE_ARRAY)
        return NULL;
    if (part->resource->draft < JSCHEMA_2020)
        return items;
    return part_keyword(part, "prefixItems") == NULL && items->kind == TREE_OBJECT ? items : NULL;
}

static const struct tree *listed_items(const struct part *part)
{
    const struct tree *items = part_keyword(part, "prefixItems");
    if (items == NULL && part->resource->draft < JSCHEMA_2020)
        items = part_keyword(part, "items");
    return items != NULL && items->kind == TREE_ARRAY ? items : NULL;
}

static struct rest additional_items(const struct part *part)
{
    bool newest = part->resource->draft == JSCHEMA_2020;
    const struct tree *rest = part_keyword(part, newest ? "items" : "additionalItems");
    if (rest == NULL || all_items(part) != NULL)
        return (struct rest){.schema = NULL};
    return (struct rest){.schema = rest->kind == TREE_OBJECT ? rest : NULL,
                         .closed = rest->kind == TREE_FALSE};
}

static const struct part *settled_at(const struct part *part, const struct tree *schema)
{
    return schema != NULL ? part_settle(part_at(part, schema)) : NULL;
}

static bool is_open(const struct part *part)
{
    struct rest rest = additional_items(part);
    const struct part *unevaluated = settled_at(part, part_keyword(part, "unevaluatedItems"));
    return !rest.closed && rest.schema == NULL && (unevaluated == NULL || unevaluated->shape == PART_ANY);
}

// The schema of items beyond the listed ones where the array is partially open, or NULL.
static const struct tree *partly(const struct part *part)
{
    struct rest rest = additional_items(part);
    const struct tree *rule = part_keyword(part, "unevaluatedItems");
    if (rest.closed || rest.schema != NULL)
        return rest.schema;
    const struct part *unevaluated = settled_at(part, rule);
    return unevaluated != NULL && unevaluated->shape != PART_ANY && unevaluated->shape != PART_NEVER ? rule
                                                                                                     : NULL;
}

static void compare_covered(struct comparing *c, struct outcome *outcome, const struct place *at,
                            const struct part *writer, const struct part *reader, const char *code)
{
    compare_inside(c, outcome, at, writer, reader);
    if (!compare_fits(c, writer, reader))
        compare_fail(c, outcome, at, code, writer->node, reader->node);
}

static void item_removed(struct comparing *c, struct outcome *outcome, const struct place *at,
                         const struct part *item, const struct part *reader)
{
    const struct tree *covering = partly(reader);
    if (is_open(reader))
        return;
    if (covering != NULL)
        compare_covered(c, outcome, at, item, part_at(reader, covering),
                        "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
    else if (part_settle(item)->shape != PART_NEVER)
        compare_fail(c, outcome, at, "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL", item->node, NULL);
}

static void item_added(struct comparing *c, struct outcome *outcome, const struct place *at,
                       const struct part *writer, const struct part *item)
{
    const struct tree *covering = partly(writer);
    if (covering != NULL)
        compare_covered(c, outcome, at, part_at(writer, covering), item,
                        "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL");
    else if (is_open(writer) && part_settle(item)->shape != PART_ANY)
        compare_fail(c, outcome, at, "ITEM_ADDED_TO_OPEN_CONTENT_MODEL", NULL, item->node);
}

static void compare_listed(struct comparing *c, struct outcome *outcome, const struct part *writer,
                           const struct part *reader)
{
    const struct tree *from_list = listed_items(writer), *to_list = listed_items(reader);
    const struct tree *from = from_list != NULL ? from_list->first : NULL;
    const struct tree *to = to_list != NULL ? to_list->first : NULL;
    struct place at = {.keyword = "items"};
    if (to_list != NULL ? slice_is(to_list->name, "prefixItems")
                        : from_list != NULL && slice_is(from_list->name, "prefixItems"))
        at.keyword = "prefixItems";
    for (; (from != NULL || to != NULL) && compare_step(c, 1); at.index++) {
        if (from != NULL && to != NULL)
            compare_inside(c, outcome, &at, part_at(writer, from), part_at(reader, to));
        else if (from != NULL)
            item_removed(c, outcome, &at, part_at(writer, from), reader);
        else
            item_added(c, outcome, &at, writer, part_at(reader, to));
        from = from != NULL ? from->next : NULL;
        to = to != NULL ? to->next : NULL;
    }
}

static void compare_additional(struct comparing *c, struct outcome *outcome, const struct part *writer,
                               const struct part *reader)
{
    struct rest from = additional_items(writer), to = additional_items(reader);
    bool newest = reader->resource->draft == JSCHEMA_2020;
    struct place at = {.keyword = newest ? "items" : "additionalItems", .index = -1};
    const char *keyword = newest ? "items" : "additionalItems";
    if (to.closed && !from.closed)
        compare_fail(c, outcome, &at, "ADDITIONAL_ITEMS_REMOVED", from.schema, part_keyword(reader, keyword));
    if (to.closed || from.closed || to.schema == NULL)
        return;
    if (from.schema == NULL)
        compare_fail(c, outcome, &at, "ADDITIONAL_ITEMS_NARROWED", NULL, to.schema);
    else
        compare_inside(c, outcome, &at, part_at(writer, from.schema), part_at(reader, to.schema));
}

static void compare_unevaluated(struct comparing *c, struct outcome *outcome, const struct part *writer,
                                const struct part *reader)
{
    const struct tree *from = part_keyword(writer, "unevaluatedItems");
    const struct tree *to = part_keyword(reader, "unevaluatedItems");
    const struct part *was = settled_at(writer, from), *is = settled_at(reader, to);
    struct place at = {.keyword = "unevaluatedItems", .index = -1};
    if (is == NULL || is->shape == PART_ANY || (was != NULL && was->shape == PART_NEVER))
        return;
    if (is->shape == PART_NEVER)
        compare_fail(c, outcome, &at, "UNEVALUATED_ITEMS_REMOVED", from, to);
    else if (was == NULL || was->shape == PART_ANY)
        compare_fail(c, outcome, &at, "UNEVALUATED_ITEMS_NARROWED", from, to);
    else
        compare_inside(c, outcome, &at, was, is);
}

// "contains" alone asks for one. Up to draft 7 it is not compared.
static const struct tree *least_contained(const struct part *part)
{
    static const struct tree one = {
        .kind = TREE_INTEGER, .name = {NULL, 0}, .text = {(const uint8_t *)"1", 1}};
    const struct tree *least = part_keyword(part, "minContains");
    bool implied = part->resource->draft >= JSCHEMA_2019 && part_keyword(part, "contains") != NULL;
    return least != NULL || !implied ? least : &one;
}

static bool asks_unique(const struct part *part)
{
    const struct tree *flag = part_keyword(part, "uniqueItems");
    return flag != NULL && flag->kind == TREE_TRUE;
}

void compare_arrays(struct comparing *c, struct outcome *outcome, const struct part *writer,
                    const struct part *reader)
{
    static const struct limit limits[] = {{"maxItems", 1, "MAX_ITEMS_ADDED", "MAX_ITEMS_DECREASED"},
                                          {"minItems", -1, "MIN_ITEMS_ADDED", "MIN_ITEMS_INCREASED"},
                                          {"maxContains", 1, "MAX_CONTAINS_ADDED", "MAX_CONTAINS_DECREASED"}};
    static const struct limit contained = {"minContains", -1, "MIN_CONTAINS_ADDED", "MIN_CONTAINS_INCREASED"};
    struct place items = {.keyword = "items", .index = -1}, unique = {.keyword = "uniqueItems", .index = -1};
    const struct tree *from = all_items(writer), *to = all_items(reader);
    compare_inside(c, outcome, &items, part_at(writer, from), part_at(reader, to));
    compare_listed(c, outcome, writer, reader);
    compare_additional(c, outcome, writer, reader);
    compare_unevaluated(c, outcome, writer, reader);
    compare_limits(c, outcome, limits, 3, writer, reader);
    compare_limit(c, outcome, &contained, least_contained(writer), least_contained(reader));
    if (asks_unique(reader) && !asks_unique(writer))
        compare_fail(c, outcome, &unique, "UNIQUE_ITEMS_ADDED", part_keyword(writer, "uniqueItems"),
                     part_keyword(reader, "uniqueItems"));
}
