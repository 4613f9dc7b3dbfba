# SPDX-License-Identifier: Apache-2.0
# A member of a consumer group of KIP-848 built by hand, so that a test can say what no client would. One request at a time
# on one connection; partitions are sets of (topic, partition). heartbeat() is the bare request; live() does what clients
# do: says what it has when that has changed, takes what it is told.
#
#     member = Member(node, "g", "m1", ["t"])
#     member.live()
#     assert member.has == {("t", 0), ("t", 1)}
import struct
import uuid

from cluster import wait_until
from transactional import Connection, array, compact, varint

METADATA, OFFSET_COMMIT, OFFSET_FETCH, HEARTBEAT, DESCRIBE, LIST_GROUPS = 3, 8, 9, 68, 69, 16
NONE, UNKNOWN_MEMBER, INVALID_REQUEST, UNSUPPORTED_VERSION, GROUP_NOT_FOUND = 0, 25, 42, 35, 69
FENCED_INSTANCE, FENCED_EPOCH, UNRELEASED, UNSUPPORTED_ASSIGNOR, STALE_EPOCH, INVALID_REGEX = 82, 110, 111, 112, 113, 128
LOADING, UNAVAILABLE, NOT_COORDINATOR = 14, 15, 16
PASSING = {LOADING, UNAVAILABLE, NOT_COORDINATOR}
LEAVE, LEAVE_STATIC = -1, -2


