// SPDX-License-Identifier: Apache-2.0
// Which records are good, which are at fault and how, and which ids have to be asked about.
#include "guard_judge.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define POINT "{\"type\":\"record\",\"name\":\"P\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}"
#define NULLS "{\"type\":\"array\",\"items\":\"null\"}"

enum { GOOD = 1, UNKNOWN = 2, FOREIGN = 3, SEALED = 4, SILENT = 5, MISSING = 6, MANY = 7, COSTLY = 8 };

static struct guard_cache cache;
static struct guard_books books;
static struct buf batch;
static const struct uuid topic = {{1}};

static struct guard_id id_of(uint8_t number)
{
    return (struct guard_id){.schema = schema_id_of(number)};
}

static struct schema *parse(const char *text)
{
    struct schema *schema;
    struct schema_error error;
    cr_assert_eq(schema_parse(SCHEMA_AVRO, slice_str(text), NULL, 0, &error, &schema), ST_OK);
    return schema;
}

static void tell(struct guard_side *side, uint8_t number, enum guard_verdict verdict, struct schema *schema)
{
    struct guard_id id = id_of(number);
    struct guard_told told = {
        .verdict = verdict, .schema = schema, .subject = "t-value", .fault = "it is broken"};
    guard_side_tell(side, &id, &told, 0);
}

static void open_books(enum guard_level level)
{
    struct guard_rule rule = {.level = level};
    bool full = level == GUARD_FULL;
    guard_cache_init(&cache, 100, 1 << 20, 7);
    for (int i = 0; i < SCHEMA_SIDES; i++) {
        struct guard_side *side = guard_cache_side(&cache, topic, i, rule);
        tell(side, GOOD, GUARD_GOOD, full ? parse(POINT) : NULL);
        tell(side, MANY, GUARD_GOOD, full ? parse(NULLS) : NULL);
        tell(side, UNKNOWN, GUARD_UNKNOWN, NULL);
        tell(side, FOREIGN, GUARD_UNREGISTERED, NULL);
        tell(side, SEALED, GUARD_UNREADABLE, NULL);
        tell(side, SILENT, GUARD_SILENCE, NULL);
    }
    books =
        (struct guard_books){{NULL, guard_side_book(guard_cache_side(&cache, topic, SCHEMA_VALUE, rule), 0)}};
}

static void start(void)
{
    open_books(GUARD_ID);
    buf_init(&batch, 1 << 20);
}

static void start_full(void)
{
    open_books(GUARD_FULL);
    buf_init(&batch, 1 << 20);
}

static void stop(void)
{
    guard_books_unref(&books);
    guard_cache_fini(&cache);
    buf_fini(&batch);
}

TestSuite(guard_judge, .init = start, .fini = stop);
TestSuite(guard_full, .init = start_full, .fini = stop);

// NULL: all are good.
static struct guard_report *judge(const struct batch_record *records, int count, size_t spare)
{
    struct batch_spec spec = batch_spec_plain();
    struct batch_header header;
    buf_clear(&batch);
    cr_assert_eq(batch_build(&spec, records, count, &batch), ST_OK);
    cr_assert_eq(batch_parse(buf_slice(&batch), &header), ST_OK);
    return guard_judge(&books, &header,
                       slice_of(batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE), spare, NULL);
}

static struct guard_report *judge_value(struct slice value)
{
    struct batch_record record = {.timestamp = 1, .value = value};
    return judge(&record, 1, GUARD_SPARE_LOOP);
}

#define VALUE(number, rest) slice_of("\0\0\0\0" number rest, 4 + sizeof number rest - 1)

static bool good(struct slice value)
{
    struct guard_report *report = judge_value(value);
    bool none = report == NULL;
    guard_report_free(&report);
    return none;
}

// Expects one fault; the text is what the client hears.
static void expect_fault(struct slice value, enum guard_reason reason, const char *text)
{
    struct arena arena;
    struct guard_report *report = judge_value(value);
    arena_init(&arena, 1 << 16);
    cr_assert_not_null(report);
    cr_expect_eq(report->bad, 1);
    cr_expect_eq(report->by_reason[reason], 1);
    cr_expect_eq(report->fault_count, 1);
    cr_expect_str_eq(guard_fault_text(&arena, "t", &report->faults[0]), text);
    guard_report_free(&report);
    arena_fini(&arena);
}

Test(guard_judge, a_known_id_is_good_whatever_follows)
{
    cr_expect(good(VALUE("\1", "anything")));
    cr_expect(good(VALUE("\1", "")));
}

