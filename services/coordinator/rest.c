// SPDX-License-Identifier: Apache-2.0
// See rest.h. Long answers are streamed: whoever is shown is looked for anew for every piece, since it may
// have gone since the last one. Who comes or goes meanwhile may be missing from a list, or be there twice.
#include "rest.h"

#include "base/mem.h"
#include "cluster/shard.h"
#include "coordinator_state.h"
#include "group_condition.h"
#include "http/json.h"
#include "kafka/messages/consumer_protocol.h"
#include "shard_state.h"
#include "txn_shard.h"

#include <inttypes.h>
#include <stdio.h>

// So that a piece fits into HTTP_SLICE_MAX even if every byte has to be escaped.
enum {
    TEXT_MAX = 1000,           // of a name within an answer; longer ones are cut
    PIECE_BYTES = 8 << 10,     // a piece ends behind the row that reaches it
    ASSIGNED_BYTES = 40 << 10, // behind so much no more partitions of a member are named; all are counted
    ASSIGNMENT_ARENA = 1 << 20,
    MARKERS_MAX = 1000, // partitions of a transaction
    INITIALIZING_MAX = 20
};

static const char JSON[] = "application/json";

// ---- putting ----

static void put_text(struct buf *out, const char *before, struct slice text)
{
    buf_printf(out, "%s", before);
    if (text.data == NULL)
        buf_printf(out, "null");
    else
        json_put_string(out, slice_of(text.data, text.len < TEXT_MAX ? text.len : TEXT_MAX));
}

// null for what is not known.
static void put_known(struct buf *out, const char *before, int64_t value)
{
    if (value >= 0)
        buf_printf(out, "%s%" PRId64, before, value);
    else
        buf_printf(out, "%snull", before);
}

static void put_drain(struct buf *out, int64_t drain_ms)
{
    put_known(out, ",\"drain_ms\":", drain_ms);
    buf_printf(out, ",\"grows\":%s", drain_ms == LAG_NEVER ? "true" : "false");
}

static void put_rate(struct buf *out, const char *before, double rate)
{
    if (rate >= 0)
        buf_printf(out, "%s%.3f", before, rate);
    else
        buf_printf(out, "%snull", before);
}

// ---- finding ----

// Whether this process owns the key's shard; else the request is answered.
static bool owned(struct coordinator *coordinator, struct http_request *request, const char *topic,
                  const char *key, bool ready)
{
    const struct image_shard *shard = shard_of_key(coordinator->image, topic, slice_str(key));
    char text[200];
    if (shard != NULL && shard->owner == coordinator->node_id && ready)
        return true;
    if (shard != NULL && shard->owner == coordinator->node_id) {
        http_reply_error(request, 503, "its shard is being loaded");
        return false;
    }
    if (shard != NULL && shard->owner >= 0)
        snprintf(text, sizeof text, "it belongs to coordinator %" PRId32, shard->owner);
    else
        snprintf(text, sizeof text, "no coordinator owns it now");
    http_reply_error(request, 421, text);
    return false;
}

static struct shard_group *find(struct coordinator *coordinator, const char *group)
{
    struct shard *shard = coordinator_shard_of(coordinator, slice_str(group));
    return shard == NULL || !shard_ready(shard) ? NULL : shard_find(shard, slice_str(group), false);
}

// The group a route names; NULL: the request is answered.
static struct shard_group *find_or_refuse(struct coordinator *coordinator, struct http_request *request)
{
    const char *name = http_param(request, "group");
    const struct shard *shard = coordinator_shard_of(coordinator, slice_str(name));
    bool ready = shard != NULL && shard_ready(shard);
    if (!owned(coordinator, request, SHARD_TOPIC_GROUPS, name, ready))
        return NULL;
    struct shard_group *cell = find(coordinator, name);
    if (cell == NULL)
        http_reply_error(request, 404, "there is no such group");
    return cell;
}

// ---- answers in pieces ----

struct walk {
    struct coordinator *coordinator;
    char *group;
    size_t passed; // rows given
    bool begun;
    struct http_stream *stream;
    struct lag_wait wait;
    bool waiting;
};

