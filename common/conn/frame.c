// SPDX-License-Identifier: Apache-2.0
// From bytes to frames. Small frames are copied out of the listener's scratch buffer into a block of exactly
// their size, so that a kept record batch pins no more than itself; larger ones are received straight into
// their block, and behind a large one only the next one's head is read ahead, so that little is copied.
// Memory grows with the bytes that really arrive: a block begins with at most 1 MiB and doubles when it is
// full, whatever the length prefix promises; a length outside the limits ends the connection before anything
// is allocated.
#include "conn/conn.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

enum { PREFIX = 4, HEADER_LEAST = 8 };

static size_t ahead_left(const struct conn *conn)
{
    return conn->ahead_len - conn->ahead_at;
}

// The length at the front of what was read ahead; -1: not there yet, -2: outside the limits.
static int64_t ahead_length(const struct conn *conn)
{
    if (ahead_left(conn) < PREFIX)
        return -1;
    int32_t length = (int32_t)load_be32(conn->ahead + conn->ahead_at);
    const struct conn_config *config = &conn->listener->config;
    // Whoever need not say who he is may begin with any request: franz-go opens a connection with a Produce.
    bool stranger = config->authenticator != NULL && !conn->handshaken;
    int32_t max = stranger ? config->handshake_max : config->request_max;
    return length < HEADER_LEAST || length > max ? -2 : length;
}

static void ahead_drop(struct conn *conn)
{
    if (conn->ahead != conn->listener->scratch)
        mem_free(conn->ahead);
    conn->ahead = NULL;
    conn->ahead_len = conn->ahead_at = 0;
}

static void progressed(struct conn *conn)
{
    conn->progress_us = env_now_us(conn->listener->env);
    conn->progress_bytes = 0;
}

void conn_frame_fini(struct conn *conn)
{
    ahead_drop(conn);
    if (conn->frame.block != NULL)
        conn_listener_queue(conn->listener, -(int64_t)conn->frame.have);
    block_unref(&conn->frame.block);
    conn->frame = (struct conn_frame){0};
}

// Begins a frame that is not whole yet with what is there of it.
static bool frame_begin(struct conn *conn, size_t need)
{
    size_t have = ahead_left(conn) - PREFIX;
    ASSERT(have < need);
    conn->bulk = need >= CONN_BULK;
    struct block *block = block_new(need < CONN_FRAME_FIRST ? need : CONN_FRAME_FIRST);
    if (block == NULL)
        return false;
    memcpy(block->data, conn->ahead + conn->ahead_at + PREFIX, have);
    conn->frame = (struct conn_frame){.block = block, .have = have, .need = need};
    conn_listener_queue(conn->listener, (int64_t)have);
    ahead_drop(conn);
    return true;
}

static bool frame_grow(struct conn_frame *frame)
{
    size_t room = frame->block->len * 2 < frame->need ? frame->block->len * 2 : frame->need;
    struct block *grown = block_new(room);
    if (grown == NULL)
        return false;
    memcpy(grown->data, frame->block->data, frame->have);
    block_unref(&frame->block);
    frame->block = grown;
    return true;
}

static enum status read_frame(struct conn *conn)
{
    struct conn_frame *frame = &conn->frame;
    if (frame->have == frame->block->len && !frame_grow(frame))
        return ST_NO_MEMORY;
    size_t got = 0;
    enum status status = conn->bytes.ops->recv(&conn->bytes, frame->block->data + frame->have,
                                               frame->block->len - frame->have, &got);
    if (status != ST_OK)
        return status;
    frame->have += got;
    conn_listener_queue(conn->listener, (int64_t)got);
    metric_inc(&conn->listener->metrics.in_bytes, (int64_t)got);
    conn->progress_bytes += got;
    if (conn->progress_bytes >= CONN_SCRATCH || frame->have == frame->need)
        progressed(conn);
    return ST_OK;
}

