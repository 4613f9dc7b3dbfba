// SPDX-License-Identifier: Apache-2.0
// A wall clock that leaps ahead must not let everything expire at once: what removes by age rests for an hour
// then, long enough for somebody to look.
#ifndef LEAP_H
#define LEAP_H

#include "io/env.h"

struct leap {
    int64_t wall_ms, now_ms; // both clocks at the last look
    int64_t paused_until_ms; // monotonic
};

void leap_init(struct leap *leap, struct env *env);
// Looks at both clocks; whether what removes by age rests. what: for the diagnostic line.
bool leap_resting(struct leap *leap, struct env *env, const char *what);

#endif
