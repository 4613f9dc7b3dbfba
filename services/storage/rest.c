// SPDX-License-Identifier: Apache-2.0
// See rest.h.
#include "rest.h"

#include "http/json.h"
#include "pace.h"
#include "partitions_state.h"
#include "request.h"
#include "storage.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ANSWER_MAX = 64 << 10 };

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

const struct http_route storage_routes[] = {{"GET", "/v1/partitions/{topic}/{partition}", on_partition}};
const size_t storage_route_count = sizeof storage_routes / sizeof *storage_routes;
