# SPDX-License-Identifier: Apache-2.0
"""Consumer groups of KIP-848 with the clients that speak it: members of two makers share partitions, a regular expression
finds topics, coordinators are killed, and members of the classic protocol come into the group and the other ones out of
it while it reads."""
import time

import clients
import scenario
from scenario import PARTITIONS, check, check_records, missing_text, wait_for

RECORDS = 6000
NEW = {"group.protocol": "consumer"}


def members():
    """The newest Java client and the newest librdkafka."""
    wanted = {"Java kafka-clients 4.4.0": None, "confluent-kafka (Python) 2.16.1": None}
    for one in clients.table():
        name = f"{one.name} {one.version}"
        if name in wanted:
            wanted[name] = one
    return list(wanted.values())


class NewGroups:
    steps = ("share", "pattern", "killed", "migrate")

    def __init__(self, running, helper, logs):
        """running: brokers.*; helper: a client that makes topics and produces."""
        self.running, self.helper, self.logs, self.programs = running, helper, logs, []
        self.java, self.confluent = members()

    def start(self, client, verb, name, **arguments):
        pairs = {"bootstrap": self.running.bootstrap, **arguments}
        log = open(f"{self.logs}/{name}-{verb}.log", "w")
        program = scenario.Program([*client.command, verb, *(f"{k}={v}" for k, v in pairs.items())], log)
        self.programs.append(program)
        return program

    def topic(self, name):
        self.start(self.helper, "create", name, topic=name, partitions=PARTITIONS,
                   replication=self.running.replication).wait()
        return name

    def member(self, client, name, topic, group, **more):
        return self.start(client, "consume", name, topic=topic, group=group, **more)

    def produce(self, topic, count, first=0, rate=0):
        return self.start(self.helper, "produce", f"{topic}-{first}", topic=topic, count=count, first=first, rate=rate)

    @staticmethod
    def shared(*programs):
        """Whether the partitions are shared out among exactly these."""
        held = [one.assigned or set() for one in programs]
        return all(held) and sum(len(one) for one in held) == PARTITIONS and set().union(*held) == set(range(PARTITIONS))

    def settle(self, *programs):
        wait_for(lambda: self.shared(*programs), lambda: f"shared out: {[one.assigned for one in programs]}", 60)

    def read_all(self, programs, count):
        wait_for(lambda: len({record[3] for one in programs for record in one.records}) >= count,
                 lambda: missing_text(programs, count), 120)

    def share(self):
        topic = self.topic("new-share")
        one = self.member(self.java, "share-java", topic, "share", **NEW)
        wait_for(lambda: one.assigned == set(range(PARTITIONS)), "everything with the first member")
        two = self.member(self.confluent, "share-confluent", topic, "share", **NEW)
        self.settle(one, two)
        check(len(one.assigned) == PARTITIONS // 2, "shared out as %s and %s", one.assigned, two.assigned)
        self.produce(topic, RECORDS).wait()
        self.read_all([one, two], RECORDS)
        check_records(one.records + two.records, range(RECORDS))
        one.leave()
        wait_for(lambda: two.assigned == set(range(PARTITIONS)), "everything with the one that stayed")
        two.leave()

    def pattern(self):
        one = self.member(self.confluent, "pattern-confluent", "^new-pattern-.*", "pattern", **NEW)
        topic = self.topic("new-pattern-1")  # it appears while the group is there
        wait_for(lambda: one.assigned == set(range(PARTITIONS)), "the topic that appeared", 60)
        self.produce(topic, 500).wait()
        self.read_all([one], 500)
        one.leave()

    def killed(self):
        """Coordinators are killed while two members read and commit: nothing is lost, and nobody has to join again."""
        topic = self.topic("new-killed")
        one = self.member(self.java, "killed-java", topic, "killed", **NEW)
        two = self.member(self.confluent, "killed-confluent", topic, "killed", **NEW)
        self.settle(one, two)
        rebalances = [len([line for line in program.lines if line[0] == "A"]) for program in (one, two)]
        feeder = self.produce(topic, RECORDS, rate=400)
        for node in self.running.cluster.coordinators:
            node.kill()
            time.sleep(2)
            node.start()
            node.wait_ready(60)
        feeder.wait()
        self.read_all([one, two], RECORDS)
        check_records(one.records + two.records, range(RECORDS))
        after = [len([line for line in program.lines if line[0] == "A"]) for program in (one, two)]
        check(after == rebalances, "assignments changed: %s, then %s", rebalances, after)
        one.leave()
        two.leave()

    def migrate(self):
        """Classic, both, new, both, classic: every record is read, and the group's offsets go with it."""
        topic, group = self.topic("new-migrate"), "migrate"
        feeder = self.produce(topic, RECORDS, rate=150)
        old = [self.member(self.java, "migrate-old-java", topic, group)]
        wait_for(lambda: old[0].assigned == set(range(PARTITIONS)), "everything with the classic member")
        new = self.member(self.confluent, "migrate-new-confluent", topic, group, **NEW)
        self.settle(old[0], new)
        old[0].leave()
        wait_for(lambda: new.assigned == set(range(PARTITIONS)), "everything with the new member")
        old.append(self.member(self.java, "migrate-back-java", topic, group))
        self.settle(new, old[1])
        new.leave()
        wait_for(lambda: old[1].assigned == set(range(PARTITIONS)), "everything with the classic member again")
        feeder.wait()
        self.read_all([*old, new], RECORDS)
        check_records(old[0].records + old[1].records + new.records, range(RECORDS), once=False)
        old[1].leave()

    def run(self, say, only=""):
        results = {}
        for step in only.split(",") if only else self.steps:
            if step == "killed" and not hasattr(self.running, "cluster"):
                continue  # nothing of ours to kill
            try:
                getattr(self, step)()
                results[step] = "ok"
            except scenario.Failure as failure:
                results[step] = f"FAIL: {failure}"
            finally:
                for program in self.programs:
                    program.kill()
                self.programs = []
            say(f"consumer groups: {step}: {results[step]}")
        return results
