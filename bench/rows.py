# SPDX-License-Identifier: Apache-2.0
"""What is measured, as data. A row is a goal of millrace: its cells are what is run, its checks what the figures are held
to. `bench/run 4` runs row 4, `bench/run goals` all of ROWS; GRID is the wider comparison of `bench/run grid`.

A cell runs on every system it names, in turn within each round. kind names the function in measure.py that does it:
  flow      one librdkafka producer, `linger` ms, as fast as it goes
  pump      prebuilt batches: open loop at `rate` batches per second, or as fast as `depth` allows (rate 0)
  drain     reads what a pump put there, from page cache, again and again
  latency   end to end, one producer and one consumer (librdkafka), `rate` records per second
  memory, start, failover, recovery, catchup, idle     see there
"""
import dataclasses
import itertools


@dataclasses.dataclass(frozen=True)
class Cell:
    name: str
    kind: str
    systems: tuple
    record: int = 1024      # bytes of a record's value
    batch: int = 16384      # bytes of a batch before compression, about
    codec: str = "none"
    partitions: int = 1
    replication: int = 1
    rate: int = 0           # per second; 0: as fast as it goes
    connections: int = 4
    depth: int = 8
    linger: int = 50
    seconds: float = 20     # measured
    warm: float = 5         # before, each time; a JVM has 60 s more once
    rounds: int = 5
    trials: int = 0         # kills of `failover`
    fill: int = 0           # bytes of log (drain, recovery, catchup)
    every_partition: bool = False  # has had a record before the warm-up
    share: str = ""         # cells of this name use one and the same system, in whatever rows they are
    extra_s: float = 0.5    # what a trial takes beside warm and seconds, for the budget
    once_s: float = 3       # what a system takes before its first trial, for the budget


@dataclasses.dataclass(frozen=True)
class Check:
    """The median of samples[key] of (cell, system), divided by that of `per` in the same round when given, is at most (or
    at least) limit."""
    text: str
    key: str
    of: tuple
    limit: float
    per: tuple = None
    at_least: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
    number: str
    title: str
    cells: tuple
    checks: tuple
    note: str = ""


KAFKAS = ("kafka", "kafka-flush")
KIB, GB = 1024, 10**9
BATCHES_50 = 3050  # of 16 KiB per second: 50 MB/s


def by_header(cell):
    """The cell where clients' records are taken by checksum and header alone, for its CPU only: shorter."""
    return dataclasses.replace(cell, name=cell.name + "-header", systems=("millrace-header",), seconds=5, rounds=3)


def row1():
    cell = Cell("1k", "flow", ("floor-append", "millrace") + KAFKAS, partitions=6, extra_s=2)
    cpu = ("cpu_s_per_gb", ("1k", "millrace"))
    title = "CPU of the storage node per GB produced: 1 KiB records, librdkafka, linger 50, fsync before ack"
    return Row("1", title, (cell, by_header(cell)), (
        Check("of the floor that appends", *cpu, 1.25, ("1k", "floor-append")),
        Check("of Kafka with fsync", *cpu, 1 / 3, ("1k", "kafka-flush")),
        Check("of Kafka without", *cpu, 1 / 2, ("1k", "kafka")),
        Check("by header alone, of every record looked at", cpu[0], ("1k-header", "millrace-header"), 1, cpu[1])))


def row2():
    cell = Cell("cached", "drain", ("millrace", "kafka"), partitions=4, batch=64 * KIB, fill=2 * GB, once_s=12)
    cpu = ("cpu_s_per_gb", ("cached", "millrace"))
    return Row("2", "CPU per GB consumed from page cache", (cell,), (
        Check("CPU-s/GB", *cpu, 0.25), Check("of Kafka", *cpu, 2 / 3, ("cached", "kafka"))))


def row3():
    cell = Cell("100b", "flow", ("millrace",), record=100, partitions=6)
    cpu = ("cpu_s_per_million", ("100b", "millrace"))
    return Row("3", "CPU of the storage node per million records of 100 B (librdkafka, linger 50)", (cell, by_header(cell)), (
        Check("CPU-s per million", *cpu, 0.12),
        Check("by header alone, of every record looked at", cpu[0], ("100b-header", "millrace-header"), 1, cpu[1])))


