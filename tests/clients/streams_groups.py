# SPDX-License-Identifier: Apache-2.0
"""Streams groups of KIP-1071 with Kafka Streams (group.protocol=streams): a word count whose repartition and changelog
topics the coordinator makes, instances that share tasks and keep standby replicas, leave, are killed and come back,
coordinators that are killed, and kafka-streams-groups; each count is in the output once and in order."""
import collections
import tempfile
import time

import brokers
import exactly_once
import scenario
import tools
from scenario import check, wait_for

PARTITIONS = 3
ACTIVE = {f"{sub}_{p}" for sub in (0, 1) for p in range(PARTITIONS)}
STATEFUL = {task for task in ACTIVE if task.startswith("1_")}  # behind the repartition topic
SETTINGS = {**brokers.DEFAULTS, "group.streams.session.timeout.ms": "6000", "group.streams.heartbeat.interval.ms": "1000",
            "group.streams.num.standby.replicas": "1", "group.streams.initial.rebalance.delay.ms": "1000"}
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon"]


class Instance(scenario.Program):
    """A process of the word count."""

    @property
    def active(self):
        return set(self.last("K")[1].split())

    @property
    def standby(self):
        return set(self.last("K")[2].split())

    @property
    def others(self):
        """What it knows of all instances: {address: partitions read}."""
        told = (self.last("E")[1:] or [""])[0].split()
        return {one.split("=")[0]: int(one.split("=")[1].split("/")[0]) for one in told}

    def last(self, letter):
        return next((line for line in reversed(self.lines) if line[0] == letter), [letter, "", ""])


