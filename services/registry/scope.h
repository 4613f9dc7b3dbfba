// SPDX-License-Identifier: Apache-2.0
// What config and mode hold for a subject: its own, else its context's (the global ones for the default
// context), else the process's settings. Fields of a config are looked for one by one, so that a subject with
// an alias only still has the level of its context.
#ifndef REGISTRY_SCOPE_H
#define REGISTRY_SCOPE_H

#include "call.h"

enum level {
    LEVEL_UNKNOWN,
    LEVEL_NONE,
    LEVEL_BACKWARD,
    LEVEL_BACKWARD_TRANSITIVE,
    LEVEL_FORWARD,
    LEVEL_FORWARD_TRANSITIVE,
    LEVEL_FULL,
    LEVEL_FULL_TRANSITIVE
};

// In any case of letters; LEVEL_UNKNOWN for NULL and texts that are none.
enum level level_find(const char *name);
const char *level_name(enum level level);
bool level_transitive(enum level level);
bool level_backward(enum level level); // new schemas read old data
bool level_forward(enum level level);

// The field of the config in scope; NULL: nobody sets it. subject: "" for global, ":.context:", or a subject.
const cJSON *scope_field(const struct call *call, const char *subject, const char *field);
const char *scope_text(const struct call *call, const char *subject, const char *field);
bool scope_flag(const struct call *call, const char *subject, const char *field, bool fallback);
enum level scope_level(const struct call *call, const char *subject);
// Whether JSON schemas are compared by the policy LENIENT. Any other, also one that is not offered here and
// came with the records of another registry, is STRICT.
bool scope_lenient(const struct call *call, const char *subject);
enum state_mode scope_mode(const struct call *call, const char *subject);

// Answers 42205 and returns false when the subject may not be changed.
bool scope_writable(struct call *call);

#endif
