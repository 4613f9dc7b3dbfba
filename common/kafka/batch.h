// SPDX-License-Identifier: Apache-2.0
// Record batches of format version 2, the unit that is produced, stored, replicated and fetched: header
// fields, checksum, the records inside, validation as Kafka's LogValidator does it, and a builder for
// internal topics and tests. Pure bytes in, values out; input is hostile. On a record's way: produce.c
// validates, partition.c sets offset and epoch, log/ stores, fetch.c sends the same bytes.
#ifndef KAFKA_BATCH_H
#define KAFKA_BATCH_H

#include "base/buf.h"
#include "kafka/compress.h"

enum {
    BATCH_HEADER_SIZE = 61, // up to and with the record count
    BATCH_PREFIX_SIZE = 12, // base offset and length; the length field counts what follows
    BATCH_CRC_FROM = 21     // the checksum covers the bytes from here (attributes) to the end
};

enum batch_attribute {
    BATCH_COMPRESSION_MASK = 7,
    BATCH_LOG_APPEND_TIME = 8,
    BATCH_TRANSACTIONAL = 16,
    BATCH_CONTROL = 32,
    BATCH_DELETE_HORIZON = 64
};

struct batch_header {
    int64_t base_offset;
    int32_t length;       // bytes behind the length field; the batch has BATCH_PREFIX_SIZE more
    int32_t leader_epoch; // partition leader epoch, outside the checksum
    int8_t magic;         // always 2 after batch_parse
    uint32_t crc;
    int16_t attributes;        // enum batch_attribute
    int32_t last_offset_delta; // >= 0 after batch_parse
    int64_t base_timestamp;    // ms since 1970
    int64_t max_timestamp;
    int64_t producer_id; // -1: not idempotent
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count; // records; a compacted batch may have fewer than last_offset_delta + 1
};

static inline size_t batch_size(const struct batch_header *header)
{
    return (size_t)header->length + BATCH_PREFIX_SIZE;
}
static inline int64_t batch_last_offset(const struct batch_header *header)
{
    return header->base_offset + header->last_offset_delta;
}
static inline enum compression batch_compression(const struct batch_header *header)
{
    return (enum compression)(header->attributes & BATCH_COMPRESSION_MASK);
}
// The sequence number of the last record; wraps from 2^31-1 to 0.
static inline int32_t batch_last_sequence(const struct batch_header *header)
{
    return (int32_t)(((int64_t)header->base_sequence + header->last_offset_delta) & 0x7fffffff);
}

// Reads the header at the start of bytes, which need not hold the whole batch (compare batch_size with
// bytes.len). ST_TRUNCATED below BATCH_HEADER_SIZE bytes; ST_UNSUPPORTED for another magic; ST_MALFORMED for
// a length, offset, count or last offset delta that no batch can have. The checksum is not looked at.
enum status batch_parse(struct slice bytes, struct batch_header *header);

// Whether the checksum of a whole batch is right; batch.len is at least BATCH_HEADER_SIZE.
bool batch_crc_ok(struct slice batch, const struct batch_header *header);

// Changes in place. Offset and epoch are outside the checksum; the timestamp setter (log append time, or a
// max timestamp the producer got wrong) computes it anew.
void batch_set_base_offset(uint8_t *batch, int64_t base_offset);
void batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch);
void batch_set_max_timestamp(uint8_t *batch, size_t len, bool log_append_time, int64_t max_timestamp);

// ---- records ----

struct record_header {
    struct slice key;
    struct slice value; // data NULL when null
};

struct record {
    int64_t offset;
    int64_t timestamp;
    struct slice key;   // data NULL when null
    struct slice value; // data NULL when null
    int32_t header_count;
    struct slice headers; // for record_next_header
};

struct batch_reader {
    const struct batch_header *header;
    struct slice rest; // records not yet read, uncompressed
    int32_t index;     // of the next record
};

// Starts reading the records of a whole batch. Uncompressed ones are read in place and scratch is not touched
// (may be NULL); compressed ones are decompressed into scratch (cleared first), which must outlive the
// reader. The errors of compress_unpack().
enum status batch_reader_init(struct batch_reader *reader, struct slice batch,
                              const struct batch_header *header, const struct compress_limits *limits,
                              struct buf *scratch);

// The next record, borrowed from the batch or scratch. ST_OK; ST_NOT_FOUND at the end; ST_MALFORMED.
enum status batch_next(struct batch_reader *reader, struct record *record);

// Takes the next header off record->headers; false when there is none. Cannot fail: batch_next has checked
// them.
bool record_next_header(struct record *record, struct record_header *header);

// ---- transaction markers ----

// The record of a transaction marker (EndTxnMarker).
struct batch_marker {
    bool abort; // else commit
    int32_t coordinator_epoch;
};

