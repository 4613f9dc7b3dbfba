// SPDX-License-Identifier: Apache-2.0
// The partitions that a WriteMarkers call names, numbered in its order; its answer has one status for each.
#ifndef CLUSTER_MARKER_PARTS_H
#define CLUSTER_MARKER_PARTS_H

#include "protos/types.pb-c.h"

#include <stddef.h>
#include <stdint.h>

enum { MARKER_PARTS_MAX = 1 << 20 }; // of one call; ST_LIMIT to who names more

size_t marker_parts_count(const Millrace__WriteMarkersRequest *request);

// topic is the request's. number: 0 to marker_parts_count - 1.
typedef void marker_part_fn(const Millrace__Marker *marker, const char *topic, int32_t partition,
                            size_t number, void *context);

void marker_parts_each(const Millrace__WriteMarkersRequest *request, marker_part_fn *each, void *context);

#endif
