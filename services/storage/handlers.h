// SPDX-License-Identifier: Apache-2.0
// The handlers that work on replicas of this node; apis.c names them in its table. Each answers its request
// exactly once (request.h).
#ifndef STORAGE_HANDLERS_H
#define STORAGE_HANDLERS_H

#include "replica.h"
#include "request.h"

void storage_describe_log_dirs(struct storage_request *request);       // describe_log_dirs.c
void storage_alter_replica_log_dirs(struct storage_request *request);  // alter_replica_log_dirs.c
void storage_produce(struct storage_request *request);                 // produce.c
void storage_fetch(struct storage_request *request);                   // fetch.c
void storage_share_acknowledge(struct storage_request *request);       // share_acknowledge.c
void storage_share_fetch(struct storage_request *request);             // share_fetch.c
void storage_list_offsets(struct storage_request *request);            // list_offsets.c
void storage_delete_records(struct storage_request *request);          // delete_records.c
void storage_describe_producers(struct storage_request *request);      // describe_producers.c
void storage_write_txn_markers(struct storage_request *request);       // write_txn_markers.c
void storage_offset_for_leader_epoch(struct storage_request *request); // offset_for_leader_epoch.c

// What stands in line at the partition goes on: what it waited for is known (produce.c).
void storage_produce_advance(struct replica *replica);

// The same, but starts no flush: partitions_flush does.
void storage_produce_resume(struct replica *replica);

#endif
