// SPDX-License-Identifier: Apache-2.0
// Regular expressions in RE2's syntax, which is what Kafka's RE2/J takes. Matching takes time linear in the
// text whatever the expression is, and memory of an expression is bounded. A thin layer over libre2, the one
// file of ours that is not C (regex.cc).
#ifndef REGEX_H
#define REGEX_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { REGEX_MEMORY_MAX = 256 << 10 }; // bytes of one expression, its matching included

struct regex;

// NULL: not a regular expression, or one that would need more than REGEX_MEMORY_MAX.
struct regex *regex_new(const char *pattern, size_t len);
void regex_destroy(struct regex **regex);
// Whether the whole text matches, not only a part of it.
bool regex_matches(const struct regex *regex, const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
