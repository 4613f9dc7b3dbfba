// SPDX-License-Identifier: Apache-2.0
// See fake_env.h. A tree of nodes; each directory has its entries as they are and as they were last synced,
// each file its bytes likewise.
#include "fake_env.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 1024 };

struct entry {
    char name[256];
    struct fake_node *node;
};

struct entries {
    struct entry rows[ENTRIES_MAX];
    int count;
};

struct fake_node {
    struct fake_node *next;
    bool directory, locked;
    bool lies;                   // a sync has failed: what was not written counts as clean from then on
    size_t dirty_from, dirty_to; // but for these bytes, written since
    bool cut_lost;               // likewise a cut: only another one takes what is behind it
    int64_t modified_ns;
    struct buf data, synced;
    struct entries *live, *kept; // directories
};

struct file {
    struct fake_node *node;
    bool write, locked;
    char path[256];
};

struct job_queue {
    struct job *first, *last;
    struct job_queue *next;
};
struct fake_queue {
    struct job_queue queue;
};

struct fake_env *fake_of(struct env *env)
{
    return (struct fake_env *)env;
}

static struct fake_node *node_new(struct fake_env *fake, bool directory)
{
    struct fake_node *node = mem_calloc(1, sizeof *node);
    node->directory = directory;
    buf_init(&node->data, SIZE_MAX / 4);
    buf_init(&node->synced, SIZE_MAX / 4);
    if (directory) {
        node->live = mem_calloc(1, sizeof *node->live);
        node->kept = mem_calloc(1, sizeof *node->kept);
    }
    node->next = fake->nodes;
    return fake->nodes = node;
}

static struct entry *entry_find(struct entries *entries, const char *name)
{
    for (int i = 0; i < entries->count; i++)
        if (strcmp(entries->rows[i].name, name) == 0)
            return &entries->rows[i];
    return NULL;
}

static void entry_set(struct entries *entries, const char *name, struct fake_node *node)
{
    struct entry *entry = entry_find(entries, name);
    if (node == NULL) {
        if (entry != NULL)
            *entry = entries->rows[--entries->count];
        return;
    }
    if (entry == NULL) {
        ASSERT(entries->count < ENTRIES_MAX);
        entry = &entries->rows[entries->count++];
        snprintf(entry->name, sizeof entry->name, "%s", name);
    }
    entry->node = node;
}

// Only the rows there are: a table is large.
static void entries_copy(struct entries *to, const struct entries *from)
{
    memcpy(to->rows, from->rows, (size_t)from->count * sizeof from->rows[0]);
    to->count = from->count;
}

// The directory of a path and its last component.
static struct fake_node *walk(struct fake_env *fake, const char *path, const char **last)
{
    struct fake_node *at = fake->root;
    char part[256];
    while (*path == '/')
        path++;
    for (;;) {
        const char *slash = strchr(path, '/');
        *last = path;
        if (slash == NULL)
            return at;
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        struct entry *entry = at->directory ? entry_find(at->live, part) : NULL;
        if (entry == NULL || !entry->node->directory)
            return NULL;
        at = entry->node;
        path = slash + 1;
    }
}

static struct fake_node *node_at(struct fake_env *fake, const char *path)
{
    const char *last;
    struct fake_node *dir = walk(fake, path, &last);
    if (dir == NULL)
        return NULL;
    if (*last == 0 || strcmp(last, ".") == 0)
        return dir;
    struct entry *entry = entry_find(dir->live, last);
    return entry != NULL ? entry->node : NULL;
}

// Counts a change; false when the process is dead.
static bool change(struct fake_env *fake)
{
    if (!fake->dead && fake->die_at >= 0 && fake->changes == fake->die_at)
        fake->dead = true;
    fake->changes++;
    return !fake->dead;
}

static int64_t fake_now_us(struct env *env)
{
    return fake_of(env)->now_us;
}
static int64_t fake_wall_ms(struct env *env)
{
    return fake_of(env)->wall_ms;
}
static uint64_t fake_random(struct env *env)
{
    return prng_next(&fake_of(env)->prng);
}

