// SPDX-License-Identifier: Apache-2.0
// See settle.h. The image does not know yet what is being decided about the node, so the view overrides it.
#include "settle.h"

#include "base/assert.h"
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
// proves nothing (KIP-966: an unclean restart leaves the ISR), and what was read from it may be rewritten.
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

// now: with what is decided besides the election; changed: that differs from what the image has.
static void settle_changed(struct controller *controller, struct decision *decision,
                           const struct image_topic *topic, const struct image_partition *now,
                           struct elect_view *view, bool changed)
{
    struct image_partition next;
    bool unclean = false;
    view->unclean = now->leader < 0 || view->unclean ? unclean_enabled(controller, topic->name) : false;
    bool elected = elect_settle(now, view, &decision->arena, &next, &unclean);
    bool finished = reassign_finish(now, view, &decision->arena, &next);
    if (!elected && !finished && !changed)
        return;
    next.partition_epoch += !elected && !finished; // those have counted already
    if (unclean)
        DIAG_WARN(&controller->env->diag,
                  "unclean leader election, records may be lost topic=%s partition=%d leader=%d", topic->name,
                  now->index, next.leader);
    if (next.leader < 0 && now->leader >= 0)
        DIAG_WARN(&controller->env->diag, "partition is offline topic=%s partition=%d", topic->name,
                  now->index);
    decision_partition(decision, topic->id, &next);
}

static void settle_one(struct controller *controller, struct decision *decision,
                       const struct image_topic *topic, const struct image_partition *now,
                       struct elect_view *view)
{
    settle_changed(controller, decision, topic, now, view, false);
}

static void settle_topic(struct decision *decision, const struct image_topic *topic,
                         struct override *override, enum settle_cause cause)
{
    struct controller *controller = override->controller;
    int32_t node = override->node;
    struct elect_view view = {.context = override,
                              .state = state_of,
                              .stalled = cause == SETTLE_STALLED ? node : -1,
                              .lost = cause == SETTLE_LOST ? node : -1};
    bool asked = false; // most topics have no replica there
    for (size_t p = 0; p < topic->partition_count; p++) {
        if (!image_ids_have(&topic->partitions[p]->replicas, node))
            continue;
        view.sole_stays = asked ? view.sole_stays : keeps_what_it_acknowledged(controller, topic->name);
        view.heard = cause == SETTLE_RESTARTED && view.sole_stays ? heard_of : NULL;
        view.unclean = override->as == ELECT_GONE;
        asked = true;
        settle_one(controller, decision, topic, topic->partitions[p], &view);
    }
}

void settle_node(struct controller *controller, struct decision *decision, int32_t node, enum elect_state as,
                 enum settle_cause cause)
{
    const struct image *image = metadata_image(controller->metadata);
    struct override override = {controller, node, as};
    for (size_t t = 0; t < image_topic_count(image); t++)
        settle_topic(decision, image_topic_at(image, t), &override, cause);
}

static struct image_ids ids_with(struct arena *arena, struct image_ids ids, int32_t node)
{
    if (image_ids_have(&ids, node))
        return ids;
    int32_t *copy = arena_calloc(arena, ids.count + 1, sizeof *copy);
    ASSERT(copy != NULL);
    if (ids.count > 0)
        memcpy(copy, ids.ids, ids.count * sizeof *copy);
    copy[ids.count] = node;
    return (struct image_ids){.ids = copy, .count = ids.count + 1};
}

static struct image_ids ids_without(struct arena *arena, struct image_ids ids, int32_t node)
{
    int32_t *copy = arena_calloc(arena, ids.count + 1, sizeof *copy);
    size_t count = 0;
    ASSERT(copy != NULL);
    for (size_t i = 0; i < ids.count; i++)
        if (ids.ids[i] != node)
            copy[count++] = ids.ids[i];
    return (struct image_ids){.ids = copy, .count = count};
}

// Whether another one leads, and this one is out of the ISR, once it is marked: then nothing is lost when it
// throws away what it has.
static bool can_spare(const struct image_partition *marked, const struct elect_view *view,
                      struct arena *arena, int32_t node)
{
    struct image_partition next;
    bool unclean;
    elect_settle(marked, view, arena, &next, &unclean);
    return next.leader >= 0 && next.leader != node && !image_ids_have(&next.isr, node);
}

static const char *condition_text(Millrace__ReplicaCondition condition)
{
    switch (condition) {
    case MILLRACE__REPLICA_CONDITION__REPLICA_FAILED:
        return "replica has failed";
    case MILLRACE__REPLICA_CONDITION__REPLICA_DAMAGED:
        return "replica is damaged and is filled again";
    case MILLRACE__REPLICA_CONDITION__REPLICA_LOST:
        return "replica has lost its data";
    default:
        return "replica can be used again";
    }
}

void settle_report(struct controller *controller, struct decision *decision, const struct image_topic *topic,
                   const struct image_partition *now, int32_t node, Millrace__ReplicaCondition condition)
{
    bool fails = condition == MILLRACE__REPLICA_CONDITION__REPLICA_FAILED ||
                 condition == MILLRACE__REPLICA_CONDITION__REPLICA_DAMAGED;
    bool lost = condition == MILLRACE__REPLICA_CONDITION__REPLICA_LOST;
    struct override override = {controller, node, lost ? ELECT_GONE : nodes_state(controller, node)};
    struct elect_view view = {
        .context = &override, .state = state_of, .stalled = -1, .lost = lost ? node : -1};
    struct image_partition marked = *now;
    marked.failed = (fails ? ids_with : ids_without)(&decision->arena, now->failed, node);
    bool changed = marked.failed.count != now->failed.count;
    if (!changed && !(lost && image_ids_have(&now->isr, node)))
        return;
    if (condition == MILLRACE__REPLICA_CONDITION__REPLICA_DAMAGED &&
        !can_spare(&marked, &view, &decision->arena, node))
        return;
    DIAG_WARN(&controller->env->diag, "%s node=%d topic=%s partition=%d", condition_text(condition), node,
              topic->name, now->index);
    settle_changed(controller, decision, topic, &marked, &view, changed);
}

void settle_lost(struct controller *controller, struct decision *decision, struct uuid topic_id,
                 int32_t partition, int32_t node)
{
    const struct image *image = metadata_image(controller->metadata);
    const struct image_topic *topic = image_topic(image, topic_id);
    const struct image_partition *now = topic != NULL ? image_topic_partition(topic, partition) : NULL;
    if (now != NULL)
        settle_report(controller, decision, topic, now, node, MILLRACE__REPLICA_CONDITION__REPLICA_LOST);
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
