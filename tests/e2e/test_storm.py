# SPDX-License-Identifier: Apache-2.0
# The storm (make chaos SECONDS=n; 60 s in make test): idempotent producers run while storage nodes, controllers and
# coordinators are killed and restarted at random, overlaps allowed, and at last all at once. Nothing acknowledged may
# be lost, doubled or out of order. The seed is printed; CHAOS_SEED repeats the same plan (not the same timing).
import os
import random
import time

from cluster import Cluster, Load

SECONDS = int(os.environ.get("CHAOS_SECONDS", "60"))
SETTINGS = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": 6}}


def test_storm():
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 30)))
    plan = random.Random(seed)
    print("CHAOS_SEED=%d" % seed)
    with Cluster(controllers=3, storage=3, coordinators=2, settings=SETTINGS) as cluster:
        loads = [Load(cluster, "storm%d" % i, keys=20, per_second=500, enable_idempotence="true") for i in range(2)]
        for load in loads:
            load.wait_acks(200)
        end, kills = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            for daemon in plan.sample(cluster.daemons, plan.choice((1, 1, 1, 2, 3))):
                daemon.kill()
                kills += 1
            time.sleep(plan.uniform(0, 2))
            for daemon in cluster.daemons:
                if not daemon.running():
                    daemon.start()
            time.sleep(plan.uniform(0.5, 3))
        for daemon in cluster.daemons:
            daemon.kill()
        cluster.restart_all(60)
        acked = [len(load.acked) for load in loads]
        for load in loads:
            load.wait_acks(200, 60)
            load.stop(120)
        for i, load in enumerate(loads):
            cluster.wait_isr("storm%d" % i, 3, 6, 60)
            assert not load.failed, "%d records failed: %s" % (len(load.failed), list(load.failed.items())[:5])
            load.check(seconds=120)
            assert load.sent == len(load.acked)
        print("%d kills, %s acknowledged before the last, longest gap %.1f s" % (
            kills, acked, max(load.longest_gap for load in loads)))
