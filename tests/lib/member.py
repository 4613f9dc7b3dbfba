# SPDX-License-Identifier: Apache-2.0
# A member of a classic consumer group built by hand, so that a test can have one that does not poll, does not commit, or
# hands out nothing. One request at a time on one connection; errors are raised.
#
#     member = Member(node, "g", ["t"])       # node: a storage daemon of cluster.py
#     member.enter({"t": [0, 1]})             # joins, leads alone and takes these partitions
#     member.heartbeat()
#     member.commit("t", 0, 5)
import struct

from transactional import Connection, array, text

OFFSET_COMMIT, JOIN, HEARTBEAT, LEAVE, SYNC = 8, 11, 12, 13, 14
REBALANCE_IN_PROGRESS = 27


class Refused(Exception):
    pass


def blob(data):
    return struct.pack(">i", len(data)) + data


def subscription(topics):
    return struct.pack(">h", 0) + array([text(t) for t in topics]) + struct.pack(">i", -1)


def assignment(partitions):
    """Of {topic: [partition, ...]}."""
    rows = [text(t) + array([struct.pack(">i", p) for p in ps]) for t, ps in partitions.items()]
    return struct.pack(">h", 0) + array(rows) + struct.pack(">i", -1)


def take_text(data, at):
    length = struct.unpack_from(">h", data, at)[0]
    return (data[at + 2:at + 2 + length].decode() if length >= 0 else None), at + 2 + max(length, 0)


def join_body(group, member, topics, session_ms, rebalance_ms):
    """JoinGroup version 2."""
    return (text(group) + struct.pack(">ii", session_ms, rebalance_ms) + text(member) + text("consumer") +
            array([text("range") + blob(subscription(topics))]))


def joined(answer):
    """(error, generation, leader, member) of an answer, and the ids of all members when it is the leader's."""
    error, generation = struct.unpack_from(">hi", answer, 4)
    _, at = take_text(answer, 10)
    leader, at = take_text(answer, at)
    member, at = take_text(answer, at)
    ids = []
    for _ in range(struct.unpack_from(">i", answer, at)[0]):
        name, at = take_text(answer, at if ids else at + 4)
        ids.append(name)
        at += 4 + struct.unpack_from(">i", answer, at)[0]
    return error, generation, leader, member, ids


def sync_body(group, generation, member, assignments):
    """SyncGroup version 1."""
    return (text(group) + struct.pack(">i", generation) + text(member) +
            array([text(m) + blob(assignment(p)) for m, p in assignments.items()]))


class Member:
    def __init__(self, node, group, topics, session_ms=10000, rebalance_ms=60000, seconds=30):
        self.connection = Connection(node, seconds)
        self.group, self.topics, self.session_ms, self.rebalance_ms = group, topics, session_ms, rebalance_ms
        self.id, self.generation = "", -1

    def join(self):
        answer = self.connection.call(JOIN, 2, join_body(self.group, self.id, self.topics, self.session_ms,
                                                         self.rebalance_ms))
        error, self.generation, leader, member, _ = joined(answer)
        if error:
            raise Refused("JoinGroup: %d" % error)
        self.id = member
        return leader == member

    def sync(self, assignments):
        answer = self.connection.call(SYNC, 1, sync_body(self.group, self.generation, self.id, assignments))
        error = struct.unpack_from(">h", answer, 4)[0]
        if error:
            raise Refused("SyncGroup: %d" % error)

    def enter(self, partitions):
        assert self.join(), "somebody else leads"
        self.sync({self.id: partitions})
        return self

    def heartbeat(self):
        """The error code: 0, or 27 while a rebalance wants it to join."""
        body = text(self.group) + struct.pack(">i", self.generation) + text(self.id)
        return struct.unpack_from(">h", self.connection.call(HEARTBEAT, 1, body), 4)[0]

    def commit(self, topic, partition, offset):
        body = (text(self.group) + struct.pack(">i", self.generation) + text(self.id) + struct.pack(">q", -1) +
                array([text(topic) + array([struct.pack(">iq", partition, offset) + text("")])]))
        answer = self.connection.call(OFFSET_COMMIT, 3, body)  # throttle, topics, name, partitions, index, error
        error = struct.unpack(">h", answer[-2:])[0]
        if error:
            raise Refused("OffsetCommit: %d" % error)

    def close(self):
        self.connection.close()
