// SPDX-License-Identifier: Apache-2.0
// JSON as Jackson reads and prints it.
#include "schema/tree.h"

#include <criterion/criterion.h>
#include <math.h>

static enum status print(const char *text, bool sorted, struct buf *out)
{
    struct arena arena;
    struct tree *tree;
    struct tree_fault fault;
    arena_init(&arena, 1 << 20);
    enum status status = tree_parse(&arena, slice_str(text), 10, true, &tree, &fault);
    if (status == ST_OK)
        tree_print(tree, sorted, out);
    arena_fini(&arena);
    return status;
}

static void expect(const char *text, const char *printed)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    cr_expect_eq(print(text, false, &out), ST_OK, "%s", text);
    cr_expect(slice_is(buf_slice(&out), printed), "%s gives %.*s", text, (int)out.len, (char *)out.data);
    buf_fini(&out);
}

Test(tree, numbers_are_printed_as_java_does)
{
    const char *const cases[][2] = {{"0", "0"},
                                    {"-0", "0"},
                                    {"-0.0", "-0.0"},
                                    {"1.0", "1.0"},
                                    {"1.10", "1.1"},
                                    {"1e2", "100.0"},
                                    {"9999999.0", "9999999.0"},
                                    {"1e7", "1.0E7"},
                                    {"12345678.9", "1.23456789E7"},
                                    {"0.001", "0.001"},
                                    {"0.0001", "1.0E-4"},
                                    {"1.5e-5", "1.5E-5"},
                                    {"5e-324", "4.9E-324"},
                                    {"1e400", "\"Infinity\""},
                                    {"-1e400", "\"-Infinity\""},
                                    {"123456789012345678901234567890", "123456789012345678901234567890"},
                                    {"0.1", "0.1"},
                                    {"-2.25", "-2.25"},
                                    {"1.7976931348623157e308", "1.7976931348623157E308"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i][0], cases[i][1]);
}

Test(tree, floats_have_fewer_digits)
{
    struct buf out;
    buf_init(&out, 100);
    tree_put_float(0.1f, &out);
    tree_put_float(NAN, &out);
    tree_put_float(16777216.0f, &out);
    cr_assert(slice_is(buf_slice(&out), "0.1\"NaN\"1.6777216E7"));
    buf_fini(&out);
}

Test(tree, strings_are_escaped_only_where_json_must)
{
    expect("\"\\u0000\\u001f\\b\\t\\n\\f\\r\\\"\\\\\\/\"", "\"\\u0000\\u001F\\b\\t\\n\\f\\r\\\"\\\\/\"");
    expect("\"\\u00e9\\ud83d\\ude00\\u007f\"", "\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"");
}

Test(tree, of_a_name_given_twice_the_first_place_and_the_last_value_stay)
{
    expect("{\"a\":1,\"b\":2,\"a\":{\"x\":3},\"c\":4,\"b\":5,\"a\":6}", "{\"a\":6,\"b\":5,\"c\":4}");
    expect("{\"\":1,\"\":2}", "{\"\":2}");
}

Test(tree, what_is_no_json_is_refused_with_its_place)
{
    const char *const bad[] = {"",
                               " ",
                               "{",
                               "[1,]",
                               "{\"a\":1,}",
                               "{a:1}",
                               "01",
                               "1.",
                               "1e",
                               "-",
                               "+1",
                               "nul",
                               "nulll",
                               "\"\\x\"",
                               "\"\\ud800\"",
                               "\"\\udc00\"",
                               "\"\\ud83d\\u0041\"",
                               "\"a\tb\"",
                               "\"\xff\"",
                               "\"",
                               "\"\\",
                               "1 2",
                               "1 // x",
                               "/* x",
                               "[1 2]",
                               "{\"a\" 1}",
                               "{\"a\"}",
                               "\"\\u12\"",
                               "1x"};
    struct buf out;
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(print(bad[i], false, &out), ST_MALFORMED, "%s", bad[i]);
    cr_expect_eq(print("/* x */ [ // y\n1]", false, &out), ST_OK);
    buf_fini(&out);
    struct arena arena;
    struct tree *tree;
    struct tree_fault fault;
    arena_init(&arena, 1 << 16);
    cr_assert_eq(tree_parse(&arena, slice_str("{\n \"a\": x}"), 10, false, &tree, &fault), ST_MALFORMED);
    cr_assert_eq(fault.line, 2);
    cr_assert_eq(fault.column, 7);
    cr_assert_eq(tree_parse(&arena, slice_str("/**/1"), 10, false, &tree, &fault), ST_MALFORMED);
    arena_fini(&arena);
}

Test(tree, depth_and_memory_are_limited)
{
    struct arena arena;
    struct tree *tree;
    struct tree_fault fault;
    arena_init(&arena, 1 << 12);
    cr_assert_eq(tree_parse(&arena, slice_str("[[[]]]"), 3, false, &tree, &fault), ST_OK);
    cr_assert_eq(tree_parse(&arena, slice_str("[[[[]]]]"), 3, false, &tree, &fault), ST_LIMIT);
    arena_fini(&arena);
    char many[4000];
    memset(many, ' ', sizeof many);
    for (size_t i = 0; i + 1 < sizeof many; i += 2)
        memcpy(many + i, i == 0 ? "[0" : ",0", 2);
    arena_init(&arena, 1 << 12);
    cr_assert_eq(tree_parse(&arena, slice_of(many, sizeof many), 3, false, &tree, &fault), ST_LIMIT);
    arena_fini(&arena);
}

Test(tree, names_sort_by_utf16_unit)
{
    struct buf out;
    buf_init(&out, 1 << 10);
    // U+FF5E stands behind U+1F600, whose first unit is d83d.
    cr_assert_eq(print("{\"\xef\xbd\x9e\":1,\"\xf0\x9f\x98\x80\":2,\"b\":3,\"\xc3\xa9\":4,\"ab\":5,\"a\":6}",
                       true, &out),
                 ST_OK);
    cr_assert(
        slice_is(buf_slice(&out),
                 "{\"a\":6,\"ab\":5,\"b\":3,\"\xc3\xa9\":4,\"\xf0\x9f\x98\x80\":2,\"\xef\xbd\x9e\":1}"));
    buf_fini(&out);
}

Test(tree, integers_are_read_to_64_bits)
{
    struct arena arena;
    struct tree *tree;
    struct tree_fault fault;
    int64_t value;
    arena_init(&arena, 1 << 12);
    cr_assert_eq(tree_parse(&arena, slice_str("[9223372036854775807,9223372036854775808,1.0]"), 3, false,
                            &tree, &fault),
                 ST_OK);
    cr_assert(tree_integer(tree->first, &value));
    cr_assert_eq(value, INT64_MAX);
    cr_assert_not(tree_integer(tree->first->next, &value));
    cr_assert_not(tree_integer(tree->first->next->next, &value));
    arena_fini(&arena);
}
