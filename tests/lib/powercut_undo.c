// SPDX-License-Identifier: Apache-2.0
// See powercut_undo.h. Content: before each change the old bytes and size of the range are noted per file,
// newest first; a sync drops the notes older than its beginning; a power cut plays the rest back. Names:
// creations, removals and renames are noted in order; syncing a directory makes those in it durable; a power
// cut undoes the others, newest first. Removed and overwritten files live on as hard links beside the root
// until their removal is durable.
#include "powercut_undo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct note { // old content of a range
    struct note *older;
    uint64_t point;
    int64_t size; // of the file before
    int64_t at, len;
    uint8_t bytes[];
};

struct node {
    struct node *next;
    dev_t device;
    ino_t inode;
    int fd; // our own, for playing back; -1 for directories
    int refs;
    struct note *newest;
};

enum entry_kind { CREATED, CREATED_DIRECTORY, REMOVED, REMOVED_DIRECTORY, RENAMED };

struct entry {
    struct entry *older;
    enum entry_kind kind;
    uint64_t point;
    dev_t device[2]; // of the directories it waits for
    ino_t inode[2];
    bool waits[2];
    bool saved; // a side copy exists
    unsigned long number;
    char path[PATH_MAX], to[PATH_MAX];
};

static struct {
    pthread_mutex_t lock;
    char root[PATH_MAX], side[PATH_MAX];
    size_t root_len;
    struct node *nodes;
    struct entry *entries;
    uint64_t points;
    unsigned long numbers;
    bool off;
} power = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *what)
{
    dprintf(2, "powercut: %s: %s\n", what, strerror(errno));
    abort();
}

void undo_start(const char *root)
{
    if (realpath(root, power.root) == NULL)
        die(root);
    power.root_len = strlen(power.root);
    if (power.root_len > PATH_MAX - 32)
        die("root is too long");
    snprintf(power.side, sizeof power.side, "%.*s.powercut", PATH_MAX - 32, power.root);
    if (mkdir(power.side, 0700) != 0 && errno != EEXIST)
        die(power.side);
}

void undo_lock(void)
{
    pthread_mutex_lock(&power.lock);
    if (!power.off)
        return;
    pthread_mutex_unlock(&power.lock);
    for (;;)
        pause();
}

void undo_unlock(void)
{
    pthread_mutex_unlock(&power.lock);
}

static bool below(const char *full)
{
    return strncmp(full, power.root, power.root_len) == 0 &&
           (full[power.root_len] == '/' || full[power.root_len] == '\0');
}

bool undo_below(int dirfd, const char *path, char full[4096])
{
    char joined[PATH_MAX * 2], real[PATH_MAX], link[64];
    if (path[0] == '/') {
        snprintf(joined, sizeof joined, "%s", path);
    } else if (dirfd == AT_FDCWD) {
        snprintf(joined, sizeof joined, "./%s", path);
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        ssize_t len = readlink(link, real, sizeof real - 1);
        if (len < 0)
            return false;
        snprintf(joined, sizeof joined, "%.*s/%s", (int)len, real, path);
    }
    char *slash = strrchr(joined, '/');
    while (slash != NULL && slash[1] == '\0' && slash > joined) { // a trailing slash
        *slash = '\0';
        slash = strrchr(joined, '/');
    }
    if (slash == NULL)
        return false;
    *slash = '\0';
    if (realpath(slash == joined ? "/" : joined, real) == NULL)
        return false;
    return snprintf(full, 4096, "%s/%s", real, slash + 1) < 4096 && below(full);
}

// ---- nodes ----

static struct node *node_find(dev_t device, ino_t inode)
{
    for (struct node *node = power.nodes; node != NULL; node = node->next)
        if (node->device == device && node->inode == inode)
            return node;
    return NULL;
}

struct node *undo_node(int fd)
{
    struct stat info;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0 || fstat(fd, &info) != 0 || (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)))
        return NULL;
    path[len] = '\0';
    if (!below(path))
        return NULL;
    struct node *node = node_find(info.st_dev, info.st_ino);
    if (node == NULL) {
        node = calloc(1, sizeof *node);
        if (node == NULL)
            die("memory");
        *node = (struct node){.next = power.nodes, .device = info.st_dev, .inode = info.st_ino, .fd = -1};
        power.nodes = node;
    }
    node->refs++;
    return node;
}

