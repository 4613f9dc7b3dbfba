# SPDX-License-Identifier: Apache-2.0
"""Data directories go from Apache Kafka to millrace and back: `millrace storage adopt` and `release`, Kafka's own dump
tool over what millrace leaves, and Kafka's start on it. What is compared: every byte of every batch (sha256 per
partition), what a read_committed consumer sees, OffsetForLeaderEpoch for every epoch, and a producer in the middle of its
sequence whose retried batch must be known on the other side. `disk.py --large LOGS` does it with a gigabyte in several
topics."""
import hashlib
import pathlib
import re
import signal
import struct
import subprocess
import sys
import time

import dumps
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
NOT_LEADER, NOT_ENOUGH_REPLICAS, OUT_OF_ORDER = 6, 19, 45
# What Kafka says when it repairs or distrusts a log; a clean start says none of it.
REPAIRS = re.compile(r"(?i)recovering unflushed|unclean|corrupt|inconsistent|"
                     r"truncating to|stray|\bWARN\b.*(log|index|segment|epoch)|\bERROR\b")


class Failure(Exception):
    pass


def expect(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {found!r}, not {wanted!r}")


def while_led(ask, what):
    """The result of ask(), which gives (error, result); again while nobody leads, as on a busy machine for a moment."""
    deadline = time.monotonic() + 30
    while True:
        error, result = ask()
        if error != NOT_LEADER or time.monotonic() > deadline:
            expect(error, 0, what)
            return result
        time.sleep(0.1)


# ---- what a client sees ----

class View:
    """A topic on one node, asked directly."""

    def __init__(self, address, topic=TOPIC, partitions=PARTITIONS):
        self.address, self.topic, self.partitions, self.idle = address, topic, partitions, 0
        end = time.monotonic() + 60
        while True:
            try:
                found = wire.Metadata(address, topic).partitions
                if len(found) == partitions and all(one.leader >= 0 for one in found.values()):
                    return
            except OSError:
                pass
            if time.monotonic() > end:
                raise Failure(f"{topic} has no leaders at {address}")
            time.sleep(0.1)

    def fetch(self, partition, offset, isolation):
        """(last stable offset, [(producer id, first offset)], bytes); a look-up of a leader just elected is repeated."""
        body = struct.pack(">iiiibi", -1, 100, 1, 1 << 24, isolation, 1) + wire.text(self.topic)
        body += struct.pack(">iiqi", 1, partition, offset, 1 << 20)

        def ask():
            reader = wire.call(self.address, wire.FETCH, 4, body)
            reader.take("ii")
            reader.text()
            reader.take("i")
            _, error, _, stable = reader.take("ihqq")
            return error, (stable, reader)

        stable, reader = while_led(ask, f"Fetch of partition {partition} at {offset}")
        aborted = reader.list(lambda: reader.take("qq"))
        return stable, aborted, reader.bytes(reader.take("i")) or b""

    def end(self, partition, isolation=0):
        body = struct.pack(">ibi", -1, isolation, 1) + wire.text(self.topic) + struct.pack(">iiq", 1, partition, -1)
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

    def batches(self, partition, isolation, told):
        """(base offset, last offset, attributes, producer id, bytes) of each batch; told: aborted transactions."""
        offset, end = 0, self.end(partition, isolation)
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
                    yield base, base + delta, attributes, producer, data[at:at + 12 + length]
                offset, at = max(offset, base + delta + 1), at + 12 + length
            if at == 0:
                raise Failure(f"nothing at {offset} of {end} in partition {partition} of {self.topic}")

    def look(self):
        """Per partition: bytes, sha256 of all batches, stable end, the aborted transactions told, and the batches a
        read_committed consumer keeps (KIP-98)."""
        result = []
        for partition in range(self.partitions):
            expect(self.end(partition, 1), self.end(partition), f"the stable end of partition {partition}")
            told, rows, digest, size = set(), [], hashlib.sha256(), 0
            for base, last, attributes, producer, data in self.batches(partition, 1, told):
                rows.append((base, last, attributes, producer))
                digest.update(data)
                size += len(data)
            result.append((size, digest.hexdigest(), self.end(partition, 1), sorted(told), self.kept(rows, told)))
        return result

    @staticmethod
    def kept(rows, told):
        waiting, skipped, kept = sorted(told, key=lambda one: one[1]), set(), []
        for base, last, attributes, producer in rows:
            while waiting and waiting[0][1] <= last:
                skipped.add(waiting.pop(0)[0])
            if attributes & 32:
                skipped.discard(producer)
            elif not (attributes & 16 and producer in skipped):
                kept.append(base)
        return kept

    def epoch_end(self, partition, epoch):
        body = struct.pack(">i", 1) + wire.text(self.topic) + struct.pack(">iiii", 1, partition, -1, epoch)

        def ask():
            reader = wire.call(self.address, EPOCH_END, 2, body)
            reader.take("ii")
            reader.text()
            _, error, _, found, end = reader.take("ihiiq")
            return error, (found, end)

        return while_led(ask, f"OffsetForLeaderEpoch of epoch {epoch}")

    def epochs(self, highest):
        """[(epoch, end offset)] for the epochs asked for, per partition."""
        return [[self.epoch_end(partition, epoch) for epoch in range(highest + 1)] for partition in range(self.partitions)]

    def epoch_of(self, partition, offset):
        return struct.unpack_from(">i", self.fetch(partition, offset, 0)[2], 12)[0]

    def last_epoch(self):
        ends = [(partition, self.end(partition)) for partition in range(self.partitions)]
        return max(self.epoch_of(partition, end - 1) for partition, end in ends if end)

    def check_idle_epochs(self):
        """Behind the last epoch with records: the leader's own is told as it is, those between as that last one."""
        for partition in range(self.partitions):
            end = self.end(partition)
            last = self.epoch_of(partition, end - 1)
            answers, epoch = [], last + 1
            while (found := self.epoch_end(partition, epoch)) != (-1, -1):
                answers, epoch = [*answers, found], epoch + 1
            wanted = [(last, end)] * (len(answers) - 1) + [(epoch - 1, end)] * (len(answers) > 0)
            expect(answers, wanted, f"OffsetForLeaderEpoch behind epoch {last} of partition {partition} of {self.topic}")
            self.idle = max(self.idle, len(answers))

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
        body = struct.pack(">hhii", -1, -1, 30000, 1) + wire.text(self.topic)
        body += struct.pack(">iii", 1, partition, len(records)) + records
        reader = wire.call(self.address, PRODUCE, 3, body)
        reader.take("i")
        reader.text()
        _, _, error, base = reader.take("iihq")
        return error, base


def create(address, topic, partitions, configs):
    body = struct.pack(">i", 1) + wire.text(topic) + struct.pack(">ihi", partitions, 1, 0)
    body += struct.pack(">i", len(configs))
    for key, value in configs.items():
        body += wire.text(key) + wire.text(value)
    body += struct.pack(">ib", 30000, 0)
    reader = wire.call(address, CREATE_TOPICS, 2, body)
    reader.take("ii")
    reader.text()
    expect(reader.take("h"), 0, "CreateTopics")


# ---- steps ----

class Disk:
    name = "data directories"
    topics = {TOPIC: (PARTITIONS, {"segment.bytes": "1048576"}), "idle": (1, {})}
    steps = ("kafka_writes", "millrace_adopts", "producer_goes_on", "millrace_writes", "dump_finds_nothing",
             "kafka_takes_it_back", "crash_and_recover")

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
    def create_topics(self):
        for topic, (partitions, configs) in self.topics.items():
            create(self.kafka.bootstrap, topic, partitions, configs)

    def kafka_writes(self):
        self.create_topics()
        view = View(self.kafka.bootstrap)
        self.producer = view.producer_id()
        if "idle" in self.topics:
            expect(View(self.kafka.bootstrap, "idle", 1).send(-1, -1)[0], 0, "Produce")
        for number in range(3):
            self.write(self.kafka.bootstrap, number)
            self.next(view, 4)
            if number < 2:
                self.kafka.kill(signal.SIGTERM)
                self.kafka.start(START_SECONDS)
                view = View(self.kafka.bootstrap)
        self.remember(self.kafka.bootstrap)
        if not any(told for *_, told, _ in self.seen[TOPIC][0]) or self.highest < 2:
            raise Failure(f"too little to compare: {self.highest} epochs, {self.seen}")
        self.kafka.kill(signal.SIGTERM)

    def views(self, address):
        return {topic: View(address, topic, partitions) for topic, (partitions, _) in self.topics.items()}

    def remember(self, address):
        views = self.views(address)
        self.highest = views[TOPIC].last_epoch()
        self.seen = {topic: (view.look(), view.epochs(view.last_epoch())) for topic, view in views.items()}
        self.check_idle_epochs(views)

    @staticmethod
    def check_idle_epochs(views):
        """Which ones there are is the cluster's own affair, nobody has a record of them; one topic has been idle."""
        for view in views.values():
            view.check_idle_epochs()
        if not any(view.idle > 1 for view in views.values()):
            raise Failure("no topic has epochs without records")

    def compare(self, address):
        """All the same as remembered. Only an epoch that goes on ends elsewhere, and none does."""
        views = self.views(address)
        self.check_idle_epochs(views)
        for topic, view in views.items():
            found, (seen, epochs) = view.look(), self.seen[topic]
            expect([one[:2] for one in found], [one[:2] for one in seen], f"sizes and sha256 of {topic}'s partitions")
            expect([one[2:] for one in found], [one[2:] for one in seen], f"what read_committed sees in {topic}")
            expect(view.epochs(view.last_epoch()), epochs, f"OffsetForLeaderEpoch of {topic}")

    def millrace_adopts(self):
        node = self.cluster.storage[0]
        node.stop()
        named = [part for topic in self.topics for part in ("--topic", topic)]
        self.cluster.cli("storage", "adopt", self.kafka.directory / "data", "--data", node.data, *named,
                         "--config", "segment.bytes=1048576", seconds=600)
        node.start().wait_ready()
        self.compare(node.address)

    def producer_goes_on(self):
        view = View(self.cluster.storage[0].address)
        self.again(view)
        self.next(view, 3)
        self.again(view)
        # For ten seconds after a change of leaders the batch before it may still come: it is to be sent again.
        deadline = time.monotonic() + 30
        while (error := view.send(self.producer, self.sequence + 1)[0]) == NOT_ENOUGH_REPLICAS:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        expect(error, OUT_OF_ORDER, "a sequence with a hole")

    def millrace_writes(self):
        node = self.cluster.storage[0]
        self.write(node.address, 3, "plain")
        self.next(View(node.address))
        self.remember(node.address)
        node.stop()

    def dump(self, directory):
        """Kafka's dump tool over every file; it finds nothing."""
        files = [path for suffix in dumps.SUFFIXES
                 for path in sorted(pathlib.Path(directory).glob(f"{TOPIC}-*/*.{suffix}"))]
        found = dumps.dump(self.kafka.java, files)
        if found:
            raise Failure(f"{found[:5]}")

    def dump_finds_nothing(self):
        self.dump(self.cluster.storage[0].data)

    def release(self):
        """Kafka's controller must count leader epochs from above ours; each of its starts raises them."""
        named = [part for topic in self.topics for part in ("--topic", topic)]
        for _ in range(5):
            done = self.cluster.cli("storage", "release", self.cluster.storage[0].data, "--to",
                                    self.kafka.directory / "data", *named, check=False, seconds=600)
            if "start and stop it" not in done.stderr:
                break
            self.kafka.start(START_SECONDS)
            self.views(self.kafka.bootstrap)
            self.kafka.kill(signal.SIGTERM)
        if done.returncode:
            raise Failure(f"millrace storage release: {done.stderr}")

    def kafka_takes_it_back(self):
        self.release()
        log = self.kafka.directory / "log"
        before = log.stat().st_size
        self.kafka.start(START_SECONDS)
        view = View(self.kafka.bootstrap)
        text = log.read_bytes()[before:].decode()
        (self.logs / "kafka-on-our-directory.log").write_text(text)
        told = [line for line in text.splitlines() if any(one + "-" in line for one in self.topics) and REPAIRS.search(line)]
        expect(told, [], "what Kafka said at its start")
        self.compare(self.kafka.bootstrap)
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
        for step in self.steps:
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


class Large(Disk):
    """A gigabyte: every codec, transactions, and a topic that Kafka has compacted."""
    name = "a gigabyte of data directories"
    topics = {TOPIC: (PARTITIONS, {"segment.bytes": "1048576"}), "large": (6, {"segment.bytes": "67108864"}),
              "transactions": (4, {"segment.bytes": "16777216"}),
              "compacted": (2, {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01"})}
    least = 1 << 30
    steps = ("kafka_writes", "millrace_adopts", "producer_goes_on", "millrace_writes", "kafka_takes_it_back")
    settings = {"log.cleaner.backoff.ms": "200"}

    def writes_more(self, topic, number, *more):
        self.java(HERE / "java/disk/Writer.java", self.kafka.bootstrap, topic, self.topics[topic][0], number, *more)

    def kafka_writes(self):
        """The cleaner rests once it has cleaned: what is compared must not change."""
        self.create_topics()
        for number in range(10, 14):
            self.writes_more("compacted", number, "keyed")
        self.writes_more("large", 20, "plain", 550)
        self.writes_more("transactions", 30, "both", 30)
        self.wait_cleaned()
        with open(self.kafka.properties, "a", encoding="utf-8") as file:
            file.write("log.cleaner.enable=false\n")
        super().kafka_writes()
        size = sum(one[0] for seen, _ in self.seen.values() for one in seen)
        if size < self.least:
            raise Failure(f"only {size} bytes")

    def create_topics(self):
        if not hasattr(self, "created"):
            super().create_topics()
        self.created = True

    def wait_cleaned(self):
        point, end = self.kafka.directory / "data/cleaner-offset-checkpoint", time.monotonic() + 120
        while not point.exists() or point.read_text().count("compacted ") < self.topics["compacted"][0]:
            if time.monotonic() > end:
                raise Failure("Kafka has compacted nothing")
            time.sleep(0.5)


def run(logs, say, kind=Disk):
    kafka = apache_kafka.ApacheKafka(getattr(kind, "settings", None), level="INFO")
    try:
        kafka.start(START_SECONDS)
        with cluster.Cluster() as running:
            return kind(kafka, running, logs).run(say)
    finally:
        kafka.stop()


if __name__ == "__main__":
    KIND = Large if "--large" in sys.argv else Disk
    sys.exit(any(one != "ok" for one in run(sys.argv[-1], print, KIND).values()))
