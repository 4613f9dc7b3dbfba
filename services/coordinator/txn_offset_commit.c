// SPDX-License-Identifier: Apache-2.0
// TxnOffsetCommit: offsets that count when the producer's transaction commits. Before the first ones of a
// transaction are written its coordinator is asked (KIP-890): whether it is open and has this shard (to
// version 4, where AddOffsetsToTxn came before), or to add the shard to it (from version 5 on).
#include "apis.h"
#include "cluster/shard.h"
#include "coordinator_state.h"
#include "kafka/messages/txn_offset_commit.h"

typedef struct kafka_txn_offset_commit_request request_t;
typedef struct kafka_txn_offset_commit_request_txn_offset_commit_request_topic topic_in;
typedef struct kafka_txn_offset_commit_request_txn_offset_commit_request_partition partition_in;
typedef struct kafka_txn_offset_commit_response response_t;
typedef struct kafka_txn_offset_commit_response_txn_offset_commit_response_topic topic_out;

enum { VERSION_ABORTABLE = 4, VERSION_NEW_FLOW = 5, ASK_MS = 5000 };

// The question to the transaction's coordinator, and its answer.
struct asking {
    struct coordinator_request *request;
    struct shard_check check;
    bool answered;
    int64_t started_ms;
};

// ---- answers ----

// The answer with one error everywhere; false when memory is short.
static bool make_answer(struct coordinator_request *request, int16_t error, response_t *response)
{
    const request_t *in = request->body;
    kafka_defaults(&kafka_txn_offset_commit_response_message, response);
    response->topics = arena_calloc(&request->arena, (size_t)in->topics_count + 1, sizeof(topic_out));
    for (int32_t t = 0; response->topics != NULL && t < in->topics_count; t++) {
        topic_out *out = &response->topics[response->topics_count++];
        out->name = in->topics[t].name;
        out->partitions_count = in->topics[t].partitions_count;
        out->partitions =
            arena_calloc(&request->arena, (size_t)out->partitions_count + 1, sizeof *out->partitions);
        if (out->partitions == NULL)
            return false;
        for (int32_t p = 0; p < out->partitions_count; p++) {
            out->partitions[p].partition_index = in->topics[t].partitions[p].partition_index;
            out->partitions[p].error_code = error;
        }
    }
    return response->topics != NULL;
}

static void answer_error(struct coordinator_request *request, int16_t error)
{
    response_t response;
    if (!make_answer(request, error, &response))
        kafka_defaults(&kafka_txn_offset_commit_response_message, &response);
    request_answer(request, &response);
}

// ---- writing ----

static struct ledger_producer producer_of(const request_t *in)
{
    return (struct ledger_producer){in->producer_id, in->producer_epoch};
}

static int16_t commit_one(struct coordinator_request *request, struct shard_group *cell,
                          const struct image_topic *topic, const partition_in *in, int64_t started_ms)
{
    if (in->partition_index < 0 || (size_t)in->partition_index >= topic->partition_count)
        return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (in->committed_metadata.len > (size_t)shard_settings(cell->shard)->metadata_max)
        return KAFKA_ERR_OFFSET_METADATA_TOO_LARGE;
    struct offset_commit commit = {
        .offset = in->committed_offset,
        .leader_epoch = in->committed_leader_epoch,
        .commit_ms = shard_now(cell->shard).wall_ms,
        .expire_ms = -1,
        .topic_id = topic->id,
        .metadata = in->committed_metadata.data == NULL ? slice_str("") : in->committed_metadata,
    };
    struct shard_pending pending = {producer_of(request->body), started_ms};
    if (ledger_full(shard_ledger(cell->shard)) ||
        shard_commit_pending(cell, &pending, slice_str(topic->name), in->partition_index, &commit) != ST_OK)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    return KAFKA_ERR_NONE;
}

static int16_t topic_error(const struct coordinator_request *request, const struct image_topic *topic,
                           struct slice name)
{
    if (!authorise(&request->principal, OPERATION_READ, RESOURCE_TYPE_TOPIC, name))
        return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
    return topic == NULL ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_ERR_NONE;
}

