// SPDX-License-Identifier: Apache-2.0
// See pipeliner.h. Everything is decided by a tick; answers only change the lanes.
#include "pipeliner.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/metadata.h"

enum {
    TICK_MS_MAX = 10,
    NEW_ONE_IN = 4, // ticks of a lane
    RENEWS_ONE_IN = 1500,
    CALL_MS = 8000
};

// ---- connections ----

static void on_ready(enum status status, void *context)
{
    struct pipeliner_link *link = context;
    link->connected = status == ST_OK;
    link->broken = status != ST_OK;
}

// NULL: it is being made.
static struct conn_client *link_to(struct pipeliner *pipeliner, int node)
{
    struct pipeliner_link *link = &pipeliner->links[node];
    if (link->client != NULL) {
        bool ready = conn_client_ready(link->client);
        link->broken |= link->connected && !ready;
        return ready && !link->broken ? link->client : NULL;
    }
    link->connected = false;
    struct conn_client_config config = conn_client_config_default();
    config.client_id = "pipeliner";
    config.connect_timeout_ms = 1000;
    link->client =
        conn_client_new(pipeliner->env, &config, "127.0.0.1", pipeliner->ports[node], on_ready, link);
    return NULL;
}

static void links_sweep(struct pipeliner *pipeliner)
{
    for (int i = 0; i < PIPELINER_NODES; i++) {
        struct pipeliner_link *link = &pipeliner->links[i];
        if (!link->broken)
            continue;
        conn_client_destroy(&link->client);
        link->broken = false;
        for (int p = 0; p < HISTORY_PARTITIONS; p++)
            if (pipeliner->lanes[p].leader == i)
                pipeliner->lanes[p].leader = -1;
    }
}

// ---- batches ----

// Those from this number on are sent again, with the numbers they have.
static void lane_goes_back(struct pipeliner_lane *lane, int64_t number)
{
    int64_t from = number > lane->next ? number : lane->next;
    lane->sent = lane->sent < from ? lane->sent : from;
    lane->drains = true;
}

// The success of a batch is that of all before it: an error may have been told of what was written.
static void acknowledged(struct pipeliner *pipeliner, int partition, int64_t number, int64_t offset)
{
    struct pipeliner_lane *lane = &pipeliner->lanes[partition];
    history_acknowledged(pipeliner->history, (struct history_ack){.producer = pipeliner_producer(partition),
                                                                  .number = number,
                                                                  .partition = partition,
                                                                  .offset = offset});
    if (lane->next <= number)
        lane->next = number + 1;
    if (lane->sent < lane->next)
        lane->sent = lane->next;
}

static void refused(struct pipeliner *pipeliner, int partition, int64_t number, int16_t error)
{
    if (!kafka_error_retriable(error) || error == KAFKA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER)
        history_violation(pipeliner->history, "batches-stay-in-order", "record p%d-%lld, awaited %lld: %s",
                          pipeliner_producer(partition), (long long)number,
                          (long long)pipeliner->lanes[partition].next, kafka_error_name(error));
    world_count(pipeliner->history->world, COUNT_record_unknown);
    lane_goes_back(&pipeliner->lanes[partition], number);
    if (error != KAFKA_ERR_NOT_ENOUGH_REPLICAS && error != KAFKA_ERR_REQUEST_TIMED_OUT)
        pipeliner->lanes[partition].leader = -1;
}

static void on_produced(enum status status, const struct conn_answer *answer, void *context)
{
    struct pipeliner_batch *batch = context;
    struct pipeliner *pipeliner = batch->link->owner;
    struct pipeliner_lane *lane = &pipeliner->lanes[batch->partition];
    lane->under_way--;
    if (status != ST_OK) {
        batch->link->broken |= status != ST_CANCELLED;
        world_count(pipeliner->history->world, COUNT_record_unknown);
        lane_goes_back(lane, batch->number);
        return;
    }
    const struct kafka_produce_response *reply = answer->body;
    const struct kafka_produce_response_partition_produce_response *part =
        &reply->responses[0].partition_responses[0];
    if (part->error_code == KAFKA_ERR_NONE)
        acknowledged(pipeliner, batch->partition, batch->number, part->base_offset);
    else
        refused(pipeliner, batch->partition, batch->number, part->error_code);
}

