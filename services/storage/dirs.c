// SPDX-License-Identifier: Apache-2.0
// See dirs.h. With one directory everything here is a call handed on.
#include "dirs.h"

#include "base/assert.h"
#include "base/mem.h"
#include "log/files.h"

#include <string.h>

struct dir {
    char *path, *labels;
    struct log_set *set; // NULL: not open
};

struct dirs {
    struct env *env;
    struct dir rows[DIRS_MAX];
    int count;
    bool missing, dropped;
    int closing; // sets that are not closed yet
    enum status status;
    log_set_closed_fn *closed;
    void *context;
};

int dirs_count(const struct dirs *dirs)
{
    return dirs->count;
}
const char *dirs_path(const struct dirs *dirs, int i)
{
    return dirs->rows[i].path;
}
struct log_set *dirs_set(const struct dirs *dirs, int i)
{
    return dirs->rows[i].set;
}
bool dirs_missing(const struct dirs *dirs)
{
    return dirs->missing;
}
bool dirs_dropped(const struct dirs *dirs)
{
    return dirs->dropped;
}

// ---- opening ----

// What is wrong with the node's configuration or the process, not with a disk.
static bool is_fatal(enum status status)
{
    return status == ST_AGAIN || status == ST_MISMATCH || status == ST_UNSUPPORTED || status == ST_INVALID ||
           status == ST_NO_MEMORY;
}

static bool is_named_twice(const struct dirs *dirs, const char *path)
{
    for (int i = 0; i < dirs->count; i++)
        if (strcmp(dirs->rows[i].path, path) == 0)
            return true;
    return false;
}

static enum status dir_open(struct dirs *dirs, const char *path, size_t of,
                            const struct log_set_config *settings)
{
    if (is_named_twice(dirs, path)) {
        DIAG_ERROR(&dirs->env->diag, "log.dirs names a directory twice dir=%s", path);
        return ST_INVALID;
    }
    struct dir *dir = &dirs->rows[dirs->count++];
    struct log_set_config config = *settings;
    dir->path = mem_strdup(path);
    if (of > 1)
        config.labels = dir->labels = mem_printf("dir=\"%s\"", path);
    enum status status = log_set_open(dirs->env, path, &config, &dir->set);
    if (status == ST_OK || of == 1 || is_fatal(status))
        return status;
    dir->set = NULL;
    dirs->missing = true;
    DIAG_ERROR(&dirs->env->diag, "data directory cannot be opened, the others go on dir=%s status=%s", path,
               status_name(status));
    return ST_OK;
}

// The directories that any open one knows of, the one the node is known by first: *ids.
static int known_ids(const struct dirs *dirs, struct uuid ids[LOG_SIBLINGS_MAX])
{
    int count = 0;
    for (int i = 0; i < dirs->count; i++) {
        int siblings = 0;
        const struct uuid *known = dirs->rows[i].set ? log_set_siblings(dirs->rows[i].set, &siblings) : NULL;
        if (siblings > count) {
            count = siblings;
            memcpy(ids, known, (size_t)count * sizeof *ids);
        }
    }
    return count;
}

static bool is_open(const struct dirs *dirs, struct uuid id)
{
    for (int i = 0; i < dirs->count; i++)
        if (dirs->rows[i].set != NULL && uuid_equal(log_set_directory_id(dirs->rows[i].set), id))
            return true;
    return false;
}

// An empty directory where one with records was is a disk that is not mounted, more often than a new one.
static void refuse_fresh(struct dirs *dirs)
{
    for (int i = 0; i < dirs->count; i++) {
        struct dir *dir = &dirs->rows[i];
        if (dir->set == NULL || log_set_cluster_id(dir->set) != NULL)
            continue;
        DIAG_ERROR(
            &dirs->env->diag,
            "data directory is empty while one of this node is missing; it is not used (to replace a disk, "
            "start once without it in log.dirs) dir=%s",
            dir->path);
        log_set_abandon(&dir->set);
        dirs->missing = true;
    }
}

static void look_for_missing(struct dirs *dirs)
{
    struct uuid ids[LOG_SIBLINGS_MAX];
    char text[UUID_TEXT_SIZE];
    int count = known_ids(dirs, ids), absent = 0;
    for (int i = 0; i < count; i++) {
        if (is_open(dirs, ids[i]))
            continue;
        absent++;
        uuid_format(ids[i], text);
        DIAG_WARN(&dirs->env->diag, "a data directory of this node is not there directory_id=%s", text);
    }
    if (absent > 0)
        refuse_fresh(dirs);
    dirs->dropped = absent > 0 && !dirs->missing;
}

