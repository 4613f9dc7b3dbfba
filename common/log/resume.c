// SPDX-License-Identifier: Apache-2.0
// A start that opens no files. A stop writes, when everything is synced and Kafka's marker says so, all that
// the set knows of its logs into one file (log/manifest.h), and before that, in portions, what is synced
// already, in case it does not come to its end. A start makes the logs from it. What tells that it is true:
// - It names the marker by its time. Whoever else has used the directory (Kafka, a millrace that knows no
//   manifest) has removed that marker, and at most written another one.
// - Where we have removed the marker ourselves the manifest says so, and lists the logs that have changed
//   since (changes.c). The others end at or behind their recovery point, else somebody was there who keeps no
//   such list.
// - Each log's directory is there, and no other. Its files are looked at before the first write to them, and
// a
//   few at a time in the background; a difference takes the log offline, as damage does that is met later.
// What the manifest does not tell of (a log that has changed, a lost one, one with open transactions, a copy
// that is to take another directory's place) is loaded as after a crash.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"
#include "log/manifest.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_BEGIN_MS = 2000, LOOK_MS = 100, LOOK_LOGS = 32 };

static const char marker_name[] = ".kafka_cleanshutdown";

// ---- saving ----

static void note_leftovers(const char *name, void *context)
{
    struct log_set *set = context;
    struct log *log = map_get(&set->by_name, slice_str(name));
    if (log != NULL)
        log->leftovers = true;
}

void log_resume_prepare(struct log_set *set)
{
    log_reclaim_each_doomed(set, note_leftovers, set);
}

static bool is_settled(const struct log_segment *segment, bool last)
{
    return segment->exists && segment->written == segment->size && (segment->sealed || last) &&
           segment->snapshot.len == 0 && segment->aborted.pending.len == 0 &&
           segment->index.written == (int64_t)segment->index.entries * LOG_INDEX_ENTRY &&
           segment->times.written == (int64_t)segment->times.entries * LOG_TIME_ENTRY &&
           segment->aborted.written == (int64_t)segment->aborted.entries * LOG_ABORTED_ENTRY;
}

// Whether its state is all that there is to know of it.
static bool may_resume(const struct log *log)
{
    const struct log_state *state = &log->state;
    const struct log_ended *ended = &state->producers.ended;
    if (!log->resumed || log->future || !uuid_is_zero(log->origin.directory_id) || log->lost ||
        log->status != ST_OK || log->written != state->end || log->start_saved != log->start ||
        state->producers.open_first != NULL || ended->head < ended->count)
        return false;
    for (int i = 0; i < state->count; i++)
        if (!is_settled(state->segments[i], i + 1 == state->count))
            return false;
    return true;
}

static enum status add_log(struct buf *out, const struct log *log)
{
    const struct log_manifest_row row = {.name = log->name,
                                         .id = log->id,
                                         .start = log->start,
                                         .high_watermark = log->high_watermark,
                                         .first_dirty = log->clean.first_dirty,
                                         .leftovers = log->leftovers,
                                         .unfinished = !log->finished};
    return may_resume(log) ? log_manifest_add(out, &row, &log->state) : ST_NOT_FOUND;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct log *const *)a)->name, (*(struct log *const *)b)->name);
}

// Those of which the checkpoints tell.
static struct log **sorted_logs(const struct log_set *set, int *count)
{
    struct log **logs = mem_calloc((size_t)set->count + 1, sizeof(struct log *));
    *count = 0;
    for (struct log *log = set->first; log != NULL; log = log->next)
        if (!log->deleted && (log->on_disk || log->lost))
            logs[(*count)++] = log;
    if (*count > 0)
        qsort(logs, (size_t)*count, sizeof(struct log *), by_name);
    return logs;
}

static void print_logs(const struct log_set *set, struct buf *out, struct log_manifest_totals *totals)
{
    int count;
    struct log **logs = sorted_logs(set, &count);
    for (int i = 0; i < count; i++) {
        if (add_log(out, logs[i]) == ST_OK)
            totals->rows++;
        else
            totals->left_out++;
    }
    mem_free(logs);
}

