// SPDX-License-Identifier: Apache-2.0
// JSON lines to what serializers of Confluent's kind write, for `millrace produce`.
#ifndef CLI_SCHEMA_WRITER_H
#define CLI_SCHEMA_WRITER_H

#include "schema.h"
#include "schema_wire.h"

#include "schema/claim.h"
#include "schema/schema.h"

// What the command line says.
struct schema_writing {
    struct schema_options registry;
    const char *value, *key;                 // schema_spec.h; NULL: bytes as they are
    const char *value_subject, *key_subject; // NULL: TOPIC-value, TOPIC-key (Confluent's TopicNameStrategy)
    const char *value_message, *key_message; // of a Protobuf schema; NULL: the first
    bool in_header;                          // ids go into headers of the records
    const char *type;                        // of schemas given as file or text; NULL: by the file's name
    struct cli_many references;              // of the value's schema: NAME=SUBJECT:VERSION
    bool no_register;                        // such schemas must be registered already
};

#define SCHEMA_WRITING_OPTIONS(writing)                                                                        \
    {"--value-schema",                                                                                         \
     CLI_TEXT,                                                                                                 \
     &(writing)->value,                                                                                        \
     0,                                                                                                        \
     0,                                                                                                        \
     "SCHEMA",                                                                                                 \
     "values are JSON, sent in this schema's format"},                                                         \
        {"--key-schema", CLI_TEXT, &(writing)->key, 0, 0, "SCHEMA", "keys, too"},                              \
        {"--subject", CLI_TEXT,  &(writing)->value_subject,          0,                                        \
         0,           "SUBJECT", "the value's subject (TOPIC-value)"},                                         \
        {"--key-subject",                                                                                      \
         CLI_TEXT,                                                                                             \
         &(writing)->key_subject,                                                                              \
         0,                                                                                                    \
         0,                                                                                                    \
         "SUBJECT",                                                                                            \
         "the key's subject (TOPIC-key)"},                                                                     \
        {"--schema-type",                                                                                      \
         CLI_TEXT,                                                                                             \
         &(writing)->type,                                                                                     \
         0,                                                                                                    \
         0,                                                                                                    \
         "TYPE",                                                                                               \
         "of a FILE: AVRO, JSON or PROTOBUF (Avro; Protobuf if it ends in .proto)"},                           \
        {"--reference",                                                                                        \
         CLI_MANY,                                                                                             \
         &(writing)->references,                                                                               \
         0,                                                                                                    \
         0,                                                                                                    \
         "NAME=SUBJECT:VERSION",                                                                               \
         "what the value's FILE refers to (repeatable)"},                                                      \
        {"--value-message",                                                                                    \
         CLI_TEXT,                                                                                             \
         &(writing)->value_message,                                                                            \
         0,                                                                                                    \
         0,                                                                                                    \
         "NAME",                                                                                               \
         "the Protobuf message that values are, \"Outer.Inner\" for one inside of another (the first)"},       \
        {"--key-message", CLI_TEXT, &(writing)->key_message, 0, 0, "NAME", "the one that keys are"},           \
        {"--schema-header",                                                                                    \
         CLI_FLAG,                                                                                             \
         &(writing)->in_header,                                                                                \
         0,                                                                                                    \
         0,                                                                                                    \
         NULL,                                                                                                 \
         "the schema's guid goes into a header of the record, not in front of the payload"},                   \
        {"--no-register", CLI_FLAG, &(writing)->no_register, 0, 0, NULL, "a FILE must be registered already"}, \
        SCHEMA_REGISTRY_OPTIONS(&(writing)->registry)

// One of a record's two sides.
struct schema_side {
    const char *name;      // "key" or "value", for messages
    struct schema *schema; // NULL: bytes as they are
    struct schema_wire wire;
    struct buf header; // what a record's header has; empty: no header
    struct buf bytes;  // what was made last
};

struct schema_writer {
    struct schema_side key, value;
};

// Asks the registry for the schemas, registering those that are files or texts. Otherwise a message was
// printed and there is nothing to close.
enum cli_exit schema_writer_open(struct schema_writer *writer, const struct schema_writing *writing,
                                 const char *topic);
void schema_writer_close(struct schema_writer *writer);

// Makes *text, JSON, what is to be sent; where the side has no schema it stays as it is. The bytes last until
// the next call for this side. FAILED, told with the number of the line: it does not fit the schema.
enum cli_exit schema_side_encode(struct schema_side *side, int64_t line, struct slice *text);

#endif
