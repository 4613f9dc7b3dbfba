// SPDX-License-Identifier: Apache-2.0
// One idempotent producer for all partitions, as clients of other makers have it: a connection per node,
// several batches under way per partition, the same sequence numbers when they are sent again after a lost
// connection, an error or a change of leader, once nothing of the partition is under way any more
// (librdkafka's drain). Now and then, with nothing under way, it begins a new epoch by itself, or asks for
// another producer id.
//
// Whatever happens to the cluster, no batch of it may be out of order: librdkafka would then number anew in
// all partitions what may have been written in one (see services/storage/refused.h).
#ifndef SIM_PIPELINER_H
#define SIM_PIPELINER_H

#include "base/prng.h"
#include "conn/client.h"
#include "history.h"
#include "record_request.h"

enum { PIPELINER_NODES = 3, PIPELINER_WINDOW = 5 };

struct pipeliner;
struct pipeliner_link;

// A batch under way.
struct pipeliner_batch {
    struct pipeliner_link *link; // it was sent over
    int partition;
    int64_t number;
};

struct pipeliner_lane {
    int64_t next;                                     // the first record that is not acknowledged
    int64_t sent;                                     // records before it are under way or acknowledged
    int64_t base;                                     // the record whose sequence number is 0
    int leader;                                       // index of the node, -1: not known
    int under_way;                                    // batches
    bool drains;                                      // nothing is sent until nothing is under way
    struct pipeliner_batch batches[PIPELINER_WINDOW]; // by number
};

struct pipeliner_link {
    struct pipeliner *owner;
    struct conn_client *client;
    bool connected; // it was ready
    bool broken;    // to be dropped
};

struct pipeliner {
    struct env *env;
    struct history *history;
    struct prng prng;
    struct timer timer;
    const int *ports; // of the storage nodes
    struct pipeliner_link links[PIPELINER_NODES];
    struct pipeliner_lane lanes[HISTORY_PARTITIONS];
    int64_t producer_id; // -1: none
    int16_t producer_epoch;
    bool asking;    // for metadata or a producer id
    bool renews;    // sends nothing new until all is acknowledged
    bool finishing; // ... and then stops
    struct record_request request;
};

void pipeliner_init(struct pipeliner *pipeliner, struct env *env, struct history *history, const int *ports);

// Producer of the history that writes to a partition.
static inline int pipeliner_producer(int partition)
{
    return HISTORY_SINGLE_PRODUCERS + partition;
}

#endif
