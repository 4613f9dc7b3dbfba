# SPDX-License-Identifier: Apache-2.0
# Real daemons for tests, one library for end-to-end tests, chaos and benchmarks. A Cluster starts controllers, storage
# nodes and coordinators as processes on free ports in a temporary directory, can kill, stop, continue, restart and
# power-cut each, waits for conditions with a deadline, wraps kcat and `millrace`, and cleans up: daemons die with the
# test's process, directories go away. UpCluster is the same seen through `millrace up --ephemeral`.
#
#     with Cluster(storage=3, controllers=3) as cluster:
#         cluster.create_topic("t", partitions=6)
#         cluster.produce("t", ["a", "b"])
#         cluster.storage[0].kill()
import ctypes
import errno
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("MILLRACE_BUILD", os.path.join(ROOT, "build")))
SHIM = os.path.join(BUILD, "lib", "powercut.so")
FAULT_SHIM = os.path.join(BUILD, "lib", "diskfault.so")
LOAD = os.path.join(BUILD, "lib", "load")
RAW = os.path.join(BUILD, "lib", "raw")
LOG_TAIL_LINES = 25
# Below the range the system takes for outgoing connections, so that a daemon finds its port again after a restart.
PORTS = (20000, 31999)
_ports_given, _ports_file = set(), []


def program(name):
    return os.path.join(BUILD, "bin", name)


def have(*names):
    """Whether the programs are built; tests skip with a reason when not."""
    return all(os.access(program(name), os.X_OK) for name in names)


