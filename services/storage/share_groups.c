// SPDX-License-Identifier: Apache-2.0
// See share_groups.h.
#include "share_groups.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/configs.h"
#include "cluster/shard.h"
#include "dead_letters.h"
#include "partitions.h"
#include "storage.h"

#include <stdlib.h>
#include <string.h>

enum {
    SWEEP_MS = 1000,
    ASK_MS = 15000,                    // of one question to the share coordinator, repeats included
    ASK_TRY_MS = 4000,                 // ... of one of them
    SERVED_NAME_MAX = 40000,           // a group id, a topic id, a number
    SESSION_PARTITIONS_MAX = 256 << 10 // of all share sessions; about 150 bytes each
};

struct share_groups {
    struct storage *storage;
    struct env *env;
    struct share_sessions *sessions;
    struct dead_office office;
    struct map served; // by name, struct share_served
    int64_t served_max;
    struct timer sweep;
    struct metric m_served, m_held, m_waiting, m_writes, m_acquired, m_expired, m_archived, m_ended;
};

enum { METRICS = 8 };

// ---- metrics ----

static void metrics_of(struct share_groups *groups, struct metric *all[METRICS])
{
    all[0] = &groups->m_served;
    all[1] = &groups->m_held;
    all[2] = &groups->m_waiting;
    all[3] = &groups->m_writes;
    all[4] = &groups->m_acquired;
    all[5] = &groups->m_expired;
    all[6] = &groups->m_archived;
    all[7] = &groups->m_ended;
}

static void metrics_name(struct share_groups *groups)
{
#define GAUGE(text, about) {.name = "millrace_storage_share_" text, .help = about, .kind = METRIC_GAUGE}
#define COUNTER(text, about)                                                                                 \
    {                                                                                                        \
        .name = "millrace_storage_share_" text, .help = about, .kind = METRIC_COUNTER                        \
    }
    groups->m_served = (struct metric)GAUGE("partitions", "Share partitions served here.");
    groups->m_held = (struct metric)GAUGE("records_acquired", "Records that members hold.");
    groups->m_waiting = (struct metric)GAUGE("records_available",
                                             "Records that were delivered before and wait for a member.");
    groups->m_writes = (struct metric)GAUGE("writes_pending", "Writes to share coordinators not done yet.");
    groups->m_acquired = (struct metric)COUNTER("acquired_total", "Records given to members.");
    groups->m_expired =
        (struct metric)COUNTER("locks_expired_total", "Records whose member did not answer in time.");
    groups->m_archived = (struct metric)COUNTER("undeliverable_total",
                                                "Records given up because they were delivered too often.");
    groups->m_ended = (struct metric)COUNTER(
        "partitions_ended_total", "Share partitions that ended before their members did, and are read anew.");
#undef GAUGE
#undef COUNTER
}

static void measure(struct share_groups *groups)
{
    int64_t held = 0, waiting = 0, writes = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&groups->served, &at, NULL, &value);) {
        const struct share_served *served = value;
        writes += served->pending;
        if (served->state != SHARE_READY)
            continue;
        held += served->partition.runs.acquired;
        waiting += served->partition.runs.available;
    }
    metric_set(&groups->m_served, (int64_t)groups->served.count);
    metric_set(&groups->m_held, held);
    metric_set(&groups->m_waiting, waiting);
    metric_set(&groups->m_writes, writes);
}

void share_groups_acquired(struct share_groups *groups, int64_t records)
{
    metric_inc(&groups->m_acquired, records);
}

void share_groups_expired(struct share_groups *groups, const struct share_write *write)
{
    for (size_t i = 0; i < write->count; i++) {
        const struct share_batch *batch = &write->batches[i];
        metric_inc(&groups->m_expired, batch->last - batch->first + 1);
    }
}

void share_groups_over(struct share_groups *groups, const struct share_write *write)
{
    for (size_t i = 0; i < write->count; i++)
        if (write->batches[i].death == SHARE_WORN_OUT)
            metric_inc(&groups->m_archived, write->batches[i].last - write->batches[i].first + 1);
}

// ---- configuration ----

struct env *share_groups_env(const struct share_groups *groups)
{
    return groups->env;
}

// A key that follows one of the node's has the node's value.
const char *share_groups_setting(const struct share_groups *groups, const char *group, const char *key)
{
    const char *value =
        image_config(storage_image(groups->storage), MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP, group, key);
    const struct configs_key *row = configs_group_key(slice_str(key));
    ASSERT(row != NULL);
    return value != NULL ? value : row->fallback;
}

bool share_groups_read_committed(const struct share_groups *groups, const char *group)
{
    return strcmp(share_groups_setting(groups, group, "share.isolation.level"), "read_committed") == 0;
}

