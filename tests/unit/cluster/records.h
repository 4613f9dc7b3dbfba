// SPDX-License-Identifier: Apache-2.0
// Short makers of metadata records for the tests of this folder: each applies one record at the next offset.
#ifndef TESTS_CLUSTER_RECORDS_H
#define TESTS_CLUSTER_RECORDS_H

#include "cluster/image.h"

// A uuid of sixteen equal bytes.
struct uuid id_of(uint8_t byte);

enum status put_node(struct image *image, int32_t id, Millrace__Role role, bool fenced);
enum status put_fenced(struct image *image, int32_t id, uint64_t incarnation, bool fenced);
enum status put_topic(struct image *image, uint8_t id, const char *name);
enum status put_topic_removed(struct image *image, uint8_t id);
// Replicas 1, 2, 3; ISR the first isr of them.
enum status put_partition(struct image *image, uint8_t topic, int32_t index, int32_t leader, int32_t epoch,
                          int isr);
// The partition again with a reassignment of the balancer that adds one of its replicas and removes another.
enum status put_moving(struct image *image, uint8_t topic, int32_t index, int32_t adding, int32_t removing);
enum status put_config(struct image *image, Millrace__ResourceType type, const char *name, const char *key,
                       const char *value);
enum status put_shard(struct image *image, const char *topic, int32_t shard, int32_t owner, int32_t epoch);
// A mark of a decision; max as for image_apply_some.
enum status put_mark(struct image *image, Millrace__DecisionRecord__Mark mark, size_t max);
enum status put_feature(struct image *image, const char *name, uint32_t level, int64_t epoch);
enum status put_cluster(struct image *image, uint8_t id);

#endif
