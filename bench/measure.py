# SPDX-License-Identifier: Apache-2.0
"""How each kind of cell is measured: MEASURES[kind](system, cell, topic) runs one trial on a started system and returns its
figures; what ends in _us is a histogram [[microseconds, count], ...], kept as the sample's raw part."""
import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import struct
import subprocess
import time

import systems
from systems import LOAD_CORE, cluster, on, tool

import gap  # of tests/lib

JVM_WARM_S = 60
IDLE_CONNECTIONS = 5000
START_S, STOP_S = 600, 120
READ_PIECE = 1 << 20
FAILOVER_TICK_MS, FAILOVER_CALL_MS = 5, 250


def percentile(histogram, part):
    """The value below or at which that part of the counts lies."""
    left = sum(count for _, count in histogram) * part
    for value, count in histogram:
        left -= count
        if left <= 0:
            return value
    return histogram[-1][0]


def percentiles(histogram, parts=(("p50", .5), ("p99", .99), ("p999", .999), ("max", 1))):
    return {name + "_ms": percentile(histogram, part) / 1000 for name, part in parts}


class Used:
    """CPU of a system between two moments, without what a JVM's compilers took, and with everything."""

    def __init__(self, system):
        self.system = system
        self.cpu, self.compiler, self.all = self._now()

    def _now(self):
        pids = self.system.pids()
        compiler = systems.compiler_s(pids) if self.system.jvm else 0
        return systems.cpu_s(pids), compiler, systems.cpu_s(self.system.all_pids())

    def until_now(self):
        cpu, compiler, everything = self._now()
        compiler = max(0, compiler - self.compiler)
        return {"cpu_s": cpu - self.cpu - compiler, "compiler_s": compiler, "all_cpu_s": everything - self.all}


class Tool:
    """A generator that is running: begun() waits for its first line, answer() for the last."""

    def __init__(self, name, *arguments, quiet=False):
        self.words = [tool(name)] + [str(a) for a in arguments]
        with on(LOAD_CORE):
            self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, text=True,
                                            stderr=subprocess.DEVNULL if quiet else None)

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("%s: exit code %s" % (" ".join(self.words), self.process.wait()))
        return json.loads(line)

    def begun(self):
        return self._line()

    def answer(self):
        answer = self._line()
        if self.process.wait() != 0:
            raise RuntimeError("%s: exit code %d: %s" % (" ".join(self.words), self.process.returncode, answer))
        return answer

    def kill(self):
        self.process.kill()
        self.process.wait()


def measured(system, *words):
    """A generator's answer with the system's CPU from its first line to its last."""
    run = Tool(*words)
    run.begun()
    used = Used(system)
    answer = run.answer()
    answer.update(used.until_now())
    if "bytes" in answer:
        answer["cpu_s_per_gb"] = answer["cpu_s"] / answer["bytes"] * 1e9
        answer["mb_per_s"] = answer["bytes"] / answer["seconds"] / 1e6
    if "records" in answer:
        answer["cpu_s_per_million"] = answer["cpu_s"] / answer["records"] * 1e6
    return answer


def named(**values):
    return ["%s=%s" % item for item in values.items()]


def pump_words(system, cell, topic, **more):
    values = dict(record=cell.record, batch=cell.batch, codec=cell.codec, partitions=cell.partitions, rate=cell.rate,
                  connections=cell.connections, depth=cell.depth, warm=int(cell.warm), seconds=int(cell.seconds))
    values.update(more)
    return ["pump", system.bootstrap, topic] + named(**values)


def run_tool(*words):
    run = Tool(*words)
    run.begun()
    return run.answer()


