// SPDX-License-Identifier: Apache-2.0
// See record.h.
#include "record.h"

enum status record_put(const struct kafka_message *message, int16_t version, int16_t prefix, const void *in,
                       size_t bytes_max, struct buf *out)
{
    struct kafka_out bytes;
    kafka_out_init(&bytes, bytes_max);
    enum status status = prefix < 0 ? ST_OK : buf_put_be16(&bytes.bytes, (uint16_t)prefix);
    if (status == ST_OK)
        status = kafka_encode(message, version, in, &bytes);
    if (status == ST_OK)
        status = buf_append(out, bytes.bytes.data, bytes.bytes.len);
    kafka_out_fini(&bytes);
    return status;
}
