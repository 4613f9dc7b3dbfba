// SPDX-License-Identifier: Apache-2.0
// Requests about share groups that share coordinators must be asked about first: DeleteGroups and the APIs of
// share offsets. The handler runs twice: at first it says what is to be asked and parks its request, then it
// finds the answers.
#ifndef SHARE_ASKS_H
#define SHARE_ASKS_H

#include "request.h"
#include "share_ends.h"
#include "share_round.h"

struct share_asks;

// What was asked of one group.
struct share_ask {
    struct slice group;
    struct share_round_item *items; // as answered, ascending by partition; in the request's arena
    size_t count;
    struct share_asks *asks;
    struct share_round *round; // under way
    struct share_ends *ends;   // under way
    struct share_ask *next;
};

// Those of the request, NULL: this is its first run.
struct share_asks *share_asks_of(const struct coordinator_request *request);
// In the request's arena; NULL when that is full.
struct share_asks *share_asks_new(struct coordinator_request *request);

// Adds a question about a group of the request (its name is borrowed from there). items: ascending by
// partition, copied. False when the arena is full.
bool share_asks_add(struct share_asks *asks, enum share_question question, struct slice group,
                    int32_t state_epoch, const struct parts *parts, const int64_t *starts);
// Whether anything is to be asked.
bool share_asks_any(const struct share_asks *asks);
// Parks the request; its handler is run again once all have answered, or the time is up.
void share_asks_park(struct share_asks *asks);

// Asks where the logs of all partitions end, and parks the request again: its handler runs once more then.
// False: that is known, or there is nobody to ask.
bool share_asks_ends(struct share_asks *asks);

// NULL: nothing was asked of the group.
const struct share_ask *share_asks_find(const struct share_asks *asks, struct slice group);

#endif
