# SPDX-License-Identifier: Apache-2.0
# AlterReplicaLogDirs (KIP-113): replicas move between the directories of their node while they are written and read; a
# crash at any moment leaves each of them in one directory with all that was acknowledged.
import glob
import os
import random
import shutil
import socket
import struct
import threading
import time

import pytest

from cluster import FAULT_SHIM, Cluster, Load, wait_until
from test_compaction import KEYS, check_newest, produce_rounds
from test_directories import Reader

LOG_DIR_NOT_FOUND, REPLICA_NOT_AVAILABLE, STORAGE_ERROR, INVALID_TOPIC = 57, 9, 56, 17
RATE = "replica.alter.log.dirs.io.max.bytes.per.second"


def with_dirs(count=2, storage=1, **options):
    cluster = Cluster(controllers=1, storage=storage, coordinators=1, **options)
    for node in cluster.storage:
        node.settings["log.dirs"] = ",".join(os.path.join(node.data, name) for name in "abc"[:count])
    return cluster


def path_of(node, name):
    return os.path.join(node.data, name)


def call(node, api, version, body):
    request = struct.pack(">hhih", api, version, 7, -1) + body
    with socket.create_connection(("127.0.0.1", node.kafka_port), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as stream:
            answer = Reader(stream.read(struct.unpack(">i", stream.read(4))[0]))
    assert answer.take("i") == 7 and answer.take("i") == 0
    return answer


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def move(node, name, topic="t", partitions=(0,)):
    """{partition: error code}; name: of a directory, or a whole path."""
    body = struct.pack(">i", 1) + text(os.path.join(node.data, name)) + struct.pack(">i", 1) + text(topic)
    body += struct.pack(">i%di" % len(partitions), len(partitions), *partitions)
    answer = call(node, 34, 1, body)
    results = answer.array(lambda: (answer.text(), answer.array(lambda: (answer.take("i"), answer.take("h")))))
    assert [found for found, _ in results] == [topic]
    return dict(results[0][1])


def where(node, topic="t"):
    """{partition: {directory: (size, lag, future)}}."""
    answer, found = call(node, 35, 1, struct.pack(">i", -1)), {}

    def partition():
        return answer.take("i"), answer.take("q"), answer.take("q"), answer.take("?")

    for _ in range(answer.take("i")):
        answer.take("h")
        directory = os.path.basename(answer.text())
        for _ in range(answer.take("i")):
            name = answer.text()
            for index, size, lag, future in answer.array(partition):
                if name == topic:
                    found.setdefault(index, {})[directory] = (size, lag, future)
    return found


def places(node, topic="t"):
    """{partition: directory}; two of one partition are an error, unless one is a copy."""
    found = {}
    for index, rows in where(node, topic).items():
        found[index], = [directory for directory, row in rows.items() if not row[2]]
    return found


def folders(node, topic="t"):
    return sorted(os.path.relpath(path, node.data) for path in glob.glob(os.path.join(node.data, "?", topic + "-*")))


def wait_moved(node, wanted, topic="t", seconds=60):
    wait_until(lambda: where(node, topic).keys() == wanted.keys() and
               all(list(rows) == [wanted[index]] for index, rows in where(node, topic).items()), seconds,
               "the replicas to be in %s" % wanted)


def wait_folders(node, wanted, seconds=30):
    wait_until(lambda: folders(node) == sorted(wanted), seconds, "the old files to be gone: " + str(folders(node)))


def throttle(cluster, node, rate):
    cluster.cli("config", "set", "%s=%d" % (RATE, rate), "--broker", node.id)


def test_replicas_move_under_load_and_back():
    with with_dirs() as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t", partitions=4, segment_bytes=1 << 20)
        load = Load(cluster, "t", per_second=4000, enable_idempotence="true")
        load.wait_acks(4000)
        other = {"a": "b", "b": "a"}
        for _ in range(4):
            target = {index: other[name] for index, name in places(node).items()}
            for index, name in target.items():
                assert move(node, name, partitions=(index,)) == {index: 0}
            wait_moved(node, target)
            load.wait_acks(2000)
        load.stop()
        load.check()
        assert not load.failed and load.longest_silence < 5
        wait_folders(node, ["%s/t-%d" % (name, index) for index, name in places(node).items()])
        node.restart().wait_ready()
        load.check()


def test_a_move_has_a_rate_is_told_and_can_be_given_up():
    with with_dirs(3) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t")
        cluster.produce("t", ["%01000d" % n for n in range(3000)])
        (home,) = places(node).values()
        first, second = [name for name in "abc" if name != home]
        throttle(cluster, node, 200000)
        assert move(node, first) == {0: 0}
        wait_until(lambda: where(node)[0].get(first, (0, 0, False))[0] > 0, 10, "the copy to grow")
        size, lag, future = where(node)[0][first]
        assert future and 0 < lag < 3000 and size < where(node)[0][home][0]
        assert where(node)[0][home][1:] == (0, False)
        assert glob.glob(os.path.join(node.data, first, "t-0.*-future"))
        assert move(node, first) == {0: 0} and where(node)[0][first][0] >= size  # it goes on
        assert move(node, second) == {0: 0} and set(where(node)[0]) == {home, second}
        assert move(node, home) == {0: 0} and set(where(node)[0]) == {home}
        wait_folders(node, [home + "/t-0"])
        assert move(node, first) == {0: 0}
        before = node.metric("millrace_storage_directory_moved_bytes_total")
        throttle(cluster, node, 400000)
        wait_until(lambda: node.metric("millrace_storage_directory_moved_bytes_total") > before + 800000, 20, "some of it")
        assert where(node)[0][first][2]
        node.kill()
        node.start().wait_ready()  # the copy is still there and is gone on with
        wait_until(lambda: where(node)[0].get(first, (0, 0, False))[2], 10, "the copy")
        assert where(node)[0][first][0] >= 500000
        throttle(cluster, node, 1 << 40)
        wait_moved(node, {0: first})
        wait_folders(node, [first + "/t-0"])
        assert [value for *_, value in cluster.consume("t")] == ["%01000d" % n for n in range(3000)]


def test_a_rate_is_kept():
    with with_dirs() as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t")
        cluster.produce("t", ["%01000d" % n for n in range(4000)])
        (home,) = places(node).values()
        throttle(cluster, node, 1000000)
        began = Load.now()
        move(node, "a" if home == "b" else "b")
        wait_moved(node, {0: "a" if home == "b" else "b"})
        assert Load.now() - began > 3  # 4 MB, of which the last 256 KiB go without


def test_a_move_is_answered_when_no_crash_forgets_it():
    """Also the moves that others keep waiting (a few at a time are copied)."""
    count = 6
    with with_dirs(powercut=True) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t", partitions=count)
        for index in range(count):
            cluster.produce("t", ["%d" % n for n in range(100)], "-p", index)
        throttle(cluster, node, 1)
        target = {index: "b" if name == "a" else "a" for index, name in places(node).items()}
        node.stall_disk()
        answers = {}

        def ask(index):
            answers[index] = move(node, target[index], partitions=(index,))

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(count)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        assert answers == {}, "nothing is durable yet"
        node.stall_disk(False)
        for thread in threads:
            thread.join(20)
        assert answers == {index: {index: 0} for index in range(count)}
        node.cut_power()
        node.start().wait_ready()
        throttle(cluster, node, 1 << 30)
        wait_moved(node, target)


def test_a_move_to_a_directory_that_fails_is_refused():
    with with_dirs(diskfault=True) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t")
        cluster.produce("t", ["a"])
        (home,) = places(node).values()
        other = "b" if home == "a" else "a"
        node.fail_disk("sync", "/%s/" % other)
        assert move(node, other) == {0: STORAGE_ERROR}
        node.heal_disk()
        assert places(node) == {0: home}


def test_what_cannot_be_moved_is_refused():
    with with_dirs(storage=2) as cluster:
        cluster.create_topic("t", partitions=1, replication=1)
        holder = cluster.leader("t")
        other, = [node for node in cluster.storage if node is not holder]
        assert move(holder, "nowhere") == {0: LOG_DIR_NOT_FOUND}
        assert move(holder, "a", partitions=(0, 7))[7] == REPLICA_NOT_AVAILABLE
        assert move(holder, "a", topic="nobody") == {0: REPLICA_NOT_AVAILABLE}
        assert move(other, "b") == {0: REPLICA_NOT_AVAILABLE}
        long = "l" * 249
        cluster.create_topic(long, partitions=2, replication=2)
        errors = {name: move(holder, name, long)[0] for name in "ab"}
        assert sorted(errors.values()) == [0, INVALID_TOPIC]


def test_a_replica_to_come_is_made_where_it_was_asked_for():
    with with_dirs(3, storage=2) as cluster:
        cluster.create_topic("t", partitions=3, replication=1)
        cluster.produce("t", ["%d" % n for n in range(300)])
        for index in range(3):
            holder = cluster.leader("t", index)
            other, = [node for node in cluster.storage if node is not holder]
            assert move(other, "c", partitions=(index,)) == {index: REPLICA_NOT_AVAILABLE}
            cluster.cli("topic", "reassign", "t", "--partition", index, "--replicas", other.id)
            wait_until(lambda: places(other).get(index) == "c", 20, "it to be made there")
        assert sorted(int(value) for *_, value in cluster.consume("t")) == list(range(300))


def test_followers_move_too():
    settings = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2}}
    with with_dirs(storage=3, settings=settings) as cluster:
        cluster.create_topic("t", partitions=3)
        cluster.wait_isr("t", 3, 3)
        load = Load(cluster, "t", per_second=2000, enable_idempotence="true")
        load.wait_acks(1000)
        for _ in range(3):
            for node in cluster.storage:
                for index, name in places(node).items():
                    assert move(node, "b" if name == "a" else "a", partitions=(index,)) == {index: 0}
            load.wait_acks(2000)
        for node in cluster.storage:
            wait_until(lambda: not any(row[2] for rows in where(node).values() for row in rows.values()), 60, "moves")
        load.stop()
        load.check()
        assert not load.failed
        cluster.wait_isr("t", 3, 3)
        cluster.storage[0].stop()
        load.check()


