// SPDX-License-Identifier: Apache-2.0
// What clients are told of a controller's configuration is what it has.
#include "controller.h"
#include "declared.h"

Test(declared, what_a_controller_reads_is_told_with_its_default)
{
    declared_check(controller_config_rows, controller_config_count);
    declared_check_use(controller_config_rows, controller_config_count, CONFIGS_BY_CONTROLLER);
}
