# SPDX-License-Identifier: Apache-2.0
# Produce requests built by hand, for tests that need a batch no client would send, or several requests under way on one
# connection: Produce version 7, one topic, partition 0, acks=all unless told otherwise.
import socket
import struct
import zlib

import kafka_codecs

NONE, GZIP = 0, 1


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


_CRC32C = list(_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def _varint(number):
    number, out = number << 1 ^ number >> 63, b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def batch(producer, sequence, value=b"v", codec=NONE, timestamp=0):
    """One record without key, of an idempotent producer's first epoch (producer -1: of none)."""
    record = bytes([0, 0, 0, 1]) + _varint(len(value)) + value + bytes([0])
    records = _varint(len(record)) + record
    if codec == GZIP:
        packer = zlib.compressobj(wbits=31)
        records = packer.compress(records) + packer.flush()
    epoch = 0 if producer >= 0 else -1
    body = struct.pack(">hiqqqhii", codec, 0, timestamp, timestamp, producer, epoch, sequence, 1) + records
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c(body)) + body


def _part(part):
    return _varint(-1) if part is None else _varint(len(part)) + part


def records(values, key=b"k", step=0, headers=()):
    """Records as a batch carries them before it is packed: one key, times `step` ms apart from the batch's first, the
    same headers ((name, value), ...)."""
    out = b""
    for offset, value in enumerate(values):
        body = b"\0" + _varint(step * offset) + _varint(offset) + _part(key) + _part(value) + _varint(len(headers))
        body += b"".join(_part(part) for header in headers for part in header)
        out += _varint(len(body)) + body
    return out


def packed(codec, body, count, timestamp=0, max_timestamp=None, producer=-1, sequence=-1):
    """A batch that says it has `count` records in `body`, packed by a codec ("none" to "zstd")."""
    epoch = 0 if producer >= 0 else -1
    newest = timestamp if max_timestamp is None else max_timestamp
    head = (kafka_codecs.NAMES[codec], count - 1, timestamp, newest, producer, epoch, sequence, count)
    checked = struct.pack(">hiqqqhii", *head) + kafka_codecs.pack(codec, body)
    return struct.pack(">qiibI", 0, len(checked) + 9, -1, 2, crc32c(checked)) + checked


class Connection:
    def __init__(self, cluster, node=None):
        port = (node or cluster.storage[0]).kafka_port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send(self, topic, records, version=7, acks=-1, timeout_ms=10000):
        name = topic.encode()
        request = struct.pack(">hhih", 0, version, 1, -1) + struct.pack(">hhi", -1, acks, timeout_ms)
        request += struct.pack(">ih", 1, len(name)) + name + struct.pack(">iii", 1, 0, len(records)) + records
        self.socket.sendall(struct.pack(">i", len(request)) + request)

    def _read(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            assert part, "the node closed the connection"
            data += part
        return data

    def receive_timed(self, topic):
        """(error, base offset, log append time) of the next answer."""
        answer = self._read(struct.unpack(">i", self._read(4))[0])
        return struct.unpack_from(">hqq", answer, 4 + 4 + 2 + len(topic.encode()) + 4 + 4)

    def receive(self, topic):
        """(error, base offset) of the next answer."""
        return self.receive_timed(topic)[:2]

    def produce(self, topic, records):
        self.send(topic, records)
        return self.receive(topic)

    def receive_reason(self, topic):
        """(error, base offset, message, {index of a record: its message}) of the next answer to version 8 (KIP-467)."""
        answer = self._read(struct.unpack(">i", self._read(4))[0])
        at = 4 + 4 + 2 + len(topic.encode()) + 4 + 4
        error, base = struct.unpack_from(">hq", answer, at)
        at, faults = at + 2 + 8 + 8 + 8 + 4, {}
        for _ in range(struct.unpack_from(">i", answer, at - 4)[0]):
            index = struct.unpack_from(">i", answer, at)[0]
            faults[index], at = self._text(answer, at + 4)
        return error, base, self._text(answer, at)[0], faults

    @staticmethod
    def _text(answer, at):
        length = struct.unpack_from(">h", answer, at)[0]
        return (None, at + 2) if length < 0 else (answer[at + 2:at + 2 + length].decode(), at + 2 + length)

    def produce_reason(self, topic, records):
        self.send(topic, records, version=8)
        return self.receive_reason(topic)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.socket.close()
