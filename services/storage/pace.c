// SPDX-License-Identifier: Apache-2.0
// See pace.h.
#include "pace.h"

#include "partitions_state.h"

#include <stdlib.h>
#include <string.h>

#define LEADER_RATE    "leader.replication.throttled.rate"
#define FOLLOWER_RATE  "follower.replication.throttled.rate"
#define MOVES_RATE     "replica.alter.log.dirs.io.max.bytes.per.second"
#define BALANCER_RATE  "millrace.balancer.bytes.per.second"
#define BALANCER_BYTES "52428800" // as in cluster/configs_node.c

static int64_t rate_of(const struct image *image, int32_t node, const char *key, const char *fallback)
{
    const char *text = image_node_config(image, node, key, fallback, NULL);
    return text != NULL ? strtoll(text, NULL, 10) : INT64_MAX;
}

static void refresh(struct throttle *throttle, int64_t rate, int64_t now_us)
{
    if (throttle->rate != rate)
        throttle_set(throttle, rate, now_us);
}

void pace_refresh(struct pace *pace, const struct image *image, int32_t node_id, int64_t now_us)
{
    refresh(&pace->leader, rate_of(image, node_id, LEADER_RATE, NULL), now_us);
    refresh(&pace->follower, rate_of(image, node_id, FOLLOWER_RATE, NULL), now_us);
    refresh(&pace->moves, rate_of(image, node_id, MOVES_RATE, NULL), now_us);
    refresh(&pace->balancer, rate_of(image, node_id, BALANCER_RATE, BALANCER_BYTES), now_us);
}

bool pace_listed(const char *list, int32_t partition, int32_t node)
{
    if (list == NULL || strcmp(list, "*") == 0)
        return list != NULL;
    while (*list != 0) {
        char *end;
        long first = strtol(list, &end, 10);
        if (end != list && *end == ':' && first == partition && strtol(end + 1, NULL, 10) == node)
            return true;
        list += strcspn(list, ",");
        list += *list == ',';
    }
    return false;
}

static bool throttled(const struct replica *replica, const char *key, int32_t node)
{
    const struct image *image = replica->partitions->options.image;
    const char *list = image_config(image, MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC, replica->topic, key);
    return pace_listed(list, replica->index, node);
}

int pace_of(struct replica *replica, int32_t follower)
{
    const struct partitions *partitions = replica->partitions;
    const struct partition_replica *state = partition_replica(&replica->state, follower);
    int why = 0;
    if (state == NULL || state->in_isr || state->proposed) // the watermark waits for a proposed one
        return 0;
    if (replica->balancing && state->adding)
        why |= PACE_BALANCER;
    if (partitions->pace.leader.rate != INT64_MAX &&
        throttled(replica, "leader.replication.throttled.replicas", partitions->options.node_id))
        why |= PACE_LEADER;
    if (image_node_config(partitions->options.image, follower, FOLLOWER_RATE, NULL, NULL) != NULL &&
        throttled(replica, "follower.replication.throttled.replicas", follower))
        why |= PACE_FOLLOWER;
    return why;
}

int64_t pace_wait_us(const struct pace *pace, int why, int64_t now_us)
{
    int64_t leader = why & PACE_LEADER ? throttle_wait_us(&pace->leader, now_us) : 0;
    int64_t balancer = why & PACE_BALANCER ? throttle_wait_us(&pace->balancer, now_us) : 0;
    return leader > balancer ? leader : balancer;
}

void pace_sent(struct pace *pace, int why, int64_t bytes, int64_t now_us)
{
    if (why & PACE_LEADER)
        throttle_charge(&pace->leader, bytes, now_us);
    if (why & PACE_BALANCER)
        throttle_charge(&pace->balancer, bytes, now_us);
}

int32_t pace_taken_ms(struct replica *replica, int64_t bytes, int64_t now_us)
{
    struct partitions *partitions = replica->partitions;
    int32_t self = partitions->options.node_id;
    const struct partition_replica *state = partition_replica(&replica->state, self);
    if (partitions->pace.follower.rate == INT64_MAX || state == NULL || state->in_isr ||
        !throttled(replica, "follower.replication.throttled.replicas", self))
        return 0;
    throttle_charge(&partitions->pace.follower, bytes, now_us);
    return (int32_t)((throttle_wait_us(&partitions->pace.follower, now_us) + 999) / 1000);
}
