// SPDX-License-Identifier: Apache-2.0
// See tail.h. One LedgerRead at a time, at whoever leads the partition in the image; a failure is tried again
// with a pause that doubles, a new leader at once.
#include "ledger/tail.h"

#include "base/mem.h"
#include "ledger/ledger_loads.h"
#include "ledger/records.h"
#include "protos/storage.pb-c.h"

#include <string.h>

enum { READ_MARGIN_MS = 3000 };

struct ledger_tail {
    struct ledger_tail_config config;
    char *topic;
    int64_t position; // -1: the log's start
    int64_t told;     // position at the last on_progress
    bool ready;
    struct block *bytes; // of a read that is being applied; NULL: none
    struct ledger_records records;
    int64_t high_watermark; // as of that read
    struct rpc_peer *peer;
    struct timer again;
    int retry_ms;
    struct image_listener listener;
};

static void read_on(struct ledger_tail *tail);
static void forget_bytes(struct ledger_tail *tail);

static void read_later(struct ledger_tail *tail)
{
    forget_bytes(tail);
    rpc_cancel(tail->config.rpc, tail);
    timer_start_ms(tail->config.env, &tail->again, tail->retry_ms);
    tail->retry_ms *= 2;
    if (tail->retry_ms > TAIL_RETRY_MS_MAX)
        tail->retry_ms = TAIL_RETRY_MS_MAX;
}

static void start_over(struct ledger_tail *tail, const char *why)
{
    DIAG_WARN(&tail->config.env->diag, "ledger is read anew topic=%s partition=%d why=\"%s\"", tail->topic,
              tail->config.partition, why);
    tail->ready = false;
    tail->position = -1;
    tail->told = 0;
    tail->config.ops->reset(tail->config.context);
    read_later(tail);
}

static void caught_up(struct ledger_tail *tail)
{
    if (tail->ready)
        return;
    tail->ready = true;
    tail->config.ops->ready(tail->config.context);
}

static void forget_bytes(struct ledger_tail *tail)
{
    ledger_records_clear(&tail->records);
    block_unref(&tail->bytes);
}

static void all_applied(struct ledger_tail *tail)
{
    forget_bytes(tail);
    tail->retry_ms = TAIL_RETRY_MS_MIN;
    if (tail->position >= tail->high_watermark)
        caught_up(tail);
    if (tail->config.on_progress != NULL && tail->position > tail->told) {
        tail->told = tail->position;
        tail->config.on_progress(tail->config.context);
    }
    read_on(tail);
}

// Applies what a read has brought, a slice of a turn at a time.
static void apply_slice(struct ledger_tail *tail)
{
    int64_t end_us = env_now_us(tail->config.env) + TAIL_SLICE_US;
    enum status status = ST_OK;
    for (int i = 0; status == ST_OK && ledger_records_left(&tail->records); i++) {
        if (i >= LEDGER_SLICE_RECORDS || env_now_us(tail->config.env) >= end_us) {
            timer_start_us(tail->config.env, &tail->again, 0);
            return;
        }
        status = ledger_records_next(&tail->records);
    }
    if (status == ST_OK) {
        all_applied(tail);
        return;
    }
    tail->retry_ms = TAIL_RETRY_MS_MAX;
    start_over(tail, status_text(status));
}

static void read_answered(struct ledger_tail *tail, const Millrace__LedgerReadReply *reply,
                          struct block *bytes)
{
    if (tail->position < reply->log_start)
        tail->position = reply->log_start;
    tail->high_watermark = reply->high_watermark;
    if (bytes != NULL) {
        tail->bytes = block_ref(bytes);
        ledger_records_begin(&tail->records, block_slice(bytes));
    }
    apply_slice(tail);
}

static void on_read(const Millrace__LedgerReadReply *reply, void *context)
{
    struct ledger_tail *tail = context;
    const struct rpc_result *result = rpc_result(tail->config.rpc);
    if (reply == NULL && result->status == ST_OUT_OF_RANGE) {
        start_over(tail, "the log has lost what was to be read");
        return;
    }
    if (reply == NULL) {
        read_later(tail);
        return;
    }
    read_answered(tail, reply, result->payload_count > 0 ? result->payload[0] : NULL);
}

static const struct image_partition *partition_of(const struct ledger_tail *tail)
{
    const struct image_topic *topic = image_topic_named(tail->config.image, tail->topic);
    return topic == NULL ? NULL : image_topic_partition(topic, tail->config.partition);
}

