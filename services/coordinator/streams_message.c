// SPDX-License-Identifier: Apache-2.0
// See streams_message.h.
#include "streams_message.h"

typedef struct kafka_streams_group_heartbeat_request request_t;
typedef struct kafka_streams_group_heartbeat_request_topic_info topic_in;
typedef struct kafka_streams_group_heartbeat_request_subtopology subtopology_in;
typedef struct kafka_streams_group_heartbeat_request_task_ids tasks_in;
typedef struct kafka_streams_group_heartbeat_response_task_ids tasks_out;
typedef struct kafka_streams_group_describe_response_task_ids described_tasks;
typedef struct kafka_streams_group_topology_value_topic_config config_t;
typedef struct kafka_streams_group_topology_value_copartition_group together_t;

// ---- topologies ----

static streams_topic_info *topics_of(const topic_in *in, int32_t count, struct arena *arena)
{
    streams_topic_info *out = arena_calloc(arena, (size_t)count + 1, sizeof *out);
    for (int32_t i = 0; out != NULL && i < count; i++) {
        config_t *configs = arena_calloc(arena, (size_t)in[i].topic_configs_count + 1, sizeof *configs);
        if (configs == NULL)
            return NULL;
        for (int32_t c = 0; c < in[i].topic_configs_count; c++)
            configs[c] = (config_t){.key = in[i].topic_configs[c].key, .value = in[i].topic_configs[c].value};
        out[i] = (streams_topic_info){.name = in[i].name,
                                      .partitions = in[i].partitions,
                                      .replication_factor = in[i].replication_factor,
                                      .topic_configs = configs,
                                      .topic_configs_count = in[i].topic_configs_count};
    }
    return out;
}

static together_t *groups_of(const subtopology_in *in, struct arena *arena)
{
    together_t *out = arena_calloc(arena, (size_t)in->copartition_groups_count + 1, sizeof *out);
    for (int32_t i = 0; out != NULL && i < in->copartition_groups_count; i++)
        out[i] = (together_t){
            .source_topics = in->copartition_groups[i].source_topics,
            .source_topics_count = in->copartition_groups[i].source_topics_count,
            .source_topic_regex = in->copartition_groups[i].source_topic_regex,
            .source_topic_regex_count = in->copartition_groups[i].source_topic_regex_count,
            .repartition_source_topics = in->copartition_groups[i].repartition_source_topics,
            .repartition_source_topics_count = in->copartition_groups[i].repartition_source_topics_count,
        };
    return out;
}

static bool put_subtopology(const subtopology_in *in, struct arena *arena, streams_subtopology *out)
{
    *out = (streams_subtopology){
        .subtopology_id = in->subtopology_id,
        .source_topics = in->source_topics,
        .source_topics_count = in->source_topics_count,
        .source_topic_regex = in->source_topic_regex,
        .source_topic_regex_count = in->source_topic_regex_count,
        .state_changelog_topics =
            topics_of(in->state_changelog_topics, in->state_changelog_topics_count, arena),
        .state_changelog_topics_count = in->state_changelog_topics_count,
        .repartition_sink_topics = in->repartition_sink_topics,
        .repartition_sink_topics_count = in->repartition_sink_topics_count,
        .repartition_source_topics =
            topics_of(in->repartition_source_topics, in->repartition_source_topics_count, arena),
        .repartition_source_topics_count = in->repartition_source_topics_count,
        .copartition_groups = groups_of(in, arena),
        .copartition_groups_count = in->copartition_groups_count,
    };
    return out->state_changelog_topics != NULL && out->repartition_source_topics != NULL &&
           out->copartition_groups != NULL;
}

streams_topology_value *
streams_message_topology(const struct kafka_streams_group_heartbeat_request_topology *topology,
                         struct arena *arena)
{
    streams_topology_value *value = arena_calloc(arena, 1, sizeof *value);
    if (value == NULL)
        return NULL;
    value->epoch = topology->epoch;
    value->subtopologies =
        arena_calloc(arena, (size_t)topology->subtopologies_count + 1, sizeof *value->subtopologies);
    bool done = value->subtopologies != NULL;
    for (int32_t i = 0; done && i < topology->subtopologies_count; i++)
        done = put_subtopology(&topology->subtopologies[i], arena,
                               &value->subtopologies[value->subtopologies_count++]);
    return done ? value : NULL;
}

