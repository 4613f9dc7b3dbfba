// SPDX-License-Identifier: Apache-2.0
// What of a record's key or value says which schema it is of, as serializers of Confluent's kind write it: in
// a header of the record (HeaderSchemaIdSerializer), else in front of the payload (PrefixSchemaIdSerializer).
// Brokers judge records by it and `millrace consume` reads them. Pure.
#ifndef SCHEMA_CLAIM_H
#define SCHEMA_CLAIM_H

#include "base/buf.h"

enum { SCHEMA_KEY, SCHEMA_VALUE, SCHEMA_SIDES };

// The record's header with the id of that side. If there are several the last one counts, as Confluent's
// deserializer (DualSchemaIdDeserializer) has it.
extern const char *const schema_claim_headers[SCHEMA_SIDES];

// A schema's id as records carry it (Confluent's SchemaId): 0 and four bytes, or 1 and the 16 of a guid; what
// is left is zero.
enum { SCHEMA_ID_SIZE = 17, SCHEMA_ID_TEXT = 48 };
struct schema_id {
    uint8_t bytes[SCHEMA_ID_SIZE];
};

// Reads an id at the beginning of bytes; its length, or 0 when there is none.
size_t schema_id_read(struct slice bytes, struct schema_id *id);

// Of the number that a registry gave a schema.
struct schema_id schema_id_of(int32_t number);
// Of a guid as text with dashes; MALFORMED: it is none.
enum status schema_id_parse(struct slice guid, struct schema_id *id);

// Whether it is a guid, else it is a number.
static inline bool schema_id_is_guid(const struct schema_id *id)
{
    return id->bytes[0] == 1;
}
int32_t schema_id_number(const struct schema_id *id);
// How many of its bytes are the id.
size_t schema_id_size(const struct schema_id *id);

// "7", or the guid with dashes. Returns text.
const char *schema_id_text(const struct schema_id *id, char text[SCHEMA_ID_TEXT]);

struct schema_claim {
    struct schema_id id;
    struct slice lead; // behind an id in a header: Protobuf's message indexes, which else begin the payload
    struct slice payload;
};

// Takes the id out of header, the record's header of that side, or where it has none (data NULL) off part,
// its key or value. MALFORMED: there is no id. The slices of *claim are of the arguments.
enum status schema_claim_take(struct slice header, struct slice part, struct schema_claim *claim);

// The payload with its lead in front, in joined (emptied first) where there is a lead.
struct slice schema_claim_payload(const struct schema_claim *claim, struct buf *joined);

#endif