static void commit_all(struct coordinator_request *request, struct shard_group *cell, int64_t started_ms,
                       response_t *response)
{
    const request_t *in = request->body;
    for (int32_t t = 0; t < in->topics_count; t++) {
        const topic_in *from = &in->topics[t];
        const struct image_topic *topic = image_topic_slice(request_image(request), from->name);
        int16_t error = topic_error(request, topic, from->name);
        for (int32_t p = 0; p < from->partitions_count; p++)
            response->topics[t].partitions[p].error_code =
                error != KAFKA_ERR_NONE ? error
                                        : commit_one(request, cell, topic, &from->partitions[p], started_ms);
    }
}

// ---- who may ----

static bool all_known(const struct coordinator_request *request)
{
    const request_t *in = request->body;
    for (int32_t t = 0; t < in->topics_count; t++) {
        const struct image_topic *topic = image_topic_slice(request_image(request), in->topics[t].name);
        for (int32_t p = 0; p < in->topics[t].partitions_count; p++)
            if (topic == NULL ||
                image_topic_partition(topic, in->topics[t].partitions[p].partition_index) == NULL)
                return false;
    }
    return true;
}

// Whether a member of a streams group that is behind may commit all of these.
static bool streams_may_commit_all(const struct streams_group *group, const struct streams_member *behind,
                                   const request_t *in)
{
    for (int32_t t = 0; t < in->topics_count; t++) {
        for (int32_t p = 0; p < in->topics[t].partitions_count; p++)
            if (!streams_may_commit_part(group, behind, in->generation_id, in->topics[t].name,
                                         in->topics[t].partitions[p].partition_index))
                return false;
    }
    return true;
}

// The newer protocols' error, told as the one that clients know, as Kafka does.
static int16_t may_commit(const struct shard_group *cell, const struct consumer_commit *commit,
                          const request_t *in)
{
    const struct consumer_member *behind = NULL;
    const struct streams_member *streams = NULL;
    int16_t error = cell->consumer != NULL ? consumer_may_commit(cell->consumer, commit, &behind)
                                           : streams_may_commit(cell->streams, commit, &streams);
    bool stale = behind != NULL || error == KAFKA_ERR_STALE_MEMBER_EPOCH ||
                 (streams != NULL && !streams_may_commit_all(cell->streams, streams, in));
    return stale ? KAFKA_ERR_ILLEGAL_GENERATION : error;
}

// The group, and whether the sender may commit to it. One that nobody knows exists from its first offset on.
static int16_t find_group(struct coordinator_request *request, struct shard_group **cell)
{
    const request_t *in = request->body;
    *cell = NULL;
    if (!request_allowed_txn(request, in->transactional_id))
        return KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (!authorise(&request->principal, OPERATION_READ, RESOURCE_TYPE_GROUP, in->group_id))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    if (in->group_id.len == 0)
        return KAFKA_ERR_INVALID_GROUP_ID;
    bool simple = in->generation_id < 0;
    *cell = shard_find(request->shard, in->group_id, simple);
    if (*cell == NULL)
        return simple ? KAFKA_ERR_COORDINATOR_NOT_AVAILABLE : KAFKA_ERR_ILLEGAL_GENERATION;
    struct group_identity who = {.member_id = in->member_id,
                                 .instance_id = in->group_instance_id,
                                 .generation = in->generation_id,
                                 .transactional = true};
    if ((*cell)->share != NULL)
        return KAFKA_ERR_GROUP_ID_NOT_FOUND; // where a share group is, share coordinators know
    if ((*cell)->consumer == NULL && (*cell)->streams == NULL)
        return group_may_commit((*cell)->group, shard_now(request->shard), &who);
    return may_commit(*cell, &(struct consumer_commit){.who = who}, in);
}

// ---- asking the transaction's coordinator ----

static void on_dropped(struct coordinator_request *request)
{
    struct asking *asking = request->parked_in;
    shard_check_end(&asking->check);
    rpc_cancel(request->coordinator->rpc, asking);
}

