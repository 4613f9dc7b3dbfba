// SPDX-License-Identifier: Apache-2.0
// See adopt.h. A copy has a name that ends in "-delete" until it is committed: whatever ends the command
// before leaves nothing that the next start would take for a log.
#include "log/adopt.h"

#include "base/mem.h"
#include "log/files.h"
#include "log/manifest.h"
#include "log/internal.h"

#include <stdio.h>
#include <string.h>

enum { COPY_MAX = 1 << 20, INDEX_INTERVAL = 4096 };

static const char epochs_name[] = "leader-epoch-checkpoint";
static const char metadata_name[] = "partition.metadata";

struct candidate {
    char *name;
    int64_t recovery_point, high_watermark, start; // as the source's checkpoints say
    char *copy;                                    // name of the copy in the data directory; NULL: not added
    char *old;                                     // and, LOG_RELEASE, of what it takes the place of
    int64_t end, first;                            // of the copy: log end, base of its first segment
    int64_t newest;                                // base of its last segment as found
};

struct log_adoption {
    struct env *env;
    enum log_adoption_way way;
    char *from, *to;
    struct file *from_lock, *to_lock;
    bool clean;
    struct candidate *rows;
    int count, cap;
};

// ---- opening ----

static enum status lock_dir(struct env *env, const char *dir, struct file **lock, char *why)
{
    struct file_info info;
    struct log_path path = log_path_join(dir, ".lock");
    enum status status = path_info(env, dir, &info);
    if (status == ST_OK && !info.directory)
        status = ST_NOT_FOUND;
    if (status == ST_OK)
        status = file_open(env, path.text, FILE_WRITE | FILE_CREATE, lock);
    if (status == ST_OK)
        status = file_lock(env, *lock);
    if (status != ST_OK)
        snprintf(why, LOG_ADOPT_WHY, "%.150s: %s", dir,
                 status == ST_AGAIN ? "in use by another process" : status_text(status));
    return status;
}

static bool list_partition(const char *name, void *context)
{
    struct log_adoption *adoption = context;
    struct file_info info;
    struct log_path path = log_path_join(adoption->from, name);
    if (path_info(adoption->env, path.text, &info) != ST_OK || !info.directory || !log_name_ok(name))
        return true;
    if (adoption->count == adoption->cap) {
        adoption->cap = adoption->cap > 0 ? adoption->cap * 2 : 16;
        adoption->rows = mem_realloc(adoption->rows, (size_t)adoption->cap * sizeof *adoption->rows);
    }
    adoption->rows[adoption->count++] = (struct candidate){.name = mem_strdup(name), .start = -1};
    return true;
}

static struct candidate *candidate_of(struct log_adoption *adoption, const char *name)
{
    for (int i = 0; i < adoption->count; i++)
        if (strcmp(adoption->rows[i].name, name) == 0)
            return &adoption->rows[i];
    return NULL;
}

static void take_recovery_point(const char *name, int64_t offset, void *context)
{
    struct candidate *candidate = candidate_of(context, name);
    if (candidate != NULL)
        candidate->recovery_point = offset;
}
static void take_watermark(const char *name, int64_t offset, void *context)
{
    struct candidate *candidate = candidate_of(context, name);
    if (candidate != NULL)
        candidate->high_watermark = offset;
}
static void take_start(const char *name, int64_t offset, void *context)
{
    struct candidate *candidate = candidate_of(context, name);
    if (candidate != NULL)
        candidate->start = offset;
}

static const struct checkpoint_file {
    const char *name;
    log_offset_fn *take;
} checkpoint_files[] = {{"recovery-point-offset-checkpoint", take_recovery_point},
                        {"replication-offset-checkpoint", take_watermark},
                        {"log-start-offset-checkpoint", take_start}};

