// SPDX-License-Identifier: Apache-2.0
// See check_txn.h. The partition is one producer's, so its log is read as a sequence of transactions: records
// that wait, and a marker that says whether they count.
#include "check_txn.h"

#include "kafka/batch.h"

#include <stdio.h>
#include <stdlib.h>

enum { WAITING_MAX = 64 };

struct reading {
    struct check *check;
    const struct transactor *transactor;
    int64_t waiting[WAITING_MAX]; // numbers of records without a marker yet
    int count;
    int64_t last; // number that counted last, -1
    bool seen[TRANSACTOR_NUMBERS_MAX];
};

static void counts(struct reading *reading, int64_t number)
{
    struct history *history = reading->check->history;
    if (number <= reading->last)
        history_violation(history, "committed-once-in-order", "x-%d: transaction %lld counts after %lld",
                          reading->transactor->index, (long long)number, (long long)reading->last);
    else if (number >= reading->transactor->next || !reading->transactor->committed[number])
        history_violation(history, "aborted-never-counts", "x-%d: transaction %lld counts",
                          reading->transactor->index, (long long)number);
    else
        reading->seen[number] = true;
    reading->last = number;
}

static void read_marker(struct reading *reading, struct slice batch, const struct batch_header *header)
{
    struct batch_marker marker;
    if (batch_marker_parse(batch, header, &marker) != ST_OK)
        return;
    for (int i = 0; i < reading->count && !marker.abort; i++)
        counts(reading, reading->waiting[i]);
    reading->count = 0;
}

static void read_records(struct reading *reading, struct slice batch, const struct batch_header *header)
{
    struct batch_reader reader;
    struct record record;
    char text[32];
    batch_reader_init(&reader, batch, header, &compress_limits_default, NULL);
    while (batch_next(&reader, &record) == ST_OK && reading->count < WAITING_MAX) {
        snprintf(text, sizeof text, "%.*s", (int)record.value.len, (const char *)record.value.data);
        reading->waiting[reading->count++] = strtoll(text, NULL, 10);
    }
}

// The longest log of the replicas; that they are equal others look at.
static void read_longest(struct check *check, const char *name, struct buf *longest)
{
    buf_init(longest, 64 << 20);
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        struct buf bytes;
        check_read_log(check->cluster->storage[i].machine, name, &bytes);
        if (bytes.len > longest->len) {
            buf_clear(longest);
            buf_append(longest, bytes.data, bytes.len);
        }
        buf_fini(&bytes);
    }
}

static void read_all(struct reading *reading, struct slice bytes)
{
    struct batch_header header;
    while (batch_parse(bytes, &header) == ST_OK && batch_size(&header) <= bytes.len) {
        struct slice batch = slice_of(bytes.data, batch_size(&header));
        if (header.attributes & BATCH_CONTROL)
            read_marker(reading, batch, &header);
        else
            read_records(reading, batch, &header);
        bytes = slice_of(bytes.data + batch.len, bytes.len - batch.len);
    }
}

void check_transactions(struct check *check, const struct transactor *transactor)
{
    char name[32];
    struct buf bytes;
    struct reading *reading = calloc(1, sizeof *reading);
    *reading = (struct reading){.check = check, .transactor = transactor, .last = -1};
    snprintf(name, sizeof name, TRANSACTOR_TOPIC "-%d", transactor->index);
    read_longest(check, name, &bytes);
    read_all(reading, buf_slice(&bytes));
    if (reading->count > 0)
        history_violation(check->history, "no-transaction-hangs", "%s ends with %d records of an open one",
                          name, reading->count);
    for (int64_t n = 0; n < transactor->next; n++)
        if (transactor->committed[n] && !reading->seen[n])
            history_violation(check->history, "committed-is-there", "%s: transaction %lld is lost", name,
                              (long long)n);
    buf_fini(&bytes);
    free(reading);
}
