# SPDX-License-Identifier: Apache-2.0
"""Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, InitProducerId."""

import gzip
import struct
import time

import messages
from side import batch, zigzag, record

UNKNOWN_ID = "12345678-1234-1234-1234-123456789abc"


def produce_errors(side):
    topic = side.topic("produce-errors")
    good = batch(b"a")
    for version in (3, 5, 7, 8, 9, 10, 11, 12):
        side.produce("produce-errors", good, f"good v{version}", version)
        side.produce("produce-unknown", good, f"unknown topic v{version}", version)
        side.produce("produce-errors", good, f"unknown partition v{version}", version, partition=7)
        side.produce("produce-errors", good, f"negative partition v{version}", version, partition=-1)
    side.produce(topic, good, "good v13", 13)
    side.produce(UNKNOWN_ID, good, "unknown id v13", 13)
    side.produce(messages.NO_UUID, good, "zero id v13", 13)
    for acks in (2, -2, 0):
        side.produce("produce-errors", good, f"acks={acks}", acks=acks) if acks else None
    side.produce("produce-errors", good, "acks=1", acks=1)
    side.call("Produce", 12, "no topics", Acks=-1, TimeoutMs=1000, TopicData=[])
    side.call(
        "Produce",
        12,
        "no partitions",
        Acks=-1,
        TimeoutMs=1000,
        TopicData=[{"Name": "produce-errors", "PartitionData": []}],
    )
    side.produce("..", good, "bad name")
    side.produce("", good, "empty name")
    side.produce("__consumer_offsets", good, "internal topic")


def produce_two_same_partition(side):
    side.topic("produce-twice", 2)
    one = {"Index": 0, "Records": batch(b"a")}
    side.call(
        "Produce",
        9,
        "partition twice",
        Acks=-1,
        TimeoutMs=1000,
        TopicData=[{"Name": "produce-twice", "PartitionData": [one, {"Index": 0, "Records": batch(b"b")}]}],
    )
    side.call(
        "Produce",
        9,
        "mixed",
        Acks=-1,
        TimeoutMs=1000,
        TopicData=[
            {"Name": "produce-twice", "PartitionData": [one, {"Index": 1, "Records": batch(b"b", crc=1)}]},
            {"Name": "produce-unknown", "PartitionData": [one]},
        ],
    )


def produce_bad_batches(side):
    side.topic("bad-batches")
    good = batch(b"a")
    bad = {
        "crc": batch(b"a", crc=1),
        "magic 0": batch(b"a", magic=0),
        "magic 1": batch(b"a", magic=1),
        "magic 3": batch(b"a", magic=3),
        "magic -1": batch(b"a", magic=255),
        "two batches": good + good,
        "empty": b"",
        "null": None,
        "cut": good[:-1],
        "cut in the header": good[:30],
        "one byte": b"\0",
        "tail": good + b"\0",
        "no records": batch(),
        "count too large": batch(b"a", count=2),
        "count too small": batch(b"a", b"b", count=1),
        "count zero": batch(b"a", count=0),
        "count negative": batch(b"a", count=-1),
        "last delta": batch(b"a", last_delta=3),
        "last delta negative": batch(b"a", last_delta=-1),
        "length zero": batch(b"a", length=0),
        "length 13": batch(b"a", length=13),
        "length too long": batch(b"a", length=1000),
        "base offset": batch(b"a", base=17),
        "control": batch(b"\0\0\0\0", key=b"\0\0\0\1", attributes=0x20),
        "leader epoch": batch(b"a", leader_epoch=5),
        "codec 5": batch(b"a", attributes=5),
        "codec 7": batch(b"a", attributes=7),
        "gzip garbage": batch(b"a", attributes=1),
        "snappy garbage": batch(b"a", attributes=2),
        "lz4 garbage": batch(b"a", attributes=3),
        "zstd garbage": batch(b"a", attributes=4),
        "gzip": batch(b"a", attributes=1, compress=gzip.compress),
        "log append time set": batch(b"a", attributes=8),
        "transactional without pid": batch(b"a", attributes=16),
        "delete horizon": batch(b"a", attributes=64),
        "unknown attribute": batch(b"a", attributes=128),
        "garbage record": batch(b"a", body=b"\x02\xff"),
        "trailing in body": batch(b"a", body=record(0, None, b"a") + b"x"),
        "offset delta wrong": batch(b"a", body=record(3, None, b"a")),
        "record length negative": batch(b"a", body=b"\x01" + record(0, None, b"a")[1:]),
        "sequence without pid": batch(b"a", sequence=4),
        "pid without sequence": batch(b"a", pid=4, epoch=0),
        "epoch without pid": batch(b"a", epoch=4),
        "null key and value": batch(None),
        "headers": batch(b"a", body=record(0, b"k", b"v", 0, [(b"h", None), (b"", b"x")])),
        "max timestamp lies": batch(b"a", max_timestamp=0),
        "timestamp -1": batch(b"a", timestamp=-1),
        "timestamp -5": batch(b"a", timestamp=-5),
        "timestamp 0": batch(b"a", timestamp=0),
        "far future": batch(b"a", timestamp=int(time.time() * 1000) + 7200_000),
        "far past": batch(b"a", timestamp=1),
    }
    for name, data in bad.items():
        answer = side.produce("bad-batches", data)
        answer.pop(
            "BaseOffset", None
        )  # what one takes and the other does not must not count for all that follow
        side.note(name, answer)


