// SPDX-License-Identifier: Apache-2.0
// See settle.h. The image does not know yet what is being decided about the node, so the view overrides it.
#include "settle.h"

#include "nodes.h"
#include "reassign.h"

struct override {
    struct controller *controller;
    int32_t node;
    enum elect_state as;
};

static enum elect_state state_of(void *context, int32_t node)
{
    const struct override *override = context;
    return node == override->node ? override->as : nodes_state(override->controller, node);
}

static bool heard_of(void *context, int32_t node)
{
    const struct override *override = context;
    return nodes_heard(override->controller, node);
}

// What a restarted node acknowledged is on its disk: with all nodes back from a power cut, each would leave
// the ISR in favour of nodes that are down too, and the last one alone could lead. Without flushes its log
// proves nothing (KIP-966: an unclean restart leaves the ISR).
static bool keeps_what_it_acknowledged(const struct controller *controller, const char *topic)
{
    static const char key[] = "flush.before.ack";
    const char *value = image_topic_config(metadata_image(controller->metadata), topic, key, key, -1, "true");
    return strcmp(value, "true") == 0;
}

static bool unclean_enabled(const struct controller *controller, const char *topic)
{
    static const char key[] = "unclean.leader.election.enable";
    const char *fallback = config_bool(controller->config, key) ? "true" : "false";
    const char *value =
        image_topic_config(metadata_image(controller->metadata), topic, key, key, -1, fallback);
    return strcmp(value, "true") == 0;
}

static void settle_one(struct controller *controller, struct decision *decision,
                       const struct image_topic *topic, const struct image_partition *now,
                       struct elect_view *view)
{
    struct image_partition next;
    bool unclean = false;
    view->unclean = now->leader < 0 || view->unclean ? unclean_enabled(controller, topic->name) : false;
    bool changed = elect_settle(now, view, &decision->arena, &next, &unclean);
    if (!reassign_finish(now, view, &decision->arena, &next) && !changed)
        return;
    if (unclean)
        DIAG_WARN(&controller->env->diag,
                  "unclean leader election, records may be lost topic=%s partition=%d leader=%d", topic->name,
                  now->index, next.leader);
    if (next.leader < 0 && now->leader >= 0)
        DIAG_WARN(&controller->env->diag, "partition is offline topic=%s partition=%d", topic->name,
                  now->index);
    decision_partition(decision, topic->id, &next);
}

void settle_node(struct controller *controller, struct decision *decision, int32_t node, enum elect_state as,
                 enum settle_cause cause)
{
    const struct image *image = metadata_image(controller->metadata);
    struct override override = {controller, node, as};
    for (size_t t = 0; t < image_topic_count(image); t++) {
        const struct image_topic *topic = image_topic_at(image, t);
        for (size_t p = 0; p < topic->partition_count; p++) {
            struct elect_view view = {.context = &override,
                                      .state = state_of,
                                      .stalled = cause == SETTLE_STALLED ? node : -1,
                                      .lost = cause == SETTLE_LOST ? node : -1,
                                      .unclean = as == ELECT_GONE};
            if (!image_ids_have(&topic->partitions[p]->replicas, node))
                continue;
            if (cause == SETTLE_RESTARTED && keeps_what_it_acknowledged(controller, topic->name))
                view.heard = heard_of;
            settle_one(controller, decision, topic, topic->partitions[p], &view);
        }
    }
}

void settle_lost(struct controller *controller, struct decision *decision, struct uuid topic_id,
                 int32_t partition, int32_t node)
{
    const struct image *image = metadata_image(controller->metadata);
    const struct image_topic *topic = image_topic(image, topic_id);
    const struct image_partition *now = topic != NULL ? image_topic_partition(topic, partition) : NULL;
    if (now == NULL || !image_ids_have(&now->isr, node))
        return;
    DIAG_WARN(&controller->env->diag, "replica has lost its data node=%d topic=%s partition=%d", node,
              topic->name, partition);
    struct override override = {controller, node, ELECT_GONE};
    struct elect_view view = {.context = &override, .state = state_of, .stalled = -1, .lost = node};
    settle_one(controller, decision, topic, now, &view);
}

void settle_preferred(struct controller *controller, struct decision *decision, int max)
{
    const struct image *image = metadata_image(controller->metadata);
    struct override override = {controller, -1, ELECT_GONE};
    for (size_t t = 0; t < image_topic_count(image); t++) {
        const struct image_topic *topic = image_topic_at(image, t);
        for (size_t p = 0; p < topic->partition_count && (int)decision->count < max; p++) {
            struct elect_view view = {
                .context = &override, .state = state_of, .stalled = -1, .lost = -1, .preferred = true};
            if (topic->partitions[p]->leader != topic->partitions[p]->replicas.ids[0])
                settle_one(controller, decision, topic, topic->partitions[p], &view);
        }
    }
}

int32_t settle_leaderships(const struct controller *controller, int32_t node)
{
    const struct image *image = metadata_image(controller->metadata);
    int32_t count = 0;
    for (size_t t = 0; t < image_topic_count(image); t++) {
        const struct image_topic *topic = image_topic_at(image, t);
        for (size_t p = 0; p < topic->partition_count; p++)
            count += topic->partitions[p]->leader == node;
    }
    return count;
}
