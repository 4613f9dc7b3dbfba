// SPDX-License-Identifier: Apache-2.0
// Produces prebuilt record batches, one batch per request, with as little work of its own as can be: it shows
// the broker, not the client. Produce version 7, without producer id.
//   pump BOOTSTRAP TOPIC [name=number ...]
//     record=1024 batch=16384   bytes of a record's value and, about, of a batch before compression
//     codec=none                none, gzip, snappy, lz4, zstd
//     partitions=0              the first so many, in turn; 0: all
//     rate=0                    batches per second, open loop: a batch has a moment at which it is due and
//     its
//                               latency counts from there, whatever delayed it. 0: as fast as depth allows,
//                               latency from sending
//     connections=1 depth=8     connections to each node, requests under way on each
//     warm=0 seconds=10         what is due in the first `warm` seconds is not measured
//     count=0                   ends after so many batches, however long they take, and gives new partitions
//                               a minute to be ready; 0: when the time is over
//     acks=-1
// SIGTERM ends the time early.
// Prints {"begin_us"} when the warm-up is over and, when every answer is there, one line of JSON: batches,
// records and bytes (of batches as sent) acknowledged since then, seconds, and the histogram of latencies. An
// error answer, a closed connection or answers that stay out for 60 s end it with exit code 1.
#include "base/hist.h"
#include "target.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "kafka/api.h"
#include "kafka/batch.h"
#include "kafka/errors.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 1024,    // requests under way on a connection; a power of two
    WAITING_MAX = 65536, // due batches that wait for a connection; a power of two
    LINKS_MAX = 256,
    HEAD_MAX = 512, // of a request, in front of the batch
    ANSWER_MAX = 65536,
    RECORDS_MAX = 65536,
    TIMEOUT_MS = 30000,   // in the request
    PATIENCE_MS = 600000, // with `count`
    FIND_S = 120,
    SILENCE_US = 60000000,
    SETTLE_US = 60000000,
    AGAIN_US = 1000,
    EVENTS = 64,
    TURN = 256,          // due batches per turn
    PRODUCE_VERSION = 7, // the first that takes zstd
    NAME_MAX_BYTES = 249
};

struct due {
    int32_t partition;
    int64_t us;
};

struct link {
    int fd, node;
    int64_t sent_us[DEPTH_MAX]; // a ring: due moments of what is under way, oldest first
    uint32_t oldest, newest;
    struct due *waiting; // a ring
    uint32_t first, last;
    uint8_t head[HEAD_MAX]; // of the request that is not wholly sent yet
    size_t head_len, sent;  // sent: bytes of head and batch; only while writing
    bool writing;
    uint8_t answer[ANSWER_MAX];
    size_t have;
};

struct options {
    int64_t record, batch, rate, connections, depth, warm_s, seconds, count, acks;
    enum compression codec;
};

struct pump {
    struct options options;
    struct target target;
    struct buf batch;
    int32_t records; // in the batch
    struct link *links;
    int link_count, epoll;
    uint32_t turn[TARGET_NODES_MAX]; // which of a node's connections is next
    int32_t next_partition;
    int64_t began_us, begin_us, end_us, last_us;
    int64_t issued, answered, batches; // batches: answered since begin_us
    bool begun;
    struct hist hist;
};

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    stopped = 1;
}

// ---- the batch ----

static void batch_fill(struct pump *pump)
{
    static const char line[] =
        "{\"level\":\"info\",\"service\":\"checkout\",\"order\":%08x,\"amount\":%u,\"status\":\"paid\"}\n";
    struct batch_spec spec = batch_spec_plain();
    size_t size = (size_t)pump->options.record;
    pump->records = (int32_t)(pump->options.batch / pump->options.record);
    pump->records = pump->records < 1 ? 1 : pump->records;
    ASSERT(pump->records <= RECORDS_MAX);
    struct batch_record *records = calloc((size_t)pump->records, sizeof *records);
    char *values = malloc(size * (size_t)pump->records + sizeof line + 64);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t state = 88172645463325252u; // xorshift64: the same bytes in every run
    for (size_t at = 0; at < size * (size_t)pump->records;) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        at += (size_t)snprintf(values + at, sizeof line + 32, line, (unsigned)state, (unsigned)(state >> 48));
    }
    for (int32_t i = 0; i < pump->records; i++)
        records[i] = (struct batch_record){.timestamp = (int64_t)now.tv_sec * 1000,
                                           .value = slice_of(values + size * (size_t)i, size)};
    spec.compression = pump->options.codec;
    buf_init(&pump->batch, 64 << 20);
    if (batch_build(&spec, records, pump->records, &pump->batch) != ST_OK)
        target_fail("pump: no batch of %d records", pump->records);
    free(values);
    free(records);
}

