// SPDX-License-Identifier: Apache-2.0
// One Kafka request inside the storage node: what apis.c has decoded and every handler gets. The handler
// answers exactly once, at once or later, by storage_answer, storage_answer_none or storage_answer_close; the
// request is gone then.
#ifndef STORAGE_REQUEST_H
#define STORAGE_REQUEST_H

#include "base/arena.h"
#include "cluster/authorise.h"
#include "conn/listener.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"

struct storage; // storage.h

struct storage_request {
    struct storage *storage;
    struct conn_request *conn; // block and frame: where record bytes lie; version, client id, peer
    const struct kafka_api *api;
    int16_t version;
    struct principal principal;
    struct arena arena; // lives until the answer; response arrays go here too
    void *body;         // the decoded request struct, e.g. struct kafka_fetch_request
    // Set by a handler that holds the request: called once when the client is gone; it must still answer.
    void (*on_cancelled)(struct storage_request *request);
    void *held; // the handler's, NULL at first
};

// Encodes response (the API's response struct) and sends it in the request's turn.
void storage_answer(struct storage_request *request, const void *response);

// Sends a whole response frame, header included, as relayed from its owner.
void storage_answer_raw(struct storage_request *request, struct block *response_take);

// Produce with acks=0: nothing is sent.
void storage_answer_none(struct storage_request *request);

// The connection is closed; why goes into the log.
void storage_answer_close(struct storage_request *request, const char *why);

// What handlers reach through the node (storage.c).
struct env *storage_env(const struct storage *storage);
struct image *storage_image(const struct storage *storage);
struct partitions *storage_partitions(const struct storage *storage); // NULL before the node's id is known

#endif
