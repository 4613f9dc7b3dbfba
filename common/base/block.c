// SPDX-License-Identifier: Apache-2.0
// Reference counts of record bytes. See block.h.
#include "base/block.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

struct block *block_new(size_t len)
{
    struct block *block = malloc(sizeof *block + len);
    if (block == NULL)
        return NULL;
    *block = (struct block){.len = len, .data = (uint8_t *)(block + 1)};
    atomic_init(&block->refs, 1);
    return block;
}

struct block *block_copy(struct slice bytes)
{
    struct block *block = block_new(bytes.len);
    if (block != NULL && bytes.len > 0)
        memcpy(block->data, bytes.data, bytes.len);
    return block;
}

struct block *block_wrap(uint8_t *data, size_t len, void (*free_foreign)(void *), void *foreign)
{
    struct block *block = mem_calloc(1, sizeof *block);
    atomic_init(&block->refs, 1);
    block->len = len;
    block->data = data;
    block->free_foreign = free_foreign;
    block->foreign = foreign;
    return block;
}

struct block *block_ref(struct block *block)
{
    int before = atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return block;
}

void block_unref(struct block **pointer)
{
    struct block *block = *pointer;
    *pointer = NULL;
    if (block == NULL)
        return;
    int before = atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1)
        return;
    if (block->free_foreign != NULL)
        block->free_foreign(block->foreign);
    free(block);
}

static void piece_unref_block(void *owner)
{
    struct block *block = owner;
    block_unref(&block);
}

struct piece piece_of_block(struct block *block, size_t from, size_t len)
{
    ASSERT(from <= block->len && len <= block->len - from);
    return (struct piece){
        .data = block->data + from, .len = len, .owner = block_ref(block), .release = piece_unref_block};
}

void piece_release(struct piece *piece)
{
    if (piece->release != NULL)
        piece->release(piece->owner);
    *piece = (struct piece){0};
}
