// SPDX-License-Identifier: Apache-2.0
// A histogram of times as HDR Histogram keeps them: exact below 128 us, above that 64 steps to a doubling, so
// a bucket is at most 1.6 % wide. It is what a sample keeps of its single measurements.
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdint.h>
#include <stdio.h>

enum { HIST_BUCKETS = 64 * 34 }; // up to 2^39 us, six days

struct hist {
    int64_t counts[HIST_BUCKETS];
};

// Counts one time in microseconds; below 0 counts as 0, what is beyond the last bucket in the last.
void hist_add(struct hist *hist, int64_t us);

// Prints the buckets that are not empty as JSON: [[largest time of the bucket in us, count], ...].
void hist_print(const struct hist *hist, FILE *out);

// How many times were counted.
int64_t hist_count(const struct hist *hist);

// The largest time in the bucket below which (inclusive) the share of all times lies, 0 < share <= 1; 0 when
// nothing was counted.
int64_t hist_quantile(const struct hist *hist, double share);

#endif