static void walk_end(void *context)
{
    struct walk *walk = context;
    lag_wait_cancel(&walk->wait);
    mem_free(walk->group);
    mem_free(walk);
}

static struct walk *walk_new(struct coordinator *coordinator, const char *group)
{
    struct walk *walk = mem_calloc(1, sizeof *walk);
    walk->coordinator = coordinator;
    walk->group = mem_strdup(group);
    return walk;
}

static const char *comma(const struct walk *walk)
{
    return walk->passed > 0 ? ",\n  " : "\n  ";
}

static void put_group(struct buf *out, const struct shard_group *cell)
{
    const struct group *group = cell->group;
    put_text(out, "{\"group\":", group_id(group));
    buf_printf(out, ",\"type\":\"%s\",\"state\":\"%s\"", shard_group_type(cell), shard_group_state(cell));
    put_text(out, ",\"protocol_type\":", shard_group_protocol_type(cell));
    size_t offsets =
        cell->share != NULL ? share_group_initialized(cell->share)->count : (size_t)cell->offsets.count;
    buf_printf(out, ",\"members\":%zu,\"offsets\":%zu", shard_group_members(cell), offsets);
}

static void put_total(struct buf *out, const struct lag_group *lag)
{
    struct lag_total total = {.records = LAG_UNKNOWN, .age_ms_max = LAG_UNKNOWN, .drain_ms_max = LAG_UNKNOWN};
    if (lag != NULL)
        total = lag_total(lag);
    put_known(out, ",\"lag\":", total.records);
    put_known(out, ",\"age_ms\":", total.age_ms_max);
    put_drain(out, total.drain_ms_max);
}

// ---- the list ----

static bool put_shard(struct walk *walk, const struct shard *shard, size_t skip, struct buf *out)
{
    struct shard_group *cell;
    for (struct map_entry *at = NULL; shard_next(shard, &at, &cell);) {
        if (skip > 0) {
            skip--;
            continue;
        }
        if (out->len >= PIECE_BYTES)
            return false;
        buf_printf(out, "%s", comma(walk));
        put_group(out, cell);
        put_total(out, cell->lag);
        buf_printf(out, "}");
        walk->passed++;
    }
    return true;
}

static enum http_next list_next(struct buf *out, void *context)
{
    struct walk *walk = context;
    size_t skip = walk->passed;
    void *shard;
    if (!walk->begun)
        buf_printf(out, "{\"groups\":[");
    walk->begun = true;
    for (struct map_entry *at = NULL; map_next(&walk->coordinator->shards, &at, NULL, &shard);) {
        size_t count = shard_count(shard);
        if (skip < count && !put_shard(walk, shard, skip, out))
            return HTTP_MORE;
        skip = skip > count ? skip - count : 0;
    }
    buf_printf(out, "]}\n");
    return HTTP_END;
}

static void on_list(struct http_request *request, void *context)
{
    static const struct http_source source = {list_next, walk_end};
    http_reply_stream(request, 200, JSON, &source, walk_new(context, ""));
}

// ---- one group ----

typedef struct kafka_consumer_protocol_assignment assignment_t;

static void put_assigned_topic(struct buf *out, const assignment_t *assignment, int32_t t)
{
    put_text(out, t > 0 ? ",{\"topic\":" : "{\"topic\":", assignment->assigned_partitions[t].topic);
    buf_printf(out, ",\"partitions\":[");
    for (int32_t p = 0; p < assignment->assigned_partitions[t].partitions_count && out->len < ASSIGNED_BYTES;
         p++)
        buf_printf(out, "%s%" PRId32, p > 0 ? "," : "", assignment->assigned_partitions[t].partitions[p]);
    buf_printf(out, "]}");
}

static void put_assigned(struct buf *out, const assignment_t *assignment)
{
    int64_t total = 0;
    buf_printf(out, ",\"assigned\":[");
    for (int32_t t = 0; t < assignment->assigned_partitions_count; t++) {
        if (out->len < ASSIGNED_BYTES)
            put_assigned_topic(out, assignment, t);
        total += assignment->assigned_partitions[t].partitions_count;
    }
    buf_printf(out, "],\"assigned_count\":%" PRId64, total);
}

