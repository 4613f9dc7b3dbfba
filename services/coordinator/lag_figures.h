// SPDX-License-Identifier: Apache-2.0
// The figures of one partition of a group, from samples of its committed offset and its log: lag, the rates
// of committing and writing, and how long it takes to catch up at that pace. Pure.
#ifndef LAG_FIGURES_H
#define LAG_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LAG_UNKNOWN = -1, // of a figure: not measured yet
    LAG_NEVER = -2    // of the time to catch up: records come at least as fast as they are read
};

struct lag_sample {
    int64_t at_us;     // monotonic
    int64_t committed; // by the group: the next offset it reads
    int64_t start;     // of the log
    int64_t end;       // high watermark
    int64_t stable;    // last stable offset
};

struct lag_figures {
    bool known;               // some sample was taken
    struct lag_sample newest; // ... the last one
    struct lag_sample rated;  // the one the rates were counted up to
    double commit_rate;       // records per second, smoothed over half a minute; < 0: not known yet
    double produce_rate;
};

// Of nothing.
struct lag_figures lag_figures_none(void);

// Takes a sample, newer than those before. Offsets that go back (a reset of the group, a log made anew) begin
// the rates anew.
void lag_figures_take(struct lag_figures *figures, const struct lag_sample *sample);

// Records between the committed offset and the high watermark, as Kafka's tools count them: those that
// retention has taken, or that transactions hold back, included. LAG_UNKNOWN before the first sample.
int64_t lag_records(const struct lag_figures *figures);

// Milliseconds until the lag is gone if reading and writing go on as measured; 0: it is gone; LAG_UNKNOWN,
// LAG_NEVER.
int64_t lag_drain_ms(const struct lag_figures *figures);

// Age in ms, at now_ms of the wall clock, of the oldest record not read, which was written at written_ms; 0
// when there is none or its time lies ahead, LAG_UNKNOWN when it was not read (has_time false).
int64_t lag_age_ms(const struct lag_figures *figures, bool has_time, int64_t written_ms, int64_t now_ms);

#endif