// Reads the marker in a whole control batch. ST_NOT_FOUND: the batch has no record any more (compacted);
// ST_UNSUPPORTED: another kind of control record; ST_MALFORMED.
enum status batch_marker_parse(struct slice batch, const struct batch_header *header,
                               struct batch_marker *marker);

// ---- validation of what a client sends ----

struct batch_rules {
    bool from_client;            // control batches are refused, timestamps are checked
    bool header_only;            // the records are not looked at: checksum and header fields alone
    bool key_required;           // the topic is compacted
    bool log_append_time;        // message.timestamp.type: the records' own times do not matter
    int64_t now_ms;              // wall clock
    int64_t before_ms, after_ms; // message.timestamp.before/after.max.ms; INT64_MAX = any
    struct compress_limits limits;
};

enum { BATCH_FAULTS_MAX = 100 };

// A record that the topic does not take in a batch that is otherwise whole.
struct batch_fault {
    int32_t record;    // its index
    enum status fault; // ST_MALFORMED: no key; ST_OUT_OF_RANGE: its time
    int64_t timestamp; // ms since 1970
};

struct batch_verdict {
    int64_t max_timestamp; // largest of the records, -1 when none has one; header_only: as the header says
    int32_t bad_record;    // index of the first record at fault, or -1
    const char *why;       // one static English sentence when the status is not ST_OK
    int fault_count;       // the first BATCH_FAULTS_MAX of them
    struct batch_fault faults[BATCH_FAULTS_MAX];
};

// Times a record may have under the rules, both inclusive. -1, no time, is always taken.
struct batch_times {
    int64_t oldest, newest;
};
struct batch_times batch_times_of(const struct batch_rules *rules);

// Validates exactly one whole batch (nothing may follow it): header, checksum, count = last offset delta + 1,
// every record's lengths, dense deltas, keys, headers, times. Uncompressed records are read in one pass with
// the checksum. scratch: as in batch_reader_init, needed when compressed; it holds the records afterwards.
// Neither it nor the limits matter with header_only. The status says which Kafka error it is: ST_CORRUPT
// (CORRUPT_MESSAGE: a transfer may have damaged it, worth sending again), ST_UNSUPPORTED (magic or codec:
// UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE), ST_MALFORMED (INVALID_RECORD),
// ST_OUT_OF_RANGE (INVALID_TIMESTAMP), ST_LIMIT (MESSAGE_TOO_LARGE), ST_NO_MEMORY.
// A header whose max timestamp differs from verdict->max_timestamp is not refused: the caller corrects it
// with batch_set_max_timestamp, as Kafka does. Offsets that are not dense are refused, where Kafka packs the
// batch anew.
enum status batch_validate(struct slice bytes, const struct batch_rules *rules, struct buf *scratch,
                           struct batch_header *header, struct batch_verdict *verdict);

// ---- building ----

struct batch_record {
    int64_t timestamp; // ms since 1970
    struct slice key, value;
    const struct record_header *headers;
    int32_t header_count;
};

struct batch_spec {
    int64_t base_offset;
    int32_t leader_epoch;
    enum compression compression;
    int16_t attributes;  // BATCH_TRANSACTIONAL, BATCH_CONTROL, BATCH_LOG_APPEND_TIME; not the codec
    int64_t producer_id; // -1 with producer_epoch and base_sequence -1: not idempotent
    int16_t producer_epoch;
    int32_t base_sequence;
};

// A spec without producer, codec none, offset 0, epoch 0.
struct batch_spec batch_spec_plain(void);

// Appends a batch of count >= 1 records to out. ST_LIMIT at out's maximum (out keeps its former length).
enum status batch_build(const struct batch_spec *spec, const struct batch_record *records, int count,
                        struct buf *out);

// Appends the batch with its records packed by another codec at a level (compress.h). records: as they are
// unpacked, what batch_validate leaves in scratch. All else stays as it is. ST_LIMIT at out's maximum, which
// packing asks for in advance: give it compress_pack_bound() more than the header.
enum status batch_repack(struct slice batch, struct slice records, enum compression codec, int level,
                         struct buf *out);

// Appends a transaction marker: a control batch with one record (commit or abort).
enum status batch_build_marker(const struct batch_spec *spec, bool commit, int32_t coordinator_epoch,
                               int64_t timestamp, struct buf *out);

// ---- rewriting (compaction) ----

// Appends a record, as a batch reader gave it, for a batch with these base values.
void batch_put_record(struct buf *out, const struct record *record, int64_t base_offset,
                      int64_t base_timestamp);

// Appends a batch with the header's fields (length and checksum are made anew) and header->count records that
// batch_put_record wrote one behind the other; they are compressed with the header's codec, of no records
// nothing is. Offsets, sequences and epochs stay what they were although records are missing. ST_LIMIT at
// out's maximum, ST_NO_MEMORY; out keeps its former length then.
enum status batch_rebuild(const struct batch_header *header, struct slice records, struct buf *out);

#endif