static void batch_send(struct pipeliner *pipeliner, int partition, struct pipeliner_link *link)
{
    struct pipeliner_lane *lane = &pipeliner->lanes[partition];
    struct pipeliner_batch *batch = &lane->batches[lane->sent % PIPELINER_WINDOW];
    struct record_said said = {.producer = pipeliner_producer(partition),
                               .number = lane->sent,
                               .partition = partition,
                               .producer_id = pipeliner->producer_id,
                               .producer_epoch = pipeliner->producer_epoch,
                               .sequence = (int32_t)(lane->sent - lane->base)};
    record_request_build(&pipeliner->request, pipeliner->env, &said);
    *batch = (struct pipeliner_batch){.link = link, .partition = partition, .number = lane->sent};
    if (conn_client_call(link->client, KAFKA_API_PRODUCE, RECORD_REQUEST_VERSION, &pipeliner->request.request,
                         CALL_MS, on_produced, batch) != ST_OK) {
        link->broken = true;
        return;
    }
    lane->under_way++;
    int64_t *sent = &pipeliner->history->sent[pipeliner_producer(partition)];
    *sent = lane->sent > *sent ? lane->sent : *sent;
    lane->sent++;
    if (lane->under_way > 1)
        world_count(pipeliner->history->world, COUNT_batch_behind);
}

// How many records there are to be sent: what was sent before, and perhaps a few more.
static int64_t lane_end(struct pipeliner *pipeliner, int partition)
{
    const struct pipeliner_lane *lane = &pipeliner->lanes[partition];
    int64_t before = pipeliner->history->sent[pipeliner_producer(partition)] + 1;
    if (pipeliner->renews || pipeliner->finishing || prng_below(&pipeliner->prng, NEW_ONE_IN) != 0)
        return before;
    int64_t more = before + 1 + (int64_t)prng_below(&pipeliner->prng, 3);
    return more < lane->next + PIPELINER_WINDOW ? more : lane->next + PIPELINER_WINDOW;
}

static void lane_step(struct pipeliner *pipeliner, int partition)
{
    struct pipeliner_lane *lane = &pipeliner->lanes[partition];
    lane->drains = lane->drains && lane->under_way > 0;
    if (lane->drains || lane->leader < 0 || link_to(pipeliner, lane->leader) == NULL)
        return;
    struct pipeliner_link *link = &pipeliner->links[lane->leader];
    int64_t end = lane_end(pipeliner, partition);
    while (!link->broken && lane->sent < end)
        batch_send(pipeliner, partition, link);
}

// ---- who leads, and who it is ----

// What is under way at the node before is waited for: a new leader knows nothing of a producer whose first
// batches have not come, and may let in any later one (KIP-360).
static void lane_moves(struct pipeliner_lane *lane, int leader)
{
    lane->drains |= lane->leader != leader;
    lane->leader = leader;
}

static void on_metadata(enum status status, const struct conn_answer *answer, void *context)
{
    struct pipeliner_link *link = context;
    struct pipeliner *pipeliner = link->owner;
    pipeliner->asking = false;
    link->broken |= status != ST_OK && status != ST_CANCELLED;
    const struct kafka_metadata_response *reply = status == ST_OK ? answer->body : NULL;
    for (int i = 0; reply != NULL && reply->topics_count == 1 && i < reply->topics[0].partitions_count; i++) {
        const struct kafka_metadata_response_metadata_response_partition *part =
            &reply->topics[0].partitions[i];
        for (int k = 0; k < reply->brokers_count; k++)
            for (int n = 0; n < PIPELINER_NODES; n++)
                if (reply->brokers[k].node_id == part->leader_id &&
                    reply->brokers[k].port == pipeliner->ports[n])
                    lane_moves(&pipeliner->lanes[part->partition_index], n);
    }
}

static void on_id(enum status status, const struct conn_answer *answer, void *context)
{
    struct pipeliner_link *link = context;
    struct pipeliner *pipeliner = link->owner;
    pipeliner->asking = false;
    link->broken |= status != ST_OK && status != ST_CANCELLED;
    const struct kafka_init_producer_id_response *reply = status == ST_OK ? answer->body : NULL;
    if (reply == NULL || reply->error_code != KAFKA_ERR_NONE)
        return;
    pipeliner->producer_id = reply->producer_id;
    pipeliner->producer_epoch = reply->producer_epoch;
    for (int p = 0; p < HISTORY_PARTITIONS; p++)
        pipeliner->lanes[p].base = pipeliner->lanes[p].next;
}

