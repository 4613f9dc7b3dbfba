// SPDX-License-Identifier: Apache-2.0
// What --value-schema and --key-schema of `millrace produce` may name.
#ifndef CLI_SCHEMA_SPEC_H
#define CLI_SCHEMA_SPEC_H

#include "cli.h"

enum schema_spec_kind {
    SCHEMA_SPEC_ID,      // "id:17", one that the registry has
    SCHEMA_SPEC_SUBJECT, // "orders-value", "orders-value:3", "orders-value:latest": so, too
    SCHEMA_SPEC_FILE,    // a file with a schema in it
    SCHEMA_SPEC_TEXT     // the schema itself, as kafka-avro-console-producer takes it: begins with { [ or "
};

enum { SCHEMA_SUBJECT_MAX = 4096, SCHEMA_VERSION_MAX = 12 }; // bytes

struct schema_spec {
    enum schema_spec_kind kind;
    int32_t id;                           // ID
    char subject[SCHEMA_SUBJECT_MAX + 1]; // SUBJECT
    char version[SCHEMA_VERSION_MAX + 1]; // SUBJECT; "latest" when none is given
    const char *text;                     // FILE, TEXT: what was given
};

// Reads text; whether it is a file is asked of the file system. USAGE, told: an id that is no number, a
// subject that is too long or empty.
enum cli_exit schema_spec_parse(const char *text, struct schema_spec *spec);

// The registry's name of a schema's type: of given ("avro", "Json", "PROTOBUF") if not NULL, else by the end
// of the file's name (".proto"); NULL for the registry's own default, Avro. USAGE, told: no such type.
enum cli_exit schema_spec_type(const char *given, const struct schema_spec *spec, const char **type);

#endif
