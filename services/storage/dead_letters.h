// SPDX-License-Identifier: Apache-2.0
// Writes what a share group gives up into its dead-letter topic (KIP-1191), before it is over: the records
// are read from the source's log, made into batches (dead_batch.h) and delivered to the leader of the topic's
// partition of the same number, modulo their count. At least once: who comes after a leader that died in
// in between delivers them again. A topic that does not exist is made where that is allowed.
#ifndef STORAGE_DEAD_LETTERS_H
#define STORAGE_DEAD_LETTERS_H

#include "base/metric.h"
#include "cluster/contacts.h"
#include "share_partition.h"

struct storage;
struct dead_letters;

// Of a node: whom batches go to, and what is counted.
struct dead_office {
    struct storage *storage;
    struct contacts nodes;
    struct metric delivered, failed;
};

void dead_office_init(struct dead_office *office, struct storage *storage);
void dead_office_fini(struct dead_office *office); // nothing is under way

struct dead_letters_options {
    struct dead_office *office;
    struct uuid topic; // the source
    int32_t index;
    const char *group;               // borrowed
    const struct share_write *write; // its batches with a death; borrowed
    // Anything but ST_OK: some were not delivered, trouble (static) says why. Never from inside
    // dead_letters_begin.
    void (*done)(void *context, enum status status, const char *trouble);
    void *context;
};

// Whether the group has a dead-letter topic and a batch of the write is for it.
bool dead_letters_wanted(const struct dead_office *office, const char *group,
                         const struct share_write *write);
struct dead_letters *dead_letters_begin(const struct dead_letters_options *options);
// done is not called any more; what is borrowed is not looked at again. NULL inside is allowed.
void dead_letters_cancel(struct dead_letters **letters);

#endif
