// SPDX-License-Identifier: Apache-2.0
// What clients are told of a storage node's configuration is what it has.
#include "declared.h"
#include "storage.h"

Test(declared, what_a_storage_node_reads_is_told_with_its_default)
{
    declared_check(storage_config_rows, storage_config_count);
}
