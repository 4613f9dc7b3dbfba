# SPDX-License-Identifier: Apache-2.0
# Disks that answer with errors: a log that goes offline gives up leadership and the ISR at once, and its node catches up
# when it is back; with no other copy the partition is offline, not empty. Records that cannot be read back are fetched
# from another replica.
import glob
import os
import re

import pytest

from cluster import FAULT_SHIM, Cluster, Load, wait_until

THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2}}
NO_JOURNAL = {"log.journal.bytes": 0}  # every record is synced in its segment

pytestmark = pytest.mark.skipif(not os.path.exists(FAULT_SHIM), reason="diskfault.so is not built (sanitizer build)")


def three(**storage):
    return Cluster(controllers=1, storage=3, diskfault=True, settings=dict(THREE, storage=storage))


def values(cluster, topic="t"):
    return sorted(int(value) for _, _, _, value in cluster.consume(topic))


@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_leader_whose_log_fails_hands_over_at_once_and_comes_back(call):
    with three(**NO_JOURNAL) as cluster:
        cluster.create_topic("t")
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        load = Load(cluster, "t", per_second=200, **{"message.timeout.ms": 30000})
        load.wait_acks(100)
        leader.fail_disk(call, "/t-0/")
        cluster.wait_isr("t", 2, seconds=10)
        assert cluster.leader("t") is not leader
        load.wait_acks(200, seconds=10)
        assert leader.running() and "partition taken offline log=t-0" in leader.log()
        leader.heal_disk()
        leader.restart().wait_ready()
        cluster.wait_isr("t", 3)
        load.wait_acks(100)
        load.stop()
        load.check(exactly_once=False)


def test_a_follower_whose_log_fails_leaves_the_isr_at_once():
    with three(**dict(NO_JOURNAL, **{"replica.lag.time.max.ms": 60000})) as cluster:
        cluster.produce("t", ["1"])
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        follower = next(node for node in cluster.storage if node is not leader)
        follower.fail_disk("sync", "/t-0/")
        cluster.produce("t", ["2"])
        cluster.wait_isr("t", 2, seconds=5)
        assert cluster.leader("t") is leader
        assert follower.id not in [isr["id"] for isr in cluster.partition("t")["isrs"]]


def test_the_only_copy_on_a_failing_disk_is_offline_and_comes_back_with_it():
    with Cluster(diskfault=True, settings={"storage": NO_JOURNAL}) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("u")
        cluster.produce("t", [str(n) for n in range(100)])
        node.fail_disk("sync", "/t-0/")
        failed = cluster.kcat("-P", "-t", "t", "-X", "message.timeout.ms=2000", input="x\n", check=False)
        assert failed.returncode != 0
        wait_until(lambda: cluster.partition("t")["leader"] == -1, 5, "the partition to be offline")
        cluster.produce("u", ["1"])
        node.heal_disk()
        node.restart().wait_ready()
        wait_until(lambda: cluster.partition("t")["leader"] == node.id, 10, "the partition to be back")
        assert [v for _, _, _, v in cluster.consume("t")][:100] == [str(n) for n in range(100)]


def flip(path, at, bit=1):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bit]))


def first_segment(node, topic="t"):
    return sorted(glob.glob(os.path.join(node.data, topic + "-0", "*.log")))[0]


BATCH_HEADER = 61


@pytest.mark.parametrize("at", [9, 40, BATCH_HEADER + 20])
def test_a_flipped_bit_on_the_leader_is_repaired_from_another_replica(at):
    # In the length, in the header, in a record; three segments, so that what lies before the bad one stays.
    with three(**NO_JOURNAL) as cluster:
        cluster.create_topic("t", segment_bytes=20000)
        for n in range(15):
            cluster.produce("t", [str(n)] + ["%d" % n + "x" * 4000])
        cluster.wait_isr("t", 3)
        expected = cluster.consume("t")
        leader = cluster.leader("t")
        leader.stop()
        cluster.wait_isr("t", 2)
        segments = sorted(glob.glob(os.path.join(leader.data, "t-0", "*.log")))
        assert len(segments) >= 3
        flip(segments[1], at)
        leader.start().wait_ready()
        cluster.wait_isr("t", 3)
        others = [node for node in cluster.storage if node is not leader]
        wait_until(lambda: cluster.leader("t") is leader, 30, "the preferred leader to lead again")
        assert wait_until(lambda: cluster.consume("t"), 10) == expected
        wait_until(lambda: re.search("dropping damaged records|partition is lost", leader.log()), 10, "the repair")
        cluster.wait_isr("t", 3)
        for node in others:
            with open(sorted(glob.glob(os.path.join(node.data, "t-0", "*.log")))[1], "rb") as good:
                wanted = good.read()
            with open(segments[1], "rb") as repaired:
                assert repaired.read() == wanted


def test_a_flipped_bit_in_the_only_copy_is_an_error_and_hides_nothing_else():
    with Cluster(settings={"storage": NO_JOURNAL}) as cluster:
        for n in range(10):
            cluster.produce("t", [str(n)])
        node = cluster.storage[0]
        node.stop()
        size = os.path.getsize(first_segment(node))
        flip(first_segment(node), size // 10 * 5 + BATCH_HEADER + 4)
        node.start().wait_ready()
        assert [o for _, o, _, _ in cluster.consume("t", "-c", "5")] == [0, 1, 2, 3, 4]
        assert [o for _, o, _, _ in cluster.consume("t", "-o", "6")] == [6, 7, 8, 9]
        bad = cluster.kcat("-C", "-t", "t", "-o", "5", "-c", "1", "-e", "-q", check=False, seconds=20)
        assert bad.stdout == ""
        assert cluster.leader("t") is node
        assert os.path.getsize(first_segment(node)) == size


def test_a_leader_that_cannot_read_hands_over_and_fills_its_log_again():
    with three(**NO_JOURNAL) as cluster:
        for n in range(20):
            cluster.produce("t", [str(n)])
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        leader.restart().wait_ready()
        wait_until(lambda: cluster.leader("t") is leader, 30, "the preferred leader to lead again")
        cluster.wait_isr("t", 3)
        leader.fail_disk("read", "/t-0/")
        assert wait_until(lambda: values(cluster), 20) == list(range(20))
        assert "records cannot be read back" in leader.log()
        leader.heal_disk()
        cluster.wait_isr("t", 3)  # the log went offline when the repair could not read either, and is back
