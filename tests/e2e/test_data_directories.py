# SPDX-License-Identifier: Apache-2.0
# What is in a data directory and whose it is: a deleted topic's files go on every node, also on one that was down; a
# directory of another cluster or of another node is refused with a message that says so.
import glob
import os
import shutil

import pytest

from cluster import Cluster, wait_until

THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2}}


def folders(node, topic):
    """What the node's disk has of the topic, in whatever state of removal."""
    return [path for path in glob.glob(os.path.join(node.data, "**"), recursive=True)
            if os.path.isdir(path) and os.path.basename(path).startswith(topic + "-")]


def test_a_deleted_topic_leaves_no_files_also_where_a_node_was_down():
    with Cluster(controllers=1, storage=3, settings=THREE) as cluster:
        for topic in ("stays", "goes"):
            cluster.create_topic(topic, partitions=3, replication=3)
            cluster.produce(topic, ["a", "b", "c", "d", "e", "f"], "-p", "1")
            cluster.wait_isr(topic, 3, 3)
        wait_until(lambda: all(folders(node, "goes") for node in cluster.storage), 10, "files of the topic")
        down = cluster.storage[1]
        down.kill()
        cluster.cli("topic", "delete", "goes")
        wait_until(lambda: not any(folders(n, "goes") for n in cluster.storage if n is not down), 20, "the removal")
        assert folders(down, "goes")
        down.start().wait_ready()
        wait_until(lambda: not folders(down, "goes"), 20, "the removal on the node that was down")
        cluster.create_topic("goes", partitions=1, replication=3)
        assert cluster.consume("goes") == []
        assert len(cluster.consume("stays")) == 6
        assert all(folders(node, "stays") for node in cluster.storage)


@pytest.fixture
def two():
    with Cluster() as first, Cluster() as second:
        for cluster in (first, second):
            cluster.produce("t", ["x"])
            cluster.stop()
        yield first, second


def ends_refusing(daemon):
    """What it logs; it must end by itself with an error."""
    before = len(daemon.log())
    daemon.start()
    assert daemon.process.wait(20) not in (0, -9)
    return daemon.log()[before:]


def test_a_directory_of_another_cluster_is_refused(two):
    first, second = two
    ours, theirs = first.storage[0], second.storage[0]
    shutil.rmtree(theirs.data)
    shutil.copytree(ours.data, theirs.data)
    for daemon in second.controllers + second.coordinators:
        daemon.start()
    second.controllers[0].wait_ready()
    assert "another cluster" in ends_refusing(theirs)
    first.restart_all()
    assert [value for _, _, _, value in first.consume("t")] == ["x"], "its own cluster takes it"


def test_a_directory_of_another_node_is_refused(two):
    cluster, _ = two
    cluster.controllers[0].start().wait_ready()
    node = cluster.storage[0]
    node.settings["node.id"] = 7
    assert "belongs to another node" in ends_refusing(node)


def test_a_controllers_directory_of_another_node_is_refused(two):
    controller = two[0].controllers[0]
    controller.settings["node.id"] = 3007
    controller.settings["controller.quorum.voters"] = "3007@127.0.0.1:%d" % controller.rpc_port
    assert "belongs to node.id 3001" in ends_refusing(controller)
