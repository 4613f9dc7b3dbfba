// SPDX-License-Identifier: Apache-2.0
// An owned, growing byte buffer with a hard maximum. Appending past the maximum fails with ST_LIMIT and
// leaves the buffer as it was; the failure is sticky (buf_status) so that a sequence of appends is checked
// once at its end.
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"
#include "base/status.h"

struct buf {
    uint8_t *data; // owned
    size_t len;    // bytes used
    size_t cap;    // bytes allocated
    size_t max;    // bytes it may ever hold
    enum status failed;
};

// Starts empty without allocating; max is the largest length in bytes.
void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);

// Forgets the content and a sticky failure, keeps the memory.
void buf_clear(struct buf *buf);

// Makes room for more bytes behind len; on success data+len may be written and len advanced by hand.
enum status buf_reserve(struct buf *buf, size_t more);

enum status buf_append(struct buf *buf, const void *data, size_t len);
enum status buf_put_u8(struct buf *buf, uint8_t value);
enum status buf_put_be16(struct buf *buf, uint16_t value);
enum status buf_put_be32(struct buf *buf, uint32_t value);
enum status buf_put_be64(struct buf *buf, uint64_t value);
enum status buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Removes the first len bytes (len <= buf->len).
void buf_consume(struct buf *buf, size_t len);

static inline enum status buf_status(const struct buf *buf)
{
    return buf->failed;
}
static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->len);
}

#endif
