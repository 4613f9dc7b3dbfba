// SPDX-License-Identifier: Apache-2.0
// Producer ids for idempotent producers: taken from blocks that the controller gives out, so that no id is
// ever given twice in the cluster.
#ifndef STORAGE_PRODUCER_IDS_H
#define STORAGE_PRODUCER_IDS_H

#include "request.h"

struct producer_ids;

struct producer_ids *producer_ids_new(struct storage *storage);
// Requests that wait are closed.
void producer_ids_destroy(struct producer_ids **ids);

// Answers an InitProducerId without transactional id, at once or when the next block is there.
void producer_ids_answer(struct producer_ids *ids, struct storage_request *request);

#endif