// A number of the group's configuration, that of this node when it has none. The controller has checked it.
static int32_t group_number(const struct share_groups *groups, const char *group, const char *key)
{
    const char *value =
        image_config(storage_image(groups->storage), MILLRACE__RESOURCE_TYPE__RESOURCE_GROUP, group, key);
    if (value != NULL)
        return (int32_t)strtol(value, NULL, 10);
    return (int32_t)config_int(storage_config(groups->storage), configs_group_key(slice_str(key))->node_key);
}

int32_t share_groups_lock_ms(const struct share_groups *groups, const char *group)
{
    return group_number(groups, group, "share.record.lock.duration.ms");
}

struct share_limits share_groups_limits(const struct share_groups *groups, const char *group)
{
    return (struct share_limits){
        .locks_max = group_number(groups, group, "share.partition.max.record.locks"),
        .deliveries_max = (int16_t)group_number(groups, group, "share.delivery.count.limit"),
        .lock_ms = share_groups_lock_ms(groups, group),
        .no_renewals =
            strcmp(share_groups_setting(groups, group, "share.renew.acknowledge.enable"), "false") == 0};
}

// ---- share partitions ----

struct replica *share_groups_replica(const struct share_served *served)
{
    struct partitions *partitions = storage_partitions(served->groups->storage);
    struct replica *replica =
        partitions != NULL ? partitions_find(partitions, served->topic, served->index) : NULL;
    return share_served_current(served, replica) && replica->log != NULL ? replica : NULL;
}

struct relay *share_groups_ask(struct share_served *served, struct block *frame, relay_fn *done)
{
    static const struct principal self = {.name = PRINCIPAL_ANONYMOUS, .listener = "", .host = ""};
    struct relay_call call = {.frame = frame,
                              .principal = &self,
                              .target = RELAY_SHARE,
                              .key = block_slice(served->name),
                              .repeatable = true,
                              .timeout_ms = ASK_MS,
                              .try_ms = ASK_TRY_MS,
                              .done = done,
                              .context = served};
    served->asked_us = env_now_us(served->groups->env);
    return relay_start(storage_relays(served->groups->storage), &call);
}

static void remove_served(struct share_groups *groups, struct share_served *served, enum status status)
{
    map_remove(&groups->served, block_slice(served->name));
    share_served_destroy(&served, status);
}

void share_groups_drop(struct share_served *served, enum status status)
{
    struct share_groups *groups = served->groups;
    metric_inc(&groups->m_ended, 1);
    remove_served(groups, served, status);
}

// NULL when memory is short.
static struct block *name_of(struct slice group, const struct replica *replica)
{
    struct buf name;
    struct block *block = NULL;
    buf_init(&name, SERVED_NAME_MAX);
    if (shard_share_key(group, replica->topic_id, replica->index, &name) == ST_OK)
        block = block_copy(buf_slice(&name));
    buf_fini(&name);
    return block;
}

static struct share_served *find_named(struct share_groups *groups, const struct block *name,
                                       const struct replica *replica)
{
    struct share_served *served = map_get(&groups->served, block_slice(name));
    if (served == NULL)
        return NULL;
    if (!share_served_current(served, replica)) {
        share_groups_drop(served, ST_NOT_LEADER);
        return NULL;
    }
    if (served->retiring && share_served_quiet(served)) { // the group may have begun anew meanwhile
        remove_served(groups, served, ST_NOT_LEADER);
        return NULL;
    }
    served->retiring = false;
    if (served->state >= SHARE_STARTING)
        served->partition.limits = share_groups_limits(groups, served->group); // may be altered at any time
    return served;
}

struct share_served *share_groups_find(struct share_groups *groups, struct slice group,
                                       const struct replica *replica)
{
    struct block *name = name_of(group, replica);
    struct share_served *served = name != NULL ? find_named(groups, name, replica) : NULL;
    block_unref(&name);
    return served;
}

const struct share_served *share_groups_look(const struct share_groups *groups, struct slice group,
                                             const struct replica *replica)
{
    struct block *name = name_of(group, replica);
    const struct share_served *served = name != NULL ? map_get(&groups->served, block_slice(name)) : NULL;
    block_unref(&name);
    return served != NULL && share_served_current(served, replica) ? served : NULL;
}

const struct share_served *share_groups_next(const struct share_groups *groups, struct map_entry **cursor)
{
    void *served;
    return map_next(&groups->served, cursor, NULL, &served) ? served : NULL;
}

