# SPDX-License-Identifier: Apache-2.0
"""`millrace storage adopt`, `release` and `recover`: partition directories made by Apache Kafka
(tests/golden/transactions) become those of a node, with offsets, epochs, aborted transactions and the open one, and go
back. The same with a living Kafka on both sides is tests/clients/disk.py."""
import base64
import json
import pathlib
import shutil
import struct
import time

import pytest
from cluster import Cluster, ROOT, have, wait_until
from transactional import producers

pytestmark = pytest.mark.skipif(not have("millrace", "millrace-storage", "millrace-controller",
                                           "millrace-coordinator"), reason="not built")

GOLDEN = pathlib.Path(ROOT, "tests/golden/transactions")
TOPIC_ID = base64.urlsafe_b64encode(bytes(range(1, 17))).decode().rstrip("=")
END, STABLE = 330, 267  # of the golden log; its stable end is where the earliest open transaction begins
FILES = ("00000000000000000000.log", "00000000000000000000.txnindex", "00000000000000000330.snapshot")


def kafka_directory(path, partitions=1, end=END):
    """A log directory as Apache Kafka leaves it after a clean stop."""
    path.mkdir()
    for index in range(partitions):
        partition = path / f"golden-{index}"
        partition.mkdir()
        for name in FILES:
            shutil.copy(GOLDEN / name, partition / name)
        (partition / "partition.metadata").write_text(f"version: 0\ntopic_id: {TOPIC_ID}")
        (partition / "leader-epoch-checkpoint").write_text("0\n1\n3 0\n")
    rows = "".join(f"golden {index} {end}\n" for index in range(partitions))
    for name in ("recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        (path / name).write_text(f"0\n{partitions}\n{rows}")
    (path / ".kafka_cleanshutdown").write_text('{"version":0,"brokerEpoch":7}')
    (path / "__consumer_offsets-3").mkdir()
    return path


def adopt(cluster, source, *arguments, check=True):
    node = cluster.storage[0]
    node.stop()
    done = cluster.cli("storage", "adopt", source, "--data", node.data, *arguments, check=check)
    node.start().wait_ready()
    return done


def visible(cluster, isolation):
    lines = cluster.kcat("-C", "-t", "golden", "-p", 0, "-o", "beginning", "-e", "-q", "-f", "%o %s\n",
                         "-X", "isolation.level=" + isolation).stdout.splitlines()
    return [int(line.split()[0]) for line in lines]


def golden_records():
    """{offset: (producer, transactional)} of the data records, and {producer: [(first, marker)]} aborted."""
    data, at, records = (GOLDEN / FILES[0]).read_bytes(), 0, {}
    while at < len(data):
        base, length = struct.unpack_from(">qi", data, at)
        attributes, last_delta = struct.unpack_from(">hi", data, at + 21)
        producer = struct.unpack_from(">q", data, at + 43)[0]
        if not attributes & 32:
            for offset in range(base, base + last_delta + 1):
                records[offset] = (producer, bool(attributes & 16))
        at += 12 + length
    index, aborted = (GOLDEN / FILES[1]).read_bytes(), []
    for at in range(0, len(index), 34):
        aborted.append(struct.unpack_from(">qqq", index, at + 2))
    return records, aborted


def test_what_kafka_wrote_is_read_with_its_aborted_transactions(tmp_path):
    records, aborted = golden_records()
    committed = [offset for offset, (producer, transactional) in records.items() if offset < STABLE and not (
        transactional and any(producer == p and first <= offset < last for p, first, last in aborted))]
    with Cluster() as cluster:
        told = adopt(cluster, kafka_directory(tmp_path / "kafka"), "--json", "--config", "segment.ms=86400000")
        assert json.loads(told.stdout) == [{"partition": "golden-0", "start": 0, "end": END, "bytes": 14991,
                                            "open transaction": STABLE}]
        wait_until(lambda: cluster.partition("golden")["leader"] == 1, what="the topic to be led")
        assert visible(cluster, "read_uncommitted") == list(records)
        assert visible(cluster, "read_committed") == committed
        wait_until(lambda: not pathlib.Path(cluster.storage[0].data, "adopted-topics").exists())
        settings = {row["key"]: row["value"] for row in json.loads(cluster.cli(
            "config", "list", "--topic", "golden", "--json").stdout)}
        # The records are of 2023: the default retention would take them.
        assert settings == {"segment.ms": "86400000", "retention.ms": "-1", "retention.bytes": "-1"}
        # It is a topic like any other: it takes records, and is the same after a restart and a kill.
        cluster.produce("golden", ["one more"])
        cluster.storage[0].kill()
        cluster.storage[0].start().wait_ready()
        wait_until(lambda: visible(cluster, "read_uncommitted") == list(records) + [END])
        assert visible(cluster, "read_committed") == committed


def test_transactions_that_hang_in_what_was_adopted_are_ended_by_hand(tmp_path):
    """No coordinator knows their producers (KIP-664)."""
    hanging = {1002: STABLE, 1005: 288}  # producer: its first record
    records, aborted = golden_records()
    aborted += [(producer, first, END) for producer, first in hanging.items()]
    committed = [offset for offset, (producer, transactional) in records.items() if not (
        transactional and any(producer == p and first <= offset < last for p, first, last in aborted))]
    with Cluster(coordinators=1) as cluster:
        adopt(cluster, kafka_directory(tmp_path / "kafka"))
        node = cluster.storage[0]
        wait_until(lambda: cluster.partition("golden")["leader"] == 1, what="the topic to be led")

        def found():
            open_ones = {producer: start for producer, (_, _, start) in producers(node, "golden", 0).items() if start >= 0}
            return open_ones, visible(cluster, "read_committed")[-1]

        assert found() == (hanging, max(offset for offset in committed if offset < STABLE))
        assert json.loads(cluster.cli("txn", "list", "--json").stdout) == []
        cluster.cli("txn", "abort", "-t", "golden", "-p", "0", "-o", str(hanging[1002]))
        assert found() == ({1005: 288}, max(offset for offset in committed if offset < 288))
        cluster.cli("txn", "abort", "-t", "golden", "-p", "0", "-o", str(hanging[1005]))
        assert visible(cluster, "read_committed") == committed
        node.kill()
        node.start().wait_ready()
        wait_until(lambda: visible(cluster, "read_committed") == committed, what="the aborts after a crash")


def test_all_or_nothing(tmp_path):
    with Cluster() as cluster:
        source = kafka_directory(tmp_path / "kafka", partitions=3)
        node = cluster.storage[0]
        node.stop()

        def refused(why):
            before = sorted(path.name for path in pathlib.Path(node.data).iterdir() if "-delete" not in path.name)
            done = cluster.cli("storage", "adopt", source, "--data", node.data, check=False)
            assert done.returncode == 1 and why in done.stderr, done.stderr
            names = sorted(path.name for path in pathlib.Path(node.data).iterdir() if "-delete" not in path.name)
            assert names == before

        log = source / "golden-1" / FILES[0]
        whole = log.read_bytes()
        log.write_bytes(whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:])
        refused("golden-1: is damaged")
        log.write_bytes(whole[:-20])
        refused("golden-1: is damaged")
        log.write_bytes(whole)
        shutil.move(source / "golden-1", tmp_path / "away")
        refused("2 of 3 partitions")
        shutil.move(tmp_path / "away", source / "golden-1")
        (source / "golden-2" / "00000000000000000000.log.swap").touch()
        refused("in the middle of a compaction")
        (source / "golden-2" / "00000000000000000000.log.swap").unlink()
        node.start().wait_ready()
        busy = cluster.cli("storage", "adopt", source, "--data", node.data, check=False)
        assert busy.returncode == 1 and "in use" in busy.stderr
        adopt(cluster, source)
        wait_until(lambda: [cluster.partition("golden", i)["leader"] for i in range(3)] == [1, 1, 1])
        assert len(cluster.consume("golden", "-X", "isolation.level=read_uncommitted")) == 3 * len(golden_records()[0])
        again = adopt(cluster, source, check=False)
        assert again.returncode == 1 and "has a partition of that name" in again.stderr


