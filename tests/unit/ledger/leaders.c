// SPDX-License-Identifier: Apache-2.0
// See leaders.h.
#include "leaders.h"

#include "base/mem.h"
#include "kafka/batch.h"
#include "rpc/zmq.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static struct leader *leader_of(Millrace__Storage_Service *service)
{
    return (struct leader *)service;
}

static bool leads(const struct leader *node, struct rpc_call *call)
{
    if (node->all->leader_epoch % 2 + 1 == node->node)
        return true;
    rpc_fail(call, ST_NOT_LEADER, "not here");
    return false;
}

static bool fenced(struct leader *node, int32_t owner_epoch, struct rpc_call *call)
{
    if (owner_epoch < node->all->owner_epoch) {
        rpc_fail(call, ST_STALE, "a newer owner");
        return true;
    }
    node->all->owner_epoch = owner_epoch;
    return false;
}

static void serve_ledger_open(Millrace__Storage_Service *service, const Millrace__LedgerOpenRequest *request,
                              Millrace__LedgerOpenReply_Closure closure, void *call)
{
    struct leader *node = leader_of(service);
    node->opens++;
    if (!leads(node, call) || fenced(node, request->owner_epoch, call))
        return;
    Millrace__LedgerOpenReply reply = MILLRACE__LEDGER_OPEN_REPLY__INIT;
    reply.leader_epoch = node->all->leader_epoch;
    reply.log_start = 0;
    reply.log_end = node->all->log_end;
    closure(&reply, call);
}

static void take_batch(struct leaders *all, struct block *bytes)
{
    struct batch_header header;
    cr_assert_eq(batch_parse(block_slice(bytes), &header), ST_OK);
    cr_assert_lt(all->batches, LOG_MAX);
    struct block *copy = block_copy(block_slice(bytes));
    batch_set_base_offset(copy->data, all->log_end);
    all->base[all->batches] = all->log_end;
    all->log[all->batches++] = copy;
    all->log_end += header.last_offset_delta + 1;
}

static void answer_append(struct leaders *all, int64_t base, Millrace__LedgerAppendReply_Closure closure,
                          struct rpc_call *call)
{
    Millrace__LedgerAppendReply reply = MILLRACE__LEDGER_APPEND_REPLY__INIT;
    reply.base_offset = base;
    reply.high_watermark = all->log_end;
    closure(&reply, call);
}

static void serve_ledger_append(Millrace__Storage_Service *service,
                                const Millrace__LedgerAppendRequest *request,
                                Millrace__LedgerAppendReply_Closure closure, void *call)
{
    struct leader *node = leader_of(service);
    struct leaders *all = node->all;
    enum append_mode mode = all->mode;
    node->appends++;
    if (!leads(node, call) || fenced(node, request->owner_epoch, call))
        return;
    if (request->expected_base != all->log_end || request->leader_epoch != all->leader_epoch) {
        rpc_fail(call, ST_OUT_OF_RANGE, "the log does not end there");
        return;
    }
    all->mode = APPEND_OK;
    if (mode != APPEND_REFUSED)
        take_batch(all, rpc_call_payload(call));
    if (mode == APPEND_REFUSED || mode == APPEND_UNKNOWN) {
        rpc_fail(call, ST_TIMEOUT, "who knows");
    } else if (mode == APPEND_HELD) {
        all->held = call;
        all->held_closure = closure;
        all->held_base = request->expected_base;
    } else {
        answer_append(all, request->expected_base, closure, call);
    }
}

static void serve_ledger_read(Millrace__Storage_Service *service, const Millrace__LedgerReadRequest *request,
                              Millrace__LedgerReadReply_Closure closure, void *call)
{
    struct leader *node = leader_of(service);
    struct leaders *all = node->all;
    node->reads++;
    if (!leads(node, call) || (request->owner_epoch >= 0 && fenced(node, request->owner_epoch, call)))
        return;
    if (request->offset > all->log_end) {
        rpc_fail(call, ST_OUT_OF_RANGE, "the log ends before that offset");
        return;
    }
    all->waiting_reads += request->max_wait_ms > 0;
    int committed = all->batches - (int)all->high_watermark_lag;
    Millrace__LedgerReadReply reply = MILLRACE__LEDGER_READ_REPLY__INIT;
    reply.high_watermark = committed == all->batches ? all->log_end : all->base[committed];
    reply.log_end = all->log_end;
    reply.leader_epoch = all->leader_epoch;
    for (int i = 0; i < committed; i++) {
        if ((i + 1 < all->batches ? all->base[i + 1] : all->log_end) <= request->offset)
            continue;
        rpc_reply_payload(call, &all->log[i], 1); // one batch per read: loading takes several
        break;
    }
    closure(&reply, call);
}

// ---- the owner ----

static char *text_of(struct slice slice)
{
    return mem_strndup((const char *)slice.data, slice.len);
}

static void owner_apply(void *context, int64_t timestamp_ms, struct slice key, struct slice value)
{
    struct leaders *all = context;
    all->applied++;
    cr_assert_gt(timestamp_ms, 0);
    if (all->apply_us > 0)
        usleep((useconds_t)all->apply_us);
    mem_free(value.data == NULL ? map_remove(&all->state, key) : map_put(&all->state, key, text_of(value)));
}

