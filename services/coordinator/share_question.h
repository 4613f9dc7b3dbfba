// SPDX-License-Identifier: Apache-2.0
// The questions of a share_round as Kafka's requests: InitializeShareGroupState, DeleteShareGroupState,
// ReadShareGroupStateSummary. No I/O.
#ifndef SHARE_QUESTION_H
#define SHARE_QUESTION_H

#include "base/block.h"
#include "share_round.h"

struct share_asked {
    enum share_question question;
    struct slice group;
    int32_t state_epoch;
    const struct share_round_item *items;
    size_t count;
};

// Header and body; NULL when memory is short.
struct block *share_question_frame(const struct share_asked *asked);

// The item of a partition; NULL: there is none. items: ascending by partition.
struct share_round_item *share_question_find(struct share_round_item *items, size_t count, struct uuid topic,
                                             int32_t partition);

// Puts what a raw answer says into the items it is about; one that cannot be read says nothing.
void share_question_answers(enum share_question question, struct slice frame, struct share_round_item *items,
                            size_t count);

#endif
