#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One Apache Kafka node (KRaft, combined roles) in a temporary directory, from the jars of tests/clients/java/kafka.

The benchmarks run it beside millrace, and the clients test runs its scenarios against it first: a scenario that Apache
Kafka does not pass is wrong. `tests/clients/setup.sh kafka` fetches the jars.

    with ApacheKafka() as kafka:
        print(kafka.bootstrap)

By hand: `tests/lib/apache_kafka.py [key=value ...]` runs a node in the foreground until interrupted.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIB = ROOT / "tests/clients/java/kafka/target/lib"
CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"

# Kafka's defaults wherever they can stand: what is set here is what one node alone needs.
ALONE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}


def free_ports(count):
    """Ports nobody listens on now. Another process may take one first; then the node says so and does not start."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class ApacheKafka:
    """A node of its own directory; `settings` are server.properties keys, `heap` its maximal heap, `options` further
    options of the JVM, `ports` those of clients and of the controller when others have to know them, `level` how much it
    says in its file `log`, `directories` how many log.dirs it has."""

    def __init__(self, settings=None, heap="1g", options=(), ports=None, level="WARN", directories=1):
        self.level = level
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="apache-kafka-"))
        client, controller = ports or free_ports(2)
        self.bootstrap = f"127.0.0.1:{client}"
        self.heap = heap
        self.options = list(options)
        self.process = None
        values = dict(ALONE)
        values["listeners"] = f"CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}"
        values["controller.quorum.voters"] = f"1@127.0.0.1:{controller}"
        self.directories = [str(self.directory / f"data{number or ''}") for number in range(directories)]
        values["log.dirs"] = ",".join(self.directories)
        values.update(settings or {})
        self.properties = self.directory / "server.properties"
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def java(self, *arguments):
        log = self.directory / "log4j2.properties"
        log.write_text(f"rootLogger.level={self.level}\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\n"
                       "appender.out.name=out\nappender.out.layout.type=PatternLayout\n"
                       "appender.out.layout.pattern=%d %p %c: %m%n\n")
        return ["java", f"-Xmx{self.heap}", *self.options, f"-Dlog4j2.configurationFile={log}", "-cp", f"{LIB}/*", *arguments]

    def format(self):
        """What a directory needs before the first start."""
        if not LIB.is_dir():
            raise RuntimeError(f"{LIB} is missing: run tests/clients/setup.sh kafka")
        subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self.properties)),
                       check=True, stdout=subprocess.DEVNULL)

    def start(self, wait_s=60):
        """Format the directory on the first start, run the node, and return once it takes connections."""
        self.launch()
        return self.wait(wait_s)

    def launch(self):
        """The first half of start(): a node of several is not up before the others are."""
        if not (self.directory / "data").exists():
            self.format()
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(self.java("kafka.Kafka", str(self.properties)), stdout=log, stderr=log)

    def wait(self, wait_s=60):
        """The second half of start()."""
        host, port = self.bootstrap.split(":")
        end = time.monotonic() + wait_s
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        text = (self.directory / "log").read_text()[-2000:]
        self.stop()
        raise RuntimeError(f"Apache Kafka did not start:\n{text}")

    def kill(self, how=signal.SIGKILL):
        """The process is gone when this returns; its directory stays, start() goes on from it."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def nodes(count, settings=None, **options):
    """That many nodes of one cluster, not yet started. Internal topics keep one replica."""
    ports = [free_ports(2) for _ in range(count)]
    voters = ",".join(f"{i + 1}@127.0.0.1:{pair[1]}" for i, pair in enumerate(ports))
    return [ApacheKafka({"node.id": i + 1, "controller.quorum.voters": voters, **(settings or {})}, ports=pair, **options)
            for i, pair in enumerate(ports)]


def main():
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    with ApacheKafka(settings) as kafka:
        print(kafka.bootstrap, os.getpid(), kafka.process.pid, flush=True)
        try:
            kafka.process.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
