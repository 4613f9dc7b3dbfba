// SPDX-License-Identifier: Apache-2.0
// A machine's disk: files with the bytes a process sees and the bytes a power cut would leave. fsync of a
// file makes its bytes durable, fsync of a directory makes its entries durable; anything else may be lost,
// kept, or torn in the middle.
#include "world.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

struct pending { // a write not yet synced
    int64_t at;
    size_t len;
    uint8_t *data; // NULL: the file was cut to `at`
};

struct inode {
    bool directory;
    uint8_t *data, *synced; // seen by processes, durable
    size_t size, cap, synced_size, synced_cap;
    struct pending *pending;
    int pending_count, pending_cap;
    struct process *locked_by;
};

struct file {
    struct inode *inode;
    struct process *process;
    bool locked;
    bool writable;
};

static struct machine *machine_of(struct env *env)
{
    return ((struct process *)env)->machine;
}

// Whether one more change of the disk happens. Power that goes in the middle of a job takes the rest of it.
static bool powered(struct machine *machine)
{
    if (machine->in_job && machine->changes_left > 0 && --machine->changes_left == 0)
        machine->dark = true;
    return !machine->dark;
}

static struct inode *inode_at(struct env *env, const char *path)
{
    return map_get(&machine_of(env)->files, slice_str(path));
}

static bool parent_exists(struct env *env, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return true;
    struct inode *parent = map_get(&machine_of(env)->files, slice_of(path, (size_t)(slash - path)));
    return parent != NULL && parent->directory;
}

enum status sim_file_open(struct env *env, const char *path, int flags, struct file **out)
{
    struct inode *inode = inode_at(env, path);
    if (inode == NULL && (!(flags & FILE_CREATE) || !parent_exists(env, path)))
        return ST_NOT_FOUND;
    if (inode != NULL && (inode->directory || (flags & FILE_EXCLUSIVE)))
        return inode->directory ? ST_IO : ST_EXISTS;
    if ((inode == NULL || (flags & FILE_TRUNCATE)) && !powered(machine_of(env)))
        return ST_IO;
    if (inode == NULL) {
        inode = mem_calloc(1, sizeof *inode);
        map_put(&machine_of(env)->files, slice_str(path), inode);
    }
    struct file *file = mem_calloc(1, sizeof *file);
    *file = (struct file){.inode = inode, .process = (struct process *)env, .writable = flags & FILE_WRITE};
    *out = file;
    return flags & FILE_TRUNCATE ? sim_file_truncate(env, file, 0) : ST_OK;
}

void sim_file_close(struct env *env, struct file **pointer)
{
    struct file *file = *pointer;
    *pointer = NULL;
    if (file->locked)
        file->inode->locked_by = NULL;
    mem_free(file);
}

enum status sim_file_pread(struct env *env, struct file *file, void *data, size_t len, int64_t at,
                           size_t *got)
{
    const struct inode *inode = file->inode;
    *got = 0;
    if (at < 0 || (size_t)at >= inode->size)
        return ST_OK;
    *got = inode->size - (size_t)at < len ? inode->size - (size_t)at : len;
    memcpy(data, inode->data + at, *got);
    return ST_OK;
}

void sim_file_will_need(struct env *env, struct file *file, int64_t at, int64_t len)
{
    // Reads take no time here.
}

static void bytes_put(uint8_t **data, size_t *size, size_t *cap, const struct pending *write)
{
    size_t end = (size_t)write->at + (write->data ? write->len : 0);
    if (end > *cap) {
        size_t grown = end * 2;
        *data = mem_realloc(*data, grown);
        *cap = grown;
    }
    if ((size_t)write->at > *size)
        memset(*data + *size, 0, (size_t)write->at - *size);
    if (write->data != NULL)
        memcpy(*data + write->at, write->data, write->len);
    if (write->data == NULL || end > *size)
        *size = end;
}

static void pending_add(struct inode *inode, struct pending write)
{
    if (inode->pending_count == inode->pending_cap) {
        inode->pending_cap = inode->pending_cap ? inode->pending_cap * 2 : 16;
        inode->pending = mem_realloc(inode->pending, (size_t)inode->pending_cap * sizeof *inode->pending);
    }
    inode->pending[inode->pending_count++] = write;
    bytes_put(&inode->data, &inode->size, &inode->cap, &write);
}

enum status sim_file_pwritev(struct env *env, struct file *file, const struct iovec *iov, int count,
                             int64_t at)
{
    ASSERT(file->writable && file->process->alive);
    if (!powered(machine_of(env)))
        return ST_IO;
    for (int i = 0; i < count; i++) {
        struct pending write = {.at = at, .len = iov[i].iov_len, .data = mem_calloc(1, iov[i].iov_len)};
        memcpy(write.data, iov[i].iov_base, iov[i].iov_len);
        pending_add(file->inode, write);
        at += (int64_t)iov[i].iov_len;
    }
    return ST_OK;
}

