// SPDX-License-Identifier: Apache-2.0
// A consumer group under test: topics, a clock, a log of what it has written, and heartbeats in short form.
// Everything is written after every step, so a take-over can come at any time.
#ifndef CONSUMER_WORLD_H
#define CONSUMER_WORLD_H

#include "consumer_group.h"
#include "consumer_record.h"
#include "group_record.h"

struct logged {
    struct block *key, *value; // value NULL: a tombstone
};

struct consumer_world {
    struct image *image;
    struct consumer_topics topics;
    struct consumer_settings settings;
    struct consumer_group *group;
    struct group_now now;
    struct logged *log;
    size_t logged, room;
    uint16_t topic_ids; // given out
    bool held;          // nothing is written: what comes until then goes into one batch
};

void consumer_world_init(struct consumer_world *world);
void consumer_world_fini(struct consumer_world *world);

// A topic, or more partitions for one that is there.
void consumer_world_topic(struct consumer_world *world, const char *name, int partitions);
void consumer_world_topic_gone(struct consumer_world *world, const char *name);

// Notes one record; context is the world.
enum status consumer_world_log(void *context, struct slice key, struct slice value);
// Lets the time pass, ticking whenever the group wants it.
void consumer_world_pass(struct consumer_world *world, int64_t ms);
// Writes what has changed, and tells how many records that were.
size_t consumer_world_write(struct consumer_world *world);
// The owner fails: a new one reads the log. read: of the log's first records only, as if the rest had not
// become durable; 0: of all.
void consumer_world_take_over(struct consumer_world *world, size_t read);
// Writes tombstones for everything.
enum status consumer_world_bury(struct consumer_world *world);
// Whether the newest record of every key is a tombstone.
bool consumer_world_buried(const struct consumer_world *world);

// What a member says; zero fields: unchanged. Lists are separated by blanks: "a b", partitions "a0 a1 b0".
struct said {
    const char *topics, *regex, *assignor, *instance;
    const char *owned; // NULL: not stated
    int32_t epoch;
    int32_t rebalance_ms; // 0: unchanged
};
struct heard {
    int16_t error;
    int32_t epoch;
    bool told;
    char assignment[512]; // "a0 a1 b0" when told
};
struct heard consumer_world_beat(struct consumer_world *world, const char *member, struct said said);
// Joins with epoch 0, everything a first heartbeat has.
struct heard consumer_world_join(struct consumer_world *world, const char *member, const char *topics);

// What the member has, or is to have (target), as "a0 a1".
const char *consumer_world_has(struct consumer_world *world, const char *member);
const char *consumer_world_target(struct consumer_world *world, const char *member);
int32_t consumer_world_epoch(struct consumer_world *world, const char *member); // INT32_MIN: no such member

struct parts consumer_world_parts(const struct consumer_world *world, const char *text);
void consumer_world_text(const struct consumer_world *world, const struct parts *parts, char *out,
                         size_t size);

#endif
