// SPDX-License-Identifier: Apache-2.0
// Timers of the real loop: a binary heap over (time, order of starting), so that equal times fire in the
// order they were asked for. A timer knows its place, so stopping and moving cost O(log n).
#include "io/posix.h"

#include "base/assert.h"
#include "base/mem.h"

static bool earlier(const struct timer *a, const struct timer *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void place(struct timer_heap *heap, int index, struct timer *timer)
{
    heap->slots[index] = timer;
    timer->heap_index = index;
}

static void sift_up(struct timer_heap *heap, int index, struct timer *timer)
{
    while (index > 0 && earlier(timer, heap->slots[(index - 1) / 2])) {
        place(heap, index, heap->slots[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    place(heap, index, timer);
}

static void sift_down(struct timer_heap *heap, int index, struct timer *timer)
{
    for (;;) {
        int child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && earlier(heap->slots[child + 1], heap->slots[child]))
            child++;
        if (!earlier(heap->slots[child], timer))
            break;
        place(heap, index, heap->slots[child]);
        index = child;
    }
    place(heap, index, timer);
}

void timers_start(struct env *env, struct timer *timer, int64_t at_us)
{
    struct timer_heap *heap = &posix_of(env)->timers;
    ASSERT(timer->fire != NULL);
    if (timer->heap_index >= 0)
        timers_stop(env, timer);
    if (heap->count == heap->cap) {
        heap->cap = heap->cap ? heap->cap * 2 : 64;
        heap->slots = mem_realloc(heap->slots, (size_t)heap->cap * sizeof *heap->slots);
    }
    timer->at_us = at_us;
    timer->sequence = heap->sequence++;
    sift_up(heap, heap->count++, timer);
}

void timers_stop(struct env *env, struct timer *timer)
{
    struct timer_heap *heap = &posix_of(env)->timers;
    int index = timer->heap_index;
    ASSERT(index >= 0 && index < heap->count && heap->slots[index] == timer);
    struct timer *last = heap->slots[--heap->count];
    timer->heap_index = -1;
    if (last == timer)
        return;
    if (index > 0 && earlier(last, heap->slots[(index - 1) / 2]))
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

void timers_fire(struct posix_env *px, int64_t now_us)
{
    struct timer_heap *heap = &px->timers;
    uint64_t started_before = heap->sequence;
    while (heap->count > 0 && heap->slots[0]->at_us <= now_us) {
        struct timer *timer = heap->slots[0];
        // One that restarts itself with no delay must not keep the loop from its descriptors.
        if (timer->sequence >= started_before)
            break;
        timers_stop(&px->env, timer);
        loop_handler(&px->env, "timer");
        timer->fire(timer);
    }
}

int64_t timers_next_us(const struct posix_env *px)
{
    return px->timers.count > 0 ? px->timers.slots[0]->at_us : -1;
}
