// SPDX-License-Identifier: Apache-2.0
// See consumer_world.h.
#include "consumer_world.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

// ---- topics ----

static void apply(struct consumer_world *world, Millrace__MetadataRecord *record)
{
    record->version = 1;
    cr_assert_eq(image_apply(world->image, record, image_offset(world->image) + 1), ST_OK, "%s",
                 image_error(world->image));
    world->topics.version++;
}

static void put_topic(struct consumer_world *world, struct uuid *id, const char *name)
{
    world->topic_ids++;
    *id = (struct uuid){{(uint8_t)(world->topic_ids >> 8), (uint8_t)world->topic_ids, 1}};
    Millrace__TopicRecord topic = MILLRACE__TOPIC_RECORD__INIT;
    topic.topic_id = (ProtobufCBinaryData){16, id->bytes};
    topic.name = (char *)(uintptr_t)name;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC;
    record.topic = &topic;
    apply(world, &record);
    if (world->group != NULL)
        consumer_topic_added(world->group, slice_str(name));
}

void consumer_world_topic(struct consumer_world *world, const char *name, int partitions)
{
    const struct image_topic *known = image_topic_named(world->image, name);
    struct uuid id = known != NULL ? known->id : (struct uuid){{0}};
    int first = known != NULL ? (int)known->partition_count : 0;
    if (known == NULL)
        put_topic(world, &id, name);
    for (int i = first; i < partitions; i++) {
        int32_t replicas[] = {1};
        Millrace__PartitionRecord partition = MILLRACE__PARTITION_RECORD__INIT;
        partition.topic_id = (ProtobufCBinaryData){16, id.bytes};
        partition.partition = i;
        partition.n_replicas = partition.n_isr = 1;
        partition.replicas = partition.isr = replicas;
        partition.leader = 1;
        Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
        record.body_case = MILLRACE__METADATA_RECORD__BODY_PARTITION;
        record.partition = &partition;
        apply(world, &record);
    }
}

void consumer_world_topic_gone(struct consumer_world *world, const char *name)
{
    struct uuid id = image_topic_named(world->image, name)->id;
    Millrace__TopicRemovedRecord gone = MILLRACE__TOPIC_REMOVED_RECORD__INIT;
    gone.topic_id = (ProtobufCBinaryData){16, id.bytes};
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC_REMOVED;
    record.topic_removed = &gone;
    apply(world, &record);
    consumer_topic_removed(world->group, slice_str(name));
}

// ---- life ----

static void put_node(struct consumer_world *world)
{
    static uint8_t directory[16] = {1};
    Millrace__NodeRecord node = MILLRACE__NODE_RECORD__INIT;
    node.node_id = 1;
    node.role = MILLRACE__ROLE__ROLE_STORAGE;
    node.incarnation = 1;
    node.directory_id = (ProtobufCBinaryData){16, directory};
    node.rpc_endpoint = (char *)(uintptr_t) "tcp://127.0.0.1:1";
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_NODE;
    record.node = &node;
    apply(world, &record);
}

static struct consumer_group *new_group(struct consumer_world *world)
{
    return consumer_group_new(slice_str("g"), &world->settings, &world->topics);
}

void consumer_world_init(struct consumer_world *world)
{
    *world = (struct consumer_world){
        .image = image_new(),
        .settings = {.heartbeat_ms = 5000,
                     .session_ms = 45000,
                     .size_max = 100,
                     .bytes_max = 1 << 20,
                     .assignor = slice_str("uniform"),
                     .may_upgrade = true,
                     .may_downgrade = true,
                     .downgrade_size_max = 100},
        .now = {.us = 1000000, .wall_ms = 1700000000000},
    };
    world->topics = (struct consumer_topics){world->image, 1};
    put_node(world);
    world->group = new_group(world);
}

void consumer_world_fini(struct consumer_world *world)
{
    consumer_group_destroy(&world->group);
    image_destroy(&world->image);
    for (size_t i = 0; i < world->logged; i++) {
        block_unref(&world->log[i].key);
        block_unref(&world->log[i].value);
    }
    mem_free(world->log);
}

enum status consumer_world_log(void *context, struct slice key, struct slice value)
{
    struct consumer_world *world = context;
    if (world->logged == world->room) {
        world->room = world->room * 2 + 64;
        world->log = mem_realloc(world->log, world->room * sizeof *world->log);
    }
    world->log[world->logged++] =
        (struct logged){block_copy(key), value.data == NULL ? NULL : block_copy(value)};
    return ST_OK;
}

size_t consumer_world_write(struct consumer_world *world)
{
    size_t before = world->logged;
    if (world->held)
        return 0;
    if (consumer_dirty(world->group))
        cr_assert_eq(consumer_record_write(world->group, consumer_world_log, world), ST_OK);
    cr_assert(!consumer_dirty(world->group));
    return world->logged - before;
}

void consumer_world_take_over(struct consumer_world *world, size_t read)
{
    if (read == 0)
        consumer_world_write(world);
    consumer_group_destroy(&world->group);
    world->group = new_group(world);
    for (size_t i = 0; i < world->logged; i++) {
        if (read > 0 && i >= read) {
            block_unref(&world->log[i].key);
            block_unref(&world->log[i].value);
            continue;
        }
        struct slice key = block_slice(world->log[i].key);
        struct group_key parsed;
        cr_assert_eq(
            consumer_key_parse((int16_t)load_be16(key.data), slice_of(key.data + 2, key.len - 2), &parsed),
            ST_OK);
        cr_assert(slice_is(parsed.group, "g"));
        struct slice value =
            world->log[i].value == NULL ? (struct slice){0} : block_slice(world->log[i].value);
        cr_assert_eq(consumer_record_load(world->group, &parsed, value), ST_OK);
    }
    if (read > 0)
        world->logged = read;
    consumer_resume(world->group, world->now);
}

