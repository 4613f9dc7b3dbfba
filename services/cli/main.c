// SPDX-License-Identifier: Apache-2.0
// millrace: the command line. One command, one file cmd_NAME.c; this is the table. The local cluster's
// commands come first, then those that speak the Kafka protocol with any cluster (--bootstrap).
#include "commands.h"

int main(int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"up", cmd_up, "start a local cluster and keep it running"},
        {"down", cmd_down, "stop it"},
        {"status", cmd_status, "what its daemons are doing"},
        {"logs", cmd_logs, "what its daemons say"},
        {"produce", cmd_produce, "lines become records"},
        {"consume", cmd_consume, "records become lines"},
        {"topic", cmd_topic, "create, list, describe, alter, reassign, delete topics"},
        {"group", cmd_group, "list, describe, reset, delete consumer groups"},
        {"txn", cmd_txn, "list, describe, abort transactions"},
        {"why", cmd_why, "why a group, topic or transaction does not advance"},
        {"perf", cmd_perf, "throughput and latency of a topic"},
        {"quorum", cmd_quorum, "the controllers, who leads, who is behind"},
        {"features", cmd_features, "levels of cluster-wide features"},
        {"schema", cmd_schema, "list, register, check, compare, delete schemas"},
        {"config", cmd_config, "parameters of topics, brokers, groups"},
        {"node", cmd_node, "list, drain, remove storage nodes"},
        {"storage", cmd_storage, "a stopped node's data directory: adopt Kafka's partitions, recover"},
        {"keygen", cmd_keygen, "keys for the network between daemons"},
        {"version", cmd_version, "the version of this program"},
    };
    return (int)cli_dispatch("millrace", commands, sizeof commands / sizeof *commands, argc, argv);
}
