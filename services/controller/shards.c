// SPDX-License-Identifier: Apache-2.0
// See shards.h.
#include "shards.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"

static int position(const int32_t *live, int live_count, int32_t id)
{
    for (int i = 0; i < live_count; i++)
        if (live[i] == id)
            return i;
    return -1;
}

void shards_assign(const int32_t *owners, int32_t count, const int32_t *live, int live_count, int32_t *out)
{
    int32_t *load = mem_calloc((size_t)live_count + 1, sizeof *load);
    int32_t share = live_count > 0 ? (count + live_count - 1) / live_count : 0;
    for (int32_t i = 0; i < count; i++) {
        int at = position(live, live_count, owners[i]);
        bool stays = at >= 0 && load[at] < share;
        out[i] = stays ? owners[i] : -1;
        if (stays)
            load[at]++;
    }
    for (int32_t i = 0; i < count && live_count > 0; i++) {
        if (out[i] >= 0)
            continue;
        int least = 0;
        for (int k = 1; k < live_count; k++)
            if (load[k] < load[least])
                least = k;
        out[i] = live[least];
        load[least]++;
    }
    mem_free(load);
}

static int32_t *live_coordinators(const struct controller *controller, struct arena *arena, int32_t gone,
                                  int32_t came, int *count)
{
    const struct image *image = metadata_image(controller->metadata);
    int32_t *live = arena_calloc(arena, image_node_count(image) + 1, sizeof *live);
    ASSERT(live != NULL);
    *count = 0;
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        bool is = node->role == MILLRACE__ROLE__ROLE_COORDINATOR &&
                  (node->id == came || (!node->fenced && node->id != gone));
        if (is)
            live[(*count)++] = node->id;
    }
    return live;
}

static void settle_topic(struct controller *controller, struct decision *decision, const char *name,
                         const int32_t *live, int live_count)
{
    const struct image *image = metadata_image(controller->metadata);
    const struct image_topic *topic = image_topic_named(image, name);
    if (topic == NULL || topic->partition_count == 0)
        return;
    int32_t count = (int32_t)topic->partition_count;
    int32_t *owners = arena_calloc(&decision->arena, (size_t)count * 2, sizeof *owners);
    ASSERT(owners != NULL);
    int32_t *next = owners + count;
    for (int32_t i = 0; i < count; i++) {
        const struct image_shard *shard = image_shard(image, name, i);
        owners[i] = shard != NULL ? shard->owner : -1;
    }
    shards_assign(owners, count, live, live_count, next);
    for (int32_t i = 0; i < count; i++) {
        const struct image_shard *shard = image_shard(image, name, i);
        if (next[i] != owners[i])
            decision_shard(decision, name, i, next[i], shard != NULL ? shard->owner_epoch + 1 : 0);
    }
}

void shards_settle(struct controller *controller, struct decision *decision, int32_t gone, int32_t came)
{
    static const char *const ledgers[] = {SHARD_TOPIC_GROUPS, SHARD_TOPIC_TRANSACTIONS, SHARD_TOPIC_SHARE};
    int live_count;
    int32_t *live = live_coordinators(controller, &decision->arena, gone, came, &live_count);
    for (size_t i = 0; i < sizeof ledgers / sizeof *ledgers; i++)
        settle_topic(controller, decision, ledgers[i], live, live_count);
}
