// SPDX-License-Identifier: Apache-2.0
// What every registry holds at the end: the checkers "schemas-lost" (all that was acknowledged is there,
// under its id) and "schema-ids" (the ids of a context are dense).
#ifndef SIM_CHECK_SCHEMAS_H
#define SIM_CHECK_SCHEMAS_H

#include "schema_facts.h"

// All registries run and have come to rest.
void check_schemas(const struct cluster *cluster, struct schema_facts *facts);

#endif
