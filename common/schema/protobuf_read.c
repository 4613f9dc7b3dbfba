// SPDX-License-Identifier: Apache-2.0
// A FileDescriptorSet (google/protobuf/descriptor.proto) read into tables: everything is counted before it is
// allocated, names of types are looked up when all files are there. What comparing and checking do not ask
// for (services, extensions, options but map_entry) is passed over. See protobuf.h.
#include "schema/protobuf.h"

#include "schema/protobuf_wire.h"

#include <stdlib.h>

// Numbers of fields in descriptor.proto.
enum { SET_FILE = 1 };
enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SYNTAX = 12 };
enum {
    MESSAGE_NAME = 1,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_OPTIONS = 7,
    MESSAGE_ONEOF = 8
};
enum {
    FIELD_NAME = 1,
    FIELD_NUMBER = 3,
    FIELD_LABEL = 4,
    FIELD_TYPE = 5,
    FIELD_TYPE_NAME = 6,
    FIELD_ONEOF = 9,
    FIELD_PROTO3_OPTIONAL = 17
};
enum { NAME_OF_ANY = 1, OPTIONS_MAP_ENTRY = 7, NAME_LEN_MAX = 4096 };

struct reading {
    struct arena *arena;
    struct map messages, enums; // full name -> its table
    struct schema_error *error;
};

static enum status fail(struct reading *r, enum status status, const char *what)
{
    return schema_fail(r->error, status, "the descriptors %s", what);
}

static void *room(struct reading *r, size_t count, size_t size)
{
    void *made = arena_calloc(r->arena, count + 1, size);
    if (made == NULL)
        fail(r, ST_LIMIT, "need too much memory");
    return made;
}

// How often a field of bytes occurs. All of the message is walked, so a later walk finds no damage.
static enum status count(struct reading *r, struct slice bytes, uint32_t number, uint32_t *found)
{
    struct wire wire = wire_of(bytes);
    struct wire_field field;
    enum status status;
    *found = 0;
    while ((status = wire_next(&wire, &field)) == ST_OK)
        *found += field.number == number && field.type == WIRE_BYTES;
    return status == ST_NOT_FOUND ? ST_OK : fail(r, ST_MALFORMED, "are damaged");
}

// The last value of a field: bytes, or a number. False: it is not there.
static bool find_bytes(struct slice bytes, uint32_t number, struct slice *value)
{
    struct wire wire = wire_of(bytes);
    struct wire_field field;
    bool found = false;
    while (wire_next(&wire, &field) == ST_OK)
        if (field.number == number && field.type == WIRE_BYTES) {
            *value = field.bytes;
            found = true;
        }
    return found;
}

static uint64_t find_number(struct slice bytes, uint32_t number, uint64_t fallback)
{
    struct wire wire = wire_of(bytes);
    struct wire_field field;
    while (wire_next(&wire, &field) == ST_OK)
        if (field.number == number && field.type == WIRE_VARINT)
            fallback = field.value;
    return fallback;
}

static const char *join(struct reading *r, struct slice outer, struct slice name)
{
    const char *made = NULL;
    if (name.len == 0 || outer.len + name.len > NAME_LEN_MAX)
        fail(r, name.len == 0 ? ST_MALFORMED : ST_LIMIT,
             "have a type without a name, or with a very long one");
    else if (outer.len == 0)
        made = arena_strndup(r->arena, name.data, name.len);
    else
        made = arena_printf(r->arena, "%.*s.%.*s", (int)outer.len, (const char *)outer.data, (int)name.len,
                            (const char *)name.data);
    return made;
}

// Notes a type by its full name.
static enum status declare(struct reading *r, struct map *map, const char *full, void *table)
{
    struct slice name = slice_str(full);
    if (full == NULL)
        return fail(r, ST_LIMIT, "need too much memory");
    if (map_get(&r->messages, name) != NULL || map_get(&r->enums, name) != NULL)
        return fail(r, ST_MALFORMED, "declare a type twice");
    map_put(map, name, table);
    return ST_OK;
}

// ---- enums ----

