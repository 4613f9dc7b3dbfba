// SPDX-License-Identifier: Apache-2.0
// See topic_hash.h.
#include "topic_hash.h"

#include "base/bytes.h"
#include "base/hash.h"

uint64_t topic_hash(const struct image_topic *topic)
{
    static const uint8_t key[HASH_SIP_SIZE];
    uint8_t bytes[sizeof topic->id + sizeof(uint32_t)], out[HASH_SIP_SIZE];
    memcpy(bytes, &topic->id, sizeof topic->id);
    store_be32(bytes + sizeof topic->id, (uint32_t)topic->partition_count);
    hash_sip128(key, bytes, sizeof bytes, out);
    return load_be64(out);
}