static void fake_timer_stop(struct env *env, struct timer *timer)
{
    struct fake_env *fake = fake_of(env);
    for (int i = 0; i < fake->timer_count; i++)
        if (fake->timers[i] == timer)
            fake->timers[i--] = fake->timers[--fake->timer_count];
    timer->heap_index = -1;
}
static void fake_timer_start(struct env *env, struct timer *timer, int64_t at_us)
{
    fake_timer_stop(env, timer);
    struct fake_env *fake = fake_of(env);
    ASSERT(fake->timer_count < 16);
    timer->at_us = at_us;
    timer->heap_index = 0;
    fake->timers[fake->timer_count++] = timer;
}

static struct job_queue *fake_queue_new(struct env *env, const char *name, int threads)
{
    struct fake_queue *queue = mem_calloc(1, sizeof *queue);
    struct job_queue **tail = (struct job_queue **)&fake_of(env)->queues;
    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = &queue->queue;
    return &queue->queue;
}

static bool run_first(struct job_queue *queue)
{
    struct job *job = queue->first;
    if (job == NULL)
        return false;
    queue->first = job->next;
    if (queue->first == NULL)
        queue->last = NULL;
    job->run(job);
    job->done(job);
    return true;
}

static void fake_queue_destroy(struct env *env, struct job_queue **queue)
{
    while (run_first(*queue))
        ;
    struct job_queue **at = (struct job_queue **)&fake_of(env)->queues;
    while (*at != *queue)
        at = &(*at)->next;
    *at = (*queue)->next;
    mem_free(*queue);
    *queue = NULL;
}

static void fake_submit(struct env *env, struct job_queue *queue, struct job *job)
{
    job->next = NULL;
    if (queue->last != NULL)
        queue->last->next = job;
    else
        queue->first = job;
    queue->last = job;
}

// Of the queues, any: the threads behind them run beside each other.
static bool step_any(struct fake_env *fake)
{
    struct job_queue *ready[16];
    uint64_t count = 0;
    for (struct job_queue *queue = (struct job_queue *)fake->queues; queue != NULL; queue = queue->next)
        if (queue->first != NULL && count < 16)
            ready[count++] = queue;
    return count > 0 && run_first(ready[prng_next(&fake->prng) % count]);
}

bool fake_step(struct env *env)
{
    if (fake_of(env)->any_order)
        return step_any(fake_of(env));
    bool pool_last = fake_of(env)->pool_last;
    for (struct job_queue *queue = (struct job_queue *)fake_of(env)->queues; queue != NULL;
         queue = queue->next)
        if (!(pool_last && queue == env->pool) && run_first(queue))
            return true;
    return pool_last && run_first(env->pool);
}

bool fake_step_pool(struct env *env)
{
    return run_first(env->pool);
}

bool fake_fire(struct env *env)
{
    struct fake_env *fake = fake_of(env);
    for (int i = 0; i < fake->timer_count; i++) {
        struct timer *timer = fake->timers[i];
        if (timer->at_us > fake->now_us)
            continue;
        fake_timer_stop(env, timer);
        timer->fire(timer);
        return true;
    }
    return false;
}

void fake_run(struct env *env)
{
    while (fake_step(env) || fake_fire(env))
        ;
}

void fake_advance_ms(struct env *env, int64_t ms)
{
    fake_of(env)->now_us += ms * 1000;
    fake_of(env)->wall_ms += ms;
    fake_run(env);
}

// ---- files ----

static enum status fake_file_open(struct env *env, const char *path, int flags, struct file **file)
{
    fake_of(env)->opens++;
    struct fake_env *fake = fake_of(env);
    const char *last;
    struct fake_node *dir = walk(fake, path, &last);
    if (dir == NULL)
        return ST_NOT_FOUND;
    struct entry *entry = entry_find(dir->live, last);
    if (entry == NULL && !(flags & FILE_CREATE))
        return ST_NOT_FOUND;
    if (entry != NULL && entry->node->directory)
        return ST_IO;
    if ((entry == NULL || flags & FILE_TRUNCATE) && !change(fake))
        return ST_IO;
    struct fake_node *node = entry != NULL ? entry->node : node_new(fake, false);
    if (entry == NULL)
        entry_set(dir->live, last, node);
    if (flags & FILE_TRUNCATE) {
        buf_clear(&node->data);
        node->lies = node->cut_lost = false; // nothing is left that could be wrong
    }
    *file = mem_calloc(1, sizeof **file);
    **file = (struct file){.node = node, .write = (flags & FILE_WRITE) != 0};
    snprintf((*file)->path, sizeof(*file)->path, "%s", path);
    return ST_OK;
}

