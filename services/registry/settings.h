// SPDX-License-Identifier: Apache-2.0
// The parameters of a registry, with Confluent's names where the thing is Confluent's.
#ifndef REGISTRY_SETTINGS_H
#define REGISTRY_SETTINGS_H

#include "base/config.h"

extern const struct config_row registry_config_rows[];
extern const size_t registry_config_count;

struct settings {
    const char *level;       // schema.compatibility.level
    bool mode_mutable;       // mode.mutability
    bool validate_fields;    // schema.validate.fields
    int64_t schemas_max;     // of one page: schema.search.max.limit
    int64_t subjects_max;    // subject.search.max.limit
    int64_t versions_max;    // subject.version.search.max.limit
    int64_t references_max;  // of one schema, indirect ones counted
    int64_t reference_depth; // references of references
    int64_t body_max;        // bytes
    int64_t associations_max;
    int64_t keys_max;         // KEKs, and DEKs: dek.registry.max.keys
    int64_t keys_page_max;    // of one page
    const char *local_secret; // of local-kms; "" when there is none. Never told to anybody
};

struct settings settings_of(const struct config *config);

#endif
