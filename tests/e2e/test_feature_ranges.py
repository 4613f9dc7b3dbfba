# SPDX-License-Identifier: Apache-2.0
# Nodes of other builds: a node that understands fewer levels registers over raw RPC, and levels that it does not
# understand are refused; one that does not understand what holds is not let in.
import cluster as lib
from test_bad_rpc_input import LAST, LONG, MORE, frame, receive, zmtp
from test_features import INVALID_UPDATE, SAFE, UPGRADE, told, update

STORAGE = 2  # role in envelopes and registrations


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def envelope(node):
    return (number(1, 1) + number(2, 1) + number(3, 7) + block(4, b"millrace.Controller") + block(5, b"RegisterNode") +
            number(6, 5000) + number(8, STORAGE) + number(9, node) + number(10, 99))


def registration(node, ranges):
    fields = (number(1, STORAGE) + number(2, node) + number(3, 99) + block(4, bytes(15) + b"\x01") +
              block(5, b"tcp://127.0.0.1:1"))
    for name, low, high in ranges:
        fields += block(12, block(1, name.encode()) + number(2, low) + number(3, high))
    return fields


def register(controller, node, ranges):
    """The whole answer, as bytes."""
    with zmtp(controller) as connection:
        connection.sendall(frame(envelope(node), MORE) + frame(registration(node, ranges), LAST))
        answer, more = b"", True
        while more:
            flags, size = receive(connection, 1)[0], 0
            size = int.from_bytes(receive(connection, 8 if flags & LONG else 1), "big")
            answer += receive(connection, size)
            more = flags & MORE
        return answer


def test_levels_that_a_registered_node_does_not_understand_are_refused():
    with lib.Cluster(coordinators=0) as cluster:
        levels = told(cluster.storage[0])[0]
        newest = [(name, 0, level) for name, level in levels.items()]
        older = [(name, low, 1 if name == "transaction.version" else high) for name, low, high in newest]
        assert b"does not support finalized version 2 of transaction.version" in register(cluster.controllers[0], 77, older)
        assert update(cluster, [("transaction.version", 1, SAFE)])["ErrorCode"] == 0
        assert b"does not support" not in register(cluster.controllers[0], 77, older)
        answer = update(cluster, [("transaction.version", 2, UPGRADE)])
        assert answer["ErrorCode"] == INVALID_UPDATE
        assert "Broker 77 only supports versions 0-1" in answer["ErrorMessage"], answer
        assert told(cluster.storage[0])[0]["transaction.version"] == 1
        cluster.cli("node", "remove", 77)
        assert update(cluster, [("transaction.version", 2, UPGRADE)])["ErrorCode"] == 0


def test_ranges_that_make_no_sense_are_refused():
    with lib.Cluster(coordinators=0) as cluster:
        for ranges in ([("a", 2, 1)], [("a", 0, 40000)], [("a" * 300, 0, 1)], [("a%d" % i, 0, 1) for i in range(65)]):
            assert b"levels of features out of range" in register(cluster.controllers[0], 77, ranges)
