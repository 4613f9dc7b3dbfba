// SPDX-License-Identifier: Apache-2.0
// See share_caller.h.
#include "share_caller.h"

#include "cluster/features.h"
#include "storage.h"

int16_t share_caller_open(struct share_caller *caller, struct storage_request *request, struct slice group,
                          struct slice member)
{
    *caller = (struct share_caller){.request = request,
                                    .groups = storage_share_groups(request->storage),
                                    .group = group,
                                    .member = member};
    if (image_feature(storage_image(request->storage), FEATURES_SHARE) == 0)
        return KAFKA_ERR_UNSUPPORTED_VERSION;
    if (group.len == 0 || member.len == 0)
        return KAFKA_ERR_INVALID_REQUEST;
    if (!authorise(&request->principal, OPERATION_READ, RESOURCE_TYPE_GROUP, group))
        return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
    caller->group_text = arena_strndup(&request->arena, group.data, group.len);
    return caller->group_text != NULL ? KAFKA_ERR_NONE : KAFKA_ERR_INVALID_REQUEST;
}

int16_t share_caller_lead(const struct share_caller *caller, struct share_place place,
                          const struct image_topic **topic, struct replica **replica)
{
    struct lookup_topic named = {.by_id = true, .id = place.topic_id};
    *topic = NULL;
    int16_t error = lookup_topic(caller->request, &named, OPERATION_READ, topic);
    if (error != KAFKA_ERR_NONE)
        return error;
    return lookup_leader(caller->request, *topic, place.index, -1, replica);
}

static bool types_allowed(const struct share_caller *caller, const struct share_ack *acks, size_t count)
{
    for (size_t i = 0; i < count && !caller->renews; i++)
        for (int32_t k = 0; k < acks[i].count; k++)
            if (acks[i].types[k] == SHARE_RENEW)
                return false;
    return true;
}

int16_t share_caller_acknowledge(const struct share_caller *caller, struct replica *replica,
                                 const struct share_ack *acks, size_t count, struct share_waiter *waiter,
                                 bool *waits)
{
    struct share_served *served = share_groups_find(caller->groups, caller->group, replica);
    *waits = false;
    if (!types_allowed(caller, acks, count))
        return KAFKA_ERR_INVALID_REQUEST;
    if (served == NULL || served->state != SHARE_READY)
        return KAFKA_ERR_INVALID_RECORD_STATE;
    return share_served_acknowledge(served, caller->member, acks, count, waiter, waits);
}
