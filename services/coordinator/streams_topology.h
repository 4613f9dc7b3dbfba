// SPDX-License-Identifier: Apache-2.0
// The topology of a Kafka Streams application as its members describe it (KIP-1071): subtopologies with the
// topics they read, write and keep their state in. It never changes; it is kept as the bytes of its record
// (StreamsGroupTopologyValue) and read from there.
//
// A task is a subtopology and a partition number. Sets of tasks are sets of partitions (parts.h) in which a
// subtopology stands in the place of the topic, by its key.
#ifndef STREAMS_TOPOLOGY_H
#define STREAMS_TOPOLOGY_H

#include "base/status.h"
#include "base/uuid.h"
#include "kafka/messages/consumer_offsets_records.h"

typedef struct kafka_streams_group_topology_value streams_topology_value;
typedef struct kafka_streams_group_topology_value_subtopology streams_subtopology;
typedef struct kafka_streams_group_topology_value_topic_info streams_topic_info;

enum {
    STREAMS_SUBTOPOLOGIES_MAX = 1000, // of one topology; more: STREAMS_INVALID_TOPOLOGY
    STREAMS_TOPICS_MAX = 10000,       // in all lists of one topology together
    STREAMS_SUBTOPOLOGY_ID_MAX = 255  // bytes
};

struct streams_topology;

// What speaks against a topology that a member brings: Kafka's error, with a text that stands for itself;
// NONE: nothing. Regular expressions are refused as Kafka 4.2 does.
int16_t streams_topology_check(const streams_topology_value *value, const char **text);
// A topology that has passed the check; what value holds is copied, and its subtopologies are sorted in
// place. ST_LIMIT: its record would be longer than bytes_max.
enum status streams_topology_new(streams_topology_value *value, size_t bytes_max,
                                 struct streams_topology **topology);
// From its record, version in front. Statuses of kafka_decode; ST_MALFORMED: it would not pass the check.
enum status streams_topology_parse(struct slice record, struct streams_topology **topology);
void streams_topology_destroy(struct streams_topology **topology); // NULL inside: nothing

const streams_topology_value *streams_topology_value_of(const struct streams_topology *topology);
struct slice streams_topology_record(const struct streams_topology *topology);
bool streams_topology_equal(const struct streams_topology *a, const struct streams_topology *b);

// The key of a subtopology id. The ids of one topology have different ones; those of up to 15 bytes are in
// the order of their keys.
struct uuid streams_key(struct slice subtopology);
// Place of the subtopology in the value; -1: there is none.
int32_t streams_topology_find(const struct streams_topology *topology, struct uuid key);
// The subtopology that reads the topic, by place; -1: none does.
int32_t streams_topology_reader(const struct streams_topology *topology, struct slice topic);

// Topics the topology needs: i-th source, repartition source or changelog topic of a subtopology. false:
// there are no more.
bool streams_topic_needed(const streams_subtopology *subtopology, int32_t i, struct slice *name);
// The same without changelogs: what tasks are made of.
bool streams_topic_read(const streams_subtopology *subtopology, int32_t i, struct slice *name);

#endif
