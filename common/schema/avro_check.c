// SPDX-License-Identifier: Apache-2.0
// Whether data of one Avro schema can be read with another: org.apache.avro.SchemaCompatibility of 1.12,
// verdict by verdict, since that is what Confluent's registry asks. Each pair of types is compared once and
// its result kept; a pair that is met while it is being compared (a recursive type) counts as readable. Some
// of Java's ways look like oversights and are kept, for clients compare the answers: a path below a union
// begins at the union, a result is told with the path where it was found first, a reader's enum field with a
// default of the enum but none of the field does not fit a writer without it.
#include "schema/avro.h"

#include "base/mem.h"

#include <stdio.h>

struct place {
    const struct place *up; // NULL at the root, whose token is not told
    const char *token;      // NULL: an index
    uint32_t index;
};

struct pair {
    const struct avro_type *reader, *writer;
};

struct fault {
    const char *type, *path, *message;
    struct pair pair;
};

// Faults of one pair, at most SCHEMA_FINDINGS_MAX of them.
struct verdict {
    bool bad;
    bool more; // there were others
    bool open; // being compared
    uint32_t count, room;
    const struct fault **faults;
};

struct checker {
    struct arena arena;
    struct map pairs; // (reader, writer) -> struct verdict
    int depth;
    enum status status;        // LIMIT or NO_MEMORY: the walk stops
    const struct fault *abort; // what Java throws an exception for; nothing else is told then
};

static void compare(struct checker *c, const struct place *at, const struct avro_type *reader,
                    const struct avro_type *writer, struct verdict *verdict);

static bool make_room(struct checker *c, struct verdict *verdict)
{
    if (verdict->count < verdict->room)
        return true;
    uint32_t room = verdict->room > 0 ? 2 * verdict->room : 4;
    const struct fault **faults = arena_calloc(&c->arena, room, sizeof *faults);
    if (faults == NULL) {
        c->status = ST_LIMIT;
        return false;
    }
    for (uint32_t i = 0; i < verdict->count; i++)
        faults[i] = verdict->faults[i];
    verdict->faults = faults;
    verdict->room = room;
    return true;
}

static void found(struct checker *c, struct verdict *verdict, const struct fault *fault)
{
    verdict->bad = true;
    verdict->more |= verdict->count == SCHEMA_FINDINGS_MAX;
    if (fault != NULL && verdict->count < SCHEMA_FINDINGS_MAX && make_room(c, verdict))
        verdict->faults[verdict->count++] = fault;
}

// A verdict into another: what was found is told in order.
static void merge(struct checker *c, struct verdict *into, const struct verdict *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        found(c, into, from->faults[i]);
    into->bad |= from->bad;
    into->more |= from->more;
}

static void write_place(const struct place *at, struct buf *out)
{
    if (at->up == NULL)
        return;
    write_place(at->up, out);
    buf_printf(out, at->up->up == NULL ? "" : "/");
    if (at->token != NULL)
        buf_printf(out, "%s", at->token);
    else
        buf_printf(out, "%u", at->index);
}

static const char *path_text(struct checker *c, const struct place *at)
{
    struct buf path;
    buf_init(&path, SCHEMA_TEXT_MAX);
    buf_put_u8(&path, '/');
    write_place(at, &path);
    const char *text = buf_status(&path) == ST_OK ? arena_strndup(&c->arena, path.data, path.len) : NULL;
    buf_fini(&path);
    return text;
}

// message: in the checker's arena; NULL when that is full, as is the result.
static const struct fault *new_fault(struct checker *c, const char *type, const struct place *at,
                                     struct pair pair, const char *message)
{
    struct fault *fault = arena_alloc(&c->arena, sizeof *fault);
    const char *path = path_text(c, at);
    if (fault == NULL || path == NULL || message == NULL) {
        c->status = ST_LIMIT;
        return NULL;
    }
    *fault = (struct fault){.type = type, .path = path, .message = message, .pair = pair};
    return fault;
}

static const char *upper(enum avro_kind kind, char out[16])
{
    size_t i = 0;
    for (const char *name = avro_kind_name(kind); name[i] != '\0'; i++)
        out[i] = (char)(name[i] - 'a' + 'A');
    out[i] = '\0';
    return out;
}

static void type_mismatch(struct checker *c, const struct place *at, struct pair pair,
                          struct verdict *verdict)
{
    char reader[16], writer[16];
    const char *message = arena_printf(&c->arena, "reader type: %s not compatible with writer type: %s",
                                       upper(pair.reader->kind, reader), upper(pair.writer->kind, writer));
    found(c, verdict, new_fault(c, "TYPE_MISMATCH", at, pair, message));
}

