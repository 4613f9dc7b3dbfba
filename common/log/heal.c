// SPDX-License-Identifier: Apache-2.0
// The way back of a log that its disk has failed. After a pause, which doubles while the disk goes on
// failing, the log is read anew as at a start (open.c): a swap of compaction is finished, what the journal
// holds is written to the segments again, and they are scanned from the recovery point, by what the disk
// says: after a failed sync the kernel's memory of them proves nothing. Until then the journal keeps what the
// log may have only there (back.c). A log whose id the start could not read is given that first; the journal
// has nothing of such a one (open.c), and it may turn out to be nobody's (log_nameless). One without files
// of its own waits until those of an earlier log of its name are out of the way.
//
// A directory that has failed as a whole is tried first: when a file of it can be made durable, and
// everything that was written, each of its logs counts as failed by itself and comes back as any other.
//
// It is one op of the flusher for all logs that are due. It goes before the ops that wait, of which the first
// may need room in the journal that only a healed log gives back; and no write-back runs beside it, which
// could give a block its next number while the journal is read.
#include "base/mem.h"
#include "log/internal.h"
#include "log/replay.h"
#include "log/swap.h"

enum {
    PAUSE_MS = 1000, // before the first try
    PAUSE_MS_MAX = 60000,
    STEADY_MS = 60000, // one that has worked for so long begins with the short pause again
    TICK_MS = 200,     // how often is looked whether one is due
    LOGS_MAX = 16      // of one op: the appends of the others wait meanwhile
};

struct heal {
    struct log *log;
    struct log_load load;
    struct log_state state; // the new one
    struct log_load_report report;
    int64_t durable;   // must be there below it
    int64_t journaled; // behind the last batch the journal has of it, -1: none
    struct uuid id;    // the log's
    enum status named; // of reading that, where the start could not
    enum status status;
};

struct heals {
    struct heal rows[LOGS_MAX];
    int count;
    bool journaled; // one of them may have something in the journal
};

// ---- on a helper thread ----

// A disk that takes no writes yet must not give back a log that fails with the next one.
static enum status try_disk(struct heal *heal)
{
    const struct log *log = heal->log;
    struct env *env = log->set->env;
    if (!log->on_disk)
        return path_sync_dir(env, log->set->path); // its directory's entry is not durable for certain
    if (log->id_unread)
        heal->named = log_load_id(log, &heal->id);
    if (heal->named == ST_IO)
        return ST_IO;
    enum status status = log_make_directory(log, true); // without an id the file stays as it is
    if (status == ST_OK)
        status = log_origin_decide(log);
    return status == ST_OK ? path_sync_dir(env, log->path) : status;
}

static enum status read_anew(struct heal *heal, struct log_replay *replay)
{
    const struct log *log = heal->log;
    enum status status = log_swap_recover(log->set->env, log->path);
    if (status == ST_OK && replay != NULL)
        status = log_replay_apply(replay, heal->id, log->partition, log->path, heal->load.recovery_point,
                                  &heal->journaled);
    if (status != ST_OK)
        return status;
    status = log_state_load(&heal->load, &heal->state, &heal->report);
    bool contradicts = status == ST_CORRUPT || status == ST_TRUNCATED; // the files one another
    heal->report.lost = heal->report.lost || contradicts || heal->state.end < heal->durable ||
                        heal->state.end < heal->journaled;
#ifdef PLANTED_HEAL_LOSS_UNNOTICED
    heal->report.lost = false;
#endif
    return contradicts ? ST_OK : status;
}

static void heal_run(struct log_op *op)
{
    struct heals *heals = op->data;
    struct log_replay *replay = NULL;
    bool works = false;
    for (int i = 0; i < heals->count; i++) {
        heals->rows[i].status = try_disk(&heals->rows[i]);
        works = works || heals->rows[i].status == ST_OK;
    }
    enum status status = ST_OK;
    if (works && heals->journaled)
        status = log_replay_read(op->set->env, op->set->path, &replay);
    for (int i = 0; i < heals->count; i++)
        if (heals->rows[i].status == ST_OK)
            heals->rows[i].status = status == ST_OK ? read_anew(&heals->rows[i], replay) : status;
    log_replay_destroy(&replay);
}

// ---- the outcome, on the loop ----

static int64_t within(int64_t offset, int64_t low, int64_t high)
{
    return offset < low ? low : offset > high ? high : offset;
}

