// SPDX-License-Identifier: Apache-2.0
// Short forms of requests to the coordinator under test, for the test files of its APIs.
#ifndef ASKS_H
#define ASKS_H

#include "desk.h"

extern struct desk d; // the one of the running test

void asks_setup(void);
void asks_teardown(void);

struct slice text(const char *s);

struct commit {
    const char *group, *member, *topic, *metadata;
    int32_t generation, partition;
    int64_t offset, retention_ms;
    uint8_t topic_id;
};

extern int32_t asks_session_ms; // of members that join

// A dynamic member that reads topic t.
void send_join(struct desk_call *call, int16_t version, const char *group, const char *member);
void send_sync(struct desk_call *call, int16_t version, const char *group, const char *member,
               int32_t generation);
int16_t beat(int16_t version, const char *group, const char *member, int32_t generation);
void send_commit(struct desk_call *call, int16_t version, struct commit what);
int16_t commit(int16_t version, struct commit what);
// To partition 0 of t, without being a member.
int16_t simple_commit(const char *group, int64_t offset);
// The committed offset by the request's own form of each version; error gets the partition's.
int64_t fetch(int16_t version, const char *group, const char *topic, int32_t partition, int16_t *error);
// Of partition 0 of t.
int64_t committed(const char *group);
// A member with generation 1 of a stable group; id gets its id.
void stable(const char *group, char id[128]);
// Returns the error on top; member_error: the member's, before version 3 the same.
int16_t leave(int16_t version, const char *group, const char *member, int16_t *member_error);

#endif
