// SPDX-License-Identifier: Apache-2.0
// See share_sessions.h. No session gives way to another, as in Kafka: one that is lost would leave its
// member's records locked.
#include "share_sessions.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "fetch_sessions.h"
#include "kafka/errors.h"

#include <string.h>

struct share_sessions {
    struct share_sessions_config config;
    struct map by_key;   // group and member, see key_bytes
    struct map by_group; // how many
    int64_t partitions;
    struct metric m_sessions, m_partitions, m_declined;
};

enum { METRICS = 3 };

static void metrics_of(struct share_sessions *sessions, struct metric *all[METRICS])
{
    all[0] = &sessions->m_sessions;
    all[1] = &sessions->m_partitions;
    all[2] = &sessions->m_declined;
}

struct share_sessions *share_sessions_new(const struct share_sessions_config *config)
{
    struct share_sessions *sessions = mem_calloc(1, sizeof *sessions);
    struct metric *all[METRICS];
    sessions->config = *config;
    map_init(&sessions->by_key, config->seed);
    map_init(&sessions->by_group, config->seed);
    sessions->m_sessions = (struct metric){
        .name = "millrace_storage_share_sessions", .help = "Share sessions.", .kind = METRIC_GAUGE};
    sessions->m_partitions = (struct metric){.name = "millrace_storage_share_session_partitions",
                                             .help = "Partitions that share sessions remember.",
                                             .kind = METRIC_GAUGE};
    sessions->m_declined = (struct metric){.name = "millrace_storage_share_sessions_declined_total",
                                           .help = "Share sessions that found no room.",
                                           .kind = METRIC_COUNTER};
    metrics_of(sessions, all);
    for (int i = 0; i < METRICS && config->registry != NULL; i++)
        metric_add(config->registry, all[i]);
    return sessions;
}

// ---- keys ----

// The group's length, the group, the member: no two sessions have the same bytes. Owned by the caller.
static struct slice key_bytes(const struct share_session_key *key)
{
    size_t len = 4 + key->group.len + key->member.len;
    uint8_t *bytes = mem_calloc(1, len);
    store_be32(bytes, (uint32_t)key->group.len);
    if (key->group.len > 0)
        memcpy(bytes + 4, key->group.data, key->group.len);
    if (key->member.len > 0)
        memcpy(bytes + 4 + key->group.len, key->member.data, key->member.len);
    return slice_of(bytes, len);
}

static void slice_free(struct slice slice)
{
    mem_free((void *)(uintptr_t)slice.data);
}

static struct slice copy_of(struct slice name)
{
    return slice_of(mem_strndup(name.len > 0 ? (const char *)name.data : "", name.len), name.len);
}

static struct share_session *find(const struct share_sessions *sessions, const struct share_session_key *key)
{
    struct slice bytes = key_bytes(key);
    struct share_session *session = map_get(&sessions->by_key, bytes);
    slice_free(bytes);
    return session;
}

// ---- ends ----

static void count(struct share_sessions *sessions, struct share_session *session, int32_t partitions)
{
    sessions->partitions += partitions - session->counted;
    session->counted = partitions;
    metric_set(&sessions->m_partitions, sessions->partitions);
}

int32_t share_sessions_group(const struct share_sessions *sessions, struct slice group)
{
    return (int32_t)(intptr_t)map_get(&sessions->by_group, group);
}

static void count_group(struct share_sessions *sessions, struct slice group, int32_t more)
{
    intptr_t now = share_sessions_group(sessions, group) + more;
    if (now == 0)
        map_remove(&sessions->by_group, group);
    else
        map_put(&sessions->by_group, group, (void *)now);
}

void share_session_unref(struct share_session **pointer)
{
    struct share_session *session = *pointer;
    *pointer = NULL;
    if (session == NULL || --session->refs > 0)
        return;
    ASSERT(session->sessions == NULL);
    fetch_session_fini(&session->content);
    slice_free(session->key.group);
    slice_free(session->key.member);
    mem_free(session);
}

void share_session_end(struct share_session *session)
{
    struct share_sessions *sessions = session->sessions;
    if (sessions == NULL)
        return;
    struct slice bytes = key_bytes(&session->key);
    map_remove(&sessions->by_key, bytes);
    slice_free(bytes);
    count(sessions, session, 0);
    count_group(sessions, session->key.group, -1);
    metric_set(&sessions->m_sessions, (int64_t)sessions->by_key.count);
    session->sessions = NULL;
    share_session_unref(&session);
}