class Reader:
    """Fields of a flexible version, one behind the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def number(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text(self):
        length = self.number() - 1
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def id(self):
        self.at += 16
        return uuid.UUID(bytes=self.data[self.at - 16:self.at])

    def tags(self):
        for _ in range(self.number()):
            self.number()
            self.at += self.number()

    def array(self, one):
        return [one() for _ in range(self.number() - 1)]

    def topic_partitions(self):
        """[(topic id, partitions)]"""
        def one():
            found = self.id(), self.array(lambda: self.take("i"))
            self.tags()
            return found
        return self.array(one)


def topics(node):
    """{topic id: name} of the cluster."""
    connection = Connection(node)
    answer = Reader(connection.call(METADATA, 12, b"\0" + b"\1\0\0", True))
    connection.close()
    answer.take("i")
    found = {}

    def broker():
        answer.take("i"), answer.text(), answer.take("i"), answer.text(), answer.tags()

    def partition():
        answer.take("hiii")
        for _ in range(3):
            answer.array(lambda: answer.take("i"))
        answer.tags()

    def topic():
        _, name, key = answer.take("h"), answer.text(), answer.id()
        answer.take("?")
        answer.array(partition)
        answer.take("i")
        answer.tags()
        found[key] = name
    answer.array(broker)
    answer.text(), answer.take("i")
    answer.array(topic)
    return found


class Member:
    def __init__(self, node, group, member_id, names=None, regex=None, instance=None, assignor=None,
                 rebalance_ms=10000, version=1):
        self.group, self.id, self.names, self.regex, self.instance = group, member_id, names, regex, instance
        self.assignor, self.rebalance_ms, self.version = assignor, rebalance_ms, version
        self.epoch, self.has, self.told, self.changed = 0, set(), None, False
        self.to(node)

    def to(self, node):
        """Speaks to another node from now on."""
        self.node, self.connection, self._names = node, Connection(node), {}

    def _name(self, key):
        if key not in self._names:
            self._names = topics(self.node)
        return self._names[key]

    def _id(self, name):
        if name not in self._names.values():
            self._names = topics(self.node)
        return next(key for key, value in self._names.items() if value == name)

    def _owned(self, owned):
        if owned is None:
            return b"\0"
        names = sorted({name for name, _ in owned})
        return array([self._id(name).bytes + array([struct.pack(">i", p) for n, p in sorted(owned) if n == name],
                                                   True) + b"\0" for name in names], True)

    def heartbeat(self, epoch=None, owned=None, full=False, **more):
        """The error. epoch: another one than it has; full: everything a first request has; more: fields as they are."""
        epoch = self.epoch if epoch is None else epoch
        full = full or epoch == 0
        names = more.get("names", self.names if full else None)
        body = (compact(self.group) + compact(more.get("member_id", self.id)) + struct.pack(">i", epoch) +
                compact(self.instance) + compact(None) +
                struct.pack(">i", more.get("rebalance_ms", self.rebalance_ms if full else -1)) +
                (b"\0" if names is None else array([compact(name) for name in names], True)) +
                (compact(more.get("regex", self.regex if full else None)) if self.version >= 1 else b"") +
                compact(more.get("assignor", self.assignor if full else None)) +
                self._owned(set() if epoch == 0 and owned is None else owned) + b"\0")
        answer = Reader(self.connection.call(HEARTBEAT, self.version, body, True))
        _, error, self.message = answer.take("i"), answer.take("h"), answer.text()
        member_id, epoch, self.interval_ms = answer.text(), answer.take("i"), answer.take("i")
        self.told = None
        if error == NONE:
            self.id, self.epoch = member_id, epoch
            if answer.take("b") >= 0:
                self.told = {(self._name(key), p) for key, ps in answer.topic_partitions() for p in ps}
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

    def commit(self, name, partition, offset, epoch=None, version=9):
        """The error of OffsetCommit."""
        epoch = self.epoch if epoch is None else epoch
        one = struct.pack(">iqi", partition, offset, -1) + compact("") + b"\0"
        body = (compact(self.group) + struct.pack(">i", epoch) + compact(self.id) + compact(None) +
                array([compact(name) + array([one], True) + b"\0"], True) + b"\0")
        answer = self.connection.call(OFFSET_COMMIT, version, body, True)
        return struct.unpack_from(">h", answer, 4 + 1 + len(compact(name)) + 1 + 4)[0]

    def committed(self, name, partition, epoch=None):
        """(error of the group, offset) of OffsetFetch."""
        epoch = self.epoch if epoch is None else epoch
        wanted = compact(name) + array([struct.pack(">i", partition)], True) + b"\0"
        body = (array([compact(self.group) + compact(self.id) + struct.pack(">i", epoch) + array([wanted], True) +
                       b"\0"], True) + b"\0\0")
        answer = Reader(self.connection.call(OFFSET_FETCH, 9, body, True))
        answer.take("i"), answer.number(), answer.text()
        offset = -1
        for _ in range(answer.number() - 1):
            answer.text()
            for _ in range(answer.number() - 1):
                _, offset, _ = answer.take("iqi")
                answer.text(), answer.take("h"), answer.tags()
            answer.tags()
        return answer.take("h"), offset


def describe(node, group):
    """(error, state, group epoch, assignment epoch, assignor, {member id: (epoch, type, has, is to have)})"""
    connection = Connection(node)
    answer = Reader(connection.call(DESCRIBE, 1, array([compact(group)], True) + b"\0\0", True))
    connection.close()
    answer.take("i"), answer.number()
    error, _, _, state = answer.take("h"), answer.text(), answer.text(), answer.text()
    epoch, assignment_epoch, assignor, members = answer.take("i"), answer.take("i"), answer.text(), {}

    def topic():
        answer.id()
        found = answer.text(), answer.array(lambda: answer.take("i"))
        answer.tags()
        return found

    def assignment():
        found = {(name, p) for name, ps in answer.array(topic) for p in ps}
        answer.tags()
        return found
    for _ in range(answer.number() - 1):
        member_id, _, _, member_epoch = answer.text(), answer.text(), answer.text(), answer.take("i")
        answer.text(), answer.text(), answer.array(answer.text), answer.text()
        has, target, kind = assignment(), assignment(), answer.take("b")
        answer.tags()
        members[member_id] = member_epoch, kind, has, target
    return error, state, epoch, assignment_epoch, assignor, members


def listed(node, kinds=(), states=()):
    """{group: (protocol type, state, type)} of ListGroups."""
    connection = Connection(node)
    body = array([compact(s) for s in states], True) + array([compact(k) for k in kinds], True) + b"\0"
    answer = Reader(connection.call(LIST_GROUPS, 5, body, True))
    connection.close()
    answer.take("ih")
    found = {}
    for _ in range(answer.number() - 1):
        name = answer.text()
        found[name] = answer.text(), answer.text(), answer.text()
        answer.tags()
    return found


__all__ = ["Member", "describe", "listed", "topics", "varint"]


def live(member):
    """A heartbeat that is sent again while its coordinator moves."""
    errors = []

    def over():
        errors.append(member.live())
        return errors[-1] not in PASSING
    wait_until(over, 30, "the coordinator")
    return errors[-1]
