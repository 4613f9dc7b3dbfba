// SPDX-License-Identifier: Apache-2.0
// Deleting: softly, which keeps the schema for whoever has its id, or for good. What is gone for good leaves
// the highest id of its context behind in a CONTEXT record, so that no id is ever given twice, not after
// compaction either (Confluent's registry may do so).
#ifndef REGISTRY_ERASE_H
#define REGISTRY_ERASE_H

#include "call.h"

// Answers 42206 and returns false when a live schema refers to the version.
bool erase_unreferenced(struct call *call, const struct state_version *version);

// Records: all versions of the subject are marked deleted; config and mode of the subject go.
void erase_softly(struct call *call, const struct state_subject *subject);

// Records: one version is marked; config and mode go when it was the last live one.
void erase_version_softly(struct call *call, const struct state_version *version);

// Records: a version, all versions of a subject, are gone.
void erase_version(struct call *call, const struct state_version *version);
void erase_subject(struct call *call, const struct state_subject *subject);

#endif
