// SPDX-License-Identifier: Apache-2.0
// Reading and changing parameters of topics, brokers and groups over the Kafka protocol; shared by `config`
// and `topic alter`.
#ifndef CLI_CONFIGS_H
#define CLI_CONFIGS_H

#include "admin.h"

enum config_target_type { CONFIG_TARGET_TOPIC = 2, CONFIG_TARGET_BROKER = 4, CONFIG_TARGET_GROUP = 32 };

struct config_target {
    enum config_target_type type; // Kafka's resource type
    const char *name;             // "" with BROKER: the default of all brokers
};

// Splits KEY=VALUE; a message is printed when there is no '='.
enum cli_exit config_split(const char *text, struct slice *key, struct slice *value);

// sets: KEY=VALUE, removes: KEY; all of them or none.
enum cli_exit config_alter(struct admin *admin, const struct config_target *target,
                           const struct cli_many *sets, const struct cli_many *removes);

// The node that answers for a target: a broker for itself, any for the rest.
int32_t config_node(const struct config_target *target);

#endif
