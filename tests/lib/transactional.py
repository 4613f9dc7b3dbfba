# SPDX-License-Identifier: Apache-2.0
# A transactional producer built by hand, so that a test can send what no client would: late, twice, of another epoch, in
# either flow. One request at a time on one connection to one node; every method gives the error code (0: none).
#
#     producer = Producer(node, "tx")          # node: a storage daemon of cluster.py
#     assert producer.init() == 0
#     assert producer.add("t", 0) == 0         # the old flow only
#     assert producer.produce("t", 0, [b"a"])[0] == 0
#     assert producer.end(commit=True) == 0
import socket
import struct
import threading
import time

import kafka_codecs
import produce

PRODUCE, FIND_COORDINATOR, INIT, ADD_PARTITIONS, ADD_OFFSETS, END, MARKERS, OFFSETS = 0, 10, 22, 24, 25, 26, 27, 28
OFFSET_FETCH, DESCRIBE_PRODUCERS, DESCRIBE, LIST = 9, 61, 65, 66
NONE, OUT_OF_ORDER, INVALID_EPOCH, INVALID_TXN_STATE, INVALID_MAPPING = 0, 45, 47, 48, 49
INVALID_TIMEOUT, CONCURRENT, UNSTABLE, FENCED, ABORTABLE = 50, 51, 88, 90, 120
NOT_ENOUGH_REPLICAS, LOADING, UNAVAILABLE, NOT_COORDINATOR = 19, 14, 15, 16
PASSING = {CONCURRENT, NOT_ENOUGH_REPLICAS, LOADING, UNAVAILABLE, NOT_COORDINATOR}  # to be sent again
TRANSACTIONAL = 16


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def compact(value):
    return b"\0" if value is None else varint(len(value) + 1) + (value.encode() if isinstance(value, str) else value)


def array(items, flexible=False):
    return (varint(len(items) + 1) if flexible else struct.pack(">i", len(items))) + b"".join(items)


def batch(producer_id, epoch, sequence, values, attributes=TRANSACTIONAL):
    now = int(time.time() * 1000)
    head = (attributes, len(values) - 1, now, now, producer_id, epoch, sequence, len(values))
    body = struct.pack(">hiqqqhii", *head) + kafka_codecs.pack("none", produce.records(values))
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, produce.crc32c(body)) + body


