# SPDX-License-Identifier: Apache-2.0
# What a topic makes of a batch: the codec it is stored with (compression.type), the time it gets (message.timestamp.type),
# whether its records are looked at (millrace.validate.records), and that a refused one leaves nothing behind.
import glob
import os
import struct
import time

import pytest

import kafka_codecs
from cluster import Cluster, wait_until
from produce import Connection, packed, records

MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP, INVALID_RECORD, CORRUPT = 10, 18, 32, 87, 2
CODECS = kafka_codecs.NAMES
TARGETS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


@pytest.fixture(scope="module")
def started():
    with Cluster() as running:
        yield running


@pytest.fixture
def connection(started):
    with Connection(started) as open_one:
        yield open_one


def stored(node, topic):
    """(base offset, attributes, first time, max time, count) of every batch of partition 0 on the node's disk."""
    found = []
    for path in sorted(glob.glob(os.path.join(node.data, topic + "-0", "*.log"))):
        with open(path, "rb") as file:
            data = file.read()
        at = 0
        while at + 61 <= len(data) and data[at + 16] == 2:
            base, length = struct.unpack_from(">qi", data, at)
            attributes, _, first, last = struct.unpack_from(">hiqq", data, at + 21)
            found.append((base, attributes, first, last, struct.unpack_from(">i", data, at + 57)[0]))
            at += length + 12
    return found


def on_disk(started, topic, count):
    wait_until(lambda: len(stored(started.storage[0], topic)) >= count, what="%d batches of %s on disk" % (count, topic))
    return stored(started.storage[0], topic)


# ---- compression.type ----


@pytest.mark.parametrize("target", TARGETS)
def test_every_codec_becomes_the_topics(started, connection, target):
    topic = "to-" + target
    started.create_topic(topic, compression_type=target)
    values = []
    for turn in range(3):  # all under way at once: the order is that of the connection
        for codec in CODECS:
            mine = ["%s %d %d" % (codec, turn, n) * 20 for n in range(50)]
            connection.send(topic, packed(codec, records(value.encode() for value in mine), len(mine)))
            values += mine
    answers = [connection.receive(topic) for _ in range(3 * len(CODECS))]
    assert answers == [(0, 50 * n) for n in range(3 * len(CODECS))]
    assert {attributes & 7 for _, attributes, _, _, _ in on_disk(started, topic, 15)} == {TARGETS[target]}
    assert [value for _, _, _, value in started.consume(topic)] == values
    assert started.storage[0].metric("millrace_storage_repacked_bytes") == 0


def test_producer_keeps_what_was_chosen(started, connection):
    started.create_topic("to-producer", compression_type="producer")
    for codec in CODECS:
        assert connection.produce("to-producer", packed(codec, records([b"v"]), 1))[0] == 0
    assert [attributes & 7 for _, attributes, _, _, _ in on_disk(started, "to-producer", 5)] == [0, 1, 2, 3, 4]


def test_sequences_and_times_survive_packing(started, connection):
    started.create_topic("kept", compression_type="lz4")
    data = packed("gzip", records([b"a", b"b"], step=5), 2, timestamp=1000, max_timestamp=77, producer=4711, sequence=0)
    assert connection.produce("kept", data) == (0, 0)
    assert connection.produce("kept", data) == (0, 0), "a duplicate"
    gap = packed("gzip", records([b"c"]), 1, producer=4711, sequence=3)
    assert connection.produce("kept", gap)[0] == 45
    assert on_disk(started, "kept", 1) == [(0, 3, 1000, 1005, 2)]


def test_size_counts_before_and_after(started, connection):
    started.create_topic("small", compression_type="uncompressed", max_message_bytes=1000)
    started.create_topic("tight", compression_type="zstd", max_message_bytes=1000)
    fits, grows = records([b"x" * 900]), records([b"x" * 2000])
    assert connection.produce("small", packed("gzip", fits, 1))[0] == 0
    assert connection.produce("small", packed("gzip", grows, 1))[0] == MESSAGE_TOO_LARGE
    assert connection.produce("tight", packed("none", grows, 1))[0] == MESSAGE_TOO_LARGE, "although it would shrink"
    started.create_topic("segments", segment_bytes=1048576, max_message_bytes=2000000)
    assert connection.produce("segments", packed("none", records([b"x" * 1048576]), 1))[0] == RECORD_LIST_TOO_LARGE
    assert connection.produce("segments", packed("none", records([b"x" * 1000000]), 1))[0] == 0


