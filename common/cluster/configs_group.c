// SPDX-License-Identifier: Apache-2.0
// Configuration keys of groups (org.apache.kafka.coordinator.group.GroupConfig of Kafka 4.2) and of client
// metrics subscriptions (ClientMetricsConfigs, KIP-714).
#include "cluster/configs.h"

#define I32 2147483647.0

// clang-format off
const struct configs_key configs_group_keys[] = {
    {"consumer.assignment.interval.ms", CONFIGS_INT, "0", "group.consumer.assignment.interval.ms", 0, I32, NULL, true, "Least time between assignments of this consumer group (Kafka 4.3: 1000); each change assigns at once, as with 0.", CONFIGS_OTHERWISE},
    {"consumer.heartbeat.interval.ms", CONFIGS_INT, "5000", "group.consumer.heartbeat.interval.ms", 1, I32, NULL, true, "Heartbeat interval of the members of this consumer group.", CONFIGS_BY_COORDINATOR},
    {"consumer.session.timeout.ms", CONFIGS_INT, "45000", "group.consumer.session.timeout.ms", 1, I32, NULL, true, "A member of this consumer group that is silent for so long leaves.", CONFIGS_BY_COORDINATOR},
    {"errors.deadletterqueue.copy.record.enable", CONFIGS_BOOLEAN, "false", NULL, 0, 0, NULL, true, "Whether dead letters of this share group have key, value and headers of the record (Kafka 4.4).", CONFIGS_BY_STORAGE},
    {"errors.deadletterqueue.topic.name", CONFIGS_STRING, "", NULL, 0, 0, NULL, true, "Topic for records that this share group has given up (Kafka 4.4); empty: none.", CONFIGS_BY_STORAGE},
    {"share.assignment.interval.ms", CONFIGS_INT, "0", "group.share.assignment.interval.ms", 0, I32, NULL, true, "Least time between assignments of this share group (Kafka 4.3: 1000); each change assigns at once, as with 0.", CONFIGS_OTHERWISE},
    {"share.auto.offset.reset", CONFIGS_STRING, "latest", NULL, 0, 0, "latest|earliest|by_duration:", true, "Where this share group begins without an offset.", CONFIGS_BY_STORAGE},
    {"share.delivery.count.limit", CONFIGS_INT, "5", "group.share.delivery.count.limit", 2, I32, NULL, true, "How often a record is delivered to members of this share group at most (Kafka 4.3).", CONFIGS_BY_STORAGE},
    {"share.heartbeat.interval.ms", CONFIGS_INT, "5000", "group.share.heartbeat.interval.ms", 1, I32, NULL, true, "Heartbeat interval of the members of this share group.", CONFIGS_BY_COORDINATOR},
    {"share.isolation.level", CONFIGS_STRING, "read_uncommitted", NULL, 0, 0, "read_committed|read_uncommitted", true, "Whether this share group gets records of open and aborted transactions.", CONFIGS_BY_STORAGE},
    {"share.partition.max.record.locks", CONFIGS_INT, "2000", "group.share.partition.max.record.locks", 100, I32, NULL, true, "Most records of a partition that members of this share group hold at once (Kafka 4.3).", CONFIGS_BY_STORAGE},
    {"share.record.lock.duration.ms", CONFIGS_INT, "30000", "group.share.record.lock.duration.ms", 1000, I32, NULL, true, "How long a delivered record is locked for its member.", CONFIGS_BY_STORAGE},
    {"share.renew.acknowledge.enable", CONFIGS_BOOLEAN, "true", NULL, 0, 0, NULL, true, "Whether members of this share group may renew their locks (Kafka 4.3).", CONFIGS_BY_STORAGE},
    {"share.session.timeout.ms", CONFIGS_INT, "45000", "group.share.session.timeout.ms", 1, I32, NULL, true, "A member of this share group that is silent for so long leaves.", CONFIGS_BY_COORDINATOR},
    {"streams.assignment.interval.ms", CONFIGS_INT, "0", "group.streams.assignment.interval.ms", 0, I32, NULL, true, "Least time between assignments of this streams group (Kafka 4.3: 1000); each change assigns at once, as with 0.", CONFIGS_OTHERWISE},
    {"streams.heartbeat.interval.ms", CONFIGS_INT, "5000", "group.streams.heartbeat.interval.ms", 1, I32, NULL, true, "Heartbeat interval of the members of this streams group.", CONFIGS_BY_COORDINATOR},
    {"streams.initial.rebalance.delay.ms", CONFIGS_INT, "3000", "group.streams.initial.rebalance.delay.ms", 0, I32, NULL, true, "How long this streams group waits for more members when it begins.", CONFIGS_BY_COORDINATOR},
    {"streams.num.standby.replicas", CONFIGS_INT, "0", "group.streams.num.standby.replicas", 0, I32, NULL, true, "Standby replicas of each task.", CONFIGS_BY_COORDINATOR},
    {"streams.session.timeout.ms", CONFIGS_INT, "45000", "group.streams.session.timeout.ms", 1, I32, NULL, true, "A member of this streams group that is silent for so long leaves.", CONFIGS_BY_COORDINATOR},
};
const int configs_group_count = sizeof configs_group_keys / sizeof *configs_group_keys;

const struct configs_key configs_metrics_keys[] = {
    {"interval.ms", CONFIGS_INT, "300000", NULL, 100, 3600000, NULL, true, "How often matching clients push their metrics.", CONFIGS_BY_STORAGE},
    {"match", CONFIGS_LIST, "", NULL, 0, 0, NULL, true, "What a client must be for the subscription: selector=regular expression,...; all of them; empty: every client.", CONFIGS_BY_STORAGE},
    {"metrics", CONFIGS_LIST, "", NULL, 0, 0, NULL, true, "Prefixes of the names of the metrics that are wanted; *: all.", CONFIGS_BY_STORAGE},
};
const int configs_metrics_count = sizeof configs_metrics_keys / sizeof *configs_metrics_keys;
// clang-format on
