// SPDX-License-Identifier: Apache-2.0
// The producer table and its snapshot. See producers.h. Rules as in Kafka's ProducerStateManager and
// ProducerAppendInfo: same first and last sequence as one of the last five batches = duplicate; else the
// first sequence must follow the last one (wrapping behind 2^31-1 to 0), a new epoch must begin at 0, and a
// producer nothing is known of may begin anywhere (KIP-360).
#include "log/producers.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

enum {
    SNAPSHOT_VERSION = 1,
    AT_CRC = 2,
    AT_COUNT = 6,
    AT_ROWS = 10,
    ROW_SIZE = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8,
    EXTRA_MAGIC = 0x4d525031, // "MRP1": earlier batches follow Kafka's rows
    EXTRA_HEAD_SIZE = 8,      // magic, number of earlier batches
    EXTRA_SIZE = 8 + 4 + 4 + 8 + 8
};

void log_producers_init(struct log_producers *producers, int max)
{
    *producers = (struct log_producers){.max = max};
    map_init(&producers->by_id, 0);
}

static void unlink_producer(struct log_producers *producers, struct log_producer *producer)
{
    if (producer->older != NULL)
        producer->older->newer = producer->newer;
    else
        producers->oldest = producer->newer;
    if (producer->newer != NULL)
        producer->newer->older = producer->older;
    else
        producers->newest = producer->older;
    producer->older = producer->newer = NULL;
}

static void link_newest(struct log_producers *producers, struct log_producer *producer)
{
    producer->older = producers->newest;
    producer->newer = NULL;
    if (producers->newest != NULL)
        producers->newest->newer = producer;
    else
        producers->oldest = producer;
    producers->newest = producer;
}

// ---- open transactions ----

static void close_transaction(struct log_producers *producers, struct log_producer *producer)
{
    if (producer->txn_first_offset < 0)
        return;
    *(producer->before != NULL ? &producer->before->behind : &producers->open_first) = producer->behind;
    *(producer->behind != NULL ? &producer->behind->before : &producers->open_last) = producer->before;
    producer->before = producer->behind = NULL;
    producer->txn_first_offset = -1;
}

// They open in the order of their offsets; only a snapshot's come in any order.
static void open_transaction(struct log_producers *producers, struct log_producer *producer, int64_t first)
{
    struct log_producer *before = producers->open_last;
    while (before != NULL && before->txn_first_offset > first)
        before = before->before;
    producer->txn_first_offset = first;
    producer->before = before;
    producer->behind = before != NULL ? before->behind : producers->open_first;
    *(before != NULL ? &before->behind : &producers->open_first) = producer;
    *(producer->behind != NULL ? &producer->behind->before : &producers->open_last) = producer;
}

void log_producers_reopen(struct log_producers *producers, struct log_producer *producer, int64_t first)
{
    close_transaction(producers, producer);
    if (first >= 0)
        open_transaction(producers, producer, first);
}

// The end of the producer's transaction, as Kafka's ProducerAppendInfo and completeTxn see it. The index
// entry's stable offset is where the earliest transaction begins that is open then.
static bool end_transaction(struct log_producers *producers, struct log_producer *producer,
                            const struct batch_marker *marker, int64_t last, struct log_aborted *aborted)
{
    int64_t first = producer->txn_first_offset;
    if (first < 0)
        return false; // no records
    close_transaction(producers, producer);
    log_ended_push(&producers->ended, first, last);
    *aborted = (struct log_aborted){
        .producer_id = producer->id,
        .first = first,
        .last = last,
        .stable = producers->open_first != NULL ? producers->open_first->txn_first_offset : last + 1};
    return marker->abort;
}

int64_t log_producers_unstable(const struct log_producers *producers, int64_t high_watermark)
{
    int64_t ended = log_ended_first(&producers->ended, high_watermark);
    const struct log_producer *open = producers->open_first;
    return open != NULL && open->txn_first_offset < ended ? open->txn_first_offset : ended;
}

