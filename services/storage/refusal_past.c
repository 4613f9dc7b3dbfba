// SPDX-License-Identifier: Apache-2.0
// See refusal_past.h.
#include "refusal_past.h"

#include "base/mem.h"

static struct refusal_past *past_of(struct refusal_past **past)
{
    if (*past == NULL) {
        *past = mem_calloc(1, sizeof **past);
        **past = (struct refusal_past){.refused_us = -1, .silent_us = -1};
    }
    return *past;
}

void refusal_past_schemas(struct refusal_past **pointer, int64_t records, struct slice why, int64_t now_us)
{
    struct refusal_past *past = past_of(pointer);
    past->records += records;
    past->refused_us = now_us;
    past->silent_us = -1;
    mem_free(past->why);
    past->why = mem_strndup(why.data != NULL ? (const char *)why.data : "", why.len);
}

void refusal_past_silence(struct refusal_past **pointer, int64_t now_us)
{
    struct refusal_past *past = past_of(pointer);
    if (past->silent_us < 0)
        past->silent_us = now_us;
}

void refusal_past_taken(struct refusal_past *const *past)
{
    if (*past != NULL)
        (*past)->silent_us = -1;
}

void refusal_past_free(struct refusal_past **pointer)
{
    struct refusal_past *past = *pointer;
    *pointer = NULL;
    if (past != NULL)
        mem_free(past->why);
    mem_free(past);
}
