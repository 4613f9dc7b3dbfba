// SPDX-License-Identifier: Apache-2.0
// Texts of Protobuf schemas: what is taken, what is refused and with which words, and the forms they are
// printed in.
#include "schema/protobuf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

enum { TEXT = 1 << 16 };

#define P3 "syntax = \"proto3\";\n"
// The number of Confluent's options, for something else.
#define MINE                                                                                                 \
    P3 "import \"google/protobuf/descriptor.proto\"; extend google.protobuf.FieldOptions { string mine = 1088; }"

static enum status try_parse(const char *text, struct schema_error *error, struct schema **schema)
{
    const struct schema_reference refs[] = {
        {slice_str("other.proto"), slice_str(P3 "package o; message O { int32 x = 1; }")},
        {slice_str("bad.proto"), slice_str(P3 "message B { int32 x = ; }")},
        {slice_str("mine.proto"), slice_str(MINE)}};
    return schema_parse(SCHEMA_PROTOBUF, slice_str(text), refs, 3, error, schema);
}

static struct schema *parse(const char *text)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(try_parse(text, &error, &schema), ST_OK, "%s: %s", text, error.text);
    return schema;
}

static void form(const char *text, enum schema_text which, char *out)
{
    struct schema *schema = parse(text);
    struct buf printed;
    buf_init(&printed, TEXT - 1);
    cr_assert_eq(schema_text(schema, which, &printed), ST_OK);
    memcpy(out, printed.data, printed.len);
    out[printed.len] = '\0';
    buf_fini(&printed);
    schema_free(schema);
}

static void refused(const char *text, enum status code, const char *why)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(try_parse(text, &error, &schema), code, "%s", text);
    cr_assert_str_eq(error.text, why, "%s\n%s", text, error.text);
}

Test(protobuf_text, errors_say_line_and_column)
{
    refused(P3 "message T {\n  int32 a = ;\n}", ST_MALFORMED, "3:13: Expected field number.");
    refused(P3 "message T {\n  Unknown a = 1;\n}", ST_MALFORMED, "3:3: \"Unknown\" is not defined.");
    refused(P3 "message T { int32 a = 1; int32 b = 1; }", ST_MALFORMED,
            "2:36: Field number 1 has already been used in \"T\" by field \"a\".");
    refused(P3 "message T { } \x01", ST_MALFORMED, "2:15: Invalid control characters encountered in text.");
    refused(P3 "import \"none.proto\";", ST_MALFORMED,
            "2:1: Import \"none.proto\" was not found or had errors.");
    refused(P3 "import \"bad.proto\";", ST_MALFORMED, "bad.proto:2:23: Expected field number.");
    refused(P3 "import \"default\";", ST_MALFORMED,
            "2:1: File recursively imports itself: default -> default");
    refused("{\"type\": \"record\"}", ST_MALFORMED, "1:1: Expected top-level statement (e.g. \"message\").");
}

Test(protobuf_text, imports_are_built_in_or_references)
{
    struct schema *schema =
        parse(P3 "import \"other.proto\"; import \"google/protobuf/any.proto\";"
                 "import \"google/type/money.proto\"; import \"confluent/type/decimal.proto\";"
                 "package p; message T { o.O a = 1; google.protobuf.Any b = 2; google.type.Money c = 3;"
                 "confluent.type.Decimal d = 4; } enum E { Z = 0; }");
    cr_assert(slice_is(schema_name(schema), "p.T"));
    cr_assert_eq(schema_format(schema), SCHEMA_PROTOBUF);
    schema_free(schema);
    schema = parse(P3 "package p; enum E { Z = 0; }");
    cr_assert(slice_is(schema_name(schema), "p.E"));
    schema_free(schema);
    schema = parse(P3);
    cr_assert_eq(schema_name(schema).len, 0);
    schema_free(schema);
}

