// SPDX-License-Identifier: Apache-2.0
// Sends what waits: runs of memory pieces in one writev, file ranges by sendfile. See output.h.
#include "conn/output.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

enum { IOV_MAX_PER_CALL = 64 };

void conn_output_fini(struct conn_output *output)
{
    for (int i = 0; i < output->count; i++)
        piece_release(&output->pieces[output->first + i]);
    mem_free(output->pieces);
    *output = (struct conn_output){0};
}

static void make_room(struct conn_output *output)
{
    if (output->first + output->count < output->cap)
        return;
    if (output->first > output->cap / 2) {
        memmove(output->pieces, output->pieces + output->first, sizeof(struct piece) * (size_t)output->count);
    } else {
        output->cap = output->cap == 0 ? 8 : output->cap * 2;
        struct piece *grown = mem_calloc((size_t)output->cap, sizeof *grown);
        if (output->count > 0)
            memcpy(grown, output->pieces + output->first, sizeof *grown * (size_t)output->count);
        mem_free(output->pieces);
        output->pieces = grown;
    }
    output->first = 0;
}

void conn_output_add(struct conn_output *output, struct piece piece_take)
{
    if (piece_take.len == 0) {
        piece_release(&piece_take);
        return;
    }
    make_room(output);
    output->pieces[output->first + output->count++] = piece_take;
    output->bytes += (int64_t)piece_take.len;
}

static void free_copy(void *memory)
{
    mem_free(memory);
}

void conn_output_add_copy(struct conn_output *output, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    void *copy = mem_calloc(1, bytes.len);
    memcpy(copy, bytes.data, bytes.len);
    conn_output_add(output,
                    (struct piece){.data = copy, .len = bytes.len, .owner = copy, .release = free_copy});
}

// The encoded bytes become one block, cut where record pieces are spliced in.
void conn_output_add_out(struct conn_output *output, struct kafka_out *out_take)
{
    struct kafka_out *out = out_take;
    size_t len = out->bytes.len, at = 0;
    struct block *block = block_wrap(out->bytes.data, len, free, out->bytes.data);
    buf_init(&out->bytes, out->bytes.max);
    for (int i = 0; i < out->splice_count; i++) {
        if (out->splices[i].at > at)
            conn_output_add(output, piece_of_block(block, at, out->splices[i].at - at));
        at = out->splices[i].at;
        conn_output_add(output, out->splices[i].piece);
    }
    if (len > at)
        conn_output_add(output, piece_of_block(block, at, len - at));
    block_unref(&block);
    out->splice_count = 0;
    out->spliced = 0;
}

void conn_output_move(struct conn_output *output, struct conn_output *from)
{
    for (int i = 0; i < from->count; i++)
        conn_output_add(output, from->pieces[from->first + i]);
    from->count = 0;
    conn_output_fini(from);
}

// Forgets the first len bytes of the queue.
static void advance(struct conn_output *output, size_t len)
{
    output->bytes -= (int64_t)len;
    while (len > 0) {
        ASSERT(output->count > 0);
        struct piece *piece = &output->pieces[output->first];
        size_t part = len < piece->len ? len : piece->len;
        if (piece->file != NULL)
            piece->position += (int64_t)part;
        else
            piece->data += part;
        piece->len -= part;
        len -= part;
        if (piece->len == 0) {
            piece_release(piece);
            output->first++;
            output->count--;
        }
    }
    if (output->count == 0)
        output->first = 0;
}

static int gather(const struct conn_output *output, struct iovec *iov, int64_t budget)
{
    int count = 0;
    for (; count < output->count && count < IOV_MAX_PER_CALL && budget > 0; count++) {
        const struct piece *piece = &output->pieces[output->first + count];
        if (piece->file != NULL)
            break;
        iov[count] = (struct iovec){.iov_base = (void *)(uintptr_t)piece->data, .iov_len = piece->len};
        budget -= (int64_t)piece->len;
    }
    return count;
}

static enum status send_some(struct conn_output *output, struct conn_bytes *bytes, int64_t budget,
                             size_t *sent)
{
    const struct piece *piece = &output->pieces[output->first];
    if (piece->file != NULL) {
        size_t len = piece->len < (size_t)budget ? piece->len : (size_t)budget;
        return bytes->ops->send_file(bytes, piece->file, piece->position, len, sent);
    }
    struct iovec iov[IOV_MAX_PER_CALL];
    int count = gather(output, iov, budget);
    return bytes->ops->send(bytes, iov, count, sent);
}

enum status conn_output_flush(struct conn_output *output, struct conn_bytes *bytes, int64_t budget,
                              int64_t *sent)
{
    *sent = 0;
    while (output->count > 0) {
        if (*sent >= budget)
            return ST_AGAIN;
        size_t part = 0;
        enum status status = send_some(output, bytes, budget - *sent, &part);
        if (status != ST_OK)
            return status;
        advance(output, part);
        *sent += (int64_t)part;
    }
    return ST_OK;
}
