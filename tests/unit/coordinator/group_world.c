// SPDX-License-Identifier: Apache-2.0
// See group_world.h.
#include "group_world.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

static void keep(char *to, size_t size, struct slice from)
{
    snprintf(to, size, "%.*s", (int)from.len, from.data == NULL ? "" : (const char *)from.data);
}

static void on_joined(void *context, void *waiter, const struct group_joined *answer)
{
    struct ask *ask = waiter;
    ASSERT(!ask->answered);
    ask->answered = true;
    ask->error = answer->error;
    ask->generation = answer->generation;
    ask->skip_assignment = answer->skip_assignment;
    keep(ask->member_id, sizeof ask->member_id, answer->member_id);
    keep(ask->leader, sizeof ask->leader, answer->leader);
    keep(ask->protocol, sizeof ask->protocol, answer->protocol);
    keep(ask->type, sizeof ask->type, answer->protocol_type);
    ask->members = answer->members_of == NULL ? -1 : (int)group_size(answer->members_of);
}

static void on_synced(void *context, void *waiter, const struct group_synced *answer)
{
    struct ask *ask = waiter;
    ASSERT(!ask->answered);
    ask->answered = true;
    ask->error = answer->error;
    keep(ask->assignment, sizeof ask->assignment, answer->assignment);
    keep(ask->protocol, sizeof ask->protocol, answer->protocol);
}

void world_init(struct world *world)
{
    *world = (struct world){
        .settings = {.initial_delay_ms = 3000,
                     .session_min_ms = 6000,
                     .session_max_ms = 1800000,
                     .size_max = 100,
                     .bytes_max = 1 << 20,
                     .pending_max = 100,
                     .new_member_wait_ms = 300000},
        .sink = {.joined = on_joined, .synced = on_synced},
        .now = {.us = 1000000, .wall_ms = 1700000000000},
    };
    world->group = group_new(slice_str("g"), &world->settings, &world->sink);
    buf_init(&world->record, 1 << 20);
}

void world_fini(struct world *world)
{
    group_destroy(&world->group);
    buf_fini(&world->record);
}

void world_pass(struct world *world, int64_t ms)
{
    int64_t end_us = world->now.us + ms * WORLD_MS;
    for (int i = 0; i < 10000; i++) {
        int64_t wake_us = group_wake_us(world->group);
        if (wake_us == GROUP_NEVER_US || wake_us > end_us)
            break;
        if (wake_us > world->now.us)
            world->now.us = wake_us;
        group_tick(world->group, world->now);
    }
    world->now.us = end_us;
    world->now.wall_ms += ms;
}

void world_write(struct world *world)
{
    if (!group_dirty(world->group))
        return;
    buf_clear(&world->record);
    enum status status = group_record_value(world->group, &world->record);
    ASSERT(status == ST_OK);
    group_clean(world->group);
}

void world_take_over(struct world *world)
{
    world_write(world);
    group_destroy(&world->group);
    world->group = group_new(slice_str("g"), &world->settings, &world->sink);
    enum status status = group_record_load(world->group, buf_slice(&world->record));
    ASSERT(status == ST_OK);
    group_resume(world->group, world->now);
}

// Splits "name=value,name=value" in place.
static int split(char *text, struct group_protocol *out, int max)
{
    int count = 0;
    char *rest = NULL;
    for (char *part = strtok_r(text, ",", &rest); part != NULL && count < max;
         part = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(part, '=');
        ASSERT(value != NULL);
        *value++ = '\0';
        out[count++] = (struct group_protocol){slice_str(part), slice_str(value)};
    }
    return count;
}

void world_join(struct world *world, struct client client, struct ask *ask)
{
    char text[256], new_id[64];
    struct group_protocol protocols[8];
    snprintf(text, sizeof text, "%s", client.protocols ? client.protocols : "range=meta");
    snprintf(new_id, sizeof new_id, "new-%d", ++world->ids);
    *ask = (struct ask){0};
    struct group_join join = {
        .version = (int16_t)(client.version ? client.version : 9),
        .member_id = slice_str(client.id ? client.id : ""),
        .instance_id = slice_str(client.instance),
        .client_id = slice_str("client"),
        .client_host = slice_str("/127.0.0.1"),
        .protocol_type = slice_str(client.type ? client.type : "consumer"),
        .protocols = protocols,
        .protocol_count = split(text, protocols, 8),
        .session_ms = client.session_ms ? client.session_ms : 10000,
        .rebalance_ms = client.rebalance_ms ? client.rebalance_ms : 60000,
        .new_id = slice_str(new_id),
        .waiter = ask,
    };
    group_join(world->group, world->now, &join);
}

void world_join_new(struct world *world, struct client client, char id[128], struct ask *ask)
{
    world_join(world, client, ask);
    ASSERT(ask->error == KAFKA_ERR_MEMBER_ID_REQUIRED);
    snprintf(id, 128, "%s", ask->member_id);
    client.id = id;
    world_join(world, client, ask);
}

void world_sync(struct world *world, const char *id, int32_t generation, const char *assignments,
                struct ask *ask)
{
    char text[512];
    struct group_protocol pairs[8];
    struct group_assignment given[8];
    snprintf(text, sizeof text, "%s", assignments ? assignments : "");
    int count = split(text, pairs, 8);
    for (int i = 0; i < count; i++)
        given[i] = (struct group_assignment){pairs[i].name, pairs[i].metadata};
    *ask = (struct ask){0};
    struct group_sync sync = {
        .generation = generation,
        .member_id = slice_str(id),
        .assignments = given,
        .assignment_count = count,
        .waiter = ask,
    };
    group_sync(world->group, world->now, &sync);
}

static struct group_identity identity(const char *id, const char *instance, int32_t generation)
{
    return (struct group_identity){
        .member_id = slice_str(id), .instance_id = slice_str(instance), .generation = generation};
}

int16_t world_heartbeat(struct world *world, const char *id, int32_t generation)
{
    struct group_identity who = identity(id, NULL, generation);
    return group_heartbeat(world->group, world->now, &who);
}

int16_t world_leave(struct world *world, const char *id, const char *instance)
{
    struct group_identity who = identity(id, instance, -1);
    int16_t error;
    group_leave(world->group, world->now, &who, 1, &error);
    return error;
}

int16_t world_commit(struct world *world, const char *id, int32_t generation)
{
    struct group_identity who = identity(id, NULL, generation);
    return group_may_commit(world->group, world->now, &who);
}

void world_stable(struct world *world, int n, char ids[][128])
{
    struct ask asks[4], sync;
    char assignments[600] = "";
    for (int i = 0; i < n; i++) {
        char one[160];
        world_join_new(world, (struct client){0}, ids[i], &asks[i]);
        snprintf(one, sizeof one, "%s%s=a%d", i ? "," : "", ids[i], i + 1);
        strncat(assignments, one, sizeof assignments - strlen(assignments) - 1);
    }
    world_pass(world, 10000); // initial delay, extended by those who came
    for (int i = n - 1; i >= 0; i--) {
        struct ask follower;
        ASSERT(asks[i].answered && asks[i].error == KAFKA_ERR_NONE);
        world_sync(world, ids[i], 1, i == 0 ? assignments : NULL, i == 0 ? &sync : &follower);
        if (i > 0)
            group_forget(world->group, &follower);
    }
    ASSERT(group_state(world->group) == GROUP_STABLE);
}
