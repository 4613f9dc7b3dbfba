# SPDX-License-Identifier: Apache-2.0
# What the tests of single behaviours (tests/e2e/test_behaviour_*.py, listed in tests/clients/BEHAVIOUR.md) share: one
# broker per file, asked through the differential test's codec. With BEHAVIOUR_BROKER=host:port they ask that broker
# instead, an Apache Kafka for instance: a behaviour that Apache Kafka does not show is not one.
import contextlib
import os
import struct
import sys

import pytest

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import API, Connection, Side, batch  # noqa: E402

OTHER = os.environ.get("BEHAVIOUR_BROKER")
only_millrace = pytest.mark.skipif(OTHER is not None, reason="needs the daemons or settings of millrace")
HEADER_BYTES = 61  # of a record batch
NO_REBALANCE_DELAY = {"coordinator": {"group.initial.rebalance.delay.ms": 0}}


def side_of(address):
    side = Side("broker", address)
    side.kafka_port = int(address.rsplit(":", 1)[1])  # what transactional.py wants of a node
    return side


def clean(side):
    """What an earlier file left goes; the coordinators' topics are there, which Apache Kafka makes when it is asked."""
    for kind in (0, 1):
        lib.wait_until(lambda kind=kind: side.call("FindCoordinator", 1, Key="k", KeyType=kind)["ErrorCode"] == 0, 60)
    topics = side.call("Metadata", 8, Topics=None)["Topics"]
    names = [topic["Name"] for topic in topics if not topic["IsInternal"]]
    side.call("DeleteTopics", 5, TopicNames=names, TimeoutMs=10000)
    lib.wait_until(lambda: all(one["IsInternal"] for one in side.call("Metadata", 8, Topics=None)["Topics"]))


@contextlib.contextmanager
def broker(settings=None):
    """The side of one broker; .cluster is behind it, None when it is not ours."""
    if OTHER:
        side = side_of(OTHER)
        side.cluster = None
        clean(side)
        yield side
        return
    with lib.Cluster(settings=settings or NO_REBALANCE_DELAY) as cluster:
        side = side_of(cluster.storage[0].address)
        side.cluster = cluster
        yield side


def part(answer):
    """The only partition of an answer to Fetch, ListOffsets or OffsetForLeaderEpoch."""
    (topic,) = answer["Responses"] if "Responses" in answer else answer["Topics"]
    (found,) = topic["Partitions"]
    return found


def refused(found):
    """The error of a partition or an answer."""
    return found["ErrorCode"]


class Batch:
    """A record batch of an answer."""

    def __init__(self, data):
        self.base, length, self.leader_epoch, self.magic, self.crc = struct.unpack_from(">qiibI", data)
        head = struct.unpack_from(">hiqqqhii", data, 21)
        self.attributes, self.last_delta, self.first_time, self.max_time = head[:4]
        self.producer, self.epoch, self.sequence, self.count = head[4:]
        self.size = 12 + length
        self.checked = data[21:self.size]  # what the checksum covers
        self.records = data[HEADER_BYTES:self.size]


def batches(found):
    """The whole batches of a partition's answer to Fetch."""
    data, result = found["Records"] or b"", []
    while len(data) >= HEADER_BYTES:
        result.append(Batch(data))
        data = data[result[-1].size:]
    assert not data, "a cut batch"
    return result


def offsets(found):
    """Base offsets of what a partition's answer holds."""
    return [one.base for one in batches(found)]


def list_offset(side, topic, timestamp, version=7, partition=0, epoch=-1, **fields):
    """A partition's answer to ListOffsets."""
    asked = {"PartitionIndex": partition, "Timestamp": timestamp, "CurrentLeaderEpoch": epoch}
    return part(side.call("ListOffsets", version, ReplicaId=-1, Topics=[{"Name": topic, "Partitions": [asked]}], **fields))


def metadata_of(side, topic, version=12):
    return side.call("Metadata", version, Topics=[{"Name": topic}], AllowAutoTopicCreation=False)["Topics"][0]


def delete_records(side, topic, before):
    answer = side.call("DeleteRecords", 2, TimeoutMs=10000, Topics=[
        {"Name": topic, "Partitions": [{"PartitionIndex": 0, "Offset": before}]}])
    assert part(answer)["ErrorCode"] == 0, answer


def raw(side, key, version, body, flexible, client_id="test"):
    """The bytes behind an answer's correlation id; None when the broker closed the connection instead."""
    connection = Connection(side.address, client_id)
    connection.send(key, version, body, flexible)
    data = connection.receive()
    connection.close()
    return data


def encoded(name, version, **fields):
    return API[name]["request"].encode(version, fields)
