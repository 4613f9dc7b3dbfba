// SPDX-License-Identifier: Apache-2.0
// What is taken from clients: the rules of Kafka's LogValidator and UnifiedLog.analyzeAndValidateRecords for
// record batches of format version 2. See batch.h for the contract. produce.c asks, on the loop or by way of
// check.c on the pool.
#include "base/bytes.h"
#include "base/hash.h"
#include "kafka/record.h"

// Bytes summed before their records are read, so that those are still in the nearest cache; whole rounds of
// crc32c's three lanes.
enum { STEP = 4 * 3 * 1024 };

static enum status refuse(struct batch_verdict *verdict, enum status status, const char *why)
{
    verdict->why = why;
    return status;
}

// ---- the header ----

static enum status check_shape(struct slice bytes, struct batch_header *header, struct batch_verdict *verdict)
{
    enum status status = batch_parse(bytes, header);
    if (status == ST_UNSUPPORTED)
        return refuse(verdict, status, "only record format version 2 is supported");
    if (status == ST_TRUNCATED || (status == ST_OK && batch_size(header) != bytes.len))
        return refuse(verdict, ST_MALFORMED, "there is not exactly one batch");
    if (status != ST_OK && header->length < BATCH_HEADER_SIZE - BATCH_PREFIX_SIZE)
        return refuse(verdict, ST_CORRUPT, "the batch is shorter than its header");
    if (status != ST_OK)
        return refuse(verdict, ST_MALFORMED, "the batch's offsets or its count are impossible");
    return ST_OK;
}

static enum status check_client_header(const struct batch_header *header, struct batch_verdict *verdict)
{
    if (header->attributes & BATCH_CONTROL)
        return refuse(verdict, ST_MALFORMED, "clients are not allowed to write control records");
    if (header->attributes & BATCH_LOG_APPEND_TIME)
        return refuse(verdict, ST_OUT_OF_RANGE,
                      "producers may not set the timestamp type to log append time");
    if (header->producer_id >= 0 && (header->base_sequence < 0 || header->producer_epoch < 0))
        return refuse(verdict, ST_MALFORMED, "a batch with a producer id needs an epoch and a sequence");
    if (header->producer_id < 0 && header->attributes & BATCH_TRANSACTIONAL)
        return refuse(verdict, ST_MALFORMED, "a transactional batch needs a producer id");
    return ST_OK;
}

static enum status check_header(const struct batch_rules *rules, const struct batch_header *header,
                                struct batch_verdict *verdict)
{
    if (header->count < 1 || header->count - 1 != header->last_offset_delta)
        return refuse(verdict, ST_MALFORMED, "the record count does not match the offset range");
    if (batch_compression(header) >= COMPRESSION_COUNT)
        return refuse(verdict, ST_UNSUPPORTED, "unknown compression type");
    return rules->from_client ? check_client_header(header, verdict) : ST_OK;
}

// ---- the records ----

struct walk {
    const struct batch_rules *rules;
    struct batch_verdict *verdict;
    const struct batch_header *header;
    struct record_cursor rest; // unpacked records not yet looked at
    int32_t index;             // of the next one
    struct batch_times times;
    enum status worst; // of the demands of the topic on single records
    bool broken;       // the batch as a whole is wrong: what follows is not looked at
};

struct batch_times batch_times_of(const struct batch_rules *rules)
{
    struct batch_times times = {INT64_MIN, INT64_MAX};
    if (!rules->from_client || rules->log_append_time)
        return times;
    if (__builtin_sub_overflow(rules->now_ms, rules->before_ms, &times.oldest))
        times.oldest = INT64_MIN;
    if (__builtin_add_overflow(rules->now_ms, rules->after_ms, &times.newest))
        times.newest = INT64_MAX;
    return times;
}

// Times before 1970 are times.
static inline bool time_fits(const struct batch_times *times, int64_t timestamp)
{
    return timestamp == -1 || (timestamp >= times->oldest && timestamp <= times->newest);
}

// A record the topic does not take: the rest of the batch is looked at all the same (KIP-467). A wrong time
// outweighs the other faults of a batch, as in Kafka.
static void walk_fault(struct walk *walk, int32_t index, enum status fault, int64_t timestamp)
{
    struct batch_verdict *verdict = walk->verdict;
    if (verdict->bad_record < 0)
        verdict->bad_record = index;
    if (walk->worst == ST_OK || fault == ST_OUT_OF_RANGE) {
        walk->worst = fault;
        verdict->why = fault == ST_OUT_OF_RANGE ? "a record's timestamp is out of the allowed range"
                                                : "a compacted topic takes no record without key";
    }
    if (verdict->fault_count < BATCH_FAULTS_MAX)
        verdict->faults[verdict->fault_count++] =
            (struct batch_fault){.record = index, .fault = fault, .timestamp = timestamp};
}

static bool walk_break(struct walk *walk, const char *why)
{
    walk->broken = true;
    walk->verdict->bad_record = walk->index;
    walk->verdict->fault_count = 0;
    walk->verdict->why = why;
    return false;
}

