// SPDX-License-Identifier: Apache-2.0
// See shard.h. The rendezvous score must be the same in every process and release, so it is built from
// murmur2 (whose values Kafka fixes) and one splitmix step, not from the tables' seeded hash.
#include "cluster/shard.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/prng.h"

#include <inttypes.h>

int32_t shard_of(struct slice key, int32_t partitions)
{
    ASSERT(partitions > 0);
    int32_t hash = java_string_hash(key);
    if (hash == INT32_MIN) // has no absolute value
        return 0;
    return (hash < 0 ? -hash : hash) % partitions;
}

enum status shard_share_key(struct slice group, struct uuid topic, int32_t partition, struct buf *out)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(topic, text);
    enum status status = buf_append(out, group.data, group.len);
    return status == ST_OK ? buf_printf(out, ":%s:%" PRId32, text, partition) : status;
}

const struct image_shard *shard_of_key(const struct image *image, const char *topic, struct slice key)
{
    const struct image_topic *found = image_topic_named(image, topic);
    if (found == NULL || found->partition_count == 0)
        return NULL;
    return image_shard(image, topic, shard_of(key, (int32_t)found->partition_count));
}

const struct image_node *shard_owner(const struct image *image, const char *topic, struct slice key)
{
    const struct image_shard *shard = shard_of_key(image, topic, key);
    if (shard == NULL || shard->owner < 0)
        return NULL;
    const struct image_node *node = image_node(image, shard->owner);
    return image_node_live(node, MILLRACE__ROLE__ROLE_COORDINATOR) ? node : NULL;
}

static uint64_t score(uint32_t key_hash, int32_t node_id)
{
    struct prng prng = {.state = (uint64_t)key_hash << 32 | (uint32_t)node_id};
    return prng_next(&prng);
}

const struct image_node *shard_front(const struct image *image, const char *listener, struct slice key)
{
    uint32_t key_hash = (uint32_t)murmur2(key.data, key.len);
    const struct image_node *best = NULL;
    uint64_t best_score = 0;
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        if (!image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE) ||
            (listener != NULL && image_endpoint(node, listener) == NULL))
            continue;
        uint64_t its = score(key_hash, node->id);
        if (best == NULL || its > best_score) {
            best = node;
            best_score = its;
        }
    }
    return best;
}
