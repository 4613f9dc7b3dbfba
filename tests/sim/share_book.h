// SPDX-License-Identifier: Apache-2.0
// What members of the share group were given and what they were told became of it, and the checkers of share
// groups: what was acknowledged never comes again, nobody gets what another one holds, nothing is delivered
// too often or lost, deliveries that were counted stay counted, and the start offset never goes back.
#ifndef SIM_SHARE_BOOK_H
#define SIM_SHARE_BOOK_H

#include "share_kept.h"

#define SHARE_GROUP "sharers"

enum { SHARE_LOCK_MS = 2000, SHARE_DELIVERIES = 5, SHARERS = 3 }; // of the storage nodes too

// Where a record was acquired: two acquisitions in the same place are one partition's.
struct share_place {
    int node; // index of the storage node
    uint64_t generation;
    int32_t leader_epoch;
    int64_t ended; // share partitions that ended there before their members did
};

struct share_seen {
    int16_t deliveries;    // most that were told; 0: never delivered
    bool over;             // an answer said that it is
    bool maybe;            // ... or was lost
    int64_t over_us;       // when that answer came
    int32_t over_epoch;    // ... and an epoch of the leader that is not below the one it was given in
    int16_t counted;       // deliveries when it was given back, as an answer said; 0: it was not
    int64_t counted_us;    // when that answer came
    int32_t counted_epoch; // as over_epoch
    int holder;            // who has it by its own clock + 1; 0: nobody
    int64_t given_us;      // ... and got it then
    int64_t until_us;      // its lock does not end before
    struct share_place place;
};

// What a node knew of a partition when a member sent it a request.
struct share_asked {
    int32_t epoch; // of the leader
    bool led;      // by the node itself
    struct share_place place;
};

struct share_book {
    struct cluster *cluster;
    struct history *history;
    struct share_log {
        struct share_seen *records; // by offset
        int64_t count;
        int32_t leader_epoch; // newest that was seen serving
        int64_t start;        // ... from there on
        int64_t begin; // where the group began, as far as was seen; at first the leader may not know of
                       // the group's configuration yet
        bool begun;
        struct share_kept kept; // by the coordinators
    } logs[HISTORY_PARTITIONS];
    int untold;             // fetches that may have been a delivery of any record, and nobody heard of it
    bool configured;        // the group begins at the first record
    bool suspects[SHARERS]; // somebody has what this member holds, unless its connection is gone
    struct share_asked asked[SHARERS][HISTORY_PARTITIONS]; // last
    struct timer timer;
};

void share_book_init(struct share_book *book, struct cluster *cluster, struct history *history);

// The member sends a request to this node: whatever that gives it, it gives in this leader epoch or a later.
void share_book_asks(struct share_book *book, int member, int node);
// A fetch sent at sent_us has brought these records to a member.
struct share_gift {
    int member, node, partition;
    int64_t first, last, sent_us;
    int16_t deliveries;
};
void share_book_given(struct share_book *book, const struct share_gift *gift);
// The answer of a fetch sent at sent_us was lost.
void share_book_unanswered(struct share_book *book, int64_t sent_us);
// They are over, as this node has said, or may be (the answer was lost).
void share_book_over(struct share_book *book, int node, int partition, int64_t first, int64_t last,
                     bool sure);
// They were given back after so many deliveries, as this node has said.
struct share_return {
    int node, partition;
    int64_t first, last;
    int16_t deliveries;
};
void share_book_given_back(struct share_book *book, const struct share_return *back);
// The member is about to acknowledge them, whatever is answered.
void share_book_let_go(struct share_book *book, int partition, int64_t first, int64_t last);
// The member's session is gone, and with it what it held.
void share_book_gone(struct share_book *book, int member);
// The member's session has gone on until now.
void share_book_alive(struct share_book *book, int member);

// At rest: everything up to the end of the logs is over.
void share_book_check(struct share_book *book);

#endif