def test_client_that_goes_away_while_its_batch_is_packed(started):
    started.create_topic("leavers", compression_type="zstd", compression_zstd_level=19)
    for _ in range(20):
        leaver = Connection(started)
        leaver.send("leavers", packed("none", records([os.urandom(100000)]), 1))
        leaver.socket.close()
    with Connection(started) as stays:
        assert stays.produce("leavers", packed("none", records([b"v"]), 1))[0] == 0
    node = started.storage[0]
    wait_until(lambda: node.metric("millrace_storage_repacked_bytes") == 0, what="nothing packed anew to be left")
    assert node.running()


# ---- message.timestamp.type ----


@pytest.mark.parametrize("codec", CODECS)
def test_log_append_time(started, connection, codec):
    topic = "appended-" + codec
    started.create_topic(topic, message_timestamp_type="LogAppendTime", compression_type="lz4")
    before = int(time.time() * 1000)
    connection.send(topic, packed(codec, records([b"a", b"b"]), 2, timestamp=5))
    error, base, appended = connection.receive_timed(topic)
    after = int(time.time() * 1000)
    assert (error, base) == (0, 0) and before <= appended <= after
    assert on_disk(started, topic, 1) == [(0, 8 | 3, 5, appended, 2)]
    times = started.kcat("-C", "-t", topic, "-e", "-q", "-f", "%T\n").stdout.split()
    assert times == [str(appended)] * 2
    assert started.kcat("-Q", "-t", "%s:0:%d" % (topic, before)).stdout.split()[-1] == "0"
    late = started.kcat("-Q", "-t", "%s:0:%d" % (topic, appended + 1)).stdout.split()[-1]
    assert late in ("-1", "2"), "nothing is that young"


def test_create_time_says_no_append_time(started, connection):
    started.create_topic("created")
    connection.send("created", packed("none", records([b"a"]), 1, timestamp=5))
    assert connection.receive_timed("created") == (0, 0, -1)


def test_times_out_of_bounds(started, connection):
    started.create_topic("bounded", message_timestamp_before_max_ms=60000, message_timestamp_after_max_ms=60000)
    now = int(time.time() * 1000)
    for codec in CODECS:
        for shift, expected in ((0, 0), (-120000, INVALID_TIMESTAMP), (120000, INVALID_TIMESTAMP)):
            data = packed(codec, records([b"a"]), 1, timestamp=now + shift)
            assert connection.produce("bounded", data)[0] == expected, (codec, shift)


# ---- millrace.validate.records ----


def test_header_only_believes_the_records(started, connection):
    started.create_topic("believed", millrace_validate_records="header")
    for codec in CODECS:
        liar = packed(codec, records([b"a"]), 2)
        assert connection.produce("believed", liar)[0] == 0
        assert connection.produce("believed", liar[:-1] + bytes([liar[-1] ^ 1]))[0] == CORRUPT
    started.cli("config", "set", "millrace.validate.records=always", "--topic", "believed")
    wait_until(lambda: connection.produce("believed", liar)[0] == INVALID_RECORD, what="the setting to be known")


def test_header_only_is_not_for_compacted_topics(started, connection):
    started.create_topic("keys", millrace_validate_records="header", cleanup_policy="compact")
    assert connection.produce("keys", packed("none", records([b"a"], key=None), 1))[0] == INVALID_RECORD


# ---- refused ones ----


@pytest.mark.parametrize("codec", CODECS)
def test_refused_batch_leaves_no_trace(started, codec):
    topic = "traceless-" + codec
    started.create_topic(topic, cleanup_policy="compact")
    for sequence in (0, 1):
        with Connection(started) as connection:  # another one each time, see test_sequences.py
            own = {"producer": 4712, "sequence": sequence}
            for bad in (
                packed(codec, records([b"v"], key=None), 1, **own),
                packed(codec, records([b"v"]), 2, **own),
                packed(codec, records([b"v"]) + b"x", 1, **own),
            ):
                assert connection.produce(topic, bad)[0] == INVALID_RECORD
            assert connection.produce(topic, packed(codec, records([b"v"]), 1, **own)) == (0, sequence)
    assert [base for base, _, _, _, _ in on_disk(started, topic, 2)] == [0, 1]
