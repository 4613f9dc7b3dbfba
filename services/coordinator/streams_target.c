// SPDX-License-Identifier: Apache-2.0
// The topics a streams group needs, and who is to have which task. See streams_state.h.
#include "base/assert.h"
#include "base/mem.h"
#include "streams_assignor.h"
#include "streams_state.h"
#include "texts.h"
#include "topic_hash.h"

#include <stdlib.h>

// ---- topics ----

static int32_t partitions_of(void *context, struct slice name)
{
    const struct image_topic *topic = image_topic_slice(context, name);
    return topic == NULL ? -1 : (int32_t)topic->partition_count;
}

struct streams_plan *streams_plan_new(const struct streams_group *group,
                                      const struct streams_topology *topology)
{
    struct streams_plan *plan = mem_calloc(1, sizeof *plan);
    streams_plan_init(plan, topology, partitions_of, (void *)group->topics->image);
    return plan;
}

static uint64_t hash_topics(const struct streams_group *group)
{
    const streams_topology_value *value = streams_topology_value_of(group->topology);
    uint64_t sum = 0;
    for (int32_t s = 0; s < value->subtopologies_count; s++) {
        struct slice name;
        for (int32_t i = 0; streams_topic_needed(&value->subtopologies[s], i, &name); i++) {
            const struct image_topic *topic = image_topic_slice(group->topics->image, name);
            sum += topic == NULL ? 0 : topic_hash(topic);
        }
    }
    return sum;
}

bool streams_look(struct streams_group *group)
{
    if (group->plan != NULL && group->hashed_at == group->topics->version)
        return false;
    uint64_t hash = hash_topics(group);
    bool changed = hash != group->hash;
    if (changed || group->plan == NULL) {
        if (group->plan != NULL)
            streams_plan_fini(group->plan);
        mem_free(group->plan);
        group->plan = streams_plan_new(group, group->topology);
    }
    group->hash = hash;
    group->hashed_at = group->topics->version;
    return changed;
}

void streams_bump(struct streams_group *group)
{
    group->epoch = group->epoch == 0 ? 2 : group->epoch + 1; // 1 is for who waits for the first target
    group->dirty_epoch = group->dirty = true;
}

// ---- target ----

struct subject {
    struct streams_subject *subjects;
    struct streams_candidate *candidates;
    struct streams_member **members; // of the same places
    int32_t member_count;
};

static int by_id(const void *left, const void *right)
{
    const struct streams_member *a = *(struct streams_member *const *)left;
    const struct streams_member *b = *(struct streams_member *const *)right;
    return text_compare(block_slice(a->id), block_slice(b->id));
}

static void gather(const struct streams_group *group, struct subject *subject)
{
    const streams_topology_value *value = streams_topology_value_of(group->topology);
    size_t count = group->members.count;
    subject->subjects = mem_calloc((size_t)value->subtopologies_count + 1, sizeof *subject->subjects);
    for (int32_t s = 0; s < value->subtopologies_count; s++)
        subject->subjects[s] = (struct streams_subject){
            streams_key(value->subtopologies[s].subtopology_id), group->plan->tasks[s],
            value->subtopologies[s].state_changelog_topics_count > 0};
    subject->candidates = mem_calloc(count + 1, sizeof *subject->candidates);
    subject->members = mem_calloc(count + 1, sizeof *subject->members);
    void *member;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &member);)
        subject->members[subject->member_count++] = member;
    qsort(subject->members, count, sizeof *subject->members, by_id);
    for (int32_t i = 0; i < subject->member_count; i++)
        subject->candidates[i] = (struct streams_candidate){
            .process = subject->members[i]->profile->process_id, .former = &subject->members[i]->target};
}

static void compute(struct streams_group *group, struct subject *subject)
{
    bool ready = group->plan != NULL && group->plan->status == STREAMS_READY;
    if (!ready || subject->member_count == 0)
        return; // everybody gets nothing
    streams_assign(&(struct streams_assignment){
        .subjects = subject->subjects,
        .subject_count = streams_topology_value_of(group->topology)->subtopologies_count,
        .members = subject->candidates,
        .member_count = subject->member_count,
        .standbys = group->options.standbys});
}

void streams_retarget(struct streams_group *group)
{
    if (group->epoch <= group->target_epoch)
        return;
    ASSERT(group->plan != NULL); // made at the heartbeat before this
    struct subject subject = {0};
    gather(group, &subject);
    compute(group, &subject);
    for (int32_t i = 0; i < subject.member_count; i++) {
        struct streams_member *member = subject.members[i];
        struct streams_tasks *target = &subject.candidates[i].target;
        if (!streams_tasks_equal(&member->target, target))
            member->dirty_target = true;
        streams_tasks_move(&member->target, target);
    }
    mem_free(subject.subjects);
    mem_free(subject.candidates);
    mem_free(subject.members);
    group->target_epoch = group->epoch;
    group->dirty_target_epoch = group->dirty = true;
}