static enum status load_checkpoints(struct log_adoption *adoption, char *why)
{
    enum status status = ST_OK;
    for (int i = 0; i < 3 && status == ST_OK; i++) {
        struct buf text;
        buf_init(&text, LOG_SMALL_FILE_MAX);
        status = log_file_load(adoption->env, adoption->from, checkpoint_files[i].name, &text);
        if (status == ST_OK)
            status = log_offsets_parse(buf_slice(&text), checkpoint_files[i].take, adoption);
        else if (status == ST_NOT_FOUND)
            status = ST_OK;
        buf_fini(&text);
        if (status != ST_OK)
            snprintf(why, LOG_ADOPT_WHY, "%s: %s", checkpoint_files[i].name, status_text(status));
    }
    return status;
}

static bool was_stopped_cleanly(struct env *env, const char *dir)
{
    struct file_info info;
    struct log_path marker = log_path_join(dir, ".kafka_cleanshutdown");
    return path_info(env, marker.text, &info) == ST_OK;
}

enum status log_adoption_new(struct env *env, enum log_adoption_way way, const char *from, const char *to,
                             char *why, struct log_adoption **out)
{
    struct log_adoption *adoption = mem_calloc(1, sizeof *adoption);
    *adoption = (struct log_adoption){.env = env, .way = way, .from = mem_strdup(from), .to = mem_strdup(to)};
    enum status status = ST_OK;
    if (strlen(from) > LOG_PATH_MAX - 2 * LOG_NAME_MAX || strlen(to) > LOG_PATH_MAX - 2 * LOG_NAME_MAX) {
        snprintf(why, LOG_ADOPT_WHY, "a path is too long");
        status = ST_INVALID;
    }
    if (status == ST_OK)
        status = lock_dir(env, from, &adoption->from_lock, why);
    if (status == ST_OK)
        status = lock_dir(env, to, &adoption->to_lock, why);
    if (status == ST_OK && (status = path_list(env, from, list_partition, adoption)) != ST_OK)
        snprintf(why, LOG_ADOPT_WHY, "%.150s: %s", from, status_text(status));
    if (status == ST_OK)
        status = load_checkpoints(adoption, why);
    if (status == ST_OK && way == LOG_RELEASE && !was_stopped_cleanly(env, to)) {
        snprintf(why, LOG_ADOPT_WHY, "%.150s: Kafka was not stopped cleanly", to);
        status = ST_AGAIN;
    }
    if (status != ST_OK) {
        log_adoption_destroy(&adoption);
        return status;
    }
    adoption->clean = was_stopped_cleanly(env, from);
    *out = adoption;
    return ST_OK;
}

void log_adoption_destroy(struct log_adoption **pointer)
{
    struct log_adoption *adoption = *pointer;
    *pointer = NULL;
    if (adoption == NULL)
        return;
    file_close(adoption->env, &adoption->from_lock);
    file_close(adoption->env, &adoption->to_lock);
    for (int i = 0; i < adoption->count; i++) {
        mem_free(adoption->rows[i].name);
        mem_free(adoption->rows[i].copy);
        mem_free(adoption->rows[i].old);
    }
    mem_free(adoption->rows);
    mem_free(adoption->from);
    mem_free(adoption->to);
    mem_free(adoption);
}

bool log_adoption_clean(const struct log_adoption *adoption)
{
    return adoption->clean;
}
int log_adoption_count(const struct log_adoption *adoption)
{
    return adoption->count;
}
const char *log_adoption_name(const struct log_adoption *adoption, int i)
{
    return adoption->rows[i].name;
}

// ---- copying ----

struct copying {
    struct env *env;
    const char *from, *to; // directories
    uint8_t *window;       // COPY_MAX bytes
    int64_t newest;        // highest base of a .log
    char *why;
    enum status status;
};

static enum status copy_bytes(struct copying *copying, struct file *source, struct file *target)
{
    int64_t at = 0;
    size_t got;
    enum status status;
    do {
        status = file_pread(copying->env, source, copying->window, COPY_MAX, at, &got);
        if (status == ST_OK && got > 0)
            status = file_pwrite(copying->env, target, copying->window, got, at);
        at += (int64_t)got;
    } while (status == ST_OK && got == COPY_MAX);
    return status == ST_OK ? file_sync(copying->env, target) : status;
}

