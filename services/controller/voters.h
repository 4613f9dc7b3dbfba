// SPDX-License-Identifier: Apache-2.0
// The configured controllers: controller.quorum.voters = "1@host:port,2@host:port". Says where each one is;
// who votes is in the Raft log. Empty: this node alone, and the log says where the voters are (voter_set.h).
#ifndef CONTROLLER_VOTERS_H
#define CONTROLLER_VOTERS_H

#include "base/config.h"
#include "base/diag.h"
#include "raft/types.h"

struct voters_item {
    int32_t id;
    char endpoint[280]; // "tcp://host:port"; "" for this node when nothing is configured
};

struct voters {
    bool given; // not empty
    int count;
    struct voters_item items[RAFT_VOTERS_MAX]; // ascending by id
};

// INVALID, with a line saying why: not of that form, a doubled id, too many, or without this node.
enum status voters_parse(const struct config *config, int32_t self, struct diag *diag, struct voters *voters);

// NULL when the id is not configured.
const struct voters_item *voters_find(const struct voters *voters, int32_t id);

#endif
