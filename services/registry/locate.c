// SPDX-License-Identifier: Apache-2.0
// See locate.h.
#include "locate.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

struct locating {
    struct call call;
    char id[12];
    Millrace__RegistryReply_Closure closure;
    struct rpc_call *rpc_call;
};

static void located(struct call *call, void *context)
{
    struct locating *locating = context;
    Millrace__RegistryReply reply = MILLRACE__REGISTRY_REPLY__INIT;
    struct block *body = block_copy(buf_slice(&call->reply));
    reply.code = call->code;
    if (body == NULL) {
        rpc_fail(locating->rpc_call, ST_NO_MEMORY, "the schema takes too much memory");
    } else {
        rpc_reply_payload(locating->rpc_call, &body, 1);
        locating->closure(&reply, locating->rpc_call);
    }
    block_unref(&body);
    call_fini(call);
    mem_free(locating);
}

static void argue(struct call *call, const char *name, const char *value)
{
    call->query[call->query_count++] = (struct call_pair){name, value};
}

static const char *strategy_text(Millrace__SubjectStrategy strategy)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&millrace__subject_strategy__descriptor, (int)strategy);
    return value != NULL ? value->name : "";
}

void locate_serve(struct registry *registry, const Millrace__LocateRequest *request,
                  Millrace__RegistryReply_Closure closure, struct rpc_call *rpc_call)
{
    struct locating *locating = mem_calloc(1, sizeof *locating);
    struct call *call = &locating->call;
    locating->closure = closure;
    locating->rpc_call = rpc_call;
    call_init(call);
    call->operation = &operation_locate;
    if (request->has_id) {
        snprintf(locating->id, sizeof locating->id, "%" PRId32, request->id);
        call->id = locating->id;
    } else {
        call->guid = request->guid != NULL ? request->guid : "";
    }
    argue(call, "topic", request->topic);
    argue(call, "key", request->key ? "true" : "false");
    argue(call, "strategy", strategy_text(request->strategy));
    argue(call, "packed", request->packed ? "true" : "false");
    if (request->message != NULL)
        argue(call, "message", request->message);
    registry_run_until(registry, call, rpc_call_deadline_us(rpc_call), located, locating);
}
