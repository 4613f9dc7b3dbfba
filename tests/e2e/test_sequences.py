# SPDX-License-Identifier: Apache-2.0
# Batches of an idempotent producer that follow a refused one on the same connection. librdkafka takes the success of a
# later batch for the success of all before it (rd_kafka_dr_implicit_ack), so the later one must not be let in, also when
# nothing is known of the producer yet: the first would be lost although acknowledged, with offset -1001.
import socket
import struct

import pytest

from cluster import Cluster

UNKNOWN_TOPIC_OR_PARTITION, OUT_OF_ORDER = 3, 45


def table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC32C = list(table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def batch(producer, sequence):
    """One record without key, value "v"."""
    record = bytes([0, 0, 0, 1, 2]) + b"v" + bytes([0])
    body = struct.pack(">hiqqqhii", 0, 0, 0, 0, producer, 0, sequence, 1) + bytes([2 * len(record)]) + record
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c(body)) + body


class Connection:
    def __init__(self, cluster):
        self.socket = socket.create_connection(("127.0.0.1", cluster.storage[0].kafka_port), timeout=30)

    def receive(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            assert part, "the node closed the connection"
            data += part
        return data

    def produce(self, topic, producer, sequence):
        """(error, base offset) of Produce version 3 with acks=all."""
        records, name = batch(producer, sequence), topic.encode()
        request = struct.pack(">hhih", 0, 3, 1, -1) + struct.pack(">hhi", -1, -1, 10000)
        request += struct.pack(">ih", 1, len(name)) + name + struct.pack(">iii", 1, 0, len(records)) + records
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        answer = self.receive(struct.unpack(">i", self.receive(4))[0])
        return struct.unpack_from(">hq", answer, 4 + 4 + 2 + len(name) + 4 + 4)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.socket.close()


@pytest.fixture(scope="module")
def started():
    with Cluster(settings={"all": {"auto.create.topics.enable": "false"}}) as running:
        yield running


def test_batch_behind_a_refused_one_is_out_of_order(started):
    with Connection(started) as connection:
        assert connection.produce("t", 4711, 0)[0] == UNKNOWN_TOPIC_OR_PARTITION
        started.create_topic("t")
        assert connection.produce("t", 4711, 1)[0] == OUT_OF_ORDER
        assert connection.produce("t", 4712, 1) == (0, 0)  # another producer has nothing to do with it
        assert [connection.produce("t", 4711, n) for n in range(3)] == [(0, 1), (0, 2), (0, 3)]


def test_producer_nothing_is_known_of_may_begin_anywhere(started):
    started.create_topic("u")
    with Connection(started) as connection:
        assert connection.produce("u", 4711, 7) == (0, 0)  # KIP-360
        assert connection.produce("u", 4711, 9)[0] == OUT_OF_ORDER
        assert connection.produce("u", 4711, 8) == (0, 1)
