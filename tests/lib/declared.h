// SPDX-License-Identifier: Apache-2.0
// Holds the rows a daemon declares against the table of Kafka's node keys (common/cluster/configs.h): a key
// of both must be told as read by somebody, with the daemon's own default.
#ifndef TESTS_DECLARED_H
#define TESTS_DECLARED_H

#include "base/config.h"
#include "cluster/configs.h"

#include <criterion/criterion.h>

static inline void declared_check(const struct config_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct configs_key *key = configs_node_key(slice_str(rows[i].key));
        if (key == NULL)
            continue;
        cr_expect_leq(key->use, CONFIGS_BY_COORDINATOR, "configs_node.c says that nobody reads %s",
                      key->name);
        const char *own = rows[i].fallback != NULL ? rows[i].fallback : "";
        const char *told = key->fallback != NULL ? key->fallback : "";
        cr_expect_str_eq(told, own, "default of %s", key->name);
    }
}

// The other way round: what is told as read by the daemon is declared by it.
static inline void declared_check_use(const struct config_row *rows, size_t count, enum configs_use use)
{
    for (int i = 0; i < configs_node_count; i++) {
        bool found = configs_node_keys[i].use != use;
        for (size_t k = 0; k < count; k++)
            found |= strcmp(rows[k].key, configs_node_keys[i].name) == 0;
        cr_expect(found, "%s is not declared", configs_node_keys[i].name);
    }
}

#endif
