// SPDX-License-Identifier: Apache-2.0
// What a consumer group subscribes to and who is to have it. The subscribed topics are counted by name; a
// hash over those that exist, with their ids and partition counts, tells whether the target is out of date
// (topic_hash.h).
#include "assignor.h"
#include "base/assert.h"
#include "base/mem.h"
#include "consumer_state.h"
#include "topic_hash.h"

#include <stdlib.h>

// ---- subscribed topics ----

void consumer_count_name(struct consumer_group *group, struct slice name, int32_t more)
{
    struct consumer_name *entry = map_get(&group->names, name);
    if (entry == NULL) {
        ASSERT(more > 0);
        entry = mem_calloc(1, sizeof *entry);
        map_put(&group->names, name, entry);
    }
    entry->users += more;
    if (entry->users == 0)
        mem_free(map_remove(&group->names, name));
}

bool consumer_subscribed(const struct consumer_group *group, struct slice topic)
{
    return map_get(&group->names, topic) != NULL;
}

bool consumer_member_reads(const struct consumer_group *group, const struct consumer_member *member,
                           struct slice topic)
{
    if (consumer_profile_names(member->profile, topic))
        return true;
    const struct consumer_regex *regex =
        member->profile->regex.len == 0 ? NULL : map_get(&group->regexes, member->profile->regex);
    return regex != NULL && map_get(&regex->topics, topic) != NULL;
}

// The sum of a hash per topic: it does not depend on their order.
static uint64_t hash_topics(const struct consumer_group *group)
{
    uint64_t sum = 0;
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&group->names, &at, &name, NULL);) {
        const struct image_topic *topic = image_topic_slice(group->topics->image, name);
        sum += topic == NULL ? 0 : topic_hash(topic);
    }
    return sum;
}

void consumer_refresh(struct consumer_group *group, bool bump)
{
    if (!bump && group->hashed_at == group->topics->version)
        return;
    uint64_t hash = hash_topics(group);
    group->hashed_at = group->topics->version;
    if (!bump && hash == group->hash)
        return;
    group->hash = hash;
    group->epoch++;
    group->dirty_epoch = group->dirty = true;
}

// ---- target ----

// The topics of an assignment: those that exist, ascending by id.
struct subject {
    struct assignor_topic *topics;
    int32_t count;
    struct map places;               // by name; value: place + 1
    struct assignor_member *members; // in the group's order
    int32_t member_count;
    int32_t **lists; // every list of topics that was made
    int32_t list_count;
};

struct named_topic {
    struct assignor_topic topic;
    struct slice name;
};

static int by_id(const void *a, const void *b)
{
    return memcmp(&((const struct named_topic *)a)->topic.id, &((const struct named_topic *)b)->topic.id,
                  sizeof(struct uuid));
}

static void gather_topics(const struct consumer_group *group, struct subject *subject)
{
    struct named_topic *found = mem_calloc(group->names.count + 1, sizeof *found);
    struct slice name;
    size_t count = 0;
    for (struct map_entry *at = NULL; map_next(&group->names, &at, &name, NULL);) {
        const struct image_topic *topic = image_topic_slice(group->topics->image, name);
        if (topic != NULL)
            found[count++] =
                (struct named_topic){{topic->id, (int32_t)topic->partition_count}, slice_str(topic->name)};
    }
    qsort(found, count, sizeof *found, by_id);
    subject->topics = mem_calloc(count + 1, sizeof *subject->topics);
    subject->count = (int32_t)count;
    map_init(&subject->places, 0);
    for (size_t i = 0; i < count; i++) {
        subject->topics[i] = found[i].topic;
        map_put(&subject->places, found[i].name, (void *)(intptr_t)(i + 1));
    }
    mem_free(found);
}

