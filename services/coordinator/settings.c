// SPDX-License-Identifier: Apache-2.0
// The parameters of a coordinator, with Kafka's names and defaults where the thing is Kafka's.
#include "coordinator.h"

#define INT(name, value, low, high, text)                                                                    \
    {                                                                                                        \
        .key = name, .type = CONFIG_INT, .fallback = value, .min = low, .max = high, .help = text            \
    }

const struct config_row coordinator_config_rows[] = {
    INT("group.initial.rebalance.delay.ms", "3000", 0, 3600000,
        "How long the first rebalance of an empty group waits for more members."),
    INT("group.min.session.timeout.ms", "6000", 1, INT32_MAX,
        "Shortest session timeout a member may ask for."),
    INT("group.max.session.timeout.ms", "1800000", 1, INT32_MAX,
        "Longest session timeout a member may ask for."),
    INT("group.max.size", "10000", 1, INT32_MAX,
        "Members of one group; more are refused with GROUP_MAX_SIZE_REACHED. Kafka's default is unlimited."),
    INT("group.max.bytes", "8388608", 1024, 10 << 20,
        "Bytes of one group's members: names (in consumer and streams groups the group's too, for each), "
        "subscriptions, assignments. More are refused with GROUP_MAX_SIZE_REACHED."),
    INT("group.consumer.heartbeat.interval.ms", "5000", 1, INT32_MAX,
        "How often members of consumer groups (KIP-848) are to send heartbeats."),
    INT("group.consumer.session.timeout.ms", "45000", 1, INT32_MAX,
        "How long a member of a consumer group may be silent before it is taken for dead."),
    INT("group.consumer.max.size", "10000", 1, INT32_MAX,
        "Members of one consumer group; more are refused with GROUP_MAX_SIZE_REACHED. Kafka's default is "
        "unlimited."),
    {.key = "group.consumer.assignors",
     .type = CONFIG_LIST,
     .fallback = "uniform,range",
     .help =
         "Assignors members of consumer groups may choose from; the first is for those that choose none."},
    {.key = "group.consumer.migration.policy",
     .type = CONFIG_STRING,
     .fallback = "bidirectional",
     .choices = "disabled|upgrade|downgrade|bidirectional|DISABLED|UPGRADE|DOWNGRADE|BIDIRECTIONAL",
     .help = "Whether a classic group becomes a consumer group when a member of that protocol joins it "
             "(upgrade), and goes back when the last one has left (downgrade)."},
    INT("group.streams.heartbeat.interval.ms", "5000", 1, INT32_MAX,
        "How often members of streams groups (KIP-1071) are to send heartbeats."),
    INT("group.streams.session.timeout.ms", "45000", 1, INT32_MAX,
        "How long a member of a streams group may be silent before it is taken for dead."),
    INT("group.streams.max.size", "10000", 1, INT32_MAX,
        "Members of one streams group; more are refused with GROUP_MAX_SIZE_REACHED. Kafka's default is "
        "unlimited."),
    INT("group.streams.num.standby.replicas", "0", 0, 2,
        "Standby replicas of each task with state, unless the group's configuration says otherwise."),
    INT("group.streams.initial.rebalance.delay.ms", "3000", 0, 3600000,
        "How long an empty streams group waits for more members before it gives out tasks."),
    INT("group.share.heartbeat.interval.ms", "5000", 1, INT32_MAX,
        "How often members of share groups (KIP-932) are to send heartbeats."),
    INT("group.share.session.timeout.ms", "45000", 1, INT32_MAX,
        "How long a member of a share group may be silent before it is taken for dead."),
    INT("group.share.max.size", "200", 1, 1000,
        "Members of one share group; more are refused with GROUP_MAX_SIZE_REACHED."),
    INT("groups.per.shard.max", "100000", 1, INT32_MAX,
        "Groups in one shard; further ones are refused with COORDINATOR_NOT_AVAILABLE."),
    INT("offset.metadata.max.bytes", "4096", 0, INT16_MAX,
        "Longest text that may be committed with an offset."),
    INT("offsets.retention.minutes", "10080", 1, INT32_MAX,
        "How long committed offsets are kept once a group is empty (or, without members, since the commit)."),
    INT("offsets.retention.check.interval.ms", "600000", 1, INT32_MAX,
        "How often offsets are looked at for that."),
    INT("transaction.max.timeout.ms", "900000", 1, INT32_MAX,
        "Longest time-out a transactional producer may ask for."),
    INT("transactional.id.expiration.ms", "604800000", 1, INT64_MAX / 1000,
        "How long a transactional id without a transaction is remembered."),
    INT("transaction.remove.expired.transaction.cleanup.interval.ms", "3600000", 1, INT32_MAX,
        "How often transactional ids are looked at for that."),
    INT("millrace.lag.interval.ms", "5000", 100, INT32_MAX,
        "How often the lag of groups is measured. A group that somebody looks at is measured then."),
    INT("millrace.lag.idle.ms", "3600000", 1000, INT64_MAX / 1000,
        "How long a group without members is measured after its last commit or look."),
    INT("millrace.lag.partitions.max", "100000", 1, INT32_MAX,
        "Partitions whose lag is measured, of all groups together; what is beyond is left out and counted."),
    INT("millrace.lag.metrics.partitions.max", "1000", 0, INT32_MAX,
        "Of these, how many have rows on /metrics. Groups are shown whole; what is left out is counted."),
    INT("share.partitions.per.shard.max", "100000", 1, INT32_MAX,
        "Share partitions (KIP-932) in one shard of __share_group_state; further ones are refused with "
        "COORDINATOR_NOT_AVAILABLE."),
    INT("transactional.ids.per.shard.max", "100000", 1, INT32_MAX,
        "Transactional ids in one shard; further ones are refused with COORDINATOR_NOT_AVAILABLE."),
};
const size_t coordinator_config_count = sizeof coordinator_config_rows / sizeof *coordinator_config_rows;
