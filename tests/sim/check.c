// SPDX-License-Identifier: Apache-2.0
// See check.h.
#include "check.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "partitions.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_MS = 5 };

// ---- while it runs: one leader per epoch, watermark inside the log ----

static void look_at(struct check *check, const struct daemon_sim *daemon, const struct replica *replica)
{
    uint8_t key[24];
    if (replica->state.role != PARTITION_LEADER || replica->log == NULL)
        return;
    memcpy(key, replica->topic_id.bytes, 16);
    store_be32(key + 16, (uint32_t)replica->index);
    store_be32(key + 20, (uint32_t)replica->state.leader_epoch);
    uintptr_t seen = (uintptr_t)map_get(&check->leaders, slice_of(key, sizeof key));
    if (seen == 0)
        map_put(&check->leaders, slice_of(key, sizeof key), (void *)(uintptr_t)(daemon->node_id + 1));
    else if (seen != (uintptr_t)(daemon->node_id + 1))
        history_violation(check->history, "one-leader-per-epoch", "%s-%d epoch %d is led by nodes %d and %d",
                          replica->topic, replica->index, replica->state.leader_epoch, (int)seen - 1,
                          daemon->node_id);
    if (replica->state.high_watermark > replica->state.flushed)
        history_violation(check->history, "watermark-is-durable", "%s-%d watermark %lld, flushed %lld",
                          replica->topic, replica->index, (long long)replica->state.high_watermark,
                          (long long)replica->state.flushed);
}

// A leader that has heard of a newer owner never listens to an older one again.
static void look_at_ledger(struct check *check, const struct daemon_sim *daemon,
                           const struct replica *replica)
{
    uint8_t key[12];
    store_be64(key, daemon->process->generation);
    store_be32(key + 8, (uint32_t)replica->index);
    uintptr_t now = (uintptr_t)(replica->owner_epoch + 1);
    uintptr_t seen = (uintptr_t)map_get(&check->owners, slice_of(key, sizeof key));
    if (now < seen)
        history_violation(check->history, "owner-epoch-fencing", "%s-%d heard owner epoch %d after %d",
                          replica->topic, replica->index, (int)now - 1, (int)seen - 1);
    else if (now > seen)
        map_put(&check->owners, slice_of(key, sizeof key), (void *)now);
}

static void check_fire(struct timer *timer)
{
    struct check *check = timer->context;
    struct cluster *cluster = check->cluster;
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        const struct daemon_sim *daemon = &cluster->storage[i];
        struct partitions *partitions = cluster_partitions(daemon);
        for (int p = 0; partitions != NULL && p < HISTORY_PARTITIONS; p++) {
            const struct replica *replica = partitions_find_named(partitions, slice_str("t"), p);
            if (replica != NULL)
                look_at(check, daemon, replica);
        }
        for (int p = 0; partitions != NULL && p < CLUSTER_LEDGERS; p++) {
            const struct replica *replica =
                partitions_find_named(partitions, slice_str("__consumer_offsets"), p);
            if (replica != NULL)
                look_at_ledger(check, daemon, replica);
        }
    }
    check_metadata(check);
    check_isr(check);
    timer_start_ms(cluster->observer, &check->timer, LOOK_MS);
}

void check_begin(struct check *check, struct cluster *cluster, struct history *history, struct env *env)
{
    *check = (struct check){.cluster = cluster, .history = history};
    map_init(&check->leaders, 6);
    map_init(&check->terms, 7);
    map_init(&check->committed, 10);
    map_init(&check->images, 8);
    map_init(&check->owners, 9);
    timer_init(&check->timer, check_fire, check);
    timer_start_ms(env, &check->timer, LOOK_MS);
}

// ---- at the end: what is on the disks ----

// One replica's log as one run of bytes, by the offsets in it.
struct replica_bytes {
    struct buf bytes;
    int64_t end;
};

static int by_path(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->data, y->data, len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static bool segment_of(struct slice path, const char *partition)
{
    char want[64];
    int len = snprintf(want, sizeof want, "/%s/", partition);
    return path.len > (size_t)len + 24 && memcmp(path.data + path.len - 4, ".log", 4) == 0 &&
           memmem(path.data, path.len, want, (size_t)len) != NULL;
}

void check_read_log(struct machine *machine, const char *name, struct buf *bytes)
{
    struct slice paths[256];
    size_t count = 0;
    struct map_entry *at = NULL;
    struct slice path;
    buf_init(bytes, 64 << 20);
    while (count < 256 && disk_next(machine, &at, &path))
        if (segment_of(path, name))
            paths[count++] = path;
    if (count > 0)
        qsort(paths, count, sizeof *paths, by_path);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const uint8_t *data = disk_read(machine, paths[i], &len);
        buf_append(bytes, data, len);
    }
}

static void replica_read(struct machine *machine, const char *partition, struct replica_bytes *out)
{
    check_read_log(machine, partition, &out->bytes);
    out->end = 0;
    struct batch_header header;
    for (size_t from = 0; from < out->bytes.len; from += batch_size(&header)) {
        if (batch_parse(slice_of(out->bytes.data + from, out->bytes.len - from), &header) != ST_OK)
            break;
        out->end = batch_last_offset(&header) + 1;
    }
}

