# SPDX-License-Identifier: Apache-2.0
# Fetch from the closest replica (KIP-392): leaders send consumers to a replica in their rack, followers serve them up to
# their own watermark.
import os
import sys
import time

import pytest

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side, batch  # noqa: E402

SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
OUT_OF_RANGE, NOT_LEADER, FENCED, UNKNOWN_EPOCH = 1, 6, 74, 75
RECORDS = 20  # a batch each
VALUE = b"x" * 1000
SIZE = len(batch(VALUE))


class Racks:
    """A topic on three nodes, each in a rack of its own: the leader's side, and one follower's."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.create_topic("t", replication=3)
        cluster.wait_isr("t", 3)
        self.leader_node = cluster.leader("t")
        self.node = next(node for node in cluster.storage if node is not self.leader_node)
        self.rack = "rack-%d" % self.node.id
        self.leader, self.follower = (Side("millrace", node.address) for node in (self.leader_node, self.node))
        lib.wait_until(lambda: self.leader.leads("t", 0), 10, "the leader")
        for _ in range(RECORDS):
            assert self.leader.produce("t", batch(VALUE))["ErrorCode"] == 0

    def follower_has(self, end):
        lib.wait_until(lambda: part(self.follower.fetch("t", 0))["HighWatermark"] >= end, 10, "the follower's watermark")


def start(selector):
    settings = {"storage": {"replica.selector.class": selector}} if selector else None
    cluster = lib.Cluster(storage=3, settings=settings)
    for node in cluster.storage:
        node.settings["broker.rack"] = "rack-%d" % node.id
    return cluster


@pytest.fixture(scope="module")
def racks():
    with start(SELECTOR) as cluster:
        yield Racks(cluster)


def part(answer):
    return answer["Responses"][0]["Partitions"][0]


def records_from(side, offset, **fields):
    """What is stored from an offset, in as many answers as it takes: an answer may end where it likes."""
    found = b""
    while offset < RECORDS:
        answer = part(side.fetch("t", offset, **fields))
        assert (answer["ErrorCode"], answer["PreferredReadReplica"]) == (0, -1) and answer["Records"]
        found += answer["Records"]
        offset += len(answer["Records"]) // SIZE
    return found


@pytest.mark.parametrize("version", (11, 12, 18))
def test_the_leader_names_the_replica_in_the_consumers_rack(racks, version):
    name = "t" if version < 13 else racks.leader.call("Metadata", 12, Topics=[{"Name": "t"}])["Topics"][0]["TopicId"]
    began = time.monotonic()
    found = part(racks.leader.fetch(name, 0, version=version, RackId=racks.rack, MaxWaitMs=10000, MinBytes=1 << 20))
    assert time.monotonic() - began < 5, "it is told at once"
    assert found["ErrorCode"] == 0 and found["PreferredReadReplica"] == racks.node.id
    assert not found["Records"] and found["HighWatermark"] >= RECORDS and found["LogStartOffset"] == 0
    for rack in ("", "nowhere", "rack-%d" % racks.leader_node.id):
        found = part(racks.leader.fetch(name, 0, version=version, RackId=rack))
        assert found["PreferredReadReplica"] == -1 and found["Records"], rack
    found = part(racks.leader.fetch(name, 1 << 40, version=version, RackId=racks.rack))  # nobody has it
    assert (found["ErrorCode"], found["PreferredReadReplica"]) == (OUT_OF_RANGE, -1)


def test_a_follower_serves_consumers(racks):
    racks.follower_has(RECORDS)
    for version in (11, 12):
        found = records_from(racks.follower, 3, version=version, RackId=racks.rack)
        assert found == records_from(racks.leader, 3, version=version)
    # Before client.rack nobody could have been sent here.
    assert part(racks.follower.fetch("t", 3, version=10))["ErrorCode"] == NOT_LEADER
    for offset in (-1, 1 << 40):
        assert part(racks.follower.fetch("t", offset))["ErrorCode"] == OUT_OF_RANGE
        # What the follower has not got has not been truncated.
        assert part(racks.follower.fetch("t", offset, LastFetchedEpoch=0))["ErrorCode"] == OUT_OF_RANGE
    now = racks.leader.call(
        "Metadata", 9, Topics=[{"Name": "t"}])["Topics"][0]["Partitions"][0]["LeaderEpoch"]
    assert part(racks.follower.fetch("t", 0, CurrentLeaderEpoch=now))["ErrorCode"] == 0
    assert part(racks.follower.fetch("t", 0, CurrentLeaderEpoch=now + 1))["ErrorCode"] == UNKNOWN_EPOCH
    if now > 0:
        assert part(racks.follower.fetch("t", 0, CurrentLeaderEpoch=now - 1))["ErrorCode"] == FENCED
    listed = racks.follower.call("ListOffsets", 6, ReplicaId=-1, Topics=[
        {"Name": "t", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}])
    assert listed["Topics"][0]["Partitions"][0]["ErrorCode"] == NOT_LEADER


def test_a_followers_long_poll_is_woken_by_its_watermark(racks):
    end = part(racks.leader.fetch("t", 0))["HighWatermark"]
    racks.follower_has(end)
    held = racks.follower.start("Fetch", 12, MaxWaitMs=15000, MinBytes=1, RackId=racks.rack, Topics=[
        {"Topic": "t", "Partitions": [{"Partition": 0, "FetchOffset": end, "PartitionMaxBytes": 1 << 20}]}])
    racks.leader.produce("t", batch(b"woken"))
    found = part(held.wait())
    assert found["Records"] and found["HighWatermark"] == end + 1


def test_a_session_is_sent_on_each_time(racks):
    asked = {"Topics": [{"Topic": "t", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}]}
    fields = {"MaxWaitMs": 0, "MinBytes": 1, "RackId": racks.rack}
    answer = racks.leader.call("Fetch", 12, SessionEpoch=0, **asked, **fields)
    for epoch in (1, 2):
        answer = racks.leader.call("Fetch", 12, SessionId=answer["SessionId"], SessionEpoch=epoch, **fields)
        assert part(answer)["PreferredReadReplica"] == racks.node.id


def test_a_real_client_reads_from_its_rack(racks):
    def sent(node):
        return node.metric("millrace_conn_sent_bytes_total")
    end = part(racks.leader.fetch("t", 0))["HighWatermark"]
    racks.follower_has(end)
    before = sent(racks.node)
    found = racks.cluster.consume("t", "-X", "client.rack=" + racks.rack)
    assert [offset for _, offset, _, _ in found] == list(range(end))
    assert sent(racks.node) - before > RECORDS * 1000


def test_without_a_selector_leaders_serve():
    with start(None) as cluster:
        racks = Racks(cluster)
        found = part(racks.leader.fetch("t", 0, RackId=racks.rack))
        assert found["PreferredReadReplica"] == -1 and found["Records"]


def test_a_dead_replica_is_nobodys_closest():
    with start(SELECTOR) as cluster:
        racks = Racks(cluster)
        assert part(racks.leader.fetch("t", 0, RackId=racks.rack))["PreferredReadReplica"] == racks.node.id
        racks.node.kill()
        lib.wait_until(lambda: part(racks.leader.fetch("t", 0, RackId=racks.rack))["PreferredReadReplica"] == -1, 20,
                       "the leader to serve")
        assert part(racks.leader.fetch("t", 0, RackId=racks.rack))["Records"]
