// SPDX-License-Identifier: Apache-2.0
// See fetch_sessions.h. The list by last use finds what is stale in one step; who gives way to a larger one
// is searched, which happens only when every slot is taken.
#include "fetch_sessions.h"

#include "base/assert.h"
#include "base/mem.h"
#include "kafka/errors.h"

struct fetch_sessions {
    struct fetch_sessions_config config;
    struct map by_id;
    struct fetch_cached *newest, *oldest; // by last use
    int64_t partitions;
    struct metric m_sessions, m_partitions, m_evictions, m_declined;
};

static struct metric *const *metrics_of(struct fetch_sessions *sessions, struct metric *all[5])
{
    all[0] = &sessions->m_sessions;
    all[1] = &sessions->m_partitions;
    all[2] = &sessions->m_evictions;
    all[3] = &sessions->m_declined;
    all[4] = NULL;
    return all;
}

struct fetch_sessions *fetch_sessions_new(const struct fetch_sessions_config *config)
{
    struct fetch_sessions *sessions = mem_calloc(1, sizeof *sessions);
    struct metric *all[5];
    sessions->config = *config;
    map_init(&sessions->by_id, config->seed);
    sessions->m_sessions = (struct metric){.name = "millrace_storage_fetch_sessions",
                                           .help = "Incremental fetch sessions.",
                                           .kind = METRIC_GAUGE};
    sessions->m_partitions = (struct metric){.name = "millrace_storage_fetch_session_partitions",
                                             .help = "Partitions that fetch sessions remember.",
                                             .kind = METRIC_GAUGE};
    sessions->m_evictions = (struct metric){.name = "millrace_storage_fetch_session_evictions_total",
                                            .help = "Fetch sessions that gave way to new ones.",
                                            .kind = METRIC_COUNTER};
    sessions->m_declined = (struct metric){.name = "millrace_storage_fetch_sessions_declined_total",
                                           .help = "Fetch sessions that found no room.",
                                           .kind = METRIC_COUNTER};
    for (struct metric *const *metric = metrics_of(sessions, all); *metric != NULL && config->registry;
         metric++)
        metric_add(config->registry, *metric);
    return sessions;
}

// ---- counting, and the order of last use ----

static void count(struct fetch_sessions *sessions, struct fetch_cached *cached, int32_t partitions)
{
    sessions->partitions += partitions - cached->counted;
    cached->counted = partitions;
    metric_set(&sessions->m_partitions, sessions->partitions);
}

static void unlink_use(struct fetch_cached *cached)
{
    struct fetch_sessions *sessions = cached->sessions;
    *(cached->newer ? &cached->newer->older : &sessions->newest) = cached->older;
    *(cached->older ? &cached->older->newer : &sessions->oldest) = cached->newer;
    cached->newer = cached->older = NULL;
}

static void link_use(struct fetch_sessions *sessions, struct fetch_cached *cached)
{
    cached->older = sessions->newest;
    *(sessions->newest ? &sessions->newest->newer : &sessions->oldest) = cached;
    sessions->newest = cached;
}

void fetch_cached_unref(struct fetch_cached **pointer)
{
    struct fetch_cached *cached = *pointer;
    *pointer = NULL;
    if (cached == NULL || --cached->refs > 0)
        return;
    ASSERT(cached->sessions == NULL);
    fetch_session_fini(&cached->content);
    mem_free(cached);
}

// Requests in progress may still hold it.
static void end(struct fetch_cached *cached)
{
    struct fetch_sessions *sessions = cached->sessions;
    count(sessions, cached, 0);
    unlink_use(cached);
    map_remove_u64(&sessions->by_id, (uint32_t)cached->id);
    metric_set(&sessions->m_sessions, (int64_t)sessions->by_id.count);
    cached->sessions = NULL;
    fetch_cached_unref(&cached);
}

void fetch_sessions_end(struct fetch_sessions *sessions, int32_t id)
{
    struct fetch_cached *cached = map_get_u64(&sessions->by_id, (uint32_t)id);
    if (cached != NULL)
        end(cached);
}

void fetch_sessions_destroy(struct fetch_sessions **pointer)
{
    struct fetch_sessions *sessions = *pointer;
    struct metric *all[5];
    *pointer = NULL;
    if (sessions == NULL)
        return;
    while (sessions->newest != NULL)
        end(sessions->newest);
    map_fini(&sessions->by_id);
    for (struct metric *const *metric = metrics_of(sessions, all);
         *metric != NULL && sessions->config.registry; metric++)
        metric_remove(sessions->config.registry, *metric);
    mem_free(sessions);
}

// ---- using one ----

