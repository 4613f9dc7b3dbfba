# SPDX-License-Identifier: Apache-2.0
"""What is compared, seen alike: start(), bootstrap, pids of what is measured and of everything, stop(). Brokers run on the
last core and what loads them on the first. Here is also how the kernel is asked what a process uses."""
import collections
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))
import apache_kafka  # noqa: E402
import cluster  # noqa: E402

CORES = sorted(os.sched_getaffinity(0))
LOAD_CORE, BROKER_CORE = {CORES[0]}, {CORES[-1]}
# What bin/kafka-server-start.sh gives the JVM.
KAFKA_OPTIONS = ["-Xms1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                 "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
                 "-Djava.awt.headless=true"]
TOPICS_S = 300
MIB, GIB = 1 << 20, 1 << 30
SPARE_MEMORY, SPARE_DISK = GIB, 40 * GIB  # what FilePages leaves; of the disk what a trial may write


def tool(name):
    return os.path.join(cluster.BUILD, "lib", name)


@contextlib.contextmanager
def on(cores):
    """Processes started inside run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def memory(what):
    """Bytes, by a name of /proc/meminfo."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what + ":")) << 10


class FilePages:
    """Keeps memory full of file pages, as on a machine that has run for hours: new ones take the places of old ones. What is
    free may go back to a virtual machine's host within seconds, and whoever writes to such a page next pays for it
    (PROFILES.md): the first one measured, or the one behind a system that deleted much. So memory is filled before a trial,
    and what a system deletes stays by a second link until as much as memory holds was kept after it."""

    def __init__(self, most):
        """most: how many bytes are kept after a file when it goes; 0: nothing is kept."""
        self.directory, self.kept, self.total = tempfile.mkdtemp(prefix="bench-pages-"), collections.deque(), 0
        self.most, self.holes = most, 0

    def fill(self):
        """Called before a trial: what is free nevertheless is taken by reading a file that has no blocks."""
        part = (memory("MemFree") - SPARE_MEMORY) // len(CORES)
        if not self.most or part < SPARE_MEMORY:
            return
        self.holes += 1
        path = os.path.join(self.directory, "hole-%d" % self.holes)
        with open(path, "wb") as file:
            file.truncate(part * len(CORES))

        def read(begin):
            buffer = bytearray(8 * MIB)
            with open(path, "rb", buffering=0) as file:
                for at in range(begin, begin + part, len(buffer)):
                    os.preadv(file.fileno(), [buffer], at)
        with concurrent.futures.ThreadPoolExecutor(len(CORES)) as pool:
            list(pool.map(read, [part * i for i in range(len(CORES))]))
        self._add(path, part * len(CORES))

    def keep(self, folders):
        """Called before what is in these folders is deleted. What is not on disk yet goes there now, not beside the next
        trial."""
        if not self.most:
            return
        for folder, _, names in (found for place in folders for found in os.walk(place)):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):  # has gone meanwhile, or is here already
                    file = os.stat(path)
                    link = os.path.join(self.directory, str(file.st_ino))
                    if file.st_blocks * 512 >= MIB:
                        os.link(path, link)
                        self._add(link, file.st_size)
        os.sync()

    def _add(self, path, size):
        self.kept.append((path, size))
        self.total += size
        while self.kept and (self.total - self.kept[0][1] >= self.most or
                             shutil.disk_usage(self.directory).free < SPARE_DISK):
            path, size = self.kept.popleft()
            self.total -= size
            os.remove(path)

    def end(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class System:
    """A system under test. jvm: it is kept over rows and warmed up once for long."""
    jvm = False

    def __init__(self, cell):
        self.cell, self.warmed, self.filled, self.pages = cell, False, set(), None

    def create_topic(self, name, partitions, **configs):
        """A topic with the cell's replication; it is there, with leaders, once a generator says so."""
        arguments = [cluster.program("millrace"), "topic", "create", name, "--bootstrap", self.bootstrap, "--partitions",
                     str(partitions), "--replication-factor", str(self.cell.replication), "--timeout", str(TOPICS_S)]
        for key, value in configs.items():
            arguments += ["--config", "%s=%s" % (key.replace("_", "."), value)]
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)

    def delete_topic(self, name):
        """What a trial has written would fill the disk over the rounds."""
        self.pages.keep(self.folders())
        subprocess.run([cluster.program("millrace"), "topic", "delete", name, "--bootstrap", self.bootstrap], check=True,
                       stdout=subprocess.DEVNULL)


