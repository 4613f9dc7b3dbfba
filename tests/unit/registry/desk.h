// SPDX-License-Identifier: Apache-2.0
// A registry's decisions without a process around them: operations run on a state, what they write is applied
// to it at once and kept, as lines, in the order of the topic.
#ifndef DESK_H
#define DESK_H

#include "operations.h"

#include "base/map.h"

struct desk {
    struct state *state;
    struct keys *keys;
    uint64_t random; // the last number
    struct settings settings;
    int code;                          // of the last answer
    char *answer;                      // its body
    struct buf log;                    // "key value\n" of every record; "-" for a tombstone
    bool unknown_fields, there_only;   // of the next calls
    size_t spot_max;                   // of the next calls (chores.h); desk_open: as much as they like
    int jobs;                          // that the last call needed
    void (*in_job)(struct desk *desk); // what happens while a job of a call runs; NULL: nothing
};

void desk_open(struct desk *desk);
void desk_close(struct desk *desk);

// Runs an operation by name. where: "subject", "subject/version", "id", "guid" or "context", as its path has
// them, "name|subject|version" of keys, "namespace|name" of resources; query: "a=b&c=d" without escapes;
// body: JSON. NULL: none. Returns the answer's body.
const char *desk_ask(struct desk *desk, const char *operation, const char *where, const char *query,
                     const char *body);
// Registers an Avro schema; returns the id, or the error's code below zero.
int desk_register(struct desk *desk, const char *subject, const char *schema);

// Applies a record as if another registry had written it. value NULL: a tombstone.
enum status desk_apply(struct desk *desk, const char *key, const char *value);

// The state as somebody has it who reads the log from the beginning: compacted, when compact is set.
void desk_replay(struct desk *desk, bool compact);

// The last record of the log whose key is this, or "".
const char *desk_record(struct desk *desk, const char *key);

#endif
