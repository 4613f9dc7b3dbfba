// SPDX-License-Identifier: Apache-2.0
// Both sides of Storage.Applied. See applied.h.
#include "applied.h"

#include "base/mem.h"
#include "kafka/messages/create_partitions.h"
#include "kafka/messages/create_topics.h"
#include "storage.h"

enum { LEADERS_MAX = 64 }; // nodes asked for one answer; more are not waited for

// ---- asking ----

struct settling {
    struct storage_request *request;
    struct block *response;
    int32_t nodes[LEADERS_MAX];
    struct rpc_peer *peers[LEADERS_MAX];
    int count;
    int open; // calls without an answer
};

static void settling_free(struct settling *settling)
{
    for (int i = 0; i < settling->count; i++)
        rpc_peer_release(&settling->peers[i]);
    block_unref(&settling->response);
    mem_free(settling);
}

static void settling_end(struct settling *settling)
{
    storage_answer_raw(settling->request, block_ref(settling->response));
    settling_free(settling);
}

static void settling_on_reply(const Millrace__Empty *reply, void *closure_data)
{
    struct settling *settling = closure_data;
    if (--settling->open == 0)
        settling_end(settling);
}

static void settling_on_cancelled(struct storage_request *request)
{
    struct settling *settling = request->held;
    rpc_cancel(storage_rpc_end(request->storage), settling);
    settling_free(settling);
    storage_answer_none(request);
}

static void add_leader(struct settling *settling, int32_t node_id)
{
    struct storage *storage = settling->request->storage;
    const struct image_node *node = image_node(storage_image(storage), node_id);
    if (node_id == storage_node_id(storage) || !image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE) ||
        settling->count == LEADERS_MAX)
        return;
    for (int i = 0; i < settling->count; i++) {
        if (settling->nodes[i] == node_id)
            return;
    }
    settling->nodes[settling->count] = node_id;
    settling->peers[settling->count++] = rpc_peer(storage_rpc_end(storage), node->rpc_endpoint,
                                                  (struct rpc_node){.role = RPC_STORAGE, .node = node_id});
}

static void add_topic(struct settling *settling, struct slice name)
{
    const struct image_topic *topic = image_topic_slice(storage_image(settling->request->storage), name);
    for (size_t i = 0; topic != NULL && i < topic->partition_count; i++)
        add_leader(settling, topic->partitions[i]->leader);
}

static void add_topics(struct settling *settling)
{
    const struct storage_request *request = settling->request;
    if (request->api->key == KAFKA_API_CREATE_TOPICS) {
        const struct kafka_create_topics_request *asked = request->body;
        for (int32_t i = 0; i < asked->topics_count; i++)
            add_topic(settling, asked->topics[i].name);
    } else if (request->api->key == KAFKA_API_CREATE_PARTITIONS) {
        const struct kafka_create_partitions_request *asked = request->body;
        for (int32_t i = 0; i < asked->topics_count; i++)
            add_topic(settling, asked->topics[i].name);
    }
}

void applied_answer(struct storage_request *request, struct block *response)
{
    struct settling *settling = mem_calloc(1, sizeof *settling);
    settling->request = request;
    settling->response = block_ref(response);
    add_topics(settling);
    settling->open = settling->count;
    if (settling->count == 0) {
        settling_end(settling);
        return;
    }
    request->held = settling;
    request->on_cancelled = settling_on_cancelled;
    Millrace__AppliedRequest asked = MILLRACE__APPLIED_REQUEST__INIT;
    asked.metadata_offset = image_offset(storage_image(request->storage));
    struct rpc_options options = {.deadline_ms = APPLIED_MS_MAX};
    for (int i = 0; i < settling->count; i++)
        millrace__storage__applied(rpc_on(settling->peers[i], &millrace__storage__descriptor, &options),
                                   &asked, settling_on_reply, settling);
}

// ---- serving ----

struct applied_call {
    struct follow_wait wait;
    Millrace__Empty_Closure closure;
    void *call;
};

static void applied_on_offset(void *context, enum status status)
{
    struct applied_call *waiting = context;
    Millrace__Empty reply = MILLRACE__EMPTY__INIT;
    if (status == ST_OK)
        waiting->closure(&reply, waiting->call);
    else
        rpc_fail(waiting->call, status, "");
    mem_free(waiting);
}

void applied_serve(struct env *env, struct follow *follow, const Millrace__AppliedRequest *request,
                   Millrace__Empty_Closure closure, void *call)
{
    struct applied_call *waiting = mem_calloc(1, sizeof *waiting);
    waiting->closure = closure;
    waiting->call = call;
    follow_when(follow, &waiting->wait, request->metadata_offset, env_now_us(env) + APPLIED_MS_MAX * 1000,
                applied_on_offset, waiting);
}
