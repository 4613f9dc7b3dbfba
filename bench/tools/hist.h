// SPDX-License-Identifier: Apache-2.0
// A histogram of times as HDR Histogram keeps them: exact below 128 us, above that 64 steps to a doubling, so
// a bucket is at most 1.6 % wide. It is what a sample keeps of its single measurements.
#pragma once
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
