// SPDX-License-Identifier: Apache-2.0
// See erase.h.
#include "erase.h"

#include <inttypes.h>

bool erase_unreferenced(struct call *call, const struct state_version *version)
{
    size_t count;
    state_referrers(call->state, version->subject->name, version->version, &count);
    return count == 0 || call_fail(call, 42206,
                                   "One or more references exist to the schema "
                                   "{magic=1,keytype=SCHEMA,subject=%s,version=%" PRId32 "}.",
                                   version->subject->name, version->version);
}

static void tombstone(struct call *call, enum record_kind kind, const char *subject, int32_t version)
{
    struct buf none;
    buf_init(&none, 0);
    call_write(call, kind, subject, version, &none);
}

static void drop_settings(struct call *call, const char *subject)
{
    if (state_mode(call->state, subject) != MODE_NONE)
        tombstone(call, RECORD_MODE, subject, 0);
    if (state_config(call->state, subject) != NULL)
        tombstone(call, RECORD_CONFIG, subject, 0);
}

void erase_softly(struct call *call, const struct state_subject *subject)
{
    struct buf value;
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    record_put_delete_subject(&value, subject->name, subject->versions[subject->count - 1]->version);
    call_write(call, RECORD_DELETE_SUBJECT, subject->name, 0, &value);
    buf_fini(&value);
    drop_settings(call, subject->name);
}

void erase_version_softly(struct call *call, const struct state_version *version)
{
    const struct state_schema *schema = version->schema;
    struct record_schema record = {.subject = version->subject->name,
                                   .version = version->version,
                                   .id = schema->id,
                                   .deleted = true,
                                   .content = {.type = schema->type,
                                               .text = schema->text,
                                               .references = schema->references,
                                               .reference_count = schema->reference_count,
                                               .metadata = schema->metadata,
                                               .rule_set = schema->rule_set}};
    struct buf value;
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    record_put_schema(&value, &record);
    call_write(call, RECORD_SCHEMA, record.subject, record.version, &value);
    buf_fini(&value);
    if (version->subject->live == 1)
        drop_settings(call, record.subject);
}

static void keep_highest_id(struct call *call, const struct state_context *context)
{
    struct buf value;
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    record_put_context(&value, context->name, context->id_max, false);
    call_write(call, RECORD_CONTEXT, context->name, 0, &value);
    buf_fini(&value);
}

// The highest id is written first: should only a part of the records become durable, it is that one.
void erase_version(struct call *call, const struct state_version *version)
{
    keep_highest_id(call, version->subject->context);
    tombstone(call, RECORD_SCHEMA, version->subject->name, version->version);
}

void erase_subject(struct call *call, const struct state_subject *subject)
{
    keep_highest_id(call, subject->context);
    for (size_t i = 0; i < subject->count; i++)
        tombstone(call, RECORD_SCHEMA, subject->name, subject->versions[i]->version);
    tombstone(call, RECORD_DELETE_SUBJECT, subject->name, 0);
}
