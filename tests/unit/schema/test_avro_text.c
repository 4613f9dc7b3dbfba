// SPDX-License-Identifier: Apache-2.0
// The forms of an Avro schema and its fingerprints. The schemas, canonical forms and CRC-64 values of
// `vectors` are those of the Avro project's share/test/data/schema-tests.txt.
#include "schema/avro.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct schema *parse_with(const char *text, const struct schema_reference *refs, size_t n_refs)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str(text), refs, n_refs, &error, &schema), ST_OK, "%s: %s",
                 text, error.text);
    return schema;
}

static void expect_with(const char *text, enum schema_text form, const char *expected,
                        const struct schema_reference *refs, size_t n_refs)
{
    struct schema *schema = parse_with(text, refs, n_refs);
    struct buf out;
    buf_init(&out, 1 << 16);
    cr_expect_eq(schema_text(schema, form, &out), ST_OK);
    cr_expect(slice_is(buf_slice(&out), expected), "%s\ngives    %.*s\nexpected %s", text, (int)out.len,
              (char *)out.data, expected);
    buf_fini(&out);
    schema_free(schema);
}

static void expect(const char *text, enum schema_text form, const char *expected)
{
    expect_with(text, form, expected, NULL, 0);
}

static const struct {
    const char *text, *canonical;
    int64_t fingerprint;
} vectors[] = {
    {"\"null\"", "\"null\"", 7195948357588979594},
    {"{\"type\":\"boolean\"}", "\"boolean\"", -6970731678124411036},
    {"\"int\"", "\"int\"", 8247732601305521295},
    {"\"long\"", "\"long\"", -3434872931120570953},
    {"\"float\"", "\"float\"", 5583340709985441680},
    {"\"double\"", "\"double\"", -8181574048448539266},
    {"\"bytes\"", "\"bytes\"", 5746618253357095269},
    {"\"string\"", "\"string\"", -8142146995180207161},
    {"[  ]", "[]", -1241056759729112623},
    {"[ \"int\"  ]", "[\"int\"]", -5232228896498058493},
    {"[ \"int\" , {\"type\":\"boolean\"} ]", "[\"int\",\"boolean\"]", 5392556393470105090},
    {"{\"fields\":[], \"type\":\"record\", \"name\":\"foo\"}",
     "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[]}", -4824392279771201922},
    {"{\"fields\":[], \"type\":\"record\", \"name\":\"foo\", \"namespace\":\"x.y\"}",
     "{\"name\":\"x.y.foo\",\"type\":\"record\",\"fields\":[]}", 5916914534497305771},
    {"{\"fields\":[], \"type\":\"record\", \"name\":\"a.b.foo\", \"namespace\":\"x.y\"}",
     "{\"name\":\"a.b.foo\",\"type\":\"record\",\"fields\":[]}", -4616218487480524110},
    {"{\"fields\":[], \"type\":\"record\", \"name\":\"foo\", \"doc\":\"foo\", \"aliases\":[\"foo\",\"bar\"]}",
     "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[]}", -4824392279771201922},
    {"{\"fields\":[{\"type\":\"boolean\", \"aliases\":[], \"name\":\"f1\", \"default\":\"true\"}, "
     "{\"order\":\"descending\",\"name\":\"f2\",\"doc\":\"Hello\",\"type\":\"int\"}], \"type\":\"record\", "
     "\"name\":\"foo\"}",
     "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[{\"name\":\"f1\",\"type\":\"boolean\"},{\"name\":"
     "\"f2\","
     "\"type\":\"int\"}]}",
     -4860222112080293046},
    {"{\"namespace\":\"x.y.z\", \"type\":\"enum\", \"name\":\"foo\", \"doc\":\"foo bar\", "
     "\"symbols\":[\"A1\", "
     "\"A2\"]}",
     "{\"name\":\"x.y.z.foo\",\"type\":\"enum\",\"symbols\":[\"A1\",\"A2\"]}", -4448647247586288245},
    {"{\"namespace\":\"x.y.z\", \"type\":\"fixed\", \"name\":\"foo\", \"doc\":\"foo bar\", \"size\":32}",
     "{\"name\":\"x.y.z.foo\",\"type\":\"fixed\",\"size\":32}", -3064184465700546786},
    {"{ \"items\":{\"type\":\"null\"}, \"type\":\"array\"}", "{\"type\":\"array\",\"items\":\"null\"}",
     -589620603366471059},
    {"{ \"values\":\"string\", \"type\":\"map\"}", "{\"type\":\"map\",\"values\":\"string\"}",
     -8732877298790414990},
    {"{\"name\":\"PigValue\",\"type\":\"record\", \"fields\":[{\"name\":\"value\", \"type\":[\"null\", "
     "\"int\", "
     "\"long\", \"PigValue\"]}]}",
     "{\"name\":\"PigValue\",\"type\":\"record\",\"fields\":[{\"name\":\"value\",\"type\":[\"null\",\"int\","
     "\"long\","
     "\"PigValue\"]}]}",
     -1759257747318642341},
};

