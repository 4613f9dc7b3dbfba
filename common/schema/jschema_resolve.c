// SPDX-License-Identifier: Apache-2.0
// A schema and the texts it refers to as one text (format=resolved): each text becomes a definition under the
// name it came with, each reference a JSON pointer from the root. An "$id" inside would give pointers another
// meaning and is left out, which changes nothing, for no reference goes by it any more.
#include "schema/jschema_own.h"

#include <ctype.h>

// Where a node stands, from the root of its text on.
struct position {
    const struct position *up; // NULL: the root
    const struct text *text;
    struct slice name; // of a member; data NULL: an element
    uint32_t index;
};

struct resolving {
    const struct jschema *schema;
    struct arena arena;
    struct map positions; // address of a node -> struct position
    struct map keys;      // address of a text -> its key among the definitions
    struct buf *out;
    enum status status;
};

static const char *definitions(const struct resolving *r)
{
    return r->schema->resource->draft >= JSCHEMA_2019 ? "$defs" : "definitions";
}

static void *take(struct resolving *r, size_t size)
{
    void *made = r->status == ST_OK ? arena_calloc(&r->arena, 1, size) : NULL;
    if (made == NULL && r->status == ST_OK)
        r->status = ST_LIMIT;
    return made;
}

// ---- where everything is ----

// As deep as brackets of a text.
static void place(struct resolving *r, const struct tree *node, const struct position *position)
{
    uint32_t index = 0;
    map_put_u64(&r->positions, jschema_key(node), (void *)(uintptr_t)position);
    if (node->kind < TREE_ARRAY)
        return;
    for (const struct tree *at = node->first; at != NULL; at = at->next, index++) {
        struct position *inner = take(r, sizeof *inner);
        if (inner == NULL)
            return;
        *inner = (struct position){.up = position, .text = position->text, .index = index};
        if (node->kind == TREE_OBJECT)
            inner->name = at->name;
        place(r, at, inner);
    }
}

static bool key_is_free(const struct resolving *r, const char *key)
{
    const struct tree *own = tree_get(r->schema->root, slice_str(definitions(r)));
    struct map_entry *at = NULL;
    void *value;
    if (own != NULL && tree_get(own, slice_str(key)) != NULL)
        return false;
    while (map_next(&r->keys, &at, NULL, &value))
        if (strcmp(value, key) == 0)
            return false;
    return true;
}

// The name of the text, or that with underscores behind it, as many as it takes to be the only one.
static void choose_key(struct resolving *r, const struct text *text)
{
    char *key = arena_strndup(&r->arena, text->name.data, text->name.len);
    while (key != NULL && !key_is_free(r, key))
        key = arena_printf(&r->arena, "%s_", key);
    if (key == NULL)
        r->status = ST_LIMIT;
    else
        map_put_u64(&r->keys, jschema_key(text), key);
}

static void place_texts(struct resolving *r)
{
    for (const struct text *text = r->schema->texts; text != NULL && r->status == ST_OK; text = text->next) {
        struct position *root = take(r, sizeof *root);
        if (root == NULL || text->builtin)
            continue;
        *root = (struct position){.text = text};
        place(r, text->root, root);
        if (text->root == r->schema->root)
            continue;
        choose_key(r, text);
        if (text->resource->draft != r->schema->resource->draft)
            r->status = ST_UNSUPPORTED;
    }
}

// ---- printing ----