// The node's directories from now on; those that had records before come first, and before them the one the
// node is known by.
static int list_siblings(const struct dirs *dirs, struct uuid ids[LOG_SIBLINGS_MAX])
{
    struct uuid known[LOG_SIBLINGS_MAX];
    int count = 0;
    if (known_ids(dirs, known) > 0)
        ids[count++] = known[0];
    for (int fresh = 0; fresh < 2; fresh++)
        for (int i = 0; i < dirs->count; i++) {
            struct log_set *set = dirs->rows[i].set;
            if (set == NULL || (log_set_cluster_id(set) == NULL) != fresh ||
                (count > 0 && uuid_equal(ids[0], log_set_directory_id(set))) || count == LOG_SIBLINGS_MAX)
                continue;
            ids[count++] = log_set_directory_id(set);
        }
    return count;
}

// Into those that do not say so yet.
static enum status write_siblings(struct dirs *dirs)
{
    struct uuid ids[LOG_SIBLINGS_MAX];
    int count = list_siblings(dirs, ids);
    enum status status = ST_OK;
    for (int i = 0; i < dirs->count && status == ST_OK; i++) {
        int has;
        const struct uuid *now = log_set_siblings(dirs->rows[i].set, &has);
        if (has != count || memcmp(now, ids, (size_t)count * sizeof *ids) != 0)
            status = log_set_write_siblings(dirs->rows[i].set, ids, count);
    }
    return status;
}

static enum status open_all(struct dirs *dirs, const struct config *config,
                            const struct log_set_config *settings)
{
    size_t count = config_list_count(config, "log.dirs");
    if (count == 0 || count > DIRS_MAX) {
        DIAG_ERROR(&dirs->env->diag, "log.dirs names no directory, or more than %d", DIRS_MAX);
        return ST_INVALID;
    }
    enum status status = ST_OK;
    for (size_t i = 0; i < count && status == ST_OK; i++)
        status = dir_open(dirs, config_list_at(config, "log.dirs", i), count, settings);
    if (status != ST_OK)
        return status;
    look_for_missing(dirs);
    if (!dirs_work(dirs))
        return ST_IO;
    struct uuid ids[LOG_SIBLINGS_MAX];
    int known = known_ids(dirs, ids);
    bool whole = !dirs->missing && !dirs->dropped;
    return whole && (count > 1 || known > 0) ? write_siblings(dirs) : ST_OK;
}

enum status dirs_open(struct env *env, const struct config *config, const struct log_set_config *settings,
                      struct dirs **result)
{
    struct dirs *dirs = mem_calloc(1, sizeof *dirs);
    dirs->env = env;
    enum status status = open_all(dirs, config, settings);
    if (status != ST_OK)
        dirs_destroy(&dirs);
    *result = dirs;
    return status;
}

struct dirs *dirs_of(struct env *env, struct log_set *set_take)
{
    struct dirs *dirs = mem_calloc(1, sizeof *dirs);
    dirs->env = env;
    dirs->count = 1;
    dirs->rows[0] = (struct dir){.path = mem_strdup(log_set_path(set_take)), .set = set_take};
    return dirs;
}

void dirs_settle(struct dirs *dirs)
{
    struct uuid ids[LOG_SIBLINGS_MAX];
    int count = list_siblings(dirs, ids);
    for (int i = 0; dirs->dropped && i < dirs->count; i++)
        if (dirs->rows[i].set != NULL)
            log_set_note_siblings(dirs->rows[i].set, ids, count);
    dirs->dropped = false;
}

// ---- the end ----

static void dirs_on_closed(enum status status, void *context)
{
    struct dirs *dirs = context;
    if (dirs->status == ST_OK)
        dirs->status = status;
    if (--dirs->closing == 0)
        dirs->closed(dirs->status, dirs->context);
}

void dirs_close(struct dirs *dirs, log_set_closed_fn *done, void *context)
{
    struct log_set *sets[DIRS_MAX];
    ASSERT(dirs->closing == 0);
    dirs->closed = done;
    dirs->context = context;
    for (int i = 0; i < dirs->count; i++) {
        sets[i] = dirs->rows[i].set;
        dirs->closing += sets[i] != NULL;
        dirs->rows[i].set = NULL; // the set frees itself
    }
    for (int i = 0; i < dirs->count; i++)
        if (sets[i] != NULL)
            log_set_close(sets[i], dirs_on_closed, dirs);
}

void dirs_destroy(struct dirs **pointer)
{
    struct dirs *dirs = *pointer;
    *pointer = NULL;
    if (dirs == NULL)
        return;
    for (int i = 0; i < dirs->count; i++) {
        if (dirs->rows[i].set != NULL)
            log_set_abandon(&dirs->rows[i].set);
        mem_free(dirs->rows[i].path);
        mem_free(dirs->rows[i].labels);
    }
    mem_free(dirs);
}

// ---- identity ----

const char *dirs_cluster_id(const struct dirs *dirs)
{
    const char *id = NULL;
    for (int i = 0; i < dirs->count && id == NULL; i++)
        id = dirs->rows[i].set != NULL ? log_set_cluster_id(dirs->rows[i].set) : NULL;
    return id;
}

