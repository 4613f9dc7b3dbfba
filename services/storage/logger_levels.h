// SPDX-License-Identifier: Apache-2.0
// The level of this node's diagnostics as clients see it: BROKER_LOGGER resources of DescribeConfigs and
// IncrementalAlterConfigs. There is one logger. What is set holds until the process ends, as in Kafka;
// log.level is what it starts with.
#ifndef STORAGE_LOGGER_LEVELS_H
#define STORAGE_LOGGER_LEVELS_H

#include "request.h"

#define LOGGER_ROOT "root"

// "DEBUG", "INFO", "WARN" or "ERROR".
const char *logger_level_text(const struct storage *storage);

// IncrementalAlterConfigs of loggers is answered here, that of everything else by the active controller.
void handle_incremental_alter_configs(struct storage_request *request);

#endif
