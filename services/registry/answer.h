// SPDX-License-Identifier: Apache-2.0
// The pieces answers are made of, in Confluent's shapes.
#ifndef REGISTRY_ANSWER_H
#define REGISTRY_ANSWER_H

#include "call.h"

// What a path's {version} means: "latest", "-1", or 1 to 2^31-1. Answers 42202 and returns false for anything
// else. *version: -1 for the latest.
bool answer_read_version(struct call *call, int32_t *version);
// An {id} of a path: 0 to 2^31-1; else answers 404 (no such resource, as Confluent's router does).
bool answer_read_id(struct call *call, int32_t *id);

// The subject's version the path names (call->subject, call->version); deleted ones when asked for. A subject
// without context is looked for in the others when the default one does not have it. NULL: answered 40401,
// 40402 or 42202.
const struct state_version *answer_find_version(struct call *call, bool deleted_too);

// A version as Schema: subject, version, id, what it is. text: instead of the stored one; NULL: that.
void answer_put_version(struct call *call, const struct state_version *version, const char *text);

// A schema as SchemaString: of the version that was found for it.
void answer_put_schema(struct call *call, const struct state_version *version, const char *text);

// Answers a text by itself, as .../schema does.
void answer_plain(struct call *call, const char *text);

// Reads the body, a JSON object, which the caller deletes. False: answered 400, *body is NULL.
bool answer_read_body(struct call *call, cJSON **body);

// Answers with what a part of the call (operation_run_inside) was answered. Always false.
bool answer_pass_on(struct call *call, const struct call *inner);

// Answers 50002: whether the call, which writes and may not be run again, was carried out is not known.
// Always false.
bool answer_unknown(struct call *call);

// Begins an array element.
void answer_separate(struct buf *out, int64_t *count);

// Which versions a list takes: deleted, deletedOnly.
struct which {
    bool live, deleted;
};
struct which answer_which(const struct call *call);
bool which_has(struct which which, bool deleted);

#endif
