// SPDX-License-Identifier: Apache-2.0
// A small driver for log tests: opens a set over the fake environment, appends batches that say who they are,
// reads everything back by both ways of reading, and keeps what callbacks said.
#ifndef TESTS_LOG_HELP_H
#define TESTS_LOG_HELP_H

#include "fake_env.h"
#include "log/set.h"

enum { HELP_BATCHES_MAX = 512 };

// One batch as it was appended.
struct help_batch {
    int64_t base, last;
    int32_t epoch;
    uint32_t crc;
};

struct help {
    struct env *env;
    struct log_set_config config;
    struct log_set *set;
    struct log *log; // "t-0"
    struct help_batch batches[HELP_BATCHES_MAX];
    int count;
    int64_t acked;      // flushed offset told by on_durable
    int64_t start_told; // by retention
    enum status told;   // last status of on_durable
    int durable_calls;
    enum status done; // of the last log_done_fn
    int done_calls;
    int64_t producer_id; // of the batches appended; -1: none
    int32_t sequence;
    enum compression compression;
    int64_t timestamp;
};

void help_init(struct help *help, uint64_t seed);
void help_fini(struct help *help);

// Opens the set in "/data"; the log "t-0" is found or (create) made. ST_OK expected.
void help_open(struct help *help, bool create);
enum status help_try_open(struct help *help);
void help_close(struct help *help); // cleanly
void help_crash(struct help *help, bool power, bool torn);

// Appends a batch of records with value_len bytes each; notes it when it was accepted.
enum status help_append(struct help *help, int records, size_t value_len, int32_t epoch);
// The same to any log of the set; only those of help->log are noted.
enum status help_append_to(struct help *help, struct log *log, int records, size_t value_len, int32_t epoch);
void help_flush(struct help *help); // and runs until nothing is left

void help_on_done(struct log *log, enum status status, void *context);

// Reads all batches from log_start to log_end and compares them with those noted; returns how many there are.
// Fails the test on any difference, hole or disorder.
int help_check_content(struct help *help);

// Forgets noted batches at or above offset.
void help_forget_from(struct help *help, int64_t offset);

#endif
