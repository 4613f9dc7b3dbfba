// SPDX-License-Identifier: Apache-2.0
// DescribeLogDirs (KIP-113, KIP-827): what is in each data directory of this node and how much room there is.
// The disks are asked on the pool; what the loop knows is put together when they have answered.
#include "handlers.h"

#include "base/mem.h"
#include "kafka/messages/describe_log_dirs.h"
#include "moves.h"
#include "partitions.h"
#include "storage.h"

#include <stdlib.h>

typedef struct kafka_describe_log_dirs_response_describe_log_dirs_result result_t;
typedef struct kafka_describe_log_dirs_response_describe_log_dirs_topic answer_topic_t;
typedef struct kafka_describe_log_dirs_response_describe_log_dirs_partition answer_partition_t;

struct space {
    char *path;
    int64_t total, usable; // bytes, -1: not known
};

struct describing {
    struct job job;
    struct storage_request *request;
    struct env *env;
    bool cancelled;
    int count;
    struct space spaces[DIRS_MAX];
};

static void spaces_ask(struct job *job)
{
    struct describing *describing = (struct describing *)job;
    for (int i = 0; i < describing->count; i++) {
        struct space *space = &describing->spaces[i];
        if (path_total_bytes(describing->env, space->path, &space->total) != ST_OK ||
            path_free_bytes(describing->env, space->path, &space->usable) != ST_OK)
            space->total = space->usable = -1;
    }
}

// ---- which replicas ----

struct chosen {
    struct replica **rows; // in the request's arena
    size_t count, cap;
};

static void chosen_add(struct chosen *chosen, struct replica *replica)
{
    if (replica != NULL && replica->log != NULL && chosen->count < chosen->cap)
        chosen->rows[chosen->count++] = replica;
}

static size_t asked_count(const struct kafka_describe_log_dirs_request *asked,
                          const struct partitions *partitions)
{
    size_t count = 0;
    if (asked->topics_count < 0)
        return (size_t)partitions_count(partitions);
    for (int32_t i = 0; i < asked->topics_count; i++)
        count += (size_t)asked->topics[i].partitions_count;
    return count;
}