// Confluent's registry knows them by name: it stores texts that protoc refuses.
Test(protobuf_text, options_of_confluent_need_no_import)
{
    static const char *const texts[] = {
        P3 "message T { int32 a = 1 [(confluent.field_meta).tags = 'X']; }",
        P3 "package io.confluent.p; import \"confluent/meta.proto\"; option (confluent.file_meta).doc = 'f';"
           "message T { option (confluent.message_meta).doc = 'm'; int32 a = 1; }",
        P3 "package a.confluent; enum E { option (.confluent.enum_meta).doc = 'e';"
           "Z = 0 [(confluent.enum_value_meta).doc = 'v']; }"};
    static char once[TEXT], twice[TEXT];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        form(texts[i], SCHEMA_TEXT_PLAIN, once);
        form(once, SCHEMA_TEXT_PLAIN, twice);
        cr_expect_str_eq(once, twice);
        cr_expect(strstr(texts[i], "import") != NULL || strstr(once, "import") == NULL, "%s", once);
        form(texts[i], SCHEMA_TEXT_SERIALIZED, once);
    }
    refused(
        P3 "message T { int32 a = 1 [(confluent.field_meta).none = 'X']; }", ST_MALFORMED,
        "2:26: Option \"(confluent.field_meta)\" unknown. Ensure that your proto definition file imports the "
        "proto which defines the option.");
    refused(
        P3 "message T { int32 a = 1 [(confluent.message_meta).doc = 'X']; }", ST_MALFORMED,
        "2:26: Option \"(confluent.message_meta)\" unknown. Ensure that your proto definition file imports "
        "the proto which defines the option.");
}

Test(protobuf_text, nothing_is_a_schema_without_messages)
{
    const struct schema_reference ref = {slice_str("nothing"), slice_of(NULL, 0)};
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, slice_of(NULL, 0), NULL, 0, &error, &schema), ST_OK);
    schema_free(schema);
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, slice_str("import \"nothing\";"), &ref, 1, &error, &schema),
                 ST_OK, "%s", error.text);
    schema_free(schema);
}

Test(protobuf_text, every_built_in_import_links)
{
    static const char *const names[] = {"confluent/meta",
                                        "confluent/type/decimal",
                                        "google/type/calendar_period",
                                        "google/type/color",
                                        "google/type/date",
                                        "google/type/datetime",
                                        "google/type/dayofweek",
                                        "google/type/decimal",
                                        "google/type/expr",
                                        "google/type/fraction",
                                        "google/type/interval",
                                        "google/type/latlng",
                                        "google/type/money",
                                        "google/type/month",
                                        "google/type/phone_number",
                                        "google/type/postal_address",
                                        "google/type/timeofday",
                                        "google/type/quaternion",
                                        "google/type/localized_text",
                                        "google/protobuf/any",
                                        "google/protobuf/api",
                                        "google/protobuf/descriptor",
                                        "google/protobuf/duration",
                                        "google/protobuf/empty",
                                        "google/protobuf/field_mask",
                                        "google/protobuf/source_context",
                                        "google/protobuf/struct",
                                        "google/protobuf/timestamp",
                                        "google/protobuf/type",
                                        "google/protobuf/wrappers"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[200];
        snprintf(text, sizeof text, P3 "import public \"%s.proto\";", names[i]);
        schema_free(parse(text));
    }
}

