// SPDX-License-Identifier: Apache-2.0
// What operations on associations share: finding them by the arguments of a request, their shapes in
// answers, and making them (op_associations.c, op_association_batch.c).
#ifndef REGISTRY_ASSOCIATE_H
#define REGISTRY_ASSOCIATE_H

#include "call.h"

// Which associations are meant. Texts are borrowed.
struct association_filter {
    const char *resource_type; // NULL: any
    const char *types[8];      // kinds, any of them; none: all
    size_t type_count;
    const char *lifecycle; // "STRONG" or "WEAK"; NULL: both
};

// The filter of a request's arguments: resourceType (default "topic"), associationType, lifecycle. False:
// answered 404, as Confluent's router does for a lifecycle it does not know.
bool associate_read_filter(struct call *call, struct association_filter *filter);
// The same of an object's members resourceType, associationTypes and lifecycle.
bool associate_filter_of(struct call *call, const cJSON *object, struct association_filter *filter);

// Those found under text in the index, in a fixed order, in the call's arena. name_space: of the resource;
// NULL or "-": any. NULL: answered.
const struct association **associate_find(struct call *call, enum association_index index, const char *text,
                                          const char *name_space, const struct association_filter *filter,
                                          size_t *count);

// Associations as a list, and as an AssociationResponse: the resource's members and a list of what it has.
// schema: text of a Schema for each, or NULL.
void associate_put(struct buf *out, const struct association *association);
struct association_resource {
    const char *name, *name_space, *id, *type; // NULL: left out
};
void associate_put_resource(struct buf *out, const struct association_resource *resource);
void associate_put_info(struct buf *out, const struct association_fields *fields, const char *schema);

// *schema: the Schema of the subject's latest version, as get-version answers it, in the call's arena; NULL:
// none. False: answered 50001, the arena is full.
bool associate_schema(struct call *call, const char *subject, const char **schema);

// A property that is not as it should be: answers 42212. False.
bool associate_invalid(struct call *call, const char *property, const char *detail);
// Answers 42205 when the subject cannot be written, 40301 when this caller may not.
bool associate_may_write(struct call *call, const char *subject);

#endif
