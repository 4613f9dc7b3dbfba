// SPDX-License-Identifier: Apache-2.0
// A shard of __consumer_offsets. See shard.h.
#include "shard.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "group_record.h"
#include "shard_state.h"

enum { RECORD_BYTES_MAX = 32 << 20, PUT_OFF_MS = 2000 };

static void on_group_timer(struct timer *timer);

// ---- groups ----

static struct shard_group *cell_new(struct shard *shard, struct slice group_id)
{
    struct group *group = group_new(group_id, &shard->options.settings->group, shard->options.sink);
    if (group == NULL)
        return NULL;
    struct shard_group *cell = mem_calloc(1, sizeof *cell);
    cell->shard = shard;
    cell->group = group;
    offsets_init(&cell->offsets);
    map_init(&cell->pending, 0);
    timer_init(&cell->timer, on_group_timer, cell);
    map_put(&shard->groups, group_id, cell);
    return cell;
}

static void cell_free(void *value)
{
    struct shard_group *cell = value;
    timer_stop(cell->shard->options.env, &cell->timer);
    lag_forget(&cell->lag);
    offsets_fini(&cell->offsets);
    shard_forget_pending(cell);
    map_fini(&cell->pending);
    consumer_group_destroy(&cell->consumer);
    streams_group_destroy(&cell->streams);
    shard_share_drop(cell);
    group_destroy(&cell->group);
    mem_free(cell);
}

static void unlist(struct shard_group *cell)
{
    struct shard_group **at = &cell->shard->dirty;
    while (*at != NULL && *at != cell)
        at = &(*at)->next;
    if (*at != NULL)
        *at = cell->next;
    cell->next = NULL;
    cell->listed = false;
}

void shard_drop(struct shard_group *cell)
{
    if (cell->listed)
        unlist(cell);
    map_remove(&cell->shard->groups, group_id(cell->group));
    cell_free(cell);
}

struct shard_group *shard_cell(struct shard *shard, struct slice group_id)
{
    struct shard_group *cell = map_get(&shard->groups, group_id);
    return cell != NULL ? cell : cell_new(shard, group_id);
}

struct shard_group *shard_find(struct shard *shard, struct slice group_id, bool create)
{
    struct shard_group *cell = map_get(&shard->groups, group_id);
    if (cell != NULL || !create || shard->groups.count >= (size_t)shard->options.settings->groups_max)
        return cell;
    return cell_new(shard, group_id);
}

static void set_clock(struct shard_group *cell)
{
    struct env *env = cell->shard->options.env;
    int64_t wake_us = group_wake_us(cell->group);
    if (cell->consumer != NULL)
        wake_us = consumer_wake_us(cell->consumer);
    else if (cell->streams != NULL)
        wake_us = streams_wake_us(cell->streams);
    else if (cell->share != NULL)
        wake_us = share_group_wake_us(cell->share);
    if (wake_us == GROUP_NEVER_US) {
        timer_stop(env, &cell->timer);
        return;
    }
    if (timer_running(&cell->timer) && cell->timer.at_us == wake_us)
        return;
    int64_t delay_us = wake_us - env_now_us(env);
    timer_start_us(env, &cell->timer, delay_us > 0 ? delay_us : 0);
}

static bool unused(const struct shard_group *cell)
{
    return group_unused(cell->group) && (cell->consumer == NULL || consumer_unused(cell->consumer)) &&
           (cell->streams == NULL || streams_unused(cell->streams)) &&
           (cell->share == NULL || share_group_unused(cell->share)) && cell->offsets.count == 0 &&
           cell->pending.count == 0;
}

static bool dirty(const struct shard_group *cell)
{
    return group_dirty(cell->group) || (cell->consumer != NULL && consumer_dirty(cell->consumer)) ||
           (cell->streams != NULL && streams_dirty(cell->streams)) ||
           (cell->share != NULL && share_group_dirty(cell->share));
}

void shard_changed(struct shard_group *cell)
{
    if (unused(cell)) {
        shard_drop(cell);
        return;
    }
    lag_noticed(cell->shard->options.lag, cell);
    shard_maybe_downgrade(cell);
    if (cell->share != NULL)
        shard_share_tell(cell);
    set_clock(cell);
    if (!dirty(cell) || cell->listed)
        return;
    struct shard_group **at = &cell->shard->dirty;
    while (*at != NULL)
        at = &(*at)->next;
    *at = cell;
    cell->listed = true;
    ledger_touch(cell->shard->ledger);
}

