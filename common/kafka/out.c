// SPDX-License-Identifier: Apache-2.0
// Life of a kafka_out: own bytes plus references to record bytes. See codec.h; conn sends it, tests flatten
// it.
#include "kafka/codec.h"

#include <stdlib.h>

void kafka_out_init(struct kafka_out *out, size_t max)
{
    *out = (struct kafka_out){0};
    buf_init(&out->bytes, max);
}

void kafka_out_clear(struct kafka_out *out)
{
    for (int32_t i = 0; i < out->splice_count; i++)
        piece_release(&out->splices[i].piece);
    out->splice_count = 0;
    out->spliced = 0;
    buf_clear(&out->bytes);
}

void kafka_out_fini(struct kafka_out *out)
{
    kafka_out_clear(out);
    free(out->splices);
    buf_fini(&out->bytes);
    *out = (struct kafka_out){0};
}

size_t kafka_out_len(const struct kafka_out *out)
{
    return out->bytes.len + out->spliced;
}

enum status kafka_out_flatten(const struct kafka_out *out, struct buf *flat)
{
    size_t done = 0;
    enum status status = ST_OK;
    for (int32_t i = 0; i < out->splice_count && status == ST_OK; i++) {
        const struct kafka_splice *splice = &out->splices[i];
        if (splice->piece.file != NULL)
            return ST_INVALID;
        status = buf_append(flat, out->bytes.data + done, splice->at - done);
        if (status == ST_OK)
            status = buf_append(flat, splice->piece.data, splice->piece.len);
        done = splice->at;
    }
    if (status == ST_OK && out->bytes.len > done)
        status = buf_append(flat, out->bytes.data + done, out->bytes.len - done);
    return status;
}
