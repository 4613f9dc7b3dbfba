// SPDX-License-Identifier: Apache-2.0
// See streams_world.h.
#include "streams_world.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

// ---- life ----

static struct streams_group *new_group(struct streams_world *world)
{
    return streams_group_new(slice_str("g"), &world->settings, &world->base.topics);
}

void streams_world_init(struct streams_world *world)
{
    *world = (struct streams_world){
        .settings = {.options = {.session_ms = 45000}, .size_max = 100, .bytes_max = 1 << 20},
        .options = {.session_ms = 45000},
        .topology = "0 <in >rep; 1 <<rep +log"};
    consumer_world_init(&world->base);
    world->group = new_group(world);
}

void streams_world_fini(struct streams_world *world)
{
    streams_group_destroy(&world->group);
    consumer_world_fini(&world->base);
}

void streams_world_topic(struct streams_world *world, const char *name, int partitions)
{
    consumer_world_topic(&world->base, name, partitions);
}

size_t streams_world_write(struct streams_world *world)
{
    size_t before = world->base.logged;
    if (streams_dirty(world->group))
        cr_assert_eq(streams_record_write(world->group, consumer_world_log, &world->base), ST_OK);
    cr_assert(!streams_dirty(world->group));
    return world->base.logged - before;
}

void streams_world_pass(struct streams_world *world, int64_t ms)
{
    struct group_now *now = &world->base.now;
    int64_t end_us = now->us + ms * 1000;
    for (int i = 0; i < 10000; i++) {
        int64_t wake_us = streams_wake_us(world->group);
        if (wake_us == GROUP_NEVER_US || wake_us > end_us)
            break;
        if (wake_us > now->us)
            now->us = wake_us;
        streams_tick(world->group, *now);
    }
    now->us = end_us;
    streams_world_write(world);
}

static void load(struct streams_world *world, const struct logged *record)
{
    struct slice key = block_slice(record->key);
    struct group_key parsed;
    int16_t type = (int16_t)load_be16(key.data);
    cr_assert(streams_key_is(type));
    cr_assert_eq(streams_key_parse(type, slice_of(key.data + 2, key.len - 2), &parsed), ST_OK);
    struct slice value = record->value == NULL ? (struct slice){0} : block_slice(record->value);
    cr_assert_eq(streams_record_load(world->group, &parsed, value), ST_OK);
}

void streams_world_take_over(struct streams_world *world, size_t read)
{
    struct consumer_world *base = &world->base;
    if (read == 0)
        streams_world_write(world);
    streams_group_destroy(&world->group);
    world->group = new_group(world);
    size_t end = read > 0 && read < base->logged ? read : base->logged;
    for (size_t i = 0; i < end; i++)
        load(world, &base->log[i]);
    for (size_t i = end; i < base->logged; i++) {
        block_unref(&base->log[i].key);
        block_unref(&base->log[i].value);
    }
    base->logged = end;
    streams_resume(world->group, base->now);
}

enum status streams_world_bury(struct streams_world *world)
{
    return streams_record_bury(world->group, consumer_world_log, &world->base);
}

// ---- topologies ----

enum { SUBS = 8, TOPICS = 16, TOGETHER = 4 };

struct drawing { // what a value points to
    char text[1024];
    streams_topology_value value;
    streams_subtopology subs[SUBS];
    struct slice sources[SUBS][TOPICS], sinks[SUBS][TOPICS];
    streams_topic_info logs[SUBS][TOPICS], repartitions[SUBS][TOPICS];
    struct kafka_streams_group_topology_value_copartition_group groups[SUBS][TOGETHER];
    int16_t places[SUBS][TOGETHER][2][TOPICS];
};

