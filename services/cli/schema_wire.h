// SPDX-License-Identifier: Apache-2.0
// A record's key or value as serializers of Confluent's kind write it: a byte 0, the schema's id in four
// bytes (big endian), the payload in the schema's format. JSON in, bytes out, and back. Pure.
#ifndef CLI_SCHEMA_WIRE_H
#define CLI_SCHEMA_WIRE_H

#include "schema/schema.h"

enum { SCHEMA_WIRE_HEADER = 5 }; // bytes

// Takes the header off bytes. MALFORMED: they do not begin with one.
enum status schema_wire_take(struct slice *bytes, int32_t *id);

// Appends header and payload of a JSON text. Errors as schema_payload_from_json.
enum status schema_wire_encode(const struct schema *schema, int32_t id, struct slice json,
                               struct schema_error *error, struct buf *out);

// Appends the JSON of a payload (what schema_wire_take left) without line breaks. Errors as
// schema_payload_to_json.
enum status schema_wire_decode(const struct schema *schema, struct slice payload, struct buf *json);

// Splits a line with a JSON text before the separator: where it stands in a string, or inside of brackets, it
// is none. False: there is no separator.
bool schema_wire_split(struct slice line, const char *separator, struct slice *key, struct slice *value);

#endif
