// SPDX-License-Identifier: Apache-2.0
// Texts of Protobuf schemas: a thin layer over libprotobuf in C++ (common/protobuf). The symbols are weak: in
// a program that does not link that folder they are NULL, and texts of Protobuf schemas are UNSUPPORTED
// there; a storage node, which only holds payloads against descriptors, has no use for 3 MB of libprotobuf.
// No exception leaves these functions, nothing is read but their arguments, and they may run in several
// threads at once.
#ifndef SCHEMA_PROTOBUF_TEXT_H
#define SCHEMA_PROTOBUF_TEXT_H

#include "schema/format.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PROTOBUF_NEST_MAX = 64,        // messages declared inside of messages
    PROTOBUF_RANGES_MAX = 1000,    // reserved and extension ranges of one message or enum
    PROTOBUF_OPTIONS_MAX = 1000,   // options of one element
    PROTOBUF_NAMES_MAX = 64 << 20, // bytes of all full names together: what parsing costs
    PROTOBUF_VALUES_MAX = 2 << 20, // bytes of all values of options in a printed text: nesting indents them
    PROTOBUF_PATHS_MAX = 8 << 20,  // bytes of the paths of all entities of a schema
};

struct protobuf_json {
    struct slice set;    // FileDescriptorSet
    const char *message; // full name
    struct slice json;
};

// Parses a .proto text, or the base64 of a FileDescriptorProto, with what it imports: google/protobuf/*,
// references by their names, google/type/* and confluent/*, in this order. Appends the FileDescriptorSet,
// dependencies first, to set, and the FileDescriptorProto of the text as it was written, names not resolved
// and options not interpreted, to written. MALFORMED: with line and column in *error; LIMIT; NO_MEMORY.
__attribute__((weak)) enum status protobuf_compile(const struct schema_source *source,
                                                   struct schema_error *error, struct buf *set,
                                                   struct buf *written);

// Appends a form of the text that both came from. LIMIT: out is full; MALFORMED: they do not belong together.
__attribute__((weak)) enum status protobuf_print(struct slice set, struct slice written,
                                                 enum schema_text form, struct buf *out);

// A message as JSON (proto3's JSON mapping, well-known types too) and back. MALFORMED, LIMIT.
__attribute__((weak)) enum status protobuf_to_json(struct slice set, const char *message,
                                                   struct slice payload, struct buf *json);
__attribute__((weak)) enum status protobuf_from_json(const struct protobuf_json *question,
                                                     struct schema_error *error, struct buf *payload);

// A part of a schema that has tags: a message, or a field that is not in a group and is no extension. Tags
// are what confluent.message_meta and confluent.field_meta have as such; those that are no UTF-8 are not
// told.
struct protobuf_entity {
    const char *path;     // ".Message.Nested.field": names without the package
    const char *by_oneof; // of a member of a oneof ".Message.oneof.field"; else NULL
    bool field;
    const char *const *tags;
    size_t tag_count;
};
typedef void protobuf_entity_fn(const struct protobuf_entity *entity, void *context);

// Tells the entities of what was written, a message in front of its fields, then of its messages. LIMIT.
__attribute__((weak)) enum status protobuf_entities(struct slice written, protobuf_entity_fn *tell,
                                                    void *context);

// An entity with other tags.
struct protobuf_tags {
    size_t entity; // as protobuf_entities counts them
    const char *const *tags;
    size_t count; // 0: none
};

// Appends the text that both came from with these tags, entities ascending. Their other options of this kind
// become one with braces, as Confluent's registry does. LIMIT, MALFORMED.
struct protobuf_retagging {
    struct slice set, written;
    const struct protobuf_tags *entities;
    size_t count;
};
__attribute__((weak)) enum status protobuf_retag(const struct protobuf_retagging *wanted, struct buf *out);

#ifdef __cplusplus
}
#endif

#endif
