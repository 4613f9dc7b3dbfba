// SPDX-License-Identifier: Apache-2.0
// What a group's configuration values must be to one another and to the limits of nodes.
#ifndef CONTROLLER_GROUP_CONFIGS_H
#define CONTROLLER_GROUP_CONFIGS_H

#include "decision.h"
#include "topics.h"

// Looks at the values that the group has once the decision's records are applied. false: INVALID_CONFIG with
// Kafka's words (GroupConfig.validateValues).
bool group_configs_check(const struct image *image, const char *group, const struct decision *decision,
                         struct topics_error *error);

#endif
