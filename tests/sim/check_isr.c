// SPDX-License-Identifier: Apache-2.0
// Whoever the controllers have committed as in sync holds everything below the highest watermark ever seen,
// on its disk: only then may it be elected. A follower that came in by what an earlier life of it had said
// fails here long before an election turns it into a loss. See check.h.
#include "check.h"

#include "cluster/image.h"
#include "partitions.h"

// Remembered, since whoever knows the newest set may be down while others act on it.
static void note_failed(struct check *check, int partition, int failed)
{
    int *before = &check->isr[partition].failed;
    if (failed != *before)
        world_count(check->history->world, failed > *before ? COUNT_replica_failed : COUNT_replica_mended);
    *before = failed;
}

void check_isr_note(struct check *check, const struct image *image)
{
    if (image == NULL || image_offset(image) <= check->isr_offset)
        return;
    const struct image_topic *topic = image_topic_named(image, "t");
    check->isr_offset = image_offset(image);
    for (int p = 0; topic != NULL && p < HISTORY_PARTITIONS; p++) {
        const struct image_ids *isr = &image_topic_partition(topic, p)->isr;
        note_failed(check, p, (int)image_topic_partition(topic, p)->failed.count);
        check->isr[p].count = (int)isr->count;
        for (size_t i = 0; i < isr->count && i < CLUSTER_STORAGE; i++)
            check->isr[p].nodes[i] = isr->ids[i];
    }
}

static bool is_member(const struct check_isr *isr, int32_t node)
{
    for (int i = 0; i < isr->count; i++)
        if (isr->nodes[i] == node)
            return true;
    return false;
}

static const struct replica *replica_at(const struct daemon_sim *daemon, int partition)
{
    struct partitions *partitions = cluster_partitions(daemon);
    return partitions != NULL ? partitions_find_named(partitions, slice_str("t"), partition) : NULL;
}

static void look_at_member(struct check *check, const struct daemon_sim *daemon, int partition)
{
    const struct replica *replica = replica_at(daemon, partition);
    if (replica == NULL || replica->log == NULL || log_lost(replica->log) || // says so, and does not serve
        log_id_unread(replica->log) ||                                       // neither does this one
        !is_member(&check->isr[partition], daemon->node_id))
        return;
    if (log_flushed(replica->log) < check->watermarks[partition])
        history_violation(check->history, "in-sync-has-committed",
                          "t-%d: node %d is in sync with %lld on disk, committed are %lld", partition,
                          daemon->node_id, (long long)log_flushed(replica->log),
                          (long long)check->watermarks[partition]);
}

void check_isr(struct check *check)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++) {
        for (int i = 0; i < CLUSTER_STORAGE; i++) {
            const struct replica *replica = replica_at(&check->cluster->storage[i], p);
            if (replica != NULL && replica->state.role == PARTITION_LEADER &&
                replica->state.high_watermark > check->watermarks[p])
                check->watermarks[p] = replica->state.high_watermark;
        }
        for (int i = 0; i < CLUSTER_STORAGE; i++)
            look_at_member(check, &check->cluster->storage[i], p);
    }
}