Test(protobuf_text, plain_is_as_confluent_stores_it)
{
    static char out[TEXT];
    form("// a comment\n" P3 "package p; import \"other.proto\"; option java_package = 'j';"
         "enum E { B = 0; A = 1; }\n"
         "message T { oneof c { string s = 5; int32 i = 4; } map<string, N> m = 3; reserved 9, 7 to 8;\n"
         "  optional E e = 2 [deprecated = true, json_name = \"E\"]; repeated o.O r = 1; message N { T t = "
         "1; }"
         "  message Empty {} } service S { rpc Do (T) returns (stream o.O); }",
         SCHEMA_TEXT_PLAIN, out);
    cr_assert_str_eq(
        out, "syntax = \"proto3\";\npackage p;\n\nimport \"other.proto\";\n\noption java_package = \"j\";\n\n"
             "message T {\n  reserved 9, 7 to 8;\n\n  map<string, N> m = 3;\n  optional E e = 2 [\n"
             "    deprecated = true,\n    json_name = \"E\"\n  ];\n  repeated o.O r = 1;\n\n  oneof c {\n"
             "    string s = 5;\n    int32 i = 4;\n  }\n\n  message N {\n    T t = 1;\n  }\n"
             "  message Empty {}\n}\nenum E {\n  B = 0;\n  A = 1;\n}\n\nservice S {\n"
             "  rpc Do (T) returns (stream o.O);\n}\n");
}

Test(protobuf_text, normal_has_full_names_and_an_order)
{
    static char out[TEXT];
    form(P3
         "package p; import \"other.proto\"; import \"google/protobuf/any.proto\"; option ruby_package = 'r';"
         "option java_package = 'j'; enum E { B = 0; D = 2; C = 1; }\n"
         "message T { oneof c { string s = 5; int32 i = 4; } map<string, N> m = 3; reserved 9, 7 to 8; "
         "reserved 'y', 'x'; E e = 2 [json_name = \"E\", deprecated = true]; o.O r = 1;"
         "message N { T t = 1; google.protobuf.Any a = 2; } } service S { rpc Do (T) returns (o.O); }",
         SCHEMA_TEXT_NORMAL, out);
    cr_assert_str_eq(
        out, "syntax = \"proto3\";\npackage p;\n\nimport \"google/protobuf/any.proto\";\n"
             "import \"other.proto\";\n\noption java_package = \"j\";\noption ruby_package = \"r\";\n\n"
             "message T {\n  reserved 7 to 8;\n  reserved 9;\n  reserved \"x\";\n  reserved \"y\";\n\n"
             "  .o.O r = 1;\n  .p.E e = 2 [\n    deprecated = true,\n    json_name = \"E\"\n  ];\n"
             "  map<string, .p.T.N> m = 3;\n\n  oneof c {\n    int32 i = 4;\n    string s = 5;\n  }\n\n"
             "  message N {\n    .p.T t = 1;\n    .google.protobuf.Any a = 2;\n  }\n}\n"
             "enum E {\n  B = 0;\n  C = 1;\n  D = 2;\n}\n\nservice S {\n"
             "  rpc Do (.p.T) returns (.o.O);\n}\n");
}

Test(protobuf_text, a_printed_text_prints_as_itself)
{
    static char once[TEXT], twice[TEXT];
    static const char *const texts[] = {
        "message T { required int32 a = 1 [default = -5]; optional bytes b = 2 [default = \"\\001z\\\"\"];"
        "optional double d = 3 [default = -inf]; repeated group G = 4 { optional string s = 1 [default = "
        "\"\\n'\"]; }"
        "oneof o { group H = 5 { optional int32 x = 1; } int32 y = 6; } extensions 100 to 199, 300 to max;"
        "extend T { optional int32 e = 100; } } extend T { repeated T f = 101; }",
        "message T { extensions 100 to max; message N {} extend T { repeated group In = 100 { optional N n = "
        "1;"
        "} optional int32 e = 101; } message M {} } message U {} extend T { optional group Out = 102 "
        "[deprecated ="
        " true] { optional int32 x = 1; } optional group Other = 103 { } } message V {}",
        P3
        "import \"confluent/meta.proto\"; option (confluent.file_meta).doc = \"a\\\\b\\xff\\0\";"
        "message T { option (confluent.message_meta) = { doc: 'x' 'y', tags: ['a', \"b\"] params < key: 'k' "
        "value: 'v' >; }; int32 a = 1 [(confluent.field_meta) = {}]; }"
        "enum E { option deprecated = false; reserved 3 to max; Z = 0 [(confluent.enum_value_meta).doc = ''];"
        "N = -1; }",
        P3 "service S { option deprecated = true; rpc A (T) returns (T) { option idempotency_level = "
           "IDEMPOTENT; } }"
           "message T {} message Empty { message In {} }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (enum schema_text which = SCHEMA_TEXT_PLAIN; which <= SCHEMA_TEXT_NORMAL; which++) {
            form(texts[i], which, once);
            form(once, which, twice);
            cr_expect_str_eq(once, twice);
        }
}

