// SPDX-License-Identifier: Apache-2.0
// See operations.h.
#include "operations.h"

#include "base/assert.h"
#include "http/json.h"
#include "permit.h"
#include "scope.h"

#define GET(name, path, run)                                                                                 \
    {                                                                                                        \
        name, "GET", path, run, false, false, PERMIT_READ, STORE_SCHEMAS, false                              \
    }
#define FREE(name, path, run)                                                                                \
    {                                                                                                        \
        name, "GET", path, run, false, false, PERMIT_NOTHING, STORE_SCHEMAS, false                           \
    }
#define ASK(name, path, run)                                                                                 \
    {                                                                                                        \
        name, "POST", path, run, false, false, PERMIT_READ, STORE_SCHEMAS, false                             \
    }
#define PUT(name, method, path, run, permission)                                                             \
    {                                                                                                        \
        name, method, path, run, true, true, permission, STORE_SCHEMAS, false                                \
    }
#define ONCE(name, method, path, run, permission)                                                            \
    {                                                                                                        \
        name, method, path, run, true, false, permission, STORE_SCHEMAS, false                               \
    }
#define DELETE(name, path, run, permission)                                                                  \
    {                                                                                                        \
        name, "DELETE", path, run, true, false, permission, STORE_SCHEMAS, false                             \
    }

#define KEYS "/dek-registry/v1/keks"
#define GET_KEY(name, path, run)                                                                             \
    {                                                                                                        \
        name, "GET", KEYS path, run, false, false, PERMIT_READ, STORE_KEYS, false                            \
    }
#define KEY(name, method, path, run, again, permission)                                                      \
    {                                                                                                        \
        name, method, KEYS path, run, true, again, permission, STORE_KEYS, false                             \
    }

