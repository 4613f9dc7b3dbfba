// SPDX-License-Identifier: Apache-2.0
// Opening a data directory: lock, identity, recovery of every log, lost ones, new checkpoints. All of it
// blocks and happens before the node registers anywhere, so that what it then reports about its logs is true.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"
#include "log/leftover.h"
#include "log/replay.h"
#include "log/swap.h"

#include <stdio.h>
#include <string.h>

enum {
    IDENTITY_BYTES_MAX = 4096,
    RENEW_MIN = 256 // so many logs opened are worth a new manifest
};

static const char short_of_point[] = "its log does not reach its recovery point";
static const char marker_name[] = ".kafka_cleanshutdown"; // Kafka's: everything was synced

struct log_set_config log_set_config_default(void)
{
    return (struct log_set_config){.node_id = -1,
                                   .log = log_config_default(),
                                   .tail_bytes_max = 16 << 20,
                                   .lent_bytes_max = 128 << 20,
                                   .verified_ms = 300000,
                                   .verified_bytes_max = 16 << 20,
                                   .free_bytes_min = 64 << 20,
                                   .checkpoint_ms = 60000,
                                   .checkpoint_bytes = 64 << 20,
                                   .journal_block_bytes = 16 << 20,
                                   .sync_each_max = 16,
                                   .close_portion = 4096,
                                   .open_files_max = 4096,
                                   .producer_expiry_ms = 24ll * 3600 * 1000,
                                   .producers_max = 100000,
                                   .clean = log_clean_config_default()};
}

// What the checkpoint files said about one log.
struct known {
    int64_t recovery_point, high_watermark, start, first_dirty;
    bool found;
};

struct opening {
    struct log_set *set;
    struct log_resume *resume;
    struct log_replay *replay;
    struct map known;
    char **dirs; // logs found that the manifest does not tell of
    int count, cap;
    bool unsynced; // recovery has written what is still to be synced, by one syncfs
    enum status status;
    enum status kept; // why the journal may hold what its log could not take, ST_OK: it does not
};

// ---- directory and identity ----

static enum status make_dir(struct env *env, const char *path)
{
    enum status status = path_mkdir(env, path);
    if (status != ST_OK)
        return status == ST_EXISTS ? ST_OK : status;
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL   ? mem_strdup(".")
                   : slash == path ? mem_strdup("/")
                                   : mem_strndup(path, (size_t)(slash - path));
    status = path_sync_dir(env, parent);
    mem_free(parent);
    return status;
}

static enum status lock_dir(struct log_set *set)
{
    struct log_path path = log_path_join(set->path, ".lock");
    enum status status = file_open(set->env, path.text, FILE_WRITE | FILE_CREATE, &set->lock);
    if (status == ST_OK)
        status = file_lock(set->env, set->lock);
    if (status == ST_AGAIN)
        DIAG_ERROR(&set->env->diag, "data directory is in use by another process dir=%s", set->path);
    return status;
}

static enum status save_identity(struct log_set *set)
{
    struct buf text;
    buf_init(&text, IDENTITY_BYTES_MAX);
    enum status status = log_identity_print(&set->identity, &text);
    if (status == ST_OK)
        status = log_file_replace(set->env, set->path, "meta.properties", buf_slice(&text), true);
    buf_fini(&text);
    return status;
}

static enum status load_identity(struct log_set *set, bool has_logs)
{
    struct buf text;
    buf_init(&text, 64 << 10);
    enum status status = log_file_load(set->env, set->path, "meta.properties", &text);
    if (status == ST_OK)
        status = log_identity_parse(buf_slice(&text), &set->identity);
    buf_fini(&text);
    if (status == ST_NOT_FOUND && has_logs) {
        DIAG_ERROR(&set->env->diag, "data directory holds logs but no meta.properties dir=%s", set->path);
        return ST_MISMATCH;
    }
    if (status != ST_OK && status != ST_NOT_FOUND) {
        DIAG_ERROR(&set->env->diag, "meta.properties cannot be used dir=%s status=%s", set->path,
                   status_name(status));
        return status;
    }
    if (status == ST_NOT_FOUND)
        set->identity = (struct log_identity){.node_id = -1};
    if (!uuid_is_zero(set->identity.directory_id))
        return ST_OK;
    set->identity.directory_id = env_random_uuid(set->env); // a fresh one, or from before KIP-858
    return save_identity(set);
}

