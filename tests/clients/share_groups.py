# SPDX-License-Identifier: Apache-2.0
"""Share groups (KIP-932) with the clients that have them: members of two makers read the same partitions, say different
things of their records, die, and see every daemon killed: every record is delivered until somebody accepts it."""
import time

import brokers
import clients
import scenario
import tools
from scenario import check, wait_for

PARTITIONS, RECORDS = 3, 3000
# So that what a dead member held comes back soon.
STORAGE = {"group.share.record.lock.duration.ms": "4000"}
COORDINATOR = {"group.share.session.timeout.ms": "9000", "group.share.heartbeat.interval.ms": "1000"}
JAVA = clients.HERE / "java/share/target/classes"
LIBRARIES = clients.HERE / "java/scenario/target/4.4.0"
CONFLUENT = clients.HERE / "python/env/confluent-kafka-2.16.1"


def brokers_of(against, logs):
    running = brokers.of(against, logs)
    if against == "millrace":
        running.cluster.settings.setdefault("storage", {}).update(STORAGE)
        running.cluster.settings.setdefault("coordinator", {}).update(COORDINATOR)
    return running


def missing():
    for path in (JAVA / "Share.class", LIBRARIES, CONFLUENT / "done"):
        if not path.exists():
            return f"{path.relative_to(clients.HERE)} is missing"
    return None


class Member(scenario.Program):
    """(partition, offset, number, deliveries) of each record."""

    def take(self, fields):
        return int(fields[1]), int(fields[2]), int(fields[4].split(":")[0]), int(fields[5])


