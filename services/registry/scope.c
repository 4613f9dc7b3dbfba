// SPDX-License-Identifier: Apache-2.0
// See scope.h.
#include "scope.h"

#include "base/assert.h"
#include "http/json.h"

#include <strings.h>

static const char *const level_names[] = {
    [LEVEL_NONE] = "NONE",
    [LEVEL_BACKWARD] = "BACKWARD",
    [LEVEL_BACKWARD_TRANSITIVE] = "BACKWARD_TRANSITIVE",
    [LEVEL_FORWARD] = "FORWARD",
    [LEVEL_FORWARD_TRANSITIVE] = "FORWARD_TRANSITIVE",
    [LEVEL_FULL] = "FULL",
    [LEVEL_FULL_TRANSITIVE] = "FULL_TRANSITIVE",
};
enum { LEVELS = sizeof level_names / sizeof *level_names };

enum level level_find(const char *name)
{
    for (int i = 1; name != NULL && i < LEVELS; i++)
        if (strcasecmp(name, level_names[i]) == 0)
            return (enum level)i;
    return LEVEL_UNKNOWN;
}

const char *level_name(enum level level)
{
    ASSERT(level > LEVEL_UNKNOWN && (int)level < LEVELS);
    return level_names[level];
}

bool level_transitive(enum level level)
{
    return level == LEVEL_BACKWARD_TRANSITIVE || level == LEVEL_FORWARD_TRANSITIVE ||
           level == LEVEL_FULL_TRANSITIVE;
}

bool level_backward(enum level level)
{
    return level == LEVEL_BACKWARD || level == LEVEL_BACKWARD_TRANSITIVE || level == LEVEL_FULL ||
           level == LEVEL_FULL_TRANSITIVE;
}

bool level_forward(enum level level)
{
    return level == LEVEL_FORWARD || level == LEVEL_FORWARD_TRANSITIVE || level == LEVEL_FULL ||
           level == LEVEL_FULL_TRANSITIVE;
}

// ---- scope ----

// The name config and mode of a subject's context are kept under; "" when that is the global one, also when
// the name is too long to be anybody's.
static void outer_name(const char *subject, char outer[NAMES_CONTEXT_MAX + 4])
{
    struct name name = name_split(slice_str(subject));
    outer[0] = '\0';
    if (slice_is(name.context, NAMES_DEFAULT_CONTEXT) || name.context.len > NAMES_CONTEXT_MAX)
        return;
    outer[0] = ':';
    memcpy(outer + 1, name.context.data, name.context.len);
    memcpy(outer + 1 + name.context.len, ":", 2);
}

static const cJSON *field_of(const cJSON *config, const char *field)
{
    const cJSON *item = config != NULL ? json_get(config, field) : NULL;
    return item == NULL || cJSON_IsNull(item) ? NULL : item;
}

const cJSON *scope_field(const struct call *call, const char *subject, const char *field)
{
    char outer[NAMES_CONTEXT_MAX + 4];
    const cJSON *own = field_of(state_config(call->state, subject), field);
    if (own != NULL)
        return own;
    outer_name(subject, outer);
    return field_of(state_config(call->state, outer), field);
}

const char *scope_text(const struct call *call, const char *subject, const char *field)
{
    return cJSON_GetStringValue(scope_field(call, subject, field));
}

bool scope_flag(const struct call *call, const char *subject, const char *field, bool fallback)
{
    const cJSON *item = scope_field(call, subject, field);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : fallback;
}

enum level scope_level(const struct call *call, const char *subject)
{
    enum level level = level_find(scope_text(call, subject, "compatibilityLevel"));
    return level != LEVEL_UNKNOWN ? level : level_find(call->settings->level);
}

bool scope_lenient(const struct call *call, const char *subject)
{
    const char *policy = scope_text(call, subject, "compatibilityPolicy");
    return policy != NULL && strcasecmp(policy, "LENIENT") == 0;
}

enum state_mode scope_mode(const struct call *call, const char *subject)
{
    char outer[NAMES_CONTEXT_MAX + 4];
    if (state_mode(call->state, "") == MODE_READONLY_OVERRIDE)
        return MODE_READONLY_OVERRIDE;
    enum state_mode own = state_mode(call->state, subject);
    if (own != MODE_NONE)
        return own;
    outer_name(subject, outer);
    enum state_mode mode = state_mode(call->state, outer);
    return mode != MODE_NONE ? mode : MODE_READWRITE;
}

bool scope_writable(struct call *call)
{
    enum state_mode mode = scope_mode(call, call->subject);
    if (mode != MODE_READONLY && mode != MODE_READONLY_OVERRIDE)
        return true;
    struct name name = name_split(slice_str(call->subject));
    return call_fail(call, 42205, "Subject %s in context %.*s is in read-only mode", call->subject,
                     (int)name.context.len, (const char *)name.context.data);
}
