// SPDX-License-Identifier: Apache-2.0
// A JSON schema made ready: every part that is a schema is walked once, so that its "$id", its anchors, its
// patterns and its references are known by the address of the member that says them; then each reference is
// followed, and what it leads to is walked if nothing had named it before. After that nothing changes.
#include "schema/jschema_own.h"

#include "base/mem.h"
#include "schema/uri.h"

#include <ctype.h>

enum { MEMORY_PER_BYTE = 96, MEMORY_AT_LEAST = 4 << 20 }; // all metaschemas fit into that

struct reference {
    struct reference *next;
    const struct tree *from; // the member that holds it
    const struct resource *resource;
};

struct parsing {
    struct jschema *schema;
    struct schema_error *error;
    const struct schema_source *source;
    bool *read;                         // which texts of the source's references were needed
    struct reference *refs, **refs_end; // still to be followed
    struct text **texts_end;
    struct map walked;        // addresses of schemas
    size_t pattern_bytes;     // that patterns may still take
    enum jschema_draft draft; // where none is named
};

static enum status walk(struct parsing *p, const struct tree *node, const struct resource *resource);
static enum status find_resource(struct parsing *p, struct slice uri, struct slice as_written,
                                 struct target *target);

static enum status full(struct parsing *p)
{
    return schema_fail(p->error, ST_LIMIT, "the schema takes too much memory");
}

#define TEXT_ARGS(text) (int)((text).len < 200 ? (text).len : 200), (const char *)(text).data

static struct slice text_of(const struct tree *node, const char *name)
{
    const struct tree *found = tree_get(node, slice_str(name));
    return found != NULL && found->kind == TREE_STRING ? found->text : (struct slice){0};
}

static const struct {
    const char *uri;
    enum jschema_draft draft;
} drafts[] = {
    {"http://json-schema.org/draft-04/schema", JSCHEMA_4},
    {"http://json-schema.org/draft-06/schema", JSCHEMA_6},
    {"http://json-schema.org/draft-07/schema", JSCHEMA_7},
    {"https://json-schema.org/draft/2019-09/schema", JSCHEMA_2019},
    {"https://json-schema.org/draft/2020-12/schema", JSCHEMA_2020},
};

// With http and https alike, as Confluent's registry takes them.
static struct slice without_scheme(struct slice uri)
{
    const uint8_t *mark = uri.len > 0 ? memchr(uri.data, ':', uri.len) : NULL;
    size_t len = mark != NULL ? (size_t)(mark - uri.data) : 0;
    bool web = mark != NULL &&
               (slice_is(slice_of(uri.data, len), "http") || slice_is(slice_of(uri.data, len), "https"));
    return web ? slice_of(mark, uri.len - len) : uri;
}

static bool known_draft(struct slice uri, enum jschema_draft *draft)
{
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++)
        if (slice_equal(without_scheme(uri_bare(uri)), without_scheme(slice_str(drafts[i].uri)))) {
            *draft = drafts[i].draft;
            return true;
        }
    return false;
}

static enum status add_place(struct parsing *p, struct slice uri, struct slice anchor, struct target target)
{
    struct target *made = arena_alloc(&p->schema->arena, sizeof *made);
    char *key = arena_printf(&p->schema->arena, "%.*s%s%.*s", (int)uri.len, (const char *)uri.data,
                             anchor.data != NULL ? "#" : "", (int)anchor.len, (const char *)anchor.data);
    if (made == NULL || key == NULL)
        return full(p);
    *made = target;
    if (map_get(&p->schema->places, slice_str(key)) == NULL)
        map_put(&p->schema->places, slice_str(key), made);
    return ST_OK;
}

// A metaschema of somebody's own: the draft is that of its own metaschema, and values are only refused if it
// has the vocabulary of validation. One that nobody has is as none.
static enum status take_dialect(struct parsing *p, struct slice uri, struct resource *resource)
{
    static const char validation[] = "https://json-schema.org/draft/2020-12/vocab/validation";
    static const char validation_2019[] = "https://json-schema.org/draft/2019-09/vocab/validation";
    struct target meta;
    enum status status = find_resource(p, uri, uri, &meta);
    if (status != ST_OK)
        return status == ST_NOT_FOUND ? ST_OK : status;
    const struct tree *vocabulary = tree_get(meta.node, slice_str("$vocabulary"));
    resource->draft = meta.resource->draft;
    resource->asserts = vocabulary == NULL || tree_get(vocabulary, slice_str(validation)) != NULL ||
                        tree_get(vocabulary, slice_str(validation_2019)) != NULL;
    return ST_OK;
}

