// SPDX-License-Identifier: Apache-2.0
// How groups of the newer protocols (KIP-848, KIP-1071) put their records into __consumer_offsets: keys come
// in two forms, of the group and of something named in it, and differ in their type only. consumer_record.c
// and streams_record.c say what the values are.
#ifndef GROUP_WRITER_H
#define GROUP_WRITER_H

#include "base/arena.h"
#include "base/buf.h"
#include "kafka/message.h"

struct group_key {
    int16_t type; // of the key
    struct slice group;
    struct slice name; // member id or regular expression; "" for the group's own
};

// bytes: behind the type. named: of something in the group. ST_MALFORMED, ST_TRUNCATED: not a key.
enum status group_key_parse(int16_t type, bool named, struct slice bytes, struct group_key *key);

// Gets one record; value.data NULL: a tombstone. The first failure ends the writing.
typedef enum status group_emit_fn(void *context, struct slice key, struct slice value);

struct group_writer {
    struct slice group;
    group_emit_fn *emit;
    void *context;
    struct buf key, value;
    struct arena arena; // for making one value; forgotten when it is put
    enum status status; // the first failure; nothing is written after it
};

// group: its id, borrowed.
void group_writer_init(struct group_writer *writer, struct slice group, group_emit_fn *emit, void *context);
// The first failure, else ST_OK.
enum status group_writer_fini(struct group_writer *writer);
// One record. name.data NULL: the group's own key. message NULL: a tombstone.
void group_writer_put(struct group_writer *writer, int16_t type, struct slice name,
                      const struct kafka_message *message, const void *value);
// The same with a value that is encoded already, its version in front.
void group_writer_put_bytes(struct group_writer *writer, int16_t type, struct slice name, struct slice value);
// What was to be put could not be made.
void group_writer_no_memory(struct group_writer *writer);

#endif
