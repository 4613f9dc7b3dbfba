// SPDX-License-Identifier: Apache-2.0
// A member of a share group whose request is being served: what ShareFetch and ShareAcknowledge have in
// common. Each has types of its own for acknowledgements, so they bring them as struct share_ack.
#ifndef STORAGE_SHARE_CALLER_H
#define STORAGE_SHARE_CALLER_H

#include "cluster/image.h"
#include "lookup.h"
#include "share_groups.h"

struct share_caller {
    struct storage_request *request;
    struct share_groups *groups;
    struct slice group, member;
    const char *group_text;
    bool renews; // IsRenewAck: acknowledgements may be renewals
};

// A partition as the request names it.
struct share_place {
    struct uuid topic_id;
    int32_t index;
};

// UNSUPPORTED_VERSION: share groups are switched off; GROUP_AUTHORIZATION_FAILED; INVALID_REQUEST: group or
// member is missing; else NONE.
int16_t share_caller_open(struct share_caller *caller, struct storage_request *request, struct slice group,
                          struct slice member);

// The replica led here, or the error of lookup_topic or lookup_leader. *topic: NULL when it is not known.
int16_t share_caller_lead(const struct share_caller *caller, struct share_place place,
                          const struct image_topic **topic, struct replica **replica);

// Acknowledges; with *waits the waiter is told later. INVALID_RECORD_STATE: nothing is served here of which
// records could be held; else as share_served_acknowledge.
int16_t share_caller_acknowledge(const struct share_caller *caller, struct replica *replica,
                                 const struct share_ack *acks, size_t count, struct share_waiter *waiter,
                                 bool *waits);

#endif