// Whoever could not reach us is not gone: what is due while members are not heard waits, and a little longer
// behind a short while of that. Behind a long one, maybe spent asleep, all sessions begin anew (shard_deaf).
static bool put_off(struct shard_group *cell)
{
    struct shard *shard = cell->shard;
    struct env *env = shard->options.env;
    bool heard = shard->options.hears(shard->options.context), before = cell->put_off;
    bool late = env_now_us(env) - cell->timer.at_us >= PUT_OFF_MS * 1000;
    cell->put_off = !heard;
    shard->deaf = shard->deaf || (!heard && (before || late));
    if (before || !heard)
        timer_start_ms(env, &cell->timer, PUT_OFF_MS);
    return before || !heard;
}

static void on_group_timer(struct timer *timer)
{
    struct shard_group *cell = timer->context;
    struct shard *shard = cell->shard;
    if (put_off(cell))
        return;
    if (cell->consumer != NULL)
        consumer_tick(cell->consumer, shard_now(shard));
    else if (cell->streams != NULL)
        streams_tick(cell->streams, shard_now(shard));
    else if (cell->share != NULL)
        share_group_tick(cell->share, shard_now(shard));
    else
        group_tick(cell->group, shard_now(shard));
    shard_changed(cell);
    shard->options.on_clock(shard->options.context, shard);
}

// ---- writing ----

static enum status append(struct shard *shard, struct buf *key, struct buf *value)
{
    return ledger_append(shard->ledger, buf_slice(key), value == NULL ? (struct slice){0} : buf_slice(value));
}

enum status shard_commit(struct shard_group *cell, struct slice topic, int32_t partition,
                         const struct offset_commit *commit)
{
    struct buf key, value;
    buf_init(&key, RECORD_BYTES_MAX);
    buf_init(&value, RECORD_BYTES_MAX);
    enum status status = offset_record_key(group_id(cell->group), topic, partition, &key);
    if (status == ST_OK)
        status = offset_record_value(commit, &value);
    if (status == ST_OK)
        status = append(cell->shard, &key, &value);
    buf_fini(&key);
    buf_fini(&value);
    return status;
}

enum status shard_forget(struct shard_group *cell, struct slice topic, int32_t partition)
{
    struct buf key;
    buf_init(&key, RECORD_BYTES_MAX);
    enum status status = offset_record_key(group_id(cell->group), topic, partition, &key);
    if (status == ST_OK)
        status = append(cell->shard, &key, NULL);
    buf_fini(&key);
    return status;
}

// The first offset of a group, committed or waiting; false when there is none.
static bool first_offset(const struct shard_group *cell, struct slice *topic, int32_t *partition)
{
    return offsets_first(&cell->offsets, topic, partition) || shard_first_pending(cell, topic, partition);
}

void shard_bury_classic(struct shard_group *cell)
{
    struct buf key;
    buf_init(&key, RECORD_BYTES_MAX);
    enum status status = group_record_key(group_id(cell->group), &key);
    if (status == ST_OK)
        status = append(cell->shard, &key, NULL);
    ASSERT(status == ST_OK); // a tombstone is small
    buf_fini(&key);
}

bool shard_delete(struct shard_group *cell)
{
    struct slice topic;
    int32_t partition;
    while (first_offset(cell, &topic, &partition)) {
        if (ledger_full(cell->shard->ledger) || shard_forget(cell, topic, partition) != ST_OK)
            return false;
    }
    if (cell->consumer != NULL)
        shard_bury_consumer(cell);
    else if (cell->streams != NULL)
        shard_bury_streams(cell);
    else if (cell->share != NULL)
        shard_bury_share(cell);
    else
        shard_bury_classic(cell);
    return true;
}

static enum status seal_classic(struct shard_group *cell, struct buf *key, struct buf *value)
{
    buf_clear(key);
    buf_clear(value);
    enum status status = group_record_key(group_id(cell->group), key);
    if (status == ST_OK)
        status = group_record_value(cell->group, value);
    if (status == ST_OK)
        status = ledger_snapshot(cell->shard->ledger, buf_slice(key), buf_slice(value));
    group_clean(cell->group);
    return status;
}

static enum status seal_one(struct shard_group *cell, struct buf *key, struct buf *value)
{
    enum status status = ST_OK;
    if (group_dirty(cell->group))
        status = seal_classic(cell, key, value);
    if (status == ST_OK && cell->consumer != NULL && consumer_dirty(cell->consumer))
        status = shard_seal_consumer(cell);
    if (status == ST_OK && cell->streams != NULL && streams_dirty(cell->streams))
        status = shard_seal_streams(cell);
    if (status == ST_OK && cell->share != NULL && share_group_dirty(cell->share))
        status = shard_seal_share(cell);
    if (status != ST_OK)
        DIAG_ERROR(&cell->shard->options.env->diag, "cannot write group shard=%d error=\"%s\"",
                   cell->shard->options.index, status_text(status));
    return status;
}

