// SPDX-License-Identifier: Apache-2.0
// See share_kept.h.
#include "share_kept.h"

#include "coordinator_state.h"
#include "history.h"
#include "share_shard.h"

static void look(struct cluster *cluster, const struct daemon_sim *daemon, const struct share_key *key,
                 struct share_kept *kept)
{
    const struct share_shard *shard = coordinator_share_shard_of(daemon->coordinator, key);
    const struct share_state *state =
        shard != NULL && share_shard_ready(shard) ? share_shard_find(shard, key) : NULL;
    if (state == NULL || share_shard_options(shard)->owner_epoch < kept->owner_epoch)
        return;
    struct share_kept now = {.generation = daemon->process->generation,
                             .owner_epoch = share_shard_options(shard)->owner_epoch,
                             .leader_epoch = state->leader_epoch,
                             .state_epoch = state->state_epoch};
    bool same = now.generation == kept->generation && now.owner_epoch == kept->owner_epoch;
    if (same && (now.leader_epoch < kept->leader_epoch || now.state_epoch < kept->state_epoch))
        history_violation(cluster->history, "share-epochs-go-on",
                          "t-%d: leader epoch %d and state epoch %d are kept after %d and %d", key->partition,
                          now.leader_epoch, now.state_epoch, kept->leader_epoch, kept->state_epoch);
    *kept = now;
}

void share_kept_look(struct cluster *cluster, struct slice group, struct uuid topic, int partition,
                     struct share_kept *kept)
{
    struct share_key key = {.group = group, .topic = topic, .partition = partition};
    for (int i = 0; i < CLUSTER_COORDINATORS; i++)
        if (cluster->coordinators[i].process != NULL && cluster->coordinators[i].coordinator != NULL)
            look(cluster, &cluster->coordinators[i], &key, kept);
}
