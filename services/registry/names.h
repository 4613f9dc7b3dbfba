// SPDX-License-Identifier: Apache-2.0
// Names of subjects and contexts, as Confluent's QualifiedSubject reads them: ":.context:subject", where the
// default context "." is not written. ":.context:" alone stands for the context itself.
#ifndef REGISTRY_NAMES_H
#define REGISTRY_NAMES_H

#include "base/arena.h"

#define NAMES_DEFAULT_CONTEXT "."
#define NAMES_ALL_CONTEXTS    ":*:"

enum { NAMES_SUBJECT_MAX = 4096, NAMES_CONTEXT_MAX = 255 }; // bytes; our limits, Confluent has none

struct name {
    struct slice context; // with its leading dot; "." for the default one
    struct slice subject; // without context; empty: the context itself
};

// Splits a subject as written; the parts are within it. "" is the default context itself.
struct name name_split(struct slice qualified);

// How the name is kept and shown: without the default context. NULL when the arena is full.
const char *name_qualify(struct arena *arena, struct name name);

// The same of a name as written.
const char *name_normalise(struct arena *arena, const char *qualified);

// The subject a reference names: one without a context is of the referring subject's. NULL when the arena is
// full.
const char *name_of_reference(struct arena *arena, const char *referring, const char *subject);

// ":.context:", "" for the default one: what config and mode of a context are kept under.
const char *name_of_context(struct arena *arena, struct slice context);

// Whether schemas may be registered under it: not empty, UTF-8 (records are JSON), no control characters, not
// a name Confluent reserves (__GLOBAL, __EMPTY), within the limits.
bool name_valid(struct slice qualified);

// Whether a qualified name begins with a prefix as GET /subjects takes it: ":*:" in front stands for every
// context.
bool name_has_prefix(struct slice qualified, struct slice prefix);

#endif
