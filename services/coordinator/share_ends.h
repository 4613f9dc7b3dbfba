// SPDX-License-Identifier: Apache-2.0
// Where the logs of partitions end, asked of their leaders, for the lag of share groups. Who does not answer
// leaves it unknown.
#ifndef SHARE_ENDS_H
#define SHARE_ENDS_H

#include "cluster/contacts.h"
#include "share_round.h"

struct share_ends;

struct share_ends_options {
    struct rpc *rpc;
    const struct image *image;
    struct contacts *storages;
    void (*done)(void *context); // never from inside share_ends_begin; it is gone then
    void *context;
};

// Fills in end of the items, which must live until done. NULL: there is nobody to ask, done is not called.
struct share_ends *share_ends_begin(const struct share_ends_options *options, struct share_round_item *items,
                                    size_t count);
void share_ends_cancel(struct share_ends **ends); // NULL inside is allowed

#endif