// ---- the table ----

static void forget(struct log_producers *producers, struct log_producer *producer)
{
    close_transaction(producers, producer);
    unlink_producer(producers, producer);
    map_remove_u64(&producers->by_id, (uint64_t)producer->id);
    mem_free(producer);
}

void log_producers_fini(struct log_producers *producers)
{
    while (producers->oldest != NULL)
        forget(producers, producers->oldest);
    map_fini(&producers->by_id);
    log_ended_fini(&producers->ended);
}

static struct log_producer *find(const struct log_producers *producers, int64_t id)
{
    return map_get_u64(&producers->by_id, (uint64_t)id);
}

static const struct log_producer_batch *last_batch(const struct log_producer *producer)
{
    return producer->batch_count > 0 ? &producer->batches[producer->batch_count - 1] : NULL;
}

static bool is_duplicate(const struct log_producer *producer, const struct batch_header *header,
                         struct batch_place *place)
{
    for (int i = 0; i < producer->batch_count; i++) {
        const struct log_producer_batch *batch = &producer->batches[i];
        if (batch->last_sequence != batch_last_sequence(header) ||
            batch->offset_delta != header->last_offset_delta)
            continue;
        *place = (struct batch_place){.base_offset = batch->last_offset - batch->offset_delta,
                                      .last_offset = batch->last_offset,
                                      .timestamp = batch->timestamp};
        return true;
    }
    return false;
}

enum sequence_verdict log_producers_check(const struct log_producers *producers,
                                          const struct batch_header *header, struct batch_place *duplicate)
{
    if (header->producer_id < 0 || header->attributes & BATCH_CONTROL)
        return SEQUENCE_APPEND;
    const struct log_producer *producer = find(producers, header->producer_id);
    if (producer == NULL)
        return header->base_sequence == 0 ? SEQUENCE_APPEND : SEQUENCE_UNKNOWN;
    if (header->producer_epoch < producer->epoch)
        return SEQUENCE_FENCED;
    if (header->producer_epoch > producer->epoch)
        return header->base_sequence == 0 ? SEQUENCE_APPEND : SEQUENCE_OUT_OF_ORDER;
    if (is_duplicate(producer, header, duplicate))
        return SEQUENCE_DUPLICATE;
    const struct log_producer_batch *last = last_batch(producer);
    int32_t next = last == NULL || last->last_sequence == INT32_MAX ? 0 : last->last_sequence + 1;
    return header->base_sequence == next ? SEQUENCE_APPEND : SEQUENCE_OUT_OF_ORDER;
}

// At the limit the one idle longest goes; none while all have open transactions.
static void make_room(struct log_producers *producers)
{
    if (producers->by_id.count < (size_t)producers->max || producers->oldest == NULL)
        return;
    struct log_producer *victim = producers->oldest;
    while (victim != NULL && victim->txn_first_offset >= 0)
        victim = victim->newer;
    if (victim != NULL)
        forget(producers, victim);
}

static struct log_producer *find_or_add(struct log_producers *producers, int64_t id)
{
    struct log_producer *producer = find(producers, id);
    if (producer != NULL) {
        unlink_producer(producers, producer);
    } else {
        make_room(producers);
        producer = mem_calloc(1, sizeof *producer);
        *producer = (struct log_producer){
            .id = id, .epoch = -1, .coordinator_epoch = -1, .txn_first_offset = -1, .last_timestamp = -1};
        map_put_u64(&producers->by_id, (uint64_t)id, producer);
    }
    link_newest(producers, producer);
    return producer;
}

static void push_batch(struct log_producer *producer, struct log_producer_batch batch)
{
    if (producer->batch_count == LOG_PRODUCER_BATCHES) {
        memmove(producer->batches, producer->batches + 1,
                (LOG_PRODUCER_BATCHES - 1) * sizeof *producer->batches);
        producer->batch_count--;
    }
    producer->batches[producer->batch_count++] = batch;
}

