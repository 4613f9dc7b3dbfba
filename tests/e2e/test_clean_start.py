# SPDX-License-Identifier: Apache-2.0
"""A start behind a clean stop: logs are made from what the stop wrote down, no segment is opened, and Kafka's marker is not
left when something has changed. Behind a crash that goes for the logs that have not changed since. Everything acknowledged
is there each time."""
import os
import shutil

from cluster import Cluster, wait_until

PARTITIONS = 20
RESUMED = "millrace_log_resumed_total"
FILES = (".kafka_cleanshutdown", "millrace-manifest")


def standing(node):
    return [os.path.exists(os.path.join(node.data, name)) for name in FILES]


def produced(cluster, tag):
    """One record in every partition."""
    for partition in range(PARTITIONS):
        cluster.produce("many", ["%s-%d" % (tag, partition)], "-p", partition)
    return {"%s-%d" % (tag, partition) for partition in range(PARTITIONS)}


def consumed(cluster):
    return {value for _, _, _, value in cluster.consume("many")}


def opened_segments(node):
    """Segment files the process holds open."""
    fds = "/proc/%d/fd" % node.pid
    paths = [os.readlink(os.path.join(fds, fd)) for fd in os.listdir(fds)]
    return sum(path.startswith(node.data) and path.endswith(".log") for path in paths)


def test_stops_and_kills_between_records_lose_none():
    with Cluster(storage=1) as cluster:
        node, everything = cluster.storage[0], set()
        cluster.create_topic("many", partitions=PARTITIONS)
        for round in range(3):
            everything |= produced(cluster, "a%d" % round)
            node.stop()
            assert standing(node) == [True, True]
            node.start().wait_ready()
            assert node.metric(RESUMED) >= PARTITIONS
            assert standing(node) == [True, True] and opened_segments(node) == 0

            node.kill()  # nothing has changed: the next start is as quick
            node.start().wait_ready()
            assert node.metric(RESUMED) >= PARTITIONS
            assert consumed(cluster) == everything

            everything |= produced(cluster, "b%d" % round)
            assert standing(node) == [False, True]
            node.kill()
            node.start().wait_ready()
            assert node.metric(RESUMED) == 0
            assert consumed(cluster) == everything


def test_a_kill_opens_the_partitions_that_have_changed():
    with Cluster(storage=1, powercut=True) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("many", partitions=PARTITIONS)
        everything = produced(cluster, "a")
        node.stop()
        node.start().wait_ready()
        for partition in range(3):
            cluster.produce("many", ["b-%d" % partition], "-p", partition)
            everything.add("b-%d" % partition)
            node.cut_power()
            node.start().wait_ready()
            assert node.metric(RESUMED) >= PARTITIONS - 1 - partition
            assert consumed(cluster) == everything


def test_a_directory_removed_while_the_node_was_down_is_noticed():
    with Cluster(storage=1) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("many", partitions=PARTITIONS)
        produced(cluster, "a")
        node.stop()
        shutil.rmtree(os.path.join(node.data, "many-3"))
        node.start().wait_ready()
        assert "partition is lost" in node.log()
        wait_until(lambda: cluster.partition("many", 3)["leader"] < 0, 20, "the partition to have no leader")
        assert cluster.partition("many", 4)["leader"] == node.id


def test_files_removed_while_the_node_was_down_are_noticed_in_the_background():
    with Cluster(storage=1) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("many", partitions=PARTITIONS)
        produced(cluster, "a")
        node.stop()
        os.remove(os.path.join(node.data, "many-3", "0" * 20 + ".log"))
        node.start().wait_ready()
        wait_until(lambda: "files are not as the last stop left them" in node.log(), 30, "the node to notice")
        wait_until(lambda: cluster.partition("many", 3)["leader"] < 0, 20, "the partition to have no leader")
        assert standing(node) == [False, True]