// All enums that are field `number` of bytes, named below outer.
static enum status read_enums(struct reading *r, struct slice bytes, uint32_t number, struct slice outer,
                              struct protobuf_enum **enums, uint32_t *found)
{
    struct wire wire = wire_of(bytes);
    struct wire_field field;
    uint32_t i = 0, ignored;
    enum status status = count(r, bytes, number, found);
    if (status != ST_OK || (*enums = room(r, *found, sizeof **enums)) == NULL)
        return r->error->code;
    while (status == ST_OK && wire_next(&wire, &field) == ST_OK) {
        if (field.number != number || field.type != WIRE_BYTES)
            continue;
        struct protobuf_enum *one = &(*enums)[i++];
        if (count(r, field.bytes, 0, &ignored) != ST_OK)
            return r->error->code;
        find_bytes(field.bytes, NAME_OF_ANY, &one->name);
        one->full = join(r, outer, one->name);
        status = declare(r, &r->enums, one->full, one);
    }
    return status;
}

// ---- fields ----

static enum protobuf_label label_of(const struct protobuf_message *message, struct slice bytes)
{
    uint64_t label = find_number(bytes, FIELD_LABEL, PROTOBUF_OPTIONAL);
    if (find_number(bytes, FIELD_PROTO3_OPTIONAL, 0) != 0)
        return PROTOBUF_OPTIONAL;
    if (find_number(bytes, FIELD_ONEOF, UINT64_MAX) != UINT64_MAX)
        return PROTOBUF_NONE; // whatever hostile descriptors say of a member
    if (label == PROTOBUF_REPEATED || label == PROTOBUF_REQUIRED)
        return (enum protobuf_label)label;
    return message->file->proto3 ? PROTOBUF_NONE : PROTOBUF_OPTIONAL;
}

static enum status read_field(struct reading *r, const struct protobuf_message *message, struct slice bytes,
                              struct protobuf_field *field)
{
    uint32_t ignored;
    if (count(r, bytes, 0, &ignored) != ST_OK)
        return r->error->code;
    uint64_t number = find_number(bytes, FIELD_NUMBER, 0), kind = find_number(bytes, FIELD_TYPE, 0);
    uint64_t oneof = find_number(bytes, FIELD_ONEOF, UINT64_MAX);
    if (number == 0 || number > WIRE_NUMBER_MAX || kind == 0 || kind > PROTOBUF_SINT64 ||
        (oneof != UINT64_MAX && oneof >= message->oneof_count))
        return fail(r, ST_MALFORMED, "have a field without number or type");
    field->number = (uint32_t)number;
    field->kind = (enum protobuf_kind)kind;
    field->label = label_of(message, bytes);
    field->required = -1;
    bool alone = find_number(bytes, FIELD_PROTO3_OPTIONAL, 0) != 0;
    field->oneof = oneof == UINT64_MAX || alone ? -1 : (int)oneof;
    if (alone && oneof != UINT64_MAX)
        message->oneofs[oneof] = (struct slice){0};
    find_bytes(bytes, FIELD_NAME, &field->name);
    find_bytes(bytes, FIELD_TYPE_NAME, &field->type_name);
    return ST_OK;
}

