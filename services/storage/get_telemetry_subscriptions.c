// SPDX-License-Identifier: Apache-2.0
// GetTelemetrySubscriptions (API 71, KIP-714): what the client is to push, and how often. A client without an
// id of its own is given one.
#include "answer_handlers.h"

#include "kafka/compress.h"
#include "kafka/messages/get_telemetry_subscriptions.h"
#include "storage.h"
#include "telemetry.h"

struct telemetry_client telemetry_client_of(struct storage_request *request, struct uuid instance)
{
    const struct conn_peer *peer = request->conn->peer;
    struct slice id = request->conn->client_id;
    return (struct telemetry_client){
        .instance = instance,
        .client = {[CLIENT_MATCH_ID] = id.data != NULL ? id : slice_str(""),
                   [CLIENT_MATCH_SOFTWARE_NAME] = slice_str(peer->software),
                   [CLIENT_MATCH_SOFTWARE_VERSION] = slice_str(peer->software_version),
                   [CLIENT_MATCH_SOURCE_ADDRESS] = slice_str(peer->host)}};
}

static bool put_metrics(struct storage_request *request, const struct telemetry_subscription *subscription,
                        struct kafka_get_telemetry_subscriptions_response *response)
{
    size_t count = (size_t)subscription->metric_count;
    response->requested_metrics = arena_calloc(&request->arena, count + 1, sizeof(struct slice));
    for (size_t i = 0; response->requested_metrics != NULL && i < count; i++)
        response->requested_metrics[i] = slice_str(subscription->metrics[i]);
    response->requested_metrics_count = (int32_t)count;
    return response->requested_metrics != NULL;
}

void handle_get_telemetry_subscriptions(struct storage_request *request)
{
    const struct kafka_get_telemetry_subscriptions_request *asked = request->body;
    struct kafka_get_telemetry_subscriptions_response response;
    struct env *env = storage_env(request->storage);
    struct uuid instance = asked->client_instance_id;
    struct telemetry_subscription subscription;
    int8_t accepted[] = {COMPRESSION_ZSTD, COMPRESSION_LZ4, COMPRESSION_GZIP, COMPRESSION_SNAPPY}; // best first
    kafka_defaults(&kafka_get_telemetry_subscriptions_response_message, &response);
    if (uuid_is_zero(instance))
        instance = uuid_from_random(env_random(env), env_random(env));
    struct telemetry_client client = telemetry_client_of(request, instance);
    response.error_code = telemetry_ask(storage_telemetry(request->storage), &client, &subscription);
    if (response.error_code == 0) {
        response.client_instance_id = instance;
        response.subscription_id = subscription.id;
        response.accepted_compression_types = accepted;
        response.accepted_compression_types_count = sizeof accepted;
        response.push_interval_ms = subscription.interval_ms;
        response.telemetry_max_bytes =
            (int32_t)config_int(storage_config(request->storage), "telemetry.max.bytes");
        response.delta_temporality = true;
        if (!put_metrics(request, &subscription, &response)) {
            storage_answer_close(request, "out of memory for an answer");
            return;
        }
    }
    storage_answer(request, &response);
}