static void fake_file_close(struct env *env, struct file **file)
{
    if ((*file)->locked)
        (*file)->node->locked = false;
    mem_free(*file);
    *file = NULL;
}

static enum status fake_pread(struct env *env, struct file *file, void *data, size_t len, int64_t at,
                              size_t *got)
{
    const char *mute = fake_of(env)->mute;
    if (mute != NULL && strstr(file->path, mute) != NULL)
        return ST_IO;
    struct buf *bytes = &file->node->data;
    size_t from = (size_t)at < bytes->len ? (size_t)at : bytes->len;
    *got = len < bytes->len - from ? len : bytes->len - from;
    if (*got > 0)
        memcpy(data, bytes->data + from, *got);
    fake_of(env)->read_bytes += (int64_t)*got;
    return ST_OK;
}

static void resize(struct buf *bytes, size_t len)
{
    if (len > bytes->len) {
        buf_reserve(bytes, len - bytes->len);
        memset(bytes->data + bytes->len, 0, len - bytes->len);
    }
    bytes->len = len;
}

static bool is_broken(struct env *env, const struct file *file)
{
    const char *part = fake_of(env)->broken;
    return part != NULL && strstr(file->path, part) != NULL;
}

static void note_dirty(struct fake_node *node, size_t from, size_t to)
{
    bool none = node->dirty_from == node->dirty_to;
    if (none || from < node->dirty_from)
        node->dirty_from = from;
    if (none || to > node->dirty_to)
        node->dirty_to = to;
}

static enum status fake_pwritev(struct env *env, struct file *file, const struct iovec *iov, int count,
                                int64_t at)
{
    struct fake_env *fake = fake_of(env);
    ASSERT(file->write);
    size_t len = 0, from = (size_t)at;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    if (is_broken(env, file))
        return ST_IO;
    if (fake->space >= 0 && (int64_t)len > fake->space)
        return ST_NO_SPACE;
    bool alive = change(fake);
    // The process may die in the middle of a write.
    size_t part = alive ? len : fake->changes == fake->die_at + 1 && len > 0 ? fake_random(env) % len : 0;
    file->node->modified_ns = ++fake->modified_ns;
    if (part > 0 && from + part > file->node->data.len)
        resize(&file->node->data, from + part);
    note_dirty(file->node, from, from + part);
    for (int i = 0; i < count && part > 0; i++) {
        size_t bytes = part < iov[i].iov_len ? part : iov[i].iov_len;
        memcpy(file->node->data.data + from, iov[i].iov_base, bytes);
        from += bytes;
        part -= bytes;
    }
    if (alive && fake->space >= 0)
        fake->space -= (int64_t)len;
    return alive ? ST_OK : ST_IO;
}

static enum status fake_truncate(struct env *env, struct file *file, int64_t size)
{
    ASSERT(file->write);
    if (!change(fake_of(env)))
        return ST_IO;
    file->node->modified_ns = ++fake_of(env)->modified_ns;
    file->node->cut_lost = false;
    resize(&file->node->data, (size_t)size);
    return ST_OK;
}

static enum status fake_reserve(struct env *env, struct file *file, int64_t at, int64_t len)
{
    struct fake_env *fake = fake_of(env);
    return fake->space >= 0 && len > fake->space ? ST_NO_SPACE : ST_OK;
}

static void copy(struct buf *to, const struct buf *from)
{
    buf_clear(to);
    buf_append(to, from->data, from->len);
}

