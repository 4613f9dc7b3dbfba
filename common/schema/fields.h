// SPDX-License-Identifier: Apache-2.0
// The fields of a schema's outermost type, as Confluent's ParsedSchema.hasTopLevelField sees them: of a
// record (Avro), properties of the outermost schema (JSON), of the first message (Protobuf).
#ifndef SCHEMA_FIELDS_H
#define SCHEMA_FIELDS_H

#include "schema/schema.h"

// Whether there is one of that name. The time is linear in the number of fields at most.
bool schema_has_field(const struct schema *schema, struct slice name);

// The same for a schema of that language.
bool avro_has_field(const struct schema *schema, struct slice name);
bool json_has_field(const struct schema *schema, struct slice name);
bool protobuf_has_field(const struct schema *schema, struct slice name);

#endif