enum status log_set_adopt(struct log_set *set, const char *cluster_id, int32_t node_id)
{
    struct log_identity *own = &set->identity;
    bool same_cluster =
        cluster_id == NULL || own->cluster_id[0] == 0 || strcmp(own->cluster_id, cluster_id) == 0;
    bool same_node = node_id < 0 || own->node_id < 0 || own->node_id == node_id;
    if (!same_cluster || !same_node) {
        DIAG_ERROR(
            &set->env->diag,
            "data directory belongs to another %s dir=%s its_cluster=%s its_node=%d cluster=%s node=%d",
            same_cluster ? "node" : "cluster", set->path, own->cluster_id, own->node_id,
            cluster_id != NULL ? cluster_id : "", node_id);
        return ST_MISMATCH;
    }
    bool news = (cluster_id != NULL && own->cluster_id[0] == 0) || (node_id >= 0 && own->node_id < 0);
    if (cluster_id != NULL && strlen(cluster_id) >= sizeof own->cluster_id)
        return ST_INVALID;
    if (cluster_id != NULL)
        snprintf(own->cluster_id, sizeof own->cluster_id, "%s", cluster_id);
    if (node_id >= 0)
        own->node_id = node_id;
    return news ? save_identity(set) : ST_OK;
}

const struct uuid *log_set_siblings(const struct log_set *set, int *count)
{
    *count = set->identity.sibling_count;
    return set->identity.siblings;
}

static void siblings_prepare(struct log_op *op)
{
    struct log_identity *copy = mem_calloc(1, sizeof *copy);
    *copy = op->set->identity;
    op->data = copy;
}

static void siblings_run(struct log_op *op)
{
    struct buf text;
    buf_init(&text, IDENTITY_BYTES_MAX);
    op->status = log_identity_print(op->data, &text);
    if (op->status == ST_OK)
        op->status = log_file_replace(op->set->env, op->set->path, "meta.properties", buf_slice(&text), true);
    buf_fini(&text);
}

static void siblings_finish(struct log_op *op)
{
    mem_free(op->data);
    if (op->status != ST_OK)
        log_set_go_offline(op->set, op->status);
}

static void set_siblings(struct log_set *set, const struct uuid *ids, int count)
{
    ASSERT(count <= LOG_SIBLINGS_MAX);
    memcpy(set->identity.siblings, ids, (size_t)count * sizeof *ids);
    set->identity.sibling_count = count;
}

enum status log_set_write_siblings(struct log_set *set, const struct uuid *ids, int count)
{
    set_siblings(set, ids, count);
    return save_identity(set);
}

void log_set_note_siblings(struct log_set *set, const struct uuid *ids, int count)
{
    ASSERT(set->identity.node_id >= 0 && set->identity.cluster_id[0] != 0);
    set_siblings(set, ids, count);
    struct log_op *op = log_op_new(set, NULL);
    op->prepare = siblings_prepare;
    op->run = siblings_run;
    op->finish = siblings_finish;
    log_op_queue(op);
}

// ---- what is there ----

static void add_dir(struct opening *opening, const char *name)
{
    if (opening->count == opening->cap) {
        opening->cap = opening->cap ? opening->cap * 2 : 16;
        opening->dirs = mem_realloc(opening->dirs, (size_t)opening->cap * sizeof *opening->dirs);
    }
    opening->dirs[opening->count++] = mem_strdup(name);
}

static bool list_entry(const char *name, void *context)
{
    struct opening *opening = context;
    struct log_set *set = opening->set;
    struct file_info info;
    const struct known *known = map_get(&opening->known, slice_str(name));
    if (log_resume_take(opening->resume, name, known != NULL ? known->recovery_point : 0))
        return true;
    struct log_path path = log_path_join(set->path, name);
    if (path_info(set->env, path.text, &info) != ST_OK || !info.directory)
        return true;
    enum log_dir_kind kind = log_dir_kind(name);
    if (kind == LOG_DIR_DELETE)
        log_remove_dir_later(set, name);
    else if (kind == LOG_DIR_STRAY)
        DIAG_WARN(&set->env->diag, "files that were set aside are left alone dir=%s", path.text);
    else if (kind != LOG_DIR_OTHER)
        add_dir(opening, name);
    return true;
}

