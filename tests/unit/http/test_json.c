// SPDX-License-Identifier: Apache-2.0
// Every trap of cJSON that stack.md names, and the limits of json.h.
#include "http/json_walk.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum status parse(const char *text)
{
    cJSON *json = NULL;
    size_t at;
    enum status status = json_parse(slice_str(text), &json, &at);
    cJSON_Delete(json);
    return status;
}

Test(json, what_cjson_accepts_beyond_json_is_refused)
{
    const char *const bad[] = {"{} x",
                               "01",
                               "-",
                               "1.",
                               "1e",
                               "[\"a\tb\"]",
                               "[\"\xff\"]",
                               "[\"\xc0\xaf\"]",
                               "[\"\xed\xa0\x80\"]",
                               "1e400",
                               "[1,]",
                               "{\"a\":1,}",
                               "{a:1}",
                               "[\"\\u0000\"]",
                               "[\"\\ud800\"]",
                               "\"\\x\"",
                               "nul",
                               "",
                               " ",
                               "[",
                               "{\"a\"}",
                               "+1",
                               "\"",
                               "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(parse(bad[i]), ST_MALFORMED, "%zu: %s", i, bad[i]);
}

Test(json, a_repeated_name_is_refused_among_few_and_among_many)
{
    for (int count = 2; count < 40; count++) {
        for (int repeated = 0; repeated < 2; repeated++) {
            struct buf text;
            buf_init(&text, 4096);
            buf_printf(&text, "[{\"outer\":{\"n0\":0");
            for (int i = 1; i < count; i++)
                buf_printf(&text, ",\"n%d\":0", repeated && i == count - 1 ? 0 : i);
            buf_printf(&text, "}}]");
            buf_put_u8(&text, 0);
            cr_expect_eq(parse((const char *)text.data), repeated ? ST_MALFORMED : ST_OK, "%d", count);
            buf_fini(&text);
        }
    }
}

Test(json, json_is_accepted)
{
    const char *const good[] = {"{}", " [1, -0.5e+3, true,false,null] ",
                                "\"\\ud83d\\ude00 \\u00e9 \xc3\xa9\"", "0", "{\"a\":{\"a\":1},\"A\":2}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect_eq(parse(good[i]), ST_OK, "%zu: %s", i, good[i]);
}

Test(json, bytes_behind_the_slice_are_not_read)
{
    cJSON *json = NULL;
    size_t at;
    char text[2] = {'1', '2'};
    cr_assert_eq(json_parse(slice_of(text, 1), &json, &at), ST_OK);
    cr_assert_eq(json->valueint, 1);
    cJSON_Delete(json);
}

Test(json, depth_is_limited)
{
    char text[2 * (JSON_DEPTH_MAX + 1) + 1];
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    text[sizeof text - 1] = '\0';
    cr_assert_eq(parse(text), ST_LIMIT);
    text[2 * JSON_DEPTH_MAX + 1] = '\0';
    cr_assert_eq(parse(text + 1), ST_OK);
}

Test(json, names_are_compared_in_exact_case)
{
    cJSON *json = NULL;
    size_t at;
    cr_assert_eq(json_parse(slice_str("{\"Name\":\"x\"}"), &json, &at), ST_OK);
    cr_assert_null(json_string(json, "name"));
    cr_assert_str_eq(json_string(json, "Name"), "x");
    cJSON_Delete(json);
}

Test(json, integers_print_with_all_digits)
{
    cJSON *json = cJSON_CreateObject();
    json_add_integer(json, "n", 9007199254740991);
    json_add_integer(json, "m", INT64_MIN);
    char *text = cJSON_PrintUnformatted(json);
    cr_assert_str_eq(text, "{\"n\":9007199254740991,\"m\":-9223372036854775808}");
    cJSON_free(text);
    cJSON_Delete(json);
}

Test(json, integers_whose_digits_are_lost_are_refused)
{
    cJSON *json = NULL;
    size_t at;
    int64_t value;
    cr_assert_eq(
        json_parse(slice_str("{\"a\":9007199254740993,\"b\":9007199254740991,\"c\":1.5,\"d\":\"1\"}"), &json,
                   &at),
        ST_OK);
    cr_assert_eq(json_integer(json, "a", &value), ST_INVALID);
    cr_assert_eq(json_integer(json, "c", &value), ST_INVALID);
    cr_assert_eq(json_integer(json, "d", &value), ST_INVALID);
    cr_assert_eq(json_integer(json, "e", &value), ST_INVALID);
    cr_assert_eq(json_integer(json, "b", &value), ST_OK);
    cr_assert_eq(value, 9007199254740991);
    cJSON_Delete(json);
}

Test(json, written_strings_are_valid_whatever_the_bytes)
{
    struct buf out;
    size_t at;
    buf_init(&out, 1000);
    json_put_string(&out, slice_of("a\"\\\n\0\x7f\xff\xc3\xa9", 9));
    cr_assert_eq(json_check(slice_str("\"\""), &at), ST_OK);
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data, "\"a\\\"\\\\\\u000a\\u0000\\u007f\xef\xbf\xbd\xc3\xa9\"");
    buf_fini(&out);
}

// ---- walking ----

// The members as "name=text name=text", then how it ended.
static const char *walked(const char *text, char out[512])
{
    char room[512];
    struct json_walk walk;
    struct json_member member;
    enum status status;
    size_t at = 0;
    json_walk_init(&walk, slice_str(text), room);
    while ((status = json_walk_next(&walk, &member)) == ST_OK)
        at += (size_t)snprintf(out + at, 512 - at, "%.*s=%.*s ", (int)member.name.len, member.name.data,
                               (int)member.text.len, member.text.data);
    snprintf(out + at, 512 - at, "%s", status == ST_NOT_FOUND ? "." : status == ST_LIMIT ? "limit" : "bad");
    return out;
}

Test(json_walk, members_come_in_order_with_what_their_strings_mean)
{
    char out[512];
    cr_expect_str_eq(walked(" { } ", out), ".");
    cr_expect_str_eq(walked("{\"a\":1, \"b\" : [1,{\"c\":2}] ,\"\\u0064\":\"x\\\"\\\\\\n\"}\n", out),
                     "a=1 b=[1,{\"c\":2}] d=x\"\\\n .");
    cr_expect_str_eq(walked("{\"s\":\"\\\"\\\"\\u00e9\xc3\xa9\\ud83d\\ude00\\/\\b\\f\\r\\t\"}", out),
                     "s=\"\"\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80/\b\f\r\t .");
    cr_expect_str_eq(walked("{\"a\":null,\"a\":true}", out), "a=null a=true .",
                     "the caller says of repeated ones");
}

Test(json_walk, what_is_no_object_is_refused_where_it_ends_to_be_one)
{
    const char *const bad[] = {"",
                               "[]",
                               "1",
                               "{",
                               "{\"a\"}",
                               "{\"a\":1",
                               "{\"a\":1,}",
                               "{,\"a\":1}",
                               "{a:1}",
                               "{\"a\":1}x",
                               "{\"a\":\"",
                               "{\"a\":\"\\",
                               "{\"a\":01}",
                               "{\"a\":\"\t\"}",
                               "{\"\\x\":1}",
                               "{\"a\":1 \"b\":2}",
                               "{\"a\":\"\\ud800\"}",
                               "{\"a\":\"\xff\"}",
                               "{\"a\":\"\\u0000\"}",
                               "{\"a\":[1,]}"};
    char out[512];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *ended = walked(bad[i], out);
        cr_expect_str_eq(ended + strlen(ended) - 3, "bad", "%zu: %s", i, bad[i]);
    }
}

