# SPDX-License-Identifier: Apache-2.0
# What clients see of several nodes: min.insync.replicas, followers, changes of leaders, which node answers what.
import time

import pytest

import cluster as lib
from behaviour import NO_REBALANCE_DELAY, batch, batches, list_offset, metadata_of, only_millrace, part, refused, side_of

LEADER_NOT_AVAILABLE, NOT_LEADER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS, OFFSET_NOT_AVAILABLE = 5, 6, 7, 19, 78
TIME = 1_700_000_000_000
pytestmark = only_millrace


@pytest.fixture(scope="module")
def sides():
    """Two nodes by id."""
    with lib.Cluster(storage=2, settings=NO_REBALANCE_DELAY) as cluster:
        found = {node.id: side_of(node.address) for node in cluster.storage}
        for side in found.values():
            side.cluster = cluster
        yield found


def created(sides, topic, *replicas, **configs):
    """A topic with one partition per list of node ids, the first of which leads; all replicas in sync."""
    answer = sides[1].call("CreateTopics", 7, TimeoutMs=10000, Topics=[
        {"Name": topic, "NumPartitions": -1, "ReplicationFactor": -1,
         "Assignments": [{"PartitionIndex": i, "BrokerIds": list(ids)} for i, ids in enumerate(replicas)],
         "Configs": [{"Name": k.replace("_", "."), "Value": str(v)} for k, v in configs.items()]}])
    assert answer["Topics"][0]["ErrorCode"] == 0, answer
    for index, ids in enumerate(replicas):
        lib.wait_until(lambda index=index, ids=ids: sides[ids[0]].leads(topic, index), 20, "%s-%d" % (topic, index))
    lib.wait_until(lambda: all(sorted(p["IsrNodes"]) == sorted(p["ReplicaNodes"])
                               for p in metadata_of(sides[1], topic)["Partitions"]), 20, "full ISRs")
    return metadata_of(sides[1], topic)["TopicId"]


# ---- which node ----


@pytest.mark.parametrize("version", (3, 9, 12))
def test_produce_and_fetch_at_a_follower_are_not_leader_or_follower(sides, version):
    topic = "led-%d" % version
    created(sides, topic, [2, 1])
    assert refused(sides[1].produce(topic, batch(b"a"), version=version)) == NOT_LEADER
    assert refused(part(sides[1].fetch(topic, 0, version=min(version + 1, 10)))) == NOT_LEADER  # later ones it serves (KIP-392)
    assert refused(list_offset(sides[1], topic, -1, min(version, 10))) == NOT_LEADER


def test_every_node_tells_the_same_api_versions_and_a_controller_among_the_listed(sides):
    versions = [side.call("ApiVersions", 4, ClientSoftwareName="t", ClientSoftwareVersion="1") for side in sides.values()]
    assert versions[0]["ApiKeys"] == versions[1]["ApiKeys"]
    for side in sides.values():
        answer = side.call("Metadata", 9, Topics=[])
        assert sorted(one["NodeId"] for one in answer["Brokers"]) == [1, 2] and answer["ControllerId"] in (1, 2)
        assert answer == {**answer, "ClusterId": sides[1].call("Metadata", 9, Topics=[])["ClusterId"]}


def test_find_coordinator_names_the_same_listed_node_at_every_node(sides):
    for key in ("a", "b", "c", "d"):
        found = {side.call("FindCoordinator", 4, KeyType=0, CoordinatorKeys=[key])["Coordinators"][0]["NodeId"]
                 for side in sides.values()}
        assert len(found) == 1 and found <= {1, 2}


# ---- leaders that change ----


def test_waiting_fetch_is_answered_when_another_node_becomes_the_leader(sides):
    created(sides, "handed-over", [1, 2])
    held = sides[1].start("Fetch", 12, MaxWaitMs=20000, MinBytes=1, Topics=[
        {"Topic": "handed-over", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}])
    time.sleep(0.2)
    answer = sides[1].call("AlterPartitionReassignments", 0, TimeoutMs=10000, Topics=[
        {"Name": "handed-over", "Partitions": [{"PartitionIndex": 0, "Replicas": [2]}]}])
    assert answer["Responses"][0]["Partitions"][0]["ErrorCode"] == 0
    assert refused(part(held.wait())) == NOT_LEADER
    lib.wait_until(lambda: sides[2].leads("handed-over", 0), 10, "the new leader")


