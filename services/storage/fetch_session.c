// SPDX-License-Identifier: Apache-2.0
// See fetch_session.h. The order of the partitions is that of the map's insertions.
#include "fetch_session.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

enum { NOTHING_TOLD = -1 };

void fetch_session_init(struct fetch_session *session, bool by_id, uint64_t seed)
{
    *session = (struct fetch_session){.by_id = by_id};
    map_init(&session->topics, seed);
    map_init(&session->partitions, seed + 1);
}

static void topic_free(struct fetch_topic *topic)
{
    mem_free((void *)(uintptr_t)topic->name.data);
    mem_free(topic);
}

void fetch_session_fini(struct fetch_session *session)
{
    struct map_entry *at = NULL;
    void *value;
    while (map_next(&session->partitions, &at, NULL, &value))
        mem_free(value);
    at = NULL;
    while (map_next(&session->topics, &at, NULL, &value))
        topic_free(value);
    map_fini(&session->partitions);
    map_fini(&session->topics);
}

int32_t fetch_session_size(const struct fetch_session *session)
{
    return (int32_t)session->partitions.count;
}

static struct slice topic_key(const struct fetch_session *session, const struct uuid *id, struct slice name)
{
    return session->by_id ? slice_of(id->bytes, sizeof id->bytes) : name;
}

static uint64_t partition_key(const struct fetch_topic *topic, int32_t index)
{
    return (uint64_t)topic->number << 32 | (uint32_t)index;
}

static struct slice copy_of(struct slice name)
{
    return slice_of(mem_strndup(name.len > 0 ? (const char *)name.data : "", name.len), name.len);
}

static struct fetch_topic *topic_add(struct fetch_session *session, struct uuid id, struct slice name)
{
    struct fetch_topic *topic = mem_calloc(1, sizeof *topic);
    topic->number = session->topics_made++;
    if (session->by_id)
        topic->id = id;
    else
        topic->name = copy_of(name);
    map_put(&session->topics, topic_key(session, &id, name), topic);
    return topic;
}

static void topic_drop(struct fetch_session *session, struct fetch_topic *topic)
{
    map_remove(&session->topics, topic_key(session, &topic->id, topic->name));
    topic_free(topic);
}

bool fetch_session_put(struct fetch_session *session, struct uuid id, struct slice name, int32_t index,
                       const struct fetch_position *position)
{
    struct fetch_topic *topic = map_get(&session->topics, topic_key(session, &id, name));
    if (topic == NULL)
        topic = topic_add(session, id, name);
    struct fetch_partition *partition = map_get_u64(&session->partitions, partition_key(topic, index));
    bool added = partition == NULL;
    if (added) {
        partition = mem_calloc(1, sizeof *partition);
        *partition = (struct fetch_partition){.topic = topic,
                                              .index = index,
                                              .high_watermark = NOTHING_TOLD,
                                              .last_stable_offset = NOTHING_TOLD,
                                              .log_start_offset = NOTHING_TOLD};
        map_put_u64(&session->partitions, partition_key(topic, index), partition);
        topic->partitions++;
    }
    partition->position = *position;
    return added;
}

bool fetch_session_forget(struct fetch_session *session, struct uuid id, struct slice name, int32_t index)
{
    struct fetch_topic *topic = map_get(&session->topics, topic_key(session, &id, name));
    if (topic == NULL)
        return false;
    struct fetch_partition *partition = map_remove_u64(&session->partitions, partition_key(topic, index));
    if (partition == NULL)
        return false;
    mem_free(partition);
    if (--topic->partitions == 0)
        topic_drop(session, topic);
    return true;
}

struct fetch_partition *fetch_session_find(const struct fetch_session *session, struct uuid id,
                                           struct slice name, int32_t index)
{
    struct fetch_topic *topic = map_get(&session->topics, topic_key(session, &id, name));
    return topic != NULL ? map_get_u64(&session->partitions, partition_key(topic, index)) : NULL;
}

struct fetch_partition *fetch_session_next(const struct fetch_session *session, struct map_entry **at)
{
    void *value;
    return map_next(&session->partitions, at, NULL, &value) ? value : NULL;
}

bool fetch_session_news(struct fetch_partition *partition, const struct fetch_news *news)
{
    bool moved = partition->high_watermark != news->high_watermark ||
                 partition->last_stable_offset != news->last_stable_offset ||
                 partition->log_start_offset != news->log_start_offset;
    // A failure is told every time; what was told before it counts no more, so that its end is news, too.
    partition->high_watermark = news->failed ? NOTHING_TOLD : news->high_watermark;
    partition->last_stable_offset = news->last_stable_offset;
    partition->log_start_offset = news->log_start_offset;
    return moved || news->records || news->failed || news->redirects;
}

void fetch_session_rotate(struct fetch_session *session, struct fetch_partition *partition)
{
    uint64_t key = partition_key(partition->topic, partition->index);
    void *removed = map_remove_u64(&session->partitions, key);
    ASSERT(removed == partition);
    map_put_u64(&session->partitions, key, partition);
}

void fetch_session_name(struct fetch_topic *topic, const char *name)
{
    if (topic->name.data == NULL)
        topic->name = copy_of(slice_str(name));
}
