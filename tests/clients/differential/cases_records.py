# SPDX-License-Identifier: Apache-2.0
"""What brokers make of the records inside a batch whose checksum is right: every codec, lies in the header, what topics
ask of records, and what they are packed with in the end."""

import struct
import time

import kafka_codecs as codecs
from side import batch, record, zigzag

T = 1700000000000  # ms since 1970 of the records


def three(*deltas, key=b"k"):
    return b"".join(record(delta, key, b"value %d" % i, i) for i, delta in enumerate(deltas))


def bodies():
    """(name, records, what the header says instead of three records) of batches that say they have three records."""
    good = three(0, 1, 2)
    first = record(0, b"k", b"v")
    two = first + record(1, b"k", b"v")
    inner = b"\0" + zigzag(0) + zigzag(2)  # attributes, timestamp delta, offset delta of a third record

    def third(rest):
        return two + zigzag(len(inner + rest)) + inner + rest

    return [
        ("good", good, {}),
        ("too few", two, {}),
        ("too many", good + record(3, b"k", b"v"), {}),
        ("none at all", b"", {}),
        ("count too small", good, {"count": 2}),
        ("count and delta too small", good, {"count": 2, "last_delta": 1}),
        ("count and delta too large", good, {"count": 4, "last_delta": 3}),
        ("offsets from one", three(1, 2, 3), {}),
        ("offset twice", three(0, 1, 1), {}),
        ("offset left out", three(0, 1, 3), {}),
        ("offsets backwards", three(2, 1, 0), {}),
        ("negative offset", three(0, 1, -1), {}),
        ("max timestamp too high", good, {"max_timestamp": T + 5000}),
        ("max timestamp too low", good, {"max_timestamp": T - 5000}),
        ("max timestamp -1", good, {"max_timestamp": -1}),
        ("rubbish", b"\xff" * 40, {}),
        ("zeros", b"\0" * 40, {}),
        ("rubbish behind", good + b"\x55" * 7, {}),
        ("zero behind", good + b"\0", {}),
        ("cut", good[:-1], {}),
        ("record without bytes", two + b"\0", {}),
        ("record length -1", two + b"\1" + good[-10:], {}),
        ("record length too long", two + zigzag(1000) + good[-10:], {}),
        ("record length of six bytes", two + b"\x80\x80\x80\x80\x80\x01" + good[-10:], {}),
        ("key length -2", third(zigzag(-2) + zigzag(0) + zigzag(0)), {}),
        ("key length too long", third(zigzag(100) + b"k" + zigzag(0) + zigzag(0)), {}),
        ("value length -2", third(zigzag(-1) + zigzag(-2) + zigzag(0)), {}),
        ("value length too long", third(zigzag(-1) + zigzag(9) + b"v" + zigzag(0)), {}),
        ("header count -1", third(zigzag(-1) + zigzag(-1) + zigzag(-1)), {}),
        ("header count too large", third(zigzag(-1) + zigzag(-1) + zigzag(3) + zigzag(0) + zigzag(0)), {}),
        ("header count huge", third(zigzag(-1) + zigzag(-1) + zigzag(2**31 - 1)), {}),
        ("header key null", third(zigzag(-1) + zigzag(-1) + zigzag(1) + zigzag(-1) + zigzag(0)), {}),
        ("header value null", third(zigzag(-1) + zigzag(-1) + zigzag(1) + zigzag(0) + zigzag(-1)), {}),
        ("header value -2", third(zigzag(-1) + zigzag(-1) + zigzag(1) + zigzag(0) + zigzag(-2)), {}),
        ("bytes behind the headers", third(zigzag(-1) + zigzag(-1) + zigzag(0) + b"xx"), {}),
        ("record attributes", two + zigzag(len(inner) + 3) + b"\x7f" + inner[1:] + zigzag(-1) * 2 + b"\0", {}),
        ("null key and value", third(zigzag(-1) + zigzag(-1) + zigzag(0)), {}),
    ]


def made(codec, body, names=3, timestamp=T, **says):
    """A batch of so many records of that codec and body."""
    says = {"max_timestamp": timestamp + names - 1, **says}
    packed = codecs.pack(codec, body)
    return batch(*[b""] * names, body=packed, attributes=codecs.NAMES[codec], timestamp=timestamp, **says)


def stored(side, topic):
    """What was stored last: its codec, times and number of records."""
    answer = side.fetch(topic, 0, PartitionMaxBytes=1 << 24)
    data = answer["Responses"][0]["Partitions"][0]["Records"] or b""
    found, at = None, 0
    while at + 61 <= len(data):
        (length,) = struct.unpack_from(">i", data, at + 8)
        attributes, last, first_time, last_time = struct.unpack_from(">hiqq", data, at + 21)
        if at + 12 + length <= len(data):
            found = {"attributes": attributes, "last": last, "first": first_time, "Timestamp": last_time}
        at += 12 + length
    return found