// Reads into the scratch buffer, behind the up to three bytes of a length prefix left from before.
static enum status read_ahead(struct conn *conn)
{
    uint8_t *scratch = conn->listener->scratch;
    size_t left = ahead_left(conn);
    ASSERT(left < PREFIX);
    if (left > 0)
        memmove(scratch, conn->ahead + conn->ahead_at, left);
    ahead_drop(conn);
    conn->ahead = scratch;
    conn->ahead_len = left;
    size_t got = 0, room = conn->bulk ? CONN_AHEAD_BULK : CONN_SCRATCH;
    enum status status = conn->bytes.ops->recv(&conn->bytes, scratch + left, room - left, &got);
    if (status != ST_OK)
        return status;
    conn->ahead_len += got;
    metric_inc(&conn->listener->metrics.in_bytes, (int64_t)got);
    return ST_OK;
}

void conn_keep(struct conn *conn)
{
    if (conn->ahead == NULL || conn->ahead != conn->listener->scratch)
        return;
    size_t left = ahead_left(conn);
    uint8_t *own = left > 0 ? mem_calloc(1, left) : NULL;
    if (left > 0)
        memcpy(own, conn->ahead + conn->ahead_at, left);
    conn->ahead = own;
    conn->ahead_at = 0;
    conn->ahead_len = left;
}

// The length of a frame of which only a part was read ahead; 0 when there is none.
static size_t ahead_partial(const struct conn *conn)
{
    int64_t length = conn->frame.need > 0 ? -1 : ahead_length(conn);
    return length > 0 && ahead_left(conn) - PREFIX < (size_t)length ? (size_t)length : 0;
}

bool conn_hungry(const struct conn *conn)
{
    if (conn->frame.need > 0)
        return conn->frame.have < conn->frame.need;
    return ahead_length(conn) == -1 || ahead_partial(conn) > 0;
}

// Behind a request that is held no frame is begun: it would take from the budget of all for as long as the
// client wants that request to be held.
bool conn_may_read(struct conn *conn)
{
    bool waits = ahead_partial(conn) > 0 && conn_holds_other_than_produce(conn);
    return conn_hungry(conn) && !waits && conn_listener_admits(conn);
}

void conn_read(struct conn *conn)
{
    for (int i = 0; i < CONN_READS_PER_TURN && conn_may_read(conn); i++) {
        size_t partial = ahead_partial(conn);
        if (partial > 0 && !frame_begin(conn, partial)) {
            conn->why = "out of memory for a request";
            return;
        }
        enum status status = conn->frame.need > 0 ? read_frame(conn) : read_ahead(conn);
        if (status == ST_AGAIN)
            return;
        if (status != ST_OK) {
            conn->eof = true;
            return;
        }
    }
}

bool conn_peek(const struct conn *conn, int16_t *api)
{
    const uint8_t *at = NULL;
    if (conn->frame.need > 0) {
        if (conn->frame.have == conn->frame.need)
            at = conn->frame.block->data;
    } else {
        int64_t length = ahead_length(conn);
        if (length > 0 && ahead_left(conn) - PREFIX >= (size_t)length)
            at = conn->ahead + conn->ahead_at + PREFIX;
    }
    if (at != NULL)
        *api = (int16_t)load_be16(at);
    return at != NULL;
}

static enum conn_cut cut_received(struct conn *conn, struct block **block, struct slice *frame)
{
    *block = conn->frame.block;
    *frame = slice_of((*block)->data, conn->frame.need);
    conn->frame = (struct conn_frame){0};
    conn_listener_release(conn);
    return CONN_CUT_FRAME;
}

enum conn_cut conn_cut(struct conn *conn, struct block **block, struct slice *frame)
{
    if (conn->frame.need > 0)
        return conn->frame.have == conn->frame.need ? cut_received(conn, block, frame) : CONN_CUT_NONE;
    int64_t length = ahead_length(conn);
    if (length == -2) {
        conn->why = "frame length outside the limits";
        return CONN_CUT_BAD;
    }
    if (length < 0)
        return CONN_CUT_NONE;
    if (ahead_partial(conn) > 0)
        return CONN_CUT_NONE;
    *block = block_copy(slice_of(conn->ahead + conn->ahead_at + PREFIX, (size_t)length));
    if (*block == NULL) {
        conn->why = "out of memory for a request";
        return CONN_CUT_BAD;
    }
    *frame = block_slice(*block);
    conn->bulk = false;
    conn->ahead_at += PREFIX + (size_t)length;
    if (ahead_left(conn) == 0)
        ahead_drop(conn);
    conn_listener_queue(conn->listener, length);
    progressed(conn);
    return CONN_CUT_FRAME;
}
