// SPDX-License-Identifier: Apache-2.0
// Whether a schema may follow the versions before it, by level: which of them are looked at, in which
// direction, and what is said when one does not fit.
#ifndef REGISTRY_COMPATIBILITY_H
#define REGISTRY_COMPATIBILITY_H

#include "comparison.h"
#include "submission.h"

struct compatibility {
    struct comparison by;
    const char
        *group; // property of the metadata that must be equal for versions to be compared; NULL: all are
    bool validate_fields; // reserved.h
};
struct compatibility compatibility_of(const struct call *call, const char *subject);

// Compares a parsed submission with versions, ascending, of which deleted ones have been left out. Stops at
// the first version, from the newest on, that does not fit; reserved names are looked at as well. What is
// left to a job (chores.h) adds nothing, and the call is run again.
void compatibility_check(struct call *call, const struct compatibility *rules,
                         const struct submission *submission, const struct state_version *const *versions,
                         size_t count, struct messages *messages);

#endif