def offset_at(side, topic, label, timestamp):
    asked = [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": timestamp}]}]
    side.call("ListOffsets", 7, label, ReplicaId=-1, Topics=asked)


def send(side, topic, label, data, version=12):
    answer = side.produce(topic, data, version=version)
    answer.pop("BaseOffset", None)  # what one takes and the other does not must not count for all that follow
    side.note(label, answer)


def records_inside(side):
    for codec in codecs.NAMES:
        for name, body, says in bodies():
            topic = f"inside-{codec}-{name.replace(' ', '-')}"
            side.topic(topic)
            label = f"{codec} {name}"
            send(side, topic, label, made(codec, body, **says))
            side.note(label + " stored", stored(side, topic))
            offset_at(side, topic, label + " newest", -3)


def records_packed_badly(side):
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        side.topic(f"packed-{codec}")
        good = codecs.pack(codec, three(0, 1, 2))
        for name, body in {
            "cut": good[:-5],
            "cut in the middle": good[: len(good) // 2],
            "byte behind": good + b"\0",
            "changed": good[:-12] + bytes([good[-12] ^ 0xFF]) + good[-11:],
            "nothing": b"",
            "plain": three(0, 1, 2),
        }.items():
            data = batch(b"", b"", b"", body=body, attributes=codecs.NAMES[codec], timestamp=T, max_timestamp=T + 2)
            send(side, f"packed-{codec}", f"{codec} {name}", data)


def records_of_topics(side):
    """Keys and times that a topic asks for, by every codec and version with its own answer."""
    side.topic("asks-keys", cleanup_policy="compact")
    side.topic("asks-times", message_timestamp_before_max_ms=60000, message_timestamp_after_max_ms=60000)
    side.topic("asks-both", cleanup_policy="compact,delete", message_timestamp_before_max_ms=60000)
    now = int(time.time() * 1000)
    keyless = record(0, b"k", b"v") + record(1, None, b"v") + record(2, None, None)
    late = record(0, b"k", b"v") + record(1, b"k", b"v", -120000) + record(2, b"k", b"v", 120000)
    both = record(0, None, b"v", -120000) + record(1, b"k", b"v", -120000) + record(2, None, b"v")
    for codec in codecs.NAMES:
        for version in (7, 8, 12) if codec == "none" else (12,):
            label = f"{codec} v{version} "
            send(side, "asks-keys", label + "no key", made(codec, keyless), version)
            send(side, "asks-times", label + "times", made(codec, late, timestamp=now), version)
            send(side, "asks-times", label + "no time", made(codec, record(0, b"k", b"v"), 1, -1), version)
            send(side, "asks-both", label + "both", made(codec, both, timestamp=now), version)


def records_log_append_time(side):
    for codec in codecs.NAMES:
        topic = f"append-time-{codec}"
        side.topic(topic, message_timestamp_type="LogAppendTime", message_timestamp_before_max_ms=1000)
        send(side, topic, codec, made(codec, three(0, 1, 2)))
        found = stored(side, topic)
        found.pop("first")
        side.note(codec + " stored", found)
        for timestamp in (-3, T, T + 1, int(time.time() * 1000) - 60000, int(time.time() * 1000) + 60000):
            offset_at(side, topic, f"{codec} by time", timestamp)


def note_codec(side, topic, label, version):
    """What a client is told that may not know the codec: the error and the batch's attributes."""
    answer = side.fetch(topic, 0, version=version)["Responses"][0]["Partitions"][0]
    attributes = struct.unpack_from(">h", answer["Records"], 21) if answer["Records"] else None
    side.note(label, {"ErrorCode": answer["ErrorCode"], "attributes": attributes})


def records_packed_anew(side):
    body = b"".join(record(i, b"k", b"much the same %d" % i, i) for i in range(200))
    for target in ("uncompressed", "gzip", "snappy", "lz4", "zstd", "producer"):
        for codec in codecs.NAMES:
            topic = f"anew-{target}-{codec}"
            side.topic(topic, compression_type=target, max_message_bytes=20000, segment_bytes=1048576)
            send(side, topic, f"{codec} to {target}", made(codec, body, 200))
            side.note(f"{codec} to {target} stored", stored(side, topic))
            send(side, topic, f"{codec} to {target}, too few", made(codec, body, 201))
            large = codecs.pack("gzip", record(0, None, b"x" * 30000))
            send(side, topic, f"{target} too large", batch(b"", body=large, attributes=1, timestamp=T))
        note_codec(side, f"anew-{target}-gzip", f"{target} for old clients", 4)


def records_sizes(side):
    side.topic("small-segments", segment_bytes=1048576, max_message_bytes=4000000)
    send(side, "small-segments", "fits", batch(b"x" * 1000000))
    send(side, "small-segments", "larger than a segment", batch(b"x" * 1048576))
    side.topic("sizes-first", max_message_bytes=100)
    send(side, "sizes-first", "size before checksum", batch(b"x" * 200, crc=1))
    send(side, "sizes-first", "size before count", batch(b"x" * 200, count=7))
    send(side, "sizes-first", "checksum before count", batch(b"x", crc=1, count=7))
    send(side, "sizes-first", "count before records", batch(b"x", count=7, body=b"\xff\xff"))


def records_leave_no_trace(side):
    """What was refused is unknown to the producer's state: the same sequence is taken after it."""
    side.topic("no-trace", cleanup_policy="compact")
    pid = side.call("InitProducerId", 4, None, TransactionTimeoutMs=60000)["ProducerId"]
    for sequence in (0, 1):
        own = {"pid": pid, "epoch": 0, "sequence": sequence}
        send(side, "no-trace", f"refused at {sequence}", batch(b"v", **own))
        send(side, "no-trace", f"refused again at {sequence}", batch(b"v", count=2, **own))
        send(side, "no-trace", f"taken at {sequence}", batch(b"v", body=record(0, b"k", b"v"), **own))
        send(side, "no-trace", f"again at {sequence}", batch(b"v", body=record(0, b"k", b"v"), **own))


CASES = [
    records_inside,
    records_packed_badly,
    records_of_topics,
    records_log_append_time,
    records_packed_anew,
    records_sizes,
    records_leave_no_trace,
]