static inline bool walk_take(struct walk *walk, struct record_cursor *rest, struct record *record)
{
    struct slice body;
    int32_t delta;
    if (walk->index == walk->header->count)
        return walk_break(walk, "the batch goes on behind its last record");
    if (!record_take_bytes(rest, false, &body) || !record_parse(body, walk->header, &delta, record))
        return walk_break(walk, "a record's lengths do not fit its bytes");
    if (delta != walk->index)
        return walk_break(walk, "the records' offsets are not dense");
    return true;
}

static inline void walk_record(struct walk *walk, struct record_cursor *rest)
{
    struct record record;
    if (!walk_take(walk, rest, &record))
        return;
    if (walk->rules->key_required && record.key.data == NULL)
        walk_fault(walk, walk->index, ST_MALFORMED, record.timestamp);
    else if (!time_fits(&walk->times, record.timestamp))
        walk_fault(walk, walk->index, ST_OUT_OF_RANGE, record.timestamp);
    if (record.timestamp > walk->verdict->max_timestamp)
        walk->verdict->max_timestamp = record.timestamp;
    walk->index++;
}

// All records that begin before `to`. The cursor is a local of the loop: each record's place depends on the
// one before, and a way through memory would be the longest part of that.
static void walk_to(struct walk *walk, const uint8_t *to)
{
    struct record_cursor rest = walk->rest;
    while (!walk->broken && rest.at < to)
        walk_record(walk, &rest);
    walk->rest = rest;
}

// One pass over an uncompressed batch: the checksum of some bytes, then the records in them. Whether the
// checksum is right: if not, what the walk found means nothing.
static bool walk_summed(struct walk *walk, struct slice batch)
{
    const uint8_t *at = batch.data + BATCH_CRC_FROM, *end = batch.data + batch.len;
    uint32_t crc = 0;
    while (at < end) {
        size_t step = end - at < STEP ? (size_t)(end - at) : STEP;
        crc = crc32c(crc, at, step);
        at += step;
        walk_to(walk, at);
    }
    return crc == walk->header->crc;
}

static enum status walk_unpacked(struct walk *walk, struct slice batch, struct buf *scratch)
{
    struct batch_reader reader;
    enum status status = batch_reader_init(&reader, batch, walk->header, &walk->rules->limits, scratch);
    if (status == ST_LIMIT)
        return refuse(walk->verdict, status, "the batch is too large when decompressed");
    if (status != ST_OK)
        return refuse(walk->verdict, status, "the records cannot be decompressed");
    if (reader.rest.len == 0)
        return ST_OK; // and perhaps no data to point at
    walk->rest = (struct record_cursor){reader.rest.data, reader.rest.data + reader.rest.len};
    walk_to(walk, walk->rest.end);
    return ST_OK;
}

static enum status walk_end(struct walk *walk)
{
    if (!walk->broken && walk->index < walk->header->count)
        walk_break(walk, "the batch has fewer records than its header says");
    return walk->broken ? ST_MALFORMED : walk->worst;
}

// ---- all of it ----

static enum status check_header_times(const struct batch_rules *rules, const struct batch_header *header,
                                      struct batch_verdict *verdict)
{
    struct batch_times times = batch_times_of(rules);
    verdict->max_timestamp = header->max_timestamp;
    if (time_fits(&times, header->base_timestamp) && time_fits(&times, header->max_timestamp))
        return ST_OK;
    return refuse(verdict, ST_OUT_OF_RANGE, "the batch's timestamps are out of the allowed range");
}

static void verdict_clear(struct batch_verdict *verdict)
{
    verdict->max_timestamp = verdict->bad_record = -1;
    verdict->why = "";
    verdict->fault_count = 0;
}

enum status batch_validate(struct slice bytes, const struct batch_rules *rules, struct buf *scratch,
                           struct batch_header *header, struct batch_verdict *verdict)
{
    verdict_clear(verdict);
    enum status status = check_shape(bytes, header, verdict);
    if (status != ST_OK)
        return status;
    status = check_header(rules, header, verdict);
    struct walk walk = {.rules = rules,
                        .verdict = verdict,
                        .header = header,
                        .rest = {bytes.data + BATCH_HEADER_SIZE, bytes.data + bytes.len},
                        .times = batch_times_of(rules)};
    bool look = status == ST_OK && !rules->header_only;
    bool plain = look && batch_compression(header) == COMPRESSION_NONE;
    if (!(plain ? walk_summed(&walk, bytes) : batch_crc_ok(bytes, header))) {
        verdict_clear(verdict);
        return refuse(verdict, ST_CORRUPT, "the batch's checksum is wrong");
    }
    if (status == ST_OK && rules->header_only)
        status = check_header_times(rules, header, verdict);
    else if (look && !plain)
        status = walk_unpacked(&walk, bytes, scratch);
    return status == ST_OK && look ? walk_end(&walk) : status;
}
