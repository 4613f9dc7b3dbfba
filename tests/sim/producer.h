// SPDX-License-Identifier: Apache-2.0
// An idempotent producer with acks=all: sends numbered records to one partition, each again until it is
// acknowledged.
#ifndef SIM_PRODUCER_H
#define SIM_PRODUCER_H

#include "actor.h"
#include "record_request.h"

enum producer_state { PRODUCER_ID, PRODUCER_LEADER, PRODUCER_SEND };

struct producer {
    struct actor actor; // first
    int index;
    int partition;
    enum producer_state state;
    int64_t producer_id;
    int16_t producer_epoch;
    int64_t next; // number of the record being sent
    int leader_port;
    bool finishing; // stop after the record under way is acknowledged
    struct record_request request;
};

void producer_init(struct producer *producer, struct env *env, struct history *history, int index);

#endif
