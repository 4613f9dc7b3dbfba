// SPDX-License-Identifier: Apache-2.0
// Which subject belongs to which resource (a topic's key or value), as the ASSOC records of `_schemas` say:
// Confluent's AssociationKey and AssociationValue. A part of the state (state.h), which alone changes it;
// readers get const pointers that stay valid until the next record is applied.
#ifndef REGISTRY_ASSOCIATIONS_H
#define REGISTRY_ASSOCIATIONS_H

#include "base/buf.h"
#include "base/map.h"

#include <cjson/cJSON.h>

// What associations are found by.
enum association_index { BY_SUBJECT, BY_RESOURCE_ID, BY_RESOURCE_NAME, ASSOCIATION_INDEXES };

// One of them, without its places in the indexes; what is made of it are the bytes of a record.
struct association_fields {
    const char *subject; // qualified
    const char *guid;    // of the association itself
    const char *resource_name, *resource_namespace, *resource_id;
    const char *resource_type; // "topic"
    const char *type;          // "key" or "value"
    bool strong;               // lives and dies with the resource
    bool frozen;               // may not be changed
};

struct association {
    struct association_fields is;
    const char *record_key;                        // the bytes of its record's key
    struct association *next[ASSOCIATION_INDEXES]; // others with the same text there
    struct association *previous[ASSOCIATION_INDEXES];
};

struct associations {
    struct map all;                        // by resource name, namespace, type, kind, subject
    struct map first[ASSOCIATION_INDEXES]; // by the text
};

void associations_init(struct associations *all);
void associations_fini(struct associations *all);

// A record, its value parsed; NULL: a tombstone. MALFORMED: something is missing; nothing is changed.
enum status associations_apply(struct associations *all, struct slice key, const cJSON *value);

// The first one with this text; go on by its next[index]. NULL: none.
const struct association *associations_first(const struct associations *all, enum association_index index,
                                             const char *text);
size_t associations_count(const struct associations *all);

// Appends key and value of a record.
void association_put_key(struct buf *out, const struct association_fields *fields);
void association_put_value(struct buf *out, const struct association_fields *fields);

#endif
