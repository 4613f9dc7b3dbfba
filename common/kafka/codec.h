// SPDX-License-Identifier: Apache-2.0
// One codec for all Kafka messages: an interpreter over the descriptor tables. Decoding trusts nothing:
// counts and lengths are held against the bytes that remain before memory is taken, nesting is bounded by the
// declarations, and all memory comes from the caller's capped arena. Encoding appends to a kafka_out, in
// which record bytes are references, so that a fetch answer goes from the file to the socket uncopied.
//
// It accepts what Kafka's own classes accept: any non-zero bool is true, any negative length is null, tagged
// fields may come in any order. Strings are bytes here: UTF-8 is not checked.
#ifndef KAFKA_CODEC_H
#define KAFKA_CODEC_H

#include "base/arena.h"
#include "base/buf.h"
#include "kafka/message.h"

// Piece to be sent in front of byte `at` of the output's own bytes.
struct kafka_splice {
    size_t at;
    struct piece piece;
};

struct kafka_out {
    struct buf bytes;
    struct kafka_splice *splices; // owned, with their pieces; at never descends
    int32_t splice_count;
    int32_t splice_cap;
    size_t spliced; // bytes in all splices
};

// max: the largest number of own bytes (spliced bytes do not count).
void kafka_out_init(struct kafka_out *out, size_t max);

// Releases the pieces and the bytes.
void kafka_out_fini(struct kafka_out *out);

// Forgets the content (pieces are released), keeps the memory.
void kafka_out_clear(struct kafka_out *out);

// Bytes in total, spliced ones included.
size_t kafka_out_len(const struct kafka_out *out);

// Copies everything into one buffer. ST_INVALID when a splice is a range of a file.
enum status kafka_out_flatten(const struct kafka_out *out, struct buf *flat);

// Sets every field of the structure (struct kafka_NAME) to its declared default.
void kafka_defaults(const struct kafka_message *message, void *out);

// The same for a nested structure; its descriptor is the C name plus _type, as in
// kafka_produce_response_topic_produce_response_type.
void kafka_structure_defaults(const struct kafka_structure *structure, void *out);

// An array of count structures with their defaults set. NULL at the arena's cap.
void *kafka_structure_array(const struct kafka_structure *structure, struct arena *arena, int32_t count);

// Decodes the whole of in. Strings, bytes and records of the result borrow from in, arrays are in the arena.
// ST_UNSUPPORTED: version not valid for the message. ST_TRUNCATED: in ends too early. ST_MALFORMED:
// impossible length, null where none may be, bytes behind the message. ST_NO_MEMORY: the arena's cap.
enum status kafka_decode(const struct kafka_message *message, int16_t version, struct slice in,
                         struct arena *arena, void *out);

// The same for a message with something behind it; *used gets the bytes consumed.
enum status kafka_decode_prefix(const struct kafka_message *message, int16_t version, struct slice in,
                                struct arena *arena, void *out, size_t *used);

// The same for a client's request: bytes behind it are ignored, as Kafka's own parser does. librdkafka 2.0
// leaves some behind ListGroups from version 3 and behind OffsetFetch of all partitions from version 6.
enum status kafka_decode_request(const struct kafka_message *message, int16_t version, struct slice in,
                                 struct arena *arena, void *out);

// Appends the message to out. On success pieces of record fields belong to out; on failure they stay the
// caller's and out is as before. A NULL slice in a field that can never be null counts as empty.
// ST_UNSUPPORTED: version not valid, or the version cannot carry a value that is set (a field it lacks and
// that is not ignorable, or null). ST_INVALID: null array that can never be null, string over 32767 bytes,
// unknown tags not ascending or in conflict. ST_LIMIT, ST_NO_MEMORY: as for buf.
enum status kafka_encode(const struct kafka_message *message, int16_t version, const void *in,
                         struct kafka_out *out);

#endif
