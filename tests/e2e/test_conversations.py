# SPDX-License-Identifier: Apache-2.0
# What real clients said first (tests/golden/conversations), said again to a running node: every request is answered
# under its own correlation id and no connection is closed. Ids that the recorded cluster gave out (members, producers)
# are strange to this one; then the answer is an error, but an answer.
import glob
import os
import socket
import struct

import pytest

import cluster as lib

CONVERSATIONS = sorted(glob.glob(os.path.join(lib.ROOT, "tests", "golden", "conversations", "*.txt")))


@pytest.fixture(scope="module")
def started():
    with lib.Cluster() as running:
        running.kcat("-P", "-t", "first", "-K", ":", input="a:1\nb:2\nc:3\n")
        yield running


def exchanges(path):
    with open(path) as lines:
        for line in lines:
            if not line.startswith("#"):
                connection, request, answer = line.split()
                yield int(connection), bytes.fromhex(request), answer != "-"


def receive(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        assert part, "the node closed the connection"
        data += part
    return data


@pytest.mark.parametrize("path", CONVERSATIONS, ids=[os.path.basename(path)[:-4] for path in CONVERSATIONS])
def test_first_conversation_is_answered(started, path):
    connections = {}
    for number, request, answered in exchanges(path):
        if number not in connections:
            connections[number] = socket.create_connection(("127.0.0.1", started.storage[0].kafka_port), timeout=30)
        connections[number].sendall(struct.pack(">i", len(request)) + request)
        if answered:
            answer = receive(connections[number], struct.unpack(">i", receive(connections[number], 4))[0])
            assert answer[:4] == request[4:8], "correlation id"
    for connection in connections.values():
        connection.close()


def test_conversations_were_recorded():
    assert len(CONVERSATIONS) >= 4
