// SPDX-License-Identifier: Apache-2.0
// A disk that fails, for tests: build/lib/diskfault.so, loaded with LD_PRELOAD. While the file named by
// DISKFAULT_CONTROL exists, calls on files below DISKFAULT_ROOT fail as it says; when it is removed the disk
// works again. Its one line is
//     CALL PART FROM ERROR
// CALL: read, write or sync; PART: what the file's path must contain ("/" is in every path); FROM: the
// number, counted from 1 since the file was written, of the first such call that fails, with all behind it;
// ERROR: the errno as a number. cluster.py's Daemon.fail_disk writes it.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512 };

static const char *root, *control;
static atomic_llong calls, written_ns; // matching calls since the control file was written, and when that was

struct fault {
    char call[16], part[256];
    long long from;
    int error;
};

static void __attribute__((constructor)) start(void)
{
    root = getenv("DISKFAULT_ROOT");
    control = getenv("DISKFAULT_CONTROL");
    unsetenv("LD_PRELOAD");
}

static bool parse_fault(char *line, struct fault *fault)
{
    char *rest = NULL, *words[4];
    for (int i = 0; i < 4; i++) {
        words[i] = strtok_r(i == 0 ? line : NULL, " \n", &rest);
        if (words[i] == NULL)
            return false;
    }
    snprintf(fault->call, sizeof fault->call, "%s", words[0]);
    snprintf(fault->part, sizeof fault->part, "%s", words[1]);
    fault->from = strtoll(words[2], NULL, 10);
    fault->error = (int)strtol(words[3], NULL, 10);
    return true;
}

static bool load_fault(struct fault *fault)
{
    char line[LINE_MAX_BYTES];
    struct stat info;
    if (root == NULL || control == NULL)
        return false;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    long len = syscall(SYS_read, fd, line, sizeof line - 1);
    int known = fstat(fd, &info);
    syscall(SYS_close, fd);
    if (len <= 0 || known != 0)
        return false;
    line[len] = 0;
    long long ns = info.st_mtim.tv_sec * 1000000000ll + info.st_mtim.tv_nsec;
    if (atomic_exchange(&written_ns, ns) != ns)
        atomic_store(&calls, 0);
    return parse_fault(line, fault);
}

// Whether this call on this file fails; errno is set then.
static bool fails(const char *call, int fd)
{
    struct fault fault;
    char link[64], path[PATH_MAX];
    int before = errno;
    bool matches = load_fault(&fault) && strcmp(fault.call, call) == 0;
    if (matches) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof path - 1);
        path[len > 0 ? len : 0] = 0;
        matches = strncmp(path, root, strlen(root)) == 0 && strstr(path, fault.part) != NULL;
    }
    errno = before;
    if (!matches || atomic_fetch_add(&calls, 1) + 1 < fault.from)
        return false;
    errno = fault.error;
    return true;
}

ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    return fails("read", fd) ? -1 : syscall(SYS_pread64, fd, data, len, at);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t at)
{
    return pread(fd, data, len, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    return fails("write", fd) ? -1 : syscall(SYS_pwritev, fd, iov, count, at, 0);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t at)
{
    return pwritev(fd, iov, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    return fails("write", fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
    return fallocate(fd, mode, at, len);
}

int fsync(int fd)
{
    return fails("sync", fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails("sync", fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}