class ShareGroups:
    steps = ("both", "again", "locks", "killed", "admin")

    def __init__(self, running, logs):
        self.running, self.logs, self.programs = running, logs, []
        self.commands = {
            "java": ["java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp",
                     f"{JAVA}:{LIBRARIES}/*", "Share"],
            "confluent": [f"{CONFLUENT}/bin/python", str(clients.HERE / "python/share.py")]}
        self.helper = next(one for one in clients.table() if one.version == "2.16.1")

    def program(self, kind, name, command, **arguments):
        log = open(f"{self.logs}/{name}.log", "w")
        pairs = {"bootstrap": self.running.bootstrap, **arguments}
        program = kind([*command, *(f"{key}={value}" for key, value in pairs.items())], log)
        self.programs.append(program)
        return program

    def topic(self, name, partitions=PARTITIONS):
        """A topic, and a group of its name that reads it from its start."""
        self.program(scenario.Program, f"{name}-create", [*self.helper.command, "create"], topic=name,
                     partitions=partitions, replication=self.running.replication).wait()
        if hasattr(self.running, "cluster"):
            self.running.cluster.cli("config", "set", "share.auto.offset.reset=earliest", "--group", name)
        return name

    def member(self, client, topic, ack, number=1, **more):
        one = self.program(Member, f"{topic}-{client}-{ack}-{number}", self.commands[client], topic=topic, group=topic,
                           ack=ack, **more)
        wait_for(lambda: one.lines, f"{client} to begin")
        return one

    def produce(self, topic, count=RECORDS, rate=0):
        return self.program(scenario.Program, f"{topic}-produce", [*self.helper.command, "produce"], topic=topic,
                            count=count, first=0, rate=rate)

    @staticmethod
    def numbers(*members):
        return {number for one in members for _, _, number, _ in one.records}

    def read_all(self, *members, count=RECORDS):
        wait_for(lambda: len(self.numbers(*members)) >= count,
                 lambda: f"{count} records: {len(self.numbers(*members))}", 120)

    def both(self):
        """Two makers, both ways to accept: each record goes to one of them, once."""
        topic = self.topic("share-both")
        members = [self.member("java", topic, "accept"), self.member("confluent", topic, "accept"),
                   self.member("java", topic, "implicit"), self.member("confluent", topic, "implicit")]
        self.produce(topic).wait()
        self.read_all(*members)
        for one in members:
            one.leave()
        records = [record for one in members for record in one.records]
        check(len(records) == RECORDS, "%d deliveries of %d records", len(records), RECORDS)
        check(not any(line[0] == "E" for one in members for line in one.lines), "a commit failed")

    def again(self):
        """What is released comes again, and says so; what is rejected does not."""
        for client in self.commands:
            topic = self.topic(f"share-again-{client}")
            one = self.member(client, topic, "release")
            self.produce(topic, 300).wait()
            wait_for(lambda: len(one.records) >= 600, lambda: f"600 deliveries: {len(one.records)}")
            one.leave()
            check(sorted(deliveries for *_, deliveries in one.records) == [1] * 300 + [2] * 300, "other counts")
            topic = self.topic(f"share-reject-{client}")
            two = self.member(client, topic, "reject")
            self.produce(topic, 300).wait()
            self.read_all(two, count=300)
            two.leave()
            three = self.member(client, topic, "accept")
            time.sleep(2)
            check(not three.records, "%d rejected records came again", len(three.records))
            three.leave()

    def locks(self):
        """A member that is killed, and one that says nothing: their records go to another one."""
        topic = self.topic("share-locks", partitions=1)
        self.produce(topic, 300).wait()
        for client in self.commands:
            held = self.member(client, topic, "hold")
            wait_for(lambda: held.records, f"records that {client} holds")
            if client == "java":
                held.kill()
        one = self.member("java", topic, "accept")
        self.read_all(one, count=300)
        one.leave()

    def killed(self):
        """Every daemon is killed once, and a member, while records flow: nothing is lost."""
        topic = self.topic("share-killed")
        members = [self.member("java", topic, "accept"), self.member("confluent", topic, "accept"),
                   self.member("java", topic, "implicit", 2)]
        feeder = self.produce(topic, 4 * RECORDS, rate=300)
        cluster = self.running.cluster
        for node in cluster.coordinators + cluster.storage + cluster.controllers:
            node.kill()
            time.sleep(1)
            node.start()
            node.wait_ready(60)
            time.sleep(1)
        members[2].kill()
        feeder.wait()
        # What the killed member had been given may have been accepted before its lines were written.
        self.read_all(*members, count=4 * RECORDS)
        for one in members[:2]:
            one.leave()

    def admin(self):
        """kafka-share-groups.sh through its commands."""
        if tools.version() is None:
            raise scenario.NotOffered("Kafka's tools are not installed")
        topic, kafka = self.topic("share-admin"), tools.Tools(self.running, self.logs)
        one = self.member("java", topic, "accept")
        self.produce(topic, 300).wait()
        self.read_all(one, count=300)

        def tool(arguments, pattern):
            result = kafka.step("kafka-share-groups", arguments, None, pattern)
            check(result == "ok", "%s: %s", arguments, result)
        tool("--list", topic)
        tool(f"--describe --group {topic} --members", rf"{topic} .* {topic}:0,1,2")
        tool(f"--describe --group {topic} --state", r"Stable +1")
        one.leave()
        tool(f"--describe --group {topic}", rf"{topic} +{topic} +0 +\d+ +0")
        tool(f"--reset-offsets --group {topic} --topic {topic} --to-earliest --execute", rf"{topic} +2 +0")
        tool(f"--describe --group {topic}", rf"{topic} +{topic} +0 +0 +[1-9]")
        tool(f"--delete-offsets --group {topic} --topic {topic}", "Successful")
        tool(f"--delete --group {topic}", "successful")

    def run(self, say, only=""):
        results = {}
        for step in only.split(",") if only else self.steps:
            if step == "killed" and not hasattr(self.running, "cluster"):
                continue  # nothing of ours to kill
            try:
                getattr(self, step)()
                results[step] = "ok"
            except scenario.NotOffered as reason:
                results[step] = f"n/a: {reason}"
            except scenario.Failure as failure:
                results[step] = f"FAIL: {failure}"
            finally:
                for program in self.programs:
                    program.kill()
                self.programs = []
            say(f"share groups: {step}: {results[step]}")
        return results
