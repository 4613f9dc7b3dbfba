// SPDX-License-Identifier: Apache-2.0
// What a member of a streams group says of itself, kept in one allocation: the struct, its tags, then all
// bytes. A profile never changes; a member gets another one. See streams_state.h.
#include "base/mem.h"
#include "streams_state.h"
#include "texts.h"

#include <stdlib.h>

enum { TEXTS = 5 }; // slices of a profile that stand for themselves

static void texts_of(struct streams_profile *profile, struct slice *texts[TEXTS])
{
    texts[0] = &profile->rack;
    texts[1] = &profile->process_id;
    texts[2] = &profile->client_id;
    texts[3] = &profile->client_host;
    texts[4] = &profile->endpoint_host;
}

size_t streams_profile_bytes(const struct streams_profile *profile)
{
    size_t bytes = sizeof *profile + profile->rack.len + profile->process_id.len + profile->client_id.len +
                   profile->client_host.len + profile->endpoint_host.len;
    for (int32_t i = 0; i < profile->tag_count; i++)
        bytes += sizeof *profile->tags + profile->tags[i].key.len + profile->tags[i].value.len;
    return bytes;
}

struct streams_profile *streams_profile_copy(const struct streams_profile *profile)
{
    struct streams_profile *copy = malloc(streams_profile_bytes(profile));
    if (copy == NULL)
        return NULL;
    *copy = *profile;
    struct streams_tag *tags = (struct streams_tag *)(copy + 1);
    uint8_t *at = (uint8_t *)(tags + profile->tag_count);
    struct slice *texts[TEXTS];
    texts_of(copy, texts);
    for (int i = 0; i < TEXTS; i++)
        *texts[i] = text_keep(*texts[i], &at);
    for (int32_t i = 0; i < profile->tag_count; i++)
        tags[i] = (struct streams_tag){text_keep(profile->tags[i].key, &at),
                                       text_keep(profile->tags[i].value, &at)};
    copy->tags = tags;
    return copy;
}

static bool same_tags(const struct streams_profile *a, const struct streams_profile *b)
{
    if (a->tag_count != b->tag_count)
        return false;
    for (int32_t i = 0; i < a->tag_count; i++) {
        if (!slice_equal(a->tags[i].key, b->tags[i].key) || !slice_equal(a->tags[i].value, b->tags[i].value))
            return false;
    }
    return true;
}

bool streams_profile_equal(const struct streams_profile *a, const struct streams_profile *b)
{
    return text_same(a->rack, b->rack) && text_same(a->process_id, b->process_id) &&
           text_same(a->client_id, b->client_id) && text_same(a->client_host, b->client_host) &&
           text_same(a->endpoint_host, b->endpoint_host) && a->endpoint_port == b->endpoint_port &&
           a->rebalance_ms == b->rebalance_ms && a->topology_epoch == b->topology_epoch && same_tags(a, b);
}

struct streams_profile streams_profile_merge(const struct streams_profile *base,
                                             const struct streams_profile *change)
{
    static const struct streams_profile nothing = {.rebalance_ms = -1};
    if (base == NULL)
        base = &nothing;
    struct streams_profile merged = *change;
    if (change->rack.data == NULL)
        merged.rack = base->rack;
    if (change->process_id.data == NULL)
        merged.process_id = base->process_id.data == NULL ? slice_str("") : base->process_id;
    if (change->endpoint_host.data == NULL) {
        merged.endpoint_host = base->endpoint_host;
        merged.endpoint_port = base->endpoint_port;
    }
    if (change->tag_count < 0) {
        merged.tags = base->tags;
        merged.tag_count = base->tag_count;
    }
    if (change->rebalance_ms < 0)
        merged.rebalance_ms = base->rebalance_ms;
    if (change->topology_epoch < 0)
        merged.topology_epoch = base->topology_epoch;
    return merged;
}
