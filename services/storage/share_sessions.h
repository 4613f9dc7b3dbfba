// SPDX-License-Identifier: Apache-2.0
// The share sessions of this node (KIP-932): which partitions a member of a share group reads here, so that
// its requests name only what has changed and its answers only what is new. A session is known by group and
// member, and ends with the connection it was begun on. What it remembers of partitions is what fetch
// sessions by id remember (fetch_session.h). No I/O and no clock.
//
// Epochs as in Kafka's ShareRequestMetadata: 0 begins a session and ends one that is there, -1 ends it; else
// the request must name the epoch the session expects, which is then one higher (after the largest: 1).
#ifndef STORAGE_SHARE_SESSIONS_H
#define STORAGE_SHARE_SESSIONS_H

#include "base/metric.h"
#include "fetch_session.h"

struct share_sessions;

enum { SHARE_EPOCH_FIRST = 0, SHARE_EPOCH_LAST = -1 };

struct share_sessions_config {
    int32_t sessions_max;             // group.share.max.share.sessions
    int64_t partitions_max;           // of all sessions together
    uint64_t seed;                    // for the hash tables
    struct metric_registry *registry; // may be NULL
};

// Whose session it is.
struct share_session_key {
    struct slice group, member;
};

// A session as requests hold it; it may be ended meanwhile and lives until the last reference is given back.
struct share_session {
    struct fetch_session content;
    struct share_session_key key;    // owned
    uint64_t connection;             // it was begun on
    int32_t epoch;                   // expected of the next request
    int32_t refs;                    // of requests in progress, and one of the sessions
    int32_t counted;                 // partitions as the sessions have counted them
    struct share_sessions *sessions; // NULL: ended
};

struct share_sessions *share_sessions_new(const struct share_sessions_config *config);
void share_sessions_destroy(struct share_sessions **sessions); // references may still be out

// A ShareFetch of epoch 0: a new session with a reference for the caller, who fills it in and calls
// share_session_used; one of the same member ends. Else KAFKA_ERR_SHARE_SESSION_LIMIT_REACHED.
// connection: number of the client's connection, not used again by another while this one has sessions.
int16_t share_sessions_begin(struct share_sessions *sessions, const struct share_session_key *key,
                             uint64_t connection, struct share_session **session);

// The session of any other request, with a reference for the caller; its epoch has moved, unless it is the
// last request (epoch -1), which the caller ends by share_session_end when it is done. Else
// KAFKA_ERR_SHARE_SESSION_NOT_FOUND, or KAFKA_ERR_INVALID_SHARE_SESSION_EPOCH, which is also what epoch 0
// gets: only share_sessions_begin takes it, and ShareAcknowledge must not begin a session.
int16_t share_sessions_use(struct share_sessions *sessions, const struct share_session_key *key,
                           int32_t epoch, struct share_session **session);

// Counts what the request has changed in the content. False when there is no room for more partitions: the
// session has ended by it (KAFKA_ERR_SHARE_SESSION_LIMIT_REACHED); the reference stays the caller's.
bool share_session_used(struct share_session *session);

// Whether no more partitions have been put into it than there is room for; whoever puts asks as he goes.
bool share_session_room(const struct share_session *session);

// Nothing for one that has ended.
void share_session_end(struct share_session *session);

void share_session_unref(struct share_session **session); // NULL inside is allowed

// How many of the group's members have one.
int32_t share_sessions_group(const struct share_sessions *sessions, struct slice group);

// The connection is gone, its sessions end. ended is told of each that has, so that what the member holds is
// released; it must not begin or end sessions.
typedef void share_session_ended_fn(void *context, const struct share_session *session);
void share_sessions_disconnected(struct share_sessions *sessions, uint64_t connection,
                                 share_session_ended_fn *ended, void *context);

// What an answer has to say of a partition of the session.
struct share_news {
    bool records;      // some were acquired
    bool failed;       // an error: said every time, and once more when it is over
    bool acknowledged; // the request had acknowledgements for it: their result is said, good or bad
};

// Notes what an answer is about to say of the partition, and tells whether it must say it: in the first
// answer after the partition came, and whenever there is news.
bool share_session_news(struct fetch_partition *partition, const struct share_news *news);

// For tests and dumps.
int32_t share_sessions_count(const struct share_sessions *sessions);
int64_t share_sessions_partitions(const struct share_sessions *sessions);

#endif
