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

// Difference.error of Confluent's registry: %1 the reader, %2 the writer, %m the message, %p the path. Its
// texts for Protobuf have other quotes and no additionalInfo.
static const struct {
    const char *type, *text;
} wordings[] =
    {
        {"FIXED_SIZE_MISMATCH",
         "The size of FIXED type field at path '%p' in the %1 schema does not match with the "
         "%2 schema"},
        {"TYPE_MISMATCH",
         "The type (path '%p') of a field in the %1 schema does not match with the %2 schema"},
        {"NAME_MISMATCH", "The name of the schema has changed (path '%p')"},
        {"MISSING_ENUM_SYMBOLS", "The %1 schema is missing enum symbols '%m' at path '%p' in the %2 schema"},
        {"MISSING_UNION_BRANCH",
         "The %1 schema is missing a type inside a union field at path '%p' in the %2 "
         "schema"},
        {"READER_FIELD_MISSING_DEFAULT_VALUE",
         "The field '%m' at path '%p' in the %1 schema has no default value "
         "and is missing in the %2 schema"},
},
  protobuf_wordings[] = {
      {"MESSAGE_REMOVED", "The %1 schema is missing a MESSAGE type at path '%p' in the %2 schema"},
      {"FIELD_KIND_CHANGED",
       "The type of a field at path '%p' in the %1 schema does not match the %2 schema"},
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

// The registry's classes for JSON put their texts in other quotes than those for Avro. Where the finding was
// made of what stands at its place, both sides are shown.
static void put_json_schema(const struct schema_finding *finding, const struct wording *wording,
                            bool reader_is_new, struct buf *out)
{
    buf_printf(out, "{errorType:\"%s\", description:\"", finding->type);
    put_wording(wording->text, finding, reader_is_new, out);
    buf_printf(out, "\", %s:'", reader_is_new ? "new" : "old");
    put(out, finding->reader);
    buf_printf(out, "', %s:'", reader_is_new ? "old" : "new");
    put(out, finding->writer);
    put(out, "', remedy:'");
    put(out, finding->remedy);
    put(out, "'}");
}

static bool put_protobuf(const struct schema_finding *finding, bool reader_is_new, struct buf *out)
{
    for (size_t i = 0; i < sizeof protobuf_wordings / sizeof *protobuf_wordings; i++) {
        if (strcmp(protobuf_wordings[i].type, finding->type) != 0)
            continue;
        buf_printf(out, "{errorType:\"%s\", description:\"", finding->type);
        put_wording(protobuf_wordings[i].text, finding, reader_is_new, out);
        buf_printf(out, "\", remedy:\"%s\"}", finding->remedy);
        return true;
    }
    return false;
}

enum status schema_finding_text(const struct schema_finding *finding, bool reader_is_new, struct buf *out)
{
    const char *text = "%m";
    struct wording wording = jschema_wording(finding->type);
    if (put_protobuf(finding, reader_is_new, out))
        return buf_status(out);
    for (size_t i = 0; i < sizeof wordings / sizeof *wordings; i++)
        if (strcmp(wordings[i].type, finding->type) == 0)
            text = wordings[i].text;
    if (wording.text != NULL) {
        put_json_schema(finding, &wording, reader_is_new, out);
        return buf_status(out);
    }
    buf_printf(out, "{errorType:'%s', description:'", finding->type);
    put_wording(text, finding, reader_is_new, out);
    put(out, "', additionalInfo:'");
    put(out, finding->message);
    put(out, "', remedy:'");
    put(out, finding->remedy);
    put(out, "'}");
    return buf_status(out);
}
