# SPDX-License-Identifier: Apache-2.0
# A member of a share group (KIP-932) built by hand, so that a test can say what no client would. One connection to one
# node, which is the group's coordinator and the partitions' leader in one.
#
#     member = Share(node, "g", "m1", ["t"])
#     member.join(2)                           # until it has two partitions
#     records = member.fetch()                 # {(topic, partition): [(first, last, deliveries)]}
#     member.acknowledge({("t", 0): [(0, 4, ACCEPT)]})
import struct
import time

import consumer_member
from consumer_member import Reader
from transactional import Connection, array, compact

HEARTBEAT, DESCRIBE, FETCH, ACKNOWLEDGE, OFFSETS, ALTER, FORGET = 76, 77, 78, 79, 90, 91, 92
NONE, INVALID_REQUEST, NON_EMPTY, NOT_FOUND, FENCED_EPOCH = 0, 42, 68, 69, 110
UNKNOWN_MEMBER, RECORD_STATE, SESSION_NOT_FOUND, SESSION_EPOCH = 25, 121, 122, 123
REPLICA_NOT_AVAILABLE, COORDINATOR_NOT_AVAILABLE = 9, 15
GAP, ACCEPT, RELEASE, REJECT, RENEW = 0, 1, 2, 3, 4
LAST = -1


class Share:
    def __init__(self, node, group, member_id, names):
        self.group, self.id, self.names = group, member_id, names
        self.epoch, self.session, self.has = 0, 0, set()
        self.to(node)

    def to(self, node):
        """Speaks to this node, or to it again after it was started anew: without a session."""
        self.node, self.connection, self.session = node, Connection(node), 0
        self.topics = consumer_member.topics(node)

    def id_of(self, name):
        if name not in self.topics.values():
            self.topics = consumer_member.topics(self.node)
        return next(key for key, value in self.topics.items() if value == name)

    def heartbeat(self, epoch=None):
        """The error."""
        epoch = self.epoch if epoch is None else epoch
        names = array([compact(name) for name in self.names], True) if epoch == 0 else b"\0"
        body = compact(self.group) + compact(self.id) + struct.pack(">i", epoch) + compact(None) + names + b"\0"
        answer = Reader(self.connection.call(HEARTBEAT, 1, body, True))
        _, error, self.message = answer.take("i"), answer.take("h"), answer.text()
        _, epoch, self.interval_ms = answer.text(), answer.take("i"), answer.take("i")
        if error == NONE:
            self.epoch = epoch
            if answer.take("b") >= 0:
                self.has = {(self.topics[key], p) for key, ps in answer.topic_partitions() for p in ps}
        return error

    def join(self, partitions, seconds=20):
        """Heartbeats until it has so many partitions."""
        end = time.monotonic() + seconds
        while True:
            error = self.heartbeat()
            if error == NONE and len(self.has) == partitions:
                return
            assert time.monotonic() < end, f"error {error}, has {self.has}"
            time.sleep(0.05)

    @staticmethod
    def _acks(acks):
        """[(first, last, type or types)]"""
        return array([struct.pack(">qq", first, last) +
                      array([struct.pack(">b", one) for one in (kind if isinstance(kind, list) else [kind])], True) +
                      b"\0" for first, last, kind in acks], True)

    def _topics(self, acks):
        """acks: {(topic, partition): [...]}"""
        out = []
        for name in sorted({name for name, _ in acks}):
            its = [struct.pack(">i", p) + self._acks(acks[n, p]) + b"\0" for n, p in sorted(acks) if n == name]
            out.append(self.id_of(name).bytes + array(its, True) + b"\0")
        return array(out, True)

    def fetch(self, acks=None, wait_ms=500, most=500, epoch=None, strict=False, renew=False, forget=()):
        """{(topic, partition): [(first, last, deliveries)]} of what it has acquired; self.error, self.acknowledged
        {(topic, partition): error} and self.errors are of the same answer. forget: partitions it reads no more."""
        wanted = dict(acks or {})
        if self.session == 0 and epoch is None:
            wanted = {place: wanted.get(place, []) for place in self.has}
        session = self.session if epoch is None else epoch
        limits = (0, 0, 0, 0) if renew else (wait_ms, 1, 1 << 20, most)
        body = (compact(self.group) + compact(self.id) + struct.pack(">iiiiii", session, *limits, 100) +
                struct.pack(">b?", int(strict), renew) + self._topics(wanted) +
                array([self.id_of(name).bytes + array([struct.pack(">i", p)], True) + b"\0" for name, p in forget], True) +
                b"\0")
        answer = Reader(self.connection.call(FETCH, 2, body, True))
        answer.take("i")
        self.error = answer.take("h")
        answer.text()
        self.lock_ms = answer.take("i")
        self.acknowledged, self.errors, self.bytes, found = {}, {}, {}, {}
        for _ in range(answer.number() - 1):
            name = self.topics[answer.id()]
            for _ in range(answer.number() - 1):
                self._partition(answer, name, found)
            answer.tags()
        if self.error == NONE:
            self.session = session + 1
        return found

    def _partition(self, answer, name, found):
        place = name, answer.take("i")
        error, _ = answer.take("h"), answer.text()
        acknowledged, _ = answer.take("h"), answer.text()
        answer.take("ii"), answer.tags()
        length = answer.number() - 1
        self.bytes[place] = answer.data[answer.at:answer.at + length]
        answer.at += length

        def acquired():
            one = answer.take("qqh")
            answer.tags()
            return one
        got = answer.array(acquired)
        answer.tags()
        self.acknowledged[place] = acknowledged
        if error:
            self.errors[place] = error
        if got:
            found[place] = got

    def gets(self, count, seconds=10, **more):
        """Fetches until it has acquired so many records: as fetch, of one partition."""
        end, found = time.monotonic() + seconds, []
        while sum(last - first + 1 for first, last, _ in found) < count:
            assert time.monotonic() < end, f"only {found}, error {self.error}, {self.errors}"
            for parts in self.fetch(**more).values():
                found += parts
        return found

    def acknowledge(self, acks, epoch=None, renew=False):
        """{(topic, partition): error}; self.error is the answer's own."""
        session = self.session if epoch is None else epoch
        body = (compact(self.group) + compact(self.id) + struct.pack(">i?", session, renew) +
                self._topics(acks) + b"\0")
        answer = Reader(self.connection.call(ACKNOWLEDGE, 2, body, True))
        answer.take("i")
        self.error = answer.take("h")
        answer.text(), answer.take("i")
        found = {}
        for _ in range(answer.number() - 1):
            name = self.topics[answer.id()]
            for _ in range(answer.number() - 1):
                index, error = answer.take("i"), answer.take("h")
                answer.text(), answer.take("ii"), answer.tags(), answer.tags()
                found[name, index] = error
            answer.tags()
        if self.error == NONE and session != LAST:
            self.session = session + 1
        return found