def produce_zstd(side):
    side.topic("zstd")
    for version in (3, 6, 7, 9):
        side.produce(
            "zstd",
            batch(b"a", attributes=4, body=bytes.fromhex("28b52ffd2007390000") + record(0, None, b"a")[0:7]),
            f"zstd v{version}",
            version,
        )


def produce_sizes(side):
    side.topic("sizes", max_message_bytes=1000)
    side.produce("sizes", batch(b"x" * 900), "fits")
    side.produce("sizes", batch(b"x" * 1000), "too large")
    side.produce("sizes", batch(b"x" * 1000), "too large v7", 7)
    side.produce("sizes", batch(*[b"x" * 100] * 10), "many too large")
    side.produce("sizes", batch(b"x" * 20000, attributes=1, compress=gzip.compress), "small when compressed")
    side.fetch("sizes", 0, "fetch")


def produce_compacted(side):
    side.topic("compacted", cleanup_policy="compact")
    side.produce("compacted", batch(b"a"), "without key")
    side.produce("compacted", batch(b"a"), "without key v7", 7)
    side.produce("compacted", batch(b"a", key=b"k"), "with key")
    side.produce("compacted", batch(None, key=b"k"), "tombstone")
    side.produce(
        "compacted", batch(b"a", b"b", body=record(0, b"k", b"v") + record(1, None, b"v")), "second without key"
    )


def produce_timestamps(side):
    side.topic("append-time", message_timestamp_type="LogAppendTime")
    side.produce("append-time", batch(b"a", timestamp=5), "append time")
    side.fetch("append-time", 0, "append time fetched")
    side.topic("bounded", message_timestamp_before_max_ms=1000, message_timestamp_after_max_ms=1000)
    now = int(time.time() * 1000)
    for name, timestamp in (("now", now), ("before", now - 60000), ("after", now + 60000)):
        side.produce("bounded", batch(b"a", timestamp=timestamp), f"bounded {name}")


def produce_transactional(side):
    side.topic("not-yet", 1)
    side.produce("not-yet", batch(b"a"), "transactional id, plain batch", TransactionalId="nobody")


def idempotence(side):
    side.topic("idempotent")
    pid = side.call("InitProducerId", 4, "init", TransactionalId=None, TransactionTimeoutMs=60000)["ProducerId"]

    def send(label, sequence, count=1, epoch=0, producer=pid):
        side.produce("idempotent", batch(*[b"a"] * count, pid=producer, epoch=epoch, sequence=sequence), label)

    def fresh(topic):
        """On another connection: on this one millrace remembers for a while what it has refused of the producer."""
        side.topic(topic)
        side.connection = None

    send("first at 0", 0)
    send("duplicate", 0)
    send("next", 1, 2)
    send("gap", 7)
    send("duplicate of part", 1, 1)
    send("other length", 2, 1)
    for sequence in range(3, 10):
        send(f"sequence {sequence}", sequence)
    send("fifth last", 5)
    send("sixth last", 4)
    send("very old", 0)
    send("newer epoch, not 0", 5, epoch=1)
    send("newer epoch", 0, epoch=1)
    send("older epoch", 10, epoch=0)
    send("older epoch at 0", 0, epoch=0)
    send("go on", 1, epoch=1)
    send("newer epoch by two", 0, epoch=3)
    fresh("idempotent-late")
    side.produce("idempotent-late", batch(b"a", pid=pid, epoch=0, sequence=17), "unknown producer starts late")
    side.produce("idempotent-late", batch(b"a", pid=pid, epoch=0, sequence=18), "and goes on")
    fresh("idempotent-wrap")
    top = 2**31 - 1
    side.produce("idempotent-wrap", batch(b"a", b"b", pid=pid, epoch=0, sequence=top - 1), "to the top")
    side.produce("idempotent-wrap", batch(b"a", pid=pid, epoch=0, sequence=0), "wraps")
    side.produce("idempotent-wrap", batch(b"a", b"b", b"c", pid=pid, epoch=0, sequence=top), "across, gap")
    fresh("idempotent-across")
    side.produce("idempotent-across", batch(b"a", b"b", b"c", pid=pid, epoch=0, sequence=top - 1), "across")
    side.produce("idempotent-across", batch(b"a", pid=pid, epoch=0, sequence=1), "after across")
    side.produce("idempotent-across", batch(b"a", pid=-2, epoch=0, sequence=1), "pid -2")
    side.produce("idempotent-across", batch(b"a", pid=pid, epoch=-1, sequence=1), "epoch -1")
    side.produce("idempotent-across", batch(b"a", pid=pid, epoch=0, sequence=-2), "sequence -2")


