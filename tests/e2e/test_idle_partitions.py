# SPDX-License-Identifier: Apache-2.0
"""Partitions at rest cost nothing; what happens to their followers is noticed all the same."""
from cluster import Clients, Cluster, wait_until

WATCHED = "millrace_storage_replicas_watched"
PARTITIONS = 60
LAG_MS, LEASE_MS = 1500, 12000


def watched(cluster):
    return [node.metric(WATCHED) for node in cluster.storage]


def test_idle_partitions_are_not_looked_at_and_a_silent_follower_is_noticed():
    settings = {"storage": {"replica.lag.time.max.ms": LAG_MS}, "controller": {"broker.session.timeout.ms": LEASE_MS}}
    with Cluster(storage=3, settings=settings) as cluster:
        cluster.create_topic("idle", partitions=PARTITIONS, replication=3)
        cluster.wait_isr("idle", 3, PARTITIONS)
        wait_until(lambda: watched(cluster) == [0, 0, 0], 30, "the clock to have nothing to do", every=0.2)

        # Nothing is written, and the lease is long: only the streams' silence tells the leaders.
        silent = cluster.storage[2]
        other = Clients()
        other.kafka = cluster.storage[0].address
        silent.freeze()
        wait_until(lambda: isr_sizes(other, silent) == {2}, LEASE_MS / 1000 - 2,
                   "leaders to take the silent follower out of the ISR", every=0.1)
        silent.thaw()
        cluster.wait_isr("idle", 3, PARTITIONS)
        wait_until(lambda: watched(cluster) == [0, 0, 0], 30, "the clock to rest again", every=0.2)


def isr_sizes(clients, without):
    """Of the partitions another node leads."""
    topic = next(t for t in clients.metadata()["topics"] if t["topic"] == "idle")
    return {len(p["isrs"]) for p in topic["partitions"] if p["leader"] != without.id}
