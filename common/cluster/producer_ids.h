// SPDX-License-Identifier: Apache-2.0
// Producer ids, taken from blocks that the controller gives out, so that no id is ever given twice in the
// cluster. Storage nodes give them to idempotent producers, coordinators to transactional ones.
#ifndef CLUSTER_PRODUCER_IDS_H
#define CLUSTER_PRODUCER_IDS_H

#include "cluster/controllers.h"

struct producer_ids;

// ST_OK and an id; ST_LIMIT: too many wait; else the controller's failure, and id is -1.
typedef void producer_ids_fn(void *context, enum status status, int64_t id);

struct producer_ids_wait {    // embedded in the waiter, zero at first
    struct producer_ids *ids; // NULL: not waiting
    producer_ids_fn *done;
    void *context;
    struct producer_ids_wait *next, *previous;
};

// controllers is borrowed. incarnation: of this process, as registered.
struct producer_ids *producer_ids_new(struct controllers *controllers, uint64_t incarnation);
// Who still waits is forgotten.
void producer_ids_destroy(struct producer_ids **ids);

// Calls done once: from inside when an id is there, else when the next block is. node_id: this node's.
void producer_ids_take(struct producer_ids *ids, int32_t node_id, struct producer_ids_wait *wait,
                       producer_ids_fn *done, void *context);
// Idempotent; done is not called any more.
void producer_ids_cancel(struct producer_ids_wait *wait);

#endif