def describe(node, group):
    """(error, state, {member id: partitions})"""
    connection = Connection(node)
    answer = Reader(connection.call(DESCRIBE, 1, array([compact(group)], True) + b"\0\0", True))
    connection.close()
    answer.take("i"), answer.number()
    error, _, _, state = answer.take("h"), answer.text(), answer.text(), answer.text()
    answer.take("ii"), answer.text()
    members = {}

    def topic():
        answer.id()
        found = answer.text(), answer.array(lambda: answer.take("i"))
        answer.tags()
        return found
    for _ in range(answer.number() - 1):
        member_id = answer.text()
        answer.text(), answer.take("i"), answer.text(), answer.text(), answer.array(answer.text)
        members[member_id] = {(name, p) for name, ps in answer.array(topic) for p in ps}
        answer.tags(), answer.tags()
    return error, state, members


def offsets(node, group, names=None):
    """(error, {(topic, partition): (start, lag, error)}) of DescribeShareGroupOffsets; names: {topic: partitions}."""
    connection = Connection(node)
    topics = b"\0" if names is None else array(
        [compact(name) + array([struct.pack(">i", p) for p in ps], True) + b"\0" for name, ps in names.items()], True)
    body = array([compact(group) + topics + b"\0"], True) + b"\0"
    answer = Reader(connection.call(OFFSETS, 1, body, True))
    connection.close()
    answer.take("i"), answer.number(), answer.text()
    found = {}
    for _ in range(answer.number() - 1):
        name, _ = answer.text(), answer.id()
        for _ in range(answer.number() - 1):
            partition, start, _, lag, error = answer.take("iqiqh")
            answer.text(), answer.tags()
            found[name, partition] = start, lag, error
        answer.tags()
    return answer.take("h"), found


def alter(node, group, starts):
    """(error, {(topic, partition): error}) of AlterShareGroupOffsets; starts: {(topic, partition): offset}."""
    connection = Connection(node)
    topics = [compact(name) + array([struct.pack(">iq", p, starts[n, p]) + b"\0" for n, p in starts if n == name],
                                    True) + b"\0" for name in sorted({name for name, _ in starts})]
    answer = Reader(connection.call(ALTER, 0, compact(group) + array(topics, True) + b"\0", True))
    connection.close()
    error = answer.take("ih")[1]
    answer.text()
    found = {}
    for _ in range(answer.number() - 1):
        name, _ = answer.text(), answer.id()
        for _ in range(answer.number() - 1):
            partition, code = answer.take("ih")
            answer.text(), answer.tags()
            found[name, partition] = code
        answer.tags()
    return error, found


def forget(node, group, *names):
    """(error, {topic: error}) of DeleteShareGroupOffsets."""
    connection = Connection(node)
    body = compact(group) + array([compact(name) + b"\0" for name in names], True) + b"\0"
    answer = Reader(connection.call(FORGET, 0, body, True))
    connection.close()
    error = answer.take("ih")[1]
    answer.text()
    found = {}
    for _ in range(answer.number() - 1):
        name, _ = answer.text(), answer.id()
        found[name] = answer.take("h")
        answer.text(), answer.tags()
    return error, found