// A consumer's assignment: int16 version, then KIP-54's ConsumerProtocolAssignment. Others' are their own.
static void put_assignment(struct buf *out, struct slice bytes)
{
    const struct kafka_message *message = &kafka_consumer_protocol_assignment_message;
    assignment_t assignment;
    struct arena arena;
    size_t used;
    if (bytes.len < 2)
        return;
    int16_t version = (int16_t)(bytes.data[0] << 8 | bytes.data[1]);
    version = version > message->valid.last ? message->valid.last : version;
    arena_init(&arena, ASSIGNMENT_ARENA);
    if (version >= 0 && kafka_decode_prefix(message, version, slice_of(bytes.data + 2, bytes.len - 2), &arena,
                                            &assignment, &used) == ST_OK)
        put_assigned(out, &assignment);
    arena_fini(&arena);
}

static void put_member(struct buf *out, const struct group_condition *member, bool consumer)
{
    put_text(out, "{\"member\":", member->id);
    put_text(out, ",\"instance\":", member->instance_id);
    put_text(out, ",\"client\":", member->client_id);
    put_text(out, ",\"host\":", member->client_host);
    buf_printf(out, ",\"state\":\"%s\"", member->state);
    put_known(out, ",\"heard_ms\":", member->heard_ms);
    buf_printf(out, ",\"session_timeout_ms\":%" PRId32 ",\"rebalance_timeout_ms\":%" PRId32,
               member->session_ms, member->rebalance_ms);
    if (consumer)
        put_assignment(out, member->assignment);
    buf_printf(out, "}");
}

static struct slice protocol_of(const struct shard_group *cell)
{
    return cell->streams != NULL    ? slice_str("sticky")
           : cell->share != NULL    ? slice_str("simple")
           : cell->consumer != NULL ? consumer_assignor(cell->consumer)
                                    : group_protocol(cell->group);
}

static int32_t generation_of(const struct shard_group *cell)
{
    return cell->streams != NULL    ? streams_epoch(cell->streams)
           : cell->share != NULL    ? share_group_epoch(cell->share)
           : cell->consumer != NULL ? consumer_epoch(cell->consumer)
                                    : group_generation(cell->group);
}

// Partitions of a share group that wait for their share coordinators, the first of them by name.
static void put_initializing(struct buf *out, const struct shard_group *cell)
{
    const struct image *image = cell->shard->options.image;
    const struct parts *pending = share_group_pending(cell->share);
    buf_printf(out, ",\"initializing\":%zu,\"initializing_list\":[", pending->count);
    for (size_t i = 0; i < pending->count && i < INITIALIZING_MAX; i++) {
        const struct image_topic *topic = image_topic(image, pending->items[i].topic);
        put_text(out, i > 0 ? ",{\"topic\":" : "{\"topic\":", slice_str(topic != NULL ? topic->name : ""));
        buf_printf(out, ",\"partition\":%" PRId32, pending->items[i].index);
        put_known(out, ",\"state_partition\":",
                  share_round_shard(image, group_id(cell->group), &pending->items[i]));
        buf_printf(out, "}");
    }
    buf_printf(out, "]");
}

static void put_head(struct buf *out, const struct shard_group *cell, struct group_now now, int32_t owner)
{
    const struct group *group = cell->group;
    bool classic = cell->consumer == NULL && cell->streams == NULL && cell->share == NULL;
    int64_t since_ms = classic ? group_state_since_ms(group) : -1;
    put_group(out, cell);
    put_text(out, ",\"protocol\":", protocol_of(cell));
    put_text(out, ",\"leader\":", group_leader(group));
    buf_printf(out, ",\"generation\":%" PRId32 ",\"coordinator\":%" PRId32, generation_of(cell), owner);
    put_known(out, ",\"state_since_ms\":", since_ms);
    put_known(out, ",\"state_age_ms\":",
              since_ms < 0             ? -1
              : now.wall_ms > since_ms ? now.wall_ms - since_ms
                                       : 0);
    put_known(out, ",\"phase_left_ms\":", group_phase_left_ms(group, now));
    const struct streams_plan *plan = cell->streams == NULL ? NULL : streams_plan_of(cell->streams);
    if (plan != NULL && plan->status != STREAMS_READY)
        put_text(out, ",\"not_ready\":", slice_str(plan->detail));
    if (cell->share != NULL)
        put_initializing(out, cell);
    buf_printf(out, ",\"member_list\":[");
}

