// SPDX-License-Identifier: Apache-2.0
// The members of a group: identity, protocols, assignment, and the three tables they are found in (by id, by
// instance id, ids that were given out and not used yet). What a client sizes is copied into blocks, which
// may fail; the caller then answers with an error and nothing has changed.
#include "group_state.h"

#include "base/assert.h"
#include "base/mem.h"

static struct slice put_text(struct block *block, size_t *at, struct slice text)
{
    if (text.data == NULL)
        return text;
    struct slice copy = slice_of(block->data + *at, text.len);
    if (text.len > 0)
        memcpy(block->data + *at, text.data, text.len);
    *at += text.len;
    return copy;
}

// Copies the protocols of a join into one block. false when memory is short.
static bool copy_protocols(const struct group_join *join, struct block **bytes,
                           struct group_protocol **protocols)
{
    size_t len = 0;
    for (int32_t i = 0; i < join->protocol_count; i++)
        len += join->protocols[i].name.len + join->protocols[i].metadata.len;
    *bytes = block_new(len);
    if (*bytes == NULL)
        return false;
    *protocols = mem_calloc((size_t)join->protocol_count + 1, sizeof **protocols);
    size_t at = 0;
    for (int32_t i = 0; i < join->protocol_count; i++) {
        (*protocols)[i].name = put_text(*bytes, &at, join->protocols[i].name);
        (*protocols)[i].metadata = put_text(*bytes, &at, join->protocols[i].metadata);
    }
    return true;
}

struct group_member *group_member_new(const struct group_join *join, struct slice id)
{
    size_t len = id.len + join->instance_id.len + join->client_id.len + join->client_host.len;
    struct block *text = block_new(len);
    if (text == NULL)
        return NULL;
    struct group_member *member = mem_calloc(1, sizeof *member);
    if (!copy_protocols(join, &member->protocol_bytes, &member->protocols)) {
        block_unref(&text);
        mem_free(member);
        return NULL;
    }
    member->protocol_count = join->protocol_count;
    member->text = text;
    size_t at = 0;
    member->id = put_text(text, &at, id);
    member->instance_id = put_text(text, &at, join->instance_id);
    member->client_id = put_text(text, &at, join->client_id);
    member->client_host = put_text(text, &at, join->client_host);
    member->session_ms = join->session_ms;
    member->rebalance_ms = join->rebalance_ms < 0 ? join->session_ms : join->rebalance_ms;
    member->expires_us = GROUP_NEVER_US;
    return member;
}

void group_member_destroy(struct group_member *member)
{
    block_unref(&member->text);
    block_unref(&member->protocol_bytes);
    block_unref(&member->assignment);
    mem_free(member->protocols);
    mem_free(member);
}

size_t group_member_bytes(const struct group_member *member)
{
    return GROUP_MEMBER_FRAME + member->text->len + member->protocol_bytes->len +
           block_text(member->assignment).len;
}

// ---- what is counted ----
// Every JoinGroup asks which protocols all members know, every SyncGroup whether all have asked.

bool group_member_any(const struct group_member *member)
{
    return member->condensed && member->protocol_count == 0;
}

static bool named_before(const struct group_member *member, int32_t place)
{
    for (int32_t i = 0; i < place; i++) {
        if (slice_equal(member->protocols[i].name, member->protocols[place].name))
            return true;
    }
    return false;
}

// Adds the member's protocols to the group's counts, or takes them out; one it names twice counts once.
static void count_protocols(struct group *group, const struct group_member *member, bool add)
{
    if (group_member_any(member))
        group->any_count = add ? group->any_count + 1 : group->any_count - 1;
    for (int32_t i = 0; i < member->protocol_count; i++) {
        struct slice name = member->protocols[i].name;
        if (named_before(member, i))
            continue;
        intptr_t count = (intptr_t)map_get(&group->supported, name) + (add ? 1 : -1);
        if (count > 0)
            map_put(&group->supported, name, (void *)count);
        else
            map_remove(&group->supported, name);
    }
}

void group_member_set_synced(struct group *group, struct group_member *member, bool synced)
{
    if (member->synced != synced)
        group->unsynced_count = synced ? group->unsynced_count - 1 : group->unsynced_count + 1;
    member->synced = synced;
}

