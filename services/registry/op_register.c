// SPDX-License-Identifier: Apache-2.0
// POST /subjects/{subject}/versions, in the order Confluent's KafkaSchemaRegistry.register goes: may the
// subject be written, what does the schema take over, is it there already, does it fit what came before,
// which version and id does it get. Ids are dense per context: the next one is the highest ever given, plus
// one.
#include "answer.h"
#include "compatibility.h"
#include "erase.h"
#include "http/json.h"
#include "lookup.h"
#include "operations.h"
#include "tags.h"

#include <inttypes.h>

struct registering {
    struct call *call;
    struct submission submission;
    const struct state_subject *subject; // NULL: a new one
    const struct state_context *context; // NULL: a new one
    const struct state_version *latest;  // live; NULL: none
    enum state_mode mode;
    bool taken_over;     // the schema is not exactly what was sent
    int32_t next;        // version; 0: none is left
    int32_t id, version; // it gets
};

// ---- may it be ----

static bool subject_valid(struct call *call)
{
    return name_valid(slice_str(call->subject)) ||
           call_fail(call, 42208, "The specified subject '%s' is not a valid subject.", call->subject);
}

static bool mode_allows(struct registering *now)
{
    struct call *call = now->call;
    const char *wanted = now->submission.id >= 0 ? "import" : "read-write";
    struct name name = name_split(slice_str(call->subject));
    now->mode = scope_mode(call, call->subject);
    if (!scope_writable(call))
        return false;
    if (now->mode == (now->submission.id >= 0 ? MODE_IMPORT : MODE_READWRITE))
        return true;
    return call_fail(call, 42205, "Subject %s in context %.*s is not in %s mode", call->subject,
                     (int)name.context.len, (const char *)name.context.data, wanted);
}

// ---- what it is ----

static void find(struct registering *now)
{
    struct call *call = now->call;
    now->subject = state_subject(call->state, call->subject);
    now->context = state_context(call->state, name_split(slice_str(call->subject)).context);
    now->latest = now->subject != NULL ? state_latest(now->subject) : NULL;
    now->next = 1;
    if (now->subject != NULL) {
        int32_t last = now->subject->versions[now->subject->count - 1]->version;
        now->next = last < INT32_MAX ? last + 1 : 0;
    }
}

// A registration without a schema is one of the latest schema with other metadata or rules.
static bool take_over(struct registering *now)
{
    struct submission *submission = &now->submission;
    if (now->mode == MODE_IMPORT)
        return true;
    if (submission->empty && now->latest != NULL) {
        const struct state_schema *schema = now->latest->schema;
        submission->empty = false;
        submission->content.type = schema->type;
        submission->content.text = schema->text;
        submission->content.references = schema->references;
        submission->content.reference_count = schema->reference_count;
        now->taken_over = true;
    }
    int32_t number = submission->version > 0 ? submission->version : now->next;
    if (!lookup_populate(now->call, submission, now->latest, number))
        return false;
    if (submission->content.metadata != NULL || submission->content.rule_set != NULL)
        now->taken_over = true;
    return true;
}

// schemaTagsToAdd and schemaTagsToRemove.
static bool retag(struct registering *now)
{
    const cJSON *body = now->submission.body;
    const cJSON *add = json_get(body, "schemaTagsToAdd"), *remove = json_get(body, "schemaTagsToRemove");
    struct content *content = &now->submission.content;
    bool some = (add != NULL && !cJSON_IsNull(add)) || (remove != NULL && !cJSON_IsNull(remove));
    if (!some || now->submission.empty)
        return true;
    if (!tags_known(content->type))
        return call_fail(now->call, 42201, "Schemas of type %s have no tags inside here", content->type);
    content->text = tags_change(now->call, (struct tags_of){now->call->subject, content}, add, remove);
    now->taken_over = true;
    return content->text != NULL;
}

// propagateSchemaTags: what the subject's latest schema has is kept where the new one has the entity.
static bool propagate(struct registering *now)
{
    struct content *content = &now->submission.content;
    const char *text = content->text;
    if (!cJSON_IsTrue(json_get(now->submission.body, "propagateSchemaTags")) || now->submission.empty ||
        now->latest == NULL || now->mode == MODE_IMPORT)
        return true;
    struct content older = submission_stored_content(now->latest);
    const char *subject = now->call->subject;
    content->text =
        tags_propagate(now->call, (struct tags_of){subject, content}, (struct tags_of){subject, &older});
    now->taken_over = now->taken_over || content->text != text;
    return content->text != NULL;
}

static bool parse(struct registering *now)
{
    struct call *call = now->call;
    struct submission_use use = {.fresh = now->mode != MODE_IMPORT && now->submission.id < 0,
                                 .normalise = call_flag(call, "normalize") ||
                                              scope_flag(call, call->subject, "normalize", false)};
    return submission_parse(call, &now->submission, use);
}

// ---- is it there ----

static void answer(struct registering *now)
{
    struct call *call = now->call;
    buf_printf(&call->reply, "{\"id\":%" PRId32, now->id);
    if (now->taken_over || call->unknown_fields) {
        char guid[FINGERPRINT_TEXT];
        fingerprint_format(now->submission.guid, guid);
        buf_printf(&call->reply, ",\"version\":%" PRId32, now->version);
        if (call->unknown_fields)
            buf_printf(&call->reply, ",\"guid\":\"%s\"", guid);
        record_put_content(&call->reply, &now->submission.content, call->unknown_fields);
    }
    buf_printf(&call->reply, "}");
}

