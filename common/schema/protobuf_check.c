// SPDX-License-Identifier: Apache-2.0
// Whether data of one Protobuf schema can be read with another, with the verdicts of Confluent's registry
// (io.confluent.kafka.schemaregistry.protobuf.diff: SchemaDiff, MessageSchemaDiff, FieldSchemaDiff,
// OneOfDiff; what SchemaDiff.COMPATIBLE_CHANGES lists is not told). Messages are matched by name, fields by
// number. A type of another file is compared where a field names it, once for each pair; one that is being
// compared counts as readable. Groups, which Confluent passes over, are compared like messages, and are no
// message: the wire differs.
#include "schema/protobuf.h"

#include <stdio.h>

enum { DEPTH_MAX = 1000 };

struct place {
    const struct place *up; // NULL: the root
    struct slice token;
};

struct comparing {
    struct schema_findings *findings;
    const struct protobuf *reader, *writer;
    struct map pairs; // (reader, writer) of other files -> whether they do not fit
    size_t told;      // differences, those beyond the list too
    size_t left;      // comparisons
    int depth;
    enum status status;
};

struct sides { // fragments
    const char *reader, *writer;
};

static void write_place(const struct place *at, struct buf *out)
{
    if (at->up == NULL)
        return;
    write_place(at->up, out);
    if (at->up->up != NULL)
        buf_put_u8(out, '/');
    buf_append(out, at->token.data, at->token.len);
}

static const char *path_of(struct comparing *c, const struct place *at)
{
    struct buf path;
    buf_init(&path, SCHEMA_TEXT_MAX);
    buf_printf(&path, "#/");
    write_place(at, &path);
    const char *text =
        buf_status(&path) == ST_OK ? arena_strndup(&c->findings->arena, path.data, path.len) : NULL;
    buf_fini(&path);
    return text;
}