void group_member_seen(struct group *group, struct group_member *member)
{
    bool marked = group->state == GROUP_PREPARING || group->state == GROUP_COMPLETING;
    if (member->unseen && marked)
        group->dirty = true;
    member->unseen = false;
}

// ---- changing ----

bool group_member_update(struct group *group, struct group_member *member, const struct group_join *join)
{
    struct block *bytes;
    struct group_protocol *protocols;
    if (!copy_protocols(join, &bytes, &protocols))
        return false;
    count_protocols(group, member, false);
    group->bytes = group->bytes - member->protocol_bytes->len + bytes->len;
    block_unref(&member->protocol_bytes);
    mem_free(member->protocols);
    member->protocol_bytes = bytes;
    member->protocols = protocols;
    member->protocol_count = join->protocol_count;
    member->condensed = false;
    member->session_ms = join->session_ms;
    member->rebalance_ms = join->rebalance_ms < 0 ? join->session_ms : join->rebalance_ms;
    count_protocols(group, member, true);
    return true;
}

bool group_member_set_assignment(struct group *group, struct group_member *member, struct slice assignment)
{
    struct block *copy = NULL;
    if (assignment.len > 0 && (copy = block_copy(assignment)) == NULL)
        return false;
    group->bytes = group->bytes - block_text(member->assignment).len + assignment.len;
    block_unref(&member->assignment);
    member->assignment = copy;
    return true;
}

struct group_member *group_member_find(const struct group *group, struct slice id)
{
    return map_get(&group->members, id);
}

struct group_member *group_member_static(const struct group *group, struct slice instance_id)
{
    return instance_id.data == NULL ? NULL : map_get(&group->statics, instance_id);
}

void group_member_add(struct group *group, struct group_member *member)
{
    pending_remove(group, member->id);
    void *former = map_put(&group->members, member->id, member);
    ASSERT(former == NULL);
    if (member->instance_id.data != NULL)
        map_put(&group->statics, member->instance_id, member);
    group->bytes += group_member_bytes(member);
    group->unsynced_count += member->synced ? 0 : 1;
    count_protocols(group, member, true);
    group->dirty = true;
}

void group_member_remove(struct group *group, struct group_member *member)
{
    ASSERT(member->join_waiter == NULL && member->sync_waiter == NULL);
    map_remove(&group->members, member->id);
    if (group_member_static(group, member->instance_id) == member)
        map_remove(&group->statics, member->instance_id);
    if (member->joined)
        group->joined_count--;
    group->unsynced_count -= member->synced ? 0 : 1;
    count_protocols(group, member, false);
    ASSERT(group->unsynced_count <= group->members.count && group->any_count <= group->members.count);
    group->bytes -= group_member_bytes(member);
    if (group->leader == member) { // Kafka hands leadership on at once, so that DescribeGroups shows one
        void *first = NULL;
        struct map_entry *at = NULL;
        map_next(&group->members, &at, NULL, &first);
        group->leader = first;
    }
    group->dirty = true;
    group_member_destroy(member);
}

void group_member_park_join(struct group *group, struct group_member *member, void *waiter)
{
    if (member->join_waiter != NULL) // the client asked again on another connection
        group_refuse_join(group, member, KAFKA_ERR_REBALANCE_IN_PROGRESS, member->id);
    if (!member->joined)
        group->joined_count++;
    member->joined = true;
    member->join_waiter = waiter;
}

void pending_remove(struct group *group, struct slice id)
{
    mem_free(map_remove(&group->pending, id));
}

struct slice group_member_metadata(const struct group_member *member, struct slice protocol)
{
    for (int32_t i = 0; i < member->protocol_count; i++) {
        if (slice_equal(member->protocols[i].name, protocol))
            return member->protocols[i].metadata;
    }
    return slice_str("");
}

int16_t group_member_validate(const struct group *group, struct slice id, struct slice instance_id)
{
    if (instance_id.data == NULL)
        return group_member_find(group, id) == NULL ? KAFKA_ERR_UNKNOWN_MEMBER_ID : KAFKA_ERR_NONE;
    const struct group_member *member = group_member_static(group, instance_id);
    if (member == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    return slice_equal(member->id, id) ? KAFKA_ERR_NONE : KAFKA_ERR_FENCED_INSTANCE_ID;
}
