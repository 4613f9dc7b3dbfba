# SPDX-License-Identifier: Apache-2.0
"""What is compared, seen alike: start() returns at once, pids() are the broker's processes, stop() leaves nothing
behind. Here is also how the kernel is asked what a process uses."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import apache_kafka  # noqa: E402
import cluster  # noqa: E402

# What bin/kafka-server-start.sh gives the JVM.
KAFKA_OPTIONS = ["-Xms1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                 "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
                 "-Djava.awt.headless=true"]


class Millrace:
    """`millrace up` on an empty directory: one controller, one storage node, one coordinator."""
    name = "millrace"
    text = "millrace: every batch is fsynced before it is acknowledged (its default)"

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="bench-millrace-")
        self.port = cluster.free_port()
        self.bootstrap = "127.0.0.1:%d" % self.port
        self.ready_path = os.path.join(self.directory, "ready.json")
        self.process = None

    def prepare(self):
        """Nothing is needed before the first start."""

    def start(self):
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                [cluster.program("millrace"), "up", "--data", os.path.join(self.directory, "data"), "--port",
                 str(self.port), "--ready-file", self.ready_path],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=cluster._die_with_parent)

    def pids(self):
        cluster.wait_until(lambda: os.path.exists(self.ready_path), 30, "the ready file")
        with open(self.ready_path, encoding="utf-8") as file:
            return {d["role"]: d["pid"] for d in json.load(file)["daemons"]}

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)


class Kafka:
    """One KRaft node, broker and controller in one process, with the JVM options of Kafka's own start script."""
    name = "kafka"
    text = "Apache Kafka, defaults: acknowledged from the page cache"
    settings = {}

    def __init__(self):
        self.node = apache_kafka.ApacheKafka(self.settings, options=KAFKA_OPTIONS)
        self.bootstrap = self.node.bootstrap

    def prepare(self):
        self.node.format()

    def start(self):
        self.node.start()

    def pids(self):
        return {"kafka": self.node.process.pid}

    def stop(self):
        self.node.stop()


class KafkaFlush(Kafka):
    name = "kafka-flush"
    text = "Apache Kafka, `log.flush.interval.messages=1`: every append is flushed first, as millrace does"
    settings = {"log.flush.interval.messages": "1"}


SYSTEMS = {system.name: system for system in (Millrace, Kafka, KafkaFlush)}


def kafka_version():
    names = [path.name for path in apache_kafka.LIB.glob("kafka-clients-*.jar")]
    return names[0][len("kafka-clients-"):-len(".jar")] if names else None


def cpu_s(pids):
    """CPU seconds, user and system, since the processes began (/proc/PID/stat, in hundredths)."""
    total = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def compiler_s(pids):
    """Of cpu_s, what a JVM's just-in-time compilers took: work that a node which runs for hours has behind it."""
    total = 0
    for pid in pids:
        for task in os.listdir("/proc/%d/task" % pid):
            base = "/proc/%d/task/%s/" % (pid, task)
            try:
                with open(base + "comm", encoding="utf-8", errors="replace") as file:
                    compiles = file.read().startswith(("C1 Compiler", "C2 Compiler"))
                with open(base + "schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0]) if compiles else 0
            except OSError:  # the thread has ended meanwhile
                continue
    return total / 1e9


def threads(pids):
    """{thread: (CPU nanoseconds, times it slept and woke)}: exact where hundredths of a second are too coarse."""
    found = {}
    for pid in pids:
        for task in os.listdir("/proc/%d/task" % pid):
            base = "/proc/%d/task/%s/" % (pid, task)
            try:
                with open(base + "schedstat", encoding="ascii") as file:
                    nanoseconds = int(file.read().split()[0])
                with open(base + "status", encoding="utf-8", errors="replace") as file:
                    wakes = next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt"))
            except OSError:  # the thread has ended meanwhile
                continue
            found[task] = (nanoseconds, wakes)
    return found


def resident_bytes(pids):
    pages = 0
    for pid in pids:
        with open("/proc/%d/statm" % pid, encoding="ascii") as file:
            pages += int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine_busy_s():
    """CPU seconds of everything on the machine, what the host took away (steal) included."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = (int(n) for n in file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def now():
    """The clock of bench/tools/flow.c."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
