// SPDX-License-Identifier: Apache-2.0
// See share_round.h. A round is made of passes: what has no answer yet is put together by shard and sent;
// what failed for now is asked again after a pause, until the time is up.
#include "share_round.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/authorise.h"
#include "cluster/shard.h"
#include "kafka/api.h"
#include "kafka/errors.h"
#include "protos/coordinator.pb-c.h"
#include "share_question.h"

#include <stdlib.h>

enum { CALL_MS = 5000, RETRY_MS = 50, NEED_MS = 2000, NAME_BYTES_MAX = 40000, CALL_PARTS_MAX = 1000 };

// One request under way.
struct round_call {
    struct share_round *round;
    size_t from, count; // of the round's order
    struct round_call *next;
};

struct share_round {
    struct share_round_options options;
    struct block *group;
    struct share_round_item *items;
    size_t count;
    struct round_place {
        size_t item;
        int32_t shard;
    } * order; // what this pass asks, together by shard
    size_t asked;
    struct round_call *calls;
    int64_t deadline_us;
    struct timer timer;
};

static void begin_pass(struct share_round *round);

// ---- the end ----

static void round_free(struct share_round *round)
{
    struct share_peers *peers = round->options.peers;
    timer_stop(peers->env, &round->timer);
    while (round->calls != NULL) {
        struct round_call *call = round->calls;
        round->calls = call->next;
        rpc_cancel(peers->rpc, call);
        mem_free(call);
    }
    block_unref(&round->group);
    mem_free(round->items);
    mem_free(round->order);
    mem_free(round);
}

size_t share_round_count(const struct share_round *round)
{
    return round->count;
}

void share_round_cancel(struct share_round **pointer)
{
    if (*pointer != NULL)
        round_free(*pointer);
    *pointer = NULL;
}

bool share_round_open(const struct share_round_item *item)
{
    return item->error == KAFKA_ERR_COORDINATOR_NOT_AVAILABLE || item->error == KAFKA_ERR_NOT_COORDINATOR ||
           item->error == KAFKA_ERR_COORDINATOR_LOAD_IN_PROGRESS ||
           item->error == KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION; // its image may be behind ours
}

bool share_round_told(const struct share_round_item *item)
{
    return item->error == KAFKA_ERR_NONE || item->error == KAFKA_ERR_FENCED_STATE_EPOCH;
}

static void pass_ended(struct share_round *round)
{
    struct env *env = round->options.peers->env;
    bool open = false, told = false;
    for (size_t i = 0; i < round->count; i++) {
        open = open || share_round_open(&round->items[i]);
        told = told || share_round_told(&round->items[i]);
    }
    if (open && !(told && round->options.partly) && env_now_us(env) + RETRY_MS * 1000 < round->deadline_us) {
        timer_start_ms(env, &round->timer, RETRY_MS);
        return;
    }
    struct share_round_item *items = round->items;
    size_t count = round->count;
    share_round_fn *done = round->options.done;
    void *context = round->options.context;
    round->items = NULL;
    round_free(round);
    done(context, items, count);
    mem_free(items);
}

static void on_timer(struct timer *timer)
{
    begin_pass(timer->context);
}

// ---- a request ----

static void on_reply(const Millrace__RelayReply *reply, void *context)
{
    struct round_call *call = context;
    struct share_round *round = call->round;
    const struct rpc_result *result = rpc_result(round->options.peers->rpc);
    if (reply != NULL && result->payload_count > 0)
        share_question_answers(round->options.question, block_slice(result->payload[0]), round->items,
                               round->count);
    struct round_call **at = &round->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    mem_free(call);
    if (round->calls == NULL && result->status != ST_CLOSED)
        pass_ended(round);
}

static struct block *frame_of(const struct share_round *round, size_t from, size_t count)
{
    struct share_round_item *items = mem_calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = round->items[round->order[from + i].item];
    struct share_asked asked = {.question = round->options.question,
                                .group = block_slice(round->group),
                                .state_epoch = round->options.state_epoch,
                                .items = items,
                                .count = count};
    struct block *frame = share_question_frame(&asked);
    mem_free(items);
    return frame;
}

