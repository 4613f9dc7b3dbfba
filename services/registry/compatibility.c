// SPDX-License-Identifier: Apache-2.0
// See compatibility.h.
#include "compatibility.h"

#include "base/mem.h"
#include "contract.h"
#include "http/json.h"

enum { MESSAGES_MAX = 4 << 20, MESSAGE_MAX = 64 << 10 };

struct compatibility compatibility_of(const struct call *call, const char *subject)
{
    return (struct compatibility){
        .level = scope_level(call, subject),
        .group = scope_text(call, subject, "compatibilityGroup"),
        .validate_fields = scope_flag(call, subject, "validateFields", call->settings->validate_fields)};
}

// ---- messages ----

void messages_init(struct messages *messages)
{
    messages->count = 0;
    buf_init(&messages->json, MESSAGES_MAX);
}

void messages_fini(struct messages *messages)
{
    buf_fini(&messages->json);
}

static void add(struct messages *messages, struct slice text)
{
    if (messages->count++ > 0)
        buf_printf(&messages->json, ",");
    json_put_string(&messages->json, text);
}

static void add_printed(struct messages *messages, const char *format, const char *text)
{
    struct buf line;
    buf_init(&line, SCHEMA_TOTAL_MAX);
    buf_printf(&line, "{%s: '", format);
    buf_append(&line, text, strlen(text));
    buf_printf(&line, "'}");
    add(messages, buf_slice(&line));
    buf_fini(&line);
}

static void add_findings(struct messages *messages, const struct schema_findings *findings,
                         bool reader_is_new)
{
    for (size_t i = 0; i < findings->count; i++) {
        struct buf line;
        buf_init(&line, MESSAGE_MAX);
        schema_finding_text(&findings->items[i], reader_is_new, &line);
        add(messages, buf_slice(&line));
        buf_fini(&line);
    }
    if (findings->more)
        add(messages, slice_str("there are more incompatibilities than are told here"));
}

// ---- checks ----

static void check_direction(const struct schema *reader, const struct schema *writer, bool reader_is_new,
                            struct messages *messages)
{
    struct schema_findings findings;
    schema_findings_init(&findings);
    enum status status = schema_check(reader, writer, &findings);
    if (status == ST_INVALID)
        add(messages, slice_str("Incompatible because of different schema type"));
    else if (status != ST_OK)
        add(messages, slice_str("the comparison needs more than its limit of time or memory"));
    else
        add_findings(messages, &findings, reader_is_new);
    schema_findings_fini(&findings);
}

static void check_one(struct call *call, const struct compatibility *rules,
                      const struct submission *submission, const struct state_version *version,
                      struct messages *messages)
{
    struct schema_error error;
    struct schema *old = submission_stored(call, version, &error);
    if (old == NULL) {
        add_printed(messages, "an older version cannot be read", error.text);
    } else {
        if (level_backward(rules->level))
            check_direction(submission->schema, old, true, messages);
        if (level_forward(rules->level) && messages->count == 0)
            check_direction(old, submission->schema, false, messages);
    }
    schema_free(old);
    if (messages->count == 0)
        return;
    struct buf line;
    buf_init(&line, MESSAGE_MAX);
    buf_printf(&line, "{oldSchemaVersion: %d}", version->version);
    add(messages, buf_slice(&line));
    buf_fini(&line);
    add_printed(messages, "oldSchema", version->schema->text);
}

static bool same_group(const char *group, const char *metadata, const char *other)
{
    cJSON *a = metadata != NULL ? cJSON_Parse(metadata) : NULL,
          *b = other != NULL ? cJSON_Parse(other) : NULL;
    const char *left = contract_property(a, group), *right = contract_property(b, group);
    bool same = left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
    cJSON_Delete(a);
    cJSON_Delete(b);
    return same;
}

void compatibility_check(struct call *call, const struct compatibility *rules,
                         const struct submission *submission, const struct state_version *const *versions,
                         size_t count, struct messages *messages)
{
    bool done = rules->level == LEVEL_NONE;
    for (size_t i = count; i > 0 && !done; i--) {
        const struct state_version *version = versions[i - 1];
        if (rules->group != NULL &&
            !same_group(rules->group, submission->content.metadata, version->schema->metadata))
            continue;
        check_one(call, rules, submission, version, messages);
        done = messages->count > 0 || !level_transitive(rules->level);
    }
    if (messages->count == 0)
        return;
    struct buf line;
    buf_init(&line, MESSAGE_MAX);
    buf_printf(&line, "{validateFields: '%s', compatibility: '%s'}",
               rules->validate_fields ? "true" : "false", level_name(rules->level));
    add(messages, buf_slice(&line));
    buf_fini(&line);
}