// To look at all of them at every connection that ends is cheap: there are sessions_max, mostly none.
void share_sessions_disconnected(struct share_sessions *sessions, uint64_t connection,
                                 share_session_ended_fn *ended, void *context)
{
    struct map_entry *at = NULL;
    void *value;
    while (map_next(&sessions->by_key, &at, NULL, &value)) {
        struct share_session *session = value;
        if (session->connection != connection)
            continue;
        session->refs++;
        share_session_end(session);
        ended(context, session);
        share_session_unref(&session);
    }
}

void share_sessions_destroy(struct share_sessions **pointer)
{
    struct share_sessions *sessions = *pointer;
    struct metric *all[METRICS];
    struct map_entry *at = NULL;
    void *value;
    *pointer = NULL;
    if (sessions == NULL)
        return;
    while (map_next(&sessions->by_key, &at, NULL, &value))
        share_session_end(value);
    map_fini(&sessions->by_key);
    map_fini(&sessions->by_group);
    metrics_of(sessions, all);
    for (int i = 0; i < METRICS && sessions->config.registry != NULL; i++)
        metric_remove(sessions->config.registry, all[i]);
    mem_free(sessions);
}

// ---- beginning and using one ----

static struct share_session *make(struct share_sessions *sessions, const struct share_session_key *key,
                                  uint64_t connection)
{
    struct share_session *session = mem_calloc(1, sizeof *session);
    fetch_session_init(&session->content, true, sessions->config.seed);
    session->key = (struct share_session_key){copy_of(key->group), copy_of(key->member)};
    session->connection = connection;
    session->epoch = fetch_epoch_next(SHARE_EPOCH_FIRST);
    session->refs = 2;
    session->sessions = sessions;
    return session;
}

int16_t share_sessions_begin(struct share_sessions *sessions, const struct share_session_key *key,
                             uint64_t connection, struct share_session **session)
{
    struct share_session *before = find(sessions, key);
    *session = NULL;
    if (before != NULL)
        share_session_end(before);
    if (sessions->by_key.count >= (size_t)sessions->config.sessions_max) {
        metric_inc(&sessions->m_declined, 1);
        return KAFKA_ERR_SHARE_SESSION_LIMIT_REACHED;
    }
    *session = make(sessions, key, connection);
    struct slice bytes = key_bytes(key);
    map_put(&sessions->by_key, bytes, *session);
    count_group(sessions, key->group, 1);
    slice_free(bytes);
    metric_set(&sessions->m_sessions, (int64_t)sessions->by_key.count);
    return KAFKA_ERR_NONE;
}

int16_t share_sessions_use(struct share_sessions *sessions, const struct share_session_key *key,
                           int32_t epoch, struct share_session **session)
{
    *session = NULL;
    if (epoch == SHARE_EPOCH_FIRST)
        return KAFKA_ERR_INVALID_SHARE_SESSION_EPOCH;
    struct share_session *found = find(sessions, key);
    if (found == NULL)
        return KAFKA_ERR_SHARE_SESSION_NOT_FOUND;
    if (epoch != SHARE_EPOCH_LAST && epoch != found->epoch)
        return KAFKA_ERR_INVALID_SHARE_SESSION_EPOCH;
    if (epoch != SHARE_EPOCH_LAST)
        found->epoch = fetch_epoch_next(epoch);
    found->refs++;
    *session = found;
    return KAFKA_ERR_NONE;
}

bool share_session_room(const struct share_session *session)
{
    const struct share_sessions *sessions = session->sessions;
    int64_t more = fetch_session_size(&session->content) - session->counted;
    return more <= 0 || sessions->partitions + more <= sessions->config.partitions_max;
}

bool share_session_used(struct share_session *session)
{
    struct share_sessions *sessions = session->sessions;
    ASSERT(sessions != NULL);
    if (!share_session_room(session)) {
        share_session_end(session);
        metric_inc(&sessions->m_declined, 1);
        return false;
    }
    count(sessions, session, fetch_session_size(&session->content));
    return true;
}

// ---- answers ----

// Share groups are told of no watermarks: what they are does not change.
bool share_session_news(struct fetch_partition *partition, const struct share_news *news)
{
    struct fetch_news told = {.records = news->records, .failed = news->failed};
    return fetch_session_news(partition, &told) || news->acknowledged;
}

int32_t share_sessions_count(const struct share_sessions *sessions)
{
    return (int32_t)sessions->by_key.count;
}

int64_t share_sessions_partitions(const struct share_sessions *sessions)
{
    return sessions->partitions;
}
