// SPDX-License-Identifier: Apache-2.0
// A producer id for a request whose decision needs one (txn_step.wants_id): the request is parked until the
// id is there and decided once more.
#ifndef FRESH_ID_H
#define FRESH_ID_H

#include "request.h"

// Carries out a step that the request's decision came to: writes it, or, when it wants an id, parks the
// request and runs its handler again; false then: there is nothing to answer yet. *error: what the client
// hears.
bool fresh_id_carry_out(struct coordinator_request *request, struct slice transactional_id,
                        const struct txn_step *step, int16_t *error);

// To be asked once per run of the handler. ST_OK: the id, or -1 when none was fetched; else why none came.
enum status fresh_id_take(struct coordinator_request *request, int64_t *id);

#endif
