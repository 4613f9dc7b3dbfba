// SPDX-License-Identifier: Apache-2.0
// A partition log as the loop sees it: creation, append decisions, accessors. An append only moves memory:
// the batch joins the tail, and segments, indexes, epochs and producer state move with it; flush.c brings it
// to disk in the next round. On a record's way: partition.c decides → here → flush.c → on_durable.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"

#include <string.h>

enum { TOPIC_NAME_MAX = 249 };

struct log_config log_config_default(void)
{
    return (struct log_config){.segment_bytes = 1 << 30,
                               .segment_ms = 7ll * 24 * 3600 * 1000,
                               .index_interval_bytes = 4096,
                               .index_bytes_max = 10 << 20,
                               .flush_before_ack = true,
                               .retention_ms = 7ll * 24 * 3600 * 1000,
                               .late_ms = 300000,
                               .retention_bytes = -1,
                               .deletes = true,
                               .delete_delay_ms = 60000,
                               .dirty_ratio_min = 0.5,
                               .compaction_lag_ms_max = INT64_MAX,
                               .delete_retention_ms = 24ll * 3600 * 1000};
}

// Without a format: a start makes as many as there are logs.
static char *path_below(const char *path, const char *name)
{
    size_t len = strlen(path), name_len = strlen(name);
    char *joined = mem_calloc(1, len + 1 + name_len + 1);
    memcpy(joined, path, len);
    joined[len] = '/';
    memcpy(joined + len + 1, name, name_len);
    return joined;
}

struct log *log_new_in(struct log_set *set, const char *dir, const char *name,
                       const struct log_config *config)
{
    struct log *log = mem_calloc(1, sizeof *log);
    log->set = set;
    log->name = mem_strdup(name);
    log->path = path_below(set->path, dir);
    log->config = *config;
    log->due_at = -1;
    log->bytes_max = INT64_MAX;
    log->indexed = INT64_MAX;
    size_t topic_len;
    (void)log_name_split(name, &topic_len, &log->partition); // was checked: log_name_ok
    log_state_init(&log->state, set->config.producers_max);
    log->previous = set->last;
    if (set->last != NULL)
        set->last->next = log;
    else
        set->first = log;
    set->last = log;
    set->count++;
    return log;
}

struct log *log_new(struct log_set *set, const char *name, struct uuid id, const struct log_config *config)
{
    struct log *log = log_new_in(set, name, name, config);
    log->id = id;
    map_put(&set->by_name, slice_str(name), log);
    return log;
}

void log_free(struct log *log)
{
    struct log_set *set = log->set;
    ASSERT(!log->dirty && log->readers == 0);
    log_resume_forget(log);
    *(log->previous != NULL ? &log->previous->next : &set->first) = log->next;
    *(log->next != NULL ? &log->next->previous : &set->last) = log->previous;
    set->count--;
    if (log->status != ST_OK)
        metric_set(&set->m_offline, --set->offline_logs);
    if (map_get(&set->by_name, slice_str(log->name)) == log)
        map_remove(&set->by_name, slice_str(log->name));
    log_drop_tail(log);
    log_drop_recent(log);
    log_verified_forget(set->verified, &log->known, INT64_MAX);
    log_cursors_destroy(&log->cursors);
    log_ring_fini(&log->ring);
    log_state_fini(&log->state);
    log_expiry_forget(log);
    log_reclaim_forget(log);
    log_start_forget(log);
    log_back_serve(log, 0);
    mem_free(log->name);
    mem_free(log->path);
    mem_free(log);
}

bool log_name_ok(const char *name)
{
    size_t topic_len;
    int32_t partition;
    if (strlen(name) >= LOG_NAME_MAX || !log_name_split(name, &topic_len, &partition) ||
        topic_len > TOPIC_NAME_MAX)
        return false;
    if (name[0] == '.' && (topic_len == 1 || (topic_len == 2 && name[1] == '.')))
        return false;
    for (const char *c = name; *c != 0; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!letter && *c != '.' && *c != '_' && *c != '-')
            return false;
    }
    return true;
}

enum status log_create(struct log_set *set, const char *name, struct uuid id, const struct log_config *config,
                       struct log **log)
{
    if (!log_name_ok(name))
        return ST_INVALID;
    if (map_get(&set->by_name, slice_str(name)) != NULL)
        return ST_EXISTS;
    *log = log_new(set, name, id, config);
    return ST_OK;
}

