// SPDX-License-Identifier: Apache-2.0
// The commands of main.c's table, each in cmd_NAME.c.
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli.h"

cli_fn cmd_up, cmd_down, cmd_status, cmd_logs, cmd_produce, cmd_consume, cmd_topic, cmd_group, cmd_config,
    cmd_txn, cmd_why, cmd_perf, cmd_quorum, cmd_features, cmd_node, cmd_keygen, cmd_storage, cmd_version, cmd_schema;

#endif
