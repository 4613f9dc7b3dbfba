# SPDX-License-Identifier: Apache-2.0
"""The scenario every client goes through, and what is checked after each step. The client's program only does what it
is told and says what it saw (lines described in README.md); every check is here."""
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

import wire

PARTITIONS = 6
RECORDS = 20000
KEYS = 997
STEP_SECONDS = 120


class Failure(Exception):
    pass


class NotOffered(Exception):
    """The client cannot do it, with the reason."""


def check(condition, text, *values):
    if not condition:
        raise Failure(text % values)


class Program:
    """One running client program: its lines as they come, its records, its assignment, its standard error in a file."""

    stdin = subprocess.DEVNULL

    def __init__(self, command, log):
        self.lines, self.records, self.assigned, self.committed = [], [], None, {}
        self.log = log
        self.process = subprocess.Popen(command, stdin=self.stdin, stdout=subprocess.PIPE, stderr=log, text=True,
                                        start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            fields = line.rstrip("\n").split("\t")
            if fields[0] != "R":
                self.lines.append(fields)
            if fields[0] == "R" and len(fields) >= 5:
                self.records.append(self.take(fields))
            elif fields[0] == "A":
                self.assigned = {int(one) for one in fields[1].split(",") if one}
            elif fields[0] == "C":
                self.committed[int(fields[1])] = int(fields[2])

    def take(self, fields):
        """(partition, offset, key, number) of a record's line."""
        return int(fields[1]), int(fields[2]), fields[3], int(fields[4].split(":")[0])

    def wait(self, seconds=STEP_SECONDS):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"no end after {seconds} s") from None
        self.reader.join(5)
        check(code == 0, "ended with %d: %s", code, self.tail())
        return self.lines

    def tail(self):
        """The last lines on standard error that are no debug log."""
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file.read()[-20000:].splitlines()[1:]
                     if line.strip() and not re.match(r"%7\||apiKey=|\[main\] DEBUG|.*DEBUG|.* INFO ", line)]
        return " / ".join(lines[-3:])[-300:]

    def leave(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        return self.wait(30)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Fed(Program):
    """A program that reads lines from its standard input."""
    stdin = subprocess.PIPE


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    text = what() if callable(what) else what
    raise Failure(f"after {seconds} s still not: {text}")


def check_records(records, expected, partitions=PARTITIONS, once=True):
    """Every value, in order per key, on the partition its key hashes to; `once` allows no second copy."""
    numbers = [number for *_, number in records]
    missing = set(expected) - set(numbers)
    check(not missing, "%d records missing, first %s", len(missing), min(missing, default=None))
    check(not set(numbers) - set(expected), "records nobody sent: %s", sorted(set(numbers) - set(expected))[:5])
    check(not once or len(numbers) == len(expected), "%d records instead of %d", len(numbers), len(expected))
    last = {}
    for partition, offset, key, number in sorted(set(records)):
        check(key == f"key-{number % KEYS}", "value %d under key %s", number, key)
        check(partition == wire.partition_of(key, partitions), "%s on partition %d", key, partition)
        check(not once or last.get(key, -1) < number, "%s: %d after %d", key, number, last.get(key))
        last[key] = number


def missing_text(members, count=RECORDS):
    """Where records are missing: how many per partition, and what each member saw last there."""
    seen = {record[3] for one in members for record in one.records}
    missing = {}
    for number in set(range(count)) - seen:
        partition = wire.partition_of(f"key-{number % KEYS}", PARTITIONS)
        missing[partition] = missing.get(partition, 0) + 1
    last = [{partition: offset for partition, offset, *_ in one.records} for one in members]
    return f"missing per partition {missing}; last offsets of the members {last}; "


class Scenario:
    """One client against one cluster. `steps` names the steps in their order."""
    steps = ("create", "codecs", "resume", "group", "timestamps", "describe", "recreate", "leader killed")

    def __init__(self, client, brokers, helper, directory):
        self.client, self.brokers, self.helper, self.directory = client, brokers, helper, directory
        self.prefix = re.sub(r"\W+", "-", f"{client.name}-{client.version}").lower()
        self.running, self.versions = [], {}
        self.log = tempfile.NamedTemporaryFile(dir=directory, prefix=self.prefix + "-", suffix=".log", delete=False)

    # ---- running the client ----

    def start(self, verb, client=None, **arguments):
        client = client or self.client
        if verb in client.lacks:
            raise NotOffered(client.lacks[verb])
        command = [*client.command, verb, f"bootstrap={self.brokers.bootstrap}"]
        program = Program(command + [f"{key}={value}" for key, value in arguments.items()],
                          self.log if client is self.client else open(os.devnull, "w"))
        self.running.append(program)
        return program

    def call(self, verb, **arguments):
        return self.start(verb, **arguments).wait()

    def topic(self, name):
        return f"{self.prefix}-{name}"

    def create(self, name, partitions=PARTITIONS):
        """By the client, or by the helper for a client without topic administration."""
        client = self.helper if "create" in self.client.lacks else self.client
        self.start("create", client, topic=self.topic(name), partitions=partitions,
                   replication=self.brokers.replication).wait()
        self.brokers.wait_whole(self.topic(name))

    def produce(self, name, first, count, codec="none"):
        lines = self.call("produce", topic=self.topic(name), codec=codec, first=first, count=count)
        check(lines and lines[-1] == ["acked", str(count)], "acknowledged %s of %d", lines[-1:], count)

    def read_all(self, name, expected, once=True, partitions=PARTITIONS):
        """Everything in the topic, by the client itself; a moment longer than needed, to see what is too much."""
        member = self.start("consume", topic=self.topic(name), group=f"{self.topic(name)}-all-{time.time_ns()}",
                            session=30000)
        wait_for(lambda: len({number for *_, number in member.records}) >= len(expected)
                 or member.process.poll() is not None,
                 lambda: f"all read: {len(set(member.records))} of {len(expected)}; {member.tail()}")
        time.sleep(0.5)
        member.leave()
        check_records(member.records, expected, partitions, once)

    # ---- the steps ----

    def create_step(self):
        self.call("create", topic=self.topic("own"), partitions=PARTITIONS, replication=self.brokers.replication)
        self.brokers.wait_whole(self.topic("own"))
        check(len(wire.Metadata(self.brokers.bootstrap, self.topic("own")).partitions) == PARTITIONS, "partitions")

    def codecs_step(self):
        for codec in self.client.codecs:
            self.create(codec)
            self.produce(codec, 0, RECORDS, codec)
            found = wire.codecs(self.brokers.bootstrap, self.topic(codec))
            check(set(found) == {codec}, "%s: batches on the wire are %s", codec, found)
            self.read_all(codec, range(RECORDS))

    def resume_step(self):
        topic, group, part = self.topic("none"), self.topic("resume"), 7000
        seen = {}
        for count in (part, RECORDS - part):
            member = self.start("consume", topic=topic, group=group, count=count)
            member.wait()
            check(len(member.records) == count, "%d records instead of %d", len(member.records), count)
            for partition, offset, *_ in member.records:
                check(offset == seen.get(partition, -1) + 1, "partition %d: %d after %d", partition, offset,
                      seen.get(partition, -1))
                seen[partition] = offset
        check(sum(seen.values()) + len(seen) == RECORDS, "positions add up to %d", sum(seen.values()) + len(seen))

    def settled(self, members):
        def shared():
            parts = [member.assigned or set() for member in members]
            return all(parts) and sum(map(len, parts)) == PARTITIONS and len(set().union(*parts)) == PARTITIONS
        wait_for(shared, lambda: "partitions shared out: " + "; ".join(
            f"{sorted(one.assigned or [])} {one.tail() if one.process.poll() is not None else ''}"
            for one in members), 45)

    def group_step(self):
        self.create("group")
        name, topic, group = "group", self.topic("group"), self.topic("members")

        def join():
            return self.start("consume", topic=topic, group=group, session=6000)

        self.produce(name, 0, 5000)
        first, leaver = join(), join()
        self.settled([first, leaver])
        victim = join()
        self.settled([first, leaver, victim])
        self.produce(name, 5000, 5000)
        leaver.leave()
        self.settled([first, victim])
        self.produce(name, 10000, 5000)
        victim.kill()
        self.settled([first])
        self.produce(name, 15000, 5000)
        members = (first, leaver, victim)
        wait_for(lambda: len({record[3] for one in members for record in one.records}) == RECORDS,
                 lambda: "all read; " + missing_text(members) + first.tail())
        first.leave()
        check_records([record for one in members for record in one.records], range(RECORDS), once=False)
        self.produce(name, RECORDS, 10)
        last = self.start("consume", topic=topic, group=group, count=10)
        last.wait()
        check_records(last.records, range(RECORDS, RECORDS + 10))

    def timestamps_step(self):
        self.create("times")
        self.produce("times", 0, 1000)
        time.sleep(0.3)
        between = int(time.time() * 1000)
        time.sleep(0.3)
        self.produce("times", 1000, 1000)
        expected = {}
        for number in range(1000):
            partition = wire.partition_of(f"key-{number % KEYS}", PARTITIONS)
            expected[partition] = expected.get(partition, 0) + 1
        lines = self.call("offsets", topic=self.topic("times"), timestamp=between)
        found = {int(one[1]): int(one[2]) for one in lines if one[0] == "O"}
        check(found == expected, "offsets %s instead of %s", found, expected)

    def describe_step(self):
        metadata = wire.Metadata(self.brokers.bootstrap, self.topic("none"))
        lines = self.call("describe", topic=self.topic("none"))
        found = {int(one[1]): (int(one[2]), one[3]) for one in lines if one[0] == "D"}
        expected = {one.number: (one.leader, ",".join(map(str, one.replicas))) for one in metadata.partitions.values()}
        check(len(found) == PARTITIONS and found == expected, "described %s instead of %s", found, expected)

    def recreate_step(self):
        if "delete" in self.client.lacks:
            raise NotOffered(self.client.lacks["delete"])
        self.create("again")
        self.produce("again", 0, 1000)
        self.call("delete", topic=self.topic("again"))
        wait_for(lambda: wire.Metadata(self.brokers.bootstrap, self.topic("again")).error == wire.UNKNOWN_TOPIC,
                 "topic gone", 20)
        self.create("again", 3)
        self.produce("again", 1000, 500)
        self.read_all("again", range(1000, 1500), partitions=3)

    def killed_step(self):
        if not self.brokers.can_kill:
            raise NotOffered("nothing of this cluster can be killed from here")
        if self.brokers.alone and self.client.ends_when_all_are_down:
            raise NotOffered("the client ends when its only broker is down")
        self.create("killed")
        producer = self.start("produce", topic=self.topic("killed"), first=0, count=RECORDS, rate=5000)
        time.sleep(1.5 + self.client.start_s)
        check(producer.process.poll() is None, "ended before the leader was killed")
        self.brokers.kill_leader(self.topic("killed"))()
        lines = producer.wait()
        check(lines[-1:] == [["acked", str(RECORDS)]], "acknowledged %s of %d", lines[-1:], RECORDS)
        self.read_all("killed", range(RECORDS), once=self.client.idempotent)
        self.brokers.wait_whole(self.topic("killed"))

    bodies = {"create": create_step, "codecs": codecs_step, "resume": resume_step, "group": group_step,
              "timestamps": timestamps_step, "describe": describe_step, "recreate": recreate_step,
              "leader killed": killed_step}

    def run(self, steps, say):
        """{step: "ok", "n/a: reason" or "FAIL: what"}"""
        results = {}
        for step in steps:
            start = time.monotonic()
            try:
                self.bodies[step](self)
                results[step] = "ok"
            except NotOffered as reason:
                results[step] = f"n/a: {reason}"
            except (Failure, OSError, RuntimeError, AssertionError) as failure:
                results[step] = f"FAIL: {failure}"
            for program in self.running:
                program.kill()
            self.running.clear()
            say(f"{self.client.name} {self.client.version}: {step}: {results[step]} "
                f"({time.monotonic() - start:.1f} s)")
        return results
