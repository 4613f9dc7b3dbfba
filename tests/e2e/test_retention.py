# SPDX-License-Identifier: Apache-2.0
# What a log no longer keeps: by time also when nobody writes, by size, and by DeleteRecords on all replicas; and that
# none of it comes back after a restart.
import glob
import os
import sys
import time

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side, batch  # noqa: E402

OUT_OF_RANGE, TIMED_OUT, UNKNOWN_TOPIC, NOT_LEADER, POLICY, INVALID_TOPIC = 1, 7, 3, 6, 44, 17
EARLIEST, LATEST = -2, -1


def offset_of(side, topic, timestamp):
    answer = side.call("ListOffsets", 7, ReplicaId=-1, Topics=[
        {"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": timestamp}]}])
    found = answer["Topics"][0]["Partitions"][0]
    assert found["ErrorCode"] == 0, found
    return found["Offset"]


def delete_records(side, topic, before, timeout_ms=10000, partition=0):
    answer = side.call("DeleteRecords", 2, TimeoutMs=timeout_ms, Topics=[
        {"Name": topic, "Partitions": [{"PartitionIndex": partition, "Offset": before}]}])
    found = answer["Topics"][0]["Partitions"][0]
    return found["ErrorCode"], found["LowWatermark"]


def fetch_error(side, topic, offset):
    return side.fetch(topic, offset, MaxWaitMs=0)["Responses"][0]["Partitions"][0]["ErrorCode"]


def side_of(node):
    return Side("millrace", node.address)


def files(node, topic, suffix):
    return glob.glob(os.path.join(node.data, topic + "-0", "*" + suffix))


def test_an_idle_topic_expires_and_stays_so(tmp_path):
    with lib.Cluster(directory=str(tmp_path)) as cluster:
        node, side = cluster.storage[0], side_of(cluster.storage[0])
        side.topic("idle", retention_ms=1000, file_delete_delay_ms=0)
        side.topic("kept")
        side.topic("old")
        assert side.produce("old", batch(b"a", timestamp=1))["ErrorCode"] == 0
        for topic in ("idle", "kept"):
            assert side.produce(topic, batch(b"a", b"b", b"c"))["ErrorCode"] == 0
        written = time.monotonic()
        lib.wait_until(lambda: offset_of(side, "idle", EARLIEST) == 3, 20, "the start to move")
        assert time.monotonic() - written > 0.9, "sooner than retention.ms"
        assert fetch_error(side, "idle", 0) == OUT_OF_RANGE
        assert fetch_error(side, "idle", 3) == 0
        assert offset_of(side, "kept", EARLIEST) == 0 and fetch_error(side, "kept", 0) == 0
        assert offset_of(side, "old", EARLIEST) == 0, "what comes too old stays for log.retention.check.interval.ms"
        lib.wait_until(lambda: [os.path.basename(name) for name in files(node, "idle", ".log")] ==
                       ["%020d.log" % 3] and not files(node, "idle", ".deleted"), 30, "the files to go")
        assert node.metric("millrace_log_segments_removed_total") >= 1
        for end in (node.restart, lambda: (node.kill(), node.start())):
            end()
            node.wait_ready()
            side = side_of(node)
            lib.wait_until(lambda: side.leads("kept", 0) and offset_of(side, "idle", LATEST) == 3, 20, "a leader")
            assert offset_of(side, "idle", EARLIEST) == 3
            assert offset_of(side, "kept", EARLIEST) == 0
        side.call("IncrementalAlterConfigs", 1, ValidateOnly=False, Resources=[
            {"ResourceType": 2, "ResourceName": "idle", "Configs": [
                {"Name": "retention.ms", "ConfigOperation": 0, "Value": "-1"}]}])
        assert side.produce("idle", batch(b"d"))["BaseOffset"] == 3
        side.call("IncrementalAlterConfigs", 1, ValidateOnly=False, Resources=[
            {"ResourceType": 2, "ResourceName": "kept", "Configs": [
                {"Name": "retention.ms", "ConfigOperation": 0, "Value": "1"}]}])
        lib.wait_until(lambda: offset_of(side, "kept", EARLIEST) == 3, 20, "a changed setting to take effect")


def test_size_and_static_settings(tmp_path):
    settings = {"storage": {"log.retention.bytes": 100000, "log.retention.minutes": 5, "log.segment.bytes": 20000,
                            "log.segment.delete.delay.ms": 0, "log.retention.check.interval.ms": 500}}
    with lib.Cluster(directory=str(tmp_path), settings=settings) as cluster:
        node, side = cluster.storage[0], side_of(cluster.storage[0])
        side.topic("sized")
        side.topic("old")
        assert side.produce("old", batch(b"a", timestamp=1))["ErrorCode"] == 0
        lib.wait_until(lambda: offset_of(side, "old", EARLIEST) == 1, 20, "what came too old to go")
        for _ in range(60):
            assert side.produce("sized", batch(b"x" * 5000))["ErrorCode"] == 0
        lib.wait_until(lambda: 30 < offset_of(side, "sized", EARLIEST) <= 40, 20, "the size to be kept")
        lib.wait_until(lambda: sum(map(os.path.getsize, files(node, "sized", ".log"))) < 130000 and
                       not files(node, "sized", ".deleted"), 30, "the files to go")
        start = offset_of(side, "sized", EARLIEST)
        assert fetch_error(side, "sized", start - 1) == OUT_OF_RANGE
        assert fetch_error(side, "sized", start) == 0
        told = side.call("DescribeConfigs", 4, Resources=[{"ResourceType": 2, "ResourceName": "sized",
                                                          "ConfigurationKeys": None}], IncludeSynonyms=False,
                         IncludeDocumentation=False)
        values = {config["Name"]: config["Value"] for config in told["Results"][0]["Configs"]}
        assert values["retention.ms"] == "300000" and values["retention.bytes"] == "100000"