static enum status copy_file(struct copying *copying, const char *name)
{
    struct log_path source_path = log_path_join(copying->from, name);
    struct log_path target_path = log_path_join(copying->to, name);
    struct file *source, *target;
    enum status status = file_open(copying->env, source_path.text, FILE_READ, &source);
    if (status != ST_OK)
        return status;
    status = file_open(copying->env, target_path.text, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &target);
    if (status == ST_OK) {
        status = copy_bytes(copying, source, target);
        file_close(copying->env, &target);
    }
    file_close(copying->env, &source);
    return status;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);
    return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

// What a log consists of; files on their way out (.deleted) and a compaction's attempts (.cleaned) stay
// behind.
static bool is_of_log(const char *name)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex", ".txnindex", ".snapshot"};
    if (strcmp(name, epochs_name) == 0 || strcmp(name, metadata_name) == 0)
        return true;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (log_segment_name_base(name, suffixes[i]) >= 0)
            return true;
    return false;
}

static bool copy_entry(const char *name, void *context)
{
    struct copying *copying = context;
    if (has_suffix(name, ".swap")) {
        snprintf(copying->why, LOG_ADOPT_WHY,
                 "Kafka was stopped in the middle of a compaction: start and stop it once more");
        copying->status = ST_AGAIN;
    } else if (is_of_log(name)) {
        int64_t base = log_segment_name_base(name, ".log");
        copying->newest = base > copying->newest ? base : copying->newest;
        copying->status = copy_file(copying, name);
        if (copying->status != ST_OK)
            snprintf(copying->why, LOG_ADOPT_WHY, "%s: %s", name, status_text(copying->status));
    }
    return copying->status == ST_OK;
}

static enum status copy_directory(struct log_adoption *adoption, struct candidate *candidate,
                                  const char *from, const char *to, char *why)
{
    struct copying copying = {
        .env = adoption->env, .from = from, .to = to, .window = mem_calloc(1, COPY_MAX), .why = why};
    enum status status = path_mkdir(adoption->env, to);
    if (status == ST_OK)
        status = path_list(adoption->env, from, copy_entry, &copying);
    mem_free(copying.window);
    candidate->newest = copying.newest;
    if (status != ST_OK)
        snprintf(why, LOG_ADOPT_WHY, "cannot be copied: %s", status_text(status));
    return status == ST_OK ? copying.status : status;
}

// ---- verifying ----

// The epochs Kafka knew: it also has those whose records a compaction has taken. Used when they say of every
// batch what the batch says.
static enum status save_epochs(struct log_adoption *adoption, const char *dir, struct log_state *state,
                               struct log_adopted *adopted)
{
    struct log_epochs known = {0};
    struct buf text;
    buf_init(&text, LOG_SMALL_FILE_MAX);
    enum status status = log_file_load(adoption->env, dir, epochs_name, &text);
    bool agree = status == ST_OK && log_epochs_parse(buf_slice(&text), &known) == ST_OK;
    if (agree && known.count > 0)
        adopted->last_epoch = known.rows[known.count - 1].epoch;
    if (agree)
        log_epochs_cut(&known, state->end);
    for (int i = 0; agree && i < state->epochs.count; i++)
        agree = !log_epochs_contradict(&known, state->epochs.rows[i].epoch, state->epochs.rows[i].start);
    struct log_epochs *right = agree ? &known : &state->epochs;
    log_epochs_trim(right, adopted->start);
    buf_clear(&text);
    status = log_epochs_print(right, &text);
    if (status == ST_OK)
        status = log_file_replace(adoption->env, dir, epochs_name, buf_slice(&text), true);
    log_epochs_fini(&known);
    buf_fini(&text);
    return status;
}

static enum status load_id(struct env *env, const char *dir, struct uuid *id)
{
    enum status status = log_partition_metadata_load(env, dir, id);
    return status == ST_OK && uuid_is_zero(*id) ? ST_NOT_FOUND : status;
}

