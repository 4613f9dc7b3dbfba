# SPDX-License-Identifier: Apache-2.0
# Disks that hang for seconds, as they do on a busy machine: what does not need them goes on.
import os
import subprocess
import time

import pytest

from cluster import SHIM, Cluster, program

LEASES_S = 3  # three leases of a second

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
