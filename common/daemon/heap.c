// SPDX-License-Identifier: Apache-2.0
// The allocator's free memory. Requests and batches are blocks of up to a megabyte. Left to itself glibc
// gives the heap's end back to the kernel between two of them and has its pages zeroed again a moment later;
// told to keep them it holds on for ever to what a burst left behind, because of one small block at the
// heap's end. So it is told to keep them, and what has been free for some seconds is given back from here.
#include "daemon/internal.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

enum {
    HEAP_BLOCK_MAX = 8 << 20, // larger ones are the kernel's to map and unmap
    HEAP_KEPT_MAX = 32 << 20, // free memory at the heap's end
    HEAP_FREE_MAX = 48 << 20, // resident and free in all: more is kept for
    HEAP_CHECKS = 3,          // so many looks,
    HEAP_CHECK_MS = 1000      // one after so long
};

void heap_prepare(void)
{
    mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_MAX);
    mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_MAX);
}

int64_t heap_resident(int64_t *own)
{
    long pages = 0, resident = 0, shared = 0;
    long size = sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return *own = 0;
    if (fscanf(file, "%ld %ld %ld", &pages, &resident, &shared) != 3)
        resident = shared = 0;
    fclose(file);
    *own = (int64_t)(resident - shared) * size;
    return (int64_t)resident * size;
}

static bool holds_too_much(void)
{
    int64_t own;
    heap_resident(&own);
    if (own <= HEAP_FREE_MAX)
        return false;
    struct mallinfo2 info = mallinfo2();
    return own - (int64_t)(info.uordblks + info.hblkhd) > HEAP_FREE_MAX;
}

static void on_heap_check(struct timer *timer)
{
    struct daemon *daemon = timer->context;
    daemon->heap_checks = holds_too_much() ? daemon->heap_checks + 1 : 0;
    if (daemon->heap_checks == HEAP_CHECKS) {
        malloc_trim(HEAP_KEPT_MAX);
        daemon->heap_checks = 0;
    }
    timer_start_together_ms(daemon->env, timer, HEAP_CHECK_MS);
}

void heap_start(struct daemon *daemon)
{
    timer_init(&daemon->heap_timer, on_heap_check, daemon);
    timer_start_ms(daemon->env, &daemon->heap_timer, HEAP_CHECK_MS);
}