void log_configure(struct log *log, const struct log_config *config)
{
    log->config = *config;
    log_expiry_soon(log);
}
const char *log_name(const struct log *log)
{
    return log->name;
}
struct uuid log_id(const struct log *log)
{
    return log->id;
}
struct log_set *log_owner_set(const struct log *log)
{
    return log->set;
}
void log_attach(struct log *log, void *user)
{
    log->user = user;
}
void *log_user(const struct log *log)
{
    return log->user;
}
int64_t log_start_base(const struct log *log)
{
    int at = log->start < log->state.end ? log_state_segment_at(&log->state, log->start) : -1;
    return at >= 0 ? log->state.segments[at]->base : log->start;
}

int64_t log_start(const struct log *log)
{
    return log->start;
}
int64_t log_start_saved(const struct log *log)
{
    return log->start_saved;
}
int64_t log_end(const struct log *log)
{
    return log->state.end;
}
int64_t log_flushed(const struct log *log)
{
    return log->flushed;
}
int64_t log_written(const struct log *log)
{
    return log->written;
}
int64_t log_segment_start(const struct log *log, int64_t offset)
{
    int at = log_state_segment_at(&log->state, offset);
    return at >= 0 ? log->state.segments[at]->base : log->start;
}
int64_t log_size(const struct log *log)
{
    return log->bytes;
}
int64_t log_tail_bytes(const struct log *log)
{
    return log->tail_bytes;
}
void log_hold(struct log *log, bool held)
{
    log->on_hold = held;
}
bool log_nameless(const struct log *log)
{
    return log->nameless;
}
bool log_id_unread(const struct log *log)
{
    return log->id_unread;
}
bool log_is_read(const struct log *log)
{
    return log->readers > 0;
}
bool log_held(const struct log *log)
{
    return log->on_hold;
}
bool log_lost(const struct log *log)
{
    return log->lost;
}
bool log_has_files(const struct log *log)
{
    return log->on_disk;
}
void log_note_high_watermark(struct log *log, int64_t high_watermark)
{
    log->touched = log->touched || high_watermark != log->high_watermark;
    log->high_watermark = high_watermark;
    log_ended_pass(&log->state.producers.ended, high_watermark);
}
int64_t log_high_watermark(const struct log *log)
{
    return log->high_watermark;
}
int32_t log_last_epoch(const struct log *log)
{
    return log_epochs_last(&log->state.epochs);
}
int32_t log_epoch_at(const struct log *log, int64_t offset)
{
    return offset < log->state.end ? log_epochs_at(&log->state.epochs, offset) : -1;
}
void log_epoch_end(const struct log *log, int32_t requested, int32_t *epoch, int64_t *end)
{
    log_epochs_end(&log->state.epochs, requested, log->state.end, epoch, end);
}
enum sequence_verdict log_check_sequence(const struct log *log, const struct batch_header *header,
                                         struct batch_place *duplicate)
{
    return log_producers_check(&log->state.producers, header, duplicate);
}

static struct log_producer_view producer_view(const struct log_producer *producer)
{
    int count = producer->batch_count;
    return (struct log_producer_view){
        .id = producer->id,
        .epoch = producer->epoch,
        .coordinator_epoch = producer->coordinator_epoch,
        .txn_first_offset = producer->txn_first_offset,
        .last_sequence = count > 0 ? producer->batches[count - 1].last_sequence : -1,
        .last_timestamp = producer->last_timestamp,
    };
}

bool log_find_producer(const struct log *log, int64_t id, struct log_producer_view *view)
{
    const struct log_producer *producer = map_get_u64(&log->state.producers.by_id, (uint64_t)id);
    if (producer != NULL)
        *view = producer_view(producer);
    return producer != NULL;
}

void log_each_producer(const struct log *log, log_producer_fn *each, void *context)
{
    for (const struct log_producer *at = log->state.producers.oldest; at != NULL; at = at->newer) {
        struct log_producer_view view = producer_view(at);
        each(context, &view);
    }
}

size_t log_producer_count(const struct log *log)
{
    return log->state.producers.by_id.count;
}

int64_t log_producer_id_max(const struct log *log)
{
    int64_t max = -1;
    for (const struct log_producer *at = log->state.producers.oldest; at != NULL; at = at->newer)
        if (at->id > max)
            max = at->id;
    return max;
}

int64_t log_stable_end(const struct log *log, int64_t high_watermark)
{
    int64_t unstable = log_producers_unstable(&log->state.producers, high_watermark);
    if (unstable < log->start) // DeleteRecords or retention has taken the transaction's beginning
        unstable = log->start;
    return unstable < high_watermark ? unstable : high_watermark;
}

enum status log_status(const struct log *log)
{
    if (log->status != ST_OK)
        return log->status;
    if (log->set->status != ST_OK)
        return log->set->status;
    return log->stalled || log->set->low_space ? ST_NO_SPACE : ST_OK;
}

