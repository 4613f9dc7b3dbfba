// SPDX-License-Identifier: Apache-2.0
// How far groups are behind: what they have committed here is compared with the logs, which the storage nodes
// that lead them are asked about. Works for whatever commits offsets, whatever the group's protocol; where a
// share group is, its share coordinators and the leaders of its partitions know (lag_share.c).
//
// A group is watched once it commits, has members, or is looked at, and measured again every interval; it is
// watched no more when it has had no member, commit or look for a while. Each node is asked by one call at a
// time, of bounded size; a group somebody looks at comes first.
#ifndef LAG_H
#define LAG_H

#include "base/map.h"
#include "cluster/contacts.h"
#include "cluster/image.h"
#include "lag_figures.h"
#include "rpc/rpc.h"

struct lag;
struct lag_group;
struct shard_group;

struct lag_settings {
    int64_t interval_ms;    // millrace.lag.interval.ms
    int64_t idle_ms;        // millrace.lag.idle.ms
    int64_t partitions_max; // millrace.lag.partitions.max: watched, of all groups together
    int64_t metrics_max;    // millrace.lag.metrics.partitions.max: shown on /metrics
};

struct lag_options {
    struct env *env;
    struct rpc *rpc;
    struct image *image;
    struct contacts *storages; // borrowed: who is asked
    struct share_peers *peers; // borrowed: share coordinators
    struct lag_settings settings;
};

struct lag *lag_new(const struct lag_options *options);
// All groups must have been forgotten.
void lag_destroy(struct lag **lag);

// ---- what shards tell; lag NULL: nothing is watched ----

// The group has committed an offset at commit_ms of the wall clock.
void lag_committed(struct lag *lag, struct shard_group *cell, int64_t commit_ms);
// The group may have got its first member.
void lag_noticed(struct lag *lag, struct shard_group *cell);
// The group goes; waits for it end. NULL inside is allowed.
void lag_forget(struct lag_group **group);

// ---- reading ----

struct lag_wait { // embedded, zero at first
    struct lag_group *group;
    void (*done)(void *context);
    void *context;
    struct lag_wait *next;
};

// Has the group measured now, unless that was done a moment ago. done is called once when it is, or when the
// group has gone; it must not look again from inside. ST_OK: it is fresh, done is not called; ST_AGAIN: done
// will be called.
enum status lag_look(struct lag *lag, struct shard_group *cell, struct lag_wait *wait,
                     void (*done)(void *context), void *context);
void lag_wait_cancel(struct lag_wait *wait); // idempotent

// Milliseconds since the group was last measured; LAG_UNKNOWN: never.
int64_t lag_measured_ms(const struct lag_group *group);
// Partitions of it that are not watched because there are too many.
size_t lag_left_out(const struct lag_group *group);

struct lag_view {
    struct slice topic;
    int32_t partition;
    enum status
        status;        // of the last question: OK; NOT_LEADER: nobody leads, or nobody who knows; else failed
    int64_t committed; // what lag counts from; of a share group the first record that is not over, or unknown
    int64_t commit_ms; // wall clock, of that commit; LAG_UNKNOWN: of a share group
    int64_t records, age_ms, drain_ms; // LAG_UNKNOWN, LAG_NEVER
    int64_t start, end, stable;        // of the log when it last answered; LAG_UNKNOWN
    double commit_rate, produce_rate;  // records per second; < 0: not known yet
    // Records of a share group behind the first that is not over; LAG_UNKNOWN: it is none, or nobody knows.
    int64_t complete;            // are over as well
    int64_t acquired, available; // members hold, come again; unknown without a session at the leader
};
// In no particular order; start with *cursor = NULL; nothing may be changed meanwhile.
bool lag_next(const struct lag_group *group, struct map_entry **cursor, struct lag_view *view);

// Sums over a group's partitions.
struct lag_total {
    size_t partitions;
    int64_t records;      // of those measured; LAG_UNKNOWN: none
    int64_t age_ms_max;   // LAG_UNKNOWN
    int64_t drain_ms_max; // LAG_NEVER when one never drains; LAG_UNKNOWN when one is not known
};
struct lag_total lag_total(const struct lag_group *group);

#endif
