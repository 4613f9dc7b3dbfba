// SPDX-License-Identifier: Apache-2.0
// See partitions.h. The image is the only source of what this node holds: every difference it tells is turned
// into a view of one replica's state machine, a log created or adopted, or a log deleted.
#include "partitions.h"

#include "admission.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "isr.h"
#include "lost.h"
#include "partitions_state.h"
#include "refusal_past.h"
#include "report.h"
#include "settings.h"
#include "stream_in.h"
#include "stream_in_state.h"
#include "stream_out.h"
#include "twins.h"
#include "watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TICK_MS = 500, LOG_NAME_SIZE = 300 };

static void replica_open(struct replica *replica);
static void replica_view(struct replica *replica);

struct slice partitions_key(uint8_t bytes[PARTITIONS_KEY_SIZE], struct uuid topic, int32_t index)
{
    memcpy(bytes, topic.bytes, sizeof topic.bytes);
    store_be32(bytes + sizeof topic.bytes, (uint32_t)index);
    return slice_of(bytes, PARTITIONS_KEY_SIZE);
}

struct replica *partitions_find(struct partitions *partitions, struct uuid topic, int32_t index)
{
    uint8_t key[PARTITIONS_KEY_SIZE];
    return map_get(&partitions->replicas, partitions_key(key, topic, index));
}

struct replica *partitions_find_named(struct partitions *partitions, struct slice topic, int32_t index)
{
    const struct image_topic *known = image_topic_slice(partitions->options.image, topic);
    return known ? partitions_find(partitions, known->id, index) : NULL;
}

struct replica *partitions_find_proto(struct partitions *partitions, ProtobufCBinaryData topic, int32_t index)
{
    struct uuid id;
    if (topic.len != sizeof id.bytes)
        return NULL;
    memcpy(id.bytes, topic.data, sizeof id.bytes);
    return partitions_find(partitions, id, index);
}

// ---- logs ----

static void check_dirs(struct partitions *partitions)
{
    if (!partitions->closing && !dirs_work(partitions->options.dirs))
        partitions->options.on_failed(partitions->options.context);
}

static void partitions_on_durable(struct log *log, enum status status)
{
    struct replica *replica = log_user(log);
    if (replica == NULL)
        return;
    struct partitions *partitions = replica->partitions;
    if (log == replica->log)
        replica_durable(replica, status);
    moves_durable(replica, log);
    if (status == ST_OK || status == ST_NO_SPACE)
        return;
    reports_soon(partitions->reports);
    check_dirs(partitions);
}

// Retention has moved a start: the watermark allowed it, so a leader's followers may follow.
static void partitions_on_start(struct log *log)
{
    struct replica *replica = log_user(log);
    if (replica != NULL && replica->log == log)
        replica_started(replica);
}

// A leader may not: its followers may have what is not durable here, and would keep it beside other records
// of the same epoch. Once the controller has noted the failure whoever leads next does so in a new one.
static bool partitions_may_heal(struct log *log)
{
    const struct replica *replica = log_user(log);
#ifdef PLANTED_HEALED_BEFORE_NOTED
    return replica != NULL && replica->log == log && !replica->closing && !replica->cutting &&
           replica->state.role != PARTITION_LEADER;
#endif
    return replica != NULL && replica->log == log && !replica->closing && !replica->cutting &&
           replica->state.role != PARTITION_LEADER && report_failed(replica);
}

void partitions_flush(struct partitions *partitions)
{
    streams_out_pump(partitions->out);
    dirs_flush(partitions->options.dirs, partitions_on_durable);
}

void partitions_room_made(struct partitions *partitions)
{
    if (partitions->room_waits.first != NULL && !timer_running(&partitions->room))
        timer_start_us(partitions->options.env, &partitions->room, 0); // once for all logs of a round
}

static void room_fire(struct timer *timer)
{
    struct partitions *partitions = timer->context;
    wait_reached(&partitions->room_waits, INT64_MAX);
}

static void open_waiting(struct partitions *partitions)
{
    struct replica *next;
    for (struct replica *replica = partitions->watched.first; replica != NULL; replica = next) {
        next = replica->watch_next;
        if (replica->log == NULL && !replica->closing && !replica->missing) {
            replica_open(replica);
            replica_view(replica);
        }
    }
}

