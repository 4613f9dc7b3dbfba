// SPDX-License-Identifier: Apache-2.0
// See client_match.h.
#include "cluster/client_match.h"

#include "base/assert.h"
#include "base/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

enum { STEPS_MAX = 10000, HEAP_KIB_MAX = 256 };

struct condition {
    enum client_match_selector selector;
    pcre2_code *code;
};

struct client_match {
    int count;
    struct condition conditions[CLIENT_MATCH_MAX];
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static const char *const names[CLIENT_MATCH_SELECTORS] = {
    [CLIENT_MATCH_INSTANCE_ID] = "client_instance_id",
    [CLIENT_MATCH_ID] = "client_id",
    [CLIENT_MATCH_SOFTWARE_NAME] = "client_software_name",
    [CLIENT_MATCH_SOFTWARE_VERSION] = "client_software_version",
    [CLIENT_MATCH_SOURCE_ADDRESS] = "client_source_address",
    [CLIENT_MATCH_SOURCE_PORT] = "client_source_port"};

// "selector=pattern"; false when there is no such selector or no pattern.
static bool split(struct slice item, enum client_match_selector *selector, struct slice *pattern)
{
    const uint8_t *equals = memchr(item.data, '=', item.len);
    if (equals == NULL)
        return false;
    struct slice name = slice_trim(slice_of(item.data, (size_t)(equals - item.data)));
    *pattern = slice_trim(slice_of(equals + 1, item.len - (size_t)(equals + 1 - item.data)));
    for (int i = 0; i < CLIENT_MATCH_SELECTORS; i++) {
        *selector = (enum client_match_selector)i;
        if (slice_is(name, names[i]))
            return pattern->len > 0 && pattern->len <= CLIENT_MATCH_PATTERN_MAX &&
                   memchr(pattern->data, '=', pattern->len) == NULL;
    }
    return false;
}

static enum status refuse(struct slice item, char why[CLIENT_MATCH_WHY_SIZE])
{
    snprintf(why, CLIENT_MATCH_WHY_SIZE, "Illegal client matching pattern: %.*s",
             item.len < 100 ? (int)item.len : 100, (const char *)item.data);
    return ST_INVALID;
}

static enum status add(struct client_match *match, struct slice item, char why[CLIENT_MATCH_WHY_SIZE])
{
    int error;
    PCRE2_SIZE where;
    struct slice pattern;
    struct condition *condition = &match->conditions[match->count];
    if (match->count == CLIENT_MATCH_MAX || !split(item, &condition->selector, &pattern))
        return refuse(item, why);
    condition->code = pcre2_compile(pattern.data, pattern.len, PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED,
                                    &error, &where, NULL);
    if (condition->code == NULL)
        return refuse(item, why);
    match->count++;
    return ST_OK;
}

enum status client_match_new(struct slice text, struct client_match **made, char why[CLIENT_MATCH_WHY_SIZE])
{
    struct client_match *match = mem_calloc(1, sizeof *match);
    enum status status = ST_OK;
    why[0] = 0;
    for (size_t at = 0; status == ST_OK && at < text.len;) {
        const uint8_t *comma = memchr(text.data + at, ',', text.len - at);
        size_t end = comma != NULL ? (size_t)(comma - text.data) : text.len;
        status = add(match, slice_trim(slice_of(text.data + at, end - at)), why);
        at = end + 1;
    }
    match->context = pcre2_match_context_create(NULL);
    match->data = pcre2_match_data_create(1, NULL);
    ASSERT(match->context != NULL && match->data != NULL);
    pcre2_set_match_limit(match->context, STEPS_MAX);
    pcre2_set_heap_limit(match->context, HEAP_KIB_MAX);
    if (status != ST_OK)
        client_match_destroy(&match);
    *made = match;
    return status;
}

void client_match_destroy(struct client_match **match)
{
    if (*match == NULL)
        return;
    for (int i = 0; i < (*match)->count; i++)
        pcre2_code_free((*match)->conditions[i].code);
    pcre2_match_data_free((*match)->data);
    pcre2_match_context_free((*match)->context);
    mem_free(*match);
    *match = NULL;
}

static bool holds(const struct client_match *match, const struct condition *condition, struct slice text)
{
    return text.data != NULL && pcre2_match(condition->code, text.data, text.len, 0, PCRE2_ENDANCHORED,
                                            match->data, match->context) >= 0;
}

bool client_match_holds(const struct client_match *match, const struct slice client[CLIENT_MATCH_SELECTORS])
{
    for (int i = 0; i < match->count; i++)
        if (!holds(match, &match->conditions[i], client[match->conditions[i].selector]))
            return false;
    return true;
}
