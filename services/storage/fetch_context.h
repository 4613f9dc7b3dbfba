// SPDX-License-Identifier: Apache-2.0
// What one Fetch request asks for as a whole, and the answer's shape: between the request, which may name
// only what changed, and its session (KIP-227; Kafka's FetchContext). fetch.c opens one, fills in an answer
// per partition, and has the response put together here.
#ifndef STORAGE_FETCH_CONTEXT_H
#define STORAGE_FETCH_CONTEXT_H

#include "fetch_sessions.h"
#include "kafka/messages/fetch.h"
#include "lookup.h"

enum { FETCH_TOPIC_ID_VERSION = 13 };

struct fetch_asked {
    struct lookup_topic named;
    struct slice once; // the name that named.id had when the session first saw it; NULL data: not known
    struct kafka_fetch_request_fetch_partition partition;
};

struct fetch_context {
    struct storage_request *request;
    struct fetch_cached *cached; // of an incremental request; its reference
    int32_t epoch;               // what the session expects next if this request is still its last
    bool makes;                  // a session is made with the answer
    struct fetch_asked *asked;   // in the order they are to be served
    int count;
    struct kafka_fetch_response_fetchable_topic_response *topics; // room for count
};

// Finds, or goes without, the session the request names, and lists what is asked for; all memory is the
// request's arena. *error: the Kafka error that the whole answer consists of, else NONE. ST_NO_MEMORY at the
// arena's cap. fetch_context_close in every case.
enum status fetch_context_open(struct fetch_context *context, struct storage_request *request,
                               int16_t *error);

// Makes the response from one answer per asked partition, in their order; answers are moved together, and
// those without news are dropped from an incremental response. A session is made if one was asked for. When
// another request has used the session meanwhile: INVALID_FETCH_SESSION_EPOCH, and the pieces are released.
void fetch_context_answer(struct fetch_context *context, struct kafka_fetch_response_partition_data *answers,
                          struct kafka_fetch_response *response);

void fetch_context_close(struct fetch_context *context);

#endif
