// SPDX-License-Identifier: Apache-2.0
// millrace quorum add and remove (KIP-853). See quorum_change.c.
#ifndef CLI_QUORUM_CHANGE_H
#define CLI_QUORUM_CHANGE_H

#include "cli.h"

cli_fn quorum_add, quorum_remove;

#endif