// Whether the next member belongs into this piece; skip counts those of earlier ones. *full: it is for the
// next.
static bool due(struct walk *walk, size_t *skip, struct buf *out, bool *full)
{
    if (*skip > 0) {
        --*skip;
        return false;
    }
    *full = out->len >= PIECE_BYTES;
    if (*full)
        return false;
    buf_printf(out, "%s", comma(walk));
    walk->passed++;
    return true;
}

static bool put_classics(struct walk *walk, const struct shard_group *cell, struct group_now now,
                         struct buf *out)
{
    struct group_condition member;
    size_t skip = walk->passed;
    bool full = false;
    for (struct map_entry *at = NULL; !full && group_next_condition(cell->group, now, &at, &member);)
        if (due(walk, &skip, out, &full))
            put_member(out, &member, slice_is(group_protocol_type(cell->group), "consumer"));
    return !full;
}

static void put_parts(struct buf *out, const struct image *image, const struct parts *parts)
{
    buf_printf(out, ",\"assigned\":[");
    for (size_t from = 0, end; from < parts->count && out->len < ASSIGNED_BYTES; from = end) {
        const struct image_topic *topic = image_topic(image, parts->items[from].topic);
        end = parts_topic_end(parts, from);
        put_text(out, from > 0 ? ",{\"topic\":" : "{\"topic\":", slice_str(topic != NULL ? topic->name : ""));
        buf_printf(out, ",\"partitions\":[");
        for (size_t i = from; i < end && out->len < ASSIGNED_BYTES; i++)
            buf_printf(out, "%s%" PRId32, i > from ? "," : "", parts->items[i].index);
        buf_printf(out, "]}");
    }
    buf_printf(out, "],\"assigned_count\":%zu", parts->count);
}

static void put_consumer(struct buf *out, const struct walk *walk, const struct consumer_member_view *member)
{
    bool settled = parts_equal(member->assigned, member->target);
    put_text(out, "{\"member\":", member->id);
    put_text(out, ",\"instance\":", member->profile->instance_id);
    put_text(out, ",\"client\":", member->profile->client_id);
    put_text(out, ",\"host\":", member->profile->client_host);
    buf_printf(out, ",\"state\":\"%s\",\"epoch\":%" PRId32 ",\"heard_ms\":null",
               settled ? "stable" : "reconciling", member->epoch);
    put_parts(out, walk->coordinator->image, member->assigned);
    buf_printf(out, "}");
}

// Members of the protocol of KIP-848.
static bool put_consumers(struct walk *walk, const struct shard_group *cell, struct buf *out)
{
    struct consumer_member_view member;
    size_t skip = walk->passed;
    bool full = false;
    for (struct map_entry *at = NULL; !full && consumer_next_member(cell->consumer, &at, &member);)
        if (due(walk, &skip, out, &full))
            put_consumer(out, walk, &member);
    return !full;
}

static void put_tasks(struct buf *out, const struct streams_topology *topology, const char *role,
                      const struct parts *tasks)
{
    buf_printf(out, ",\"%s\":[", role);
    for (size_t i = 0; i < tasks->count && out->len < ASSIGNED_BYTES; i++) {
        int32_t place = streams_topology_find(topology, tasks->items[i].topic);
        put_text(out, i > 0 ? ",{\"subtopology\":" : "{\"subtopology\":",
                 streams_topology_value_of(topology)->subtopologies[place].subtopology_id);
        buf_printf(out, ",\"partition\":%" PRId32 "}", tasks->items[i].index);
    }
    buf_printf(out, "],\"%s_count\":%zu", role, tasks->count);
}