static struct known *known_of(struct opening *opening, const char *name)
{
    struct known *known = map_get(&opening->known, slice_str(name));
    if (known == NULL) {
        known = mem_calloc(1, sizeof *known);
        map_put(&opening->known, slice_str(name), known);
    }
    return known;
}

static void take_recovery_point(const char *name, int64_t offset, void *context)
{
    known_of(context, name)->recovery_point = offset;
}
static void take_watermark(const char *name, int64_t offset, void *context)
{
    known_of(context, name)->high_watermark = offset;
}
static void take_start(const char *name, int64_t offset, void *context)
{
    known_of(context, name)->start = offset;
}

static void take_first_dirty(const char *name, int64_t offset, void *context)
{
    known_of(context, name)->first_dirty = offset;
}

// A missing file says nothing; a damaged one costs a scan of everything and is told. So does one of another
// version: there is no other than 0, but there are flipped bits.
static enum status load_offsets(struct opening *opening, const char *name, log_offset_fn *take)
{
    struct log_set *set = opening->set;
    struct buf text;
    buf_init(&text, LOG_SMALL_FILE_MAX);
    enum status status = log_file_load(set->env, set->path, name, &text);
    if (status == ST_OK)
        status = log_offsets_parse(buf_slice(&text), take, opening);
    buf_fini(&text);
    if (status == ST_UNSUPPORTED)
        status = ST_MALFORMED;
    if (status == ST_MALFORMED)
        DIAG_WARN(&set->env->diag, "checkpoint file is damaged and not used dir=%s file=%s", set->path, name);
    return status == ST_NOT_FOUND || status == ST_MALFORMED ? ST_OK : status;
}

// ---- recovery ----

static bool note_segment(const char *name, void *context)
{
    bool *any = context;
    *any = *any || log_segment_name_base(name, ".log") >= 0;
    return !*any;
}

// Records without a readable partition.metadata: whose they are is not known. They must not be taken for a
// former topic's and removed. The file is durable before the first segment is made, so no crash leaves this.
enum status log_load_id(const struct log *log, struct uuid *id)
{
    struct env *env = log->set->env;
    enum status status = log_partition_metadata_load(env, log->path, id);
    if (status == ST_OK)
        return ST_OK;
    bool any = false;
    *id = (struct uuid){{0}};
    enum status listed = status == ST_IO ? ST_IO : path_list(env, log->path, note_segment, &any);
    if (listed == ST_IO)
        return ST_IO;
    return listed != ST_OK || any ? status : ST_OK;
}

static void tell_lost(const struct log *log, const struct known *known, const char *why)
{
    DIAG_ERROR(&log->set->env->diag, "partition is lost: %s log=%s recovery_point=%lld", why, log->name,
               (long long)known->recovery_point);
}

static void mark_lost(struct log *log, const struct known *known, const char *why)
{
    log->lost = true;
    log->recovery_point = log->synced = known->recovery_point;
    tell_lost(log, known, why);
}

// Until its files can be read (heal.c) the log is what the checkpoints say of it, and they go on saying so.
static void mark_unread(struct log *log, const struct known *known, enum status status)
{
    log_state_fini(&log->state);
    log_state_init(&log->state, log->set->config.producers_max);
    log->state.end = known->recovery_point > known->start ? known->recovery_point : known->start;
    log->written = log->flushed = log->ring.floor = log->state.end;
    log->recovery_point = log->synced = known->recovery_point;
    log->start = log->start_saved = known->start;
    log->high_watermark = known->high_watermark < log->state.end ? known->high_watermark : log->state.end;
    log->clean.first_dirty = known->first_dirty;
    log_start_note(log);
    log_go_offline(log, status);
}

