// SPDX-License-Identifier: Apache-2.0
// Which rows of the manifest (resume.c) are no longer true. Before anything is changed that a row tells of,
// the log's name stands durably behind the rows; with the first names Kafka's marker goes. So a start behind
// a crash still opens only the logs that have changed since the last stop. Every job of the set passes the
// gate here (log_set_work): a flush round takes the logs that are listed, while more of them make their first
// change, and write-backs follow rounds; all else starts when every name is listed. Where names cannot be
// written, on a full disk for instance, the manifest goes as a whole, which needs no space.
#include "base/mem.h"
#include "log/internal.h"
#include "log/manifest.h"

static const char marker_name[] = ".kafka_cleanshutdown";

enum status log_resume_discard(struct log_set *set)
{
    enum status status = log_file_remove(set->env, set->path, marker_name);
    if (status == ST_OK)
        status = log_file_remove(set->env, set->path, LOG_MANIFEST_NAME);
    return status == ST_OK ? path_sync_dir(set->env, set->path) : status;
}

// ---- the names ----

static void add_name(struct log_set *set, const char *name)
{
    if (set->changes.max == 0)
        buf_init(&set->changes, LOG_MANIFEST_MAX);
    buf_append(&set->changes, name, strlen(name) + 1);
}

void log_change_note(struct log *log)
{
    const struct log_set *set = log->set;
    bool listed = set->manifest == MANIFEST_STANDS || set->manifest == MANIFEST_LISTS;
#ifdef PLANTED_CHANGE_NOT_LISTED
    listed = false;
#endif
    if (log->resumed && listed) {
        add_name(log->set, log->name);
        log->change = log->set->listings + 1;
    }
    log->resumed = log->finished = false;
}

// ---- writing them ----

static enum status write_group(struct log_set *set, const struct buf *group, bool first)
{
    struct env *env = set->env;
    struct file *file;
    struct log_path path = log_path_join(set->path, LOG_MANIFEST_NAME);
    enum status status = file_open(env, path.text, FILE_WRITE, &file);
    if (status != ST_OK)
        return status;
    if (first) // of names that a crash kept from counting
        status = file_truncate(env, file, set->manifest_bytes);
    if (status == ST_OK)
        status = file_pwrite(env, file, group->data, group->len, set->manifest_bytes);
    if (status == ST_OK)
        status = file_sync(env, file);
    file_close(env, &file);
    return status;
}

// The marker goes when the manifest can do without.
static enum status write_changes(struct log_set *set, const struct buf *group, bool first)
{
    bool fits = set->manifest_bytes + (int64_t)group->len <= LOG_MANIFEST_MAX;
    enum status status = buf_status(group);
    if (status == ST_OK)
        status = fits ? write_group(set, group, first) : ST_LIMIT;
    if (status == ST_OK && first)
        status = log_file_remove(set->env, set->path, marker_name);
    return status == ST_OK && first ? path_sync_dir(set->env, set->path) : status;
}

struct listing {
    struct job job;
    struct log_set *set;
    struct buf group;
    bool first;
    bool discarded; // the manifest is gone
    enum status status;
};

static void take_changes(struct listing *listing)
{
    struct log_set *set = listing->set;
    buf_init(&listing->group, SIZE_MAX);
    log_manifest_add_changes(&listing->group, buf_slice(&set->changes));
    buf_fini(&set->changes);
    set->changes = (struct buf){0};
    set->listings++;
    listing->first = set->manifest == MANIFEST_STANDS;
}

static void listing_run(struct job *job)
{
    struct listing *listing = (struct listing *)job;
    struct log_set *set = listing->set;
#ifndef PLANTED_MANIFEST_KEPT
    listing->status = write_changes(set, &listing->group, listing->first);
    if (listing->status == ST_OK)
        return;
    DIAG_WARN(&set->env->diag, "manifest is given up, it cannot be written dir=%s status=%s", set->path,
              status_name(listing->status));
    listing->status = log_resume_discard(set);
    listing->discarded = listing->status == ST_OK;
#else
    (void)set;
    (void)write_changes;
#endif
}

// What would be written now the next start might not look for.
static void get_stuck(struct log_set *set, enum status status)
{
    set->manifest = MANIFEST_STUCK;
    log_set_go_offline(set, status);
    for (struct log *log = set->first; log != NULL; log = log->next)
        log_go_offline(log, status);
}

static void end_listing(struct listing *listing)
{
    struct log_set *set = listing->set;
    set->manifest_bytes += (int64_t)listing->group.len;
    set->manifest = listing->discarded ? MANIFEST_NONE : MANIFEST_LISTS;
    set->listed = set->listings;
    buf_fini(&listing->group);
}

static void listing_done(struct job *job)
{
    struct listing *listing = (struct listing *)job;
    struct log_set *set = listing->set;
    set->listing = false;
    end_listing(listing);
    if (listing->status != ST_OK)
        get_stuck(set, listing->status);
    mem_free(listing);
    log_set_work(set);
}

static void start_listing(struct log_set *set)
{
    struct listing *listing = mem_calloc(1, sizeof *listing);
    *listing = (struct listing){.job = {.run = listing_run, .done = listing_done}, .set = set};
    take_changes(listing);
    set->listing = true;
    env_submit(set->env, set->flusher, &listing->job);
}

// ---- when ----

// Stuck: rounds find no log to write, changes fail.
static bool needs_no_list(const struct log_set *set)
{
    return set->manifest == MANIFEST_NONE || set->manifest == MANIFEST_STUCK;
}

bool log_change_listed(const struct log *log)
{
    const struct log_set *set = log->set;
    return needs_no_list(set) || (set->manifest == MANIFEST_LISTS && log->change <= set->listed);
}

bool log_changes_listed(struct log_set *set)
{
    if (needs_no_list(set))
        return true;
    bool closes = set->ops_first != NULL && set->ops_first->last;
    if (set->manifest == MANIFEST_STANDS && closes && log_resume_unchanged(set))
        return true; // which changes nothing
    bool wanted = set->changes.len > 0;
    if (set->manifest == MANIFEST_STANDS)
        wanted = wanted || set->ops_first != NULL || set->dirty_first != NULL;
    else if (!wanted)
        return !set->listing;
    if (wanted && !set->listing)
        start_listing(set);
    return false;
}

enum status log_changes_begin(struct log_set *set, struct slice names)
{
    struct listing listing = {.set = set};
    set->changes = (struct buf){0};
    for (size_t at = 0; at < names.len; at += strlen((const char *)names.data + at) + 1)
        add_name(set, (const char *)names.data + at);
    take_changes(&listing);
    if (listing.first || names.len > 0)
        listing_run(&listing.job);
    else
        buf_clear(&listing.group);
    end_listing(&listing);
    return listing.status;
}