def _claim(port):
    """Keeps the port for this process until it ends, also while the daemon it is for is down: a test that runs beside
    would take it meanwhile. A lock of one byte for each port, in a file all tests of the machine share."""
    if port in _ports_given:
        return False
    if not _ports_file:
        name = os.path.join(tempfile.gettempdir(), "millrace-test-ports")
        _ports_file.append(os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
    try:
        fcntl.lockf(_ports_file[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def free_port():
    for _ in range(1000):
        port = random.randint(*PORTS)
        if not _claim(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port
    raise RuntimeError("no free port in %d..%d" % PORTS)


def wait_until(condition, seconds=20, what=None, every=0.02):
    """Calls condition until it is true and returns its value; fails after the deadline, with what was waited for. An
    exception of the condition counts as false and is named in the failure."""
    end, last = time.monotonic() + seconds, None
    while True:
        try:
            value = condition()
            if value:
                return value
        except Exception as error:  # the condition asks daemons that may be down
            last = error
        if time.monotonic() > end:
            raise AssertionError("waited %.0f s for %s%s" % (
                seconds, what or getattr(condition, "__doc__", None) or "a condition",
                ": %r" % last if last else ""))
        time.sleep(every)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Daemon:
    """One process of ours: fixed ports and directory over restarts."""

    def __init__(self, cluster, role, node_id):
        self.cluster, self.role, self.id = cluster, role, node_id
        self.name = "%s-%d" % (role, node_id)
        self.data = os.path.join(cluster.directory, self.name)
        self.log_path = os.path.join(cluster.directory, "logs", self.name + ".log")
        self.rpc_port, self.http_port = free_port(), free_port()
        self.kafka_port = free_port() if role == "storage" else None
        self.rest_port = free_port() if role == "registry" else None
        self.process = None
        self.settings = {}

    @property
    def address(self):
        return "127.0.0.1:%d" % self.kafka_port

    @property
    def url(self):
        """Of a registry's REST interface."""
        return "http://127.0.0.1:%d" % self.rest_port

    @property
    def pid(self):
        return self.process.pid

    def arguments(self):
        values = {"node.id": self.id, "rpc.listen": "127.0.0.1:%d" % self.rpc_port,
                  "admin.listen": "127.0.0.1:%d" % self.http_port,
                  "controller.quorum.bootstrap.servers": ",".join(
                      "127.0.0.1:%d" % c.rpc_port for c in self.cluster.controllers)}
        if self.role == "controller":
            values["metadata.log.dir"] = self.data
            if not self.cluster.dynamic:
                values["controller.quorum.voters"] = ",".join(
                    "%d@127.0.0.1:%d" % (c.id, c.rpc_port) for c in self.cluster.controllers)
            elif self.begins():
                del values["controller.quorum.bootstrap.servers"]
        if self.role == "storage":
            values["log.dirs"] = self.data
            values["listeners"] = values["advertised.listeners"] = "PLAINTEXT://" + self.address
        if self.role == "registry":
            values["listeners"] = self.url
        values.update(self.cluster.settings.get("all", {}))
        values.update(self.cluster.settings.get(self.role, {}))
        values.update(self.settings)
        return [argument for key, value in values.items() for argument in ("--set", "%s=%s" % (key, value))]

    def begins(self):
        """Whether it is the one that begins a cluster whose voters are not configured."""
        return self is self.cluster.controllers[0] and not os.path.exists(os.path.join(self.data, "log"))

    def start(self):
        assert self.process is None or self.process.poll() is not None, self.name + " runs already"
        os.makedirs(self.data, exist_ok=True)
        env = dict(os.environ)
        if self.cluster.powercut:
            env.update(LD_PRELOAD=SHIM, POWERCUT_ROOT=self.data)
        if self.cluster.diskfault:
            env.update(LD_PRELOAD=FAULT_SHIM, DISKFAULT_ROOT=self.data, DISKFAULT_CONTROL=self.data + ".fault")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [program("millrace-" + self.role)] + self.arguments() + ["--die-with", str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, preexec_fn=_die_with_parent)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, and waits until it is gone."""
        if self.running():
            self.signal(signal.SIGKILL)
        self.process.wait(10)

    def cut_power(self, wait=True):
        """The process dies and its files fall back to what was synced (the cluster was made with powercut=True)."""
        assert self.cluster.powercut
        self.signal(signal.SIGUSR2)
        if wait:
            assert self.process.wait(30) == -signal.SIGKILL

    def stall_disk(self, stalled=True):
        """While it is stalled no sync ends (the cluster was made with powercut=True)."""
        assert self.cluster.powercut
        if stalled:
            open(self.data + ".stalled", "x", encoding="ascii").close()
        else:
            os.remove(self.data + ".stalled")

    def fail_disk(self, call, part="/", start=1, error=errno.EIO):
        """From the start-th call on, every "read", "write" or "sync" of a file whose path contains part fails (the
        cluster was made with diskfault=True)."""
        assert self.cluster.diskfault
        with open(self.data + ".fault.new", "w", encoding="ascii") as file:
            file.write("%s %s %d %d\n" % (call, part, start, error))
        os.rename(self.data + ".fault.new", self.data + ".fault")

    def heal_disk(self):
        os.remove(self.data + ".fault")

    def stop(self, seconds=20):
        """SIGTERM: drains and ends with exit code 0."""
        self.signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        assert code == 0, "%s ended with %d\n%s" % (self.name, code, self.log_tail())

    def forget_stop(self):
        """Of one that has been stopped: the next start looks at every file, as after a stop by Apache Kafka."""
        os.remove(os.path.join(self.data, "millrace-manifest"))

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def restart(self):
        if self.running():
            self.kill()
        return self.start()

    def http(self, path, seconds=2):
        """(status, text) of an HTTP GET on the admin port."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.http_port, path), timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self):
        if not self.running():
            raise AssertionError("%s has ended with %s\n%s" % (self.name, self.process.poll(), self.log_tail()))
        try:
            return self.http("/health/ready")[0] == 200
        except OSError:
            return False

    def wait_ready(self, seconds=20):
        wait_until(self.ready, seconds, self.name + " to be ready")
        return self

    def metric(self, name):
        """The sum of a metric over its labels; None when there is none."""
        values = [float(line.rsplit(" ", 1)[1]) for line in self.http("/metrics")[1].splitlines()
                  if line.split("{")[0].split(" ")[0] == name]
        return sum(values) if values else None

    def resident_bytes(self):
        with open("/proc/%d/statm" % self.pid, encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_tail(self):
        lines = [line for line in self.log().splitlines() if "__consumer_offsets" not in line]
        return "--- %s\n%s" % (self.name, "\n".join(lines[-LOG_TAIL_LINES:]))


class Clients:
    """What can be done from outside, given self.kafka (bootstrap addresses)."""

    def cli(self, *arguments, input=None, check=True, seconds=60):
        """Runs build/bin/millrace; the completed process with text output."""
        env = dict(os.environ, MILLRACE_BOOTSTRAP=self.kafka)
        done = subprocess.run([program("millrace")] + [str(a) for a in arguments], input=input, env=env,
                              capture_output=True, text=True, timeout=seconds)
        assert not check or done.returncode == 0, "millrace %s: %d\n%s%s" % (
            " ".join(map(str, arguments)), done.returncode, done.stdout, done.stderr)
        return done

    def create_topic(self, name, partitions=1, replication=None, **configs):
        arguments = ["topic", "create", name, "--partitions", partitions]
        if replication:
            arguments += ["--replication-factor", replication]
        for key, value in configs.items():
            arguments += ["--config", "%s=%s" % (key.replace("_", "."), value)]
        return self.cli(*arguments)

    def kcat(self, *arguments, input=None, check=True, seconds=60):
        """Runs kcat against the cluster; the completed process with text output."""
        done = subprocess.run(["kcat", "-b", self.kafka] + [str(a) for a in arguments], input=input,
                              capture_output=True, text=True, timeout=seconds)
        assert not check or done.returncode == 0, "kcat %s: %d\n%s" % (
            " ".join(map(str, arguments)), done.returncode, done.stderr)
        return done

    def produce(self, topic, records, *arguments, seconds=60):
        """records: strings, or (key, value) pairs without tabs and newlines. All are acknowledged when it returns."""
        records = list(records)
        keyed = bool(records) and isinstance(records[0], tuple)
        lines = ["%s\t%s" % r for r in records] if keyed else records
        self.kcat("-P", "-t", topic, *(["-K", "\t"] if keyed else []), *arguments,
                  input="".join(line + "\n" for line in lines), seconds=seconds)

    def consume(self, topic, *arguments, seconds=60):
        """Everything in the topic now: a list of (partition, offset, key, value)."""
        out = self.kcat("-C", "-t", topic, "-e", "-q", "-f", "%p\t%o\t%k\t%s\n", *arguments, seconds=seconds).stdout
        return [(int(p), int(o), k, v) for p, o, k, v in (line.split("\t", 3) for line in out.splitlines())]

    def metadata(self, broker=None):
        """kcat's JSON view of the cluster, or what the broker at this address says."""
        return json.loads(self.kcat(*(["-b", broker] if broker else []), "-L", "-J").stdout)

    def partition(self, topic, index=0):
        """{"leader": id, "isrs": [...], ...} of one partition."""
        found = next(t for t in self.metadata()["topics"] if t["topic"] == topic)
        return next(p for p in found["partitions"] if p["partition"] == index)


class Cluster(Clients):
    def __init__(self, controllers=1, storage=1, coordinators=1, settings=None, powercut=False, directory=None,
                 diskfault=False, dynamic=False, registries=0):
        """settings: {"all" | role: {key: value}}. directory: kept afterwards when given. dynamic: the first controller
        is the only voter, the others follow without a vote until they are given one (KIP-853)."""
        self.settings, self.powercut, self.diskfault, self.dynamic = settings or {}, powercut, diskfault, dynamic
        self.own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="millrace-test-")
        os.makedirs(os.path.join(self.directory, "logs"), exist_ok=True)
        self.controllers, self.storage, self.coordinators = [], [], []
        self.controllers += [Daemon(self, "controller", 3001 + i) for i in range(controllers)]
        self.storage += [Daemon(self, "storage", 1 + i) for i in range(storage)]
        self.coordinators += [Daemon(self, "coordinator", 2001 + i) for i in range(coordinators)]
        self.registries = [Daemon(self, "registry", 4001 + i) for i in range(registries)]

    @property
    def daemons(self):
        return self.controllers + self.storage + self.coordinators + self.registries

    @property
    def kafka(self):
        return ",".join(node.address for node in self.storage)

    def node(self, node_id):
        return next(d for d in self.daemons if d.id == node_id)

    def leader(self, topic, index=0):
        return self.node(self.partition(topic, index)["leader"])

    def start(self, seconds=30):
        for daemon in self.daemons:
            daemon.start()
        for daemon in self.daemons:
            daemon.wait_ready(seconds)
        return self

    def restart_all(self, seconds=30):
        for daemon in self.daemons:
            if not daemon.running():
                daemon.start()
        for daemon in self.daemons:
            daemon.wait_ready(seconds)

    def cut_power(self):
        """Every daemon at once, as if the machine lost its power."""
        for daemon in self.daemons:
            daemon.cut_power(wait=False)
        for daemon in self.daemons:
            daemon.process.wait(30)

    def wait_isr(self, topic, size, partitions=1, seconds=30):
        """Until every partition of the topic has an ISR of that size and a leader."""
        def whole():
            found = next(t for t in self.metadata()["topics"] if t["topic"] == topic)["partitions"]
            return len(found) == partitions and all(
                len(p["isrs"]) == size and p["leader"] >= 0 for p in found)
        wait_until(whole, seconds, "ISRs of %d in %s" % (size, topic), every=0.1)

    def stop(self):
        """Everything in order with SIGTERM: whoever drains still has a controller to talk to."""
        for daemon in self.registries + self.coordinators + self.storage + self.controllers:
            if daemon.running():
                daemon.stop()

    def close(self):
        for daemon in self.daemons:
            if daemon.running():
                daemon.signal(signal.SIGKILL)
        for daemon in self.daemons:
            if daemon.process is not None:
                daemon.process.wait(10)
        if self.own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.print_logs()
            self.close()
            raise

    def __exit__(self, kind, error, trace):
        if kind is not None and not issubclass(kind, KeyboardInterrupt) and kind.__name__ != "Skipped":
            self.print_logs()
        self.close()

    def print_logs(self):
        for daemon in self.daemons:
            if daemon.process is not None:
                print(daemon.log_tail())


class Acknowledgements:
    """What measuring producers share: acks is {partition: [seconds of each acknowledgement]} by now()."""

    def __init__(self):
        self.acks = {}

    @staticmethod
    def now():
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def acknowledged(self, partition, moment):
        self.acks.setdefault(partition, []).append(moment)

    def acknowledged_after(self, moment, partitions):
        return all(self.acks.get(p) and self.acks[p][-1] > moment for p in partitions)

    def longest_gap(self, since=0, partitions=None):
        """The longest time without an acknowledgement in one partition, counting what ended after `since`."""
        gaps = [0.0]
        for p in list(self.acks) if partitions is None else partitions:
            times = list(self.acks[p])
            gaps += [b - a for a, b in zip(times, times[1:]) if b > since]
        return max(gaps)


class Load(Acknowledgements):
    """A producer that goes on through whatever happens (tests/lib/load.c) and remembers what was acknowledged: acked is
    {number: (partition, offset)}, longest_silence the longest time in seconds without any acknowledgement. Record n has
    the key k(n mod keys) and the value n."""

    def __init__(self, cluster, topic, keys=10, per_second=1000, **options):
        super().__init__()
        settings = ["%s=%s" % (name.replace("_", "."), value) for name, value in options.items()]
        self.cluster, self.topic, self.acked, self.failed, self.sent = cluster, topic, {}, {}, None
        self.longest_silence, self._last = 0.0, None
        with open(os.path.join(cluster.directory, "logs", "load-%s.log" % topic), "ab") as log:
            self.process = subprocess.Popen([LOAD, cluster.kafka, topic, str(keys), str(per_second)] + settings,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                            preexec_fn=_die_with_parent)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "ack":
                self.acked[int(words[1])] = (int(words[2]), int(words[3]))
                now = self.now()
                if self._last is not None:
                    self.longest_silence = max(self.longest_silence, now - self._last)
                self._last = now
                self.acknowledged(int(words[2]), now)
            elif words[0] == "fail":
                self.failed[int(words[1])] = words[2]
            else:
                self.sent = int(words[1])

    def wait_acks(self, more, seconds=30):
        goal = len(self.acked) + more
        wait_until(lambda: len(self.acked) >= goal, seconds, "%d more acknowledgements" % more)

    def stop(self, seconds=90):
        """Sends no more and waits for the answers to what was sent."""
        self.process.stdin.close()
        self.process.wait(seconds)
        self.thread.join(10)
        assert self.sent is not None, "the producer ended early"

    def abandon(self):
        """Ends it at once: what is under way stays unknown."""
        self.process.kill()
        self.process.wait(10)
        self.thread.join(10)

    def lost(self, seconds=60):
        """Numbers that were acknowledged and are not where the acknowledgement said."""
        return self._missing(self.cluster.consume(self.topic, seconds=seconds))[0]

    def _missing(self, records):
        """Those numbers, and for the first ones (number, acknowledged place, what is there, where it is). An acknowledged
        offset below 0: librdkafka learnt from a later answer that it was written, but not where."""
        found, places = {}, {}
        for p, o, _, value in records:
            found[(p, o)] = value
            places.setdefault(value, []).append((p, o))
        missing = []
        for number, place in self.acked.items():
            known = place[1] >= 0
            if known and found.get(place) != str(number) or not known and str(number) not in places:
                missing.append(number)
        return sorted(missing), [(n, self.acked[n], found.get(self.acked[n]), places.get(str(n)))
                                 for n in sorted(missing)[:10]]

    def check(self, exactly_once=True, seconds=60):
        """Nothing acknowledged is lost; with an idempotent producer nothing is there twice or out of order."""
        records = self.cluster.consume(self.topic, seconds=seconds)
        lost, examples = self._missing(records)
        assert not lost, "%d of %d acknowledged records are not where they should be: %s" % (
            len(lost), len(self.acked), examples)
        if exactly_once:
            last = {}
            for p, o, key, value in sorted(records, key=lambda r: (r[0], r[1])):
                assert last.get(key, -1) < int(value), "%s after %s for %s in partition %d at %d" % (
                    value, last[key], key, p, o)
                last[key] = int(value)


class Raw(Acknowledgements):
    """The producer with nothing in between (tests/lib/raw.c): one record per partition under way, every tick a new
    try of what was refused or had no answer for call_ms. errors is [(partition, code, moment)]."""

    def __init__(self, cluster, topic, partitions, tick_ms=10, call_ms=30000):
        super().__init__()
        self.errors = []
        numbers = [str(n) for n in (partitions, tick_ms, call_ms)]
        self.process = subprocess.Popen([RAW, cluster.kafka, topic] + numbers, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "ack":
                self.acknowledged(int(words[1]), int(words[3]) / 1e6)
            elif words[0] == "error":
                self.errors.append((int(words[1]), int(words[2]), int(words[3]) / 1e6))

    def close(self):
        self.process.kill()
        self.process.wait(10)
        self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()


class UpCluster(Clients):
    """`millrace up --ephemeral` with the given further arguments; .ready is the ready file's content."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.directory = tempfile.mkdtemp(prefix="millrace-up-")
        self.ready_path = os.path.join(self.directory, "ready.json")
        self.process, self.ready = None, None

    @property
    def kafka(self):
        return self.ready["kafka"]

    def __enter__(self):
        with open(os.path.join(self.directory, "up.log"), "wb") as log:
            self.process = subprocess.Popen(
                [program("millrace"), "up", "--ephemeral", "--ready-file", self.ready_path] + list(self.arguments),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        try:
            wait_until(lambda: os.path.exists(self.ready_path) or self.process.poll() is not None, 30, "the ready file")
            assert self.process.poll() is None, "millrace up has ended"
        except BaseException:
            with open(os.path.join(self.directory, "up.log"), encoding="utf-8", errors="replace") as log:
                print(log.read()[-4000:])
            self.__exit__(None, None, None)
            raise
        with open(self.ready_path, encoding="utf-8") as file:
            self.ready = json.load(file)
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)
