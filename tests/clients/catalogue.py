# SPDX-License-Identifier: Apache-2.0
"""The real input: this machine's package catalogue as JSON lines keyed by source package, with a running number per
key; the keys split between kcat and a Java producer at the same time; read by a group of three members of three makers,
one of them killed half-way."""
import hashlib
import json
import subprocess
import tempfile
import threading
import time
import zlib

import scenario
import wire
from scenario import Failure, check, wait_for

PARTITIONS = 6
TOPIC = "catalogue"
GROUP = "catalogue-readers"


def stanzas():
    """One {field: text} per package `apt-cache dumpavail` knows."""
    text = subprocess.run(["apt-cache", "dumpavail"], stdout=subprocess.PIPE, check=True).stdout
    for stanza in text.decode("utf-8", "replace").split("\n\n"):
        fields, name = {}, None
        for line in stanza.split("\n"):
            if line[:1] in (" ", "\t") and name:
                fields[name] += "\n" + line[1:]
            elif ":" in line:
                name, value = line.split(":", 1)
                fields[name] = value.strip()
        if "Package" in fields:
            yield fields


def records():
    """(key, value) in their order: key is the source package, value a JSON line with the running number of its key."""
    numbers = {}
    for fields in stanzas():
        key = fields.get("Source", fields["Package"]).split(" ")[0]
        numbers[key] = numbers.get(key, -1) + 1
        yield key, json.dumps({"key": key, "number": numbers[key], **fields}, sort_keys=True, separators=(",", ":"))


def digest(values):
    """sha256 over the sorted set of values."""
    found = hashlib.sha256()
    for value in sorted({one.encode() for one in values}):
        found.update(value + b"\n")
    return found.hexdigest()


class Member(scenario.Program):
    """Records whole: (partition, offset, key, value)."""

    def take(self, fields):
        return int(fields[1]), int(fields[2]), fields[3], "\t".join(fields[4:])


class Catalogue:
    def __init__(self, brokers, clients, directory):
        """clients: {"kcat" | "java" | "librdkafka" | "kafka-python": Client}"""
        self.brokers, self.clients, self.directory, self.members = brokers, clients, directory, {}

    def start(self, kind, make, verb, **arguments):
        log = tempfile.NamedTemporaryFile(dir=self.directory, prefix=f"{kind}-", suffix=".log", delete=False)
        client = self.clients[kind]
        pairs = [f"{key}={value}" for key, value in arguments.items()]
        return make([*client.command, verb, f"bootstrap={self.brokers.bootstrap}", f"topic={TOPIC}", *pairs], log)

    def feed(self, kind, lines):
        """A producer program that takes "key<TAB>value" lines; a thread writes them."""
        program = self.start(kind, scenario.Fed, "feed", codec="zstd")

        def write():
            for key, value in lines:
                program.process.stdin.write(f"{key}\t{value}\n")
            program.process.stdin.close()
        threading.Thread(target=write, daemon=True).start()
        return program

    def read(self):
        return [record for member in self.members.values() for record in member.records]

    def run(self, say):
        sent = list(records())
        keys = {key for key, _ in sent}
        say(f"catalogue: {len(sent)} records, {len(keys)} keys, {sum(len(v) for _, v in sent) >> 20} MiB")
        self.start("java", scenario.Program, "create", partitions=PARTITIONS,
                   replication=self.brokers.replication).wait()
        self.brokers.wait_whole(TOPIC)
        half = {key for key in keys if zlib.crc32(key.encode()) & 1}
        for kind in ("java", "librdkafka", "kafka-python"):
            self.members[kind] = self.start(kind, Member, "consume", group=GROUP, session=6000)
        wait_for(lambda: all(one.assigned for one in self.members.values()), "three members with partitions", 60)
        start = time.monotonic()
        producers = [self.feed("kcat", [one for one in sent if one[0] in half]),
                     self.feed("java", [one for one in sent if one[0] not in half])]
        wait_for(lambda: len(self.read()) >= len(sent) // 2, lambda: f"half read: {len(self.read())}", 120)
        self.members["librdkafka"].kill()
        say(f"catalogue: killed the librdkafka member after {len(self.read())} records")
        for producer in producers:
            producer.wait(120)
        say(f"catalogue: all acknowledged after {time.monotonic() - start:.1f} s")
        wait_for(lambda: len({(p, o) for p, o, *_ in self.read()}) >= len(sent),
                 lambda: f"all read: {len({(p, o) for p, o, *_ in self.read()})} of {len(sent)}", 120)
        time.sleep(1)
        for kind in ("java", "kafka-python"):
            self.members[kind].leave()
        return self.check(sent, half, say)

    def check(self, sent, half, say):
        got = self.read()
        results = {}

        def step(name, body):
            try:
                body()
                results[name] = "ok"
            except Failure as failure:
                results[name] = f"FAIL: {failure}"
            say(f"catalogue: {name}: {results[name]}")
        by_position = {(partition, offset): (key, value) for partition, offset, key, value in got}
        step("every record at least once", lambda: check(
            set(sent) <= {(k, v) for *_, k, v in got}, "%d records missing", len(set(sent) - {(k, v) for *_, k, v in got})))
        step("once, counting by committed positions", lambda: self.once(sent, by_position))
        step("numbers ascend per key", lambda: self.ascending(by_position))
        step("a key stays on its partition", lambda: [check(
            partition == wire.partition_of(key, PARTITIONS), "%s (%s) on %d", key,
            "kcat" if key in half else "Java", partition) for partition, _, key, _ in got])
        step("values byte for byte", lambda: check(
            digest(v for _, v in sent) == digest(v for *_, v in got), "the digests differ"))
        say(f"catalogue: {len(got) - len(by_position)} of {len(got)} records came twice; sha256 of the sorted set: "
            f"{digest(v for *_, v in got)}")
        return results

    def once(self, sent, by_position):
        """The group's committed positions stand at the ends, and what lies before them is every record once."""
        committed = {}
        for member in self.members.values():
            for partition, offset in member.committed.items():
                committed[partition] = max(offset, committed.get(partition, 0))
        check(sum(committed.values()) == len(sent), "committed positions add up to %d of %d",
              sum(committed.values()), len(sent))
        check(set(by_position) == {(p, o) for p, end in committed.items() for o in range(end)}, "positions read twice")
        check(sorted(by_position.values()) == sorted(sent), "positions hold other records")

    @staticmethod
    def ascending(by_position):
        last = {}
        for _, (key, value) in sorted(by_position.items()):
            number = json.loads(value)["number"]
            check(number == last.get(key, -1) + 1, "%s: %d after %d", key, number, last.get(key, -1))
            last[key] = number
