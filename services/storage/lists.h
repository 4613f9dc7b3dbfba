// SPDX-License-Identifier: Apache-2.0
// Lists that clients ask of every node and merge: each storage node lists exactly the keys for which
// FindCoordinator names it, so that a merged list has everything once.
#ifndef STORAGE_LISTS_H
#define STORAGE_LISTS_H

#include "request.h"

void list_request(struct storage_request *request);

#endif
