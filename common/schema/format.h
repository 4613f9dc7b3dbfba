// SPDX-License-Identifier: Apache-2.0
// What a schema language brings: one table of functions, named in schema.c. The functions are those of
// schema.h for schemas of that language; what a table leaves out (NULL) is answered with UNSUPPORTED.
#ifndef SCHEMA_FORMAT_H
#define SCHEMA_FORMAT_H

#include "schema/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

struct schema_source {
    struct slice text;
    const struct schema_reference *refs; // dependencies first
    size_t n_refs;
};

struct schema_language {
    const char *name; // as REST calls it
    enum schema_format format;
    enum status (*parse)(const struct schema_source *source, struct schema_error *error,
                         struct schema **schema);
    void (*free)(struct schema *schema);
    enum status (*validate)(const struct schema *schema, struct schema_error *error);
    struct slice (*title)(const struct schema *schema); // schema_name
    enum status (*text)(const struct schema *schema, enum schema_text form, struct buf *out);
    enum status (*check)(const struct schema *reader, const struct schema *writer,
                         struct schema_findings *findings);
    enum status (*check_lenient)(const struct schema *reader, const struct schema *writer,
                                 struct schema_findings *findings); // NULL: as check
    enum status (*payload_check)(const struct schema *schema, struct slice payload);
    enum status (*payload_check_many)(const struct schema *schema, struct slice payload, size_t *spare);
    enum status (*payload_explain)(const struct schema *schema, struct slice payload,
                                   struct schema_error *error);
    enum status (*payload_to_json)(const struct schema *schema, struct slice payload, struct buf *json);
    enum status (*payload_from_json)(const struct schema *schema, struct slice json,
                                     struct schema_error *error, struct buf *payload);
};

// Every language's own structure begins with this.
struct schema {
    const struct schema_language *language;
};

// NULL: not built in.
const struct schema_language *schema_language(enum schema_format format);

extern const struct schema_language avro_language;
extern const struct schema_language json_language;
extern const struct schema_language protobuf_language;

// Writes an error once: later ones do not replace it. Returns status.
enum status schema_fail(struct schema_error *error, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
