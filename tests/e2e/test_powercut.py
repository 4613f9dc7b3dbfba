# SPDX-License-Identifier: Apache-2.0
# Power cuts under load: every file falls back to what was synced, and still nothing acknowledged is lost. The same
# scripts with flush.before.ack=false must lose records, otherwise they would prove nothing; and so must a build that
# acknowledges on a follower before its flush (long form: POWERCUT_ROUNDS=20, POWERCUT_BUGGY_BUILD=DIR built with
# -DMILLRACE_PLANTED_BUG=ACKNOWLEDGED_BEFORE_FLUSH). Controllers and coordinators run under the same shim.
import os

import pytest

import cluster as lib
from cluster import Cluster, Load, wait_until

ROUNDS = int(os.environ.get("POWERCUT_ROUNDS", "3"))
BUGGY = os.environ.get("POWERCUT_BUGGY_BUILD")
pytestmark = pytest.mark.skipif(not os.path.exists(lib.SHIM), reason="powercut.so is not built")
ONE = {"all": {"default.replication.factor": 1, "num.partitions": 3}}
THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": 3}}


UNSAFE = {"flush_before_ack": "false"}


def cut_everything(cluster, topic, replication, **configs):
    """One power cut of all daemons under load; the load, to be checked. One storage node comes back later than the
    others, so that a replica that has too little would lead."""
    cluster.create_topic(topic, partitions=3, replication=replication, **configs)
    cluster.wait_isr(topic, replication, 3)
    cluster.wait_isr("__consumer_offsets", replication, 50)
    load = Load(cluster, topic, per_second=3000)
    load.wait_acks(1500)
    late = cluster.leader(topic) if replication > 1 else None
    cluster.cut_power()
    load.abandon()
    for daemon in cluster.daemons:
        if daemon is not late:
            daemon.start()
    if late is not None:
        wait_until(lambda: all(d.ready() for d in cluster.daemons if d is not late), 30, "the others to be ready")
    cluster.restart_all()
    cluster.wait_isr(topic, replication, 3)
    return load


def test_replication_1_the_machine_loses_power():
    with Cluster(settings=ONE, powercut=True) as cluster:
        for number in range(ROUNDS):
            cut_everything(cluster, "t%d" % number, 1).check(exactly_once=False)


def test_replication_3_one_node_loses_power():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=THREE, powercut=True) as cluster:
        load = Load(cluster, "t", enable_idempotence="true")
        for number in range(ROUNDS):
            load.wait_acks(500)
            node = cluster.storage[number % 3]
            node.cut_power()
            load.wait_acks(200)
            node.start().wait_ready()
            cluster.wait_isr("t", 3, 3)
        load.stop()
        assert not load.failed
        load.check()


def test_replication_3_everything_loses_power():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=THREE, powercut=True) as cluster:
        for number in range(ROUNDS):
            cut_everything(cluster, "t%d" % number, 3).check(exactly_once=False)


def lost_in_rounds(cluster, replication, **configs):
    """How many acknowledged records are lost, in the first round that loses any."""
    for number in range(ROUNDS):
        lost = cut_everything(cluster, "t%d" % number, replication, **configs).lost()
        if lost:
            print("round %d lost %d acknowledged records" % (number + 1, len(lost)))
            return len(lost)
    return 0


def test_without_flush_before_ack_the_same_cut_loses_records():
    with Cluster(settings=ONE, powercut=True) as cluster:
        assert lost_in_rounds(cluster, 1, **UNSAFE), "the power cut lost nothing: this test proves nothing"


def test_without_flush_before_ack_three_replicas_lose_records_too():
    with Cluster(controllers=3, storage=3, settings=THREE, powercut=True) as cluster:
        assert lost_in_rounds(cluster, 3, **UNSAFE), "the power cut lost nothing: this test proves nothing"


@pytest.mark.skipif(not BUGGY, reason="long form only: POWERCUT_BUGGY_BUILD")
def test_a_build_that_acknowledges_before_its_flush_is_caught(monkeypatch):
    monkeypatch.setattr(lib, "BUILD", os.path.abspath(BUGGY))
    with Cluster(controllers=3, storage=3, settings=THREE, powercut=True) as cluster:
        assert lost_in_rounds(cluster, 3), "the power cut lost nothing: this test proves nothing"
