// SPDX-License-Identifier: Apache-2.0
// What the registry knows, built from the records of `_schemas` and from nothing else: state_apply is the
// only writer, live and at replay, so every process that has read the same records has the same state.
// Readers get const pointers that stay valid until the next state_apply or state_clear.
//
// A schema (its text, references, metadata and rules) has one id per context, and may stand as a version
// under any number of subjects of that context. Deleted versions stay until their record is a tombstone.
#ifndef REGISTRY_STATE_H
#define REGISTRY_STATE_H

#include "associations.h"
#include "base/map.h"
#include "base/status.h"
#include "names.h"
#include "schema_table.h"

#include <cjson/cJSON.h>

struct state_reference {
    const char *name;    // as the schema says it
    const char *subject; // as registered: without context it is of the referring schema's
    int32_t version;     // -1: the latest; only of what another registry wrote
};

struct state_context;
struct state_subject;
struct state_version;

struct state_schema { // one piece of memory, with everything it points at
    struct state_context *context;
    int32_t id;
    uint8_t guid[STATE_GUID_SIZE]; // of the content: see fingerprint.h
    const char *type;              // "AVRO", "JSON", "PROTOBUF", or what another registry wrote
    const char *text;
    const struct state_reference *references;
    size_t reference_count;
    const char *metadata, *rule_set;   // JSON objects as text; NULL: none
    const struct state_version *first; // versions that are this schema, by their `same`
    size_t uses;
};

struct state_version {
    const struct state_subject *subject;
    const struct state_schema *schema;
    int32_t version;
    bool deleted;
    int64_t timestamp_ms;
    struct state_version *same, *same_before; // other versions with this schema
};

struct state_subject {
    const char *name; // qualified
    struct state_context *context;
    struct state_version **versions; // ascending
    size_t count, cap;
    size_t live; // versions not deleted
};

struct state_context {
    const char *name; // ".", ".other"
    struct schema_table by_id, by_guid;
    int32_t id_max;  // highest id ever given; 0: none
    bool noted;      // a CONTEXT record names it
    size_t subjects; // with at least one version, deleted or not
};

enum state_mode {
    MODE_NONE,
    MODE_READWRITE,
    MODE_READONLY,
    MODE_READONLY_OVERRIDE,
    MODE_IMPORT,
    MODE_FORWARD
};

struct state;

struct state *state_new(void);
void state_destroy(struct state **state);
void state_clear(struct state *state); // as new

// A record of the topic. value.data NULL: a tombstone. MALFORMED: not a record of ours or of Confluent's;
// MISMATCH: another schema has this id. Nothing is changed then, and the record is to be passed over, as
// Confluent's registry does.
enum status state_apply(struct state *state, int64_t timestamp_ms, struct slice key, struct slice value);

// ---- reading ----
// subject: qualified and normalised (names.h).
const struct state_subject *state_subject(const struct state *state, const char *subject);
size_t state_subject_count(const struct state *state);
// All subjects with a version, ascending by name; valid until the next state_apply.
const struct state_subject *const *state_subjects(struct state *state, size_t *count);
const struct state_version *state_version(const struct state_subject *subject, int32_t version);
// The highest version that is not deleted; NULL when there is none.
const struct state_version *state_latest(const struct state_subject *subject);
// The version of the subject that is this schema (a live one rather than a deleted one); NULL: none.
const struct state_version *state_version_of(const struct state_subject *subject,
                                             const struct state_schema *schema);

const struct state_context *state_context(const struct state *state, struct slice name);
// Contexts in the order they became known, the default one first: start with *cursor = NULL.
bool state_context_next(const struct state *state, struct map_entry **cursor,
                        const struct state_context **context);
const struct state_schema *state_schema(const struct state_context *context, int32_t id);
const struct state_schema *state_schema_by_guid(const struct state_context *context,
                                                const uint8_t guid[STATE_GUID_SIZE]);
// Ids of schemas of live versions that refer to a version of a subject, ascending; *count may be 0.
const int32_t *state_referrers(const struct state *state, const char *subject, int32_t version,
                               size_t *count);
const struct associations *state_associations(const struct state *state);
size_t state_schema_count(const struct state *state);

// name: a subject, ":.context:", or "" for the global ones. config: the object of the record's value, NULL
// when none is set; MODE_NONE likewise.
const cJSON *state_config(const struct state *state, const char *name);
enum state_mode state_mode(const struct state *state, const char *name);
// Names that have a config, in the order they got it: start with *cursor = NULL.
bool state_config_next(const struct state *state, struct map_entry **cursor, struct slice *name,
                       const cJSON **config);
bool state_mode_next(const struct state *state, struct map_entry **cursor, struct slice *name);

const char *state_mode_name(enum state_mode mode);
// MODE_NONE for a text that is none.
enum state_mode state_mode_find(const char *name);

#endif