static int by_number(const void *a, const void *b)
{
    const struct protobuf_field *left = a, *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

static enum status sort_fields(struct reading *r, struct protobuf_message *message)
{
    qsort(message->fields, message->field_count, sizeof *message->fields, by_number);
    for (uint32_t i = 0; i < message->field_count; i++) {
        struct protobuf_field *field = &message->fields[i];
        if (i > 0 && field[-1].number == field->number)
            return fail(r, ST_MALFORMED, "give two fields of a message one number");
        if (field->label == PROTOBUF_REQUIRED)
            field->required = (int)message->required_count++;
    }
    if (message->required_count > PROTOBUF_REQUIRED_MAX)
        return schema_fail(r->error, ST_LIMIT, "a message has at most %d required fields",
                           PROTOBUF_REQUIRED_MAX);
    return ST_OK;
}

static enum status read_fields(struct reading *r, struct slice bytes, struct protobuf_message *message)
{
    struct wire wire = wire_of(bytes);
    struct wire_field field;
    uint32_t i = 0;
    enum status status = count(r, bytes, MESSAGE_FIELD, &message->field_count);
    if (status != ST_OK || (message->fields = room(r, message->field_count, sizeof *message->fields)) == NULL)
        return r->error->code;
    while (status == ST_OK && wire_next(&wire, &field) == ST_OK)
        if (field.number == MESSAGE_FIELD && field.type == WIRE_BYTES)
            status = read_field(r, message, field.bytes, &message->fields[i++]);
    return status == ST_OK ? sort_fields(r, message) : status;
}

static enum status read_oneofs(struct reading *r, struct slice bytes, struct protobuf_message *message)
{
    struct wire wire = wire_of(bytes);
    struct wire_field field;
    uint32_t i = 0, ignored;
    enum status status = count(r, bytes, MESSAGE_ONEOF, &message->oneof_count);
    if (status != ST_OK || (message->oneofs = room(r, message->oneof_count, sizeof *message->oneofs)) == NULL)
        return r->error->code;
    while (status == ST_OK && wire_next(&wire, &field) == ST_OK) {
        if (field.number != MESSAGE_ONEOF || field.type != WIRE_BYTES)
            continue;
        status = count(r, field.bytes, 0, &ignored);
        find_bytes(field.bytes, NAME_OF_ANY, &message->oneofs[i++]);
    }
    return status;
}

// ---- messages ----

struct below { // where messages are declared
    const struct protobuf_file *file;
    struct slice outer; // full name
    int depth;
};

static enum status read_messages(struct reading *r, struct slice bytes, uint32_t number, struct below below,
                                 struct protobuf_message **messages, uint32_t *found);

// Those of a list that stand for no map, which some payloads count by.
static enum status list_declared(struct reading *r, const struct protobuf_message *messages, uint32_t found,
                                 const struct protobuf_message ***declared, uint32_t *count)
{
    if ((*declared = room(r, found, sizeof **declared)) == NULL)
        return r->error->code;
    for (uint32_t i = 0; i < found; i++)
        if (!messages[i].map_entry)
            (*declared)[(*count)++] = &messages[i];
    return ST_OK;
}

static enum status read_message(struct reading *r, struct slice bytes, struct below below,
                                struct protobuf_message *message)
{
    struct slice options;
    message->file = below.file;
    enum status status = read_oneofs(r, bytes, message);
    if (status != ST_OK)
        return status;
    find_bytes(bytes, MESSAGE_NAME, &message->name);
    message->full = join(r, below.outer, message->name);
    if (declare(r, &r->messages, message->full, message) != ST_OK)
        return r->error->code;
    if (find_bytes(bytes, MESSAGE_OPTIONS, &options))
        message->map_entry = find_number(options, OPTIONS_MAP_ENTRY, 0) != 0;
    struct below inside = {.file = below.file, .outer = slice_str(message->full), .depth = below.depth + 1};
    status = read_fields(r, bytes, message);
    if (status == ST_OK)
        status = read_enums(r, bytes, MESSAGE_ENUM, inside.outer, &message->enums, &message->enum_count);
    if (status == ST_OK)
        status = read_messages(r, bytes, MESSAGE_NESTED, inside, &message->messages, &message->message_count);
    if (status == ST_OK)
        status = list_declared(r, message->messages, message->message_count, &message->declared,
                               &message->declared_count);
    return status;
}

static enum status read_messages(struct reading *r, struct slice bytes, uint32_t number, struct below below,
                                 struct protobuf_message **messages, uint32_t *found)
{
    struct wire wire = wire_of(bytes);
    struct wire_field field;
    uint32_t i = 0;
    enum status status = count(r, bytes, number, found);
    if (status != ST_OK || (*messages = room(r, *found, sizeof **messages)) == NULL)
        return r->error->code;
    if (*found > 0 && below.depth >= PROTOBUF_NEST_MAX)
        return schema_fail(r->error, ST_LIMIT, "messages are declared more than %d deep", PROTOBUF_NEST_MAX);
    while (status == ST_OK && wire_next(&wire, &field) == ST_OK)
        if (field.number == number && field.type == WIRE_BYTES)
            status = read_message(r, field.bytes, below, &(*messages)[i++]);
    return status;
}

static enum status read_file(struct reading *r, struct slice bytes, struct protobuf_file *file)
{
    struct slice syntax = {0};
    uint32_t ignored;
    if (count(r, bytes, 0, &ignored) != ST_OK)
        return r->error->code;
    find_bytes(bytes, FILE_NAME, &file->name);
    find_bytes(bytes, FILE_PACKAGE, &file->package);
    find_bytes(bytes, FILE_SYNTAX, &syntax);
    file->proto3 = slice_is(syntax, "proto3");
    struct below below = {.file = file, .outer = file->package};
    enum status status = read_messages(r, bytes, FILE_MESSAGE, below, &file->messages, &file->message_count);
    if (status == ST_OK)
        status =
            list_declared(r, file->messages, file->message_count, &file->declared, &file->declared_count);
    if (status == ST_OK)
        status = read_enums(r, bytes, FILE_ENUM, file->package, &file->enums, &file->enum_count);
    return status;
}

// ---- names ----

static enum status link_field(struct reading *r, struct protobuf_field *field)
{
    struct slice name = field->type_name;
    if (field->kind != PROTOBUF_MESSAGE && field->kind != PROTOBUF_GROUP && field->kind != PROTOBUF_ENUM)
        return ST_OK;
    if (name.len == 0 || name.data[0] != '.')
        return fail(r, ST_MALFORMED, "name a type without its package");
    name = slice_of(name.data + 1, name.len - 1);
    if (field->kind == PROTOBUF_ENUM)
        return map_get(&r->enums, name) != NULL ? ST_OK
                                                : fail(r, ST_MALFORMED, "name an enum that is not there");
    field->message = map_get(&r->messages, name);
    return field->message != NULL ? ST_OK : fail(r, ST_MALFORMED, "name a message that is not there");
}

static enum status link_messages(struct reading *r, struct protobuf_message *messages, uint32_t found)
{
    enum status status = ST_OK;
    for (uint32_t i = 0; i < found && status == ST_OK; i++) {
        for (uint32_t j = 0; j < messages[i].field_count && status == ST_OK; j++)
            status = link_field(r, &messages[i].fields[j]);
        if (status == ST_OK)
            status = link_messages(r, messages[i].messages, messages[i].message_count);
    }
    return status;
}

// A map's entry has a key and a value, which is no map.
static bool entry_fits(const struct protobuf_message *entry)
{
    const struct protobuf_field *key = protobuf_field(entry, 1), *value = protobuf_field(entry, 2);
    bool group = key != NULL && value != NULL && (key->message != NULL || value->kind == PROTOBUF_GROUP);
    return key != NULL && value != NULL && !group && (value->message == NULL || !value->message->map_entry);
}

static enum status check_maps(struct reading *r, const struct protobuf_message *messages, uint32_t found)
{
    enum status status = ST_OK;
    for (uint32_t i = 0; i < found && status == ST_OK; i++) {
        if (messages[i].map_entry && !entry_fits(&messages[i]))
            return fail(r, ST_MALFORMED, "have a map without key or value");
        status = check_maps(r, messages[i].messages, messages[i].message_count);
    }
    return status;
}

static enum status read_files(struct reading *r, struct protobuf *schema)
{
    struct wire wire = wire_of(schema->set);
    struct wire_field field;
    uint32_t i = 0;
    enum status status = count(r, schema->set, SET_FILE, &schema->file_count);
    if (status == ST_OK && schema->file_count == 0)
        status = fail(r, ST_MALFORMED, "are empty");
    if (status != ST_OK || (schema->files = room(r, schema->file_count, sizeof *schema->files)) == NULL)
        return r->error->code;
    while (status == ST_OK && wire_next(&wire, &field) == ST_OK)
        if (field.number == SET_FILE && field.type == WIRE_BYTES)
            status = read_file(r, field.bytes, &schema->files[i++]);
    for (i = 0; i < schema->file_count && status == ST_OK; i++)
        status = link_messages(r, schema->files[i].messages, schema->files[i].message_count);
    for (i = 0; i < schema->file_count && status == ST_OK; i++)
        status = check_maps(r, schema->files[i].messages, schema->files[i].message_count);
    schema->main = &schema->files[schema->file_count - 1];
    return status;
}

enum status protobuf_read(struct protobuf *schema, struct schema_error *error)
{
    struct reading r = {.arena = &schema->arena, .error = error};
    map_init(&r.messages, (uint64_t)(uintptr_t)schema);
    map_init(&r.enums, (uint64_t)(uintptr_t)schema);
    enum status status = read_files(&r, schema);
    map_fini(&r.messages);
    map_fini(&r.enums);
    return status;
}

const struct protobuf_field *protobuf_field(const struct protobuf_message *message, uint32_t number)
{
    uint32_t low = 0, high = message->field_count;
    if (number - 1 < high && message->fields[number - 1].number == number)
        return &message->fields[number - 1]; // numbers from 1 on without a gap, as most messages have them
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (message->fields[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < message->field_count && message->fields[low].number == number ? &message->fields[low] : NULL;
}
