// SPDX-License-Identifier: Apache-2.0
// AlterReplicaLogDirs (KIP-113): replicas move to another data directory of this node, or are made there when
// they come; moves.c does it. Checks in the order of Kafka's ReplicaManager.alterReplicaLogDirs. Answered
// when the copies' directories are durable: from then on a crash does not forget the moves.
#include "handlers.h"

#include "kafka/messages/alter_replica_log_dirs.h"
#include "partitions.h"
#include "partitions_state.h"
#include "storage.h"

typedef struct kafka_alter_replica_log_dirs_request_alter_replica_log_dir_topic asked_topic_t;
typedef struct kafka_alter_replica_log_dirs_response_alter_replica_log_dir_topic_result topic_result_t;
typedef struct kafka_alter_replica_log_dirs_response_alter_replica_log_dir_partition_result
    partition_result_t;

struct alteration;

// One replica, which may wait for its copy.
struct alteration_item {
    struct alteration *alteration;
    partition_result_t *result;
    struct wait wait;
};

struct alteration {
    struct storage_request *request;
    struct kafka_alter_replica_log_dirs_response response;
    int remaining; // items that wait, and one while the request is taken in
    int count;
    struct alteration_item *items;
};

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

static void alteration_step(struct alteration *alteration)
{
    if (--alteration->remaining == 0)
        storage_answer(alteration->request, &alteration->response);
}

static void item_on_made(struct wait *wait, enum status status)
{
    struct alteration_item *item = wait->context;
    item->result->error_code = request_error(status);
    alteration_step(item->alteration);
}

static int16_t item_move(struct alteration_item *item, struct replica *replica, int dir)
{
    enum status status = log_status(replica->log);
    if (status != ST_OK && status != ST_NO_SPACE)
        return KAFKA_ERR_KAFKA_STORAGE_ERROR;
    status = moves_request(replica, dir);
    if (status == ST_OK && moves_await(replica, &item->wait, item_on_made, item))
        item->alteration->remaining++;
    return request_error(status);
}

static int16_t item_begin(struct alteration_item *item, int dir, struct slice name)
{
    const struct storage_request *request = item->alteration->request;
    struct partitions *partitions = storage_partitions(request->storage);
    const struct image_topic *topic = image_topic_slice(storage_image(request->storage), name);
    int32_t index = item->result->partition_index;
    if (dir < 0)
        return KAFKA_ERR_LOG_DIR_NOT_FOUND;
    if (!dirs_works(partitions->options.dirs, dir))
        return KAFKA_ERR_KAFKA_STORAGE_ERROR;
    if (topic == NULL || image_topic_partition(topic, index) == NULL)
        return KAFKA_ERR_REPLICA_NOT_AVAILABLE;
    struct replica *replica = partitions_find(partitions, topic->id, index);
    if (replica != NULL && replica->missing)
        return KAFKA_ERR_KAFKA_STORAGE_ERROR;
    if (replica != NULL && replica->log != NULL)
        return item_move(item, replica, dir);
    moves_prefer(partitions->moves, topic->id, index, dir);
    return KAFKA_ERR_REPLICA_NOT_AVAILABLE;
}

static bool topic_begin(struct alteration *alteration, int dir, const asked_topic_t *asked,
                        topic_result_t *result)
{
    struct storage_request *request = alteration->request;
    bool allowed = authorise(&request->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                             slice_str(RESOURCE_CLUSTER_NAME));
    result->topic_name = asked->name;
    result->partitions_count = asked->partitions_count;
    result->partitions = kafka_structure_array(
        &kafka_alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_type, &request->arena,
        asked->partitions_count);
    for (int32_t i = 0; result->partitions != NULL && i < asked->partitions_count; i++) {
        struct alteration_item *item = &alteration->items[alteration->count++];
        *item = (struct alteration_item){.alteration = alteration, .result = &result->partitions[i]};
        item->result->partition_index = asked->partitions[i];
        item->result->error_code =
            allowed ? item_begin(item, dir, asked->name) : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
    }
    return result->partitions != NULL;
}

static void waits_cancel(struct alteration *alteration)
{
    for (int i = 0; i < alteration->count; i++)
        wait_cancel(&alteration->items[i].wait);
}

static void alteration_on_cancelled(struct storage_request *request)
{
    waits_cancel(request->held);
    storage_answer_none(request);
}

// NULL: no memory.
static struct alteration *alteration_new(struct storage_request *request)
{
    const struct kafka_alter_replica_log_dirs_request *asked = request->body;
    struct alteration *alteration = arena_calloc(&request->arena, 1, sizeof *alteration);
    int32_t topics = 0;
    size_t partitions = 0;
    for (int32_t i = 0; i < asked->dirs_count; i++) {
        topics += asked->dirs[i].topics_count;
        for (int32_t k = 0; k < asked->dirs[i].topics_count; k++)
            partitions += (size_t)asked->dirs[i].topics[k].partitions_count;
    }
    if (alteration == NULL)
        return NULL;
    alteration->request = request;
    alteration->remaining = 1;
    kafka_defaults(&kafka_alter_replica_log_dirs_response_message, &alteration->response);
    alteration->response.results =
        kafka_structure_array(&kafka_alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_type,
                              &request->arena, topics);
    alteration->items = arena_calloc(&request->arena, partitions, sizeof *alteration->items);
    return alteration->response.results != NULL && alteration->items != NULL ? alteration : NULL;
}

static bool alteration_begin(struct alteration *alteration, const struct dirs *dirs)
{
    const struct kafka_alter_replica_log_dirs_request *asked = alteration->request->body;
    struct kafka_alter_replica_log_dirs_response *response = &alteration->response;
    bool room = true;
    for (int32_t i = 0; room && i < asked->dirs_count; i++) {
        int dir = dir_of(dirs, asked->dirs[i].path);
        for (int32_t k = 0; room && k < asked->dirs[i].topics_count; k++)
            room = topic_begin(alteration, dir, &asked->dirs[i].topics[k],
                               &response->results[response->results_count++]);
    }
    return room;
}

void storage_alter_replica_log_dirs(struct storage_request *request)
{
    const struct partitions *partitions = storage_partitions(request->storage);
    if (partitions == NULL) {
        storage_answer_close(request, "the node is not ready, or stops");
        return;
    }
    struct alteration *alteration = alteration_new(request);
    if (alteration == NULL || !alteration_begin(alteration, partitions_dirs(partitions))) {
        if (alteration != NULL)
            waits_cancel(alteration);
        storage_answer_close(request, "the request needs too much memory");
        return;
    }
    request->held = alteration;
    request->on_cancelled = alteration_on_cancelled;
    alteration_step(alteration);
}
