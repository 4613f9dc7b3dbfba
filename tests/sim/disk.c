// SPDX-License-Identifier: Apache-2.0
// A machine's disk: files with the bytes a process sees and the bytes a power cut would leave. fsync of a
// file makes its bytes durable, fsync of a directory makes its entries durable; anything else may be lost,
// kept, or torn in the middle. After a failed fsync processes go on to see bytes that will never be durable,
// until the cache is dropped, as on Linux.
#include "world.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t DISK_BYTES = 1ll << 40;

enum {
    CACHED_PER_10000 = 7000,
    CACHED_US = 200000 // what was found in the cache stays until it is sent
};

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
    int64_t allocated; // bytes that it takes of the disk
    int64_t modified_us;
    bool stale;        // an fsync has failed: `data` holds what neither is durable nor waits for it
    bool flipped;      // a bit of it has: what is read comes from the disk, not from a cache
    int64_t cached_us; // when it was last said to be cached
    struct process *locked_by;
};

struct file {
    struct inode *inode;
    struct process *process;
    char *path; // as opened
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

static enum status change(struct machine *machine, enum disk_call call, const char *path)
{
    return powered(machine) && !disk_fails(machine, call, path) ? ST_OK : ST_IO;
}

// Takes space up to a size; returns up to where there is some.
static int64_t grow(struct machine *machine, struct inode *inode, int64_t size)
{
    if (size > inode->allocated)
        inode->allocated += disk_room_take(machine, size - inode->allocated);
    return size < inode->allocated ? size : inode->allocated;
}

static void shrink(struct machine *machine, struct inode *inode, int64_t size)
{
    if (size < inode->allocated) {
        disk_room_give(machine, inode->allocated - size);
        inode->allocated = size;
    }
}

// A new entry takes a byte, for all the blocks that it may take of a real disk.
static enum status make(struct machine *machine, const char *path, bool directory, struct inode **out)
{
    enum status status = change(machine, DISK_WRITES, path);
    if (status == ST_OK && disk_room_take(machine, 1) == 0)
        status = ST_NO_SPACE;
    if (status != ST_OK)
        return status;
    *out = mem_calloc(1, sizeof **out);
    (*out)->directory = directory;
    map_put(&machine->files, slice_str(path), *out);
    return ST_OK;
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

static void cut(struct machine *machine, struct inode *inode, int64_t size)
{
    pending_add(inode, (struct pending){.at = size});
    shrink(machine, inode, size);
}

enum status sim_file_open(struct env *env, const char *path, int flags, struct file **out)
{
    struct inode *inode = inode_at(env, path);
    if (inode == NULL && (!(flags & FILE_CREATE) || !parent_exists(env, path)))
        return ST_NOT_FOUND;
    if (inode != NULL && (inode->directory || (flags & FILE_EXCLUSIVE)))
        return inode->directory ? ST_IO : ST_EXISTS;
    enum status status = ST_OK;
    if (inode == NULL)
        status = make(machine_of(env), path, false, &inode);
    else if (flags & FILE_TRUNCATE)
        status = change(machine_of(env), DISK_WRITES, path);
    if (status != ST_OK)
        return status;
    if (flags & FILE_TRUNCATE)
        cut(machine_of(env), inode, 0);
    struct file *file = mem_calloc(1, sizeof *file);
    *file = (struct file){.inode = inode,
                          .process = (struct process *)env,
                          .path = mem_strndup(path, strlen(path)),
                          .writable = flags & FILE_WRITE};
    *out = file;
    return ST_OK;
}

void sim_file_close(struct env *env, struct file **pointer)
{
    struct file *file = *pointer;
    *pointer = NULL;
    if (file->locked)
        file->inode->locked_by = NULL;
    mem_free(file->path);
    mem_free(file);
}

enum status sim_file_pread(struct env *env, struct file *file, void *data, size_t len, int64_t at,
                           size_t *got)
{
    const struct inode *inode = file->inode;
    *got = 0;
    if (disk_fails(machine_of(env), DISK_READS, file->path))
        return ST_IO;
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

// Now it is, now it is not. A flipped bit is seen once a page has left the cache, so none was found there.
bool sim_file_cached(struct env *env, struct file *file, int64_t at, int64_t len)
{
    struct world *world = machine_of(env)->world;
    if (file->inode->flipped || !world_chance(world, CACHED_PER_10000))
        return false;
    file->inode->cached_us = world->now_us;
    world_count(world, COUNT_cached_read);
    return true;
}

enum status sim_file_pwritev(struct env *env, struct file *file, const struct iovec *iov, int count,
                             int64_t at)
{
    struct machine *machine = machine_of(env);
    ASSERT(file->writable && file->process->alive);
    enum status status = change(machine, DISK_WRITES, file->path);
    file->inode->modified_us = machine->world->now_us;
    for (int i = 0; i < count && status == ST_OK; i++) {
        int64_t len = grow(machine, file->inode, at + (int64_t)iov[i].iov_len) - at;
        if (len < (int64_t)iov[i].iov_len)
            status = ST_NO_SPACE; // what there is room for is written
        if (len <= 0)
            continue;
        struct pending write = {.at = at, .len = (size_t)len, .data = mem_calloc(1, (size_t)len)};
        memcpy(write.data, iov[i].iov_base, write.len);
        pending_add(file->inode, write);
        at += len;
    }
    return status;
}

enum status sim_file_truncate(struct env *env, struct file *file, int64_t size)
{
    struct machine *machine = machine_of(env);
    ASSERT(file->writable);
    if (machine->in_job && machine->changes_at_cut > 0) {
        machine->changes_left = machine->changes_at_cut;
        machine->changes_at_cut = 0;
    }
    enum status status = change(machine, DISK_WRITES, file->path);
    file->inode->modified_us = machine->world->now_us;
    if (status == ST_OK)
        cut(machine, file->inode, size);
    return status;
}

enum status sim_file_reserve(struct env *env, struct file *file, int64_t at, int64_t len)
{
    if (disk_fails(machine_of(env), DISK_WRITES, file->path))
        return ST_IO;
    return grow(machine_of(env), file->inode, at + len) < at + len ? ST_NO_SPACE : ST_OK;
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

static enum status inode_sync(struct machine *machine, struct inode *inode, const char *path)
{
    bool fails = disk_fails(machine, DISK_SYNCS, path);
    int reached = inode->pending_count;
    if (fails && reached > 0) {
        reached = (int)world_between(machine->world, 0, reached - 1);
        inode->stale = true;
        world_count(machine->world, COUNT_sync_lost_bytes);
    }
    pending_apply(inode, reached);
    pending_clear(inode);
    return fails ? ST_IO : ST_OK;
}

// Any of what is written may be on the disk already when the power fails, hint or not.
void sim_file_write_out(struct env *env, struct file *file, int64_t at, int64_t len)
{
    (void)env;
    (void)file;
    (void)at;
    (void)len;
}

enum status sim_file_sync(struct env *env, struct file *file)
{
    struct machine *machine = machine_of(env);
    return powered(machine) ? inode_sync(machine, file->inode, file->path) : ST_IO;
}

enum status sim_file_sync_fs(struct env *env, struct file *file)
{
    struct machine *machine = machine_of(env);
    struct map_entry *at = NULL;
    struct slice path;
    void *value;
    enum status status = ST_OK;
    if (!powered(machine))
        return ST_IO;
    map_fini(&machine->durable);
    while (map_next(&machine->files, &at, &path, &value)) {
        struct inode *inode = value;
        char *name = mem_strndup((const char *)path.data, path.len);
        map_put(&machine->durable, path, inode);
        if (inode->pending_count > 0 && inode_sync(machine, inode, name) != ST_OK)
            status = ST_IO;
        mem_free(name);
    }
    return status;
}

enum status sim_file_size(struct env *env, struct file *file, int64_t *size)
{
    *size = (int64_t)file->inode->size;
    return ST_OK;
}

// What is durable, with what waits for it, in place of what processes saw; the size stays.
void sim_file_drop_cache(struct env *env, struct file *file, int64_t at)
{
    struct inode *inode = file->inode;
    uint8_t *data = NULL;
    size_t size = 0, cap = 0;
    struct pending durable = {.data = inode->synced, .len = inode->synced_size};
    if (!inode->stale || (size_t)at >= inode->size)
        return;
    if (durable.data != NULL)
        bytes_put(&data, &size, &cap, &durable);
    for (int i = 0; i < inode->pending_count; i++)
        bytes_put(&data, &size, &cap, &inode->pending[i]);
    if (size < inode->size)
        bytes_put(&data, &size, &cap, &(struct pending){.at = (int64_t)inode->size});
    memcpy(inode->data + at, data + at, inode->size - (size_t)at);
    mem_free(data);
    inode->stale = at > 0;
}

bool disk_flip(struct machine *machine, struct slice path, size_t at, int bit)
{
    struct inode *inode = map_get(&machine->files, path);
    if (inode == NULL || at >= inode->synced_size || at >= inode->size ||
        inode->data[at] != inode->synced[at] ||
        (inode->cached_us > 0 && machine->world->now_us - inode->cached_us < CACHED_US))
        return false;
    inode->synced[at] ^= (uint8_t)(1u << bit);
    inode->data[at] = inode->synced[at];
    inode->flipped = true;
    world_count(machine->world, COUNT_bit_flipped);
    if (machine->world->verbose)
        fprintf(stderr, "%10.6f DISK of machine %d: bit %d of byte %zu flipped in %.*s\n",
                (double)machine->world->now_us / 1e6, machine->id, bit, at, (int)path.len,
                (const char *)path.data);
    return true;
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
    *info = (struct file_info){.size = (int64_t)inode->size,
                               .modified_ns = inode->modified_us * 1000,
                               .directory = inode->directory};
    return ST_OK;
}

enum status sim_path_mkdir(struct env *env, const char *path)
{
    if (inode_at(env, path) != NULL)
        return ST_EXISTS;
    if (!parent_exists(env, path))
        return ST_NOT_FOUND;
    struct inode *inode;
    return make(machine_of(env), path, true, &inode);
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
    enum status status = change(machine_of(env), DISK_WRITES, to);
    if (status != ST_OK)
        return status;
    struct inode *replaced = inode_at(env, to);
    if (replaced != NULL)
        shrink(machine_of(env), replaced, 0);
    view_rename(&machine_of(env)->files, from, to);
    return ST_OK;
}

enum status sim_path_unlink(struct env *env, const char *path)
{
    enum status status = change(machine_of(env), DISK_WRITES, path);
    struct inode *inode = inode_at(env, path);
    if (status != ST_OK)
        return status;
    if (inode != NULL)
        shrink(machine_of(env), inode, 0);
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
    enum status status = change(machine, DISK_SYNCS, path);
    if (status == ST_OK)
        entries_copy(&machine->durable, &machine->files, path);
    return status;
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
    const struct disk_ills *ills = &machine_of(env)->ills;
    *bytes = ills->full && !ills->room_hidden ? ills->room : DISK_BYTES;
    return ST_OK;
}

enum status sim_path_total_bytes(struct env *env, const char *path, int64_t *bytes)
{
    *bytes = DISK_BYTES;
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
    inode->stale = false;
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
