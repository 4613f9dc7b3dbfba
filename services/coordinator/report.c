// SPDX-License-Identifier: Apache-2.0
// What a coordinator tells about itself: readiness, dump for the survey, metrics.
#include "base/assert.h"
#include "coordinator_state.h"

#include <inttypes.h>

enum { GAUGES_MS = 1000 };

bool coordinator_ready(struct coordinator *coordinator, struct buf *reason)
{
    enum member_state state =
        coordinator->member != NULL ? member_state(coordinator->member) : MEMBER_JOINING;
    if (coordinator->drain != DRAIN_NONE) {
        buf_printf(reason, "draining");
        return false;
    }
    if (state != MEMBER_ACTIVE || !coordinator->joined) {
        buf_printf(reason, "%s", member_state_text(state));
        return false;
    }
    size_t loading = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);)
        loading += shard_ready(value) ? 0 : 1;
    for (struct map_entry *at = NULL; map_next(&coordinator->txn_shards, &at, NULL, &value);)
        loading += txn_shard_ready(value) ? 0 : 1;
    for (struct map_entry *at = NULL; map_next(&coordinator->share_shards, &at, NULL, &value);)
        loading += share_shard_ready(value) ? 0 : 1;
    if (loading > 0)
        buf_printf(reason, "%zu shards are being loaded", loading);
    return loading == 0;
}

static void dump_shard(struct shard *shard, struct buf *out)
{
    struct ledger_view view = ledger_view(shard_ledger(shard));
    buf_printf(out,
               "shard.%" PRId32 "=owner_epoch=%" PRId32 " phase=%s position=%" PRId64 " log_end=%" PRId64
               " groups=%zu batches=%" PRIu64 " records=%" PRIu64 " reopens=%" PRIu64 " drops=%" PRIu64 "\n",
               shard_index(shard), shard_owner_epoch(shard), view.phase, view.position, view.log_end,
               shard_count(shard), view.batches, view.records, view.reopens, view.drops);
}

static void dump_txn_shard(struct txn_shard *shard, struct buf *out)
{
    const struct txn_shard_options *options = txn_shard_options(shard);
    struct ledger_view view = ledger_view(txn_shard_ledger(shard));
    buf_printf(out,
               "txn_shard.%" PRId32 "=owner_epoch=%" PRId32 " phase=%s position=%" PRId64 " log_end=%" PRId64
               " ids=%zu batches=%" PRIu64 " records=%" PRIu64 " reopens=%" PRIu64 " drops=%" PRIu64 "\n",
               options->index, options->owner_epoch, view.phase, view.position, view.log_end,
               txn_shard_count(shard), view.batches, view.records, view.reopens, view.drops);
}

static void dump_share_shard(struct share_shard *shard, struct buf *out)
{
    const struct share_shard_options *options = share_shard_options(shard);
    struct ledger_view view = ledger_view(share_shard_ledger(shard));
    buf_printf(out,
               "share_shard.%" PRId32 "=owner_epoch=%" PRId32 " phase=%s position=%" PRId64
               " log_end=%" PRId64 " partitions=%zu batches=%" PRIu64 " records=%" PRIu64 " reopens=%" PRIu64
               " drops=%" PRIu64 "\n",
               options->index, options->owner_epoch, view.phase, view.position, view.log_end,
               share_shard_count(shard), view.batches, view.records, view.reopens, view.drops);
}

void coordinator_dump(struct coordinator *coordinator, struct buf *out)
{
    enum member_state state =
        coordinator->member != NULL ? member_state(coordinator->member) : MEMBER_JOINING;
    buf_printf(out, "node=%" PRId32 "\nstate=%s\n", coordinator->node_id, member_state_text(state));
    buf_printf(out, "metadata_offset=%" PRId64 "\nmetadata_commit=%" PRId64 "\n",
               image_offset(coordinator->image), follow_commit(coordinator->follow));
    buf_printf(out, "shards=%zu\nrequests=%zu\nparked=%zu\n", coordinator->shards.count,
               coordinator->requests.count, coordinator->requests.parked);
    void *value;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);)
        dump_shard(value, out);
    for (struct map_entry *at = NULL; map_next(&coordinator->txn_shards, &at, NULL, &value);)
        dump_txn_shard(value, out);
    for (struct map_entry *at = NULL; map_next(&coordinator->share_shards, &at, NULL, &value);)
        dump_share_shard(value, out);
}

static void on_gauges(struct timer *timer)
{
    struct coordinator *coordinator = timer->context;
    size_t groups = 0, ids = 0, consumers = 0, members = 0, streams = 0, streams_members = 0;
    void *value;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);) {
        groups += shard_count(value);
        consumers += shard_consumers(value, &members);
        streams += shard_streams(value, &streams_members);
    }
    for (struct map_entry *at = NULL; map_next(&coordinator->txn_shards, &at, NULL, &value);)
        ids += txn_shard_count(value);
    size_t share_partitions = 0, shares = 0, share_members = 0;
    for (struct map_entry *at = NULL; map_next(&coordinator->shards, &at, NULL, &value);)
        shares += shard_shares(value, &share_members);
    metric_set(&coordinator->share_count, (int64_t)shares);
    metric_set(&coordinator->share_members, (int64_t)share_members);
    for (struct map_entry *at = NULL; map_next(&coordinator->share_shards, &at, NULL, &value);)
        share_partitions += share_shard_count(value);
    metric_set(&coordinator->share_shard_count, (int64_t)coordinator->share_shards.count);
    metric_set(&coordinator->share_partition_count, (int64_t)share_partitions);
    metric_set(&coordinator->txn_shard_count, (int64_t)coordinator->txn_shards.count);
    metric_set(&coordinator->txn_count, (int64_t)ids);
    metric_set(&coordinator->shard_count, (int64_t)coordinator->shards.count);
    metric_set(&coordinator->group_count, (int64_t)groups);
    metric_set(&coordinator->consumer_count, (int64_t)consumers);
    metric_set(&coordinator->consumer_members, (int64_t)members);
    metric_set(&coordinator->streams_count, (int64_t)streams);
    metric_set(&coordinator->streams_members, (int64_t)streams_members);
    metric_set(&coordinator->parked_count, (int64_t)coordinator->requests.parked);
    timer_start_ms(coordinator->env, &coordinator->gauges, GAUGES_MS);
}

