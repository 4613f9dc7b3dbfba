// SPDX-License-Identifier: Apache-2.0
// Whether records of a topic may have a schema: it exists, and a version of the subject that the topic's
// strategy names has it; where the schema's messages name it, the one that records are of. The answer is a
// Located of protos/registry.proto, with code 404 when they may not.
// By guid a schema is looked for in every context, by id in the default one, as ids are per context.
#include "fingerprint.h"
#include "http/json.h"
#include "operations.h"
#include "protos/registry.pb-c.h"
#include "schema/pack.h"
#include "schema/protobuf_index.h"
#include "submission.h"

#include <stdlib.h>

struct search {
    struct call *call;
    Millrace__Located located;
    struct buf packed;
    struct schema_error error;
};

static bool by_topic(const struct call *call)
{
    return strcmp(call_query(call, "strategy"), "TOPIC_NAME") == 0;
}

// The full name of what records are of, which their message's index may mean; empty: there is none.
static struct slice message_name(const struct call *call, const struct schema *parsed, uint32_t which)
{
    struct protobuf_index index;
    struct protobuf_meant meant;
    if (protobuf_index_parse(call_query(call, "message"), &index) != ST_OK)
        return (struct slice){0};
    protobuf_index_meant(protobuf_of(parsed)->main, &index, &meant);
    return which < meant.count ? slice_str(meant.items[which]->full) : (struct slice){0};
}

// The schema's subject without its context; NULL: its name is not known, located.fault says why.
static const char *subject_of(struct search *search, const struct state_schema *schema, uint32_t which)
{
    struct call *call = search->call;
    const char *topic = call_query(call, "topic");
    if (by_topic(call))
        return arena_printf(&call->arena, "%s-%s", topic, call_flag(call, "key") ? "key" : "value");
    const struct schema *parsed = submission_stored(call, schema->first, &search->error);
    bool of_message = parsed != NULL && schema_format(parsed) == SCHEMA_PROTOBUF;
    struct slice name = parsed == NULL ? (struct slice){0}
                        : of_message   ? message_name(call, parsed, which)
                                       : schema_name(parsed);
    if (parsed == NULL)
        search->located.fault = search->error.text;
    else if (name.len == 0 && which == 0)
        search->located.fault = of_message ? "the schema has no such message" : "the schema has no name";
    if (name.len == 0)
        return NULL;
    bool alone = strcmp(call_query(call, "strategy"), "RECORD_NAME") == 0;
    return arena_printf(&call->arena, "%s%s%.*s", alone ? "" : topic, alone ? "" : "-", (int)name.len,
                        (const char *)name.data);
}

// A live version of the subject that is the schema; NULL: none.
static const struct state_version *look_under(struct search *search, const struct state_schema *schema,
                                              uint32_t which)
{
    struct call *call = search->call;
    const char *plain = subject_of(search, schema, which);
    const char *name =
        plain == NULL
            ? NULL
            : name_qualify(&call->arena, (struct name){slice_str(schema->context->name), slice_str(plain)});
    if (name != NULL)
        name = operation_subject(call, name);
    if (name == NULL)
        return NULL;
    const struct state_subject *subject = state_subject(call->state, name);
    const struct state_version *version =
        subject != NULL && subject->context == schema->context ? state_version_of(subject, schema) : NULL;
    bool live = version != NULL && !version->deleted;
    if (live || search->located.subject[0] == '\0')
        search->located.subject = (char *)name; // where there is none, the likeliest one is told
    return live ? version : NULL;
}

// Whether the subject depends on a message that was not told.
static bool lacks_message(const struct call *call, const struct state_schema *schema)
{
    return !by_topic(call) && call_query(call, "message") == NULL && strcmp(schema->type, "PROTOBUF") == 0;
}

// What an index may mean is looked for in turn, as payloads are (protobuf_payload_message).
static const struct state_version *look(struct search *search, const struct state_schema *schema)
{
    Millrace__Located *located = &search->located;
    uint32_t tries = call_query(search->call, "message") != NULL ? PROTOBUF_MEANT_MAX : 1;
    const struct state_version *found = NULL;
    located->exists = true;
    located->has_by_message = located->by_message = lacks_message(search->call, schema);
    for (uint32_t i = 0; i < tries && found == NULL && !located->by_message; i++)
        found = look_under(search, schema, i);
    return found;
}

static const struct state_version *look_by_id(struct search *search)
{
    const struct state_context *context =
        state_context(search->call->state, slice_str(NAMES_DEFAULT_CONTEXT));
    int32_t id = (int32_t)strtol(search->call->id, NULL, 10);
    const struct state_schema *schema = context != NULL ? state_schema(context, id) : NULL;
    return schema != NULL ? look(search, schema) : NULL;
}

static const struct state_version *look_by_guid(struct search *search)
{
    uint8_t guid[STATE_GUID_SIZE];
    const struct state_context *context;
    const struct state_version *found = NULL;
    if (!fingerprint_parse(search->call->guid, guid))
        return NULL;
    for (struct map_entry *at = NULL;
         found == NULL && state_context_next(search->call->state, &at, &context);) {
        const struct state_schema *schema = state_schema_by_guid(context, guid);
        found = schema != NULL ? look(search, schema) : NULL;
    }
    return found;
}

static void put_packed(struct search *search, const struct state_version *version)
{
    Millrace__Located *located = &search->located;
    if (submission_pack(search->call, version, &search->packed, &search->error) != ST_OK) {
        located->fault = search->error.text;
        return;
    }
    located->has_packed = true;
    located->packed = (ProtobufCBinaryData){.len = search->packed.len, .data = search->packed.data};
}

// Another process may be of another version: what it leaves out is refused.
static bool complete(const struct call *call)
{
    return (call->id != NULL || call->guid != NULL) && call_query(call, "topic") != NULL &&
           call_query(call, "strategy") != NULL;
}

void op_locate(struct call *call)
{
    if (!complete(call)) {
        call_fail(call, 400, "A schema is located by id or guid, with topic and strategy");
        return;
    }
    struct search search = {.call = call, .located = MILLRACE__LOCATED__INIT};
    search.located.subject = "";
    buf_init(&search.packed, SCHEMA_PACK_MAX);
    const struct state_version *version = call->id != NULL ? look_by_id(&search) : look_by_guid(&search);
    search.located.registered = version != NULL;
    if (version != NULL && call_flag(call, "packed"))
        put_packed(&search, version);
    call->code = version != NULL || search.located.by_message ? 200 : 404;
    size_t size = millrace__located__get_packed_size(&search.located);
    if (buf_reserve(&call->reply, size) == ST_OK)
        call->reply.len += millrace__located__pack(&search.located, call->reply.data + call->reply.len);
    buf_fini(&search.packed);
}
