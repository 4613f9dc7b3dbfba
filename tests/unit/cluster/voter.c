// SPDX-License-Identifier: Apache-2.0
// See voter.h.
#include "voter.h"

#include "cluster/records.h"
#include "records.h"

#include <criterion/criterion.h>
#include <stdio.h>

void client_start(struct client *client)
{
    cr_assert_eq(env_posix_new("client", 1, &client->env), ST_OK);
    client->env->diag.level = DIAG_ERROR + 1;
    client->transport = zmq_transport_new(client->env, NULL);
    struct rpc_config config = {.env = client->env,
                                .transport = client->transport,
                                .self = {.role = RPC_STORAGE, .node = -1},
                                .incarnation = 5};
    client->rpc = rpc_new(&config);
}

void client_stop(struct client *client)
{
    rpc_destroy(&client->rpc);
    zmq_transport_destroy(&client->transport);
    env_posix_destroy(&client->env);
}

static struct voter *voter_of(Millrace__Controller_Service *service)
{
    return (struct voter *)((char *)service - offsetof(struct voter, service));
}

// Whether the mood has dealt with the call.
static bool in_mood(struct voter *voter, struct rpc_call *call)
{
    if (voter->mood == VOTER_NOT_LEADER)
        rpc_fail(call, ST_NOT_LEADER, voter->hint);
    if (voter->mood == VOTER_FAILS)
        rpc_fail(call, voter->failure, "as the test says");
    return voter->mood != VOTER_ANSWERS;
}

static void serve_probe(Millrace__Controller_Service *service, const Millrace__ProbeRequest *request,
                        Millrace__ProbeReply_Closure closure, void *closure_data)
{
    rpc_fail(closure_data, ST_UNSUPPORTED, "");
}

static void serve_observe(Millrace__Controller_Service *service, const Millrace__ObserveRequest *request,
                          Millrace__ObserveReply_Closure closure, void *closure_data)
{
    rpc_fail(closure_data, ST_UNSUPPORTED, "");
}

static void serve_raft(Millrace__Controller_Service *service, const Millrace__RaftMessage *request,
                       Millrace__Empty_Closure closure, void *closure_data)
{
    rpc_fail(closure_data, ST_UNSUPPORTED, "");
}

static void serve_alter_isr(Millrace__Controller_Service *service, const Millrace__AlterIsrRequest *request,
                            Millrace__AlterIsrReply_Closure closure, void *closure_data)
{
    rpc_fail(closure_data, ST_UNSUPPORTED, "");
}

static void serve_report_replicas(Millrace__Controller_Service *service,
                                  const Millrace__ReportReplicasRequest *request,
                                  Millrace__Empty_Closure closure, void *closure_data)
{
    rpc_fail(closure_data, ST_UNSUPPORTED, "");
}

static void serve_need_topic(Millrace__Controller_Service *service, const Millrace__NeedTopicRequest *request,
                             Millrace__Empty_Closure closure, void *call)
{
    rpc_fail(call, ST_UNSUPPORTED, "");
}

static void serve_adopt_topic(Millrace__Controller_Service *service,
                              const Millrace__AdoptTopicRequest *request, Millrace__Empty_Closure closure,
                              void *closure_data)
{
    rpc_fail(closure_data, ST_UNSUPPORTED, "");
}

static void serve_relay(Millrace__Controller_Service *service, const Millrace__RelayRequest *request,
                        Millrace__RelayReply_Closure closure, void *closure_data)
{
    rpc_fail(closure_data, ST_UNSUPPORTED, "");
}

static void serve_register_node(Millrace__Controller_Service *service,
                                const Millrace__RegisterRequest *request,
                                Millrace__RegisterReply_Closure closure, void *closure_data)
{
    struct voter *voter = voter_of(service);
    voter->registered++;
    for (size_t i = 0; i < request->n_features; i++)
        if (strcmp(request->features[i]->name, "transaction.version") == 0)
            voter->told_max = request->features[i]->max;
    if (in_mood(voter, closure_data))
        return;
    struct uuid cluster = id_of(voter->cluster);
    Millrace__RegisterReply reply = MILLRACE__REGISTER_REPLY__INIT;
    reply.node_id = request->node_id >= 0 ? request->node_id : 7;
    reply.cluster_id = (ProtobufCBinaryData){.len = sizeof cluster.bytes, .data = cluster.bytes};
    reply.metadata_offset = voter->commit_offset;
    reply.lease_ms = voter->lease_ms;
    closure(&reply, closure_data);
}

static void serve_heartbeat(Millrace__Controller_Service *service, const Millrace__HeartbeatRequest *request,
                            Millrace__HeartbeatReply_Closure closure, void *closure_data)
{
    struct voter *voter = voter_of(service);
    voter->heartbeats++;
    voter->left = voter->left || request->leaving;
    if (in_mood(voter, closure_data))
        return;
    Millrace__HeartbeatReply reply = MILLRACE__HEARTBEAT_REPLY__INIT;
    reply.commit_offset = voter->commit_offset;
    reply.lease_ms = voter->lease_ms;
    reply.fenced = voter->fenced;
    char *told = (char *)(uintptr_t)voter->tells;
    reply.controllers = &told;
    reply.n_controllers = told != NULL;
    closure(&reply, closure_data);
}

