// SPDX-License-Identifier: Apache-2.0
// What a storage node is told of a schema: whether records of a topic may have it, under which subject it was
// looked for, and the schema itself in one piece.
#include <criterion/criterion.h>

#include "desk.h"

#include "base/mem.h"
#include "protos/registry.pb-c.h"
#include "schema/pack.h"

#define INNER "{\"type\":\"record\",\"name\":\"n.In\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}"

static struct desk desk;

static void open_desk(void)
{
    desk_open(&desk);
}

static void close_desk(void)
{
    desk_close(&desk);
}

TestSuite(locating, .init = open_desk, .fini = close_desk);

struct question {
    const char *id, *guid, *topic, *strategy;
    bool key, packed;
};

// The answer is the caller's; *code as answered.
static Millrace__Located *ask(struct question question, int *code)
{
    struct call call;
    call_init(&call);
    call.operation = operation_find("locate");
    call.state = desk.state;
    call.settings = &desk.settings;
    call.id = question.id;
    call.guid = question.guid;
    call.query[0] = (struct call_pair){"topic", question.topic};
    call.query[1] = (struct call_pair){"strategy", question.strategy ? question.strategy : "TOPIC_NAME"};
    call.query[2] = (struct call_pair){"key", question.key ? "true" : "false"};
    call.query[3] = (struct call_pair){"packed", question.packed ? "true" : "false"};
    call.query_count = 4;
    operation_run(&call);
    cr_assert_eq(call.record_count, 0);
    *code = call.code;
    Millrace__Located *located = millrace__located__unpack(NULL, call.reply.len, call.reply.data);
    cr_assert_not_null(located);
    call_fini(&call);
    return located;
}

static void expect(struct question question, bool exists, bool registered, const char *subject)
{
    int code;
    Millrace__Located *located = ask(question, &code);
    cr_expect_eq(code, registered ? 200 : 404);
    cr_expect_eq(located->exists, exists);
    cr_expect_eq(located->registered, registered);
    cr_expect_str_eq(located->subject, subject);
    millrace__located__free_unpacked(located, NULL);
}

Test(locating, by_the_name_of_the_topic)
{
    desk_register(&desk, "t-value", "\"int\"");
    desk_register(&desk, "t-key", "\"string\"");
    expect((struct question){.id = "1", .topic = "t"}, true, true, "t-value");
    expect((struct question){.id = "2", .topic = "t"}, true, false, "t-value");
    expect((struct question){.id = "2", .topic = "t", .key = true}, true, true, "t-key");
    expect((struct question){.id = "1", .topic = "other"}, true, false, "other-value");
    expect((struct question){.id = "3", .topic = "t"}, false, false, "");
}

Test(locating, by_the_name_of_the_record)
{
    desk_register(&desk, "n.In", INNER);
    desk_register(&desk, "t-n.In", INNER);
    desk_register(&desk, "plain", "{\"type\":\"array\",\"items\":\"int\"}");
    struct question one = {.id = "1", .topic = "t", .strategy = "RECORD_NAME"};
    expect(one, true, true, "n.In");
    one.strategy = "TOPIC_RECORD_NAME";
    expect(one, true, true, "t-n.In");
    one.topic = "u";
    expect(one, true, false, "u-n.In");
    int code;
    Millrace__Located *located =
        ask((struct question){.id = "2", .topic = "t", .strategy = "RECORD_NAME"}, &code);
    cr_expect(located->exists && !located->registered);
    cr_expect_str_eq(located->fault, "the schema has no name");
    millrace__located__free_unpacked(located, NULL);
}

Test(locating, a_deleted_version_has_it_no_more)
{
    desk_register(&desk, "t-value", "\"int\"");
    desk_register(&desk, "u-value", "\"int\"");
    desk_ask(&desk, "delete-subject", "t-value", NULL, NULL);
    expect((struct question){.id = "1", .topic = "t"}, true, false, "t-value");
    expect((struct question){.id = "1", .topic = "u"}, true, true, "u-value");
}

Test(locating, an_alias_stands_for_its_subject)
{
    desk_register(&desk, "real", "\"int\"");
    desk_ask(&desk, "put-subject-config", "t-value", NULL, "{\"alias\":\"real\"}");
    expect((struct question){.id = "1", .topic = "t"}, true, true, "real");
}

Test(locating, ids_are_of_the_default_context_and_guids_of_all)
{
    desk_register(&desk, ":.dev:t-value", "\"int\"");
    expect((struct question){.id = "1", .topic = "t"}, false, false, "");
    desk.unknown_fields = true;
    char *guid = strstr(desk_ask(&desk, "get-version", ":.dev:t-value/1", NULL, NULL), "\"guid\":\"");
    cr_assert_not_null(guid, "%s", desk.answer);
    char *text = mem_strndup(guid + 8, 36);
    expect((struct question){.guid = text, .topic = "t"}, true, true, ":.dev:t-value");
    expect((struct question){.guid = text, .topic = "u"}, true, false, ":.dev:u-value");
    expect((struct question){.guid = "nonsense", .topic = "t"}, false, false, "");
    mem_free(text);
}

Test(locating, what_it_refers_to_comes_with_it)
{
    int code;
    struct schema_error error;
    struct schema *schema;
    desk_register(&desk, "in", INNER);
    desk_ask(
        &desk, "register", "t-value", NULL,
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"n.Out\\\",\\\"fields\\\":[{\\\"name\\\":"
        "\\\"in\\\",\\\"type\\\":\\\"n.In\\\"}]}\",\"references\":[{\"name\":\"n.In\",\"subject\":\"in\","
        "\"version\":1}]}");
    cr_assert_eq(desk.code, 200, "%s", desk.answer);
    Millrace__Located *located = ask((struct question){.id = "2", .topic = "t", .packed = true}, &code);
    cr_assert(located->has_packed, "%s", located->fault);
    cr_assert_eq(schema_unpack(slice_of(located->packed.data, located->packed.len), &error, &schema), ST_OK);
    cr_expect(slice_is(schema_name(schema), "n.Out"));
    schema_free(schema);
    millrace__located__free_unpacked(located, NULL);
    located = ask((struct question){.id = "2", .topic = "t"}, &code);
    cr_expect(!located->has_packed, "only when it is asked for");
    millrace__located__free_unpacked(located, NULL);
}