static void install(struct heal *heal)
{
    struct log *log = heal->log;
    int64_t first = heal->state.count > 0 ? heal->state.segments[0]->base : 0;
    int64_t start = within(log->start, first, heal->state.end), saved = log->start_saved;
    log_install(log, &heal->state, start);
    log->start_saved = within(saved, first, start); // a move of the start may still wait for its file
    log_epochs_trim(&log->state.epochs, log->start_saved);
    log->high_watermark = within(log->high_watermark, start, log->state.end);
    log->on_disk = log->on_disk || log->state.count > 0;
    log->lazy = log->held = false;
    log_clean_cut(log, log->state.end);
    log_back_serve(log, 0); // all of it is synced in the segments
    log->set->block_held_us = 0;
}

// It ends below what was durable: the owner decides, as after a start.
static void install_lost(struct heal *heal)
{
    struct log *log = heal->log;
    int64_t had = heal->durable > heal->journaled ? heal->durable : heal->journaled;
    log_state_fini(&heal->state);
    log_state_init(&heal->state, log->set->config.producers_max);
    install(heal);
    log->recovery_point = log->synced = had;
    DIAG_ERROR(&log->set->env->diag,
               "partition is lost: its disk works again, but records are missing log=%s recovery_point=%lld",
               log->name, (long long)had);
}

static void healed(struct heal *heal)
{
    struct log *log = heal->log;
    struct log_set *set = log->set;
    log->id = heal->id;
    log->id_unread = false;
    log->nameless = heal->named != ST_OK && !heal->report.lost;
    log->lost = heal->report.lost || log->nameless;
    log_origin_decided(log);
    if (heal->report.lost) {
        install_lost(heal);
    } else {
        install(heal);
        DIAG_INFO(&set->env->diag,
                  "partition is back, its disk works again log=%s end=%lld dropped_bytes=%lld damaged=%d",
                  log->name, (long long)log->state.end, (long long)heal->report.dropped_bytes,
                  heal->report.damaged);
    }
    if (log->nameless)
        DIAG_ERROR(&set->env->diag, "partition is lost: its partition.metadata cannot be read log=%s",
                   log->name);
    log->status = ST_OK;
    log->pause.until_us = env_now_us(set->env); // see pause_on
    metric_set(&set->m_offline, --set->offline_logs);
    metric_inc(&set->m_healed, 1);
    set->on_healed(log);
}

static void heal_failed(struct heal *heal)
{
    struct log *log = heal->log;
    metric_inc(&log->set->m_heal_failures, 1);
    log_heal_later(log);
    DIAG_DEBUG(&log->set->env->diag, "partition stays offline log=%s status=%s next_try_ms=%lld", log->name,
               status_name(heal->status), (long long)log->pause.ms);
}

static void heal_end(struct heal *heal)
{
    struct log *log = heal->log;
    log->flushing = false;
    if (log->deleted)
        ; // its removal waits behind this op
    else if (heal->status != ST_OK)
        heal_failed(heal);
    else if (!log->set->may_heal(log))
        log_heal_later(log); // it was allowed when this began
    else
        healed(heal);
    log_state_fini(&heal->state);
}

static void heal_finish(struct log_op *op)
{
    struct heals *heals = op->data;
    op->set->healing = false;
    for (int i = 0; i < heals->count; i++) {
        if (op->status != ST_OK) // it has not run
            heals->rows[i].status = op->status;
        heal_end(&heals->rows[i]);
    }
    mem_free(heals);
}

// ---- when ----

static bool is_due(struct log *log, int64_t now_us)
{
    // ST_MISMATCH: files of another topic, to which no id may be given here.
    return log->status != ST_OK && log->status != ST_MISMATCH && !log->deleted && log->jobs == 0 &&
           !log->clean.swapping && !log_name_taken(log) && log->pause.until_us <= now_us &&
           log->set->may_heal(log);
}

// From the recovery point on disk: index entries and epochs behind it are made durable by the next checkpoint
// only.
static void heal_add(struct heals *heals, struct log *log)
{
    struct heal *heal = &heals->rows[heals->count++];
    const struct log_set *set = log->set;
    int64_t point = log->synced < log->recovery_point ? log->synced : log->recovery_point;
    *heal = (struct heal){.log = log,
                          .load = log_load_of(log, point),
                          .durable = log->synced,
                          .journaled = -1,
                          .id = log->id,
                          .named = ST_OK};
    heal->load.verify_all = set->config.verify_all;
    heal->load.doubts_memory = true;
#ifdef PLANTED_HEALED_FROM_MEMORY
    heal->load.doubts_memory = false;
#endif
#ifdef PLANTED_HEALED_UNSYNCED
    heal->load.sync_later = true;
#endif
    log_state_init(&heal->state, set->config.producers_max);
    heals->journaled = heals->journaled || log_is_journaled(log);
#ifdef PLANTED_HEALED_WITHOUT_JOURNAL
    heals->journaled = false;
#endif
    log->flushing = true;
}

