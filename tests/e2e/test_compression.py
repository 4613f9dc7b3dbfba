# SPDX-License-Identifier: Apache-2.0
# What librdkafka compresses arrives compressed and is stored as it came. Releases before 2.11.1 (Debian's 2.0.2 too) stop
# compressing without a word unless Produce is advertised from version 0; so the batches on disk are looked at.
import glob
import os
import struct

import pytest

from cluster import Cluster

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
RECORDS = ["the same words again and again %d" % (n % 7) for n in range(2000)]


@pytest.fixture(scope="module")
def started():
    with Cluster() as running:
        yield running


def batches(node, topic):
    """(codec, bytes, records) of every batch of the topic's first partition on that node's disk."""
    found = []
    for path in sorted(glob.glob(os.path.join(node.data, topic + "-0", "*.log"))):
        with open(path, "rb") as file:
            data = file.read()
        at = 0
        while at < len(data):
            length, = struct.unpack_from(">i", data, at + 8)
            attributes, = struct.unpack_from(">h", data, at + 21)
            count, = struct.unpack_from(">i", data, at + 57)
            found.append((attributes & 7, length + 12, count))
            at += length + 12
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_it_is_stored_as_it_was_sent(started, codec):
    topic = "t-" + codec
    started.create_topic(topic)
    started.produce(topic, RECORDS, "-z", codec, "-X", "linger.ms=200")
    found = batches(started.storage[0], topic)
    assert {kind for kind, _, _ in found} == {CODECS[codec]}
    assert sum(count for _, _, count in found) == len(RECORDS)
    raw = sum(len(record) for record in RECORDS)
    size = sum(size for _, size, _ in found)
    assert size > raw if codec == "none" else size < raw / 3
    assert [value for _, _, _, value in started.consume(topic)] == RECORDS
