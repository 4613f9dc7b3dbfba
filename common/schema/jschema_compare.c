// SPDX-License-Identifier: Apache-2.0
// Whether values of one JSON schema are values of another, by the rules of Confluent's registry
// (io.confluent.kafka.schemaregistry.json.diff.SchemaDiff, 8.x) and with its codes. The rules look at parts
// of the same shape keyword by keyword; they are no proof: what they do not look at ("format", "if",
// "contains", "propertyNames", patterns of properties, exclusive bounds of draft 4) may change freely, as
// there. A pair that is met while it is being compared fits, so that recursion ends. What is found is kept
// for the next time the pair is met, but a verdict that rests on such an assumption falls with it. Ours on
// purpose: "multipleOf" is compared as a number with its fraction, and an exclusive maximum that is lowered
// is told where there is no maximum beside it (Confluent's class ends in an exception for both).
#include "schema/jschema_compare.h"

#include <stdlib.h>

bool compare_step(struct comparing *c, size_t steps)
{
    c->steps += steps;
    if (c->steps > JSCHEMA_COMPARE_STEPS_MAX)
        c->status = ST_LIMIT;
    return c->status == ST_OK;
}

// ---- reasons ----

static void put_escaped(struct slice name, struct buf *out)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] == '~' || name.data[i] == '/')
            buf_printf(out, name.data[i] == '~' ? "~0" : "~1"); // RFC 6901
        else
            buf_put_u8(out, name.data[i]);
}

static void put_place(const struct place *at, struct buf *out)
{
    if (at->up != NULL) {
        put_place(at->up, out);
        buf_put_u8(out, '/');
    }
    if (at->keyword == NULL)
        put_escaped(at->name, out);
    else if (at->index < 0)
        buf_printf(out, "%s", at->keyword);
    else
        buf_printf(out, "%s/%d", at->keyword, at->index);
}

static const char *path_of(struct comparing *c, const struct place *at)
{
    struct buf path;
    buf_init(&path, SCHEMA_TEXT_MAX);
    if (at != NULL)
        put_place(at, &path);
    const char *text = buf_status(&path) == ST_OK ? arena_strndup(&c->arena, path.data, path.len) : NULL;
    buf_fini(&path);
    return text;
}

static void add(struct comparing *c, struct outcome *outcome, const struct place *at, struct reason reason)
{
    outcome->bad = true;
    if (outcome->count == SCHEMA_FINDINGS_MAX) {
        outcome->more = true;
        return;
    }
    struct reason *made = arena_alloc(&c->arena, sizeof *made);
    reason.path = path_of(c, at);
    if (made == NULL || reason.path == NULL) {
        c->status = ST_LIMIT;
        return;
    }
    *made = reason;
    *outcome->last = made;
    outcome->last = &made->next;
    outcome->count++;
}

