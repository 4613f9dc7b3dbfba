// SPDX-License-Identifier: Apache-2.0
// See streams_topology.h.
#include "streams_topology.h"

#include "base/arena.h"
#include "base/block.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "record.h"
#include "texts.h"

#include <stdlib.h>

enum { ARENA_MAX = 64 << 20, SHORT_ID = 15 };

struct streams_topology {
    struct block *bytes; // the record; what value holds points into it
    struct arena arena;
    streams_topology_value *value; // subtopologies ascending by id
    struct map places;             // by key, place + 1
    struct map readers;            // by topic, place + 1
};

struct uuid streams_key(struct slice subtopology)
{
    static const uint8_t secret[HASH_SIP_SIZE] = "subtopology key";
    struct uuid key = {{0}};
    if (subtopology.len <= SHORT_ID) {
        if (subtopology.len > 0)
            memcpy(key.bytes, subtopology.data, subtopology.len);
        return key;
    }
    hash_sip128(secret, subtopology.data, subtopology.len, key.bytes);
    key.bytes[SHORT_ID] |= 1; // no short id ends so
    return key;
}

// ---- the check ----

static size_t topics_of(const streams_subtopology *sub)
{
    return (size_t)sub->source_topics_count + (size_t)sub->state_changelog_topics_count +
           (size_t)sub->repartition_sink_topics_count + (size_t)sub->repartition_source_topics_count;
}

static bool within(const int16_t *places, int32_t count, int32_t end)
{
    for (int32_t i = 0; i < count; i++) {
        if (places[i] < 0 || places[i] >= end)
            return false;
    }
    return true;
}

static const char *wrong_subtopology(const streams_subtopology *sub)
{
    if (sub->subtopology_id.len > STREAMS_SUBTOPOLOGY_ID_MAX) // a member's record may name each of them twice
        return "Subtopology ids must not be longer than 255 bytes.";
    for (int32_t i = 0; i < sub->state_changelog_topics_count; i++) {
        if (sub->state_changelog_topics[i].partitions != 0)
            return "Changelog topics must have an undefined partition count.";
    }
    for (int32_t i = 0; i < sub->repartition_source_topics_count; i++) {
        if (sub->repartition_source_topics[i].partitions < 0)
            return "Repartition topics must not have a negative partition count.";
    }
    for (int32_t i = 0; i < sub->copartition_groups_count; i++) {
        if (!within(sub->copartition_groups[i].source_topics, sub->copartition_groups[i].source_topics_count,
                    sub->source_topics_count) ||
            !within(sub->copartition_groups[i].repartition_source_topics,
                    sub->copartition_groups[i].repartition_source_topics_count,
                    sub->repartition_source_topics_count))
            return "Copartition groups must name topics of their subtopology.";
    }
    if (sub->source_topics_count == 0 && sub->repartition_source_topics_count == 0)
        return "Each subtopology must have source topics.";
    return NULL;
}

static const char *wrong(const streams_topology_value *value)
{
    const char *text = value->epoch < 0 ? "The topology epoch must not be negative." : NULL;
    if (value->subtopologies_count > STREAMS_SUBTOPOLOGIES_MAX)
        return "The topology has too many subtopologies.";
    size_t topics = 0;
    struct map seen;
    map_init(&seen, 0);
    for (int32_t i = 0; text == NULL && i < value->subtopologies_count; i++) {
        const streams_subtopology *sub = &value->subtopologies[i];
        struct uuid key = streams_key(sub->subtopology_id);
        topics += topics_of(sub);
        text = wrong_subtopology(sub);
        if (map_put(&seen, slice_of(key.bytes, sizeof key.bytes), &seen) != NULL)
            text = "Subtopologies must have different ids.";
        else if (topics > STREAMS_TOPICS_MAX)
            text = "The topology has too many topics.";
    }
    map_fini(&seen);
    return text;
}

int16_t streams_topology_check(const streams_topology_value *value, const char **text)
{
    for (int32_t i = 0; i < value->subtopologies_count; i++) {
        if (value->subtopologies[i].source_topic_regex_count > 0) {
            *text = "Regular expressions for source topics are not supported yet.";
            return KAFKA_ERR_INVALID_REQUEST;
        }
    }
    *text = wrong(value);
    return *text == NULL ? KAFKA_ERR_NONE : KAFKA_ERR_STREAMS_INVALID_TOPOLOGY;
}

// ---- life ----

