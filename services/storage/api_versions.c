// SPDX-License-Identifier: Apache-2.0
// ApiVersions: the rows of the API table with their ranges. Identical on every node of the cluster: several
// clients take the table of the first node they meet for all (kafkajs), or a feature of one for a feature of
// all (franz-go). A finalized feature (cluster/features.h) says that every node has it: transaction.version 2
// is what makes clients use the flow of KIP-890, group.version 1 that of KIP-848.
#include "apis.h"
#include "answer_handlers.h"

#include "cluster/features.h"
#include "kafka/messages/api_versions.h"
#include "storage.h"

#include <stdio.h>

typedef struct kafka_api_versions_response_api_version advertised_api;

static bool name_start(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// KIP-511: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
static bool software_ok(struct slice name)
{
    if (name.len == 0 || !name_start(name.data[0]) || !name_start(name.data[name.len - 1]))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!name_start(name.data[i]) && name.data[i] != '-' && name.data[i] != '.')
            return false;
    }
    return true;
}

static void keep(char *text, size_t size, struct slice value)
{
    snprintf(text, size, "%.*s", (int)value.len, (const char *)value.data);
}

static enum status advertise(struct storage_request *request, struct kafka_api_versions_response *response)
{
    response->api_keys =
        kafka_structure_array(&kafka_api_versions_response_api_version_type, &request->arena, api_row_count);
    if (response->api_keys == NULL)
        return ST_LIMIT;
    response->api_keys_count = api_row_count;
    for (int i = 0; i < api_row_count; i++) {
        response->api_keys[i].api_key = api_rows[i].key;
        response->api_keys[i].min_version = api_version_low(&api_rows[i]);
        response->api_keys[i].max_version = api_version_high(&api_rows[i]);
    }
    return ST_OK;
}

// Versions before 4 cannot tell of a supported feature that begins at 0 (KAFKA-17011).
enum { VERSION_FEATURE_ZERO = 4 };

static void tell_supported(const struct features_row *row, struct storage_request *request,
                           struct kafka_api_versions_response *response)
{
    if (row->max == 0 || (row->min == 0 && request->version < VERSION_FEATURE_ZERO))
        return;
    int32_t at = response->supported_features_count++;
    response->supported_features[at].name = slice_str(row->name);
    response->supported_features[at].min_version = row->min;
    response->supported_features[at].max_version = row->max;
}

static void tell_finalized(const struct features_row *row, struct storage_request *request,
                           struct kafka_api_versions_response *response)
{
    int16_t level = image_feature(storage_image(request->storage), row->name);
    if (level == 0)
        return;
    int32_t at = response->finalized_features_count++;
    response->finalized_features[at].name = slice_str(row->name);
    response->finalized_features[at].min_version_level = level;
    response->finalized_features[at].max_version_level = level;
}

static enum status tell_features(struct storage_request *request,
                                 struct kafka_api_versions_response *response)
{
    response->supported_features = kafka_structure_array(
        &kafka_api_versions_response_supported_feature_key_type, &request->arena, features_count);
    response->finalized_features = kafka_structure_array(
        &kafka_api_versions_response_finalized_feature_key_type, &request->arena, features_count);
    if (response->supported_features == NULL || response->finalized_features == NULL)
        return ST_LIMIT;
    for (int i = 0; i < features_count; i++) {
        tell_supported(&features_rows[i], request, response);
        tell_finalized(&features_rows[i], request, response);
    }
    response->finalized_features_epoch = image_features_epoch(storage_image(request->storage));
    return ST_OK;
}

void handle_api_versions(struct storage_request *request)
{
    const struct kafka_api_versions_request *asked = request->body;
    struct kafka_api_versions_response response;
    kafka_defaults(&kafka_api_versions_response_message, &response);
    struct conn_peer *peer = request->conn->peer;
    if (request->version >= 3) {
        if (!software_ok(asked->client_software_name) || !software_ok(asked->client_software_version)) {
            response.error_code = KAFKA_ERR_INVALID_REQUEST;
            storage_answer(request, &response);
            return;
        }
        keep(peer->software, sizeof peer->software, asked->client_software_name);
        keep(peer->software_version, sizeof peer->software_version, asked->client_software_version);
    }
    enum status status = advertise(request, &response);
    if (status == ST_OK && request->version >= 3)
        status = tell_features(request, &response);
    if (status == ST_OK)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "out of memory for an answer");
}

void handle_api_versions_unsupported(struct storage_request *request)
{
    const struct api_row *row = api_row(KAFKA_API_API_VERSIONS);
    advertised_api own = {
        .api_key = row->key, .min_version = api_version_low(row), .max_version = api_version_high(row)};
    struct kafka_api_versions_response response;
    kafka_defaults(&kafka_api_versions_response_message, &response);
    response.error_code = KAFKA_ERR_UNSUPPORTED_VERSION;
    response.api_keys = &own;
    response.api_keys_count = 1;
    request->version = 0;
    storage_answer(request, &response);
}
