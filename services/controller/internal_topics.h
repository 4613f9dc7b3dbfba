// SPDX-License-Identifier: Apache-2.0
// Internal topics: __consumer_offsets is made when the first coordinator and a storage node are there,
// __transaction_state when the first transactional producer is, __share_group_state when the first share
// group is, _schemas when the first schema is registered and _dek_registry_keys with the first key, each with
// as many replicas as configured and possible; more are added as nodes join. min.insync.replicas is 2 from
// three replicas on, once two of each partition are in sync.
#ifndef CONTROLLER_INTERNAL_TOPICS_H
#define CONTROLLER_INTERNAL_TOPICS_H

#include "state.h"

// Decides and appends what is missing.
void internal_topics_ensure(struct controller *controller);

// Decides that it exists from now on. ST_NOT_FOUND: no such internal topic is made on demand; ST_AGAIN: not
// now.
enum status internal_topics_need(struct controller *controller, const char *name);

// Whether this is a name only the controller creates.
bool internal_topics_is(struct slice name);

#endif
