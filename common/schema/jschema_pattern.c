// SPDX-License-Identifier: Apache-2.0
// Regular expressions of JSON schemas, by PCRE2, in bounded time. PCRE2 bounds its steps for each place of a
// text where a match could begin, and a step may look at the whole text, so its own limit does not bound a
// long text. What is certain to be cheap even so is matched as it is. The rest is matched by a second form,
// compiled to call back before each of its items, and the way between the places it is at then is counted. A
// step also copies what the groups have found so far: one with many groups counts for more.
#include "base/mem.h"
#include "schema/jschema_own.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    PLACE_STEPS = 16, // of PCRE2 at each place, at first
    STEP_BYTES = 128  // of groups that a step copies in the time it takes to look at a character
};

struct jschema_pattern {
    pcre2_code *quick, *counted;
    uint64_t step; // characters' worth
};

// As near to ECMA 262 as it goes.
static pcre2_code *compile(struct slice text, uint32_t more)
{
    int code;
    PCRE2_SIZE at;
    uint32_t options =
        PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF;
    return pcre2_compile(text.data, text.len, options | more, &code, &at, NULL);
}

static size_t size_of(const pcre2_code *code)
{
    size_t size = 0;
    pcre2_pattern_info(code, PCRE2_INFO_SIZE, &size);
    return size;
}

void jschema_pattern_free(void *pattern)
{
    struct jschema_pattern *made = pattern;
    pcre2_code_free(made->quick);
    pcre2_code_free(made->counted);
    mem_free(made);
}

enum status jschema_pattern_new(struct slice text, size_t *left, struct jschema_pattern **pattern)
{
    size_t frame = 0;
    *pattern = NULL;
    if (text.len > JSCHEMA_PATTERN_MAX)
        return ST_LIMIT;
    struct jschema_pattern made = {.quick = compile(text, 0)};
    if (made.quick == NULL)
        return ST_MALFORMED;
    made.counted = compile(text, PCRE2_AUTO_CALLOUT); // which is longer, and may be too long
    size_t size = made.counted != NULL ? size_of(made.quick) + size_of(made.counted) : SIZE_MAX;
    pcre2_pattern_info(made.quick, PCRE2_INFO_FRAMESIZE, &frame);
    made.step = 1 + frame / STEP_BYTES;
    *pattern = mem_calloc(1, sizeof **pattern);
    **pattern = made;
    if (size <= *left) {
        *left -= size;
        return ST_OK;
    }
    jschema_pattern_free(*pattern);
    *pattern = NULL;
    return ST_LIMIT;
}

// How much PLACE_STEPS at each place may look at.
static uint64_t at_worst(const struct jschema_pattern *pattern, size_t len)
{
    uint32_t options = 0;
    pcre2_pattern_info(pattern->quick, PCRE2_INFO_ALLOPTIONS, &options);
    uint64_t places = options & PCRE2_ANCHORED ? 1 : (uint64_t)len + 1;
    return places * (len + pattern->step) * PLACE_STEPS;
}

struct count {
    uint64_t left, step;
    PCRE2_SIZE at;
};

static int count_step(pcre2_callout_block *block, void *context)
{
    struct count *count = context;
    PCRE2_SIZE now = block->current_position;
    uint64_t way = count->step + (now > count->at ? now - count->at : count->at - now);
    count->at = now;
    if (way > count->left)
        return PCRE2_ERROR_CALLOUT;
    count->left -= way;
    return 0;
}

static int match(const pcre2_code *code, struct slice text, uint32_t limit, struct count *count)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    int found = PCRE2_ERROR_NOMEMORY;
    if (data != NULL && context != NULL) {
        pcre2_set_match_limit(context, limit);
        if (count != NULL)
            pcre2_set_callout(context, count_step, count);
        found = pcre2_match(code, text.data, text.len, 0, PCRE2_NO_UTF_CHECK, data, context);
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    return found;
}

static int match_counted(struct checking *c, const struct jschema_pattern *pattern, struct slice text)
{
    struct count count = {.left = c->counted_left, .step = pattern->step};
    int found = match(pattern->counted, text, UINT32_MAX, &count);
    c->counted_left = count.left;
    return found;
}

bool checking_match(struct checking *c, const struct tree *member, struct slice text)
{
    const struct jschema_pattern *pattern = map_get_u64(&c->schema->patterns, jschema_key(member));
    uint64_t worst = at_worst(pattern, text.len);
    int found = PCRE2_ERROR_MATCHLIMIT;
    if (worst <= c->quick_left) {
        c->quick_left -= worst;
        found = match(pattern->quick, text, PLACE_STEPS, NULL);
    }
    if (found == PCRE2_ERROR_MATCHLIMIT)
        found = match_counted(c, pattern, text);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH)
        c->status = ST_LIMIT;
    return found >= 0; // 0: with groups that nobody asked for
}
