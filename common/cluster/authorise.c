// SPDX-License-Identifier: Apache-2.0
// The table from API to operation and resource, after Kafka's own (KafkaApis, ControllerApis). A test proves
// that every API of kafka/api.h has its row. OPERATION_NONE is reserved for what Kafka answers to anybody:
// the requests before authentication, and client telemetry.
#include "cluster/authorise.h"

#include <stddef.h>

#define TOPIC    RESOURCE_TYPE_TOPIC
#define GROUP    RESOURCE_TYPE_GROUP
#define CLUSTER  RESOURCE_TYPE_CLUSTER
#define TXN      RESOURCE_TYPE_TRANSACTIONAL_ID
#define TOKEN    RESOURCE_TYPE_DELEGATION_TOKEN
#define USER     RESOURCE_TYPE_USER
#define OP(name) OPERATION_##name

// clang-format off
static const struct authorise_rule rules[] = { // ascending key
    {0, OP(WRITE), TOPIC, OP(WRITE), TXN},                        // Produce
    {1, OP(READ), TOPIC, OP(CLUSTER_ACTION), CLUSTER},            // Fetch
    {2, OP(DESCRIBE), TOPIC, 0, 0},                               // ListOffsets
    {3, OP(DESCRIBE), TOPIC, OP(CREATE), TOPIC},                  // Metadata
    {8, OP(READ), GROUP, OP(READ), TOPIC},                        // OffsetCommit
    {9, OP(DESCRIBE), GROUP, OP(DESCRIBE), TOPIC},                // OffsetFetch
    {10, OP(DESCRIBE), GROUP, OP(DESCRIBE), TXN},                 // FindCoordinator
    {11, OP(READ), GROUP, 0, 0},                                  // JoinGroup
    {12, OP(READ), GROUP, 0, 0},                                  // Heartbeat
    {13, OP(READ), GROUP, 0, 0},                                  // LeaveGroup
    {14, OP(READ), GROUP, 0, 0},                                  // SyncGroup
    {15, OP(DESCRIBE), GROUP, 0, 0},                              // DescribeGroups
    {16, OP(DESCRIBE), CLUSTER, OP(DESCRIBE), GROUP},             // ListGroups
    {17, OP(NONE), 0, 0, 0},                                      // SaslHandshake
    {18, OP(NONE), 0, 0, 0},                                      // ApiVersions
    {19, OP(CREATE), TOPIC, OP(CREATE), CLUSTER},                 // CreateTopics
    {20, OP(DELETE), TOPIC, OP(DESCRIBE), TOPIC},                 // DeleteTopics
    {21, OP(DELETE), TOPIC, 0, 0},                                // DeleteRecords
    {22, OP(IDEMPOTENT_WRITE), CLUSTER, OP(WRITE), TXN},          // InitProducerId
    {23, OP(DESCRIBE), TOPIC, OP(CLUSTER_ACTION), CLUSTER},       // OffsetForLeaderEpoch
    {24, OP(WRITE), TXN, OP(WRITE), TOPIC},                       // AddPartitionsToTxn
    {25, OP(WRITE), TXN, OP(READ), GROUP},                        // AddOffsetsToTxn
    {26, OP(WRITE), TXN, 0, 0},                                   // EndTxn
    {27, OP(CLUSTER_ACTION), CLUSTER, OP(ALTER), CLUSTER},        // WriteTxnMarkers
    {28, OP(WRITE), TXN, OP(READ), GROUP},                        // TxnOffsetCommit
    {29, OP(DESCRIBE), CLUSTER, 0, 0},                            // DescribeAcls
    {30, OP(ALTER), CLUSTER, 0, 0},                               // CreateAcls
    {31, OP(ALTER), CLUSTER, 0, 0},                               // DeleteAcls
    {32, OP(DESCRIBE_CONFIGS), CLUSTER, OP(DESCRIBE_CONFIGS), TOPIC}, // DescribeConfigs
    {33, OP(ALTER_CONFIGS), CLUSTER, OP(ALTER_CONFIGS), TOPIC},   // AlterConfigs
    {34, OP(ALTER), CLUSTER, 0, 0},                               // AlterReplicaLogDirs
    {35, OP(DESCRIBE), CLUSTER, 0, 0},                            // DescribeLogDirs
    {36, OP(NONE), 0, 0, 0},                                      // SaslAuthenticate
    {37, OP(ALTER), TOPIC, 0, 0},                                 // CreatePartitions
    {38, OP(CREATE_TOKENS), USER, 0, 0},                          // CreateDelegationToken
    {39, OP(DESCRIBE), TOKEN, 0, 0},                              // RenewDelegationToken
    {40, OP(DESCRIBE), TOKEN, 0, 0},                              // ExpireDelegationToken
    {41, OP(DESCRIBE), TOKEN, OP(DESCRIBE_TOKENS), USER},         // DescribeDelegationToken
    {42, OP(DELETE), GROUP, 0, 0},                                // DeleteGroups
    {43, OP(ALTER), CLUSTER, 0, 0},                               // ElectLeaders
    {44, OP(ALTER_CONFIGS), CLUSTER, OP(ALTER_CONFIGS), TOPIC},   // IncrementalAlterConfigs
    {45, OP(ALTER), CLUSTER, 0, 0},                               // AlterPartitionReassignments
    {46, OP(DESCRIBE), CLUSTER, 0, 0},                            // ListPartitionReassignments
    {47, OP(DELETE), GROUP, OP(READ), TOPIC},                     // OffsetDelete
    {48, OP(DESCRIBE_CONFIGS), CLUSTER, 0, 0},                    // DescribeClientQuotas
    {49, OP(ALTER_CONFIGS), CLUSTER, 0, 0},                       // AlterClientQuotas
    {50, OP(DESCRIBE), CLUSTER, 0, 0},                            // DescribeUserScramCredentials
    {51, OP(ALTER), CLUSTER, 0, 0},                               // AlterUserScramCredentials
    {52, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // Vote
    {53, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // BeginQuorumEpoch
    {54, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // EndQuorumEpoch
    {55, OP(DESCRIBE), CLUSTER, 0, 0},                            // DescribeQuorum
    {56, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // AlterPartition
    {57, OP(ALTER), CLUSTER, 0, 0},                               // UpdateFeatures
    {58, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // Envelope
    {59, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // FetchSnapshot
    {60, OP(DESCRIBE), CLUSTER, 0, 0},                            // DescribeCluster
    {61, OP(READ), TOPIC, 0, 0},                                  // DescribeProducers
    {62, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // BrokerRegistration
    {63, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // BrokerHeartbeat
    {64, OP(ALTER), CLUSTER, 0, 0},                               // UnregisterBroker
    {65, OP(DESCRIBE), TXN, OP(DESCRIBE), TOPIC},                 // DescribeTransactions
    {66, OP(DESCRIBE), TXN, 0, 0},                                // ListTransactions
    {67, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // AllocateProducerIds
    {68, OP(READ), GROUP, OP(DESCRIBE), TOPIC},                   // ConsumerGroupHeartbeat
    {69, OP(DESCRIBE), GROUP, OP(DESCRIBE), TOPIC},               // ConsumerGroupDescribe
    {70, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // ControllerRegistration
    {71, OP(NONE), 0, 0, 0},                                      // GetTelemetrySubscriptions
    {72, OP(NONE), 0, 0, 0},                                      // PushTelemetry
    {73, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // AssignReplicasToDirs
    {74, OP(DESCRIBE_CONFIGS), CLUSTER, 0, 0},                    // ListConfigResources
    {75, OP(DESCRIBE), TOPIC, 0, 0},                              // DescribeTopicPartitions
    {76, OP(READ), GROUP, OP(DESCRIBE), TOPIC},                   // ShareGroupHeartbeat
    {77, OP(DESCRIBE), GROUP, OP(DESCRIBE), TOPIC},               // ShareGroupDescribe
    {78, OP(READ), GROUP, OP(READ), TOPIC},                       // ShareFetch
    {79, OP(READ), GROUP, OP(READ), TOPIC},                       // ShareAcknowledge
    {80, OP(ALTER), CLUSTER, 0, 0},                               // AddRaftVoter
    {81, OP(ALTER), CLUSTER, 0, 0},                               // RemoveRaftVoter
    {82, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // UpdateRaftVoter
    {83, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // InitializeShareGroupState
    {84, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // ReadShareGroupState
    {85, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // WriteShareGroupState
    {86, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // DeleteShareGroupState
    {87, OP(CLUSTER_ACTION), CLUSTER, 0, 0},                      // ReadShareGroupStateSummary
    {88, OP(READ), GROUP, OP(DESCRIBE), TOPIC},                   // StreamsGroupHeartbeat
    {89, OP(DESCRIBE), GROUP, OP(DESCRIBE), TOPIC},               // StreamsGroupDescribe
    {90, OP(DESCRIBE), GROUP, OP(DESCRIBE), TOPIC},               // DescribeShareGroupOffsets
    {91, OP(READ), GROUP, OP(READ), TOPIC},                       // AlterShareGroupOffsets
    {92, OP(DELETE), GROUP, OP(READ), TOPIC},                     // DeleteShareGroupOffsets
};
// clang-format on

const struct authorise_rule *authorise_rule(int16_t api_key)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].api_key == api_key)
            return &rules[i];
    return NULL;
}

bool authorise(const struct principal *principal, enum operation operation, enum resource_type type,
               struct slice name)
{
    return principal != NULL; // everybody who says who they are; rules come with the ACLs
}

enum { TYPES = RESOURCE_TYPE_USER + 1 };

// Which operations exist on a resource (AclEntry.supportedOperations), as bits.
static const int32_t operations_of[TYPES] = {
    [TOPIC] = 1 << OP(READ) | 1 << OP(WRITE) | 1 << OP(CREATE) | 1 << OP(DESCRIBE) | 1 << OP(DELETE) |
              1 << OP(ALTER) | 1 << OP(DESCRIBE_CONFIGS) | 1 << OP(ALTER_CONFIGS),
    [GROUP] = 1 << OP(READ) | 1 << OP(DESCRIBE) | 1 << OP(DELETE) | 1 << OP(DESCRIBE_CONFIGS) |
              1 << OP(ALTER_CONFIGS),
    [CLUSTER] = 1 << OP(CREATE) | 1 << OP(CLUSTER_ACTION) | 1 << OP(DESCRIBE_CONFIGS) |
                1 << OP(ALTER_CONFIGS) | 1 << OP(IDEMPOTENT_WRITE) | 1 << OP(ALTER) | 1 << OP(DESCRIBE),
    [TXN] = 1 << OP(DESCRIBE) | 1 << OP(WRITE) | 1 << OP(TWO_PHASE_COMMIT),
    [TOKEN] = 1 << OP(DESCRIBE),
    [USER] = 1 << OP(CREATE_TOKENS) | 1 << OP(DESCRIBE_TOKENS),
};

int32_t authorise_operations(const struct principal *principal, enum resource_type type, struct slice name)
{
    int32_t allowed = 0;
    for (int operation = OP(READ); operation <= OP(TWO_PHASE_COMMIT); operation++)
        if ((operations_of[type] & 1 << operation) != 0 &&
            authorise(principal, (enum operation)operation, type, name))
            allowed |= 1 << operation;
    return allowed;
}