static enum status on_seal(void *context)
{
    struct shard *shard = context;
    enum status status = ST_OK;
    struct buf key, value;
    buf_init(&key, RECORD_BYTES_MAX);
    buf_init(&value, RECORD_BYTES_MAX);
    while (status == ST_OK && shard->dirty != NULL) {
        struct shard_group *cell = shard->dirty;
        shard->dirty = cell->next;
        cell->next = NULL;
        cell->listed = false;
        status = seal_one(cell, &key, &value);
    }
    buf_fini(&key);
    buf_fini(&value);
    return status;
}

// ---- applying ----

static enum status apply_offset(struct shard *shard, const struct record_key *key, struct slice value)
{
    struct shard_group *cell = map_get(&shard->groups, key->group);
    if (value.data == NULL) {
        if (cell != NULL) {
            offsets_remove(&cell->offsets, key->topic, key->partition);
            shard_drop_pending(cell, key->topic, key->partition);
        }
        return ST_OK;
    }
    struct offset_commit commit;
    enum status status = offset_record_parse(value, &commit);
    if (status == ST_OK)
        cell = shard_cell(shard, key->group);
    if (status != ST_OK || cell == NULL)
        return status == ST_OK ? ST_NO_MEMORY : status;
    commit.order = ++shard->order;
    lag_committed(shard->options.lag, cell, commit.commit_ms);
    return offsets_put(&cell->offsets, key->topic, key->partition, &commit);
}

// Loading: the newest snapshot counts. Live only the removal of a group comes here.
static enum status apply_group(struct shard *shard, const struct record_key *key, struct slice value)
{
    struct shard_group *cell = map_get(&shard->groups, key->group);
    if (value.data == NULL && ledger_ready(shard->ledger)) {
        if (cell != NULL && !cell->converting)
            shard_drop(cell);
        return ST_OK;
    }
    if (cell == NULL && value.data != NULL)
        cell = cell_new(shard, key->group);
    if (cell == NULL)
        return value.data == NULL ? ST_OK : ST_NO_MEMORY;
    if (value.data != NULL) {
        consumer_group_destroy(&cell->consumer);
        streams_group_destroy(&cell->streams);
    }
    struct group *fresh = group_new(key->group, &shard->options.settings->group, shard->options.sink);
    if (fresh == NULL)
        return ST_NO_MEMORY;
    enum status status = value.data == NULL ? ST_OK : group_record_load(fresh, value);
    if (status != ST_OK) {
        group_destroy(&fresh);
        return status;
    }
    group_destroy(&cell->group);
    cell->group = fresh;
    return ST_OK;
}

static void on_apply(void *context, int64_t timestamp_ms, struct slice key_bytes, struct slice value)
{
    struct shard *shard = context;
    struct record_key key;
    enum status status = record_key_parse(key_bytes, &key);
    if (status == ST_OK && key.kind == RECORD_OFFSET)
        status = apply_offset(shard, &key, value);
    else if (status == ST_OK && key.kind == RECORD_GROUP)
        status = apply_group(shard, &key, value);
    else if (status == ST_OK && key.kind == RECORD_CONSUMER)
        status = shard_apply_consumer(shard, key.type, key.bytes, value);
    else if (status == ST_OK && key.kind == RECORD_STREAMS)
        status = shard_apply_streams(shard, key.type, key.bytes, value);
    else if (status == ST_OK && key.kind == RECORD_SHARE)
        status = shard_apply_share(shard, key.type, key.bytes, value);
    else if (status == ST_OK)
        status = ST_UNSUPPORTED;
    if (status != ST_OK) // as Kafka: told and passed over, so that one bad record does not stop every group
        DIAG_WARN(&shard->options.env->diag,
                  "record passed over topic=" SHARD_TOPIC_GROUPS " shard=%d error=\"%s\"",
                  shard->options.index, status_text(status));
}

static void on_ready(void *context)
{
    struct shard *shard = context;
    struct group_now now = shard_now(shard);
    void *value;
    for (struct map_entry *at = NULL; map_next(&shard->groups, &at, NULL, &value);) {
        struct shard_group *cell = value;
        group_resume(cell->group, now);
        if (cell->consumer != NULL)
            consumer_resume(cell->consumer, now);
        if (cell->streams != NULL)
            streams_resume(cell->streams, now);
        if (cell->share != NULL)
            share_group_resume(cell->share, now);
        shard_changed(cell);
    }
    DIAG_INFO(&shard->options.env->diag,
              "shard loaded topic=" SHARD_TOPIC_GROUPS " shard=%d owner_epoch=%d groups=%zu",
              shard->options.index, shard->options.owner_epoch, shard->groups.count);
    shard->options.on_clock(shard->options.context, shard);
}

