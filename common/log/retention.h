// SPDX-License-Identifier: Apache-2.0
// Which segments of a log are to go: by time, by size, or because they lie below the start (Kafka's
// UnifiedLog.deleteOldSegments). Always whole ones from the oldest on, never one that reaches beyond the high
// watermark (KAFKA-5634). Pure; expiry.c asks and acts.
#ifndef LOG_RETENTION_H
#define LOG_RETENTION_H

#include "log/segment.h"

enum {
    LOG_LEAP_MS = 3600000, // a wall clock that gains more at once is not believed,
    LOG_REST_MS = 3600000  // for so long
};

struct log_retention_rules {
    int64_t ms;      // retention.ms; -1: no limit
    int64_t late_ms; // how long a segment stays whose records were too old when it was begun
    int64_t bytes;   // retention.bytes; -1: no limit
    bool deletes;    // cleanup.policy contains delete; else only what lies below the start goes
};

struct log_retention_view {
    struct log_segment *const *segments; // ascending; the last one is active
    int count;
    int64_t bytes; // of all of them
    int64_t start, end, high_watermark;
    int64_t now_ms; // wall clock
};

// Records that are too old when they arrive do not go at once: Kafka has them until its next look, and
// whoever copies or tests with old records reads them meanwhile.

// How many segments go. All of them: the active one has to be rolled first; an empty active one never goes.
int log_retention_choose(const struct log_retention_view *view, const struct log_retention_rules *rules);

// The offset behind segment i.
int64_t log_retention_upper(const struct log_retention_view *view, int i);

// When the oldest segment's time is over, by the wall clock; INT64_MAX: never.
int64_t log_retention_due_ms(const struct log_retention_view *view, const struct log_retention_rules *rules);

// Bytes of the log at which its oldest segment is too many; INT64_MAX: never.
int64_t log_retention_bytes_max(const struct log_retention_view *view,
                                const struct log_retention_rules *rules);

// When the active segment rolls although nothing is appended: after_ms (log_roll_after_ms) behind its first
// record, and no sooner after it was begun, so that old records written today do not get a segment per batch.
// INT64_MAX: it is empty.
int64_t log_retention_roll_ms(const struct log_segment *active, int64_t after_ms);

// Whether the wall clock may be believed. A leap forward of more than LOG_LEAP_MS against the monotonic clock
// would expire everything at once: time retention rests until both clocks agree again, or LOG_REST_MS later,
// when the new time is taken for the true one. Zeroed: not begun.
struct log_clock {
    bool begun, resting;
    int64_t apart_ms; // wall minus monotonic, as believed
    int64_t until_ms; // monotonic
};

// Looks at both clocks; true while time retention rests.
bool log_clock_rests(struct log_clock *clock, int64_t wall_ms, int64_t now_ms);

#endif