void report_start(struct coordinator *coordinator)
{
    struct metric_registry *registry = coordinator->env->metrics;
    coordinator->relayed = (struct metric){.name = "millrace_coordinator_requests_total",
                                           .help = "Kafka requests relayed to this coordinator.",
                                           .kind = METRIC_COUNTER};
    coordinator->shard_count = (struct metric){.name = "millrace_coordinator_shards",
                                               .help = "Shards of __consumer_offsets this process owns.",
                                               .kind = METRIC_GAUGE};
    coordinator->group_count = (struct metric){
        .name = "millrace_coordinator_groups", .help = "Groups in the owned shards.", .kind = METRIC_GAUGE};
    coordinator->parked_count =
        (struct metric){.name = "millrace_coordinator_parked_requests",
                        .help = "Requests that wait for others: members, producer ids, other shards.",
                        .kind = METRIC_GAUGE};
    coordinator->txn_shard_count = (struct metric){.name = "millrace_coordinator_transaction_shards",
                                                   .help = "Shards of __transaction_state this process owns.",
                                                   .kind = METRIC_GAUGE};
    coordinator->txn_count = (struct metric){.name = "millrace_coordinator_transactional_ids",
                                             .help = "Transactional ids in the owned shards.",
                                             .kind = METRIC_GAUGE};
    coordinator->consumer_count = (struct metric){.name = "millrace_coordinator_consumer_groups",
                                                  .help = "Groups of the consumer protocol (KIP-848).",
                                                  .kind = METRIC_GAUGE};
    coordinator->consumer_members = (struct metric){.name = "millrace_coordinator_consumer_group_members",
                                                    .help = "Members of those groups.",
                                                    .kind = METRIC_GAUGE};
    coordinator->streams_count = (struct metric){.name = "millrace_coordinator_streams_groups",
                                                 .help = "Groups of the streams protocol (KIP-1071).",
                                                 .kind = METRIC_GAUGE};
    coordinator->streams_members = (struct metric){.name = "millrace_coordinator_streams_group_members",
                                                   .help = "Members of those groups.",
                                                   .kind = METRIC_GAUGE};
    metric_add(registry, &coordinator->streams_count);
    metric_add(registry, &coordinator->streams_members);
    coordinator->share_shard_count =
        (struct metric){.name = "millrace_coordinator_share_shards",
                        .help = "Shards of __share_group_state this process owns.",
                        .kind = METRIC_GAUGE};
    coordinator->share_partition_count =
        (struct metric){.name = "millrace_coordinator_share_partitions",
                        .help = "Share partitions whose state is kept in the owned shards.",
                        .kind = METRIC_GAUGE};
    coordinator->share_count = (struct metric){
        .name = "millrace_coordinator_share_groups", .help = "Share groups (KIP-932).", .kind = METRIC_GAUGE};
    coordinator->share_members = (struct metric){.name = "millrace_coordinator_share_group_members",
                                                 .help = "Members of those groups.",
                                                 .kind = METRIC_GAUGE};
    metric_add(registry, &coordinator->share_count);
    metric_add(registry, &coordinator->share_members);
    metric_add(registry, &coordinator->share_shard_count);
    metric_add(registry, &coordinator->share_partition_count);
    metric_add(registry, &coordinator->consumer_count);
    metric_add(registry, &coordinator->consumer_members);
    metric_add(registry, &coordinator->txn_shard_count);
    metric_add(registry, &coordinator->txn_count);
    metric_add(registry, &coordinator->relayed);
    metric_add(registry, &coordinator->shard_count);
    metric_add(registry, &coordinator->group_count);
    metric_add(registry, &coordinator->parked_count);
    timer_init(&coordinator->gauges, on_gauges, coordinator);
    timer_start_ms(coordinator->env, &coordinator->gauges, GAUGES_MS);
}

void report_stop(struct coordinator *coordinator)
{
    struct metric_registry *registry = coordinator->env->metrics;
    timer_stop(coordinator->env, &coordinator->gauges);
    metric_remove(registry, &coordinator->streams_count);
    metric_remove(registry, &coordinator->streams_members);
    metric_remove(registry, &coordinator->share_count);
    metric_remove(registry, &coordinator->share_members);
    metric_remove(registry, &coordinator->share_shard_count);
    metric_remove(registry, &coordinator->share_partition_count);
    metric_remove(registry, &coordinator->consumer_count);
    metric_remove(registry, &coordinator->consumer_members);
    metric_remove(registry, &coordinator->txn_shard_count);
    metric_remove(registry, &coordinator->txn_count);
    metric_remove(registry, &coordinator->relayed);
    metric_remove(registry, &coordinator->shard_count);
    metric_remove(registry, &coordinator->group_count);
    metric_remove(registry, &coordinator->parked_count);
}