Test(avro_text, canonical_forms_and_fingerprints_are_avros_own)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t bytes[AVRO_FINGERPRINT_MAX];
        size_t len;
        struct schema *schema = parse_with(vectors[i].text, NULL, 0);
        expect(vectors[i].text, SCHEMA_TEXT_CANONICAL, vectors[i].canonical);
        cr_expect_eq(avro_fingerprint(schema, AVRO_CRC64, bytes, &len), ST_OK);
        cr_expect_eq(len, 8);
        cr_expect_eq((int64_t)load_le64(bytes), vectors[i].fingerprint, "%s", vectors[i].text);
        schema_free(schema);
    }
}

static void expect_digest(enum avro_fingerprint kind, const char *hex)
{
    struct schema *schema = parse_with("\"int\"", NULL, 0);
    uint8_t bytes[AVRO_FINGERPRINT_MAX];
    size_t len;
    char text[2 * AVRO_FINGERPRINT_MAX + 1];
    cr_assert_eq(avro_fingerprint(schema, kind, bytes, &len), ST_OK);
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    cr_expect_str_eq(text, hex);
    schema_free(schema);
}

// The specification's own example of the canonical form "int".
Test(avro_text, md5_and_sha256_of_int)
{
    expect_digest(AVRO_MD5, "ef524ea1b91e73173d938ade36c1db32");
    expect_digest(AVRO_SHA256, "3f2b87a9fe7cc9b13835598c3981cd45e3e355309e5090aa0933d7becb6fba45");
}

Test(avro_text, plain_is_what_java_prints)
{
    expect(
        "{\"name\":\"R\",\"namespace\":\"a\",\"aliases\":[\"Q\",\"b.P\",\"int\"],\"custom\":[1,{\"x\":null}],"
        "\"fields\":["
        "{\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":2},\"default\":\"\\u0000\\u0001\",\"name\":"
        "\"f\","
        "\"order\":\"IGNORE\",\"p\":1.50},"
        "{\"name\":\"g\",\"type\":\"a.F\"},{\"name\":\"h\",\"type\":{\"type\":\"string\",\"doc\":\"lost\"},"
        "\"order\":\"ascending\"}],\"type\":\"record\",\"doc\":\"d\"}",
        SCHEMA_TEXT_PLAIN,
        "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a\",\"doc\":\"d\",\"fields\":[{\"name\":\"f\","
        "\"type\":"
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2},\"default\":\"\\u0000\\u0001\",\"order\":\"ignore\","
        "\"p\":1.5},{\"name\":\"g\",\"type\":\"F\"},{\"name\":\"h\",\"type\":\"string\"}],\"custom\":[1,{"
        "\"x\":null}],"
        "\"aliases\":[\"Q\",\"b.P\",\"a.int\"]}");
    expect("{\"type\":\"record\",\"name\":\"a.R\",\"fields\":[{\"name\":\"x\",\"type\":{\"type\":\"enum\","
           "\"name\":\"E\","
           "\"namespace\":\"\",\"symbols\":[\"A\"],\"default\":\"A\"}}]}",
           SCHEMA_TEXT_PLAIN,
           "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a\",\"fields\":[{\"name\":\"x\",\"type\":{"
           "\"type\":\"enum\","
           "\"name\":\"E\",\"namespace\":\"\",\"symbols\":[\"A\"],\"default\":\"A\"}}]}");
    expect("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"double\",\"default\":"
           "\"NaN\"},"
           "{\"name\":\"y\",\"type\":\"float\",\"default\":\"1e1f\"}]}",
           SCHEMA_TEXT_PLAIN,
           "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"double\",\"default\":"
           "\"NaN\"},"
           "{\"name\":\"y\",\"type\":\"float\",\"default\":10.0}]}");
}