bool log_producers_note(struct log_producers *producers, const struct batch_header *header,
                        const struct batch_marker *marker, int64_t now_ms, struct log_aborted *aborted)
{
    bool control = header->attributes & BATCH_CONTROL;
    if (header->producer_id < 0 || (control && marker == NULL))
        return false;
    struct log_producer *producer = find_or_add(producers, header->producer_id);
    if (header->producer_epoch != producer->epoch) {
        producer->epoch = header->producer_epoch;
        producer->batch_count = 0;
    }
    producer->touched_ms = now_ms;
    producer->last_timestamp = header->max_timestamp; // also of markers: KAFKA-9144
    if (control) {
        producer->coordinator_epoch = marker->coordinator_epoch;
        return end_transaction(producers, producer, marker, batch_last_offset(header), aborted);
    }
    push_batch(producer, (struct log_producer_batch){.last_sequence = batch_last_sequence(header),
                                                     .offset_delta = header->last_offset_delta,
                                                     .last_offset = batch_last_offset(header),
                                                     .timestamp = header->max_timestamp});
    if (header->attributes & BATCH_TRANSACTIONAL && producer->txn_first_offset < 0)
        open_transaction(producers, producer, header->base_offset);
    return false;
}

void log_producers_expire(struct log_producers *producers, int64_t now_ms, int64_t expiry_ms)
{
    struct log_producer *producer = producers->oldest;
    while (producer != NULL && now_ms - producer->touched_ms > expiry_ms) {
        struct log_producer *newer = producer->newer;
        if (producer->txn_first_offset < 0)
            forget(producers, producer);
        producer = newer;
    }
}

// ---- snapshot: ProducerSnapshot.json version 1, then ours ----

static void print_row(const struct log_producer *producer, struct buf *out)
{
    const struct log_producer_batch *last = last_batch(producer);
    buf_put_be64(out, (uint64_t)producer->id);
    buf_put_be16(out, (uint16_t)producer->epoch);
    buf_put_be32(out, last != NULL ? (uint32_t)last->last_sequence : UINT32_MAX);
    buf_put_be64(out, last != NULL ? (uint64_t)last->last_offset : UINT64_MAX);
    buf_put_be32(out, last != NULL ? (uint32_t)last->offset_delta : 0);
    buf_put_be64(out, (uint64_t)producer->last_timestamp);
    buf_put_be32(out, (uint32_t)producer->coordinator_epoch);
    buf_put_be64(out, (uint64_t)producer->txn_first_offset);
}

static void print_earlier(const struct log_producer *producer, struct buf *out)
{
    for (int i = 0; i + 1 < producer->batch_count; i++) {
        const struct log_producer_batch *batch = &producer->batches[i];
        buf_put_be64(out, (uint64_t)producer->id);
        buf_put_be32(out, (uint32_t)batch->last_sequence);
        buf_put_be32(out, (uint32_t)batch->offset_delta);
        buf_put_be64(out, (uint64_t)batch->last_offset);
        buf_put_be64(out, (uint64_t)batch->timestamp);
    }
}

enum status log_producers_print(const struct log_producers *producers, struct buf *out)
{
    size_t from = out->len;
    uint32_t earlier = 0;
    buf_put_be16(out, SNAPSHOT_VERSION);
    buf_put_be32(out, 0); // checksum, filled at the end
    buf_put_be32(out, (uint32_t)producers->by_id.count);
    for (const struct log_producer *p = producers->oldest; p != NULL; p = p->newer) {
        print_row(p, out);
        earlier += p->batch_count > 1 ? (uint32_t)p->batch_count - 1 : 0;
    }
    buf_put_be32(out, EXTRA_MAGIC);
    buf_put_be32(out, earlier);
    for (const struct log_producer *p = producers->oldest; p != NULL; p = p->newer)
        print_earlier(p, out);
    if (buf_status(out) != ST_OK)
        return buf_status(out);
    uint8_t *start = out->data + from;
    store_be32(start + AT_CRC, crc32c(0, start + AT_COUNT, out->len - from - AT_COUNT));
    return ST_OK;
}

