// SPDX-License-Identifier: Apache-2.0
// Directories and names of the real environment. All of it may run on helper threads.
#include "io/posix.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum status result(int rc)
{
    return rc == 0 ? ST_OK : status_from_errno(errno);
}

static enum status posix_path_info(struct env *env, const char *path, struct file_info *info)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOTDIR ? ST_NOT_FOUND : status_from_errno(errno);
    *info = (struct file_info){.size = st.st_size,
                               .modified_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
                               .directory = S_ISDIR(st.st_mode)};
    return ST_OK;
}

static enum status posix_path_mkdir(struct env *env, const char *path)
{
    return result(mkdir(path, 0755));
}

static enum status posix_path_rename(struct env *env, const char *from, const char *to)
{
    return result(rename(from, to));
}

static enum status posix_path_unlink(struct env *env, const char *path)
{
    return result(unlink(path));
}

static enum status posix_path_rmdir(struct env *env, const char *path)
{
    return result(rmdir(path));
}

static enum status posix_path_sync_dir(struct env *env, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return status_from_errno(errno);
    enum status status = result(fsync(fd));
    close(fd);
    return status;
}

struct names {
    char **list;
    size_t count, cap;
};

static void names_add(struct names *names, const char *name)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 32;
        names->list = mem_realloc(names->list, names->cap * sizeof *names->list);
    }
    names->list[names->count++] = mem_strdup(name);
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status names_read(struct names *names, const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return status_from_errno(errno);
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            names_add(names, entry->d_name);
    enum status status = errno == 0 ? ST_OK : status_from_errno(errno);
    closedir(dir);
    return status;
}

static enum status posix_path_list(struct env *env, const char *path, list_fn *each, void *context)
{
    struct names names = {0};
    enum status status = names_read(&names, path);
    if (status == ST_OK && names.count > 0)
        qsort(names.list, names.count, sizeof *names.list, name_compare);
    bool more = status == ST_OK;
    for (size_t i = 0; i < names.count; i++) {
        more = more && each(names.list[i], context);
        mem_free(names.list[i]);
    }
    mem_free(names.list);
    return status;
}

static enum status posix_path_free_bytes(struct env *env, const char *path, int64_t *bytes)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return status_from_errno(errno);
    *bytes = (int64_t)info.f_bavail * (int64_t)info.f_frsize;
    return ST_OK;
}

static enum status posix_path_total_bytes(struct env *env, const char *path, int64_t *bytes)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return status_from_errno(errno);
    *bytes = (int64_t)info.f_blocks * (int64_t)info.f_frsize;
    return ST_OK;
}

void path_ops_fill(struct env_ops *ops)
{
    ops->path_info = posix_path_info;
    ops->path_mkdir = posix_path_mkdir;
    ops->path_rename = posix_path_rename;
    ops->path_unlink = posix_path_unlink;
    ops->path_rmdir = posix_path_rmdir;
    ops->path_sync_dir = posix_path_sync_dir;
    ops->path_list = posix_path_list;
    ops->path_free_bytes = posix_path_free_bytes;
    ops->path_total_bytes = posix_path_total_bytes;
}
