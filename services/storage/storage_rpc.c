// SPDX-License-Identifier: Apache-2.0
// See storage_rpc.h.
#include "storage_rpc.h"

#include "applied.h"
#include "partitions_state.h"
#include "stream_in.h"
#include "stream_out.h"

static struct storage_rpc *of(Millrace__Storage_Service *service)
{
    return (struct storage_rpc *)service;
}

static void serve_applied(Millrace__Storage_Service *service, const Millrace__AppliedRequest *request,
                          Millrace__Empty_Closure closure, void *call)
{
    applied_serve(of(service)->partitions->options.env, of(service)->partitions->options.follow, request,
                  closure, call);
}

static void serve_open_stream(Millrace__Storage_Service *service, const Millrace__OpenStreamRequest *request,
                              Millrace__OpenStreamReply_Closure closure, void *call)
{
    streams_out_open(of(service)->partitions->out, request, closure, call);
}

static void serve_subscribe(Millrace__Storage_Service *service, const Millrace__SubscribeRequest *request,
                            Millrace__SubscribeReply_Closure closure, void *call)
{
    streams_out_subscribe(of(service)->partitions->out, request, closure, call);
}

static void serve_append(Millrace__Storage_Service *service, const Millrace__AppendRequest *request,
                         Millrace__AppendReply_Closure closure, void *call)
{
    streams_in_append(of(service)->partitions->in, request, closure, call);
}

static void serve_ledger_open(Millrace__Storage_Service *service, const Millrace__LedgerOpenRequest *request,
                              Millrace__LedgerOpenReply_Closure closure, void *call)
{
    ledgers_open(of(service)->ledgers, request, closure, call);
}

static void serve_ledger_append(Millrace__Storage_Service *service,
                                const Millrace__LedgerAppendRequest *request,
                                Millrace__LedgerAppendReply_Closure closure, void *call)
{
    ledgers_append(of(service)->ledgers, request, closure, call);
}

static void serve_ledger_read(Millrace__Storage_Service *service, const Millrace__LedgerReadRequest *request,
                              Millrace__LedgerReadReply_Closure closure, void *call)
{
    ledgers_read(of(service)->ledgers, request, closure, call);
}

static void serve_write_markers(Millrace__Storage_Service *service,
                                const Millrace__WriteMarkersRequest *request,
                                Millrace__WriteMarkersReply_Closure closure, void *call)
{
    markers_serve(of(service)->markers, request, closure, call);
}

static void serve_positions(Millrace__Storage_Service *service, const Millrace__PositionsRequest *request,
                            Millrace__PositionsReply_Closure closure, void *call)
{
    positions_serve(of(service)->positions, request, closure, call);
}

static void serve_deliver(Millrace__Storage_Service *service, const Millrace__DeliverRequest *request,
                          Millrace__Empty_Closure closure, void *call)
{
    deliveries_serve(of(service)->deliveries, request, closure, call);
}

void storage_rpc_serve(struct storage_rpc *storage, struct rpc *rpc)
{
    millrace__storage__init(&storage->service, NULL);
    storage->service.applied = serve_applied;
    storage->service.open_stream = serve_open_stream;
    storage->service.subscribe = serve_subscribe;
    storage->service.append = serve_append;
    storage->service.ledger_open = serve_ledger_open;
    storage->service.ledger_append = serve_ledger_append;
    storage->service.ledger_read = serve_ledger_read;
    storage->service.write_markers = serve_write_markers;
    storage->service.positions = serve_positions;
    storage->service.deliver = serve_deliver;
    rpc_serve(rpc, &storage->service.base);
}
