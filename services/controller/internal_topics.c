// SPDX-License-Identifier: Apache-2.0
// See internal_topics.h.
#include "internal_topics.h"

#include "base/assert.h"
#include "cluster/shard.h"
#include "nodes.h"
#include "reassign.h"
#include "shards.h"
#include "topics.h"

#include <string.h>

#define TYPE_TOPIC MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC

bool internal_topics_is(struct slice name)
{
    return slice_is(name, SHARD_TOPIC_GROUPS) || slice_is(name, SHARD_TOPIC_TRANSACTIONS) ||
           slice_is(name, SHARD_TOPIC_SHARE);
}

// One that exists, or is to be made: its name and its parameters.
struct internal {
    const char *name;
    const char *partitions;    // NULL: one
    const char *factor;        //
    const char *segment_bytes; // NULL: as any topic's
    bool hidden;               // internal to clients, too
};

static const struct internal internals[] = {
    {SHARD_TOPIC_GROUPS, "offsets.topic.num.partitions", "offsets.topic.replication.factor",
     "offsets.topic.segment.bytes", true},
    {SHARD_TOPIC_TRANSACTIONS, "transaction.state.log.num.partitions",
     "transaction.state.log.replication.factor", "transaction.state.log.segment.bytes", true},
    {SHARD_TOPIC_SCHEMAS, NULL, "kafkastore.topic.replication.factor", NULL, false},
    {SHARD_TOPIC_KEYS, NULL, "kafkastore.topic.replication.factor", NULL, false},
    {SHARD_TOPIC_SHARE, "share.coordinator.state.topic.num.partitions",
     "share.coordinator.state.topic.replication.factor", "share.coordinator.state.topic.segment.bytes", true},
};
enum { INTERNALS = sizeof internals / sizeof *internals };

static int wanted_factor(const struct controller *controller, const struct internal *internal)
{
    return (int)config_int(controller->config, internal->factor);
}

static void create(struct controller *controller, const struct internal *internal)
{
    int live = nodes_live(controller, MILLRACE__ROLE__ROLE_STORAGE);
    int wanted = wanted_factor(controller, internal);
    struct topics_error error = {0};
    struct decision decision;
    decision_init(&decision);
    struct uuid id = env_random_uuid(controller->env);
    decision_topic(&decision, id, internal->name, internal->hidden);
    decision_config(&decision, TYPE_TOPIC, internal->name, "cleanup.policy", "compact");
    decision_config(&decision, TYPE_TOPIC, internal->name, "compression.type", "producer");
    if (internal->segment_bytes != NULL)
        decision_config(&decision, TYPE_TOPIC, internal->name, "segment.bytes",
                        config_text(controller->config, internal->segment_bytes));
    int32_t count =
        internal->partitions != NULL ? (int32_t)config_int(controller->config, internal->partitions) : 1;
    if (topics_add_partitions(controller, &decision, id, 0, count, live < wanted ? live : wanted, NULL,
                              &error)) {
        DIAG_INFO(&controller->env->diag, "creating %s partitions=%d", internal->name, count);
        controller_decide(controller, &decision, "internal topic");
    }
    decision_fini(&decision);
}

// The replicas of a partition and more of them, up to wanted, as far as nodes have none.
static struct image_ids more_replicas(struct place_node *nodes, int node_count, struct image_ids have,
                                      int wanted, struct arena *arena)
{
    int32_t *ids = arena_calloc(arena, (size_t)wanted + have.count, sizeof *ids);
    ASSERT(ids != NULL);
    int count = (int)have.count;
    for (int i = 0; i < count; i++)
        ids[i] = have.ids[i];
    while (count < wanted) {
        int32_t more = place_one_more(nodes, node_count, ids, count);
        if (more < 0)
            break;
        ids[count++] = more;
    }
    if (count > (int)have.count)
        place_prefer(nodes, node_count, ids, count);
    return (struct image_ids){.ids = ids, .count = (size_t)count};
}

