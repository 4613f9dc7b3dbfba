// SPDX-License-Identifier: Apache-2.0
// pwrite on the loop, fdatasync on the thread; see floor_disk.h.
#include "floor_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PIECE = 256 << 10 }; // page cache is filled fastest in pieces of this size

struct disk {
    int fd, event;
    int64_t size; // INT64_MAX: it is never written over
    uint64_t appended; // the loop's
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    uint64_t asked, synced; // under the mutex
};

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_all(int fd, const uint8_t *data, size_t len, int64_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len < PIECE ? len : PIECE, at);
        if (n <= 0)
            fail("write");
        data += n;
        at += n;
        len -= (size_t)n;
    }
}

static void *sync_on(void *context)
{
    struct disk *disk = context;
    uint64_t one = 1;
    pthread_mutex_lock(&disk->mutex);
    for (;;) {
        while (disk->asked == disk->synced)
            pthread_cond_wait(&disk->wanted, &disk->mutex);
        uint64_t upto = disk->asked;
        pthread_mutex_unlock(&disk->mutex);
        if (fdatasync(disk->fd) != 0)
            fail("fdatasync");
        pthread_mutex_lock(&disk->mutex);
        disk->synced = upto;
        if (write(disk->event, &one, sizeof one) != sizeof one)
            fail("eventfd");
    }
    return NULL;
}

struct disk *disk_open(const char *path, int64_t size, bool appends)
{
    struct disk *disk = calloc(1, sizeof *disk);
    uint8_t *zeros = calloc(1, PIECE);
    pthread_t thread;
    disk->size = appends ? INT64_MAX : size;
    disk->fd = open(path, O_RDWR | O_CREAT, 0600);
    disk->event = eventfd(0, EFD_NONBLOCK);
    if (disk->fd < 0 || disk->event < 0)
        fail(path);
    for (int64_t at = 0; at < size && !appends; at += PIECE)
        write_all(disk->fd, zeros, PIECE, at);
    if (fsync(disk->fd) != 0)
        fail("fsync");
    free(zeros);
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->wanted, NULL);
    if (pthread_create(&thread, NULL, sync_on, disk) != 0)
        fail("thread");
    return disk;
}

uint64_t disk_append(struct disk *disk, const void *data, size_t len)
{
    int64_t at = (int64_t)(disk->appended % (uint64_t)disk->size);
    size_t before_end = (size_t)(disk->size - at) < len ? (size_t)(disk->size - at) : len;
    write_all(disk->fd, data, before_end, at);
    write_all(disk->fd, (const uint8_t *)data + before_end, len - before_end, 0);
    disk->appended += len;
    return disk->appended;
}

void disk_flush(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    if (disk->asked != disk->appended) {
        disk->asked = disk->appended;
        pthread_cond_signal(&disk->wanted);
    }
    pthread_mutex_unlock(&disk->mutex);
}

int disk_fd(const struct disk *disk)
{
    return disk->event;
}

uint64_t disk_synced(struct disk *disk)
{
    uint64_t count;
    if (read(disk->event, &count, sizeof count) < 0 && errno != EAGAIN)
        fail("eventfd");
    pthread_mutex_lock(&disk->mutex);
    uint64_t synced = disk->synced;
    pthread_mutex_unlock(&disk->mutex);
    return synced;
}
