// SPDX-License-Identifier: Apache-2.0
// A member of a share group (KIP-932) that reads the topic t: heartbeats, opens a session at one storage node
// after the other, fetches, and accepts, releases or rejects what it gets, with the next fetch or by itself;
// it says the same twice, comes too late, drops its connection, or dies and comes back as another. Some
// records are bad: every member gives them back, until they are delivered too often. What it was given and
// told stands in a share_book.
#ifndef SIM_SHARER_H
#define SIM_SHARER_H

#include "actor.h"
#include "base/uuid.h"
#include "share_book.h"

enum { SHARER_SPANS = 64 };

struct sharer_span {
    int partition;
    int64_t first, last;
    int16_t deliveries;
    bool bad; // nobody can do anything with it
};

struct sharer {
    struct actor actor; // first
    struct share_book *book;
    int number, lives; // its ids are made of these
    char id[32];
    int32_t epoch;   // of the member; 0: joins with the next heartbeat
    int32_t session; // epoch of the share session; 0: begins
    struct uuid topic;
    bool assigned;
    int64_t beat_us;                       // the last heartbeat
    int64_t sent_us;                       // the request under way
    struct sharer_span held[SHARER_SPANS]; // ascending by partition and offset
    int held_count;
    struct sharer_span said[SHARER_SPANS]; // acknowledged by the request under way, or the last one
    int said_count;
    int8_t said_type;
    bool repeats; // what is said was said before
    int visits;   // requests to this node so far
    bool steady;  // accepts everything, and stays
};

void sharer_init(struct sharer *sharer, struct env *env, struct share_book *book, int number);

#endif
