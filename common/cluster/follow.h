// SPDX-License-Identifier: Apache-2.0
// Keeps an image fresh: long-polls Controller.Follow on any voter, takes snapshot chunks, applies at most
// 1,000 records per loop turn, and changes the voter after a failure or when the image stays more than 1 s
// behind the commit offset that heartbeats report. Replies that depend on an offset wait here (follow_when).
//
// All offsets are inclusive: a commit offset is that of the last committed entry, -1 when there is none.
// A zero-length record in a Follow payload is a log entry without metadata (a no-op): only the offset moves.
#ifndef CLUSTER_FOLLOW_H
#define CLUSTER_FOLLOW_H

#include "cluster/controllers.h"
#include "cluster/image.h"

struct follow;

struct follow_options {
    struct env *env;
    struct rpc *rpc;
    struct controllers *controllers; // whose endpoints are polled
    struct image *image;             // written by follow only
    struct uuid cluster_id;          // refuse any other; zero: adopt the first one seen
    // Told once when a voter of another cluster answers (it is not followed). May be NULL.
    void (*on_mismatch)(void *context, struct uuid theirs);
    void *context;
};

enum status follow_new(const struct follow_options *options, struct follow **follow);
// Waits end with ST_CANCELLED from inside.
void follow_destroy(struct follow **follow);

int64_t follow_offset(const struct follow *follow); // applied, = image_offset; -1: none yet
int64_t follow_commit(const struct follow *follow); // highest commit offset heard of
// How long the image has been behind the highest commit offset heard of; 0 when it is not.
int64_t follow_behind_ms(const struct follow *follow);
// A commit offset heard elsewhere (heartbeat reply).
void follow_heard(struct follow *follow, int64_t commit_offset);

// ST_OK: the image has the offset; ST_TIMEOUT; ST_CANCELLED.
typedef void follow_fn(void *context, enum status status);

struct follow_wait { // embedded in the waiter
    int64_t offset;
    follow_fn *done;
    void *context;
    struct timer timer;
    struct follow *follow;
    struct follow_wait *next, *previous;
    bool waiting;
};

// Calls done once the image has the offset, at the deadline (env_now_us clock) at the latest. Never from
// inside the call. Waits for one offset end in the order they began.
void follow_when(struct follow *follow, struct follow_wait *wait, int64_t offset, int64_t deadline_us,
                 follow_fn *done, void *context);
// Idempotent; done is not called any more.
void follow_wait_cancel(struct follow_wait *wait);

#endif
