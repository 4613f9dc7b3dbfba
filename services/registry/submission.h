// SPDX-License-Identifier: Apache-2.0
// A schema as a client sends it, or as a version has it: read, its references found, parsed, printed as it
// would be stored.
#ifndef REGISTRY_SUBMISSION_H
#define REGISTRY_SUBMISSION_H

#include "call.h"
#include "schema/schema.h"

struct submission {
    cJSON *body;            // owns the texts
    struct content content; // text: as sent, then (submission_parse) as stored
    int32_t id, version;    // -1, 0: not given
    bool empty;             // no schema text was sent
    struct schema *schema;  // parsed
    uint8_t guid[STATE_GUID_SIZE];
};

// Reads the body of a request. On failure the answer is set (400 no JSON, 42201, 42210). submission_fini in
// any case.
bool submission_read(struct call *call, struct submission *submission);
void submission_fini(struct submission *submission);

// Sets metadata (an object or NULL) or rules anew.
void submission_set_metadata(struct call *call, struct submission *submission, const cJSON *metadata);
void submission_set_rules(struct call *call, struct submission *submission, const cJSON *rule_set);

// How to look at a submission's text.
struct submission_use {
    bool fresh;     // it is to be registered: it must be valid, and refer to nothing that is deleted
    bool normalise; // texts that mean the same become the same
};
// Parses the text and prints it as it is stored, with references to the latest version settled to its number,
// and fingerprints it. On failure the answer is set (42201, 42209, 50001).
bool submission_parse(struct call *call, struct submission *submission, struct submission_use use);

// Parses what is stored, for subject's references. NULL: cannot be parsed; error says why.
struct schema *submission_stored(struct call *call, const struct state_version *version,
                                 struct schema_error *error);

// A stored text in a form a client asks for (format=resolved). NULL: as it is stored. Lives in the call's
// arena.
const char *submission_format(struct call *call, const struct state_version *version, const char *format);

#endif
