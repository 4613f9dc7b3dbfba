# SPDX-License-Identifier: Apache-2.0
# Disks that answer with errors for a while: a log that went offline comes back by itself when its disk works again, with
# everything that was acknowledged, and nobody has restarted its node.
import contextlib
import os
import re
import subprocess
import time

import pytest

from cluster import FAULT_SHIM, Cluster, Load, wait_until

THREE = {"default.replication.factor": 3, "min.insync.replicas": 2}
JOURNALS = {"journaled": {}, "direct": {"log.journal.bytes": 0}}  # 0: every record is synced in its segment

pytestmark = pytest.mark.skipif(not os.path.exists(FAULT_SHIM), reason="diskfault.so is not built (sanitizer build)")


def fail_for_a_while(node, call):
    """Until its log is offline and has been tried once in vain."""
    node.fail_disk(call, "/t-0/")
    wait_until(lambda: "partition taken offline log=t-0" in node.log(), 20, "the log to fail")
    wait_until(lambda: node.metric("millrace_log_heal_failures_total") > 0, 20, "a try in vain")
    assert node.metric("millrace_log_offline") == 1
    node.heal_disk()


def check_returned(node, pid):
    wait_until(lambda: "partition is back, its disk works again log=t-0" in node.log(), 20, "the log to be back")
    assert node.pid == pid and node.running()
    assert node.metric("millrace_log_offline") == 0 and node.metric("millrace_log_healed_total") == 1


@pytest.mark.parametrize("journal", JOURNALS)
@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_a_replica_joins_again_when_its_disk_works(victim, call, journal):
    if (call, journal) == ("sync", "journaled"):
        pytest.skip("the journal is synced, not the segment")
    with Cluster(storage=3, diskfault=True, settings={"all": THREE, "storage": JOURNALS[journal]}) as cluster:
        cluster.create_topic("t")
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        node = leader if victim == "leader" else next(one for one in cluster.storage if one is not leader)
        pid = node.pid
        load = Load(cluster, "t", per_second=200, **{"message.timeout.ms": 30000})
        load.wait_acks(100)
        fail_for_a_while(node, call)
        check_returned(node, pid)
        cluster.wait_isr("t", 3)
        load.wait_acks(100)
        load.stop()
        load.check(exactly_once=False)
        assert not re.search("partition is lost", node.log())


@pytest.mark.parametrize("journal", JOURNALS)
@pytest.mark.parametrize("call", ["write", "sync"])
def test_the_only_copy_leads_again_with_everything_acknowledged(call, journal):
    if (call, journal) == ("sync", "journaled"):
        pytest.skip("the journal is synced, not the segment")
    with Cluster(diskfault=True, settings={"storage": JOURNALS[journal]}) as cluster:
        cluster.create_topic("t")
        node = cluster.storage[0]
        pid = node.pid
        load = Load(cluster, "t", per_second=200, **{"message.timeout.ms": 60000})
        load.wait_acks(100)
        fail_for_a_while(node, call)
        check_returned(node, pid)
        wait_until(lambda: cluster.partition("t")["leader"] == node.id, 10, "the partition to be back")
        load.wait_acks(100)
        load.stop()
        load.check(exactly_once=False)
        node.restart().wait_ready()  # and the disk agrees with what was served
        load.check(exactly_once=False)


def test_only_what_is_in_the_directory_of_a_failing_disk_waits_for_it():
    cluster = Cluster(diskfault=True)
    node = cluster.storage[0]
    node.settings["log.dirs"] = ",".join(os.path.join(node.data, name) for name in "ab")
    with cluster:
        cluster.create_topic("t", partitions=4)
        for p in range(4):
            cluster.produce("t", ["1"], "-p", str(p))
        inside = [p for p in range(4) if os.path.isdir(os.path.join(node.data, "a", "t-%d" % p))]
        assert len(inside) == 2
        node.fail_disk("write", "/a/t-")
        for p in inside:
            cluster.kcat("-P", "-t", "t", "-p", str(p), "-X", "message.timeout.ms=1000", input="x\n", check=False)
        wait_until(lambda: node.metric("millrace_log_offline") == 2, 10, "both logs to fail")
        for p in set(range(4)) - set(inside):
            cluster.produce("t", ["2"], "-p", str(p))
        node.heal_disk()
        wait_until(lambda: node.metric("millrace_log_offline") == 0, 20, "both logs to be back")
        for p in inside:
            cluster.produce("t", ["2"], "-p", str(p))
            got = [value for _, _, _, value in cluster.consume("t", "-p", str(p))]
            assert (got[0], got[-1]) == ("1", "2")