def test_a_name_that_is_taken_keeps_the_logs(tmp_path):
    with Cluster() as cluster:
        cluster.create_topic("golden")
        adopt(cluster, kafka_directory(tmp_path / "kafka"))
        node = cluster.storage[0]
        wait_until(lambda: "cannot be adopted" in node.log())
        time.sleep(2.5)  # retention looks every second, and must not
        assert pathlib.Path(node.data, "golden-0", FILES[0]).exists()
        cluster.cli("topic", "delete", "golden")
        node.stop()
        node.start().wait_ready()
        wait_until(lambda: visible(cluster, "read_uncommitted") == list(golden_records()[0]))


def test_producer_ids_go_on_behind_those_in_the_logs(tmp_path):
    with Cluster() as cluster:
        adopt(cluster, kafka_directory(tmp_path / "kafka"))
        wait_until(lambda: cluster.partition("golden")["leader"] == 1)
        cluster.produce("golden", ["a", "b"], "-X", "enable.idempotence=true")
        cluster.storage[0].stop()
        snapshot = sorted(pathlib.Path(cluster.storage[0].data, "golden-0").glob("*.snapshot"))[-1].read_bytes()
        rows = int.from_bytes(snapshot[6:10], "big")
        ids = [int.from_bytes(snapshot[10 + 46 * i:18 + 46 * i], "big") for i in range(rows)]
        assert [one for one in ids if one >= 1 << 32] and [one for one in ids if one < 2000]


