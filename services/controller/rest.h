// SPDX-License-Identifier: Apache-2.0
// The controller's routes on the admin port, as JSON; reading only. Part of the program, not of the library
// the simulator links.
//
//   GET /v1/quorum   role, term, leader, how far the log is; from the leader how far each voter is
#ifndef CONTROLLER_REST_H
#define CONTROLLER_REST_H

#include "http/http.h"

extern const struct http_route controller_routes[];
extern const size_t controller_route_count;

#endif
