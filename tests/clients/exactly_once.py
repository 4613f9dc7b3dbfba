# SPDX-License-Identifier: Apache-2.0
"""Consume, transform, produce in transactions while storage nodes, coordinators and controllers are killed: what a
read_committed consumer finds behind it is what went into it, each record once. A chain of three groups, of Java (one
member of the older flow, one of KIP-890's), librdkafka (the older flow) and franz-go, whose members are told to leave,
killed and started again all the while; the same of sarama and kafkajs, of kafka-python, and of Java and librdkafka in
groups of KIP-848; and a word count of Kafka Streams with exactly_once_v2, in a classic group and in one of KIP-1071."""
import collections
import random
import re
import subprocess
import tempfile
import threading
import time

import brokers
import clients
import scenario
from scenario import check

PARTITIONS = 3
MEMBERS = "ab"
STILL_SECONDS = 120  # the output has nothing new for so long: it has come to a halt
LEAVE_SECONDS = 100  # for what python/transform.py may wait for when it is told to
FAILURES_MAX = 5  # of members that end by an error of their own; they are started again


def gone(path):
    """That it is missing, or None."""
    return None if path.exists() else f"{path} is missing"


def java(folder, *versions):
    """[(command, None or what is missing)]; version None: the libraries are the folder's own."""
    target = clients.HERE / f"java/{folder}/target"
    found = []
    for version in versions:
        jars = target / "lib" if version is None else clients.HERE / f"java/scenario/target/{version}"
        command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{target}/classes:{jars}/*"]
        found.append((command, gone(target / "classes") or gone(jars)))
    return found


def stages():
    """[(name, commands of its members)]"""
    environment = clients.HERE / "python/env/confluent-kafka-2.16.1"
    python = ([f"{environment}/bin/python", str(clients.HERE / "python/transform.py")], gone(environment))
    program = clients.HERE / "go/bin/franz-go-1.22.2"
    go = ([str(program), "transform"], gone(program))
    jvm = [(command + ["Transform"], missing) for command, missing in java("transform", "3.9.2", "4.4.0")]
    return [("java", jvm), ("librdkafka", [python, python]), ("franz-go", [go, go])]


def word_count():
    command, missing = java("streams", None)[0]
    return command + ["WordCount"], missing


class Member:
    """A process that is started again, under the same transactional id, whatever ends it."""

    def __init__(self, command, arguments, log):
        self.command = [*command, *(f"{key}={value}" for key, value in arguments.items())]
        self.log, self.done, self.failures, self.program = open(log, "w"), 0, [], None
        self.start()

    def start(self):
        if self.program:
            self.done = self.count()
        self.program = scenario.Program(self.command, self.log)

    def count(self):
        """Records committed, by what it has said."""
        said = [int(line[1]) for line in self.program.lines if line[0] == "T"]
        return self.done + (said[-1] if said else 0)

    def look_after(self):
        """Starts it again when it has ended by itself."""
        if self.program.process.poll() is not None:
            self.failures.append(self.program.tail())
            self.start()

    def replace(self):
        """It leaves its group, or is killed, and another one comes."""
        if random.random() < 0.5:
            self.end()
        else:
            self.kill()
        self.start()

    def end(self):
        self.program.process.terminate()
        try:
            self.program.process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self.failures.append(f"{self.command[0]} did not leave within {LEAVE_SECONDS} s")

    def kill(self):
        self.program.kill()


class Storm:
    """Kills a daemon now and then, and lets members come and go."""

    def __init__(self, running, members, topics, kills_daemons):
        self.running, self.members, self.topics, self.kills_daemons = running, members, topics, kills_daemons
        self.rounds = self.kills = self.replaced = 0

    def kill_one(self):
        cluster = self.running.cluster
        victim = random.choice(random.choice((cluster.coordinators, cluster.storage, cluster.controllers)))
        victim.kill()
        time.sleep(random.uniform(0.2, 2))
        victim.start()
        victim.wait_ready(60)
        for topic in self.topics:
            self.running.wait_whole(topic)
        self.kills += 1

    def blow(self, seconds, say):
        end, told = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            self.rounds += 1
            if self.kills_daemons:
                self.kill_one()
            else:
                time.sleep(2)
            if self.rounds % 2 == 0:
                random.choice(self.members).replace()
                self.replaced += 1
            for member in self.members:
                member.look_after()
            if time.monotonic() > told + 20:
                told = time.monotonic()
                say(f"exactly once: {self.kills} kills, {self.replaced} members replaced, "
                    f"committed {[member.count() for member in self.members]}")


class Run:
    """What chain and word count have in common: an input, members that make an output of it, and a storm."""

    topics = ()
    rate = 60  # records per second of the input
    kills_daemons = True
    settings = brokers.DEFAULTS

    @classmethod
    def missing(cls):
        """What setup.sh could not install of it, or None."""
        return next((missing for _, missing in cls.commands() if missing), None)

    def __init__(self, running, helper, logs, seconds):
        """running: brokers.Millrace; helper: a client that makes topics and produces."""
        self.running, self.helper, self.logs, self.seconds = running, helper, logs, seconds
        self.records = self.rate * seconds
        self.members, self.feeder = [], None

    def helped(self, verb, topic, **arguments):
        pairs = {"bootstrap": self.running.bootstrap, "topic": topic, **arguments}
        log = open(f"{self.logs}/helper-{verb}-{topic}.log", "w")
        return scenario.Program([*self.helper.command, verb, *(f"{k}={v}" for k, v in pairs.items())], log)

    def output(self):
        """What a read_committed consumer finds in the last topic now."""
        return self.running.cluster.consume(self.topics[-1], "-X", "isolation.level=read_committed")

    def watch(self, stop):
        """Members that end by themselves are started again also while the output is waited for."""
        while not stop.wait(0.5):
            for member in self.members:
                member.look_after()

    def wait_output(self):
        stop = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(stop,), daemon=True)
        watcher.start()
        try:
            self.wait_complete()
        finally:
            stop.set()
            watcher.join()

    def wait_complete(self):
        """As long as more comes: how fast is the machine's affair."""
        found, since = -1, time.monotonic()
        while not self.complete(output := self.output()):
            if len(output) > found:
                found, since = len(output), time.monotonic()
            check(time.monotonic() < since + STILL_SECONDS, "nothing more than %d records came for %d s; members committed %s",
                  found, STILL_SECONDS, [member.count() for member in self.members])
            time.sleep(1)

    def check_members(self, say):
        failures = [text for member in self.members for text in member.failures]
        for text in failures:
            say(f"exactly once: a member ended by itself: {text}")
        check(len(failures) <= FAILURES_MAX, "%d members ended by themselves, the last one: %s", len(failures),
              failures[-1] if failures else "")
        return len(failures)

    def carry_out(self, say):
        for topic in self.topics:
            self.helped("create", topic, partitions=PARTITIONS, replication=self.running.replication).wait()
        self.feeder = self.helped("produce", self.topics[0], count=self.records, rate=self.rate)
        self.start()
        storm = Storm(self.running, self.members, self.topics, self.kills_daemons)
        storm.blow(self.seconds, say)
        self.feeder.wait(60 + self.seconds)
        self.wait_output()
        for member in self.members:
            member.end()
        failed = self.check_members(say)
        self.check_output(self.output())
        say(f"exactly once: {self.name}: {self.records} records, {storm.kills} daemons killed, {storm.replaced} members "
            f"replaced, {failed} ended by themselves, committed {[member.count() for member in self.members]}")

    def run(self, say):
        try:
            self.carry_out(say)
        except scenario.Failure as failure:
            return {self.name: f"FAIL: {failure}"}
        finally:
            for one in [*self.members, *([self.feeder] if self.feeder else [])]:
                one.kill()
        return {self.name: "ok"}


class Chain(Run):
    name = "chain"
    topics = ("once-0", "once-1", "once-2", "once-3")

    more = {}  # arguments of every member

    @classmethod
    def stages(cls):
        return stages()

    @classmethod
    def commands(cls):
        return [one for _, members in cls.stages() for one in members]

    def start(self):
        for i, (name, commands) in enumerate(self.stages()):
            for letter, (command, _) in zip(MEMBERS, commands):
                pairs = {"bootstrap": self.running.bootstrap, "topic": self.topics[i], "to": self.topics[i + 1],
                         "group": f"stage-{i}", "id": f"stage-{i}-{letter}", **self.more}
                self.members.append(Member(command, pairs, f"{self.logs}/{name}-{letter}.log"))

    def complete(self, output):
        return len({value for *_, value in output}) == self.records

    def check_output(self, output):
        numbers = sorted(int(value.split(":")[0]) for *_, value in output)
        wrong = numbers != list(range(self.records))
        check(not wrong, "%d records instead of %d, %d of them different; %s", len(numbers), self.records, len(set(numbers)),
              self.doubled() if wrong else "")

    def doubled(self):
        """Records that are there more than once: in which topic, and each partition@offset."""
        found = []
        for topic in self.topics:
            places = {}
            for partition, offset, _, value in self.running.cluster.consume(topic, "-X", "isolation.level=read_committed"):
                places.setdefault(value.split(":")[0], []).append(f"{partition}@{offset}")
            found += [f"{number} in {topic}: {' '.join(at)}" for number, at in places.items() if len(at) > 1]
        return "; ".join(found[:5])


class OtherChain(Chain):
    """The same of clients that speak the older flow only; kafkajs, which knows nothing of KIP-447, has a transactional id
    per partition."""
    name = "chain of others"
    topics = ("once-0", "once-1", "once-2")

    @classmethod
    def stages(cls):
        sarama, script = clients.HERE / "go/bin/sarama-1.61.1", clients.HERE / "node/transform.js"
        return [("sarama", [([str(sarama)], gone(sarama))] * 2),
                ("kafkajs", [(["node", str(script)], gone(clients.HERE / "node/node_modules/kafkajs"))] * 2)]


class Calm(Chain):
    """kafka-python, whose members come and go while nothing is killed: when a broker goes away in the middle of a
    transaction, it may send nothing more of it for the two minutes that its records have."""
    name = "kafka-python"
    topics = ("once-0", "once-1")
    kills_daemons = False

    @classmethod
    def stages(cls):
        environment = clients.HERE / "python/env/kafka-python-3.0.12"
        program = clients.HERE / "python/kafka_python_transform.py"
        return [("kafka-python", [([f"{environment}/bin/python", str(program)], gone(environment))] * 2)]


class NewChain(Chain):
    """The same in consumer groups of KIP-848, of the clients that speak it."""
    name = "chain of KIP-848"
    topics = ("once-0", "once-1", "once-2")
    settings = {**brokers.DEFAULTS, "group.consumer.session.timeout.ms": "6000",
                "group.consumer.heartbeat.interval.ms": "1000"}
    more = {"protocol": "consumer"}

    @classmethod
    def stages(cls):
        (_, java_members), (_, python_members), _ = stages()
        return [("java", [java_members[1], java_members[1]]), ("librdkafka", python_members)]


class Words(Run):
    """Every count of a word is in the output once and in order: 1, 2, 3 …"""
    name = "word count"
    topics = ("words-in", "words-out")
    rate = 20  # each makes 18 words
    more = {}  # arguments of every member

    @classmethod
    def commands(cls):
        return [word_count()]

    def start(self):
        for letter in MEMBERS:
            pairs = {"bootstrap": self.running.bootstrap, "topic": self.topics[0], "to": self.topics[1], "group": "words",
                     "state": tempfile.mkdtemp(prefix="streams-", dir=self.logs), **self.more}
            self.members.append(Member(word_count()[0], pairs, f"{self.logs}/streams-{letter}.log"))

    def expected(self):
        text = next(value for *_, value in self.running.cluster.consume(self.topics[0], "-c", "1"))
        words = collections.Counter(word for word in re.split("[^a-z]+", text) if word)
        return {word: count * self.records for word, count in words.items()}

    def complete(self, output):
        return len({(key, value) for _, _, key, value in output}) >= sum(self.expected().values())

    def check_output(self, output):
        counts = collections.defaultdict(list)
        for _, _, word, count in sorted(output, key=lambda record: record[:2]):
            counts[word].append(int(count))
        for word, last in self.expected().items():
            check(counts[word] == list(range(1, last + 1)), "%s was counted %d times up to %d instead of %d", word,
                  len(counts[word]), max(counts[word], default=0), last)


class NewWords(Words):
    """The same in a streams group of KIP-1071, with standby replicas."""
    name = "word count of KIP-1071"
    settings = {**brokers.DEFAULTS, "group.streams.session.timeout.ms": "6000",
                "group.streams.heartbeat.interval.ms": "1000", "group.streams.num.standby.replicas": "1"}
    more = {"protocol": "streams"}


KINDS = (Chain, OtherChain, Calm, NewChain, Words, NewWords)
