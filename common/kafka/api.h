// SPDX-License-Identifier: Apache-2.0
// The table of Kafka APIs, made from protos/kafka, and how a request starts on the wire. Which of them a
// daemon serves is that daemon's own table; this is what the protocol says.
#ifndef KAFKA_API_H
#define KAFKA_API_H

#include "base/arena.h"
#include "base/status.h"
#include "kafka/message.h"
#include "kafka/messages/api_keys.h"
#include "kafka/messages/headers.h"

struct kafka_api {
    int16_t key;
    const char *name; // "Produce"
    const struct kafka_message *request;
    const struct kafka_message *response;
    int16_t min_version; // valid versions
    int16_t max_version;
    int16_t first_flexible; // INT16_MAX: none
    bool latest_unstable;   // max_version is not for clients yet
    bool on_broker;         // listeners Kafka serves it on
    bool on_controller;
};

extern const struct kafka_api kafka_apis[];
extern const int32_t kafka_api_count; // for (i = 0; i < kafka_api_count; i++) kafka_apis[i], keys ascending

// NULL when there is no API with this key.
const struct kafka_api *kafka_api(int16_t key);

// The largest version to advertise.
static inline int16_t kafka_api_stable_version(const struct kafka_api *api)
{
    return api->latest_unstable ? (int16_t)(api->max_version - 1) : api->max_version;
}

static inline bool kafka_api_valid(const struct kafka_api *api, int16_t version)
{
    return version >= api->min_version && version <= api->max_version;
}

// Versions of kafka_request_header_message and kafka_response_header_message in front of a body. Defined for
// any version, since an ApiVersions request of the future must be answered. Its response header is always 0
// (KIP-511): the client does not know yet what the server can read.
int16_t kafka_request_header_version(const struct kafka_api *api, int16_t version);
int16_t kafka_response_header_version(const struct kafka_api *api, int16_t version);

// Reads the header of a request frame (without the length in front); the body starts at frame + *used.
// ST_UNSUPPORTED: unknown API key. The version of the body is not checked (kafka_api_valid does).
enum status kafka_request_decode_header(struct slice frame, struct arena *arena,
                                        struct kafka_request_header *header, size_t *used);

#endif
