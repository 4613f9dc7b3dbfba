// SPDX-License-Identifier: Apache-2.0
// See operations.h.
#include "operations.h"

#include "http/json.h"
#include "permit.h"

#define GET(name, path, run)                                                                                 \
    {                                                                                                        \
        name, "GET", path, run, false, false, PERMIT_READ, STORE_SCHEMAS                                     \
    }
#define FREE(name, path, run)                                                                                \
    {                                                                                                        \
        name, "GET", path, run, false, false, PERMIT_NOTHING, STORE_SCHEMAS                                  \
    }
#define ASK(name, path, run)                                                                                 \
    {                                                                                                        \
        name, "POST", path, run, false, false, PERMIT_READ, STORE_SCHEMAS                                    \
    }
#define PUT(name, method, path, run, permission)                                                             \
    {                                                                                                        \
        name, method, path, run, true, true, permission, STORE_SCHEMAS                                       \
    }
#define DELETE(name, path, run, permission)                                                                  \
    {                                                                                                        \
        name, "DELETE", path, run, true, false, permission, STORE_SCHEMAS                                    \
    }

const struct operation operations[] = {
    FREE("root", "/", op_root),
    {"root-post", "POST", "/", op_root, false, false, PERMIT_NOTHING, STORE_SCHEMAS},
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

// The subject an alias stands for, in everything but config and mode, which are where the alias is set.
static void follow_alias(struct call *call)
{
    const char *alias = json_string(state_config(call->state, call->subject), "alias");
    if (alias == NULL || *alias == '\0' || *call->subject == '\0' ||
        call->operation->permission == PERMIT_CONFIG || call->operation->run == op_get_config ||
        call->operation->run == op_get_mode)
        return;
    const char *subject = name_of_reference(&call->arena, call->subject, alias);
    if (subject != NULL)
        call->subject = subject;
}

void operation_run(struct call *call)
{
    const char *asked = call->subject;
    follow_alias(call);
    if (!permitted(call))
        call_fail(call, 40301, "User is denied operation %s on %s", call->operation->name, call->subject);
    else
        call->operation->run(call);
    call->later = call->later && call->parsed <= CALL_PARSED_MAX;
    if (call->parsed > CALL_PARSED_MAX)
        call_fail(call, 42209, "The schemas this has to look at have more than %d bytes", CALL_PARSED_MAX);
    else if (call->later)
        call_fail(call, 50001, "The call is to be run again");
    if (buf_status(&call->reply) != ST_OK || buf_status(&call->bytes) != ST_OK)
        call_fail(call, 50001, "The answer or what it writes is too large");
    call->subject = asked;
}