enum status log_resume_save(struct log_set *set, bool ended)
{
    struct file_info marker = {0};
    struct log_manifest_totals totals = {0};
    struct buf bytes;
    buf_init(&bytes, LOG_MANIFEST_MAX);
    struct log_path path = log_path_join(set->path, marker_name);
    enum status status = ended ? path_info(set->env, path.text, &marker) : ST_OK;
    log_manifest_begin(&bytes);
    print_logs(set, &bytes, &totals);
    totals.marker_ns = marker.modified_ns;
    if (status == ST_OK)
        status = buf_status(&bytes);
    if (status == ST_OK) {
        log_manifest_seal(&bytes, &totals);
        status = log_file_replace(set->env, set->path, LOG_MANIFEST_NAME, buf_slice(&bytes), true);
    }
    set->manifest_bytes = (int64_t)bytes.len;
    buf_fini(&bytes);
    if (status != ST_OK)
        DIAG_WARN(&set->env->diag, "no manifest, the next start takes longer dir=%s status=%s", set->path,
                  status_name(status));
    return status;
}

// As much as the next start would otherwise do again.
enum status log_resume_renew(struct log_set *set)
{
    for (struct log *log = set->first; log != NULL; log = log->next) {
        bool opened = !log->resumed && log->status == ST_OK && !log->lost;
        log->finished = log->finished || opened;
        log->resumed = log->resumed || opened;
    }
    if (log_resume_save(set, false) != ST_OK)
        return log_resume_discard(set);
    set->manifest = MANIFEST_LISTS;
    return ST_OK;
}

// ---- resuming ----

struct log_resume {
    struct log_set *set;
    struct buf bytes;
    struct log_manifest manifest;
    bool any;           // the manifest can be used
    bool lists;         // no marker stands for it: rows of `changed` are not true
    struct map changed; // names
    struct buf passed;  // names of the other rows that were of no use, each with a zero behind it
    bool has_next;      // a row waits for its directory to be named
    int logs, left_out;
};

static void take_change(const char *name, void *context)
{
    struct log_resume *resume = context;
    map_put(&resume->changed, slice_str(name), resume);
}

// Without the marker it counts where we ourselves have removed that, or none was there when it was written.
static enum status load_changes(struct log_resume *resume)
{
    enum status status = log_manifest_each_change(&resume->manifest, take_change, resume);
    resume->lists = true;
    resume->set->manifest_bytes = (int64_t)resume->bytes.len;
    if (status == ST_NOT_FOUND)
        return resume->manifest.totals.marker_ns == 0 ? ST_OK : ST_MISMATCH;
    return status;
}

static enum status load_manifest(struct log_resume *resume)
{
    struct log_set *set = resume->set;
    struct file_info marker = {0};
    uint32_t version = 0;
    struct log_path path = log_path_join(set->path, marker_name);
    enum status marked = path_info(set->env, path.text, &marker);
    if (marked != ST_OK && marked != ST_NOT_FOUND)
        return marked;
    enum status status = log_file_load(set->env, set->path, LOG_MANIFEST_NAME, &resume->bytes);
    if (status == ST_OK)
        status = log_manifest_open(buf_slice(&resume->bytes), &resume->manifest, &version);
    if (status == ST_UNSUPPORTED)
        DIAG_WARN(&set->env->diag, "manifest of another version is not used dir=%s version=%u known=%d",
                  set->path, version, LOG_MANIFEST_VERSION);
    if (status != ST_OK)
        return status;
    if (marked == ST_NOT_FOUND)
        return load_changes(resume);
    set->manifest_bytes = (int64_t)(resume->bytes.len - resume->manifest.changes.len);
    return resume->manifest.totals.marker_ns == marker.modified_ns ? ST_OK : ST_MISMATCH;
}

// With its marker there it tells of a time before any journal; changes are listed before the journal has
// them.
static bool has_journal(const struct log_set *set)
{
    struct file_info info;
    bool any = false;
    for (int i = 0; i < JOURNAL_BLOCKS; i++) {
        struct log_path path = log_path_join(set->path, journal_file_name(i).text);
        any = any || path_info(set->env, path.text, &info) == ST_OK;
    }
    return any;
}

struct log_resume *log_resume_new(struct log_set *set)
{
    struct log_resume *resume = mem_calloc(1, sizeof *resume);
    resume->set = set;
    buf_init(&resume->bytes, LOG_MANIFEST_MAX);
    buf_init(&resume->passed, LOG_MANIFEST_MAX);
    map_init(&resume->changed, 0);
    enum status status = set->config.verify_all ? ST_NOT_FOUND : load_manifest(resume);
    if (status == ST_OK && !resume->lists && has_journal(set))
        status = ST_NOT_FOUND;
    resume->any = status == ST_OK;
    resume->lists = resume->lists && resume->any;
    if (status != ST_OK && status != ST_NOT_FOUND && status != ST_MISMATCH)
        DIAG_WARN(&set->env->diag, "manifest is not used, every log is opened dir=%s status=%s", set->path,
                  status_name(status));
    if (!resume->any)
        resume->manifest = (struct log_manifest){0};
    resume->has_next = log_manifest_next(&resume->manifest);
    return resume;
}

