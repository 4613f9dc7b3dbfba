// SPDX-License-Identifier: Apache-2.0
// `millrace topic delete-records`, a subcommand of cmd_topic.c.
#ifndef CLI_DELETE_RECORDS_H
#define CLI_DELETE_RECORDS_H

#include "cli.h"

cli_fn topic_delete_records;

#endif
