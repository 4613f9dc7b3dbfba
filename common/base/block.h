// SPDX-License-Identifier: Apache-2.0
// A reference-counted, immutable-once-shared piece of memory: record bytes are received into a block, then
// written, replicated and served from it without a copy. The count is atomic because ZeroMQ's I/O thread and
// the flusher release blocks too; the content is written by one thread before it is shared. A piece is what a
// reply is made of: bytes (kept alive by a block) or a range of a file that is sent by sendfile.
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

#include "base/slice.h"
#include "base/status.h"

#include <stdatomic.h>

struct file; // io/env.h

struct block {
    atomic_int refs;
    size_t len;    // bytes of data
    uint8_t *data; // points behind the struct, or at foreign memory
    void (*free_foreign)(
        void *); // called with foreign at the last release; NULL when data is inside the block
    void *foreign;
};

// A block of len bytes with one reference, content undefined. NULL when memory is short (len comes from
// outside).
struct block *block_new(size_t len);

// A block with a copy of the bytes. NULL when memory is short.
struct block *block_copy(struct slice bytes);

// Wraps foreign memory; free_foreign(foreign) runs at the last release, on whatever thread that happens.
// Never NULL.
struct block *block_wrap(uint8_t *data, size_t len, void (*free_foreign)(void *), void *foreign);

struct block *block_ref(struct block *block);

// Gives a reference back and clears the pointer; NULL inside is allowed.
void block_unref(struct block **block);

static inline struct slice block_slice(const struct block *block)
{
    return slice_of(block->data, block->len);
}

// Part of an answer. Either bytes (data, len, kept alive by owner when not NULL) or, when file is set, len
// bytes of the file from position. release(owner) ends the claim on whatever keeps it alive.
struct piece {
    const uint8_t *data;
    size_t len;
    struct file *file;
    int64_t position; // byte position in file
    void *owner;
    void (*release)(void *owner);
};

// A piece over bytes of a block; takes a reference of its own.
struct piece piece_of_block(struct block *block, size_t from, size_t len);

// Ends the claim; the piece is empty afterwards.
void piece_release(struct piece *piece);

#endif
