// SPDX-License-Identifier: Apache-2.0
// Hostile bytes for every message of the Kafka codec. The first three bytes choose message and version
// (seeds: kafka_golden seeds DIR), the rest is decoded. What decodes must encode, and decode again to what
// encodes to the same bytes; the only thing Kafka's own classes read and will not write are unordered unknown
// tags.
#include "base/assert.h"
#include "kafka/api.h"
#include "kafka/codec.h"

// Memory for a message is bounded by its bytes: a byte is worth at most one element, and the largest
// structure of all is far below this many bytes.
enum { ARENA_PER_BYTE = 1024, ARENA_BASE = 1 << 16, OUT_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct round {
    const struct kafka_message *message;
    int16_t version;
    struct arena arena;
    struct kafka_out out;
};

static enum status decode_encode(struct round *r, struct slice in)
{
    void *value = arena_alloc(&r->arena, r->message->structure->size);
    ASSERT(value != NULL);
    enum status status = kafka_decode(r->message, r->version, in, &r->arena, value);
    ASSERT(status != ST_NO_MEMORY);
    if (status != ST_OK)
        return status;
    status = kafka_encode(r->message, r->version, value, &r->out);
    ASSERT(status == ST_OK || status == ST_INVALID);
    return status;
}

static void round_init(struct round *r, const struct kafka_message *message, int16_t version, size_t size)
{
    *r = (struct round){.message = message, .version = version};
    arena_init(&r->arena, ARENA_BASE + size * ARENA_PER_BYTE);
    kafka_out_init(&r->out, OUT_MAX);
}

static void round_fini(struct round *r)
{
    arena_fini(&r->arena);
    kafka_out_fini(&r->out);
}

static void fuzz_message(const struct kafka_message *message, int16_t version, struct slice in)
{
    struct round first;
    round_init(&first, message, version, in.len);
    if (decode_encode(&first, in) == ST_OK) {
        struct round second;
        round_init(&second, message, version, first.out.bytes.len);
        ASSERT(decode_encode(&second, buf_slice(&first.out.bytes)) == ST_OK);
        ASSERT(slice_equal(buf_slice(&first.out.bytes), buf_slice(&second.out.bytes)));
        round_fini(&second);
    }
    round_fini(&first);
}

static void fuzz_header(struct slice in)
{
    struct arena arena;
    struct kafka_request_header header;
    size_t used;
    arena_init(&arena, ARENA_BASE + in.len * ARENA_PER_BYTE);
    enum status status = kafka_request_decode_header(in, &arena, &header, &used);
    ASSERT(status != ST_NO_MEMORY && used <= in.len);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const struct kafka_message *message = kafka_messages[(data[0] << 8 | data[1]) % kafka_message_count];
    int16_t versions = (int16_t)(message->valid.last - message->valid.first + 1);
    struct slice in = slice_of(data + 3, size - 3);
    fuzz_message(message, (int16_t)(message->valid.first + data[2] % versions), in);
    fuzz_header(in);
    return 0;
}