static void owner_apply_pending(void *context, const struct ledger_producer *producer, int64_t timestamp_ms,
                                struct slice key, struct slice value)
{
    struct leaders *all = context;
    all->pending_of = *producer;
    mem_free(map_put(&all->pending, key, text_of(value)));
}

static void forget(struct map *map)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(map, &at, NULL, &value);)
        mem_free(value);
    map_fini(map);
    map_init(map, 0);
}

static void owner_apply_marker(void *context, const struct ledger_producer *producer, bool commit)
{
    struct leaders *all = context;
    struct slice key;
    void *value;
    cr_assert_eq(producer->id, all->pending_of.id);
    for (struct map_entry *at = NULL; commit && map_next(&all->pending, &at, &key, &value);)
        mem_free(map_put(&all->state, key, mem_strdup(value)));
    forget(&all->pending);
}

static enum status owner_seal(void *context)
{
    struct leaders *all = context;
    all->seals++;
    if (all->seal_fails)
        return ST_NO_MEMORY;
    if (all->snapshot_key == NULL)
        return ST_OK;
    return ledger_snapshot(all->ledger, slice_str(all->snapshot_key), slice_str(all->snapshot_value));
}

void leaders_forget(struct leaders *all)
{
    forget(&all->state);
    forget(&all->pending);
}

static void owner_reset(void *context)
{
    struct leaders *all = context;
    all->resets++;
    leaders_forget(all);
}

static void owner_ready(void *context)
{
    ((struct leaders *)context)->readies++;
}

static const struct ledger_ops ops = {owner_apply, owner_seal,          owner_reset,
                                      owner_ready, owner_apply_pending, owner_apply_marker};

// ---- the cluster ----

static void put(struct leaders *all, Millrace__MetadataRecord *record)
{
    record->version = 1;
    cr_assert_eq(image_apply(all->image, record, image_offset(all->image) + 1), ST_OK, "%s",
                 image_error(all->image));
}

static void put_partition(struct leaders *all)
{
    int32_t replicas[] = {1, 2};
    uint8_t topic_id[16] = {7};
    Millrace__PartitionRecord partition = MILLRACE__PARTITION_RECORD__INIT;
    partition.topic_id = (ProtobufCBinaryData){16, topic_id};
    partition.n_replicas = partition.n_isr = 2;
    partition.replicas = partition.isr = replicas;
    partition.leader = all->leader_epoch % 2 + 1;
    partition.leader_epoch = partition.partition_epoch = all->leader_epoch;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_PARTITION;
    record.partition = &partition;
    put(all, &record);
}

// Fenced, as every registration begins.
static void put_node(struct leaders *all, int id)
{
    uint8_t directory[16] = {(uint8_t)id};
    Millrace__NodeRecord node = MILLRACE__NODE_RECORD__INIT;
    node.node_id = id;
    node.role = MILLRACE__ROLE__ROLE_STORAGE;
    node.incarnation = 1;
    node.directory_id = (ProtobufCBinaryData){16, directory};
    node.rpc_endpoint = all->endpoints[id - 1];
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_NODE;
    record.node = &node;
    put(all, &record);
}

static void put_cluster(struct leaders *all)
{
    put_node(all, 1);
    put_node(all, 2);
    uint8_t topic_id[16] = {7};
    Millrace__TopicRecord topic = MILLRACE__TOPIC_RECORD__INIT;
    topic.topic_id = (ProtobufCBinaryData){16, topic_id};
    topic.name = "__consumer_offsets";
    topic.has_internal = topic.internal = true;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_TOPIC;
    record.topic = &topic;
    put(all, &record);
    put_partition(all);
}

void leaders_start(struct leaders *all)
{
    memset(all, 0, sizeof *all);
    map_init(&all->state, 0);
    map_init(&all->pending, 0);
    cr_assert_eq(env_posix_new("ledger-test", 1, &all->env), ST_OK);
    all->env->diag.level = DIAG_ERROR;
    all->loads = ledger_loads_new(all->env);
    for (int i = 0; i < 3; i++) {
        all->transports[i] = zmq_transport_new(all->env, NULL);
        struct rpc_config config = {.env = all->env,
                                    .transport = all->transports[i],
                                    .self = {i == 0 ? RPC_COORDINATOR : RPC_STORAGE, i == 0 ? 11 : i},
                                    .incarnation = (uint64_t)i + 1};
        all->rpcs[i] = rpc_new(&config);
        if (i == 0)
            continue;
        struct leader *node = &all->nodes[i - 1];
        *node = (struct leader){.all = all, .node = i};
        protobuf_c_service_generated_init(&node->service.base, &millrace__storage__descriptor, NULL);
        node->service.ledger_open = serve_ledger_open;
        node->service.ledger_append = serve_ledger_append;
        node->service.ledger_read = serve_ledger_read;
        rpc_serve(all->rpcs[i], &node->service.base);
        int port;
        cr_assert_eq(rpc_listen(all->rpcs[i], "tcp://127.0.0.1:0", &port), ST_OK);
        snprintf(all->endpoints[i - 1], 64, "tcp://127.0.0.1:%d", port);
    }
    all->image = image_new();
    put_cluster(all);
}

