// SPDX-License-Identifier: Apache-2.0
// A streams group under test: topics and a log as of a consumer group (consumer_world.h), a clock, topologies
// in short form, and heartbeats. Everything is written after every step, so a take-over can come at any time.
#ifndef STREAMS_WORLD_H
#define STREAMS_WORLD_H

#include "consumer_world.h"
#include "streams_group.h"
#include "streams_record.h"

struct streams_world {
    struct consumer_world base; // image, topics, log, clock
    struct streams_settings settings;
    struct streams_options options;
    struct streams_group *group;
    const char *topology; // that members bring
    int32_t topology_epoch;
};

void streams_world_init(struct streams_world *world);
void streams_world_fini(struct streams_world *world);
void streams_world_topic(struct streams_world *world, const char *name, int partitions);
void streams_world_pass(struct streams_world *world, int64_t ms);
size_t streams_world_write(struct streams_world *world);
// The owner fails: a new one reads the log; read: its first records only, 0: all.
void streams_world_take_over(struct streams_world *world, size_t read);
enum status streams_world_bury(struct streams_world *world);

// "0 <in >rep; 1 <<rep +log": subtopologies, separated by ';', begin with their id; then <source, >sink,
// <<repartition source, <<rep:4 of a fixed count, +changelog, and =in,rep: topics of one copartition group,
// of those before it. Lies in static memory until the next call.
streams_topology_value *streams_world_value(const char *text, int32_t epoch);
// The same after the check, which it passes.
struct streams_topology *streams_world_topology(const char *text, int32_t epoch);

// What a member says; zero fields: unchanged. Tasks are "0_1 s1_0 w1_0": active, standby, warm-up.
struct streams_said {
    const char *process, *endpoint;
    const char *owned; // NULL: not stated
    int32_t epoch;
    int32_t endpoint_epoch;
    bool joins; // brings the topology
    bool shutdown;
};
struct streams_heard {
    int16_t error;
    int32_t epoch;
    bool told, stale, delayed, endpoints;
    int32_t endpoint_epoch;
    const char *text;
    char tasks[512]; // when told
};
struct streams_heard streams_world_beat(struct streams_world *world, const char *member,
                                        struct streams_said said);
// Joins with epoch 0 as a thread of the process.
struct streams_heard streams_world_join(struct streams_world *world, const char *member, const char *process);

// What the member has, or is to have (target).
const char *streams_world_has(struct streams_world *world, const char *member);
const char *streams_world_target(struct streams_world *world, const char *member);
int32_t streams_world_epoch(struct streams_world *world, const char *member); // INT32_MIN: no such member
const char *streams_world_state(const struct streams_world *world);

struct streams_tasks streams_world_tasks(const char *text);
void streams_world_text(const struct streams_tasks *tasks, char *out, size_t size);

#endif
