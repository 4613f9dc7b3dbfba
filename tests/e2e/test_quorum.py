# SPDX-License-Identifier: Apache-2.0
# DescribeQuorum: who votes over the metadata, how far everybody is, over a change of the leader.
import os
import sys
import time

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side  # noqa: E402

UNKNOWN = 3


def ask(side, topics, version=2):
    return side.call("DescribeQuorum", version, Topics=[
        {"TopicName": name, "Partitions": [{"PartitionIndex": index} for index in partitions]} for name, partitions in topics])


def quorum(side):
    answer = ask(side, [("__cluster_metadata", [0])])
    assert answer["ErrorCode"] == 0, answer
    return answer["Topics"][0]["Partitions"][0], answer["Nodes"]


def whole(side, voters):
    """Leader, voters and observers, once all have everything."""
    found = []

    def even():
        found[:] = [quorum(side)[0]]
        rows = found[0]["CurrentVoters"] + found[0]["Observers"]
        return (found[0]["ErrorCode"] == 0 and sorted(row["ReplicaId"] for row in found[0]["CurrentVoters"]) == voters and
                all(row["LastCaughtUpTimestamp"] > 0 and row["LogEndOffset"] >= found[0]["HighWatermark"] - 1 for row in rows))
    lib.wait_until(even, what="everybody to be caught up")
    return found[0]


def test_voters_and_nodes_are_described_and_a_new_leader_has_a_higher_epoch():
    with lib.Cluster(controllers=3, storage=2, coordinators=1) as cluster:
        side = Side("millrace", cluster.storage[0].address)
        ids = sorted(controller.id for controller in cluster.controllers)
        before = whole(side, ids)
        assert before["LeaderId"] in ids
        observers = {row["ReplicaId"] for row in before["Observers"]}
        assert observers == {node.id for node in cluster.storage + cluster.coordinators}
        now = time.time() * 1000
        assert all(abs(now - row["LastFetchTimestamp"]) < 30000 for row in before["CurrentVoters"] + before["Observers"])
        for version in (0, 1):  # have neither directories nor addresses
            older = ask(side, [("__cluster_metadata", [0])], version)
            row, = older["Topics"][0]["Partitions"]
            assert (older["ErrorCode"], row["LeaderId"], len(row["CurrentVoters"])) == (0, before["LeaderId"], 3)
        directories = {row["ReplicaDirectoryId"] for row in before["CurrentVoters"]}
        assert len(directories) == 3
        _, nodes = quorum(side)
        assert sorted(node["NodeId"] for node in nodes) == ids and all(node["Listeners"][0]["Port"] for node in nodes)
        next(one for one in cluster.controllers if one.id == before["LeaderId"]).restart()
        after = whole(side, ids)
        assert after["LeaderEpoch"] > before["LeaderEpoch"] and after["HighWatermark"] >= before["HighWatermark"]


def test_any_other_partition_is_refused_and_the_whole_request_with_it():
    with lib.Cluster(coordinators=0) as cluster:
        side = Side("millrace", cluster.storage[0].address)
        for topics in ([("orders", [0])], [("__cluster_metadata", [0, 1])], [("__cluster_metadata", [0]), ("orders", [0])]):
            for version in (0, 1, 2):
                answer = ask(side, topics, version)
                rows = [row for topic in answer["Topics"] for row in topic["Partitions"]]
                assert answer["ErrorCode"] == 0 and [row["ErrorCode"] for row in rows] == [UNKNOWN] * len(rows)
        assert ask(side, [])["Topics"] == []