Test(protobuf_text, a_group_among_extensions_declares_its_message)
{
    static char out[TEXT];
    form("message T { extensions 5 to 9; } extend T { optional group G = 5 { optional int32 x = 1; } }",
         SCHEMA_TEXT_PLAIN, out);
    cr_expect_str_eq(out, "\nmessage T {\n  extensions 5 to 9;\n}\n\nextend T {\n  optional group G = 5 {\n"
                          "    optional int32 x = 1;\n  }\n}\n");
}

Test(protobuf_text, extensions_and_the_options_of_others_can_be_left_out)
{
    static char out[TEXT];
    form("import \"confluent/meta.proto\"; message T { optional int32 a = 1 [deprecated = true, "
         "(confluent.field_meta)"
         ".doc = 'd']; extensions 5; } extend T { optional int32 e = 5; }",
         SCHEMA_TEXT_BARE, out);
    cr_assert_str_eq(
        out, "\nimport \"confluent/meta.proto\";\n\nmessage T {\n  optional int32 a = 1 [deprecated = "
             "true];\n}\n");
}

// As Python's serializer registers a schema.
Test(protobuf_text, a_descriptor_in_base64_is_a_schema_too)
{
    static char bytes[TEXT], plain[TEXT], direct[TEXT];
    static const char text[] =
        P3 "package p; import \"other.proto\"; import \"confluent/meta.proto\"; message T { optional"
           " int32 a = 1 [(confluent.field_meta).doc = 'd']; o.O b = 2;"
           " map<string, o.O> m = 4; oneof c { bool d = 3; } }";
    form(text, SCHEMA_TEXT_SERIALIZED, bytes);
    form(bytes, SCHEMA_TEXT_NORMAL, plain);
    form(text, SCHEMA_TEXT_NORMAL, direct);
    cr_assert_not_null(strstr(plain, "map<string, .o.O> m = 4;"));
    cr_assert_not_null(strstr(plain, "(.confluent.field_meta)"));
    cr_assert_not_null(strstr(direct, "optional int32 a = 1"));
    form(bytes, SCHEMA_TEXT_PLAIN, plain);
    form(plain, SCHEMA_TEXT_SERIALIZED, direct);
    cr_assert_str_eq(bytes, direct);
    refused("CgdkZWZhdWx0EgFwIgA=", ST_MALFORMED, "Missing name.");
}

// In a descriptor an option has but a number.
Test(protobuf_text, the_number_of_an_option_may_be_that_of_others)
{
    static const char *const texts[] = {MINE "message T { int32 a = 1 [(mine) = 'x']; }",
                                        P3 "import \"mine.proto\"; message T { int32 a = 1 [(mine) = 'x']; }"};
    static char bytes[TEXT], plain[TEXT];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        form(texts[i], SCHEMA_TEXT_SERIALIZED, bytes);
        form(bytes, SCHEMA_TEXT_PLAIN, plain);
        cr_expect_not_null(strstr(plain, "mine) = \"x\""), "%s", plain);
        cr_expect_null(strstr(plain, "confluent"), "%s", plain);
    }
}

