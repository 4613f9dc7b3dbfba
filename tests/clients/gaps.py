# SPDX-License-Identifier: Apache-2.0
"""How long the partitions of a killed leader are not acknowledged, seen by real clients: with settings for a short gap,
held to the goal, and with the client's own defaults, which are only told. Kills and figures: tests/lib/gap.py."""
import contextlib
import pathlib
import sys
import tempfile

import scenario

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import cluster  # noqa: E402
import gap  # noqa: E402

SETTINGS = gap.SETTINGS
RATE, KEYS, FOR_EVER = 1000, 100, 2**31 - 1
TUNED = {"retry.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
# tests/lib/load.c is tuned by itself; this is what librdkafka 2.0.2 documents.
RDKAFKA_DEFAULTS = {"retry.backoff.ms": 100, "reconnect.backoff.max.ms": 10000, "linger.ms": 5}


class Java(cluster.Acknowledgements, scenario.Program):
    """The scenario's program, producing without end; each acknowledgement is a line."""

    def __init__(self, client, bootstrap, settings, log):
        cluster.Acknowledgements.__init__(self)
        arguments = {"bootstrap": bootstrap, "topic": gap.TOPIC, "count": FOR_EVER, "rate": RATE, "each": 1, **settings}
        scenario.Program.__init__(self, [*client.command, "produce", *(f"{k}={v}" for k, v in arguments.items())], log)

    def read(self):
        for line in self.process.stdout:
            kind, _, value = line.partition("\t")
            if kind == "K":
                self.acknowledged(int(value), self.now())


@contextlib.contextmanager
def java(running, client, settings, log):
    program = Java(client, running.kafka, settings, log)
    try:
        yield program
        scenario.check(program.process.poll() is None, "the producer ended: %s", program.tail())
    finally:
        program.kill()


@contextlib.contextmanager
def librdkafka(running, settings):
    load = cluster.Load(running, gap.TOPIC, KEYS, RATE, **settings)
    try:
        yield load
        load.stop()
        scenario.check(not load.failed, "%d records failed", len(load.failed))
    finally:
        load.process.kill()


class Gap:
    def __init__(self, running, client, directory):
        """running: a cluster.Cluster; client: the Java client."""
        self.running, self.client, self.directory = running, client, directory

    def producers(self):
        """(name, held to the goal, context manager of a producer)"""
        log = tempfile.NamedTemporaryFile("w", dir=self.directory, prefix="java-gap-", suffix=".log", delete=False)
        java_name = f"Java {self.client.version}"
        yield "raw client", True, lambda: cluster.Raw(self.running, gap.TOPIC, gap.PARTITIONS)
        yield "librdkafka", True, lambda: librdkafka(self.running, {})
        yield "librdkafka, its defaults", False, lambda: librdkafka(self.running, RDKAFKA_DEFAULTS)
        if not self.client.missing:
            yield java_name, True, lambda: java(self.running, self.client, TUNED, log)
            yield f"{java_name}, its defaults", False, lambda: java(self.running, self.client, {}, log)

    def run(self, say, only=""):
        """only: part of a producer's name."""
        results = {}
        self.running.create_topic(gap.TOPIC, partitions=gap.PARTITIONS, replication=3)
        for name, held, make in self.producers():
            if only.lower() not in name.lower():
                continue
            try:
                with make() as producer:
                    longest = gap.report(name, gap.measure(self.running, producer))
                scenario.check(not held or longest < gap.NEVER_OVER_S, "%.1f s without an acknowledgement", longest)
                results[name] = "ok"
            except (scenario.Failure, AssertionError) as failure:
                results[name] = f"FAIL: {failure}"
            say(f"gap: {name}: {results[name]}")
        return results