static enum status add_resource(struct parsing *p, struct slice uri, const struct tree *root,
                                const struct resource *within, const struct resource **made)
{
    struct resource *resource = arena_alloc(&p->schema->arena, sizeof *resource);
    struct slice dialect = text_of(root, "$schema");
    if (resource == NULL)
        return full(p);
    *resource = (struct resource){.uri = uri, .root = root, .draft = p->draft, .asserts = true};
    if (within != NULL) {
        resource->draft = within->draft;
        resource->asserts = within->asserts;
    }
    enum status status = ST_OK;
    if (dialect.data != NULL && !known_draft(dialect, &resource->draft))
        status = take_dialect(p, uri_bare(dialect), resource);
    if (status != ST_OK)
        return status;
    map_put_u64(&p->schema->resources, jschema_key(root), resource);
    *made = resource;
    return add_place(p, uri, (struct slice){0}, (struct target){.node = root, .resource = resource});
}

// Up to draft 7 nothing beside a "$ref" counts.
static bool hidden_by_ref(const struct tree *node, const struct resource *resource)
{
    return resource->draft <= JSCHEMA_7 && tree_get(node, slice_str("$ref")) != NULL;
}

// "$id" ("id" in draft 4) begins a resource; one that is only a fragment was an anchor up to draft 7.
static enum status take_id(struct parsing *p, const struct tree *node, const struct resource **resource)
{
    const struct resource *outer = *resource;
    enum jschema_draft draft = outer->draft;
    known_draft(text_of(node, "$schema"), &draft);
    struct slice id = text_of(node, draft == JSCHEMA_4 ? "id" : "$id"), fragment;
    if (id.len == 0 || hidden_by_ref(node, outer))
        return ST_OK;
    if (id.data[0] == '#' && draft <= JSCHEMA_7)
        return add_place(p, outer->uri, slice_of(id.data + 1, id.len - 1),
                         (struct target){.node = node, .resource = outer});
    struct slice uri = uri_resolve(&p->schema->arena, outer->uri, id, &fragment);
    if (uri.data == NULL)
        return full(p);
    enum status status = add_resource(p, uri, node, outer, resource);
    if (status == ST_OK && fragment.len > 0 && draft <= JSCHEMA_7)
        status = add_place(p, uri, fragment, (struct target){.node = node, .resource = *resource});
    return status;
}

static enum status take_anchors(struct parsing *p, const struct tree *node, const struct resource *resource)
{
    struct target target = {.node = node, .resource = resource};
    struct slice anchor = text_of(node, "$anchor"), dynamic = text_of(node, "$dynamicAnchor");
    enum status status = ST_OK;
    if (resource->draft >= JSCHEMA_2019 && anchor.data != NULL)
        status = add_place(p, resource->uri, anchor, target);
    target.dynamic = true;
    if (status == ST_OK && resource->draft >= JSCHEMA_2020 && dynamic.data != NULL)
        status = add_place(p, resource->uri, dynamic, target);
    return status;
}

static enum status take_pattern(struct parsing *p, const struct tree *member, struct slice text)
{
    struct jschema_pattern *made;
    enum status status = jschema_pattern_new(text, &p->pattern_bytes, &made);
    if (status == ST_LIMIT)
        return schema_fail(p->error, status, "regular expressions take too much: %.*s", TEXT_ARGS(text));
    if (status != ST_OK)
        return schema_fail(p->error, status, "no regular expression: %.*s", TEXT_ARGS(text));
    map_put_u64(&p->schema->patterns, jschema_key(member), made);
    return ST_OK;
}

static enum status take_patterns(struct parsing *p, const struct tree *node)
{
    const struct tree *pattern = tree_get(node, slice_str("pattern"));
    const struct tree *properties = tree_get(node, slice_str("patternProperties"));
    enum status status = ST_OK;
    if (pattern != NULL && pattern->kind == TREE_STRING)
        status = take_pattern(p, pattern, pattern->text);
    if (properties == NULL || properties->kind != TREE_OBJECT)
        return status;
    for (const struct tree *at = properties->first; at != NULL && status == ST_OK; at = at->next)
        status = take_pattern(p, at, at->name);
    return status;
}

