// SPDX-License-Identifier: Apache-2.0
// See compatibility.h.
#include "compatibility.h"

#include "base/mem.h"
#include "contract.h"
#include "http/json.h"
#include "reserved.h"

enum { MESSAGE_MAX = 64 << 10 };

struct compatibility compatibility_of(const struct call *call, const char *subject)
{
    return (struct compatibility){
        .by = {.level = scope_level(call, subject), .lenient = scope_lenient(call, subject)},
        .group = scope_text(call, subject, "compatibilityGroup"),
        .validate_fields = scope_flag(call, subject, "validateFields", call->settings->validate_fields)};
}

// ---- checks ----

static void check_one(struct call *call, const struct compatibility *rules,
                      const struct submission *submission, const struct state_version *version,
                      struct messages *messages)
{
    size_t before = messages->count;
    submission_compare(call, submission, version, rules->by, messages);
    if (messages->count == before)
        return;
    struct buf line;
    buf_init(&line, MESSAGE_MAX);
    buf_printf(&line, "{oldSchemaVersion: %d}", version->version);
    messages_add(messages, buf_slice(&line));
    buf_fini(&line);
    messages_add_old(messages, version->schema->text);
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
    if (rules->validate_fields)
        reserved_check(submission->parsed->schema, submission->content.metadata,
                       count > 0 ? versions[count - 1]->schema->metadata : NULL, messages);
    size_t reserved = messages->count;
    bool done = rules->by.level == LEVEL_NONE;
    for (size_t i = count; i > 0 && !done; i--) {
        const struct state_version *version = versions[i - 1];
        if (rules->group != NULL &&
            !same_group(rules->group, submission->content.metadata, version->schema->metadata))
            continue;
        check_one(call, rules, submission, version, messages);
        done = messages->count > reserved || !level_transitive(rules->by.level);
    }
    if (messages->count == 0)
        return;
    struct buf line;
    buf_init(&line, MESSAGE_MAX);
    buf_printf(&line, "{validateFields: '%s', compatibility: '%s'}",
               rules->validate_fields ? "true" : "false", level_name(rules->by.level));
    messages_add(messages, buf_slice(&line));
    buf_fini(&line);
}