def fill(system, cell, topic, size):
    """Puts about that many bytes there; one small record per partition when size is None."""
    batch, count = (64 * 1024, max(1, size // (64 * 1024))) if size else (64, cell.partitions)
    run_tool(*pump_words(system, cell, topic, batch=batch, record=min(cell.record, batch), rate=0, connections=1, depth=32,
                         warm=0, count=count))


def once(system, cell, topic):
    """A topic of the cell that all rounds use, filled."""
    if topic not in system.filled:
        system.create_topic(topic, cell.partitions)
        if cell.fill or cell.every_partition:
            fill(system, cell, topic, cell.fill or None)
        system.filled.add(topic)


@contextlib.contextmanager
def topic_of(system, cell, topic):
    """A topic of one trial."""
    system.create_topic(topic, cell.partitions)
    try:
        yield
    finally:
        system.delete_topic(topic)


def warm_up(system, cell):
    """Once per JVM, with the load of its first cell."""
    if not system.jvm or system.warmed:
        return
    seconds = int(min(JVM_WARM_S, 3 * cell.seconds + 1))
    six = dataclasses.replace(cell, partitions=6)
    with topic_of(system, six, "warm"):
        fill(system, six, "warm", None)
        run_tool(*pump_words(system, cell, "warm", rate=0, warm=0, seconds=max(1, seconds - 2), partitions=6))
        run_tool("drain", system.bootstrap, "warm", "partitions=6", "seconds=2")
    system.warmed = True


# ---- kinds ----

def flow(system, cell, topic):
    with topic_of(system, cell, topic):
        return measured(system, "flow", "produce", system.bootstrap, topic, cell.record, cell.linger, int(cell.warm),
                        int(cell.seconds))


def pump(system, cell, topic):
    if cell.every_partition:
        once(system, cell, "all")
        answer = measured(system, *pump_words(system, cell, "all"))
    else:
        with topic_of(system, cell, topic):
            fill(system, cell, topic, None)  # every partition is ready, and its files are there
            answer = measured(system, *pump_words(system, cell, topic))
    answer.update(percentiles(answer["us"]))
    return answer


def drain(system, cell, topic):
    once(system, cell, "cached")
    run_tool("drain", system.bootstrap, "cached", *named(partitions=cell.partitions, seconds=int(max(1, cell.warm))))
    return measured(system, "drain", system.bootstrap, "cached",
                    *named(partitions=cell.partitions, seconds=int(cell.seconds)))


def latency(system, cell, topic):
    with topic_of(system, cell, topic):
        answer = measured(system, "flow", "latency", system.bootstrap, topic, cell.record, cell.rate, int(cell.warm),
                          int(cell.seconds))
    answer.update(percentiles(answer["read_us"]))
    return answer


def connections_open(system, count):
    """Connections that have asked for ApiVersions once, as a client's do."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    host, port = system.bootstrap.split(":")
    opened = []
    for _ in range(count):
        one = socket.create_connection((host, int(port)), timeout=10)
        one.sendall(struct.pack(">i", len(request)) + request)
        if len(one.recv(4)) != 4:
            raise RuntimeError("connection %d is refused" % len(opened))
        opened.append(one)
    return opened


def memory(system, cell, topic):
    """Resident bytes of the storage node: idle, with partitions, with connections, and the most at ten looks per second
    under load."""
    pids = system.pids()
    time.sleep(1)
    idle = systems.resident_bytes(pids)
    system.create_topic("many", cell.partitions)
    run_tool(*pump_words(system, cell, "many", warm=0, count=1))
    time.sleep(2)
    parts = systems.resident_bytes(pids)
    opened = connections_open(system, IDLE_CONNECTIONS)
    time.sleep(1)
    connected = systems.resident_bytes(pids)
    system.create_topic("load", 1)
    run, most = Tool(*pump_words(system, cell, "load", partitions=1)), 0
    while run.process.poll() is None:
        most = max(most, systems.resident_bytes(pids))
        time.sleep(0.1)
    answer = run.begun() and run.answer()
    for one in opened:
        one.close()
    return {"idle_mb": idle / 1e6, "partition_bytes": (parts - idle) / cell.partitions, "load_mb": most / 1e6,
            "connection_bytes": (connected - parts) / IDLE_CONNECTIONS, "partitions": cell.partitions,
            "mb_per_s": answer["bytes"] / answer["seconds"] / 1e6}


def first_ack_ms(system, topic):
    """Milliseconds from the node's start to the next acknowledgement of a client that tries every millisecond."""
    with on(LOAD_CORE):
        raw = cluster.Raw(system.cluster, topic, 1, tick_ms=1)
    with raw:
        time.sleep(0.2)
        began, used = raw.now(), len(raw.acks.get(0, ()))
        system.start_node()
        cluster.wait_until(lambda: len(raw.acks.get(0, ())) > used, START_S, "an acknowledgement", every=0.001)
        return (raw.acks[0][used] - began) * 1000


def start(system, cell, topic):
    """partitions 0: there is nothing in the directory but its identity, the topic has never had a record. (With another
    identity the node would have lost its replicas, and the partition stays offline for an operator to decide.)"""
    if cell.partitions:
        once(system, cell, "all")
    system.create_topic(topic, 1)
    cluster.wait_until(lambda: system.cluster.partition(topic)["leader"] >= 0, 60, "a leader")
    system.node.stop(STOP_S)
    taken = first_ack_ms(system, topic)
    system.node.wait_ready(START_S)
    return {"start_ms": taken, "rss_mb": system.node.resident_bytes() / 1e6}


def failover(system, cell, topic):
    """gap.py of the tests, on a cluster of its own size."""
    how = cluster.Daemon.kill if cell.name == "kill" else cluster.Daemon.freeze
    system.create_topic(gap.TOPIC, gap.PARTITIONS)
    with cluster.Raw(system.cluster, gap.TOPIC, gap.PARTITIONS, FAILOVER_TICK_MS, FAILOVER_CALL_MS) as raw:
        gaps = sorted(gap.measure(system.cluster, raw, cell.trials, how))
    histogram = [[int(seconds * 1e6), 1] for seconds in gaps]
    return dict(percentiles(histogram), us=histogram)


def recovery(system, cell, topic):
    once(system, cell, "log")
    system.create_topic(topic, 1)
    raw = cluster.Raw(system.cluster, topic, 1)
    with raw:
        cluster.wait_until(lambda: raw.acknowledged_after(0, [0]), 60, "a first record")
    load = Tool(*pump_words(system, cell, "log", warm=0, seconds=600), quiet=True)  # its broker is killed
    load.begun()
    time.sleep(max(0.5, cell.warm))
    system.node.kill()
    load.kill()
    taken = first_ack_ms(system, topic)
    system.node.wait_ready(START_S)
    return {"start_ms": taken}


def segments(system):
    walk = os.walk(system.node.data)  # passes over folders of deleted topics that go meanwhile
    return sorted(pathlib.Path(folder) / name for folder, _, names in walk for name in names if name.endswith(".log"))


def forget_pages(paths):
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.fdatasync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def cold_read_mb_per_s(paths, limit):
    """What a plain sequential read of the same files gives, their pages forgotten."""
    forget_pages(paths)
    began, total = time.monotonic(), 0
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while total < limit and (piece := file.read(READ_PIECE)):
                total += len(piece)
    return total / (time.monotonic() - began) / 1e6


def catchup(system, cell, topic):
    """The pump alone, then beside a reader of everything old, whose pages are forgotten."""
    once(system, cell, "old")
    paths = [path for path in segments(system) if path.parent.name.startswith("old-")]
    with on(LOAD_CORE):
        disk = cold_read_mb_per_s(paths, cell.fill // 4)
    alone = pump(system, cell, topic + "-alone")
    forget_pages(paths)
    with topic_of(system, cell, topic):
        fill(system, cell, topic, None)
        load = Tool(*pump_words(system, cell, topic, warm=1, seconds=600))
        load.begun()
        reader = measured(system, "drain", system.bootstrap, "old", *named(partitions=cell.partitions))
        load.process.terminate()
        beside = load.answer()
    p99 = percentile(beside["us"], .99) / 1000
    return {"p99_ms": p99, "alone_p99_ms": alone["p99_ms"], "p99_growth": p99 / alone["p99_ms"], "us": beside["us"],
            "mb_per_s": reader["mb_per_s"], "disk_mb_per_s": disk, "cold_share": reader["mb_per_s"] / disk,
            "seconds": reader["seconds"]}


def idle(system, cell, topic):
    """The storage node's CPU and writes, and the CPU of all daemons."""
    once(system, cell, "many")
    time.sleep(cell.warm)
    node = system.pids()[0]
    before, everything = systems.cpu_s([node]), systems.cpu_s(system.all_pids())
    written, began = systems.written_bytes(node), time.monotonic()
    time.sleep(cell.seconds)
    seconds = time.monotonic() - began
    return {"idle_cpu_percent": (systems.cpu_s([node]) - before) / seconds * 100,
            "all_idle_cpu_percent": (systems.cpu_s(system.all_pids()) - everything) / seconds * 100,
            "idle_written_bytes": systems.written_bytes(node) - written, "seconds": seconds}


MEASURES = {f.__name__: f for f in (flow, pump, drain, latency, memory, start, failover, recovery, catchup, idle)}