static void node_forget(struct node *node)
{
    if (node->refs > 0 || node->newest != NULL)
        return;
    struct node **at = &power.nodes;
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    if (node->fd >= 0)
        syscall(SYS_close, node->fd);
    free(node);
}

void undo_node_release(struct node *node)
{
    node->refs--;
    node_forget(node);
}

// ---- content ----

static void note_add(struct node *node, int64_t size, int64_t at, int64_t len)
{
    struct note *note = malloc(sizeof *note + (size_t)len);
    if (note == NULL)
        die("memory");
    *note = (struct note){.older = node->newest, .point = power.points++, .size = size, .at = at, .len = len};
    for (int64_t done = 0; done < len;) {
        ssize_t got = pread(node->fd, note->bytes + done, (size_t)(len - done), at + done);
        if (got <= 0)
            die("reading old content");
        done += got;
    }
    node->newest = note;
}

// The file's size, with our own descriptor open.
static int64_t node_open(struct node *node, int fd_hint)
{
    struct stat info;
    char link[64];
    if (node->fd < 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd_hint);
        node->fd = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC, 0);
        if (node->fd < 0)
            die("opening for undo");
    }
    if (fstat(node->fd, &info) != 0)
        die("fstat");
    return info.st_size;
}

void undo_attach(struct node *node, int fd)
{
    node_open(node, fd);
}

void undo_write(struct node *node, int64_t at, int64_t len)
{
    int64_t size = node_open(node, -1);
    if (at < 0)
        at = size;
    int64_t old = at < size ? (at + len < size ? len : size - at) : 0;
    note_add(node, size, at, old);
}

void undo_truncate(struct node *node, int64_t to)
{
    int64_t size = node_open(node, -1);
    note_add(node, size, to < size ? to : size, to < size ? size - to : 0);
}

static void notes_drop(struct node *node, uint64_t point)
{
    struct note **at = &node->newest;
    while (*at != NULL && (*at)->point >= point)
        at = &(*at)->older;
    struct note *note = *at;
    *at = NULL;
    while (note != NULL) {
        struct note *older = note->older;
        free(note);
        note = older;
    }
}

static void notes_play(struct node *node)
{
    for (struct note *note = node->newest; note != NULL; note = note->older) {
        for (int64_t done = 0; done < note->len;) {
            long put = syscall(SYS_pwrite64, node->fd, note->bytes + done, note->len - done, note->at + done);
            if (put <= 0)
                die("putting content back");
            done += put;
        }
        if (syscall(SYS_ftruncate, node->fd, note->size) != 0)
            die("putting the size back");
    }
}

// ---- names ----

static void side_path(const struct entry *entry, char path[PATH_MAX + 32])
{
    snprintf(path, PATH_MAX + 32, "%s/%d-%lu", power.side, (int)getpid(), entry->number);
}

// The entry waits until the directory that holds the path is synced.
static void wait_for(struct entry *entry, int i, const char *full)
{
    char folder[PATH_MAX];
    struct stat info;
    snprintf(folder, sizeof folder, "%s", full);
    *strrchr(folder, '/') = '\0';
    if (stat(folder, &info) != 0)
        return;
    entry->device[i] = info.st_dev;
    entry->inode[i] = info.st_ino;
    entry->waits[i] = true;
}

static struct entry *entry_add(enum entry_kind kind, const char *full)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        die("memory");
    entry->older = power.entries;
    entry->kind = kind;
    entry->point = power.points++;
    entry->number = power.numbers++;
    snprintf(entry->path, sizeof entry->path, "%s", full);
    wait_for(entry, 0, full);
    power.entries = entry;
    return entry;
}

// Keeps a removed file alive under another name.
static void keep_aside(struct entry *entry, const char *full)
{
    char side[PATH_MAX + 32];
    side_path(entry, side);
    entry->saved = syscall(SYS_linkat, AT_FDCWD, full, AT_FDCWD, side, 0) == 0;
}

