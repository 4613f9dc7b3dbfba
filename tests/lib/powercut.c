// SPDX-License-Identifier: Apache-2.0
// A power cut for one process (LD_PRELOAD): kill -9 leaves the page cache, so it cannot show a missing fsync;
// this can. With POWERCUT_ROOT=DIR, signal SIGUSR2 ends the process and puts every file below DIR back to
// what its last fsync or fdatasync covered; files, renames and removals whose directory was never synced are
// undone. Nothing that a thread does after the cut reaches a file, and no fsync that was under way returns.
// While a file DIR.stalled exists, no fsync below DIR ends: a disk that hangs. POWERCUT_SYNC_US=N makes each
// take N microseconds longer.
//
// Covered: what goes through libc's open, write, pwrite, truncate, fallocate, rename, unlink, mkdir, link,
// sendfile, copy_file_range, fsync, syncfs families. Not covered: stdio (fopen, fprintf), mmap, io_uring;
// millrace writes its data with none of them. A file must be opened through libc here before it is written.
#include "powercut_undo.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FD_MAX = 65536, STALL_POLL_US = 2000 };

static struct node *of_fd[FD_MAX]; // below the root; changed under undo_lock
static bool on;
static int alarm_pipe[2];
static char stalled_path[4096];
static unsigned sync_us;

// ---- the cut ----

static void on_signal(int number)
{
    int saved = errno;
    char byte = 1;
    if (syscall(SYS_write, alarm_pipe[1], &byte, 1) != 1)
        _exit(99);
    errno = saved;
}

static void *watch(void *unused)
{
    sigset_t all;
    char byte;
    sigfillset(&all);
    sigdelset(&all, SIGUSR2); // also when every other thread blocks it
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    while (syscall(SYS_read, alarm_pipe[0], &byte, 1) != 1) {
    }
    undo_all();
    kill(getpid(), SIGKILL);
    return unused;
}

static void __attribute__((constructor)) start(void)
{
    const char *root = getenv("POWERCUT_ROOT");
    pthread_t thread;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (root == NULL)
        return;
    undo_start(root);
    snprintf(stalled_path, sizeof stalled_path, "%s.stalled", root);
    const char *slow = getenv("POWERCUT_SYNC_US");
    sync_us = slow != NULL ? (unsigned)strtoul(slow, NULL, 10) : 0;
    unsetenv("LD_PRELOAD"); // children are other machines
    if (pipe2(alarm_pipe, O_CLOEXEC) != 0 || sigaction(SIGUSR2, &action, NULL) != 0 ||
        pthread_create(&thread, NULL, watch, NULL) != 0)
        abort();
    on = true;
}

static struct node *node_of(int fd)
{
    return on && fd >= 0 && fd < FD_MAX ? of_fd[fd] : NULL;
}

// ---- opening and closing ----

static void take_fd(int fd)
{
    if (fd < 0 || fd >= FD_MAX)
        return;
    of_fd[fd] = undo_node(fd);
}

static void drop_fd(int fd)
{
    if (fd >= 0 && fd < FD_MAX && of_fd[fd] != NULL) {
        undo_node_release(of_fd[fd]);
        of_fd[fd] = NULL;
    }
}

// O_TRUNC is taken apart: open, note the content, truncate.
static int open_below(int dirfd, const char *path, int flags, mode_t mode, const char *full)
{
    bool existed = access(full, F_OK) == 0;
    int fd = (int)syscall(SYS_openat, dirfd, path, flags & ~O_TRUNC, mode);
    if (fd < 0)
        return fd;
    if (!existed)
        undo_created(full, false);
    take_fd(fd);
    struct node *node = node_of(fd);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (node != NULL && writes)
        undo_attach(node, fd);
    if (node != NULL && writes && existed && (flags & O_TRUNC) != 0) {
        undo_truncate(node, 0);
        if (syscall(SYS_ftruncate, fd, 0) != 0)
            abort();
    }
    return fd;
}

static int open_any(int dirfd, const char *path, int flags, mode_t mode)
{
    char full[4096];
    if (!on)
        return (int)syscall(SYS_openat, dirfd, path, flags, mode);
    undo_lock();
    int fd;
    if (undo_below(dirfd, path, full))
        fd = open_below(dirfd, path, flags, mode, full);
    else
        fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    undo_unlock();
    return fd;
}

