// SPDX-License-Identifier: Apache-2.0
// Parked answers: intrusive lists of things that wait for an offset of one replica. Step 7 of a record's way:
// the watermark wakes produce answers and long polls. A wait is embedded in its owner and is in at most one
// list.
#ifndef STORAGE_WAIT_H
#define STORAGE_WAIT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct wait;
struct wait_list;

// Called once when the wait ends; it is out of its list then and may be added again or freed.
typedef void wait_fn(struct wait *wait, enum status status);

struct wait {
    int64_t offset; // woken when the list's value reaches it
    wait_fn *wake;
    void *context; // the owner's
    struct wait *next, *previous;
    struct wait_list *list; // NULL while it waits for nothing
};

// Waits in the order they were added. Zeroed memory is an empty list.
struct wait_list {
    struct wait *first, *last;
};

// Adds a wait that is in no list.
void wait_add(struct wait_list *list, struct wait *wait, int64_t offset, wait_fn *wake, void *context);

// Takes a wait out without waking it; nothing happens when it is in no list.
void wait_cancel(struct wait *wait);

// Wakes with ST_OK, in order, every wait whose offset is reached. Those added meanwhile are left alone.
void wait_reached(struct wait_list *list, int64_t value);

// Wakes every wait with status: leadership lost, partition gone, shutdown.
void wait_fail(struct wait_list *list, enum status status);

#endif
