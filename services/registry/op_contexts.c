// SPDX-License-Identifier: Apache-2.0
// /contexts: the list, deleting an empty one.
#include "answer.h"
#include "http/json.h"
#include "operations.h"

static bool shown(const struct call *call, const struct state_context *context)
{
    const char *prefix = call_query(call, "contextPrefix");
    bool there = context->noted || context->subjects > 0 || strcmp(context->name, NAMES_DEFAULT_CONTEXT) == 0;
    return there && (prefix == NULL || strncmp(context->name, prefix, strlen(prefix)) == 0);
}

void op_list_contexts(struct call *call)
{
    struct page page = call_page(call, call->settings->subjects_max);
    const struct state_context *context;
    int64_t seen = 0, count = 0;
    buf_printf(&call->reply, "[");
    for (struct map_entry *at = NULL; state_context_next(call->state, &at, &context);) {
        if (!shown(call, context) || !page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &count);
        json_put_string(&call->reply, slice_str(context->name));
    }
    buf_printf(&call->reply, "]");
}

static void tombstone(struct call *call, enum record_kind kind, const char *name)
{
    struct buf none;
    buf_init(&none, 0);
    call_write(call, kind, name, 0, &none);
}

// The ids of a context are not given again: whoever has one of its records has the schema it was then.
static void write_deleted(struct call *call, const struct state_context *context)
{
    struct buf value;
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    if (context->id_max > 0)
        record_put_context(&value, context->name, context->id_max, true);
    call_write(call, RECORD_CONTEXT, context->name, 0, &value);
    buf_fini(&value);
}

void op_delete_context(struct call *call)
{
    const char *name = arena_printf(&call->arena, "%s%s", call->context[0] == '.' ? "" : ".", call->context);
    const struct state_context *context = name != NULL ? state_context(call->state, slice_str(name)) : NULL;
    if (name != NULL && strcmp(name, NAMES_DEFAULT_CONTEXT) == 0) {
        call_fail(call, 42211, "The default context cannot be deleted.");
        return;
    }
    if (context == NULL || (!context->noted && context->subjects == 0)) {
        call_fail(call, 40401, "Context '%s' not found.", call->context);
        return;
    }
    if (context->subjects > 0) {
        call_fail(call, 42211, "The specified context '%s' is not empty.", call->context);
        return;
    }
    const char *own = name_of_context(&call->arena, slice_str(context->name));
    if (own != NULL && *own != '\0' && state_mode(call->state, own) != MODE_NONE)
        tombstone(call, RECORD_MODE, own);
    if (own != NULL && *own != '\0' && state_config(call->state, own) != NULL)
        tombstone(call, RECORD_CONFIG, own);
    write_deleted(call, context);
    call->code = 204;
}