def row4():
    cells = (Cell("64k", "pump", ("floor", "floor-append", "millrace"), batch=64 * KIB, depth=16),
             Cell("256k", "pump", ("floor-append", "millrace"), batch=256 * KIB))
    return Row("4", "One partition, prebuilt batches, fsync before ack: MB/s", cells, tuple(
        Check("%s, of the floor that %ss" % (c.name, does), "mb_per_s", (c.name, "millrace"), 0.85, (c.name, floor), True)
        for c in cells for does, floor in (("append", "floor-append"), ("overwrite", "floor")) if floor in c.systems))


def row5():
    rates = (1000, 4000, 10000)
    cells = tuple(Cell("%dk" % (r // 1000), "pump", ("floor", "millrace", "kafka"), rate=r, partitions=4) for r in rates)
    cells += (Cell("p100", "pump", ("millrace", "kafka-flush"), rate=1000, partitions=100),)
    checks = []
    for cell in cells[:3]:
        for key, limit in (("p50_ms", 1.3), ("p99_ms", 1.5), ("p999_ms", 2)):
            checks.append(Check("%s %s, of the floor" % (cell.name, key[:-3]), key, (cell.name, "millrace"), limit,
                                (cell.name, "floor")))
        checks.append(Check("%s p99, of Kafka without fsync" % cell.name, "p99_ms", (cell.name, "millrace"), 1,
                            (cell.name, "kafka")))
    checks.append(Check("100 partitions p99, of Kafka with fsync", "p99_ms", ("p100", "millrace"), 0.1,
                        ("p100", "kafka-flush")))
    return Row("5", "Produce latency with fsync, 16 KiB batches at 1k, 4k and 10k per second", cells, tuple(checks))


def row6():
    cell = Cell("1k", "latency", ("millrace", "kafka"), rate=1000)
    of = ("1k", "millrace")
    return Row("6", "End to end, one producer, one long-polling consumer, 1,000 records/s", (cell,), (
        Check("p50 ms", "p50_ms", of, 0.6), Check("p99 ms", "p99_ms", of, 1.5),
        Check("p50, of Kafka", "p50_ms", of, 0.25, ("1k", "kafka")),
        Check("p99, of Kafka", "p99_ms", of, 0.25, ("1k", "kafka"))))


def row7():
    cells = (Cell("500/s", "pump", ("floor", "millrace"), replication=3, rate=500),
             Cell("256k", "pump", ("floor-append", "millrace"), replication=3, batch=256 * KIB, connections=1))
    return Row("7", "Replication 3, acks=all, fsync on all three: latency of 16 KiB at 500/s, MB/s of 256 KiB", cells, (
        Check("p50, of the three-process floor", "p50_ms", ("500/s", "millrace"), 2, ("500/s", "floor")),
        Check("p99, of the three-process floor", "p99_ms", ("500/s", "millrace"), 2, ("500/s", "floor")),
        Check("MB/s, of the floor that appends", "mb_per_s", ("256k", "millrace"), 0.85, ("256k", "floor-append"), True)))


def row8():
    counts = (10, 1000, 10000, 100000)
    cells = tuple(Cell("p%d" % n, "pump", ("millrace",), rate=BATCHES_50, partitions=n, every_partition=True,
                       share="p%d" % n, once_s=3 + n / 500) for n in counts)
    checks = []
    for cell, cpu, p99 in zip(cells[1:], (1.15, 1.5, 2.5), (1.5, 2, 4)):
        of, base = (cell.name, "millrace"), ("p10", "millrace")
        checks += [Check("%s, CPU per GB of 10 partitions'" % cell.name, "cpu_s_per_gb", of, cpu, base),
                   Check("%s, p99 of 10 partitions'" % cell.name, "p99_ms", of, p99, base)]
    return Row("8", "50 MB/s over 10, 1k, 10k and 100k partitions, each of which has had a record", cells, tuple(checks))


def row9():
    cell = Cell("memory", "memory", ("millrace",), batch=256 * KIB, partitions=10000, extra_s=40, rounds=1)
    of = ("memory", "millrace")
    return Row("9", "Memory of the storage node", (cell,), (
        Check("idle, MB", "idle_mb", of, 15), Check("idle partition, bytes", "partition_bytes", of, 2048),
        Check("idle connection, bytes", "connection_bytes", of, 16384),
        Check("256 KiB batches at the highest rate with 5,000 connections, MB", "load_mb", of, 128)))


def row10():
    cells = tuple(Cell("p%d" % n, "start", ("millrace",), partitions=n, every_partition=n > 0, seconds=0, warm=0,
                       share="p%d" % n, extra_s=1 + n / 8000, once_s=3 + n / 500,
                       rounds=5 if n < 100000 else 3) for n in (0, 10000, 100000))
    return Row("10", "Storage process, exec to first fsynced acknowledgement; every partition has a record", cells, tuple(
        Check("%s, ms" % c.name, "start_ms", (c.name, "millrace"), limit) for c, limit in zip(cells, (50, 150, 1000))))


def row11():
    cells = (Cell("kill", "failover", ("millrace",), partitions=6, replication=3, trials=50, seconds=0, warm=0, rounds=1,
                  extra_s=150),
             Cell("stop", "failover", ("millrace",), partitions=6, replication=3, trials=5, seconds=0, warm=0, rounds=1,
                  extra_s=40))
    return Row("11", "Leader killed (-9) or stopped, replication 3, to the next acknowledgement (raw client with retry)",
               cells, (Check("kill p50, ms", "p50_ms", ("kill", "millrace"), 100),
                       Check("kill p99, ms", "p99_ms", ("kill", "millrace"), 300),
                       Check("stop, longest, ms", "max_ms", ("stop", "millrace"), 1500)))


def row12():
    cells = tuple(Cell("%dg" % gb, "recovery", ("millrace",), fill=gb * GB, batch=256 * KIB, rate=200, seconds=0, warm=2,
                       extra_s=2, once_s=5 + 3 * gb) for gb in (1, 10))
    return Row("12", "Crash recovery: killed (-9) under 50 MB/s, exec to the next acknowledgement", cells, (
        Check("1 GB, ms", "start_ms", ("1g", "millrace"), 150), Check("10 GB, ms", "start_ms", ("10g", "millrace"), 150),
        Check("10 GB, of 1 GB", "start_ms", ("10g", "millrace"), 1.2, ("1g", "millrace"))))


def row13():
    cell = Cell("cold", "catchup", ("millrace",), fill=10 * GB, rate=BATCHES_50, partitions=4, extra_s=15, once_s=40, rounds=3,
                seconds=10)
    of = ("cold", "millrace")
    return Row("13", "10 GB read from cold disk beside 50 MB/s of produce", (cell,), (
        Check("produce p99, of without the reader", "p99_growth", of, 2),
        Check("catch-up, of a cold read of the disk", "cold_share", of, 0.7, None, True)))


def row14():
    cell = Cell("idle", "idle", ("millrace",), partitions=1000, rounds=1, warm=5, seconds=20)
    of = ("idle", "millrace")
    return Row("14", "Idle, 1,000 partitions", (cell,), (
        Check("storage node, % of a core", "idle_cpu_percent", of, 0.2),
        Check("storage node, bytes written", "idle_written_bytes", of, 0)))


ROWS = (row1(), row2(), row5(), row6(), row3(), row4(), row7(), row8(), row9(), row10(), row11(), row12(), row13(), row14())


def grid():
    """With replication 3 on two cores what counts is CPU per GB at a rate all can hold, not throughput."""
    for size, codec, partitions, replication in itertools.product(
            (100, KIB, 16 * KIB), ("none", "lz4", "zstd"), (1, 16, 1000), (1, 3)):
        systems = (("floor",) if partitions <= 16 else ()) + ("millrace",) + (KAFKAS if replication == 1 else ("kafka",))
        yield Cell("%d-%s-p%d-r%d" % (size, codec, partitions, replication), "pump", systems, record=size, codec=codec,
                   batch=max(16 * KIB, 4 * size), partitions=partitions, replication=replication,
                   rate=0 if replication == 1 else 300, seconds=10, warm=3)


GRID = Row("grid", "Sizes, codecs, partitions and replication", tuple(grid()), ())
