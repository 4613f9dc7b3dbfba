// SPDX-License-Identifier: Apache-2.0
// The parts of `millrace topic` that move partitions and their leaders.
#ifndef CLI_REASSIGN_H
#define CLI_REASSIGN_H

#include "cli.h"

cli_fn topic_reassign, topic_reassignments, topic_elect;

#endif