def test_what_delete_records_refuses(tmp_path):
    with lib.Cluster(directory=str(tmp_path)) as cluster:
        side = side_of(cluster.storage[0])
        side.topic("plain")
        side.topic("compacted", cleanup_policy="compact")
        assert side.produce("plain", batch(b"a", b"b", b"c"))["ErrorCode"] == 0
        assert delete_records(side, "plain", 4) == (OUT_OF_RANGE, -1)
        assert delete_records(side, "plain", -2) == (OUT_OF_RANGE, -1)
        assert delete_records(side, "none", 0) == (UNKNOWN_TOPIC, -1)
        assert delete_records(side, "plain", 0, partition=1) == (UNKNOWN_TOPIC, -1)
        assert delete_records(side, "compacted", 0) == (POLICY, -1)
        assert offset_of(side, "plain", EARLIEST) == 0
        assert delete_records(side, "plain", 0) == (0, 0)
        assert delete_records(side, "plain", 2) == (0, 2)
        assert delete_records(side, "plain", 1) == (0, 2), "a start never goes back"
        assert fetch_error(side, "plain", 1) == OUT_OF_RANGE
        assert delete_records(side, "plain", -1) == (0, 3)
        assert offset_of(side, "plain", EARLIEST) == 3
        assert side.produce("plain", batch(b"d"))["BaseOffset"] == 3


def test_deleting_records_of_a_sole_replica_needs_no_time():
    with lib.Cluster() as cluster:
        side = side_of(cluster.storage[0])
        side.topic("sole")
        for end in range(1, 6):
            assert side.produce("sole", batch(b"a"))["ErrorCode"] == 0
            assert delete_records(side, "sole", end, timeout_ms=0) == (0, end)


def replica_starts(cluster, topic):
    """Each node's start as log-start-offset-checkpoint has it; None where it does not name the partition."""
    starts = []
    for node in cluster.storage:
        path = os.path.join(node.data, "log-start-offset-checkpoint")
        lines = open(path).read().splitlines() if os.path.exists(path) else []
        row = [line.split() for line in lines if line.startswith(topic + " 0 ")]
        starts.append(int(row[0][2]) if row else None)
    return starts


def test_records_are_deleted_on_all_replicas(tmp_path):
    with lib.Cluster(storage=3, directory=str(tmp_path)) as cluster:
        cluster.create_topic("r", replication=3)
        cluster.wait_isr("r", 3)
        side = side_of(cluster.leader("r"))
        for _ in range(10):
            assert side.produce("r", batch(b"a", b"b"))["ErrorCode"] == 0
        other = next(node for node in cluster.storage if node.address != side.address)
        assert delete_records(side_of(other), "r", 1) == (NOT_LEADER, -1)
        assert delete_records(side, "r", 7) == (0, 7)
        assert replica_starts(cluster, "r") == [7, 7, 7], "answered before it is durable everywhere"
        # One that cannot answer is waited for; one that is dead is not.
        other.freeze()
        code, low = delete_records(side, "r", 9, timeout_ms=100)
        assert (code, low) in ((TIMED_OUT, 7), (0, 9))
        lib.wait_until(lambda: delete_records(side, "r", 9, timeout_ms=1000) == (0, 9), 20, "its lease to end")
        other.thaw()
        cluster.wait_isr("r", 3)
        lib.wait_until(lambda: replica_starts(cluster, "r") == [9, 9, 9], 20, "the start to reach it")
        # A follower that was away while everything it had was deleted starts anew.
        other.kill()
        lib.wait_until(lambda: side.produce("r", batch(b"c"))["ErrorCode"] == 0, 20, "produce without it")
        lib.wait_until(lambda: delete_records(side, "r", -1) == (0, 21), 20, "the deletion without it")
        assert side.produce("r", batch(b"d"))["BaseOffset"] == 21
        other.start().wait_ready()
        cluster.wait_isr("r", 3)
        cluster.leader("r").kill()
        lib.wait_until(lambda: cluster.partition("r")["leader"] not in (-1, side_id(cluster, side)), 20, "a new leader")

        def read():
            new = side_of(cluster.leader("r"))
            return offset_of(new, "r", EARLIEST) == 21 and offset_of(new, "r", LATEST) == 22
        lib.wait_until(read, 20, "the start at the new leader")


def side_id(cluster, side):
    return next(node.id for node in cluster.storage if node.address == side.address)
