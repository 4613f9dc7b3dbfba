// SPDX-License-Identifier: Apache-2.0
// See voter_set.h.
#include "voter_set.h"

#include "cluster/features.h"
#include "kafka/errors.h"

#include <stdio.h>

static const struct raft_config *config_of(const struct controller *controller)
{
    return raft_config(quorum_raft(controller->quorum));
}

bool voter_set_dynamic(const struct controller *controller)
{
    return raft_config_addressed(config_of(controller));
}

bool voter_set_expects(const struct controller *controller)
{
    struct raft_voter self = raft_self(quorum_raft(controller->quorum));
    return controller->voters.given && !voter_set_dynamic(controller) &&
           raft_config_find(config_of(controller), self) < 0;
}

static void move(struct controller *controller, struct raft_voter voter, const char *endpoint)
{
    struct raft_config config = *config_of(controller);
    int at = raft_config_find(&config, voter);
    if (at < 0 || !metadata_active(controller->metadata) || strcmp(config.endpoints[at], endpoint) == 0)
        return;
    snprintf(config.endpoints[at], RAFT_ENDPOINT_SIZE, "%s", endpoint);
    if (metadata_configure(controller->metadata, &config) == ST_OK)
        DIAG_INFO(&controller->env->diag, "voter %d is at %s", voter.id, endpoint);
}

void voter_set_move(struct controller *controller, struct raft_voter voter, const char *endpoint)
{
    if (voter_set_dynamic(controller))
        move(controller, voter, endpoint);
}

static void level_follows(struct controller *controller)
{
    const struct image *image = metadata_image(controller->metadata);
    struct decision decision;
    if (image_feature(image, FEATURES_KRAFT) > 0 || image_features_epoch(image) == 0)
        return;
    decision_init(&decision);
    decision_feature(&decision, FEATURES_KRAFT, 1, image_features_epoch(image) + 1);
    controller_decide(controller, &decision, FEATURES_KRAFT);
    decision_fini(&decision);
}

// A voter alone, without a configured list, needs nobody else's address to become dynamic.
void voter_set_tick(struct controller *controller)
{
    struct raft_voter self = raft_self(quorum_raft(controller->quorum));
    bool dynamic = voter_set_dynamic(controller);
    if (!metadata_active(controller->metadata))
        return;
    if (controller->endpoint[0] != 0 &&
        (dynamic || (!controller->voters.given && config_of(controller)->count == 1)))
        move(controller, self, controller->endpoint);
    if (dynamic)
        level_follows(controller);
}

// The configured address of a voter; false when there is none that the log could have.
static bool configured(const struct controller *controller, int32_t id, char endpoint[RAFT_ENDPOINT_SIZE])
{
    const struct voters_item *item = voters_find(&controller->voters, id);
    if (item == NULL || item->endpoint[0] == 0 || !raft_endpoint_valid(slice_str(item->endpoint)))
        return false;
    snprintf(endpoint, RAFT_ENDPOINT_SIZE, "%.*s", RAFT_ENDPOINT_SIZE - 1, item->endpoint);
    return true;
}

bool voter_set_upgrade(struct relay *relay, struct topics_error *error)
{
    const struct controller *controller = relay->controller;
    struct raft_config config = *config_of(controller);
    for (int i = 0; i < config.count; i++)
        if (config.endpoints[i][0] == 0 && !configured(controller, config.voters[i].id, config.endpoints[i]))
            return topics_refuse(error, KAFKA_ERR_INVALID_UPDATE_VERSION,
                                 "The address of controller %d is not configured.", config.voters[i].id);
    return relay->validate_only || voter_set_dynamic(controller) || voter_set_append(relay, &config, error);
}

const char *voter_set_text(struct raft_voter voter, char text[VOTER_SET_TEXT])
{
    char directory[UUID_TEXT_SIZE];
    uuid_format(voter.directory, directory);
    snprintf(text, VOTER_SET_TEXT, "%d@%s", voter.id, directory);
    return text;
}

static bool same_cluster(const struct controller *controller, struct slice asked)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(store_cluster(controller->store), text);
    return asked.data == NULL || slice_is(asked, text);
}

bool voter_set_check(const struct relay *relay, struct slice cluster, struct raft_voter voter,
                     struct topics_error *error)
{
    const struct controller *controller = relay->controller;
    if (!authorise(&relay->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME)))
        return topics_refuse(error, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, "Authorization failed.");
    if (!same_cluster(controller, cluster))
        return topics_refuse(error, KAFKA_ERR_INCONSISTENT_CLUSTER_ID,
                             "The request is for another cluster than this one.");
    if (voter.id < 0 || uuid_is_zero(voter.directory))
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST,
                             "The request doesn't include a valid voter: an id and a directory id.");
    if (!voter_set_dynamic(controller))
        return topics_refuse(
            error, KAFKA_ERR_UNSUPPORTED_VERSION,
            "Cluster doesn't support changing voters because the kraft.version feature is 0: "
            "its controllers are those of controller.quorum.voters.");
    return true;
}

bool voter_set_append(struct relay *relay, const struct raft_config *config, struct topics_error *error)
{
    enum status status = metadata_configure(relay->controller->metadata, config);
    if (status == ST_OK)
        relay->appended = true;
    else if (status == ST_NOT_LEADER)
        relay->failed = ST_NOT_LEADER;
    else if (status == ST_AGAIN)
        topics_refuse(error, KAFKA_ERR_REQUEST_TIMED_OUT,
                      "Request timed out waiting for a previous voter change to be committed.");
    else
        topics_refuse(error, KAFKA_ERR_REQUEST_TIMED_OUT, "The voters cannot be changed now: %s.",
                      status_text(status));
    return status == ST_OK;
}
