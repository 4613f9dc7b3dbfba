// SPDX-License-Identifier: Apache-2.0
// Schemas of record values, whatever language they are written in: parsed, printed in the forms a registry
// needs, checked against an older version, and used to check or convert a payload. A schema is immutable once
// parsed and may be read by several threads at once. Nothing here opens a file or a connection: references
// arrive as text. The registry, the broker's validation and the command line call this; each language is one
// row of the table in schema.c (format.h says what a row is made of).
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"

enum schema_format { SCHEMA_AVRO, SCHEMA_JSON, SCHEMA_PROTOBUF };

enum {
    SCHEMA_TEXT_MAX = 1 << 20,      // bytes of one schema text
    SCHEMA_TOTAL_MAX = 8 << 20,     // bytes of a schema and its references together
    SCHEMA_REFERENCES_MAX = 1000,   // references of one schema, indirect ones counted
    SCHEMA_DEPTH_MAX = 200,         // brackets open at once in a schema text
    SCHEMA_FINDINGS_MAX = 100,      // what one check tells at most
    SCHEMA_FRAGMENT_MAX = 512,      // bytes of a fragment in a finding; longer ones end in "..."
    SCHEMA_ERROR_MAX = 512,         // bytes of an error's text, NUL included
    SCHEMA_PAYLOAD_DEPTH_MAX = 200, // values inside of values in a payload
    SCHEMA_PAYLOAD_ITEMS_MAX =
        1 << 20,                // values of a payload beyond one for each of its bytes: nulls in an array
    SCHEMA_JSON_MAX = 16 << 20, // bytes of a JSON text that is made a payload
};

// A schema that another one names. They come dependencies first: what one text uses stands before it.
struct schema_reference {
    struct slice name; // as the referring schema says it: a full name (Avro), a $ref or an import
    struct slice text; // resolved by the caller
};

// Why a text is no schema. code is what schema_parse returned; text is a sentence for the author of the
// schema, NUL-terminated, that begins with where it is ("/fields/2/type: ...") if the place is known.
struct schema_error {
    enum status code;
    char text[SCHEMA_ERROR_MAX];
};

struct schema;

// Parses text and what it refers to. What only a new schema must fulfil is left to schema_validate, so that
// one stored long ago can still be read. The time is linear in the length of all texts. MALFORMED: no schema
// of that format; LIMIT: one of the limits above; UNSUPPORTED: a format that is not built in; NO_MEMORY. On
// success *schema is the caller's (schema_free) and keeps nothing of text and refs; on failure it is NULL and
// *error says why.
enum status schema_parse(enum schema_format format, struct slice text, const struct schema_reference *refs,
                         size_t n_refs, struct schema_error *error, struct schema **schema);

// NULL is fine.
void schema_free(struct schema *schema);

// What a schema must fulfil to be registered beyond being readable (Avro: defaults fit their types, as
// AvroSchemaProvider asks of new schemas only; JSON: no property of the outermost object begins with "$$").
// MALFORMED with *error filled in, or OK.
enum status schema_validate(const struct schema *schema, struct schema_error *error);

enum schema_format schema_format(const struct schema *schema);

// The name of the outermost type where it has one (Avro: full name of a record, enum or fixed; a reference's
// type is named too; JSON: "title"), for RecordNameStrategy; otherwise the empty slice. Borrowed from the
// schema.
struct slice schema_name(const struct schema *schema);

// "AVRO", "JSON" and "PROTOBUF", as the registry's REST interface calls them; NOT_FOUND for another text.
const char *schema_format_name(enum schema_format format);
enum status schema_format_find(struct slice name, enum schema_format *format);

enum schema_text {
    SCHEMA_TEXT_PLAIN,      // as the registry stores it (Confluent's ParsedSchema.canonicalString)
    SCHEMA_TEXT_NORMAL,     // the same for all texts that mean the same (normalize=true)
    SCHEMA_TEXT_CANONICAL,  // Avro: Parsing Canonical Form, what fingerprints are of; others: as NORMAL
    SCHEMA_TEXT_RESOLVED,   // as PLAIN with all references written out (format=resolved)
    SCHEMA_TEXT_SERIALIZED, // Protobuf: base64 of the FileDescriptorProto (format=serialized)
    SCHEMA_TEXT_BARE,       // Protobuf: as PLAIN, without extensions and options of others
                            // (format=ignore_extensions)
};