// The subject's version that is the submission. One that asks for a version finds that one only: it comes
// again when the answer to the first attempt was lost.
static const struct state_version *its_version(const struct registering *now)
{
    const struct submission *submission = &now->submission;
    if (submission->version == 0)
        return lookup_version(now->call, now->call->subject, submission, false);
    const struct state_version *there =
        now->subject != NULL ? state_version(now->subject, submission->version) : NULL;
    bool same = there != NULL && !there->deleted &&
                memcmp(there->schema->guid, submission->guid, STATE_GUID_SIZE) == 0;
    return same ? there : NULL;
}

// Answers when the subject has it. Else now->id is the id the context has for it, or the one that was asked
// for, or -1.
static bool is_there(struct registering *now)
{
    struct submission *submission = &now->submission;
    const struct state_schema *same =
        now->context != NULL ? state_schema_by_guid(now->context, submission->guid) : NULL;
    now->id = submission->id;
    if (same != NULL && (submission->id < 0 || submission->id == same->id))
        now->id = same->id;
    const struct state_version *there = its_version(now);
    if (there == NULL || (submission->id >= 0 && submission->id != there->schema->id))
        return false;
    now->id = there->schema->id;
    now->version = there->version;
    answer(now);
    return true;
}

// ---- does it fit ----

static bool refuse(struct call *call, const struct messages *messages)
{
    return call_fail(call, 40901,
                     "Schema being registered is incompatible with an earlier schema for subject \"%s\", "
                     "details: [%.*s]",
                     call->subject, (int)messages->json.len, (const char *)messages->json.data);
}

static bool fits(struct registering *now)
{
    struct call *call = now->call;
    struct compatibility rules = compatibility_of(call, call->subject);
    struct messages messages;
    size_t count = 0;
    size_t room = now->subject != NULL ? now->subject->live : 0;
    if (now->mode == MODE_IMPORT)
        return true;
    const struct state_version **live = arena_calloc(&call->arena, room + 1, sizeof *live);
    for (size_t i = 0; room > 0 && live != NULL && i < now->subject->count; i++)
        if (!now->subject->versions[i]->deleted)
            live[count++] = now->subject->versions[i];
    if (live == NULL)
        return call_fail(call, 50001, "The request needs too much memory");
    messages_init(&messages);
    compatibility_check(call, &rules, &now->submission, live, count, &messages);
    bool good = messages.count == 0 || refuse(call, &messages);
    messages_fini(&messages);
    return good;
}

// ---- which version, which id ----

static bool number(struct registering *now)
{
    struct submission *submission = &now->submission;
    now->version = submission->version <= 0 ? now->next : submission->version;
    if (now->version == 0)
        return call_fail(now->call, 42201, "All versions have been given");
    return now->version == now->next || now->mode == MODE_IMPORT ||
           call_fail(now->call, 42201, "Version is not one more than previous version");
}

static bool identify(struct registering *now)
{
    const struct state_context *context = now->context;
    if (now->id < 0) {
        now->id = context != NULL ? context->id_max : 0;
#ifdef PLANTED_SCHEMA_IDS_ACROSS_CONTEXTS
        now->id = (int32_t)state_schema_count(now->call->state);
#endif
        return now->id++ < INT32_MAX - 1 || call_fail(now->call, 50001, "All ids have been given");
    }
    const struct state_schema *there = context != NULL ? state_schema(context, now->id) : NULL;
    if (there == NULL || memcmp(there->guid, now->submission.guid, STATE_GUID_SIZE) == 0)
        return true;
    return call_fail(now->call, 42205,
                     "Overwrite new schema with id %" PRId32 " in context %s is not permitted.", now->id,
                     context->name);
}

// ---- writing ----

// Whether an import takes the record of a version that has another id: compaction will forget that one.
static bool replaces_id(const struct registering *now)
{
    const struct state_version *there =
        now->subject != NULL ? state_version(now->subject, now->version) : NULL;
    return there != NULL && there->schema->id != now->id;
}

// The highest id goes first: should only a part of the records become durable, it is that one.
static void write_context(struct registering *now)
{
    struct name name = name_split(slice_str(now->call->subject));
    bool known =
        slice_is(name.context, NAMES_DEFAULT_CONTEXT) || (now->context != NULL && now->context->noted);
    if (known && !replaces_id(now))
        return;
    const char *text = arena_strndup(&now->call->arena, name.context.data, name.context.len);
    struct buf value;
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    record_put_context(&value, text != NULL ? text : "", now->context != NULL ? now->context->id_max : 0,
                       false);
    call_write(now->call, RECORD_CONTEXT, text != NULL ? text : "", 0, &value);
    buf_fini(&value);
}

// A schema that was deleted and comes again has one version of it only.
static void write_forgotten(struct registering *now)
{
    struct buf none;
    buf_init(&none, 0);
    for (size_t i = 0; now->subject != NULL && i < now->subject->count; i++) {
        const struct state_version *version = now->subject->versions[i];
        if (version->deleted && version->schema->id == now->id && version->version < now->version)
            call_write(now->call, RECORD_SCHEMA, now->call->subject, version->version, &none);
    }
}

static void write_schema(struct registering *now)
{
    struct record_schema record = {.subject = now->call->subject,
                                   .version = now->version,
                                   .id = now->id,
                                   .content = now->submission.content};
    struct buf value;
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    record_put_schema(&value, &record);
    call_write(now->call, RECORD_SCHEMA, record.subject, record.version, &value);
    buf_fini(&value);
}

void op_register(struct call *call)
{
    struct registering now = {.call = call};
    bool good = submission_read(call, &now.submission) && subject_valid(call) && mode_allows(&now);
    if (good) {
        find(&now);
        good = take_over(&now) && retag(&now) && propagate(&now) && parse(&now) && !is_there(&now);
    }
    if (good && !call->there_only && fits(&now) && number(&now) && identify(&now)) {
        write_context(&now);
        write_schema(&now);
        write_forgotten(&now);
        answer(&now);
    }
}