def test_the_broker_gets_back_what_was_written_meanwhile(tmp_path):
    with Cluster() as cluster:
        source = kafka_directory(tmp_path / "kafka")
        adopt(cluster, source)
        wait_until(lambda: cluster.partition("golden")["leader"] == 1)
        cluster.produce("golden", ["%d" % n for n in range(50)])
        node = cluster.storage[0]
        node.kill()  # what the journal holds comes along

        def release(*arguments):
            return cluster.cli("storage", "release", node.data, "--to", source, "--json", *arguments, check=False)

        before = {path.name: path.read_bytes() for path in (source / "golden-0").iterdir()}
        refused = release()
        assert refused.returncode == 1 and "golden-0: the records have leader epoch" in refused.stderr
        assert {path.name: path.read_bytes() for path in (source / "golden-0").iterdir()} == before
        epochs = source / "golden-0" / "leader-epoch-checkpoint"
        epochs.write_text("0\n2\n3 0\n40 330\n")  # as after many starts
        (source / ".kafka_cleanshutdown").unlink()
        assert "not stopped cleanly" in release().stderr
        (source / ".kafka_cleanshutdown").touch()
        done = release("--topic", "golden")
        row, = json.loads(done.stdout)
        assert (row["partition"], row["start"], row["end"]) == ("golden-0", 0, END + 50), done.stderr
        name = FILES[0]
        assert (source / "golden-0" / name).read_bytes() == pathlib.Path(node.data, "golden-0", name).read_bytes()
        assert (source / "recovery-point-offset-checkpoint").read_text() == f"0\n1\ngolden 0 {END + 50}\n"
        assert epochs.read_text().startswith("0\n2\n3 0\n") and epochs.read_text() != "0\n2\n3 0\n40 330\n"
        assert sorted(path.name for path in source.iterdir() if path.is_dir()) == ["__consumer_offsets-3", "golden-0"]
        node.start().wait_ready()  # it keeps its own
        wait_until(lambda: cluster.partition("golden")["leader"] == 1)


def test_recover_makes_a_clean_directory_of_a_crashed_one(tmp_path):
    with Cluster() as cluster:
        cluster.create_topic("t")
        node = cluster.storage[0]
        cluster.produce("t", ["v%d" % i for i in range(500)])
        node.kill()
        data = pathlib.Path(node.data)
        told = json.loads(cluster.cli("storage", "recover", data, "--json").stdout)
        assert [row for row in told if row["partition"] == "t-0"][0]["end"] == 500
        assert (data / ".kafka_cleanshutdown").exists() and not list(data.glob("journal*"))
        assert b"t 0 500" in (data / "recovery-point-offset-checkpoint").read_bytes()
        node.start().wait_ready()
        wait_until(lambda: len(cluster.consume("t")) == 500)