enum status sim_file_truncate(struct env *env, struct file *file, int64_t size)
{
    struct machine *machine = machine_of(env);
    ASSERT(file->writable);
    if (machine->in_job && machine->changes_at_cut > 0) {
        machine->changes_left = machine->changes_at_cut;
        machine->changes_at_cut = 0;
    }
    if (!powered(machine))
        return ST_IO;
    pending_add(file->inode, (struct pending){.at = size});
    return ST_OK;
}

enum status sim_file_reserve(struct env *env, struct file *file, int64_t at, int64_t len)
{
    return ST_OK;
}

static void pending_apply(struct inode *inode, int count)
{
    for (int i = 0; i < count; i++)
        bytes_put(&inode->synced, &inode->synced_size, &inode->synced_cap, &inode->pending[i]);
}

static void pending_clear(struct inode *inode)
{
    for (int i = 0; i < inode->pending_count; i++)
        mem_free(inode->pending[i].data);
    inode->pending_count = 0;
}

enum status sim_file_sync(struct env *env, struct file *file)
{
    if (!powered(machine_of(env)))
        return ST_IO;
    pending_apply(file->inode, file->inode->pending_count);
    pending_clear(file->inode);
    return ST_OK;
}

// The machine has one file system.
enum status sim_file_sync_fs(struct env *env, struct file *file)
{
    struct machine *machine = machine_of(env);
    struct map_entry *at = NULL;
    struct slice path;
    void *value;
    if (!powered(machine))
        return ST_IO;
    map_fini(&machine->durable);
    while (map_next(&machine->files, &at, &path, &value)) {
        struct inode *inode = value;
        map_put(&machine->durable, path, inode);
        pending_apply(inode, inode->pending_count);
        pending_clear(inode);
    }
    return ST_OK;
}

enum status sim_file_size(struct env *env, struct file *file, int64_t *size)
{
    *size = (int64_t)file->inode->size;
    return ST_OK;
}

void sim_file_drop_cache(struct env *env, struct file *file, int64_t at)
{
}

enum status sim_file_lock(struct env *env, struct file *file)
{
    struct inode *inode = file->inode;
    if (inode->locked_by != NULL && inode->locked_by->alive && inode->locked_by != file->process)
        return ST_AGAIN;
    inode->locked_by = file->process;
    file->locked = true;
    return ST_OK;
}

enum status sim_path_info(struct env *env, const char *path, struct file_info *info)
{
    const struct inode *inode = inode_at(env, path);
    if (inode == NULL)
        return ST_NOT_FOUND;
    *info = (struct file_info){.size = (int64_t)inode->size, .directory = inode->directory};
    return ST_OK;
}

enum status sim_path_mkdir(struct env *env, const char *path)
{
    if (inode_at(env, path) != NULL)
        return ST_EXISTS;
    if (!parent_exists(env, path))
        return ST_NOT_FOUND;
    if (!powered(machine_of(env)))
        return ST_IO;
    struct inode *inode = mem_calloc(1, sizeof *inode);
    inode->directory = true;
    map_put(&machine_of(env)->files, slice_str(path), inode);
    return ST_OK;
}

static bool below(struct slice path, const char *directory)
{
    size_t len = strlen(directory);
    return path.len > len && memcmp(path.data, directory, len) == 0 && path.data[len] == '/';
}

// Moves an entry and, for a directory, everything below it, in one of the two views of the disk.
static void view_rename(struct map *view, const char *from, const char *to)
{
    struct map_entry *at = NULL;
    struct slice path;
    void *inode;
    struct moved {
        char *old, *new;
        void *inode;
    } *moved = NULL;
    int count = 0;
    while (map_next(view, &at, &path, &inode)) {
        bool itself = slice_is(path, from);
        if (!itself && !below(path, from))
            continue;
        moved = mem_realloc(moved, (size_t)(count + 1) * sizeof *moved);
        size_t tail = path.len - strlen(from);
        moved[count].old = mem_strndup((const char *)path.data, path.len);
        moved[count].new = mem_printf("%s%.*s", to, (int)tail, (const char *)path.data + strlen(from));
        moved[count++].inode = inode;
    }
    for (int i = 0; i < count; i++) {
        map_remove(view, slice_str(moved[i].old));
        map_put(view, slice_str(moved[i].new), moved[i].inode);
        mem_free(moved[i].old);
        mem_free(moved[i].new);
    }
    mem_free(moved);
}

enum status sim_path_rename(struct env *env, const char *from, const char *to)
{
    if (inode_at(env, from) == NULL || !parent_exists(env, to))
        return ST_NOT_FOUND;
    if (!powered(machine_of(env)))
        return ST_IO;
    view_rename(&machine_of(env)->files, from, to);
    return ST_OK;
}

enum status sim_path_unlink(struct env *env, const char *path)
{
    if (!powered(machine_of(env)))
        return ST_IO;
    return map_remove(&machine_of(env)->files, slice_str(path)) ? ST_OK : ST_NOT_FOUND;
}

static bool child_of(struct slice path, const char *directory)
{
    return below(path, directory) &&
           memchr(path.data + strlen(directory) + 1, '/', path.len - strlen(directory) - 1) == NULL;
}

