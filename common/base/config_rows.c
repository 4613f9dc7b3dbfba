// SPDX-License-Identifier: Apache-2.0
// Two tables: the parameters every daemon has, and the names Apache Kafka knows, so that an existing
// server.properties starts with a warning per key that means nothing here, while a misspelt key of ours is
// still told apart. See config.h.
#include "base/config.h"

const struct config_row config_common_rows[] = {
    {.key = "node.id",
     .type = CONFIG_INT,
     .fallback = "-1",
     .min = -1,
     .max = INT32_MAX,
     .help =
         "Id of this node, unique over all daemons of the cluster; -1: the controller gives one, which the "
         "data directory keeps."},
    {.key = "rpc.listen",
     .type = CONFIG_STRING,
     .fallback = "127.0.0.1:0",
     .help =
         "host:port other daemons reach this one at; port 0 picks a free one. Addresses other than loopback "
         "need keys."},
    {.key = "rpc.advertised",
     .type = CONFIG_STRING,
     .help = "host:port told to other daemons instead of the bound one (containers)."},
    {.key = "rpc.calls.per.peer.max",
     .type = CONFIG_INT,
     .fallback = "16384",
     .min = 64,
     .max = 32768,
     .help = "Calls in progress to or from one other daemon, among them each JoinGroup that waits at a "
             "coordinator; four times as many with all. What is beyond waits at its sender."},
    {.key = "rpc.keys.dir",
     .type = CONFIG_STRING,
     .help = "Directory with the public CURVE keys of all daemons (millrace keygen); empty: no encryption, "
             "loopback only."},
    {.key = "rpc.key.file", .type = CONFIG_STRING, .help = "This daemon's own secret CURVE key (NAME.key)."},
    {.key = "admin.listen",
     .type = CONFIG_STRING,
     .fallback = "127.0.0.1:0",
     .help = "host:port of /metrics and /health over HTTP; port 0 picks a free one."},
    {.key = "run.dir",
     .type = CONFIG_STRING,
     .help = "Directory for the sockets of 'millrace status' (owner only); empty: no survey."},
    {.key = "host.name",
     .type = CONFIG_STRING,
     .help = "Name of the machine, for placement over hosts; empty: what the system says."},
    {.key = "broker.rack", .type = CONFIG_STRING, .help = "Rack of this node, for placement over racks."},
    {.key = "controller.quorum.bootstrap.servers",
     .type = CONFIG_LIST,
     .help =
         "host:port of the controllers' rpc, comma-separated; id@host:port where the controllers have keys "
         "of their own."},
    {.key = "log.level",
     .type = CONFIG_STRING,
     .fallback = "info",
     .change = CONFIG_HOT,
     .choices = "debug|info|warn|error",
     .help = "Least level of the lines written to standard error."},
};
const size_t config_common_count = sizeof config_common_rows / sizeof *config_common_rows;

// Beginnings of families: keys of these are Kafka's whatever follows.
static const char *const kafka_prefixes[] = {
    "listener.name.",   "ssl.",        "sasl.",       "zookeeper.",         "kafka.metrics.",
    "metric.reporters", "metrics.",    "remote.log.", "rsm.config.",        "rlmm.config.",
    "transaction.",     "group.",      "quota.",      "replication.quota.", "controller.",
    "replica.",         "log.",        "metadata.",   "share.coordinator.", "offsets.",
    "password.",        "delegation.", "socket.",     "telemetry.",         "producer.",
    "connections.",     "alter.",      "auto.",       "unstable.",          "principal.",
    "authorizer.",      "leader.",     "fetch.",      "follower.",          "inter.broker.",
    "security.",        "client.",     "confluent.",  "early.start.",       "eligible.leader.",
    "initial.broker.",  "broker.",     "errors.",     "reserved.broker.",   "queued.",
};

static const char *const kafka_names[] = {
    "advertised.listeners",
    "background.threads",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "control.plane.listener.name",
    "create.topic.policy.class.name",
    "default.replication.factor",
    "delete.records.purgatory.purge.interval.requests",
    "delete.topic.enable",
    "early.start.listeners",
    "listener.security.protocol.map",
    "listeners",
    "max.connection.creation.rate",
    "max.connections",
    "max.connections.per.ip",
    "max.connections.per.ip.overrides",
    "max.incremental.fetch.session.cache.slots",
    "max.request.partition.size.limit",
    "message.max.bytes",
    "min.insync.replicas",
    "node.id",
    "num.io.threads",
    "num.network.threads",
    "num.partitions",
    "num.recovery.threads.per.data.dir",
    "num.replica.alter.log.dirs.threads",
    "num.replica.fetchers",
    "process.roles",
    "request.timeout.ms",
    "super.users",
    "allow.everyone.if.no.acl.found",
    "unclean.leader.election.enable",
    "unclean.leader.election.interval.ms",
    "add.partitions.to.txn.retry.backoff.ms",
    "default.api.timeout.ms",
    "replica.fetch.min.bytes",
    "replica.fetch.max.bytes",
    "group.min.session.timeout.ms",
    "group.max.session.timeout.ms",
    "replica.lag.time.max.ms",
    "replica.socket.timeout.ms",
    "log.roll.ms",
    "log.roll.hours",
    "log.retention.ms",
    "log.retention.minutes",
    "log.retention.hours",
    "log.retention.bytes",
    "log.segment.bytes",
    "log.segment.delete.delay.ms",
    "log.cleaner.enable",
    "log.cleaner.min.compaction.lag.ms",
    "log.cleaner.max.compaction.lag.ms",
    "log.dir",
    "log.dirs",
    "enable.metrics.push",
};

bool config_is_kafka_key(const char *key)
{
    for (size_t i = 0; i < sizeof kafka_names / sizeof *kafka_names; i++)
        if (strcmp(kafka_names[i], key) == 0)
            return true;
    return false;
}

bool config_is_kafka_family(const char *key)
{
    for (size_t i = 0; i < sizeof kafka_prefixes / sizeof *kafka_prefixes; i++)
        if (strncmp(kafka_prefixes[i], key, strlen(kafka_prefixes[i])) == 0)
            return true;
    return false;
}