static void join_together(struct drawing *drawing, int32_t s, char *names)
{
    streams_subtopology *sub = &drawing->subs[s];
    int32_t g = sub->copartition_groups_count++;
    struct kafka_streams_group_topology_value_copartition_group *group = &drawing->groups[s][g];
    group->source_topics = drawing->places[s][g][0];
    group->repartition_source_topics = drawing->places[s][g][1];
    for (char *name; (name = strsep(&names, ",")) != NULL;) {
        for (int32_t i = 0; i < sub->source_topics_count; i++)
            if (slice_is(sub->source_topics[i], name))
                group->source_topics[group->source_topics_count++] = (int16_t)i;
        for (int32_t i = 0; i < sub->repartition_source_topics_count; i++)
            if (slice_is(sub->repartition_source_topics[i].name, name))
                group->repartition_source_topics[group->repartition_source_topics_count++] = (int16_t)i;
    }
}

static void draw_word(struct drawing *drawing, int32_t s, char *word)
{
    streams_subtopology *sub = &drawing->subs[s];
    char *colon = strchr(word, ':');
    if (colon != NULL)
        *colon = '\0';
    int32_t partitions = colon == NULL ? 0 : (int32_t)strtol(colon + 1, NULL, 10);
    if (word[0] == '<' && word[1] == '<')
        sub->repartition_source_topics[sub->repartition_source_topics_count++] =
            (streams_topic_info){.name = slice_str(word + 2), .partitions = partitions};
    else if (word[0] == '<')
        sub->source_topics[sub->source_topics_count++] = slice_str(word + 1);
    else if (word[0] == '>')
        sub->repartition_sink_topics[sub->repartition_sink_topics_count++] = slice_str(word + 1);
    else if (word[0] == '+')
        sub->state_changelog_topics[sub->state_changelog_topics_count++] =
            (streams_topic_info){.name = slice_str(word + 1), .partitions = partitions};
    else if (word[0] == '=')
        join_together(drawing, s, word + 1);
    else
        sub->subtopology_id = slice_str(word);
}

streams_topology_value *streams_world_value(const char *text, int32_t epoch)
{
    static struct drawing drawing;
    drawing = (struct drawing){0};
    snprintf(drawing.text, sizeof drawing.text, "%s", text);
    drawing.value.epoch = epoch;
    drawing.value.subtopologies = drawing.subs;
    for (char *rest = drawing.text, *part; (part = strsep(&rest, ";")) != NULL;) {
        int32_t s = drawing.value.subtopologies_count++;
        drawing.subs[s].source_topics = drawing.sources[s];
        drawing.subs[s].repartition_sink_topics = drawing.sinks[s];
        drawing.subs[s].state_changelog_topics = drawing.logs[s];
        drawing.subs[s].repartition_source_topics = drawing.repartitions[s];
        drawing.subs[s].copartition_groups = drawing.groups[s];
        for (char *word; (word = strsep(&part, " ")) != NULL;)
            if (*word != '\0')
                draw_word(&drawing, s, word);
    }
    return &drawing.value;
}

struct streams_topology *streams_world_topology(const char *text, int32_t epoch)
{
    struct streams_topology *topology;
    const char *why = NULL;
    streams_topology_value *value = streams_world_value(text, epoch);
    cr_assert_eq(streams_topology_check(value, &why), KAFKA_ERR_NONE, "%s", why);
    cr_assert_eq(streams_topology_new(value, 1 << 20, &topology), ST_OK);
    return topology;
}

// ---- tasks as text ----

struct streams_tasks streams_world_tasks(const char *text)
{
    struct streams_tasks tasks = {{{0}}};
    char copy[1024], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, " ")) != NULL) {
        enum streams_role role = *word == 's'   ? STREAMS_STANDBY
                                 : *word == 'w' ? STREAMS_WARMUP
                                                : STREAMS_ACTIVE;
        if (*word == '\0')
            continue;
        char *name = role == STREAMS_ACTIVE ? word : word + 1, *bar = strchr(name, '_');
        struct parts_item item = {.topic = streams_key(slice_of(name, (size_t)(bar - name))),
                                  .index = (int32_t)strtol(bar + 1, NULL, 10)};
        parts_push(&tasks.roles[role], &item);
    }
    for (int role = 0; role < STREAMS_ROLES; role++)
        parts_sort(&tasks.roles[role]);
    return tasks;
}

