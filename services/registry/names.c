// SPDX-License-Identifier: Apache-2.0
// See names.h.
#include "names.h"

#include "base/utf8.h"

static bool begins(struct slice text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.data, with, len) == 0;
}

static struct slice rest(struct slice text, size_t from)
{
    return slice_of(text.data + from, text.len - from);
}

struct name name_split(struct slice qualified)
{
    struct name name = {.context = slice_str(NAMES_DEFAULT_CONTEXT), .subject = qualified};
    if (!begins(qualified, ":."))
        return name;
    struct slice text = rest(qualified, 1);
    const uint8_t *end = memchr(text.data, ':', text.len);
    name.context = slice_of(text.data, end != NULL ? (size_t)(end - text.data) : text.len);
    name.subject = end != NULL ? rest(text, name.context.len + 1) : slice_of("", 0);
    return name;
}

const char *name_qualify(struct arena *arena, struct name name)
{
    if (slice_is(name.context, NAMES_DEFAULT_CONTEXT))
        return arena_strndup(arena, name.subject.data, name.subject.len);
    return arena_printf(arena, ":%.*s:%.*s", (int)name.context.len, (const char *)name.context.data,
                        (int)name.subject.len, (const char *)name.subject.data);
}

const char *name_normalise(struct arena *arena, const char *qualified)
{
    return name_qualify(arena, name_split(slice_str(qualified)));
}

const char *name_of_reference(struct arena *arena, const char *referring, const char *subject)
{
    struct name name = name_split(slice_str(subject));
    if (!begins(slice_str(subject), ":."))
        name.context = name_split(slice_str(referring)).context;
    return name_qualify(arena, name);
}

const char *name_of_context(struct arena *arena, struct slice context)
{
    return name_qualify(arena, (struct name){.context = context, .subject = slice_of("", 0)});
}

bool name_valid(struct slice qualified)
{
    struct name name = name_split(qualified);
    if (name.subject.len == 0 || name.subject.len > NAMES_SUBJECT_MAX ||
        name.context.len > NAMES_CONTEXT_MAX || slice_is(name.subject, "__GLOBAL") ||
        slice_is(name.subject, "__EMPTY"))
        return false;
    for (size_t i = 0; i < qualified.len; i++)
        if (qualified.data[i] < 0x20 || qualified.data[i] == 0x7f)
            return false;
    return utf8_valid(qualified);
}

bool name_has_prefix(struct slice qualified, struct slice prefix)
{
    struct slice text = qualified;
    if (begins(prefix, NAMES_ALL_CONTEXTS)) {
        text = name_split(qualified).subject;
        prefix = rest(prefix, strlen(NAMES_ALL_CONTEXTS));
    }
    return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.data, prefix.data, prefix.len) == 0);
}
