// SPDX-License-Identifier: Apache-2.0
// Bytes per second at most, on the average: what was sent must have had its time before more goes. Pure; time
// is given.
#ifndef STORAGE_THROTTLE_H
#define STORAGE_THROTTLE_H

#include <stdint.h>

struct throttle {
    int64_t rate;    // bytes per second; INT64_MAX: no limit, 0: nothing may go
    int64_t paid_us; // when what has gone so far has had its time
};

// Starts, or takes another rate: what went at the old one is forgotten.
void throttle_set(struct throttle *throttle, int64_t rate, int64_t now_us);

// Bytes have gone.
void throttle_charge(struct throttle *throttle, int64_t bytes, int64_t now_us);

// How long nothing more may go; 0: now. With rate 0 a second, so that the caller asks again.
int64_t throttle_wait_us(const struct throttle *throttle, int64_t now_us);

#endif