static void lacking_branch(struct checker *c, const struct place *at, struct pair pair,
                           const struct avro_type *branch, struct verdict *verdict)
{
    char name[16];
    const char *message =
        arena_printf(&c->arena, "reader union lacking writer type: %s", upper(branch->kind, name));
    found(c, verdict, new_fault(c, "MISSING_UNION_BRANCH", at, pair, message));
}

// SchemaCompatibility.schemaNameEquals: the last part of the names, or an alias of the reader in full.
static bool names_fit(const struct avro_type *reader, const struct avro_type *writer)
{
    if (slice_equal(reader->name.last, writer->name.last))
        return true;
    for (uint32_t i = 0; i < reader->alias_count; i++) {
        const struct avro_name *alias = &reader->aliases[i];
        bool dotted = alias->space.data == NULL && reader->name.space.data != NULL; // ".C", never a full name
        if (!dotted && slice_equal(alias->full, writer->name.full))
            return true;
    }
    return false;
}

static void check_names(struct checker *c, const struct place *at, struct pair pair, struct verdict *verdict)
{
    struct place here = {.up = at, .token = "name"};
    if (names_fit(pair.reader, pair.writer))
        return;
    const char *message = arena_printf(&c->arena, "expected: %.*s", (int)pair.writer->name.full.len,
                                       (const char *)pair.writer->name.full.data);
    found(c, verdict, new_fault(c, "NAME_MISMATCH", &here, pair, message));
}

static void check_size(struct checker *c, const struct place *at, struct pair pair, struct verdict *verdict)
{
    struct place here = {.up = at, .token = "size"};
    if (pair.reader->size == pair.writer->size)
        return;
    const char *message =
        arena_printf(&c->arena, "expected: %d, found: %d", (int)pair.writer->size, (int)pair.reader->size);
    found(c, verdict, new_fault(c, "FIXED_SIZE_MISMATCH", &here, pair, message));
}

// As Java prints a TreeSet of what the writer has and the reader has not: "[A, B]". Empty: nothing is
// missing.
static void missing_symbols(struct pair pair, struct buf *out)
{
    const struct avro_index *symbols = &pair.writer->index;
    for (uint32_t i = 0; i < symbols->count; i++) {
        struct slice symbol = symbols->names[symbols->order[i]];
        if (avro_index_find(&pair.reader->index, symbol) >= 0)
            continue;
        buf_printf(out, out->len > 0 ? ", " : "[");
        buf_append(out, symbol.data, symbol.len);
    }
    if (out->len > 0)
        buf_put_u8(out, ']');
}

static void check_symbols(struct checker *c, const struct place *at, struct pair pair,
                          struct verdict *verdict)
{
    struct place here = {.up = at, .token = "symbols"};
    struct buf missing;
    if (pair.reader->symbol.data != NULL)
        return; // the reader's default stands for what it does not know
    buf_init(&missing, SCHEMA_TEXT_MAX + 2);
    missing_symbols(pair, &missing);
    if (missing.len > 0) {
        const char *message = arena_strndup(&c->arena, missing.data, missing.len);
        found(c, verdict, new_fault(c, "MISSING_ENUM_SYMBOLS", &here, pair, message));
    }
    buf_fini(&missing);
}

// The field of the writer that the reader's field is filled from: of its name or one of its aliases. More
// than one: Java throws, and the check ends.
static const struct avro_field *writer_field(struct checker *c, struct pair pair,
                                             const struct avro_field *field)
{
    const struct avro_type *writer = pair.writer;
    int match = avro_index_find(&writer->index, field->name), matches = match >= 0;
    for (uint32_t i = 0; i < field->alias_count; i++) {
        int other = avro_index_find(&writer->index, field->aliases[i]);
        match = other >= 0 ? other : match;
        matches += other >= 0;
    }
    if (matches < 2)
        return matches == 1 ? &writer->fields[match] : NULL;
    static const struct place root = {.token = ""};
    char kind[16];
    const char *message = arena_printf(
        &c->arena, "Reader record field %.*s type:%s matches multiple fields in the writer's record %.*s",
        (int)field->name.len, (const char *)field->name.data, upper(field->type->kind, kind),
        (int)writer->name.full.len, (const char *)writer->name.full.data);
    c->abort = new_fault(c, "AMBIGUOUS_FIELD", &root, pair, message);
    return NULL;
}