// SchemaDiff.COMPATIBLE_CHANGES_LENIENT as of Confluent's change 4292, without what is compatible anyway.
static bool lenient_allows(const char *code)
{
    static const char *const codes[] = {"OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
                                        "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
                                        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
                                        "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                                        "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                                        "ADDITIONAL_PROPERTIES_NARROWED",
                                        "ADDITIONAL_PROPERTIES_REMOVED"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}

void compare_fail(struct comparing *c, struct outcome *outcome, const struct place *at, const char *code,
                  const struct tree *writer, const struct tree *reader)
{
    if (c->lenient && lenient_allows(code))
        return;
    add(c, outcome, at, (struct reason){.code = code, .writer = writer, .reader = reader});
}

void compare_inside(struct comparing *c, struct outcome *outcome, const struct place *at,
                    const struct part *writer, const struct part *reader)
{
    if (reader == NULL)
        return;
    if (writer == NULL) {
        compare_fail(c, outcome, at, "SCHEMA_ADDED", NULL, reader->node);
        return;
    }
    const struct outcome *inner = compare_pair(c, writer, reader);
    if (inner->bad)
        add(c, outcome, at, (struct reason){.inner = inner});
}

// ---- keywords ----

static const struct tree *number(const struct part *part, const char *keyword)
{
    const struct tree *found = part_keyword(part, keyword);
    return found != NULL && (found->kind == TREE_INTEGER || found->kind == TREE_REAL) ? found : NULL;
}

void compare_limit(struct comparing *c, struct outcome *outcome, const struct limit *limit,
                   const struct tree *from, const struct tree *to)
{
    struct place at = {.keyword = limit->keyword, .index = -1};
    if (to == NULL)
        return;
    if (from == NULL)
        compare_fail(c, outcome, &at, limit->added, from, to);
    else if (limit->sign * keywords_order(to, from) < 0)
        compare_fail(c, outcome, &at, limit->tightened, from, to);
}

void compare_limits(struct comparing *c, struct outcome *outcome, const struct limit *limits, size_t count,
                    const struct part *writer, const struct part *reader)
{
    for (size_t i = 0; i < count; i++)
        compare_limit(c, outcome, &limits[i], number(writer, limits[i].keyword),
                      number(reader, limits[i].keyword));
}

static int by_value(const void *a, const void *b)
{
    return keywords_order(*(const struct tree *const *)a, *(const struct tree *const *)b);
}

static const struct tree **sorted(struct comparing *c, const struct tree *list)
{
    const struct tree **items = arena_calloc(&c->arena, (size_t)list->count + 1, sizeof *items);
    size_t count = 0;
    if (items == NULL || !compare_step(c, list->count)) {
        c->status = ST_LIMIT;
        return NULL;
    }
    for (const struct tree *at = list->first; at != NULL; at = at->next)
        items[count++] = at;
    qsort(items, count, sizeof *items, by_value);
    return items;
}

// Whether every value of one sorted list is in the other.
static bool all_in(const struct tree *const *these, size_t count, const struct tree *const *others,
                   size_t other_count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        while (at < other_count && keywords_order(others[at], these[i]) < 0)
            at++;
        if (at == other_count || keywords_order(others[at], these[i]) != 0)
            return false;
    }
    return true;
}

enum relation compare_lists(struct comparing *c, const struct tree *writer, const struct tree *reader)
{
    const struct tree **from = sorted(c, writer), **to = sorted(c, reader);
    if (from == NULL || to == NULL)
        return APART;
    bool kept = all_in(from, writer->count, to, reader->count);
    bool known = all_in(to, reader->count, from, writer->count);
    return kept && known ? SAME : kept ? READER_HAS_MORE : known ? WRITER_HAS_MORE : APART;
}

static void compare_strings(struct comparing *c, struct outcome *outcome, const struct part *writer,
                            const struct part *reader)
{
    static const struct limit limits[] = {{"maxLength", 1, "MAX_LENGTH_ADDED", "MAX_LENGTH_DECREASED"},
                                          {"minLength", -1, "MIN_LENGTH_ADDED", "MIN_LENGTH_INCREASED"}};
    const struct tree *from = part_keyword(writer, "pattern"), *to = part_keyword(reader, "pattern");
    struct place at = {.keyword = "pattern", .index = -1};
    compare_limits(c, outcome, limits, 2, writer, reader);
    if (from == NULL && to != NULL)
        compare_fail(c, outcome, &at, "PATTERN_ADDED", from, to);
    else if (to != NULL && keywords_order(from, to) != 0)
        compare_fail(c, outcome, &at, "PATTERN_CHANGED", from, to);
}

