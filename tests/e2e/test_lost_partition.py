# SPDX-License-Identifier: Apache-2.0
# A partition whose files are gone is lost, not empty: the replica leaves the ISR before it starts anew.
import glob
import os
import shutil

import pytest

from cluster import Cluster, wait_until

THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2}}


def directory(node, name):
    found = glob.glob(os.path.join(node.data, "**", name), recursive=True)
    assert len(found) == 1, found
    return found[0]


def values(cluster):
    return sorted(int(v) for _, _, _, v in cluster.consume("t"))


def test_a_replica_whose_directory_is_gone_is_filled_again():
    records = [("k", str(n)) for n in range(500)]
    with Cluster(controllers=1, storage=3, coordinators=1, settings=THREE) as cluster:
        cluster.produce("t", records)
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        leader.stop()  # the recovery point is written: from now on the files are missed
        shutil.rmtree(directory(leader, "t-0"))
        leader.start().wait_ready()
        assert "partition is lost" in leader.log()
        cluster.wait_isr("t", 3)
        other = next(d for d in cluster.daemons if d.role == "storage" and d is not leader)
        other.stop()
        assert values(cluster) == list(range(500))


def test_the_only_replica_whose_directory_is_gone_is_offline_not_empty():
    with Cluster(controllers=1, storage=1, coordinators=1) as cluster:
        cluster.produce("t", [("k", str(n)) for n in range(50)])
        node = cluster.leader("t")
        node.stop()
        shutil.rmtree(directory(node, "t-0"))
        node.start()
        wait_until(lambda: "replica has lost its data" in "".join(d.log() for d in cluster.daemons), 20,
                   "the controller to hear of the loss")
        wait_until(lambda: cluster.partition("t")["leader"] == -1, 10, "the partition to be offline")


def damage_metadata(node):
    path = os.path.join(directory(node, "t-0"), "partition.metadata")
    with open(path, "r+b") as file:
        file.write(b"w")  # one bit of "version: 0"


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.parametrize("absent", [False, True])
def test_the_only_replica_without_a_readable_topic_id_is_known_by_its_name(kill, absent):
    # Killed, a part of the records may be in the journal alone, which then knows the id.
    with Cluster(controllers=1, storage=1, coordinators=1) as cluster:
        for first in (0, 25):
            cluster.produce("t", [("k", str(n)) for n in range(first, first + 25)])
        node = cluster.leader("t")
        path, good = topic_id_line(node)
        (node.kill if kill else node.stop)()
        if not kill:
            node.forget_stop()
        (os.unlink(path) if absent else damage_metadata(node))
        node.start().wait_ready()
        wait_until(lambda: cluster.partition("t")["leader"] == node.id, 20, "the partition to be led")
        assert values(cluster) == list(range(50))
        assert "is repaired by the name" in node.log() or (kill and "the journal has it" in node.log())
        wait_until(lambda: os.path.exists(path) and topic_id_line(node)[1] == good, 5, "the file to be as before")


def test_records_without_a_readable_topic_id_and_a_topic_are_not_removed():
    with Cluster(controllers=1, storage=2, coordinators=1) as cluster:
        cluster.create_topic("t", replication=1)
        cluster.produce("t", [("k", str(n)) for n in range(50)])
        node = cluster.leader("t")
        node.stop()
        node.forget_stop()
        damage_metadata(node)
        cluster.cli("topic", "delete", "t")
        node.start().wait_ready()
        assert "partition is lost: its partition.metadata" in node.log()
        wait_until(lambda: strays(node), 10, "the files to be set aside")
        assert [os.path.getsize(path) > 0 for path in strays(node)] == [True]


def test_a_replica_without_a_readable_topic_id_is_filled_again():
    with Cluster(controllers=1, storage=3, coordinators=1, settings=THREE) as cluster:
        cluster.produce("t", [("k", str(n)) for n in range(500)])
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        leader.stop()
        leader.forget_stop()
        damage_metadata(leader)
        leader.start().wait_ready()
        assert "partition is lost" in leader.log()
        cluster.wait_isr("t", 3)
        next(d for d in cluster.daemons if d.role == "storage" and d is not leader).stop()
        assert values(cluster) == list(range(500))


def topic_id_line(node):
    path = os.path.join(directory(node, "t-0"), "partition.metadata")
    with open(path, "rb") as file:
        return path, file.read()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


@pytest.mark.parametrize("kill", [False, True])
def test_one_flipped_bit_in_the_topic_id_costs_no_record(kill):
    # Killed, a part of the records is in the journal alone, under the true id.
    with Cluster() as cluster:
        cluster.produce("t", [str(n) for n in range(50)])
        node = cluster.leader("t")
        (node.kill if kill else node.stop)()
        path, good = topic_id_line(node)
        flips = (good[-10] ^ 1 << bit for bit in range(7))
        other = next(flip for flip in flips if chr(flip).isalnum())  # it stays an id, whatever it was
        write(path, good[:-10] + bytes([other]) + good[-9:])
        node.start().wait_ready()
        wait_until(lambda: cluster.partition("t")["leader"] == node.id, 10, "the partition to be led")
        assert values(cluster) == list(range(50))
        wait_until(lambda: "partition.metadata was damaged and is repaired" in node.log(), 10, "the node to see it")
        wait_until(lambda: topic_id_line(node)[1] == good, 5, "the file to be as before")


def another_id(node):
    path, good = topic_id_line(node)
    write(path, good[:-22] + b"xT0yK2pQRZuHn4bq8cW1Eg")
    return os.path.getsize(os.path.join(directory(node, "t-0"), "%020d.log" % 0))


def strays(node):
    return glob.glob(os.path.join(node.data, "t-0.*-stray", "*.log"))


def test_files_with_the_id_of_another_topic_are_kept_and_the_partition_is_not_empty():
    with Cluster() as cluster:
        cluster.produce("t", [str(n) for n in range(50)])
        node = cluster.leader("t")
        node.stop()
        node.forget_stop()
        size = another_id(node)
        node.start().wait_ready()
        wait_until(lambda: cluster.partition("t")["leader"] == -1, 10, "the partition to be offline")
        wait_until(lambda: strays(node), 5, "the files to be set aside")
        for _ in range(2):
            assert [os.path.getsize(path) for path in strays(node)] == [size]
            assert "carry the id of another topic log=t-0" in node.log()
            node.restart().wait_ready()
            wait_until(lambda: cluster.partition("t")["leader"] == -1, 10, "the partition to stay offline")


def test_a_replica_with_the_id_of_another_topic_is_filled_again():
    with Cluster(controllers=1, storage=3, coordinators=1, settings=THREE) as cluster:
        cluster.produce("t", [("k", str(n)) for n in range(500)])
        cluster.wait_isr("t", 3)
        leader = cluster.leader("t")
        leader.stop()
        leader.forget_stop()
        another_id(leader)
        leader.start().wait_ready()
        wait_until(lambda: strays(leader), 5, "the files to be set aside")
        cluster.wait_isr("t", 3)
        assert leader.metric("millrace_storage_strays_total") == 1
        next(d for d in cluster.storage if d is not leader).stop()
        assert values(cluster) == list(range(500))
