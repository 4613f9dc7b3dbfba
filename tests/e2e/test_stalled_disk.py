# SPDX-License-Identifier: Apache-2.0
# Disks that hang for seconds, as they do on a busy machine: what does not need them goes on. And slow ones: they cost
# time per record, not throughput.
import os
import subprocess
import time

import pytest

import produce
from cluster import SHIM, Cluster, Load, program

LEASES_S = 3  # three leases of a second
SLOW_SYNC_US, PER_SECOND, BUSY_S = 10000, 1000, 5

pytestmark = pytest.mark.skipif(not os.path.exists(SHIM), reason="powercut.so is not built (sanitizer build)")


def create_in_the_background(cluster, topic):
    return subprocess.Popen([program("millrace"), "topic", "create", topic, "--partitions", "1"],
                            env=dict(os.environ, MILLRACE_BOOTSTRAP=cluster.kafka))


def test_a_decision_that_waits_for_the_controllers_disk_costs_nobody_the_lease():
    with Cluster(powercut=True) as cluster:
        cluster.create_topic("t")
        cluster.controllers[0].stall_disk()
        create = create_in_the_background(cluster, "u")
        end, number = time.monotonic() + LEASES_S, 0
        while time.monotonic() < end:
            cluster.produce("t", [str(number)], "-X", "message.timeout.ms=800", "-X", "acks=all")
            number += 1
        assert create.poll() is None, "nothing waited for the disk"
        cluster.controllers[0].stall_disk(False)
        assert create.wait(20) == 0
        assert len(cluster.consume("t")) == number
        for daemon in cluster.storage + cluster.coordinators:
            assert "the lease has run out" not in daemon.log()


def test_acks_1_waits_for_the_nodes_own_disk_longer_than_the_clients_timeout():
    # In Kafka that timeout is for the other replicas: kafka-node asks for 100 ms and sends again what was not in time.
    with Cluster(powercut=True) as cluster:
        cluster.create_topic("t")
        with produce.Connection(cluster) as connection:
            cluster.storage[0].stall_disk()
            connection.send("t", produce.batch(-1, -1), acks=1, timeout_ms=100)
            time.sleep(1)
            cluster.storage[0].stall_disk(False)
            assert connection.receive("t") == (0, 0)


def test_one_connection_with_many_small_requests_keeps_up_with_a_slow_disk(monkeypatch):
    # librdkafka sends a request per partition and linger.ms, without waiting for answers: if few of them share a
    # flush, they queue up, and with them whatever else the connection asks for.
    monkeypatch.setenv("POWERCUT_SYNC_US", str(SLOW_SYNC_US))
    with Cluster(powercut=True) as cluster:
        cluster.create_topic("t", partitions=6)
        load = Load(cluster, "t", keys=100, per_second=PER_SECOND)
        load.wait_acks(1)
        began, before = time.monotonic(), len(load.acked)
        time.sleep(BUSY_S)
        expected = (time.monotonic() - began) * PER_SECOND
        acked = len(load.acked) - before
        load.stop()
        assert acked > expected - PER_SECOND, "%d of %d acknowledged" % (acked, expected)
        load.check(exactly_once=False)