static int by_number(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

static void add_place(const struct subject *subject, struct slice name, struct assignor_member *out,
                      int32_t *list)
{
    intptr_t place = (intptr_t)map_get(&subject->places, name);
    if (place > 0)
        list[out->topic_count++] = (int32_t)place - 1;
}

// What the member reads, as places; names that come twice (by name and by expression) count once.
static void list_topics(const struct consumer_group *group, struct subject *subject,
                        const struct consumer_profile *profile, struct assignor_member *out)
{
    const struct consumer_regex *regex =
        profile->regex.len == 0 ? NULL : map_get(&group->regexes, profile->regex);
    size_t room = (size_t)profile->topic_count + (regex == NULL ? 0 : regex->topics.count);
    int32_t *list = mem_calloc(room + 1, sizeof *list);
    for (int32_t i = 0; i < profile->topic_count; i++)
        add_place(subject, profile->topics[i], out, list);
    struct slice name;
    for (struct map_entry *at = NULL; regex != NULL && map_next(&regex->topics, &at, &name, NULL);)
        add_place(subject, name, out, list);
    qsort(list, (size_t)out->topic_count, sizeof *list, by_number);
    int32_t kept = 0;
    for (int32_t i = 0; i < out->topic_count; i++) {
        if (i == 0 || list[i] != list[i - 1])
            list[kept++] = list[i];
    }
    out->topics = list;
    out->topic_count = kept;
    subject->lists[subject->list_count++] = list;
}

// Members with the same subscription, which is nearly always all of them, share one list.
static void gather_members(const struct consumer_group *group, struct subject *subject)
{
    size_t count = group->members.count;
    subject->members = mem_calloc(count + 1, sizeof *subject->members);
    subject->lists = mem_calloc(count + 1, sizeof *subject->lists);
    subject->member_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct consumer_member *member = group->order.items[i];
        const struct consumer_member *before = i > 0 ? group->order.items[i - 1] : NULL;
        struct assignor_member *out = &subject->members[i];
        *out = (struct assignor_member){.id = block_slice(member->id),
                                        .instance_id = member->profile->instance_id,
                                        .current = &member->target};
        if (before != NULL && slice_equal(before->profile->regex, member->profile->regex) &&
            consumer_same_topics(before->profile, member->profile)) {
            out->topics = subject->members[i - 1].topics;
            out->topic_count = subject->members[i - 1].topic_count;
        } else {
            list_topics(group, subject, member->profile, out);
        }
    }
}

static void subject_fini(struct subject *subject)
{
    for (int32_t i = 0; i < subject->list_count; i++)
        mem_free(subject->lists[i]);
    mem_free(subject->lists);
    mem_free(subject->members);
    mem_free(subject->topics);
    map_fini(&subject->places);
}

struct slice consumer_assignor(const struct consumer_group *group)
{
    struct slice best = group->settings->assignor;
    struct map votes; // by name; value: count
    map_init(&votes, 0);
    intptr_t most = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct slice name = ((const struct consumer_member *)value)->profile->assignor;
        if (name.len == 0)
            continue;
        intptr_t count = (intptr_t)map_get(&votes, name) + 1;
        map_put(&votes, name, (void *)count);
        if (count > most) {
            most = count;
            best = name;
        }
    }
    map_fini(&votes);
    return best;
}

void consumer_retarget(struct consumer_group *group)
{
    if (group->epoch <= group->target_epoch)
        return;
    struct subject subject = {0};
    gather_topics(group, &subject);
    gather_members(group, &subject);
    assignor_fn *assign = assignor_named(consumer_assignor(group));
    if (assign == NULL) // a record names one that is not offered any more
        assign = assignor_named(group->settings->assignor);
    if (subject.member_count > 0)
        assign(
            &(struct assignor_input){subject.topics, subject.count, subject.members, subject.member_count});
    for (int32_t i = 0; i < subject.member_count; i++) {
        struct consumer_member *member = group->order.items[i];
        if (!parts_equal(&member->target, &subject.members[i].target))
            member->dirty_target = true;
        parts_move(&member->target, &subject.members[i].target);
    }
    subject_fini(&subject);
    group->target_epoch = group->epoch;
    group->dirty_target_epoch = group->dirty = true;
}