// Appends that form to out. LIMIT: out is full; UNSUPPORTED: the format has no such form.
enum status schema_text(const struct schema *schema, enum schema_text form, struct buf *out);

// One reason why data of the writer cannot be read by the reader. All texts live in the findings' arena.
struct schema_finding {
    enum schema_format format;
    const char *type;    // code of the rule that is broken, as clients of Confluent's registry know it:
                         // "NAME_MISMATCH", "READER_FIELD_MISSING_DEFAULT_VALUE", ...
    const char *path;    // JSON pointer into the reader, as SchemaCompatibility.Incompatibility.getLocation;
                         // JSON Schema: behind "#", "#/" alone is the root, as Difference.getJsonPath
    const char *message; // Avro: what SchemaCompatibility says about it, for "additionalInfo"; JSON Schema:
                         // both fragments
    const char *reader;  // the fragment of the reader at path, as text
    const char *writer;  // the fragment of the writer it was compared with
    const char *remedy;  // a sentence: which change would be accepted
};

struct schema_findings {
    struct arena arena;
    struct schema_finding items[SCHEMA_FINDINGS_MAX];
    size_t count; // 0: compatible
    bool more;    // there are others beyond SCHEMA_FINDINGS_MAX
};

// Empties and frees. Init before the first check; a check begins by emptying.
void schema_findings_init(struct schema_findings *findings);
void schema_findings_fini(struct schema_findings *findings);

// Whether data written with writer can be read with reader, which is Confluent's BACKWARD when reader is the
// new schema and FORWARD when writer is. OK with no findings: it can. INVALID: not of one format. LIMIT: two
// schemas with more pairs of types to compare, or more to tell of them, than one check may take.
enum status schema_check(const struct schema *reader, const struct schema *writer,
                         struct schema_findings *findings);

// The same with Confluent's policy LENIENT: writers of JSON write only properties that their schema names, so
// that optional ones may come and go whatever the content model. Other formats have one policy.
enum status schema_check_lenient(const struct schema *reader, const struct schema *writer,
                                 struct schema_findings *findings);

// A finding as Confluent's registry puts it into "messages" (errorType, description; Avro: additionalInfo
// too), with both fragments and the remedy behind it. reader_is_new: which of the two the reader is.
// LIMIT: out is full.
enum status schema_finding_text(const struct schema_finding *finding, bool reader_is_new, struct buf *out);

// Whether payload (without the registry's header of 5 bytes) is one value of the schema, whole. MALFORMED or
// TRUNCATED: it is not; LIMIT: deeper or larger than the limits above; UNSUPPORTED: not built in for this
// format. Avro: the time is linear in the payload, no memory is taken. JSON: as jschema_check, with memory in
// proportion to the payload.
enum status schema_payload_check(const struct schema *schema, struct slice payload);

// The same for many payloads one behind the other, which together may have *spare values (Avro) or steps
// (JSON, jschema_check_many) beyond what each of their bytes brings along: what is used of them is taken off.
// LIMIT also when they are used up. Protobuf has no such values and leaves *spare alone.
enum status schema_payload_check_many(const struct schema *schema, struct slice payload, size_t *spare);

// schema_payload_check that says why not: *error begins with where in the payload it is ("/lines/3/count:
// ...") if the format can tell. For payloads that are refused; it may cost a little more.
enum status schema_payload_explain(const struct schema *schema, struct slice payload,
                                   struct schema_error *error);

// A payload as JSON text (Avro: the JSON encoding of the specification; JSON: itself, after it is checked)
// and back. Errors as above; from_json adds the error's text.
enum status schema_payload_to_json(const struct schema *schema, struct slice payload, struct buf *json);
enum status schema_payload_from_json(const struct schema *schema, struct slice json,
                                     struct schema_error *error, struct buf *payload);

#endif