def init_producer_id(side):
    for version in range(0, 6):
        side.call("InitProducerId", version, f"v{version}", TransactionalId=None, TransactionTimeoutMs=1000)
        side.call(
            "InitProducerId", version, f"empty id v{version}", TransactionalId="", TransactionTimeoutMs=1000
        )

    def ask(label, timeout=1000, **fields):
        side.call("InitProducerId", 4, label, TransactionalId=None, TransactionTimeoutMs=timeout, **fields)

    ask("with an id of its own", ProducerId=5, ProducerEpoch=3)
    ask("id without epoch", ProducerId=5, ProducerEpoch=-1)
    ask("epoch without id", ProducerId=-1, ProducerEpoch=5)
    ask("timeout 0", 0)
    ask("timeout -1", -1)


def fetch_errors(side):
    topic = side.topic("fetch-errors")
    side.produce("fetch-errors", batch(b"a", b"b", b"c"))
    for version in range(4, 13):
        side.fetch("fetch-errors", 0, f"v{version}", version)
        side.fetch("fetch-errors", 1, f"inside a batch v{version}", version)
        side.fetch("fetch-unknown", 0, f"unknown topic v{version}", version)
        side.fetch("fetch-errors", 0, f"unknown partition v{version}", version, partition=9)
        side.fetch("fetch-errors", 0, f"negative partition v{version}", version, partition=-1)
        side.fetch("fetch-errors", 4, f"behind the end v{version}", version)
        side.fetch("fetch-errors", -1, f"negative offset v{version}", version)
        side.fetch("fetch-errors", 3, f"at the end v{version}", version)
    for version in range(13, 19):
        side.fetch(topic, 0, f"v{version}", version)
        side.fetch(UNKNOWN_ID, 0, f"unknown id v{version}", version)
        side.fetch(messages.NO_UUID, 0, f"zero id v{version}", version)
        side.fetch(topic, 5, f"behind the end v{version}", version)
    side.fetch("", 0, "empty name")
    side.fetch("a b", 0, "bad name")
    for name, epoch in (("older", 0), ("newer", 1000), ("-1", -1), ("-2", -2)):
        side.fetch("fetch-errors", 0, f"leader epoch {name} v9", 9, CurrentLeaderEpoch=epoch)
        side.fetch("fetch-errors", 0, f"leader epoch {name} v12", 12, CurrentLeaderEpoch=epoch)
    for epoch in (0, 1, 1000):
        side.fetch("fetch-errors", 1, f"last fetched epoch {epoch}", LastFetchedEpoch=epoch)
    side.fetch("fetch-errors", 0, "isolation 1", IsolationLevel=1)
    side.fetch("fetch-errors", 0, "isolation 1 v4", 4, IsolationLevel=1)
    side.fetch("fetch-errors", 0, "isolation 2", IsolationLevel=2)
    side.fetch("fetch-errors", 0, "isolation -1", IsolationLevel=-1)
    side.fetch("fetch-errors", 0, "as replica v4", 4, ReplicaId=17)
    side.fetch("fetch-errors", 0, "as consumer -2", 4, ReplicaId=-2)
    side.fetch("fetch-errors", 0, "rack", RackId="nowhere")
    side.fetch("fetch-errors", 0, "cluster id", ClusterId="wrong")