// The partitions of one topic that belong to tasks [from, end) of the subtopology that reads it.
static void put_read(struct buf *out, const struct image *image, struct slice name, const struct parts *tasks,
                     size_t from, size_t end)
{
    const struct image_topic *topic = image_topic_slice(image, name);
    const char *comma = "";
    put_text(out, "{\"topic\":", name);
    buf_printf(out, ",\"partitions\":[");
    for (size_t i = from; topic != NULL && i < end && out->len < ASSIGNED_BYTES; i++) {
        if ((size_t)tasks->items[i].index >= topic->partition_count)
            break;
        buf_printf(out, "%s%" PRId32, comma, tasks->items[i].index);
        comma = ",";
    }
    buf_printf(out, "]}");
}

// What active tasks read, as members of other groups have partitions.
static void put_all_read(struct buf *out, const struct image *image, const struct streams_topology *topology,
                         const struct parts *tasks)
{
    const char *comma = "";
    buf_printf(out, ",\"assigned\":[");
    for (size_t from = 0, end; from < tasks->count && out->len < ASSIGNED_BYTES; from = end) {
        int32_t place = streams_topology_find(topology, tasks->items[from].topic);
        const streams_subtopology *sub = &streams_topology_value_of(topology)->subtopologies[place];
        struct slice name;
        end = parts_topic_end(tasks, from);
        for (int32_t i = 0; streams_topic_read(sub, i, &name) && out->len < ASSIGNED_BYTES; i++) {
            buf_printf(out, "%s", comma);
            put_read(out, image, name, tasks, from, end);
            comma = ",";
        }
    }
    buf_printf(out, "]");
}

static void put_streams_member(struct buf *out, const struct image *image,
                               const struct streams_topology *topology,
                               const struct streams_member_view *member)
{
    const struct parts *active = &member->assigned->roles[STREAMS_ACTIVE];
    bool settled = streams_tasks_equal(member->assigned, member->target);
    put_text(out, "{\"member\":", member->id);
    put_text(out, ",\"process\":", member->profile->process_id);
    put_text(out, ",\"client\":", member->profile->client_id);
    put_text(out, ",\"host\":", member->profile->client_host);
    buf_printf(out, ",\"state\":\"%s\",\"epoch\":%" PRId32 ",\"heard_ms\":null",
               settled ? "stable" : "reconciling", member->epoch);
    put_all_read(out, image, topology, active);
    put_tasks(out, topology, "active", active);
    put_tasks(out, topology, "standby", &member->assigned->roles[STREAMS_STANDBY]);
    buf_printf(out, "}");
}

// Members of the protocol of KIP-1071.
static bool put_streams(struct walk *walk, const struct shard_group *cell, struct buf *out)
{
    struct streams_member_view member;
    size_t skip = walk->passed;
    bool full = false;
    for (struct map_entry *at = NULL; !full && streams_next_member(cell->streams, &at, &member);)
        if (due(walk, &skip, out, &full))
            put_streams_member(out, walk->coordinator->image, streams_topology_of(cell->streams), &member);
    return !full;
}

static void put_subscribed(struct buf *out, const struct consumer_profile *profile)
{
    buf_printf(out, ",\"subscribed\":[");
    for (int32_t i = 0; i < profile->topic_count && out->len < ASSIGNED_BYTES; i++)
        put_text(out, i > 0 ? "," : "", profile->topics[i]);
    buf_printf(out, "]");
}

