// SPDX-License-Identifier: Apache-2.0
// The coordinator's routes on the admin port, for people, scripts and `millrace`: what it knows of groups and
// transactions, as JSON. Reading only; what is decided but not committed yet is shown, too. Handlers get the
// coordinator as context. Part of the program, not of the library the simulator links.
//
//   GET /v1/groups                  every group owned here, with the sums of its lag
//   GET /v1/groups/{group}          state and members of one
//   GET /v1/groups/{group}/lag      its partitions: lag, age, time to drain; measured for the answer
//   GET /v1/transactions/{id}       a transactional id: state, partitions, what it waits for
//
// 404: not known; 421: its shard belongs to another coordinator (the message names it); 503: it is being loaded.
#ifndef COORDINATOR_REST_H
#define COORDINATOR_REST_H

#include "http/http.h"

extern const struct http_route coordinator_routes[];
extern const size_t coordinator_route_count;

#endif
