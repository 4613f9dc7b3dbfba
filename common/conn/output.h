// SPDX-License-Identifier: Apache-2.0
// What still has to go out on a connection: a queue of pieces, memory by writev and file ranges by sendfile,
// in order, with partial writes. The queue itself has no limit; its owner takes no new request while it is
// long.
#ifndef CONN_OUTPUT_H
#define CONN_OUTPUT_H

#include "base/block.h"
#include "conn/bytes.h"
#include "kafka/codec.h"

struct conn_output {
    struct piece *pieces; // first..first+count are waiting
    int first;
    int count;
    int cap;
    int64_t bytes; // not yet sent
};

void conn_output_fini(struct conn_output *output);

// Appends a piece; an empty one is released at once.
void conn_output_add(struct conn_output *output, struct piece piece_take);

// Appends a copy of a few bytes.
void conn_output_add_copy(struct conn_output *output, struct slice bytes);

// Appends an encoded message: its bytes and what is spliced into them. out is empty afterwards.
void conn_output_add_out(struct conn_output *output, struct kafka_out *out_take);

// Moves everything of from behind what output holds.
void conn_output_move(struct conn_output *output, struct conn_output *from);

// Sends up to about budget bytes; *sent is set in every case. ST_OK when the queue is empty, ST_AGAIN when
// more waits, else the connection is broken.
enum status conn_output_flush(struct conn_output *output, struct conn_bytes *bytes, int64_t budget,
                              int64_t *sent);

#endif