static void compare_multiples(struct comparing *c, struct outcome *outcome, const struct part *writer,
                              const struct part *reader)
{
    const struct tree *from = number(writer, "multipleOf"), *to = number(reader, "multipleOf");
    struct place at = {.keyword = "multipleOf", .index = -1};
    if (to == NULL || (from != NULL && (keywords_order(from, to) == 0 || keywords_multiple(from, to))))
        return;
    const char *code = from == NULL                  ? "MULTIPLE_OF_ADDED"
                       : keywords_multiple(to, from) ? "MULTIPLE_OF_EXPANDED"
                                                     : "MULTIPLE_OF_CHANGED";
    compare_fail(c, outcome, &at, code, from, to);
}

static void compare_numbers(struct comparing *c, struct outcome *outcome, const struct part *writer,
                            const struct part *reader)
{
    static const struct limit limits[] = {
        {"maximum", 1, "MAXIMUM_ADDED", "MAXIMUM_DECREASED"},
        {"minimum", -1, "MINIMUM_ADDED", "MINIMUM_INCREASED"},
        {"exclusiveMaximum", 1, "EXCLUSIVE_MAXIMUM_ADDED", "EXCLUSIVE_MAXIMUM_DECREASED"},
        {"exclusiveMinimum", -1, "EXCLUSIVE_MINIMUM_ADDED", "EXCLUSIVE_MINIMUM_INCREASED"}};
    compare_limits(c, outcome, limits, 4, writer, reader);
    compare_multiples(c, outcome, writer, reader);
    if (reader->integer && !writer->integer)
        compare_fail(c, outcome, NULL, "TYPE_NARROWED", writer->node, reader->node);
}

static void compare_enums(struct comparing *c, struct outcome *outcome, const struct part *writer,
                          const struct part *reader)
{
    const struct tree *from = part_keyword(writer, "enum"), *to = part_keyword(reader, "enum");
    struct place at = {.keyword = "enum", .index = -1};
    enum relation relation = compare_lists(c, from, to);
    if (relation >= WRITER_HAS_MORE)
        compare_fail(c, outcome, &at, relation == APART ? "ENUM_ARRAY_CHANGED" : "ENUM_ARRAY_NARROWED", from,
                     to);
}

static void compare_constants(struct comparing *c, struct outcome *outcome, const struct part *writer,
                              const struct part *reader)
{
    const struct tree *from = part_keyword(writer, "const"), *to = part_keyword(reader, "const");
    struct place at = {.keyword = "const", .index = -1};
    if (keywords_order(from, to) != 0)
        compare_fail(c, outcome, &at, "ENUM_ARRAY_CHANGED", from, to);
}

// What must not match may only become less: the sides change places.
static void compare_negations(struct comparing *c, struct outcome *outcome, const struct part *writer,
                              const struct part *reader)
{
    const struct tree *from = part_keyword(writer, "not"), *to = part_keyword(reader, "not");
    struct place at = {.keyword = "not", .index = -1};
    if (!compare_fits(c, part_at(reader, to), part_at(writer, from)))
        compare_fail(c, outcome, &at, "NOT_TYPE_EXTENDED", from, to);
}

// ---- pairs ----

static bool any_fits(struct comparing *c, const struct part *choice, const struct part *other,
                     bool choice_is_reader)
{
    for (uint32_t i = 0; i < choice->count && c->status == ST_OK; i++)
        if (choice_is_reader ? compare_fits(c, other, choice->parts[i])
                             : compare_fits(c, choice->parts[i], other))
            return true;
    return false;
}

// A choice against a part that is none: one branch of the reader's is enough, and of the writer's "allOf" one
// that fits, for its values fit all of them.
static bool fits_a_branch(struct comparing *c, const struct part *writer, const struct part *reader)
{
    bool from = writer->shape == PART_CHOICE, to = reader->shape == PART_CHOICE;
    if (from == to)
        return false;
    const struct part *choice = from ? writer : reader;
    bool free = choice->count == 1 || (from == (choice->criterion == PART_ALL_OF));
    return free && any_fits(c, choice, from ? reader : writer, to);
}