def test_deleted_records_and_deleted_topics_while_it_is_copied():
    with with_dirs() as cluster:
        node = cluster.storage[0]
        for topic in ("t", "gone"):
            cluster.create_topic(topic, segment_bytes=1 << 20)
            cluster.produce(topic, ["%01000d" % n for n in range(5000)])
        throttle(cluster, node, 1500000)
        wanted = {topic: "b" if places(node, topic)[0] == "a" else "a" for topic in ("t", "gone")}
        for topic, name in wanted.items():
            assert move(node, name, topic) == {0: 0}
        wait_until(lambda: all(where(node, t)[0].get(n, (0, 0, 0))[0] > 0 for t, n in wanted.items()), 10, "copies")
        cluster.cli("topic", "delete", "gone")
        cluster.cli("topic", "delete-records", "t", "--partition", "0", "--before", "4500")
        wait_until(lambda: not folders(node, "gone"), 20, "the topic to be gone")
        wait_moved(node, {0: wanted["t"]})
        wait_folders(node, [wanted["t"] + "/t-0"])
        for _ in range(2):
            found = cluster.consume("t")
            assert [int(value) for *_, value in found] == list(range(4500, 5000))
            node.kill()
            node.start().wait_ready()


def test_a_log_without_records_moves_with_its_offsets():
    with with_dirs() as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t")
        cluster.produce("t", map(str, range(100)))
        cluster.cli("topic", "delete-records", "t", "--partition", "0", "--before", "100")
        target = "b" if places(node)[0] == "a" else "a"
        assert move(node, target) == {0: 0}
        wait_moved(node, {0: target})
        for count in (1, 2):
            cluster.produce("t", [str(99 + count)])
            assert [(o, int(v)) for _, o, _, v in cluster.consume("t")] == [(99 + n, 99 + n) for n in range(1, count + 1)]
            node.kill()
            node.start().wait_ready()