static void serve_allocate_producer_ids(Millrace__Controller_Service *service,
                                        const Millrace__ProducerIdsRequest *request,
                                        Millrace__ProducerIdsReply_Closure closure, void *closure_data)
{
    struct voter *voter = voter_of(service);
    voter->allocated++;
    if (in_mood(voter, closure_data))
        return;
    Millrace__ProducerIdsReply reply = MILLRACE__PRODUCER_IDS_REPLY__INIT;
    reply.first = 1000;
    reply.count = 10;
    closure(&reply, closure_data);
}

static struct slice log_from(const struct voter *voter, int64_t offset)
{
    struct slice rest = buf_slice(&voter->log), record;
    while (offset-- > 0 && records_next(&rest, &record) == ST_OK) {
    }
    return rest;
}

static struct slice snapshot_chunk(const struct voter *voter, const Millrace__FollowRequest *request,
                                   Millrace__FollowReply *reply)
{
    size_t from = request->has_snapshot_position ? request->snapshot_position : 0;
    size_t len = voter->log.len - from < voter->chunk_bytes ? voter->log.len - from : voter->chunk_bytes;
    reply->has_snapshot_offset = reply->has_snapshot_position = reply->has_snapshot_last = true;
    reply->snapshot_offset = voter->snapshot_offset;
    reply->snapshot_position = from;
    reply->snapshot_last = from + len == voter->log.len;
    return slice_of(voter->log.data + from, len);
}

static void serve_follow(Millrace__Controller_Service *service, const Millrace__FollowRequest *request,
                         Millrace__FollowReply_Closure closure, void *closure_data)
{
    struct voter *voter = voter_of(service);
    voter->follows++;
    if (in_mood(voter, closure_data))
        return;
    struct uuid cluster = id_of(voter->cluster);
    Millrace__FollowReply reply = MILLRACE__FOLLOW_REPLY__INIT;
    reply.commit_offset = voter->log_count - 1;
    reply.cluster_id = (ProtobufCBinaryData){.len = sizeof cluster.bytes, .data = cluster.bytes};
    struct slice bytes = {0};
    if (voter->snapshot_offset > request->offset) {
        reply.commit_offset = voter->snapshot_offset - 1;
        bytes = snapshot_chunk(voter, request, &reply);
    } else if (voter->snapshot_offset < 0) {
        bytes = log_from(voter, request->offset);
        reply.has_base_offset = true;
        reply.base_offset = request->offset;
    }
    if (bytes.len == 0 && !reply.has_snapshot_offset)
        return; // a long poll: no answer until its deadline, which the tests do not reach
    struct block *block = block_copy(bytes);
    rpc_reply_payload(closure_data, &block, 1);
    block_unref(&block);
    closure(&reply, closure_data);
}

void voter_start(struct voter *voter, struct env *env)
{
    memset(voter, 0, sizeof *voter);
    voter->transport = zmq_transport_new(env, NULL);
    struct rpc_config config = {.env = env,
                                .transport = voter->transport,
                                .self = {.role = RPC_CONTROLLER, .node = 1},
                                .incarnation = 9};
    voter->rpc = rpc_new(&config);
    voter->service = (Millrace__Controller_Service)MILLRACE__CONTROLLER__INIT(serve_);
    rpc_serve(voter->rpc, &voter->service.base);
    int port = 0;
    cr_assert_eq(rpc_listen(voter->rpc, "tcp://127.0.0.1:0", &port), ST_OK);
    snprintf(voter->endpoint, sizeof voter->endpoint, "tcp://127.0.0.1:%d", port);
    buf_init(&voter->log, 1 << 20);
    voter->cluster = 7;
    voter->lease_ms = 300;
    voter->commit_offset = -1;
    voter->snapshot_offset = -1;
    voter->chunk_bytes = 100;
}

void voter_stop(struct voter *voter)
{
    rpc_close(voter->rpc);
    rpc_destroy(&voter->rpc);
    zmq_transport_destroy(&voter->transport);
    buf_fini(&voter->log);
}

void voter_log_topic(struct voter *voter, uint8_t id, const char *name)
{
    struct uuid topic_id = id_of(id);
    Millrace__TopicRecord topic = MILLRACE__TOPIC_RECORD__INIT;
    topic.topic_id = (ProtobufCBinaryData){.len = sizeof topic_id.bytes, .data = topic_id.bytes};
    topic.name = (char *)(uintptr_t)name;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.version = 1;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC;
    record.topic = &topic;
    cr_assert_eq(records_put(&voter->log, name != NULL ? &record : NULL), ST_OK);
    voter->commit_offset = voter->log_count++;
}

void turn_for(struct client *client, int64_t ms)
{
    for (int64_t end_us = env_now_us(client->env) + ms * 1000; env_now_us(client->env) < end_us;)
        env_posix_turn(client->env, 5000);
}
