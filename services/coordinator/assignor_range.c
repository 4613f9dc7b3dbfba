// SPDX-License-Identifier: Apache-2.0
// The range assignor, and what the assignors share. See assignor.h.
#include "assignor.h"

#include "base/mem.h"

#include <stdlib.h>

bool assignor_homogeneous(const struct assignor_input *input)
{
    const struct assignor_member *first = &input->members[0];
    for (int32_t i = 1; i < input->member_count; i++) {
        const struct assignor_member *member = &input->members[i];
        size_t bytes = (size_t)first->topic_count * sizeof *first->topics;
        if (member->topic_count != first->topic_count ||
            (bytes > 0 && memcmp(member->topics, first->topics, bytes) != 0))
            return false;
    }
    return true;
}

assignor_fn *assignor_named(struct slice name)
{
    if (slice_is(name, "uniform"))
        return assignor_uniform;
    return slice_is(name, "range") ? assignor_range : NULL;
}

static int compare_text(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

// Static members first, by instance id, so that a restart under a new member id changes nothing.
static int by_instance(const void *left, const void *right)
{
    const struct assignor_member *a = *(struct assignor_member *const *)left;
    const struct assignor_member *b = *(struct assignor_member *const *)right;
    if (a->instance_id.data != NULL && b->instance_id.data != NULL)
        return compare_text(a->instance_id, b->instance_id);
    if (a->instance_id.data != NULL || b->instance_id.data != NULL)
        return a->instance_id.data != NULL ? -1 : 1;
    return compare_text(a->id, b->id);
}

struct topic_range {
    int32_t subscribers;
    int32_t next;  // first partition not given out
    int32_t extra; // members that still get one more than the others
};

static void give_range(const struct assignor_topic *topic, struct topic_range *range,
                       struct assignor_member *member)
{
    int32_t count = topic->partitions / range->subscribers;
    if (range->extra > 0) {
        range->extra--;
        count++;
    }
    for (int32_t end = range->next + count; range->next < end; range->next++) {
        struct parts_item part = {.topic = topic->id, .index = range->next};
        parts_append(&member->target, &part); // topics come in ascending order
    }
}

void assignor_range(const struct assignor_input *input)
{
    struct topic_range *ranges = mem_calloc((size_t)input->topic_count + 1, sizeof *ranges);
    struct assignor_member **order = mem_calloc((size_t)input->member_count, sizeof *order);
    for (int32_t i = 0; i < input->member_count; i++) {
        order[i] = &input->members[i];
        for (int32_t t = 0; t < order[i]->topic_count; t++)
            ranges[order[i]->topics[t]].subscribers++;
    }
    for (int32_t t = 0; t < input->topic_count; t++) {
        if (ranges[t].subscribers > 0)
            ranges[t].extra = input->topics[t].partitions % ranges[t].subscribers;
    }
    qsort(order, (size_t)input->member_count, sizeof *order, by_instance);
    for (int32_t i = 0; i < input->member_count; i++) {
        for (int32_t t = 0; t < order[i]->topic_count; t++) {
            int32_t topic = order[i]->topics[t];
            give_range(&input->topics[topic], &ranges[topic], order[i]);
        }
    }
    mem_free(order);
    mem_free(ranges);
}