static void check_field(struct checker *c, const struct place *at, struct pair pair, uint32_t index,
                        struct verdict *verdict)
{
    const struct avro_field *field = &pair.reader->fields[index], *from = writer_field(c, pair, field);
    struct place here = {.up = at, .index = index}, type = {.up = &here, .token = "type"};
    struct verdict inner = {.bad = false};
    if (c->abort != NULL || (from == NULL && field->value != NULL))
        return;
    if (from != NULL) {
        compare(c, &type, field->type, from->type, &inner);
    } else if (field->type->kind == AVRO_ENUM && field->type->symbol.data != NULL) {
        compare(c, &type, field->type, pair.writer, &inner);
    } else {
        const char *message = arena_strndup(&c->arena, field->name.data, field->name.len);
        found(c, &inner, new_fault(c, "READER_FIELD_MISSING_DEFAULT_VALUE", &here, pair, message));
    }
    merge(c, verdict, &inner);
}

static bool going_on(const struct checker *c)
{
    return c->status == ST_OK && c->abort == NULL;
}

static void check_fields(struct checker *c, const struct place *at, struct pair pair, struct verdict *verdict)
{
    struct place fields = {.up = at, .token = "fields"};
    for (uint32_t i = 0; i < pair.reader->count && going_on(c); i++)
        check_field(c, &fields, pair, i, verdict);
}

// Each branch of the writer must be readable with the reader's union; how it fails is not told.
static void check_branches(struct checker *c, const struct place *at, struct pair pair,
                           struct verdict *verdict)
{
    static const struct place root = {.token = ""};
    struct place here = {.up = at};
    for (; here.index < pair.writer->count && going_on(c); here.index++) {
        const struct avro_type *branch = pair.writer->branches[here.index];
        struct verdict inner = {.bad = false};
        compare(c, &root, pair.reader, branch, &inner);
        if (inner.bad)
            lacking_branch(c, &here, pair, branch, verdict);
    }
}

static void check_same_kind(struct checker *c, const struct place *at, struct pair pair,
                            struct verdict *verdict)
{
    struct place items = {.up = at, .token = pair.reader->kind == AVRO_ARRAY ? "items" : "values"};
    switch (pair.reader->kind) {
    case AVRO_ARRAY:
    case AVRO_MAP:
        compare(c, &items, pair.reader->items, pair.writer->items, verdict);
        break;
    case AVRO_FIXED:
        check_names(c, at, pair, verdict);
        check_size(c, at, pair, verdict);
        break;
    case AVRO_ENUM:
        check_names(c, at, pair, verdict);
        check_symbols(c, at, pair, verdict);
        break;
    case AVRO_RECORD:
        check_names(c, at, pair, verdict);
        check_fields(c, at, pair, verdict);
        break;
    case AVRO_UNION:
        check_branches(c, at, pair, verdict);
        break;
    default:
        break; // a primitive
    }
}

// Promotions (specification, "Schema Resolution").
static bool promoted(enum avro_kind reader, enum avro_kind writer)
{
    switch (reader) {
    case AVRO_LONG:
        return writer == AVRO_INT;
    case AVRO_FLOAT:
        return writer == AVRO_INT || writer == AVRO_LONG;
    case AVRO_DOUBLE:
        return writer == AVRO_INT || writer == AVRO_LONG || writer == AVRO_FLOAT;
    case AVRO_BYTES:
        return writer == AVRO_STRING;
    case AVRO_STRING:
        return writer == AVRO_BYTES;
    default:
        return false;
    }
}

// A writer that is no union against a reader's union: one branch that reads it is enough.
static void check_choice(struct checker *c, const struct place *at, struct pair pair, struct verdict *verdict)
{
    static const struct place root = {.token = ""};
    for (uint32_t i = 0; i < pair.reader->count && going_on(c); i++) {
        struct verdict inner = {.bad = false};
        compare(c, &root, pair.reader->branches[i], pair.writer, &inner);
        if (!inner.bad)
            return;
    }
    lacking_branch(c, at, pair, pair.writer, verdict);
}

static void check_other_kind(struct checker *c, const struct place *at, struct pair pair,
                             struct verdict *verdict)
{
    struct place branch = {.up = at};
    if (pair.writer->kind == AVRO_UNION) {
        for (; branch.index < pair.writer->count && going_on(c); branch.index++)
            compare(c, &branch, pair.reader, pair.writer->branches[branch.index], verdict);
        return;
    }
    if (pair.reader->kind == AVRO_UNION)
        check_choice(c, at, pair, verdict);
    else if (!promoted(pair.reader->kind, pair.writer->kind))
        type_mismatch(c, at, pair, verdict);
}

