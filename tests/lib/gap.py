# SPDX-License-Identifier: Apache-2.0
# How long a partition is not acknowledged when its leader is killed (-9) and every ISR was whole: the kills and the
# figures, whoever produces (tests/e2e/test_gap.py: the raw client; tests/clients/gaps.py: real clients). GAP_KILLS says how
# many kills; 50 in the long form. Goal: p99 under 1 s; never over 3 s.
import os

from cluster import Daemon, wait_until

KILLS = int(os.environ.get("GAP_KILLS", "5"))
TOPIC, PARTITIONS, NEVER_OVER_S = "t", 6, 3.0
SETTINGS = {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": PARTITIONS}


def led_by(cluster, node):
    found = next(t for t in cluster.metadata()["topics"] if t["topic"] == TOPIC)
    return [p["partition"] for p in found["partitions"] if p["leader"] == node.id]


def kill_a_leader(cluster, number, how):
    """Ends a node that leads something once every ISR is whole, and returns it with what it led."""
    cluster.wait_isr(TOPIC, 3, PARTITIONS, 60)
    node = cluster.storage[number % 3]
    partitions = led_by(cluster, node)
    if not partitions:
        node = cluster.leader(TOPIC, number % PARTITIONS)
        partitions = led_by(cluster, node)
    how(node)
    return node, partitions


def measure(cluster, producer, kills=KILLS, how=Daemon.kill):
    """The longest gap of each kill in seconds, over the partitions the killed node led. producer: Acknowledgements. how:
    Daemon.kill, or Daemon.freeze for a node that is only silent."""
    gaps = []
    wait_until(lambda: producer.acknowledged_after(0, range(PARTITIONS)), 30, "first acknowledgements")
    for number in range(kills):
        node, partitions = kill_a_leader(cluster, number, how)
        killed = producer.now()
        wait_until(lambda: producer.acknowledged_after(killed + 0.2, partitions), 60, "the next leaders")
        gaps.append(producer.longest_gap(killed, partitions))
        if how is Daemon.freeze:
            node.thaw()
        else:
            node.start()
        node.wait_ready()
    return gaps


def report(client, gaps):
    """One line of figures; returns the longest."""
    gaps = sorted(gaps)
    print("%s, %d leader kills: p50 %.0f ms, p99 %.0f ms, max %.0f ms" % (
        client, len(gaps), 1000 * gaps[len(gaps) // 2], 1000 * gaps[min(len(gaps) - 1, len(gaps) * 99 // 100)],
        1000 * gaps[-1]), flush=True)
    return gaps[-1]