static void install_state(struct log *log, const struct known *known)
{
    struct log_state *state = &log->state;
    log->on_disk = true;
    log->written = log->flushed = log->synced = state->end;
    log->ring.floor = state->end;
    log->start = state->count > 0 ? state->segments[0]->base : 0;
    if (known->start > log->start)
        log->start = known->start < state->end ? known->start : state->end;
    log->start_saved = log->start;
    log_start_note(log);
    log_epochs_trim(&state->epochs, log->start);
    log->high_watermark = known->high_watermark < state->end ? known->high_watermark : state->end;
    if (log->high_watermark < log->start)
        log->high_watermark = log->start; // it is saved less often
    log->recovery_point = known->recovery_point;
    if (known->first_dirty > log->start && known->first_dirty <= state->end)
        log->clean.first_dirty = known->first_dirty; // else it speaks of another log than this one
    log->touched = log->index_lazy = true;
    for (int i = 0; i < state->count; i++)
        log->bytes += state->segments[i]->size;
}

// Loads what the files, and before them the journal, hold. lost: less than was durable.
static enum status load_log(struct opening *opening, struct log *log, struct known *known,
                            struct log_load_report *report)
{
    struct log_set *set = opening->set;
    struct log_load load = log_load_of(log, known->recovery_point);
    load.high_watermark = known->high_watermark;
    int64_t journaled;
    enum status status = log_swap_recover(set->env, log->path);
    if (status == ST_OK)
        status = log_replay_apply(opening->replay, log->id, log->partition, log->path, load.recovery_point,
                                  &journaled);
    if (status != ST_OK) {
        if (status != ST_CORRUPT) // of files that no start will make good
            opening->kept = status;
        return status;
    }
    load.verify_all = set->config.verify_all;
    load.doubts_memory = !set->was_clean;
    load.clean = set->was_clean && journaled < 0;
    load.sync_later = opening->count > set->config.sync_each_max / 4; // each takes up to four
    status = log_state_load(&load, &log->state, report);
    opening->unsynced = opening->unsynced || report->unsynced;
    if (status == ST_CORRUPT || status == ST_TRUNCATED) { // files that contradict one another
        status = ST_OK;
        report->lost = true;
    }
    if (status == ST_OK && log->state.end < journaled) {
        report->lost = true;
        known->recovery_point = journaled; // by which the next start knows, without the journal
    }
    if (status != ST_OK && journaled > load.recovery_point)
        opening->kept = status; // what was written was not synced
    return status;
}

static void recover_files(struct opening *opening, struct log *log, struct known *known)
{
    struct log_set *set = opening->set;
    struct log_load_report report;
    enum status status = load_log(opening, log, known, &report);
    if (status == ST_OK && report.lost) {
        log_state_fini(&log->state);
        log_state_init(&log->state, set->config.producers_max);
        mark_lost(log, known, short_of_point);
        return;
    }
    if (status != ST_OK) {
        mark_unread(log, known, status);
        return;
    }
    install_state(log, known);
    if (report.damaged > 0)
        DIAG_ERROR(&set->env->diag, "records are damaged, reads of them fail log=%s batches=%d", log->name,
                   report.damaged);
    if (report.dropped_bytes > 0)
        DIAG_WARN(&set->env->diag, "recovery cut the log's end log=%s end=%lld dropped_bytes=%lld why=\"%s\"",
                  log->name, (long long)log->state.end, (long long)report.dropped_bytes, report.why);
}

static struct log *recover_log(struct opening *opening, const char *dir)
{
    struct log_set *set = opening->set;
    char name[LOG_NAME_MAX];
    bool future = log_future_split(dir, name);
    if (!future)
        snprintf(name, sizeof name, "%s", dir);
    struct known *known = known_of(opening, name);
    known->found = true;
    struct log *log = future ? log_new_in(set, dir, name, &set->config.log)
                             : log_new(set, name, (struct uuid){{0}}, &set->config.log);
    log->future = future;
    log->on_disk = true; // whatever comes of it, it stays listed
    enum status status = log_load_id(log, &log->id);
    log->lost = status != ST_OK; // see recover_nameless
    log->id_unread = status == ST_IO && !future;
    if (status == ST_OK)
        recover_files(opening, log, known);
    return log;
}