static void log_on_deleted(struct log *log, enum status status, void *context)
{
    struct partitions *partitions = context;
    partitions->removals--;
    if (status != ST_OK)
        DIAG_ERROR(&partitions->options.env->diag, "cannot remove a partition's files why=%s",
                   status_text(status));
    if (partitions->closing)
        return;
    if (status == ST_OK)
        twins_removed(partitions, log);
    open_waiting(partitions);
}

void partitions_drop_log(struct partitions *partitions, struct log *log)
{
    DIAG_INFO(&partitions->options.env->diag, "removing partition=%s", log_name(log));
    log_attach(log, NULL);
    partitions->removals++;
    log_delete(log, log_on_deleted, partitions);
}

// A lost log of which only the name is known: the controller has taken this replica out of the ISR. A new,
// empty one may catch up as soon as somebody leads; without a leader these files may be the only copy.
static bool may_be_dropped(const struct replica *replica, const struct log *log)
{
    const struct partitions_options *options = &replica->partitions->options;
    const struct image_partition *placed = image_partition(options->image, replica->topic_id, replica->index);
    if (!log_lost(log) || !uuid_is_zero(log_id(log)))
        return false;
    bool in_isr = placed != NULL && image_ids_have(&placed->isr, options->node_id);
    return !in_isr && (!log_has_files(log) || (placed != NULL && placed->leader >= 0));
}

static const struct settings_known *settings_of(const struct replica *replica)
{
    struct settings_known *known = &replica->partitions->known;
    const struct partitions_options *options = &replica->partitions->options;
    if (known->any && uuid_equal(known->topic, replica->topic_id))
        return known;
    known->any = true;
    known->topic = replica->topic_id;
    settings_topic(options->image, replica->topic, options->node_id, options->config, &known->replica);
    known->log = settings_log(options->image, replica->topic, options->node_id, options->config);
    return known;
}

struct log_config replica_log_config(const struct replica *replica)
{
    return settings_of(replica)->log;
}

// Whether the log may be in a directory that is missing. While the node starts that is possible of every log
// not found; later only of those the controller has noted as failed: new ones are made in what is there.
static bool is_elsewhere(const struct replica *replica)
{
    const struct partitions *partitions = replica->partitions;
    return dirs_missing(partitions->options.dirs) && (partitions->starting || report_failed(replica));
}

// Whether records of this replica were in a directory that is no longer log.dirs', as far as anybody knows.
static bool is_dropped(const struct replica *replica, const struct log *log)
{
    const struct partitions_options *options = &replica->partitions->options;
    const struct image_partition *placed = image_partition(options->image, replica->topic_id, replica->index);
    return replica->partitions->starting && dirs_dropped(options->dirs) && !log_has_files(log) &&
           !log_lost(log) && placed != NULL && image_ids_have(&placed->isr, options->node_id);
}

// A new log, where somebody wants it (moves_prefer) or where there are the fewest.
static enum status log_make(struct replica *replica, const char *name, struct log **log)
{
    struct partitions *partitions = replica->partitions;
    struct log_config config = replica_log_config(replica);
    struct dirs *dirs = partitions->options.dirs;
    int dir = moves_preferred(partitions->moves, replica->topic_id, replica->index);
    enum status status = dir >= 0 && dirs_works(dirs, dir)
                             ? log_create(dirs_set(dirs, dir), name, replica->topic_id, &config, log)
                             : dirs_create(dirs, name, replica->topic_id, &config, log);
    if (status == ST_OK)
        moves_unprefer(partitions->moves, replica->topic_id, replica->index);
    return status;
}

// The log of a replica: the one found on disk when it is of this topic id, else a new one. An older topic's
// log of the same name is removed first; log_on_deleted comes back here then. One whose id the disk withholds
// is taken by its name, offline as it is, until partitions_on_healed knows more.
static void replica_open(struct replica *replica)
{
    struct partitions *partitions = replica->partitions;
    const struct partitions_options *options = &partitions->options;
    char name[LOG_NAME_SIZE];
    snprintf(name, sizeof name, "%s-%d", replica->topic, replica->index);
    struct log *log = dirs_find(options->dirs, name);
    if (log != NULL && may_be_dropped(replica, log)) {
        partitions_drop_log(partitions, log);
        return;
    }
    if (log != NULL && !uuid_equal(log_id(log), replica->topic_id) && !log_id_unread(log))
        return;
    if (log == NULL && is_elsewhere(replica)) {
        replica->missing = true;
        return;
    }
    if (log == NULL) {
        enum status status = log_make(replica, name, &log);
        if (status != ST_OK) {
            DIAG_WARN(&options->env->diag, "cannot create partition=%s why=%s", name, status_text(status));
            return; // tried again at the next tick
        }
    } else {
        struct log_config config = replica_log_config(replica);
        log_configure(log, &config);
    }
    if (is_dropped(replica, log))
        log_declare_lost(log, 1); // how much it was is not known
    replica->log = log;
    log_attach(log, replica);
    partition_fini(&replica->state);
    partition_init(&replica->state, options->node_id, log_start(log), log_end(log), log_high_watermark(log));
    replica->state.flushed = log_flushed(log);
}