void log_resume_destroy(struct log_resume **pointer)
{
    struct log_resume *resume = *pointer;
    *pointer = NULL;
    if (resume == NULL)
        return;
    buf_fini(&resume->bytes);
    buf_fini(&resume->passed);
    map_fini(&resume->changed);
    mem_free(resume);
}

bool log_resume_lists(const struct log_resume *resume)
{
    return resume->lists;
}

// ---- renamed files ----

struct sweep {
    struct job job;
    struct env *env;
    char *path;
};

static bool sweep_entry(const char *name, void *context)
{
    static const char suffix[] = ".deleted";
    const struct sweep *sweep = context;
    size_t len = strlen(name);
    if (len >= sizeof suffix && strcmp(name + len + 1 - sizeof suffix, suffix) == 0)
        (void)log_file_remove(sweep->env, sweep->path, name); // what fails is left for the next load
    return true;
}

static void sweep_run(struct job *job)
{
    struct sweep *sweep = (struct sweep *)job;
    (void)path_list(sweep->env, sweep->path, sweep_entry, sweep);
}

static void sweep_done(struct job *job)
{
    struct sweep *sweep = (struct sweep *)job;
    mem_free(sweep->path);
    mem_free(sweep);
}

static void sweep_later(struct log *log)
{
    struct env *env = log->set->env;
    struct sweep *sweep = mem_calloc(1, sizeof *sweep);
    *sweep = (struct sweep){
        .job = {.run = sweep_run, .done = sweep_done}, .env = env, .path = mem_strdup(log->path)};
    env_submit(env, env->pool, &sweep->job);
}

// ---- logs ----

static void install(struct log *log, const struct log_manifest_row *row, int64_t point)
{
    const struct log_state *state = &log->state;
    log->on_disk = log->resumed = true;
    log->finished = !row->unfinished;
    log->state.epochs.changed = row->unfinished; // their file may not say the same
    log->written = log->flushed = log->synced = state->end;
    log->recovery_point = row->unfinished ? point : state->end;
    log->ring.floor = state->end;
    log->start = log->start_saved = row->start;
    log_start_note(log);
    log->high_watermark = row->high_watermark > row->start ? row->high_watermark : row->start;
    log->clean.first_dirty = row->first_dirty;
    for (int i = 0; i < state->count; i++)
        log->bytes += state->segments[i]->size;
}

static bool make_log(struct log_resume *resume, int64_t point)
{
    struct log_set *set = resume->set;
    struct log_manifest_row row;
    struct log_state state;
    log_state_init(&state, set->config.producers_max);
    if (!log_name_ok(resume->manifest.name) ||
        log_manifest_read(&resume->manifest, env_now_ms(set->env), &row, &state) != ST_OK ||
        (resume->lists && point > state.end)) {
        log_state_fini(&state);
        return false;
    }
    struct log *log = log_new(set, row.name, row.id, &set->config.log);
    log_state_fini(&log->state);
    log->state = state;
    install(log, &row, point);
    if (row.leftovers)
        sweep_later(log);
    resume->logs++;
    return true;
}

static bool has_changed(const struct log_resume *resume)
{
    return resume->lists && map_get(&resume->changed, slice_str(resume->manifest.name)) != NULL;
}

// Should there be another log of that name one day, the row must not be taken for its own.
static void pass_row(struct log_resume *resume)
{
    resume->left_out++;
    if (!has_changed(resume))
        buf_append(&resume->passed, resume->manifest.name, strlen(resume->manifest.name) + 1);
}

bool log_resume_take(struct log_resume *resume, const char *name, int64_t recovery_point)
{
    int order = 1;
    while (resume->has_next && (order = strcmp(resume->manifest.name, name)) < 0) {
        pass_row(resume); // its directory is gone
        resume->has_next = log_manifest_next(&resume->manifest);
    }
    if (!resume->has_next || order != 0)
        return false;
    bool made = !has_changed(resume) && make_log(resume, recovery_point);
    if (!made)
        pass_row(resume);
    resume->has_next = log_manifest_next(&resume->manifest);
    return made;
}