Test(protobuf_text, what_is_small_to_write_and_dear_to_link_is_refused, .timeout = 60)
{
    struct buf text;
    struct schema *schema;
    struct schema_error error;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "message M { ");
    buf_put_u8(&text, '\0');
    refused((char *)text.data, ST_LIMIT, "more than 200 brackets are open at once");
    buf_clear(&text);
    for (int i = 0; i < 70; i++)
        buf_printf(&text, "message M%d { ", i);
    for (int i = 0; i < 70; i++)
        buf_printf(&text, "}");
    buf_put_u8(&text, '\0');
    refused((char *)text.data, ST_LIMIT, "messages are declared too deep inside of each other");
    buf_clear(&text);
    buf_printf(&text, "message T { reserved 1");
    for (int i = 2; i < 100000; i++)
        buf_printf(&text, ",%d", i);
    buf_printf(&text, "; }");
    buf_put_u8(&text, '\0');
    refused((char *)text.data, ST_LIMIT, "a type has too many reserved or extension ranges");
    buf_clear(&text);
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "message M%0*d { ", 4000, i);
    for (int i = 1; i < 30000; i++)
        buf_printf(&text, "optional T a%d = %d;", i, i);
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "}");
    cr_assert_eq(buf_status(&text), ST_OK);
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, buf_slice(&text), NULL, 0, &error, &schema), ST_LIMIT, "%s",
                 error.text);
    cr_assert_str_eq(error.text, "the names are too long together");
    buf_fini(&text);
}

Test(protobuf_text, files_are_dear_together, .timeout = 60)
{
    struct buf text;
    struct schema *schema;
    struct schema_error error;
    buf_init(&text, SCHEMA_TEXT_MAX);
    buf_printf(&text, "message M%0*d {", 4000, 0);
    for (int i = 1; i <= 10000; i++) // 40 MB of names
        buf_printf(&text, "optional int32 a%d = %d;", i, i);
    buf_printf(&text, "}");
    struct buf other;
    buf_init(&other, SCHEMA_TEXT_MAX);
    buf_printf(&other, "package p; %.*s", (int)text.len, (char *)text.data);
    const struct schema_reference refs[] = {{slice_str("a"), buf_slice(&text)},
                                            {slice_str("b"), buf_slice(&other)}};
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, slice_str("import \"a\";"), refs, 2, &error, &schema), ST_OK,
                 "%s", error.text);
    schema_free(schema);
    cr_assert_eq(
        schema_parse(SCHEMA_PROTOBUF, slice_str("import \"a\"; import \"b\";"), refs, 2, &error, &schema),
        ST_LIMIT);
    cr_assert_str_eq(error.text, "the names are too long together");
    buf_fini(&text);
    buf_fini(&other);
}

Test(protobuf_text, brackets_in_strings_and_comments_do_not_count)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_printf(&text, P3 "/* ");
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "{");
    buf_printf(&text, "*/ // ");
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "(");
    buf_printf(&text, "\noption java_package = \"\\\"");
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "[");
    buf_printf(&text, "\";");
    buf_put_u8(&text, '\0');
    schema_free(parse((char *)text.data));
    buf_fini(&text);
}

// before, then n times what is repeated, as a schema.
static void repeated(const char *before, const char *what, int n, enum status code, const char *why)
{
    struct buf text;
    struct schema *schema;
    struct schema_error error;
    buf_init(&text, SCHEMA_TEXT_MAX);
    buf_printf(&text, "%s", before);
    for (int i = 0; i < n; i++)
        buf_append(&text, what, strlen(what));
    cr_assert_eq(buf_status(&text), ST_OK);
    cr_expect_eq(schema_parse(SCHEMA_PROTOBUF, buf_slice(&text), NULL, 0, &error, &schema), code, "%s%s",
                 before, what);
    cr_expect_str_eq(error.text, why, "%s%s: %s", before, what, error.text);
    buf_fini(&text);
}