def test_a_log_that_a_start_could_not_read_returns():
    with Cluster(diskfault=True, settings={"storage": JOURNALS["direct"]}) as cluster:
        node = cluster.storage[0]
        cluster.produce("t", ["%d" % n for n in range(100)])
        node.kill()
        node.fail_disk("read", "/t-0/0000")
        node.start().wait_ready()
        pid = node.pid
        wait_until(lambda: node.metric("millrace_log_heal_failures_total") > 0, 20, "a try in vain")
        node.heal_disk()
        check_returned(node, pid)
        assert [value for _, _, _, value in cluster.consume("t")] == ["%d" % n for n in range(100)]
        cluster.produce("t", ["more"])


METADATA = "/t-0/partition.metadata"


def start_without_the_id(node):
    """Behind a kill; it cannot read whose the log is."""
    node.fail_disk("read", METADATA)
    node.start().wait_ready()
    wait_until(lambda: node.metric("millrace_log_heal_failures_total") > 0, 20, "a try in vain")
    assert "partition taken offline log=t-0" in node.log() and "partition is lost" not in node.log()


def keep(content):
    return content


def flip(content):
    """One bit of the id, which stays one."""
    flips = (content[-10] ^ 1 << bit for bit in range(7))
    return content[:-10] + bytes([next(flip for flip in flips if chr(flip).isalnum())]) + content[-9:]


def spoil(content):
    return b"w" + content[1:]


def exchange(content):
    """The id of another topic."""
    return content[:-22] + b"xT0yK2pQRZuHn4bq8cW1Eg"


def change_metadata(node, change):
    path = node.data + METADATA
    with open(path, "rb") as file:
        good = file.read()
    with open(path, "wb") as file:
        file.write(change(good))
    return path, good


@pytest.mark.parametrize("change, told", [(keep, "partition is back"), (flip, "was damaged and is repaired"),
                                          (spoil, "is repaired by the name")])
def test_the_only_copy_returns_when_its_topic_id_can_be_read(change, told):
    with Cluster(diskfault=True, settings={"storage": JOURNALS["direct"]}) as cluster:
        node = cluster.storage[0]
        cluster.produce("t", ["%d" % n for n in range(100)])
        node.kill()
        start_without_the_id(node)
        path, good = change_metadata(node, change)
        node.heal_disk()
        wait_until(lambda: told in node.log(), 20, "the log to be back")
        assert [value for _, _, _, value in cluster.consume("t")] == ["%d" % n for n in range(100)]
        cluster.produce("t", ["more"])
        node.kill()
        with open(path, "rb") as file:
            assert file.read() == good
        node.start().wait_ready()
        assert [value for _, _, _, value in cluster.consume("t")][-1] == "more"


@pytest.mark.parametrize("change", [keep, spoil, exchange])
def test_a_replica_joins_again_when_its_topic_id_can_be_read(change):
    with Cluster(storage=3, diskfault=True, settings={"all": THREE, "storage": JOURNALS["direct"]}) as cluster:
        values = ["%d" % n for n in range(100)]
        cluster.produce("t", values)
        cluster.wait_isr("t", 3)
        node = cluster.leader("t")
        node.kill()
        cluster.wait_isr("t", 2)
        start_without_the_id(node)
        change_metadata(node, change)
        node.heal_disk()
        cluster.wait_isr("t", 3)
        strays = [name for name in os.listdir(node.data) if name.endswith("-stray")]
        assert len(strays) == (change is exchange)
        assert node.metric("millrace_log_offline") == 0
        next(one for one in cluster.storage if one is not node).kill()
        assert [value for _, _, _, value in cluster.consume("t")] == values


def test_files_of_a_removed_topic_stay_until_their_id_can_be_read():
    with Cluster(storage=2, diskfault=True, settings={"storage": JOURNALS["direct"]}) as cluster:
        cluster.create_topic("t", replication=1)
        cluster.produce("t", ["1"])
        node = cluster.leader("t")
        node.kill()
        cluster.cli("topic", "delete", "t")
        node.fail_disk("read", METADATA)
        node.start().wait_ready()
        assert "partition taken offline log=t-0" in node.log()
        node.heal_disk()
        node.restart().wait_ready()
        wait_until(lambda: not os.path.exists(os.path.join(node.data, "t-0")), 10, "the files to be removed")
        assert not [name for name in os.listdir(node.data) if name.endswith("-stray")]