static void note_places(struct streams_topology *topology)
{
    for (int32_t s = 0; s < topology->value->subtopologies_count; s++) {
        const streams_subtopology *sub = &topology->value->subtopologies[s];
        struct uuid key = streams_key(sub->subtopology_id);
        map_put(&topology->places, slice_of(key.bytes, sizeof key.bytes), (void *)(intptr_t)(s + 1));
        struct slice name;
        for (int32_t i = 0; streams_topic_read(sub, i, &name); i++)
            map_put(&topology->readers, name, (void *)(intptr_t)(s + 1));
    }
}

enum status streams_topology_parse(struct slice record, struct streams_topology **out)
{
    *out = NULL;
    struct streams_topology *topology = mem_calloc(1, sizeof *topology);
    arena_init(&topology->arena, ARENA_MAX);
    map_init(&topology->places, 0);
    map_init(&topology->readers, 0);
    topology->bytes = block_copy(record);
    topology->value = arena_alloc(&topology->arena, sizeof *topology->value);
    enum status status = topology->bytes == NULL || topology->value == NULL ? ST_NO_MEMORY : ST_OK;
    if (status == ST_OK && record.len < 2)
        status = ST_TRUNCATED;
    struct slice bytes = status == ST_OK ? block_slice(topology->bytes) : (struct slice){0};
    if (status == ST_OK)
        status = kafka_decode(&kafka_streams_group_topology_value_message, (int16_t)load_be16(bytes.data),
                              slice_of(bytes.data + 2, bytes.len - 2), &topology->arena, topology->value);
    const char *text;
    if (status == ST_OK && streams_topology_check(topology->value, &text) != KAFKA_ERR_NONE)
        status = ST_MALFORMED;
    if (status != ST_OK) {
        streams_topology_destroy(&topology);
        return status;
    }
    note_places(topology);
    *out = topology;
    return ST_OK;
}

static int by_id(const void *a, const void *b)
{
    return text_compare(((const streams_subtopology *)a)->subtopology_id,
                        ((const streams_subtopology *)b)->subtopology_id);
}

enum status streams_topology_new(streams_topology_value *value, size_t bytes_max,
                                 struct streams_topology **topology)
{
    *topology = NULL;
    if (value->subtopologies_count > 0)
        qsort(value->subtopologies, (size_t)value->subtopologies_count, sizeof *value->subtopologies, by_id);
    struct buf record;
    buf_init(&record, bytes_max);
    enum status status =
        record_put(&kafka_streams_group_topology_value_message, 0, 0, value, bytes_max, &record);
    if (status == ST_OK)
        status = streams_topology_parse(buf_slice(&record), topology);
    buf_fini(&record);
    return status;
}

void streams_topology_destroy(struct streams_topology **pointer)
{
    struct streams_topology *topology = *pointer;
    *pointer = NULL;
    if (topology == NULL)
        return;
    map_fini(&topology->places);
    map_fini(&topology->readers);
    arena_fini(&topology->arena);
    block_unref(&topology->bytes);
    mem_free(topology);
}

// ---- reading ----

const streams_topology_value *streams_topology_value_of(const struct streams_topology *topology)
{
    return topology->value;
}

struct slice streams_topology_record(const struct streams_topology *topology)
{
    return block_slice(topology->bytes);
}

bool streams_topology_equal(const struct streams_topology *a, const struct streams_topology *b)
{
    return slice_equal(block_slice(a->bytes), block_slice(b->bytes));
}

int32_t streams_topology_find(const struct streams_topology *topology, struct uuid key)
{
    return (int32_t)(intptr_t)map_get(&topology->places, slice_of(key.bytes, sizeof key.bytes)) - 1;
}

int32_t streams_topology_reader(const struct streams_topology *topology, struct slice topic)
{
    return (int32_t)(intptr_t)map_get(&topology->readers, topic) - 1;
}

bool streams_topic_read(const streams_subtopology *sub, int32_t i, struct slice *name)
{
    int32_t sources = sub->source_topics_count;
    if (i < sources)
        *name = sub->source_topics[i];
    else if (i - sources < sub->repartition_source_topics_count)
        *name = sub->repartition_source_topics[i - sources].name;
    else
        return false;
    return true;
}

bool streams_topic_needed(const streams_subtopology *sub, int32_t i, struct slice *name)
{
    if (streams_topic_read(sub, i, name))
        return true;
    i -= sub->source_topics_count + sub->repartition_source_topics_count;
    if (i >= sub->state_changelog_topics_count)
        return false;
    *name = sub->state_changelog_topics[i].name;
    return true;
}