// Each of these brought libprotobuf to call itself for every bracket.
Test(protobuf_text, brackets_count_as_the_parser_sees_them, .timeout = 60)
{
    static const char many[] = "more than 200 brackets are open at once";
    repeated("/**/*", "{", 400000, ST_LIMIT, many);
    repeated("/**//**/" P3 "import \"google/protobuf/descriptor.proto\"; message M { M m = 1; }"
             "extend google.protobuf.FileOptions { M o = 50000; } option (o) = {",
             "m{", 200000, ST_LIMIT, many);
    repeated("\"\\\n", "{", 900000, ST_MALFORMED, "1:3: Invalid escape sequence in string literal.");
    repeated("@", "{)", 400000, ST_LIMIT, many);
    repeated(P3 "@", "{{}}", 200000, ST_MALFORMED, "2:1: Expected top-level statement (e.g. \"message\").");
}

// The same in base64: a file whose option (o) of the type M is "m{m{m{", 100,000 times, not interpreted.
Test(protobuf_text, brackets_of_a_descriptor_in_base64_count_too, .timeout = 60)
{
    static const char head[] =
        "CgNkZGQaIGdvb2dsZS9wcm90b2J1Zi9kZXNjcmlwdG9yLnByb3RvIhIKAU0SDQoBbRgBIAEoCzICLk06LQoBbxIc"
        "Lmdvb2dsZS5wcm90b2J1Zi5GaWxlT3B0aW9ucxjQhgMgASgLMgIuTULQzyS6PsvPJBIFCgFvEAFCwM8k";
    repeated(head, "bXtte217", 100000, ST_LIMIT, "the value of an option has too many brackets");
}

// A number for each #.
static void put_numbered(struct buf *out, const char *what, int number)
{
    for (; *what != '\0'; what++)
        if (*what == '#')
            buf_printf(out, "%d", number);
        else
            buf_put_u8(out, (uint8_t)*what);
}

// A schema of `before`, n numbered times `what`, and `behind` is printed; processor time counts.
static enum status print_many(const char *before, const char *what, int n, const char *behind)
{
    struct schema *schema;
    struct schema_error error;
    struct buf text, out;
    buf_init(&text, SCHEMA_TEXT_MAX);
    buf_init(&out, SCHEMA_TOTAL_MAX);
    buf_append(&text, before, strlen(before));
    for (int i = 1; i <= n; i++)
        put_numbered(&text, what, 20000 + i); // behind those that are reserved
    buf_append(&text, behind, strlen(behind));
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, buf_slice(&text), NULL, 0, &error, &schema), ST_OK, "%s",
                 error.text);
    clock_t from = clock();
    enum status status = schema_text(schema, SCHEMA_TEXT_PLAIN, &out);
    cr_expect_lt(clock() - from, 2 * CLOCKS_PER_SEC, "%s: %g s", what,
                 (double)(clock() - from) / CLOCKS_PER_SEC);
    schema_free(schema);
    buf_fini(&text);
    buf_fini(&out);
    return status;
}

// 95 levels around 450,000 numbers: 90 MB of blanks.
Test(protobuf_text, values_that_nesting_makes_long_are_refused, .timeout = 120)
{
    struct buf before;
    buf_init(&before, SCHEMA_TEXT_MAX);
    buf_printf(&before, P3 "import \"google/protobuf/descriptor.proto\";"
                           "message M { M m = 1; repeated int32 n = 2; }"
                           "extend google.protobuf.FileOptions { M o = 50000; } option (o) = {");
    for (int i = 0; i < 95; i++)
        buf_printf(&before, "m{");
    buf_printf(&before, "n:[1");
    buf_put_u8(&before, '\0');
    char behind[100] = "]", *end = behind + 1;
    memset(end, '}', 96);
    memcpy(end + 96, ";", 2);
    cr_expect_eq(print_many((char *)before.data, ",1", 450000, behind), ST_LIMIT);
    buf_fini(&before);
}

