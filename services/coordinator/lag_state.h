// SPDX-License-Identifier: Apache-2.0
// The inside of lag, shared by lag.c (who is watched, when), lag_ask.c (questions to storage nodes),
// lag_share.c (share groups) and lag_metrics.c (/metrics).
#ifndef LAG_STATE_H
#define LAG_STATE_H

#include "base/metric.h"
#include "base/uuid.h"
#include "io/env.h"
#include "lag.h"
#include "protos/storage.pb-c.h"
#include "shard.h"

enum { LAG_CALL_PARTITIONS = 256, LAG_TABLES = 5 };

struct lag_call;
struct lag_node;

struct lag_row { // one partition of a group
    struct lag_group *group;
    struct uuid topic_id;
    int32_t partition;
    enum status status;
    struct lag_figures figures;
    int64_t committed, commit_ms; // as of the last question
    int64_t asked_us;             // when that was
    int64_t dated, timestamp;     // the record at this offset was written then
    bool has_time;
    int64_t complete, acquired, available; // of a share group: lag_view
    int64_t kept_us;                       // its share coordinator was asked then, 0: never
    bool served;                           // its leader knows better
    uint64_t pass;                         // of the last walk over the group's offsets that met it
    struct lag_node *node;                 // whose queue it is in, NULL: none
    struct lag_row *next, *previous;       // in it
    struct lag_call *call;                 // the call that asks about it, NULL: none
    size_t place;                          // in that call
    size_t shown;                          // its place in lag->shown + 1; 0: not on /metrics
    size_t topic_len;
    char topic[];
};

struct lag_group {
    struct lag *lag;
    struct shard_group *cell;
    struct map rows; // by partition and topic, struct lag_row
    int64_t touched_us;
    int64_t measured_us; // -1: never
    uint64_t pass;
    size_t open; // questions queued or asked
    size_t left_out;
    bool shown;
    bool changed;               // it has committed since the last questions
    bool again;                 // somebody looks who knows of that: it is measured once more
    bool front;                 // of a share group: it is asked about before others
    struct share_round *asking; // share coordinators of a share group are asked
    struct lag_wait *waits;
    struct lag_group *next, *previous;
};

struct lag_node { // a storage node with questions for it
    struct lag *lag;
    int32_t id;
    struct lag_row *first, *last;
    struct lag_call *call; // under way
};

struct lag_call {
    struct lag_node *node;
    size_t count;
    struct lag_row *rows[LAG_CALL_PARTITIONS]; // NULL: gone meanwhile
};

struct lag {
    struct lag_options options;
    struct env *env;
    struct lag_group *first, *last; // in the order they came to be watched
    struct lag_group *cursor;       // the next one of the round under way
    size_t row_count, group_count;
    struct map nodes; // by id, struct lag_node
    struct timer round;
    struct lag_row **shown; // on /metrics; NULL: gone since the round
    size_t shown_count, shown_cap;
    struct metric watched, left_out, refused, asked;
    struct metric_table tables[LAG_TABLES];
};

// ---- lag.c ----
struct slice lag_topic(const struct lag_row *row);
// A question of the group has been answered or dropped.
void lag_group_step(struct lag_group *group);
// The row of a partition, known from now on; NULL: too many are watched.
struct lag_row *lag_row_of(struct lag_group *group, struct slice topic, int32_t partition);
void lag_row_view(const struct lag_row *row, struct lag_view *view);

// ---- lag_ask.c ----
// The row's leader will be asked; front: before the others. False: nobody leads it, its status says so.
bool lag_ask(struct lag_row *row, bool front);
// Sends what is queued, as far as nodes have no call under way.
void lag_send(struct lag *lag);
// The row goes: nothing will be told about it.
void lag_unask(struct lag_row *row);
void lag_nodes_free(struct lag *lag);

// ---- lag_share.c ----
// Begins to measure a share group: what it reads is known to group->open and group->pass afterwards.
void lag_share_measure(struct lag_group *group, bool front);
// The leader of a partition has answered; where the group is counts from now on.
void lag_share_take(struct lag_row *row, const Millrace__Position *position);

// ---- lag_metrics.c ----
void lag_metrics_start(struct lag *lag);
void lag_metrics_stop(struct lag *lag);
// Chooses what is shown, after a round: groups whole, those that were shown before first.
void lag_show(struct lag *lag);
void lag_unshow(struct lag_row *row); // it goes

#endif
