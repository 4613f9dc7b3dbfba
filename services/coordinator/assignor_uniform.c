// SPDX-License-Identifier: Apache-2.0
// The uniform assignor: members keep what they have as far as balance allows, the rest is handed out evenly.
// Two ways to the same end: with one subscription for all a quota per member is exact and everything is one
// pass; with different ones partitions go to the least loaded subscriber and are then moved, one by one, from
// members that have at least two more than somebody who could take them. See assignor.h.
#include "assignor.h"

#include "base/mem.h"

struct uniform {
    const struct assignor_input *input;
    int32_t **owners; // by topic and partition: place of the member that has it, -1: nobody
    int32_t *counts;  // by member: partitions it has
};

// The topic's place in the input, -1: nobody subscribes to it any more.
static int32_t topic_place(const struct assignor_input *input, const struct uuid *id)
{
    int32_t low = 0, high = input->topic_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = memcmp(&input->topics[middle].id, id, sizeof *id);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static bool subscribes(const struct assignor_member *member, int32_t topic)
{
    int32_t low = 0, high = member->topic_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (member->topics[middle] == topic)
            return true;
        if (member->topics[middle] < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void uniform_init(struct uniform *uniform, const struct assignor_input *input)
{
    uniform->input = input;
    uniform->owners = mem_calloc((size_t)input->topic_count + 1, sizeof *uniform->owners);
    uniform->counts = mem_calloc((size_t)input->member_count, sizeof *uniform->counts);
    for (int32_t t = 0; t < input->topic_count; t++) {
        int32_t partitions = input->topics[t].partitions;
        uniform->owners[t] = mem_calloc((size_t)partitions + 1, sizeof **uniform->owners);
        for (int32_t p = 0; p < partitions; p++)
            uniform->owners[t][p] = -1;
    }
}

// Writes the result and frees the working state.
static void uniform_finish(struct uniform *uniform)
{
    const struct assignor_input *input = uniform->input;
    for (int32_t t = 0; t < input->topic_count; t++) {
        for (int32_t p = 0; p < input->topics[t].partitions; p++) {
            struct parts_item part = {.topic = input->topics[t].id, .index = p};
            if (uniform->owners[t][p] >= 0)
                parts_append(&input->members[uniform->owners[t][p]].target, &part);
        }
        mem_free(uniform->owners[t]);
    }
    mem_free(uniform->owners);
    mem_free(uniform->counts);
}

// Everybody keeps what still exists and is subscribed to.
static void keep_current(struct uniform *uniform)
{
    const struct assignor_input *input = uniform->input;
    for (int32_t m = 0; m < input->member_count; m++) {
        const struct assignor_member *member = &input->members[m];
        for (size_t i = 0; i < member->current->count; i++) {
            const struct parts_item *part = &member->current->items[i];
            int32_t topic = topic_place(input, &part->topic);
            if (topic < 0 || part->index >= input->topics[topic].partitions || !subscribes(member, topic) ||
                uniform->owners[topic][part->index] >= 0)
                continue;
            uniform->owners[topic][part->index] = m;
            uniform->counts[m]++;
        }
    }
}

// ---- one subscription for all ----

// What every member is to have: so many, and one more for those first in line, which are the ones that have
// more already, so that they need not give it up.
static int32_t *quotas(const struct uniform *uniform, int32_t total)
{
    int32_t members = uniform->input->member_count;
    int32_t least = total / members, extra = total % members;
    int32_t *quota = mem_calloc((size_t)members, sizeof *quota);
    for (int32_t m = 0; m < members; m++) {
        quota[m] = least;
        if (uniform->counts[m] > least && extra > 0) {
            quota[m]++;
            extra--;
        }
    }
    for (int32_t m = 0; m < members && extra > 0; m++) {
        if (quota[m] == least) {
            quota[m]++;
            extra--;
        }
    }
    return quota;
}

// Who has more than its quota gives up the last of them. kept gets what everybody has left.
static void give_up(struct uniform *uniform, const int32_t *quota, int32_t *kept)
{
    const struct assignor_input *input = uniform->input;
    for (int32_t i = 0; i < input->members[0].topic_count; i++) {
        int32_t topic = input->members[0].topics[i];
        for (int32_t p = 0; p < input->topics[topic].partitions; p++) {
            int32_t *owner = &uniform->owners[topic][p];
            if (*owner >= 0 && kept[*owner] == quota[*owner])
                *owner = -1;
            else if (*owner >= 0)
                kept[*owner]++;
        }
    }
}

// What nobody has goes to the members below their quota, in their order.
static void fill_up(struct uniform *uniform, const int32_t *quota, int32_t *kept)
{
    const struct assignor_input *input = uniform->input;
    int32_t taker = 0;
    for (int32_t i = 0; i < input->members[0].topic_count; i++) {
        int32_t topic = input->members[0].topics[i];
        for (int32_t p = 0; p < input->topics[topic].partitions; p++) {
            if (uniform->owners[topic][p] >= 0)
                continue;
            while (kept[taker] == quota[taker])
                taker++;
            uniform->owners[topic][p] = taker;
            kept[taker]++;
        }
    }
}

static void uniform_by_quota(struct uniform *uniform)
{
    const struct assignor_input *input = uniform->input;
    int32_t total = 0;
    for (int32_t i = 0; i < input->members[0].topic_count; i++)
        total += input->topics[input->members[0].topics[i]].partitions;
    int32_t *quota = quotas(uniform, total);
    int32_t *kept = mem_calloc((size_t)input->member_count, sizeof *kept);
    give_up(uniform, quota, kept);
    fill_up(uniform, quota, kept);
    mem_free(kept);
    mem_free(quota);
}

// ---- different subscriptions ----

struct subscribers {  // of one topic
    int32_t *members; // places, ascending
    int32_t count;
};

static struct subscribers *subscribers_of_all(const struct assignor_input *input)
{
    struct subscribers *all = mem_calloc((size_t)input->topic_count + 1, sizeof *all);
    for (int32_t m = 0; m < input->member_count; m++) {
        for (int32_t i = 0; i < input->members[m].topic_count; i++)
            all[input->members[m].topics[i]].count++;
    }
    for (int32_t t = 0; t < input->topic_count; t++) {
        all[t].members = mem_calloc((size_t)all[t].count + 1, sizeof *all[t].members);
        all[t].count = 0;
    }
    for (int32_t m = 0; m < input->member_count; m++) {
        for (int32_t i = 0; i < input->members[m].topic_count; i++) {
            struct subscribers *topic = &all[input->members[m].topics[i]];
            topic->members[topic->count++] = m;
        }
    }
    return all;
}

static int32_t least_loaded(const struct uniform *uniform, const struct subscribers *topic)
{
    int32_t best = topic->members[0];
    for (int32_t i = 1; i < topic->count; i++) {
        if (uniform->counts[topic->members[i]] < uniform->counts[best])
            best = topic->members[i];
    }
    return best;
}

static void hand_out(struct uniform *uniform, const struct subscribers *all, int32_t topic)
{
    for (int32_t p = 0; p < uniform->input->topics[topic].partitions; p++) {
        if (uniform->owners[topic][p] >= 0)
            continue;
        int32_t taker = least_loaded(uniform, &all[topic]);
        uniform->owners[topic][p] = taker;
        uniform->counts[taker]++;
    }
}

// Moves one partition of the topic when that makes two members more even.
static bool move_one(struct uniform *uniform, const struct subscribers *all, int32_t topic)
{
    int32_t taker = least_loaded(uniform, &all[topic]), giver = -1, partition = -1;
    for (int32_t p = 0; p < uniform->input->topics[topic].partitions; p++) {
        int32_t owner = uniform->owners[topic][p];
        if (giver < 0 || uniform->counts[owner] > uniform->counts[giver]) {
            giver = owner;
            partition = p;
        }
    }
    if (giver < 0 || uniform->counts[giver] <= uniform->counts[taker] + 1)
        return false;
    uniform->owners[topic][partition] = taker;
    uniform->counts[giver]--;
    uniform->counts[taker]++;
    return true;
}

// Topics with few subscribers leave no choice: they come first, the others even things out.
static void hand_out_all(struct uniform *uniform, const struct subscribers *all)
{
    const struct assignor_input *input = uniform->input;
    for (int32_t wanted = 1; wanted <= input->member_count;) {
        int32_t next = input->member_count + 1;
        for (int32_t t = 0; t < input->topic_count; t++) {
            if (all[t].count == wanted)
                hand_out(uniform, all, t);
            else if (all[t].count > wanted && all[t].count < next)
                next = all[t].count;
        }
        wanted = next;
    }
}

static void uniform_by_moves(struct uniform *uniform)
{
    const struct assignor_input *input = uniform->input;
    struct subscribers *all = subscribers_of_all(input);
    hand_out_all(uniform, all);
    for (bool moved = true; moved;) { // every move makes the sum of squares smaller: it ends
        moved = false;
        for (int32_t t = 0; t < input->topic_count; t++) {
            while (all[t].count > 1 && move_one(uniform, all, t))
                moved = true;
        }
    }
    for (int32_t t = 0; t < input->topic_count; t++)
        mem_free(all[t].members);
    mem_free(all);
}

void assignor_uniform(const struct assignor_input *input)
{
    struct uniform uniform;
    uniform_init(&uniform, input);
    keep_current(&uniform);
    if (assignor_homogeneous(input))
        uniform_by_quota(&uniform);
    else
        uniform_by_moves(&uniform);
    uniform_finish(&uniform);
}
