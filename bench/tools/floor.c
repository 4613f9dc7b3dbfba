// SPDX-License-Identifier: Apache-2.0
// The least a durable broker can do, as the denominator of the comparisons: receive, check the CRC, write
// into one recycled file (with `append` into one that grows), let a thread fdatasync again and again,
// acknowledge. No offsets, no index, no reads.
//   floor [append] PORT DIRECTORY PARTITIONS [PORT_OF_FOLLOWER ...]    speaks Kafka (ApiVersions, Metadata,
//   Produce version 3) as
//       node 1 and leader of every topic; with followers it acknowledges when it is durable on all of them
//       too
//   floor [append] follow PORT DIRECTORY                               a follower: frames of length, position
//   and records in,
//       durable positions out
// Prints "ready" when it listens; ends with its parent or by a signal.
#include "floor.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FILE_BYTES = 512 << 20,
    FOLLOWERS_MAX = 4,
    PENDING_MAX = 65536, // a power of two
    EVENTS = 64,
    ANSWER_MAX = 65536,
    BACKLOG = 1024,
    POSITION = 8, // bytes in front of the records on the way to a follower
};

struct pending {
    struct link *link;
    uint64_t upto; // durable before this: the answer may go
    uint8_t *answer;
    size_t len;
};

struct floor {
    int port, epoll, listener;
    int32_t partitions;
    bool follows;
    struct disk *disk;
    struct link *followers[FOLLOWERS_MAX];
    int follower_count;
    struct pending pending[PENDING_MAX]; // a ring, in the order of upto
    uint32_t first, last;
    uint64_t position, produced;
    struct buf answer;
    struct link *touched;
};

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(struct floor *floor, int fd, void *what, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(floor->epoll, how, fd, &event) != 0)
        fail("epoll");
}

static void touch(struct floor *floor, struct link *link)
{
    if (link->touched)
        return;
    link->touched = true;
    link->next_touched = floor->touched;
    floor->touched = link;
}

// ---- answers ----

static void answer_later(struct floor *floor, struct link *link, struct slice answer)
{
    if (floor->last - floor->first == PENDING_MAX)
        fail("too many requests under way");
    struct pending *pending = &floor->pending[floor->last++ % PENDING_MAX];
    *pending = (struct pending){.link = link, .upto = floor->position, .len = answer.len};
    pending->answer = memcpy(malloc(answer.len), answer.data, answer.len);
    link->pending++;
}

static void answers_go(struct floor *floor)
{
    uint64_t durable = disk_synced(floor->disk);
    for (int i = 0; i < floor->follower_count; i++)
        durable = floor->followers[i]->acked < durable ? floor->followers[i]->acked : durable;
    for (; floor->first != floor->last && floor->pending[floor->first % PENDING_MAX].upto <= durable;
         floor->first++) {
        struct pending *pending = &floor->pending[floor->first % PENDING_MAX];
        link_put(pending->link, pending->answer, pending->len);
        touch(floor, pending->link);
        pending->link->pending--;
        free(pending->answer);
    }
}

// ---- requests ----

static void records_store(struct slice records, void *context)
{
    struct floor *floor = context;
    uint8_t head[4 + POSITION];
    floor->position = disk_append(floor->disk, records.data, records.len);
    store_be32(head, (uint32_t)(POSITION + records.len));
    store_be64(head + 4, floor->position);
    for (int i = 0; i < floor->follower_count; i++) {
        struct iovec parts[] = {{head, sizeof head}, {(void *)records.data, records.len}};
        link_send(floor->followers[i], parts, 2);
        touch(floor, floor->followers[i]);
    }
}

static bool produce_take(struct floor *floor, struct link *link, struct slice frame)
{
    struct produce produce;
    if (!wire_produce(frame, &produce) ||
        !wire_produced(&produce, floor->produced++, &floor->answer, records_store, floor))
        return false;
    if (produce.acks != 0)
        answer_later(floor, link, buf_slice(&floor->answer));
    return true;
}

static bool leader_take(struct floor *floor, struct link *link, struct slice frame)
{
    struct slice records = slice_of(frame.data + POSITION, frame.len - POSITION);
    if (frame.len < POSITION || !wire_checked(records))
        return false;
    floor->position = disk_append(floor->disk, records.data, records.len);
    answer_later(floor, link, slice_of(frame.data, POSITION));
    return true;
}

