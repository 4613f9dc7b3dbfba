// SPDX-License-Identifier: Apache-2.0
// A record's key or value as serializers of Confluent's kind write it: the schema's id (schema/claim.h), the
// payload in the schema's format. JSON in, bytes out, and back. Pure.
#ifndef CLI_SCHEMA_WIRE_H
#define CLI_SCHEMA_WIRE_H

#include "schema/claim.h"
#include "schema/protobuf_index.h"
#include "schema/schema.h"

// How payloads of a schema are written.
struct schema_wire {
    const struct schema *schema;            // borrowed
    struct schema_id id;                    // a guid where it goes into a header
    bool in_header;                         // id and index are in a header of the record, else in front
    const struct protobuf_message *message; // Protobuf: what payloads are of
    struct protobuf_index index;            // ... where the schema has it
};

// message: its name, NULL for the first one. MALFORMED: the schema has no such message, or is not Protobuf.
enum status schema_wire_init(struct schema_wire *wire, const struct schema *schema,
                             const struct schema_id *id, const char *message);

// Appends the payload of a JSON text, with id and index in front unless they are in a header. Errors as
// schema_payload_from_json.
enum status schema_wire_encode(const struct schema_wire *wire, struct slice json, struct schema_error *error,
                               struct buf *out);

// Appends what the header has (Confluent's HeaderSchemaIdSerializer).
void schema_wire_header(const struct schema_wire *wire, struct buf *out);

// Appends the JSON of a payload (schema_claim_payload) without line breaks. Errors as schema_payload_to_json.
enum status schema_wire_decode(const struct schema *schema, struct slice payload, struct buf *json);

// Splits a line with a JSON text before the separator: where it stands in a string, or inside of brackets, it
// is none. False: there is no separator.
bool schema_wire_split(struct slice line, const char *separator, struct slice *key, struct slice *value);

#endif
