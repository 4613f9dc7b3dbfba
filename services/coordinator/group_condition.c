// SPDX-License-Identifier: Apache-2.0
// See group_condition.h.
#include "group_condition.h"

#include "group_state.h"

static const char *state_of(const struct group *group, const struct group_member *member)
{
    switch (group->state) {
    case GROUP_PREPARING:
        return member->joined ? "joined" : "awaiting rejoin";
    case GROUP_COMPLETING:
        return member->synced ? "synced" : "awaiting sync";
    default:
        return "stable";
    }
}

bool group_next_condition(const struct group *group, struct group_now now, struct map_entry **cursor,
                          struct group_condition *condition)
{
    void *value;
    if (!map_next(&group->members, cursor, NULL, &value))
        return false;
    const struct group_member *member = value;
    bool watched = member->expires_us != GROUP_NEVER_US;
    int64_t left_ms = (member->expires_us - now.us) / 1000;
    *condition = (struct group_condition){
        .id = member->id,
        .instance_id = member->instance_id,
        .client_id = member->client_id,
        .client_host = member->client_host,
        .assignment = block_text(member->assignment),
        .state = state_of(group, member),
        .heard_ms = watched && left_ms < member->session_ms ? member->session_ms - left_ms
                    : watched                               ? 0
                                                            : -1,
        .session_ms = member->session_ms,
        .rebalance_ms = member->rebalance_ms,
    };
    return true;
}

int64_t group_phase_left_ms(const struct group *group, struct group_now now)
{
    int64_t deadline_us = group->state == GROUP_PREPARING    ? group->join_deadline_us
                          : group->state == GROUP_COMPLETING ? group->sync_deadline_us
                                                             : GROUP_NEVER_US;
    if (deadline_us == GROUP_NEVER_US)
        return -1;
    return deadline_us > now.us ? (deadline_us - now.us) / 1000 : 0;
}
