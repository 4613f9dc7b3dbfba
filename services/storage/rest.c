// SPDX-License-Identifier: Apache-2.0
// See rest.h.
#include "rest.h"

#include "http/json.h"
#include "pace.h"
#include "partitions_state.h"
#include "refusal_past.h"
#include "request.h"
#include "share_groups.h"
#include "storage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MAX = 64 << 10,
    SHARES_MAX = 1 << 20, // bytes of the share partitions of a group; what comes behind is left out
    HOLDERS_MAX = 5
};

#define FOLLOWER_RATE "follower.replication.throttled.rate"

// Bytes per second, the lowest of what paces the follower; -1: nothing does.
static int64_t pace_rate(const struct replica *replica, const struct partition_replica *follower, int why)
{
    const struct partitions *partitions = replica->partitions;
    const char *text =
        image_node_config(partitions->options.image, follower->node, FOLLOWER_RATE, NULL, NULL);
    int64_t rate = INT64_MAX;
    if (why & PACE_LEADER)
        rate = partitions->pace.leader.rate;
    if ((why & PACE_BALANCER) && partitions->pace.balancer.rate < rate)
        rate = partitions->pace.balancer.rate;
    if ((why & PACE_FOLLOWER) && text != NULL && strtoll(text, NULL, 10) < rate)
        rate = strtoll(text, NULL, 10);
    return rate == INT64_MAX ? -1 : rate;
}

