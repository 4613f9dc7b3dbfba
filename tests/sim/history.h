// SPDX-License-Identifier: Apache-2.0
// What the clients of a run did and were told, and the verdict of the checkers. A violation ends the run.
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "world.h"

enum { HISTORY_PARTITIONS = 3, HISTORY_PRODUCERS = 3 };

struct history_ack {
    int producer;
    int64_t number; // of the producer's record
    int partition;
    int64_t offset;
};

struct history {
    struct world *world;
    struct history_ack *acks;
    int ack_count, ack_cap;
    int64_t sent[HISTORY_PRODUCERS]; // highest record number ever sent
    char violation[400];             // "" while none; checker's name first
};

void history_acknowledged(struct history *history, struct history_ack ack);

// The first violation stays; checker names who found it.
void history_violation(struct history *history, const char *checker, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool history_failed(const struct history *history)
{
    return history->violation[0] != '\0';
}

#endif
