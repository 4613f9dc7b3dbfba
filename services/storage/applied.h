// SPDX-License-Identifier: Apache-2.0
// After partitions were made: the answer to the client waits, up to a second, until the nodes that lead them
// know it from their images too. So a client that creates a topic and produces to it at once needs no retry.
#ifndef STORAGE_APPLIED_H
#define STORAGE_APPLIED_H

#include "cluster/follow.h"
#include "protos/storage.pb-c.h"
#include "request.h"

enum { APPLIED_MS_MAX = 1000 };

// Sends a relayed answer: for CreateTopics and CreatePartitions once the leaders know, for others at once. A
// reference to response is taken.
void applied_answer(struct storage_request *request, struct block *response);

// Serves Storage.Applied.
void applied_serve(struct env *env, struct follow *follow, const Millrace__AppliedRequest *request,
                   Millrace__Empty_Closure closure, void *call);

#endif
