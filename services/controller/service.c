// SPDX-License-Identifier: Apache-2.0
// The RPC table of the controller. Probe, Raft and Follow are answered by every controller, the rest only by
// the active one.
#include "service.h"

#include "adopt_topic.h"
#include "alter_isr.h"
#include "formation.h"
#include "internal_topics.h"
#include "nodes.h"
#include "observers.h"
#include "relay.h"
#include "report_replicas.h"

#include <stddef.h>

static struct controller *controller_of(Millrace__Controller_Service *service)
{
    return (struct controller *)((char *)service - offsetof(struct controller, service));
}

// Whether this one may decide; otherwise the call is ended.
static struct controller *active(Millrace__Controller_Service *service, void *call)
{
    struct controller *controller = controller_of(service);
    if (controller->metadata != NULL && metadata_active(controller->metadata))
        return controller;
    controller_redirect(controller, call);
    return NULL;
}

// Whether the sender speaks for itself; otherwise the call is ended. A node that has no id yet has none in
// the envelope either.
static bool speaks_for(void *call, int32_t node)
{
    const struct rpc_sender *sender = rpc_call_sender(call);
    if (sender->node.node < 0 || sender->node.node == node)
        return true;
    rpc_fail(call, ST_DENIED, "the request names another node than its sender");
    return false;
}

static void on_probe(Millrace__Controller_Service *service, const Millrace__ProbeRequest *request,
                     Millrace__ProbeReply_Closure closure, void *call)
{
    formation_probe(controller_of(service), request, closure, call);
}

static void on_observe(Millrace__Controller_Service *service, const Millrace__ObserveRequest *request,
                       Millrace__ObserveReply_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL && speaks_for(call, request->id))
        observers_observe(controller, request, closure, call);
}

static void on_raft(Millrace__Controller_Service *service, const Millrace__RaftMessage *request,
                    Millrace__Empty_Closure closure, void *call)
{
    struct controller *controller = controller_of(service);
    Millrace__Empty reply = MILLRACE__EMPTY__INIT;
    bool genuine = request->from->id == rpc_call_sender(call)->node.node;
    if (controller->quorum != NULL && !controller->failed && genuine)
        quorum_receive(controller->quorum, request, rpc_call_payload(call));
    closure(&reply, call);
}

static void on_register(Millrace__Controller_Service *service, const Millrace__RegisterRequest *request,
                        Millrace__RegisterReply_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL && speaks_for(call, request->node_id))
        nodes_register(controller, request, closure, call);
}

static void on_heartbeat(Millrace__Controller_Service *service, const Millrace__HeartbeatRequest *request,
                         Millrace__HeartbeatReply_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL && speaks_for(call, request->node_id))
        nodes_heartbeat(controller, request, closure, call);
}

static void on_follow(Millrace__Controller_Service *service, const Millrace__FollowRequest *request,
                      Millrace__FollowReply_Closure closure, void *call)
{
    struct controller *controller = controller_of(service);
    if (controller->metadata == NULL || controller->failed)
        rpc_fail(call, ST_LOADING, "the cluster is not formed yet");
    else
        feed_follow(controller->feed, request, closure, call);
}

static void on_alter_isr(Millrace__Controller_Service *service, const Millrace__AlterIsrRequest *request,
                         Millrace__AlterIsrReply_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL && speaks_for(call, request->node_id))
        alter_isr(controller, request, closure, call);
}

static void on_report_replicas(Millrace__Controller_Service *service,
                               const Millrace__ReportReplicasRequest *request,
                               Millrace__Empty_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL && speaks_for(call, request->node_id))
        report_replicas(controller, request, closure, call);
}

static void on_producer_ids(Millrace__Controller_Service *service,
                            const Millrace__ProducerIdsRequest *request,
                            Millrace__ProducerIdsReply_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL && speaks_for(call, request->node_id))
        producer_ids(controller, request, closure, call);
}

static void on_adopt_topic(Millrace__Controller_Service *service, const Millrace__AdoptTopicRequest *request,
                           Millrace__Empty_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL && speaks_for(call, request->node_id))
        adopt_topic(controller, request, closure, call);
}

static void on_need_topic(Millrace__Controller_Service *service, const Millrace__NeedTopicRequest *request,
                          Millrace__Empty_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller == NULL)
        return;
    Millrace__Empty reply = MILLRACE__EMPTY__INIT;
    enum status status = internal_topics_need(controller, request->name);
    if (status == ST_OK)
        closure(&reply, call);
    else
        rpc_fail(call, status, "the internal topic cannot be made");
}

static void on_relay(Millrace__Controller_Service *service, const Millrace__RelayRequest *request,
                     Millrace__RelayReply_Closure closure, void *call)
{
    struct controller *controller = active(service, call);
    if (controller != NULL)
        relay_request(controller, request, closure, call);
}

void service_init(struct controller *controller)
{
    millrace__controller__init(&controller->service, NULL);
    controller->service.probe = on_probe;
    controller->service.observe = on_observe;
    controller->service.raft = on_raft;
    controller->service.register_node = on_register;
    controller->service.heartbeat = on_heartbeat;
    controller->service.follow = on_follow;
    controller->service.alter_isr = on_alter_isr;
    controller->service.report_replicas = on_report_replicas;
    controller->service.allocate_producer_ids = on_producer_ids;
    controller->service.adopt_topic = on_adopt_topic;
    controller->service.need_topic = on_need_topic;
    controller->service.relay = on_relay;
    rpc_serve(controller->rpc, &controller->service.base);
}