static enum status judge(const struct log_adoption *adoption, const struct candidate *candidate,
                         const struct log_state *state, const struct log_load_report *report, char *why)
{
    // An unclean stop may leave an incomplete batch at the very end. A hole above the recovery point could be
    // a compaction's: what lies behind it must not be cut off.
    int64_t last = state->count > 0 ? state->segments[state->count - 1]->base : 0;
    bool torn = !adoption->clean && last == candidate->newest;
    if (!report->lost && report->damaged == 0 && (report->dropped_bytes == 0 || torn))
        return ST_OK;
    snprintf(why, LOG_ADOPT_WHY, "is damaged behind offset %lld (%s): %lld bytes", (long long)state->end,
             report->why != NULL   ? report->why
             : report->damaged > 0 ? "invalid batch"
                                   : "too short",
             (long long)report->dropped_bytes);
    return ST_CORRUPT;
}

static enum status verify(struct log_adoption *adoption, struct candidate *candidate, const char *dir,
                          char *why, struct log_adopted *adopted)
{
    struct log_load load = {.env = adoption->env,
                            .path = dir,
                            .recovery_point = candidate->recovery_point,
                            .verify_all = true,
                            .clean = adoption->clean,
                            .index_interval = INDEX_INTERVAL,
                            .high_watermark = candidate->high_watermark};
    struct log_load_report report;
    struct log_state state;
    log_state_init(&state, INT32_MAX);
    enum status status = log_state_load(&load, &state, &report);
    if (status != ST_OK)
        snprintf(why, LOG_ADOPT_WHY, "cannot be read: %s", status_text(status));
    else
        status = judge(adoption, candidate, &state, &report, why);
    candidate->end = state.end;
    candidate->first = state.count > 0 ? state.segments[0]->base : 0;
    adopted->start = candidate->start > candidate->first ? candidate->start : candidate->first;
    adopted->end = state.end;
    adopted->dropped = report.dropped_bytes;
    adopted->unstable =
        state.producers.open_first != NULL ? state.producers.open_first->txn_first_offset : -1;
    for (int i = 0; i < state.count; i++)
        adopted->bytes += state.segments[i]->size;
    if (status == ST_OK && (status = save_epochs(adoption, dir, &state, adopted)) != ST_OK)
        snprintf(why, LOG_ADOPT_WHY, "%s: %s", epochs_name, status_text(status));
    log_state_fini(&state);
    return status;
}

// ---- the place of another ----

struct search {
    const char *name;
    int64_t offset;
};

static void search_take(const char *name, int64_t offset, void *context)
{
    struct search *search = context;
    if (strcmp(name, search->name) == 0)
        search->offset = offset;
}

// What the broker has of the partition. After a clean stop its recovery point is the end; its last epoch is
// in the list also without records, since a leader notes it when it begins.
static enum status load_place(const struct log_adoption *adoption, const char *name, struct uuid *id,
                              int64_t *end, int32_t *epoch)
{
    struct log_path dir = log_path_join(adoption->to, name);
    struct search search = {.name = name};
    struct log_epochs epochs = {0};
    struct buf points, text;
    buf_init(&points, LOG_SMALL_FILE_MAX);
    buf_init(&text, LOG_SMALL_FILE_MAX);
    enum status status = load_id(adoption->env, dir.text, id);
    if (status == ST_OK)
        status = log_file_load(adoption->env, adoption->to, checkpoint_files[0].name, &points);
    if (status == ST_OK)
        status = log_offsets_parse(buf_slice(&points), search_take, &search);
    if (status == ST_OK)
        status = log_file_load(adoption->env, dir.text, epochs_name, &text);
    if (status == ST_OK)
        status = log_epochs_parse(buf_slice(&text), &epochs);
    *end = search.offset;
    *epoch = log_epochs_last(&epochs);
    log_epochs_fini(&epochs);
    buf_fini(&points);
    buf_fini(&text);
    return status;
}

// Whether the copy may take the place of what the broker has: with nothing of it lost, and with epochs to
// come that are above those of the records (each change of leaders raises the broker's by one).
static enum status judge_place(const struct log_adopted *adopted, struct uuid id, int64_t end, int32_t epoch,
                               char *why)
{
    bool other = !uuid_equal(id, adopted->id);
    if (other && end > 0) {
        snprintf(why, LOG_ADOPT_WHY, "the broker's topic of that name is another one, with records");
        return ST_MISMATCH;
    }
    if (end > adopted->end) {
        snprintf(why, LOG_ADOPT_WHY, "the broker has records up to offset %lld, the node up to %lld",
                 (long long)end, (long long)adopted->end);
        return ST_MISMATCH;
    }
    if (epoch < adopted->last_epoch) {
        snprintf(
            why, LOG_ADOPT_WHY,
            "the records have leader epoch %d, the broker has come to %d: start and stop it until it has "
            "come as far",
            adopted->last_epoch, epoch);
        return ST_STALE;
    }
    return ST_OK;
}

