# SPDX-License-Identifier: Apache-2.0
"""Consume, transform, produce in transactions while coordinators and leaders are killed: what a read_committed consumer
finds behind a chain of three clients is what went into it, each record once. The clients are one of the older flow
(librdkafka), a Java client of the older and one of KIP-890's."""
import random
import time

import clients
import scenario
from scenario import check, wait_for

PARTITIONS, RECORDS = 3, 1500
TOPICS = ("once-0", "once-1", "once-2", "once-3")


class Stage(scenario.Program):
    @property
    def done(self):
        counts = [int(line[1]) for line in self.lines if line[0] == "T"]
        return counts[-1] if counts else 0


def commands():
    """[(name, command of the program, None or what is missing)]"""
    target = clients.HERE / "java/transform/target/classes"
    found = []
    for version in ("3.9.2", "4.4.0"):
        jars = clients.HERE / f"java/scenario/target/{version}"
        missing = next((str(one) for one in (target, jars) if not one.exists()), None)
        found.append((f"Java {version}", ["java", "-Xmx128m", "-cp", f"{target}:{jars}/*", "Transform"], missing))
    environment = clients.HERE / "python/env/confluent-kafka-2.16.1"
    python = [f"{environment}/bin/python", str(clients.HERE / "python/transform.py")]
    found.insert(1, ("confluent-kafka 2.16.1", python, None if environment.exists() else str(environment)))
    return found


class ExactlyOnce:
    name = "exactly once"

    def __init__(self, running, helper, logs):
        """running: brokers.Millrace; helper: a client that makes topics, produces and reads."""
        self.running, self.helper, self.logs, self.stages = running, helper, logs, []

    def helped(self, verb, topic, **arguments):
        pairs = {"bootstrap": self.running.bootstrap, "topic": topic, **arguments}
        log = open(f"{self.logs}/helper-{verb}-{topic}.log", "w")
        return scenario.Program([*self.helper.command, verb, *(f"{k}={v}" for k, v in pairs.items())], log)

    def start(self):
        for i, (name, command, _) in enumerate(commands()):
            pairs = {"bootstrap": self.running.bootstrap, "topic": TOPICS[i], "to": TOPICS[i + 1],
                     "group": f"stage-{i}", "count": RECORDS}
            log = open(f"{self.logs}/{name.replace(' ', '-')}.log", "w")
            self.stages.append(Stage([*command, *(f"{k}={v}" for k, v in pairs.items())], log))

    def kill_one(self):
        victims = self.running.cluster.coordinators + self.running.cluster.storage
        victim = random.choice(victims)
        victim.kill()
        time.sleep(1)
        victim.start()
        victim.wait_ready(60)
        for topic in TOPICS:
            self.running.wait_whole(topic)

    def check_output(self):
        reader = self.helped("consume", TOPICS[-1], group="once-reader", count=RECORDS,
                             **{"isolation.level": "read_committed"})
        reader.wait(120)
        numbers = [record[3] for record in reader.records]
        check(sorted(numbers) == list(range(RECORDS)), "read %d records, %d of them different", len(numbers),
              len(set(numbers)))

    def run(self, say):
        for topic in TOPICS:
            self.helped("create", topic, partitions=PARTITIONS, replication=self.running.replication).wait()
        feeder = self.helped("produce", TOPICS[0], count=RECORDS, rate=60)
        self.start()
        try:
            kills = 0
            while any(stage.process.poll() is None for stage in self.stages[-1:]) and kills < 20:
                self.kill_one()
                kills += 1
                say(f"exactly once: {kills} kills, stages at {[stage.done for stage in self.stages]}")
            wait_for(lambda: self.stages[-1].process.poll() is not None, "the last stage to end", 180)
            for stage in self.stages:
                stage.wait(60)
            feeder.wait(60)
            self.check_output()
        except scenario.Failure as failure:
            return {"chain": f"FAIL: {failure}"}
        finally:
            for stage in [*self.stages, feeder]:
                stage.kill()
        return {"chain": "ok"}
