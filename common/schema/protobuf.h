// SPDX-License-Identifier: Apache-2.0
// Protobuf schemas: descriptors read into tables, checked against another schema, payloads held against them.
// All of it works on a FileDescriptorSet. How a .proto text becomes one is the matter of common/protobuf, a
// layer over libprotobuf: a program that links it parses and prints texts, any other reads descriptors alone.
#ifndef SCHEMA_PROTOBUF_H
#define SCHEMA_PROTOBUF_H

#include "base/map.h"
#include "schema/protobuf_text.h"

enum {
    PROTOBUF_MEMORY_MAX = 64 << 20,        // of one schema's tables
    PROTOBUF_DESCRIPTORS_MAX = 16 << 20,   // bytes of a FileDescriptorSet
    PROTOBUF_REQUIRED_MAX = 256,           // required fields of one message
    PROTOBUF_PAYLOAD_DEPTH_MAX = 100,      // messages in messages of a payload, as protobuf's own parsers
    PROTOBUF_COMPARISONS_MAX = 1000 * 1000 // fields compared in one check
};

// FieldDescriptorProto.Type
enum protobuf_kind {
    PROTOBUF_DOUBLE = 1,
    PROTOBUF_FLOAT,
    PROTOBUF_INT64,
    PROTOBUF_UINT64,
    PROTOBUF_INT32,
    PROTOBUF_FIXED64,
    PROTOBUF_FIXED32,
    PROTOBUF_BOOL,
    PROTOBUF_STRING,
    PROTOBUF_GROUP,
    PROTOBUF_MESSAGE,
    PROTOBUF_BYTES,
    PROTOBUF_UINT32,
    PROTOBUF_ENUM,
    PROTOBUF_SFIXED32,
    PROTOBUF_SFIXED64,
    PROTOBUF_SINT32,
    PROTOBUF_SINT64,
};

// NONE: a field of proto3 that says nothing, and a member of a oneof.
enum protobuf_label { PROTOBUF_NONE, PROTOBUF_OPTIONAL, PROTOBUF_REQUIRED, PROTOBUF_REPEATED };

struct protobuf_file {
    struct slice name, package;
    bool proto3;
    struct protobuf_message *messages;        // in the order of the file, which payloads count by
    const struct protobuf_message **declared; // the same without those that stand for maps
    struct protobuf_enum *enums;
    uint32_t message_count, declared_count, enum_count;
};

struct protobuf_field {
    struct slice name;
    uint32_t number;
    enum protobuf_kind kind;
    enum protobuf_label label;
    int oneof;                              // index of the message's oneof, or -1
    int required;                           // which of the message's required fields, or -1
    struct slice type_name;                 // MESSAGE, GROUP, ENUM: full, with the dot in front
    const struct protobuf_message *message; // MESSAGE, GROUP
};

struct protobuf_message {
    struct slice name;
    const char *full; // with the package, without a dot in front
    const struct protobuf_file *file;
    struct protobuf_field *fields; // by number
    struct slice *oneofs;          // names; those that stand for an optional of proto3 are empty
    struct protobuf_message *messages;
    const struct protobuf_message **declared; // the same without those that stand for maps
    struct protobuf_enum *enums;
    uint32_t field_count, oneof_count, message_count, declared_count, enum_count, required_count;
    bool map_entry; // made by the compiler for a map
};

struct protobuf_enum {
    struct slice name;
    const char *full;
};

struct protobuf {
    struct schema schema;
    struct arena arena;
    struct slice set;     // the FileDescriptorSet
    struct slice written; // FileDescriptorProto of the schema's own file as it was written; empty: not known
    struct protobuf_file *files; // dependencies first
    uint32_t file_count;
    const struct protobuf_file *main; // the last one
};

// Text and references to a FileDescriptorSet, dependencies first and the schema's own file last, appended to
// out: what protobuf_parse_descriptors takes. UNSUPPORTED: the program has no parser for texts
// (common/protobuf is not linked); others as schema_parse. *error says why.
enum status protobuf_descriptors(const struct schema_source *source, struct schema_error *error,
                                 struct buf *out);

// A schema from a FileDescriptorSet alone. It checks and is checked; it has no text (schema_text answers
// UNSUPPORTED). MALFORMED: no descriptors, or such that do not fit together; LIMIT. *schema is the caller's
// and keeps nothing of bytes.
enum status protobuf_parse_descriptors(struct slice bytes, struct schema_error *error,
                                       struct schema **schema);

static inline const struct protobuf *protobuf_of(const struct schema *schema)
{
    return (const struct protobuf *)schema;
}

// Reads schema->set into the tables. MALFORMED, LIMIT: with *error.
enum status protobuf_read(struct protobuf *schema, struct schema_error *error);

// NULL: none of that number.
const struct protobuf_field *protobuf_field(const struct protobuf_message *message, uint32_t number);

// JSON to a payload of that message of the schema, without the list in front (protobuf_index.h). Errors as
// schema_payload_from_json.
enum status protobuf_payload_from_json(const struct schema *schema, const struct protobuf_message *message,
                                       struct slice json, struct schema_error *error, struct buf *payload);

enum status protobuf_check(const struct schema *reader, const struct schema *writer,
                           struct schema_findings *findings);

// The payload begins with the message's index (protobuf_index.h).
enum status protobuf_payload_check(const struct schema *schema, struct slice payload);

// The same; *message is what the payload is of, and *payload what follows the list.
enum status protobuf_payload_message(const struct schema *schema, struct slice *payload,
                                     const struct protobuf_message **message);

#endif
