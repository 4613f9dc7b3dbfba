// SPDX-License-Identifier: Apache-2.0
// Frames between blocks and ZeroMQ messages. Large ones are not copied either way: sending lends the block to
// ZeroMQ until its I/O thread has written it; a received message stays alive inside the block that wraps it.
// Small ones are copied, which is cheaper, and keeps a tiny frame from pinning ZeroMQ's 8 KiB receive buffer.
#include "rpc/zmq_internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <errno.h>

// ---- received ----

static void received_free(void *foreign)
{
    zmq_msg_close(foreign);
    mem_free(foreign);
}

struct block *zmsg_block(zmq_msg_t *message)
{
    size_t size = zmq_msg_size(message);
    if (size <= ZMQ_COPY_MAX) {
        struct block *block = block_copy(slice_of(zmq_msg_data(message), size));
        ASSERT(block != NULL);
        return block;
    }
    zmq_msg_t *kept = mem_calloc(1, sizeof *kept);
    zmq_msg_init(kept);
    zmq_msg_move(kept, message);
    return block_wrap(zmq_msg_data(kept), size, received_free, kept);
}

// ---- sent ----

struct lent {
    struct zmq_transport *zt;
    struct block *block;
};

static void lent_back(void *data, void *hint) // on ZeroMQ's I/O thread
{
    struct lent *lent = hint;
    metric_inc(&lent->zt->bytes_waiting, -(int64_t)lent->block->len);
    block_unref(&lent->block);
    mem_free(lent);
}

static void message_of_block(struct zmq_transport *zt, struct block *block, zmq_msg_t *message)
{
    if (block->len <= ZMQ_COPY_MAX) {
        int rc = zmq_msg_init_size(message, block->len);
        ASSERT(rc == 0);
        memcpy(zmq_msg_data(message), block->data, block->len);
        return;
    }
    struct lent *lent = mem_calloc(1, sizeof *lent);
    *lent = (struct lent){.zt = zt, .block = block_ref(block)};
    metric_inc(&zt->bytes_waiting, (int64_t)block->len);
    int rc = zmq_msg_init_data(message, block->data, block->len, lent_back, lent);
    ASSERT(rc == 0);
}

static bool send_one(struct zsock *zsock, zmq_msg_t *message, bool more)
{
    if (zmq_msg_send(message, zsock->socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0)
        return true;
    int error = errno;
    zmq_msg_close(message);
    errno = error;
    return false;
}

static bool send_route(struct zsock *zsock, const struct slice *route)
{
    zmq_msg_t message;
    int rc = zmq_msg_init_size(&message, route->len);
    ASSERT(rc == 0);
    memcpy(zmq_msg_data(&message), route->data, route->len);
    return send_one(zsock, &message, true);
}

enum status zmsg_send(struct zsock *zsock, const struct slice *route, struct block *const *frames, int count)
{
    struct zmq_transport *zt = zsock->zt;
    if (atomic_load_explicit(&zt->bytes_waiting.value, memory_order_relaxed) > ZMQ_BYTES_MAX)
        return ST_AGAIN;
    bool sent = route == NULL || send_route(zsock, route);
    for (int i = 0; i < count && sent; i++) {
        zmq_msg_t message;
        message_of_block(zt, frames[i], &message);
        sent = send_one(zsock, &message, i + 1 < count);
    }
    int error = errno;
    zsock_mark(zsock); // sending may have swallowed the signal of something received
    if (sent)
        return ST_OK;
    return error == EHOSTUNREACH ? ST_UNREACHABLE : ST_AGAIN;
}
