// SPDX-License-Identifier: Apache-2.0
// The ring of a log's newest batches: the tail that is only in memory, and before it the last few hundred
// that were written by this process, whose place in the file is thus known without reading an index.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

struct log_entry *log_ring_at(const struct log_ring *ring, uint32_t i)
{
    ASSERT(i < ring->count);
    return &ring->rows[(ring->head + i) & (ring->cap - 1)];
}

static void grow(struct log_ring *ring)
{
    uint32_t cap = ring->cap ? ring->cap * 2 : 4;
    struct log_entry *rows = mem_calloc(cap, sizeof *rows);
    for (uint32_t i = 0; i < ring->count; i++)
        rows[i] = *log_ring_at(ring, i);
    mem_free(ring->rows);
    ring->rows = rows;
    ring->cap = cap;
    ring->head = 0;
}

struct log_entry *log_ring_push(struct log_ring *ring, struct log_entry entry)
{
    if (ring->count == ring->cap)
        grow(ring);
    ring->count++;
    struct log_entry *row = log_ring_at(ring, ring->count - 1);
    *row = entry;
    return row;
}

uint32_t log_ring_find(const struct log_ring *ring, int64_t offset)
{
    uint32_t low = 0, high = ring->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log_ring_at(ring, middle)->last < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void log_ring_trim(struct log_ring *ring, uint32_t keep_written)
{
    while (ring->written > keep_written) {
        ring->floor = log_ring_at(ring, 0)->last + 1;
        ring->head = (ring->head + 1) & (ring->cap - 1);
        ring->count--;
        ring->written--;
        ring->flushed--;
    }
}

void log_ring_fini(struct log_ring *ring)
{
    for (uint32_t i = 0; i < ring->count; i++)
        block_unref(&log_ring_at(ring, i)->block);
    mem_free(ring->rows);
    *ring = (struct log_ring){.floor = ring->floor};
}
