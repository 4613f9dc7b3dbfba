// SPDX-License-Identifier: Apache-2.0
// Names of fields that the property confluent:reserved of a schema's metadata keeps, with commas between: no
// field may have one, and a later version may not give one up (Confluent's validateFields).
#ifndef REGISTRY_RESERVED_H
#define REGISTRY_RESERVED_H

#include "comparison.h"

enum { RESERVED_MAX = 100 }; // names of one schema; those behind are not looked at

// Adds what is wrong. metadata, before: JSON texts of the schema's and of the version before it; NULL: none.
void reserved_check(const struct schema *schema, const char *metadata, const char *before,
                    struct messages *messages);

#endif
