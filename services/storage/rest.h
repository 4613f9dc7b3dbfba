// SPDX-License-Identifier: Apache-2.0
// The storage node's routes on the admin port, as JSON; reading only. Handlers get the node as context. Part
// of the program, not of the library the simulator links.
//
//   GET /v1/partitions/{topic}/{partition}   this node's replica: role, offsets, state of its log; when it
//   leads,
//                                            how far each follower is and what throttles it
//
// 404: this node has no such replica.
#ifndef STORAGE_REST_H
#define STORAGE_REST_H

#include "http/http.h"

extern const struct http_route storage_routes[];
extern const size_t storage_route_count;

#endif