static enum status take_refs(struct parsing *p, const struct tree *node, const struct resource *resource)
{
    static const char *const names[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    static const enum jschema_draft first[] = {JSCHEMA_4, JSCHEMA_2020, JSCHEMA_2019};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct tree *member = tree_get(node, slice_str(names[i]));
        if (member == NULL || member->kind != TREE_STRING || resource->draft < first[i])
            continue;
        struct reference *made = arena_alloc(&p->schema->arena, sizeof *made);
        if (made == NULL)
            return full(p);
        *made = (struct reference){.from = member, .resource = resource};
        *p->refs_end = made;
        p->refs_end = &made->next;
    }
    return ST_OK;
}

// Where schemas stand in a schema: as the value, as elements, or as members.
static const struct {
    const char *name;
    bool value, elements, members;
} holders[] = {
    {"additionalItems", true, false, false},
    {"additionalProperties", true, false, false},
    {"allOf", false, true, false},
    {"anyOf", false, true, false},
    {"contains", true, false, false},
    {"definitions", false, false, true},
    {"dependencies", false, false, true},
    {"dependentSchemas", false, false, true},
    {"else", true, false, false},
    {"if", true, false, false},
    {"items", true, true, false},
    {"not", true, false, false},
    {"oneOf", false, true, false},
    {"patternProperties", false, false, true},
    {"prefixItems", false, true, false},
    {"properties", false, false, true},
    {"propertyNames", true, false, false},
    {"then", true, false, false},
    {"unevaluatedItems", true, false, false},
    {"unevaluatedProperties", true, false, false},
    {"$defs", false, false, true},
};

static enum status walk_all(struct parsing *p, const struct tree *list, const struct resource *resource)
{
    enum status status = ST_OK;
    for (const struct tree *at = list->first; at != NULL && status == ST_OK; at = at->next)
        status = walk(p, at, resource);
    return status;
}

static enum status walk_inner(struct parsing *p, const struct tree *node, const struct resource *resource)
{
    enum status status = ST_OK;
    for (size_t i = 0; i < sizeof holders / sizeof *holders && status == ST_OK; i++) {
        const struct tree *found = tree_get(node, slice_str(holders[i].name));
        if (found == NULL)
            continue;
        if ((found->kind == TREE_ARRAY && holders[i].elements) ||
            (found->kind == TREE_OBJECT && holders[i].members))
            status = walk_all(p, found, resource);
        else if (found->kind == TREE_OBJECT && holders[i].value)
            status = walk(p, found, resource);
    }
    return status;
}

// As deep as brackets of the text.
static enum status walk(struct parsing *p, const struct tree *node, const struct resource *resource)
{
    if (node->kind != TREE_OBJECT || map_get_u64(&p->walked, jschema_key(node)) != NULL)
        return ST_OK;
    map_put_u64(&p->walked, jschema_key(node), p);
    enum status status = ST_OK;
    if (map_get_u64(&p->schema->resources, jschema_key(node)) == NULL)
        status = take_id(p, node, &resource);
    if (status == ST_OK)
        status = jschema_keywords_fit(node, resource->draft, p->error);
    if (status == ST_OK)
        status = take_anchors(p, node, resource);
    if (status == ST_OK)
        status = take_patterns(p, node);
    if (status == ST_OK)
        status = take_refs(p, node, resource);
    return status == ST_OK ? walk_inner(p, node, resource) : status;
}

static enum status add_text(struct parsing *p, struct slice name, const struct target *root)
{
    struct text *made = arena_alloc(&p->schema->arena, sizeof *made);
    if (made == NULL)
        return full(p);
    *made = (struct text){.name = name,
                          .root = root->node,
                          .resource = root->resource,
                          .builtin = jschema_builtin(name).data != NULL};
    *p->texts_end = made;
    p->texts_end = &made->next;
    return ST_OK;
}

