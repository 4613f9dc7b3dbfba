// SPDX-License-Identifier: Apache-2.0
// What serializers of Confluent's kind wrote as JSON, each record by the schema its id names, for `millrace
// consume`. Schemas are kept, SCHEMA_READER_SCHEMAS of them at most and SCHEMA_READER_BYTES of text; those
// that were not needed for longest go first.
#ifndef CLI_SCHEMA_READER_H
#define CLI_SCHEMA_READER_H

#include "schema.h"

#include "base/map.h"
#include "schema/claim.h"
#include "schema/schema.h"

enum { SCHEMA_READER_SCHEMAS = 1000, SCHEMA_READER_BYTES = 64 << 20 };

// How a schema is had: schema_fetch, or what a test has instead.
typedef enum cli_exit schema_fetch_fn(const struct schema_options *options, const struct schema_id *id,
                                      const char *subject, struct schema **schema, size_t *bytes);

struct schema_reader {
    const struct schema_options *options;
    schema_fetch_fn *fetch;
    const char *subject; // in whose context ids are
    struct map known;    // id → struct known, what was used last at the end
    size_t bytes;
    struct buf joined; // a payload whose beginning is in a header
};

// options and subject must outlive the reader.
void schema_reader_init(struct schema_reader *reader, const struct schema_options *options,
                        schema_fetch_fn *fetch, const char *subject);
void schema_reader_fini(struct schema_reader *reader);

// Appends the JSON of a side of a record. FAILED: *error says why, the record is at fault, or its schema;
// ABSENT, TIMEOUT: the registry does not answer (told).
enum cli_exit schema_reader_json(struct schema_reader *reader, const struct schema_claim *claim,
                                 struct schema_error *error, struct buf *json);

#endif
