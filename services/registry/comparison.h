// SPDX-License-Identifier: Apache-2.0
// A new schema beside an older one, in the directions of a level. Pure: it runs on the loop or in a job
// (chores.h).
#ifndef REGISTRY_COMPARISON_H
#define REGISTRY_COMPARISON_H

#include "schema/schema.h"
#include "scope.h"

// Messages as Confluent's registry makes them, the strings of a JSON array without the brackets; empty: fits.
struct messages {
    struct buf json;
    size_t count;
};
void messages_init(struct messages *messages);
void messages_fini(struct messages *messages);
void messages_add(struct messages *messages, struct slice text);
void messages_add_all(struct messages *messages, const struct messages *others);
// Adds {format: 'text'}.
void messages_add_printed(struct messages *messages, const char *format, const char *text);
// Adds {oldSchema: 'text'}, of a long text (UTF-8) the beginning.
void messages_add_old(struct messages *messages, const char *text);

// By what rules two versions are compared.
struct comparison {
    enum level level;
    bool lenient; // compatibilityPolicy LENIENT
};
bool comparison_equal(struct comparison a, struct comparison b);

// Adds what does not fit, in both directions where the level has both; NONE compares nothing.
void comparison_run(struct comparison by, const struct schema *fresh, const struct schema *old,
                    struct messages *messages);

#endif
