// SPDX-License-Identifier: Apache-2.0
// Records of `_schemas` as bytes, in the JSON form Confluent's registry reads and writes (SchemaKey,
// ConfigKey, ModeKey, DeleteSubjectKey, ClearSubjectKey, ContextKey,
// AssociationKey, NoopKey and their values): a key is one
// line with fields in a fixed order, because compaction compares keys as bytes. Reading takes fields in any
// order and passes over unknown ones.
#ifndef REGISTRY_RECORD_H
#define REGISTRY_RECORD_H

#include "base/buf.h"
#include "fingerprint.h"

enum record_kind {
    RECORD_SCHEMA,
    RECORD_CONFIG,
    RECORD_MODE,
    RECORD_DELETE_SUBJECT, // all versions up to one are deleted, softly
    RECORD_CLEAR_SUBJECT,  // deleted versions are forgotten; only Confluent writes it
    RECORD_CONTEXT,
    RECORD_ASSOCIATION, // key and value: associations.h
    RECORD_NOOP
};

struct record_key {
    enum record_kind kind;
    const char *subject; // "" of CONFIG and MODE: global; CONTEXT: the context's name
    int32_t version;     // of RECORD_SCHEMA
    char *texts;         // owned; what the others point at
};

// MALFORMED: not JSON or a field is missing; UNSUPPORTED: a keytype nobody knows here. record_key_free after
// ST_OK.
enum status record_key_read(struct slice key, struct record_key *parsed);
void record_key_free(struct record_key *parsed);

// A value of RECORD_SCHEMA, taken apart.
struct record_value {
    int32_t id;
    bool deleted;
    struct content content;
    struct state_reference *references; // owned
    cJSON *reference_list;              // owned; NULL: none
    char *metadata, *rule_set;          // owned
    char *texts;                        // owned; what the others point at
};

// MALFORMED: not a JSON object, or without id or schema. record_value_free in any case.
enum status record_value_parse(struct slice bytes, struct record_value *value);
void record_value_free(struct record_value *value);

// Appends a key. subject as in struct record_key.
void record_put_key(struct buf *out, enum record_kind kind, const char *subject, int32_t version);

// Appends the value of RECORD_SCHEMA.
struct record_schema {
    const char *subject;
    int32_t version, id;
    bool deleted;
    struct content content;
};
void record_put_schema(struct buf *out, const struct record_schema *schema);

// Appends ,"references":[...] and so on, as records and answers have them; the type when it is not AVRO or
// when avro is set.
void record_put_content(struct buf *out, const struct content *content, bool avro);

// The values of the others.
void record_put_mode(struct buf *out, const char *subject, const char *mode);
void record_put_delete_subject(struct buf *out, const char *subject, int32_t version);
// id_max: kept here because no other record is left of an id whose versions are all deleted for good; a field
// of ours that Confluent's registry passes over. deleted, another one: the context is not listed, the id
// stays.
void record_put_context(struct buf *out, const char *context, int32_t id_max, bool deleted);

// Appends ,"name":"text".
void record_put_member(struct buf *out, const char *name, const char *text);

#endif