// Members of a share group (KIP-932).
static bool put_shares(struct walk *walk, const struct shard_group *cell, struct buf *out)
{
    struct share_member_view member;
    size_t skip = walk->passed;
    bool full = false;
    for (struct map_entry *at = NULL; !full && share_group_next(cell->share, &at, &member);) {
        if (!due(walk, &skip, out, &full))
            continue;
        bool settled = member.epoch == share_group_epoch(cell->share);
        put_text(out, "{\"member\":", member.id);
        put_text(out, ",\"client\":", member.profile->client_id);
        put_text(out, ",\"host\":", member.profile->client_host);
        buf_printf(out, ",\"state\":\"%s\",\"epoch\":%" PRId32 ",\"heard_ms\":null",
                   settled ? "stable" : "reconciling", member.epoch);
        put_parts(out, walk->coordinator->image, member.assigned);
        put_subscribed(out, member.profile);
        buf_printf(out, "}");
    }
    return !full;
}

static enum http_next group_next(struct buf *out, void *context)
{
    struct walk *walk = context;
    const struct shard_group *cell = find(walk->coordinator, walk->group);
    if (cell == NULL) { // it went a moment ago
        buf_printf(out, walk->begun ? "]}\n" : "{\"member_list\":[]}\n");
        return HTTP_END;
    }
    struct group_now now = shard_now(cell->shard);
    if (!walk->begun)
        put_head(out, cell, now, walk->coordinator->node_id);
    walk->begun = true;
    bool whole = cell->streams != NULL    ? put_streams(walk, cell, out)
                 : cell->share != NULL    ? put_shares(walk, cell, out)
                 : cell->consumer != NULL ? put_consumers(walk, cell, out)
                                          : put_classics(walk, cell, now, out);
    buf_printf(out, whole ? "]}\n" : "");
    return whole ? HTTP_END : HTTP_MORE;
}

static void on_group(struct http_request *request, void *context)
{
    static const struct http_source source = {group_next, walk_end};
    if (find_or_refuse(context, request) != NULL)
        http_reply_stream(request, 200, JSON, &source, walk_new(context, http_param(request, "group")));
}

// ---- its lag ----

static void put_lag(struct buf *out, const struct lag_view *row, int64_t now_ms)
{
    put_text(out, "{\"topic\":", row->topic);
    buf_printf(out, ",\"partition\":%" PRId32 ",\"status\":\"%s\"", row->partition, status_name(row->status));
    put_known(out, ",\"committed\":", row->committed);
    put_known(out, ",\"commit_age_ms\":",
              row->commit_ms < 0        ? -1
              : now_ms > row->commit_ms ? now_ms - row->commit_ms
                                        : 0);
    put_known(out, ",\"start\":", row->start);
    put_known(out, ",\"end\":", row->end);
    put_known(out, ",\"stable_end\":", row->stable);
    put_known(out, ",\"lag\":", row->records);
    put_known(out, ",\"age_ms\":", row->age_ms);
    put_drain(out, row->drain_ms);
    put_rate(out, ",\"commit_rate\":", row->commit_rate);
    put_rate(out, ",\"produce_rate\":", row->produce_rate);
    if (row->commit_ms < 0) { // of a share group
        put_known(out, ",\"complete\":", row->complete);
        put_known(out, ",\"acquired\":", row->acquired);
        put_known(out, ",\"available\":", row->available);
    }
    buf_printf(out, "}");
}

static void on_measured(void *context)
{
    struct walk *walk = context;
    walk->waiting = false;
    http_stream_wake(walk->stream);
}

static void put_lag_head(struct buf *out, const struct shard_group *cell)
{
    put_group(out, cell);
    put_total(out, cell->lag);
    put_known(out, ",\"measured_ms\":", lag_measured_ms(cell->lag));
    buf_printf(out, ",\"left_out\":%zu,\"partitions\":[", lag_left_out(cell->lag));
}

static enum http_next lag_next_piece(struct buf *out, void *context)
{
    struct walk *walk = context;
    if (walk->waiting)
        return HTTP_WAIT;
    const struct shard_group *cell = find(walk->coordinator, walk->group);
    struct lag_view row;
    size_t skip = walk->passed;
    if (cell == NULL || cell->lag == NULL) {
        buf_printf(out, walk->begun ? "]}\n" : "{\"partitions\":[]}\n");
        return HTTP_END;
    }
    if (!walk->begun)
        put_lag_head(out, cell);
    walk->begun = true;
    for (struct map_entry *at = NULL; lag_next(cell->lag, &at, &row);) {
        if (skip > 0) {
            skip--;
            continue;
        }
        if (out->len >= PIECE_BYTES)
            return HTTP_MORE;
        buf_printf(out, "%s", comma(walk));
        put_lag(out, &row, shard_now(cell->shard).wall_ms);
        walk->passed++;
    }
    buf_printf(out, "]}\n");
    return HTTP_END;
}

