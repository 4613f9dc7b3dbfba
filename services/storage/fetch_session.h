// SPDX-License-Identifier: Apache-2.0
// What one incremental fetch session remembers (KIP-227): the partitions a consumer reads, where it is in
// each, and what it was last told of it, so that its requests name only what has changed and its answers only
// what is new. No I/O and no clock; the cache around it (fetch_sessions.h) gives out ids and epochs.
//
// Rules as in Kafka's FetchSession.scala: partitions are served in the order they came in, and one that
// returned records goes to the end, so that none starves behind a busy one.
#ifndef STORAGE_FETCH_SESSION_H
#define STORAGE_FETCH_SESSION_H

#include "base/map.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

// A topic of a session. Sessions begun with Fetch version 13 or later know topics by id, older ones by name.
struct fetch_topic {
    struct uuid id;     // zero in a session by name
    struct slice name;  // owned; by id: as it was when the id was first resolved, NULL data before
    uint32_t number;    // within the session
    int32_t partitions; // of the session that belong to it; the topic goes with the last
};

// What the client said last about a partition.
struct fetch_position {
    int64_t offset;             // next offset it wants
    int32_t bytes_max;          // partition_max_bytes
    int32_t leader_epoch;       // current_leader_epoch, -1: no check
    int32_t last_fetched_epoch; // -1: no check for divergence
};

// What an answer says of a partition, as far as it decides whether it is worth saying.
struct fetch_news {
    int64_t high_watermark, last_stable_offset, log_start_offset;
    bool records; // the answer carries some
    bool failed;  // an error, or a diverging epoch (KIP-595): said every time, and once more when it is over
    bool redirects; // names a preferred read replica (KIP-392): said every time
};

struct fetch_partition {
    struct fetch_topic *topic;
    int32_t index;
    struct fetch_position position;
    int64_t high_watermark, last_stable_offset, log_start_offset; // as last told; -1: nothing yet
};

struct fetch_session {
    bool by_id; // topics are known by id
    struct map topics;
    struct map partitions; // in the order they are served; key: topic number and index
    uint32_t topics_made;
};

// seed: for the hash tables.
void fetch_session_init(struct fetch_session *session, bool by_id, uint64_t seed);
void fetch_session_fini(struct fetch_session *session);

int32_t fetch_session_size(const struct fetch_session *session); // partitions

// Adds a partition at the end, or gives one that is there another position (its place in the order stays).
// The topic by the session's kind: id, or name (copied). True when it was added.
bool fetch_session_put(struct fetch_session *session, struct uuid id, struct slice name, int32_t index,
                       const struct fetch_position *position);

// Takes a partition out; false when the session has none such.
bool fetch_session_forget(struct fetch_session *session, struct uuid id, struct slice name, int32_t index);

// NULL when the session has none such. Valid until it is forgotten or the session ends.
struct fetch_partition *fetch_session_find(const struct fetch_session *session, struct uuid id,
                                           struct slice name, int32_t index);

// The partitions in order: begin with *at = NULL, NULL at the end. The session must not change meanwhile.
struct fetch_partition *fetch_session_next(const struct fetch_session *session, struct map_entry **at);

// Notes what an answer is about to say of the partition, and tells whether it is worth saying.
bool fetch_session_news(struct fetch_partition *partition, const struct fetch_news *news);

// Moves a partition that returned records to the end of the order.
void fetch_session_rotate(struct fetch_session *session, struct fetch_partition *partition);

// Keeps the name an id stands for, once: a topic that is deleted and made anew is then told from one that
// was never known.
void fetch_session_name(struct fetch_topic *topic, const char *name);

#endif
