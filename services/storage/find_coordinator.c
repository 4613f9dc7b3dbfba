// SPDX-License-Identifier: Apache-2.0
// FindCoordinator: the storage node that stands in front of a group for clients, from the image. Group names
// are looked up here; the group's own node answers nothing else than any other node would.
#include "answer_handlers.h"

#include "kafka/messages/find_coordinator.h"
#include "storage.h"

void handle_find_coordinator(struct storage_request *request)
{
    struct answers_scope scope = storage_scope(request);
    struct kafka_find_coordinator_response response;
    if (answers_find_coordinator(&scope, request->body, &response) == ST_OK)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "out of memory for an answer");
}
