// SPDX-License-Identifier: Apache-2.0
// See wait.h. Lists are short: a produce answer or a long poll each.
#include "wait.h"

#include "base/assert.h"

#include <stddef.h>

void wait_add(struct wait_list *list, struct wait *wait, int64_t offset, wait_fn *wake, void *context)
{
    ASSERT(wait->list == NULL);
    *wait = (struct wait){
        .offset = offset, .wake = wake, .context = context, .previous = list->last, .list = list};
    *(list->last ? &list->last->next : &list->first) = wait;
    list->last = wait;
}

void wait_cancel(struct wait *wait)
{
    struct wait_list *list = wait->list;
    if (list == NULL)
        return;
    *(wait->previous ? &wait->previous->next : &list->first) = wait->next;
    *(wait->next ? &wait->next->previous : &list->last) = wait->previous;
    wait->next = wait->previous = NULL;
    wait->list = NULL;
}

// Moves what is to be woken into a list of its own first: a wake may add to, or cancel from, either list.
static void wake_below(struct wait_list *list, int64_t value, enum status status)
{
    struct wait_list ready = {NULL, NULL};
    struct wait *next;
    for (struct wait *wait = list->first; wait != NULL; wait = next) {
        next = wait->next;
        if (wait->offset > value)
            continue;
        wait_cancel(wait);
        wait->previous = ready.last;
        wait->list = &ready;
        *(ready.last ? &ready.last->next : &ready.first) = wait;
        ready.last = wait;
    }
    while (ready.first != NULL) {
        struct wait *wait = ready.first;
        wait_cancel(wait);
        wait->wake(wait, status);
    }
}

void wait_reached(struct wait_list *list, int64_t value)
{
    if (list->first != NULL)
        wake_below(list, value, ST_OK);
}

void wait_fail(struct wait_list *list, enum status status)
{
    wake_below(list, INT64_MAX, status);
}
