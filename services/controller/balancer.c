// SPDX-License-Identifier: Apache-2.0
// See balancer.h.
#include "balancer.h"

#include "balance.h"
#include "base/assert.h"
#include "base/mem.h"
#include "nodes.h"
#include "reassign.h"
#include "settle.h"

#include <stdio.h>

enum { SLACK_LEAST = 5 }; // a handful of partitions is where somebody has put it

struct survey {
    struct controller *controller;
    struct decision *decision; // its arena holds the rest
    struct balance_node *nodes;
    int node_count;
    struct balance_partition *partitions;
    size_t partition_count;
    int running; // moves of the balancer
};

bool balancer_drains(const struct image *image, int32_t node)
{
    char name[16];
    snprintf(name, sizeof name, "%d", node);
    const char *value =
        image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER, name, BALANCER_DRAINING);
    return value != NULL && strcmp(value, "true") == 0;
}

// Partitions with a reassignment, whoever began it.
static int64_t moving(const struct image *image)
{
    int64_t count = 0;
    for (size_t t = 0; t < image_topic_count(image); t++) {
        const struct image_topic *topic = image_topic_at(image, t);
        for (size_t p = 0; p < topic->partition_count; p++)
            count += image_partition_moving(topic->partitions[p]);
    }
    return count;
}

// ---- what there is ----

static void survey_nodes(struct survey *survey)
{
    const struct image *image = metadata_image(survey->controller->metadata);
    survey->nodes =
        arena_calloc(&survey->decision->arena, image_node_count(image) + 1, sizeof *survey->nodes);
    ASSERT(survey->nodes != NULL);
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        if (node->role == MILLRACE__ROLE__ROLE_STORAGE)
            survey->nodes[survey->node_count++] =
                (struct balance_node){.id = node->id,
                                      .rack = node->rack,
                                      .live = nodes_state(survey->controller, node->id) != ELECT_GONE,
                                      .leaving = balancer_drains(image, node->id)};
    }
}

static void count_node(struct survey *survey, int32_t id, bool leads)
{
    struct balance_node *node = balance_node(survey->nodes, survey->node_count, id);
    if (node == NULL)
        return;
    node->replicas++;
    node->leaders += leads;
}

static void survey_partition(struct survey *survey, const struct image_topic *topic,
                             const struct image_partition *from)
{
    bool moves = image_partition_moving(from);
    struct image_ids replicas = moves ? reassign_target(from, &survey->decision->arena) : from->replicas;
    survey->partitions[survey->partition_count++] =
        (struct balance_partition){.topic = topic->id,
                                   .index = from->index,
                                   .replicas = replicas,
                                   .moving = moves,
                                   .whole = from->isr.count == from->replicas.count &&
                                            nodes_state(survey->controller, from->leader) != ELECT_GONE};
    survey->running += moves && from->balancing;
    for (size_t i = 0; i < replicas.count; i++)
        count_node(survey, replicas.ids[i], i == 0);
}

static void survey_take(struct survey *survey)
{
    const struct image *image = metadata_image(survey->controller->metadata);
    survey_nodes(survey);
    survey->partitions =
        arena_calloc(&survey->decision->arena, image_partition_total(image) + 1, sizeof *survey->partitions);
    ASSERT(survey->partitions != NULL);
    for (size_t t = 0; t < image_topic_count(image); t++) {
        const struct image_topic *topic = image_topic_at(image, t);
        for (size_t p = 0; p < topic->partition_count; p++)
            survey_partition(survey, topic, topic->partitions[p]);
    }
}

// ---- what is done ----

// A move of ours to a node that cannot take it any more would hold its place for ever.
static bool pointless(struct controller *controller, const struct image_partition *partition)
{
    const struct image *image = metadata_image(controller->metadata);
    for (size_t i = 0; partition->balancing && i < partition->adding.count; i++) {
        int32_t id = partition->adding.ids[i];
        if (nodes_state(controller, id) == ELECT_GONE || balancer_drains(image, id))
            return true;
    }
    return false;
}

