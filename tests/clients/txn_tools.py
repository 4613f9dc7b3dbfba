# SPDX-License-Identifier: Apache-2.0
"""kafka-transactions.sh against a cluster of three nodes with a transaction that somebody has left open: it is listed,
described, seen at its partitions, and ended there by hand."""
import re
import time

import brokers  # noqa: F401  (puts tests/lib on the path)
import tools
import transactional
from scenario import Failure, check, wait_for

TOPIC, OPEN, DONE = "left-open", "tool-open", "tool-done"
tools.MAIN["kafka-transactions"] = "org.apache.kafka.tools.TransactionsCommand"


def commands():
    """(step, arguments, pattern that the output must have); {start}, {epoch}, {id}: of the open transaction."""
    place = f"--topic {TOPIC} --partition 1"
    return [
        ("list", "list", rf"(?s)\A(?=.*^{OPEN}\s+\d+\s+{{id}}\s+Ongoing)(?=.*^{DONE}\s+\d+\s+\d+\s+CompleteCommit)"),
        ("list by pattern", "list --transactional-id-pattern tool-o.*", rf"\A(?=(?s:.*)^{OPEN}\s)(?!(?s:.*)^{DONE}\s)"),
        ("list old ones", "list --duration-filter 3600000", rf"\A(?!(?s:.*)^{OPEN}\b)"),
        ("describe", f"describe --transactional-id {OPEN}",
         rf"^\d+\s+{OPEN}\s+{{id}}\s+{{epoch}}\s+Ongoing\s+900000\s.*{TOPIC}-1"),
        ("describe producers", f"describe-producers {place}", r"^{id}\s+{epoch}\s+-?\d+\s+0\s+\d+\s+{start}\s*$"),
        ("find hanging", f"find-hanging --topic {TOPIC} --max-transaction-timeout 1000", r"\ATopic\s+Partition.*\n\Z"),
        ("abort", f"abort {place} --start-offset {{start}}", ""),
        ("describe producers after it", f"describe-producers {place}", r"^{id}\s+{epoch}\s+\d+\s+0\s+\d+\s+None\s*$"),
    ]


def repeat(action):
    """Until the error is none that passes by itself; what other than success it is."""
    for _ in range(200):
        error = action()
        if (error[0] if isinstance(error, tuple) else error) not in transactional.PASSING:
            break
        time.sleep(0.1)
    code = error[0] if isinstance(error, tuple) else error
    check(code == transactional.NONE, "a request of a transaction ended with error %d", code)
    return error


class TxnTools:
    name = "kafka-transactions"

    def __init__(self, running, directory):
        self.running, self.tools = running, tools.Tools(running, directory)

    def producer(self, transactional_id, timeout_ms):
        cluster = self.running.cluster
        one = transactional.Producer(cluster.storage[0], transactional_id, timeout_ms=timeout_ms)
        repeat(one.init)
        return one

    def write(self, producer, partition, values):
        """The offset of the first record."""
        cluster = self.running.cluster
        repeat(lambda: producer.add(TOPIC, partition))
        producer.to(cluster.leader(TOPIC, partition))
        return repeat(lambda: producer.produce(TOPIC, partition, values))[1]

    def prepare(self):
        """What the commands' patterns need."""
        self.running.cluster.create_topic(TOPIC, partitions=3, replication=3)
        done = self.producer(DONE, 60000)
        self.write(done, 1, [b"before"])
        repeat(lambda: done.end(True))
        left = self.producer(OPEN, 900000)
        start = self.write(left, 1, [b"open"])
        self.running.cluster.produce(TOPIC, ["behind"], "-p", "1")
        return {"start": start, "epoch": left.epoch, "id": left.producer_id}

    def read(self):
        return [value for *_, value in self.running.cluster.consume(TOPIC, "-X", "isolation.level=read_committed")]

    def run(self, say):
        results, names = {}, self.prepare()
        check(self.read() == ["before"], "a reader of committed records finds %s", self.read())
        for step, arguments, pattern in commands():
            wanted = re.sub(r"{(start|epoch|id)}", lambda found: str(names[found[1]]), pattern)
            results[step] = self.tools.step("kafka-transactions", arguments.format(**names), None, wanted)
            say(f"{self.name} {step}: {results[step]}")
        try:
            wait_for(lambda: self.read() == ["before", "behind"], "what lies behind the transaction to be read", 20)
            results["read"] = "ok"
        except Failure as failure:
            results["read"] = f"FAIL: {failure}"
        return results