// Kafka Connect's logical types change their JSON form with a converter's settings; both say "bytes".
static bool both_connect_bytes(const struct part *writer, const struct part *reader)
{
    const struct tree *from = tree_get(writer->node, slice_str("connect.type"));
    const struct tree *to = tree_get(reader->node, slice_str("connect.type"));
    return from != NULL && to != NULL && from->kind == TREE_STRING && to->kind == TREE_STRING &&
           slice_is(from->text, "bytes") && slice_is(to->text, "bytes");
}

static void compare_same_shape(struct comparing *c, struct outcome *outcome, const struct part *writer,
                               const struct part *reader)
{
    static void (*const rules[])(struct comparing *, struct outcome *, const struct part *,
                                 const struct part *) = {
        [PART_STRING] = compare_strings, [PART_NUMBER] = compare_numbers, [PART_ARRAY] = compare_arrays,
        [PART_OBJECT] = compare_objects, [PART_ENUM] = compare_enums,     [PART_CONST] = compare_constants,
        [PART_NOT] = compare_negations,  [PART_CHOICE] = compare_choices, [PART_LINK] = NULL};
    if (rules[writer->shape] != NULL)
        rules[writer->shape](c, outcome, writer, reader);
}

static void compare_parts(struct comparing *c, struct outcome *outcome, const struct part *writer,
                          const struct part *reader)
{
    if (writer->shape == PART_NEVER || reader->shape == PART_ANY || fits_a_branch(c, writer, reader))
        return;
    if (writer->shape == reader->shape)
        compare_same_shape(c, outcome, writer, reader);
    else if (!both_connect_bytes(writer, reader))
        compare_fail(c, outcome, NULL, "TYPE_CHANGED", writer->node, reader->node);
}

static struct outcome *new_outcome(struct comparing *c, struct slice key)
{
    struct outcome *made = arena_alloc(&c->arena, sizeof *made);
    if (made == NULL || c->depth == JSCHEMA_NEST_MAX || c->pairs.count == JSCHEMA_PAIRS_MAX) {
        c->status = ST_LIMIT;
        return NULL;
    }
    *made = (struct outcome){.open = true, .depth = c->depth};
    made->last = &made->first;
    map_put(&c->pairs, key, made);
    return made;
}

// ---- assumptions ----

// The outermost open pair that a verdict relies on, or NULL. One that has closed since and fits relies on
// pairs further out, or on none.
static struct outcome *relied_on(struct outcome *outcome)
{
    if (outcome->relies != NULL && !outcome->relies->open)
        outcome->relies = relied_on(outcome->relies);
    return outcome->relies;
}

// The pair being compared takes an open one (or NULL) as fitting.
static void rely(struct comparing *c, struct outcome *on)
{
    struct outcome *pair = c->inmost;
    if (pair != NULL && on != NULL && (pair->relies == NULL || on->depth < pair->relies->depth))
        pair->relies = on;
}

// doubtful: the newest doubtful pair when this one was opened. One that does not fit has all that rest on it
// compared again; itself it stays, for a pair fits no better when others fit less. Hence no pair fails twice,
// which bounds how often the others are compared.
static void close_pair(struct comparing *c, struct outcome *pair, struct outcome *doubtful)
{
    pair->open = false;
    if (pair->bad || pair->relies == pair)
        pair->relies = NULL;
    if (pair->relies != NULL) {
        pair->older = c->doubtful;
        c->doubtful = pair;
        return;
    }
    for (; c->doubtful != doubtful; c->doubtful = c->doubtful->older)
        c->doubtful->stale = pair->bad;
}

static const struct outcome *compare_anew(struct comparing *c, struct outcome *pair,
                                          const struct part *writer, const struct part *reader)
{
    struct outcome *outer = c->inmost, *doubtful = c->doubtful;
    c->inmost = pair;
    c->depth++;
    compare_parts(c, pair, writer, reader);
    c->depth--;
    c->inmost = outer;
    close_pair(c, pair, doubtful);
    rely(c, pair->relies);
    return pair;
}