static bool lacks(const struct image_partition *partition, int wanted)
{
    return (int)partition->replicas.count < wanted && !image_partition_moving(partition);
}

// Whether a live node has no replica of one of the partitions. Asked first: counting what every node carries
// looks at all partitions of the cluster.
static bool can_raise(const struct controller *controller, const struct image_topic *topic)
{
    const struct image *image = metadata_image(controller->metadata);
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        for (size_t p = 0; image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE) && p < topic->partition_count;
             p++)
            if (!image_ids_have(&topic->partitions[p]->replicas, node->id))
                return true;
    }
    return false;
}

// Reassigns every partition that has fewer replicas than wanted to these and more on live nodes.
static void raise(struct controller *controller, const struct image_topic *topic, int wanted)
{
    struct decision decision;
    int node_count;
    if (!can_raise(controller, topic))
        return;
    decision_init(&decision);
    struct place_node *nodes = topics_nodes(controller, TOPICS_STAYING, &decision.arena, &node_count);
    struct elect_view view = nodes_view(controller);
    for (size_t p = 0; p < topic->partition_count; p++) {
        const struct image_partition *now = topic->partitions[p];
        struct image_partition next;
        if (!lacks(now, wanted))
            continue;
        struct image_ids target = more_replicas(nodes, node_count, now->replicas, wanted, &decision.arena);
        if (target.count <= now->replicas.count ||
            reassign_begin(now, target, &view, &decision.arena, &next) != ST_OK)
            continue;
        next.balancing = image_partition_moving(&next); // given up when its new node goes: nobody else would
        decision_partition(&decision, topic->id, &next);
    }
    controller_decide(controller, &decision, "more replicas");
    decision_fini(&decision);
}

static bool any_lacks(const struct image_topic *topic, int wanted)
{
    for (size_t p = 0; p < topic->partition_count; p++)
        if (lacks(topic->partitions[p], wanted))
            return true;
    return false;
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

static const struct image_topic *topic_of(const struct controller *controller,
                                          const struct internal *internal)
{
    return metadata_active(controller->metadata)
               ? image_topic_named(metadata_image(controller->metadata), internal->name)
               : NULL;
}

// What one that exists lacks.
static void ensure(struct controller *controller, const struct internal *internal)
{
    int wanted = wanted_factor(controller, internal);
    const struct image_topic *topic = topic_of(controller, internal);
    if (topic != NULL && any_lacks(topic, wanted))
        raise(controller, topic, wanted);
    topic = topic_of(controller, internal);
    if (topic != NULL)
        raise_min_isr(controller, topic);
}

static bool can_create(const struct controller *controller)
{
    return metadata_active(controller->metadata) && nodes_live(controller, MILLRACE__ROLE__ROLE_STORAGE) > 0;
}

void internal_topics_ensure(struct controller *controller)
{
    if (!can_create(controller))
        return;
    if (topic_of(controller, &internals[0]) == NULL &&
        nodes_live(controller, MILLRACE__ROLE__ROLE_COORDINATOR) > 0)
        create(controller, &internals[0]);
    for (size_t i = 0; i < INTERNALS; i++)
        ensure(controller, &internals[i]);
    if (metadata_active(controller->metadata))
        shards_give(controller);
}

static const struct internal *internal_named(const char *name)
{
    for (size_t i = 0; i < INTERNALS; i++)
        if (strcmp(internals[i].name, name) == 0)
            return &internals[i];
    return NULL;
}

enum status internal_topics_need(struct controller *controller, const char *name)
{
    const struct internal *internal = internal_named(name);
    if (internal == NULL)
        return ST_NOT_FOUND;
    if (topic_of(controller, internal) != NULL)
        return ST_OK;
    if (!can_create(controller))
        return ST_AGAIN;
    create(controller, internal);
    internal_topics_ensure(controller);
    return topic_of(controller, internal) != NULL ? ST_OK : ST_AGAIN;
}