static const char *remedy(const char *type)
{
    static const char *const remedies[][2] = {
        {"MESSAGE_REMOVED", "keep the message, empty if need be: fields name it, and payloads may be of it"},
        {"FIELD_KIND_CHANGED", "keep the field as it is and add one of another number with the new type"},
        {"FIELD_SCALAR_KIND_CHANGED",
         "keep the type or one of its group (int32, int64, uint32, uint64, bool and enums; sint32 and "
         "sint64; "
         "string and bytes; fixed32 and sfixed32; fixed64 and sfixed64), or add a field of another number"},
        {"FIELD_NAMED_TYPE_CHANGED",
         "keep the message the field names, or add a field of another number with the new one"},
        {"FIELD_NUMERIC_LABEL_CHANGED",
         "keep the label of the field, or add one of another number with the new label"},
        {"REQUIRED_FIELD_ADDED", "make the new field optional"},
        {"REQUIRED_FIELD_REMOVED", "keep the required field"},
        {"ONEOF_FIELD_REMOVED", "keep the field in its oneof; it can be marked as deprecated"},
        {"MULTIPLE_FIELDS_MOVED_TO_ONEOF",
         "move at most one field that exists into a oneof; add the others anew"},
        {"FIELD_MOVED_TO_EXISTING_ONEOF", "leave the field outside of the oneof, which has members already"},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (strcmp(remedies[i][0], type) == 0)
            return remedies[i][1];
    return "";
}

static void found(struct comparing *c, const char *type, const struct place *at, struct sides sides)
{
    struct schema_findings *findings = c->findings;
    c->told++;
    if (findings->count == SCHEMA_FINDINGS_MAX) {
        findings->more = true;
        return;
    }
    struct schema_finding *finding = &findings->items[findings->count];
    *finding = (struct schema_finding){.type = type,
                                       .path = path_of(c, at),
                                       .message = "",
                                       .remedy = remedy(type),
                                       .reader = sides.reader,
                                       .writer = sides.writer};
    if (finding->path == NULL || sides.reader == NULL || sides.writer == NULL)
        c->status = ST_LIMIT;
    else
        findings->count++;
}

// ---- fragments ----

static const char *cut(struct comparing *c, const char *before, struct slice name)
{
    bool is_long = name.len > SCHEMA_FRAGMENT_MAX / 2;
    return arena_printf(&c->findings->arena, "%s %.*s%s", before,
                        is_long ? SCHEMA_FRAGMENT_MAX / 2 : (int)name.len, (const char *)name.data,
                        is_long ? "..." : "");
}

static const char *kind_name(enum protobuf_kind kind)
{
    static const char *const names[] = {
        "",      "double",  "float", "int64",  "uint64", "int32",    "fixed64",  "fixed32", "bool",  "string",
        "group", "message", "bytes", "uint32", "enum",   "sfixed32", "sfixed64", "sint32",  "sint64"};
    return names[kind];
}

static const char *fragment(struct comparing *c, const struct protobuf_field *field)
{
    static const char *const labels[] = {"", "optional ", "required ", "repeated "};
    enum { NAME = SCHEMA_FRAGMENT_MAX / 3 };
    struct slice type = field->type_name.len > 0 ? field->type_name : slice_str(kind_name(field->kind));
    return arena_printf(&c->findings->arena, "%s%.*s %.*s = %u", labels[field->label],
                        (int)(type.len < NAME ? type.len : NAME), (const char *)type.data,
                        (int)(field->name.len < NAME ? field->name.len : NAME),
                        (const char *)field->name.data, field->number);
}

static struct sides field_sides(struct comparing *c, const struct protobuf_field *reader,
                                const struct protobuf_field *writer)
{
    return (struct sides){reader != NULL ? fragment(c, reader) : "(none)",
                          writer != NULL ? fragment(c, writer) : "(none)"};
}

// ---- types ----

static bool compare_imported(struct comparing *c, const struct protobuf_message *reader,
                             const struct protobuf_message *writer);

enum shape { SHAPE_SCALAR, SHAPE_MAP, SHAPE_MESSAGE, SHAPE_GROUP };

static enum shape shape_of(const struct protobuf_field *field)
{
    if (field->kind == PROTOBUF_GROUP)
        return SHAPE_GROUP;
    if (field->kind != PROTOBUF_MESSAGE)
        return SHAPE_SCALAR;
    return field->message->map_entry ? SHAPE_MAP : SHAPE_MESSAGE;
}

// Scalars of one family have one encoding (protobuf's guide to updating a message).
enum family {
    FAMILY_NUMBER,
    FAMILY_SIGNED,
    FAMILY_BYTES,
    FAMILY_FIXED32,
    FAMILY_FIXED64,
    FAMILY_FLOAT,
    FAMILY_DOUBLE
};

static enum family family_of(enum protobuf_kind kind)
{
    switch (kind) {
    case PROTOBUF_SINT32:
    case PROTOBUF_SINT64:
        return FAMILY_SIGNED;
    case PROTOBUF_STRING:
    case PROTOBUF_BYTES:
        return FAMILY_BYTES;
    case PROTOBUF_FIXED32:
    case PROTOBUF_SFIXED32:
        return FAMILY_FIXED32;
    case PROTOBUF_FIXED64:
    case PROTOBUF_SFIXED64:
        return FAMILY_FIXED64;
    case PROTOBUF_FLOAT:
        return FAMILY_FLOAT;
    case PROTOBUF_DOUBLE:
        return FAMILY_DOUBLE;
    default:
        return FAMILY_NUMBER;
    }
}

static struct slice local_name(const struct protobuf_message *message)
{
    size_t package = message->file->package.len;
    return slice_str(message->full + (package > 0 ? package + 1 : 0));
}

static const char *message_fault(struct comparing *c, const struct protobuf_message *reader,
                                 const struct protobuf_message *writer)
{
    if (!slice_equal(local_name(reader), local_name(writer)))
        return "FIELD_NAMED_TYPE_CHANGED";
    if (reader->file == c->reader->main && writer->file == c->writer->main)
        return NULL; // compared where they are declared
    return compare_imported(c, reader, writer) ? "FIELD_NAMED_TYPE_CHANGED" : NULL;
}

static const char *map_fault(struct comparing *c, const struct protobuf_field *reader,
                             const struct protobuf_field *writer);

// The rule that two types break, NULL for none.
static const char *type_fault(struct comparing *c, const struct protobuf_field *reader,
                              const struct protobuf_field *writer)
{
    enum shape shape = shape_of(reader);
    if (shape != shape_of(writer))
        return "FIELD_KIND_CHANGED";
    if (shape == SHAPE_MAP)
        return map_fault(c, reader, writer);
    if (shape != SHAPE_SCALAR)
        return message_fault(c, reader->message, writer->message);
    return family_of(reader->kind) != family_of(writer->kind) ? "FIELD_SCALAR_KIND_CHANGED" : NULL;
}

static const char *map_fault(struct comparing *c, const struct protobuf_field *reader,
                             const struct protobuf_field *writer)
{
    const char *fault = NULL;
    for (uint32_t number = 1; number <= 2 && fault == NULL; number++) // key and value
        fault =
            type_fault(c, protobuf_field(reader->message, number), protobuf_field(writer->message, number));
    return fault;
}

// Bytes and strings may become repeated or cease to be; a number may be packed then.
static bool label_fits(const struct protobuf_field *reader, const struct protobuf_field *writer)
{
    return reader->label == PROTOBUF_NONE || writer->label == PROTOBUF_NONE ||
           reader->label == writer->label || shape_of(reader) != SHAPE_SCALAR ||
           family_of(reader->kind) == FAMILY_BYTES;
}

static void compare_fields(struct comparing *c, const struct place *at, const struct protobuf_field *reader,
                           const struct protobuf_field *writer)
{
    const char *fault = type_fault(c, reader, writer);
    if (fault == NULL && !label_fits(reader, writer))
        fault = "FIELD_NUMERIC_LABEL_CHANGED";
    if (fault != NULL)
        found(c, fault, at, field_sides(c, reader, writer));
}

// ---- messages ----

static struct slice oneof_name(const struct protobuf_message *message, const struct protobuf_field *field)
{
    return field->oneof >= 0 ? message->oneofs[field->oneof] : (struct slice){0};
}

static struct slice number_text(uint32_t number, char text[16])
{
    return slice_of(text, (size_t)snprintf(text, 16, "%u", number));
}

// A field of the writer and what the reader has under its number. oneofs: the reader's, by name.
static void compare_field(struct comparing *c, const struct place *at, const struct protobuf_message *reader,
                          const struct protobuf_message *writer, const struct protobuf_field *old,
                          const struct map *oneofs)
{
    char text[16];
    const struct protobuf_field *now = protobuf_field(reader, old->number);
    struct slice before = oneof_name(writer, old), after = now ? oneof_name(reader, now) : (struct slice){0};
    struct place oneof = {.up = at, .token = before};
    bool left = before.len > 0 && !slice_equal(before, after);
    bool inside = before.len > 0 && slice_equal(before, after);
    struct place plain = {.up = at, .token = number_text(old->number, text)},
                 member = {.up = &oneof, .token = plain.token};
    if (left && map_get(oneofs, before) != NULL)
        found(c, "ONEOF_FIELD_REMOVED", &member, field_sides(c, now, old));
    if (now == NULL && old->label == PROTOBUF_REQUIRED)
        found(c, "REQUIRED_FIELD_REMOVED", &plain, field_sides(c, NULL, old));
    if (now != NULL)
        compare_fields(c, inside ? &member : &plain, now, old);
}

static void check_required(struct comparing *c, const struct place *at, const struct protobuf_message *writer,
                           const struct protobuf_field *now)
{
    char text[16];
    const struct protobuf_field *old = protobuf_field(writer, now->number);
    struct place here = {.up = at, .token = number_text(now->number, text)};
    if (now->label == PROTOBUF_REQUIRED && (old == NULL || old->oneof >= 0))
        found(c, "REQUIRED_FIELD_ADDED", &here, field_sides(c, now, old));
}

// What came into the reader's oneofs: fields that stood alone, and such that were in a oneof before.
static void check_oneofs(struct comparing *c, const struct place *at, const struct protobuf_message *reader,
                         const struct protobuf_message *writer)
{
    struct joined {
        uint32_t alone, members;
    } *joined = arena_calloc(&c->findings->arena, reader->oneof_count + 1, sizeof *joined);
    if (joined == NULL)
        c->status = ST_LIMIT;
    for (uint32_t i = 0; i < reader->field_count && joined != NULL; i++) {
        const struct protobuf_field *field = &reader->fields[i], *old = protobuf_field(writer, field->number);
        if (field->oneof < 0 || old == NULL)
            continue;
        joined[field->oneof].alone += old->oneof < 0;
        joined[field->oneof].members += old->oneof >= 0;
    }
    for (uint32_t i = 0; i < reader->oneof_count && joined != NULL; i++) {
        struct place here = {.up = at, .token = reader->oneofs[i]};
        struct sides sides = {cut(c, "oneof", reader->oneofs[i]), cut(c, "message", writer->name)};
        if (joined[i].alone > 1)
            found(c, "MULTIPLE_FIELDS_MOVED_TO_ONEOF", &here, sides);
        else if (joined[i].alone == 1 && joined[i].members > 0)
            found(c, "FIELD_MOVED_TO_EXISTING_ONEOF", &here, sides);
    }
}

static void compare_each(struct comparing *c, const struct place *at, const struct protobuf_message *reader,
                         const struct protobuf_message *writer)
{
    struct map oneofs;
    map_init(&oneofs, (uint64_t)(uintptr_t)reader);
    for (uint32_t i = 0; i < reader->oneof_count; i++)
        if (reader->oneofs[i].len > 0)
            map_put(&oneofs, reader->oneofs[i], &reader->oneofs[i]);
    for (uint32_t i = 0; i < writer->field_count && c->status == ST_OK; i++)
        compare_field(c, at, reader, writer, &writer->fields[i], &oneofs);
    map_fini(&oneofs);
}

struct list {
    const struct protobuf_message *messages;
    uint32_t count;
};

static void compare_declared(struct comparing *c, const struct place *at, struct list reader,
                             struct list writer);

static void compare_messages(struct comparing *c, const struct place *at,
                             const struct protobuf_message *reader, const struct protobuf_message *writer)
{
    size_t fields = (size_t)reader->field_count + writer->field_count + reader->oneof_count + 1;
    if (c->status != ST_OK || c->left < fields || c->depth >= DEPTH_MAX) {
        c->status = c->status != ST_OK ? c->status : ST_LIMIT;
        return;
    }
    c->left -= fields;
    c->depth++;
    check_oneofs(c, at, reader, writer);
    compare_each(c, at, reader, writer);
    for (uint32_t i = 0; i < reader->field_count && c->status == ST_OK; i++)
        check_required(c, at, writer, &reader->fields[i]);
    compare_declared(c, at, (struct list){reader->messages, reader->message_count},
                     (struct list){writer->messages, writer->message_count});
    c->depth--;
}

// Messages by name, in the order of the writer. Those a compiler made for maps are compared with their
// fields.
static void compare_declared(struct comparing *c, const struct place *at, struct list reader,
                             struct list writer)
{
    struct map names;
    map_init(&names, (uint64_t)(uintptr_t)reader.messages);
    for (uint32_t i = 0; i < reader.count; i++)
        map_put(&names, reader.messages[i].name, (void *)&reader.messages[i]);
    for (uint32_t i = 0; i < writer.count && c->status == ST_OK; i++) {
        const struct protobuf_message *old = &writer.messages[i], *now = map_get(&names, old->name);
        struct place here = {.up = at, .token = old->name};
        if (old->map_entry)
            continue;
        if (now == NULL || now->map_entry)
            found(c, "MESSAGE_REMOVED", &here, (struct sides){"(none)", cut(c, "message", old->name)});
        else
            compare_messages(c, &here, now, old);
    }
    map_fini(&names);
}

// True: they do not fit. The path begins anew, with the message's name below its package.
static bool compare_imported(struct comparing *c, const struct protobuf_message *reader,
                             const struct protobuf_message *writer)
{
    void *const fits = &c->left, *const differs = &c->told; // marks
    const struct protobuf_message *const pair[] = {reader, writer};
    struct slice key = slice_of(pair, sizeof pair);
    const void *known = map_get(&c->pairs, key);
    if (known != NULL)
        return known == differs;
    map_put(&c->pairs, key, fits); // while it is being compared
    struct buf name;
    buf_init(&name, SCHEMA_TEXT_MAX);
    buf_append(&name, local_name(reader).data, local_name(reader).len);
    for (size_t i = 0; i < name.len; i++)
        name.data[i] = name.data[i] == '.' ? '/' : name.data[i];
    struct place root = {.up = NULL}, here = {.up = &root, .token = buf_slice(&name)};
    size_t before = c->told;
    compare_messages(c, &here, reader, writer);
    buf_fini(&name);
    if (c->told > before)
        map_put(&c->pairs, key, differs);
    return c->told > before;
}

enum status protobuf_check(const struct schema *reader, const struct schema *writer,
                           struct schema_findings *findings)
{
    static const struct place root = {.up = NULL};
    struct comparing c = {.findings = findings,
                          .reader = protobuf_of(reader),
                          .writer = protobuf_of(writer),
                          .left = PROTOBUF_COMPARISONS_MAX};
    const struct protobuf_file *now = c.reader->main, *old = c.writer->main;
    map_init(&c.pairs, (uint64_t)(uintptr_t)reader);
    compare_declared(&c, &root, (struct list){now->messages, now->message_count},
                     (struct list){old->messages, old->message_count});
    map_fini(&c.pairs);
    return c.status;
}
