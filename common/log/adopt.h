// SPDX-License-Identifier: Apache-2.0
// Bringing partition directories of a stopped Apache Kafka broker into a data directory of a stopped node,
// and back. Each is copied, then read like a log at start with every checksum verified, so that indexes,
// aborted transactions, epochs and producer state are proven or made anew; only when all are good do they
// become part of the target. The source is not changed. Everything blocks; the command line calls it.
#ifndef LOG_ADOPT_H
#define LOG_ADOPT_H

#include "base/uuid.h"
#include "io/env.h"

enum { LOG_ADOPT_WHY = 256 };

enum log_adoption_way {
    LOG_ADOPT,  // from a broker's directory into a node's, where none of that name may be
    LOG_RELEASE // from a node's into a broker's, in the place of one that the broker has
};

struct log_adoption;

// Locks both directories and reads what the source's checkpoint files say. The node's was closed cleanly
// (log_set_close). ST_AGAIN: one is in use by a process, or the broker that is to get something back was not
// stopped cleanly; ST_NOT_FOUND: one is no directory; ST_MALFORMED: a damaged checkpoint; I/O errors. why: at
// least LOG_ADOPT_WHY bytes, gets a sentence when it fails.
enum status log_adoption_new(struct env *env, enum log_adoption_way way, const char *from, const char *to,
                             char *why, struct log_adoption **adoption);
// Frees; what was not committed leaves with the next start of the node.
void log_adoption_destroy(struct log_adoption **adoption);

// Whether Kafka's marker says that the broker was stopped cleanly.
bool log_adoption_clean(const struct log_adoption *adoption);

// Names of the partition directories found, in order; borrowed.
int log_adoption_count(const struct log_adoption *adoption);
const char *log_adoption_name(const struct log_adoption *adoption, int i);

struct log_adopted {
    struct uuid id; // of the topic
    int64_t start, end, bytes;
    int64_t dropped;  // bytes of an incomplete batch cut off its end; only after an unclean stop
    int64_t unstable; // where its earliest open transaction begins, -1: none
    // The last leader epoch Kafka knew, -1: none. It may have no records, so that the copied log does not
    // know it; clients that have seen it take no lower one.
    int32_t last_epoch;
};

// Copies and verifies the i-th. ST_EXISTS: the data directory has one of that name; ST_NOT_FOUND: no topic id
// (partition.metadata); ST_AGAIN: Kafka was stopped in the middle of a compaction; ST_CORRUPT: it does not
// hold what was durable, or a batch is damaged; I/O errors. LOG_RELEASE: ST_NOT_FOUND also when the broker
// has none of that name; ST_MISMATCH: the broker's is of another topic and has records, or has more of them;
// ST_STALE: the broker's leader epochs are below those of the records. An empty one keeps its topic id.
enum status log_adoption_add(struct log_adoption *adoption, int i, char *why, struct log_adopted *adopted);

// Makes all that were added part of the target, durably; what they take the place of is removed.
enum status log_adoption_commit(struct log_adoption *adoption);

#endif