// A step of a JSON pointer in a fragment (RFC 6901 section 6).
static void put_step(struct slice step, struct buf *out)
{
    buf_put_u8(out, '/');
    for (size_t i = 0; i < step.len; i++) {
        uint8_t c = step.data[i];
        if (c == '~' || c == '/')
            buf_printf(out, c == '~' ? "~0" : "~1");
        else if (isalnum(c) || (c != '\0' && strchr("-._!$&'()*+,;=:@?", c) != NULL))
            buf_put_u8(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static void put_position(const struct resolving *r, const struct position *position, struct buf *out)
{
    if (position->up == NULL) {
        const char *key = map_get_u64(&r->keys, jschema_key(position->text));
        buf_put_u8(out, '#');
        if (key != NULL) {
            put_step(slice_str(definitions(r)), out);
            put_step(slice_str(key), out);
        }
        return;
    }
    put_position(r, position->up, out);
    if (position->name.data != NULL)
        put_step(position->name, out);
    else
        buf_printf(out, "/%u", position->index);
}

// The value of a member that is a reference; false: it is none, or leads to a metaschema.
static bool put_reference(struct resolving *r, const struct tree *member)
{
    const struct target *target = map_get_u64(&r->schema->refs, jschema_key(member));
    const struct position *position =
        target != NULL ? map_get_u64(&r->positions, jschema_key(target->node)) : NULL;
    struct buf pointer;
    if (target != NULL && !slice_is(member->name, "$ref"))
        r->status = ST_UNSUPPORTED;
    if (position == NULL)
        return false;
    buf_init(&pointer, SCHEMA_TOTAL_MAX);
    put_position(r, position, &pointer);
    tree_put_string(buf_slice(&pointer), r->out);
    buf_fini(&pointer);
    return true;
}

static void put_node(struct resolving *r, const struct tree *node);

static void put_name(struct resolving *r, struct slice name, bool *first)
{
    if (!*first)
        buf_put_u8(r->out, ',');
    *first = false;
    tree_put_string(name, r->out);
    buf_put_u8(r->out, ':');
}

static void put_texts(struct resolving *r, bool first)
{
    for (const struct text *text = r->schema->texts; text != NULL && r->status == ST_OK; text = text->next) {
        const char *key = map_get_u64(&r->keys, jschema_key(text));
        if (key == NULL)
            continue;
        put_name(r, slice_str(key), &first);
        put_node(r, text->root);
    }
}

// The root's own definitions and the texts behind them.
static void put_definitions(struct resolving *r, const struct tree *own)
{
    bool first = true;
    buf_put_u8(r->out, '{');
    for (const struct tree *at = own != NULL ? own->first : NULL; at != NULL; at = at->next) {
        put_name(r, at->name, &first);
        put_node(r, at);
    }
    put_texts(r, first);
    buf_put_u8(r->out, '}');
}

// Of a schema that had a URI of its own, or was a text: what says so.
static bool left_out(const struct resolving *r, const struct tree *node, const struct tree *member)
{
    bool resource = map_get_u64(&r->schema->resources, jschema_key(node)) != NULL;
    return resource && node != r->schema->root && member->kind == TREE_STRING &&
           (slice_is(member->name, "$id") || slice_is(member->name, "id") ||
            slice_is(member->name, "$schema"));
}

static void put_members(struct resolving *r, const struct tree *node)
{
    bool first = true, root = node == r->schema->root;
    for (const struct tree *at = node->first; at != NULL && r->status == ST_OK; at = at->next) {
        if (left_out(r, node, at))
            continue;
        put_name(r, at->name, &first);
        if (root && slice_is(at->name, definitions(r)) && at->kind == TREE_OBJECT)
            put_definitions(r, at);
        else if (!put_reference(r, at))
            put_node(r, at);
    }
    if (root && tree_get(node, slice_str(definitions(r))) == NULL) {
        put_name(r, slice_str(definitions(r)), &first);
        put_definitions(r, NULL);
    }
}

static void put_node(struct resolving *r, const struct tree *node)
{
    if (node->kind < TREE_ARRAY || buf_status(r->out) != ST_OK) {
        tree_print_exact(node, false, r->out);
        return;
    }
    buf_put_u8(r->out, node->kind == TREE_OBJECT ? '{' : '[');
    if (node->kind == TREE_OBJECT)
        put_members(r, node);
    for (const struct tree *at = node->kind == TREE_ARRAY ? node->first : NULL; at != NULL; at = at->next) {
        if (at != node->first)
            buf_put_u8(r->out, ',');
        put_node(r, at);
    }
    buf_put_u8(r->out, node->kind == TREE_OBJECT ? '}' : ']');
}

static bool stands_alone(const struct jschema *schema)
{
    for (const struct text *text = schema->texts; text != NULL; text = text->next)
        if (text->root != schema->root && !text->builtin)
            return false;
    return true;
}

enum status jschema_resolved_text(const struct jschema *schema, struct buf *out)
{
    enum { MEMORY = 256 << 20 };
    struct resolving r = {.schema = schema, .out = out};
    if (stands_alone(schema)) {
        tree_print_exact(schema->root, false, out);
        return buf_status(out);
    }
    arena_init(&r.arena, MEMORY);
    map_init(&r.positions, jschema_key(schema));
    map_init(&r.keys, jschema_key(schema));
    place_texts(&r);
    if (r.status == ST_OK)
        put_node(&r, schema->root);
    map_fini(&r.keys);
    map_fini(&r.positions);
    arena_fini(&r.arena);
    return r.status != ST_OK ? r.status : buf_status(out);
}
