// SPDX-License-Identifier: Apache-2.0
// Whether a schema is registered already, and what a registration takes over from the version before it.
#ifndef REGISTRY_LOOKUP_H
#define REGISTRY_LOOKUP_H

#include "submission.h"

// The subject's version that is the parsed submission: the same content, or, when it refers to nothing, one
// whose references written out give it (a client that sends its schema with everything in it). NULL: none.
const struct state_version *lookup_version(struct call *call, const char *subject,
                                           const struct submission *submission, bool deleted_too);

// Takes metadata and rules from the subject's latest version where none are given, and from the config's
// defaults and overrides (Confluent's maybeSetMetadataRuleSet); a property confluent:version becomes number.
// The fingerprint is made anew when it is parsed. On failure, when together they are too much, the answer is
// set (42201, 42210).
bool lookup_populate(struct call *call, struct submission *submission, const struct state_version *latest,
                     int32_t number);

#endif
