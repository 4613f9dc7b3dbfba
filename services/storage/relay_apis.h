// SPDX-License-Identifier: Apache-2.0
// Requests that go whole to one owner: which group they name, how long they may take, whether they may run
// twice, and what the client hears when no answer came.
#ifndef STORAGE_RELAY_APIS_H
#define STORAGE_RELAY_APIS_H

#include "relay.h"
#include "request.h"

// API_GROUP: to the owner of the one group it names.
void relay_group(struct storage_request *request);
// API_TRANSACTION: to the owner of the transactional id it names.
void relay_transaction(struct storage_request *request);
// API_CONTROLLER: to the active controller.
void relay_controller(struct storage_request *request);

// The Kafka error a client of a group request, or of an admin request, hears for a failed relay.
int16_t relay_group_error(enum status status);
int16_t relay_controller_error(enum status status);

// Answers a group or admin request with the error in every place the response has for one (relay_errors.c).
void relay_answer_error(struct storage_request *request, int16_t error);

#endif
