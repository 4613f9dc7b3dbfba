// SPDX-License-Identifier: Apache-2.0
// See throttle.h.
#include "throttle.h"

enum { SECOND_US = 1000000, UNUSED_US = 200000 }; // so much unused time may be made up for

void throttle_set(struct throttle *throttle, int64_t rate, int64_t now_us)
{
    *throttle = (struct throttle){.rate = rate < 0 ? 0 : rate, .paid_us = now_us};
}

void throttle_charge(struct throttle *throttle, int64_t bytes, int64_t now_us)
{
    if (throttle->rate == 0 || throttle->rate == INT64_MAX)
        return;
    if (throttle->paid_us < now_us - UNUSED_US)
        throttle->paid_us = now_us - UNUSED_US;
    throttle->paid_us += (int64_t)((double)bytes * SECOND_US / (double)throttle->rate);
}

int64_t throttle_wait_us(const struct throttle *throttle, int64_t now_us)
{
    if (throttle->rate == 0)
        return SECOND_US;
    return throttle->rate == INT64_MAX || throttle->paid_us <= now_us ? 0 : throttle->paid_us - now_us;
}