static void heal_prepare(struct log_op *op)
{
    struct heals *heals = op->data;
    struct log_set *set = op->set;
    int64_t now_us = env_now_us(set->env);
    for (struct log *log = set->first; log != NULL && heals->count < LOGS_MAX; log = log->next)
        if (is_due(log, now_us))
            heal_add(heals, log);
}

static bool any_due(const struct log_set *set)
{
    if (set->may_heal == NULL)
        return false;
    for (struct log *log = set->first; log != NULL; log = log->next)
        if (is_due(log, env_now_us(set->env)))
            return true;
    return false;
}

static void heal_queue(struct log_set *set)
{
    struct log_op *op = log_op_new(set, NULL);
    op->data = mem_calloc(1, sizeof(struct heals));
    op->alone = true;
    op->prepare = heal_prepare;
    op->run = heal_run;
    op->finish = heal_finish;
    set->healing = true;
    log_op_queue_first(op);
}

// ---- a directory ----

// By the temporary file with which meta.properties would be replaced, by the journal, and by the failed call
// itself, perhaps.
static void probe_run(struct log_op *op)
{
    struct log_set *set = op->set;
    op->status = log_file_stage(set->env, set->path, "meta.properties", slice_str("probe"), true);
    enum status removed = log_file_remove(set->env, set->path, "meta.properties.tmp");
    if (op->status == ST_OK)
        op->status = removed;
    if (op->status == ST_OK)
        op->status = path_sync_dir(set->env, set->path);
    if (op->status == ST_OK)
        op->status = journal_blank(&set->journal);
    if (op->status == ST_OK)
        op->status = log_sync_all(set, LOG_FLUSHER);
}

// No job works on a log now: the op runs beside none.
static void set_works(struct log_set *set)
{
    enum status was = set->status;
    int count = 0;
    set->status = ST_OK;
    set->pause.until_us = env_now_us(set->env);
    for (struct log *log = set->first; log != NULL; log = log->next)
        if (log->status == ST_OK && !log->deleted) {
            log_fail(log, was);
            count++;
        }
    DIAG_INFO(&set->env->diag, "data directory works again, its partitions are read anew dir=%s count=%d",
              set->path, count);
}

static void probe_finish(struct log_op *op)
{
    struct log_set *set = op->set;
    set->healing = false;
    if (op->status == ST_OK && !set->closing)
        set_works(set);
    else
        log_heal_set_later(set);
}

// Not when the manifest of a clean stop could not be removed (resume.c): it would be believed at a start.
static bool may_probe(const struct log_set *set)
{
    return set->may_heal != NULL && set->manifest != MANIFEST_STUCK &&
           set->pause.until_us <= env_now_us(set->env);
}

static void probe_queue(struct log_set *set)
{
    struct log_op *op = log_op_new(set, NULL);
    op->alone = true;
    op->run = probe_run;
    op->finish = probe_finish;
    set->healing = true;
    log_op_queue_first(op);
}

// ---- the clock ----

void log_heal_fire(struct timer *timer)
{
    struct log_set *set = timer->context;
    if (set->closing || (set->status == ST_OK && set->offline_logs == 0))
        return;
    timer_start_ms(set->env, timer, TICK_MS);
    if (set->healing)
        return;
    if (set->status != ST_OK && may_probe(set))
        probe_queue(set);
    else if (set->status == ST_OK && any_due(set))
        heal_queue(set);
}

static void pause_on(struct log_set *set, struct log_pause *pause)
{
    int64_t now_us = env_now_us(set->env);
    bool steady = pause->ms == 0 || now_us - pause->until_us > STEADY_MS * 1000ll;
    int64_t twice = pause->ms * 2 < PAUSE_MS_MAX ? pause->ms * 2 : PAUSE_MS_MAX;
    pause->ms = steady ? PAUSE_MS : twice;
    pause->until_us = now_us + pause->ms * 1000;
    if (!timer_running(&set->heal))
        timer_start_ms(set->env, &set->heal, TICK_MS);
}

void log_heal_later(struct log *log)
{
    pause_on(log->set, &log->pause);
}

void log_heal_set_later(struct log_set *set)
{
    pause_on(set, &set->pause);
}

void log_set_heal(struct log_set *set, log_may_heal_fn *may_heal, log_healed_fn *on_healed)
{
    set->may_heal = may_heal;
    set->on_healed = on_healed;
}
