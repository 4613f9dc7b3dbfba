// SPDX-License-Identifier: Apache-2.0
// What clients are told of a coordinator's configuration is what it has.
#include "coordinator.h"
#include "declared.h"

Test(declared, what_a_coordinator_reads_is_told_with_its_default)
{
    declared_check(coordinator_config_rows, coordinator_config_count);
    declared_check_use(coordinator_config_rows, coordinator_config_count, CONFIGS_BY_COORDINATOR);
}
