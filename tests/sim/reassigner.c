// SPDX-License-Identifier: Apache-2.0
// See reassigner.h.
#include "reassigner.h"

#include "base/assert.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/alter_partition_reassignments.h"
#include "kafka/messages/elect_leaders.h"

enum {
    PAUSE_MS_MAX = 400,
    AT_ONCE_MS_MAX = 15, // a change that meets the one before it
    RETRY_MS = 100,
    CANCEL_PERCENT = 20,
    ELECT_PERCENT = 10,
    AGAIN_PERCENT = 50 // the same partition as before
};

typedef struct kafka_alter_partition_reassignments_request_reassignable_partition wanted_partition;

static struct reassigner *of(struct actor *actor)
{
    return (struct reassigner *)actor;
}

static void go_on(struct actor *actor)
{
    uint64_t pause_ms = prng_below(&actor->prng, 2) == 0 ? AT_ONCE_MS_MAX : PAUSE_MS_MAX;
    actor_again(actor, of(actor)->finishing ? RETRY_MS : (int64_t)prng_below(&actor->prng, pause_ms));
}

static bool all_taken(const struct kafka_alter_partition_reassignments_response *reply)
{
    if (reply == NULL || reply->error_code != KAFKA_ERR_NONE || reply->responses_count != 1)
        return false;
    for (int32_t i = 0; i < reply->responses[0].partitions_count; i++)
        if (reply->responses[0].partitions[i].error_code != KAFKA_ERR_NONE)
            return false;
    return true;
}

static void on_begun(struct actor *actor, const struct conn_answer *answer)
{
    if (all_taken(answer != NULL ? answer->body : NULL))
        world_count(actor->history->world, COUNT_reassignment_begun);
    go_on(actor);
}

static void on_cancelled(struct actor *actor, const struct conn_answer *answer)
{
    if (all_taken(answer != NULL ? answer->body : NULL))
        world_count(actor->history->world, COUNT_reassignment_cancelled);
    go_on(actor);
}

static void on_finished(struct actor *actor, const struct conn_answer *answer)
{
    actor->stopped = all_taken(answer != NULL ? answer->body : NULL);
    go_on(actor);
}

static void on_elected(struct actor *actor, const struct conn_answer *answer)
{
    go_on(actor);
}

static void alter(struct reassigner *reassigner, wanted_partition *partitions, int32_t count,
                  actor_answer_fn *answer)
{
    struct kafka_alter_partition_reassignments_request_reassignable_topic topic;
    struct kafka_alter_partition_reassignments_request request;
    kafka_structure_defaults(&kafka_alter_partition_reassignments_request_reassignable_topic_type, &topic);
    kafka_defaults(&kafka_alter_partition_reassignments_request_message, &request);
    topic.name = slice_str("t");
    topic.partitions = partitions;
    topic.partitions_count = count;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 3000;
    actor_call(&reassigner->actor, KAFKA_API_ALTER_PARTITION_REASSIGNMENTS, -1, &request, answer);
}

static void shuffled(struct reassigner *reassigner, int32_t nodes[REASSIGNER_NODES_MAX])
{
    for (int i = 0; i < reassigner->node_count; i++) {
        int at = (int)prng_below(&reassigner->actor.prng, (uint64_t)i + 1);
        nodes[i] = nodes[at];
        nodes[at] = reassigner->nodes[i];
    }
}

static void wanted_init(wanted_partition *wanted, int32_t index, int32_t *nodes, int32_t count)
{
    kafka_structure_defaults(&kafka_alter_partition_reassignments_request_reassignable_partition_type,
                             wanted);
    wanted->partition_index = index;
    wanted->replicas = nodes;
    wanted->replicas_count = count;
}

static void finish(struct reassigner *reassigner)
{
    int32_t nodes[REASSIGNER_NODES_MAX];
    wanted_partition wanted[HISTORY_PARTITIONS];
    shuffled(reassigner, nodes);
    for (int32_t p = 0; p < HISTORY_PARTITIONS; p++)
        wanted_init(&wanted[p], p, nodes, reassigner->node_count);
    alter(reassigner, wanted, HISTORY_PARTITIONS, on_finished);
}

static void elect(struct reassigner *reassigner)
{
    struct kafka_elect_leaders_request request;
    kafka_defaults(&kafka_elect_leaders_request_message, &request);
    request.topic_partitions = NULL;
    request.topic_partitions_count = -1;
    request.timeout_ms = 3000;
    actor_call(&reassigner->actor, KAFKA_API_ELECT_LEADERS, -1, &request, on_elected);
}

static void disturb(struct reassigner *reassigner)
{
    struct prng *prng = &reassigner->actor.prng;
    int32_t nodes[REASSIGNER_NODES_MAX];
    wanted_partition wanted;
    int percent = (int)prng_below(prng, 100);
    if ((int)prng_below(prng, 100) >= AGAIN_PERCENT)
        reassigner->partition = (int32_t)prng_below(prng, HISTORY_PARTITIONS);
    shuffled(reassigner, nodes);
    if (percent < ELECT_PERCENT) {
        elect(reassigner);
    } else if (percent < ELECT_PERCENT + CANCEL_PERCENT) {
        wanted_init(&wanted, reassigner->partition, NULL, -1);
        alter(reassigner, &wanted, 1, on_cancelled);
    } else {
        wanted_init(&wanted, reassigner->partition, nodes,
                    1 + (int32_t)prng_below(prng, (uint64_t)reassigner->node_count));
        alter(reassigner, &wanted, 1, on_begun);
    }
}

static void reassigner_step(struct actor *actor)
{
    if (actor->busy || !actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
        return;
    if (prng_below(&actor->prng, 4) == 0) { // another node now and then
        actor->port = 0;
        actor->broken = true;
        actor_again(actor, RETRY_MS);
    } else if (of(actor)->finishing) {
        finish(of(actor));
    } else {
        disturb(of(actor));
    }
}

void reassigner_init(struct reassigner *reassigner, struct env *env, struct history *history,
                     const int32_t *nodes, int node_count)
{
    ASSERT(node_count <= REASSIGNER_NODES_MAX);
    *reassigner = (struct reassigner){.nodes = nodes, .node_count = node_count};
    actor_init(&reassigner->actor, env, history, reassigner_step);
}