// Everything of a Produce request in front of the records.
static size_t head_build(const struct pump *pump, int32_t partition, uint8_t *head)
{
    size_t name = strlen(pump->target.topic), at = 4;
    store_be16(head + at, KAFKA_API_PRODUCE), at += 2;
    store_be16(head + at, PRODUCE_VERSION), at += 2;
    store_be32(head + at, 0), at += 4; // correlation: answers come in order
    store_be16(head + at, 4), memcpy(head + at + 2, "pump", 4), at += 6;
    store_be16(head + at, UINT16_MAX), at += 2; // no transaction
    store_be16(head + at, (uint16_t)pump->options.acks), at += 2;
    store_be32(head + at, pump->options.count > 0 ? PATIENCE_MS : TIMEOUT_MS), at += 4;
    store_be32(head + at, 1), at += 4;
    store_be16(head + at, (uint16_t)name), memcpy(head + at + 2, pump->target.topic, name), at += 2 + name;
    store_be32(head + at, 1), at += 4;
    store_be32(head + at, (uint32_t)partition), at += 4;
    store_be32(head + at, (uint32_t)pump->batch.len), at += 4;
    store_be32(head, (uint32_t)(at - 4 + pump->batch.len));
    return at;
}

// ---- sending ----

static void link_watch(struct pump *pump, struct link *link, int how)
{
    struct epoll_event event = {.events = EPOLLIN | (link->writing ? EPOLLOUT : 0), .data.ptr = link};
    if (epoll_ctl(pump->epoll, how, link->fd, &event) != 0)
        target_fail("pump: epoll: %s", strerror(errno));
}

// Goes on with the request under way; false when the socket takes no more.
static bool link_write(struct pump *pump, struct link *link)
{
    size_t whole = link->head_len + pump->batch.len;
    while (link->sent < whole) {
        struct iovec parts[2];
        int count = 0;
        if (link->sent < link->head_len)
            parts[count++] = (struct iovec){link->head + link->sent, link->head_len - link->sent};
        size_t from = link->sent > link->head_len ? link->sent - link->head_len : 0;
        parts[count++] = (struct iovec){pump->batch.data + from, pump->batch.len - from};
        ssize_t n = writev(link->fd, parts, count);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0)
            target_fail("pump: send: %s", strerror(errno));
        link->sent += (size_t)n;
    }
    return true;
}

static bool link_free(const struct pump *pump, const struct link *link)
{
    return !link->writing && link->newest - link->oldest < (uint32_t)pump->options.depth;
}

static void link_send(struct pump *pump, struct link *link, struct due due)
{
    link->head_len = head_build(pump, due.partition, link->head);
    link->sent = 0;
    link->sent_us[link->newest++ % DEPTH_MAX] = due.us;
    link->writing = !link_write(pump, link);
    if (link->writing)
        link_watch(pump, link, EPOLL_CTL_MOD);
}

// What comes next for a connection in closed loop: the next partition its node leads.
static bool next_due(struct pump *pump, const struct link *link, struct due *due)
{
    if (pump->options.rate > 0 || (pump->options.count > 0 && pump->issued >= pump->options.count) ||
        (pump->options.count == 0 && target_now_us() >= pump->end_us))
        return false;
    for (int32_t i = 0; i < pump->target.partitions; i++) {
        int32_t partition = pump->next_partition;
        pump->next_partition = (partition + 1) % pump->target.partitions;
        if (pump->target.leader[partition] == link->node) {
            *due = (struct due){partition, target_now_us()};
            pump->issued++;
            return true;
        }
    }
    return false;
}

