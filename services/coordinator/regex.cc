// SPDX-License-Identifier: Apache-2.0
// See regex.h.
#include "regex.h"

#include <re2/re2.h>

struct regex {
    re2::RE2 compiled;
    regex(const re2::StringPiece &pattern, const re2::RE2::Options &options) : compiled(pattern, options)
    {
    }
};

struct regex *regex_new(const char *pattern, size_t len)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(REGEX_MEMORY_MAX);
    options.set_never_capture(true);
    struct regex *made = new regex(re2::StringPiece(pattern, len), options);
    if (!made->compiled.ok())
        regex_destroy(&made);
    return made;
}

void regex_destroy(struct regex **regex)
{
    delete *regex;
    *regex = nullptr;
}

bool regex_matches(const struct regex *regex, const char *text, size_t len)
{
    return re2::RE2::FullMatch(re2::StringPiece(text, len), regex->compiled);
}