class StreamsGroups:
    steps = ("share", "leave", "killed", "coordinators", "tools")

    def __init__(self, running, helper, logs):
        """running: brokers.Millrace; helper: a client that makes topics and produces."""
        self.running, self.helper, self.logs, self.programs = running, helper, logs, []

    def start(self, step, letter, threads=1):
        port = 7000 + ord(letter)
        pairs = {"bootstrap": self.running.bootstrap, "topic": f"{step}-in", "to": f"{step}-out", "group": f"words-{step}",
                 "state": tempfile.mkdtemp(prefix="streams-", dir=self.logs), "protocol": "streams", "threads": threads,
                 "endpoint": f"localhost:{port}"}
        command, _ = exactly_once.word_count()
        log = open(f"{self.logs}/{step}-{letter}.log", "a")
        program = Instance([*command, *(f"{key}={value}" for key, value in pairs.items())], log)
        self.programs.append(program)
        return program

    def topics(self, step):
        for name in (f"{step}-in", f"{step}-out"):
            self.running.cluster.create_topic(name, partitions=PARTITIONS, replication=self.running.replication)

    def feed(self, step, rounds):
        """Every word once per round, spread over the partitions."""
        self.running.cluster.produce(f"{step}-in", [" ".join(WORDS)] * rounds)

    def counted(self, step, rounds):
        """Waits until all is counted, and looks at every count."""
        def output():
            return self.running.cluster.consume(f"{step}-out", "-X", "isolation.level=read_committed")
        wait_for(lambda: len(output()) >= rounds * len(WORDS), lambda: f"{rounds} rounds counted, {len(output())} counts",
                 120)
        counts = collections.defaultdict(list)
        for _, _, word, count in sorted(output(), key=lambda record: record[:2]):
            counts[word].append(int(count))
        for word in WORDS:
            check(counts[word] == list(range(1, rounds + 1)), "%s was counted %s", word, counts[word])

    @staticmethod
    def at_rest(*instances, standbys):
        """Each task is active in one place, and its standby, when there is to be one, in another."""
        def shared():
            active = [task for one in instances for task in one.active]
            standby = [task for one in instances for task in one.standby]
            return (sorted(active) == sorted(ACTIVE) and all(one.active for one in instances) and
                    sorted(standby) == (sorted(STATEFUL) if standbys else []) and
                    not any(one.active & one.standby for one in instances))
        wait_for(shared, lambda: f"shared out: {[(one.active, one.standby) for one in instances]}", 60)

    def share(self):
        self.topics("share")
        self.feed("share", 20)
        one = self.start("share", "a", threads=2)
        self.at_rest(one, standbys=False)
        two = self.start("share", "b")
        self.at_rest(one, two, standbys=True)
        check(len(one.active) == 4 and len(two.active) == 2, "two threads to one: %s %s", one.active, two.active)
        everybody = {"localhost:7097": 4, "localhost:7098": 2}
        wait_for(lambda: one.others == two.others == everybody, lambda: f"who reads what: {one.others} {two.others}")
        self.feed("share", 20)
        self.counted("share", 40)

    def leave(self):
        """An instance leaves and comes back; the other one has its state as standby."""
        self.topics("leave")
        one, two = self.start("leave", "a"), self.start("leave", "b")
        self.feed("leave", 20)
        self.at_rest(one, two, standbys=True)
        two.process.terminate()
        two.process.wait(30)
        self.at_rest(one, standbys=False)
        self.feed("leave", 20)
        two = self.start("leave", "b")
        self.at_rest(one, two, standbys=True)
        self.counted("leave", 40)

    def killed(self):
        """An instance is killed while it counts."""
        self.topics("killed")
        one, two = self.start("killed", "a"), self.start("killed", "b")
        self.at_rest(one, two, standbys=True)
        self.feed("killed", 50)
        two.kill()
        self.at_rest(one, standbys=False)
        self.feed("killed", 10)
        self.counted("killed", 60)

    def coordinators(self):
        """Coordinators are killed one after the other: nobody has to join again, everything is counted once."""
        self.topics("coordinators")
        one, two = self.start("coordinators", "a"), self.start("coordinators", "b")
        self.at_rest(one, two, standbys=True)
        before = len(one.lines), len(two.lines)
        for node in self.running.cluster.coordinators:
            self.feed("coordinators", 10)
            node.kill()
            self.feed("coordinators", 10)
            time.sleep(2)
            node.start()
            node.wait_ready(60)
        self.counted("coordinators", 20 * len(self.running.cluster.coordinators))
        moved = [line for program, at in zip((one, two), before) for line in program.lines[at:] if line[0] == "K"]
        check(not moved, "tasks moved: %s", moved)

    def tool(self, arguments, *patterns):
        one = tools.Tools(self.running, self.logs)
        for pattern in patterns:
            result = one.step("kafka-streams-groups", arguments, None, pattern)
            check(result == "ok", "%s: %s", arguments, result)

    def tools(self):
        if tools.version() is None:
            return
        self.topics("tools")
        self.feed("tools", 20)
        one = self.start("tools", "a")
        self.at_rest(one, standbys=False)
        self.counted("tools", 20)
        self.tool("--list", r"^words-tools$")
        self.tool("--list --state stable", r"words-tools +Stable")
        self.tool("--describe --group words-tools", r"words-tools +tools-in +0 ", r"words-tools-counts-repartition")
        self.tool("--describe --group words-tools --state", r"(?i)words-tools .*stable")
        self.tool("--describe --group words-tools --members", r"(?i)words-tools .*active")
        one.process.terminate()
        one.process.wait(30)
        self.tool("--delete --group words-tools --delete-all-internal-topics", r"(?i)Deletion of .*words-tools")
        self.tool("--list", r"\A(?!(?s:.*)^words-tools$)")

    def run(self, say, only=""):
        results = {}
        for step in only.split(",") if only else self.steps:
            try:
                getattr(self, step)()
                results[step] = "ok"
            except scenario.Failure as failure:
                results[step] = f"FAIL: {failure}"
            finally:
                for program in self.programs:
                    program.kill()
                self.programs = []
            say(f"streams groups: {step}: {results[step]}")
        return results