static void send(struct share_round *round, const struct image_node *owner, size_t from, size_t count)
{
    struct share_peers *peers = round->options.peers;
    struct block *frame = frame_of(round, from, count);
    if (frame == NULL)
        return; // asked again
    struct round_call *call = mem_calloc(1, sizeof *call);
    *call = (struct round_call){.round = round, .from = from, .count = count, .next = round->calls};
    round->calls = call;
    Millrace__RelayRequest request = MILLRACE__RELAY_REQUEST__INIT;
    request.principal = (char *)(uintptr_t)PRINCIPAL_ANONYMOUS;
    request.listener = request.client_host = (char *)(uintptr_t) "";
    struct rpc_options options = {.deadline_ms = CALL_MS, .payload = &frame, .payload_count = 1};
    millrace__coordinator__relay(rpc_on(contacts_to(peers->coordinators, owner, RPC_COORDINATOR),
                                        &millrace__coordinator__descriptor, &options),
                                 &request, on_reply, call);
    block_unref(&frame);
}

// ---- a pass ----

static void on_needed(void *context, enum status status, const ProtobufCMessage *reply, struct slice payload,
                      const char *text)
{
    ((struct share_peers *)context)->needed = NULL;
}

static void need_topic(struct share_peers *peers)
{
    if (peers->needed != NULL || image_topic_named(peers->image, SHARD_TOPIC_SHARE) != NULL)
        return;
    Millrace__NeedTopicRequest request = MILLRACE__NEED_TOPIC_REQUEST__INIT;
    request.name = (char *)(uintptr_t)SHARD_TOPIC_SHARE;
    struct controllers_call call = {.method = "NeedTopic",
                                    .request = &request.base,
                                    .timeout_ms = NEED_MS,
                                    .idempotent = true,
                                    .done = on_needed,
                                    .context = peers};
    peers->needed = controllers_invoke(peers->controllers, &call);
}

void share_peers_fini(struct share_peers *peers)
{
    if (peers->needed != NULL)
        controllers_cancel(peers->controllers, &peers->needed);
}

int32_t share_round_shard(const struct image *image, struct slice group, const struct parts_item *part)
{
    struct buf name;
    const struct image_shard *shard = NULL;
    buf_init(&name, NAME_BYTES_MAX);
    if (shard_share_key(group, part->topic, part->index, &name) == ST_OK)
        shard = shard_of_key(image, SHARD_TOPIC_SHARE, buf_slice(&name));
    buf_fini(&name);
    return shard != NULL ? shard->shard : -1;
}

static int by_shard(const void *left, const void *right)
{
    const struct round_place *a = left, *b = right;
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    return (a->item > b->item) - (a->item < b->item); // partitions of a topic stay together
}

static const struct image_node *owner_of(const struct share_round *round, int32_t index)
{
    const struct image *image = round->options.peers->image;
    const struct image_shard *shard = index < 0 ? NULL : image_shard(image, SHARD_TOPIC_SHARE, index);
    const struct image_node *node =
        shard == NULL || shard->owner < 0 ? NULL : image_node(image, shard->owner);
    return image_node_live(node, MILLRACE__ROLE__ROLE_COORDINATOR) ? node : NULL;
}

static void begin_pass(struct share_round *round)
{
    const struct image *image = round->options.peers->image;
    round->asked = 0;
    for (size_t i = 0; i < round->count; i++)
        if (share_round_open(&round->items[i]))
            round->order[round->asked++] = (struct round_place){
                i, share_round_shard(image, block_slice(round->group), &round->items[i].part)};
    qsort(round->order, round->asked, sizeof *round->order, by_shard);
    need_topic(round->options.peers);
    for (size_t at = 0; at < round->asked;) {
        size_t end = at;
        while (end < round->asked && end - at < CALL_PARTS_MAX &&
               round->order[end].shard == round->order[at].shard)
            end++;
        const struct image_node *owner = owner_of(round, round->order[at].shard);
        if (owner != NULL)
            send(round, owner, at, end - at);
        at = end;
    }
    if (round->calls == NULL)
        pass_ended(round);
}

struct share_round *share_round_begin(const struct share_round_options *options,
                                      const struct share_round_item *items, size_t count)
{
    struct share_round *round = mem_calloc(1, sizeof *round);
    struct env *env = options->peers->env;
    round->options = *options;
    round->group = block_copy(options->group);
    ASSERT(round->group != NULL); // a group id is at most 32 KiB
    round->items = mem_calloc(count + 1, sizeof *items);
    round->order = mem_calloc(count + 1, sizeof *round->order);
    round->count = count;
    for (size_t i = 0; i < count; i++) {
        round->items[i] = items[i];
        round->items[i].error = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    }
    round->deadline_us = env_now_us(env) + options->timeout_ms * 1000;
    timer_init(&round->timer, on_timer, round);
    timer_start_us(env, &round->timer, 0);
    return round;
}
