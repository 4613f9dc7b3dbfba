// SPDX-License-Identifier: Apache-2.0
// See watch.h. A list in order of arrival; who is added is looked at by the next tick at the latest, and
// leaves when a tick finds nothing more to wait for.
#include "watch.h"

#include "partitions_state.h"
#include "stream_out.h"

static bool time_matters(const struct replica *replica)
{
    bool follows = replica->state.role == PARTITION_LEADER && replica->state.replica_count > 1;
    return !replica->closing && (follows || (replica->log == NULL && !replica->missing));
}

void watch_init(struct partitions *partitions)
{
    partitions->watched.metric =
        (struct metric){.name = "millrace_storage_replicas_watched",
                        .help = "Replicas the ISR clock looks at: a follower is behind or silent, a proposal "
                                "is open, or the log cannot be opened.",
                        .kind = METRIC_GAUGE};
    metric_add(partitions->options.env->metrics, &partitions->watched.metric);
}

void watch_fini(struct partitions *partitions)
{
    metric_remove(partitions->options.env->metrics, &partitions->watched.metric);
}

void watch_add(struct replica *replica)
{
    struct watched *watched = &replica->partitions->watched;
    if (replica->watched || !time_matters(replica))
        return;
    streams_out_heard(replica);
    replica->watched = true;
    replica->watch_next = NULL;
    replica->watch_previous = watched->last;
    *(watched->last ? &watched->last->watch_next : &watched->first) = replica;
    watched->last = replica;
    metric_set(&watched->metric, ++watched->count);
}

void watch_drop(struct replica *replica)
{
    struct watched *watched = &replica->partitions->watched;
    if (!replica->watched)
        return;
    *(replica->watch_previous ? &replica->watch_previous->watch_next : &watched->first) = replica->watch_next;
    *(replica->watch_next ? &replica->watch_next->watch_previous : &watched->last) = replica->watch_previous;
    replica->watch_next = replica->watch_previous = NULL;
    replica->watched = false;
    metric_set(&watched->metric, --watched->count);
}

static void look(struct replica *replica, int64_t now_us, int64_t lag_max_us)
{
    if (replica->state.role == PARTITION_LEADER) {
        streams_out_heard(replica);
        replica_act(replica, partition_tick(&replica->state, now_us, lag_max_us));
    }
    if ((replica->log != NULL || replica->missing) && partition_quiet(&replica->state, now_us, lag_max_us) &&
        streams_out_carry(replica))
        watch_drop(replica);
}

void watch_tick(struct partitions *partitions, int64_t now_us, int64_t lag_max_us)
{
    struct replica *next;
    streams_out_silence(partitions->out, now_us, lag_max_us);
    for (struct replica *at = partitions->watched.first; at != NULL; at = next) {
        next = at->watch_next;
        look(at, now_us, lag_max_us);
    }
}