static struct verdict *new_pair(struct checker *c, struct slice key)
{
    struct verdict *made = arena_alloc(&c->arena, sizeof *made);
    if (made == NULL || c->depth == AVRO_NEST_MAX || c->pairs.count == AVRO_PAIRS_MAX) {
        c->status = ST_LIMIT;
        return NULL;
    }
    made->open = true;
    map_put(&c->pairs, key, made);
    return made;
}

// Adds to *verdict what there is against reading writer with reader.
static void compare(struct checker *c, const struct place *at, const struct avro_type *reader,
                    const struct avro_type *writer, struct verdict *verdict)
{
    if (reader->kind >= AVRO_STRING && (reader->kind == writer->kind || promoted(reader->kind, writer->kind)))
        return; // nothing to remember
    struct pair pair = {.reader = reader, .writer = writer};
    struct slice key = slice_of(&pair, sizeof pair);
    struct verdict *known = map_get(&c->pairs, key);
    if (known == NULL) {
        known = new_pair(c, key);
        if (known == NULL)
            return;
        c->depth++;
        if (reader->kind == writer->kind)
            check_same_kind(c, at, pair, known);
        else
            check_other_kind(c, at, pair, known);
        c->depth--;
        known->open = false;
    }
    if (!known->open && going_on(c))
        merge(c, verdict, known);
}

// What could be done about a fault, for who wrote the new schema.
static const char *remedy(const struct fault *fault)
{
    static const char *const remedies[][2] = {
        {"NAME_MISMATCH", "keep the name, or give the reader the writer's full name as an alias"},
        {"FIXED_SIZE_MISMATCH", "keep the size, or add a field with a fixed of another name"},
        {"MISSING_ENUM_SYMBOLS", "keep these symbols in the reader, or give its enum a default"},
        {"READER_FIELD_MISSING_DEFAULT_VALUE",
         "give the field a default, or an alias that names a field of the writer"},
        {"MISSING_UNION_BRANCH", "add a branch to the reader's union that reads this type"},
        {"TYPE_MISMATCH",
         "keep the type, or one it can be promoted to (int to long, float or double; long to "
         "float or double; float to double; string and bytes), or use a union of both"},
        {"AMBIGUOUS_FIELD", "let the field's name and aliases name only one field of the writer"},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (strcmp(remedies[i][0], fault->type) == 0)
            return remedies[i][1];
    return "";
}

static const char *fragment(struct arena *arena, const struct schema *schema, const struct avro_type *type)
{
    struct buf text;
    buf_init(&text, SCHEMA_FRAGMENT_MAX - 4);
    bool cut = avro_type_text(avro_of(schema), type, &text) != ST_OK;
    const char *made =
        arena_printf(arena, "%.*s%s", (int)text.len, (const char *)text.data, cut ? "..." : "");
    buf_fini(&text);
    return made;
}

static enum status tell(struct schema_findings *findings, const struct fault *fault,
                        const struct schema *reader, const struct schema *writer)
{
    struct arena *arena = &findings->arena;
    struct schema_finding *finding = &findings->items[findings->count];
    finding->type = fault->type;
    finding->path = arena_strndup(arena, fault->path, strlen(fault->path));
    finding->message = arena_strndup(arena, fault->message, strlen(fault->message));
    finding->reader = fragment(arena, reader, fault->pair.reader);
    finding->writer = fragment(arena, writer, fault->pair.writer);
    finding->remedy = remedy(fault);
    if (!finding->path || !finding->message || !finding->reader || !finding->writer)
        return ST_LIMIT;
    findings->count++;
    return ST_OK;
}

enum status avro_check(const struct schema *reader, const struct schema *writer,
                       struct schema_findings *findings)
{
    enum { MEMORY = 128 << 20 };
    static const struct place root = {.token = ""};
    struct checker c = {.status = ST_OK};
    struct verdict verdict = {.bad = false};
    arena_init(&c.arena, MEMORY);
    map_init(&c.pairs, (uint64_t)(uintptr_t)reader);
    compare(&c, &root, avro_of(reader)->root, avro_of(writer)->root, &verdict);
    if (c.abort != NULL)
        verdict = (struct verdict){.bad = true, .count = 1, .faults = &c.abort};
    for (uint32_t i = 0; i < verdict.count && c.status == ST_OK; i++)
        c.status = tell(findings, verdict.faults[i], reader, writer);
    findings->more = verdict.more;
    map_fini(&c.pairs);
    arena_fini(&c.arena);
    return c.status;
}