def test_a_log_is_compacted_before_while_and_after_it_moves():
    settings = {"storage": {"log.cleaner.backoff.ms": 50}}
    with with_dirs(settings=settings) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t", cleanup_policy="compact", segment_bytes=20000, min_cleanable_dirty_ratio=0.01)
        produce_rounds(cluster, "t", 0, 100)
        throttle(cluster, node, 150000)
        for rounds in range(100, 180, 20):
            target = "b" if places(node)[0] == "a" else "a"
            assert move(node, target) == {0: 0}
            produce_rounds(cluster, "t", rounds, rounds + 20)
            wait_moved(node, {0: target})
            check_newest(cluster, "t", rounds + 20)
        wait_until(lambda: len(check_newest(cluster, "t", 180)) < 180 * KEYS / 2, 60, "fewer records")
        node.kill()
        node.start().wait_ready()
        check_newest(cluster, "t", 180)
        wait_folders(node, [target + "/t-0"])


@pytest.mark.skipif(not os.path.exists(FAULT_SHIM), reason="diskfault.so is not built (sanitizer build)")
def test_a_directory_that_fails_ends_the_moves_to_it():
    with with_dirs(diskfault=True) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t")
        cluster.produce("t", ["%01000d" % n for n in range(3000)])
        (home,) = places(node).values()
        target = "b" if home == "a" else "a"
        throttle(cluster, node, 500000)
        move(node, target)
        wait_until(lambda: where(node)[0].get(target, (0, 0, 0))[0] > 0, 10, "the copy to grow")
        node.fail_disk("sync", "/%s/" % target)
        wait_until(lambda: set(where(node)[0]) == {home}, 20, "the move to be given up")
        cluster.produce("t", ["x"])
        assert len(cluster.consume("t")) == 3001
        node.heal_disk()