static void on_lag(struct http_request *request, void *context)
{
    static const struct http_source source = {lag_next_piece, walk_end};
    struct coordinator *coordinator = context;
    struct shard_group *cell = find_or_refuse(coordinator, request);
    if (cell == NULL)
        return;
    struct walk *walk = walk_new(coordinator, http_param(request, "group"));
    walk->waiting = lag_look(coordinator->lag, cell, &walk->wait, on_measured, walk) == ST_AGAIN;
    walk->stream = http_reply_stream(request, 200, JSON, &source, walk);
}

// ---- a transaction ----

static void put_markers(struct buf *out, const char *before, const struct txn_partitions *partitions)
{
    struct slice name;
    const struct txn_topic *topic;
    int count = 0;
    buf_printf(out, "%s[", before);
    for (struct map_entry *at = NULL; txn_partitions_next(partitions, &at, &name, &topic);)
        for (int32_t i = 0; i < topic->count && count < MARKERS_MAX; i++) {
            put_text(out, count++ > 0 ? ",{\"topic\":" : "{\"topic\":", name);
            buf_printf(out, ",\"partition\":%" PRId32 "}", topic->partitions[i]);
        }
    buf_printf(out, "]");
}

static void put_txn(struct buf *out, const struct txn_cell *cell, int64_t now_ms)
{
    const struct txn_head *head = &cell->head;
    bool open = head->state == TXN_ONGOING;
    put_text(out, "{\"transactional_id\":", block_slice(cell->id));
    buf_printf(out, ",\"state\":\"%s\",\"producer_id\":%" PRId64 ",\"epoch\":%d,\"timeout_ms\":%" PRId32,
               txn_state_text(head->state), head->producer_id, head->epoch, head->timeout_ms);
    put_known(out, ",\"age_ms\":", head->started_ms < 0 ? -1 : now_ms - head->started_ms);
    put_known(out, ",\"state_age_ms\":", now_ms - head->updated_ms);
    int64_t left_ms = head->started_ms + head->timeout_ms - now_ms;
    put_known(out, ",\"times_out_in_ms\":", !open ? -1 : left_ms > 0 ? left_ms : 0);
    put_markers(out, ",\"partitions\":", &cell->partitions);
    put_markers(out, ",\"without_marker\":", &cell->marking.open);
    buf_printf(out, "}\n");
}

static void on_txn(struct http_request *request, void *context)
{
    struct coordinator *coordinator = context;
    const char *id = http_param(request, "id");
    const struct txn_shard *shard = coordinator_txn_shard_of(coordinator, slice_str(id));
    bool ready = shard != NULL && txn_shard_ready(shard);
    if (!owned(coordinator, request, SHARD_TOPIC_TRANSACTIONS, id, ready))
        return;
    const struct txn_cell *cell = txn_shard_find(shard, slice_str(id));
    if (cell == NULL) {
        http_reply_error(request, 404, "there is no such transactional id");
        return;
    }
    struct buf out;
    buf_init(&out, 16 << 20);
    put_txn(&out, cell, txn_shard_wall_ms(shard));
    http_reply(request, 200, JSON, buf_slice(&out));
    buf_fini(&out);
}

const struct http_route coordinator_routes[] = {
    {"GET", "/v1/groups", on_list},
    {"GET", "/v1/groups/{group}", on_group},
    {"GET", "/v1/groups/{group}/lag", on_lag},
    {"GET", "/v1/transactions/{id}", on_txn},
};
const size_t coordinator_route_count = sizeof coordinator_routes / sizeof *coordinator_routes;