#define MODE_OF(flags, last, mode)                                                                           \
    mode_t mode = 0;                                                                                         \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                            \
        va_list args;                                                                                        \
        va_start(args, last);                                                                                \
        mode = va_arg(args, mode_t);                                                                         \
        va_end(args);                                                                                        \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags, flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}
int openat(int dirfd, const char *path, int flags, ...)
{
    MODE_OF(flags, flags, mode)
    return open_any(dirfd, path, flags, mode);
}
int openat64(int dirfd, const char *path, int flags, ...)
{
    MODE_OF(flags, flags, mode)
    return open_any(dirfd, path, flags, mode);
}
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}
int __openat_2(int dirfd, const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags)
{
    return open_any(dirfd, path, flags, 0);
}
int __openat64_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags)
{
    return open_any(dirfd, path, flags, 0);
}
int creat(const char *path, mode_t mode)
{
    return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int close(int fd)
{
    if (node_of(fd) != NULL) {
        undo_lock();
        drop_fd(fd);
        undo_unlock();
    }
    return (int)syscall(SYS_close, fd);
}

static int duplicated(int from, int to)
{
    if (to >= 0 && node_of(from) != NULL) {
        undo_lock();
        take_fd(to);
        undo_unlock();
    }
    return to;
}

int dup(int fd)
{
    return duplicated(fd, (int)syscall(SYS_dup, fd));
}
int dup2(int from, int to)
{
    if (from != to && node_of(to) != NULL) {
        undo_lock();
        drop_fd(to);
        undo_unlock();
    }
    return from == to ? to : duplicated(from, (int)syscall(SYS_dup3, from, to, 0));
}

// ---- content ----

static int64_t position_of(int fd)
{
    bool append = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
    return append ? -1 : lseek(fd, 0, SEEK_CUR);
}

static int64_t bytes_of(const struct iovec *iov, int count)
{
    int64_t total = 0;
    for (int i = 0; i < count; i++)
        total += (int64_t)iov[i].iov_len;
    return total;
}

// Runs a write at a position (-1: the descriptor's own) with its undo note made before; the lock is held
// meanwhile, so that a sync cannot count a write that has not happened yet.
#define NOTED_WRITE(fd, at, len, call)                                                                       \
    struct node *node = node_of(fd);                                                                         \
    if (node == NULL)                                                                                        \
        return (call);                                                                                       \
    undo_lock();                                                                                             \
    undo_write(node, (at), (len));                                                                           \
    ssize_t result = (call);                                                                                 \
    undo_unlock();                                                                                           \
    return result

ssize_t write(int fd, const void *data, size_t len)
{
    NOTED_WRITE(fd, position_of(fd), (int64_t)len, syscall(SYS_write, fd, data, len));
}
ssize_t writev(int fd, const struct iovec *iov, int count)
{
    NOTED_WRITE(fd, position_of(fd), bytes_of(iov, count), syscall(SYS_writev, fd, iov, count));
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    NOTED_WRITE(fd, at, (int64_t)len, syscall(SYS_pwrite64, fd, data, len, at));
}
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    NOTED_WRITE(fd, at, (int64_t)len, syscall(SYS_pwrite64, fd, data, len, at));
}
ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    NOTED_WRITE(fd, at, bytes_of(iov, count), syscall(SYS_pwritev, fd, iov, count, at, 0));
}
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at)
{
    NOTED_WRITE(fd, at, bytes_of(iov, count), syscall(SYS_pwritev, fd, iov, count, at, 0));
}
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
    NOTED_WRITE(fd, at, bytes_of(iov, count), syscall(SYS_pwritev2, fd, iov, count, at, 0, flags));
}
ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off64_t at, int flags)
{
    NOTED_WRITE(fd, at, bytes_of(iov, count), syscall(SYS_pwritev2, fd, iov, count, at, 0, flags));
}
ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
    NOTED_WRITE(out, position_of(out), (int64_t)len, syscall(SYS_sendfile, out, in, at, len));
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t len)
{
    NOTED_WRITE(out, position_of(out), (int64_t)len, syscall(SYS_sendfile, out, in, at, len));
}
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags)
{
    NOTED_WRITE(out, out_at != NULL ? *out_at : position_of(out), (int64_t)len,
                syscall(SYS_copy_file_range, in, in_at, out, out_at, len, flags));
}