// A damaged one tells nothing: which of two directories counts is then told by what is in them.
static void load_origin(struct opening *opening, const char *dir, struct log_origin *origin)
{
    struct log_set *set = opening->set;
    struct log_path path = log_path_join(set->path, dir);
    enum status status = log_origin_load(set->env, path.text, origin);
    if (status == ST_MALFORMED || status == ST_UNSUPPORTED)
        DIAG_WARN(&set->env->diag, "millrace-origin cannot be used dir=%s status=%s", path.text,
                  status_name(status));
    else if (status != ST_OK)
        opening->kept = status;
}

// A copy that had the partition's name when the node died, and not its place yet, is a future log again.
static void recover_named(struct opening *opening, int i)
{
    struct log_origin origin;
    char dir[LOG_NAME_MAX];
    load_origin(opening, opening->dirs[i], &origin);
    if (uuid_is_zero(origin.directory_id) || origin.decided) {
        recover_log(opening, opening->dirs[i])->origin = origin;
        return;
    }
    enum status status = log_future_return(opening->set, opening->dirs[i], dir);
    if (status != ST_OK) {
        opening->kept = status;
        return;
    }
    mem_free(opening->dirs[i]);
    opening->dirs[i] = mem_strdup(dir);
}

// Of the logs of that partition number nobody else's topic id is unknown, too.
static bool is_only_one(const struct log *log)
{
    bool only = true;
    for (const struct log *other = log->set->first; other != NULL; other = other->next)
        only = only && (other == log || !other->lost || !uuid_is_zero(other->id) ||
                        other->partition != log->partition);
    return only;
}

// Behind all others: what the journal has of nobody else may be this one's, whose id is then known. If there
// is nothing of that kind the files are all there is of it, and its owner may say whose it is (log_identify);
// where the disk only fails to give the id, that is waited for (heal.c).
static void recover_nameless(struct opening *opening, struct log *log)
{
    static const char why[] = "its partition.metadata cannot be read";
    struct known *known = known_of(opening, log->name);
    struct uuid id = {{0}};
    int unclaimed = log_replay_unclaimed(opening->replay, log->partition, &id);
    if (unclaimed > 1 || (unclaimed == 1 && !is_only_one(log))) {
        if (log->id_unread)
            opening->kept = ST_IO; // another start may read it, as long as the journal is there
        mark_lost(log, known, why);
        return;
    }
    log->lost = false;
    if (log->id_unread && unclaimed == 0) {
        mark_unread(log, known, ST_IO);
        return;
    }
    log->id_unread = false;
    log->id = id;
    if (unclaimed == 1 && log_make_directory(log, true) == ST_OK)
        DIAG_ERROR(&log->set->env->diag, "topic id cannot be read, the journal has it log=%s", log->name);
    recover_files(opening, log, known);
    log->nameless = unclaimed == 0 && !log->lost && log->status == ST_OK;
    log->lost = log->lost || unclaimed == 0;
    log->config.deletes = log->config.compact = false;
    if (log->nameless)
        tell_lost(log, known, why);
}

// A crash may leave more than one of a name, or one beside the log itself: of a move that was given up. The
// checkpoints and the journal speak of one log of a name.
static void recover_future(struct opening *opening, const char *dir)
{
    struct log_set *set = opening->set;
    char name[LOG_NAME_MAX];
    if (log_future_split(dir, name) && map_get(&set->by_name, slice_str(name)) == NULL &&
        !log_future_exists(set, name))
        recover_log(opening, dir);
    else
        log_remove_dir_later(set, dir);
}

// Found by the manifest. The watermark moves without the log's files.
static void note_resumed(struct log *log, struct known *known)
{
    known->found = true;
    if (known->high_watermark > log->high_watermark && known->high_watermark <= log->state.end)
        log->high_watermark = known->high_watermark;
}

