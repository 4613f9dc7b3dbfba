// SPDX-License-Identifier: Apache-2.0
// The inside of the state, shared by state.c (life, reading), state_apply.c (records), state_index.c (what is
// kept sorted or counted). Nobody else includes it.
#ifndef REGISTRY_STATE_OWN_H
#define REGISTRY_STATE_OWN_H

#include "fingerprint.h"

// Who refers to one version of a subject.
struct referrers {
    const struct state_schema **schemas; // ascending by id
    int32_t *ids;                        // theirs
    uint32_t *uses;                      // live versions that are this schema
    size_t count, cap;
};

// Subjects by name: a sorted part, and behind it those that came since somebody asked.
struct subject_list {
    struct state_subject **items;
    size_t count, cap, sorted;
};

struct state {
    struct map subjects;  // by qualified name
    struct map contexts;  // by name
    struct map configs;   // cJSON by name
    struct map modes;     // enum state_mode as a pointer, by name
    struct map referrers; // by subject, NUL, version
    struct subject_list list;
    struct associations associations;
    size_t schema_count;
    struct fingerprinter *fingerprinter;
};

// ---- state.c ----
struct state_context *state_context_make(struct state *state, struct slice name);
// Without guid, in no table. mem_free frees all of it.
struct state_schema *state_schema_new(struct state_context *context, int32_t id,
                                      const struct content *content);

// ---- state_index.c ----
void subject_list_add(struct subject_list *list, struct state_subject *subject);
void subject_list_remove(struct subject_list *list, const struct state_subject *subject);
void subject_list_sort(struct subject_list *list);
void subject_list_fini(struct subject_list *list);

// A live version that is this schema came (by 1) or went (by -1).
void referrers_change(struct state *state, const struct state_version *version, int by);
const struct referrers *referrers_of(const struct state *state, const char *subject, int32_t version);
void referrers_free(void *value);

#endif
