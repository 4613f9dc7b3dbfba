// SPDX-License-Identifier: Apache-2.0
// See voter_changer.h. Each change begins with a look, so that directories are right; what has changed
// between is refused.
#include "voter_changer.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/add_raft_voter.h"
#include "kafka/messages/remove_raft_voter.h"

enum {
    PAUSE_MS_MAX = 300,
    AT_ONCE_MS_MAX = 10, // a change that meets the one before it
    RETRY_MS = 50,
    REMOVE_PERCENT = 45,
    CONTROLLER_ID_MIN = 101, // below are storage nodes, which are listed with those that follow
    CONTROLLER_ID_MAX = 200
};

typedef struct kafka_describe_quorum_response_replica_state replica;

static struct voter_changer *of(struct actor *actor)
{
    return (struct voter_changer *)actor;
}

static void go_on(struct actor *actor)
{
    uint64_t pause_ms = prng_below(&actor->prng, 2) == 0 ? AT_ONCE_MS_MAX : PAUSE_MS_MAX;
    actor_again(actor, (int64_t)prng_below(&actor->prng, pause_ms));
}

static int take(const replica *rows, int32_t count, struct voter_changer_row out[VOTER_CHANGER_MAX])
{
    int taken = 0;
    for (int32_t i = 0; i < count && taken < VOTER_CHANGER_MAX; i++)
        if (rows[i].replica_id >= CONTROLLER_ID_MIN && rows[i].replica_id <= CONTROLLER_ID_MAX)
            out[taken++] = (struct voter_changer_row){rows[i].replica_id, rows[i].replica_directory_id};
    return taken;
}

static void on_described(struct actor *actor, const struct conn_answer *answer)
{
    struct voter_changer *changer = of(actor);
    const struct kafka_describe_quorum_response *reply = answer != NULL ? answer->body : NULL;
    if (reply == NULL || reply->error_code != KAFKA_ERR_NONE || reply->topics_count != 1) {
        actor_again(actor, RETRY_MS);
        return;
    }
    const struct kafka_describe_quorum_response_partition_data *row = &reply->topics[0].partitions[0];
    changer->voter_count = take(row->current_voters, row->current_voters_count, changer->voters);
    changer->other_count = take(row->observers, row->observers_count, changer->others);
    changer->described = true;
    actor_again(actor, 0);
}

static void on_added(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_add_raft_voter_response *reply = answer != NULL ? answer->body : NULL;
    if (reply != NULL && reply->error_code == KAFKA_ERR_NONE)
        world_count(actor->history->world, COUNT_voter_added);
    go_on(actor);
}

static void on_removed(struct actor *actor, const struct conn_answer *answer)
{
    const struct kafka_remove_raft_voter_response *reply = answer != NULL ? answer->body : NULL;
    if (reply != NULL && reply->error_code == KAFKA_ERR_NONE)
        world_count(actor->history->world, COUNT_voter_removed);
    go_on(actor);
}

static void describe(struct voter_changer *changer)
{
    struct kafka_describe_quorum_request_partition_data partition;
    struct kafka_describe_quorum_request_topic_data topic;
    struct kafka_describe_quorum_request request;
    kafka_structure_defaults(&kafka_describe_quorum_request_partition_data_type, &partition);
    kafka_structure_defaults(&kafka_describe_quorum_request_topic_data_type, &topic);
    kafka_defaults(&kafka_describe_quorum_request_message, &request);
    topic.topic_name = slice_str("__cluster_metadata");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    actor_call(&changer->actor, KAFKA_API_DESCRIBE_QUORUM, -1, &request, on_described);
}

static void add(struct voter_changer *changer, const struct voter_changer_row *row)
{
    struct kafka_add_raft_voter_request request;
    kafka_defaults(&kafka_add_raft_voter_request_message, &request);
    request.timeout_ms = 1000;
    request.cluster_id = (struct slice){0}; // of any cluster
    request.voter_id = row->id;
    request.voter_directory_id = row->directory;
    actor_call(&changer->actor, KAFKA_API_ADD_RAFT_VOTER, -1, &request, on_added);
}

static void remove_voter(struct voter_changer *changer, const struct voter_changer_row *row)
{
    struct kafka_remove_raft_voter_request request;
    kafka_defaults(&kafka_remove_raft_voter_request_message, &request);
    request.cluster_id = (struct slice){0}; // of any cluster
    request.voter_id = row->id;
    request.voter_directory_id = row->directory;
    actor_call(&changer->actor, KAFKA_API_REMOVE_RAFT_VOTER, -1, &request, on_removed);
}

static void change(struct voter_changer *changer)
{
    struct prng *prng = &changer->actor.prng;
    bool removes = changer->other_count == 0 || (int)prng_below(prng, 100) < REMOVE_PERCENT;
    if (removes && changer->voter_count > 1)
        remove_voter(changer, &changer->voters[prng_below(prng, (uint64_t)changer->voter_count)]);
    else if (changer->other_count > 0)
        add(changer, &changer->others[prng_below(prng, (uint64_t)changer->other_count)]);
    else
        go_on(&changer->actor);
}

static void voter_changer_step(struct actor *actor)
{
    struct voter_changer *changer = of(actor);
    if (actor->busy || !actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
        return;
    if (prng_below(&actor->prng, 6) == 0) { // another node now and then
        actor->port = 0;
        actor->broken = true;
        actor_again(actor, RETRY_MS);
    } else if (changer->described) {
        changer->described = false;
        change(changer);
    } else {
        describe(changer);
    }
}

void voter_changer_init(struct voter_changer *changer, struct env *env, struct history *history)
{
    *changer = (struct voter_changer){0};
    actor_init(&changer->actor, env, history, voter_changer_step);
}
