// SPDX-License-Identifier: Apache-2.0
// millrace group lag; in a file of its own because it asks the coordinators' admin ports, not the brokers.
#ifndef CLI_GROUP_LAG_H
#define CLI_GROUP_LAG_H

#include "cli.h"

cli_fn group_lag;

#endif
