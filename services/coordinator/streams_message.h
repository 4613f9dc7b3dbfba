// SPDX-License-Identifier: Apache-2.0
// Between StreamsGroupHeartbeat, StreamsGroupDescribe and what groups know: topologies and tasks. Whatever is
// made lies in the request's arena and borrows from its origin.
#ifndef STREAMS_MESSAGE_H
#define STREAMS_MESSAGE_H

#include "base/arena.h"
#include "kafka/messages/streams_group_describe.h"
#include "kafka/messages/streams_group_heartbeat.h"
#include "streams_group.h"

// The topology in the form of its record; NULL at the arena's cap.
streams_topology_value *
streams_message_topology(const struct kafka_streams_group_heartbeat_request_topology *topology,
                         struct arena *arena);
// The tasks a heartbeat states; to be freed by streams_tasks_fini.
struct streams_tasks streams_message_owned(const struct kafka_streams_group_heartbeat_request *request);
// Puts the tasks into a heartbeat's answer; false at the arena's cap.
bool streams_message_tasks(const struct streams_topology *topology, const struct streams_tasks *tasks,
                           struct arena *arena, struct kafka_streams_group_heartbeat_response *response);
// ... into a description.
bool streams_message_assignment(const struct streams_topology *topology, const struct streams_tasks *tasks,
                                struct arena *arena,
                                struct kafka_streams_group_describe_response_assignment *out);

#endif
