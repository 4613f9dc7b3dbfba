// SPDX-License-Identifier: Apache-2.0
// Metadata and rule sets of schemas (Confluent's data contracts): checked, merged with what a config says,
// and printed in one form, since they are part of what makes two schemas the same. Nobody runs rules here:
// clients do.
#ifndef REGISTRY_CONTRACT_H
#define REGISTRY_CONTRACT_H

#include "call.h"

// Entries of a list of rules or a part of metadata; ours: they are compared in pairs.
enum { CONTRACT_ENTRIES_MAX = 1000 };

// A copy with known fields only, in Confluent's order (tags, properties, sensitive), maps sorted by key.
// cJSON_Delete it. NULL for NULL and for what is no object.
cJSON *contract_metadata(const cJSON *given);

// newer over older, either may be NULL: entries of tags and properties replace those of the same name,
// sensitive is the union. A copy to be deleted; NULL when both are.
cJSON *contract_merge_metadata(const cJSON *older, const cJSON *newer);

// What is wrong with metadata, in words; NULL: nothing.
const char *contract_metadata_wrong(const cJSON *metadata);

// A copy without what is null. NULL for what is no object.
cJSON *contract_rules(const cJSON *given);

// Rules of newer replace those of the same name.
cJSON *contract_merge_rules(const cJSON *older, const cJSON *newer);
// Takes the rules of that name away; NULL has none.
void contract_remove_rules(cJSON *rule_set, const char *name);

// What is wrong with a rule set, in words; NULL: nothing.
const char *contract_rules_wrong(const cJSON *rule_set);
// The same of its size only: another registry's rules may be of kinds that are not known here.
const char *contract_rules_many(const cJSON *rule_set);

// Whether the metadata's property has the value.
const char *contract_property(const cJSON *metadata, const char *name);

#endif