def test_end_that_a_new_leader_does_not_know_yet_is_offset_not_available_and_leader_not_available_before_v5():
    """Of two left in the ISR one hangs: the new leader cannot know what was committed before it."""
    settings = {**NO_REBALANCE_DELAY, "controller": {"broker.session.timeout.ms": 6000}}
    with lib.Cluster(storage=3, settings=settings) as cluster:
        all_sides = {node.id: side_of(node.address) for node in cluster.storage}
        created(all_sides, "new-leader", [1, 2, 3])
        assert refused(all_sides[1].produce("new-leader", batch(b"all", timestamp=TIME))) == 0
        cluster.node(3).freeze()
        try:
            some = batch(b"some", timestamp=TIME + 10)
            assert all_sides[1].produce("new-leader", some, acks=1)["BaseOffset"] == 1
            time.sleep(1)  # the second has it, the third cannot
            cluster.node(1).kill()
            second = all_sides[2]
            lib.wait_until(lambda: refused(list_offset(second, "new-leader", -2)) == 0, 10, "the new leader")
            found = {version: refused(list_offset(second, "new-leader", -1, version)) for version in (1, 4, 5, 10)}
            assert found == {1: LEADER_NOT_AVAILABLE, 4: LEADER_NOT_AVAILABLE, 5: OFFSET_NOT_AVAILABLE,
                             10: OFFSET_NOT_AVAILABLE}
            newest = {(when, version): refused(list_offset(second, "new-leader", when, version))
                      for when, version in ((TIME + 5, 1), (TIME + 5, 10), (TIME + 99, 10), (-3, 10))}
            assert newest == {(TIME + 5, 1): LEADER_NOT_AVAILABLE, (TIME + 5, 10): OFFSET_NOT_AVAILABLE,
                              (TIME + 99, 10): OFFSET_NOT_AVAILABLE, (-3, 10): OFFSET_NOT_AVAILABLE}
            assert list_offset(second, "new-leader", TIME)["Offset"] == 0  # below the watermark it knows
        finally:
            cluster.node(3).thaw()
        lib.wait_until(lambda: list_offset(second, "new-leader", -1)["Offset"] == 2, 20, "the end")
        assert [list_offset(second, "new-leader", when)["Offset"] for when in (TIME + 5, TIME + 99, -3)] == [1, -1, 1]


# ---- replicas in sync (these stop the second node: last) ----


def without_second(sides, *topics):
    """The second node is gone, and out of every ISR."""
    if sides[2].cluster.storage[1].running():
        sides[2].cluster.storage[1].kill()
    for topic in topics:
        lib.wait_until(lambda topic=topic: metadata_of(sides[1], topic)["Partitions"][0]["IsrNodes"] == [1], 30,
                       "a smaller ISR of " + topic)


def test_produce_with_acks_all_below_min_insync_replicas_is_not_enough_replicas(sides):
    created(sides, "strict", [1, 2], min_insync_replicas=2)
    assert refused(sides[1].produce("strict", batch(b"both"))) == 0
    without_second(sides, "strict")
    for version in (3, 9, 12):
        found = sides[1].produce("strict", batch(b"refused"), version=version)
        assert (found["ErrorCode"], found["BaseOffset"]) == (NOT_ENOUGH_REPLICAS, -1)
    found = sides[1].produce("strict", batch(b"one"), acks=1)
    assert (found["ErrorCode"], found["BaseOffset"]) == (0, 1)


def with_second(sides):
    node = sides[2].cluster.storage[1]
    if not node.running():
        node.start().wait_ready()
        sides[2].connection = None
    return node


def test_produce_whose_isr_shrinks_below_the_minimum_meanwhile_times_out_and_is_read_when_a_replica_is_back(sides):
    node = with_second(sides)
    created(sides, "shrinks", [1, 2], min_insync_replicas=2)
    node.freeze()  # it has nothing of it, and then dies
    held = sides[1].start("Produce", 12, Acks=-1, TimeoutMs=3000, TopicData=[
        {"Name": "shrinks", "PartitionData": [{"Index": 0, "Records": batch(b"late")}]}])
    lib.wait_until(lambda: sides[1].produce("shrinks", batch(b"behind"), acks=1)["BaseOffset"] > 0, 10, "the record")
    without_second(sides, "shrinks")
    answer = held.wait()["Responses"][0]["PartitionResponses"][0]
    assert answer["ErrorCode"] == REQUEST_TIMED_OUT
    found = part(sides[1].fetch("shrinks", 0, MaxWaitMs=0))
    assert (found["ErrorCode"], found["HighWatermark"]) == (0, 0)
    with_second(sides)
    lib.wait_until(lambda: part(sides[1].fetch("shrinks", 0))["HighWatermark"] > 1, 20, "the replica")


def test_records_that_the_replicas_in_sync_do_not_have_are_read_by_nobody(sides):
    """What a follower that hangs has not got is behind the watermark: read as empty, without an error."""
    node = with_second(sides)
    created(sides, "hanging", [1, 2])
    assert refused(sides[1].produce("hanging", batch(b"both"))) == 0
    node.freeze()
    try:
        assert sides[1].produce("hanging", batch(b"one"), acks=1)["BaseOffset"] == 1
        for offset in (1, 2):
            found = part(sides[1].fetch("hanging", offset, MaxWaitMs=0))
            assert (found["ErrorCode"], found["HighWatermark"]) == (0, 1) and not found["Records"]
        assert [one.base for one in batches(part(sides[1].fetch("hanging", 0)))] == [0]
        assert list_offset(sides[1], "hanging", -1)["Offset"] == 1
    finally:
        node.thaw()
    lib.wait_until(lambda: part(sides[1].fetch("hanging", 1))["HighWatermark"] == 2, 20, "the follower")
