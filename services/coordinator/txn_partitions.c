// SPDX-License-Identifier: Apache-2.0
// See txn_partitions.h.
#include "txn_partitions.h"

#include "base/mem.h"

#include <string.h>

void txn_partitions_init(struct txn_partitions *set)
{
    *set = (struct txn_partitions){0};
    map_init(&set->topics, 0);
}

static void topic_free(void *value)
{
    struct txn_topic *topic = value;
    mem_free(topic->partitions);
    mem_free(topic);
}

void txn_partitions_clear(struct txn_partitions *set)
{
    map_clear(&set->topics, topic_free);
    set->count = 0;
}

void txn_partitions_fini(struct txn_partitions *set)
{
    txn_partitions_clear(set);
    map_fini(&set->topics);
}

// The place of the partition, or where it would stand.
static int32_t place(const struct txn_topic *topic, int32_t partition)
{
    int32_t low = 0, high = topic->count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (topic->partitions[middle] < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_at(const struct txn_topic *topic, int32_t at, int32_t partition)
{
    return at < topic->count && topic->partitions[at] == partition;
}

bool txn_partitions_has(const struct txn_partitions *set, struct slice name, int32_t partition)
{
    const struct txn_topic *topic = map_get(&set->topics, name);
    return topic != NULL && has_at(topic, place(topic, partition), partition);
}

void txn_partitions_add(struct txn_partitions *set, struct slice name, int32_t partition)
{
    struct txn_topic *topic = map_get(&set->topics, name);
    if (topic == NULL) {
        topic = mem_calloc(1, sizeof *topic);
        map_put(&set->topics, name, topic);
    }
    int32_t at = place(topic, partition);
    if (has_at(topic, at, partition))
        return;
    if (topic->count == topic->cap) {
        topic->cap = topic->cap == 0 ? 4 : topic->cap * 2;
        topic->partitions = mem_realloc(topic->partitions, (size_t)topic->cap * sizeof(int32_t));
    }
    memmove(topic->partitions + at + 1, topic->partitions + at,
            (size_t)(topic->count - at) * sizeof(int32_t));
    topic->partitions[at] = partition;
    topic->count++;
    set->count++;
}

void txn_partitions_remove(struct txn_partitions *set, struct slice name, int32_t partition)
{
    struct txn_topic *topic = map_get(&set->topics, name);
    int32_t at = topic == NULL ? 0 : place(topic, partition);
    if (topic == NULL || !has_at(topic, at, partition))
        return;
    topic->count--;
    set->count--;
    memmove(topic->partitions + at, topic->partitions + at + 1,
            (size_t)(topic->count - at) * sizeof(int32_t));
    if (topic->count == 0) {
        map_remove(&set->topics, name);
        topic_free(topic);
    }
}

void txn_partitions_copy(struct txn_partitions *to, const struct txn_partitions *from)
{
    struct slice name;
    const struct txn_topic *topic;
    for (struct map_entry *at = NULL; txn_partitions_next(from, &at, &name, &topic);)
        for (int32_t i = 0; i < topic->count; i++)
            txn_partitions_add(to, name, topic->partitions[i]);
}

bool txn_partitions_next(const struct txn_partitions *set, struct map_entry **cursor, struct slice *name,
                         const struct txn_topic **topic)
{
    void *value;
    if (!map_next(&set->topics, cursor, name, &value))
        return false;
    *topic = value;
    return true;
}