// ---- tasks ----

static void push(struct parts *set, const tasks_in *tasks, int32_t count)
{
    for (int32_t t = 0; t < count; t++) {
        struct parts_item task = {.topic = streams_key(tasks[t].subtopology_id)};
        for (int32_t i = 0; i < tasks[t].partitions_count; i++) {
            task.index = tasks[t].partitions[i];
            parts_push(set, &task);
        }
    }
    parts_sort(set);
}

struct streams_tasks streams_message_owned(const request_t *request)
{
    struct streams_tasks owned = {{{0}}};
    push(&owned.roles[STREAMS_ACTIVE], request->active_tasks, request->active_tasks_count);
    push(&owned.roles[STREAMS_STANDBY], request->standby_tasks, request->standby_tasks_count);
    push(&owned.roles[STREAMS_WARMUP], request->warmup_tasks, request->warmup_tasks_count);
    return owned;
}

// The tasks of one subtopology, the first of which is at *at, which moves behind them.
static bool next_tasks(const struct streams_topology *topology, const struct parts *set, size_t *at,
                       struct arena *arena, tasks_out *out)
{
    size_t end = parts_topic_end(set, *at);
    int32_t place = streams_topology_find(topology, set->items[*at].topic);
    *out = (tasks_out){.subtopology_id =
                           streams_topology_value_of(topology)->subtopologies[place].subtopology_id,
                       .partitions = parts_indexes(set, *at, end, arena),
                       .partitions_count = (int32_t)(end - *at)};
    *at = end;
    return out->partitions != NULL;
}

static tasks_out *put_role(const struct streams_topology *topology, const struct parts *set,
                           struct arena *arena, int32_t *count)
{
    tasks_out *out = arena_calloc(arena, parts_topics(set) + 1, sizeof *out);
    *count = 0;
    for (size_t at = 0; out != NULL && at < set->count;) {
        if (!next_tasks(topology, set, &at, arena, &out[(*count)++]))
            return NULL;
    }
    return out;
}

bool streams_message_tasks(const struct streams_topology *topology, const struct streams_tasks *tasks,
                           struct arena *arena, struct kafka_streams_group_heartbeat_response *response)
{
    response->active_tasks =
        put_role(topology, &tasks->roles[STREAMS_ACTIVE], arena, &response->active_tasks_count);
    response->standby_tasks =
        put_role(topology, &tasks->roles[STREAMS_STANDBY], arena, &response->standby_tasks_count);
    response->warmup_tasks =
        put_role(topology, &tasks->roles[STREAMS_WARMUP], arena, &response->warmup_tasks_count);
    return response->active_tasks != NULL && response->standby_tasks != NULL &&
           response->warmup_tasks != NULL;
}

static described_tasks *describe_role(const struct streams_topology *topology, const struct parts *set,
                                      struct arena *arena, int32_t *count)
{
    tasks_out *tasks = put_role(topology, set, arena, count);
    described_tasks *out = tasks == NULL ? NULL : arena_calloc(arena, (size_t)*count + 1, sizeof *out);
    for (int32_t i = 0; out != NULL && i < *count; i++)
        out[i] = (described_tasks){.subtopology_id = tasks[i].subtopology_id,
                                   .partitions = tasks[i].partitions,
                                   .partitions_count = tasks[i].partitions_count};
    return out;
}

bool streams_message_assignment(const struct streams_topology *topology, const struct streams_tasks *tasks,
                                struct arena *arena,
                                struct kafka_streams_group_describe_response_assignment *out)
{
    out->active_tasks =
        describe_role(topology, &tasks->roles[STREAMS_ACTIVE], arena, &out->active_tasks_count);
    out->standby_tasks =
        describe_role(topology, &tasks->roles[STREAMS_STANDBY], arena, &out->standby_tasks_count);
    out->warmup_tasks =
        describe_role(topology, &tasks->roles[STREAMS_WARMUP], arena, &out->warmup_tasks_count);
    return out->active_tasks != NULL && out->standby_tasks != NULL && out->warmup_tasks != NULL;
}
