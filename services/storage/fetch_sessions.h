// SPDX-License-Identifier: Apache-2.0
// The fetch sessions of this node (KIP-227): ids, epochs, and who gives way when there are too many. A
// session belongs to no connection: whoever names its id and next epoch goes on with it, as in Kafka. No I/O;
// times and random numbers are given in. At the limits sessions are declined (id 0), and clients then name
// all their partitions in every request.
//
// Epochs as in Kafka's FetchMetadata: 0 asks for a new session, -1 for none, both end the one whose id is
// named; else the request must name the epoch the session expects, which is then one higher (after the
// largest: 1).
#ifndef STORAGE_FETCH_SESSIONS_H
#define STORAGE_FETCH_SESSIONS_H

#include "base/metric.h"
#include "fetch_session.h"

struct fetch_sessions;

enum { FETCH_EPOCH_NEW = 0, FETCH_EPOCH_NONE = -1 };

struct fetch_sessions_config {
    int32_t slots;                    // max.incremental.fetch.session.cache.slots; 0: all are declined
    int64_t evict_ms;                 // min.incremental.fetch.session.eviction.ms
    int64_t partitions_max;           // of all sessions together
    uint64_t seed;                    // for the hash tables
    struct metric_registry *registry; // may be NULL
};

// A session as requests hold it; it may be ended meanwhile and lives until the last reference is given back.
struct fetch_cached {
    struct fetch_session content;
    int32_t id;
    int32_t epoch;                   // expected of the next request
    int32_t refs;                    // of requests in progress, and one of the cache
    struct fetch_sessions *sessions; // NULL: ended
    int64_t made_ms, used_ms;
    int32_t counted;                    // partitions as the cache has counted them
    bool settled;                       // old enough, at its last use, to give way to a larger one
    struct fetch_cached *newer, *older; // by last use
};

struct fetch_sessions *fetch_sessions_new(const struct fetch_sessions_config *config);
void fetch_sessions_destroy(struct fetch_sessions **sessions); // references may still be out

// A full request (epoch 0 or -1) ends the session it names; an unknown id is nothing special.
void fetch_sessions_end(struct fetch_sessions *sessions, int32_t id);

// The session of an incremental request, with a reference for the caller; its epoch has moved. Else a Kafka
// error: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR (begun with
// names and used with ids, or the other way round). The caller changes the content, then calls
// fetch_sessions_used.
int16_t fetch_sessions_use(struct fetch_sessions *sessions, int32_t id, int32_t epoch, bool by_id,
                           struct fetch_cached **cached);

// Counts what the request has changed and notes the time. False when there is no room for more partitions:
// the session has ended by it; the reference stays the caller's.
bool fetch_sessions_used(struct fetch_cached *cached, int64_t now_ms);

// Whether no more partitions have been put into it than there is room for; whoever puts asks as he goes.
bool fetch_sessions_room(const struct fetch_cached *cached);

// A new session for size partitions, with a reference for the caller, who fills it in and calls
// fetch_sessions_used, which has room for them. NULL when it is declined: all slots are taken and no session
// gives way, or the partitions are too many. One that was not used for evict_ms gives way to any; one that is
// older than evict_ms to a larger one.
struct fetch_cached *fetch_sessions_make(struct fetch_sessions *sessions, bool by_id, int32_t size,
                                         uint64_t random, int64_t now_ms);

void fetch_cached_unref(struct fetch_cached **cached); // NULL inside is allowed

int32_t fetch_epoch_next(int32_t epoch);

// For tests and dumps.
int32_t fetch_sessions_count(const struct fetch_sessions *sessions);
int64_t fetch_sessions_partitions(const struct fetch_sessions *sessions);

#endif
