// SPDX-License-Identifier: Apache-2.0
// What a leader remembers of records that it refused for their schema, for people who ask (`millrace why
// topic`, by way of the admin port). Pure; one of them with each replica that ever refused some.
#ifndef STORAGE_REFUSAL_PAST_H
#define STORAGE_REFUSAL_PAST_H

#include "base/buf.h"

struct refusal_past {
    int64_t records;    // refused for their schema
    int64_t refused_us; // when that was last, -1: never
    char *why;          // of the last one; NULL: none
    int64_t silent_us;  // since then no registry answers, -1: one did
};

// The past is made when there is none. records: at fault; why: what the client was told of the first one.
void refusal_past_schemas(struct refusal_past **past, int64_t records, struct slice why, int64_t now_us);
// A batch was refused since no registry answers.
void refusal_past_silence(struct refusal_past **past, int64_t now_us);
// A batch was taken: its schemas are known. NULL inside is fine, as below.
void refusal_past_taken(struct refusal_past *const *past);
void refusal_past_free(struct refusal_past **past);

#endif