Test(guard_judge, null_is_good_and_empty_is_not)
{
    cr_expect(good((struct slice){0}));
    expect_fault(slice_of("", 0), GUARD_BARE, "the value of a record of topic t begins with no schema id");
}

Test(guard_judge, each_fault_says_what_it_is)
{
    expect_fault(slice_str("{\"a\":1}"), GUARD_BARE,
                 "the value of a record of topic t begins with no schema id");
    expect_fault(slice_of("\0\0\0\1", 4), GUARD_BARE,
                 "the value of a record of topic t begins with no schema id");
    expect_fault(VALUE("\2", "x"), GUARD_NOBODYS,
                 "topic t: the value's schema (id 2) is not known to the registry");
    expect_fault(VALUE("\3", "x"), GUARD_FOREIGN,
                 "topic t: no version of subject \"t-value\" has the value's schema (id 3): it is broken");
    expect_fault(VALUE("\4", "x"), GUARD_SEALED,
                 "topic t: the value's schema (id 4, subject \"t-value\") cannot be used: it is broken");
}

Test(guard_judge, only_sides_with_a_book_are_looked_at)
{
    struct batch_record record = {.key = slice_str("plain"), .value = VALUE("\1", "")};
    cr_expect_null(judge(&record, 1, 0));
    struct guard_rule rule = {.level = GUARD_ID};
    books.sides[SCHEMA_KEY] = guard_side_book(guard_cache_side(&cache, topic, SCHEMA_KEY, rule), 0);
    struct guard_report *report = judge(&record, 1, 0);
    cr_assert_not_null(report);
    cr_expect_eq(report->faults[0].side, SCHEMA_KEY);
    guard_report_free(&report);
    record.key = (struct slice){0};
    cr_expect_null(judge(&record, 1, 0), "a record without key");
}

Test(guard_judge, what_nothing_is_known_of_is_missing_once)
{
    struct batch_record records[] = {
        {.value = VALUE("\6", "a")}, {.value = VALUE("\1", "a")}, {.value = VALUE("\6", "b")}};
    struct guard_report *report = judge(records, 3, 0);
    struct guard_id id = id_of(MISSING);
    cr_assert_not_null(report);
    cr_expect_eq(report->bad, 0);
    cr_expect_eq(report->missing_count, 1);
    cr_expect_eq(report->missing[0].side, SCHEMA_VALUE);
    cr_expect_eq(memcmp(&report->missing[0].id, &id, sizeof id), 0);
    guard_report_free(&report);
}

Test(guard_judge, silence_is_no_fault)
{
    struct guard_report *report = judge_value(VALUE("\5", ""));
    cr_assert_not_null(report);
    cr_expect(report->silence && report->bad == 0 && report->missing_count == 0);
    guard_report_free(&report);
}

Test(guard_judge, faults_are_counted_all_and_told_up_to_a_limit)
{
    struct batch_record *records = calloc(300, sizeof *records);
    for (int i = 0; i < 300; i++)
        records[i].value = i % 2 == 0 ? VALUE("\1", "") : VALUE("\2", "");
    struct guard_report *report = judge(records, 300, 0);
    cr_assert_not_null(report);
    cr_expect_eq(report->bad, 150);
    cr_expect_eq(report->fault_count, GUARD_FAULTS_MAX);
    for (int i = 0; i < GUARD_FAULTS_MAX; i++)
        cr_expect_eq(report->faults[i].record, 2 * i + 1);
    guard_report_free(&report);
    free(records);
}

Test(guard_judge, missing_ids_are_told_up_to_a_limit)
{
    struct batch_record *records = calloc(100, sizeof *records);
    uint8_t values[100][5] = {{0}};
    for (int i = 0; i < 100; i++) {
        values[i][4] = (uint8_t)(100 + i);
        records[i].value = slice_of(values[i], 5);
    }
    struct guard_report *report = judge(records, 100, 0);
    cr_expect_eq(report->missing_count, GUARD_MISSING_MAX);
    guard_report_free(&report);
    free(records);
}

// ---- ids in headers ----

static struct guard_report *judge_header(struct slice value, const struct record_header *headers, int count)
{
    struct batch_record record = {.value = value, .headers = headers, .header_count = count};
    return judge(&record, 1, GUARD_SPARE_LOOP);
}