// What the client hears when the transaction's coordinator says no. What passes by itself is an error that
// every client repeats.
static int16_t error_of(const struct coordinator_request *request, int32_t refused)
{
    switch (refused) {
    case KAFKA_ERR_CONCURRENT_TRANSACTIONS:
        return KAFKA_ERR_COORDINATOR_LOAD_IN_PROGRESS;
    case KAFKA_ERR_PRODUCER_FENCED:
        return KAFKA_ERR_INVALID_PRODUCER_EPOCH;
    case KAFKA_ERR_TRANSACTION_ABORTABLE:
        return request->version >= VERSION_ABORTABLE ? KAFKA_ERR_TRANSACTION_ABORTABLE
                                                     : KAFKA_ERR_INVALID_TXN_STATE;
    default:
        return (int16_t)refused;
    }
}

static void on_asked(const Millrace__AddToTransactionReply *reply, void *context)
{
    struct asking *asking = context;
    struct coordinator_request *request = asking->request;
    struct coordinator *coordinator = request->coordinator;
    bool stale = asking->check.stale;
    shard_check_end(&asking->check);
    asking->answered = reply != NULL && reply->error == KAFKA_ERR_NONE && !stale;
    if (asking->answered)
        asking->started_ms = reply->started_ms;
    if (asking->answered || (stale && reply != NULL)) {
        request_run_again(
            request); // what was said before the transaction's end does not count: it asks again
        return;
    }
    answer_error(request,
                 reply == NULL ? KAFKA_ERR_COORDINATOR_LOAD_IN_PROGRESS : error_of(request, reply->error));
    request_settle(coordinator);
}

static void ask(struct coordinator_request *request, const struct image_node *node)
{
    const request_t *in = request->body;
    struct coordinator *coordinator = request->coordinator;
    struct asking *asking = arena_calloc(&request->arena, 1, sizeof *asking);
    if (asking == NULL) {
        answer_error(request, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    asking->request = request;
    shard_check_begin(request->shard, &asking->check, in->producer_id);
    request_park_for(request, on_dropped, asking);
    Millrace__AddToTransactionRequest question = MILLRACE__ADD_TO_TRANSACTION_REQUEST__INIT;
    question.transactional_id = (ProtobufCBinaryData){
        .len = in->transactional_id.len, .data = (uint8_t *)(uintptr_t)in->transactional_id.data};
    question.producer_id = in->producer_id;
    question.producer_epoch = in->producer_epoch;
    question.topic = SHARD_TOPIC_GROUPS;
    question.partition = shard_index(request->shard);
    question.add = request->version >= VERSION_NEW_FLOW;
    struct rpc_options options = {.deadline_ms = ASK_MS};
    millrace__coordinator__add_to_transaction(
        rpc_on(contacts_to(&coordinator->coordinators, node, RPC_COORDINATOR),
               &millrace__coordinator__descriptor, &options),
        &question, on_asked, asking);
}

static void begin_asking(struct coordinator_request *request)
{
    const request_t *in = request->body;
    const struct image_node *node =
        shard_owner(request_image(request), SHARD_TOPIC_TRANSACTIONS, in->transactional_id);
    if (node == NULL)
        answer_error(request, KAFKA_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    else
        ask(request, node);
}

static void commit(struct coordinator_request *request, struct shard_group *cell, int64_t started_ms)
{
    response_t response;
    if (make_answer(request, KAFKA_ERR_NONE, &response))
        commit_all(request, cell, started_ms, &response);
    else
        kafka_defaults(&kafka_txn_offset_commit_response_message, &response);
    request_answer(request, &response);
}

// Runs again when the transaction's coordinator has agreed: the group may have changed meanwhile.
void coordinator_txn_offset_commit(struct coordinator_request *request)
{
    const request_t *in = request->body;
    const struct asking *asked = request->parked_in;
    request->parked_in = NULL;
    if (asked == NULL && !all_known(request) && request_wait_image(request))
        return;
    struct shard_group *cell;
    struct ledger_producer producer = producer_of(in);
    int16_t error = find_group(request, &cell);
    bool agreed = asked != NULL && asked->answered;
    if (error != KAFKA_ERR_NONE)
        answer_error(request, error);
    else if (agreed || shard_txn_open(request->shard, &producer))
        commit(request, cell, agreed ? asked->started_ms : -1);
    else
        begin_asking(request);
    if (cell != NULL)
        shard_changed(cell);
}
