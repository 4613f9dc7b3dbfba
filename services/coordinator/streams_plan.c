// SPDX-License-Identifier: Apache-2.0
// See streams_plan.h. The order of the steps, and the texts' content, are those of Kafka 4.2's classes
// InternalTopicManager, RepartitionTopics, CopartitionedTopicsEnforcer and ChangelogTopics. Where a
// copartition group is made of repartition topics alone, those of a fixed count are held against one another
// within the group (Kafka: within the whole topology).
#include "streams_plan.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "texts.h"

#include <inttypes.h>
#include <stdlib.h>

enum { DETAIL_MAX = 2048, NAMES_TOLD = 10 };

struct planning {
    const streams_topology_value *value;
    streams_partitions_fn *partitions;
    void *context;
    struct map decided; // by name of an internal topic, its partitions
    struct map fixed;   // repartition topics whose count the application gives
    struct map flexible;
    struct buf detail;
    struct streams_plan *plan;
};

// ---- partition counts ----

// The topic's own count when it exists, else what has been decided; -1: not known.
static int32_t count_of(const struct planning *planning, struct slice topic)
{
    int32_t count = planning->partitions(planning->context, topic);
    if (count >= 0)
        return count;
    intptr_t decided = (intptr_t)map_get(&planning->decided, topic);
    return decided > 0 ? (int32_t)decided : -1;
}

static void decide(struct planning *planning, struct slice topic, int32_t partitions)
{
    map_put(&planning->decided, topic, (void *)(intptr_t)partitions);
}

static int32_t decided(const struct planning *planning, struct slice topic)
{
    return (int32_t)(intptr_t)map_get(&planning->decided, topic);
}

static int32_t most(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

// ---- what is told ----

static void fail(struct planning *planning, enum streams_status status)
{
    planning->plan->status = status;
}

static void invalid(struct planning *planning, const char *text)
{
    fail(planning, STREAMS_INCORRECTLY_PARTITIONED);
    planning->plan->invalid = text;
    buf_printf(&planning->detail, "%s", text);
}

static void tell_names(struct planning *planning, const char *before, const struct map *names,
                       const char *after)
{
    struct slice *sorted = mem_calloc(names->count + 1, sizeof *sorted);
    size_t count = 0;
    struct slice name;
    for (struct map_entry *at = NULL; map_next(names, &at, &name, NULL);)
        sorted[count++] = name;
    qsort(sorted, count, sizeof *sorted, text_order);
    buf_printf(&planning->detail, "%s", before);
    for (size_t i = 0; i < count && i < NAMES_TOLD; i++)
        buf_printf(&planning->detail, "%s%.*s", i > 0 ? ", " : "", (int)sorted[i].len,
                   (const char *)sorted[i].data);
    if (count > NAMES_TOLD)
        buf_printf(&planning->detail, ", and %zu more", count - NAMES_TOLD);
    buf_printf(&planning->detail, "%s", after);
    mem_free(sorted);
}

// ---- the steps ----

static void need_sources(struct planning *planning)
{
    struct map missing;
    map_init(&missing, 0);
    for (int32_t s = 0; s < planning->value->subtopologies_count; s++) {
        const streams_subtopology *sub = &planning->value->subtopologies[s];
        for (int32_t i = 0; i < sub->source_topics_count; i++) {
            if (planning->partitions(planning->context, sub->source_topics[i]) < 0)
                map_put(&missing, sub->source_topics[i], planning);
        }
    }
    if (missing.count > 0) {
        fail(planning, STREAMS_MISSING_SOURCE_TOPICS);
        tell_names(planning, "Source topics ", &missing, " are missing.");
    }
    map_fini(&missing);
}

static void sort_repartitions(struct planning *planning)
{
    for (int32_t s = 0; s < planning->value->subtopologies_count; s++) {
        const streams_subtopology *sub = &planning->value->subtopologies[s];
        for (int32_t i = 0; i < sub->repartition_source_topics_count; i++) {
            const streams_topic_info *info = &sub->repartition_source_topics[i];
            map_put(info->partitions > 0 ? &planning->fixed : &planning->flexible, info->name, planning);
            if (info->partitions > 0)
                decide(planning, info->name, info->partitions);
        }
    }
}

// What a subtopology writes into repartition topics has the partitions of what it reads; 0: not known yet.
static int32_t sink_count(const struct planning *planning, const streams_subtopology *sub)
{
    int32_t count = 0;
    for (int32_t i = 0; i < sub->repartition_source_topics_count; i++)
        count = most(count, decided(planning, sub->repartition_source_topics[i].name));
    for (int32_t i = 0; i < sub->source_topics_count; i++)
        count = most(count, count_of(planning, sub->source_topics[i]));
    return count;
}

// Whether counts are still wanted; *any: one was found.
static bool spread_counts(struct planning *planning, bool *any)
{
    bool wanted = false;
    for (int32_t s = 0; s < planning->value->subtopologies_count; s++) {
        const streams_subtopology *sub = &planning->value->subtopologies[s];
        int32_t count = sub->repartition_sink_topics_count > 0 ? sink_count(planning, sub) : 0;
        for (int32_t i = 0; i < sub->repartition_sink_topics_count; i++) {
            if (decided(planning, sub->repartition_sink_topics[i]) > 0)
                continue;
            if (count > 0)
                decide(planning, sub->repartition_sink_topics[i], count);
            *any = *any || count > 0;
            wanted = wanted || count <= 0;
        }
    }
    return wanted;
}

static void count_repartitions(struct planning *planning)
{
    sort_repartitions(planning);
    for (bool wanted = true; wanted;) {
        bool any = false;
        wanted = spread_counts(planning, &any);
        if (wanted && !any) {
            invalid(planning, "Failed to compute number of partitions for all repartition topics. There may "
                              "be loops in the topology that cannot be resolved.");
            return;
        }
    }
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&planning->flexible, &at, &name, NULL);) {
        if (decided(planning, name) > 0)
            continue;
        invalid(planning, "Failed to compute number of partitions for all repartition topics, because a "
                          "repartition source topic is never used as a sink topic.");
        return;
    }
}