static enum status fit_place(const struct log_adoption *adoption, const char *name, const char *copy,
                             char *why, struct log_adopted *adopted)
{
    struct uuid id;
    int64_t end;
    int32_t epoch;
    struct buf text;
    enum status status = load_place(adoption, name, &id, &end, &epoch);
    if (status != ST_OK)
        snprintf(why, LOG_ADOPT_WHY, "the broker's partition cannot be read: %s", status_text(status));
    else
        status = judge_place(adopted, id, end, epoch, why);
    if (status != ST_OK || uuid_equal(id, adopted->id))
        return status;
    adopted->id = id;
    buf_init(&text, 4096);
    status = log_partition_metadata_print(id, &text);
    if (status == ST_OK)
        status = log_file_replace(adoption->env, copy, metadata_name, buf_slice(&text), true);
    buf_fini(&text);
    if (status != ST_OK)
        snprintf(why, LOG_ADOPT_WHY, "%s: %s", metadata_name, status_text(status));
    return status;
}

static enum status look_at_place(const struct log_adoption *adoption, const char *name, char *why)
{
    struct file_info info;
    struct log_path target = log_path_join(adoption->to, name);
    bool there = path_info(adoption->env, target.text, &info) == ST_OK;
    if (adoption->way == LOG_ADOPT && there) {
        snprintf(why, LOG_ADOPT_WHY, "the data directory has a partition of that name");
        return ST_EXISTS;
    }
    if (adoption->way == LOG_RELEASE && !there) {
        snprintf(why, LOG_ADOPT_WHY, "the broker has no partition of that name there");
        return ST_NOT_FOUND;
    }
    return ST_OK;
}

// Kafka's name for a directory on its way out, which no start takes for a log, of either.
static char *doomed_name(const struct log_adoption *adoption, const char *name)
{
    return mem_printf("%.200s.%016llx%016llx-delete", name, (unsigned long long)env_random(adoption->env),
                      (unsigned long long)env_random(adoption->env));
}

enum status log_adoption_add(struct log_adoption *adoption, int i, char *why, struct log_adopted *adopted)
{
    struct candidate *candidate = &adoption->rows[i];
    struct log_path source = log_path_join(adoption->from, candidate->name);
    *adopted = (struct log_adopted){.last_epoch = -1};
    enum status status = look_at_place(adoption, candidate->name, why);
    if (status != ST_OK)
        return status;
    status = load_id(adoption->env, source.text, &adopted->id);
    if (status != ST_OK) {
        snprintf(why, LOG_ADOPT_WHY, "no topic id in %s", metadata_name);
        return ST_NOT_FOUND;
    }
    char *copy = doomed_name(adoption, candidate->name);
    struct log_path dir = log_path_join(adoption->to, copy);
    status = copy_directory(adoption, candidate, source.text, dir.text, why);
    if (status == ST_OK)
        status = verify(adoption, candidate, dir.text, why, adopted);
    if (status == ST_OK && adoption->way == LOG_RELEASE)
        status = fit_place(adoption, candidate->name, dir.text, why, adopted);
    if (status == ST_OK)
        status = path_sync_dir(adoption->env, dir.text);
    if (status == ST_OK) {
        candidate->copy = copy;
        return ST_OK;
    }
    log_remove_dir(adoption->env, dir.text);
    mem_free(copy);
    return status;
}

// ---- commit ----

struct rows {
    struct log_adoption *adoption;
    struct log_offset_row *rows;
    int count, cap;
};

