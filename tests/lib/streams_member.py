# SPDX-License-Identifier: Apache-2.0
# A member of a streams group of KIP-1071 built by hand, so that a test can say what no client would. One request at a time
# on one connection; tasks are sets of "0_1" (active) and "s0_1" (standby). heartbeat() is the bare request; live() does
# what clients do: says what it has when that has changed, takes what it is told.
#
#     member = Member(node, "g", "m1", word_count("in"))
#     member.live()
#     assert member.has == {"0_0", "1_0"}
import struct

from consumer_member import FENCED_EPOCH, NONE, UNKNOWN_MEMBER, Reader
from consumer_member import Member as ConsumerMember
from transactional import Connection, array, compact

HEARTBEAT, DESCRIBE = 88, 89
INVALID_TOPOLOGY = 130
STALE_TOPOLOGY, NO_SOURCES, WRONG_PARTITIONS, NO_INTERNAL, SHUTDOWN, DELAYED = range(6)
LEAVE = -1


def word_count(source, prefix="wc"):
    """Topology of a count by word: {subtopology: {what: topics}}; a topic is a name, or (name, partitions, {config})."""
    return {"0": {"sources": [source], "sinks": [prefix + "-rep"]},
            "1": {"repartition": [(prefix + "-rep", 0, {"cleanup.policy": "delete"})],
                  "changelog": [(prefix + "-log", 0, {"cleanup.policy": "compact"})]}}


def _topic(one):
    name, partitions, configs = one
    pairs = [compact(key) + compact(value) + b"\0" for key, value in configs.items()]
    return compact(name) + struct.pack(">ih", partitions, 0) + array(pairs, True) + b"\0"


def _subtopology(key, parts):
    return (compact(key) + array([compact(name) for name in parts.get("sources", [])], True) +
            array([compact(text) for text in parts.get("regex", [])], True) +
            array([_topic(one) for one in parts.get("changelog", [])], True) +
            array([compact(name) for name in parts.get("sinks", [])], True) +
            array([_topic(one) for one in parts.get("repartition", [])], True) + array([], True) + b"\0")


def _tasks(tasks, role):
    mine = sorted(one[len(role):].split("_") for one in tasks if one.startswith("s") == (role == "s"))
    return array([compact(key) + array([struct.pack(">i", int(p)) for k, p in mine if k == key], True) + b"\0"
                  for key in sorted({key for key, _ in mine})], True)


class Member(ConsumerMember):
    def __init__(self, node, group, member_id, topology, process=None, endpoint=None, topology_epoch=0):
        super().__init__(node, group, member_id)
        self.topology, self.process, self.endpoint = topology, process or member_id, endpoint
        self.topology_epoch, self.endpoint_epoch, self.status, self.endpoints = topology_epoch, 0, {}, None

    def _topology(self):
        subtopologies = [_subtopology(key, parts) for key, parts in self.topology.items()]
        return b"\1" + struct.pack(">i", self.topology_epoch) + array(subtopologies, True) + b"\0"

    def _read_tasks(self, answer, role):
        """None: unchanged."""
        count, found = answer.number(), set()
        for _ in range(count - 1):
            key, partitions = answer.text(), answer.array(lambda: answer.take("i"))
            answer.tags()
            found.update(f"{role}{key}_{p}" for p in partitions)
        return None if count == 0 else found

    def _read_endpoints(self, answer):
        """{port: {(topic, partition)}} of active partitions; None: not told."""
        def topic():
            name, partitions = answer.text(), answer.array(lambda: answer.take("i"))
            answer.tags()
            return {(name, p) for p in partitions}

        def one():
            answer.text()
            port = answer.take("H")
            answer.tags()
            active = set().union(*answer.array(topic))
            answer.array(topic)
            answer.tags()
            return port, active
        count = answer.number()
        return None if count == 0 else dict(one() for _ in range(count - 1))

    def _read(self, answer):
        answer.text()
        self.epoch, self.interval_ms, _, _ = answer.take("iiii")
        self.status = {}
        for _ in range(answer.number() - 1):
            code, text = answer.take("b"), answer.text()
            self.status[code] = text
            answer.tags()
        told = [self._read_tasks(answer, role) for role in ("", "s", "w")]
        self.told = None if told[0] is None else set().union(*told)
        self.endpoint_epoch = answer.take("i")
        self.endpoints = self._read_endpoints(answer)

    def heartbeat(self, epoch=None, owned=None, shutdown=False, **more):
        """The error. epoch: another one than it has; more: fields as they are."""
        epoch = self.epoch if epoch is None else epoch
        joins = epoch == 0
        owned = set() if joins and owned is None else owned
        endpoint = b"\xff" if not (joins and self.endpoint) else b"\1" + compact("h") + struct.pack(">H", self.endpoint) + b"\0"
        body = (compact(self.group) + compact(more.get("member_id", self.id)) +
                struct.pack(">ii", epoch, self.endpoint_epoch) + compact(more.get("instance")) + compact(None) +
                struct.pack(">i", self.rebalance_ms if joins else -1) + (self._topology() if joins else b"\xff") +
                (b"\0\0\0" if owned is None else _tasks(owned, "") + _tasks(owned, "s") + b"\1") +
                compact(self.process if joins else None) + endpoint + b"\0\0\0" + bytes([shutdown]) + b"\0")
        answer = Reader(self.connection.call(HEARTBEAT, 0, body, True))
        _, error, self.message = answer.take("i"), answer.take("h"), answer.text()
        self.told = None
        if error == NONE:
            self._read(answer)
        return error

    def live(self):
        """One heartbeat of an honest client; the error."""
        error = self.heartbeat(owned=self.has if self.changed else None)
        if error == NONE:
            self.changed = self.told is not None
            self.has = self.has if self.told is None else self.told
        elif error in (UNKNOWN_MEMBER, FENCED_EPOCH):
            self.epoch, self.has, self.changed = 0, set(), False
        return error


def describe(node, group):
    """(error, state, group epoch, assignment epoch, {subtopology: source topics})"""
    connection = Connection(node)
    answer = Reader(connection.call(DESCRIBE, 0, array([compact(group)], True) + b"\0\0", True))
    connection.close()
    answer.take("i"), answer.number()
    error, _, _, state = answer.take("h"), answer.text(), answer.text(), answer.text()
    epoch, assignment_epoch, topology = answer.take("i"), answer.take("i"), {}

    def skip_topic():
        answer.text(), answer.take("ih")
        answer.array(lambda: (answer.text(), answer.text(), answer.tags()))
        answer.tags()

    def subtopology():
        key = answer.text()
        topology[key] = answer.array(answer.text)
        answer.array(answer.text)
        answer.array(skip_topic), answer.array(skip_topic)
        answer.tags()
    if answer.take("b") >= 0:
        answer.take("i")
        answer.array(subtopology)
    return error, state, epoch, assignment_epoch, topology
