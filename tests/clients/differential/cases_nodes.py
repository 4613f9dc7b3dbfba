# SPDX-License-Identifier: Apache-2.0
"""Two nodes: who leads what, requests to the wrong one, and one of them dead. A side has them as side.nodes."""

import time

from cases_admin import brief, configs_of

from side import Side, batch, wait_for


def assigned(side, name, *replicas, **configs):
    answer = side.call(
        "CreateTopics",
        7,
        TimeoutMs=10000,
        Topics=[
            {
                "Name": name,
                "NumPartitions": -1,
                "ReplicationFactor": -1,
                "Assignments": [
                    {"PartitionIndex": i, "BrokerIds": list(ids)} for i, ids in enumerate(replicas)
                ],
                "Configs": [{"Name": k.replace("_", "."), "Value": str(v)} for k, v in configs.items()],
            }
        ],
    )
    if answer["Topics"][0]["ErrorCode"]:
        raise RuntimeError(f"{name}: {answer['Topics'][0]}")
    for index, ids in enumerate(replicas):
        leader = side if ids[0] == 1 else side.nodes[1]
        wait_for(
            lambda leader=leader, index=index: leader.leads(name, index), f"{name}-{index} led by {ids[0]}"
        )
    wait_for(
        lambda: all(
            len(p["IsrNodes"]) == len(p["ReplicaNodes"]) for p in metadata_of(side, name)["Partitions"]
        ),
        f"full ISRs of {name}",
    )


def metadata_of(side, name, version=9):
    return side.call("Metadata", version, Topics=[{"Name": name}], AllowAutoTopicCreation=False)["Topics"][0]


def list_offset(side, label, topic, partition, version, timestamp=-1):
    side.call(
        "ListOffsets",
        version,
        label,
        ReplicaId=-1,
        Topics=[{"Name": topic, "Partitions": [{"PartitionIndex": partition, "Timestamp": timestamp}]}],
    )


def wrong_node(side):
    """Partition 1 is led by the other node; this one follows it (pair) or does not have it (single)."""
    assigned(side, "single", [1], [2])
    assigned(side, "pair", [1, 2], [2, 1])
    ids = {name: metadata_of(side, name, 12)["TopicId"] for name in ("single", "pair")}
    for name, identity in ids.items():
        for version in range(3, 14):
            topic = name if version < 13 else identity
            side.produce(topic, batch(b"a"), f"produce v{version} to {name}", version, partition=1)
        for version in range(4, 19):
            topic = name if version < 13 else identity
            side.fetch(topic, 0, f"fetch v{version} of {name}", version, partition=1)
        for version in range(1, 12):
            list_offset(side, f"offsets v{version} of {name}", name, 1, version)
        for version in range(2, 5):
            partition = {"Partition": 1, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}
            side.call(
                "OffsetForLeaderEpoch",
                version,
                f"epoch v{version} of {name}",
                Topics=[{"Topic": name, "Partitions": [partition]}],
            )
        for version in range(0, 14):
            side.call("Metadata", version, f"metadata v{version} of {name}", Topics=[{"Name": name}])
        side.call(
            "DescribeTopicPartitions",
            0,
            f"{name} described",
            Topics=[{"Name": name}],
            ResponsePartitionLimit=2000,
            Cursor=None,
        )


def two_nodes(side):
    side.call("DescribeCluster", 2, "cluster", EndpointType=1)
    brief(
        side,
        "both",
        Name="two-both",
        NumPartitions=-1,
        ReplicationFactor=-1,
        Assignments=[{"PartitionIndex": 0, "BrokerIds": [1, 2]}, {"PartitionIndex": 1, "BrokerIds": [2, 1]}],
    )
    brief(
        side,
        "mixed",
        Name="two-mixed",
        NumPartitions=-1,
        ReplicationFactor=-1,
        Assignments=[{"PartitionIndex": 0, "BrokerIds": [1, 2]}, {"PartitionIndex": 1, "BrokerIds": [2]}],
    )
    brief(side, "factor 2", Name="two-factor", ReplicationFactor=2)
    brief(side, "factor 3", Name="two-three", ReplicationFactor=3)
    assigned(side, "two-more", [1, 2])
    for label, ids in (("fewer", [1]), ("good", [2, 1]), ("twice", [1, 1]), ("unknown", [1, 3])):
        side.call(
            "CreatePartitions",
            3,
            "more " + label,
            TimeoutMs=10000,
            Topics=[{"Name": "two-more", "Count": 2, "Assignments": [{"BrokerIds": ids}]}],
        )
    answer = side.call(
        "DescribeConfigs", 4, Resources=[{"ResourceType": 4, "ResourceName": "2", "ConfigurationKeys": None}]
    )
    side.note("configs of the other", {"errors": [r["ErrorCode"] for r in answer["Results"]]})
    configs_of(side.nodes[1], "of itself", 4, "2", ["broker.id", "node.id"])


def one_dead(side):
    assigned(side, "dead", [1], [2])
    assigned(side, "moved", [1, 2], [2, 1])
    assigned(side, "strict", [1, 2], min_insync_replicas=2)
    side.kill()
    wait_for(lambda: metadata_of(side, "dead")["Partitions"][1]["ErrorCode"] == 5, "an offline partition", 60)
    wait_for(lambda: side.leads("moved", 1), "a new leader", 60)
    for name in ("moved", "strict"):
        wait_for(
            lambda name=name: all(p["IsrNodes"] == [1] for p in metadata_of(side, name)["Partitions"]),
            f"smaller ISRs of {name}",
            60,
        )
    time.sleep(1)
    for name in ("dead", "moved"):
        for version in range(0, 14):
            side.call("Metadata", version, f"metadata v{version} of {name}", Topics=[{"Name": name}])
        for version in (3, 9, 12):
            side.produce(name, batch(b"a"), f"produce to {name} v{version}", version, partition=1)
        side.fetch(name, 0, f"fetch from {name}", partition=1)
        list_offset(side, f"offsets of {name}", name, 1, 7)
        side.call(
            "DescribeTopicPartitions",
            0,
            f"{name} described",
            Topics=[{"Name": name}],
            ResponsePartitionLimit=2000,
            Cursor=None,
        )
    for version in (3, 9, 12):
        side.produce("strict", batch(b"a"), f"produce below the least ISR v{version}", version)
        side.produce("strict", batch(b"a"), f"acks=1 below the least ISR v{version}", version, acks=1)
    side.call("DescribeCluster", 2, "cluster", EndpointType=1)
    side.call("DescribeCluster", 2, "cluster, fenced too", EndpointType=1, IncludeFencedBrokers=True)
    brief(side, "factor 2", Name="dead-factor", ReplicationFactor=2)
    for label, nodes in (("the dead", [2]), ("both", [2, 1])):
        brief(
            side,
            f"assigned to {label}",
            Name="dead-to-" + label.replace(" ", "-"),
            NumPartitions=-1,
            ReplicationFactor=-1,
            Assignments=[{"PartitionIndex": 0, "BrokerIds": nodes}],
        )
    side.call(
        "CreatePartitions",
        3,
        "more on the dead",
        TimeoutMs=10000,
        Topics=[{"Name": "dead", "Count": 3, "Assignments": [{"BrokerIds": [2]}]}],
    )
    side.call("DeleteTopics", 5, "deleted", TopicNames=["dead"], TimeoutMs=10000)


CASES = [wrong_node, two_nodes, one_dead]