// The present leader as tail->peer; false when there is none.
static bool find_leader(struct ledger_tail *tail)
{
    const struct image_partition *partition = partition_of(tail);
    const struct image_node *leader =
        partition == NULL ? NULL : image_node(tail->config.image, partition->leader);
    if (leader == NULL)
        return false;
    struct rpc_peer *former = tail->peer; // released last: it may be the same one
    tail->peer = rpc_peer(tail->config.rpc, leader->rpc_endpoint, (struct rpc_node){RPC_STORAGE, leader->id});
    if (former != NULL)
        rpc_peer_release(&former);
    return true;
}

static void read_on(struct ledger_tail *tail)
{
    struct rpc_options options = {.deadline_ms = TAIL_WAIT_MS + READ_MARGIN_MS};
    Millrace__LedgerReadRequest request = MILLRACE__LEDGER_READ_REQUEST__INIT;
    if (!find_leader(tail)) {
        read_later(tail);
        return;
    }
    request.topic = tail->topic;
    request.partition = tail->config.partition;
    request.owner_epoch = -1;
    request.offset = tail->position;
    request.max_bytes = LEDGER_READ_BYTES_MAX;
    request.has_max_wait_ms = true;
    request.max_wait_ms = tail->ready ? TAIL_WAIT_MS : 0;
    millrace__storage__ledger_read(rpc_on(tail->peer, &millrace__storage__descriptor, &options), &request,
                                   on_read, tail);
}

static void on_again(struct timer *timer)
{
    struct ledger_tail *tail = timer->context;
    if (tail->bytes != NULL)
        apply_slice(tail);
    else
        read_on(tail);
}

static void read_at_once(struct ledger_tail *tail)
{
    forget_bytes(tail);
    rpc_cancel(tail->config.rpc, tail);
    tail->retry_ms = TAIL_RETRY_MS_MIN;
    timer_start_ms(tail->config.env, &tail->again, 0);
}

static void on_partition(void *context, const struct image_topic *topic, const struct image_partition *before,
                         const struct image_partition *after)
{
    struct ledger_tail *tail = context;
    if (after == NULL || after->index != tail->config.partition || strcmp(topic->name, tail->topic) != 0)
        return;
    if (before == NULL || before->leader_epoch != after->leader_epoch || before->leader != after->leader)
        read_at_once(tail);
}

// A sole replica leads on in the same epoch when its node is back.
static void on_node(void *context, const struct image_node *before, const struct image_node *after)
{
    struct ledger_tail *tail = context;
    const struct image_partition *partition = partition_of(tail);
    bool came = image_node_live(after, MILLRACE__ROLE__ROLE_STORAGE) &&
                !image_node_live(before, MILLRACE__ROLE__ROLE_STORAGE);
    if (came && partition != NULL && partition->leader == after->id)
        read_at_once(tail);
}

struct ledger_tail *ledger_tail_new(const struct ledger_tail_config *config)
{
    struct ledger_tail *tail = mem_calloc(1, sizeof *tail);
    tail->config = *config;
    tail->topic = mem_strdup(config->topic);
    tail->position = config->position > 0 ? config->position : -1;
    tail->told = config->position;
    tail->retry_ms = TAIL_RETRY_MS_MIN;
    ledger_records_init(&tail->records, config->ops, config->context, &tail->position);
    timer_init(&tail->again, on_again, tail);
    tail->listener =
        (struct image_listener){.context = tail, .on_partition = on_partition, .on_node = on_node};
    image_listen(config->image, &tail->listener);
    timer_start_ms(config->env, &tail->again, 0);
    return tail;
}

void ledger_tail_destroy(struct ledger_tail **pointer)
{
    struct ledger_tail *tail = *pointer;
    *pointer = NULL;
    if (tail == NULL)
        return;
    image_unlisten(tail->config.image, &tail->listener);
    rpc_cancel(tail->config.rpc, tail);
    timer_stop(tail->config.env, &tail->again);
    forget_bytes(tail);
    ledger_records_fini(&tail->records);
    if (tail->peer != NULL)
        rpc_peer_release(&tail->peer);
    mem_free(tail->topic);
    mem_free(tail);
}

bool ledger_tail_ready(const struct ledger_tail *tail)
{
    return tail->ready;
}

int64_t ledger_tail_position(const struct ledger_tail *tail)
{
    return tail->position < 0 ? 0 : tail->position;
}
