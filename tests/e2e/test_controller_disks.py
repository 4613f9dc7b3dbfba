# SPDX-License-Identifier: Apache-2.0
# Damage and full disks at controllers: one of three has a byte of a file flipped while it is down. It mends the file or
# refuses it by name, in one line; the other two go on, an empty directory in its place is filled by them, and nothing that
# was acknowledged is lost. A controller without any space left goes on voting.
import glob
import os
import shutil

import pytest

from cluster import Cluster, wait_until
from small_disk import fill_disk, small_disk

SETTINGS = {"controller": {"metadata.log.max.record.entries.between.snapshots": 30},
            "all": {"default.replication.factor": 1}}
COPY = 4096  # where hard-state has its second copy
FILES = [("log", 20), ("log", 90), ("log", -3), ("snapshot-*", 40), ("snapshot-*", 300), ("hard-state", 20),
         ("meta.properties", 15)]


def flip(path, at):
    with open(path, "r+b") as file:
        at = at if at >= 0 else os.path.getsize(path) + at
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def topics(cluster):
    return {topic["topic"] for topic in cluster.metadata()["topics"]}


def create(cluster, names):
    for name in names:
        wait_until(lambda name=name: cluster.cli("topic", "create", name, check=False).returncode == 0 or
                   name in topics(cluster), 30, "a topic to be made", every=0.2)


def one_away(cluster, controller, names):
    """Without that one, topics are made: the other two are a majority."""
    controller.stop()
    create(cluster, names)
    controller.start()


def fill(cluster):
    names = ["t%d" % n for n in range(40)]
    create(cluster, names)
    cluster.produce("t0", ["%d" % n for n in range(20)])
    return names


@pytest.mark.parametrize("name,at", FILES)
def test_a_flipped_byte_of_one_of_three(name, at):
    with Cluster(controllers=3, settings=SETTINGS) as cluster:
        names = fill(cluster)
        victim, second, third = cluster.controllers
        wait_until(lambda: glob.glob(os.path.join(victim.data, "snapshot-*")), 20, "a snapshot")
        victim.stop()
        path = sorted(glob.glob(os.path.join(victim.data, name)))[-1]
        flip(path, at)
        if name == "hard-state":
            flip(path, COPY + at)
        before = len(victim.log())
        victim.start()
        assert victim.process.wait(20) not in (0, -9)
        told = [line for line in victim.log()[before:].splitlines() if os.path.basename(path) in line]
        assert len(told) == 1 and "ERROR" in told[0], told
        create(cluster, ["meanwhile"])
        shutil.rmtree(victim.data)
        os.makedirs(victim.data)
        victim.start().wait_ready()
        wait_until(lambda: glob.glob(os.path.join(victim.data, "snapshot-*")), 20, "the snapshot of the others")
        one_away(cluster, second, ["without-second"])
        one_away(cluster, third, ["without-third"])
        assert topics(cluster) >= {*names, "meanwhile", "without-second", "without-third"}
        assert len(cluster.consume("t0")) == 20


@pytest.mark.parametrize("at", [20, COPY + 20])
def test_one_copy_of_the_vote_is_mended_by_the_other(at):
    with Cluster(controllers=3, settings=SETTINGS) as cluster:
        victim = cluster.controllers[0]
        victim.stop()
        path = os.path.join(victim.data, "hard-state")
        with open(path, "rb") as file:
            right = file.read()
        flip(path, at)
        victim.start().wait_ready()
        assert len([line for line in victim.log().splitlines() if "hard-state" in line and "WARN" in line]) == 1
        victim.stop()
        with open(path, "rb") as file:
            found = file.read()
        assert found[:64] == found[COPY:COPY + 64] and found[8:12] == right[8:12]


@pytest.fixture
def on_small_disk():
    """Three controllers, the first with a small file system to itself."""
    cluster = Cluster(controllers=3)
    with small_disk(cluster, cluster.controllers[0], 40 << 20):
        yield cluster, cluster.controllers[0]


def test_a_controller_on_a_full_disk_votes(on_small_disk):
    cluster, node = on_small_disk
    create(cluster, ["before"])
    filler = fill_disk(node)
    assert os.statvfs(node.data).f_bavail == 0
    for number, other in enumerate(cluster.controllers[1:] * 2):  # it is needed for each of these majorities
        one_away(cluster, other, ["full%d" % number])
        other.wait_ready()
    assert node.running() and node.log().count("ERROR") == 0
    assert topics(cluster) >= {"before", *("full%d" % number for number in range(4))}
    node.restart()  # nor does it need any to start
    one_away(cluster, cluster.controllers[1], ["after"])
    os.remove(filler)
    assert node.running()