static void make_durable(struct fake_node *node)
{
    struct buf *synced = &node->synced;
    size_t before = synced->len;
    if (node->lies)
        return;
    copy(synced, &node->data);
    if (node->cut_lost && before > synced->len)
        synced->len = before; // the bytes are there still
}

static enum status fake_sync(struct env *env, struct file *file)
{
    struct fake_node *node = file->node;
    bool fails = fake_of(env)->sync_fails || is_broken(env, file);
    fake_of(env)->syncs++;
    node->lies |= fails;
    node->cut_lost |= fails && node->data.len < node->synced.len;
    node->dirty_from = node->dirty_to = 0;
    if (!change(fake_of(env)) || fails)
        return ST_IO;
    make_durable(node);
    return fake_of(env)->syncs_late > 0 && fake_of(env)->syncs_late-- > 0 ? ST_IO : ST_OK;
}

static void fake_write_out(struct env *env, struct file *file, int64_t at, int64_t len)
{
    fake_of(env)->written_out += len;
}

static void fake_will_need(struct env *env, struct file *file, int64_t at, int64_t len)
{
    fake_of(env)->needed += len;
}

static bool fake_cached(struct env *env, struct file *file, int64_t at, int64_t len)
{
    fake_of(env)->cache_looks++;
    return !fake_of(env)->cache_empty;
}

static enum status fake_sync_fs(struct env *env, struct file *file)
{
    struct fake_env *fake = fake_of(env);
    fake->fs_syncs++;
    if (!change(fake) || fake->sync_fs_fails)
        return ST_IO;
    for (struct fake_node *node = fake->nodes; node != NULL; node = node->next) {
        if (node->directory)
            entries_copy(node->kept, node->live);
        else
            make_durable(node);
    }
    return ST_OK;
}

static enum status fake_size(struct env *env, struct file *file, int64_t *size)
{
    *size = (int64_t)file->node->data.len;
    return ST_OK;
}

static void fake_drop_cache(struct env *env, struct file *file, int64_t at)
{
    struct fake_node *node = file->node;
    size_t len = node->synced.len < node->data.len ? node->synced.len : node->data.len;
    if (!node->lies)
        return;
    for (size_t i = 0; i < node->data.len; i++) // never written: the blocks are new
        if (i < node->dirty_from || i >= node->dirty_to)
            node->data.data[i] = i < len ? node->synced.data[i] : 0;
    node->lies = false;
}

static enum status fake_lock(struct env *env, struct file *file)
{
    if (file->node->locked)
        return ST_AGAIN;
    file->locked = file->node->locked = true;
    return ST_OK;
}

static enum status fake_info(struct env *env, const char *path, struct file_info *info)
{
    struct fake_node *node = node_at(fake_of(env), path);
    if (node == NULL)
        return ST_NOT_FOUND;
    *info = (struct file_info){
        .size = (int64_t)node->data.len, .modified_ns = node->modified_ns, .directory = node->directory};
    return ST_OK;
}

static enum status fake_mkdir(struct env *env, const char *path)
{
    const char *last;
    struct fake_node *dir = walk(fake_of(env), path, &last);
    if (dir == NULL)
        return ST_NOT_FOUND;
    if (entry_find(dir->live, last) != NULL)
        return ST_EXISTS;
    if (!change(fake_of(env)))
        return ST_IO;
    entry_set(dir->live, last, node_new(fake_of(env), true));
    return ST_OK;
}

static enum status fake_rename(struct env *env, const char *from, const char *to)
{
    const char *from_name, *to_name;
    struct fake_node *from_dir = walk(fake_of(env), from, &from_name);
    struct fake_node *to_dir = walk(fake_of(env), to, &to_name);
    struct entry *entry = from_dir != NULL ? entry_find(from_dir->live, from_name) : NULL;
    if (entry == NULL || to_dir == NULL)
        return ST_NOT_FOUND;
    if (!change(fake_of(env)))
        return ST_IO;
    struct fake_node *node = entry->node;
    entry_set(from_dir->live, from_name, NULL);
    entry_set(to_dir->live, to_name, node);
    return ST_OK;
}