void streams_world_text(const struct streams_tasks *tasks, char *out, size_t size)
{
    static const char *const before[] = {"", "s", "w"};
    size_t at = 0;
    out[0] = '\0';
    for (int role = 0; role < STREAMS_ROLES; role++) {
        for (size_t i = 0; i < tasks->roles[role].count && at < size; i++) {
            const struct parts_item *item = &tasks->roles[role].items[i];
            at += (size_t)snprintf(out + at, size - at, "%s%s%.15s_%d", at > 0 ? " " : "", before[role],
                                   (const char *)item->topic.bytes, (int)item->index);
        }
    }
}

// ---- heartbeats ----

struct streams_heard streams_world_beat(struct streams_world *world, const char *member,
                                        struct streams_said said)
{
    struct streams_tasks owned = streams_world_tasks(said.owned == NULL ? "" : said.owned);
    struct streams_topology *topology =
        said.joins ? streams_world_topology(world->topology, world->topology_epoch) : NULL;
    struct streams_beat beat = {
        .member_id = slice_str(member),
        .epoch = said.epoch,
        .profile = {.process_id = slice_str(said.process),
                    .client_id = slice_str("client"),
                    .client_host = slice_str("/127.0.0.1"),
                    .endpoint_host = slice_str(said.endpoint),
                    .endpoint_port = 7000,
                    .tag_count = -1,
                    .rebalance_ms = said.joins ? 10000 : -1,
                    .topology_epoch = said.joins ? world->topology_epoch : -1},
        .topology = said.joins ? &topology : NULL,
        .owned = said.owned == NULL ? NULL : &owned,
        .endpoint_epoch = said.endpoint_epoch,
        .shutdown = said.shutdown,
    };
    struct streams_beaten answer;
    streams_group_set_options(world->group, &world->options);
    struct streams_heard heard = {.error = streams_heartbeat(world->group, world->base.now, &beat, &answer),
                                  .text = answer.text};
    if (heard.error == KAFKA_ERR_NONE) {
        heard.epoch = answer.epoch;
        heard.told = answer.tasks != NULL;
        heard.stale = answer.stale;
        heard.delayed = answer.delayed;
        heard.endpoints = answer.endpoints;
        heard.endpoint_epoch = answer.endpoint_epoch;
        if (heard.told)
            streams_world_text(answer.tasks, heard.tasks, sizeof heard.tasks);
    }
    streams_topology_destroy(&topology);
    streams_tasks_fini(&owned);
    streams_world_write(world);
    return heard;
}

struct streams_heard streams_world_join(struct streams_world *world, const char *member, const char *process)
{
    return streams_world_beat(world, member,
                              (struct streams_said){.process = process, .owned = "", .joins = true});
}

// ---- reading ----

static bool find(const struct streams_world *world, const char *member, struct streams_member_view *view)
{
    for (struct map_entry *at = NULL; streams_next_member(world->group, &at, view);) {
        if (slice_is(view->id, member))
            return true;
    }
    return false;
}

const char *streams_world_has(struct streams_world *world, const char *member)
{
    static char text[512];
    struct streams_member_view view;
    snprintf(text, sizeof text, "(no such member)");
    if (find(world, member, &view))
        streams_world_text(view.assigned, text, sizeof text);
    return text;
}

const char *streams_world_target(struct streams_world *world, const char *member)
{
    static char text[512];
    struct streams_member_view view;
    snprintf(text, sizeof text, "(no such member)");
    if (find(world, member, &view))
        streams_world_text(view.target, text, sizeof text);
    return text;
}

int32_t streams_world_epoch(struct streams_world *world, const char *member)
{
    struct streams_member_view view;
    return find(world, member, &view) ? view.epoch : INT32_MIN;
}

const char *streams_world_state(const struct streams_world *world)
{
    return streams_state_text(streams_state(world->group));
}
