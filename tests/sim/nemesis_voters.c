// SPDX-License-Identifier: Apache-2.0
// Voters that change at the worst of times: every few tens of milliseconds whoever takes itself for the
// active controller, deposed or not, is asked to give a vote to a controller or to take one, without the way
// over the wire that an operator has to go (voter_changer.c). The core decides what it takes.
#include "nemesis.h"

#include "state.h"

enum { PAUSE_MS_MAX = 60 };

static struct controller *any_leader(struct nemesis *nemesis)
{
    struct cluster *cluster = nemesis->cluster;
    int from = (int)nemesis_between(nemesis, 0, cluster->controller_count - 1);
    for (int i = 0; i < cluster->controller_count; i++) {
        const struct daemon_sim *daemon = &cluster->controllers[(from + i) % cluster->controller_count];
        if (daemon->process != NULL && daemon->controller != NULL && controller_active(daemon->controller))
            return daemon->controller;
    }
    return NULL;
}

static void change(struct nemesis *nemesis, struct controller *leader)
{
    struct cluster *cluster = nemesis->cluster;
    const struct daemon_sim *other =
        &cluster->controllers[nemesis_between(nemesis, 0, cluster->controller_count - 1)];
    struct raft_config config = *raft_config(quorum_raft(leader->quorum));
    if (other->process == NULL || other->controller == NULL || other->controller->quorum == NULL)
        return;
    struct raft_voter voter = raft_self(quorum_raft(other->controller->quorum));
    int at = raft_config_find(&config, voter);
    if (at >= 0 && config.count > 1)
        raft_config_remove(&config, at);
    else if (at < 0)
        raft_config_insert(&config, voter, other->controller->endpoint);
    else
        return;
    if (metadata_configure(leader->metadata, &config) == ST_OK)
        world_count(cluster->world, at < 0 ? COUNT_voter_added : COUNT_voter_removed);
}

static void step(struct timer *timer)
{
    struct nemesis *nemesis = timer->context;
    struct controller *leader = any_leader(nemesis);
    if (nemesis->healing)
        return;
    if (leader != NULL)
        change(nemesis, leader);
    timer_start_ms(nemesis->env, timer, nemesis_between(nemesis, 1, PAUSE_MS_MAX));
}

void nemesis_voters_begin(struct nemesis *nemesis)
{
    timer_init(&nemesis->voting, step, nemesis);
    timer_start_ms(nemesis->env, &nemesis->voting, PAUSE_MS_MAX);
}
