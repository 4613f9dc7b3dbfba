// SPDX-License-Identifier: Apache-2.0
// Growth by doubling up to the maximum the owner named. See buf.h for the contract.
#include "base/buf.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = ST_OK;
}

enum status buf_reserve(struct buf *buf, size_t more)
{
    if (buf->failed != ST_OK)
        return buf->failed;
    if (more > buf->max || buf->len > buf->max - more)
        return buf->failed = ST_LIMIT;
    if (buf->len + more <= buf->cap)
        return ST_OK;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < buf->len + more)
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    uint8_t *data = realloc(buf->data, cap);
    if (data == NULL)
        return buf->failed = ST_NO_MEMORY;
    buf->data = data;
    buf->cap = cap;
    return ST_OK;
}

enum status buf_append(struct buf *buf, const void *data, size_t len)
{
    enum status status = buf_reserve(buf, len);
    if (status != ST_OK)
        return status;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return ST_OK;
}

enum status buf_put_u8(struct buf *buf, uint8_t value)
{
    return buf_append(buf, &value, 1);
}

enum status buf_put_be16(struct buf *buf, uint16_t value)
{
    uint8_t bytes[2];
    store_be16(bytes, value);
    return buf_append(buf, bytes, sizeof bytes);
}

enum status buf_put_be32(struct buf *buf, uint32_t value)
{
    uint8_t bytes[4];
    store_be32(bytes, value);
    return buf_append(buf, bytes, sizeof bytes);
}

enum status buf_put_be64(struct buf *buf, uint64_t value)
{
    uint8_t bytes[8];
    store_be64(bytes, value);
    return buf_append(buf, bytes, sizeof bytes);
}

enum status buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(len >= 0);
    enum status status = buf_reserve(buf, (size_t)len + 1);
    if (status != ST_OK)
        return status;
    va_start(args, format);
    vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return ST_OK;
}

void buf_consume(struct buf *buf, size_t len)
{
    ASSERT(len <= buf->len);
    buf->len -= len;
    if (buf->len > 0)
        memmove(buf->data, buf->data + len, buf->len);
}
