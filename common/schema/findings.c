// SPDX-License-Identifier: Apache-2.0
// The list of what a check found, and a finding in the words of Confluent's registry. See schema.h.
#include "schema/jschema_words.h"
#include "schema/schema.h"

// Texts of all findings: paths and messages may be as long as the schemas' own names.
enum { FINDINGS_MEMORY = 64 << 20 };

void schema_findings_init(struct schema_findings *findings)
{
    arena_init(&findings->arena, FINDINGS_MEMORY);
    findings->count = 0;
    findings->more = false;
}

void schema_findings_fini(struct schema_findings *findings)
{
    arena_fini(&findings->arena);
    findings->count = 0;
}

// Difference.error of Confluent's registry: %1 the reader, %2 the writer, %m the message, %p the path.
struct row {
    const char *type, *text;
};

static const struct row avro_rows[] = {
    {"FIXED_SIZE_MISMATCH",
     "The size of FIXED type field at path '%p' in the %1 schema does not match with the "
     "%2 schema"},
    {"TYPE_MISMATCH", "The type (path '%p') of a field in the %1 schema does not match with the %2 schema"},
    {"NAME_MISMATCH", "The name of the schema has changed (path '%p')"},
    {"MISSING_ENUM_SYMBOLS", "The %1 schema is missing enum symbols '%m' at path '%p' in the %2 schema"},
    {"MISSING_UNION_BRANCH", "The %1 schema is missing a type inside a union field at path '%p' in the %2 "
                             "schema"},
    {"READER_FIELD_MISSING_DEFAULT_VALUE",
     "The field '%m' at path '%p' in the %1 schema has no default value "
     "and is missing in the %2 schema"},
};

static const struct row protobuf_rows[] = {
    {"MESSAGE_REMOVED", "The %1 schema is missing a MESSAGE type at path '%p' in the %2 schema"},
    {"FIELD_KIND_CHANGED", "The type of a field at path '%p' in the %1 schema does not match the %2 schema"},
    {"FIELD_SCALAR_KIND_CHANGED",
     "The kind of a SCALAR field at path '%p' in the %1 schema does not match its kind in the %2 schema"},
    {"FIELD_NAMED_TYPE_CHANGED",
     "The type of a MESSAGE field at path '%p' in the %1 schema does not match its type in the %2 schema"},
    {"FIELD_NUMERIC_LABEL_CHANGED", "The label for a NUMERIC field at path '%p' in the %1 schema does not "
                                    "match its label in the %2 schema"},
    {"REQUIRED_FIELD_ADDED", "A required field  at path '%p' in the %1 schema is missing in the %2 schema"},
    {"REQUIRED_FIELD_REMOVED", "The %1 schema is missing a required field at path: '%p' in the %2 schema"},
    {"ONEOF_FIELD_REMOVED", "The %1 schema is missing a oneof field at path '%p' in the %2 schema"},
    {"MULTIPLE_FIELDS_MOVED_TO_ONEOF",
     "Multiple fields in the oneof at path '%p' in the %1 schema are outside a oneof in the %2 schema"},
    {"FIELD_MOVED_TO_EXISTING_ONEOF",
     "A field in the oneof at path '%p' in the %1 schema is outside an existing oneof in the %2 schema"},
};

static void put(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

static void put_member(struct buf *out, const char *name, const char *quote, const char *text)
{
    put(out, ", ");
    put(out, name);
    put(out, ":");
    put(out, quote);
    put(out, text);
    put(out, quote);
}

static void put_wording(const char *text, const struct schema_finding *finding, bool reader_is_new,
                        struct buf *out)
{
    for (; *text != '\0'; text++) {
        if (*text != '%') {
            buf_put_u8(out, (uint8_t)*text);
            continue;
        }
        switch (*++text) {
        case 'p':
            put(out, finding->path);
            break;
        case 'm':
            put(out, finding->message);
            break;
        default:
            put(out, (*text == '1') == reader_is_new ? "new" : "old");
        }
    }
}

static const char *find(const struct row *rows, size_t count, const char *type)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].type, type) == 0)
            return rows[i].text;
    return NULL;
}

static const char *text_of(const struct schema_finding *finding)
{
    const char *text = NULL;
    if (finding->format == SCHEMA_AVRO)
        text = find(avro_rows, sizeof avro_rows / sizeof *avro_rows, finding->type);
    else if (finding->format == SCHEMA_PROTOBUF)
        text = find(protobuf_rows, sizeof protobuf_rows / sizeof *protobuf_rows, finding->type);
    else
        text = jschema_wording(finding->type).text;
    return text != NULL ? text : "%m";
}

// The registry's classes for the formats quote in two ways, and for Avro alone there is a message. Behind
// what they say stand both sides and the remedy.
enum status schema_finding_text(const struct schema_finding *finding, bool reader_is_new, struct buf *out)
{
    const char *quote = finding->format == SCHEMA_AVRO ? "'" : "\"";
    buf_printf(out, "{errorType:%s%s%s, description:%s", quote, finding->type, quote, quote);
    put_wording(text_of(finding), finding, reader_is_new, out);
    put(out, quote);
    if (finding->format == SCHEMA_AVRO)
        put_member(out, "additionalInfo", "'", finding->message);
    quote = finding->format == SCHEMA_PROTOBUF ? quote : "'";
    put_member(out, reader_is_new ? "new" : "old", quote, finding->reader);
    put_member(out, reader_is_new ? "old" : "new", quote, finding->writer);
    put_member(out, "remedy", quote, finding->remedy);
    put(out, "}");
    return buf_status(out);
}
