# SPDX-License-Identifier: Apache-2.0
# log.dirs with several entries (KIP-112, KIP-858): partitions spread over them; one that fails, or is missing at a start,
# takes its partitions out of leadership and ISR and nothing else; what it holds is never made anew without leave.
import glob
import os
import shutil
import socket
import struct

import pytest

from cluster import FAULT_SHIM, Cluster, wait_until

THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2}}
PARTITIONS = 6


def with_dirs(count=2, storage=1, **options):
    """A cluster whose storage nodes have count directories each, a, b, ..., in their data directory."""
    cluster = Cluster(controllers=1, storage=storage, coordinators=1, **options)
    for node in cluster.storage:
        node.settings["log.dirs"] = ",".join(os.path.join(node.data, name) for name in "abcdef"[:count])
    return cluster


def folders(node, name):
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(node.data, name, "t-*")))


def fill(cluster, topic="t", count=60):
    for p in range(PARTITIONS):
        cluster.produce(topic, ["%d" % n for n in range(count) if n % PARTITIONS == p], "-p", str(p))


def values(cluster, topic="t"):
    return sorted(int(value) for _, _, _, value in cluster.consume(topic))


def leaders(cluster, topic="t"):
    found = next(t for t in cluster.metadata()["topics"] if t["topic"] == topic)["partitions"]
    return {p["partition"]: p["leader"] for p in found}


def lost_folders(node, name):
    return {int(folder.rsplit("-", 1)[1]) for folder in folders(node, name)}


def test_partitions_spread_over_the_directories_and_come_back():
    with with_dirs(3) as cluster:
        cluster.create_topic("t", partitions=PARTITIONS)
        fill(cluster)
        node = cluster.storage[0]
        assert [len(folders(node, name)) for name in "abc"] == [2, 2, 2]
        for stop in (node.stop, node.kill):
            stop()
            node.start().wait_ready()
            wait_until(lambda: -1 not in leaders(cluster).values(), 10, "leaders")
            assert values(cluster) == list(range(60))
        assert [len(folders(node, name)) for name in "abc"] == [2, 2, 2]


def break_directory(node, name):
    """A file where the directory was: what is below cannot be opened."""
    path = os.path.join(node.data, name)
    os.rename(path, path + ".away")
    open(path, "x", encoding="ascii").close()


def mend_directory(node, name):
    path = os.path.join(node.data, name)
    os.remove(path)
    os.rename(path + ".away", path)


def test_a_directory_missing_at_a_start_costs_its_partitions_alone():
    with with_dirs(2) as cluster:
        cluster.create_topic("t", partitions=PARTITIONS)
        fill(cluster)
        node = cluster.storage[0]
        node.stop()
        gone = lost_folders(node, "a")
        break_directory(node, "a")
        for _ in range(2):
            node.restart().wait_ready()
            wait_until(lambda: {p for p, l in leaders(cluster).items() if l == -1} == gone, 10,
                       "the partitions of one directory to be offline")
        assert "data directory cannot be opened" in node.log()
        cluster.create_topic("u", partitions=2)
        cluster.produce("u", ["1"], "-p", "0")
        assert set(lost_folders(node, "b")) & gone == set()
        node.stop()
        mend_directory(node, "a")
        node.start().wait_ready()
        wait_until(lambda: -1 not in leaders(cluster).values(), 10, "leaders of all")
        assert values(cluster) == list(range(60)) and values(cluster, "u") == [1]


def test_an_empty_directory_in_place_of_a_known_one_is_not_used():
    with with_dirs(2) as cluster:
        cluster.create_topic("t", partitions=PARTITIONS)
        fill(cluster)
        node = cluster.storage[0]
        node.stop()
        gone = lost_folders(node, "a")
        path = os.path.join(node.data, "a")
        os.rename(path, path + ".away")
        node.start().wait_ready()
        wait_until(lambda: {p for p, l in leaders(cluster).items() if l == -1} == gone, 10, "them to be offline")
        assert "is empty while one of this node is missing" in node.log()
        node.stop()
        shutil.rmtree(path)
        os.rename(path + ".away", path)
        node.start().wait_ready()
        wait_until(lambda: -1 not in leaders(cluster).values(), 10, "leaders of all")
        assert values(cluster) == list(range(60))


def test_a_directory_taken_out_of_the_list_is_filled_from_the_others():
    with with_dirs(2, storage=3, settings=THREE) as cluster:
        cluster.create_topic("t", partitions=PARTITIONS)
        fill(cluster)
        cluster.wait_isr("t", 3, PARTITIONS)
        node = cluster.storage[0]
        node.stop()
        node.settings["log.dirs"] = os.path.join(node.data, "b")
        node.start().wait_ready()
        cluster.wait_isr("t", 3, PARTITIONS)
        assert len(folders(node, "b")) == PARTITIONS
        other = cluster.storage[1]
        other.stop()
        assert values(cluster) == list(range(60))


