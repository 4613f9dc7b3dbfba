// SPDX-License-Identifier: Apache-2.0
// A record's key or value as serializers of Confluent's kind write it: the schema's id (schema/claim.h), the
// payload in the schema's format. JSON in, bytes out, and back. Pure.
#ifndef CLI_SCHEMA_WIRE_H
#define CLI_SCHEMA_WIRE_H

#include "schema/claim.h"
#include "schema/schema.h"

// Appends id and payload of a JSON text. Errors as schema_payload_from_json.
enum status schema_wire_encode(const struct schema *schema, const struct schema_id *id, struct slice json,
                               struct schema_error *error, struct buf *out);

// Appends the JSON of a payload (schema_claim_payload) without line breaks. Errors as schema_payload_to_json.
enum status schema_wire_decode(const struct schema *schema, struct slice payload, struct buf *json);

// Splits a line with a JSON text before the separator: where it stands in a string, or inside of brackets, it
// is none. False: there is no separator.
bool schema_wire_split(struct slice line, const char *separator, struct slice *key, struct slice *value);

#endif
