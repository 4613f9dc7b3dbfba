// SPDX-License-Identifier: Apache-2.0
// AddRaftVoter (API 80, KIP-853): a controller that follows gets a vote. It must have caught up: Kafka takes
// one that did within the last hour, here it is what it lacks now that counts (raft_caught_up). The address
// that goes into the log is the one that it has itself told and at which it is served, not the request's, of
// which nobody knows whether it can be reached.
#include "voter_set.h"

#include "kafka/errors.h"
#include "kafka/messages/add_raft_voter.h"

static bool check(const struct relay *relay, struct raft_voter voter, struct topics_error *error)
{
    const struct controller *controller = relay->controller;
    const struct raft *raft = quorum_raft(controller->quorum);
    const struct raft_config *config = raft_config(raft);
    char text[VOTER_SET_TEXT];
    voter_set_text(voter, text);
    if (raft_config_find_id(config, voter.id) >= 0)
        return topics_refuse(error, KAFKA_ERR_DUPLICATE_VOTER,
                             "The voter id for %s is already part of the set of voters.", text);
    if (config->count == RAFT_VOTERS_MAX)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "There are %d voters, more cannot be.",
                             RAFT_VOTERS_MAX);
    const char *endpoint = reach_endpoint(quorum_reach(controller->quorum), voter.id);
    bool told = *endpoint != 0 && raft_endpoint_valid(slice_str(endpoint));
    if (told && raft_caught_up(raft, voter))
        return true;
    return topics_refuse(error, KAFKA_ERR_REQUEST_TIMED_OUT,
                         "Aborted add voter operation since the controller %s does not follow the metadata "
                         "log, or has not caught up yet.",
                         text);
}

void add_raft_voter(struct relay *relay)
{
    const struct kafka_add_raft_voter_request *request = relay->request;
    struct kafka_add_raft_voter_response *response = relay->response;
    struct controller *controller = relay->controller;
    struct raft_voter voter = {.id = request->voter_id, .directory = request->voter_directory_id};
    struct topics_error error = {0};
    if (voter_set_check(relay, request->cluster_id, voter, &error) && check(relay, voter, &error)) {
        struct raft_config config = *raft_config(quorum_raft(controller->quorum));
        raft_config_insert(&config, voter, reach_endpoint(quorum_reach(controller->quorum), voter.id));
        if (voter_set_append(relay, &config, &error))
            DIAG_INFO(&controller->env->diag, "voter added id=%d", voter.id);
    }
    response->error_code = error.code;
    response->error_message = relay_text(relay, &error);
}
