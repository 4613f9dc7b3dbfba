// SPDX-License-Identifier: Apache-2.0
// The API table. See apis.h.
#include "apis.h"

#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/sync_group.h"

static struct slice join_group(const void *body, int16_t version)
{
    return ((const struct kafka_join_group_request *)body)->group_id;
}

static struct slice sync_group(const void *body, int16_t version)
{
    return ((const struct kafka_sync_group_request *)body)->group_id;
}

static struct slice heartbeat_group(const void *body, int16_t version)
{
    return ((const struct kafka_heartbeat_request *)body)->group_id;
}

static struct slice leave_group(const void *body, int16_t version)
{
    return ((const struct kafka_leave_group_request *)body)->group_id;
}

static struct slice commit_group(const void *body, int16_t version)
{
    return ((const struct kafka_offset_commit_request *)body)->group_id;
}

static struct slice fetch_group(const void *body, int16_t version)
{
    const struct kafka_offset_fetch_request *fetch = body;
    if (version < 8)
        return fetch->group_id;
    return fetch->groups_count > 0 ? fetch->groups[0].group_id : (struct slice){0};
}

static struct slice delete_offsets_group(const void *body, int16_t version)
{
    return ((const struct kafka_offset_delete_request *)body)->group_id;
}

static struct slice describe_group(const void *body, int16_t version)
{
    const struct kafka_describe_groups_request *describe = body;
    return describe->groups_count > 0 ? describe->groups[0] : (struct slice){0};
}

static struct slice delete_group(const void *body, int16_t version)
{
    const struct kafka_delete_groups_request *request = body;
    return request->groups_names_count > 0 ? request->groups_names[0] : (struct slice){0};
}

const struct coordinator_api coordinator_apis[] = {
    {KAFKA_API_OFFSET_COMMIT, coordinator_offset_commit, commit_group},
    {KAFKA_API_OFFSET_FETCH, coordinator_offset_fetch, fetch_group},
    {KAFKA_API_JOIN_GROUP, coordinator_join_group, join_group},
    {KAFKA_API_HEARTBEAT, coordinator_heartbeat, heartbeat_group},
    {KAFKA_API_LEAVE_GROUP, coordinator_leave_group, leave_group},
    {KAFKA_API_SYNC_GROUP, coordinator_sync_group, sync_group},
    {KAFKA_API_DESCRIBE_GROUPS, coordinator_describe_groups, describe_group},
    {KAFKA_API_LIST_GROUPS, coordinator_list_groups, NULL},
    {KAFKA_API_DELETE_GROUPS, coordinator_delete_groups, delete_group},
    {KAFKA_API_OFFSET_DELETE, coordinator_offset_delete, delete_offsets_group},
};
const int coordinator_api_count = sizeof coordinator_apis / sizeof *coordinator_apis;

const struct group_sink coordinator_group_sink = {.joined = join_group_answered,
                                                  .synced = sync_group_answered};

const struct coordinator_api *coordinator_api(int16_t key)
{
    for (int i = 0; i < coordinator_api_count; i++) {
        if (coordinator_apis[i].key == key)
            return &coordinator_apis[i];
    }
    return NULL;
}