const struct operation operations[] = {
    FREE("root", "/", op_root),
    {"root-post", "POST", "/", op_root, false, false, PERMIT_NOTHING, STORE_SCHEMAS, false},
    GET("list-subjects", "/subjects", op_list_subjects),
    ASK("look-up", "/subjects/{subject}", op_look_up),
    DELETE("delete-subject", "/subjects/{subject}", op_delete_subject, PERMIT_DELETE),
    GET("latest-with-metadata", "/subjects/{subject}/metadata", op_latest_with_metadata),
    GET("list-versions", "/subjects/{subject}/versions", op_list_versions),
    PUT("register", "POST", "/subjects/{subject}/versions", op_register, PERMIT_WRITE),
    GET("get-version", "/subjects/{subject}/versions/{version}", op_get_version),
    GET("get-version-schema", "/subjects/{subject}/versions/{version}/schema", op_get_version_schema),
    GET("referenced-by", "/subjects/{subject}/versions/{version}/referencedby", op_referenced_by),
    DELETE("delete-version", "/subjects/{subject}/versions/{version}", op_delete_version, PERMIT_DELETE),
    PUT("tag-version", "POST", "/subjects/{subject}/versions/{version}/tags", op_tag_version, PERMIT_WRITE),
    GET("list-schemas", "/schemas", op_list_schemas),
    FREE("types", "/schemas/types", op_types),
    GET("get-schema", "/schemas/ids/{id}", op_get_schema),
    GET("get-schema-text", "/schemas/ids/{id}/schema", op_get_schema_text),
    GET("schema-subjects", "/schemas/ids/{id}/subjects", op_schema_subjects),
    GET("schema-versions", "/schemas/ids/{id}/versions", op_schema_versions),
    GET("get-guid", "/schemas/guids/{guid}", op_get_guid),
    GET("guid-ids", "/schemas/guids/{guid}/ids", op_guid_ids),
    ASK("compatible-with-version", "/compatibility/subjects/{subject}/versions/{version}",
        op_compatible_with_version),
    ASK("compatible-with-all", "/compatibility/subjects/{subject}/versions", op_compatible_with_all),
    GET("get-config", "/config", op_get_config),
    PUT("put-config", "PUT", "/config", op_put_config, PERMIT_CONFIG),
    DELETE("delete-config", "/config", op_delete_config, PERMIT_CONFIG),
    GET("get-subject-config", "/config/{subject}", op_get_config),
    PUT("put-subject-config", "PUT", "/config/{subject}", op_put_config, PERMIT_CONFIG),
    DELETE("delete-subject-config", "/config/{subject}", op_delete_config, PERMIT_CONFIG),
    GET("get-mode", "/mode", op_get_mode),
    PUT("put-mode", "PUT", "/mode", op_put_mode, PERMIT_CONFIG),
    DELETE("delete-mode", "/mode", op_delete_mode, PERMIT_CONFIG),
    GET("get-subject-mode", "/mode/{subject}", op_get_mode),
    PUT("put-subject-mode", "PUT", "/mode/{subject}", op_put_mode, PERMIT_CONFIG),
    DELETE("delete-subject-mode", "/mode/{subject}", op_delete_mode, PERMIT_CONFIG),
    GET("list-contexts", "/contexts", op_list_contexts),
    DELETE("delete-context", "/contexts/{context}", op_delete_context, PERMIT_DELETE),
    GET("subject-associations", "/associations/subjects/{subject}", op_subject_associations),
    GET("name-associations", "/associations/resources/{namespace}/{name}", op_name_associations),
    GET("resource-associations", "/associations/resources/{id}", op_resource_associations),
    PUT("create-association", "POST", "/associations", op_create_association, PERMIT_WRITE),
    PUT("put-association", "PUT", "/associations/resources/{id}", op_put_association, PERMIT_WRITE),
    DELETE("delete-associations", "/associations/resources/{id}", op_delete_associations, PERMIT_DELETE),
    ASK("batch-get-associations", "/associations:batchGet", op_batch_get_associations),
    ONCE("mutate-associations", "POST", "/associations:batchMutate", op_mutate_associations, PERMIT_WRITE),
    GET_KEY("list-keks", "", op_list_keks),
    KEY("create-kek", "POST", "", op_create_kek, false, PERMIT_WRITE),
    GET_KEY("get-kek", "/{name}", op_get_kek),
    KEY("put-kek", "PUT", "/{name}", op_put_kek, true, PERMIT_WRITE),
    KEY("delete-kek", "DELETE", "/{name}", op_delete_kek, false, PERMIT_DELETE),
    KEY("undelete-kek", "POST", "/{name}/undelete", op_undelete_kek, true, PERMIT_DELETE),
    KEY("test-kek", "POST", "/{name}/test", op_test_kek, true, PERMIT_READ),
    GET_KEY("list-deks", "/{name}/deks", op_list_deks),
    {"create-dek", "POST", KEYS "/{name}/deks", op_create_dek, true, false, PERMIT_WRITE, STORE_KEYS, true},
    GET_KEY("get-dek", "/{name}/deks/{subject}", op_get_dek),
    KEY("create-subject-dek", "POST", "/{name}/deks/{subject}", op_create_dek, false, PERMIT_WRITE),
    KEY("delete-dek", "DELETE", "/{name}/deks/{subject}", op_delete_dek, false, PERMIT_DELETE),
    KEY("undelete-dek", "POST", "/{name}/deks/{subject}/undelete", op_undelete_dek, true, PERMIT_DELETE),
    GET_KEY("list-dek-versions", "/{name}/deks/{subject}/versions", op_list_dek_versions),
    GET_KEY("get-dek-version", "/{name}/deks/{subject}/versions/{version}", op_get_dek),
    KEY("delete-dek-version", "DELETE", "/{name}/deks/{subject}/versions/{version}", op_delete_dek_version,
        false, PERMIT_DELETE),
    KEY("undelete-dek-version", "POST", "/{name}/deks/{subject}/versions/{version}/undelete",
        op_undelete_dek_version, true, PERMIT_DELETE),
    FREE("openapi", "/openapi.yaml", op_openapi),
    FREE("server-id", "/v1/metadata/id", op_server_id),
    FREE("server-version", "/v1/metadata/version", op_server_version),
    FREE("deployment", "/v1/metadata/deployment", op_deployment),
};
const size_t operation_count = sizeof operations / sizeof *operations;

