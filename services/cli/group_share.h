// SPDX-License-Identifier: Apache-2.0
// Share groups (KIP-932) on the command line: where they are is known to share coordinators, as a start
// offset and how many records behind it are not over, not as committed offsets.
#ifndef CLI_GROUP_SHARE_H
#define CLI_GROUP_SHARE_H

#include "admin.h"

// Shows members, start offsets and lag when the group is a share group, which *found tells. A message is
// printed on failure.
enum cli_exit group_share_describe(struct admin *admin, const char *name, bool json, bool *found);

#endif