// Each took seconds when a list was walked for each of its members; the number of them is what 1 MiB holds.
Test(protobuf_text, large_schemas_are_printed_in_no_time, .timeout = 120)
{
    cr_expect_eq(print_many("message T {", "optional group A#=#{}", 30000, "}"), ST_OK);
    cr_expect_eq(print_many("message T {", "oneof a#{int32 b#=#;}", 27000, "}"), ST_OK);
}

static struct schema *with_oneofs(int first)
{
    struct schema *schema;
    struct schema_error error;
    struct buf text;
    buf_init(&text, SCHEMA_TEXT_MAX);
    buf_printf(&text, "message T {");
    for (int i = 0; i < 28000; i++)
        buf_printf(&text, "oneof a%d{int32 b%d=%d;}", i, i, first + i);
    buf_printf(&text, "}");
    cr_assert_eq(schema_parse(SCHEMA_PROTOBUF, buf_slice(&text), NULL, 0, &error, &schema), ST_OK, "%s",
                 error.text);
    buf_fini(&text);
    return schema;
}

// Each of 28,000 oneofs is looked for among as many.
Test(protobuf_text, oneofs_are_found_by_name, .timeout = 60)
{
    struct schema *writer = with_oneofs(20000), *reader = with_oneofs(60000);
    struct schema_findings findings;
    schema_findings_init(&findings);
    clock_t from = clock();
    cr_assert_eq(schema_check(reader, writer, &findings), ST_OK);
    cr_expect_lt(clock() - from, CLOCKS_PER_SEC);
    cr_expect(findings.more);
    cr_expect_str_eq(findings.items[0].type, "ONEOF_FIELD_REMOVED");
    schema_findings_fini(&findings);
    schema_free(writer);
    schema_free(reader);
}

Test(protobuf_text, descriptors_alone_check_and_have_no_text)
{
    const char *text = P3 "import \"other.proto\"; message T { o.O a = 1; }";
    const struct schema_reference ref = {slice_str("other.proto"),
                                         slice_str(P3 "package o; message O { int32 x = 1; }")};
    const struct schema_source source = {slice_str(text), &ref, 1};
    struct schema_error error = {.code = ST_OK};
    struct schema *schema;
    struct buf set, out;
    buf_init(&set, TEXT);
    buf_init(&out, TEXT);
    cr_assert_eq(protobuf_descriptors(&source, &error, &set), ST_OK);
    cr_assert_eq(protobuf_parse_descriptors(buf_slice(&set), &error, &schema), ST_OK, "%s", error.text);
    cr_assert(slice_is(schema_name(schema), "T"));
    cr_assert_eq(schema_payload_check(schema, slice_of("\0\x0a\x02\x08\x01", 5)), ST_OK);
    cr_assert_eq(schema_payload_check(schema, slice_of("\0\x0a\x02\x0a\x00", 5)), ST_MALFORMED);
    cr_assert_eq(schema_text(schema, SCHEMA_TEXT_PLAIN, &out), ST_UNSUPPORTED);
    schema_free(schema);
    for (size_t len = 0; len < set.len; len++) // none of the beginnings crashes
        if (protobuf_parse_descriptors(slice_of(set.data, len), &error, &schema) == ST_OK)
            schema_free(schema);
    buf_fini(&set);
    buf_fini(&out);
}

// For protoc a weak one need not be, which leaves types open and, printed, a text that does not parse.
Test(protobuf_text, every_import_is_there)
{
    const char *const texts[] = {P3 "import weak \"a.proto\";", P3 "import weak \"a\\377.proto\";",
                                 P3 "import public \"a.proto\";", P3 "import \"a.proto\";"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct schema_error error;
        struct schema *schema;
        cr_expect_eq(schema_parse(SCHEMA_PROTOBUF, slice_str(texts[i]), NULL, 0, &error, &schema),
                     ST_MALFORMED, "%zu", i);
        schema_free(schema);
    }
}