// ---- copartitioning ----

typedef struct kafka_streams_group_topology_value_copartition_group together_t;

// i-th topic of a copartition group, first those that come from outside; false: there are no more.
static bool next_together(const streams_subtopology *sub, const together_t *group, int32_t i,
                          struct slice *name)
{
    if (i < group->source_topics_count)
        *name = sub->source_topics[group->source_topics[i]];
    else if (i - group->source_topics_count < group->repartition_source_topics_count)
        *name =
            sub->repartition_source_topics[group->repartition_source_topics[i - group->source_topics_count]]
                .name;
    else
        return false;
    return true;
}

static bool repartitioned(const struct planning *planning, struct slice name)
{
    return map_get(&planning->fixed, name) != NULL || map_get(&planning->flexible, name) != NULL;
}

// How binding a topic's count is: that of one from outside goes before one the application gives, which goes
// before one that was computed.
static int rank(const struct planning *planning, struct slice name)
{
    if (!repartitioned(planning, name))
        return 2;
    return map_get(&planning->fixed, name) != NULL ? 1 : 0;
}

static void tell_unequal(struct planning *planning, const streams_subtopology *sub, const together_t *group,
                         int least)
{
    fail(planning, STREAMS_INCORRECTLY_PARTITIONED);
    buf_printf(&planning->detail, "Following topics do not have the same number of partitions: [{");
    struct slice name;
    const char *comma = "";
    for (int32_t i = 0; i < NAMES_TOLD && next_together(sub, group, i, &name); i++) {
        if (rank(planning, name) < least)
            continue;
        buf_printf(&planning->detail, "%s%.*s=%" PRId32, comma, (int)name.len, (const char *)name.data,
                   count_of(planning, name));
        comma = ", ";
    }
    buf_printf(&planning->detail, "}]");
}

// All topics of a group get the count of the most binding ones, which must agree.
static void put_together(struct planning *planning, const streams_subtopology *sub, const together_t *group)
{
    int highest = -1;
    int32_t count = 0;
    struct slice name;
    for (int32_t i = 0; next_together(sub, group, i, &name); i++)
        highest = rank(planning, name) > highest ? rank(planning, name) : highest;
    for (int32_t i = 0; next_together(sub, group, i, &name); i++) {
        if (rank(planning, name) != highest)
            continue;
        int32_t own = count_of(planning, name);
        if (highest > 0 && count > 0 && own != count) {
            tell_unequal(planning, sub, group, highest);
            return;
        }
        count = most(count, own);
    }
    for (int32_t i = 0; next_together(sub, group, i, &name); i++) {
        if (rank(planning, name) == 1 && decided(planning, name) != count) {
            fail(planning, STREAMS_INCORRECTLY_PARTITIONED);
            buf_printf(&planning->detail,
                       "Number of partitions [%" PRId32 "] of repartition topic [%.*s] doesn't match number "
                       "of partitions [%" PRId32 "] of the source topic.",
                       decided(planning, name), (int)name.len, (const char *)name.data, count);
            return;
        }
        if (rank(planning, name) == 0)
            decide(planning, name, count);
    }
}

static void copartition(struct planning *planning)
{
    for (int32_t s = 0; s < planning->value->subtopologies_count; s++) {
        const streams_subtopology *sub = &planning->value->subtopologies[s];
        for (int32_t i = 0; planning->plan->status == STREAMS_READY && i < sub->copartition_groups_count; i++)
            put_together(planning, sub, &sub->copartition_groups[i]);
    }
}