void undo_created(const char *full, bool directory)
{
    entry_add(directory ? CREATED_DIRECTORY : CREATED, full);
}

struct entry *undo_removing(const char *full, bool directory)
{
    struct entry *entry = entry_add(directory ? REMOVED_DIRECTORY : REMOVED, full);
    if (!directory)
        keep_aside(entry, full);
    return entry;
}

struct entry *undo_renaming(const char *from, const char *to)
{
    struct entry *entry = entry_add(RENAMED, from);
    snprintf(entry->to, sizeof entry->to, "%s", to);
    wait_for(entry, 1, to);
    keep_aside(entry, to); // what it replaces, if anything
    return entry;
}

static void entry_drop(struct entry *entry)
{
    char side[PATH_MAX + 32];
    struct entry **at = &power.entries;
    while (*at != entry)
        at = &(*at)->older;
    *at = entry->older;
    side_path(entry, side);
    if (entry->saved)
        syscall(SYS_unlinkat, AT_FDCWD, side, 0);
    free(entry);
}

void undo_entry_done(struct entry *entry, bool ok)
{
    if (!ok)
        entry_drop(entry);
}

static void remove_tree(const char *path)
{
    char command_free[PATH_MAX + 320];
    struct stat info;
    if (lstat(path, &info) != 0)
        return;
    if (!S_ISDIR(info.st_mode)) {
        syscall(SYS_unlinkat, AT_FDCWD, path, 0);
        return;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    char buffer[8192];
    for (long got; fd >= 0 && (got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0;) {
        for (long at = 0; at < got;) {
            unsigned short length;
            memcpy(&length, buffer + at + 16,
                   sizeof length); // struct linux_dirent64: d_reclen, then type, name
            const char *name = buffer + at + 19;
            at += length;
            if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                continue;
            snprintf(command_free, sizeof command_free, "%s/%.255s", path, name);
            remove_tree(command_free);
        }
    }
    syscall(SYS_close, fd);
    syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

static void entry_play(struct entry *entry)
{
    char side[PATH_MAX + 32];
    side_path(entry, side);
    switch (entry->kind) {
    case CREATED:
    case CREATED_DIRECTORY:
        remove_tree(entry->path);
        break;
    case REMOVED:
        if (entry->saved)
            syscall(SYS_linkat, AT_FDCWD, side, AT_FDCWD, entry->path, 0);
        break;
    case REMOVED_DIRECTORY:
        syscall(SYS_mkdirat, AT_FDCWD, entry->path, 0755);
        break;
    case RENAMED:
        syscall(SYS_renameat2, AT_FDCWD, entry->to, AT_FDCWD, entry->path, 0);
        if (entry->saved)
            syscall(SYS_linkat, AT_FDCWD, side, AT_FDCWD, entry->to, 0);
        break;
    }
}

// ---- sync and cut ----

uint64_t undo_point(void)
{
    return power.points++;
}

static void entries_synced(const struct node *node, uint64_t point)
{
    for (struct entry *entry = power.entries, *older; entry != NULL; entry = older) {
        older = entry->older;
        if (entry->point >= point)
            continue;
        for (int i = 0; i < 2; i++)
            if (node == NULL || (entry->device[i] == node->device && entry->inode[i] == node->inode))
                entry->waits[i] = false;
        if (!entry->waits[0] && !entry->waits[1])
            entry_drop(entry);
    }
}

void undo_synced(struct node *node, uint64_t point)
{
    for (struct node *each = power.nodes, *next; each != NULL; each = next) {
        next = each->next;
        if (node == NULL || each == node) {
            notes_drop(each, point);
            node_forget(each);
        }
    }
    entries_synced(node, point);
}

void undo_all(void)
{
    pthread_mutex_lock(&power.lock);
    power.off = true;
    for (struct node *node = power.nodes; node != NULL; node = node->next)
        notes_play(node);
    for (struct entry *entry = power.entries; entry != NULL; entry = entry->older)
        entry_play(entry);
    remove_tree(power.side);
}
