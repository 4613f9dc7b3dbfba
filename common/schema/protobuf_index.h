// SPDX-License-Identifier: Apache-2.0
// Which message of its schema's file a Protobuf payload is of, as clients of Confluent's kind say it in front
// of the payload (MessageIndexes.java): how many indexes, then each, as zigzag varints; a single 0 stands for
// the first message.
#ifndef SCHEMA_PROTOBUF_INDEX_H
#define SCHEMA_PROTOBUF_INDEX_H

#include "schema/protobuf.h"

struct protobuf_index {
    uint32_t count;                    // at least 1
    int32_t levels[PROTOBUF_NEST_MAX]; // the outermost message's first
};

// Takes the list off payload. MALFORMED, TRUNCATED: it is none.
enum status protobuf_index_take(struct slice *payload, struct protobuf_index *index);

// Appends the list.
void protobuf_index_put(const struct protobuf_index *index, struct buf *out);

// The message of that name, "Outer.Inner", with the file's package in front or without, and its index as
// Java's clients count. NULL: the file has none.
const struct protobuf_message *protobuf_index_find(const struct protobuf_file *file, struct slice name,
                                                   struct protobuf_index *index);

// Messages that an index may mean, likeliest first.
enum { PROTOBUF_MEANT_MAX = 10 };
struct protobuf_meant {
    uint32_t count;
    const struct protobuf_message *items[PROTOBUF_MEANT_MAX]; // each once
};

// Clients do not agree on whether the messages that stand for maps count: Java's go by the text, where there
// are none, Python's by the descriptor that protoc made, where each stands behind the messages declared
// before its field. A registry's text has fields before messages and does not say how many those were: one
// number of them after the other is taken to be counted, the same at each level.
void protobuf_index_meant(const struct protobuf_file *file, const struct protobuf_index *index,
                          struct protobuf_meant *meant);

enum { PROTOBUF_INDEX_TEXT = 47 }; // its NUL included
// "0", "1.0.2": one text for each index. LIMIT: it would be longer.
enum status protobuf_index_text(const struct protobuf_index *index, char text[PROTOBUF_INDEX_TEXT]);
// MALFORMED: it is no such text.
enum status protobuf_index_parse(const char *text, struct protobuf_index *index);

#endif
