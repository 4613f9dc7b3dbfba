// SPDX-License-Identifier: Apache-2.0
// See adopt_topic.h.
#include "adopt_topic.h"

#include "base/mem.h"
#include "cluster/configs.h"
#include "internal_topics.h"
#include "kafka/errors.h"
#include "topics.h"

// Apache Kafka, to which the data may go back, goes on counting producer ids where it was: ours begin at the
// next multiple of this.
#define PRODUCER_ID_STRIDE (1ll << 32)

struct answer {
    struct controller *controller;
    Millrace__Empty_Closure closure;
    struct rpc_call *call;
};

static void answer_send(void *context, enum status status)
{
    struct answer *answer = context;
    Millrace__Empty reply = MILLRACE__EMPTY__INIT;
    if (status == ST_OK)
        answer->closure(&reply, answer->call);
    else
        controller_redirect(answer->controller, answer->call);
    mem_free(answer);
}

static bool check(const struct controller *controller, const Millrace__AdoptTopicRequest *request,
                  struct topics_error *error)
{
    const struct image *image = metadata_image(controller->metadata);
    struct slice name = slice_str(request->name);
    if (!topics_name_check(controller, name, error))
        return false;
    if (internal_topics_is(name))
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "The cluster has this internal topic itself.");
    if (request->n_last_epochs == 0 || request->n_last_epochs > IMAGE_PARTITIONS_MAX ||
        image_partition_total(image) + request->n_last_epochs > CLUSTER_PARTITIONS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_PARTITIONS, "%zu partitions are not possible.",
                             request->n_last_epochs);
    for (size_t i = 0; i < request->n_last_epochs; i++)
        if (request->last_epochs[i] < -1 || request->last_epochs[i] == INT32_MAX)
            return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "%d is no leader epoch.",
                                 request->last_epochs[i]);
    if (request->producer_id_max < -1 || request->producer_id_max > INT64_MAX - 2 * PRODUCER_ID_STRIDE)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "There is no room behind its producer ids.");
    return true;
}

static bool add_configs(const Millrace__AdoptTopicRequest *request, struct decision *decision,
                        struct topics_error *error)
{
    for (size_t i = 0; i < request->n_configs; i++) {
        const Millrace__AdoptTopicConfig *config = request->configs[i];
        const struct configs_key *key = configs_topic_key(slice_str(config->key));
        char why[CONFIGS_WHY_SIZE];
        if (key == NULL)
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "Unknown topic config name: %.100s",
                                 config->key);
        if (configs_check(key, slice_str(config->value), why) != ST_OK)
            return topics_refuse(error, KAFKA_ERR_INVALID_CONFIG, "%s", why);
        const char *kept = configs_kept(key, slice_str(config->value), &decision->arena);
        decision_config(decision, MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC, request->name, key->name,
                        kept != NULL ? kept : "");
    }
    return true;
}

static void add_partitions(const struct image *image, const Millrace__AdoptTopicRequest *request,
                           struct uuid id, struct decision *decision)
{
    int32_t node = request->node_id;
    bool live = image_node_live(image_node(image, node), MILLRACE__ROLE__ROLE_STORAGE);
    for (size_t i = 0; i < request->n_last_epochs; i++) {
        struct image_partition partition = {.index = (int32_t)i,
                                            .replicas = {.ids = &node, .count = 1},
                                            .isr = {.ids = &node, .count = 1},
                                            .leader = live ? node : -1,
                                            .leader_epoch = request->last_epochs[i] + 1};
        decision_partition(decision, id, &partition);
    }
}

static bool decide(const struct controller *controller, const Millrace__AdoptTopicRequest *request,
                   struct uuid id, struct decision *decision, struct topics_error *error)
{
    const struct image *image = metadata_image(controller->metadata);
    if (!check(controller, request, error))
        return false;
    decision_topic(decision, id, request->name, false);
    if (!add_configs(request, decision, error))
        return false;
    add_partitions(image, request, id, decision);
    if (request->producer_id_max >= image_next_producer_id(image))
        decision_producer_ids(decision, (request->producer_id_max | (PRODUCER_ID_STRIDE - 1)) + 1);
    return true;
}

// False: the call has failed.
static bool adopt(struct controller *controller, const Millrace__AdoptTopicRequest *request, struct uuid id,
                  struct rpc_call *call)
{
    struct topics_error error = {0};
    struct decision decision;
    enum status status = ST_OK;
    decision_init(&decision);
    bool decided = decide(controller, request, id, &decision, &error);
    if (decided)
        status = metadata_append(controller->metadata, &decision);
    decision_fini(&decision);
    if (!decided)
        rpc_fail(call, error.code == KAFKA_ERR_TOPIC_ALREADY_EXISTS ? ST_EXISTS : ST_INVALID, error.why);
    else if (status != ST_OK)
        rpc_fail(call, status == ST_LIMIT ? ST_AGAIN : status, "the topic cannot be written");
    else
        DIAG_INFO(&controller->env->diag, "topic adopted topic=%s partitions=%zu node=%d", request->name,
                  request->n_last_epochs, request->node_id);
    return decided && status == ST_OK;
}

void adopt_topic(struct controller *controller, const Millrace__AdoptTopicRequest *request,
                 Millrace__Empty_Closure closure, struct rpc_call *call)
{
    const struct image *image = metadata_image(controller->metadata);
    const struct image_node *node = image_node(image, request->node_id);
    struct uuid id;
    if (node == NULL || node->incarnation != request->incarnation) {
        rpc_fail(call, ST_STALE, "not the registered incarnation of that node");
        return;
    }
    if (request->topic_id.len == sizeof id.bytes)
        memcpy(id.bytes, request->topic_id.data, sizeof id.bytes);
    if (request->topic_id.len != sizeof id.bytes || uuid_is_zero(id)) {
        rpc_fail(call, ST_INVALID, "the topic has no id");
        return;
    }
    if (image_topic(image, id) == NULL && !adopt(controller, request, id, call))
        return;
    struct answer *answer = mem_calloc(1, sizeof *answer);
    *answer = (struct answer){.controller = controller, .closure = closure, .call = call};
    metadata_when_committed(controller->metadata, answer_send, answer);
}
