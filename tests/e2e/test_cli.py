# SPDX-License-Identifier: Apache-2.0
# `millrace` as people use it: a cluster started, looked at, killed in parts and as a whole, stopped, started again on
# the same data; and every admin command against it, for people and as JSON.
import json
import os
import signal
import subprocess
import time

import pytest

import cluster as lib
from rest import Registry

pytestmark = pytest.mark.skipif(
    not lib.have("millrace", "millrace-controller", "millrace-storage", "millrace-coordinator", "millrace-registry"),
    reason="the daemons are not built")


class Cli:
    """Runs `millrace` with a data directory and registry of its own, so that it meets no other cluster."""

    def __init__(self, tmp_path):
        self.data = str(tmp_path / "data")
        self.ready = str(tmp_path / "ready.json")
        runtime = tmp_path / "runtime"
        runtime.mkdir(mode=0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(runtime))
        self.env.pop("MILLRACE_DATA", None)
        self.env["MILLRACE_BOOTSTRAP"] = "127.0.0.1:1"

    def code(self, *args):
        return subprocess.run([lib.program("millrace"), *args], env=self.env, capture_output=True,
                              timeout=60).returncode

    def run(self, *args, input=None, code=0, seconds=60):
        done = subprocess.run([lib.program("millrace"), *args], env=self.env, input=input, text=True,
                              capture_output=True, timeout=seconds)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def json(self, *args, **kwargs):
        return json.loads(self.run(*args, "--json", **kwargs))

    def up(self, *args):
        port = lib.free_port()
        self.run("up", "--detach", "--data", self.data, "--port", str(port), "--registry-port", str(lib.free_port()),
                 "--ready-file", self.ready, *args)
        with open(self.ready) as file:
            state = json.load(file)
        self.env["MILLRACE_BOOTSTRAP"] = state["kafka"]
        return state

    def down(self):
        subprocess.run([lib.program("millrace"), "down", "--data", self.data], env=self.env, capture_output=True,
                       timeout=60)


@pytest.fixture
def cli(tmp_path):
    made = Cli(tmp_path)
    yield made
    made.down()


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_paths_too_long_for_a_socket(tmp_path):
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    cli = Cli(deep)
    try:
        cli.up()
        assert len(cli.json("status")["daemons"]) == 4
    finally:
        cli.down()


def test_up_status_down_and_up_again_with_the_same_ports_and_records(cli):
    first = cli.up()
    assert [d["role"] for d in first["daemons"]] == ["controller", "storage", "coordinator", "registry"]
    assert all(alive(d["pid"]) for d in first["daemons"])
    cli.run("produce", "kept", input="one\ntwo\n")
    status = cli.json("status")
    assert [d["state"] for d in status["daemons"]] == ["ready"] * 4
    assert {d["pid"] for d in status["daemons"]} == {d["pid"] for d in first["daemons"]}
    cli.run("down")
    assert not any(alive(d["pid"]) for d in first["daemons"])
    cli.run("status", code=3)
    cli.run("up", "--detach", "--data", cli.data)
    second = cli.json("status")
    places = [[(d["role"], d["id"], d["rpc"], d["http"]) for d in state["daemons"]] for state in (first, second)]
    assert sorted(places[0]) == sorted(places[1])
    assert cli.run("consume", "kept", "-B", "-e").split() == ["one", "two"]


def test_a_registry_is_there_unless_it_is_not_wanted(cli):
    state = cli.up()
    registry = next(d for d in state["daemons"] if d["role"] == "registry")
    assert state["registry"] == "http://" + registry["rest"]
    answer = Registry(state["registry"]).register("s", "\"int\"")
    assert answer.json == {"id": 1}
    cli.run("down")
    assert cli.up("--registries", "0")["registry"] == ""
    assert {d["role"] for d in cli.json("status")["daemons"]} == {"controller", "storage", "coordinator"}


