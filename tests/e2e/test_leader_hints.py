# SPDX-License-Identifier: Apache-2.0
# KIP-951: who asks the wrong node is told who leads, and where that is, so that it need not ask for metadata first.
import os
import sys

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side, batch  # noqa: E402

NOT_LEADER = 6


def test_wrong_node_names_the_leader_from_produce_v10_and_fetch_v16_on():
    with lib.Cluster(storage=2) as cluster:
        cluster.create_topic("t", partitions=2)
        other = cluster.leader("t", 0)
        asked = next(node for node in cluster.storage if node is not other)
        side = Side("millrace", asked.address)
        topic = lib.wait_until(lambda: side.call("Metadata", 12, Topics=[{"Name": "t"}])["Topics"][0]["TopicId"])
        where = [{"NodeId": other.id, "Host": "127.0.0.1", "Port": other.kafka_port, "Rack": None}]
        for version in (9, 10, 12, 13):
            one = {"TopicId": topic} if version >= 13 else {"Name": "t"}
            parts = [{"Index": 0, "Records": batch(b"a")}] * 2
            answer = side.call("Produce", version, Acks=1, TimeoutMs=1000, TopicData=[{**one, "PartitionData": parts}])
            assert answer["Responses"][0]["PartitionResponses"][1]["ErrorCode"] == NOT_LEADER
            assert answer.get("NodeEndpoints") == (where if version >= 10 else None), version
        for version in (12, 15, 16, 18):
            answer = side.fetch("t" if version < 13 else topic, 0, version=version)
            part = answer["Responses"][0]["Partitions"][0]
            assert part["ErrorCode"] == NOT_LEADER
            assert part.get("CurrentLeader", {}).get("LeaderId") == (other.id if version >= 16 else None), version
            assert answer.get("NodeEndpoints") == (where if version >= 16 else None), version