class Connection:
    """One request at a time, whichever thread sends it."""

    def __init__(self, node, seconds=30):
        self.turn = threading.Lock()
        self.socket = socket.create_connection(("127.0.0.1", node.kafka_port), timeout=seconds)

    def _read(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError("the node closed the connection")
            data += part
        return data

    def call(self, api, version, body, flexible=False):
        """The answer behind its header."""
        request = struct.pack(">hhih", api, version, 1, -1) + (b"\0" if flexible else b"") + body
        with self.turn:
            self.socket.sendall(struct.pack(">i", len(request)) + request)
            answer = self._read(struct.unpack(">i", self._read(4))[0])
        return answer[5 if flexible else 4:]

    def close(self):
        self.socket.close()


class Producer:
    def __init__(self, node, transactional_id, new_flow=False, timeout_ms=60000):
        self.id, self.new_flow, self.timeout_ms = transactional_id, new_flow, timeout_ms
        self.producer_id, self.epoch, self.sequences = -1, -1, {}
        self.to(node)

    def to(self, node):
        """Speaks to another node from now on."""
        self.connection = Connection(node)

    def copy(self, node):
        """A zombie: the same producer once more, with what it knows now."""
        other = Producer(node, self.id, self.new_flow, self.timeout_ms)
        other.producer_id, other.epoch, other.sequences = self.producer_id, self.epoch, dict(self.sequences)
        return other

    def _took(self, producer_id, epoch):
        if (producer_id, epoch) != (self.producer_id, self.epoch):
            self.sequences = {}
        self.producer_id, self.epoch = producer_id, epoch

    def init(self):
        answer = self.connection.call(INIT, 1, text(self.id) + struct.pack(">i", self.timeout_ms))
        _, error, producer_id, epoch = struct.unpack(">ihqh", answer)
        if error == NONE:
            self._took(producer_id, epoch)
        return error

    def init_again(self):
        """KIP-360: names what it has."""
        body = compact(self.id) + struct.pack(">iqh", self.timeout_ms, self.producer_id, self.epoch) + b"\0"
        answer = self.connection.call(INIT, 4, body, True)
        _, error, producer_id, epoch = struct.unpack_from(">ihqh", answer)
        if error == NONE:
            self._took(producer_id, epoch)
        return error

    def _who(self):
        return text(self.id) + struct.pack(">qh", self.producer_id, self.epoch)

    def add(self, topic, *partitions):
        body = self._who() + array([text(topic) + array([struct.pack(">i", p) for p in partitions])])
        return struct.unpack_from(">h", self.connection.call(ADD_PARTITIONS, 1, body)[::-1][:2][::-1])[0]

    def add_offsets(self, group):
        return struct.unpack(">ih", self.connection.call(ADD_OFFSETS, 1, self._who() + text(group)))[1]

    def produce(self, topic, partition, values, sequence=None, advance=True, attributes=TRANSACTIONAL):
        """(error, base offset). sequence: another one than is due."""
        due = self.sequences.get((topic, partition), 0)
        records = batch(self.producer_id, self.epoch, due if sequence is None else sequence, values, attributes)
        head = struct.pack(">hi", -1, 10000)
        if self.new_flow:
            one = struct.pack(">i", partition) + varint(len(records) + 1) + records + b"\0"
            body = compact(self.id) + head + array([compact(topic) + array([one], True) + b"\0"], True) + b"\0"
            answer = self.connection.call(PRODUCE, 12, body, True)
            at = 1 + len(compact(topic)) + 1 + 4
        else:
            one = struct.pack(">ii", partition, len(records)) + records
            answer = self.connection.call(PRODUCE, 7, text(self.id) + head + array([text(topic) + array([one])]))
            at = 4 + len(text(topic)) + 4 + 4
        error, base = struct.unpack_from(">hq", answer, at)
        if error == NONE and sequence is None and advance:
            self.sequences[topic, partition] = due + len(values)
        return error, base

    def commit_offsets(self, group, topic, offsets):
        """The first partition's error."""
        if self.new_flow:
            rows = [struct.pack(">iqi", p, o, -1) + compact("") + b"\0" for p, o in offsets.items()]
            body = (compact(self.id) + compact(group) + struct.pack(">qhi", self.producer_id, self.epoch, -1) +
                    compact("") + compact(None) + array([compact(topic) + array(rows, True) + b"\0"], True) + b"\0")
            answer = self.connection.call(OFFSETS, 5, body, True)
            return struct.unpack_from(">h", answer, 4 + 1 + len(compact(topic)) + 1 + 4)[0]
        rows = [struct.pack(">iq", p, o) + text("") for p, o in offsets.items()]
        body = (text(self.id) + text(group) + struct.pack(">qh", self.producer_id, self.epoch) +
                array([text(topic) + array(rows)]))
        answer = self.connection.call(OFFSETS, 1, body)
        return struct.unpack_from(">h", answer, 4 + 4 + len(text(topic)) + 4 + 4)[0]

    def end(self, commit):
        if not self.new_flow:
            return struct.unpack(">ih", self.connection.call(END, 1, self._who() + bytes([commit])))[1]
        body = compact(self.id) + struct.pack(">qh", self.producer_id, self.epoch) + bytes([commit]) + b"\0"
        _, error, producer_id, epoch = struct.unpack_from(">ihqh", self.connection.call(END, 5, body, True))
        if error == NONE:
            self._took(producer_id, epoch)
        return error


def committed(node, group, topic, partition, stable=False):
    """(error, offset) of a group."""
    connection = Connection(node)
    body = (compact(group) + array([compact(topic) + array([struct.pack(">i", partition)], True) + b"\0"], True) +
            bytes([stable]) + b"\0")
    answer = connection.call(OFFSET_FETCH, 7, body, True)
    connection.close()
    at = 4 + 1 + len(compact(topic)) + 1 + 4
    offset, _ = struct.unpack_from(">qi", answer, at)
    return struct.unpack_from(">h", answer, at + 12 + 1)[0], offset


def ask(node, api, version, body):
    """The answer of a flexible version to one request of its own connection."""
    connection = Connection(node)
    answer = connection.call(api, version, body + b"\0", True)
    connection.close()
    return answer


def listed(node, states=()):
    """The answer to ListTransactions, not taken apart."""
    return ask(node, LIST, 1, array([compact(s) for s in states], True) + array([], True) + struct.pack(">q", -1))


def described(node, transactional_id):
    """(error, state) of DescribeTransactions."""
    answer = ask(node, DESCRIBE, 0, array([compact(transactional_id)], True))
    error = struct.unpack_from(">h", answer, 5)[0]
    at = 7 + len(compact(transactional_id))
    return error, answer[at + 1:at + answer[at]].decode()


def producers(node, topic, partition):
    """{producer id: (epoch, coordinator epoch, offset of the open transaction or -1)} of DescribeProducers."""
    one = compact(topic) + array([struct.pack(">i", partition)], True) + b"\0"
    answer = ask(node, DESCRIBE_PRODUCERS, 0, array([one], True))
    at = 4 + 1 + len(compact(topic)) + 1 + 4
    error, = struct.unpack_from(">h", answer, at)
    assert error == NONE, error
    count, at, found = answer[at + 3] - 1, at + 4, {}
    for _ in range(count):
        producer_id, epoch, _, _, coordinator_epoch, start = struct.unpack_from(">qiiqiq", answer, at)
        found[producer_id], at = (epoch, coordinator_epoch, start), at + 37
    return found


def write_marker(node, producer_id, epoch, commit, topic, partition, coordinator_epoch):
    """The error of WriteTxnMarkers."""
    one = compact(topic) + array([struct.pack(">i", partition)], True) + b"\0"
    marker = struct.pack(">qhb", producer_id, epoch, commit) + array([one], True)
    answer = ask(node, MARKERS, 1, array([marker + struct.pack(">i", coordinator_epoch) + b"\0"], True))
    return struct.unpack_from(">h", answer, 1 + 8 + 1 + len(compact(topic)) + 1 + 4)[0]