def fetch_limits(side):
    side.topic("limits", 3)
    for partition in range(3):
        for _ in range(3):
            side.produce("limits", batch(b"x" * 1000, timestamp=1700000000000), partition=partition)

    def ask(label, partition_max=1 << 20, partitions=(0, 1, 2), **fields):
        fields = {"MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 1 << 20, **fields}
        side.call(
            "Fetch",
            12,
            label,
            Topics=[
                {
                    "Topic": "limits",
                    "Partitions": [
                        {"Partition": p, "FetchOffset": 0, "PartitionMaxBytes": partition_max}
                        for p in partitions
                    ],
                }
            ],
            **fields,
        )

    ask("all")
    for size in (0, 1, 100, 1075, 1080, 2000, 2200, 3300):
        ask(f"partition max {size}", size)
        ask(f"max {size}", MaxBytes=size)
        ask(f"both {size}", size, MaxBytes=size)
    ask("max 5000", MaxBytes=5000)
    ask("negative partition max", -1)
    ask("negative max", MaxBytes=-1)
    ask("another order", 2000, (2, 0, 1), MaxBytes=3000)
    ask("twice the same", 2000, (0, 0))
    ask("min above what is there", MinBytes=1 << 20, MaxWaitMs=50)
    ask("min 0", MinBytes=0)
    ask("min negative", MinBytes=-1)
    ask("wait negative", MaxWaitMs=-1)
    ask("wait 0", MaxWaitMs=0, MinBytes=1 << 20)
    ask("min above partition max", 100, MinBytes=1 << 20, MaxWaitMs=50)


def timed(side, label, call):
    before = time.monotonic()
    call()
    took = time.monotonic() - before
    side.note(label, {"took": "long" if took > 0.35 else "short"})


def fetch_waits(side):
    side.topic("waits", 2)
    side.produce("waits", batch(b"a"))
    timed(side, "at the end waits", lambda: side.fetch("waits", 1, MaxWaitMs=500))
    timed(side, "min 0 does not wait", lambda: side.fetch("waits", 1, MaxWaitMs=500, MinBytes=0))
    timed(side, "error does not wait", lambda: side.fetch("waits", 9, MaxWaitMs=500))
    timed(
        side, "no topics does not wait", lambda: side.call("Fetch", 12, "no topics", MaxWaitMs=500, MinBytes=1)
    )
    timed(side, "unknown topic does not wait", lambda: side.fetch("waits-unknown", 0, MaxWaitMs=500))
    timed(
        side,
        "partition max 0",
        lambda: side.fetch("waits", 0, MaxWaitMs=500, PartitionMaxBytes=0, MinBytes=100),
    )
    timed(side, "min bytes large", lambda: side.fetch("waits", 0, MaxWaitMs=500, MinBytes=1 << 20))
    held = side.start(
        "Fetch",
        12,
        MaxWaitMs=5000,
        MinBytes=1,
        Topics=[
            {"Topic": "waits", "Partitions": [{"Partition": 0, "FetchOffset": 1, "PartitionMaxBytes": 1000}]}
        ],
    )
    time.sleep(0.2)
    side.produce("waits", batch(b"b"))
    side.note("woken", held.wait())
    held = side.start(
        "Fetch",
        12,
        MaxWaitMs=5000,
        MinBytes=1,
        Topics=[
            {"Topic": "waits", "Partitions": [{"Partition": 0, "FetchOffset": 2, "PartitionMaxBytes": 1000}]}
        ],
    )
    time.sleep(0.2)
    side.call("DeleteTopics", 5, TopicNames=["waits"], TimeoutMs=5000)
    timed(side, "deleted wakes", lambda: side.note("deleted while waiting", held.wait()))


def fetch_sessions(side):
    topic = side.topic("sessions")
    side.produce("sessions", batch(b"a"))

    def ask(label, session, epoch, version=12, name="sessions", topics=True, **fields):
        named = {"TopicId": name} if version >= 13 else {"Topic": name}
        answer = side.call(
            "Fetch",
            version,
            None,
            MaxWaitMs=50,
            MinBytes=1,
            SessionId=session,
            SessionEpoch=epoch,
            Topics=(
                [{**named, "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}]
                if topics
                else []
            ),
            **fields,
        )
        side.note(label, {k: v for k, v in answer.items() if k != "SessionId"})

    ask("no session", 0, -1)
    ask("new session", 0, 0)
    ask("unknown session", 4711, 1)
    ask("unknown session, final", 4711, -1)
    ask("unknown session, new", 4711, 0)
    ask("session 0, epoch 5", 0, 5)
    ask("negative epoch", 0, -2)
    ask("unknown session v7", 4711, 1, 7)
    ask("unknown session v16", 4711, 1, 16, topic)
    ask("forgotten without session", 0, -1, ForgottenTopicsData=[{"Topic": "sessions", "Partitions": [0]}])
    ask("no topics, final", 0, -1, topics=False)
    ask("no topics, new", 0, 0, topics=False)


def list_offsets(side):
    side.topic("offsets", 2)
    side.produce("offsets", batch(b"a", b"b", timestamp=1700000000000))
    side.produce("offsets", batch(b"c", timestamp=1700000001000))
    side.produce("offsets", batch(b"d", timestamp=1700000000500))

    def ask(label, version, timestamp, partition=0, name="offsets", epoch=-1, **fields):
        side.call(
            "ListOffsets",
            version,
            label,
            ReplicaId=-1,
            Topics=[
                {
                    "Name": name,
                    "Partitions": [
                        {"PartitionIndex": partition, "Timestamp": timestamp, "CurrentLeaderEpoch": epoch}
                    ],
                }
            ],
            **fields,
        )

    for version in range(1, 12):
        for timestamp in (
            -1,
            -2,
            -3,
            -4,
            -5,
            -6,
            -7,
            -100,
            0,
            1700000000000,
            1700000000001,
            1700000000501,
            1700000001000,
            1700000001001,
            1 << 62,
        ):
            ask(f"v{version} timestamp {timestamp}", version, timestamp)
            ask(f"v{version} timestamp {timestamp} empty", version, timestamp, 1) if version > 9 else None
        ask(f"v{version} unknown topic", version, -1, name="offsets-unknown")
        ask(f"v{version} unknown partition", version, -1, 9)
    for name, epoch in (("older", 0), ("newer", 1000), ("-2", -2)):
        ask(f"leader epoch {name}", 4, -1, epoch=epoch)
        ask(f"leader epoch {name} v7", 7, -3, epoch=epoch)
    ask("isolation 1", 7, -1, IsolationLevel=1)
    ask("isolation 3", 7, -1, IsolationLevel=3)
    ask("bad name", 7, -1, name="a b")
    ask("replica", 7, -1)
    side.call("ListOffsets", 7, "no topics", ReplicaId=-1)
    side.call(
        "ListOffsets",
        7,
        "partition twice",
        ReplicaId=-1,
        Topics=[
            {
                "Name": "offsets",
                "Partitions": [
                    {"PartitionIndex": 0, "Timestamp": -1},
                    {"PartitionIndex": 0, "Timestamp": -2},
                    {"PartitionIndex": 1, "Timestamp": -2},
                ],
            }
        ],
    )
    side.call(
        "ListOffsets",
        7,
        "topic twice",
        ReplicaId=-1,
        Topics=[
            {"Name": "offsets", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]},
            {"Name": "offsets", "Partitions": [{"PartitionIndex": 0, "Timestamp": -2}]},
        ],
    )
    side.call(
        "ListOffsets",
        7,
        "replica id",
        ReplicaId=5,
        Topics=[{"Name": "offsets", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}],
    )
    side.call(
        "ListOffsets",
        7,
        "debug consumer",
        ReplicaId=-2,
        Topics=[{"Name": "offsets", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}],
    )


def leader_epochs(side):
    side.topic("epochs")
    side.produce("epochs", batch(b"a", b"b"))

    def ask(label, version, epoch, current=-1, partition=0, name="epochs", replica=-1):
        side.call(
            "OffsetForLeaderEpoch",
            version,
            label,
            **({"ReplicaId": replica} if version >= 3 else {}),
            Topics=[
                {
                    "Topic": name,
                    "Partitions": [
                        {"Partition": partition, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}
                    ],
                }
            ],
        )

    for version in (2, 3, 4):
        for epoch in (0, 1, 1000, -1, -2):
            ask(f"v{version} epoch {epoch}", version, epoch)
        for name, current in (("newer", 1000), ("-2", -2)):
            ask(f"v{version} current {name}", version, 0, current)
        ask(f"v{version} unknown topic", version, 0, name="epochs-unknown")
        ask(f"v{version} unknown partition", version, 0, partition=5)
    ask("replica", 4, 0, replica=3)
    ask("consumer -2", 4, 0, replica=-2)
    side.call("OffsetForLeaderEpoch", 4, "no topics", ReplicaId=-1)


CASES = [
    produce_errors,
    produce_two_same_partition,
    produce_bad_batches,
    produce_zstd,
    produce_sizes,
    produce_compacted,
    produce_timestamps,
    produce_transactional,
    idempotence,
    init_producer_id,
    fetch_errors,
    fetch_limits,
    fetch_waits,
    fetch_sessions,
    list_offsets,
    leader_epochs,
]