struct ledger_config leaders_config(struct leaders *all)
{
    return (struct ledger_config){.env = all->env,
                                  .rpc = all->rpcs[0],
                                  .image = all->image,
                                  .loads = all->loads,
                                  .topic = "__consumer_offsets",
                                  .partition = 0,
                                  .owner = 11,
                                  .owner_epoch = 5,
                                  .metadata_offset = 1,
                                  .ops = &ops,
                                  .context = all};
}

static void on_progress(void *context)
{
    ((struct leaders *)context)->progress++;
}

void leaders_follow(struct leaders *all)
{
    leaders_follow_from(all, 0);
}

void leaders_follow_from(struct leaders *all, int64_t position)
{
    struct ledger_tail_config config = {.env = all->env,
                                        .rpc = all->rpcs[0],
                                        .image = all->image,
                                        .topic = "__consumer_offsets",
                                        .partition = 0,
                                        .position = position,
                                        .ops = &ops,
                                        .on_progress = on_progress,
                                        .context = all};
    all->tail = ledger_tail_new(&config);
}

void leaders_lose_log(struct leaders *all)
{
    for (int i = 0; i < all->batches; i++)
        block_unref(&all->log[i]);
    all->batches = 0;
    all->log_end = 0;
}

void leaders_own(struct leaders *all)
{
    leaders_own_from(all, 0);
}

void leaders_own_from(struct leaders *all, int64_t position)
{
    struct ledger_config config = leaders_config(all);
    config.position = position;
    all->ledger = ledger_new(&config);
}

void leaders_stop(struct leaders *all)
{
    if (all->ledger != NULL)
        ledger_destroy(&all->ledger);
    ledger_tail_destroy(&all->tail);
    ledger_loads_destroy(&all->loads);
    for (int i = 0; i < 3; i++) {
        rpc_close(all->rpcs[i]);
        rpc_destroy(&all->rpcs[i]);
        zmq_transport_destroy(&all->transports[i]);
    }
    for (int i = 0; i < all->batches; i++)
        block_unref(&all->log[i]);
    leaders_forget(all);
    map_fini(&all->state);
    map_fini(&all->pending);
    image_destroy(&all->image);
    env_posix_destroy(&all->env);
}

static void write_batch(struct leaders *all, const struct batch_record *records, int count)
{
    struct batch_spec spec = batch_spec_plain();
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    cr_assert_eq(batch_build(&spec, records, count, &bytes), ST_OK);
    struct block *block = block_copy(buf_slice(&bytes));
    take_batch(all, block);
    block_unref(&block);
    buf_fini(&bytes);
}

void leaders_write(struct leaders *all, const char *key, const char *value)
{
    struct batch_record record = {1700000000000, slice_str(key), slice_str(value), NULL, 0};
    write_batch(all, &record, 1);
}

void leaders_write_many(struct leaders *all, int count)
{
    enum { NUMBER_SIZE = 12 };
    struct batch_record *records = mem_calloc((size_t)count, sizeof *records);
    char *keys = mem_calloc((size_t)count, NUMBER_SIZE);
    for (int i = 0; i < count; i++) {
        char *key = keys + (ptrdiff_t)i * NUMBER_SIZE;
        snprintf(key, NUMBER_SIZE, "%d", i);
        records[i] = (struct batch_record){1700000000000, slice_str(key), slice_str("v"), NULL, 0};
    }
    write_batch(all, records, count);
    mem_free(keys);
    mem_free(records);
}

void leaders_move(struct leaders *all)
{
    all->leader_epoch++;
    put_partition(all);
}

void leaders_restart(struct leaders *all, int id)
{
    Millrace__NodeFencedRecord body = MILLRACE__NODE_FENCED_RECORD__INIT;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_NODE_FENCED;
    record.node_fenced = &body;
    body.node_id = id;
    body.incarnation = 1;
    body.fenced = false;
    put_node(all, id);
    put(all, &record);
}

void leaders_release_held(struct leaders *all)
{
    answer_append(all, all->held_base, all->held_closure, all->held);
    all->held = NULL;
}

void leaders_turns(struct leaders *all, int ms)
{
    for (int64_t end_us = env_now_us(all->env) + ms * 1000; env_now_us(all->env) < end_us;)
        env_posix_turn(all->env, 500);
}

void leaders_await(struct leaders *all, const int *counter, int count)
{
    for (int64_t end_us = env_now_us(all->env) + 5000000; *counter < count;) {
        cr_assert_lt(env_now_us(all->env), end_us, "waited for %d, is %d", count, *counter);
        env_posix_turn(all->env, 500);
    }
}

const char *leaders_value(const struct leaders *all, const char *key)
{
    const char *value = map_get(&all->state, slice_str(key));
    return value == NULL ? "" : value;
}

enum status leaders_put(struct leaders *all, const char *key, const char *value)
{
    return ledger_append(all->ledger, slice_str(key), slice_str(value));
}