bool log_resume_whole(struct log_resume *resume, int others)
{
    struct log_set *set = resume->set;
    for (; resume->has_next; resume->has_next = log_manifest_next(&resume->manifest))
        pass_row(resume);
    bool whole = resume->any && !resume->lists && others == 0 && !resume->manifest.broken &&
                 resume->left_out == 0 && resume->manifest.totals.left_out == 0;
    metric_inc(&set->m_resumed, resume->logs);
    if (whole)
        set->manifest = MANIFEST_STANDS;
    if (resume->logs > 0)
        DIAG_DEBUG(&set->env->diag, "resumed from the manifest dir=%s logs=%d whole=%d", set->path,
                   resume->logs, whole);
    return whole;
}

enum status log_resume_keep(struct log_resume *resume)
{
    struct log_set *set = resume->set;
    if (resume->logs == 0 || resume->manifest.broken)
        return log_resume_discard(set);
    set->manifest = resume->lists ? MANIFEST_LISTS : MANIFEST_STANDS;
    return log_changes_begin(set, buf_slice(&resume->passed));
}

bool log_resume_unchanged(const struct log_set *set)
{
    bool touched = set->dirty_first != NULL;
    for (const struct log *log = set->first; log != NULL && !touched; log = log->next)
        touched = log->touched || log->status != ST_OK;
    return set->manifest == MANIFEST_STANDS && !touched;
}

// ---- looking at files ----

// What the files of a segment should have at least, and its .log at most.
struct segment_sizes {
    int64_t base, log, log_most, index, times, aborted;
};

// Of a log, copied for the pool.
struct sight {
    struct log *log;
    uint64_t generation, swaps;
    const char *path; // the log's
    struct uuid id;
    bool nameless; // partition.metadata does not say it any more
    struct segment_sizes *segments;
    int count;
    bool resumed;  // nothing has changed since the stop
    int64_t wrong; // base of the first segment that is otherwise, -1: none
    enum status status;
};

struct looks {
    struct job job;
    struct log_set *set;
    struct sight sights[LOOK_LOGS];
    int count;
};

static struct segment_sizes sizes_of(const struct log_segment *segment, bool may_grow)
{
    return (struct segment_sizes){.base = segment->base,
                                  .log = segment->written,
                                  .log_most = may_grow ? INT64_MAX : segment->written,
                                  .index = segment->index.written,
                                  .times = segment->times.written,
                                  .aborted = segment->aborted.written};
}

static enum status look_at_size(struct env *env, const char *dir, struct log_segment_name name, int64_t least,
                                int64_t most)
{
    struct file_info info = {0};
    struct log_path path = log_path_join(dir, name.text);
    enum status status = path_info(env, path.text, &info);
    if (status == ST_NOT_FOUND)
        return least > 0 ? ST_CORRUPT : ST_OK;
    return status == ST_OK && (info.size < least || info.size > most) ? ST_CORRUPT : status;
}

// An index may have an entry more, which a clean stop has put behind those that are counted (write_index in
// load.c).
static enum status look_at_segment(struct env *env, const char *dir, const struct segment_sizes *sizes)
{
    int64_t base = sizes->base;
    enum status status = look_at_size(env, dir, log_segment_name(base, ".log"), sizes->log, sizes->log_most);
    if (status == ST_OK)
        status = look_at_size(env, dir, log_segment_name(base, ".index"), sizes->index, INT64_MAX);
    if (status == ST_OK)
        status = look_at_size(env, dir, log_segment_name(base, ".timeindex"), sizes->times, INT64_MAX);
    if (status == ST_OK)
        status = look_at_size(env, dir, log_segment_name(base, ".txnindex"), sizes->aborted, INT64_MAX);
    return status;
}

// ST_NOT_FOUND: partition.metadata is damaged, ST_MISMATCH: the files are another topic's.
static enum status look_at_id(struct env *env, const char *dir, struct uuid id)
{
    struct uuid found = {{0}};
    if (uuid_is_zero(id))
        return ST_OK;
    enum status status = log_partition_metadata_load(env, dir, &found);
    if (status == ST_OK && uuid_equal(found, id))
        return ST_OK;
    bool other = status == ST_OK && !uuid_near(found, id);
    return status == ST_IO ? status : other ? ST_MISMATCH : ST_NOT_FOUND;
}

static void tell_repair(const struct log *log)
{
    DIAG_ERROR(&log->set->env->diag, "topic id in partition.metadata was damaged and is repaired log=%s",
               log->name);
}

static void tell_difference(const struct log *log, int64_t base)
{
    DIAG_ERROR(&log->set->env->diag, "files are not as the last stop left them log=%s segment=%lld",
               log->name, (long long)base);
}