Test(guard_judge, the_last_header_counts_and_goes_before_the_value)
{
    struct record_header headers[] = {
        {.key = slice_str("other"), .value = slice_str("x")},
        {.key = slice_str("__value_schema_id"), .value = VALUE("\2", "")},
        {.key = slice_str("__value_schema_id"), .value = VALUE("\1", "")},
        {.key = slice_str("__key_schema_id"), .value = VALUE("\2", "")},
    };
    cr_expect_null(judge_header(slice_str("plain"), headers, 4));
    struct guard_report *report = judge_header(VALUE("\1", ""), headers, 2);
    cr_assert_not_null(report);
    cr_expect_eq(report->faults[0].reason, GUARD_NOBODYS);
    guard_report_free(&report);
    cr_expect_null(judge_header(VALUE("\1", ""), headers, 1), "another header does not matter");
}

Test(guard_judge, a_header_without_an_id_is_a_fault)
{
    struct record_header headers[] = {{.key = slice_str("__value_schema_id"), .value = slice_str("7")}};
    struct guard_report *report = judge_header(VALUE("\1", ""), headers, 1);
    cr_assert_not_null(report);
    cr_expect_eq(report->faults[0].reason, GUARD_HEADER);
    guard_report_free(&report);
}

Test(guard_judge, a_guid_in_a_header)
{
    uint8_t guid[17] = {1, 9, 9};
    struct guard_rule rule = {.level = GUARD_ID};
    struct guard_side *side = guard_cache_side(&cache, topic, SCHEMA_VALUE, rule);
    struct guard_id id = {.message = ""};
    schema_id_read(slice_of(guid, sizeof guid), &id.schema);
    struct guard_told told = {.verdict = GUARD_GOOD};
    guard_side_tell(side, &id, &told, 0);
    guard_books_unref(&books);
    books.sides[SCHEMA_VALUE] = guard_side_book(side, 0);
    struct record_header headers[] = {
        {.key = slice_str("__value_schema_id"), .value = slice_of(guid, sizeof guid)}};
    cr_expect_null(judge_header(slice_str("plain"), headers, 1));
    guid[5] = 1;
    struct guard_report *report = judge_header(slice_str("plain"), headers, 1);
    cr_assert_not_null(report);
    cr_expect_eq(report->missing_count, 1);
    guard_report_free(&report);
}

// ---- messages ----

static void tell_message(struct guard_side *side, const char *message, enum guard_verdict verdict)
{
    struct guard_id id = id_of(MISSING);
    struct guard_told told = {.verdict = verdict, .subject = "p.Second", .fault = "it has no such message"};
    snprintf(id.message, sizeof id.message, "%s", message);
    guard_side_tell(side, &id, &told, 0);
}

Test(guard_judge, where_the_message_names_the_subject_it_is_asked_about_by_its_index)
{
    struct guard_rule rule = {.level = GUARD_ID};
    struct guard_side *side = guard_cache_side(&cache, topic, SCHEMA_VALUE, rule);
    tell_message(side, "", GUARD_BY_MESSAGE);
    tell_message(side, "0", GUARD_GOOD);
    tell_message(side, "1.0", GUARD_UNREGISTERED);
    guard_books_unref(&books);
    books.sides[SCHEMA_VALUE] = guard_side_book(side, 0);
    cr_expect(good(VALUE("\6", "\0rest")));
    cr_expect(good(VALUE("\6", "\2\0rest")), "the first message in its long form");
    expect_fault(VALUE("\6", "\4\2\0rest"), GUARD_FOREIGN,
                 "topic t: no version of subject \"p.Second\" has the value's schema (id 6): it has no such "
                 "message");
    expect_fault(
        VALUE("\6", ""), GUARD_PAYLOAD,
        "topic t: the value is not of its schema (id 6, subject \"p.Second\"): it does not begin with "
        "the index of a message");
    struct guard_report *report = judge_value(VALUE("\6", "\2\6rest"));
    cr_assert(report != NULL && report->missing_count == 1);
    cr_expect_str_eq(report->missing[0].id.message, "3");
    guard_report_free(&report);
}

// ---- payloads ----

Test(guard_full, payloads_are_of_their_schema)
{
    cr_expect(good(VALUE("\1", "\2")));
    cr_expect(good((struct slice){0}));
    expect_fault(VALUE("\1", ""), GUARD_PAYLOAD,
                 "topic t: the value is not of its schema (id 1, subject \"t-value\"): /x: too few bytes at "
                 "byte 0 for the type int");
    expect_fault(
        VALUE("\1", "\2\2"), GUARD_PAYLOAD,
        "topic t: the value is not of its schema (id 1, subject \"t-value\"): 1 bytes are left behind "
        "the value");
}