static void put_or_null(struct buf *out, const char *before, int64_t value)
{
    if (value >= 0)
        buf_printf(out, "%s%" PRId64, before, value);
    else
        buf_printf(out, "%snull", before);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void put_follower(struct buf *out, struct replica *replica, const struct partition_replica *follower)
{
    int64_t now_us = env_now_us(replica->partitions->options.env);
    bool self = follower->node == replica->state.self;
    bool heard = !self && follower->heard_us > 0;
    int64_t flushed = self ? replica->state.flushed : follower->flushed;
    int64_t behind = flushed < 0 ? -1 : replica->state.log_end - flushed;
    buf_printf(out, "{\"node\":%" PRId32 ",\"in_isr\":%s,\"fenced\":%s,\"failed\":%s,\"adding\":%s",
               follower->node, truth(follower->in_isr), truth(follower->fenced), truth(follower->failed),
               truth(follower->adding));
    put_or_null(out, ",\"flushed\":", flushed);
    put_or_null(out, ",\"behind\":", behind);
    put_or_null(out, ",\"heard_ms\":", heard ? (now_us - follower->heard_us) / 1000 : -1);
    put_or_null(out,
                ",\"throttle\":", self ? -1 : pace_rate(replica, follower, pace_of(replica, follower->node)));
    buf_printf(out, "}");
}

static void put_log(struct buf *out, const struct replica *replica)
{
    enum status status = replica->log == NULL ? ST_LOADING : log_status(replica->log);
    const char *text = replica->missing                                 ? "its directory is missing"
                       : replica->log != NULL && log_lost(replica->log) ? "its records are lost"
                                                                        : status_text(status);
    buf_printf(out, ",\"log\":\"%s\",\"damaged\":%s", text, truth(replica->damaged_at >= 0));
}

// Records refused for their schema, and for how long no registry has answered about it.
static void put_refused(struct buf *out, const struct refusal_past *past, int64_t now_us)
{
    buf_printf(out, ",\"schemas\":{\"refused\":%" PRId64, past->records);
    put_or_null(out, ",\"refused_ms\":", past->refused_us >= 0 ? (now_us - past->refused_us) / 1000 : -1);
    put_or_null(out, ",\"unanswered_ms\":", past->silent_us >= 0 ? (now_us - past->silent_us) / 1000 : -1);
    buf_printf(out, ",\"why\":");
    json_put_string(out, slice_str(past->why != NULL ? past->why : ""));
    buf_printf(out, "}");
}

static void put_replica(struct buf *out, struct replica *replica)
{
    static const char *const roles[] = {"offline", "follower", "leader"};
    const struct partition *state = &replica->state;
    buf_printf(out, "{\"topic\":");
    json_put_string(out, slice_str(replica->topic));
    buf_printf(out, ",\"partition\":%" PRId32 ",\"node\":%" PRId32 ",\"role\":\"%s\",\"leader\":%" PRId32,
               replica->index, state->self, roles[state->role], state->leader);
    buf_printf(out,
               ",\"leader_epoch\":%" PRId32 ",\"start\":%" PRId64 ",\"watermark\":%" PRId64
               ",\"end\":%" PRId64 ",\"flushed\":%" PRId64 ",\"isr\":%d,\"isr_needed\":%d",
               state->leader_epoch, state->log_start, state->high_watermark, state->log_end, state->flushed,
               partition_isr_size(state), partition_isr_needed(state));
    put_log(out, replica);
    if (state->role == PARTITION_LEADER && replica->refused != NULL)
        put_refused(out, replica->refused, env_now_us(replica->partitions->options.env));
    buf_printf(out, ",\"replicas\":[");
    for (int i = 0; state->role == PARTITION_LEADER && i < state->replica_count; i++) {
        buf_printf(out, i > 0 ? "," : "");
        put_follower(out, replica, &state->replicas[i]);
    }
    buf_printf(out, "]}\n");
}

static void on_partition(struct http_request *request, void *context)
{
    struct partitions *partitions = storage_partitions(context);
    const char *number = http_param(request, "partition");
    char *end;
    long index = strtol(number, &end, 10);
    bool good = partitions != NULL && *number != '\0' && *end == '\0' && index >= 0 && index <= INT32_MAX;
    struct replica *replica =
        good ? partitions_find_named(partitions, slice_str(http_param(request, "topic")), (int32_t)index)
             : NULL;
    if (replica == NULL) {
        http_reply_error(request, 404, "this node has no such replica");
        return;
    }
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    put_replica(&out, replica);
    http_reply(request, 200, "application/json", buf_slice(&out));
    buf_fini(&out);
}

// ---- share groups (KIP-932) ----

// Who holds records of a share partition.
struct holder {
    const struct share_member *member;
    int64_t records, first;
    int64_t deadline_ms; // the last of its locks ends
    int16_t deliveries;  // most of one record
};

static struct holder *holder_of(struct holder *holders, int *count, const struct share_run *run)
{
    for (int i = 0; i < *count; i++)
        if (holders[i].member == run->member)
            return &holders[i];
    if (*count == HOLDERS_MAX)
        return NULL;
    holders[*count] = (struct holder){.member = run->member, .first = run->first};
    return &holders[(*count)++];
}

static void put_holders(struct buf *out, const struct share_partition *partition, int64_t now_ms)
{
    struct holder holders[HOLDERS_MAX];
    int count = 0;
    for (const struct share_run *run = partition->runs.head; run != NULL; run = run->next) {
        struct holder *holder = run->member != NULL ? holder_of(holders, &count, run) : NULL;
        if (holder == NULL)
            continue;
        holder->records += run->last - run->first + 1;
        holder->deadline_ms = run->deadline_ms > holder->deadline_ms ? run->deadline_ms : holder->deadline_ms;
        holder->deliveries =
            run->fate.deliveries > holder->deliveries ? run->fate.deliveries : holder->deliveries;
    }
    buf_printf(out, ",\"holders\":[");
    for (int i = 0; i < count; i++) {
        buf_printf(out, i > 0 ? ",{\"member\":" : "{\"member\":");
        json_put_string(out, holders[i].member->id);
        buf_printf(out,
                   ",\"first\":%" PRId64 ",\"records\":%" PRId64
                   ",\"deliveries\":%d,\"lock_left_ms\":%" PRId64 "}",
                   holders[i].first, holders[i].records, holders[i].deliveries,
                   holders[i].deadline_ms > now_ms ? holders[i].deadline_ms - now_ms : 0);
    }
    buf_printf(out, "]");
}

// Records that are delivered for the last time, or were.
static int64_t last_deliveries(const struct share_partition *partition)
{
    int64_t count = 0;
    for (const struct share_run *run = partition->runs.head; run != NULL; run = run->next)
        if (!share_state_over(run->fate.state) && run->fate.deliveries >= partition->limits.deliveries_max)
            count += run->last - run->first + 1;
    return count;
}

static void put_ready(struct buf *out, const struct share_served *served, int64_t now_ms)
{
    const struct share_partition *partition = &served->partition;
    buf_printf(out,
               ",\"start\":%" PRId64 ",\"end\":%" PRId64 ",\"acquired\":%" PRId64 ",\"available\":%" PRId64
               ",\"locks_max\":%" PRId32 ",\"delivery_limit\":%d,\"last_deliveries\":%" PRId64,
               partition->start, partition->end, partition->runs.acquired, partition->runs.available,
               partition->limits.locks_max, partition->limits.deliveries_max, last_deliveries(partition));
    put_holders(out, partition, now_ms);
}

static void put_served(struct buf *out, const struct storage *storage, const struct share_served *served)
{
    static const char *const states[] = {"reading", "seeking", "starting", "ready"};
    const struct image_topic *topic = image_topic(storage_image(storage), served->topic);
    int64_t now_us = env_now_us(storage_env(storage));
    bool troubled = served->dead_trouble != NULL;
    buf_printf(out, "{\"topic\":");
    json_put_string(out, slice_str(topic != NULL ? topic->name : ""));
    buf_printf(out, ",\"partition\":%" PRId32 ",\"state\":\"%s\"", served->index, states[served->state]);
    put_or_null(out, ",\"unanswered_ms\":", served->relay != NULL ? (now_us - served->asked_us) / 1000 : -1);
    if (served->state == SHARE_READY)
        put_ready(out, served, now_us / 1000);
    buf_printf(out, ",\"dead_letters_trouble\":");
    json_put_string(out, slice_str(troubled ? served->dead_trouble : ""));
    put_or_null(out, ",\"dead_letters_tried_ms\":", troubled ? (now_us - served->dead_tried_us) / 1000 : -1);
    buf_printf(out, "}");
}

static void on_share_group(struct http_request *request, void *context)
{
    const struct storage *storage = context;
    const struct share_groups *groups = storage_share_groups(storage);
    const char *name = http_param(request, "group");
    const struct share_served *served;
    const char *comma = "";
    struct buf out;
    buf_init(&out, SHARES_MAX + ANSWER_MAX);
    buf_printf(&out, "{\"partitions\":[");
    for (struct map_entry *at = NULL;
         groups != NULL && out.len < SHARES_MAX && (served = share_groups_next(groups, &at)) != NULL;) {
        if (strcmp(served->group, name) != 0)
            continue;
        buf_printf(&out, "%s\n  ", comma);
        put_served(&out, storage, served);
        comma = ",";
    }
    buf_printf(&out, "]}\n");
    http_reply(request, 200, "application/json", buf_slice(&out));
    buf_fini(&out);
}

const struct http_route storage_routes[] = {{"GET", "/v1/partitions/{topic}/{partition}", on_partition},
                                            {"GET", "/v1/share-groups/{group}", on_share_group}};
const size_t storage_route_count = sizeof storage_routes / sizeof *storage_routes;
