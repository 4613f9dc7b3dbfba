// SPDX-License-Identifier: Apache-2.0
// References of JSON Schema as RFC 3986 resolves them: only the text, nothing is fetched.
#ifndef SCHEMA_URI_H
#define SCHEMA_URI_H

#include "base/arena.h"

// ref resolved against base (both without limits on what they hold), without its fragment, which goes to
// *fragment (behind "#", as written; data NULL: none). data NULL when the arena is full. Lives in the arena
// or in ref and base.
struct slice uri_resolve(struct arena *arena, struct slice base, struct slice ref, struct slice *fragment);

// Without "#" and what is behind.
struct slice uri_bare(struct slice uri);

#endif
