# SPDX-License-Identifier: Apache-2.0
"""The few requests the driver itself needs, straight on the wire: who leads a partition, and which codec its batches
carry. No client is trusted with its own check."""
import socket
import struct

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
METADATA, FETCH = 3, 1
UNKNOWN_TOPIC = 3


def murmur2(data):
    """Kafka's partition hash."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for (k,) in struct.iter_unpack("<I", data[:whole]):
        k = k * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(key, partitions):
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def bytes(self, length):
        self.at += max(length, 0)
        return self.data[self.at - length:self.at] if length >= 0 else None

    def text(self):
        found = self.bytes(self.take("h"))
        return found.decode() if found is not None else None

    def list(self, item):
        return [item() for _ in range(max(0, self.take("i")))]


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def receive(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise ConnectionError("closed in the middle of an answer")
        data += part
    return data


def call(address, key, version, body):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as connection:
        frame = struct.pack(">hhi", key, version, 1) + text("driver") + body
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        reader = Reader(receive(connection, struct.unpack(">i", receive(connection, 4))[0]))
        reader.take("i")
        return reader


class Partition:
    def __init__(self, reader):
        self.error, self.number, self.leader = reader.take("hii")
        self.replicas = reader.list(lambda: reader.take("i"))
        self.isr = reader.list(lambda: reader.take("i"))


class Metadata:
    """Metadata v4 (never creates the topic) from the first of the addresses that answers."""

    def __init__(self, bootstrap, topic):
        body = struct.pack(">i", 1) + text(topic) + b"\0"
        failure = None
        for address in bootstrap.split(","):
            try:
                return self.read(call(address, METADATA, 4, body))
            except OSError as error:
                failure = error
        raise failure

    def read(self, reader):
        reader.take("i")
        self.nodes = {node: f"{host}:{port}" for node, host, port, _ in reader.list(
            lambda: (reader.take("i"), reader.text(), reader.take("i"), reader.text()))}
        reader.text()
        reader.take("i")
        reader.take("i")
        self.error, _, _ = reader.take("h"), reader.text(), reader.take("b")
        self.partitions = {one.number: one for one in reader.list(lambda: Partition(reader))}


def fetch(address, topic, partition, offset):
    body = struct.pack(">iiiibi", -1, 100, 1, 1 << 24, 0, 1) + text(topic)
    body += struct.pack(">iiqi", 1, partition, offset, 1 << 24)
    reader = call(address, FETCH, 4, body)
    reader.take("ii")
    reader.text()
    reader.take("i")
    _, error, mark, _ = reader.take("ihqq")
    if error:
        raise RuntimeError(f"Fetch {topic}-{partition} at {offset}: error {error}")
    reader.list(lambda: reader.take("qq"))
    return mark, reader.bytes(reader.take("i")) or b""


def codecs(bootstrap, topic):
    """{codec: number of batches} over the whole topic. A single record that is not compressed does not count: franz-go
    leaves alone what would not get smaller."""
    metadata, found = Metadata(bootstrap, topic), {}
    for partition in metadata.partitions.values():
        offset, mark = 0, 1
        while offset < mark:
            mark, data = fetch(metadata.nodes[partition.leader], topic, partition.number, offset)
            at = 0
            while at + 61 <= len(data):
                base, length, attributes, delta = *struct.unpack_from(">qi", data, at), *struct.unpack_from(
                    ">hi", data, at + 21)
                codec = CODECS[attributes & 7]
                if codec != "none" or delta > 0:
                    found[codec] = found.get(codec, 0) + 1
                offset, at = base + delta + 1, at + 12 + length
    return found
