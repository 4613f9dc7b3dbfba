// SPDX-License-Identifier: Apache-2.0
// See committer.h. Any storage node takes the requests and relays them to the shard's owner.
#include "committer.h"

#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_fetch.h"

enum { COMMIT_VERSION = 8, FETCH_VERSION = 8 }; // the newest with topic names

static struct committer *of(struct actor *actor)
{
    return (struct committer *)actor;
}

static void retry(struct actor *actor)
{
    actor_again(actor, 10 + (int64_t)prng_below(&actor->prng, 60));
}

static void on_committed(struct actor *actor, const struct conn_answer *answer)
{
    struct committer *committer = of(actor);
    const struct kafka_offset_commit_response *reply = answer ? answer->body : NULL;
    if (reply == NULL || reply->topics_count != 1 || reply->topics[0].partitions_count != 1 ||
        reply->topics[0].partitions[0].error_code != KAFKA_ERR_NONE) {
        retry(actor);
        return;
    }
    world_count(actor->history->world, COUNT_offset_committed);
    committer->acknowledged = committer->next++;
    committer->read_back = prng_below(&actor->prng, 2) == 0;
    actor_again(actor, (int64_t)prng_below(&actor->prng, 40));
}

static void on_fetched(struct actor *actor, const struct conn_answer *answer)
{
    struct committer *committer = of(actor);
    const struct kafka_offset_fetch_response *reply = answer ? answer->body : NULL;
    if (reply == NULL || reply->groups_count != 1 || reply->groups[0].error_code != KAFKA_ERR_NONE ||
        reply->groups[0].topics_count != 1 || reply->groups[0].topics[0].partitions_count != 1 ||
        reply->groups[0].topics[0].partitions[0].error_code != KAFKA_ERR_NONE) {
        retry(actor);
        return;
    }
    int64_t offset = reply->groups[0].topics[0].partitions[0].committed_offset;
    if (offset < committer->acknowledged)
        history_violation(actor->history, "committed-offsets",
                          "group %s: %lld read after %lld was acknowledged", committer->group,
                          (long long)offset, (long long)committer->acknowledged);
    committer->reads++;
    committer->read_back = false;
    retry(actor);
}

static void commit(struct committer *committer)
{
    struct kafka_offset_commit_request_offset_commit_request_partition partition;
    struct kafka_offset_commit_request_offset_commit_request_topic topic;
    struct kafka_offset_commit_request request;
    kafka_structure_defaults(&kafka_offset_commit_request_offset_commit_request_partition_type, &partition);
    kafka_structure_defaults(&kafka_offset_commit_request_offset_commit_request_topic_type, &topic);
    kafka_defaults(&kafka_offset_commit_request_message, &request);
    partition.committed_offset = committer->next;
    partition.committed_metadata = slice_of("", 0);
    topic.name = slice_str("t");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.group_id = slice_str(committer->group);
    request.topics = &topic;
    request.topics_count = 1;
    actor_call(&committer->actor, KAFKA_API_OFFSET_COMMIT, COMMIT_VERSION, &request, on_committed);
}

static void fetch(struct committer *committer)
{
    int32_t index = 0;
    struct kafka_offset_fetch_request_offset_fetch_request_topics topic;
    struct kafka_offset_fetch_request_offset_fetch_request_group group;
    struct kafka_offset_fetch_request request;
    kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_topics_type, &topic);
    kafka_structure_defaults(&kafka_offset_fetch_request_offset_fetch_request_group_type, &group);
    kafka_defaults(&kafka_offset_fetch_request_message, &request);
    topic.name = slice_str("t");
    topic.partition_indexes = &index;
    topic.partition_indexes_count = 1;
    group.group_id = slice_str(committer->group);
    group.topics = &topic;
    group.topics_count = 1;
    request.groups = &group;
    request.groups_count = 1;
    actor_call(&committer->actor, KAFKA_API_OFFSET_FETCH, FETCH_VERSION, &request, on_fetched);
}

static void committer_step(struct actor *actor)
{
    struct committer *committer = of(actor);
    if (actor->busy || !actor_link(actor, actor->port ? actor->port : actor_any_port(actor)))
        return;
    if (prng_below(&actor->prng, 8) == 0) { // another node now and then
        actor->port = 0;
        actor->broken = true;
        retry(actor);
    } else if (committer->read_back) {
        fetch(committer);
    } else {
        commit(committer);
    }
}

void committer_init(struct committer *committer, struct env *env, struct history *history, const char *group)
{
    *committer = (struct committer){.group = group, .acknowledged = -1};
    actor_init(&committer->actor, env, history, committer_step);
}