int32_t fetch_epoch_next(int32_t epoch)
{
    if (epoch < 0)
        return FETCH_EPOCH_NONE;
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

int16_t fetch_sessions_use(struct fetch_sessions *sessions, int32_t id, int32_t epoch, bool by_id,
                           struct fetch_cached **cached)
{
    struct fetch_cached *found = map_get_u64(&sessions->by_id, (uint32_t)id);
    *cached = NULL;
    if (found == NULL)
        return KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND;
    if (found->epoch != epoch)
        return KAFKA_ERR_INVALID_FETCH_SESSION_EPOCH;
    if (found->content.by_id != by_id)
        return KAFKA_ERR_FETCH_SESSION_TOPIC_ID_ERROR;
    found->epoch = fetch_epoch_next(epoch);
    found->refs++;
    *cached = found;
    return KAFKA_ERR_NONE;
}

// Partitions of all sessions, those included that the session has got since it was counted.
static int64_t partitions_with(const struct fetch_cached *cached)
{
    return cached->sessions->partitions + fetch_session_size(&cached->content) - cached->counted;
}

bool fetch_sessions_room(const struct fetch_cached *cached)
{
    return partitions_with(cached) <= cached->sessions->config.partitions_max;
}

bool fetch_sessions_used(struct fetch_cached *cached, int64_t now_ms)
{
    struct fetch_sessions *sessions = cached->sessions;
    ASSERT(sessions != NULL);
    int32_t size = fetch_session_size(&cached->content);
    if (size > cached->counted && !fetch_sessions_room(cached)) {
        end(cached);
        metric_inc(&sessions->m_declined, 1);
        return false;
    }
    count(sessions, cached, size);
    unlink_use(cached);
    link_use(sessions, cached);
    cached->used_ms = now_ms;
    cached->settled = now_ms - cached->made_ms > sessions->config.evict_ms;
    return true;
}

// ---- making one ----

// Smaller ones go first, of equal ones the lower id (Kafka's EvictableKey).
static bool worth_less(const struct fetch_cached *one, const struct fetch_cached *other)
{
    return one->counted != other->counted ? one->counted < other->counted : one->id < other->id;
}

static struct fetch_cached *gives_way(const struct fetch_sessions *sessions, int32_t size, int64_t now_ms)
{
    struct fetch_cached *least = NULL;
    if (sessions->oldest != NULL && now_ms - sessions->oldest->used_ms > sessions->config.evict_ms)
        return sessions->oldest;
    for (struct fetch_cached *at = sessions->newest; at != NULL; at = at->older)
        if (at->settled && (least == NULL || worth_less(at, least)))
            least = at;
    return least != NULL && least->counted < size ? least : NULL;
}

static bool make_room(struct fetch_sessions *sessions, int32_t size, int64_t now_ms)
{
    if (sessions->config.slots <= 0 || size > sessions->config.partitions_max)
        return false;
    bool full = sessions->by_id.count >= (size_t)sessions->config.slots ||
                sessions->partitions + size > sessions->config.partitions_max;
    if (!full)
        return true;
    struct fetch_cached *leaving = gives_way(sessions, size, now_ms);
    if (leaving == NULL)
        return false;
    end(leaving);
    metric_inc(&sessions->m_evictions, 1);
    return sessions->partitions + size <= sessions->config.partitions_max;
}

// Positive, as Kafka's; 0 means none.
static int32_t free_id(const struct fetch_sessions *sessions, uint64_t random)
{
    int32_t id = (int32_t)(random & INT32_MAX);
    while (id == 0 || map_get_u64(&sessions->by_id, (uint32_t)id) != NULL)
        id = id == INT32_MAX ? 1 : id + 1;
    return id;
}

struct fetch_cached *fetch_sessions_make(struct fetch_sessions *sessions, bool by_id, int32_t size,
                                         uint64_t random, int64_t now_ms)
{
    if (!make_room(sessions, size, now_ms)) {
        metric_inc(&sessions->m_declined, 1);
        return NULL;
    }
    struct fetch_cached *cached = mem_calloc(1, sizeof *cached);
    fetch_session_init(&cached->content, by_id, sessions->config.seed ^ random);
    cached->id = free_id(sessions, random);
    cached->epoch = fetch_epoch_next(FETCH_EPOCH_NEW);
    cached->refs = 2;
    cached->sessions = sessions;
    cached->made_ms = cached->used_ms = now_ms;
    map_put_u64(&sessions->by_id, (uint32_t)cached->id, cached);
    link_use(sessions, cached);
    metric_set(&sessions->m_sessions, (int64_t)sessions->by_id.count);
    return cached;
}

int32_t fetch_sessions_count(const struct fetch_sessions *sessions)
{
    return (int32_t)sessions->by_id.count;
}

int64_t fetch_sessions_partitions(const struct fetch_sessions *sessions)
{
    return sessions->partitions;
}
