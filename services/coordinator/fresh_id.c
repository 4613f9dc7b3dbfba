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

// false: no memory to wait.
static bool fetch(struct coordinator_request *request)
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

bool fresh_id_carry_out(struct coordinator_request *request, struct slice transactional_id,
                        const struct txn_step *step, int16_t *error)
{
    if (step->wants_id && fetch(request))
        return false;
    enum status status = step->wants_id ? ST_NO_MEMORY : ST_OK;
    if (step->write)
        status = txn_shard_write(request->txn_shard, transactional_id, step, NULL);
    *error = status == ST_OK ? step->error : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    return true;
}