const struct outcome *compare_pair(struct comparing *c, const struct part *writer, const struct part *reader)
{
    static const struct outcome fitting = {.bad = false};
    const struct part *pair[] = {part_settle(writer), part_settle(reader)};
    struct slice key = slice_of(pair, sizeof pair);
    struct outcome *known = map_get(&c->pairs, key);
    if (known != NULL && !known->stale) {
        rely(c, known->open ? known : relied_on(known));
        return known->open ? &fitting : known;
    }
    known = compare_step(c, 1) ? new_outcome(c, key) : NULL;
    if (known == NULL)
        return &fitting; // the status says that this is no verdict
    return compare_anew(c, known, pair[0], pair[1]);
}

bool compare_fits(struct comparing *c, const struct part *writer, const struct part *reader)
{
    return !compare_pair(c, writer, reader)->bad;
}

// ---- the whole ----

static const char *fragment(struct arena *arena, const struct tree *tree)
{
    struct buf text;
    if (tree == NULL)
        return "nothing";
    buf_init(&text, SCHEMA_FRAGMENT_MAX - 4);
    tree_print_exact(tree, false, &text);
    bool cut = buf_status(&text) != ST_OK;
    const char *made =
        arena_printf(arena, "%.*s%s", (int)text.len, (const char *)text.data, cut ? "..." : "");
    buf_fini(&text);
    return made;
}

static enum status tell_one(struct schema_findings *findings, const struct reason *reason,
                            const struct buf *path)
{
    struct arena *arena = &findings->arena;
    struct schema_finding *finding = &findings->items[findings->count];
    struct wording wording = jschema_wording(reason->code);
    *finding = (struct schema_finding){.type = reason->code, .remedy = wording.remedy};
    finding->path = arena_printf(arena, "#/%.*s", (int)path->len, (const char *)path->data);
    finding->reader = fragment(arena, reason->reader);
    finding->writer = fragment(arena, reason->writer);
    finding->message = arena_printf(arena, "reader: %s, writer: %s", finding->reader, finding->writer);
    if (!finding->path || !finding->message || !finding->reader || !finding->writer)
        return ST_LIMIT;
    findings->count++;
    return ST_OK;
}

// path: where the pair is, put back at the end.
static enum status tell(struct schema_findings *findings, const struct outcome *outcome, struct buf *path)
{
    enum status status = ST_OK;
    findings->more |= outcome->more;
    for (const struct reason *at = outcome->first; at != NULL && status == ST_OK; at = at->next) {
        size_t len = path->len;
        if (findings->count == SCHEMA_FINDINGS_MAX) {
            findings->more = true;
            return ST_OK;
        }
        buf_printf(path, "%s%s", len > 0 && *at->path != '\0' ? "/" : "", at->path);
        status = buf_status(path);
        if (status == ST_OK)
            status = at->code != NULL ? tell_one(findings, at, path) : tell(findings, at->inner, path);
        path->len = len;
    }
    return status;
}

enum status jschema_compare(const struct jschema *reader, const struct jschema *writer, bool lenient,
                            struct schema_findings *findings)
{
    enum { MEMORY = 128 << 20 };
    struct comparing c = {.status = ST_OK, .lenient = lenient};
    struct model from, to;
    struct buf path;
    arena_init(&c.arena, MEMORY);
    map_init(&c.pairs, jschema_key(reader));
    model_init(&from, writer, &c.arena, &c.status);
    model_init(&to, reader, &c.arena, &c.status);
    buf_init(&path, SCHEMA_TEXT_MAX);
    const struct outcome *outcome = compare_pair(&c, model_root(&from), model_root(&to));
    enum status status = c.status == ST_OK ? tell(findings, outcome, &path) : c.status;
    buf_fini(&path);
    model_fini(&to);
    model_fini(&from);
    map_fini(&c.pairs);
    arena_fini(&c.arena);
    return status;
}
