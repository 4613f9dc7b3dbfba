// SPDX-License-Identifier: Apache-2.0
// The byte stream under a connection: five functions between the Kafka framing and an env stream, so that TLS
// can step in between without the framing knowing. Semantics are those of the stream_* functions of io/env.h.
#ifndef CONN_BYTES_H
#define CONN_BYTES_H

#include "io/env.h"

struct conn_bytes;

struct conn_bytes_ops {
    enum status (*recv)(struct conn_bytes *bytes, void *data, size_t len, size_t *got);
    enum status (*send)(struct conn_bytes *bytes, const struct iovec *iov, int count, size_t *sent);
    enum status (*send_file)(struct conn_bytes *bytes, struct file *file, int64_t at, size_t len,
                             size_t *sent);
    void (*want)(struct conn_bytes *bytes, int events);
    void (*close)(struct conn_bytes *bytes);
};

// Embedded in its connection; stream NULL once closed.
struct conn_bytes {
    const struct conn_bytes_ops *ops;
    struct env *env;
    struct stream *stream;
};

// Bytes as they are on the socket. Takes the stream.
void conn_bytes_plain(struct conn_bytes *bytes, struct env *env, struct stream *stream_take);

#endif