// Marks where each record of a producer lies; a record at two offsets is a duplicate, a lower number behind a
// higher one is out of order.
static void records_check(struct check *check, int partition, const struct replica_bytes *log)
{
    struct history *history = check->history;
    int64_t last[HISTORY_PRODUCERS];
    struct batch_header header;
    int64_t expected = 0;
    for (int i = 0; i < HISTORY_PRODUCERS; i++)
        last[i] = -1;
    for (size_t from = 0; from < log->bytes.len; from += batch_size(&header)) {
        struct slice rest = slice_of(log->bytes.data + from, log->bytes.len - from);
        struct batch_reader reader;
        struct record record;
        if (batch_parse(rest, &header) != ST_OK || batch_size(&header) > rest.len ||
            !batch_crc_ok(slice_of(rest.data, batch_size(&header)), &header)) {
            history_violation(history, "log-is-whole", "t-%d has a damaged batch at byte %zu", partition,
                              from);
            return;
        }
        if (header.base_offset != expected)
            history_violation(history, "log-is-whole", "t-%d goes on at %lld instead of %lld", partition,
                              (long long)header.base_offset, (long long)expected);
        expected = batch_last_offset(&header) + 1;
        batch_reader_init(&reader, slice_of(rest.data, batch_size(&header)), &header,
                          &compress_limits_default, NULL);
        while (batch_next(&reader, &record) == ST_OK) {
            int producer;
            long long number;
            char text[64];
            snprintf(text, sizeof text, "%.*s", (int)record.value.len, (const char *)record.value.data);
            if (sscanf(text, "p%d-%lld", &producer, &number) != 2 || producer >= HISTORY_PRODUCERS)
                history_violation(history, "no-foreign-record", "t-%d offset %lld", partition,
                                  (long long)record.offset);
            else if (number == last[producer])
                history_violation(history, "no-duplicate", "record p%d-%lld again at t-%d offset %lld",
                                  producer, number, partition, (long long)record.offset);
            else if (number != last[producer] + 1)
                history_violation(history, "order", "record p%d-%lld follows %lld in t-%d", producer, number,
                                  (long long)last[producer], partition);
            else
                last[producer] = number;
            if (record.offset < history->reads[partition].count &&
                history->reads[partition].records[record.offset] != 0)
                history_read(history, partition, record.offset, producer, number);
        }
    }
}

static void acks_check(struct check *check, int partition, const struct replica_bytes *log)
{
    struct history *history = check->history;
    for (int i = 0; i < history->ack_count; i++) {
        const struct history_ack *ack = &history->acks[i];
        char want[64];
        bool found = false;
        struct batch_header header;
        if (ack->partition != partition)
            continue;
        int len = snprintf(want, sizeof want, "p%d-%lld", ack->producer, (long long)ack->number);
        for (size_t from = 0; from < log->bytes.len && !found; from += batch_size(&header)) {
            struct slice rest = slice_of(log->bytes.data + from, log->bytes.len - from);
            if (batch_parse(rest, &header) != ST_OK)
                break;
            found = header.base_offset == ack->offset &&
                    memmem(rest.data, batch_size(&header), want, (size_t)len) != NULL;
        }
        if (!found)
            history_violation(history, "no-acknowledged-record-lost",
                              "record %s acknowledged at t-%d offset %lld", want, partition,
                              (long long)ack->offset);
    }
}

// What a consumer was given is still there; records_check has compared it.
static void reads_check(struct check *check, int partition, const struct replica_bytes *log)
{
    if (check->history->reads[partition].count > log->end)
        history_violation(check->history, "what-was-read-stays", "t-%d ends at %lld, offset %lld was read",
                          partition, (long long)log->end,
                          (long long)check->history->reads[partition].count - 1);
}

void check_logs(struct check *check)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++) {
        struct replica_bytes logs[CLUSTER_STORAGE];
        char name[16];
        snprintf(name, sizeof name, "t-%d", p);
        int longest = 0;
        for (int i = 0; i < CLUSTER_STORAGE; i++) {
            replica_read(check->cluster->storage[i].machine, name, &logs[i]);
            if (logs[i].bytes.len > logs[longest].bytes.len)
                longest = i;
        }
        // At rest every replica has everything, so equal bytes are asked of the whole log.
        for (int i = 0; i < CLUSTER_STORAGE; i++)
            if (!slice_equal(buf_slice(&logs[i].bytes), buf_slice(&logs[longest].bytes)))
                history_violation(check->history, "replicas-equal",
                                  "t-%d: nodes %d and %d differ (ends %lld, %lld)", p, i, longest,
                                  (long long)logs[i].end, (long long)logs[longest].end);
        records_check(check, p, &logs[longest]);
        acks_check(check, p, &logs[longest]);
        reads_check(check, p, &logs[longest]);
        for (int i = 0; i < CLUSTER_STORAGE; i++)
            buf_fini(&logs[i].bytes);
    }
}
