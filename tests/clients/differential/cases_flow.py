# SPDX-License-Identifier: Apache-2.0
"""What hangs together over several requests: connections, topics that come and go, times in a log, internal topics."""

import gzip
import struct
import time

from cases_groups import commit, warm
from side import Connection, batch, record, API


def produce_body(topic, records, acks):
    return API["Produce"]["request"].encode(
        9,
        {
            "Acks": acks,
            "TimeoutMs": 1000,
            "TopicData": [{"Name": topic, "PartitionData": [{"Index": 0, "Records": records}]}],
        },
    )


def connections(side):
    """acks=0 has no answer, and what is refused then closes; answers come in the order of the requests."""
    side.topic("flow")
    for name, records, topic in (
        ("good", batch(b"a"), "flow"),
        ("corrupt", batch(b"a", crc=1), "flow"),
        ("unknown topic", batch(b"a"), "flow-unknown"),
    ):
        connection = Connection(side.address)
        connection.send(0, 9, produce_body(topic, records, 0), True)
        connection.send(18, 0, b"", False)
        side.note(f"acks=0 {name}", {"next is answered": connection.receive() is not None})
        connection.close()
    connection = Connection(side.address)
    first = connection.correlation + 1
    connection.send(
        1,
        4,
        API["Fetch"]["request"].encode(
            4,
            {
                "MaxWaitMs": 300,
                "MinBytes": 1000,
                "Topics": [
                    {
                        "Topic": "flow",
                        "Partitions": [{"Partition": 0, "FetchOffset": 1, "PartitionMaxBytes": 100}],
                    }
                ],
            },
        ),
        False,
    )
    connection.send(18, 0, b"", False)
    connection.send(0, 9, produce_body("flow", batch(b"b"), 1), True)
    order, data = [], b""
    while len(order) < 3:
        data += connection.socket.recv(1 << 16)
        while len(data) >= 8 and len(data) >= 4 + struct.unpack_from(">i", data)[0]:
            order.append(struct.unpack_from(">i", data, 4)[0] - first)
            data = data[4 + struct.unpack_from(">i", data)[0] :]
    side.note("order", {"answers": order})
    connection.close()


def comes_and_goes(side):
    """A name used again at once is another topic, empty, with no offsets of the former."""
    warm(side)
    for turn in range(5):
        side.topic("again")
        side.note(f"produce {turn}", {"code": side.produce("again", batch(b"a", b"b"))["BaseOffset"]})
        commit(side, "again", topic="again", offset=2)
        side.call("DeleteTopics", 5, None, TopicNames=["again"], TimeoutMs=10000)
    side.topic("again")
    time.sleep(1)
    side.fetch("again", 0, "fetch")
    side.fetch("again", 2, "fetch at the former end")
    side.call("OffsetFetch", 7, "offset", GroupId="again", Topics=[{"Name": "again", "PartitionIndexes": [0]}])


def altered_limits(side):
    side.topic("limited")
    for value, size in (("100", 200), ("1000", 200), (None, 2000)):
        side.call(
            "IncrementalAlterConfigs",
            1,
            None,
            Resources=[
                {
                    "ResourceType": 2,
                    "ResourceName": "limited",
                    "Configs": [
                        {"Name": "max.message.bytes", "ConfigOperation": 0 if value else 1, "Value": value}
                    ],
                }
            ],
        )
        time.sleep(0.5)
        side.produce("limited", batch(b"x" * size), f"{size} bytes with {value}")
    side.call(
        "IncrementalAlterConfigs",
        1,
        None,
        Resources=[
            {
                "ResourceType": 2,
                "ResourceName": "limited",
                "Configs": [
                    {"Name": "message.timestamp.type", "ConfigOperation": 0, "Value": "LogAppendTime"},
                    {"Name": "cleanup.policy", "ConfigOperation": 0, "Value": "compact"},
                ],
            }
        ],
    )
    time.sleep(0.5)
    side.produce("limited", batch(b"x"), "without key when compacted")
    side.produce("limited", batch(b"x", key=b"k", timestamp=5), "append time")
    side.fetch("limited", 0, "fetch")


