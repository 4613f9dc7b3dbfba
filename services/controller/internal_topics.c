// SPDX-License-Identifier: Apache-2.0
// See internal_topics.h.
#include "internal_topics.h"

#include "base/assert.h"
#include "cluster/shard.h"
#include "nodes.h"
#include "shards.h"
#include "topics.h"

#define TYPE_TOPIC MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC

bool internal_topics_is(struct slice name)
{
    return slice_is(name, SHARD_TOPIC_GROUPS) || slice_is(name, SHARD_TOPIC_TRANSACTIONS) ||
           slice_is(name, SHARD_TOPIC_SHARE);
}

static int wanted_factor(const struct controller *controller)
{
    return (int)config_int(controller->config, "offsets.topic.replication.factor");
}

static void create(struct controller *controller)
{
    int live = nodes_live(controller, MILLRACE__ROLE__ROLE_STORAGE), wanted = wanted_factor(controller);
    struct topics_error error = {0};
    struct decision decision;
    decision_init(&decision);
    struct uuid id = env_random_uuid(controller->env);
    const char *segment = config_text(controller->config, "offsets.topic.segment.bytes");
    decision_topic(&decision, id, SHARD_TOPIC_GROUPS, true);
    decision_config(&decision, TYPE_TOPIC, SHARD_TOPIC_GROUPS, "cleanup.policy", "compact");
    decision_config(&decision, TYPE_TOPIC, SHARD_TOPIC_GROUPS, "compression.type", "producer");
    decision_config(&decision, TYPE_TOPIC, SHARD_TOPIC_GROUPS, "segment.bytes", segment);
    int32_t count = (int32_t)config_int(controller->config, "offsets.topic.num.partitions");
    if (topics_add_partitions(controller, &decision, id, 0, count, live < wanted ? live : wanted, NULL,
                              &error)) {
        DIAG_INFO(&controller->env->diag, "creating " SHARD_TOPIC_GROUPS " partitions=%d", count);
        controller_decide(controller, &decision, "internal topic");
    }
    decision_fini(&decision);
}

// One more replica where there are fewer than wanted and a live node has none.
static void raise(struct controller *controller, const struct image_topic *topic, int wanted)
{
    struct decision decision;
    int node_count;
    decision_init(&decision);
    struct place_node *nodes = topics_nodes(controller, TOPICS_LIVE, &decision.arena, &node_count);
    for (size_t p = 0; p < topic->partition_count; p++) {
        struct image_partition next = *topic->partitions[p];
        size_t have = next.replicas.count;
        int32_t *ids = arena_calloc(&decision.arena, (size_t)wanted + have, sizeof *ids);
        ASSERT(ids != NULL);
        memcpy(ids, next.replicas.ids, have * sizeof *ids);
        while ((int)next.replicas.count < wanted) {
            int32_t more = place_one_more(nodes, node_count, ids, (int)next.replicas.count);
            if (more < 0)
                break;
            ids[next.replicas.count++] = more;
        }
        if (next.replicas.count == have)
            continue;
        place_prefer(nodes, node_count, ids, (int)next.replicas.count);
        next.replicas.ids = ids;
        next.partition_epoch++;
        decision_partition(&decision, topic->id, &next);
    }
    controller_decide(controller, &decision, "more replicas");
    decision_fini(&decision);
}

static void raise_min_isr(struct controller *controller, const struct image_topic *topic)
{
    static const char key[] = "min.insync.replicas";
    if (image_config(metadata_image(controller->metadata), TYPE_TOPIC, topic->name, key) != NULL)
        return;
    for (size_t p = 0; p < topic->partition_count; p++)
        if (topic->partitions[p]->replicas.count < 3 || topic->partitions[p]->isr.count < 2)
            return;
    struct decision decision;
    decision_init(&decision);
    decision_config(&decision, TYPE_TOPIC, topic->name, key, "2");
    controller_decide(controller, &decision, "min ISR");
    decision_fini(&decision);
}

static const struct image_topic *groups_topic(const struct controller *controller)
{
    return metadata_active(controller->metadata)
               ? image_topic_named(metadata_image(controller->metadata), SHARD_TOPIC_GROUPS)
               : NULL;
}

void internal_topics_ensure(struct controller *controller)
{
    if (!metadata_active(controller->metadata) || nodes_live(controller, MILLRACE__ROLE__ROLE_STORAGE) == 0)
        return;
    if (groups_topic(controller) == NULL) {
        if (nodes_live(controller, MILLRACE__ROLE__ROLE_COORDINATOR) == 0)
            return;
        create(controller);
    }
    const struct image_topic *topic = groups_topic(controller);
    if (topic != NULL && (int)topic->partitions[0]->replicas.count < wanted_factor(controller))
        raise(controller, topic, wanted_factor(controller));
    topic = groups_topic(controller);
    if (topic != NULL)
        raise_min_isr(controller, topic);
    if (groups_topic(controller) != NULL)
        shards_give(controller);
}