def test_the_only_copy_returns_although_it_could_not_be_read_before_it_failed():
    with Cluster(diskfault=True, settings={"storage": JOURNALS["direct"]}) as cluster:
        node = cluster.storage[0]
        cluster.produce("t", ["1"])
        node.restart().wait_ready()  # so that it is read from the disk
        node.fail_disk("read", "/t-0/")
        with contextlib.suppress(subprocess.TimeoutExpired):  # kcat goes on asking
            cluster.kcat("-C", "-t", "t", "-c", "1", "-e", "-q", check=False, seconds=2)
        wait_until(lambda: "records cannot be read back" in node.log(), 10, "the damage to be noticed")
        node.fail_disk("write", "/t-0/")
        cluster.kcat("-P", "-t", "t", "-X", "message.timeout.ms=1000", input="x\n", check=False)
        wait_until(lambda: node.metric("millrace_log_offline") == 1, 10, "the log to fail")
        node.heal_disk()
        cluster.produce("t", ["2"])
        got = [value for _, _, _, value in cluster.consume("t")]
        assert (got[0], got[-1]) == ("1", "2")


def damage_batch(node, index):
    """Makes it no batch any more, so that nothing can be walked over it."""
    path, magic_at = os.path.join(node.data, "t-0", "%020d.log" % 0), 16
    with open(path, "r+b") as file:
        for _ in range(index):
            size = 12 + int.from_bytes(os.pread(file.fileno(), 4, file.tell() + 8), "big")
            file.seek(size, os.SEEK_CUR)
        os.pwrite(file.fileno(), b"\x55", file.tell() + magic_at)


def test_a_truncation_that_meets_damage_drops_it_and_fetches_the_rest_again():
    settings = {"default.replication.factor": 2, "min.insync.replicas": 1, "unclean.leader.election.enable": "true"}
    segments = {"log.segment.bytes": 20000}  # a start looks at the end of those before the last one
    values = ["%d" % n * 1000 for n in range(10)]
    with Cluster(storage=2, settings={"all": settings, "storage": segments}) as cluster:
        cluster.create_topic("t")
        for value in values:
            cluster.produce("t", [value])
        cluster.wait_isr("t", 2)
        node = cluster.leader("t")
        other = next(one for one in cluster.storage if one is not node)
        other.kill()
        cluster.wait_isr("t", 1)
        for length in (1000, 15000, 15000):
            cluster.produce("t", ["x" * length], "-X", "enable.idempotence=true")
        node.stop()  # with a snapshot of the producer, so that the next start need not look for it
        other.start().wait_ready()  # leads without what it never had
        values.append("more")
        cluster.produce("t", values[-1:])
        damage_batch(node, 3)
        node.start().wait_ready()
        cluster.wait_isr("t", 2)
        assert "cannot truncate partition=t-0" in node.log()
        assert "partition is back, its disk works again log=t-0 end=3" in node.log()
        other.kill()
        wait_until(lambda: cluster.partition("t")["leader"] == node.id, 20, "it to lead")
        assert [value for _, _, _, value in cluster.consume("t")] == values


def test_an_idle_follower_joins_again():
    with Cluster(storage=3, diskfault=True, settings={"all": THREE}) as cluster:
        cluster.create_topic("t")
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        node = next(one for one in cluster.storage if one is not leader)
        cluster.produce("t", ["1"])
        node.fail_disk("write", "/t-0/")
        cluster.produce("t", ["2"])
        wait_until(lambda: "partition taken offline log=t-0" in node.log(), 20, "the log to fail")
        cluster.wait_isr("t", 2)
        node.heal_disk()
        cluster.wait_isr("t", 3)
        assert "partition is lost" not in node.log()


def test_a_leader_does_not_return_before_the_controller_has_noted_that_it_failed():
    # Its followers may have what is not durable here, and another record would come to the same place in the same epoch.
    with Cluster(diskfault=True, settings={"storage": JOURNALS["direct"]}) as cluster:
        node, controller = cluster.storage[0], cluster.controllers[0]
        cluster.produce("t", ["1"])
        node.fail_disk("sync", "/t-0/")
        controller.freeze()
        cluster.kcat("-P", "-t", "t", "-X", "message.timeout.ms=1000", input="x\n", check=False)
        wait_until(lambda: "partition taken offline log=t-0" in node.log(), 5, "the log to fail")
        node.heal_disk()
        time.sleep(3)
        assert node.metric("millrace_log_healed_total") + node.metric("millrace_log_heal_failures_total") == 0
        controller.thaw()
        wait_until(lambda: node.metric("millrace_log_healed_total") == 1, 20, "the log to be back")
        cluster.produce("t", ["2"])
        assert [value for _, _, _, value in cluster.consume("t")][0] == "1"
