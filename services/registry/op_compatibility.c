// SPDX-License-Identifier: Apache-2.0
// /compatibility: would a schema fit a version, or all the level asks for? Nothing is written.
#include "answer.h"
#include "compatibility.h"
#include "http/json.h"
#include "lookup.h"
#include "operations.h"

#include <inttypes.h>

static void answer(struct call *call, const struct messages *messages)
{
    buf_printf(&call->reply, "{\"is_compatible\":%s", messages->count == 0 ? "true" : "false");
    if (call_flag(call, "verbose")) {
        buf_printf(&call->reply, ",\"messages\":[");
        buf_append(&call->reply, messages->json.data, messages->json.len);
        buf_printf(&call->reply, "]");
    }
    buf_printf(&call->reply, "}");
}

static void check(struct call *call, const struct state_version *const *versions, size_t count)
{
    struct submission submission;
    struct messages messages;
    struct compatibility rules = compatibility_of(call, call->subject);
    struct submission_use use = {.fresh = true,
                                 .normalise = call_flag(call, "normalize") ||
                                              scope_flag(call, call->subject, "normalize", false)};
    messages_init(&messages);
    bool good = submission_read(call, &submission) && submission_parse(call, &submission, use);
    if (good) {
        compatibility_check(call, &rules, &submission, versions, count, &messages);
        answer(call, &messages);
    }
    messages_fini(&messages);
}

// "latest" of a subject that has none fits anything.
static bool nothing_to_compare(struct call *call)
{
    int32_t number;
    const struct state_subject *subject = state_subject(call->state, call->subject);
    return answer_read_version(call, &number) && number < 0 && (subject == NULL || subject->live == 0);
}

void op_compatible_with_version(struct call *call)
{
    if (nothing_to_compare(call)) {
        check(call, NULL, 0);
        return;
    }
    const struct state_version *version = answer_find_version(call, false);
    if (version != NULL)
        check(call, &version, 1);
}

void op_compatible_with_all(struct call *call)
{
    const struct state_subject *subject = state_subject(call->state, call->subject);
    size_t room = subject != NULL ? subject->live : 0, count = 0;
    const struct state_version **live = arena_calloc(&call->arena, room + 1, sizeof *live);
    if (live == NULL) {
        call_fail(call, 50001, "The request needs too much memory");
        return;
    }
    for (size_t i = 0; room > 0 && i < subject->count; i++)
        if (!subject->versions[i]->deleted)
            live[count++] = subject->versions[i];
    check(call, live, count);
}
