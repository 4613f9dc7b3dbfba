# SPDX-License-Identifier: Apache-2.0
"""Transactions that nobody ends: an Apache Kafka that verifies nothing (it did not before KIP-890) takes transactional
batches its coordinator was never told of. `kafka-transactions.sh find-hanging` finds them there; it finds the same when
millrace has adopted the directory, and they are ended at their partitions by the tool and by `millrace txn abort`.
millrace itself takes no such batch, whatever the version of Produce."""
import signal
import struct
import types

import brokers  # noqa: F401  (puts tests/lib on the path)
import apache_kafka
import cluster
import disk
import tools
import transactional
import txn_tools
from scenario import Failure, check, wait_for

TOPIC, PARTITIONS = "hanging", 3
UNVERIFIED = {"transaction.partition.verification.enable": "false", "group.initial.rebalance.delay.ms": "0"}
FIND = f"find-hanging --topic {TOPIC} --max-transaction-timeout 0"  # minutes


class Tools(tools.Tools):
    """The commands and what they print, of one address."""

    def __init__(self, bootstrap, directory):
        super().__init__(types.SimpleNamespace(bootstrap=bootstrap, replication=1, directories={}), directory)

    def print(self, arguments):
        done = self.call("kafka-transactions", arguments, None)
        check(done.returncode == 0, "%s ended with %d: %s", arguments, done.returncode, done.stdout[-300:])
        return done.stdout

    def hanging(self):
        """{partition: (producer, epoch, coordinator epoch, start offset)} of what find-hanging prints."""
        rows = [line.split() for line in self.print(FIND).splitlines()[1:] if line.strip()]
        return {int(row[1]): tuple(map(int, row[2:6])) for row in rows if row[0] == TOPIC}

    def abort(self, partition, start):
        self.print(f"abort --topic {TOPIC} --partition {partition} --start-offset {start}")


def at(bootstrap):
    """Of one node, what transactional.Producer wants to know."""
    return types.SimpleNamespace(kafka_port=int(bootstrap.split(":")[1]))


def plain(view, partition):
    """A record of no transaction."""
    error, _ = view.send(-1, -1, partition)
    check(error == 0, "a plain record was refused with %d", error)


def coordinator_error(bootstrap):
    """Of FindCoordinator, with which Kafka makes __transaction_state."""
    connection = transactional.Connection(at(bootstrap))
    answer = connection.call(transactional.FIND_COORDINATOR, 1, transactional.text("unknown") + b"\1")
    connection.close()
    return struct.unpack_from(">h", answer, 4)[0]


def unknown_producer(bootstrap):
    """It has an id, and never says what it writes to."""
    txn_tools.repeat(lambda: coordinator_error(bootstrap))
    producer = transactional.Producer(at(bootstrap), "unknown")
    txn_tools.repeat(producer.init)
    return producer


def open_unknown(bootstrap):
    """A batch in each partition that no coordinator knows of, and a plain record behind it."""
    producer = unknown_producer(bootstrap)
    view = disk.View(bootstrap, TOPIC, PARTITIONS)
    for partition in range(PARTITIONS):
        plain(view, partition)
        txn_tools.repeat(lambda: producer.produce(TOPIC, partition, [b"hanging"]))
        plain(view, partition)
    return producer.producer_id


def refuses(bootstrap):
    """The same batch is refused where it is verified."""
    error = unknown_producer(bootstrap).produce(TOPIC, 0, [b"refused"])[0]
    check(error == transactional.INVALID_TXN_STATE, "a batch of an unknown transaction was answered with %d", error)


class Hanging:
    name = "hanging transactions"
    steps = ("kafka_finds_them", "kafka_ends_one", "millrace_finds_the_same", "both_commands_end_them",
             "what_lies_behind_is_read", "no_new_one_is_taken")

    def __init__(self, kafka, running, logs):
        self.kafka, self.cluster, self.logs = kafka, running, logs
        self.node = running.storage[0]

    def kafka_finds_them(self):
        disk.create(self.kafka.bootstrap, TOPIC, PARTITIONS, {})
        producer = open_unknown(self.kafka.bootstrap)
        self.tools = Tools(self.kafka.bootstrap, self.logs)
        self.found = self.tools.hanging()
        check(self.found == {p: (producer, 0, -1, 1) for p in range(PARTITIONS)}, "found %s", self.found)

    def kafka_ends_one(self):
        self.tools.abort(2, 1)
        del self.found[2]
        check(self.tools.hanging() == self.found, "found %s after one was ended", self.tools.hanging())
        self.kafka.kill(signal.SIGTERM)

    def millrace_finds_the_same(self):
        self.node.stop()
        self.cluster.cli("storage", "adopt", self.kafka.directory / "data", "--data", self.node.data, "--topic", TOPIC)
        self.node.start().wait_ready()
        disk.View(self.node.address, TOPIC, PARTITIONS)
        self.tools = Tools(self.node.address, self.logs)
        check(self.tools.hanging() == self.found, "found %s, Kafka found %s", self.tools.hanging(), self.found)
        check(self.read() == 4, "%d records are read before they end", self.read())

    def both_commands_end_them(self):
        self.tools.abort(0, 1)
        check(list(self.tools.hanging()) == [1], "found %s after one was ended", self.tools.hanging())
        self.cluster.cli("txn", "abort", "-t", TOPIC, "-p", "1", "-o", "1")
        check(not self.tools.hanging(), "found %s after all were ended", self.tools.hanging())

    def read(self):
        return len(self.cluster.consume(TOPIC, "-X", "isolation.level=read_committed"))

    def what_lies_behind_is_read(self):
        wait_for(lambda: self.read() == 2 * PARTITIONS, "the plain records, and none of the others", 20)

    def no_new_one_is_taken(self):
        refuses(self.node.address)

    def run(self, say):
        results = {}
        for step in self.steps:
            try:
                getattr(self, step)()
                results[step] = "ok"
            except (Failure, disk.Failure, AssertionError, struct.error, OSError) as failure:
                results[step] = f"FAIL: {failure}"
            say(f"{self.name} {step}: {results[step]}")
            if results[step] != "ok":
                break
        return results


def run(logs, say):
    kafka = apache_kafka.ApacheKafka(UNVERIFIED)
    try:
        kafka.start(disk.START_SECONDS)
        with cluster.Cluster(coordinators=1) as running:
            return Hanging(kafka, running, logs).run(say)
    except RuntimeError as failure:
        return {"start": f"FAIL: {failure}"}
    finally:
        kafka.stop()
