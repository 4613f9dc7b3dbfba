// SPDX-License-Identifier: Apache-2.0
// What a registry can do, as a table: method and path of Confluent's REST interface, who may do it, whether
// it writes (then the owner of the topic does it), and the function. rest.c makes its routes of it, the rpc
// service finds operations by name.
#ifndef REGISTRY_OPERATIONS_H
#define REGISTRY_OPERATIONS_H

#include "call.h"

// What a caller needs the right for, beside the subject.
enum permission { PERMIT_NOTHING, PERMIT_READ, PERMIT_WRITE, PERMIT_DELETE, PERMIT_CONFIG };

// The topic an operation writes to; of one that reads, where what it looks for is kept.
enum operation_store { STORE_SCHEMAS, STORE_KEYS, STORES };

// Fills in answer and records of the call.
typedef void operation_fn(struct call *call);

struct operation {
    const char *name;   // sent to other processes: never changed
    const char *method; // HTTP
    const char *path;   // with {subject} {version} {id} {guid} {context} {name} {namespace}
    operation_fn *run;
    bool write;
    bool again; // of a write: a second run gives the same answer
    enum permission permission;
    enum operation_store store;
    bool asks; // for permission by itself, when it has read the subject in its body
};

extern const struct operation operations[];
extern const size_t operation_count;

// Not of the REST interface: what storage nodes ask (locate.h). Found by its name as well.
extern const struct operation operation_locate;

const struct operation *operation_find(const char *name);

// The subject that a name stands for if it is an alias, of keys one with aliasForDeks. call->operation is set.
const char *operation_subject(struct call *call, const char *subject);

// Asks whether the operation may be done to that subject. False: answered.
bool operation_permitted(struct call *call, const char *subject);

// Asks for permission and runs call->operation, on the subject that the call's is an alias of, if it is one.
void operation_run(struct call *call);

// Runs an operation as a part of another one: what it writes becomes outer's. inner: call_init'ed, with what
// its request says; what it answers is in there, and is the caller's to free (call_fini). Its subject is the
// one that is meant: the outer operation has followed its alias, if it has one.
void operation_run_inside(struct call *outer, struct call *inner, const char *operation);

// Runs operations of a call (operation_run_inside) whose answers and records count for nothing.
typedef void operation_parts_fn(struct call *call, void *context);
// Has the parts of an operation ask for what is too dear for the loop (chores.h) before the first of them is
// settled: an operation that has settled something is not run again, but answered 50002. False: there is
// something to be done first, or it is too much (42209); the operation is to return.
bool operation_rehearse(struct call *call, operation_parts_fn *parts, void *context);

// ---- the functions; one file per resource ----
// op_subjects.c
operation_fn op_list_subjects, op_look_up, op_delete_subject, op_latest_with_metadata;
// op_versions.c
operation_fn op_list_versions, op_get_version, op_get_version_schema, op_referenced_by, op_delete_version;
// op_register.c
operation_fn op_register;
// op_schemas.c
operation_fn op_list_schemas, op_types, op_get_schema, op_get_schema_text, op_schema_subjects,
    op_schema_versions, op_get_guid, op_guid_ids;
// op_compatibility.c
operation_fn op_compatible_with_version, op_compatible_with_all;
// op_config.c
operation_fn op_get_config, op_put_config, op_delete_config;
// op_mode.c
operation_fn op_get_mode, op_put_mode, op_delete_mode;
// op_contexts.c
operation_fn op_list_contexts, op_delete_context;
// op_locate.c
operation_fn op_locate;
// op_tags.c
operation_fn op_tag_version;
// op_associations.c, op_associate.c, op_association_batch.c
operation_fn op_subject_associations, op_name_associations, op_resource_associations, op_delete_associations;
operation_fn op_create_association, op_put_association;
operation_fn op_batch_get_associations, op_mutate_associations;
// op_keks.c
operation_fn op_list_keks, op_get_kek, op_create_kek, op_put_kek, op_delete_kek, op_undelete_kek, op_test_kek;
// op_deks.c
operation_fn op_list_deks, op_list_dek_versions, op_get_dek, op_create_dek;
operation_fn op_delete_dek, op_delete_dek_version, op_undelete_dek, op_undelete_dek_version;
// op_server.c
operation_fn op_root, op_server_id, op_server_version, op_deployment, op_openapi;

#endif
