// SPDX-License-Identifier: Apache-2.0
// The plain byte stream: every function is the one of the environment. See bytes.h.
#include "conn/bytes.h"

static enum status plain_recv(struct conn_bytes *bytes, void *data, size_t len, size_t *got)
{
    return stream_recv(bytes->env, bytes->stream, data, len, got);
}

static enum status plain_send(struct conn_bytes *bytes, const struct iovec *iov, int count, size_t *sent)
{
    return stream_send(bytes->env, bytes->stream, iov, count, sent);
}

static enum status plain_send_file(struct conn_bytes *bytes, struct file *file, int64_t at, size_t len,
                                   size_t *sent)
{
    return stream_send_file(bytes->env, bytes->stream, file, at, len, sent);
}

static void plain_want(struct conn_bytes *bytes, int events)
{
    stream_want(bytes->env, bytes->stream, events);
}

static void plain_close(struct conn_bytes *bytes)
{
    stream_close(bytes->env, &bytes->stream);
}

static const struct conn_bytes_ops plain_ops = {
    .recv = plain_recv,
    .send = plain_send,
    .send_file = plain_send_file,
    .want = plain_want,
    .close = plain_close,
};

void conn_bytes_plain(struct conn_bytes *bytes, struct env *env, struct stream *stream_take)
{
    *bytes = (struct conn_bytes){.ops = &plain_ops, .env = env, .stream = stream_take};
}
