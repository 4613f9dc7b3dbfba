// SPDX-License-Identifier: Apache-2.0
// / and /v1/metadata: what the registry says about itself.
#include "http/json.h"
#include "openapi.h"
#include "operations.h"

void op_root(struct call *call)
{
    buf_printf(&call->reply, "{}");
}

void op_server_id(struct call *call)
{
    buf_printf(&call->reply, "{\"scope\":{\"path\":[],\"clusters\":{\"kafka-cluster\":");
    json_put_string(&call->reply, slice_str(call->cluster));
    buf_printf(&call->reply, ",\"schema-registry-cluster\":\"schema-registry\"}},\"id\":\"\"}");
}

void op_server_version(struct call *call)
{
    buf_printf(&call->reply, "{\"version\":\"%s\",\"commitId\":\"\"}", MILLRACE_VERSION);
}

void op_deployment(struct call *call)
{
    buf_printf(&call->reply, "{\"attributes\":[\"deploymentScope:opensource\"]}");
}

void op_openapi(struct call *call)
{
    buf_append(&call->reply, openapi_text, openapi_text_len);
    call->plain = true;
    call->type = "application/yaml";
}