static void forget_groups(struct shard *shard)
{
    map_clear(&shard->groups, cell_free);
    shard_forget_txns(shard);
    shard->dirty = NULL;
}

static void on_reset(void *context)
{
    struct shard *shard = context;
    shard->options.on_reset(shard->options.context, shard->ledger);
    forget_groups(shard);
}

// ---- life ----

static void on_expiry(struct timer *timer)
{
    struct shard *shard = timer->context;
    timer_start_ms(shard->options.env, &shard->expiry, shard->options.settings->retention_check_ms);
    if (!shard_ready(shard))
        return;
    shard_expire(shard);
    shard->options.on_clock(shard->options.context, shard);
}

struct shard *shard_new(const struct shard_options *options)
{
    static const struct ledger_ops ops = {on_apply,          on_seal, on_reset, on_ready, shard_apply_pending,
                                          shard_apply_marker};
    struct shard *shard = mem_calloc(1, sizeof *shard);
    shard->options = *options;
    map_init(&shard->groups, 0);
    map_init(&shard->txns, 0);
    leap_init(&shard->leap, options->env);
    timer_init(&shard->expiry, on_expiry, shard);
    timer_start_ms(options->env, &shard->expiry, options->settings->retention_check_ms);
    struct ledger_config config = {
        .env = options->env,
        .rpc = options->rpc,
        .image = options->image,
        .loads = options->loads,
        .topic = SHARD_TOPIC_GROUPS,
        .partition = options->index,
        .owner = options->owner,
        .owner_epoch = options->owner_epoch,
        .metadata_offset = options->metadata_offset,
        .ops = &ops,
        .context = shard,
    };
    shard->ledger = ledger_new(&config);
    return shard;
}

void shard_destroy(struct shard **pointer)
{
    struct shard *shard = *pointer;
    *pointer = NULL;
    timer_stop(shard->options.env, &shard->expiry);
    ledger_destroy(&shard->ledger);
    forget_groups(shard);
    map_fini(&shard->groups);
    map_fini(&shard->txns);
    mem_free(shard);
}

int32_t shard_index(const struct shard *shard)
{
    return shard->options.index;
}

int32_t shard_owner_epoch(const struct shard *shard)
{
    return shard->options.owner_epoch;
}

bool shard_ready(const struct shard *shard)
{
    return ledger_ready(shard->ledger);
}

bool shard_deaf(const struct shard *shard)
{
    return shard->deaf;
}

struct ledger *shard_ledger(struct shard *shard)
{
    return shard->ledger;
}

const struct shard_settings *shard_settings(const struct shard *shard)
{
    return shard->options.settings;
}

bool shard_next(const struct shard *shard, struct map_entry **cursor, struct shard_group **cell)
{
    void *value;
    if (!map_next(&shard->groups, cursor, NULL, &value))
        return false;
    *cell = value;
    return true;
}

size_t shard_count(const struct shard *shard)
{
    return shard->groups.count;
}

struct group_now shard_now(const struct shard *shard)
{
    return (struct group_now){env_now_us(shard->options.env), env_wall_ms(shard->options.env)};
}

const char *shard_group_type(const struct shard_group *cell)
{
    if (cell->share != NULL)
        return "share";
    return cell->consumer != NULL ? "consumer" : cell->streams != NULL ? "streams" : "classic";
}

const char *shard_group_state(const struct shard_group *cell)
{
    if (cell->streams != NULL)
        return streams_state_text(streams_state(cell->streams));
    if (cell->share != NULL)
        return share_group_state(cell->share);
    return cell->consumer != NULL ? consumer_state_text(consumer_state(cell->consumer))
                                  : group_state_text(group_state(cell->group));
}

size_t shard_group_members(const struct shard_group *cell)
{
    if (cell->streams != NULL)
        return streams_size(cell->streams);
    if (cell->share != NULL)
        return share_group_size(cell->share);
    return cell->consumer != NULL ? consumer_size(cell->consumer) : group_size(cell->group);
}

struct slice shard_group_protocol_type(const struct shard_group *cell)
{
    if (cell->streams != NULL)
        return slice_str("streams");
    if (cell->share != NULL)
        return slice_str("share");
    return cell->consumer != NULL ? slice_str("consumer") : group_protocol_type(cell->group);
}

bool shard_group_subscribed(const struct shard_group *cell, struct slice topic)
{
    if (cell->streams != NULL)
        return streams_subscribed(cell->streams, topic);
    if (cell->share != NULL)
        return share_group_subscribed(cell->share, topic);
    return cell->consumer != NULL && consumer_subscribed(cell->consumer, topic);
}
