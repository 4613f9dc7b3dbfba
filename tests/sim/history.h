// SPDX-License-Identifier: Apache-2.0
// What the clients of a run did and were told, and the verdict of the checkers. A violation ends the run.
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "world.h"

enum {
    HISTORY_PARTITIONS = 3,
    HISTORY_SINGLE_PRODUCERS = 3,                                     // of one partition each
    HISTORY_PRODUCERS = HISTORY_SINGLE_PRODUCERS + HISTORY_PARTITIONS // the others: one pipeliner's
};

struct history_ack {
    int producer;
    int64_t number; // of the producer's record
    int partition;
    int64_t offset;
};

// What was read at each offset of a partition: producer and number of the record, packed; 0: nothing yet.
struct history_reads {
    uint64_t *records;
    int64_t count;
};

static inline uint64_t history_record(int producer, int64_t number)
{
    return ((uint64_t)producer << 48 | (uint64_t)number) + 1;
}

struct history {
    struct world *world;
    struct history_ack *acks;
    int ack_count, ack_cap;
    struct history_reads reads[HISTORY_PARTITIONS];
    int64_t sent[HISTORY_PRODUCERS]; // highest record number ever sent
    char violation[400];             // "" while none; checker's name first
};

void history_acknowledged(struct history *history, struct history_ack ack);

// A consumer was given that record: nobody may ever find another one there.
void history_read(struct history *history, int partition, int64_t offset, int producer, int64_t number);

// The first violation stays; checker names who found it.
void history_violation(struct history *history, const char *checker, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool history_failed(const struct history *history)
{
    return history->violation[0] != '\0';
}

#endif
