# SPDX-License-Identifier: Apache-2.0
# librdkafka before 2.11.1 compresses only when Produce is advertised from version 0 (KAFKA-18659); it falls back to
# plain batches without a word otherwise. kcat uses the one that Debian has (2.0.2): what it sends must lie compressed.
import glob
import os

import pytest

from cluster import Cluster

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(coordinators=0) as running:
        yield running


def codecs_on_disk(cluster, topic):
    """The compression codes of the batches in the topic's first segment, and its size."""
    path = glob.glob(os.path.join(cluster.storage[0].data, topic + "-0", "*.log"))[0]
    with open(path, "rb") as file:
        data = file.read()
    found, at = set(), 0
    while at + 61 <= len(data):
        found.add(int.from_bytes(data[at + 21:at + 23], "big") & 7)
        at += 12 + int.from_bytes(data[at + 8:at + 12], "big")
    return found, len(data)


@pytest.mark.parametrize("codec", CODECS)
def test_batches_arrive_compressed_and_are_read_back(cluster, codec):
    lines = ["the same words again and again %d" % (n % 7) for n in range(5000)]
    cluster.produce(codec, lines, "-z", codec, "-X", "linger.ms=200")
    found, size = codecs_on_disk(cluster, codec)
    assert CODECS[codec] in found and found <= {0, CODECS[codec]}  # a batch that would not shrink stays plain
    assert codec == "none" or size < len("".join(lines)) / 3
    assert [value for _, _, _, value in cluster.consume(codec)] == lines