Test(guard_full, only_the_first_faults_are_explained)
{
    struct batch_record records[20];
    for (int i = 0; i < 20; i++)
        records[i] = (struct batch_record){.value = VALUE("\1", "")};
    struct guard_report *report = judge(records, 20, 0);
    cr_expect_eq(report->fault_count, 20);
    cr_expect_not_null(report->faults[GUARD_EXPLAINED_MAX - 1].why);
    cr_expect_null(report->faults[GUARD_EXPLAINED_MAX].why);
    guard_report_free(&report);
}

Test(guard_full, with_the_id_in_a_header_the_value_is_the_payload)
{
    struct record_header headers[] = {{.key = slice_str("__value_schema_id"), .value = VALUE("\1", "")}};
    cr_expect_null(judge_header(slice_of("\2", 1), headers, 1));
    struct guard_report *report = judge_header(VALUE("\1", "\2"), headers, 1);
    cr_assert_not_null(report);
    cr_expect_eq(report->faults[0].reason, GUARD_PAYLOAD);
    guard_report_free(&report);
}

Test(guard_full, values_without_bytes_have_a_budget_for_the_whole_batch)
{
    // each an array of 8,000 nulls
    struct batch_record records[] = {{.value = VALUE("\7", "\x80\x7d\0")},
                                     {.value = VALUE("\7", "\x80\x7d\0")}};
    cr_expect_null(judge(records, 2, 16100));
    struct guard_report *report = judge(records, 2, 12000);
    cr_assert_not_null(report);
    cr_expect(report->spent);
    cr_expect_eq(report->bad, 1);
    guard_report_free(&report);
}

// The book of values with one more schema, of JSON, that takes 5,000 steps for any value.
static void learn_costly(void)
{
    struct guard_side *side =
        guard_cache_side(&cache, topic, SCHEMA_VALUE, (struct guard_rule){.level = GUARD_FULL});
    struct schema *schema;
    struct schema_error error;
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "{\"allOf\":[{}");
    for (int i = 1; i < 5000; i++)
        buf_printf(&text, ",{}");
    buf_printf(&text, "]}");
    cr_assert_eq(schema_parse(SCHEMA_JSON, buf_slice(&text), NULL, 0, &error, &schema), ST_OK);
    buf_fini(&text);
    tell(side, COSTLY, GUARD_GOOD, schema);
    guard_books_unref(&books);
    books.sides[SCHEMA_VALUE] = guard_side_book(side, 0);
}

Test(guard_full, values_of_a_costly_schema_have_a_budget_for_the_whole_batch)
{
    struct batch_record records[100];
    learn_costly();
    for (int i = 0; i < 100; i++)
        records[i] = (struct batch_record){.value = VALUE("\10", "1")};
    cr_expect_null(judge(records, 3, GUARD_SPARE_LOOP));
    struct guard_report *report = judge(records, 100, 10 * 5000);
    cr_assert_not_null(report);
    cr_expect(report->spent);
    cr_expect_geq(report->bad, 85);
    cr_expect_not_null(strstr(report->faults[0].why, "more values than is looked at"));
    guard_report_free(&report);
}

Test(guard_full, one_that_is_stopped_looks_at_no_further_record)
{
    struct batch_record record = {.value = VALUE("\1", "")};
    struct guard_report *report = judge(&record, 1, 0);
    struct batch_header header;
    _Atomic bool stop = false;
    cr_expect_eq(report->bad, 1);
    guard_report_free(&report);
    cr_assert_eq(batch_parse(buf_slice(&batch), &header), ST_OK);
    struct slice records = slice_of(batch.data + BATCH_HEADER_SIZE, batch.len - BATCH_HEADER_SIZE);
    report = guard_judge(&books, &header, records, 0, &stop);
    cr_expect(report->bad == 1 && !report->spent);
    guard_report_free(&report);
    stop = true;
    report = guard_judge(&books, &header, records, 0, &stop);
    cr_assert_not_null(report, "nothing is known to be good");
    cr_expect(report->bad == 0 && report->spent);
    guard_report_free(&report);
}

Test(guard_full, only_other_formats_than_avro_are_dear)
{
    cr_expect(guard_books_full(&books));
    cr_expect_not(guard_books_dear(&books));
}