static void give_up(struct controller *controller)
{
    const struct image *image = metadata_image(controller->metadata);
    struct elect_view view = nodes_view(controller);
    struct decision decision;
    decision_init(&decision);
    for (size_t t = 0; t < image_topic_count(image); t++) {
        const struct image_topic *topic = image_topic_at(image, t);
        for (size_t p = 0; p < topic->partition_count; p++) {
            struct image_partition next;
            if (pointless(controller, topic->partitions[p]) &&
                reassign_cancel(topic->partitions[p], &view, &decision.arena, &next) == ST_OK)
                decision_partition(&decision, topic->id, &next);
        }
    }
    controller_decide(controller, &decision, "moves given up");
    decision_fini(&decision);
}

static void drain_leaders(struct controller *controller)
{
    const struct image *image = metadata_image(controller->metadata);
    struct decision decision;
    for (size_t i = 0; i < image_node_count(image); i++) {
        int32_t id = image_node_at(image, i)->id;
        if (!balancer_drains(image, id) || nodes_state(controller, id) == ELECT_GONE ||
            settle_leaderships(controller, id) == 0)
            continue;
        decision_init(&decision);
        settle_node(controller, &decision, id, ELECT_AVOID, SETTLE_STATE);
        controller_decide(controller, &decision, "draining");
        decision_fini(&decision);
        return; // the next one at the next turn: pointers into the image are old now
    }
}

static void carry_out(struct survey *survey, const struct balance_move *moves, int count)
{
    struct controller *controller = survey->controller;
    const struct image *image = metadata_image(controller->metadata);
    struct elect_view view = nodes_view(controller);
    for (int i = 0; i < count; i++) {
        const struct balance_partition *partition = &survey->partitions[moves[i].partition];
        const struct image_topic *topic = image_topic(image, partition->topic);
        struct image_ids target = balance_after(partition, &moves[i], &survey->decision->arena);
        struct image_partition next;
        if (reassign_begin(image_topic_partition(topic, partition->index), target, &view,
                           &survey->decision->arena, &next) != ST_OK)
            continue;
        next.balancing = image_partition_moving(&next);
        DIAG_INFO(&controller->env->diag, "balancing topic=%s partition=%d node=%d instead_of=%d",
                  topic->name, partition->index, moves[i].node, partition->replicas.ids[moves[i].slot]);
        decision_partition(survey->decision, topic->id, &next);
    }
    controller_decide(controller, survey->decision, "balancing");
}

static void balance(struct controller *controller)
{
    struct decision decision;
    decision_init(&decision);
    struct survey survey = {.controller = controller, .decision = &decision};
    survey_take(&survey);
    int at_once = (int)config_int(controller->config, "millrace.balancer.moves.max");
    struct balance_limits limits = {
        .leaving_only = !config_bool(controller->config, "millrace.balancer.enable"),
        .moves = at_once > survey.running ? at_once - survey.running : 0,
        .slack_percent = (int)config_int(controller->config, "millrace.balancer.imbalance.percent"),
        .slack_least = SLACK_LEAST};
    struct balance_move *moves = arena_calloc(&decision.arena, (size_t)limits.moves + 1, sizeof *moves);
    ASSERT(moves != NULL);
    int count = balance_plan(survey.nodes, survey.node_count, survey.partitions, survey.partition_count,
                             &limits, moves);
    controller->even_offset = count == 0 ? metadata_offset(controller->metadata) : -1;
    if (count > 0)
        carry_out(&survey, moves, count);
    decision_fini(&decision);
}

void balancer_tick(struct controller *controller)
{
    int64_t now = env_now_ms(controller->env);
    if (now - controller->moved_ms < config_int(controller->config, "millrace.balancer.interval.ms"))
        return;
    controller->moved_ms = now;
    drain_leaders(controller);
    if (!metadata_active(controller->metadata))
        return;
    metric_set(&controller->moving, moving(metadata_image(controller->metadata)));
    if (metadata_offset(controller->metadata) == controller->even_offset)
        return;
    give_up(controller);
    if (metadata_active(controller->metadata))
        balance(controller);
}
