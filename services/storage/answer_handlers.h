// SPDX-License-Identifier: Apache-2.0
// The handlers of what this node answers itself, one file per API, named as the protocol names it.
#ifndef STORAGE_ANSWER_HANDLERS_H
#define STORAGE_ANSWER_HANDLERS_H

#include "cluster/answers.h"
#include "request.h"
#include "telemetry.h"

void handle_api_versions(struct storage_request *request);
// The version asked for is none of ours: error 35 and the range of ApiVersions, encoded as version 0.
void handle_api_versions_unsupported(struct storage_request *request);
void handle_describe_cluster(struct storage_request *request);
void handle_describe_configs(struct storage_request *request);
void handle_describe_topic_partitions(struct storage_request *request);
void handle_find_coordinator(struct storage_request *request);
void handle_get_telemetry_subscriptions(struct storage_request *request);
void handle_init_producer_id(struct storage_request *request);
void handle_list_config_resources(struct storage_request *request);
void handle_metadata(struct storage_request *request);
void handle_push_telemetry(struct storage_request *request);

// The client of a request, for telemetry.h.
struct telemetry_client telemetry_client_of(struct storage_request *request, struct uuid instance);

// What an answer from the image is made of: image, principal, version and arena of the request.
struct answers_scope storage_scope(struct storage_request *request);

#endif
