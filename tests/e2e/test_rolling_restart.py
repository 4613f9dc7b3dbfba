# SPDX-License-Identifier: Apache-2.0
# A rolling restart under load: SIGTERM and start of every daemon, one after the other. A drain hands leadership away
# before it stops serving, so no client sees a record fail and no partition is without an acknowledgement for long:
# 500 ms on a machine of its own. The raw client tries every 10 ms and sees the gap itself; librdkafka loses nothing.
import os

import pytest

from cluster import Cluster, Load, Raw, wait_until

# Where others take the processors (load over twice their number) the gap is theirs; only a hang shows then.
BUSY = os.getloadavg()[0] > 2 * os.cpu_count()
GAP_S = 3.0 if BUSY else 0.5
PARTITIONS = 6
THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": PARTITIONS}}
# What a client may be told while leadership moves; it tries again and succeeds: NOT_LEADER_OR_FOLLOWER.
MOVED = {6}


@pytest.fixture
def started():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=THREE) as running:
        running.create_topic("raw", partitions=PARTITIONS, replication=3)
        running.wait_isr("raw", 3, PARTITIONS)
        yield running


def test_no_error_and_no_long_gap(started):
    load = Load(started, "load", keys=50, enable_idempotence="true")
    with Raw(started, "raw", PARTITIONS) as raw:
        wait_until(lambda: raw.acknowledged_after(0, range(PARTITIONS)), 20, "first acknowledgements")
        load.wait_acks(500)
        settled, gaps = load.now(), []
        for daemon in started.daemons:
            for topic in ("raw", "load"):
                started.wait_isr(topic, 3, PARTITIONS)
            before = raw.now()
            daemon.stop()
            daemon.start().wait_ready()
            back = raw.now()
            wait_until(lambda: raw.acknowledged_after(back, range(PARTITIONS)), 20, "acknowledgements")
            gaps.append((raw.longest_gap(before), daemon.name))
        load.wait_acks(500)
    load.stop()
    print("longest gap: raw client %.0f ms (%s), librdkafka %.0f ms in a partition, %.0f ms overall" % (
        1000 * max(gaps)[0], max(gaps)[1], 1000 * load.longest_gap(settled), 1000 * load.longest_silence))
    assert not load.failed
    load.check()
    assert {code for _, code, _ in raw.errors} <= MOVED
    assert max(gaps)[0] < GAP_S
    assert load.longest_silence < GAP_S
