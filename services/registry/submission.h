// SPDX-License-Identifier: Apache-2.0
// A schema as a client sends it, or as a version has it: read, its references found, parsed, printed as it
// would be stored.
#ifndef REGISTRY_SUBMISSION_H
#define REGISTRY_SUBMISSION_H

#include "chores.h"

struct submission {
    const cJSON *body;      // the call's; owns the texts
    struct content content; // text: as sent, then (submission_parse) as stored
    int32_t id, version;    // -1, 0: not given
    bool empty;             // no schema text was sent
    const struct chore *parsed;
    uint8_t guid[STATE_GUID_SIZE];
};

// Reads the body of a request. On failure the answer is set (400 no JSON, 42201, 42210), or the call is to be
// run again (chores.h). What is read is the call's until call_fini.
bool submission_read(struct call *call, struct submission *submission);

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

// A parsed submission beside a version, in the directions of the level: adds what does not fit. Nothing is
// added when the call is to be run again.
void submission_compare(struct call *call, const struct submission *submission,
                        const struct state_version *version, struct comparison by, struct messages *messages);

// What a version is, without metadata and rules; borrowed from the state.
struct content submission_stored_content(const struct state_version *version);

// A version, parsed; the call's until call_fini. NULL: *error says why, or the call is to be run again.
const struct schema *submission_stored(struct call *call, const struct state_version *version,
                                       struct schema_error *error);

// The same of what a subject might have, whatever it refers to, with how it went.
const struct chore *submission_content(struct call *call, const char *subject, const struct content *content,
                                       struct schema_error *error);

// Appends what is stored and all it refers to as schema_pack does. On failure out is as before and error says
// why.
enum status submission_pack(struct call *call, const struct state_version *version, struct buf *out,
                            struct schema_error *error);

// A stored text in a form a client asks for (Avro: resolved; Protobuf: serialized, ignore_extensions). NULL:
// as it is stored, also for a form that the schema's language has not. Lives in the call's arena.
const char *submission_format(struct call *call, const struct state_version *version, const char *format);

#endif
