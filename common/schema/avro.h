// SPDX-License-Identifier: Apache-2.0
// An Avro schema in memory (specification 1.12). Types are nodes of a graph: each place of the text that
// spells out a type has a node of its own, and places that say the name of a record, enum or fixed share the
// node of that name, so that two nodes are the same type exactly if Java's Schema objects would be identical.
// Everything lives in the schema's arena and is never changed after the parse.
#ifndef SCHEMA_AVRO_H
#define SCHEMA_AVRO_H

#include "base/map.h"
#include "schema/format.h"
#include "schema/tree.h"

enum avro_kind {
    AVRO_RECORD,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION,
    AVRO_FIXED,
    AVRO_STRING,
    AVRO_BYTES,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BOOLEAN,
    AVRO_NULL,
    AVRO_KINDS,
};

// Logical types that Avro 1.12 knows by itself. A logicalType of another name, or on a type it does not fit,
// is a property like any other and the type is taken as it stands (specification, "Logical Types").
enum avro_logical {
    AVRO_PLAIN,
    AVRO_DECIMAL,
    AVRO_BIG_DECIMAL,
    AVRO_UUID,
    AVRO_DATE,
    AVRO_TIME_MILLIS,
    AVRO_TIME_MICROS,
    AVRO_TIMESTAMP_MILLIS,
    AVRO_TIMESTAMP_MICROS,
    AVRO_TIMESTAMP_NANOS,
    AVRO_LOCAL_TIMESTAMP_MILLIS,
    AVRO_LOCAL_TIMESTAMP_MICROS,
    AVRO_LOCAL_TIMESTAMP_NANOS,
    AVRO_DURATION, // kept and used for conversions; Java's parser does not register it
    AVRO_LOGICALS,
};

enum avro_order { AVRO_ASCENDING, AVRO_DESCENDING, AVRO_IGNORE };

enum {
    AVRO_NEST_MAX = 1000,             // types within types when a schema is walked, names followed
    AVRO_DEFAULT_STEPS_MAX = 1 << 20, // values looked at while defaults are checked
    AVRO_PAIRS_MAX = 1 << 18,         // pairs of types that one check may compare
    AVRO_FIXED_MAX = INT32_MAX - 8,   // bytes of a fixed, as Java's SystemLimitException
};

// A name in its parts; all three without data where Java has null.
struct avro_name {
    struct slice full;  // "a.b.C"
    struct slice space; // "a.b"; data NULL: none
    struct slice last;  // "C"
};

// Strings by value: finds one in logarithmic time.
struct avro_index {
    const struct slice *names; // in the order of the text
    uint32_t *order;           // positions by name
    uint32_t count;
};

struct avro_field {
    struct slice name;
    struct avro_type *type;
    struct slice doc;         // data NULL: none
    const struct tree *value; // default, or NULL
    enum avro_order order;
    const struct slice *aliases;
    uint32_t alias_count;
    const struct tree *json;         // the object it was written as, for its properties
    struct avro_field *next_default; // the fields with a default, in the order of the text
};

struct avro_type {
    enum avro_kind kind;
    enum avro_logical logical;
    int precision, scale;  // of a decimal
    uint32_t id;           // of a named type: the same for the same name, from 0 in this schema
    struct avro_name name; // RECORD, ENUM, FIXED
    struct slice doc;      // of those; data NULL: none
    const struct avro_name *aliases;
    uint32_t alias_count;
    bool is_error;           // RECORD: written as "error"
    bool complete;           // RECORD: the fields are there
    uint32_t count;          // fields, symbols or branches
    const struct tree *json; // the object it was written as, or NULL when only its name was said
    union {
        struct avro_field *fields;   // RECORD
        struct avro_type **branches; // UNION
        struct avro_type *items;     // ARRAY, MAP
        int64_t size;                // FIXED: bytes
        struct slice symbol;         // ENUM: its default, data NULL: none
    };
    struct avro_index index; // names of fields, symbols or branches
};

struct avro_schema {
    struct schema base; // first
    struct arena arena;
    struct slice text;             // what was parsed, in the arena
    struct schema_reference *refs; // likewise
    size_t n_refs;
    struct avro_type *root;
    struct avro_type **ref_roots;      // what each reference's text is
    struct map names;                  // full name -> struct avro_type
    struct avro_field *defaults;       // all fields with one
    struct schema_error default_fault; // the first that does not fit; code OK: all do
};