class Floor(System):
    """bench/tools/floor.c: one process, or three."""
    text = ("floor: receives, checks the CRC, writes over one recycled file, syncs in groups, acknowledges; nothing else "
            "(`bench/tools/floor.c`)")
    mode = []

    def __init__(self, cell):
        super().__init__(cell)
        self._begin()

    def _begin(self):
        self.directory, self.processes = tempfile.mkdtemp(prefix="bench-floor-"), []

    def _run(self, number, *arguments):
        directory = os.path.join(self.directory, str(number))
        os.mkdir(directory)
        port = cluster.free_port()
        words = [str(port), directory] if arguments else ["follow", str(port), directory]
        with on(BROKER_CORE):
            process = subprocess.Popen([tool("floor")] + self.mode + words + list(arguments), stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("floor does not start")
        return port

    def start(self):
        followers = [str(self._run(i)) for i in range(1, self.cell.replication)]
        self.bootstrap = "127.0.0.1:%d" % self._run(0, str(self.cell.partitions), *followers)

    def create_topic(self, name, partitions, **configs):
        """Every topic is there."""

    def delete_topic(self, name):
        """Its file is of fixed size."""

    def folders(self):
        return [self.directory]

    def pids(self):
        return [process.pid for process in self.processes]

    all_pids = pids

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class FloorAppend(Floor):
    """What is written stays until the trial ends: ext4 has blocks to find and its journal to commit with every sync, and the
    page cache needs new pages, which a virtual machine's host may have to back first (PROFILES.md)."""
    text = "floor-append: the same into a file that grows, as everyone must who keeps what came before"
    mode = ["append"]

    def delete_topic(self, name):
        """Begins anew, with an empty file."""
        self.pages.keep(self.folders())
        self.stop()
        self._begin()
        self.start()


class Millrace(System):
    """One controller, one coordinator, as many storage nodes as the cell has replicas; real daemons."""
    text = "millrace: every batch is fsynced before it is acknowledged (its default)"

    def __init__(self, cell, controllers=1):
        super().__init__(cell)
        with on(BROKER_CORE):
            self.cluster = cluster.Cluster(controllers=controllers, storage=cell.replication)

    def start(self):
        with on(BROKER_CORE):
            self.cluster.start()

    @property
    def node(self):
        return self.cluster.storage[0]

    def start_node(self):
        with on(BROKER_CORE):
            self.node.start()

    @property
    def bootstrap(self):
        return self.node.address

    def folders(self):
        return [daemon.data for daemon in self.cluster.storage]

    def pids(self):
        return [daemon.pid for daemon in self.cluster.storage]

    def all_pids(self):
        return [daemon.pid for daemon in self.cluster.daemons]

    def stop(self):
        self.cluster.close()


class MillraceHeader(Millrace):
    """Topics of which nobody looks at the records (`always` is the default)."""
    text = "millrace, `millrace.validate.records=header`: a batch is taken by its checksum and header"

    def create_topic(self, name, partitions, **configs):
        super().create_topic(name, partitions, millrace_validate_records="header", **configs)


class Kafka(System):
    """KRaft nodes, broker and controller in one process, with the JVM options of Kafka's own start script."""
    text = "Apache Kafka, defaults: acknowledged from the page cache"
    settings = {"log.segment.delete.delay.ms": "1000"}
    jvm = True

    def __init__(self, cell):
        super().__init__(cell)
        self.nodes = apache_kafka.nodes(cell.replication, self.settings, options=KAFKA_OPTIONS)
        self.bootstrap = self.nodes[0].bootstrap

    def start(self):
        with on(BROKER_CORE):
            for node in self.nodes:
                node.launch()
        for node in self.nodes:
            node.wait()

    def folders(self):
        return [folder for node in self.nodes for folder in node.directories]

    def pids(self):
        return [node.process.pid for node in self.nodes]

    all_pids = pids

    def stop(self):
        for node in self.nodes:
            node.stop()


class KafkaFlush(Kafka):
    text = "Apache Kafka, `log.flush.interval.messages=1`: every append is flushed first, as millrace does"
    settings = dict(Kafka.settings, **{"log.flush.interval.messages": "1"})


SYSTEMS = {"floor": Floor, "floor-append": FloorAppend, "millrace": Millrace, "millrace-header": MillraceHeader,
           "kafka": Kafka, "kafka-flush": KafkaFlush}


def key(name, cell):
    """What runs once: a JVM of some size for all rows, what cells share, else a system per cell."""
    return (name, cell.replication if SYSTEMS[name].jvm else cell.share or cell)


class Pool:
    """Systems that run now."""

    def __init__(self, pages):
        self.running, self.pages = {}, pages

    def get(self, name, cell):
        """The system for a trial, and memory as a trial wants it."""
        wanted = key(name, cell)
        if wanted not in self.running:
            self.running[wanted] = SYSTEMS[name](cell)
            self.running[wanted].pages = self.pages
            self.running[wanted].start()
        self.pages.fill()
        return self.running[wanted]

    def end(self, later=()):
        """Stops what is not among the keys used later."""
        for one in set(self.running) - set(later):
            self.pages.keep(self.running[one].folders())
            self.running.pop(one).stop()


def kafka_version():
    names = [path.name for path in apache_kafka.LIB.glob("kafka-clients-*.jar")]
    return names[0][len("kafka-clients-"):-len(".jar")] if names else None


def cpu_s(pids):
    """CPU seconds since the processes began, exact to the nanosecond, ended threads included (the process's CPU clock)."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


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


def resident_bytes(pids):
    pages = 0
    for pid in pids:
        with open("/proc/%d/statm" % pid, encoding="ascii") as file:
            pages += int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def written_bytes(pid):
    """Bytes the process caused to be written to disk."""
    with open("/proc/%d/io" % pid, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("write_bytes"))


def machine_busy_s():
    """CPU seconds of everything on the machine, what the host took away (steal) included."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = (int(n) for n in file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