static void rows_add(struct rows *rows, const char *name, int64_t offset)
{
    if (rows->count == rows->cap) {
        rows->cap = rows->cap > 0 ? rows->cap * 2 : 16;
        rows->rows = mem_realloc(rows->rows, (size_t)rows->cap * sizeof *rows->rows);
    }
    rows->rows[rows->count++] = (struct log_offset_row){mem_strdup(name), offset};
}

// Of what stays.
static void rows_take(const char *name, int64_t offset, void *context)
{
    struct rows *rows = context;
    const struct candidate *candidate = candidate_of(rows->adoption, name);
    if (candidate == NULL || candidate->copy == NULL)
        rows_add(rows, name, offset);
}

static void rows_add_adopted(struct rows *rows, const struct candidate *candidate, int file)
{
    int64_t watermark =
        candidate->high_watermark < candidate->end ? candidate->high_watermark : candidate->end;
    if (file == 0)
        rows_add(rows, candidate->name, candidate->end);
    else if (file == 1)
        rows_add(rows, candidate->name, watermark);
    else if (candidate->start > candidate->first)
        rows_add(rows, candidate->name,
                 candidate->start < candidate->end ? candidate->start : candidate->end);
}

// The data directory's file with rows for what was added.
static enum status extend_checkpoint(struct log_adoption *adoption, int file)
{
    const char *name = checkpoint_files[file].name;
    struct rows rows = {.adoption = adoption};
    struct buf text;
    buf_init(&text, LOG_SMALL_FILE_MAX);
    enum status status = log_file_load(adoption->env, adoption->to, name, &text);
    if (status == ST_OK)
        status = log_offsets_parse(buf_slice(&text), rows_take, &rows);
    else if (status == ST_NOT_FOUND)
        status = ST_OK;
    for (int i = 0; i < adoption->count; i++)
        if (adoption->rows[i].copy != NULL)
            rows_add_adopted(&rows, &adoption->rows[i], file);
    buf_clear(&text);
    if (status == ST_OK)
        status = log_offsets_print(rows.rows, rows.count, &text);
    if (status == ST_OK)
        status = log_file_replace(adoption->env, adoption->to, name, buf_slice(&text), true);
    for (int i = 0; i < rows.count; i++)
        mem_free((char *)rows.rows[i].name);
    mem_free(rows.rows);
    buf_fini(&text);
    return status;
}

// A crash between the two names leaves the broker without the partition, which it then makes anew, empty: the
// same may be done once more.
static enum status put_in_place(const struct log_adoption *adoption, struct candidate *candidate)
{
    struct env *env = adoption->env;
    struct log_path from = log_path_join(adoption->to, candidate->copy);
    struct log_path to = log_path_join(adoption->to, candidate->name);
    if (adoption->way == LOG_ADOPT)
        return path_rename(env, from.text, to.text);
    candidate->old = doomed_name(adoption, candidate->name);
    struct log_path away = log_path_join(adoption->to, candidate->old);
    enum status status = path_rename(env, to.text, away.text);
    return status == ST_OK ? path_rename(env, from.text, to.text) : status;
}

// What is left of them goes at the broker's next start.
static void remove_old(const struct log_adoption *adoption)
{
    for (int i = 0; i < adoption->count; i++)
        if (adoption->rows[i].old != NULL) {
            struct log_path path = log_path_join(adoption->to, adoption->rows[i].old);
            log_remove_dir(adoption->env, path.text);
        }
}

// Recovery points first: a directory without one would be cut at the first gap a compaction has left. One
// that is named and not yet there is lost, which the node says.
enum status log_adoption_commit(struct log_adoption *adoption)
{
    enum status status = log_file_remove(adoption->env, adoption->to, LOG_MANIFEST_NAME);
    if (status == ST_OK)
        status = path_sync_dir(adoption->env, adoption->to);
    for (int i = 0; i < 3 && status == ST_OK; i++)
        status = extend_checkpoint(adoption, i);
    for (int i = 0; i < adoption->count && status == ST_OK; i++)
        if (adoption->rows[i].copy != NULL)
            status = put_in_place(adoption, &adoption->rows[i]);
    if (status == ST_OK)
        status = path_sync_dir(adoption->env, adoption->to);
    if (status == ST_OK)
        remove_old(adoption);
    return status;
}