static bool frame_take(struct floor *floor, struct link *link, struct slice frame)
{
    if (link->kind == LINK_LEADER)
        return leader_take(floor, link, frame);
    if (wire_api(frame) == 0)
        return produce_take(floor, link, frame);
    touch(floor, link);
    return wire_answer(link, frame, floor->port, floor->partitions);
}

// A follower says with bare positions how far it is.
static void positions_take(struct link *link)
{
    for (; link->have - link->from >= POSITION; link->from += POSITION)
        link->acked = load_be64(link->in + link->from);
}

// ---- the loop ----

static void link_end(struct floor *floor, struct link *link)
{
    if (link->kind != LINK_CLIENT)
        exit(0); // the other half of this floor has gone
    link->dead = true;
    epoll_ctl(floor->epoll, EPOLL_CTL_DEL, link->fd, NULL);
    if (link->pending == 0 && !link->touched)
        link_free(link);
}

static void on_link(struct floor *floor, struct link *link)
{
    struct slice frame;
    bool alive = link_recv(link);
    if (alive && link->kind == LINK_FOLLOWER)
        positions_take(link);
    while (alive && link->kind != LINK_FOLLOWER && link_frame(link, &frame))
        alive = frame_take(floor, link, frame);
    if (!alive || link->dead)
        link_end(floor, link);
}

static void on_listener(struct floor *floor)
{
    int fd = accept(floor->listener, NULL, NULL);
    if (fd >= 0) {
        struct link *link = link_new(fd, floor->follows ? LINK_LEADER : LINK_CLIENT);
        watch(floor, fd, link, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void flush(struct floor *floor, struct link *link)
{
    bool blocked = !link_flush(link);
    if (blocked != link->blocked)
        watch(floor, link->fd, link, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    link->blocked = blocked;
}

static void flush_touched(struct floor *floor)
{
    while (floor->touched != NULL) {
        struct link *link = floor->touched;
        floor->touched = link->next_touched;
        link->touched = false;
        if (link->dead && link->pending == 0)
            link_free(link);
        else if (!link->dead)
            flush(floor, link);
    }
}

static void run(struct floor *floor)
{
    struct epoll_event events[EVENTS];
    watch(floor, disk_fd(floor->disk), floor->disk, EPOLLIN, EPOLL_CTL_ADD);
    watch(floor, floor->listener, floor, EPOLLIN, EPOLL_CTL_ADD);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(floor->epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == floor)
                on_listener(floor);
            else if (events[i].data.ptr != floor->disk && (events[i].events & EPOLLOUT) != 0)
                touch(floor, events[i].data.ptr);
            if (events[i].data.ptr != floor && events[i].data.ptr != floor->disk &&
                (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
                on_link(floor, events[i].data.ptr);
        }
        disk_flush(floor->disk);
        answers_go(floor);
        flush_touched(floor);
    }
}

// ---- start ----

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)strtol(port, NULL, 10))};
}

static void listen_on(struct floor *floor, const char *port)
{
    int one = 1;
    struct sockaddr_in address = loopback(port);
    floor->port = ntohs(address.sin_port);
    floor->listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(floor->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(floor->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(floor->listener, BACKLOG) != 0)
        fail(port);
}

static void follower_join(struct floor *floor, const char *port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail(port);
    struct link *link = link_new(fd, LINK_FOLLOWER);
    watch(floor, fd, link, EPOLLIN, EPOLL_CTL_ADD);
    floor->followers[floor->follower_count++] = link;
}

int main(int argc, char **argv)
{
    static struct floor floor;
    char path[4096];
    bool appends = argc > 1 && strcmp(argv[1], "append") == 0;
    argc -= appends;
    argv += appends;
    bool follows = argc == 4 && strcmp(argv[1], "follow") == 0;
    if (!follows && (argc < 4 || argc > 4 + FOLLOWERS_MAX)) {
        fprintf(stderr, "usage: floor [append] PORT DIRECTORY PARTITIONS [PORT_OF_FOLLOWER ...] | follow "
                        "PORT DIRECTORY\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    buf_init(&floor.answer, ANSWER_MAX);
    floor.follows = follows;
    floor.epoll = epoll_create1(0);
    floor.partitions = follows ? 0 : (int32_t)strtol(argv[3], NULL, 10);
    snprintf(path, sizeof path, "%s/floor", argv[follows ? 3 : 2]);
    floor.disk = disk_open(path, FILE_BYTES, appends);
    listen_on(&floor, argv[follows ? 2 : 1]);
    for (int i = 4; i < argc; i++)
        follower_join(&floor, argv[i]);
    run(&floor);
    return 0;
}