// One text under the URI it is known by.
static enum status read_text(struct parsing *p, struct slice uri, struct slice text, struct target *root)
{
    struct tree *tree;
    struct tree_fault fault;
    const struct resource *resource;
    enum status status = tree_parse(&p->schema->arena, text, SCHEMA_DEPTH_MAX, false, &tree, &fault);
    if (status != ST_OK)
        return schema_fail(p->error, status, "%.*s line %zu, column %zu: %s", TEXT_ARGS(uri), fault.line,
                           fault.column, fault.text);
    if (tree->kind != TREE_OBJECT && tree->kind != TREE_TRUE && tree->kind != TREE_FALSE)
        return schema_fail(p->error, ST_MALFORMED, "a schema is an object, true or false");
    status = add_resource(p, uri, tree, NULL, &resource);
    if (status != ST_OK)
        return status;
    const struct resource *own = resource;
    status = take_id(p, tree, &own);
    *root = (struct target){.node = tree, .resource = own};
    struct target *known = map_get(&p->schema->places, uri);
    if (status == ST_OK && known->node == tree)
        known->resource = own; // by whichever name it is found, its anchors are those of its "$id"
    if (status == ST_OK)
        status = add_text(p, uri, root);
    return status == ST_OK ? walk(p, tree, own) : status;
}

// A step of a JSON pointer in a fragment: percent signs, then ~1 and ~0 (RFC 6901).
static struct slice unescape(struct arena *arena, struct slice step)
{
    uint8_t *out = arena_alloc(arena, step.len);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < step.len; i++) {
        uint8_t c = step.data[i];
        if (c == '%' && i + 2 < step.len && hex_digit(step.data[i + 1]) >= 0 &&
            hex_digit(step.data[i + 2]) >= 0) {
            c = (uint8_t)(hex_digit(step.data[i + 1]) << 4 | hex_digit(step.data[i + 2]));
            i += 2;
        }
        if (len > 0 && out[len - 1] == '~' && (c == '0' || c == '1')) {
            out[len - 1] = c == '0' ? 0 : '/'; // 0 for now, lest "~01" be read as "~1"
            continue;
        }
        out[len++] = c;
    }
    for (size_t i = 0; i < len; i++)
        out[i] = out[i] == 0 ? '~' : out[i];
    return slice_of(out, len);
}

static const struct tree *step_into(const struct tree *node, struct slice name)
{
    if (node->kind == TREE_OBJECT)
        return tree_get(node, name);
    uint64_t index = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (!isdigit(name.data[i]) || index > node->count)
            return NULL;
        index = 10 * index + (uint64_t)(name.data[i] - '0');
    }
    const struct tree *at = node->kind == TREE_ARRAY && name.len > 0 ? node->first : NULL;
    while (at != NULL && index-- > 0)
        at = at->next;
    return at;
}

// Along the pointer, into other resources where one begins.
static bool follow_pointer(struct parsing *p, struct slice pointer, struct target *target)
{
    while (pointer.len > 0) {
        const uint8_t *end = memchr(pointer.data + 1, '/', pointer.len - 1);
        size_t len = end != NULL ? (size_t)(end - pointer.data) : pointer.len;
        struct slice name = unescape(&p->schema->arena, slice_of(pointer.data + 1, len - 1));
        target->node = name.data != NULL ? step_into(target->node, name) : NULL;
        if (target->node == NULL)
            return false;
        const struct resource *inner = map_get_u64(&p->schema->resources, jschema_key(target->node));
        target->resource = inner != NULL ? inner : target->resource;
        pointer = slice_of(pointer.data + len, pointer.len - len);
    }
    return true;
}

// Reads the texts of that name, or all that were not read before (name NULL).
static enum status read_references(struct parsing *p, const struct slice *name)
{
    enum status status = ST_OK;
    struct target root;
    for (size_t i = 0; i < p->source->n_refs && status == ST_OK; i++) {
        const struct schema_reference *ref = &p->source->refs[i];
        if (p->read[i] || (name != NULL && !slice_equal(ref->name, *name)))
            continue;
        p->read[i] = true;
        char *own = arena_strndup(&p->schema->arena, ref->name.data, ref->name.len); // the caller's goes away
        status = own != NULL ? read_text(p, slice_str(own), ref->text, &root) : full(p);
    }
    return status;
}

static bool known_resource(const struct parsing *p, struct slice uri, struct slice as_written,
                           struct target *target)
{
    const struct target *found = map_get(&p->schema->places, uri);
    if (found == NULL)
        found = map_get(&p->schema->places, as_written);
    if (found != NULL)
        *target = *found;
    return found != NULL;
}

