// SPDX-License-Identifier: Apache-2.0
// Requests that name several groups: taken apart by the shard that owns each group, relayed, and merged in
// the order of the request. A shard that does not answer yields its error per group.
#ifndef STORAGE_SPLIT_H
#define STORAGE_SPLIT_H

#include "request.h"

void split_request(struct storage_request *request);

#endif
