// SPDX-License-Identifier: Apache-2.0
// See leap.h.
#include "leap.h"

#include <inttypes.h>

enum { LEAP_MS = 3600000, REST_MS = 3600000 };

void leap_init(struct leap *leap, struct env *env)
{
    *leap = (struct leap){.wall_ms = env_wall_ms(env), .now_ms = env_now_ms(env)};
}

bool leap_resting(struct leap *leap, struct env *env, const char *what)
{
    int64_t wall_ms = env_wall_ms(env), now_ms = env_now_ms(env);
    int64_t leap_ms = wall_ms - leap->wall_ms - (now_ms - leap->now_ms);
    leap->wall_ms = wall_ms;
    leap->now_ms = now_ms;
    if (leap_ms > LEAP_MS) {
        leap->paused_until_ms = now_ms + REST_MS;
        DIAG_WARN(&env->diag, "%s rests: the clock has leapt leap_ms=%" PRId64, what, leap_ms);
    }
    return now_ms < leap->paused_until_ms;
}