static void recover_all(struct opening *opening)
{
    struct log_set *set = opening->set;
    for (struct log *log = set->first; log != NULL; log = log->next)
        note_resumed(log, known_of(opening, log->name));
    for (int i = 0; i < opening->count; i++)
        if (log_name_ok(opening->dirs[i]))
            recover_named(opening, i);
    for (int i = 0; i < opening->count; i++)
        if (!log_name_ok(opening->dirs[i]))
            recover_future(opening, opening->dirs[i]);
    for (struct log *log = set->first; log != NULL; log = log->next)
        if (log->on_disk && log->lost && !log->future && uuid_is_zero(log->id))
            recover_nameless(opening, log);
    struct map_entry *at = NULL;
    struct slice key;
    void *value;
    while (map_next(&opening->known, &at, &key, &value)) {
        struct known *known = value;
        if (known->found || known->recovery_point == 0)
            continue;
        char *name = mem_strndup((const char *)key.data, key.len);
        if (log_name_ok(name))
            mark_lost(log_new(set, name, (struct uuid){{0}}, &set->config.log), known, short_of_point);
        mem_free(name);
    }
}

static enum status save_recovered(struct opening *opening)
{
    struct log_set *set = opening->set;
    enum status status =
        opening->unsynced ? log_sync_all(set, LOG_FLUSHER) : path_sync_dir(set->env, set->path);
    if (status != ST_OK)
        return status;
    struct log_checkpoint *checkpoint = log_checkpoint_new(set, false);
    status = log_checkpoint_write(checkpoint, LOG_FLUSHER);
    log_checkpoint_done(checkpoint);
    return status;
}

static bool short_of_space(const struct log_set *set)
{
    for (const struct log *log = set->first; log != NULL; log = log->next)
        if (log->status == ST_NO_SPACE)
            return true;
    return false;
}

// A log that could not take what the journal holds for it keeps the journal, and so everybody, waiting for a
// disk that works, or for one with room: the reason, ST_OK when there is none.
static enum status journal_waits(const struct opening *opening)
{
    struct log_set *set = opening->set;
    enum status status = opening->kept;
#ifdef PLANTED_JOURNAL_DROPPED_UNREAD
    status = ST_OK;
#endif
    if (status == ST_OK && short_of_space(set))
        status = ST_NO_SPACE;
    if (status == ST_NO_SPACE)
        DIAG_ERROR(&set->env->diag, "no room for what the journal holds; it is kept dir=%s bytes=%lld",
                   set->path, (long long)log_replay_bytes(opening->replay));
    return status;
}

static enum status recover(struct opening *opening)
{
    struct log_set *set = opening->set;
    enum status status = log_replay_read(set->env, set->path, &opening->replay);
    if (status != ST_OK)
        return status;
    recover_all(opening);
    status = journal_waits(opening);
    if (status == ST_OK)
        status = save_recovered(opening);
    if (status == ST_OK)
        status = log_replay_remove(opening->replay);
    if (status == ST_OK && log_replay_bytes(opening->replay) > 0)
        DIAG_INFO(&set->env->diag, "journal replayed dir=%s bytes=%lld", set->path,
                  (long long)log_replay_bytes(opening->replay));
    return status == ST_OK && opening->count >= RENEW_MIN ? log_resume_renew(set) : status;
}

static bool has_marker(const struct log_set *set)
{
    struct file_info info;
    struct log_path path = log_path_join(set->path, marker_name);
    return path_info(set->env, path.text, &info) == ST_OK;
}

static enum status load_checkpoints(struct opening *opening)
{
    enum status status = load_offsets(opening, "recovery-point-offset-checkpoint", take_recovery_point);
    if (status == ST_OK)
        status = load_offsets(opening, "replication-offset-checkpoint", take_watermark);
    if (status == ST_OK)
        status = load_offsets(opening, "log-start-offset-checkpoint", take_start);
    if (status == ST_OK)
        status = load_offsets(opening, "cleaner-offset-checkpoint", take_first_dirty);
    return status;
}

static enum status open_steps(struct opening *opening, const struct log_set_config *config)
{
    struct log_set *set = opening->set;
    enum status status = make_dir(set->env, set->path);
    if (status == ST_OK)
        status = lock_dir(set);
    if (status == ST_OK)
        status = log_sync_open(set);
    set->was_clean = status == ST_OK && has_marker(set);
    opening->resume = log_resume_new(set);
    bool lists = log_resume_lists(opening->resume);
    if (status == ST_OK && lists)
        status = load_checkpoints(opening);
    if (status == ST_OK)
        status = path_list(set->env, set->path, list_entry, opening);
    if (status == ST_OK)
        status = load_identity(set, set->first != NULL || opening->count > 0);
    if (status == ST_OK)
        status = log_set_adopt(set, config->cluster_id, config->node_id);
    if (status == ST_OK && log_resume_whole(opening->resume, opening->count))
        return ST_OK;
    if (status == ST_OK)
        status = log_resume_keep(opening->resume);
    if (status == ST_OK && !lists)
        status = load_checkpoints(opening);
    return status == ST_OK ? recover(opening) : status;
}

