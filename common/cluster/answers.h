// SPDX-License-Identifier: Apache-2.0
// Answers that come from the image alone: Metadata, FindCoordinator, DescribeCluster,
// DescribeTopicPartitions. Pure functions into a request's arena; strings are borrowed from the image or the
// request, so an answer is encoded before the image changes. Only unfenced storage nodes are listed (and by
// Metadata those that were a moment ago), each with its endpoint for the listener the client came in by:
// clients, TLS and port mappings see one kind of broker.
#ifndef CLUSTER_ANSWERS_H
#define CLUSTER_ANSWERS_H

#include "base/arena.h"
#include "cluster/authorise.h"
#include "cluster/image.h"

struct kafka_metadata_request;
struct kafka_metadata_response;
struct kafka_find_coordinator_request;
struct kafka_find_coordinator_response;
struct kafka_describe_cluster_request;
struct kafka_describe_cluster_response;
struct kafka_describe_topic_partitions_request;
struct kafka_describe_topic_partitions_response;

struct answers_scope {
    const struct image *image;
    const struct principal *principal; // its listener decides which endpoints are shown
    int32_t self;                      // the answering storage node
    int16_t version;                   // of the request
    struct arena *arena;               // of the request
    // Whether the answering node has just lost its connection to that one; NULL: it does not know. Its
    // partitions then have no leader: told a dead one, librdkafka asks again only a second later.
    bool (*lost)(const void *context, int32_t node);
    // Whether a fenced node was live a moment ago: Metadata names it among the brokers all the same. NULL:
    // none was.
    bool (*away)(const void *context, int32_t node);
    const void *context;
};

// All: ST_OK, or ST_LIMIT when the arena is full. Kafka errors are inside the answer.

// A named topic that does not exist carries UNKNOWN_TOPIC_OR_PARTITION (a bad name INVALID_TOPIC_EXCEPTION):
// the caller may create those names when the request and its configuration allow it.
enum status answers_metadata(const struct answers_scope *scope, const struct kafka_metadata_request *request,
                             struct kafka_metadata_response *response);
enum status answers_find_coordinator(const struct answers_scope *scope,
                                     const struct kafka_find_coordinator_request *request,
                                     struct kafka_find_coordinator_response *response);
enum status answers_describe_cluster(const struct answers_scope *scope,
                                     const struct kafka_describe_cluster_request *request,
                                     struct kafka_describe_cluster_response *response);
enum status answers_describe_topic_partitions(const struct answers_scope *scope,
                                              const struct kafka_describe_topic_partitions_request *request,
                                              struct kafka_describe_topic_partitions_response *response);

// Kafka's rule for topic names: 1-249 of [a-zA-Z0-9._-], not "." or "..". why (may be NULL) gets a static
// text.
bool answers_topic_name_ok(struct slice name, const char **why);

#endif
