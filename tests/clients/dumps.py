# SPDX-License-Identifier: Apache-2.0
"""Kafka's DumpLogSegments over the data directories that millrace leaves after all kinds of work: it reads every record
and holds the indexes against the batches, and finds nothing. Transactions are in disk.py, whose logs come from Kafka."""
import pathlib
import re
import struct
import subprocess
import sys
import time

import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
import apache_kafka  # noqa: E402
import cluster  # noqa: E402

SUFFIXES = ("log", "index", "timeindex", "txnindex", "snapshot")
OPTIONS = (["--deep-iteration", "--skip-record-metadata"], ["--index-sanity-check"], ["--verify-index-only"])
FILES_MAX = 800  # of one call: an argument may have 128 KiB
COMPLAINT = re.compile(r"(?i)mismatch|exception|corrupt|out of order|invalid bytes|not monotonic|isvalid: false|not found")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
ALTER_REPLICA_LOG_DIRS = 34
SMALL = {"segment_bytes": 20000, "index_interval_bytes": 500}


def files_of(nodes, topics="*"):
    return [path for node in nodes for suffix in SUFFIXES
            for path in sorted(pathlib.Path(node.data).glob(f"[ab]/{topics}-[0-9]*/*.{suffix}"))]


def complaints(text, holes):
    """What the tool finds fault with. Offsets that are left out are no fault in a compacted log (holes). In a log's later
    segments it compares the first offset with none (-1), also in Kafka's own."""
    found, file = [], ""
    for line in text.splitlines():
        file = line if line.startswith(("Dumping ", "Non-consecutive offsets in ")) else file
        gap = "is followed by" in line and not line.strip().startswith("-1 ")
        if COMPLAINT.search(line) or (gap and not any(f"/{topic}-" in file for topic in holes)):
            found.append(line)
    return found


def dump(java, files, holes=()):
    """Complaints about the files; java makes a command line of a class and arguments. holes: topics that are compacted."""
    found = []
    for options in OPTIONS:
        for at in range(0, len(files), FILES_MAX):
            names = ",".join(map(str, files[at:at + FILES_MAX]))
            done = subprocess.run(java("org.apache.kafka.tools.DumpLogSegments", *options, "--files", names),
                                  capture_output=True, text=True, timeout=900)
            text = done.stdout + done.stderr
            found += [f"{options[0]}: {line}" for line in complaints(text, holes)]
            if done.returncode:
                found.append(f"{options[0]}: ended with {done.returncode}: {text[-500:]}")
    return found


# ---- what leaves directories ----

def fill(running, topic, count, codec="none", keys=40, size=100):
    running.produce(topic, [(f"key-{n % keys}", f"{n:0{size}d}") for n in range(count)],
                    "-X", f"compression.codec={codec}", "-X", "batch.num.messages=50")


def plain(running):
    for codec in CODECS:
        running.create_topic(codec, partitions=2, **SMALL)
        fill(running, codec, 2000, codec)


def compaction(running):
    running.create_topic("compacted", cleanup_policy="compact", min_cleanable_dirty_ratio=0.01, **SMALL)
    for number, codec in enumerate(CODECS * 2):
        fill(running, "compacted", 1000 + number, codec)
    node = running.storage[0]
    wait_for(lambda: len(files_of([node], "compacted")) < 120, "a smaller log")
    fill(running, "compacted", 1500)
    fill(running, "compacted", 10, keys=10)


def retention(running):
    running.create_topic("retained", retention_bytes=100000, file_delete_delay_ms=100, **SMALL)
    fill(running, "retained", 5000)
    wait_for(lambda: len(files_of(running.storage, "retained")) < 36, "fewer segments")
    fill(running, "retained", 50)


def deletion(running):
    running.create_topic("deleted", **SMALL)
    fill(running, "deleted", 3000)
    running.cli("topic", "delete-records", "deleted", "--before", 1777)
    fill(running, "deleted", 100)


def crash(running):
    running.create_topic("crashed", partitions=3, **SMALL)
    node = running.storage[0]
    load = cluster.Load(running, "crashed", per_second=4000, enable_idempotence="true")
    for _ in range(3):
        load.wait_acks(1500)
        node.kill()
        node.start().wait_ready()
    load.stop()
    load.check()
    node.kill()
    for name in "ab":
        running.cli("storage", "recover", f"{node.data}/{name}")


def reassignment(running):
    running.create_topic("reassigned", partitions=3, replication=1, **SMALL)
    load = cluster.Load(running, "reassigned", per_second=2000, enable_idempotence="true")
    for target in (1, 2, 3, 1):
        load.wait_acks(1000)
        running.cli("topic", "reassign", "reassigned", "--replicas", f"{target},{target % 3 + 1}")
    wait_for(lambda: "reassigned" not in running.cli("topic", "reassignments", "--json").stdout, "the moves to end")
    load.stop()
    load.check()


def directory_of(node, topic):
    found, = pathlib.Path(node.data).glob(f"[ab]/{topic}-0")
    return found.parent.name


def directories(running):
    running.create_topic("moved", **SMALL)
    node = running.storage[0]
    load = cluster.Load(running, "moved", per_second=2000, enable_idempotence="true")
    for _ in range(4):
        load.wait_acks(1500)
        target = "b" if directory_of(node, "moved") == "a" else "a"
        body = struct.pack(">i", 1) + wire.text(f"{node.data}/{target}") + struct.pack(">i", 1) + wire.text("moved")
        reader = wire.call(node.address, ALTER_REPLICA_LOG_DIRS, 1, body + struct.pack(">ii", 1, 0))
        if reader.data[-2:] != b"\0\0":
            raise RuntimeError("AlterReplicaLogDirs is refused")
        wait_for(lambda: [path.parent.name for path in pathlib.Path(node.data).glob("[ab]/moved-0*")] == [target], "move")
    load.stop()
    load.check()


def wait_for(condition, what, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"no {what} after {seconds} s")
        time.sleep(0.2)


CLEANER = {"storage": {"log.cleaner.backoff.ms": 100}}
SCENES = ((plain, 1, None), (compaction, 1, CLEANER), (retention, 1, None), (deletion, 1, None), (crash, 1, None),
          (reassignment, 3, None), (directories, 1, None))
HOLES = ("compacted", "__consumer_offsets")


def scene(java, play, nodes, settings):
    running = cluster.Cluster(storage=nodes, settings=settings)
    for node in running.storage:
        node.settings["log.dirs"] = f"{node.data}/a,{node.data}/b"
    with running:
        play(running)
        for node in running.storage:
            if node.running():
                node.stop()
        files = files_of(running.storage)
        found = dump(java, files, HOLES)
        return f"FAIL: {found[:4]} and {len(found[4:])} more" if found else "ok", len(files)


def run(say):
    results, kafka = {}, apache_kafka.ApacheKafka(heap="512m")  # never started: the tool alone is wanted
    for play, nodes, settings in SCENES:
        name, began = play.__name__, time.monotonic()
        try:
            results[name], count = scene(kafka.java, play, nodes, settings)
        except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as error:
            results[name], count = f"FAIL: {error}", 0
        say(f"dumps: {name}: {results[name]} ({count} files, {time.monotonic() - began:.0f} s)")
    kafka.stop()
    return results


if __name__ == "__main__":
    sys.exit(any(one != "ok" for one in run(print).values()))
