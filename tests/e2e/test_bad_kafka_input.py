# SPDX-License-Identifier: Apache-2.0
# Bytes that no client sends, on the Kafka port of a running node: the connection is closed or the request answered with
# an error, memory stays flat, and everybody else is served meanwhile.
import random
import socket
import struct
import time

import pytest

import cluster as lib

MEGABYTE = 1 << 20
METADATA, PRODUCE, API_VERSIONS = 3, 0, 18


@pytest.fixture(scope="module")
def started():
    with lib.Cluster() as running:
        running.kcat("-P", "-t", "good", input="before\n")
        yield running


def dial(cluster):
    return socket.create_connection(("127.0.0.1", cluster.storage[0].kafka_port), timeout=10)


def closed(connection):
    """Whether the node closes the connection (within the socket's time-out)."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def frame(api, version, body, correlation=1, client=b"t"):
    request = struct.pack(">hhih", api, version, correlation, len(client)) + client + body
    return struct.pack(">i", len(request)) + request


def still_serves(cluster):
    cluster.kcat("-L", "-t", "good", seconds=20)


@pytest.mark.parametrize("length", [2**31 - 1, -1, -2**31, 0, 7, 100 * 1024 * 1024 + 1])  # socket.request.max.bytes
def test_impossible_length_closes_at_once(started, length):
    with dial(started) as connection:
        connection.sendall(struct.pack(">i", length))
        assert closed(connection)
    still_serves(started)


def test_memory_does_not_follow_what_is_announced(started):
    node = started.storage[0]
    before = node.resident_bytes()
    greeting = frame(API_VERSIONS, 0, b"")
    connections = []
    for _ in range(50):
        connection = dial(started)
        connection.sendall(greeting)
        assert connection.recv(4096)
        connection.sendall(struct.pack(">i", 90 * MEGABYTE) + b"\0" * 1000)
        connections.append(connection)
    time.sleep(0.5)
    assert node.resident_bytes() - before < 30 * MEGABYTE
    still_serves(started)
    for connection in connections:
        connection.close()


def test_random_bytes(started):
    seeded = random.Random(7)
    for _ in range(200):
        with dial(started) as connection:
            connection.settimeout(0.05)
            try:
                connection.sendall(seeded.randbytes(seeded.randrange(1, 2000)))
                connection.recv(1000)
            except (TimeoutError, ConnectionError):
                pass
    still_serves(started)


def test_every_api_and_version_with_a_random_body(started):
    """Whatever it says, the node answers or closes; it does not die."""
    seeded = random.Random(11)
    pid = started.storage[0].pid
    for api in list(range(0, 95)) + [-1, 32767]:
        for version in (-1, 0, 1, 3, 5, 9, 12, 30000):
            with dial(started) as connection:
                connection.settimeout(0.02)
                try:
                    connection.sendall(frame(api, version, seeded.randbytes(seeded.randrange(0, 200))))
                    connection.recv(1000)
                except (TimeoutError, ConnectionError):
                    pass
    assert started.storage[0].running() and started.storage[0].pid == pid
    still_serves(started)


def test_arrays_larger_than_their_request(started):
    for count in (2**31 - 1, 10**6, -2):
        with dial(started) as connection:
            connection.sendall(frame(METADATA, 1, struct.pack(">i", count)))
            assert closed(connection) or count < -1
    still_serves(started)


def test_millions_of_tagged_fields(started):
    """A flexible request of tags only, after an honest greeting: refused by the memory it would need."""
    node = started.storage[0]
    before = node.resident_bytes()
    tags = 3 * 10**6
    body = b"\x02a\x02b" + varint(tags) + b"".join(varint(t) + b"\0" for t in range(1000))
    with dial(started) as connection:
        connection.sendall(frame(API_VERSIONS, 3, b"\0" + body))
        assert closed(connection)
    assert node.resident_bytes() - before < 30 * MEGABYTE
    still_serves(started)


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def test_half_a_frame_and_gone(started):
    for _ in range(300):
        connection = dial(started)
        connection.sendall(frame(METADATA, 1, struct.pack(">i", -1))[:9])
        connection.close()
    still_serves(started)
    lib.wait_until(lambda: started.storage[0].metric("millrace_conn_connections") < 20, 10, "connections to go")


def test_slow_bytes_do_not_delay_others(started):
    slow = [dial(started) for _ in range(100)]
    honest = frame(METADATA, 1, struct.pack(">i", -1))
    for connection in slow:
        connection.sendall(honest[:1])
    began = time.monotonic()
    still_serves(started)
    assert time.monotonic() - began < 5
    for connection in slow:
        connection.close()


def test_silent_connections_are_closed_at_the_handshake_deadline():
    settings = {"storage": {"connection.handshake.timeout.ms": 300}}
    with lib.Cluster(settings=settings) as running:
        with dial(running) as silent, dial(running) as slow:
            slow.sendall(b"\0")
            assert closed(silent) and closed(slow)
