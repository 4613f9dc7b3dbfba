// SPDX-License-Identifier: Apache-2.0
// What a member of a consumer group says of itself, kept in one allocation: the struct, its arrays, then all
// bytes. A profile never changes; a member gets another one. See consumer_state.h.
#include "base/assert.h"
#include "base/mem.h"
#include "consumer_state.h"
#include "texts.h"

#include <stdlib.h>

// The slices of a profile that stand for themselves; the others are in its arrays.
enum { TEXTS = 6 };

static void texts_of(struct consumer_profile *profile, struct slice *texts[TEXTS])
{
    texts[0] = &profile->instance_id;
    texts[1] = &profile->rack;
    texts[2] = &profile->assignor;
    texts[3] = &profile->regex;
    texts[4] = &profile->client_id;
    texts[5] = &profile->client_host;
}

size_t consumer_profile_bytes(const struct consumer_profile *profile)
{
    size_t bytes = sizeof *profile + profile->instance_id.len + profile->rack.len + profile->assignor.len +
                   profile->regex.len + profile->client_id.len + profile->client_host.len;
    for (int32_t i = 0; i < profile->topic_count; i++)
        bytes += sizeof *profile->topics + profile->topics[i].len;
    for (int32_t i = 0; i < profile->protocol_count; i++)
        bytes +=
            sizeof *profile->protocols + profile->protocols[i].name.len + profile->protocols[i].metadata.len;
    return bytes;
}

struct consumer_profile *consumer_profile_copy(const struct consumer_profile *profile)
{
    struct consumer_profile *copy = malloc(consumer_profile_bytes(profile));
    if (copy == NULL)
        return NULL;
    *copy = *profile;
    struct slice *topics = (struct slice *)(copy + 1);
    struct group_protocol *protocols = (struct group_protocol *)(topics + profile->topic_count);
    uint8_t *at = (uint8_t *)(protocols + profile->protocol_count);
    struct slice *texts[TEXTS];
    texts_of(copy, texts);
    for (int i = 0; i < TEXTS; i++)
        *texts[i] = text_keep(*texts[i], &at);
    for (int32_t i = 0; i < profile->topic_count; i++)
        topics[i] = text_keep(profile->topics[i], &at);
    for (int32_t i = 0; i < profile->protocol_count; i++)
        protocols[i] = (struct group_protocol){text_keep(profile->protocols[i].name, &at),
                                               text_keep(profile->protocols[i].metadata, &at)};
    copy->topics = topics;
    copy->protocols = protocols;
    return copy;
}

bool consumer_same_topics(const struct consumer_profile *a, const struct consumer_profile *b)
{
    if (a->topic_count != b->topic_count)
        return false;
    for (int32_t i = 0; i < a->topic_count; i++) {
        if (!slice_equal(a->topics[i], b->topics[i]))
            return false;
    }
    return true;
}

static bool same_protocols(const struct consumer_profile *a, const struct consumer_profile *b)
{
    if (a->classic != b->classic || a->session_ms != b->session_ms || a->protocol_count != b->protocol_count)
        return false;
    for (int32_t i = 0; i < a->protocol_count; i++) {
        if (!slice_equal(a->protocols[i].name, b->protocols[i].name) ||
            !slice_equal(a->protocols[i].metadata, b->protocols[i].metadata))
            return false;
    }
    return true;
}

bool consumer_profile_equal(const struct consumer_profile *a, const struct consumer_profile *b)
{
    return text_same(a->instance_id, b->instance_id) && text_same(a->rack, b->rack) &&
           text_same(a->assignor, b->assignor) && slice_equal(a->regex, b->regex) &&
           text_same(a->client_id, b->client_id) && text_same(a->client_host, b->client_host) &&
           a->rebalance_ms == b->rebalance_ms && consumer_same_topics(a, b) && same_protocols(a, b);
}

struct consumer_profile consumer_profile_merge(const struct consumer_profile *base,
                                               const struct consumer_profile *change)
{
    struct consumer_profile merged = *change;
    if (base == NULL) {
        merged.topic_count = change->topic_count < 0 ? 0 : change->topic_count;
        return merged;
    }
    if (change->instance_id.data == NULL)
        merged.instance_id = base->instance_id;
    if (change->rack.data == NULL)
        merged.rack = base->rack;
    if (change->assignor.data == NULL)
        merged.assignor = base->assignor;
    if (change->regex.data == NULL)
        merged.regex = base->regex;
    if (change->rebalance_ms < 0)
        merged.rebalance_ms = base->rebalance_ms;
    if (change->topic_count < 0) {
        merged.topics = base->topics;
        merged.topic_count = base->topic_count;
    }
    return merged;
}

bool consumer_profile_names(const struct consumer_profile *profile, struct slice topic)
{
    int32_t low = 0, high = profile->topic_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = text_compare(profile->topics[middle], topic);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

int32_t consumer_sort_topics(struct slice *topics, int32_t count)
{
    if (count <= 0)
        return count;
    qsort(topics, (size_t)count, sizeof *topics, text_order);
    int32_t kept = 1;
    for (int32_t i = 1; i < count; i++) {
        if (!slice_equal(topics[i], topics[kept - 1]))
            topics[kept++] = topics[i];
    }
    return kept;
}