@pytest.mark.parametrize("grows", [False, True])
def test_of_a_partition_left_in_two_directories_one_stays(grows):
    """As a death between the two renamings of a move leaves it, or one a little later."""
    with with_dirs() as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t")
        cluster.produce("t", ["%d" % n for n in range(100)])
        (home,) = places(node).values()
        other = "b" if home == "a" else "a"
        node.kill()
        node.start().wait_ready()  # the journal's records are in the segments
        if grows:
            shutil.copytree(path_of(node, home) + "/t-0", path_of(node, other) + "/t-0.kept")
            cluster.produce("t", ["%d" % n for n in range(100, 200)])
        node.kill()
        if grows:
            os.rename(path_of(node, other) + "/t-0.kept", path_of(node, other) + "/t-0")
        else:
            shutil.copytree(path_of(node, home) + "/t-0", path_of(node, other) + "/t-0")
        node.start().wait_ready()
        wait_until(lambda: len(folders(node)) == 1, 20, "one to be removed")
        assert [int(value) for *_, value in cluster.consume("t")] == list(range(200 if grows else 100))
        assert not glob.glob(os.path.join(node.data, "?", "*stray"))
        assert not grows or folders(node) == [home + "/t-0"]


def directory_id(node, name):
    with open(os.path.join(path_of(node, name), "meta.properties"), encoding="utf-8") as file:
        return next(line for line in file if line.startswith("directory.id="))[13:].strip()


def write_origin(node, name, came_from, decided):
    with open(os.path.join(path_of(node, name), "t-0", "millrace-origin"), "w", encoding="utf-8") as file:
        file.write("version: 0\ndirectory_id: %s\ndecided: %d\n" % (directory_id(node, came_from), decided))


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_of_a_move_cut_short_the_directories_say_which_one_counts(decided, names):
    """As a power cut leaves it, on either side of the moment in which the copy takes the other one's place."""
    old, new = names
    with with_dirs() as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t")
        cluster.produce("t", ["%d" % n for n in range(100)])
        move(node, old)
        wait_moved(node, {0: old})
        wait_folders(node, [old + "/t-0"])
        node.kill()
        node.start().wait_ready()  # the journal's records are in the segments
        node.kill()
        shutil.copytree(path_of(node, old) + "/t-0", path_of(node, new) + "/t-0")
        write_origin(node, new, old, decided)
        node.start().wait_ready()
        wait_moved(node, {0: new})
        wait_folders(node, [new + "/t-0"])
        assert [int(value) for *_, value in cluster.consume("t")] == list(range(100))
        origin = os.path.join(path_of(node, new), "t-0", "millrace-origin")
        wait_until(lambda: not os.path.exists(origin), 20, "the move to be over")
        assert move(node, old) == {0: 0}
        wait_moved(node, {0: old})


@pytest.mark.parametrize("power", [False, True])
def test_accidents_while_replicas_move(power):
    rng = random.Random(11)
    with with_dirs(3, powercut=power) as cluster:
        node = cluster.storage[0]
        cluster.create_topic("t", partitions=3, segment_bytes=1 << 20)
        load = Load(cluster, "t", per_second=3000, enable_idempotence="true")
        load.wait_acks(1000)
        for _ in range(8):
            for _ in range(rng.randrange(1, 4)):
                for index in range(3):
                    assert move(node, rng.choice("abc"), partitions=(index,)) == {index: 0}
                load.wait_acks(rng.randrange(100, 1500))
            (node.cut_power if power else node.kill)()
            node.start().wait_ready()
            load.wait_acks(200)
            assert sorted(places(node)) == [0, 1, 2]
        load.stop()
        load.check()
        wait_until(lambda: not any(row[2] for rows in where(node).values() for row in rows.values()), 60, "moves")
        wait_folders(node, ["%s/t-%d" % (name, index) for index, name in places(node).items()])
        assert not glob.glob(os.path.join(node.data, "?", "*stray"))
