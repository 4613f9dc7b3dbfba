// SPDX-License-Identifier: Apache-2.0
// Share groups (KIP-932) on the command line: where they are is known to share coordinators, as a start
// offset and how many records behind it are not over, not as committed offsets.
#ifndef CLI_GROUP_SHARE_H
#define CLI_GROUP_SHARE_H

#include "admin.h"
#include "offsets.h"

// Shows members, start offsets and lag when the group is a share group, which *found tells. A message is
// printed on failure.
enum cli_exit group_share_describe(struct admin *admin, const char *name, bool json, bool *found);

// Where a share group is in everything it reads: committed is the first record that is not over, -1 where it
// has not begun. *found: false when there is no such share group.
enum cli_exit group_share_offsets(struct admin *admin, int32_t coordinator, const char *name,
                                  struct offset_list *list, bool *found);
// Has the group, which must be without members, begin at wanted (AlterShareGroupOffsets).
enum cli_exit group_share_alter(struct admin *admin, int32_t coordinator, const char *name,
                                const struct offset_list *list);

#endif