enum status consumer_world_bury(struct consumer_world *world)
{
    return consumer_record_bury(world->group, consumer_world_log, world);
}

bool consumer_world_buried(const struct consumer_world *world)
{
    for (size_t i = 0; i < world->logged; i++) {
        bool last = true;
        for (size_t j = i + 1; last && j < world->logged; j++)
            last = !slice_equal(block_slice(world->log[i].key), block_slice(world->log[j].key));
        if (last && world->log[i].value != NULL)
            return false;
    }
    return true;
}

void consumer_world_pass(struct consumer_world *world, int64_t ms)
{
    int64_t end_us = world->now.us + ms * 1000;
    for (int i = 0; i < 10000; i++) {
        int64_t wake_us = consumer_wake_us(world->group);
        if (wake_us == GROUP_NEVER_US || wake_us > end_us)
            break;
        if (wake_us > world->now.us)
            world->now.us = wake_us;
        consumer_tick(world->group, world->now);
    }
    world->now.us = end_us;
    world->now.wall_ms += ms;
    consumer_world_write(world);
}

// ---- partitions as text ----

struct parts consumer_world_parts(const struct consumer_world *world, const char *text)
{
    struct parts parts = {0};
    char copy[1024], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, " ")) != NULL) {
        size_t len = strcspn(word, "0123456789");
        if (*word == '\0')
            continue;
        const struct image_topic *topic = image_topic_slice(world->image, slice_of(word, len));
        cr_assert_not_null(topic, "no topic %s", word);
        struct parts_item item = {.topic = topic->id, .index = (int32_t)strtol(word + len, NULL, 10)};
        parts_push(&parts, &item);
    }
    parts_sort(&parts);
    return parts;
}

void consumer_world_text(const struct consumer_world *world, const struct parts *parts, char *out,
                         size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < parts->count && at < size; i++) {
        const struct image_topic *topic = image_topic(world->image, parts->items[i].topic);
        at += (size_t)snprintf(out + at, size - at, "%s%s%d", i > 0 ? " " : "",
                               topic == NULL ? "gone" : topic->name, (int)parts->items[i].index);
    }
}

// ---- heartbeats ----

static int32_t words(char *text, struct slice *out, int32_t max)
{
    int32_t count = 0;
    for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL && count < max;) {
        if (*word != '\0')
            out[count++] = slice_str(word);
    }
    return consumer_sort_topics(out, count);
}

struct heard consumer_world_beat(struct consumer_world *world, const char *member, struct said said)
{
    char text[512];
    struct slice topics[32];
    struct parts owned = said.owned == NULL ? (struct parts){0} : consumer_world_parts(world, said.owned);
    snprintf(text, sizeof text, "%s", said.topics == NULL ? "" : said.topics);
    struct consumer_beat beat = {
        .member_id = slice_str(member),
        .epoch = said.epoch,
        .profile = {.instance_id = slice_str(said.instance),
                    .regex = slice_str(said.regex),
                    .assignor = slice_str(said.assignor),
                    .client_id = slice_str("client"),
                    .client_host = slice_str("/127.0.0.1"),
                    .topics = topics,
                    .topic_count = said.topics == NULL ? -1 : words(text, topics, 32),
                    .rebalance_ms = said.rebalance_ms == 0 ? -1 : said.rebalance_ms},
        .owned = said.owned == NULL ? NULL : &owned,
    };
    struct consumer_beaten answer = {0};
    struct heard heard = {.error = consumer_heartbeat(world->group, world->now, &beat, &answer)};
    if (heard.error == KAFKA_ERR_NONE) {
        heard.epoch = answer.epoch;
        heard.told = answer.assignment != NULL;
        if (heard.told)
            consumer_world_text(world, answer.assignment, heard.assignment, sizeof heard.assignment);
    }
    parts_fini(&owned);
    consumer_world_write(world);
    return heard;
}

struct heard consumer_world_join(struct consumer_world *world, const char *member, const char *topics)
{
    return consumer_world_beat(world, member,
                               (struct said){.topics = topics, .owned = "", .rebalance_ms = 10000});
}

// ---- reading ----

static bool find(const struct consumer_world *world, const char *member, struct consumer_member_view *view)
{
    for (struct map_entry *at = NULL; consumer_next_member(world->group, &at, view);) {
        if (slice_is(view->id, member))
            return true;
    }
    return false;
}

const char *consumer_world_has(struct consumer_world *world, const char *member)
{
    static char text[512];
    struct consumer_member_view view;
    snprintf(text, sizeof text, "(no such member)");
    if (find(world, member, &view))
        consumer_world_text(world, view.assigned, text, sizeof text);
    return text;
}

const char *consumer_world_target(struct consumer_world *world, const char *member)
{
    static char text[512];
    struct consumer_member_view view;
    snprintf(text, sizeof text, "(no such member)");
    if (find(world, member, &view))
        consumer_world_text(world, view.target, text, sizeof text);
    return text;
}

int32_t consumer_world_epoch(struct consumer_world *world, const char *member)
{
    struct consumer_member_view view;
    return find(world, member, &view) ? view.epoch : INT32_MIN;
}