def times(side):
    """Records by time inside batches, compressed and not, equal and out of order."""
    base = 1700000000000
    for name, packed in (("plain", None), ("gzip", gzip.compress)):
        topic = f"times-{name}"
        side.topic(topic)
        for deltas in ((0, 10, 5, 10), (3, 3), (20, 1), (-1000,)):
            body = b"".join(record(i, None, b"v", delta) for i, delta in enumerate(deltas))
            side.produce(
                topic,
                batch(
                    *[b"v"] * len(deltas),
                    timestamp=base,
                    max_timestamp=base + max(deltas),
                    attributes=1 if packed else 0,
                    body=packed(body) if packed else body,
                ),
            )
        for timestamp in (
            -3,
            base - 5000,
            base - 1000,
            base,
            base + 1,
            base + 4,
            base + 5,
            base + 6,
            base + 10,
            base + 11,
            base + 20,
            base + 21,
        ):
            side.call(
                "ListOffsets",
                7,
                f"{name} {timestamp - base if timestamp > 0 else timestamp}",
                ReplicaId=-1,
                Topics=[{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": timestamp}]}],
            )
    side.topic("times-append", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000) - 1
    for _ in range(2):
        side.produce("times-append", batch(b"a", b"b", timestamp=5))
        time.sleep(0.05)
    for label, timestamp in (("max", -3), ("0", 0), ("before", before), ("after", before + 100000)):
        side.call(
            "ListOffsets",
            7,
            f"append {label}",
            ReplicaId=-1,
            Topics=[{"Name": "times-append", "Partitions": [{"PartitionIndex": 0, "Timestamp": timestamp}]}],
        )
    side.topic("times-none")
    side.produce("times-none", batch(b"a", timestamp=-1, max_timestamp=-1))
    for timestamp in (-3, 0, 5):
        side.call(
            "ListOffsets",
            7,
            f"none {timestamp}",
            ReplicaId=-1,
            Topics=[{"Name": "times-none", "Partitions": [{"PartitionIndex": 0, "Timestamp": timestamp}]}],
        )
    side.topic("times-1969")
    side.produce("times-1969", batch(b"a", b"b", timestamp=-86400000))
    side.produce("times-1969", batch(b"c", timestamp=7))
    for timestamp in (-3, 0, 5, 8):
        side.call(
            "ListOffsets",
            7,
            f"1969 {timestamp}",
            ReplicaId=-1,
            Topics=[{"Name": "times-1969", "Partitions": [{"PartitionIndex": 0, "Timestamp": timestamp}]}],
        )
    side.fetch("times-1969", 0, "1969 fetched")


def internal(side):
    """__consumer_offsets as tools see it that read it themselves."""
    warm(side)
    commit(side, "internal-group", topic="internal", offset=7)
    found = side.call("Metadata", 9, Topics=[{"Name": "__consumer_offsets"}])["Topics"][0]
    side.note("metadata", {**found, "Partitions": len(found["Partitions"])})
    side.topic("internal")
    commit(side, "internal-group", topic="internal", offset=7, metadata="m")
    time.sleep(0.3)
    key = (
        struct.pack(">hh", 1, 14)
        + b"internal-group"
        + struct.pack(">h", 8)
        + b"internal"
        + struct.pack(">i", 0)
    )
    seen = []
    for partition in range(len(found["Partitions"])):
        offset, mark = 0, 1
        while offset < mark:
            part = side.fetch("__consumer_offsets", offset, partition=partition)["Responses"][0]["Partitions"][
                0
            ]
            mark, data = part["HighWatermark"], part["Records"] or b""
            at = data.find(key)
            if at >= 0:
                value = data[at + len(key) + 1 :]  # behind the value's length
                seen.append((partition, value[:20].hex()))
            if len(data) < 61:
                break
            at = 0
            while at + 61 <= len(data):
                base, length = struct.unpack_from(">qi", data, at)
                offset, at = base + struct.unpack_from(">i", data, at + 23)[0] + 1, at + 12 + length
    side.note("record", {"seen": [(p, v[:28]) for p, v in seen[:1]]})
    side.produce("__consumer_offsets", batch(b"a", key=b"k"), "written by a client")
    side.call(
        "ListOffsets",
        7,
        "begin",
        ReplicaId=-1,
        Topics=[{"Name": "__consumer_offsets", "Partitions": [{"PartitionIndex": 0, "Timestamp": -2}]}],
    )
    answer = side.call(
        "DescribeConfigs",
        4,
        Resources=[
            {
                "ResourceType": 2,
                "ResourceName": "__consumer_offsets",
                "ConfigurationKeys": ["cleanup.policy", "compression.type", "segment.bytes"],
            }
        ],
    )
    side.note("configs", {c["Name"]: c["Value"] for c in answer["Results"][0]["Configs"]})
    side.call(
        "CreateTopics",
        4,
        "created by a client",
        Topics=[{"Name": "__consumer_offsets", "NumPartitions": 1, "ReplicationFactor": 1}],
        TimeoutMs=10000,
    )


CASES = [connections, comes_and_goes, altered_limits, times, internal]
