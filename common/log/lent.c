// SPDX-License-Identifier: Apache-2.0
// See lent.h.
#include "log/lent.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

struct log_lent {
    atomic_int refs; // the set, and each block that is out
    _Atomic int64_t bytes;
};

struct lent_memory {
    struct log_lent *lent;
    size_t len;
    uint8_t data[];
};

struct log_lent *log_lent_new(void)
{
    struct log_lent *lent = mem_calloc(1, sizeof *lent);
    atomic_init(&lent->refs, 1);
    return lent;
}

void log_lent_unref(struct log_lent **pointer)
{
    struct log_lent *lent = *pointer;
    *pointer = NULL;
    if (lent != NULL && atomic_fetch_sub_explicit(&lent->refs, 1, memory_order_acq_rel) == 1)
        mem_free(lent);
}

int64_t log_lent_bytes(const struct log_lent *lent)
{
    return atomic_load_explicit(&lent->bytes, memory_order_relaxed);
}

static void come_back(void *foreign)
{
    struct lent_memory *memory = foreign;
    struct log_lent *lent = memory->lent;
    atomic_fetch_sub_explicit(&lent->bytes, (int64_t)memory->len, memory_order_relaxed);
    free(memory);
    log_lent_unref(&lent);
}

struct block *log_lent_block(struct log_lent *lent, size_t len)
{
    struct lent_memory *memory = malloc(sizeof *memory + len); // sized by what is on disk: may fail
    if (memory == NULL)
        return NULL;
    memory->lent = lent;
    memory->len = len;
    atomic_fetch_add_explicit(&lent->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&lent->bytes, (int64_t)len, memory_order_relaxed);
    return block_wrap(memory->data, len, come_back, memory);
}
