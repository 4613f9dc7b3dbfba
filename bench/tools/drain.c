// SPDX-License-Identifier: Apache-2.0
// Reads partitions as cheaply as a client can: one connection per partition, one Fetch (version 4, long poll)
// under way on each, the records thrown away unread but for where the next one begins.
//   drain BOOTSTRAP TOPIC [name=number ...]
//     partitions=0              the first so many; 0: all, at most 64
//     fetch=1048576             most bytes per answer
//     seconds=0                 begins again at offset 0 at a partition's end until the time is over; 0: once
//     to the end
// Prints {"begin_us"} when it has its connections, then one line of JSON: bytes of records, answers, seconds.
// An error, a closed connection or 60 s of silence ends it with exit code 1.
#include "target.h"

#include "base/bytes.h"
#include "kafka/api.h"
#include "kafka/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <poll.h>
#include <unistd.h>

enum {
    LINKS_MAX = 64,
    HEAD_MAX = 512,
    FETCH_MAX = 64 << 20,
    WAIT_MS = 500,
    SILENCE_MS = 60000,
    FIND_S = 120,
    FETCH_VERSION = 4,
    NAME_MAX_BYTES = 249
};

struct link {
    int fd;
    int32_t partition;
    int64_t offset;
    bool over;
    uint8_t *answer;
    size_t have, cap;
};

struct drain {
    struct target target;
    int32_t fetch;
    int64_t until_us; // 0: once to the end
    struct link links[LINKS_MAX];
    int64_t bytes, answers;
};

static void fetch_send(struct drain *drain, struct link *link)
{
    uint8_t head[HEAD_MAX];
    size_t name = strlen(drain->target.topic), at = 4;
    store_be16(head + at, KAFKA_API_FETCH), at += 2;
    store_be16(head + at, FETCH_VERSION), at += 2;
    store_be32(head + at, 0), at += 4;
    store_be16(head + at, 5), memcpy(head + at + 2, "drain", 5), at += 7;
    store_be32(head + at, UINT32_MAX), at += 4; // no replica
    store_be32(head + at, WAIT_MS), at += 4;
    store_be32(head + at, 1), at += 4; // least bytes
    store_be32(head + at, (uint32_t)drain->fetch), at += 4;
    head[at++] = 0; // read uncommitted
    store_be32(head + at, 1), at += 4;
    store_be16(head + at, (uint16_t)name), memcpy(head + at + 2, drain->target.topic, name), at += 2 + name;
    store_be32(head + at, 1), at += 4;
    store_be32(head + at, (uint32_t)link->partition), at += 4;
    store_be64(head + at, (uint64_t)link->offset), at += 8;
    store_be32(head + at, (uint32_t)drain->fetch), at += 4;
    store_be32(head, (uint32_t)(at - 4));
    if (send(link->fd, head, at, 0) != (ssize_t)at)
        target_fail("drain: send: %s", strerror(errno));
}

// Moves the link's offset behind the last whole batch.
static void batches_skip(struct link *link, const uint8_t *data, size_t len)
{
    while (len >= BATCH_HEADER_SIZE) {
        size_t size = load_be32(data + 8) + (size_t)BATCH_PREFIX_SIZE;
        if (size > len)
            return;
        link->offset = (int64_t)load_be64(data) + load_be32(data + 23) + 1;
        data += size;
        len -= size;
    }
}

static void answer_take(struct drain *drain, struct link *link, const uint8_t *answer, size_t len)
{
    size_t error = 4 + 4 + 4 + 2 + strlen(drain->target.topic) + 4 + 4, aborted = error + 2 + 8 + 8;
    if (len < aborted + 8 || load_be16(answer + error) != 0)
        target_fail("drain: error %d", len < error + 2 ? -1 : (int16_t)load_be16(answer + error));
    int32_t count = (int32_t)load_be32(answer + aborted);
    size_t records = aborted + 4 + (count > 0 ? (size_t)count * 16 : 0);
    int32_t size = len < records + 4 ? 0 : (int32_t)load_be32(answer + records);
    if (size > 0)
        batches_skip(link, answer + records + 4, len - records - 4);
    drain->bytes += size > 0 ? size : 0;
    drain->answers++;
    if (link->offset < (int64_t)load_be64(answer + error + 2)) // the watermark
        return;
    link->offset = 0;
    link->over = drain->until_us == 0;
}

// Reads what is there; sends the next request when the answer is whole.
static void link_read(struct drain *drain, struct link *link)
{
    ssize_t n = recv(link->fd, link->answer + link->have, link->cap - link->have, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        target_fail("drain: connection closed");
    link->have += (size_t)n;
    if (link->have < 4 || link->have - 4 < load_be32(link->answer)) {
        if (link->have == link->cap)
            target_fail("drain: an answer of %u bytes", load_be32(link->answer));
        return;
    }
    answer_take(drain, link, link->answer + 4, link->have - 4);
    link->have = 0;
    link->over |= drain->until_us > 0 && target_now_us() >= drain->until_us;
    if (!link->over)
        fetch_send(drain, link);
}

static int32_t links_open(struct drain *drain)
{
    int32_t count = drain->target.partitions < LINKS_MAX ? drain->target.partitions : LINKS_MAX;
    for (int32_t i = 0; i < count; i++) {
        struct link *link = &drain->links[i];
        link->partition = i;
        link->fd = target_connect(&drain->target, drain->target.leader[i]);
        link->cap = (size_t)drain->fetch + (1 << 20) + HEAD_MAX; // a first batch may be larger than asked for
        link->answer = malloc(link->cap);
        fetch_send(drain, link);
    }
    return count;
}

static void run(struct drain *drain, int32_t count)
{
    struct pollfd polls[LINKS_MAX];
    for (int32_t i = 0; i < count; i++)
        polls[i] = (struct pollfd){.fd = drain->links[i].fd, .events = POLLIN};
    for (int32_t over = 0; over < count;) {
        if (poll(polls, (nfds_t)count, SILENCE_MS) <= 0)
            target_fail("drain: silence");
        over = 0;
        for (int32_t i = 0; i < count; i++) {
            if (polls[i].revents != 0)
                link_read(drain, &drain->links[i]);
            if (drain->links[i].over)
                polls[i].fd = -1;
            over += drain->links[i].over;
        }
    }
}

int main(int argc, char **argv)
{
    static struct drain drain;
    if (argc < 3 || strlen(argv[2]) > NAME_MAX_BYTES) {
        fprintf(stderr, "usage: drain BOOTSTRAP TOPIC [name=number ...] (see bench/tools/drain.c)\n");
        return 2;
    }
    int64_t seconds = target_number(argv + 3, "seconds", 0),
            fetch = target_number(argv + 3, "fetch", 1 << 20);
    if (fetch < 1024 || fetch > FETCH_MAX)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    drain.fetch = (int32_t)fetch;
    target_find(&drain.target, argv[1], argv[2], (int32_t)target_number(argv + 3, "partitions", 0), FIND_S);
    int64_t began_us = target_now_us();
    drain.until_us = seconds > 0 ? began_us + seconds * 1000000 : 0;
    printf("{\"begin_us\": %" PRId64 "}\n", began_us);
    fflush(stdout);
    run(&drain, links_open(&drain));
    printf("{\"bytes\": %" PRId64 ", \"answers\": %" PRId64 ", \"seconds\": %.6f}\n", drain.bytes,
           drain.answers, (double)(target_now_us() - began_us) / 1e6);
    return 0;
}
