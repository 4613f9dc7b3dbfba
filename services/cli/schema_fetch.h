// SPDX-License-Identifier: Apache-2.0
// A schema out of the registry, parsed, with all it refers to.
#ifndef CLI_SCHEMA_FETCH_H
#define CLI_SCHEMA_FETCH_H

#include "schema.h"

#include "schema/claim.h"
#include "schema/schema.h"

// Gets the schema of an id; subject says in whose context the id is (Confluent's clients ask so, too). On
// success *schema is the caller's (schema_free) and *bytes the length of its texts. Otherwise a message was
// printed: FAILED when the registry has no such schema or it cannot be used here, ABSENT and TIMEOUT when the
// registry does not answer.
enum cli_exit schema_fetch(const struct schema_options *options, const struct schema_id *id,
                           const char *subject, struct schema **schema, size_t *bytes);

// Makes *id, a number, the guid of the same schema. FAILED, told, also when the registry knows no guids.
enum cli_exit schema_fetch_guid(const struct schema_options *options, const char *subject,
                                struct schema_id *id);

#endif
