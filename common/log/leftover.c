// SPDX-License-Identifier: Apache-2.0
// See leftover.h.
#include "log/leftover.h"

#include "log/internal.h"

#include <string.h>

enum { UNIQUE_LEN = 32 }; // hexadecimal digits of a UUID; ours are as long

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

// Whether it is "SOMETHING.UNIQUE" and the suffix. What stands before may be cut off anywhere when it is
// long.
static bool is_marked(const char *name, const char *suffix)
{
    size_t rest = UNIQUE_LEN + strlen(suffix), len = strlen(name);
    if (len < rest + 2 || !ends_with(name, suffix))
        return false;
    const char *unique = name + len - rest;
    return unique[-1] == '.' && strspn(unique, "0123456789abcdef") == UNIQUE_LEN;
}

enum log_dir_kind log_dir_kind(const char *name)
{
    char replaced[LOG_NAME_MAX];
    if (log_name_ok(name))
        return LOG_DIR_LOG;
    if (log_future_split(name, replaced))
        return LOG_DIR_FUTURE;
    if (is_marked(name, "-delete"))
        return LOG_DIR_DELETE;
    return is_marked(name, "-stray") ? LOG_DIR_STRAY : LOG_DIR_OTHER;
}
