// SPDX-License-Identifier: Apache-2.0
// The table of compatibility cases (cases.txt), whose verdicts are Confluent's.
#include "schema/protobuf.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { LINE = 4096 };

struct row {
    char reason[LINE], texts[2][LINE], imports[2][LINE], verdict[LINE]; // writer, reader
};

static struct schema *parse(const char *text, const char *import)
{
    struct schema *schema;
    struct schema_error error;
    struct schema_reference ref = {slice_str("g.proto"), slice_str(import)};
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, slice_str(text), &ref, *import != '\0', &error, &schema),
                 ST_OK, "%s: %s", text, error.text);
    return schema;
}

static void check(const struct row *row, char *out)
{
    struct schema *writer = parse(row->texts[0], row->imports[0]),
                  *reader = parse(row->texts[1], row->imports[1]);
    struct schema_findings findings;
    int len = 0;
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    for (size_t i = 0; i < findings.count; i++) {
        const struct schema_finding *one = &findings.items[i];
        len += snprintf(out + len, (size_t)(LINE - len), "%s%s %s", i > 0 ? " | " : "", one->type, one->path);
        cr_assert(*one->remedy != '\0' && *one->reader != '\0' && *one->writer != '\0', "%s", one->type);
    }
    if (findings.count == 0)
        snprintf(out, LINE, "ok");
    schema_findings_fini(&findings);
    schema_free(reader);
    schema_free(writer);
}

static bool take(const char *line, const char *name, char out[LINE])
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) != 0)
        return false;
    snprintf(out, LINE, "%s", line + len);
    return true;
}

// False: the end of the table.
static bool next_row(FILE *file, struct row *row)
{
    char line[LINE];
    memset(row, 0, sizeof *row);
    while (fgets(line, LINE, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (*line == '\0' && *row->verdict != '\0')
            return true;
        bool taken =
            take(line, "# ", row->reason) || take(line, "writer: ", row->texts[0]) ||
            take(line, "reader: ", row->texts[1]) || take(line, "g.proto of the writer: ", row->imports[0]) ||
            take(line, "g.proto of the reader: ", row->imports[1]) || take(line, "verdict: ", row->verdict);
        cr_assert(taken || *line == '\0' || strncmp(line, "source: ", 8) == 0 ||
                      strncmp(line, "apicurio: ", 10) == 0,
                  "%s", line);
    }
    return *row->verdict != '\0';
}

Test(protobuf_cases, verdicts_are_those_of_confluents_registry)
{
    static struct row row;
    FILE *file = fopen(MILLRACE_SOURCE_DIR "/tests/unit/protobuf/cases.txt", "r");
    char got[LINE];
    int cases = 0;
    cr_assert_not_null(file);
    for (; next_row(file, &row); cases++) {
        check(&row, got);
        cr_expect_str_eq(got, row.verdict, "%s\n%s\n%s", row.reason, row.texts[0], row.texts[1]);
    }
    fclose(file);
    cr_assert_geq(cases, 60);
}

static void message(const char *reader_text, const char *writer_text, bool reader_is_new, char *out)
{
    struct schema *reader = parse(reader_text, ""), *writer = parse(writer_text, "");
    struct schema_findings findings;
    struct buf text;
    buf_init(&text, LINE - 1);
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    cr_assert_eq(findings.count, 1);
    cr_assert_eq(schema_finding_text(&findings.items[0], reader_is_new, &text), ST_OK);
    snprintf(out, LINE, "%.*s %s %s", (int)text.len, (const char *)text.data, findings.items[0].reader,
             findings.items[0].writer);
    schema_findings_fini(&findings);
    buf_fini(&text);
    schema_free(reader);
    schema_free(writer);
}

Test(protobuf_cases, a_finding_is_told_in_confluents_words_with_both_sides_and_a_remedy_behind)
{
    char text[LINE];
    message("syntax = \"proto3\"; message T { E a = 1; } message E {}",
            "syntax = \"proto3\"; message T { repeated int32 a = 1; }", true, text);
    cr_assert_str_eq(
        text, "{errorType:\"FIELD_KIND_CHANGED\", description:\"The type of a field at path '#/T/1' in "
              "the new schema does not match the old schema\", new:\".E a = 1\", old:\"repeated int32 a = 1\", "
              "remedy:\"keep the field as it is and add "
              "one of another number with the new type\"} .E a = 1 repeated int32 a = 1");
    message("message T {}", "message T { required int32 a = 1; }", false, text);
    cr_assert_not_null(
        strstr(text, "The old schema is missing a required field at path: '#/T/1' in the new schema"));
    cr_assert_not_null(strstr(text, "(none) required int32 a = 1"));
}

// Messages of an import that name one another in a long chain, and one that names many others twice.
Test(protobuf_cases, imports_are_compared_once_and_in_bounded_depth, .timeout = 20)
{
    struct buf import[2];
    for (int side = 0; side < 2; side++) {
        buf_init(&import[side], 1 << 20);
        for (int i = 0; i < 300; i++)
            buf_printf(&import[side], "message M%d { optional M%d a = 1; optional M%d b = 2; }\n", i, i + 1,
                       i + 1);
        buf_printf(&import[side], "message M300 { optional %s a = 1; }", side == 0 ? "int32" : "string");
        buf_put_u8(&import[side], '\0');
    }
    const char *text = "import \"g.proto\"; message T { optional M0 m = 1; }";
    struct schema *writer = parse(text, (char *)import[0].data),
                  *reader = parse(text, (char *)import[1].data);
    struct schema_findings findings;
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    cr_assert_eq(findings.count, SCHEMA_FINDINGS_MAX);
    cr_assert(findings.more);
    cr_assert_str_eq(findings.items[0].path, "#/M300/1");
    schema_findings_fini(&findings);
    schema_free(reader);
    schema_free(writer);
    buf_fini(&import[0]);
    buf_fini(&import[1]);
}