enum status log_resume_look(const struct log *log, const struct log_segment *segment)
{
    struct env *env = log->set->env;
    enum status status = look_at_id(env, log->path, log->id);
    const struct segment_sizes sizes = sizes_of(segment, false);
    if (status == ST_NOT_FOUND) {
        tell_repair(log);
        status = log_make_directory(log, true);
    }
    if (status == ST_OK)
        status = look_at_segment(env, log->path, &sizes);
    if (status == ST_CORRUPT || status == ST_MISMATCH)
        tell_difference(log, segment->base);
    return status;
}

// ---- in the background ----

static void take_sight(struct looks *looks, struct log *log)
{
    struct sight *sight = &looks->sights[looks->count++];
    *sight = (struct sight){.log = log,
                            .generation = log->generation,
                            .swaps = log->clean.swaps,
                            .path = log->path, // stays as long as there are readers
                            .id = log->id,
                            .count = log->state.count,
                            .resumed = log->resumed,
                            .wrong = -1};
    sight->segments = mem_calloc((size_t)sight->count + 1, sizeof *sight->segments);
    for (int i = 0; i < sight->count; i++)
        sight->segments[i] = sizes_of(log->state.segments[i], i + 1 == sight->count && !sight->resumed);
    log_reader_began(log);
}

static void looks_run(struct job *job)
{
    struct looks *looks = (struct looks *)job;
    for (int k = 0; k < looks->count; k++) {
        struct sight *sight = &looks->sights[k];
        sight->status = look_at_id(looks->set->env, sight->path, sight->id);
        sight->nameless = sight->status == ST_NOT_FOUND;
        sight->status = sight->nameless ? ST_OK : sight->status;
        for (int i = 0; i < sight->count && sight->status == ST_OK; i++) {
            sight->wrong = sight->segments[i].base;
            sight->status = look_at_segment(looks->set->env, sight->path, &sight->segments[i]);
        }
    }
}

// Whether the log is still the one that was looked at.
static bool stands(const struct sight *sight)
{
    const struct log *log = sight->log;
    int at = log_state_segment_at(&log->state, sight->wrong);
    bool there = sight->status == ST_OK || sight->wrong < 0 ||
                 (at >= 0 && log->state.segments[at]->base == sight->wrong);
    return there && log->resumed == sight->resumed && !log->deleted && !log->busy && !log->adopting &&
           log->generation == sight->generation && uuid_equal(log->id, sight->id) &&
           log->clean.swaps == sight->swaps && !log->clean.swapping && log->status == ST_OK;
}

// The next start must see it, too.
static void fail(struct sight *sight)
{
    struct log *log = sight->log;
    tell_difference(log, sight->wrong);
    log_go_offline(log, sight->status);
    log_set_work(log->set); // its name is to be listed
}

static void judge(struct sight *sight)
{
    if (!stands(sight))
        return;
    if (sight->status == ST_CORRUPT || sight->status == ST_MISMATCH) {
        fail(sight);
    } else if (sight->status == ST_OK && sight->nameless) {
        tell_repair(sight->log);
        log_adopt(sight->log, sight->id);
    }
}

static void looks_done(struct job *job)
{
    struct looks *looks = (struct looks *)job;
    struct log_set *set = looks->set;
    for (int k = 0; k < looks->count; k++) {
        struct sight *sight = &looks->sights[k];
        judge(sight);
        mem_free(sight->segments);
        log_reader_ended(sight->log);
    }
    mem_free(looks);
    if (set->look_next != NULL && !set->closing)
        timer_start_ms(set->env, &set->look, LOOK_MS);
}

static void look_fire(struct timer *timer)
{
    struct log_set *set = timer->context;
    if (set->closing || set->look_next == NULL)
        return;
    struct looks *looks = mem_calloc(1, sizeof *looks);
    *looks = (struct looks){.job = {.run = looks_run, .done = looks_done}, .set = set};
    for (; set->look_next != NULL && looks->count < LOOK_LOGS; set->look_next = set->look_next->next) {
        struct log *log = set->look_next;
        // A copy's directory is about to change its name, and its files were read when this start found it.
        if (!log->deleted && !log->busy && !log->adopting && log->status == ST_OK && log->on_disk &&
            !log->future)
            take_sight(looks, log);
    }
    env_submit(set->env, set->env->pool, &looks->job);
}

void log_resume_init(struct log_set *set)
{
    timer_init(&set->look, look_fire, set);
}

void log_resume_begin_looks(struct log_set *set)
{
    set->look_next = set->first;
    if (set->look_next != NULL)
        timer_start_ms(set->env, &set->look, LOOK_BEGIN_MS);
}

void log_resume_forget(struct log *log)
{
    if (log->set->look_next == log)
        log->set->look_next = log->next;
}
