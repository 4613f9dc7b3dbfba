# SPDX-License-Identifier: Apache-2.0
# What consumers ask after a change of leaders (KIP-320): an epoch in which nothing was written has not been truncated.
import os
import sys

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side, batch  # noqa: E402


def end_of_epoch(side, current, epoch):
    answer = side.call("OffsetForLeaderEpoch", 4, ReplicaId=-1, Topics=[{"Topic": "idle", "Partitions": [
        {"Partition": 0, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}]}])
    return answer["Topics"][0]["Partitions"][0]


def leader_epoch(side):
    return side.call("Metadata", 9, Topics=[{"Name": "idle"}])["Topics"][0]["Partitions"][0]["LeaderEpoch"]


def test_epochs_in_which_nothing_was_written_have_not_diverged(tmp_path):
    with lib.Cluster() as cluster:
        side = Side("millrace", cluster.storage[0].address)
        # Restarts change the leader of a sole replica only where an acknowledgement says nothing of the disk.
        cluster.create_topic("idle", flush_before_ack="false")
        assert side.produce("idle", batch(b"a", b"b"))["ErrorCode"] == 0
        written = leader_epoch(side)
        while leader_epoch(side) < written + 3:  # idle changes of leaders
            before = leader_epoch(side)
            side.connection.close()
            cluster.storage[0].restart().wait_ready()
            side = Side("millrace", cluster.storage[0].address)
            lib.wait_until(lambda: leader_epoch(side) > before and side.leads("idle", 0), 20, "a new leader epoch")
        now = leader_epoch(side)
        for epoch in range(written, now):
            found = end_of_epoch(side, now, epoch)
            assert (found["ErrorCode"], found["LeaderEpoch"], found["EndOffset"]) == (0, written, 2), epoch
        found = end_of_epoch(side, now, now)
        assert (found["ErrorCode"], found["LeaderEpoch"], found["EndOffset"]) == (0, now, 2)
        for unknown in (-1, now + 1):
            found = end_of_epoch(side, now, unknown)
            assert (found["LeaderEpoch"], found["EndOffset"]) == (-1, -1)
        # Fetch: a position of such an epoch is good, one of an epoch to come is not.
        for epoch, error in ((now - 1, 0), (now, 0), (now + 1, 1)):
            part = side.fetch("idle", 2, LastFetchedEpoch=epoch)["Responses"][0]["Partitions"][0]
            assert part["ErrorCode"] == error, epoch
        # Behind what the last epoch wrote: the client is told where it parted, not that it is out of range.
        part = side.fetch("idle", 5, LastFetchedEpoch=written)["Responses"][0]["Partitions"][0]
        assert part["ErrorCode"] == 0 and part["DivergingEpoch"] == {"Epoch": written, "EndOffset": 2}


def test_a_sole_replica_leads_on_in_its_epoch_when_its_node_is_back():
    with lib.Cluster(storage=2) as cluster:
        cluster.create_topic("sole", partitions=2, replication=1)
        away = cluster.leader("sole")
        stays = next(node for node in cluster.storage if node is not away)
        epoch = sole(stays)["LeaderEpoch"]
        for end in (away.stop, away.kill):
            cluster.produce("sole", ["a", "b"], "-p", 0)
            end()
            lib.wait_until(lambda: sole(stays)["LeaderId"] == -1, 20, "the partition to have no leader")
            assert sole(stays)["ErrorCode"] == 5  # LEADER_NOT_AVAILABLE
            away.start().wait_ready()
            lib.wait_until(lambda: sole(stays)["LeaderId"] == away.id, 20, "the leader")
            assert sole(stays)["LeaderEpoch"] == epoch
        cluster.produce("sole", ["c"], "-p", 0)
        assert [value for _, _, _, value in cluster.consume("sole")] == ["a", "b", "a", "b", "c"]


def sole(node):
    """Partition 0 as that node tells of it."""
    side = Side("millrace", node.address)
    found = side.call("Metadata", 9, Topics=[{"Name": "sole"}])["Topics"][0]["Partitions"]
    side.connection.close()
    return next(one for one in found if one["PartitionIndex"] == 0)