static inline const struct avro_schema *avro_of(const struct schema *schema)
{
    return (const struct avro_schema *)schema;
}

// "record", "enum", ..., "null"
const char *avro_kind_name(enum avro_kind kind);
// "decimal", "timestamp-millis", ...; NULL for AVRO_PLAIN
const char *avro_logical_name(enum avro_logical logical);
// The kind of a primitive's name, or AVRO_KINDS.
enum avro_kind avro_primitive(struct slice name);
static inline bool avro_named(enum avro_kind kind)
{
    return kind == AVRO_RECORD || kind == AVRO_ENUM || kind == AVRO_FIXED;
}
// The full name of a named type, else the kind's name: what a union's branches are told apart by.
struct slice avro_type_name(const struct avro_type *type);

// Splits name, which may have a namespace of its own before its last dot; space otherwise (Java's
// Schema.Name). False when the arena is full.
bool avro_name_make(struct arena *arena, struct slice name, struct slice space, struct avro_name *made);

// Whether one part of a name is allowed: a letter or "_", then letters, digits and "_"; letters of every
// language, as NameValidator.UTF_VALIDATOR, which Confluent's parser uses.
bool avro_name_valid(struct slice part);
// The same for each part between dots.
bool avro_full_name_valid(struct slice full);

// Sorts names (kept, not copied). False when the arena is full. *twice: a name that is there more than once,
// or data NULL.
bool avro_index_make(struct arena *arena, const struct slice *names, uint32_t count, struct avro_index *index,
                     struct slice *twice);
// Position of the name, or -1.
int avro_index_find(const struct avro_index *index, struct slice name);

// Whether a member of the type's JSON object is a property to be kept (Schema.SCHEMA_RESERVED and
// ENUM_RESERVED) or a field's (FIELD_RESERVED).
bool avro_is_property(const struct avro_type *type, struct slice name);
bool avro_is_field_property(struct slice name);
bool avro_has_properties(const struct avro_type *type);

// Finds out the type's logical type (LogicalTypes.fromSchemaIgnoreInvalid).
void avro_logical_find(struct avro_type *type);

// avro_default.c: whether value may stand as the default of a field of that type (Schema.isValidDefault).
// type NULL: not known yet. MALFORMED, or LIMIT after *steps values.
enum status avro_default_check(const struct avro_type *type, const struct tree *value, size_t *steps);

// The functions of the language's table, one file each.
enum status avro_parse(const struct schema_source *source, struct schema_error *error,
                       struct schema **schema);
void avro_free(struct schema *schema);
enum status avro_text(const struct schema *schema, enum schema_text form, struct buf *out);
enum status avro_check(const struct schema *reader, const struct schema *writer,
                       struct schema_findings *findings);
enum status avro_payload_check(const struct schema *schema, struct slice payload);
enum status avro_payload_explain(const struct schema *schema, struct slice payload,
                                 struct schema_error *error);
enum status avro_payload_check_many(const struct schema *schema, struct slice payload, size_t *spare);
enum status avro_payload_to_json(const struct schema *schema, struct slice payload, struct buf *json);
enum status avro_payload_from_json(const struct schema *schema, struct slice json, struct schema_error *error,
                                   struct buf *payload);

// One type as Schema.toString prints it; what does not fit into out is left out (LIMIT).
enum status avro_type_text(const struct avro_schema *schema, const struct avro_type *type, struct buf *out);
// Parsing Canonical Form.
enum status avro_canonical_text(const struct avro_schema *schema, struct buf *out);
// Confluent's AvroSchemaUtils.toNormalizedString, before it is parsed again.
enum status avro_normal_text(const struct avro_schema *schema, struct buf *out);

// Fingerprints of the Parsing Canonical Form (specification, "Schema Fingerprints").
enum avro_fingerprint { AVRO_CRC64, AVRO_MD5, AVRO_SHA256 };
enum { AVRO_FINGERPRINT_MAX = 32 };
// *len: 8 (little-endian), 16 or 32 bytes. Errors as schema_text.
enum status avro_fingerprint(const struct schema *schema, enum avro_fingerprint kind,
                             uint8_t out[AVRO_FINGERPRINT_MAX], size_t *len);
// CRC-64-AVRO of bytes.
uint64_t avro_crc64(struct slice bytes);

#endif