static void ask_leaders(struct pipeliner *pipeliner, struct pipeliner_link *link)
{
    struct kafka_metadata_request_metadata_request_topic topic;
    struct kafka_metadata_request request;
    kafka_structure_defaults(&kafka_metadata_request_metadata_request_topic_type, &topic);
    kafka_defaults(&kafka_metadata_request_message, &request);
    topic.name = slice_str("t");
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    pipeliner->asking =
        conn_client_call(link->client, KAFKA_API_METADATA, -1, &request, CALL_MS, on_metadata, link) == ST_OK;
}

static void ask_id(struct pipeliner *pipeliner, struct pipeliner_link *link)
{
    struct kafka_init_producer_id_request request;
    kafka_defaults(&kafka_init_producer_id_request_message, &request);
    request.transactional_id = slice_str(NULL);
    pipeliner->asking = conn_client_call(link->client, KAFKA_API_INIT_PRODUCER_ID, -1, &request, CALL_MS,
                                         on_id, link) == ST_OK;
}

static bool leaders_known(const struct pipeliner *pipeliner)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++)
        if (pipeliner->lanes[p].leader < 0)
            return false;
    return true;
}

static void ask(struct pipeliner *pipeliner)
{
    int node = (int)prng_below(&pipeliner->prng, PIPELINER_NODES);
    bool wants = pipeliner->producer_id < 0 || !leaders_known(pipeliner);
    if (pipeliner->asking || !wants || link_to(pipeliner, node) == NULL)
        return;
    if (pipeliner->producer_id < 0)
        ask_id(pipeliner, &pipeliner->links[node]);
    else
        ask_leaders(pipeliner, &pipeliner->links[node]);
}

// ---- a new epoch, or another id ----

static bool all_acknowledged(const struct pipeliner *pipeliner)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++)
        if (pipeliner->lanes[p].under_way > 0 ||
            pipeliner->lanes[p].next <= pipeliner->history->sent[pipeliner_producer(p)])
            return false;
    return true;
}

static void renew(struct pipeliner *pipeliner)
{
    pipeliner->renews = pipeliner->renews || prng_below(&pipeliner->prng, RENEWS_ONE_IN) == 0;
    if (!pipeliner->renews || !all_acknowledged(pipeliner))
        return;
    pipeliner->renews = false;
    world_count(pipeliner->history->world, COUNT_producer_renewed);
    if (prng_below(&pipeliner->prng, 2) == 0) {
        pipeliner->producer_id = -1;
        return;
    }
    pipeliner->producer_epoch++;
    for (int p = 0; p < HISTORY_PARTITIONS; p++)
        pipeliner->lanes[p].base = pipeliner->lanes[p].next;
}

// ---- life ----

static void tick(struct timer *timer)
{
    struct pipeliner *pipeliner = timer->context;
    if (history_failed(pipeliner->history))
        return;
    links_sweep(pipeliner);
    if (pipeliner->producer_id >= 0)
        renew(pipeliner);
    ask(pipeliner);
    for (int p = 0; pipeliner->producer_id >= 0 && p < HISTORY_PARTITIONS; p++)
        lane_step(pipeliner, p);
    timer_start_ms(pipeliner->env, timer, 1 + (int64_t)prng_below(&pipeliner->prng, TICK_MS_MAX));
}

void pipeliner_init(struct pipeliner *pipeliner, struct env *env, struct history *history, const int *ports)
{
    *pipeliner = (struct pipeliner){
        .env = env, .history = history, .prng = {env_random(env)}, .ports = ports, .producer_id = -1};
    for (int i = 0; i < PIPELINER_NODES; i++)
        pipeliner->links[i].owner = pipeliner;
    for (int p = 0; p < HISTORY_PARTITIONS; p++) {
        pipeliner->lanes[p].leader = -1;
        history->sent[pipeliner_producer(p)] = -1;
    }
    buf_init(&pipeliner->request.batch, 4096);
    timer_init(&pipeliner->timer, tick, pipeliner);
    timer_start_ms(env, &pipeliner->timer, 1);
}
