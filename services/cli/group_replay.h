// SPDX-License-Identifier: Apache-2.0
// millrace group replay GROUP: the records of a share group's dead-letter topic go back to where they came
// from.
#ifndef CLI_GROUP_REPLAY_H
#define CLI_GROUP_REPLAY_H

#include "cli.h"

enum cli_exit group_replay(int argc, char **argv);

#endif
