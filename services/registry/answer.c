// SPDX-License-Identifier: Apache-2.0
// See answer.h.
#include "answer.h"

#include "http/json.h"
#include "operations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// ---- paths ----

static bool whole_number(const char *text, int64_t low, int64_t high, int32_t *number)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > high)
        return false;
    *number = (int32_t)value;
    return true;
}

bool answer_read_version(struct call *call, int32_t *version)
{
    *version = -1;
    if (strcmp(call->version, "latest") == 0 || strcmp(call->version, "-1") == 0 ||
        whole_number(call->version, 1, INT32_MAX, version))
        return true;
    return call_fail(call, 42202,
                     "The specified version '%s' is not a valid version id. Allowed values are between "
                     "[1, 2^31-1] and the string \"latest\"",
                     call->version);
}

bool answer_read_id(struct call *call, int32_t *id)
{
    return whole_number(call->id, 0, INT32_MAX, id) || call_fail(call, 404, "HTTP 404 Not Found");
}

static const struct state_version *version_in(const struct call *call, const char *name, int32_t number,
                                              bool deleted_too)
{
    const struct state_subject *subject = state_subject(call->state, name);
    if (subject == NULL)
        return NULL;
    const struct state_version *version = number < 0 ? state_latest(subject) : state_version(subject, number);
    return version != NULL && (!version->deleted || deleted_too) ? version : NULL;
}

static bool in_default_context(const char *subject)
{
    return slice_is(name_split(slice_str(subject)).context, NAMES_DEFAULT_CONTEXT);
}

static const struct state_version *version_in_others(struct call *call, int32_t number, bool deleted_too)
{
    const struct state_context *context;
    const struct state_version *found = NULL;
    if (!in_default_context(call->subject))
        return NULL;
    for (struct map_entry *at = NULL; found == NULL && state_context_next(call->state, &at, &context);) {
        struct name name = {slice_str(context->name), slice_str(call->subject)};
        const char *qualified = name_qualify(&call->arena, name);
        found = qualified != NULL ? version_in(call, qualified, number, deleted_too) : NULL;
    }
    return found;
}

const struct state_version *answer_find_version(struct call *call, bool deleted_too)
{
    int32_t number;
    if (!answer_read_version(call, &number))
        return NULL;
    const struct state_version *version = version_in(call, call->subject, number, deleted_too);
    if (version != NULL)
        return version;
    version = version_in_others(call, number, deleted_too);
    if (version != NULL)
        return operation_permitted(call, version->subject->name) ? version : NULL;
    const struct state_subject *subject = state_subject(call->state, call->subject);
    if (subject == NULL || (subject->live == 0 && !deleted_too))
        call_fail(call, 40401, "Subject '%s' not found.", call->subject);
    else
        call_fail(call, 40402, "Version %" PRId32 " not found.", number);
    return NULL;
}

// ---- shapes ----

static struct content content_of(const struct state_schema *schema, const char *text)
{
    return (struct content){.type = schema->type,
                            .text = text != NULL ? text : schema->text,
                            .references = schema->references,
                            .reference_count = schema->reference_count,
                            .metadata = schema->metadata,
                            .rule_set = schema->rule_set};
}

static void put_guid(struct buf *out, const struct state_schema *schema)
{
    char guid[FINGERPRINT_TEXT];
    fingerprint_format(schema->guid, guid);
    buf_printf(out, ",\"guid\":\"%s\"", guid);
}

static void put_rest(struct call *call, const struct state_version *version)
{
    if (call->unknown_fields)
        buf_printf(&call->reply, ",\"ts\":%" PRId64 ",\"deleted\":%s", version->timestamp_ms,
                   version->deleted ? "true" : "false");
    buf_printf(&call->reply, "}");
}

void answer_put_version(struct call *call, const struct state_version *version, const char *text)
{
    struct content content = content_of(version->schema, text);
    buf_printf(&call->reply, "{\"subject\":");
    json_put_string(&call->reply, slice_str(version->subject->name));
    buf_printf(&call->reply, ",\"version\":%" PRId32 ",\"id\":%" PRId32, version->version,
               version->schema->id);
    if (call->unknown_fields)
        put_guid(&call->reply, version->schema);
    record_put_content(&call->reply, &content, call->unknown_fields);
    put_rest(call, version);
}

void answer_put_schema(struct call *call, const struct state_version *version, const char *text)
{
    struct content content = content_of(version->schema, text);
    const struct state_context *context = version->schema->context;
    size_t at = call->reply.len;
    record_put_content(&call->reply, &content, call->unknown_fields);
    if (call->reply.len > at)
        call->reply.data[at] = '{'; // instead of the first comma
    if (call_flag(call, "fetchMaxId"))
        buf_printf(&call->reply, ",\"maxId\":%" PRId32, context->id_max);
    if (call->unknown_fields) {
        record_put_member(&call->reply, "subject", version->subject->name);
        buf_printf(&call->reply, ",\"version\":%" PRId32, version->version);
        put_guid(&call->reply, version->schema);
    }
    put_rest(call, version);
}

void answer_plain(struct call *call, const char *text)
{
    buf_append(&call->reply, text, strlen(text));
    call->plain = true;
}

bool answer_read_body(struct call *call, cJSON **body)
{
    size_t at = 0;
    *body = NULL;
    enum status status = json_parse(call->body, body, &at);
    if (status != ST_OK)
        return call_fail(call, 400, "The body is no JSON: %s at byte %zu", status_text(status), at);
    if (cJSON_IsObject(*body))
        return true;
    cJSON_Delete(*body);
    *body = NULL;
    return call_fail(call, 400, "The body is no JSON object");
}

bool answer_pass_on(struct call *call, const struct call *inner)
{
    call_fail(call, inner->code, "%s", "");
    buf_clear(&call->reply);
    buf_append(&call->reply, inner->reply.data, inner->reply.len);
    return false;
}

bool answer_unknown(struct call *call)
{
    bool deletes = strcmp(call->operation->method, "DELETE") == 0;
    return call_fail(call, 50002, "Whether the %s was carried out is not known",
                     deletes ? "deletion" : "request");
}

void answer_separate(struct buf *out, int64_t *count)
{
    if ((*count)++ > 0)
        buf_printf(out, ",");
}

struct which answer_which(const struct call *call)
{
    bool only = call_flag(call, "deletedOnly");
    return (struct which){.live = !only, .deleted = only || call_flag(call, "deleted")};
}

bool which_has(struct which which, bool deleted)
{
    return deleted ? which.deleted : which.live;
}