// Others have everything, and the controller has noted that this one is not to be counted on: what lies from
// the damaged segment on is fetched from the leader again.
static void drop_damaged(struct replica *replica)
{
    int64_t to = log_segment_start(replica->log, replica->damaged_at);
    DIAG_WARN(&replica->partitions->options.env->diag,
              "dropping damaged records, the leader has them partition=%s from=%" PRId64 " end=%" PRId64,
              replica_name(replica), to, log_end(replica->log));
    replica->damaged_at = -1;
    replica->link = REPLICA_TRUNCATING;
    replica->cutting = true;
    wait_fail(&replica->flush_waits, ST_STALE);
    log_truncate(replica->log, to, stream_in_truncated, NULL);
}

bool replica_linkable(struct replica *replica)
{
    if (replica->log == NULL || replica->cutting || log_held(replica->log) ||
        log_status(replica->log) != ST_OK)
        return false;
#ifdef PLANTED_DAMAGE_DROPPED_IN_SYNC
    if (replica->damaged_at >= 0) {
#else
    if (replica->damaged_at >= 0 && report_spared(replica)) {
#endif
        drop_damaged(replica);
        return false;
    }
    if (!log_lost(replica->log))
        return !report_failed(replica); // else the leader passes over it until the mark is gone
    // Reported at registration and taken out of the ISR by the controller: it may start empty and catch up.
    struct partition_replica *self = partition_replica(&replica->state, replica->state.self);
#ifdef PLANTED_LOST_BEGINS_IN_SYNC
    if (self == NULL)
#else
    if (self == NULL || self->in_isr)
#endif
        return false;
    replica->link = REPLICA_TRUNCATING;
    replica->cutting = true;
    log_truncate_fully(replica->log, 0, stream_in_truncated, NULL);
    return false;
}

// ---- following the image ----

static void view_fill(const struct partitions *partitions, int32_t min_isr,
                      const struct image_partition *from, struct partition_view *view)
{
    const struct partitions_options *options = &partitions->options;
    *view = (struct partition_view){.leader = from->leader,
                                    .leader_epoch = from->leader_epoch,
                                    .partition_epoch = from->partition_epoch,
                                    .min_isr = min_isr};
    if (from->replicas.count > PARTITION_REPLICAS_MAX) {
        view->leader = -1; // no controller of ours makes such a partition
        return;
    }
    view->replica_count = (int)from->replicas.count;
    for (int i = 0; i < view->replica_count; i++) {
        const struct image_node *node = image_node(options->image, from->replicas.ids[i]);
        view->replicas[i].node = from->replicas.ids[i];
        view->replicas[i].incarnation = node ? node->incarnation : 0;
        view->replicas[i].fenced = node == NULL || node->fenced;
        view->replicas[i].adding = image_ids_have(&from->adding, from->replicas.ids[i]);
        view->replicas[i].failed = image_ids_have(&from->failed, from->replicas.ids[i]);
        view->replicas[i].in_isr = image_ids_have(&from->isr, from->replicas.ids[i]);
    }
}

static void replica_view(struct replica *replica)
{
    struct partitions *partitions = replica->partitions;
    const struct image_topic *topic = image_topic(partitions->options.image, replica->topic_id);
    const struct image_partition *from = topic ? image_topic_partition(topic, replica->index) : NULL;
    struct partition_view view;
    if (from == NULL || replica->log == NULL || replica->closing)
        return;
    replica->settings = settings_of(replica)->replica;
    replica->balancing = from->balancing;
    view_fill(partitions, replica->settings.min_isr, from, &view);
    streams_out_heard(replica);
    int before = partition_isr_size(&replica->state);
    int change = partition_view(&replica->state, &view, env_now_us(partitions->options.env));
    watch_add(replica);
    int after = partition_isr_size(&replica->state);
    if (replica->state.role == PARTITION_LEADER && before != after && !(change & PARTITION_ROLE))
        DIAG_INFO(&partitions->options.env->diag, "ISR %s partition=%s epoch=%d isr=%d/%d",
                  after < before ? "shrank" : "grew", replica_name(replica), replica->state.leader_epoch,
                  after, replica->state.replica_count);
    for (int i = 0; i < replica->state.replica_count; i++)
        if (replica->state.replicas[i].failed)
            streams_out_forget(replica, replica->state.replicas[i].node);
    replica_act(replica, change);
    replica_low_moved(replica);
    if (replica->damaged_at >= 0 && replica->link == REPLICA_LINKED && report_spared(replica))
        stream_in_wanted(replica, 0);
    if (report_due(replica))
        reports_soon(partitions->reports);
}

static void replica_free(struct replica *replica)
{
    watch_drop(replica);
    admission_forget(replica);
    partition_fini(&replica->state);
    refusal_past_free(&replica->refused);
    mem_free(replica->topic);
    mem_free(replica);
}

static void replica_remove(struct replica *replica)
{
    struct partitions *partitions = replica->partitions;
    uint8_t key[PARTITIONS_KEY_SIZE];
    replica->closing = true;
    replica->state.role = PARTITION_OFFLINE;
    map_remove(&partitions->replicas, partitions_key(key, replica->topic_id, replica->index));
    replica_act(replica, PARTITION_ROLE);
    moves_give_up(replica);
    if (replica->log != NULL)
        partitions_drop_log(partitions, replica->log);
    replica_free(replica);
}

static void replica_add(struct partitions *partitions, const struct image_topic *topic, int32_t index)
{
    uint8_t key[PARTITIONS_KEY_SIZE];
    struct replica *replica = mem_calloc(1, sizeof *replica);
    map_init(&replica->grants, 0);
    replica->partitions = partitions;
    replica->topic_id = topic->id;
    replica->index = index;
    replica->topic = mem_strdup(topic->name);
    replica->internal = topic->internal;
    replica->owner_epoch = -1;
    replica->damaged_at = -1;
    partition_init(&replica->state, partitions->options.node_id, 0, 0, 0);
    map_put(&partitions->replicas, partitions_key(key, topic->id, index), replica);
    replica_open(replica);
    watch_add(replica);
}

static void on_partition(void *context, const struct image_topic *topic, const struct image_partition *before,
                         const struct image_partition *after)
{
    struct partitions *partitions = context;
    const struct image_partition *any = after ? after : before;
    struct replica *replica = partitions_find(partitions, topic->id, any->index);
    bool ours = after != NULL && image_ids_have(&after->replicas, partitions->options.node_id);
    if (after == NULL)
        moves_unprefer(partitions->moves, topic->id, any->index);
    if (!ours) {
        if (replica != NULL)
            replica_remove(replica);
        return;
    }
    if (replica == NULL)
        replica_add(partitions, topic, after->index);
    replica = partitions_find(partitions, topic->id, after->index);
    replica_view(replica);
}

static void on_node(void *context, const struct image_node *before, const struct image_node *after)
{
    struct partitions *partitions = context;
    const struct image_node *any = after ? after : before;
    struct map_entry *at = NULL;
    void *value;
    if (any->role != MILLRACE__ROLE__ROLE_STORAGE)
        return;
    away_note(&partitions->away, before, after);
    while (map_next(&partitions->replicas, &at, NULL, &value)) {
        struct replica *replica = value;
        if (partition_replica(&replica->state, any->id) != NULL)
            replica_view(replica);
    }
    if (before == NULL || after == NULL || before->incarnation != after->incarnation)
        streams_in_node_changed(partitions->in, any->id);
}

bool partitions_node_away(const struct partitions *partitions, int32_t node)
{
    return away_recent(&partitions->away, node);
}

bool partitions_leader_lost(const struct partitions *partitions, int32_t node)
{
    return streams_in_lost(partitions->in, node);
}

static void clean_configure(struct partitions *partitions)
{
    const struct partitions_options *options = &partitions->options;
    struct log_clean_config clean = settings_cleaner(options->image, options->node_id, options->config);
    dirs_clean(options->dirs, &clean);
}

static void on_config(void *context, Millrace__ResourceType type, const char *name, const char *key,
                      const char *value)
{
    struct partitions *partitions = context;
    struct map_entry *at = NULL;
    void *found;
    partitions->known.any = false;
    pace_refresh(&partitions->pace, partitions->options.image, partitions->options.node_id,
                 env_now_us(partitions->options.env));
    if (type == MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER)
        clean_configure(partitions);
    while (map_next(&partitions->replicas, &at, NULL, &found)) {
        struct replica *replica = found;
        if (type == MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC && strcmp(name, replica->topic) != 0)
            continue;
        if (replica->log != NULL)
            log_configure(replica->log, &settings_of(replica)->log);
        replica_view(replica);
    }
}

// ---- the clock ----

static void tick_fire(struct timer *timer)
{
    struct partitions *partitions = timer->context;
    struct env *env = partitions->options.env;
    watch_tick(partitions, env_now_us(env), partitions->options.lag_ms_max * 1000);
    check_dirs(partitions);
    open_waiting(partitions);
    partitions_room_made(partitions); // by a truncation or removal
    reports_tick(partitions->reports);
    timer_start_together_ms(env, &partitions->tick, TICK_MS);
}

// ---- life ----

struct partitions *partitions_new(const struct partitions_options *options)
{
    struct partitions *partitions = mem_calloc(1, sizeof *partitions);
    partitions->options = *options;
    partitions->options.rpc_endpoint = mem_strdup(options->rpc_endpoint);
    partitions->listener = (struct image_listener){
        .context = partitions, .on_node = on_node, .on_partition = on_partition, .on_config = on_config};
    map_init(&partitions->replicas, env_random(options->env));
    away_init(&partitions->away, options->env);
    timer_init(&partitions->tick, tick_fire, partitions);
    timer_init(&partitions->room, room_fire, partitions);
    partitions->damaged =
        (struct metric){.name = "millrace_storage_damaged_total",
                        .help = "Times that records of a replica could not be read back from the disk."};
    metric_add(options->env->metrics, &partitions->damaged);
    partitions->strays =
        (struct metric){.name = "millrace_storage_strays_total",
                        .help = "Directories of partitions that were set aside: another topic's id in them."};
    metric_add(options->env->metrics, &partitions->strays);
    watch_init(partitions);
    partitions->moves = moves_new(partitions);
    partitions->isr = isr_new(partitions);
    partitions->reports = reports_new(partitions);
    partitions->in = streams_in_new(partitions);
    partitions->out = streams_out_new(partitions);
    contacts_init(&partitions->coordinators, options->rpc, env_random(options->env));
    return partitions;
}

// Until its topic and the topic's settings are known nothing of a kept log is deleted.
static bool keep(const struct partitions *partitions, struct log *log)
{
    const struct partitions_options *options = &partitions->options;
    if (options->keeps == NULL || !options->keeps(options->context, log_id(log)))
        return false;
    struct log_config config = log_config_default();
    config.deletes = false;
    log_configure(log, &config);
    return true;
}

// The partition of the log's name, when the image places it here.
static const struct image_topic *placed_by_name(const struct partitions *partitions, const struct log *log,
                                                bool *in_isr)
{
    const struct image_topic *topic = lost_topic(partitions->options.image, log);
    const struct image_partition *placed =
        topic ? image_topic_partition(topic, lost_index(log_name(log))) : NULL;
    if (placed == NULL || !image_ids_have(&placed->replicas, partitions->options.node_id))
        return NULL;
    *in_isr = image_ids_have(&placed->isr, partitions->options.node_id);
    return topic;
}

void partitions_keep_aside(struct partitions *partitions, struct log *log)
{
    metric_inc(&partitions->strays, 1);
    partitions->removals++;
    log_set_aside(log, log_on_deleted, partitions);
}

// Files of another topic under the name of a partition that belongs here. No evidence that they may go, as a
// damaged partition.metadata would look the same: they are kept out of the way, as Kafka does. And where this
// replica should have records, these may be them.
static void stray_set_aside(struct partitions *partitions, struct log *log, const struct image_topic *topic,
                            bool in_isr)
{
    const struct partitions_options *options = &partitions->options;
    struct log_config config = settings_log(options->image, topic->name, options->node_id, options->config);
    char name[LOG_NAME_SIZE];
    int64_t had = log_end(log) > 0 ? log_end(log) : 1; // of one that cannot be read it is not known
    snprintf(name, sizeof name, "%s", log_name(log));
    DIAG_ERROR(&options->env->diag, "files of a partition carry the id of another topic log=%s end=%" PRId64,
               name, had);
    partitions_keep_aside(partitions, log);
    if (in_isr && dirs_create(options->dirs, name, topic->id, &config, &log) == ST_OK)
        log_declare_lost(log, had);
}

static void stray_take(struct partitions *partitions, struct log *log)
{
    bool in_isr = false;
    const struct image_topic *topic = placed_by_name(partitions, log, &in_isr);
    bool nameless = uuid_is_zero(log_id(log));
    bool empty = log_end(log) == 0 && !log_lost(log) && log_status(log) == ST_OK;
    if (topic == NULL && nameless && log_has_files(log)) {
        partitions_keep_aside(partitions, log); // whose it was is not known
    } else if (topic == NULL || empty) {
        partitions_drop_log(partitions, log); // nobody of that name belongs here, or nothing is in it
    } else if (nameless) {
        return; // lost, and reported as such
    } else if (uuid_near(log_id(log), topic->id)) {
        DIAG_ERROR(&partitions->options.env->diag,
                   "topic id in partition.metadata was damaged and is repaired log=%s", log_name(log));
        log_adopt(log, topic->id);
    } else {
        stray_set_aside(partitions, log, topic, in_isr);
    }
}

// A log that was taken by its name turns out to be another one's, or nobody's: the replica goes on without.
static void replica_part(struct replica *replica)
{
    struct partitions *partitions = replica->partitions;
    struct log *log = replica->log;
    moves_give_up(replica);
    replica->state.role = PARTITION_OFFLINE;
    replica_act(replica, PARTITION_ROLE);
    replica->log = NULL;
    log_attach(log, NULL);
    stray_take(partitions, log);
    replica_open(replica);
    watch_add(replica);
    replica_view(replica);
}

static void partitions_on_healed(struct log *log)
{
    struct replica *replica = log_user(log);
    const struct partitions_options *options = &replica->partitions->options;
    lost_identify(options->env, options->dirs, options->image, log);
    if (uuid_equal(log_id(log), replica->topic_id))
        replica_healed(replica);
    else
        replica_part(replica);
}

// Logs on disk that the image does not place here any more: their topic was deleted or moved while we were
// away, or their files lie. What is offline without its id is kept until a start can read that.
static void strays_take(struct partitions *partitions)
{
    struct log *next;
    for (struct log *log = dirs_next(partitions->options.dirs, NULL); log != NULL; log = next) {
        next = dirs_next(partitions->options.dirs, log);
        log = twins_set_aside(partitions, log);
        if (log == NULL)
            continue;
        if (log_id_unread(log))
            continue;
        const struct image_topic *topic = image_topic(partitions->options.image, log_id(log));
        const struct image_partition *placed =
            topic ? image_topic_partition(topic, lost_index(log_name(log))) : NULL;
        if (topic == NULL && keep(partitions, log))
            continue;
        if (placed == NULL || !image_ids_have(&placed->replicas, partitions->options.node_id))
            stray_take(partitions, log);
    }
}

void partitions_start(struct partitions *partitions)
{
    struct image *image = partitions->options.image;
    ASSERT(!partitions->started);
    partitions->started = true;
    partitions->known.any = false;
    pace_refresh(&partitions->pace, image, partitions->options.node_id, env_now_us(partitions->options.env));
    dirs_flush(partitions->options.dirs, partitions_on_durable);
    dirs_retain(partitions->options.dirs, partitions_on_start);
    clean_configure(partitions);
    dirs_heal(partitions->options.dirs, partitions_may_heal, partitions_on_healed);
    twins_settle(partitions);
    strays_take(partitions);
    partitions->starting = true;
    for (size_t i = 0; i < image_topic_count(image); i++) {
        const struct image_topic *topic = image_topic_at(image, i);
        for (size_t k = 0; k < topic->partition_count; k++)
            on_partition(partitions, topic, NULL, topic->partitions[k]);
    }
    partitions->starting = false;
    moves_start(partitions->moves);
    for (size_t i = 0; i < image_node_count(image); i++)
        if (image_node_at(image, i)->role == MILLRACE__ROLE__ROLE_STORAGE)
            away_note(&partitions->away, NULL, image_node_at(image, i));
    image_listen(image, &partitions->listener);
    timer_start_ms(partitions->options.env, &partitions->tick, TICK_MS);
}

static void replicas_silence(struct partitions *partitions)
{
    struct map_entry *at = NULL;
    void *value;
    while (map_next(&partitions->replicas, &at, NULL, &value)) {
        struct replica *replica = value;
        replica->closing = true;
        replica->state.role = PARTITION_OFFLINE;
        replica_act(replica, PARTITION_ROLE);
    }
}

static void on_dirs_closed(enum status status, void *context)
{
    struct partitions *partitions = context;
    partitions->closed(partitions->closed_context, status);
}

void partitions_close(struct partitions *partitions, partitions_closed_fn *done, void *context)
{
    ASSERT(!partitions->closing);
    partitions->closing = true;
    timer_stop(partitions->options.env, &partitions->tick);
    timer_stop(partitions->options.env, &partitions->room);
    if (partitions->started)
        image_unlisten(partitions->options.image, &partitions->listener);
    moves_stop(partitions->moves);
    replicas_silence(partitions);
    partitions->closed = done;
    partitions->closed_context = context;
    dirs_close(partitions->options.dirs, on_dirs_closed, partitions);
}

void partitions_destroy(struct partitions **pointer)
{
    struct partitions *partitions = *pointer;
    struct map_entry *at = NULL;
    void *value;
    *pointer = NULL;
    timer_stop(partitions->options.env, &partitions->tick);
    timer_stop(partitions->options.env, &partitions->room);
    if (!partitions->closing) {
        partitions->closing = true;
        if (partitions->started)
            image_unlisten(partitions->options.image, &partitions->listener);
        replicas_silence(partitions);
    }
    while (map_next(&partitions->replicas, &at, NULL, &value))
        replica_free(value);
    map_fini(&partitions->replicas);
    away_fini(&partitions->away);
    metric_remove(partitions->options.env->metrics, &partitions->damaged);
    metric_remove(partitions->options.env->metrics, &partitions->strays);
    watch_fini(partitions);
    moves_destroy(&partitions->moves);
    isr_destroy(&partitions->isr);
    reports_destroy(&partitions->reports);
    streams_out_destroy(&partitions->out);
    streams_in_destroy(&partitions->in);
    contacts_fini(&partitions->coordinators);
    mem_free((char *)(uintptr_t)partitions->options.rpc_endpoint);
    mem_free(partitions);
}

// ---- reports ----

struct dirs *partitions_dirs(const struct partitions *partitions)
{
    return partitions->closing ? NULL : partitions->options.dirs;
}

struct replica *partitions_next(const struct partitions *partitions, struct map_entry **at)
{
    void *replica = NULL;
    return map_next(&partitions->replicas, at, NULL, &replica) ? replica : NULL;
}

int partitions_count(const struct partitions *partitions)
{
    return (int)partitions->replicas.count;
}

int partitions_led(const struct partitions *partitions)
{
    struct map_entry *at = NULL;
    void *value;
    int led = 0;
    while (map_next(&partitions->replicas, &at, NULL, &value))
        led += ((struct replica *)value)->state.role == PARTITION_LEADER;
    return led;
}

int64_t partitions_flush_age_ms(const struct partitions *partitions)
{
    return dirs_flush_age_us(partitions->options.dirs) / 1000;
}

void partitions_dump(const struct partitions *partitions, struct buf *out, int max)
{
    static const char *const roles[] = {"offline", "follower", "leader"};
    struct map_entry *at = NULL;
    void *value;
    while (max-- > 0 && map_next(&partitions->replicas, &at, NULL, &value)) {
        const struct replica *replica = value;
        const struct partition *state = &replica->state;
        buf_printf(out,
                   "partition=%s-%d role=%s leader=%d epoch=%d isr=%d/%d start=%" PRId64 " watermark=%" PRId64
                   " flushed=%" PRId64 " end=%" PRId64 " link=%d\n",
                   replica->topic, replica->index, roles[state->role], state->leader, state->leader_epoch,
                   partition_isr_size(state), state->replica_count, state->log_start, state->high_watermark,
                   state->flushed, state->log_end, (int)replica->link);
    }
}
