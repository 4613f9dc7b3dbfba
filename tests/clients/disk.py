# SPDX-License-Identifier: Apache-2.0
"""Data directories go from Apache Kafka to millrace and back: `millrace storage adopt`, Kafka's own dump tool over what
millrace leaves, and Kafka's start on it. What is compared: every byte of every batch (sha256 per partition), what a
read_committed consumer sees, OffsetForLeaderEpoch for every epoch, and a producer in the middle of its sequence whose
retried batch must be known on the other side."""
import hashlib
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
import apache_kafka  # noqa: E402
import cluster  # noqa: E402
import produce  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TOPIC, PARTITIONS = "disk", 2
START_SECONDS = 240  # a busy machine is no finding
PRODUCE, LIST_OFFSETS, CREATE_TOPICS, INIT_PRODUCER_ID, EPOCH_END = 0, 2, 19, 22, 23
CHECKPOINTS = ("recovery-point-offset-checkpoint", "replication-offset-checkpoint", "log-start-offset-checkpoint")
# What Kafka says when it repairs or distrusts a log; a clean start says none of it.
REPAIRS = re.compile(r"(?i)recovering unflushed|unclean|corrupt|inconsistent|"
                     r"truncating to|stray|\bWARN\b.*(log|index|segment|epoch)|\bERROR\b")


class Failure(Exception):
    pass


