// SPDX-License-Identifier: Apache-2.0
// What the modes of `millrace perf` share: connections to the leaders of a topic's partitions, a lane per
// partition, the clock, the histograms. One loop, no threads; requests are pipelined.
#ifndef CLI_PERF_H
#define CLI_PERF_H

#include "admin.h"
#include "base/hist.h"
#include "kafka/compress.h"
#include "offsets.h"

struct perf;

struct perf_options {
    struct admin_options admin;
    int64_t records, size, batch, rate, in_flight, fetch_bytes;
    const char *codec, *acks;
};

struct perf_lane { // one partition
    struct perf *perf;
    int32_t partition;
    int index;
    struct conn_client *writer, *reader; // writer: shared by the lanes of a node; reader: its own
    int64_t open;                        // produce requests under way
    int64_t written;                     // batches acknowledged
    int64_t from, next, end;             // offsets: where reading begins, goes on, stops (exclusive)
};

struct perf {
    const struct perf_options *options;
    struct env *env;
    struct slice topic;
    enum compression codec;
    int16_t acks;
    struct perf_lane *lanes;
    int lane_count;
    struct conn_client **clients; // of all nodes and readers
    int client_count;
    struct buf batch; // the batch that is sent again and again
    int64_t began_us, ended_us;
    int64_t batches, sent, acked, read; // in batches; read in records
    int64_t bytes;                      // written or read, as batches
    int lane_next;                      // whose turn it is
    bool reading, writing;
    struct timer due;
    struct hist acks_us, reads_us;
    char error[200]; // "" as long as all goes well
};

// ---- perf.c ----
// Connects; lanes have their offsets. False: a message was printed, *code says which end it is.
enum cli_exit perf_open(struct perf *perf, struct admin *admin, const char *topic);
void perf_close(struct perf *perf);
// Turns the loop until done, an error, or nothing has moved for as long as --timeout says.
enum cli_exit perf_run(struct perf *perf, bool (*done)(const struct perf *perf));
// The run is void: the first reason is kept.
void perf_fail(struct perf *perf, const char *format, ...) __attribute__((format(printf, 2, 3)));
// When the i-th batch of all is due, at a fixed rate.
int64_t perf_due_us(const struct perf *perf, int64_t i);

// ---- perf_write.c ----
enum cli_exit perf_write_begin(struct perf *perf);
void perf_write_due(struct timer *timer); // of perf->due
bool perf_written(const struct perf *perf);

// ---- perf_read.c ----
void perf_read_begin(struct perf *perf);
bool perf_read_all(const struct perf *perf);

#endif