int32_t dirs_node_id(const struct dirs *dirs)
{
    int32_t id = -1;
    for (int i = 0; i < dirs->count && id < 0; i++)
        id = dirs->rows[i].set != NULL ? log_set_node_id(dirs->rows[i].set) : -1;
    return id;
}

struct uuid dirs_directory_id(const struct dirs *dirs)
{
    struct uuid ids[LOG_SIBLINGS_MAX];
    if (known_ids(dirs, ids) > 0)
        return ids[0];
    int i = 0;
    while (dirs->rows[i].set == NULL)
        i++; // dirs_open leaves at least one
    return log_set_directory_id(dirs->rows[i].set);
}

enum status dirs_adopt(struct dirs *dirs, const char *cluster_id, int32_t node_id)
{
    enum status status = ST_OK;
    for (int i = 0; i < dirs->count && status == ST_OK; i++)
        if (dirs->rows[i].set != NULL)
            status = log_set_adopt(dirs->rows[i].set, cluster_id, node_id);
    return status;
}

// ---- logs ----

struct log *dirs_find(const struct dirs *dirs, const char *name)
{
    struct log *log = NULL;
    for (int i = 0; i < dirs->count && log == NULL; i++)
        log = dirs->rows[i].set != NULL ? log_set_find(dirs->rows[i].set, name) : NULL;
    return log;
}

struct log *dirs_next(const struct dirs *dirs, struct log *log)
{
    int i = 0;
    if (log != NULL) {
        struct log *next = log_set_next(log_owner_set(log), log);
        if (next != NULL)
            return next;
        while (dirs->rows[i].set != log_owner_set(log))
            i++;
        i++;
    }
    for (; i < dirs->count; i++) {
        struct log *first = dirs->rows[i].set != NULL ? log_set_next(dirs->rows[i].set, NULL) : NULL;
        if (first != NULL)
            return first;
    }
    return NULL;
}

int dirs_log_count(const struct dirs *dirs)
{
    int count = 0;
    for (int i = 0; i < dirs->count; i++)
        count += dirs->rows[i].set != NULL ? log_set_count(dirs->rows[i].set) : 0;
    return count;
}

int64_t dirs_failures(const struct dirs *dirs)
{
    int64_t failures = 0;
    for (int i = 0; i < dirs->count; i++)
        failures += dirs->rows[i].set != NULL ? log_set_failures(dirs->rows[i].set) : 0;
    return failures;
}

static bool dir_works(const struct dir *dir)
{
    if (dir->set == NULL)
        return false;
    enum status status = log_set_status(dir->set);
    return status == ST_OK || status == ST_NO_SPACE;
}

bool dirs_works(const struct dirs *dirs, int i)
{
    return dir_works(&dirs->rows[i]);
}

bool dirs_whole(const struct dirs *dirs)
{
    for (int i = 0; i < dirs->count; i++)
        if (!dir_works(&dirs->rows[i]))
            return false;
    return true;
}

bool dirs_work(const struct dirs *dirs)
{
    for (int i = 0; i < dirs->count; i++)
        if (dir_works(&dirs->rows[i]))
            return true;
    return false;
}

enum status dirs_create(struct dirs *dirs, const char *name, struct uuid id, const struct log_config *config,
                        struct log **log)
{
    const struct dir *best = NULL;
    for (int i = 0; i < dirs->count; i++) {
        const struct dir *dir = &dirs->rows[i];
        if (dir_works(dir) && (best == NULL || log_set_count(dir->set) < log_set_count(best->set)))
            best = dir;
    }
    return best != NULL ? log_create(best->set, name, id, config, log) : ST_IO;
}

// ---- work ----

void dirs_flush(struct dirs *dirs, log_durable_fn *on_durable)
{
    for (int i = 0; i < dirs->count; i++)
        if (dirs->rows[i].set != NULL)
            log_flush(dirs->rows[i].set, on_durable);
}

void dirs_retain(struct dirs *dirs, log_start_fn *on_start)
{
    for (int i = 0; i < dirs->count; i++)
        if (dirs->rows[i].set != NULL)
            log_set_retain(dirs->rows[i].set, on_start);
}

void dirs_clean(struct dirs *dirs, const struct log_clean_config *config)
{
    for (int i = 0; i < dirs->count; i++)
        if (dirs->rows[i].set != NULL)
            log_set_clean(dirs->rows[i].set, config);
}

void dirs_heal(struct dirs *dirs, log_may_heal_fn *may_heal, log_healed_fn *on_healed)
{
    for (int i = 0; i < dirs->count; i++)
        if (dirs->rows[i].set != NULL)
            log_set_heal(dirs->rows[i].set, may_heal, on_healed);
}

int64_t dirs_flush_age_us(const struct dirs *dirs)
{
    int64_t age = 0;
    for (int i = 0; i < dirs->count; i++) {
        int64_t own = dirs->rows[i].set != NULL ? log_set_flush_age_us(dirs->rows[i].set) : 0;
        age = own > age ? own : age;
    }
    return age;
}