def expect(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {found!r}, not {wanted!r}")


# ---- what a client sees ----

class View:
    """One node, asked directly."""

    def __init__(self, address):
        self.address = address
        end = time.monotonic() + 60
        while True:
            try:
                partitions = wire.Metadata(address, TOPIC).partitions
                if len(partitions) == PARTITIONS and all(one.leader >= 0 for one in partitions.values()):
                    return
            except OSError:
                pass
            if time.monotonic() > end:
                raise Failure(f"{TOPIC} has no leaders at {address}")
            time.sleep(0.1)

    def fetch(self, partition, offset, isolation):
        """(last stable offset, [(producer id, first offset)], bytes); a look-up of a leader just elected is repeated."""
        body = struct.pack(">iiiibi", -1, 100, 1, 1 << 24, isolation, 1) + wire.text(TOPIC)
        body += struct.pack(">iiqi", 1, partition, offset, 1 << 20)
        reader = wire.call(self.address, wire.FETCH, 4, body)
        reader.take("ii")
        reader.text()
        reader.take("i")
        _, error, _, stable = reader.take("ihqq")
        expect(error, 0, f"Fetch of partition {partition} at {offset}")
        aborted = reader.list(lambda: reader.take("qq"))
        return stable, aborted, reader.bytes(reader.take("i")) or b""

    def end(self, partition, isolation=0):
        body = struct.pack(">ibi", -1, isolation, 1) + wire.text(TOPIC) + struct.pack(">iiq", 1, partition, -1)
        deadline = time.monotonic() + 30
        while True:
            reader = wire.call(self.address, LIST_OFFSETS, 2, body)
            reader.take("ii")
            reader.text()
            _, _, error, _, offset = reader.take("iihqq")
            if error == 0:
                return offset
            if time.monotonic() > deadline:
                raise Failure(f"ListOffsets: error {error}")
            time.sleep(0.1)

    def batches(self, partition, isolation=0):
        """[(base offset, last offset, attributes, producer id, bytes)], and the aborted transactions that were told."""
        offset, end, found, told = 0, self.end(partition, isolation), [], set()
        while offset < end:
            _, aborted, data = self.fetch(partition, offset, isolation)
            told.update(aborted)
            at = 0
            while at + 61 <= len(data):
                base, length = struct.unpack_from(">qi", data, at)
                if at + 12 + length > len(data):
                    break
                attributes, delta = struct.unpack_from(">hi", data, at + 21)
                producer = struct.unpack_from(">q", data, at + 43)[0]
                if base + delta >= offset:
                    found.append((base, base + delta, attributes, producer, data[at:at + 12 + length]))
                offset, at = max(offset, base + delta + 1), at + 12 + length
            if at == 0:
                raise Failure(f"nothing at {offset} of {end} in partition {partition}")
        return found, sorted(told)

    def digests(self):
        return [hashlib.sha256(b"".join(one[4] for one in self.batches(p)[0])).hexdigest() for p in range(PARTITIONS)]

    def committed(self):
        """Per partition the stable end, the aborted transactions told and the batches a consumer keeps (KIP-98)."""
        result = []
        for partition in range(PARTITIONS):
            batches, aborted = self.batches(partition, 1)
            waiting, skipped, kept = sorted(aborted, key=lambda one: one[1]), set(), []
            for base, last, attributes, producer, _ in batches:
                while waiting and waiting[0][1] <= last:
                    skipped.add(waiting.pop(0)[0])
                if attributes & 32:
                    skipped.discard(producer)
                elif not (attributes & 16 and producer in skipped):
                    kept.append(base)
            result.append((self.end(partition, 1), aborted, kept))
        return result

    def epochs(self, highest):
        """[(epoch, end offset)] for the epochs asked for, per partition."""
        result = []
        for partition in range(PARTITIONS):
            answers = []
            for epoch in range(highest + 1):
                body = struct.pack(">i", 1) + wire.text(TOPIC) + struct.pack(">iiii", 1, partition, -1, epoch)
                reader = wire.call(self.address, EPOCH_END, 2, body)
                reader.take("ii")
                reader.text()
                _, error, _, found, end = reader.take("ihiiq")
                expect(error, 0, f"OffsetForLeaderEpoch of epoch {epoch}")
                answers.append((found, end))
            result.append(answers)
        return result

    def last_epoch(self):
        return max(struct.unpack_from(">i", batches[-1][4], 12)[0]
                   for batches in (self.batches(p)[0] for p in range(PARTITIONS)))

    def producer_id(self):
        end = time.monotonic() + 30
        while True:
            reader = wire.call(self.address, INIT_PRODUCER_ID, 0, struct.pack(">hi", -1, 60000))
            _, error, producer, _ = reader.take("ihqh")
            if error == 0:
                return producer
            if time.monotonic() > end:
                raise Failure(f"InitProducerId: error {error}")
            time.sleep(0.2)

    def send(self, producer, sequence, partition=0):
        """(error, base offset) of a batch of one record."""
        now_ms = int(time.time() * 1000)  # Kafka forgets a producer of long ago when it loads a log
        records = produce.batch(producer, sequence, b"value of %d" % sequence, timestamp=now_ms)
        body = struct.pack(">hhii", -1, -1, 30000, 1) + wire.text(TOPIC)
        body += struct.pack(">iii", 1, partition, len(records)) + records
        reader = wire.call(self.address, PRODUCE, 3, body)
        reader.take("i")
        reader.text()
        _, _, error, base = reader.take("iihq")
        return error, base


def create(address):
    body = struct.pack(">i", 1) + wire.text(TOPIC) + struct.pack(">ihi", PARTITIONS, 1, 0)
    body += struct.pack(">i", 1) + wire.text("segment.bytes") + wire.text("1048576") + struct.pack(">ib", 30000, 0)
    reader = wire.call(address, CREATE_TOPICS, 2, body)
    reader.take("ii")
    reader.text()
    expect(reader.take("h"), 0, "CreateTopics")


# ---- steps ----

class Disk:
    name = "data directories"

    def __init__(self, kafka, running, logs):
        self.kafka, self.cluster, self.logs = kafka, running, pathlib.Path(logs)
        self.results, self.sequence = {}, 0

    def java(self, *arguments):
        done = subprocess.run(self.kafka.java(*map(str, arguments)), capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise Failure(f"{arguments[0]}: {done.stderr[-800:] or done.stdout[-800:]}")
        return done.stdout

    def write(self, address, number, *more):
        self.java(HERE / "java/disk/Writer.java", address, TOPIC, PARTITIONS, number, *more)

    def next(self, view, count=1):
        for _ in range(count):
            error, self.base = view.send(self.producer, self.sequence)
            expect(error, 0, f"Produce with sequence {self.sequence}")
            self.sequence += 1

    def again(self, view):
        """The last batch once more: it is known, and where it is."""
        end = view.end(0)
        expect(view.send(self.producer, self.sequence - 1), (0, self.base), "the retried batch")
        expect(view.end(0), end, "the end of the log after it")

    # Three leader epochs, several segments, transactions.
    def kafka_writes(self):
        create(self.kafka.bootstrap)
        view = View(self.kafka.bootstrap)
        self.producer = view.producer_id()
        for number in range(3):
            self.write(self.kafka.bootstrap, number)
            self.next(view, 4)
            if number < 2:
                self.kafka.kill(signal.SIGTERM)
                self.kafka.start(START_SECONDS)
                view = View(self.kafka.bootstrap)
        self.remember(view)
        if not any(told for _, told, _ in self.seen["committed"]) or self.highest < 2:
            raise Failure(f"too little to compare: {self.highest} epochs, {self.seen['committed']}")
        self.kafka.kill(signal.SIGTERM)

    def remember(self, view):
        self.highest = view.last_epoch()
        self.seen = {"digests": view.digests(), "committed": view.committed(), "epochs": view.epochs(self.highest)}

    def compare(self, view):
        """All the same as remembered. Only an epoch that goes on ends elsewhere, and none does."""
        expect(view.digests(), self.seen["digests"], "sha256 of the partitions")
        expect(view.committed(), self.seen["committed"], "what read_committed sees")
        expect(view.epochs(self.highest), self.seen["epochs"], "OffsetForLeaderEpoch")

    def millrace_adopts(self):
        node = self.cluster.storage[0]
        node.stop()
        self.cluster.cli("storage", "adopt", self.kafka.directory / "data", "--data", node.data, "--topic", TOPIC,
                         "--config", "segment.bytes=1048576")
        node.start().wait_ready()
        self.compare(View(node.address))

    def producer_goes_on(self):
        view = View(self.cluster.storage[0].address)
        self.again(view)
        self.next(view, 3)
        self.again(view)
        expect(view.send(self.producer, self.sequence + 1)[0], 45, "a sequence with a hole")

    def millrace_writes(self):
        node = self.cluster.storage[0]
        self.write(node.address, 3, "plain")
        self.next(View(node.address))
        self.remember(View(node.address))
        node.stop()

    def dump(self, directory):
        """Kafka's dump tool over every file; it finds nothing."""
        files = [path for suffix in ("log", "index", "timeindex", "txnindex", "snapshot")
                 for path in sorted(pathlib.Path(directory).glob(f"{TOPIC}-*/*.{suffix}"))]
        for options in (["--deep-iteration", "--skip-record-metadata"], ["--index-sanity-check"], ["--verify-index-only"]):
            done = subprocess.run(self.kafka.java("org.apache.kafka.tools.DumpLogSegments", *options, "--files",
                                                  ",".join(map(str, files))), capture_output=True, text=True, timeout=300)
            text = done.stdout + done.stderr
            # In a log's later segments the tool compares the first offset with none (-1), also for Kafka's own.
            complaints = [line for line in text.splitlines() if re.search(
                r"(?i)non-consecutive|mismatch|exception|corrupt|out of order|invalid bytes|not monotonic|isvalid: false", line)]
            followed = [line for line in text.splitlines() if "is followed by" in line and not line.strip().startswith("-1 ")]
            complaints = [line for line in complaints if "Non-consecutive" not in line] + followed
            if done.returncode or complaints:
                raise Failure(f"{options[0]}: {complaints[:5] or text[-500:]}")

    def dump_finds_nothing(self):
        self.dump(self.cluster.storage[0].data)

    # Kafka's controller must count leader epochs from above ours; each of its starts raises them by two.
    def kafka_takes_it_back(self):
        self.kafka.start(START_SECONDS)
        View(self.kafka.bootstrap)
        self.kafka.kill(signal.SIGTERM)
        ours, theirs = pathlib.Path(self.cluster.storage[0].data), self.kafka.directory / "data"
        for partition in range(PARTITIONS):
            name = f"{TOPIC}-{partition}"
            shutil.rmtree(theirs / name)
            shutil.copytree(ours / name, theirs / name)
        for name in CHECKPOINTS:
            rows = [line for line in (theirs / name).read_text().splitlines()[2:] if not line.startswith(TOPIC + " ")]
            rows += [line for line in (ours / name).read_text().splitlines()[2:] if line.startswith(TOPIC + " ")]
            (theirs / name).write_text("\n".join(["0", str(len(rows)), *rows]) + "\n")
        log = self.kafka.directory / "log"
        before = log.stat().st_size
        self.kafka.start(START_SECONDS)
        view = View(self.kafka.bootstrap)
        text = log.read_bytes()[before:].decode()
        (self.logs / "kafka-on-our-directory.log").write_text(text)
        told = [line for line in text.splitlines() if TOPIC + "-" in line and REPAIRS.search(line)]
        expect(told, [], "what Kafka said at its start")
        self.compare(view)
        self.again(view)
        self.next(view, 2)
        self.again(view)
        self.write(self.kafka.bootstrap, 4)
        self.kafka.kill(signal.SIGTERM)

    def crash_and_recover(self):
        node = self.cluster.storage[0]
        node.start().wait_ready()
        self.write(node.address, 5, "plain")
        node.kill()
        self.cluster.cli("storage", "recover", node.data)
        self.dump(node.data)

    def run(self, say):
        steps = ("kafka_writes", "millrace_adopts", "producer_goes_on", "millrace_writes", "dump_finds_nothing",
                 "kafka_takes_it_back", "crash_and_recover")
        for step in steps:
            began = time.monotonic()
            try:
                getattr(self, step)()
                self.results[step] = "ok"
            except (Failure, OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
                self.results[step] = f"FAIL: {error}"
            say(f"{self.name}: {step}: {self.results[step]} ({time.monotonic() - began:.0f} s)")
            if self.results[step] != "ok":
                break  # what follows would compare with nothing
        return self.results


def run(logs, say):
    kafka = apache_kafka.ApacheKafka(level="INFO")
    try:
        kafka.start(START_SECONDS)
        with cluster.Cluster() as running:
            return Disk(kafka, running, logs).run(say)
    finally:
        kafka.stop()


if __name__ == "__main__":
    sys.exit(any(one != "ok" for one in run(sys.argv[1], print).values()))
