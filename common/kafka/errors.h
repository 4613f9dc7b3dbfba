// SPDX-License-Identifier: Apache-2.0
// Error codes of the Kafka protocol (4.2), as they stand in error_code fields. Codes and names are the
// protocol's, retriable is what Kafka's own clients do with them, texts are ours (Kafka's clients show their
// own). Mapping an enum status to one of these is the handler's decision: the same status means different
// things in different APIs.
#ifndef KAFKA_ERRORS_H
#define KAFKA_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

// X(name, code, retriable, text)
// clang-format off
#define KAFKA_ERROR_TABLE(X) \
    X(UNKNOWN_SERVER_ERROR, -1, false, "the server met an error it did not expect") \
    X(NONE, 0, false, "no error") \
    X(OFFSET_OUT_OF_RANGE, 1, false, "offset outside of the log's range") \
    X(CORRUPT_MESSAGE, 2, true, "record batch fails its checksum, size or compression") \
    X(UNKNOWN_TOPIC_OR_PARTITION, 3, true, "no such topic or partition here") \
    X(INVALID_FETCH_SIZE, 4, false, "invalid fetch size") \
    X(LEADER_NOT_AVAILABLE, 5, true, "partition is between leaders") \
    X(NOT_LEADER_OR_FOLLOWER, 6, true, "this node does not lead (or follow) the partition") \
    X(REQUEST_TIMED_OUT, 7, true, "request timed out") \
    X(BROKER_NOT_AVAILABLE, 8, false, "broker is not available") \
    X(REPLICA_NOT_AVAILABLE, 9, true, "replica is not available") \
    X(MESSAGE_TOO_LARGE, 10, false, "record batch larger than the topic accepts") \
    X(STALE_CONTROLLER_EPOCH, 11, false, "controller epoch is out of date") \
    X(OFFSET_METADATA_TOO_LARGE, 12, false, "offset metadata is too long") \
    X(NETWORK_EXCEPTION, 13, true, "connection lost before an answer came") \
    X(COORDINATOR_LOAD_IN_PROGRESS, 14, true, "coordinator is still loading") \
    X(COORDINATOR_NOT_AVAILABLE, 15, true, "coordinator is not available") \
    X(NOT_COORDINATOR, 16, true, "this is not the coordinator") \
    X(INVALID_TOPIC_EXCEPTION, 17, false, "topic name or operation on this topic is not allowed") \
    X(RECORD_LIST_TOO_LARGE, 18, false, "batch larger than a log segment") \
    X(NOT_ENOUGH_REPLICAS, 19, true, "fewer in-sync replicas than required") \
    X(NOT_ENOUGH_REPLICAS_AFTER_APPEND, 20, true, "written, but by fewer in-sync replicas than required") \
    X(INVALID_REQUIRED_ACKS, 21, false, "required acks must be -1, 0 or 1") \
    X(ILLEGAL_GENERATION, 22, false, "group generation is not the current one") \
    X(INCONSISTENT_GROUP_PROTOCOL, 23, false, "member's protocols do not fit those of the group") \
    X(INVALID_GROUP_ID, 24, false, "invalid group id") \
    X(UNKNOWN_MEMBER_ID, 25, false, "the group does not know this member") \
    X(INVALID_SESSION_TIMEOUT, 26, false, "session timeout outside of the permitted range") \
    X(REBALANCE_IN_PROGRESS, 27, false, "group is rebalancing, join again") \
    X(INVALID_COMMIT_OFFSET_SIZE, 28, false, "committed offset data is too large") \
    X(TOPIC_AUTHORIZATION_FAILED, 29, false, "not authorised for the topic") \
    X(GROUP_AUTHORIZATION_FAILED, 30, false, "not authorised for the group") \
    X(CLUSTER_AUTHORIZATION_FAILED, 31, false, "not authorised for the cluster") \
    X(INVALID_TIMESTAMP, 32, false, "record timestamp outside of the permitted range") \
    X(UNSUPPORTED_SASL_MECHANISM, 33, false, "SASL mechanism is not supported") \
    X(ILLEGAL_SASL_STATE, 34, false, "request does not fit the SASL state") \
    X(UNSUPPORTED_VERSION, 35, false, "version of the API is not supported") \
    X(TOPIC_ALREADY_EXISTS, 36, false, "topic exists already") \
    X(INVALID_PARTITIONS, 37, false, "invalid number of partitions") \
    X(INVALID_REPLICATION_FACTOR, 38, false, "invalid replication factor") \
    X(INVALID_REPLICA_ASSIGNMENT, 39, false, "invalid replica assignment") \
    X(INVALID_CONFIG, 40, false, "invalid configuration") \
    X(NOT_CONTROLLER, 41, true, "this is not the controller") \
    X(INVALID_REQUEST, 42, false, "request contradicts itself or the protocol") \
    X(UNSUPPORTED_FOR_MESSAGE_FORMAT, 43, false, "message format does not support the request") \
    X(POLICY_VIOLATION, 44, false, "a policy refuses the request") \
    X(OUT_OF_ORDER_SEQUENCE_NUMBER, 45, false, "producer sequence number is out of order") \
    X(DUPLICATE_SEQUENCE_NUMBER, 46, false, "producer sequence number was seen before") \
    X(INVALID_PRODUCER_EPOCH, 47, false, "producer epoch is out of date") \
    X(INVALID_TXN_STATE, 48, false, "transaction is not in a state for this") \
    X(INVALID_PRODUCER_ID_MAPPING, 49, false, "producer id does not belong to the transactional id") \
    X(INVALID_TRANSACTION_TIMEOUT, 50, false, "transaction timeout above the permitted maximum") \
    X(CONCURRENT_TRANSACTIONS, 51, true, "another operation on the transaction is running") \
    X(TRANSACTION_COORDINATOR_FENCED, 52, false, "transaction coordinator has been replaced") \
    X(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 53, false, "not authorised for the transactional id") \
    X(SECURITY_DISABLED, 54, false, "security features are disabled") \
    X(OPERATION_NOT_ATTEMPTED, 55, false, "not attempted because an earlier part failed") \
    X(KAFKA_STORAGE_ERROR, 56, true, "storage error on the log directory") \
    X(LOG_DIR_NOT_FOUND, 57, false, "no such log directory") \
    X(SASL_AUTHENTICATION_FAILED, 58, false, "SASL authentication failed") \
    X(UNKNOWN_PRODUCER_ID, 59, false, "no state is known for the producer id") \
    X(REASSIGNMENT_IN_PROGRESS, 60, false, "a reassignment is in progress") \
    X(DELEGATION_TOKEN_AUTH_DISABLED, 61, false, "delegation tokens are disabled") \
    X(DELEGATION_TOKEN_NOT_FOUND, 62, false, "no such delegation token") \
    X(DELEGATION_TOKEN_OWNER_MISMATCH, 63, false, "delegation token belongs to somebody else") \
    X(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, 64, false, "delegation token requests need an authenticated connection") \
    X(DELEGATION_TOKEN_AUTHORIZATION_FAILED, 65, false, "not authorised for the delegation token") \
    X(DELEGATION_TOKEN_EXPIRED, 66, false, "delegation token has expired") \
    X(INVALID_PRINCIPAL_TYPE, 67, false, "principal type is not supported") \
    X(NON_EMPTY_GROUP, 68, false, "group is not empty") \
    X(GROUP_ID_NOT_FOUND, 69, false, "no such group") \
    X(FETCH_SESSION_ID_NOT_FOUND, 70, true, "no such fetch session") \
    X(INVALID_FETCH_SESSION_EPOCH, 71, true, "fetch session epoch is wrong") \
    X(LISTENER_NOT_FOUND, 72, true, "leader has no endpoint on this listener") \
    X(TOPIC_DELETION_DISABLED, 73, false, "topic deletion is disabled") \
    X(FENCED_LEADER_EPOCH, 74, true, "leader epoch is older than the node's") \
    X(UNKNOWN_LEADER_EPOCH, 75, true, "leader epoch is newer than the node's") \
    X(UNSUPPORTED_COMPRESSION_TYPE, 76, false, "compression type is not supported by the request's version") \
    X(STALE_BROKER_EPOCH, 77, false, "broker epoch is out of date") \
    X(OFFSET_NOT_AVAILABLE, 78, true, "leader's high watermark is not known yet") \
    X(MEMBER_ID_REQUIRED, 79, false, "join again with the member id of this answer") \
    X(PREFERRED_LEADER_NOT_AVAILABLE, 80, true, "preferred leader is not available") \
    X(GROUP_MAX_SIZE_REACHED, 81, false, "group is full") \
    X(FENCED_INSTANCE_ID, 82, false, "static member was replaced by another one") \
    X(ELIGIBLE_LEADERS_NOT_AVAILABLE, 83, true, "no eligible leader is available") \
    X(ELECTION_NOT_NEEDED, 84, true, "partition has the right leader already") \
    X(NO_REASSIGNMENT_IN_PROGRESS, 85, false, "no reassignment is in progress") \
    X(GROUP_SUBSCRIBED_TO_TOPIC, 86, false, "group is subscribed to the topic") \
    X(INVALID_RECORD, 87, false, "record refused by validation") \
    X(UNSTABLE_OFFSET_COMMIT, 88, true, "offsets have a pending transactional commit") \
    X(THROTTLING_QUOTA_EXCEEDED, 89, true, "throttling quota exceeded") \
    X(PRODUCER_FENCED, 90, false, "a newer producer has the same transactional id") \
    X(RESOURCE_NOT_FOUND, 91, false, "no such resource") \
    X(DUPLICATE_RESOURCE, 92, false, "resource is named twice") \
    X(UNACCEPTABLE_CREDENTIAL, 93, false, "credential does not meet the requirements") \
    X(INCONSISTENT_VOTER_SET, 94, false, "voter sets of sender and receiver differ") \
    X(INVALID_UPDATE_VERSION, 95, false, "update version is invalid") \
    X(FEATURE_UPDATE_FAILED, 96, false, "features could not be updated") \
    X(PRINCIPAL_DESERIALIZATION_FAILURE, 97, false, "principal of a forwarded request is unreadable") \
    X(SNAPSHOT_NOT_FOUND, 98, false, "no such snapshot") \
    X(POSITION_OUT_OF_RANGE, 99, false, "position outside of the snapshot") \
    X(UNKNOWN_TOPIC_ID, 100, true, "no topic with this id") \
    X(DUPLICATE_BROKER_REGISTRATION, 101, false, "broker id is registered already") \
    X(BROKER_ID_NOT_REGISTERED, 102, false, "broker id is not registered") \
    X(INCONSISTENT_TOPIC_ID, 103, true, "topic id differs from the one in the log") \
    X(INCONSISTENT_CLUSTER_ID, 104, false, "cluster id is not this cluster's") \
    X(TRANSACTIONAL_ID_NOT_FOUND, 105, false, "no such transactional id") \
    X(FETCH_SESSION_TOPIC_ID_ERROR, 106, true, "topic id of the fetch session does not fit") \
    X(INELIGIBLE_REPLICA, 107, false, "replica is not eligible for the ISR") \
    X(NEW_LEADER_ELECTED, 108, false, "request changed the leader and fails for the old one") \
    X(OFFSET_MOVED_TO_TIERED_STORAGE, 109, false, "offset has moved to tiered storage") \
    X(FENCED_MEMBER_EPOCH, 110, false, "member epoch is fenced, join again") \
    X(UNRELEASED_INSTANCE_ID, 111, false, "instance id is still held by another member") \
    X(UNSUPPORTED_ASSIGNOR, 112, false, "assignor or its version is not supported") \
    X(STALE_MEMBER_EPOCH, 113, false, "member epoch is out of date, retry with the new one") \
    X(MISMATCHED_ENDPOINT_TYPE, 114, false, "request was sent to the wrong kind of endpoint") \
    X(UNSUPPORTED_ENDPOINT_TYPE, 115, false, "this kind of endpoint is not supported") \
    X(UNKNOWN_CONTROLLER_ID, 116, false, "no such controller") \
    X(UNKNOWN_SUBSCRIPTION_ID, 117, false, "telemetry subscription is out of date") \
    X(TELEMETRY_TOO_LARGE, 118, false, "telemetry payload is too large") \
    X(INVALID_REGISTRATION, 119, false, "registration contradicts the cluster") \
    X(TRANSACTION_ABORTABLE, 120, false, "transaction has to be aborted by the client") \
    X(INVALID_RECORD_STATE, 121, false, "record is not in a state for this acknowledgement") \
    X(SHARE_SESSION_NOT_FOUND, 122, true, "no such share session") \
    X(INVALID_SHARE_SESSION_EPOCH, 123, true, "share session epoch is wrong") \
    X(FENCED_STATE_EPOCH, 124, false, "share group state epoch is fenced") \
    X(INVALID_VOTER_KEY, 125, false, "voter key does not match") \
    X(DUPLICATE_VOTER, 126, false, "voter is in the set already") \
    X(VOTER_NOT_FOUND, 127, false, "no such voter") \
    X(INVALID_REGULAR_EXPRESSION, 128, false, "invalid regular expression") \
    X(REBOOTSTRAP_REQUIRED, 129, false, "client has to bootstrap again") \
    X(STREAMS_INVALID_TOPOLOGY, 130, false, "invalid streams topology") \
    X(STREAMS_INVALID_TOPOLOGY_EPOCH, 131, false, "streams topology epoch is invalid") \
    X(STREAMS_TOPOLOGY_FENCED, 132, false, "streams topology epoch is fenced") \
    X(SHARE_SESSION_LIMIT_REACHED, 133, true, "share session limit is reached")
// clang-format on

enum kafka_error {
#define KAFKA_ERROR_ENUM(name, code, retriable, text) KAFKA_ERR_##name = code,
    KAFKA_ERROR_TABLE(KAFKA_ERROR_ENUM)
#undef KAFKA_ERROR_ENUM
};

// "NOT_COORDINATOR"; "UNKNOWN" for a code outside the table.
const char *kafka_error_name(int16_t code);

// Short English text; never NULL.
const char *kafka_error_text(int16_t code);

// Whether the same request may succeed later.
bool kafka_error_retriable(int16_t code);

#endif
