// SPDX-License-Identifier: Apache-2.0
// Who may have work done off the loop (chores.h). A job's memory is that of its inputs, which have a limit
// for each request, and of what is made of them; so the number of requests that have jobs is what has a
// limit. The others wait in line, with nothing but what they came with, and are given the seat of one that
// leaves.
#ifndef REGISTRY_SEATS_H
#define REGISTRY_SEATS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SEATS_MAX = 8,          // of CHORES_BYTES_MAX each; one thread does the jobs, more would not be faster
    SEATS_WAITING_MAX = 500 // (tune) more are refused: they would wait in vain
};

// Embedded in who waits.
struct seat_wait {
    struct seat_wait *next, *previous;
    bool waiting;
};

// All zero: nobody is there.
struct seats {
    int taken;
    struct seat_wait *first, *last;
    size_t waiting;
};

// Takes a seat; false: there is none.
bool seats_take(struct seats *seats);
// Goes to the end of the line; false: it is too long.
bool seats_wait(struct seats *seats, struct seat_wait *wait);
void seats_cancel(struct seats *seats, struct seat_wait *wait); // fine when it does not wait
// Gives a seat up. Returns who has it now and waits no more, or NULL.
struct seat_wait *seats_leave(struct seats *seats);

#endif