void log_max_timestamp(const struct log *log, int64_t *timestamp, int64_t *offset)
{
    *timestamp = *offset = -1;
    for (int i = 0; i < log->state.count; i++) {
        const struct log_segment *segment = log->state.segments[i];
        if (segment->max_timestamp > *timestamp) {
            *timestamp = segment->max_timestamp;
            *offset = segment->max_timestamp_last;
        }
    }
}

// ---- memory ----

void log_account_tail(struct log *log, int64_t bytes)
{
    log->tail_bytes += bytes;
    log->set->config.budget->used += bytes;
    metric_inc(&log->set->m_tail_bytes, bytes);
}

void log_set_stalled(struct log *log, bool stalled)
{
    if (log->stalled == stalled)
        return;
    log->stalled = stalled;
    log->set->stalled_logs += stalled ? 1 : -1;
}

void log_drop_tail(struct log *log)
{
    struct log_ring *ring = &log->ring;
    ASSERT(log->jobs == 0);
    while (ring->count > ring->written) {
        block_unref(&log_ring_at(ring, ring->count - 1)->block);
        ring->count--;
    }
    ring->flushed = ring->written;
    log_account_tail(log, -log->tail_bytes);
    log_back_settle(log, log->backlog);
    log_set_stalled(log, false); // nothing waits for space any more
}

void log_drop_recent(struct log *log)
{
    log_ring_trim(&log->ring, 0);
    if (log->ring.count == 0) {
        log->ring.floor = log->state.end;
        log_ring_fini(&log->ring);
    }
}

void log_files_changed(struct log *log)
{
    log->generation++;
    log_verified_forget(log->set->verified, &log->known, INT64_MAX);
}

void log_close_handle(struct log *log, struct log_segment *segment)
{
    if (segment->handle == NULL)
        return;
    log_handle_unref(&segment->handle);
    log->set->open_files--;
}

void log_fail(struct log *log, enum status status)
{
    log_change_note(log); // the next start must see for itself
    log->status = status;
    log->set->failures++;
    metric_set(&log->set->m_offline, ++log->set->offline_logs);
    log_let_go(log);
    log_heal_later(log);
}

void log_go_offline(struct log *log, enum status status)
{
    if (log->status != ST_OK)
        return;
    DIAG_ERROR(&log->set->env->diag, "partition taken offline log=%s status=%s", log->name,
               status_name(status));
    log_fail(log, status);
}

void log_set_go_offline(struct log_set *set, enum status status)
{
    if (set->status != ST_OK)
        return;
    set->status = status;
    set->failures++;
    DIAG_ERROR(&set->env->diag, "data directory taken offline dir=%s status=%s", set->path,
               status_name(status));
    log_heal_set_later(set);
}

void log_let_go(struct log *log)
{
    if (log->status == ST_OK || log->jobs > 0)
        return;
    log_drop_tail(log);
    log_drop_recent(log);
    log_verified_forget(log->set->verified, &log->known, INT64_MAX);
    for (int i = 0; i < log->state.count; i++)
        log_close_handle(log, log->state.segments[i]);
}

struct log_load log_load_of(const struct log *log, int64_t recovery_point)
{
    return (struct log_load){.env = log->set->env,
                             .path = log->path,
                             .recovery_point = recovery_point,
                             .index_interval = log->config.index_interval_bytes,
                             .high_watermark = log->high_watermark};
}

// ---- append ----

static enum status may_append(const struct log *log, size_t len, const struct batch_header *header)
{
    const struct log_budget *budget = log->set->config.budget;
    if (log->lost)
        return ST_CORRUPT;
    enum status status = log_status(log);
    if (status != ST_OK)
        return status;
    if (log->busy || log->deleted || log->set->closing)
        return ST_AGAIN;
    if (header->base_offset < log->state.end)
        return ST_OUT_OF_RANGE;
    if (header->leader_epoch < log_epochs_last(&log->state.epochs))
        return ST_STALE;
    if (log->on_hold)
        return ST_LIMIT;
    // A batch larger than a cap passes when it is alone.
    if (log->tail_bytes > 0 && log->tail_bytes + (int64_t)len > log->set->config.tail_bytes_max)
        return ST_LIMIT;
    if (budget->used > 0 && budget->used + (int64_t)len > budget->max)
        return ST_LIMIT;
    return log->ring.count - log->ring.written >= LOG_TAIL_BATCHES_MAX ? ST_LIMIT : ST_OK;
}