Test(json_walk, depth_is_limited_as_in_trees)
{
    char text[200] = "{\"a\":", out[512];
    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        size_t at = 5;
        for (int i = 1; i < depth; i++)
            text[at++] = '[';
        for (int i = 1; i < depth; i++)
            text[at++] = ']';
        memcpy(text + at, "}", 2);
        const char *ended = walked(text, out);
        cr_expect_eq(ended[strlen(ended) - 1], depth > JSON_DEPTH_MAX ? 't' : '.', "%s", ended);
        cr_expect_eq(parse(text), depth > JSON_DEPTH_MAX ? ST_LIMIT : ST_OK);
    }
}

Test(json_walk, integers_are_those_of_trees)
{
    const char *const texts[] = {
        "0", "-1", "2147483647", "9007199254740991", "1e2", "1.0", "9007199254740993", "1.5", "1e-1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json_member member = {.kind = JSON_NUMBER, .text = slice_str(texts[i])};
        cJSON *json = cJSON_Parse(texts[i]);
        int64_t ours = 0, theirs = 0;
        enum status status = json_member_integer(&member, &ours);
        cr_expect_eq(status, json_whole(json, &theirs), "%s", texts[i]);
        cr_expect_eq(ours, theirs, "%s", texts[i]);
        cJSON_Delete(json);
    }
}
