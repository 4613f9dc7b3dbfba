# SPDX-License-Identifier: Apache-2.0
# Power cuts under load: every file falls back to what was synced, and still nothing acknowledged is lost. The same test
# with flush.before.ack=false must lose records, otherwise it would prove nothing.
import os

import pytest

import cluster as lib
from cluster import Cluster, Load

ROUNDS = int(os.environ.get("POWERCUT_ROUNDS", "3"))
pytestmark = pytest.mark.skipif(not os.path.exists(lib.SHIM), reason="powercut.so is not built")
ONE = {"all": {"default.replication.factor": 1, "num.partitions": 3}}
THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": 3}}


def test_replication_1_the_machine_loses_power():
    with Cluster(settings=ONE, powercut=True) as cluster:
        for number in range(ROUNDS):
            load = Load(cluster, "t%d" % number, per_second=3000)
            load.wait_acks(1500)
            cluster.cut_power()
            load.abandon()
            cluster.restart_all()
            load.check(exactly_once=False)


def test_replication_3_one_node_loses_power():
    with Cluster(controllers=3, storage=3, settings=THREE, powercut=True) as cluster:
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
    with Cluster(controllers=3, storage=3, settings=THREE, powercut=True) as cluster:
        for number in range(ROUNDS):
            load = Load(cluster, "t%d" % number, per_second=2000)
            load.wait_acks(1500)
            cluster.cut_power()
            load.abandon()
            cluster.restart_all()
            cluster.wait_isr("t%d" % number, 3, 3)
            load.check(exactly_once=False)


def test_without_flush_before_ack_the_same_cut_loses_records():
    with Cluster(settings=ONE, powercut=True) as cluster:
        cluster.create_topic("t", partitions=3, flush_before_ack="false")
        load = Load(cluster, "t", per_second=3000)
        load.wait_acks(1500)
        cluster.cut_power()
        load.abandon()
        cluster.restart_all()
        assert load.lost(), "the power cut lost nothing: this test proves nothing"
