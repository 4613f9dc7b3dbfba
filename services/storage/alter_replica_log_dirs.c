// SPDX-License-Identifier: Apache-2.0
// AlterReplicaLogDirs (KIP-113): replicas move to another data directory of this node, or are made there when
// they come; moves.c does it. Checks in the order of Kafka's ReplicaManager.alterReplicaLogDirs.
#include "handlers.h"

#include "kafka/messages/alter_replica_log_dirs.h"
#include "partitions.h"
#include "partitions_state.h"
#include "storage.h"

typedef struct kafka_alter_replica_log_dirs_request_alter_replica_log_dir_topic asked_topic_t;
typedef struct kafka_alter_replica_log_dirs_response_alter_replica_log_dir_topic_result topic_result_t;

// The place of a directory in log.dirs, as the node was told its path; -1: none of this node.
static int dir_of(const struct dirs *dirs, struct slice path)
{
    for (int i = 0; i < dirs_count(dirs); i++)
        if (slice_equal(slice_str(dirs_path(dirs, i)), path))
            return i;
    return -1;
}

static int16_t request_error(enum status status)
{
    return status == ST_OK        ? KAFKA_ERR_NONE
           : status == ST_INVALID ? KAFKA_ERR_INVALID_TOPIC_EXCEPTION // too long a name, as in Kafka
                                  : KAFKA_ERR_KAFKA_STORAGE_ERROR;
}

static int16_t partition_move(struct storage_request *request, int dir, struct slice name, int32_t index)
{
    struct partitions *partitions = storage_partitions(request->storage);
    const struct image_topic *topic = image_topic_slice(storage_image(request->storage), name);
    if (dir < 0)
        return KAFKA_ERR_LOG_DIR_NOT_FOUND;
    if (!dirs_works(partitions->options.dirs, dir))
        return KAFKA_ERR_KAFKA_STORAGE_ERROR;
    if (topic == NULL || image_topic_partition(topic, index) == NULL)
        return KAFKA_ERR_REPLICA_NOT_AVAILABLE;
    struct replica *replica = partitions_find(partitions, topic->id, index);
    if (replica != NULL && replica->missing)
        return KAFKA_ERR_KAFKA_STORAGE_ERROR;
    if (replica != NULL && replica->log != NULL) {
        enum status status = log_status(replica->log);
        bool offline = status != ST_OK && status != ST_NO_SPACE;
        return offline ? KAFKA_ERR_KAFKA_STORAGE_ERROR : request_error(moves_request(replica, dir));
    }
    moves_prefer(partitions->moves, topic->id, index, dir);
    return KAFKA_ERR_REPLICA_NOT_AVAILABLE;
}

static bool topic_fill(struct storage_request *request, int dir, const asked_topic_t *asked,
                       topic_result_t *result)
{
    bool allowed = authorise(&request->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                             slice_str(RESOURCE_CLUSTER_NAME));
    result->topic_name = asked->name;
    result->partitions_count = asked->partitions_count;
    result->partitions = kafka_structure_array(
        &kafka_alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_type, &request->arena,
        asked->partitions_count);
    for (int32_t i = 0; result->partitions != NULL && i < asked->partitions_count; i++) {
        result->partitions[i].partition_index = asked->partitions[i];
        result->partitions[i].error_code =
            allowed ? partition_move(request, dir, asked->name, asked->partitions[i])
                    : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
    }
    return result->partitions != NULL;
}

static int32_t topic_count(const struct kafka_alter_replica_log_dirs_request *asked)
{
    int32_t count = 0;
    for (int32_t i = 0; i < asked->dirs_count; i++)
        count += asked->dirs[i].topics_count;
    return count;
}

void storage_alter_replica_log_dirs(struct storage_request *request)
{
    const struct kafka_alter_replica_log_dirs_request *asked = request->body;
    const struct partitions *partitions = storage_partitions(request->storage);
    const struct dirs *dirs = partitions != NULL ? partitions_dirs(partitions) : NULL;
    struct kafka_alter_replica_log_dirs_response response;
    kafka_defaults(&kafka_alter_replica_log_dirs_response_message, &response);
    if (dirs == NULL) {
        storage_answer_close(request, "the node is not ready, or stops");
        return;
    }
    response.results =
        kafka_structure_array(&kafka_alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_type,
                              &request->arena, topic_count(asked));
    bool room = response.results != NULL;
    for (int32_t i = 0; room && i < asked->dirs_count; i++) {
        int dir = dir_of(dirs, asked->dirs[i].path);
        for (int32_t k = 0; room && k < asked->dirs[i].topics_count; k++)
            room = topic_fill(request, dir, &asked->dirs[i].topics[k],
                              &response.results[response.results_count++]);
    }
    if (room)
        storage_answer(request, &response);
    else
        storage_answer_close(request, "the request needs too much memory");
}