const struct operation operation_locate = GET("locate", "", op_locate);

const struct operation *operation_find(const char *name)
{
    if (strcmp(name, operation_locate.name) == 0)
        return &operation_locate;
    for (size_t i = 0; i < operation_count; i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

const char *operation_subject(struct call *call, const char *subject)
{
    const char *alias = json_string(state_config(call->state, subject), "alias");
    bool for_keys = call->operation->store == STORE_KEYS;
    if (*subject == '\0' || alias == NULL || *alias == '\0' ||
        (for_keys && !scope_flag(call, subject, "aliasForDeks", false)))
        return subject;
    const char *other = name_of_reference(&call->arena, subject, alias);
    return other != NULL ? other : subject;
}

bool operation_permitted(struct call *call, const char *subject)
{
    const char *own = call->subject;
    call->subject = subject;
    bool may = permitted(call);
    call->subject = own;
    return may || call_fail(call, 40301, "User is denied operation %s on %s", call->operation->name, subject);
}

// In everything but config and mode, which are where the alias is set.
static void follow_alias(struct call *call)
{
    if (call->operation->permission != PERMIT_CONFIG && call->operation->run != op_get_config &&
        call->operation->run != op_get_mode)
        call->subject = operation_subject(call, call->subject);
}

static void run(struct call *call)
{
    if (call->operation->asks || operation_permitted(call, call->subject))
        call->operation->run(call);
    call->later = call->later && call->parsed <= CALL_PARSED_MAX;
    if (call->parsed > CALL_PARSED_MAX)
        call_fail(call, 42209, "The schemas this has to look at have more than %d bytes", CALL_PARSED_MAX);
    else if (call->later)
        call_fail(call, 50001, "The call is to be run again");
    if (buf_status(&call->reply) != ST_OK || buf_status(&call->bytes) != ST_OK)
        call_fail(call, 50001, "The answer or what it writes is too large");
}

void operation_run_inside(struct call *outer, struct call *inner, const char *operation)
{
    inner->operation = operation_find(operation);
    ASSERT(inner->operation != NULL && inner->operation->store == outer->operation->store);
    inner->principal = outer->principal;
    inner->state = outer->state;
    inner->keys = outer->keys;
    inner->settings = outer->settings;
    inner->host = outer->host;
    inner->now_ms = outer->now_ms;
    inner->cluster = outer->cluster;
    inner->parsed = outer->parsed;
    inner->spot_max = outer->spot_max;
    inner->spot = outer->spot;
    inner->chores = outer->chores;
    inner->rehearsal = outer->rehearsal;
    run(inner);
    outer->parsed = inner->parsed;
    outer->spot = inner->spot;
    outer->chores = inner->chores;
    outer->later |= inner->later;
    outer->settled |= inner->settled;
    inner->chores = NULL; // they are the outer's
    for (size_t i = 0; i < inner->record_count && !outer->rehearsal; i++) {
        struct slice key, value;
        call_record_at(inner, i, &key, &value);
        call_put(outer, key, value);
    }
}

bool operation_rehearse(struct call *call, operation_parts_fn *parts, void *context)
{
    bool within = call->rehearsal;
    size_t parsed = call->parsed;
    call->rehearsal = true;
    parts(call, context);
    call->rehearsal = within;
    bool ready = !call->later && call->parsed <= CALL_PARSED_MAX;
    if (ready && !within)
        call->parsed = parsed; // it is counted when it comes in earnest
    return ready;
}

void operation_run(struct call *call)
{
    call->asked = call->subject;
    follow_alias(call);
    run(call);
    call->subject = call->asked;
    if (call->later && call->settled) {
        call->later = false;
        call_fail(call, 50002, "A part is carried out; what the rest takes could not be told before");
    }
}