struct share_served *share_groups_serve(struct share_groups *groups, struct slice group,
                                        struct replica *replica)
{
    struct block *name = name_of(group, replica);
    struct share_served *served = name != NULL ? find_named(groups, name, replica) : NULL;
    if (served == NULL && name != NULL && (int64_t)groups->served.count < groups->served_max) {
        served = share_served_new(groups, group, name, replica);
        map_put(&groups->served, block_slice(name), served);
    }
    block_unref(&name);
    return served;
}

struct dead_office *share_groups_office(struct share_groups *groups)
{
    return &groups->office;
}

// ---- sessions ----

struct share_sessions *share_groups_sessions(struct share_groups *groups)
{
    return groups->sessions;
}

static void release(struct share_groups *groups, const struct share_session *session)
{
    struct map_entry *at = NULL;
    struct fetch_partition *partition;
    while ((partition = fetch_session_next(&session->content, &at)) != NULL) {
        struct partitions *partitions = storage_partitions(groups->storage);
        struct replica *replica = partitions_find(partitions, partition->topic->id, partition->index);
        struct share_served *served =
            replica != NULL ? share_groups_find(groups, session->key.group, replica) : NULL;
        if (served != NULL)
            share_served_release(served, session->key.member);
    }
}

// With the group's last session here its share partitions end: it may be empty now, and begin elsewhere when
// it comes back (AlterShareGroupOffsets).
static void retire(struct share_groups *groups, struct slice group)
{
    void *value;
    if (share_sessions_group(groups->sessions, group) > 0)
        return;
    for (struct map_entry *at = NULL; map_next(&groups->served, &at, NULL, &value);) {
        struct share_served *served = value;
        if (!slice_is(group, served->group))
            continue;
        served->retiring = true;
        if (share_served_quiet(served))
            remove_served(groups, served, ST_NOT_LEADER);
    }
}

void share_groups_end_session(struct share_groups *groups, struct share_session *session)
{
    release(groups, session);
    share_session_end(session);
    retire(groups, session->key.group);
}

static void on_ended(void *context, const struct share_session *session)
{
    release(context, session);
    retire(context, session->key.group);
}

void share_groups_disconnected(struct share_groups *groups, uint64_t connection)
{
    share_sessions_disconnected(groups->sessions, connection, on_ended, groups);
}

// ---- the clock ----

static void sweep_one(struct share_groups *groups, struct share_served *served)
{
    if (share_sessions_group(groups->sessions, slice_str(served->group)) == 0)
        served->retiring = true;
    if (share_groups_replica(served) == NULL)
        share_groups_drop(served, ST_NOT_LEADER);
    else if (served->retiring && share_served_quiet(served))
        remove_served(groups, served, ST_NOT_LEADER);
}

static void on_sweep(struct timer *timer)
{
    struct share_groups *groups = timer->context;
    void *value;
    for (struct map_entry *at = NULL; map_next(&groups->served, &at, NULL, &value);)
        sweep_one(groups, value);
    measure(groups);
    timer_start_ms(groups->env, &groups->sweep, SWEEP_MS);
}

// ---- life ----

struct share_groups *share_groups_new(struct storage *storage)
{
    struct share_groups *groups = mem_calloc(1, sizeof *groups);
    struct env *env = storage_env(storage);
    const struct config *config = storage_config(storage);
    groups->storage = storage;
    groups->env = env;
    groups->served_max = config_int(config, "share.partitions.served.max");
    groups->sessions = share_sessions_new(&(struct share_sessions_config){
        .sessions_max = (int32_t)config_int(config, "group.share.max.share.sessions"),
        .partitions_max = SESSION_PARTITIONS_MAX,
        .seed = env_random(env),
        .registry = env->metrics});
    map_init(&groups->served, env_random(env));
    dead_office_init(&groups->office, storage);
    timer_init(&groups->sweep, on_sweep, groups);
    timer_start_ms(env, &groups->sweep, SWEEP_MS);
    metrics_name(groups);
    struct metric *all[METRICS];
    metrics_of(groups, all);
    for (int i = 0; i < METRICS; i++)
        metric_add(env->metrics, all[i]);
    return groups;
}

void share_groups_destroy(struct share_groups **pointer)
{
    struct share_groups *groups = *pointer;
    *pointer = NULL;
    if (groups == NULL)
        return;
    timer_stop(groups->env, &groups->sweep);
    void *value;
    for (struct map_entry *at = NULL; map_next(&groups->served, &at, NULL, &value);)
        remove_served(groups, value, ST_CANCELLED);
    map_fini(&groups->served);
    dead_office_fini(&groups->office);
    share_sessions_destroy(&groups->sessions);
    struct metric *all[METRICS];
    metrics_of(groups, all);
    for (int i = 0; i < METRICS; i++)
        metric_remove(groups->env->metrics, all[i]);
    mem_free(groups);
}