static enum status fake_remove(struct env *env, const char *path, bool directory)
{
    const char *last;
    struct fake_node *dir = walk(fake_of(env), path, &last);
    struct entry *entry = dir != NULL ? entry_find(dir->live, last) : NULL;
    if (entry == NULL)
        return ST_NOT_FOUND;
    if (entry->node->directory != directory || (directory && entry->node->live->count > 0))
        return ST_IO;
    if (!change(fake_of(env)))
        return ST_IO;
    entry_set(dir->live, last, NULL);
    return ST_OK;
}
static enum status fake_unlink(struct env *env, const char *path)
{
    const struct fake_node *node = node_at(fake_of(env), path);
    int64_t bytes = node != NULL ? (int64_t)node->data.len : 0;
    enum status status = fake_remove(env, path, false);
    if (status == ST_OK && fake_of(env)->space >= 0)
        fake_of(env)->space += bytes;
    return status;
}
static enum status fake_rmdir(struct env *env, const char *path)
{
    return fake_remove(env, path, true);
}

static enum status fake_sync_dir(struct env *env, const char *path)
{
    struct fake_node *node = node_at(fake_of(env), path);
    if (node == NULL || !node->directory)
        return ST_NOT_FOUND;
    fake_of(env)->syncs++;
    const char *broken = fake_of(env)->broken;
    size_t len = broken != NULL ? strlen(broken) : 0;
    bool fails = len > 0 && strlen(path) >= len && strcmp(path + strlen(path) - len, broken) == 0;
    if (fails || !change(fake_of(env)))
        return ST_IO;
    entries_copy(node->kept, node->live);
    return ST_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static enum status fake_list(struct env *env, const char *path, list_fn *each, void *context)
{
    struct fake_node *node = node_at(fake_of(env), path);
    if (node == NULL || !node->directory)
        return ST_NOT_FOUND;
    int count = node->live->count;
    struct entry *rows = mem_calloc((size_t)count, sizeof *rows);
    memcpy(rows, node->live->rows, (size_t)count * sizeof *rows);
    qsort(rows, (size_t)count, sizeof *rows, by_name);
    for (int i = 0; i < count && each(rows[i].name, context); i++)
        ;
    mem_free(rows);
    return ST_OK;
}

static enum status fake_free_bytes(struct env *env, const char *path, int64_t *bytes)
{
    *bytes = fake_of(env)->space >= 0 ? fake_of(env)->space : INT64_MAX;
    return ST_OK;
}

static const struct env_ops fake_ops = {
    .now_us = fake_now_us,
    .wall_ms = fake_wall_ms,
    .timer_start = fake_timer_start,
    .timer_stop = fake_timer_stop,
    .random = fake_random,
    .queue_new = fake_queue_new,
    .queue_destroy = fake_queue_destroy,
    .submit = fake_submit,
    .file_open = fake_file_open,
    .file_close = fake_file_close,
    .file_pread = fake_pread,
    .file_will_need = fake_will_need,
    .file_cached = fake_cached,
    .file_pwritev = fake_pwritev,
    .file_truncate = fake_truncate,
    .file_reserve = fake_reserve,
    .file_write_out = fake_write_out,
    .file_sync = fake_sync,
    .file_sync_fs = fake_sync_fs,
    .file_size = fake_size,
    .file_lock = fake_lock,
    .file_drop_cache = fake_drop_cache,
    .path_info = fake_info,
    .path_mkdir = fake_mkdir,
    .path_rename = fake_rename,
    .path_unlink = fake_unlink,
    .path_rmdir = fake_rmdir,
    .path_sync_dir = fake_sync_dir,
    .path_list = fake_list,
    .path_free_bytes = fake_free_bytes,
    .path_total_bytes = fake_free_bytes,
};

static void keep_line(struct diag *diag, const char *line)
{
    struct fake_env *fake = diag->context;
    snprintf(fake->last_line, sizeof fake->last_line, "%s", line);
    fake->lines++;
}

struct env *fake_env_new(uint64_t seed)
{
    struct fake_env *fake = mem_calloc(1, sizeof *fake);
    fake->env.ops = &fake_ops;
    fake->env.diag = (struct diag){.level = DIAG_INFO, .who = "test", .write = keep_line, .context = fake};
    fake->env.metrics = &fake->metrics;
    fake->prng.state = seed;
    fake->die_at = fake->space = -1;
    fake->now_us = 1000000000;
    fake->wall_ms = 1700000000000;
    fake->root = node_new(fake, true);
    fake->env.pool = fake_queue_new(&fake->env, "pool", 1);
    return &fake->env;
}

void fake_env_destroy(struct env **env)
{
    struct fake_env *fake = fake_of(*env);
    fake_queue_destroy(*env, &(*env)->pool);
    while (fake->nodes != NULL) {
        struct fake_node *node = fake->nodes;
        fake->nodes = node->next;
        buf_fini(&node->data);
        buf_fini(&node->synced);
        mem_free(node->live);
        mem_free(node->kept);
        mem_free(node);
    }
    mem_free(fake);
    *env = NULL;
}

// ---- the cut ----

static void lose_bytes(struct env *env, struct fake_node *node, bool torn)
{
    if (!torn) {
        copy(&node->data, &node->synced);
        return;
    }
    // Unsynced pages reach the disk in any order: each 512 bytes are the old or the new ones, the size is
    // either.
    size_t live = node->data.len, kept = node->synced.len;
    resize(&node->synced, live > kept ? live : kept);
    for (size_t at = 0; at < live; at += 512)
        if (fake_random(env) % 2)
            memcpy(node->synced.data + at, node->data.data + at, live - at < 512 ? live - at : 512);
    resize(&node->synced, fake_random(env) % 2 ? live : kept);
    copy(&node->data, &node->synced);
}

static struct fake_node *entry_node(struct entries *entries, const char *name)
{
    struct entry *entry = entry_find(entries, name);
    return entry != NULL ? entry->node : NULL;
}

static const char *name_of(const struct entries *entries, const struct fake_node *node)
{
    for (int i = 0; i < entries->count; i++)
        if (entries->rows[i].node == node)
            return entries->rows[i].name;
    return NULL;
}

// A rename is one change: the old name goes with the new one's arrival, as file systems with a journal do it.
static void entry_made_it(struct fake_node *dir, const char *name, struct fake_node *node)
{
    const char *before = name_of(dir->kept, node);
    if (before != NULL && entry_node(dir->live, before) != node)
        entry_set(dir->kept, before, NULL);
    entry_set(dir->kept, name, node);
}

static void lose_entries(struct env *env, struct fake_node *node, bool torn)
{
    for (int i = 0; torn && i < node->live->count; i++) // new, renamed or replaced entries that made it
        if (fake_random(env) % 2)
            entry_made_it(node, node->live->rows[i].name, node->live->rows[i].node);
    for (int i = node->kept->count - 1; torn && i >= 0; i--) { // removals that made it
        const struct entry *entry = &node->kept->rows[i];
        bool removed =
            entry_find(node->live, entry->name) == NULL && name_of(node->live, entry->node) == NULL;
        if (removed && fake_random(env) % 2)
            entry_set(node->kept, entry->name, NULL);
    }
    entries_copy(node->live, node->kept);
}

void fake_revive(struct env *env)
{
    struct fake_env *fake = fake_of(env);
    fake->dead = false;
    fake->die_at = -1;
    fake->sync_fails = fake->sync_fs_fails = false;
    fake->space = -1;
    for (struct fake_node *node = fake->nodes; node != NULL; node = node->next)
        node->locked = false;
}

void fake_power_cut(struct env *env, bool torn)
{
    fake_revive(env);
    for (struct fake_node *node = fake_of(env)->nodes; node != NULL; node = node->next) {
        if (node->directory)
            lose_entries(env, node, torn);
        else
            lose_bytes(env, node, torn);
    }
}

void fake_break(struct env *env, const char *part, bool broken)
{
    fake_of(env)->broken = broken ? part : NULL;
}

struct buf *fake_file(struct env *env, const char *path)
{
    struct fake_node *node = node_at(fake_of(env), path);
    return node != NULL && !node->directory ? &node->data : NULL;
}
