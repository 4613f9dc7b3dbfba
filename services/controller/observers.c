// SPDX-License-Identifier: Apache-2.0
// See observers.h.
#include "observers.h"

#include "state.h"
#include "voter_set.h"

static struct observers_item *item_of(struct observers *observers, int32_t id)
{
    for (int i = 0; i < observers->count; i++)
        if (observers->items[i].voter.id == id)
            return &observers->items[i];
    return NULL;
}

void observers_note(struct controller *controller, struct raft_voter voter)
{
    struct observers *observers = &controller->observers;
    struct observers_item *item = item_of(observers, voter.id);
    if (item == NULL && observers->count == RAFT_LEARNERS_MAX) {
        DIAG_WARN(&controller->env->diag, "controller %d is not served, %d others without a vote are",
                  voter.id, RAFT_LEARNERS_MAX);
        return;
    }
    if (item == NULL)
        item = &observers->items[observers->count++];
    if (!raft_voter_equal(item->voter, voter)) {
        item->voter = voter;
        observers->term = 0;
    }
    item->heard_ms = env_now_ms(controller->env);
}

static bool request_of(const Millrace__ObserveRequest *request, struct raft_voter *voter)
{
    if (request->id < 0 || request->directory_id.len != 16 || request->rpc_endpoint[0] == 0 ||
        !raft_endpoint_valid(slice_str(request->rpc_endpoint)))
        return false;
    voter->id = request->id;
    memcpy(voter->directory.bytes, request->directory_id.data, 16);
    return true;
}

void observers_observe(struct controller *controller, const Millrace__ObserveRequest *request,
                       Millrace__ObserveReply_Closure closure, struct rpc_call *call)
{
    struct raft_voter voter;
    if (!request_of(request, &voter) || voter.id == controller->node_id) {
        rpc_fail(call, ST_INVALID, "not an id, a directory id and an address of another controller");
        return;
    }
    reach_note(quorum_reach(controller->quorum), voter.id, request->rpc_endpoint);
    if (raft_config_find(raft_config(quorum_raft(controller->quorum)), voter) >= 0)
        voter_set_move(controller, voter, request->rpc_endpoint);
    else
        observers_note(controller, voter);
    Millrace__ObserveReply reply = MILLRACE__OBSERVE_REPLY__INIT;
    struct uuid cluster = store_cluster(controller->store);
    reply.cluster_id = (ProtobufCBinaryData){.len = 16, .data = cluster.bytes};
    closure(&reply, call);
}

static bool drop_silent(struct controller *controller)
{
    struct observers *observers = &controller->observers;
    int64_t now = env_now_ms(controller->env);
    int kept = 0;
    for (int i = 0; i < observers->count; i++)
        if (now - observers->items[i].heard_ms < OBSERVERS_SILENT_MS)
            observers->items[kept++] = observers->items[i];
    bool dropped = kept < observers->count;
    observers->count = kept;
    return dropped;
}

void observers_tick(struct controller *controller)
{
    struct observers *observers = &controller->observers;
    const struct raft *raft = quorum_raft(controller->quorum);
    struct raft_voter learners[RAFT_LEARNERS_MAX];
    if (raft_role(raft) != RAFT_LEADER) {
        observers->count = 0;
        return;
    }
    if (!drop_silent(controller) && observers->term == raft_term(raft))
        return;
    for (int i = 0; i < observers->count; i++)
        learners[i] = observers->items[i].voter;
    if (quorum_learners(controller->quorum, learners, observers->count) == ST_OK)
        observers->term = raft_term(raft);
}
