// SPDX-License-Identifier: Apache-2.0
// The table of compatibility cases: avro_cases.txt, whose verdicts are Apache Avro's.
#include "schema/schema.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { LINE = 4096 };

static struct schema *parse(const char *text)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str(text), NULL, 0, &error, &schema), ST_OK, "%s: %s", text,
                 error.text);
    return schema;
}

static void found(const char *reader_text, const char *writer_text, char *out)
{
    struct schema *reader = parse(reader_text), *writer = parse(writer_text);
    struct schema_findings findings;
    size_t len = 0;
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    for (size_t i = 0; i < findings.count; i++) {
        const struct schema_finding *one = &findings.items[i];
        bool thrown = strcmp(one->type, "AMBIGUOUS_FIELD") == 0;
        len += (size_t)(thrown ? snprintf(out + len, LINE - len, "%s", one->type)
                               : snprintf(out + len, LINE - len, "%s%s %s %s", i > 0 ? " | " : "", one->type,
                                          one->path, one->message));
        cr_assert(*one->remedy != '\0' && *one->reader != '\0' && *one->writer != '\0');
    }
    if (findings.count == 0)
        snprintf(out, LINE, "ok");
    schema_findings_fini(&findings);
    schema_free(reader);
    schema_free(writer);
}

static bool next_line(FILE *file, char line[LINE])
{
    if (fgets(line, LINE, file) == NULL)
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

Test(avro_cases, verdicts_are_those_of_apache_avro)
{
    FILE *file = fopen(MILLRACE_SOURCE_DIR "/tests/unit/schema/avro_cases.txt", "r");
    char reason[LINE], reader[LINE], writer[LINE], expected[LINE], got[LINE];
    int cases = 0;
    cr_assert_not_null(file);
    while (next_line(file, reason)) {
        if (*reason == '#' || *reason == '\0')
            continue;
        cr_assert(next_line(file, reader) && next_line(file, writer) && next_line(file, expected));
        found(reader, writer, got);
        cr_expect_str_eq(got, expected, "%s\n%s\n%s", reason, reader, writer);
        cases++;
    }
    fclose(file);
    cr_assert_geq(cases, 150);
}

static void messages(const char *reader_text, const char *writer_text, bool reader_is_new, struct buf *out)
{
    struct schema *reader = parse(reader_text), *writer = parse(writer_text);
    struct schema_findings findings;
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    for (size_t i = 0; i < findings.count; i++)
        cr_assert_eq(schema_finding_text(&findings.items[i], reader_is_new, out), ST_OK);
    buf_put_u8(out, '\0');
    schema_findings_fini(&findings);
    schema_free(reader);
    schema_free(writer);
}

Test(avro_cases, a_finding_is_told_in_confluents_words_with_both_sides_and_a_remedy_behind)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    messages("{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}",
             "{\"type\":\"record\",\"name\":\"T\",\"fields\":[]}", true, &out);
    cr_assert_str_eq(
        (char *)out.data,
        "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' at path "
        "'/fields/0' in the new schema has no default value and is missing in the old schema', "
        "additionalInfo:'a', new:'{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"a\",\"type\":"
        "\"int\"}]}', old:'{\"type\":\"record\",\"name\":\"T\",\"fields\":[]}', "
        "remedy:'give the field a default, or an alias that names a field of "
        "the writer'}");
    buf_clear(&out);
    messages("{\"type\":\"fixed\",\"name\":\"T\",\"size\":1}",
             "{\"type\":\"fixed\",\"name\":\"T\",\"size\":2}", false, &out);
    cr_assert_not_null(
        strstr((char *)out.data, "at path '/size' in the old schema does not match with the new"));
    cr_assert_not_null(strstr((char *)out.data, "old:'{\"type\":\"fixed\",\"name\":\"T\",\"size\":1}', new:'"));
    buf_fini(&out);
}

Test(avro_cases, fragments_are_cut_where_they_are_long)
{
    char reader[2000], symbol[1000];
    memset(symbol, 'S', sizeof symbol - 1);
    symbol[sizeof symbol - 1] = '\0';
    snprintf(reader, sizeof reader, "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"%s\"]}", symbol);
    struct schema *one = parse(reader), *other = parse("\"int\"");
    struct schema_findings findings;
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(one, other, &findings), ST_OK);
    cr_assert_eq(findings.count, 1);
    cr_assert_leq(strlen(findings.items[0].reader), SCHEMA_FRAGMENT_MAX);
    cr_assert_str_eq(findings.items[0].reader + strlen(findings.items[0].reader) - 3, "...");
    cr_assert_str_eq(findings.items[0].writer, "\"int\"");
    schema_findings_fini(&findings);
    schema_free(one);
    schema_free(other);
}

// Two fields of each record are the one before it: a billion places where the leaf stands.
static struct schema *pyramid(const char *leaf)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "[{\"type\":\"record\",\"name\":\"R0\",\"fields\":[{\"name\":\"x\",\"type\":\"%s\"}]}",
               leaf);
    for (int i = 1; i <= 30; i++)
        buf_printf(&text,
                   ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":\"R%d\"},"
                   "{\"name\":\"b\",\"type\":\"R%d\"}]}",
                   i, i - 1, i - 1);
    buf_printf(&text, "]");
    buf_put_u8(&text, '\0');
    struct schema *schema = parse((char *)text.data);
    buf_fini(&text);
    return schema;
}

Test(avro_cases, shared_types_are_compared_once, .timeout = 20)
{
    struct schema *reader = pyramid("string"), *writer = pyramid("int");
    struct schema_findings findings;
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(reader, reader, &findings), ST_OK);
    cr_assert_eq(findings.count, 0);
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    cr_assert_eq(findings.count, 31); // each branch of the union, not each place
    schema_findings_fini(&findings);
    schema_free(reader);
    schema_free(writer);
}

Test(avro_cases, no_more_than_a_hundred_findings_are_told)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
    for (int i = 0; i < 150; i++)
        buf_printf(&text, "%s{\"name\":\"f%d\",\"type\":\"int\"}", i > 0 ? "," : "", i);
    buf_printf(&text, "]}");
    buf_put_u8(&text, '\0');
    struct schema *reader = parse((char *)text.data),
                  *writer = parse("{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}");
    struct schema_findings findings;
    schema_findings_init(&findings);
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    cr_assert_eq(findings.count, SCHEMA_FINDINGS_MAX);
    cr_assert(findings.more);
    cr_assert_str_eq(findings.items[99].path, "/fields/99");
    schema_findings_fini(&findings);
    schema_free(reader);
    schema_free(writer);
    buf_fini(&text);
}