// The types of a reference are named where the reference's own type is meant, written out where an inner one
// is.
Test(avro_text, references_are_named_or_written_out)
{
    const struct schema_reference ref = {
        .name = slice_str("r"),
        .text = slice_str(
            "{\"type\":\"record\",\"name\":\"q.Ref\",\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"enum\","
            "\"name\":\"E\",\"symbols\":[\"A\"]}}]}")};
    const char *text =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"q.Ref\"},{\"name\":\"b\","
        "\"type\":\"q.E\"}]}";
    expect_with(text, SCHEMA_TEXT_PLAIN,
                "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"q.Ref\"},{"
                "\"name\":\"b\",\"type\":"
                "{\"type\":\"enum\",\"name\":\"E\",\"namespace\":\"q\",\"symbols\":[\"A\"]}}]}",
                &ref, 1);
    expect_with(
        text, SCHEMA_TEXT_RESOLVED,
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\","
        "\"name\":"
        "\"Ref\",\"namespace\":\"q\",\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\","
        "\"symbols\":[\"A\"]}}]}},{\"name\":\"b\",\"type\":\"q.E\"}]}",
        &ref, 1);
    expect_with(text, SCHEMA_TEXT_NORMAL,
                "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"q.Ref\"},{"
                "\"name\":\"b\",\"type\":"
                "{\"type\":\"enum\",\"name\":\"E\",\"namespace\":\"q\",\"symbols\":[\"A\"]}}]}",
                &ref, 1);
}

// Worked out by hand from AvroSchemaUtils.toNormalizedString: no outside source runs here.
Test(avro_text, normal_form_is_one_for_all_spellings)
{
    expect(
        "{\"z\":1,\"a\":{\"d\":1,\"c\":2},\"type\":\"error\",\"name\":\"n.R\",\"doc\":\"\",\"aliases\":["
        "\"Z\",\"A\"],"
        "\"fields\":[{\"name\":\"f\",\"type\":\"float\",\"default\":1,\"aliases\":[\"y\",\"x\"],\"z\":1,"
        "\"b\":2},"
        "{\"name\":\"g\",\"type\":[\"null\",\"int\"],\"default\":null,\"order\":\"descending\"},"
        "{\"name\":\"h\",\"type\":[\"null\",\"string\"],\"default\":\"dropped, not of the first branch\"},"
        "{\"name\":\"i\",\"type\":{\"scale\":2,\"q\":1,\"precision\":4,\"logicalType\":\"decimal\",\"type\":"
        "\"bytes\"}},"
        "{\"name\":\"j\",\"type\":{\"type\":\"map\",\"values\":\"double\"},\"default\":{\"k\":2,\"b\":1}}]}",
        SCHEMA_TEXT_NORMAL,
        "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\",\"fields\":[{\"name\":\"f\",\"type\":"
        "\"float\","
        "\"default\":1.0,\"aliases\":[\"x\",\"y\"],\"b\":2,\"z\":1},{\"name\":\"g\",\"type\":[\"null\","
        "\"int\"],\"default\":"
        "null,\"order\":\"descending\"},{\"name\":\"h\",\"type\":[\"null\",\"string\"]},{\"name\":\"i\","
        "\"type\":{\"type\":"
        "\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2,\"q\":1}},{\"name\":\"j\","
        "\"type\":{\"type\":"
        "\"map\",\"values\":\"double\"},\"default\":{\"b\":1.0,\"k\":2.0}}],\"a\":{\"c\":2,\"d\":1},\"z\":1,"
        "\"aliases\":[\"A\",\"Z\"]}");
}

Test(avro_text, a_full_buffer_is_told)
{
    struct schema *schema = parse_with("{\"type\":\"array\",\"items\":\"int\"}", NULL, 0);
    for (enum schema_text form = SCHEMA_TEXT_PLAIN; form <= SCHEMA_TEXT_RESOLVED; form++) {
        struct buf out;
        buf_init(&out, 10);
        cr_expect_eq(schema_text(schema, form, &out), ST_LIMIT);
        buf_fini(&out);
    }
    schema_free(schema);
}
