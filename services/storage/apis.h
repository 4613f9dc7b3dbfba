// SPDX-License-Identifier: Apache-2.0
// The API table: what this node answers, and how. Second step of a record's way: the listener hands a request
// here, the table picks its way: answered by a handler of this node (own), passed on to the owner of its
// group (relay by key), to the active controller, split over owners, or asked of every coordinator and merged
// (list).
//
// The table is the same on every node, so ApiVersions is, and only what stands here is advertised.
#ifndef STORAGE_APIS_H
#define STORAGE_APIS_H

#include "conn/listener.h"
#include "request.h"

enum api_route {
    API_OWN,         // handle answers
    API_GROUP,       // relayed to the owner of the one group it names
    API_TRANSACTION, // relayed to the owner of the transactional id it names
    API_CONTROLLER,  // relayed to the active controller
    API_SPLIT,       // names several groups: split.c
    API_LIST         // asked of every coordinator: lists.c
};

struct api_row {
    int16_t key;
    enum api_route route;
    void (*handle)(struct storage_request *request); // API_OWN only
};

extern const struct api_row api_rows[];
extern const int api_row_count;

// NULL when the API is not served.
const struct api_row *api_row(int16_t key);

// Lowest version advertised. Produce is advertised from 0 and answered from 3: librdkafka before 2.11.1 sends
// uncompressed when 0 is not in the range.
int16_t api_version_low(const struct api_row *row);
int16_t api_version_high(const struct api_row *row);

// on_request and on_cancelled of the listeners' handler.
void apis_request(struct storage *storage, struct conn_request *conn);
void apis_cancelled(struct conn_request *conn);

#endif