// The resource of a URI: known, or a text by the name it came with, or a metaschema, or a text by its "$id".
// A text that nothing leads to is not read, so that what is wrong with it does not matter.
static enum status find_resource(struct parsing *p, struct slice uri, struct slice as_written,
                                 struct target *target)
{
    const struct slice *names[] = {&uri, &as_written, NULL};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct slice builtin = names[i] == NULL ? jschema_builtin(uri) : (struct slice){0};
        if (known_resource(p, uri, as_written, target))
            return ST_OK;
        if (builtin.data != NULL)
            return read_text(p, uri, builtin, target);
        enum status status = read_references(p, names[i]);
        if (status != ST_OK)
            return status;
    }
    return known_resource(p, uri, as_written, target) ? ST_OK : ST_NOT_FOUND;
}

static enum status find_target(struct parsing *p, const struct reference *ref, struct target *target)
{
    struct slice fragment,
        uri = uri_resolve(&p->schema->arena, ref->resource->uri, ref->from->text, &fragment);
    if (uri.data == NULL)
        return full(p);
    enum status status = find_resource(p, uri, uri_bare(ref->from->text), target);
    if (status != ST_OK || fragment.len == 0)
        return status;
    if (fragment.data[0] == '/')
        return follow_pointer(p, fragment, target) ? ST_OK : ST_NOT_FOUND;
    struct slice home = target->resource->uri;
    char *key = arena_printf(&p->schema->arena, "%.*s#%.*s", (int)home.len, (const char *)home.data,
                             (int)fragment.len, (const char *)fragment.data);
    const struct target *found = key != NULL ? map_get(&p->schema->places, slice_str(key)) : NULL;
    if (found != NULL)
        *target = *found;
    return found != NULL ? ST_OK : ST_NOT_FOUND;
}

static enum status follow_refs(struct parsing *p)
{
    for (; p->refs != NULL; p->refs = p->refs->next) {
        struct target found, *target = arena_alloc(&p->schema->arena, sizeof *target);
        enum status status = target != NULL ? find_target(p, p->refs, &found) : full(p);
        if (status == ST_NOT_FOUND)
            status = schema_fail(p->error, ST_MALFORMED, "the reference %.*s leads nowhere",
                                 TEXT_ARGS(p->refs->from->text));
        if (status == ST_OK)
            status = walk(p, found.node, found.resource);
        if (status != ST_OK)
            return status;
        *target = found;
        map_put_u64(&p->schema->refs, jschema_key(p->refs->from), target);
    }
    return ST_OK;
}

static enum status parse_all(struct parsing *p)
{
    struct target root = {.node = NULL};
    p->read = arena_calloc(&p->schema->arena, p->source->n_refs, sizeof *p->read);
    if (p->read == NULL)
        return full(p);
    enum status status = read_text(p, slice_str(""), p->source->text, &root);
    p->schema->root = root.node;
    p->schema->resource = root.resource;
    return status == ST_OK ? follow_refs(p) : status;
}

enum status jschema_parse(const struct schema_source *source, enum jschema_draft draft,
                          struct schema_error *error, struct jschema **schema)
{
    struct jschema *made = mem_calloc(1, sizeof *made);
    struct parsing parsing = {.schema = made,
                              .error = error,
                              .source = source,
                              .pattern_bytes = JSCHEMA_PATTERNS_MAX,
                              .draft = draft};
    uint64_t seed = jschema_key(made);
    size_t total = source->text.len;
    for (size_t i = 0; i < source->n_refs; i++)
        total += source->refs[i].text.len;
    *schema = NULL;
    *error = (struct schema_error){.code = ST_OK};
    arena_init(&made->arena, MEMORY_PER_BYTE * total + MEMORY_AT_LEAST);
    map_init(&made->places, seed);
    map_init(&made->resources, seed);
    map_init(&made->refs, seed);
    map_init(&made->patterns, seed);
    map_init(&parsing.walked, seed);
    parsing.refs_end = &parsing.refs;
    parsing.texts_end = &made->texts;
    enum status status = parse_all(&parsing);
    map_fini(&parsing.walked);
    if (status == ST_OK)
        *schema = made;
    else
        jschema_free(made);
    return status;
}

void jschema_free(struct jschema *schema)
{
    if (schema == NULL)
        return;
    map_clear(&schema->patterns, jschema_pattern_free);
    map_fini(&schema->patterns);
    map_fini(&schema->refs);
    map_fini(&schema->resources);
    map_fini(&schema->places);
    arena_fini(&schema->arena);
    mem_free(schema);
}
