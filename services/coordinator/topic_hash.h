// SPDX-License-Identifier: Apache-2.0
// What groups remember of the topics they read: the sum of a hash per topic tells whether any has come, gone,
// been made anew or got partitions (KIP-1101). Kafka's hash is another one: a group that comes from Kafka is
// assigned anew once.
#ifndef TOPIC_HASH_H
#define TOPIC_HASH_H

#include "cluster/image.h"

uint64_t topic_hash(const struct image_topic *topic); // over its id and number of partitions

#endif
