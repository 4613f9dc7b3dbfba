// SPDX-License-Identifier: Apache-2.0
// See seats.h.
#include "seats.h"

#include "base/assert.h"

bool seats_take(struct seats *seats)
{
    if (seats->taken == SEATS_MAX)
        return false;
    ASSERT(seats->first == NULL); // a seat is passed on, never free while somebody waits
    seats->taken++;
    return true;
}

bool seats_wait(struct seats *seats, struct seat_wait *wait)
{
    ASSERT(!wait->waiting && seats->taken == SEATS_MAX);
    if (seats->waiting == SEATS_WAITING_MAX)
        return false;
    *wait = (struct seat_wait){.previous = seats->last, .waiting = true};
    *(seats->last != NULL ? &seats->last->next : &seats->first) = wait;
    seats->last = wait;
    seats->waiting++;
    return true;
}

void seats_cancel(struct seats *seats, struct seat_wait *wait)
{
    if (!wait->waiting)
        return;
    *(wait->previous != NULL ? &wait->previous->next : &seats->first) = wait->next;
    *(wait->next != NULL ? &wait->next->previous : &seats->last) = wait->previous;
    *wait = (struct seat_wait){0};
    seats->waiting--;
}

struct seat_wait *seats_leave(struct seats *seats)
{
    ASSERT(seats->taken > 0);
    struct seat_wait *next = seats->first;
    if (next != NULL)
        seats_cancel(seats, next);
    else
        seats->taken--;
    return next;
}
