# SPDX-License-Identifier: Apache-2.0
# One flipped bit in every kind of file of a stopped node, one row each: what the node does with it when it starts. Nothing
# acknowledged is lost by any of them, with three copies or, where the file can be derived or refused, with one.
import glob
import os
import subprocess

import pytest

from cluster import Cluster, wait_until

THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2}}
COUNT = 40

# File, byte of it (negative: from its end), what follows:
#   "serves": the node serves everything as before (derived anew, or of no weight);
#   "refuses": the process ends with an error that names the file;
#   "refills": with one copy the partition serves what is whole, or is offline; with three it is as before.
STORAGE = [
    ("t-0/*0.log", 70, "refills"),
    ("t-0/*0.log", 9, "refills"),
    ("t-0/*0.log", 15, "refills"),
    ("t-0/*0.log", -5, "refills"),
    ("t-0/*0.index", 3, "serves"),
    ("t-0/*0.timeindex", 3, "serves"),
    ("t-0/*.snapshot", 8, "serves"),
    ("t-0/leader-epoch-checkpoint", 0, "serves"),
    ("t-0/partition.metadata", -10, "serves"),
    ("t-0/partition.metadata", 9, "refills"),
    ("meta.properties", 8, "refuses"),
    ("recovery-point-offset-checkpoint", 0, "serves"),
    ("recovery-point-offset-checkpoint", 2, "serves"),
    ("replication-offset-checkpoint", 0, "serves"),
    ("log-start-offset-checkpoint", 0, "serves"),
]
CONTROLLER = [("log", 60), ("log", -3), ("meta.properties", 15)]


def flip(path, at):
    with open(path, "r+b") as file:
        at = at if at >= 0 else os.path.getsize(path) + at
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def find(node, pattern):
    found = sorted(glob.glob(os.path.join(node.data, pattern)))
    assert found, pattern
    return found[0]


def values(cluster):
    return sorted(int(value) for _, _, _, value in cluster.consume("t"))


def fill(cluster):
    cluster.produce("t", [("k" * 1000, str(n)) for n in range(COUNT)], "-X", "enable.idempotence=true", "-X",
                    "batch.num.messages=4")


def read_what_can_be_read(cluster):
    try:
        cluster.consume("t", seconds=3)
    except (AssertionError, subprocess.TimeoutExpired):
        pass


def ends_refusing(daemon, path):
    before = len(daemon.log())
    daemon.start()
    assert daemon.process.wait(20) not in (0, -9)
    assert os.path.basename(path) in daemon.log()[before:]


@pytest.mark.parametrize("pattern,at,what", STORAGE)
def test_the_only_copy(pattern, at, what):
    with Cluster() as cluster:
        fill(cluster)
        node = cluster.storage[0]
        node.stop()
        path = find(node, pattern)
        sizes = {file: os.path.getsize(file) for file in glob.glob(os.path.join(node.data, "t-0", "*.log"))}
        flip(path, at)
        if what == "refuses":
            ends_refusing(node, path)
            flip(path, at)
        node.start().wait_ready()
        if what == "refills":
            read_what_can_be_read(cluster)
            wait_until(lambda: "ERROR" in node.log(), 5, "an error in the log")
            assert {file: os.path.getsize(file) for file in sizes} == sizes, "what is left of it must stay"
        else:
            wait_until(lambda: cluster.partition("t")["leader"] == node.id, 10, "the partition to be led")
            assert values(cluster) == list(range(COUNT))


@pytest.mark.parametrize("role", ["leader", "follower"])
@pytest.mark.parametrize("pattern,at,what", [row for row in STORAGE if row[2] == "refills"])
def test_one_of_three_copies(pattern, at, what, role):
    with Cluster(storage=3, settings=THREE) as cluster:
        cluster.create_topic("t")
        cluster.wait_isr("t", 3)
        fill(cluster)
        leader = cluster.leader("t")
        node = leader if role == "leader" else next(n for n in cluster.storage if n is not leader)
        node.stop()
        flip(find(node, pattern), at)
        node.start().wait_ready()
        cluster.wait_isr("t", 3)
        if role == "leader":
            wait_until(lambda: cluster.leader("t") is node, 30, "the preferred leader to lead again")
        assert wait_until(lambda: values(cluster), 20) == list(range(COUNT))
        cluster.wait_isr("t", 3)
        others = [n for n in cluster.storage if n is not node]
        for other in others[:1]:
            other.stop()
        assert wait_until(lambda: values(cluster), 20) == list(range(COUNT))


@pytest.mark.parametrize("name,at", CONTROLLER)
def test_a_controllers_files_are_refused_by_name(name, at):
    with Cluster() as cluster:
        fill(cluster)
        controller = cluster.controllers[0]
        controller.stop()
        path = os.path.join(controller.data, name)
        flip(path, at)
        ends_refusing(controller, path)
        flip(path, at)
        controller.start().wait_ready()
        wait_until(lambda: cluster.partition("t")["leader"] >= 0, 10, "the partition to be led")
        assert values(cluster) == list(range(COUNT))


@pytest.mark.parametrize("ends", ["time", "restart"])
def test_what_was_verified_once_is_verified_again(ends):
    settings = {"storage": {"log.read.verified.ms": 1500 if ends == "time" else 3600000}}
    with Cluster(settings=settings) as cluster:
        fill(cluster)
        node = cluster.storage[0]
        node.stop()
        node.start().wait_ready()  # it wrote nothing of it
        assert wait_until(lambda: values(cluster), 20) == list(range(COUNT))
        assert node.metric("millrace_log_verified_bytes") > COUNT * 1000 and "ERROR" not in node.log()
        flip(find(node, "t-0/*0.log"), 70)
        if ends == "restart":
            node.stop()
            node.start().wait_ready()
        wait_until(lambda: node.metric("millrace_log_verified_bytes") == 0, 20, "what was verified to be forgotten")
        read_what_can_be_read(cluster)
        wait_until(lambda: "ERROR" in node.log(), 5, "the flipped bit to be seen")
