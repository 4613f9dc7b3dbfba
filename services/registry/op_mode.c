// SPDX-License-Identifier: Apache-2.0
// /mode: may schemas be registered, with ids of the registry's or of the client's, for everything, a context
// or a subject. Going to IMPORT wants no live schema there (unless forced) and forgets the deleted ones, so
// that their versions and ids can be written anew.
#include "erase.h"
#include "http/json.h"
#include "operations.h"
#include "scope.h"

#include <ctype.h>

static void answer(struct call *call, enum state_mode mode)
{
    buf_printf(&call->reply, "{\"mode\":\"%s\"}", state_mode_name(mode));
}

void op_get_mode(struct call *call)
{
    enum state_mode own = state_mode(call->state, call->subject);
    if (state_mode(call->state, "") == MODE_READONLY_OVERRIDE)
        own = MODE_READONLY_OVERRIDE;
    if (*call->subject == '\0' || call_flag(call, "defaultToGlobal"))
        answer(call, scope_mode(call, call->subject));
    else if (own != MODE_NONE)
        answer(call, own);
    else
        call_fail(call, 40409, "Subject '%s' does not have subject-level mode configured", call->subject);
}

// ---- PUT ----

// Whether the mode kept under name (global, a context, a subject) is the subject's.
static bool covers(const char *name, const struct state_subject *subject)
{
    struct name split = name_split(slice_str(name));
    if (*name == '\0')
        return true;
    if (split.subject.len > 0)
        return strcmp(name, subject->name) == 0;
    return slice_is(split.context, subject->context->name);
}

static bool may_forget(struct call *call, const struct state_subject *subject)
{
    for (size_t i = 0; i < subject->count; i++)
        if (!erase_unreferenced(call, subject->versions[i]))
            return false;
    return true;
}

static bool make_empty(struct call *call)
{
    size_t count;
    const struct state_subject *const *subjects = state_subjects(call->state, &count);
    for (size_t i = 0; i < count; i++)
        if (covers(call->subject, subjects[i]) && subjects[i]->live > 0)
            return call_fail(call, 42205, "Cannot import since found existing subjects");
    for (size_t i = 0; i < count; i++)
        if (covers(call->subject, subjects[i]) && !may_forget(call, subjects[i]))
            return false;
    for (size_t i = 0; i < count; i++)
        if (covers(call->subject, subjects[i]))
            erase_subject(call, subjects[i]);
    return true;
}

static enum state_mode read_mode(const cJSON *body)
{
    const char *text = json_string(body, "mode");
    char upper[32] = "";
    for (size_t i = 0; text != NULL && text[i] != '\0' && i < sizeof upper - 1; i++)
        upper[i] = (char)toupper((unsigned char)text[i]);
    return state_mode_find(upper);
}

static bool put_mode(struct call *call, const cJSON *body)
{
    enum state_mode mode = read_mode(body);
    struct slice name = slice_str(call->subject);
    if (mode == MODE_NONE || mode == MODE_FORWARD)
        return call_fail(call, 42204,
                         "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE and IMPORT");
    if (!call->settings->mode_mutable)
        return call_fail(call, 42205, "Mode changes are not allowed");
    if (name_split(name).subject.len > 0 && !name_valid(name))
        return call_fail(call, 42208, "The specified subject '%s' is not a valid subject.", call->subject);
    if (mode == MODE_IMPORT && scope_mode(call, call->subject) != MODE_IMPORT && !call_flag(call, "force") &&
        !make_empty(call))
        return false;
    struct buf value;
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    record_put_mode(&value, call->subject, state_mode_name(mode));
    call_write(call, RECORD_MODE, call->subject, 0, &value);
    buf_fini(&value);
    answer(call, mode);
    return true;
}

void op_put_mode(struct call *call)
{
    cJSON *body = NULL;
    size_t at = 0;
    enum status status = json_parse(call->body, &body, &at);
    if (status != ST_OK)
        call_fail(call, 400, "The body is no JSON: %s at byte %zu", status_text(status), at);
    else
        put_mode(call, body);
    cJSON_Delete(body);
}

// ---- DELETE ----

static void drop(struct call *call, const char *name)
{
    struct buf none;
    buf_init(&none, 0);
    call_write(call, RECORD_MODE, name, 0, &none);
}

// Modes of the subjects of a context (or, globally, of everything).
static void drop_inner(struct call *call)
{
    struct slice name;
    struct name outer = name_split(slice_str(call->subject));
    for (struct map_entry *at = NULL; state_mode_next(call->state, &at, &name);) {
        struct name inner = name_split(name);
        bool inside = *call->subject == '\0' || slice_equal(outer.context, inner.context);
        const char *text = arena_strndup(&call->arena, name.data, name.len);
        if (inside && text != NULL && strcmp(text, call->subject) != 0)
            drop(call, text);
    }
}

void op_delete_mode(struct call *call)
{
    enum state_mode own = state_mode(call->state, call->subject);
    if (!call->settings->mode_mutable) {
        call_fail(call, 42205, "Mode changes are not allowed");
        return;
    }
    if (own == MODE_NONE && *call->subject != '\0') {
        call_fail(call, 40409, "Subject '%s' does not have subject-level mode configured", call->subject);
        return;
    }
    answer(call, own != MODE_NONE ? own : MODE_READWRITE);
    if (own != MODE_NONE)
        drop(call, call->subject);
    if (call_flag(call, "recursive") && name_split(slice_str(call->subject)).subject.len == 0)
        drop_inner(call);
}
