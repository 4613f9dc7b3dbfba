// SPDX-License-Identifier: Apache-2.0
// See group_writer.h.
#include "group_writer.h"

#include "kafka/codec.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "record.h"

enum { RECORD_MAX = 32 << 20, ARENA_MAX = 64 << 20 };

static const struct kafka_message *key_message(bool named)
{
    return named ? &kafka_consumer_group_member_metadata_key_message
                 : &kafka_consumer_group_metadata_key_message;
}

enum status group_key_parse(int16_t type, bool named, struct slice bytes, struct group_key *key)
{
    struct kafka_consumer_group_member_metadata_key in = {.member_id = slice_str("")};
    struct arena arena; // keys have no arrays
    arena_init(&arena, 4096);
    enum status status = kafka_decode(key_message(named), 0, bytes, &arena, &in);
    arena_fini(&arena);
    *key = (struct group_key){type, in.group_id, in.member_id};
    return status;
}

void group_writer_init(struct group_writer *writer, struct slice group, group_emit_fn *emit, void *context)
{
    *writer = (struct group_writer){.group = group, .emit = emit, .context = context, .status = ST_OK};
    buf_init(&writer->key, RECORD_MAX);
    buf_init(&writer->value, RECORD_MAX);
    arena_init(&writer->arena, ARENA_MAX);
}

enum status group_writer_fini(struct group_writer *writer)
{
    buf_fini(&writer->key);
    buf_fini(&writer->value);
    arena_fini(&writer->arena);
    return writer->status;
}

void group_writer_put_bytes(struct group_writer *writer, int16_t type, struct slice name, struct slice value)
{
    struct kafka_consumer_group_member_metadata_key key = {writer->group, name};
    buf_clear(&writer->key);
    if (writer->status == ST_OK)
        writer->status = record_put(key_message(name.data != NULL), 0, type, &key, RECORD_MAX, &writer->key);
    if (writer->status == ST_OK)
        writer->status = writer->emit(writer->context, buf_slice(&writer->key), value);
    arena_reset(&writer->arena);
}

void group_writer_put(struct group_writer *writer, int16_t type, struct slice name,
                      const struct kafka_message *message, const void *value)
{
    buf_clear(&writer->value);
    if (writer->status == ST_OK && message != NULL)
        writer->status = record_put(message, 0, 0, value, RECORD_MAX, &writer->value);
    group_writer_put_bytes(writer, type, name,
                           message == NULL ? (struct slice){0} : buf_slice(&writer->value));
}

void group_writer_no_memory(struct group_writer *writer)
{
    if (writer->status == ST_OK)
        writer->status = ST_NO_MEMORY;
}