int ftruncate(int fd, off_t size)
{
    struct node *node = node_of(fd);
    if (node == NULL)
        return (int)syscall(SYS_ftruncate, fd, size);
    undo_lock();
    undo_truncate(node, size);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    undo_unlock();
    return result;
}
int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}
int truncate(const char *path, off_t size)
{
    int fd = open_any(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int result = ftruncate(fd, size);
    close(fd);
    return result;
}

int truncate64(const char *path, off64_t size)
{
    return truncate(path, size);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    struct node *node = node_of(fd);
    if (node == NULL || mode == FALLOC_FL_KEEP_SIZE) // reserved space is no content
        return (int)syscall(SYS_fallocate, fd, mode, at, len);
    undo_lock();
    undo_write(node, at, len);
    int result = (int)syscall(SYS_fallocate, fd, mode, at, len);
    undo_unlock();
    return result;
}
int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
    return fallocate(fd, mode, at, len);
}
int posix_fallocate(int fd, off_t at, off_t len)
{
    return fallocate(fd, 0, at, len) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off64_t at, off64_t len)
{
    return posix_fallocate(fd, at, len);
}

// ---- names ----

static int rename_any(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char from_full[4096], to_full[4096];
    if (!on)
        return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    undo_lock();
    bool noted = undo_below(from_dir, from, from_full) && undo_below(to_dir, to, to_full);
    struct entry *entry = noted ? undo_renaming(from_full, to_full) : NULL;
    int result = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    int error = errno;
    if (entry != NULL)
        undo_entry_done(entry, result == 0);
    undo_unlock();
    errno = error;
    return result;
}

int rename(const char *from, const char *to)
{
    return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return rename_any(from_dir, from, to_dir, to, 0);
}
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return rename_any(from_dir, from, to_dir, to, flags);
}

int unlinkat(int dirfd, const char *path, int flags)
{
    char full[4096];
    if (!on)
        return (int)syscall(SYS_unlinkat, dirfd, path, flags);
    undo_lock();
    struct entry *entry =
        undo_below(dirfd, path, full) ? undo_removing(full, (flags & AT_REMOVEDIR) != 0) : NULL;
    int result = (int)syscall(SYS_unlinkat, dirfd, path, flags);
    int error = errno;
    if (entry != NULL)
        undo_entry_done(entry, result == 0);
    undo_unlock();
    errno = error;
    return result;
}
int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}
int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
    char full[4096];
    if (!on)
        return (int)syscall(SYS_mkdirat, dirfd, path, mode);
    undo_lock();
    int result = (int)syscall(SYS_mkdirat, dirfd, path, mode);
    int error = errno;
    if (result == 0 && undo_below(dirfd, path, full))
        undo_created(full, true);
    undo_unlock();
    errno = error;
    return result;
}
int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char full[4096];
    if (!on)
        return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    undo_lock();
    int result = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    int error = errno;
    if (result == 0 && undo_below(to_dir, to, full))
        undo_created(full, false);
    undo_unlock();
    errno = error;
    return result;
}
int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

// ---- sync ----

static void take_time(void)
{
    if (sync_us > 0)
        usleep(sync_us);
    while (access(stalled_path, F_OK) == 0)
        usleep(STALL_POLL_US);
}

static int sync_noted(struct node *node, bool everything, long number, int fd)
{
    take_time();
    undo_lock();
    uint64_t point = undo_point();
    undo_unlock();
    int result = (int)syscall(number, fd);
    int error = errno;
    undo_lock(); // does not return when the power has failed meanwhile
    if (result == 0)
        undo_synced(everything ? NULL : node, point);
    undo_unlock();
    errno = error;
    return result;
}

int fsync(int fd)
{
    struct node *node = node_of(fd);
    return node == NULL ? (int)syscall(SYS_fsync, fd) : sync_noted(node, false, SYS_fsync, fd);
}
int fdatasync(int fd)
{
    struct node *node = node_of(fd);
    return node == NULL ? (int)syscall(SYS_fdatasync, fd) : sync_noted(node, false, SYS_fdatasync, fd);
}
int syncfs(int fd)
{
    return on ? sync_noted(NULL, true, SYS_syncfs, fd) : (int)syscall(SYS_syncfs, fd);
}
