// SPDX-License-Identifier: Apache-2.0
// See closest.h. Members outside the ISR are passed over also when they have the offset: they lag, and a
// consumer sent there would fall behind with them.
#include "closest.h"

static bool in_rack(const struct image_node *node, struct slice rack)
{
    return node != NULL && slice_is(rack, node->rack);
}

static bool suits(const struct image *image, const struct partition_replica *replica,
                  const struct closest_reader *reader)
{
    const struct image_node *node = image_node(image, replica->node);
    return replica->in_isr && replica->flushed >= reader->offset && in_rack(node, reader->rack) &&
           image_node_live(node, MILLRACE__ROLE__ROLE_STORAGE) &&
           image_endpoint(node, reader->listener) != NULL;
}

static bool better(const struct partition_replica *one, const struct partition_replica *other)
{
    if (one->flushed != other->flushed)
        return one->flushed > other->flushed;
    if (one->caught_up_us != other->caught_up_us)
        return one->caught_up_us > other->caught_up_us;
    return one->node > other->node;
}

int32_t closest_replica(const struct image *image, const struct partition *state,
                        const struct closest_reader *reader)
{
    const struct partition_replica *best = NULL;
    if (reader->rack.len == 0 || in_rack(image_node(image, state->self), reader->rack))
        return -1;
    for (int i = 0; i < state->replica_count; i++) {
        const struct partition_replica *replica = &state->replicas[i];
        if (replica->node != state->self && suits(image, replica, reader) &&
            (best == NULL || better(replica, best)))
            best = replica;
    }
    return best != NULL ? best->node : -1;
}