@pytest.mark.skipif(not os.path.exists(FAULT_SHIM), reason="diskfault.so is not built (sanitizer build)")
def test_a_directory_that_fails_takes_its_partitions_along_and_the_last_one_the_process():
    with with_dirs(2, storage=3, settings=THREE, diskfault=True) as cluster:
        cluster.create_topic("t", partitions=PARTITIONS)
        fill(cluster)
        cluster.wait_isr("t", 3, PARTITIONS)
        node = cluster.storage[0]
        failing = lost_folders(node, "a")
        assert 0 < len(failing) < PARTITIONS
        node.fail_disk("sync", "/a/")

        def sizes():
            found = next(t for t in cluster.metadata()["topics"] if t["topic"] == "t")["partitions"]
            return {p["partition"]: len(p["isrs"]) for p in found}

        for n in range(20):
            fill(cluster, count=PARTITIONS)
            if all(sizes()[p] == 2 for p in failing):
                break
        assert sizes() == {p: 2 if p in failing else 3 for p in range(PARTITIONS)}
        assert node.running() and "data directory taken offline" in node.log()
        assert not [p for p, leader in leaders(cluster).items() if leader == node.id and p in failing]
        pid = node.pid
        node.heal_disk()
        cluster.wait_isr("t", 3, PARTITIONS)
        assert node.pid == pid and "data directory works again" in node.log()
        node.fail_disk("sync")
        for n in range(20):
            fill(cluster, count=PARTITIONS)
            if not node.running():
                break
        assert node.process.wait(10) not in (0, -9)
        assert "no data directory can be trusted any more" in node.log()
        cluster.wait_isr("t", 2, PARTITIONS)


class Reader:
    """Kafka's old encoding, field by field."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def text(self):
        length = self.take("h")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def array(self, item):
        return [item() for _ in range(self.take("i"))]


def describe_log_dirs(node, topics=None):
    """DescribeLogDirs version 1: {directory: (error, {(topic, partition): size})}; topics: {name: [partitions]}."""
    body = struct.pack(">i", -1 if topics is None else len(topics))
    for name, partitions in (topics or {}).items():
        body += struct.pack(">h", len(name)) + name.encode()
        body += struct.pack(">i%di" % len(partitions), len(partitions), *partitions)
    request = struct.pack(">hhih", 35, 1, 7, -1) + body
    with socket.create_connection(("127.0.0.1", node.kafka_port), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as stream:
            answer = Reader(stream.read(struct.unpack(">i", stream.read(4))[0]))
    assert answer.take("i") == 7 and answer.take("i") == 0

    def partition(name):
        index, size, lag, future = answer.take("i"), answer.take("q"), answer.take("q"), answer.take("?")
        assert lag == 0 and not future
        return (name, index), size

    def topic():
        name = answer.text()
        return answer.array(lambda: partition(name))

    def directory():
        error, path = answer.take("h"), answer.text()
        return path, (error, dict(pair for pairs in answer.array(topic) for pair in pairs))

    results = answer.array(directory)
    assert answer.at == len(answer.data)
    return dict(results)


STORAGE_ERROR = 56


def test_describe_log_dirs_tells_what_is_where():
    with with_dirs(2) as cluster:
        node = cluster.storage[0]
        paths = node.settings["log.dirs"].split(",")
        for topic in ("t", "u"):
            cluster.create_topic(topic, partitions=PARTITIONS)
            fill(cluster, topic)
        told = describe_log_dirs(node)
        assert sorted(told) == sorted(paths)
        on_disk = {path: {(os.path.basename(f).rsplit("-", 1)[0], int(f.rsplit("-", 1)[1]))
                          for f in glob.glob(path + "/[tu]-*")} for path in paths}
        assert {path: {key for key in found if key[0] in "tu"} for path, (_, found) in told.items()} == on_disk
        node.stop()  # the files have their exact sizes then
        for path, (error, found) in told.items():
            assert error == 0
            for (topic, index), size in found.items():
                segments = glob.glob("%s/%s-%d/*.log" % (path, topic, index))
                assert size == sum(os.path.getsize(segment) for segment in segments)
        break_directory(node, "a")
        node.start().wait_ready()
        asked = {"t": [0, 3, 0, 1000], "nobody": [0], "u": list(range(PARTITIONS))}
        told = describe_log_dirs(node, asked)
        assert told[paths[0]] == (STORAGE_ERROR, {})
        assert set(told[paths[1]][1]) == {key for key in on_disk[paths[1]] if key[1] in asked[key[0]]}
        assert describe_log_dirs(node, {}) == {paths[0]: (STORAGE_ERROR, {}), paths[1]: (0, {})}
