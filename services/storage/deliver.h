// SPDX-License-Identifier: Apache-2.0
// Batches that storage nodes themselves write into topics of clients: dead letters (KIP-1191). The leader of
// the partition appends one and answers when it is committed, as a producer with acks=all would hear.
#ifndef STORAGE_DELIVER_H
#define STORAGE_DELIVER_H

#include "partitions.h"
#include "protos/storage.pb-c.h"

struct deliveries; // calls under way, of a node

struct deliveries *deliveries_new(struct partitions *partitions);
void deliveries_destroy(struct deliveries **deliveries);

// Deliver of the Storage service.
void deliveries_serve(struct deliveries *deliveries, const Millrace__DeliverRequest *request,
                      Millrace__Empty_Closure closure, struct rpc_call *call);

#endif