def test_a_daemon_that_died_is_started_again(cli):
    for daemon in cli.up()["daemons"]:
        os.kill(daemon["pid"], signal.SIGKILL)
        lib.wait_until(lambda: all(d["state"] == "ready" and d["pid"] != daemon["pid"]
                                   for d in json.loads(subprocess.run(
                                       [lib.program("millrace"), "status", "--json"], env=cli.env,
                                       capture_output=True, text=True, timeout=20).stdout)["daemons"]),
                       what="%s to be back" % daemon["role"])
    cli.run("produce", "after", input="x\n")


def test_nothing_outlives_a_killed_supervisor(cli):
    state = cli.up()
    os.kill(state["pid"], signal.SIGKILL)
    lib.wait_until(lambda: not any(alive(d["pid"]) for d in state["daemons"]), what="daemons to end")
    # Its lock goes with its last thread, which may be a moment behind the one its children are told of.
    lib.wait_until(lambda: cli.code("status") == 3, 10, what="the supervisor's lock to be free")
    cli.run("up", "--detach", "--data", cli.data)


def test_a_stopped_daemon_is_shown_and_the_others_answer(cli):
    state = cli.up()
    storage = next(d for d in state["daemons"] if d["role"] == "storage")
    os.kill(storage["pid"], signal.SIGSTOP)
    try:
        began = time.monotonic()
        told = {d["role"]: d for d in cli.json("status", code=1)["daemons"]}
        assert time.monotonic() - began < 5
        assert told["storage"]["state"] == "silent" and told["storage"]["kafka"] == storage["kafka"], told
        assert told["coordinator"]["state"] not in ("silent", "down"), told
    finally:
        os.kill(storage["pid"], signal.SIGCONT)


def test_a_cluster_runs_once(cli):
    state = cli.up()
    cli.run("up", "--data", cli.data, code=1)
    assert cli.json("up", "--detach", "--data", cli.data)["pid"] == state["pid"]


def test_ephemeral_takes_free_ports_and_leaves_nothing(cli):
    states = []
    for _ in range(2):
        cli.run("up", "--detach", "--ephemeral", "--storage", "2", "--ready-file", cli.ready)
        with open(cli.ready) as file:
            states.append(json.load(file))
    assert len(states[0]["kafka"].split(",")) == 2
    ports = [{d[k] for s in (state,) for d in s["daemons"] for k in ("kafka", "rpc", "http") if d[k]}
             for state in states]
    assert not ports[0] & ports[1]
    for _ in states:
        cli.run("down")
    assert not any(os.path.exists(state["data"]) for state in states)