static void opening_fini(struct opening *opening)
{
    struct map_entry *at = NULL;
    void *value;
    while (map_next(&opening->known, &at, NULL, &value))
        mem_free(value);
    map_fini(&opening->known);
    log_replay_destroy(&opening->replay);
    log_resume_destroy(&opening->resume);
    for (int i = 0; i < opening->count; i++)
        mem_free(opening->dirs[i]);
    mem_free(opening->dirs);
}

enum status log_set_open(struct env *env, const char *path, const struct log_set_config *config,
                         struct log_set **result)
{
    if (strlen(path) > LOG_PATH_MAX - 2 * LOG_NAME_MAX - 16)
        return ST_INVALID;
    struct log_set *set = mem_calloc(1, sizeof *set);
    set->env = env;
    set->path = mem_strdup(path);
    set->config = *config;
    set->config.cluster_id = NULL; // was borrowed
    set->own_budget.max = INT64_MAX;
    if (set->config.budget == NULL)
        set->config.budget = &set->own_budget;
    map_init(&set->by_name, 0);
    map_init(&set->leaving, 0);
    set->lent = log_lent_new();
    set->verified = log_verified_new(env, config->verified_ms, config->verified_bytes_max);
    log_set_init_metrics(set);
    set->flusher = env_queue_new(env, "flusher", 1);
    set->writer = env_queue_new(env, "writer", 1);
    set->saver = env_queue_new(env, "saver", 1);
    journal_init(&set->journal, env, set->path, config->journal_block_bytes);
    timer_init(&set->retry, log_retry_fire, set);
    timer_init(&set->checkpoint, log_checkpoint_fire, set);
    timer_init(&set->back, log_back_fire, set);
    timer_init(&set->expiry, log_expiry_fire, set);
    log_cold_init(set);
    log_resume_init(set);
    set->cleaner = log_cleaner_new(set, &config->clean);
    timer_init(&set->heal, log_heal_fire, set);
    struct opening opening = {.set = set};
    set->opening = true;
    map_init(&opening.known, 0);
    enum status status = open_steps(&opening, config);
    opening_fini(&opening);
    set->opening = false;
    if (status != ST_OK) {
        log_set_abandon(&set);
        return status;
    }
    timer_start_ms(env, &set->checkpoint, set->config.checkpoint_ms);
    log_set_clean(set, &config->clean);
    log_resume_begin_looks(set);
    *result = set;
    return ST_OK;
}

// ---- accessors ----

const char *log_set_path(const struct log_set *set)
{
    return set->path;
}
const char *log_set_cluster_id(const struct log_set *set)
{
    return set->identity.cluster_id[0] != 0 ? set->identity.cluster_id : NULL;
}
int32_t log_set_node_id(const struct log_set *set)
{
    return set->identity.node_id;
}
struct uuid log_set_directory_id(const struct log_set *set)
{
    return set->identity.directory_id;
}
bool log_set_was_clean(const struct log_set *set)
{
    return set->was_clean;
}
struct log *log_set_find(struct log_set *set, const char *name)
{
    return map_get(&set->by_name, slice_str(name));
}
struct log *log_set_next(struct log_set *set, struct log *log)
{
    struct log *next = log == NULL ? set->first : log->next;
    while (next != NULL && (next->deleted || next->future))
        next = next->next;
    return next;
}
int log_set_count(const struct log_set *set)
{
    return (int)set->by_name.count;
}
int64_t log_set_failures(const struct log_set *set)
{
    return set->failures;
}

enum status log_set_status(const struct log_set *set)
{
    if (set->status != ST_OK)
        return set->status;
    return set->low_space || set->stalled_logs > 0 ? ST_NO_SPACE : ST_OK;
}
