# SPDX-License-Identifier: Apache-2.0
# Compaction seen from outside: topics of cleanup.policy=compact and __consumer_offsets stop growing, keep the newest
# record of every key at its offset over restarts, and a follower that starts from nothing takes the gaps as they are.
import glob
import os
import socket
import struct

from cluster import Cluster, wait_until

KEYS = 40
CLEANER = {"storage": {"log.cleaner.backoff.ms": 100}}
COMPACTED = {"cleanup_policy": "compact", "segment_bytes": 20000, "min_cleanable_dirty_ratio": 0.01}


def log_bytes(node, topic):
    total = 0
    for path in glob.glob(os.path.join(node.data, topic + "-*", "*.log")):
        try:
            total += os.path.getsize(path)
        except FileNotFoundError:
            pass  # a segment that was just replaced
    return total


def produce_rounds(cluster, topic, first, last):
    """Each round writes every key once, with the round's number."""
    for begin in range(first, last, 20):
        cluster.produce(topic, [("key-%d" % k, "%d" % r) for r in range(begin, begin + 20) for k in range(KEYS)])


def check_newest(cluster, topic, rounds):
    records = cluster.consume(topic, "-o", "beginning")
    offsets = [offset for _, offset, _, _ in records]
    assert offsets == sorted(set(offsets))
    newest = {key: (offset, value) for _, offset, key, value in records}
    for k in range(KEYS):  # record k of the last round is where it was written
        assert newest["key-%d" % k] == ((rounds - 1) * KEYS + k, "%d" % (rounds - 1))
    return records


def wait_small(nodes, topic, most):
    wait_until(lambda: all(log_bytes(node, topic) < most for node in nodes), 60,
               "a smaller %s than %r" % (topic, [log_bytes(node, topic) for node in nodes]))


def test_the_newest_of_every_key_stays_over_restarts_and_reaches_a_new_follower():
    with Cluster(controllers=1, storage=3, settings=CLEANER) as cluster:
        late = cluster.storage[2]
        late.stop()
        cluster.create_topic("c", replication=3, **COMPACTED)
        produce_rounds(cluster, "c", 0, 100)
        wait_small(cluster.storage[:2], "c", 90000)  # of about 4000 records in some 200 kB
        # The sizes may have been read while segments changed places: what is read decides.
        wait_until(lambda: len(check_newest(cluster, "c", 100)) < 100 * KEYS / 2, 60, "fewer records")
        late.start()
        cluster.wait_isr("c", 3)
        assert log_bytes(late, "c") < 100000, "it was given what the others have"
        for node in cluster.storage:
            node.kill()
        cluster.restart_all()
        check_newest(cluster, "c", 100)
        produce_rounds(cluster, "c", 100, 160)
        wait_small(cluster.storage, "c", 90000)
        for node in cluster.storage[:2]:  # the late one alone has it all
            node.stop()
        wait_until(lambda: cluster.partition("c")["leader"] == late.id, 30, "the late one to lead")
        check_newest(cluster, "c", 160)
        assert all(node.metric("millrace_log_uncleanable") == 0 for node in [late])


def test_tombstones_take_their_keys_away():
    with Cluster(settings=CLEANER) as cluster:
        cluster.create_topic("c", delete_retention_ms=100, **COMPACTED)
        produce_rounds(cluster, "c", 0, 20)
        cluster.kcat("-P", "-t", "c", "-K", "\t", "-Z", input="".join("key-%d\t\n" % k for k in range(10)))

        def gone():
            cluster.produce("c", [("other", "x" * 500)] * 30)  # segments roll, and there is something to clean
            keys = {key for _, _, key, _ in cluster.consume("c", "-o", "beginning")}
            assert all("key-%d" % k in keys for k in range(10, KEYS))
            return not any("key-%d" % k in keys for k in range(10))
        wait_until(gone, 60, "the tombstones to go", every=0.2)


# ---- __consumer_offsets ----

def text(value):
    return struct.pack(">h", len(value)) + value.encode()


class Committer:
    """Commits offsets of a group that has no members, one after the other (OffsetCommit version 2)."""

    def __init__(self, node):
        self.socket = socket.create_connection(("127.0.0.1", node.kafka_port), 10)
        self.socket.settimeout(30)
        self.id = 0

    def commit(self, group, topic, offset):
        self.id += 1
        body = text(group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1) + text(topic)
        body += struct.pack(">iiq", 1, 0, offset) + text("where it is")
        frame = struct.pack(">hhi", 8, 2, self.id) + text("test") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        answer = self._take(struct.unpack(">i", self._take(4))[0])
        return struct.unpack(">h", answer[-2:])[0]

    def _take(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, "closed"
            data += more
        return data


def committed(cluster, group):
    answer = cluster.cli("group", "describe", group, "--json", check=False)
    return answer.stdout


def test_consumer_offsets_stay_small():
    settings = {"storage": CLEANER["storage"],
                "controller": {"offsets.topic.segment.bytes": 20000, "offsets.topic.num.partitions": 1}}
    with Cluster(controllers=1, storage=2, coordinators=1, settings=settings) as cluster:
        cluster.create_topic("t", replication=2)
        cluster.produce("t", ["x"] * 50)
        committer = Committer(cluster.storage[0])
        wait_until(lambda: committer.commit("g", "t", 0) == 0, 30, "a first commit")
        for i in range(3000):
            assert committer.commit("g" if i % 3 else "other", "t", i % 50) == 0
        assert committer.commit("g", "t", 42) == 0
        assert committer.commit("other", "t", 17) == 0
        wait_small(cluster.storage, "__consumer_offsets", 60000)  # of some 400 kB
        for daemon in cluster.storage + cluster.coordinators:
            daemon.kill()
        cluster.restart_all()
        for group, offset in (("g", 42), ("other", 17)):
            wait_until(lambda: '"committed":%d' % offset in committed(cluster, group).replace(" ", ""), 30,
                       "offset %d of %s" % (offset, group))
        committer = Committer(cluster.storage[1])
        wait_until(lambda: committer.commit("g", "t", 43) == 0, 30, "commits to go on")
