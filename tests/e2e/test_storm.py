# SPDX-License-Identifier: Apache-2.0
# The storm (make chaos SECONDS=n; 60 s in make test): idempotent producers run while storage nodes, controllers and
# coordinators are killed and restarted at random, overlaps allowed, and at last all at once. Nothing acknowledged may
# be lost, doubled or out of order. A third as long it goes on with power cuts instead of kill -9. The seed is printed;
# CHAOS_SEED repeats the same plan (not the same timing).
import os
import random
import time

import pytest

import cluster as lib
from cluster import Cluster, Load

SECONDS = int(os.environ.get("CHAOS_SECONDS", "60"))
SETTINGS = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": 6}}


def storm(cluster, seconds, end_one, end_all):
    """Ends and starts daemons for so long, then all of them at once while two producers run; checks every record."""
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 30)))
    plan = random.Random(seed)
    print("CHAOS_SEED=%d" % seed)
    loads = [Load(cluster, "storm%d" % i, keys=20, per_second=500, enable_idempotence="true") for i in range(2)]
    for load in loads:
        load.wait_acks(200)
    end, kills = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for daemon in plan.sample(cluster.daemons, plan.choice((1, 1, 1, 2, 3))):
            end_one(daemon)
            kills += 1
        time.sleep(plan.uniform(0, 2))
        for daemon in cluster.daemons:
            if not daemon.running():
                daemon.start()
        time.sleep(plan.uniform(0.5, 3))
    end_all()
    cluster.restart_all(60)
    acked = [len(load.acked) for load in loads]
    for load in loads:
        load.wait_acks(200, 60)
        load.stop(120)
    for load in loads:
        cluster.wait_isr(load.topic, 3, 6, 60)
        assert not load.failed, "%d records failed: %s" % (len(load.failed), list(load.failed.items())[:5])
        load.check(seconds=120)
        assert load.sent == len(load.acked)
    print("%d kills, %s acknowledged before the last, longest gap %.1f s" % (
        kills, acked, max(load.longest_silence for load in loads)))


def test_storm():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=SETTINGS) as cluster:
        def kill_all():
            for daemon in cluster.daemons:
                daemon.kill()
        storm(cluster, SECONDS, lambda daemon: daemon.kill(), kill_all)


@pytest.mark.skipif(not os.path.exists(lib.SHIM), reason="powercut.so is not built")
def test_storm_of_power_cuts():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=SETTINGS, powercut=True) as cluster:
        def cut_one(daemon):
            if daemon.running():
                daemon.cut_power()

        def cut_all():
            cluster.restart_all(60)
            cluster.cut_power()
        storm(cluster, SECONDS // 3, cut_one, cut_all)