// ---- tasks and what is missing ----

static void count_tasks(struct planning *planning)
{
    int64_t total = 0;
    for (int32_t s = 0; s < planning->value->subtopologies_count; s++) {
        const streams_subtopology *sub = &planning->value->subtopologies[s];
        struct slice name;
        int32_t count = 0;
        for (int32_t i = 0; streams_topic_read(sub, i, &name); i++)
            count = most(count, count_of(planning, name));
        planning->plan->tasks[s] = count;
        total += count;
        for (int32_t i = 0; i < sub->state_changelog_topics_count; i++)
            decide(planning, sub->state_changelog_topics[i].name, count);
    }
    if (total <= STREAMS_TASKS_MAX)
        return;
    fail(planning, STREAMS_INCORRECTLY_PARTITIONED);
    buf_printf(&planning->detail, "The topology has %" PRId64 " tasks, at most %d are possible.", total,
               STREAMS_TASKS_MAX);
}

static void hold(struct planning *planning, struct map *missing, const streams_topic_info *info)
{
    int32_t want = decided(planning, info->name);
    int32_t have = planning->partitions(planning->context, info->name);
    struct streams_plan *plan = planning->plan;
    if (have < 0 && map_put(missing, info->name, planning) == NULL)
        plan->missing[plan->missing_count++] = (struct streams_internal){info, want};
    if (have < 0 || have == want || plan->status != STREAMS_READY)
        return;
    fail(planning, STREAMS_INCORRECTLY_PARTITIONED);
    buf_printf(&planning->detail,
               "Existing topic %.*s has different number of partitions: expected %" PRId32 ", found %" PRId32,
               (int)info->name.len, (const char *)info->name.data, want, have);
}

static void find_missing(struct planning *planning)
{
    struct map missing;
    map_init(&missing, 0);
    for (int32_t s = 0; s < planning->value->subtopologies_count; s++) {
        const streams_subtopology *sub = &planning->value->subtopologies[s];
        for (int32_t i = 0; i < sub->repartition_source_topics_count; i++)
            hold(planning, &missing, &sub->repartition_source_topics[i]);
        for (int32_t i = 0; i < sub->state_changelog_topics_count; i++)
            hold(planning, &missing, &sub->state_changelog_topics[i]);
    }
    if (planning->plan->status == STREAMS_READY && missing.count > 0) {
        fail(planning, STREAMS_MISSING_INTERNAL_TOPICS);
        tell_names(planning, "Internal topics are missing: ", &missing, "");
    }
    map_fini(&missing);
}

// ---- all of it ----

static size_t internal_topics(const streams_topology_value *value)
{
    size_t count = 0;
    for (int32_t s = 0; s < value->subtopologies_count; s++)
        count += (size_t)value->subtopologies[s].repartition_source_topics_count +
                 (size_t)value->subtopologies[s].state_changelog_topics_count;
    return count;
}

static void make(struct planning *planning)
{
    static void (*const steps[])(struct planning *) = {need_sources, count_repartitions, copartition,
                                                       count_tasks, find_missing};
    for (size_t i = 0; i < sizeof steps / sizeof *steps && planning->plan->status == STREAMS_READY; i++)
        steps[i](planning);
    if (planning->plan->status != STREAMS_READY)
        planning->plan->detail =
            mem_strndup((const char *)buf_slice(&planning->detail).data, buf_slice(&planning->detail).len);
    if (planning->plan->status != STREAMS_MISSING_INTERNAL_TOPICS)
        planning->plan->missing_count = 0;
}

void streams_plan_init(struct streams_plan *plan, const struct streams_topology *topology,
                       streams_partitions_fn *partitions, void *context)
{
    struct planning planning = {.value = streams_topology_value_of(topology),
                                .partitions = partitions,
                                .context = context,
                                .plan = plan};
    *plan = (struct streams_plan){.status = STREAMS_READY};
    plan->tasks = mem_calloc((size_t)planning.value->subtopologies_count + 1, sizeof *plan->tasks);
    plan->missing = mem_calloc(internal_topics(planning.value) + 1, sizeof *plan->missing);
    map_init(&planning.decided, 0);
    map_init(&planning.fixed, 0);
    map_init(&planning.flexible, 0);
    buf_init(&planning.detail, DETAIL_MAX);
    make(&planning);
    buf_fini(&planning.detail);
    map_fini(&planning.decided);
    map_fini(&planning.fixed);
    map_fini(&planning.flexible);
}

void streams_plan_fini(struct streams_plan *plan)
{
    mem_free(plan->detail);
    mem_free(plan->tasks);
    mem_free(plan->missing);
    *plan = (struct streams_plan){0};
}