static int by_place(const void *left, const void *right)
{
    const struct replica *a = *(struct replica *const *)left, *b = *(struct replica *const *)right;
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static void drop_doubles(struct chosen *chosen)
{
    size_t kept = 0;
    for (size_t i = 0; i < chosen->count; i++)
        if (i == 0 || chosen->rows[i] != chosen->rows[i - 1])
            chosen->rows[kept++] = chosen->rows[i];
    chosen->count = kept;
}

// Those asked for (all for null), by topic and partition, each once. False: not enough memory.
static bool choose(struct storage_request *request, struct partitions *partitions, struct chosen *chosen)
{
    const struct kafka_describe_log_dirs_request *asked = request->body;
    chosen->cap = asked_count(asked, partitions);
    chosen->rows = arena_calloc(&request->arena, chosen->cap + 1, sizeof(struct replica *));
    if (chosen->rows == NULL)
        return false;
    struct map_entry *at = NULL;
    struct replica *replica;
    while (asked->topics_count < 0 && (replica = partitions_next(partitions, &at)) != NULL)
        chosen_add(chosen, replica);
    for (int32_t i = 0; i < asked->topics_count; i++)
        for (int32_t k = 0; k < asked->topics[i].partitions_count; k++)
            chosen_add(chosen, partitions_find_named(partitions, asked->topics[i].topic,
                                                     asked->topics[i].partitions[k]));
    if (chosen->count > 0)
        qsort(chosen->rows, chosen->count, sizeof(struct replica *), by_place);
    drop_doubles(chosen);
    return true;
}

// ---- the answer ----

// What of a replica is in the directory: its log, or the copy with which it is moved there; NULL: nothing.
static const struct log *log_in(const struct replica *replica, const struct log_set *set)
{
    const struct log *future = moves_future(replica);
    if (log_owner_set(replica->log) == set)
        return replica->log;
    return future != NULL && log_owner_set(future) == set ? future : NULL;
}

// As in Kafka a copy lags behind the log, and that behind the watermark.
static void partition_fill(answer_partition_t *answer, const struct replica *replica, const struct log *log)
{
    bool future = log != replica->log;
    int64_t lag = (future ? log_end(replica->log) : replica->state.high_watermark) - log_end(log);
    answer->partition_index = replica->index;
    answer->partition_size = log_size(log);
    answer->offset_lag = lag > 0 ? lag : 0;
    answer->is_future_key = future;
}

// The replicas of one directory, grouped by topic. False: not enough memory.
static bool topics_fill(struct arena *arena, const struct chosen *chosen, const struct log_set *set,
                        result_t *result)
{
    result->topics = kafka_structure_array(&kafka_describe_log_dirs_response_describe_log_dirs_topic_type,
                                           arena, (int32_t)chosen->count);
    answer_partition_t *partitions = kafka_structure_array(
        &kafka_describe_log_dirs_response_describe_log_dirs_partition_type, arena, (int32_t)chosen->count);
    const char *last = NULL;
    if (result->topics == NULL || partitions == NULL)
        return false;
    for (size_t i = 0; i < chosen->count; i++) {
        const struct replica *replica = chosen->rows[i];
        const struct log *log = log_in(replica, set);
        if (log == NULL)
            continue;
        if (last == NULL || strcmp(last, replica->topic) != 0) {
            result->topics[result->topics_count++] =
                (answer_topic_t){.name = slice_str(replica->topic), .partitions = partitions};
            last = replica->topic;
        }
        partition_fill(partitions++, replica, log);
        result->topics[result->topics_count - 1].partitions_count++;
    }
    return true;
}

static bool result_fill(struct describing *describing, const struct dirs *dirs, int i,
                        const struct chosen *chosen, result_t *result)
{
    struct log_set *set = dirs_set(dirs, i);
    enum status status = set != NULL ? log_set_status(set) : ST_IO;
    result->log_dir = slice_str(describing->spaces[i].path);
    if (status != ST_OK && status != ST_NO_SPACE) {
        result->error_code = KAFKA_ERR_KAFKA_STORAGE_ERROR;
        return true;
    }
    result->total_bytes = describing->spaces[i].total;
    result->usable_bytes = describing->spaces[i].usable;
    return topics_fill(&describing->request->arena, chosen, set, result);
}

static bool answer_fill(struct describing *describing, struct partitions *partitions,
                        struct kafka_describe_log_dirs_response *response)
{
    struct storage_request *request = describing->request;
    const struct dirs *dirs = partitions_dirs(partitions);
    struct chosen chosen = {0};
    response->results = kafka_structure_array(&kafka_describe_log_dirs_response_describe_log_dirs_result_type,
                                              &request->arena, describing->count);
    if (response->results == NULL || !choose(request, partitions, &chosen))
        return false;
    for (int i = 0; dirs != NULL && i < describing->count; i++)
        if (!result_fill(describing, dirs, i, &chosen, &response->results[response->results_count++]))
            return false;
    return true;
}

static void describe_on_asked(struct job *job)
{
    struct describing *describing = (struct describing *)job;
    struct storage_request *request = describing->request;
    struct kafka_describe_log_dirs_response response;
    kafka_defaults(&kafka_describe_log_dirs_response_message, &response);
    if (describing->cancelled)
        storage_answer_none(request);
    else if (answer_fill(describing, storage_partitions(request->storage), &response))
        storage_answer(request, &response);
    else
        storage_answer_close(request, "the request needs too much memory");
    for (int i = 0; i < describing->count; i++)
        mem_free(describing->spaces[i].path);
    mem_free(describing);
}

static void describe_on_cancelled(struct storage_request *request)
{
    struct describing *describing = request->held;
    describing->cancelled = true; // the disks' answer ends it
}

void storage_describe_log_dirs(struct storage_request *request)
{
    struct partitions *partitions = storage_partitions(request->storage);
    const struct dirs *dirs = partitions != NULL ? partitions_dirs(partitions) : NULL;
    struct kafka_describe_log_dirs_response refused;
    bool allowed = authorise(&request->principal, OPERATION_DESCRIBE, RESOURCE_TYPE_CLUSTER,
                             slice_str(RESOURCE_CLUSTER_NAME));
    if (!allowed || dirs == NULL) {
        kafka_defaults(&kafka_describe_log_dirs_response_message, &refused);
        refused.error_code = allowed ? KAFKA_ERR_NONE : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
        storage_answer(request, &refused);
        return;
    }
    struct describing *describing = mem_calloc(1, sizeof *describing);
    *describing = (struct describing){.job = {.run = spaces_ask, .done = describe_on_asked},
                                      .request = request,
                                      .env = storage_env(request->storage),
                                      .count = dirs_count(dirs)};
    for (int i = 0; i < describing->count; i++)
        describing->spaces[i] =
            (struct space){.path = mem_strdup(dirs_path(dirs, i)), .total = -1, .usable = -1};
    request->held = describing;
    request->on_cancelled = describe_on_cancelled;
    env_submit(describing->env, describing->env->pool, &describing->job);
}
