// SPDX-License-Identifier: Apache-2.0
// See fresh_id.h.
#include "fresh_id.h"

#include "coordinator_state.h"

struct fetching {
    struct producer_ids_wait wait;
    int64_t id;
    enum status status;
};

static void on_dropped(struct coordinator_request *request)
{
    producer_ids_cancel(&((struct fetching *)request->parked_in)->wait);
}

static void on_id(void *context, enum status status, int64_t id)
{
    struct coordinator_request *request = context;
    struct fetching *fetching = request->parked_in;
    fetching->id = id;
    fetching->status = status;
    request_run_again(request);
}

bool fresh_id_fetch(struct coordinator_request *request)
{
    struct coordinator *coordinator = request->coordinator;
    struct fetching *fetching = arena_calloc(&request->arena, 1, sizeof *fetching);
    if (fetching == NULL)
        return false;
    request_park_for(request, on_dropped, fetching);
    producer_ids_take(coordinator->producer_ids, coordinator->node_id, &fetching->wait, on_id, request);
    return true;
}

enum status fresh_id_take(struct coordinator_request *request, int64_t *id)
{
    const struct fetching *fetching = request->parked_in;
    request->parked_in = NULL;
    *id = fetching == NULL ? -1 : fetching->id;
    return fetching == NULL ? ST_OK : fetching->status;
}