static void link_go_on(struct pump *pump, struct link *link)
{
    struct due due;
    while (link_free(pump, link)) {
        if (link->first != link->last)
            due = link->waiting[link->first++ % WAITING_MAX];
        else if (!next_due(pump, link, &due))
            return;
        link_send(pump, link, due);
    }
}

// Open loop: what is due by now. Returns the moment of the next one.
static int64_t send_due(struct pump *pump, int64_t now_us)
{
    for (int n = 0; n < TURN; n++) {
        int64_t due_us = pump->began_us + pump->issued * 1000000 / pump->options.rate;
        if (due_us >= pump->end_us || (pump->options.count > 0 && pump->issued >= pump->options.count))
            return INT64_MAX;
        if (due_us > now_us)
            return due_us;
        int32_t partition = (int32_t)(pump->issued++ % pump->target.partitions);
        int node = pump->target.leader[partition];
        struct link *link = &pump->links[node * (int)pump->options.connections +
                                         (int)(pump->turn[node]++ % (uint32_t)pump->options.connections)];
        if (link->last - link->first == WAITING_MAX)
            target_fail("pump: %d batches wait for one connection: the broker is slower than the rate",
                        WAITING_MAX);
        link->waiting[link->last++ % WAITING_MAX] = (struct due){partition, due_us};
        link_go_on(pump, link);
    }
    return now_us;
}

// ---- answers ----

// A node may not yet lead what Metadata says it does: with `count` a new topic's batches are sent again for a
// while.
static void refused(struct pump *pump, struct link *link, struct due due, uint16_t error)
{
    bool early = error == KAFKA_ERR_NOT_LEADER_OR_FOLLOWER || error == KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!early || pump->options.count == 0 || pump->last_us > pump->began_us + SETTLE_US ||
        link->last - link->first == WAITING_MAX)
        target_fail("pump: error %d for partition %d", (int16_t)error, due.partition);
    link->waiting[link->last++ % WAITING_MAX] = due;
    usleep(AGAIN_US);
}

static void answer_take(struct pump *pump, struct link *link, const uint8_t *answer, size_t len)
{
    size_t error = 4 + 4 + 2 + strlen(pump->target.topic) + 4 + 4;
    if (len < error + 2 || link->oldest == link->newest)
        target_fail("pump: an answer of %zu bytes", len);
    int64_t due_us = link->sent_us[link->oldest++ % DEPTH_MAX];
    pump->last_us = target_now_us();
    if (load_be16(answer + error) != 0) {
        refused(pump, link, (struct due){(int32_t)load_be32(answer + error - 4), due_us},
                load_be16(answer + error));
        return;
    }
    pump->answered++;
    pump->batches += pump->begun;
    if (due_us >= pump->begin_us)
        hist_add(&pump->hist, pump->last_us - due_us);
}