def test_a_daemon_that_cannot_start_is_named_with_its_log(cli):
    done = subprocess.run([lib.program("millrace"), "up", "--ephemeral", "--set", "rpc.listen=nowhere"], env=cli.env,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cannot start" in done.stderr and "rpc.listen" in done.stderr


def test_logs_are_in_the_order_of_time(cli):
    cli.up()
    lines = [line.split()[0] for line in cli.run("logs", "-n", "0").splitlines() if line[:2] == "20"]
    assert len(lines) > 5 and lines == sorted(lines)
    assert all(" storage-1 " in line for line in cli.run("logs", "storage-1").splitlines())
    cli.run("logs", "nobody", code=3)


def test_topics(cli):
    cli.up()
    made = cli.json("topic", "create", "orders", "-p", "3", "-c", "retention.ms=60000")
    assert made["partitions"] == 3 and made["replication_factor"] == 1
    cli.run("topic", "create", "orders", code=1)
    cli.run("topic", "create", "orders", "--if-not-exists")
    assert [t["topic"] for t in cli.json("topic", "list")] == ["orders"]
    cli.run("topic", "alter", "orders", "-p", "5", "-c", "max.message.bytes=1000")
    rows = cli.json("topic", "describe", "orders")
    assert [r["partition"] for r in rows] == [0, 1, 2, 3, 4] and {r["leader"] for r in rows} == {1}
    configs = {r["key"]: r["value"] for r in cli.json("config", "list", "--topic", "orders")}
    assert configs == {"retention.ms": "60000", "max.message.bytes": "1000"}
    cli.run("topic", "alter", "orders", "--delete-config", "retention.ms")
    assert [r["key"] for r in cli.json("config", "list", "--topic", "orders")] == ["max.message.bytes"]
    cli.run("topic", "delete", "orders")
    cli.run("topic", "describe", "orders", code=1)
    cli.run("topic", "delete", "orders", code=1)


def test_records_and_groups(cli):
    cli.up()
    cli.run("topic", "create", "t", "-p", "2")
    told = cli.json("produce", "t", "-K", ":", "-z", "lz4", input="".join("k%d:v%d\n" % (i, i) for i in range(100)))
    assert told == {"sent": 100, "acknowledged": 100, "bytes": told["bytes"]}
    records = [json.loads(line) for line in cli.run("consume", "t", "-B", "-e", "--json").splitlines()]
    assert sorted(r["key"] for r in records) == sorted("k%d" % i for i in range(100))
    assert len(cli.run("consume", "t", "-B", "-n", "7").splitlines()) == 7
    assert len(cli.run("consume", "t", "-g", "readers", "-B", "-e").splitlines()) == 100
    assert [g["group"] for g in cli.json("group", "list")] == ["readers"]
    described = cli.json("group", "describe", "readers")
    assert sum(o["committed"] for o in described["offsets"]) == 100 and all(o["lag"] == 0 for o in described["offsets"])
    shown = cli.json("group", "reset-offsets", "readers", "-t", "t", "--to-earliest")
    assert [r["after"] for r in shown] == [0, 0]
    assert cli.run("consume", "t", "-g", "readers", "-e") == "", "only shown, not done"
    cli.run("group", "reset-offsets", "readers", "-t", "t", "--shift-by", "-3", "--execute")
    assert len(cli.run("consume", "t", "-g", "readers", "-e").splitlines()) == 6
    deleted = cli.json("topic", "delete-records", "t", "-p", "0", "--before", "5")
    assert deleted == [{"topic": "t", "partition": 0, "start": 5}]
    assert len(cli.run("consume", "t", "-B", "-e").splitlines()) == 95
    cli.run("topic", "delete-records", "t", "--before", "1000", code=1)
    cli.run("topic", "delete-records", "t", code=2)
    cli.run("topic", "delete-records", "absent", "--before", "1", code=1)
    cli.run("topic", "delete-records", "t", "--before", "-1")
    assert cli.run("consume", "t", "-B", "-e") == ""
    cli.run("group", "delete", "readers")
    cli.run("group", "describe", "readers", code=1)


def test_mistakes_are_told_apart(cli):
    began = time.monotonic()
    cli.run("topic", "list", "--timeout", "1", code=3)
    assert time.monotonic() - began < 10
    cli.run("topics", code=2)
    cli.run("topic", "create", code=2)
    cli.run("up", "--controllers", "2", code=2)
    cli.run("status", "--data", "/nonexistent", code=3)


def test_keys_are_made_once_and_for_the_owner_only(cli, tmp_path):
    keys = tmp_path / "keys"
    cli.run("keygen", "controller:3001", "storage", "--dir", str(keys))
    assert sorted(p.name for p in keys.iterdir()) == ["controller-3001.key", "controller-3001.pub", "storage.key",
                                                      "storage.pub"]
    assert (keys / "storage.key").stat().st_mode & 0o777 == 0o600
    cli.run("keygen", "storage", "--dir", str(keys), code=1)


def test_missing_keys_are_made_and_the_others_kept(cli, tmp_path):
    keys = tmp_path / "keys"
    cli.run("keygen", "storage:1-2", "--dir", str(keys))
    kept = (keys / "storage-1.key").read_text()
    (keys / "storage-2.pub").unlink()
    made = cli.json("keygen", "storage:1-4", "coordinator", "--keep", "--dir", str(keys))
    assert made == {"made": 3}
    assert (keys / "storage-1.key").read_text() == kept
    assert sorted(p.name for p in keys.glob("*.pub")) == ["coordinator.pub"] + ["storage-%d.pub" % i for i in range(1, 5)]
    cli.run("keygen", "storage:4-1", "--dir", str(keys), code=2)
