// SPDX-License-Identifier: Apache-2.0
// Files of the real environment: thin, complete versions of the system calls (short transfers and EINTR are
// dealt with here, nowhere else). All of it may run on helper threads.
#include "io/posix.h"

#include "base/assert.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum status posix_file_open(struct env *env, const char *path, int flags, struct file **file)
{
    int mode = O_CLOEXEC | (flags & FILE_WRITE ? O_RDWR : O_RDONLY);
    mode |= (flags & FILE_CREATE ? O_CREAT : 0) | (flags & FILE_EXCLUSIVE ? O_EXCL : 0);
    mode |= flags & FILE_TRUNCATE ? O_TRUNC : 0;
    int fd;
    do
        fd = open(path, mode, 0644);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return status_from_errno(errno);
    if (flags & FILE_AS_ASKED)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    *file = mem_calloc(1, sizeof **file);
    (*file)->fd = fd;
    return ST_OK;
}

static void posix_file_close(struct env *env, struct file **file)
{
    close((*file)->fd); // an error here says nothing that file_sync has not said
    mem_free(*file);
    *file = NULL;
}

static enum status posix_file_pread(struct env *env, struct file *file, void *data, size_t len, int64_t at,
                                    size_t *got)
{
    *got = 0;
    while (*got < len) {
        ssize_t n = pread(file->fd, (uint8_t *)data + *got, len - *got, at + (int64_t)*got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_from_errno(errno);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return ST_OK;
}

static void posix_file_will_need(struct env *env, struct file *file, int64_t at, int64_t len)
{
    (void)posix_fadvise(file->fd, at, len, POSIX_FADV_WILLNEED); // a hint: a file system may not take it
}

// Linux's cachestat (6.5), which not every C library and not every header knows: the same number on every
// architecture, and its structures.
enum { SYS_CACHESTAT = 451 };

struct cachestat_range {
    uint64_t at, len;
};

struct cachestat_pages {
    uint64_t cached, dirty, written_back, evicted, recently_evicted;
};

static int64_t pages_of(int64_t at, int64_t len)
{
    int64_t page = sysconf(_SC_PAGESIZE);
    return (at + len - 1) / page - at / page + 1;
}

bool file_cached_by_mapping(int fd, int64_t at, int64_t len)
{
    enum { PIECE = 256 }; // pages
    unsigned char resident[PIECE];
    int64_t page = sysconf(_SC_PAGESIZE), from = at / page * page, end = at + len;
    bool cached = true;
    for (; cached && from < end; from += PIECE * page) {
        size_t size = (size_t)(end - from < PIECE * page ? end - from : PIECE * page);
        void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, from);
        if (map == MAP_FAILED)
            return false;
        cached = mincore(map, size, resident) == 0;
        for (int64_t i = 0; cached && i < pages_of(from, (int64_t)size); i++)
            cached = resident[i] & 1;
        munmap(map, size);
    }
    return cached;
}

// Pages count as cached from when the disk is asked for them, and come in order: whether this one has come.
static bool has_arrived(int fd, int64_t at)
{
    uint8_t byte;
    struct iovec one = {.iov_base = &byte, .iov_len = 1};
    return preadv2(fd, &one, 1, at, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static bool posix_file_cached(struct env *env, struct file *file, int64_t at, int64_t len)
{
    struct cachestat_range range = {.at = (uint64_t)at, .len = (uint64_t)len};
    struct cachestat_pages pages;
    if (len <= 0)
        return true;
    if (syscall(SYS_CACHESTAT, file->fd, &range, &pages, 0) == 0)
        return pages.cached >= (uint64_t)pages_of(at, len) && has_arrived(file->fd, at + len - 1);
    return file_cached_by_mapping(file->fd, at, len); // an older kernel, or a sandbox that refuses the call
}

// Drops the first n bytes of what is left to write.
static void iov_advance(struct iovec **iov, int *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

// One call, cut to a piece: into fresh pages a single long write costs several times as much, because the
// kernel then takes its page cache in huge pieces too.
static ssize_t pwritev_piece(int fd, struct iovec *iov, int count, int64_t at)
{
    enum { PIECE = 256 << 10 };
    size_t bytes = 0;
    int n = 0;
    while (n < count && bytes < PIECE)
        bytes += iov[n++].iov_len;
    size_t over = bytes > PIECE ? bytes - PIECE : 0;
    iov[n - 1].iov_len -= over;
    ssize_t written = pwritev(fd, iov, n, at);
    iov[n - 1].iov_len += over;
    return written;
}

static enum status pwritev_some(int fd, struct iovec *iov, int count, int64_t *at)
{
    while (count > 0) {
        ssize_t n = pwritev_piece(fd, iov, count, *at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_from_errno(errno);
        *at += n;
        iov_advance(&iov, &count, (size_t)n);
    }
    return ST_OK;
}

static enum status posix_file_pwritev(struct env *env, struct file *file, const struct iovec *iov, int count,
                                      int64_t at)
{
    enum { AT_ONCE = 64 }; // copied, because a short write changes them
    struct iovec part[AT_ONCE];
    enum status status = ST_OK;
    for (int from = 0; from < count && status == ST_OK; from += AT_ONCE) {
        int n = count - from < AT_ONCE ? count - from : AT_ONCE;
        memcpy(part, iov + from, (size_t)n * sizeof *iov);
        status = pwritev_some(file->fd, part, n, &at);
    }
    return status;
}

static enum status posix_file_truncate(struct env *env, struct file *file, int64_t size)
{
    int rc;
    do
        rc = ftruncate(file->fd, size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? ST_OK : status_from_errno(errno);
}

static enum status posix_file_reserve(struct env *env, struct file *file, int64_t at, int64_t len)
{
    int rc;
    do
        rc = fallocate(file->fd, FALLOC_FL_KEEP_SIZE, at, len);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EOPNOTSUPP)
        return ST_UNSUPPORTED;
    return rc == 0 ? ST_OK : status_from_errno(errno);
}

static void posix_file_write_out(struct env *env, struct file *file, int64_t at, int64_t len)
{
    sync_file_range(file->fd, at, len, SYNC_FILE_RANGE_WRITE);
}

static enum status posix_file_sync(struct env *env, struct file *file)
{
    // EINTR is not retried: after any failure the page cache proves nothing.
    return fdatasync(file->fd) == 0 ? ST_OK : status_from_errno(errno);
}

static enum status posix_file_sync_fs(struct env *env, struct file *file)
{
    return syncfs(file->fd) == 0 ? ST_OK : status_from_errno(errno);
}

static enum status posix_file_size(struct env *env, struct file *file, int64_t *size)
{
    struct stat info;
    if (fstat(file->fd, &info) != 0)
        return status_from_errno(errno);
    *size = info.st_size;
    return ST_OK;
}

static enum status posix_file_lock(struct env *env, struct file *file)
{
    // A lock of the open description: it also excludes a second opening by this process, and another thread
    // closing some other descriptor of the same file does not lose it.
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
        return ST_OK;
    return errno == EACCES ? ST_AGAIN : status_from_errno(errno);
}

static void posix_file_drop_cache(struct env *env, struct file *file, int64_t at)
{
    (void)posix_fadvise(file->fd, at, 0,
                        POSIX_FADV_DONTNEED); // a file system without a cache has none to drop
}

void file_ops_fill(struct env_ops *ops)
{
    ops->file_open = posix_file_open;
    ops->file_close = posix_file_close;
    ops->file_pread = posix_file_pread;
    ops->file_will_need = posix_file_will_need;
    ops->file_cached = posix_file_cached;
    ops->file_pwritev = posix_file_pwritev;
    ops->file_truncate = posix_file_truncate;
    ops->file_reserve = posix_file_reserve;
    ops->file_write_out = posix_file_write_out;
    ops->file_sync = posix_file_sync;
    ops->file_sync_fs = posix_file_sync_fs;
    ops->file_size = posix_file_size;
    ops->file_lock = posix_file_lock;
    ops->file_drop_cache = posix_file_drop_cache;
}