// Kafka's LogConfig.randomSegmentJitter: the draw is the segment's, whatever the setting is by then.
int64_t log_roll_after_ms(const struct log *log, struct log_segment *segment)
{
    const struct log_config *config = &log->config;
    int64_t most =
        config->segment_jitter_ms < config->segment_ms ? config->segment_jitter_ms : config->segment_ms;
    if (most <= 0)
        return config->segment_ms;
    if (segment->jitter == 0)
        segment->jitter = env_random(log->set->env) | 1;
    return config->segment_ms - (int64_t)(segment->jitter % (uint64_t)most);
}

// Kafka's LogSegment.shouldRoll. The time index keeps a free entry for the one at roll (TimeIndex.isFull). A
// segment without timestamps rolls by its age.
static bool must_roll(const struct log *log, struct log_segment *segment, size_t len,
                      const struct batch_header *header, int64_t now_ms)
{
    if (segment->size == 0)
        return false;
    int64_t waited = segment->first_timestamp >= 0 ? header->max_timestamp - segment->first_timestamp
                                                   : now_ms - segment->created_ms;
    return segment->size + (int64_t)len > log->config.segment_bytes ||
           waited > log_roll_after_ms(log, segment) ||
           segment->index.entries >= log->config.index_bytes_max / LOG_INDEX_ENTRY ||
           segment->times.entries >= log->config.index_bytes_max / LOG_TIME_ENTRY - 1 ||
           batch_last_offset(header) - segment->base > INT32_MAX;
}

// A new active segment begins at log_end, so that segments join without a gap. Its snapshot says so too when
// there is no producer: without one recovery would look for them in every batch from the log's start.
struct log_segment *log_roll(struct log *log)
{
    struct log_state *state = &log->state;
    bool first = state->count == 0;
    if (!first)
        log_segment_finish(state->segments[state->count - 1]);
    struct log_segment *segment = log_state_add_segment(state, state->end);
    segment->created_ms = env_wall_ms(log->set->env);
    if ((!first || state->producers.by_id.count > 0) &&
        log_producers_print(&state->producers, &segment->snapshot) != ST_OK)
        buf_clear(&segment->snapshot); // too large: recovery reads the batches instead
    return segment;
}

static struct log_segment *segment_for(struct log *log, size_t len, const struct batch_header *header)
{
    const struct log_state *state = &log->state;
    struct log_segment *active = state->count > 0 ? state->segments[state->count - 1] : NULL;
    bool stays = active != NULL && !must_roll(log, active, len, header, env_wall_ms(log->set->env));
    return stays ? active : log_roll(log);
}

static void note_producer(struct log *log, struct log_segment *segment, const struct batch_header *header,
                          struct slice batch)
{
    struct batch_marker marker;
    struct log_aborted aborted;
    bool is_marker =
        header->attributes & BATCH_CONTROL && batch_marker_parse(batch, header, &marker) == ST_OK;
    if (log_producers_note(&log->state.producers, header, is_marker ? &marker : NULL,
                           env_now_ms(log->set->env), &aborted))
        log_segment_note_aborted(segment, &aborted);
}

static void note_append(struct log *log, struct log_segment *segment, const struct batch_header *header,
                        struct slice batch)
{
    struct log_state *state = &log->state;
    log_segment_note(segment, header, log->config.index_interval_bytes);
    log_epochs_assign(&state->epochs, header->leader_epoch, header->base_offset);
    note_producer(log, segment, header, batch);
    state->end = batch_last_offset(header) + 1;
    log->bytes += (int64_t)batch_size(header);
    log->touched = true;
    if (log->due_at < 0 || log->bytes >= log->bytes_max)
        log_expiry_soon(log);
}

enum status log_append(struct log *log, struct block *block, size_t from, size_t len,
                       const struct batch_header *header)
{
    ASSERT(len == batch_size(header) && from <= block->len && len <= block->len - from);
    enum status status = may_append(log, len, header);
    if (status != ST_OK)
        return status;
    if (batch_last_offset(header) - log->state.end > INT32_MAX)
        return ST_INVALID; // no segment could index it
    struct log_segment *segment = segment_for(log, len, header);
    if (log->ring.count == 0)
        log->ring.floor = log->state.end;
    log_ring_push(&log->ring, (struct log_entry){.base = header->base_offset,
                                                 .last = batch_last_offset(header),
                                                 .epoch = header->leader_epoch,
                                                 .size = (uint32_t)len,
                                                 .position = segment->size,
                                                 .timestamp = header->max_timestamp,
                                                 .segment = segment,
                                                 .block = block_ref(block),
                                                 .from = from});
    note_append(log, segment, header, slice_of(block->data + from, len));
    log_account_tail(log, (int64_t)len);
    log_mark_dirty(log);
    return ST_OK;
}
