// SPDX-License-Identifier: Apache-2.0
// RemoveRaftVoter (API 81, KIP-853): a controller loses its vote. When it is the active one it leads until
// that is committed, answers, and hands over (dissertation §4.2.2). It then follows as an observer.
#include "voter_set.h"

#include "kafka/errors.h"
#include "kafka/messages/remove_raft_voter.h"

static bool check(const struct raft_config *config, struct raft_voter voter, struct topics_error *error)
{
    char text[VOTER_SET_TEXT];
    voter_set_text(voter, text);
    if (raft_config_find(config, voter) < 0)
        return topics_refuse(error, KAFKA_ERR_VOTER_NOT_FOUND,
                             "Cannot remove voter %s from the set of voters: it is not in it.", text);
    if (config->count == 1)
        return topics_refuse(error, KAFKA_ERR_INVALID_REQUEST, "%s is the only voter.", text);
    return true;
}

void remove_raft_voter(struct relay *relay)
{
    const struct kafka_remove_raft_voter_request *request = relay->request;
    struct kafka_remove_raft_voter_response *response = relay->response;
    struct controller *controller = relay->controller;
    struct raft_voter voter = {.id = request->voter_id, .directory = request->voter_directory_id};
    struct raft_config config = *raft_config(quorum_raft(controller->quorum));
    struct topics_error error = {0};
    if (voter_set_check(relay, request->cluster_id, voter, &error) && check(&config, voter, &error)) {
        raft_config_remove(&config, raft_config_find(&config, voter));
        if (voter_set_append(relay, &config, &error))
            DIAG_INFO(&controller->env->diag, "voter removed id=%d", voter.id);
    }
    response->error_code = error.code;
    response->error_message = relay_text(relay, &error);
}
