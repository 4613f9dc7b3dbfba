// SPDX-License-Identifier: Apache-2.0
// Files and directories of the real environment.
#include "io/posix.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct env *env;
static char dir[64];
static char path[128];

static void set_up(void)
{
    cr_assert_eq(env_posix_new("test", 1, &env), ST_OK);
    strcpy(dir, "/tmp/millrace-io-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
}

static void tear_down(void)
{
    path_unlink(env, path);
    path_rmdir(env, dir);
    env_posix_destroy(&env);
}

TestSuite(file, .init = set_up, .fini = tear_down);

static struct file *create(void)
{
    struct file *file;
    cr_assert_eq(file_open(env, path, FILE_WRITE | FILE_CREATE, &file), ST_OK);
    return file;
}

Test(file, more_vectors_than_one_call_takes_are_written_whole)
{
    enum { COUNT = 300 };
    struct file *file = create();
    static char data[COUNT][7];
    struct iovec iov[COUNT];
    for (int i = 0; i < COUNT; i++) {
        memset(data[i], 'a' + i % 26, sizeof data[i]);
        iov[i] = (struct iovec){.iov_base = data[i], .iov_len = (size_t)(i % 8)};
    }
    cr_assert_eq(file_pwritev(env, file, iov, COUNT, 10), ST_OK);
    int64_t at = 10;
    for (int i = 0; i < COUNT; i++) {
        char back[8];
        size_t got;
        cr_assert_eq(file_pread(env, file, back, iov[i].iov_len, at, &got), ST_OK);
        cr_assert_eq(got, iov[i].iov_len);
        cr_assert_eq(memcmp(back, data[i], got), 0);
        at += (int64_t)got;
    }
    int64_t size;
    cr_assert_eq(file_size(env, file, &size), ST_OK);
    cr_assert_eq(size, at);
    cr_assert_eq(file_sync(env, file), ST_OK);
    cr_assert_eq(file_sync_fs(env, file), ST_OK);
    file_close(env, &file);
}

Test(file, read_at_the_end_gives_fewer_bytes)
{
    struct file *file = create();
    char back[16];
    size_t got;
    cr_assert_eq(file_pwrite(env, file, "hello", 5, 0), ST_OK);
    cr_assert_eq(file_pread(env, file, back, sizeof back, 2, &got), ST_OK);
    cr_assert_eq(got, 3);
    cr_assert_eq(file_pread(env, file, back, sizeof back, 5, &got), ST_OK);
    cr_assert_eq(got, 0);
    file_close(env, &file);
}

Test(file, reserve_takes_space_but_keeps_the_size)
{
    struct file *file = create();
    int64_t size;
    cr_assert_eq(file_reserve(env, file, 0, 1 << 20), ST_OK);
    cr_assert_eq(file_size(env, file, &size), ST_OK);
    cr_assert_eq(size, 0);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_geq(st.st_blocks * 512, 1 << 20);
    file_close(env, &file);
}

Test(file, lock_excludes_a_second_opening_even_in_one_process)
{
    struct file *file = create(), *other;
    cr_assert_eq(file_lock(env, file), ST_OK);
    cr_assert_eq(file_open(env, path, FILE_WRITE, &other), ST_OK);
    cr_assert_eq(file_lock(env, other), ST_AGAIN);
    file_close(env, &file);
    cr_assert_eq(file_lock(env, other), ST_OK);
    file_close(env, &other);
}

Test(file, open_flags_and_missing_files_give_their_status)
{
    struct file *file;
    cr_assert_eq(file_open(env, path, FILE_READ, &file), ST_NOT_FOUND);
    file = create();
    file_close(env, &file);
    cr_assert_eq(file_open(env, path, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &file), ST_EXISTS);
}

Test(file, descriptors_are_not_inherited)
{
    struct file *file = create();
    for (int fd = 3; fd < 64; fd++) {
        char link[64], target[256];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, target, sizeof target - 1);
        if (len > 0 && strncmp(target, path, strlen(path)) == 0)
            cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    file_close(env, &file);
}

static bool collect(const char *name, void *context)
{
    strcat(strcat(context, name), " ");
    return strcmp(name, "c") != 0;
}

Test(file, list_is_sorted_and_stops_when_told)
{
    static const char *const names[] = {"d", "a", "c", "B"};
    char child[128], seen[128] = "";
    for (int i = 0; i < 4; i++) {
        snprintf(child, sizeof child, "%s/%s", dir, names[i]);
        cr_assert_eq(path_mkdir(env, child), ST_OK);
    }
    cr_assert_eq(path_mkdir(env, child), ST_EXISTS);
    cr_assert_eq(path_list(env, dir, collect, seen), ST_OK);
    cr_assert_str_eq(seen, "B a c ");
    cr_assert_eq(path_sync_dir(env, dir), ST_OK);
    for (int i = 0; i < 4; i++) {
        snprintf(child, sizeof child, "%s/%s", dir, names[i]);
        cr_assert_eq(path_rmdir(env, child), ST_OK);
    }
}

// Whether all of a range is in memory, by both ways of asking.
static bool cached(struct file *file, int64_t at, int64_t len)
{
    bool one = file_cached(env, file, at, len);
    cr_assert_eq(file_cached_by_mapping(file->fd, at, len), one, "at %lld", (long long)at);
    return one;
}

Test(file, what_is_in_memory_is_known_by_both_ways_of_asking)
{
    enum { PAGE = 4096, PAGES = 600, SIZE = PAGES * PAGE + 100 };
    struct file *file = create();
    uint8_t *data = calloc(1, SIZE);
    size_t got;
    cr_assert_eq(file_pwrite(env, file, data, SIZE, 0), ST_OK);
    cr_expect(cached(file, 0, SIZE));
    cr_expect(cached(file, 5000, 1));
    cr_expect(cached(file, SIZE - 1, 1));
    cr_assert_eq(file_sync(env, file), ST_OK);
    file_drop_cache(env, file, 0);
    if (cached(file, 0, 1)) {
        free(data);
        file_close(env, &file);
        cr_skip_test("this file system keeps everything in memory");
    }
    cr_expect_not(cached(file, 0, SIZE));
    cr_assert_eq(file_pread(env, file, data, PAGE, 0, &got), ST_OK);
    cr_expect(cached(file, 10, PAGE - 10));
    cr_expect_not(cached(file, 0, SIZE)); // whatever was read ahead
    cr_assert_eq(file_pread(env, file, data, SIZE, 0, &got), ST_OK);
    cr_expect(cached(file, PAGE - 1, SIZE - PAGE + 1));
    free(data);
    file_close(env, &file);
}

// The system counts a page as cached from when it asks the disk for it.
Test(file, what_is_on_its_way_from_the_disk_is_not_in_memory_yet)
{
    enum { PIECE = 1 << 20, SIZE = 16 * PIECE };
    struct file *file = create();
    uint8_t *data = calloc(1, SIZE);
    cr_assert_eq(file_pwrite(env, file, data, SIZE, 0), ST_OK);
    cr_assert_eq(file_sync(env, file), ST_OK);
    free(data);
    file_drop_cache(env, file, 0);
    for (int64_t at = 0; at < SIZE; at += PIECE)
        file_will_need(env, file, at, PIECE);
    for (int tries = 0; !file_cached(env, file, 0, SIZE) && tries < 10000; tries++)
        usleep(1000);
    cr_expect(file_cached_by_mapping(file->fd, SIZE - 1, 1));
    file_close(env, &file);
}