static void link_read(struct pump *pump, struct link *link)
{
    ssize_t n = recv(link->fd, link->answer + link->have, ANSWER_MAX - link->have, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        target_fail("pump: connection closed");
    link->have += (size_t)n;
    size_t at = 0;
    while (link->have - at >= 4 && link->have - at - 4 >= load_be32(link->answer + at)) {
        size_t len = load_be32(link->answer + at);
        answer_take(pump, link, link->answer + at + 4, len);
        at += 4 + len;
    }
    link->have -= at;
    memmove(link->answer, link->answer + at, link->have);
}

static void on_event(struct pump *pump, struct link *link, uint32_t events)
{
    if ((events & EPOLLOUT) != 0 && link->writing && link_write(pump, link)) {
        link->writing = false;
        link_watch(pump, link, EPOLL_CTL_MOD);
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0)
        link_read(pump, link);
    link_go_on(pump, link);
}

// ---- the run ----

static void links_open(struct pump *pump)
{
    pump->link_count = pump->target.node_count * (int)pump->options.connections;
    if (pump->link_count > LINKS_MAX)
        target_fail("pump: %d connections, at most %d", pump->link_count, LINKS_MAX);
    pump->links = calloc((size_t)pump->link_count, sizeof *pump->links);
    pump->epoll = epoll_create1(0);
    for (int i = 0; i < pump->link_count; i++) {
        struct link *link = &pump->links[i];
        link->node = i / (int)pump->options.connections;
        link->waiting = calloc(WAITING_MAX, sizeof *link->waiting);
        link->fd = target_connect(&pump->target, link->node);
        link_watch(pump, link, EPOLL_CTL_ADD);
    }
}

static void begin_told(struct pump *pump, int64_t now_us)
{
    if (pump->begun || now_us < pump->begin_us)
        return;
    pump->begun = true;
    printf("{\"begin_us\": %" PRId64 "}\n", now_us);
    fflush(stdout);
}

static bool all_sent(const struct pump *pump, int64_t now_us, int64_t next_us)
{
    if (pump->options.count > 0 && pump->issued < pump->options.count)
        return false;
    return pump->options.count > 0 ||
           (pump->options.rate > 0 ? next_us == INT64_MAX : now_us >= pump->end_us);
}

static void run(struct pump *pump)
{
    struct epoll_event events[EVENTS];
    pump->began_us = pump->last_us = target_now_us();
    pump->begin_us = pump->began_us + pump->options.warm_s * 1000000;
    pump->end_us = pump->options.count > 0 ? INT64_MAX : pump->begin_us + pump->options.seconds * 1000000;
    begin_told(pump, pump->began_us);
    for (int i = 0; i < pump->link_count; i++)
        link_go_on(pump, &pump->links[i]);
    for (;;) {
        int64_t now_us = target_now_us();
        begin_told(pump, now_us);
        if (stopped && now_us < pump->end_us)
            pump->end_us = now_us;
        int64_t next_us = pump->options.rate > 0 ? send_due(pump, now_us) : INT64_MAX;
        if (pump->begun && all_sent(pump, now_us, next_us) && pump->answered == pump->issued)
            return;
        int64_t silence_us = pump->options.count > 0 ? PATIENCE_MS * INT64_C(1000) : SILENCE_US;
        if (pump->issued > pump->answered && now_us - pump->last_us > silence_us)
            target_fail("pump: %" PRId64 " answers stay out", pump->issued - pump->answered);
        int64_t wait_us = next_us - now_us < 100000 ? next_us - now_us : 100000;
        struct timespec wait = {.tv_nsec = wait_us > 0 ? wait_us * 1000 : 0};
        int n = epoll_pwait2(pump->epoll, events, EVENTS, &wait, NULL);
        for (int i = 0; i < n; i++)
            on_event(pump, events[i].data.ptr, events[i].events);
    }
}

static bool options_read(struct options *options, char **argv)
{
    *options = (struct options){.record = target_number(argv, "record", 1024),
                                .batch = target_number(argv, "batch", 16384),
                                .rate = target_number(argv, "rate", 0),
                                .connections = target_number(argv, "connections", 1),
                                .depth = target_number(argv, "depth", 8),
                                .warm_s = target_number(argv, "warm", 0),
                                .seconds = target_number(argv, "seconds", 10),
                                .count = target_number(argv, "count", 0),
                                .acks = target_number(argv, "acks", -1)};
    return options->record > 0 && options->record <= 1 << 20 && options->batch > 0 &&
           options->batch <= 8 << 20 && options->rate >= 0 && options->connections > 0 &&
           options->depth > 0 && options->depth <= DEPTH_MAX &&
           compression_parse(target_text(argv, "codec", "none"), &options->codec);
}

int main(int argc, char **argv)
{
    static struct pump pump;
    if (argc < 3 || strlen(argv[2]) > NAME_MAX_BYTES || !options_read(&pump.options, argv + 3)) {
        fprintf(stderr, "usage: pump BOOTSTRAP TOPIC [name=number ...] (see bench/tools/pump.c)\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1); // a nanosecond: the default of 50 us would be in every latency
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_stop);
    batch_fill(&pump);
    target_find(&pump.target, argv[1], argv[2], (int32_t)target_number(argv + 3, "partitions", 0), FIND_S);
    links_open(&pump);
    run(&pump);
    printf("{\"batches\": %" PRId64 ", \"records\": %" PRId64 ", \"bytes\": %" PRId64
           ", \"seconds\": %.6f, \"us\": ",
           pump.batches, pump.batches * pump.records, pump.batches * (int64_t)pump.batch.len,
           (double)(pump.last_us - pump.begin_us) / 1e6);
    hist_print(&pump.hist, stdout);
    printf("}\n");
    return 0;
}
