// SPDX-License-Identifier: Apache-2.0
// What the parts of the floor share: its connections (floor_link.c), what it says to clients (floor_wire.c)
// and the loop (floor.c).
#pragma once
#include "floor_disk.h"

#include "base/buf.h"

#include <stdbool.h>
#include <sys/uio.h>

enum link_kind { LINK_CLIENT, LINK_LEADER, LINK_FOLLOWER };

struct link {
    int fd;
    enum link_kind kind;
    bool dead;      // to be freed when nothing is pending for it
    int pending;    // answers that wait for the disk or the followers
    uint64_t acked; // LINK_FOLLOWER: durable there before this position
    uint8_t *in;    // from `from` to `have`: not yet taken
    size_t from, have, in_cap;
    uint8_t *out; // from `sent` to `out_len`: not yet sent
    size_t sent, out_len, out_cap;
    bool touched; // has output of this turn
    bool blocked; // waits for the socket to take more
    struct link *next_touched;
};

enum { FRAME_MAX = 16 << 20, OUT_MAX = 256 << 20 };

// Takes over a connected socket.
struct link *link_new(int fd, enum link_kind kind);
void link_free(struct link *link);

// Reads what is there, at most one buffer. False when the peer is gone.
bool link_recv(struct link *link);

// The next whole frame behind its length of 4 bytes, valid until the next link_recv. False when there is
// none; a frame longer than FRAME_MAX marks the link dead.
bool link_frame(struct link *link, struct slice *frame);

// Queues bytes; they go out with link_flush.
void link_put(struct link *link, const void *data, size_t len);

// Sends the parts at once as far as the socket takes them and queues a copy of the rest. At most 2 parts.
void link_send(struct link *link, struct iovec *parts, int count);

// Sends what is queued. False when something stays, or the link is dead.
bool link_flush(struct link *link);

// ---- the protocol ----

// A Produce request of version 7, taken apart: the header's correlation id and what begins the list of
// topics.
struct produce {
    uint32_t correlation;
    int16_t acks;
    struct slice topics;
};

// The API key of a request frame, -1 when it is too short.
int wire_api(struct slice frame);

// Queues the answer to ApiVersions or Metadata; false when the request cannot be read.
bool wire_answer(struct link *link, struct slice frame, int port, int32_t partitions);

bool wire_produce(struct slice frame, struct produce *produce);

// Writes the answer with everything accepted into answer, and calls each for the records of every partition.
// False when the request cannot be read, a checksum is wrong or the answer is larger than answer may be.
typedef void wire_records_fn(struct slice records, void *context);
bool wire_produced(const struct produce *produce, uint64_t base_offset, struct buf *answer,
                   wire_records_fn *each, void *context);

// Whether every record batch in there has the right checksum.
bool wire_checked(struct slice records);