static void parse_row(const uint8_t *p, struct log_producers *producers, int64_t now_ms)
{
    struct log_producer *producer = find_or_add(producers, (int64_t)load_be64(p));
    producer->epoch = (int16_t)load_be16(p + 8);
    producer->touched_ms = now_ms;
    producer->last_timestamp = (int64_t)load_be64(p + 26);
    producer->coordinator_epoch = (int32_t)load_be32(p + 34);
    int64_t txn_first = (int64_t)load_be64(p + 38);
    close_transaction(producers, producer); // a damaged file may name it twice
    if (txn_first >= 0)
        open_transaction(producers, producer, txn_first);
    producer->batch_count = 0;
    struct log_producer_batch last = {.last_sequence = (int32_t)load_be32(p + 10),
                                      .last_offset = (int64_t)load_be64(p + 14),
                                      .offset_delta = (int32_t)load_be32(p + 22),
                                      .timestamp = producer->last_timestamp};
    if (last.last_sequence >= 0)
        push_batch(producer, last);
}

// The earlier batches of a producer come oldest first, before the last one of Kafka's row.
static void parse_earlier(const uint8_t *p, struct log_producers *producers)
{
    struct log_producer *producer = find(producers, (int64_t)load_be64(p));
    if (producer == NULL || producer->batch_count == 0 || producer->batch_count == LOG_PRODUCER_BATCHES)
        return;
    struct log_producer_batch last = producer->batches[producer->batch_count - 1];
    producer->batches[producer->batch_count - 1] =
        (struct log_producer_batch){.last_sequence = (int32_t)load_be32(p + 8),
                                    .offset_delta = (int32_t)load_be32(p + 12),
                                    .last_offset = (int64_t)load_be64(p + 16),
                                    .timestamp = (int64_t)load_be64(p + 24)};
    push_batch(producer, last);
}

static void parse_extra(struct slice rest, struct log_producers *producers)
{
    if (rest.len < EXTRA_HEAD_SIZE || load_be32(rest.data) != EXTRA_MAGIC)
        return; // written by Kafka
    uint32_t earlier = load_be32(rest.data + 4);
    if (earlier != (rest.len - EXTRA_HEAD_SIZE) / EXTRA_SIZE)
        return;
    for (uint32_t i = 0; i < earlier; i++)
        parse_earlier(rest.data + EXTRA_HEAD_SIZE + (size_t)i * EXTRA_SIZE, producers);
}

enum status log_producers_parse(struct slice bytes, struct log_producers *producers, int64_t now_ms)
{
    int max = producers->max;
    log_producers_fini(producers);
    log_producers_init(producers, max);
    if (bytes.len < AT_ROWS)
        return ST_CORRUPT;
    if (load_be16(bytes.data) != SNAPSHOT_VERSION)
        return ST_UNSUPPORTED;
    if (crc32c(0, bytes.data + AT_COUNT, bytes.len - AT_COUNT) != load_be32(bytes.data + AT_CRC))
        return ST_CORRUPT;
    uint32_t count = load_be32(bytes.data + AT_COUNT);
    if (count > (bytes.len - AT_ROWS) / ROW_SIZE)
        return ST_CORRUPT;
    for (uint32_t i = 0; i < count; i++)
        parse_row(bytes.data + AT_ROWS + (size_t)i * ROW_SIZE, producers, now_ms);
    size_t used = AT_ROWS + (size_t)count * ROW_SIZE;
    parse_extra(slice_of(bytes.data + used, bytes.len - used), producers);
    return ST_OK;
}