// The entries of one directory in the durable view become those of the other one. Whole subtrees of
// directories that were renamed or removed follow their entry.
static void entries_copy(struct map *to, const struct map *from, const char *directory)
{
    struct map_entry *at = NULL;
    struct slice path;
    void *inode;
    while (map_next(to, &at, &path, &inode))
        if (child_of(path, directory) && map_get(from, path) != inode) {
            char *gone = mem_strndup((const char *)path.data, path.len);
            struct map_entry *other = NULL;
            struct slice other_path;
            const char *moved = NULL;
            while (map_next(from, &other, &other_path, NULL))
                if (map_get(from, other_path) == inode)
                    moved = mem_strndup((const char *)other_path.data, other_path.len);
            if (moved != NULL && child_of(slice_str(moved), directory))
                view_rename(to, gone, moved);
            else
                map_remove(to, slice_str(gone));
            at = NULL; // the map changed under the iteration
        }
    at = NULL;
    while (map_next(from, &at, &path, &inode))
        if (child_of(path, directory))
            map_put(to, path, inode);
}

enum status sim_path_sync_dir(struct env *env, const char *path)
{
    struct machine *machine = machine_of(env);
    if (!powered(machine))
        return ST_IO;
    entries_copy(&machine->durable, &machine->files, path);
    return ST_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum status sim_path_list(struct env *env, const char *directory, list_fn *each, void *context)
{
    const struct inode *inode = inode_at(env, directory);
    struct map_entry *at = NULL;
    struct slice path;
    char **names = NULL;
    size_t count = 0;
    if (inode == NULL || !inode->directory)
        return ST_NOT_FOUND;
    while (map_next(&machine_of(env)->files, &at, &path, NULL)) {
        if (!child_of(path, directory))
            continue;
        size_t skip = strlen(directory) + 1;
        names = mem_realloc(names, (count + 1) * sizeof *names);
        names[count++] = mem_strndup((const char *)path.data + skip, path.len - skip);
    }
    if (count > 0)
        qsort(names, count, sizeof *names, by_name);
    bool more = true;
    for (size_t i = 0; i < count; i++) {
        more = more && each(names[i], context);
        mem_free(names[i]);
    }
    mem_free(names);
    return ST_OK;
}

enum status sim_path_free_bytes(struct env *env, const char *path, int64_t *bytes)
{
    *bytes = 1ll << 40;
    return ST_OK;
}

// What a power cut leaves of one file: its durable bytes and, by luck, some of the writes that followed, the
// last of them possibly torn.
static void inode_power_cut(struct machine *machine, struct inode *inode)
{
    struct world *world = machine->world;
    int kept = inode->pending_count ? (int)prng_below(&world->prng, (uint64_t)inode->pending_count + 1) : 0;
    if (world_chance(world, 5000))
        kept = 0;
    if (kept > 0 && inode->pending[kept - 1].len > 1 && world_chance(world, 3000)) {
        inode->pending[kept - 1].len = prng_below(&world->prng, inode->pending[kept - 1].len);
        world_count(world, COUNT_torn_write);
    }
    if (kept < inode->pending_count)
        world_count(world, COUNT_unsynced_bytes_dropped);
    pending_apply(inode, kept);
    pending_clear(inode);
    inode->size = inode->synced_size;
    if (inode->cap < inode->size) {
        inode->cap = inode->size;
        inode->data = mem_realloc(inode->data, inode->cap);
    }
    if (inode->size > 0)
        memcpy(inode->data, inode->synced, inode->size);
}

void disk_power_cut(struct machine *machine)
{
    machine->changes_left = machine->changes_at_cut = 0;
    machine->dark = false;
    struct map_entry *at = NULL;
    struct slice path;
    void *inode;
    // Entries whose directory was never synced are gone; with some luck, all of them are there.
    if (world_chance(machine->world, 2000)) {
        while (map_next(&machine->files, &at, &path, &inode))
            map_put(&machine->durable, path, inode);
    } else {
        map_fini(&machine->files);
        while (map_next(&machine->durable, &at, &path, &inode)) {
            const uint8_t *slash = memrchr(path.data, '/', path.len);
            size_t parent = slash ? (size_t)(slash - path.data) : 0;
            if (parent == 0 || map_get(&machine->durable, slice_of(path.data, parent)) != NULL)
                map_put(&machine->files, path, inode);
        }
    }
    at = NULL;
    while (map_next(&machine->files, &at, &path, &inode))
        inode_power_cut(machine, inode);
}

void disk_root(struct machine *machine, const char *path)
{
    struct inode *inode = mem_calloc(1, sizeof *inode);
    inode->directory = true;
    map_put(&machine->files, slice_str(path), inode);
    map_put(&machine->durable, slice_str(path), inode);
}

const uint8_t *disk_read(const struct machine *machine, struct slice path, size_t *len)
{
    const struct inode *inode = map_get(&machine->files, path);
    *len = inode ? inode->size : 0;
    return inode ? inode->data : NULL;
}

bool disk_next(const struct machine *machine, struct map_entry **at, struct slice *path)
{
    return map_next(&machine->files, at, path, NULL);
}
