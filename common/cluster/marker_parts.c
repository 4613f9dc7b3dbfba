// SPDX-License-Identifier: Apache-2.0
// See marker_parts.h.
#include "cluster/marker_parts.h"

static void count_one(const Millrace__Marker *marker, const char *topic, int32_t partition, size_t number,
                      void *context)
{
    size_t *count = context;
    *count = number + 1;
}

size_t marker_parts_count(const Millrace__WriteMarkersRequest *request)
{
    size_t count = 0;
    marker_parts_each(request, count_one, &count);
    return count;
}

void marker_parts_each(const Millrace__WriteMarkersRequest *request, marker_part_fn *each, void *context)
{
    size_t number = 0;
    for (size_t m = 0; m < request->n_markers; m++) {
        const Millrace__Marker *marker = request->markers[m];
        for (size_t t = 0; t < marker->n_topics; t++) {
            const Millrace__MarkerTopic *topic = marker->topics[t];
            for (size_t p = 0; p < topic->n_partitions; p++)
                each(marker, topic->name, topic->partitions[p], number++, context);
        }
    }
}
