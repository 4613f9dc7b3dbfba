# SPDX-License-Identifier: Apache-2.0
"""One of the two brokers the differential test asks: sends requests made by messages.py, notes every answer, and makes
record batches, broken ones too."""

import re
import socket
import struct
import threading
import time

import messages

API = messages.load()
PATIENCE_S = 20
CRC_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    CRC_TABLE.append(_byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def zigzag(number):
    return messages.varint((number << 1 ^ number >> 63) & (1 << 64) - 1)


def record(delta, key, value, timestamp_delta=0, headers=()):
    body = b"\0" + zigzag(timestamp_delta) + zigzag(delta)
    for part in (key, value):
        body += zigzag(-1) if part is None else zigzag(len(part)) + part
    body += zigzag(len(headers)) + b"".join(
        zigzag(len(k)) + k + (zigzag(-1) if v is None else zigzag(len(v)) + v) for k, v in headers
    )
    return zigzag(len(body)) + body


def batch(
    *values, key=None, timestamp=None, pid=-1, epoch=-1, sequence=-1, attributes=0, compress=None, **broken
):
    """A record batch of format 2. broken: crc, magic, count, last_delta, length, base, max_timestamp, body replace what
    would be right."""
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    body = b"".join(record(i, key, value) for i, value in enumerate(values))
    body = broken.get("body", compress(body) if compress else body)
    checked = (
        struct.pack(
            ">hiqqqhii",
            attributes,
            broken.get("last_delta", len(values) - 1),
            timestamp,
            broken.get("max_timestamp", timestamp),
            pid,
            epoch,
            sequence,
            broken.get("count", len(values)),
        )
        + body
    )
    rest = (
        struct.pack(
            ">iBI", broken.get("leader_epoch", -1), broken.get("magic", 2), broken.get("crc", crc32c(checked))
        )
        + checked
    )
    return struct.pack(">qi", broken.get("base", 0), broken.get("length", len(rest))) + rest


def wait_for(condition, what, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("waited too long for " + what)
        time.sleep(0.05)


class Connection:
    def __init__(self, address, client_id="differential"):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), PATIENCE_S)
        self.client_id, self.correlation = client_id, 0

    def send(self, key, version, body, flexible):
        self.correlation += 1
        client = (
            self.client_id
            if self.client_id is None or isinstance(self.client_id, bytes)
            else self.client_id.encode()
        )
        frame = struct.pack(">hhih", key, version, self.correlation, -1 if client is None else len(client))
        frame += (client or b"") + (b"\0" if flexible else b"") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self):
        """The next answer without its correlation id; None when the broker closes."""
        data = b""
        try:
            while len(data) < 4 or len(data) < 4 + struct.unpack_from(">i", data)[0]:
                part = self.socket.recv(1 << 20)
                if not part:
                    return None
                data += part
        except ConnectionError:
            return None
        assert struct.unpack_from(">i", data, 4)[0] == self.correlation
        return data[8:]

    def close(self):
        self.socket.close()


class Pending:
    """A request sent on a connection of its own."""

    def __init__(self, side, name, version, fields):
        self.connection, self.answer = Connection(side.address), None
        self.thread = threading.Thread(target=self.run, args=(side, name, version, fields), daemon=True)
        self.thread.start()

    def run(self, side, name, version, fields):
        self.answer = side.exchange(self.connection, name, version, fields)

    def wait(self):
        self.thread.join(PATIENCE_S + 1)
        self.connection.close()
        return self.answer


class Side:
    def __init__(self, name, *addresses):
        self.name, self.address, self.notes, self.connection = name, addresses[0], [], None
        self.nodes = [self] + [Side(name, other) for other in addresses[1:]]
        self.kill = None  # ends the second node
        self.members = []  # their ids as they were given, also those that were not noted

    def exchange(self, connection, name, version, fields):
        request, response = API[name]["request"], API[name]["response"]
        flexible = version in request.flexible
        connection.send(request.key, version, request.encode(version, fields), flexible)
        try:
            data = connection.receive()
        except TimeoutError:
            return {"answer": "none"}
        if data is None:
            return {"answer": "closed"}
        if name != "ApiVersions" and version in response.flexible:
            assert data[:1] == b"\0", "tags in the header of an answer"
            data = data[1:]
        try:
            answer = response.decode(version, data)
        except Exception as error:
            return {"answer": f"undecodable: {error!r}"}
        self.members.append(answer.get("MemberId") or "")
        return answer

    def call(self, name, version, label=None, **fields):
        """Asks, notes the answer under the label, and returns it. Without a label nothing is noted."""
        if self.connection is None:
            self.connection = Connection(self.address)
        answer = self.exchange(self.connection, name, version, fields)
        if "answer" in answer:
            self.connection.close()
            self.connection = None
        if label:
            self.note(label, answer)
        return answer

    def start(self, name, version, **fields):
        return Pending(self, name, version, fields)

    def note(self, label, answer):
        self.notes.append((label, answer))

    # ---- what most cases need ----

    def topic(self, name, partitions=1, **configs):
        answer = self.call(
            "CreateTopics",
            7,
            Topics=[
                {
                    "Name": name,
                    "NumPartitions": partitions,
                    "ReplicationFactor": 1,
                    "Configs": [{"Name": k.replace("_", "."), "Value": str(v)} for k, v in configs.items()],
                }
            ],
            TimeoutMs=10000,
        )
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.call("Metadata", 12, Topics=[{"Name": name}], AllowAutoTopicCreation=False)["Topics"][
                0
            ]
            if (
                found["ErrorCode"] == 0
                and len(found["Partitions"]) == partitions
                and all(self.leads(name, index) for index in range(partitions))
            ):
                return found["TopicId"]
            time.sleep(0.02)
        raise RuntimeError(f"{self.name}: {name} does not come into being: {answer}")

    def leads(self, topic, partition):
        """Whether the broker itself knows that it leads the partition; Metadata may be ahead of it."""
        answer = self.fetch(topic, 0, partition=partition, MaxWaitMs=0)
        return answer["Responses"][0]["Partitions"][0]["ErrorCode"] == 0

    def produce(self, topic, records, label=None, version=12, acks=-1, partition=0, **fields):
        name = {"TopicId": topic} if version >= 13 else {"Name": topic}
        answer = self.call(
            "Produce",
            version,
            label,
            Acks=acks,
            TimeoutMs=5000,
            TopicData=[{**name, "PartitionData": [{"Index": partition, "Records": records}]}],
            **fields,
        )
        return answer["Responses"][0]["PartitionResponses"][0] if "Responses" in answer else answer

    def fetch(self, topic, offset, label=None, version=12, partition=0, **fields):
        asked = {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}
        asked.update(
            {
                k: fields.pop(k)
                for k in list(fields)
                if k in ("CurrentLeaderEpoch", "LastFetchedEpoch", "PartitionMaxBytes", "LogStartOffset")
            }
        )
        name = {"TopicId": topic} if version >= 13 else {"Topic": topic}
        fields = {"MaxWaitMs": 100, "MinBytes": 1, **fields}
        return self.call("Fetch", version, label, Topics=[{**name, "Partitions": [asked]}], **fields)


# ---- comparing ----

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ANY = {"ThrottleTimeMs", "ClusterId", "Host", "Port"}
SOFT = {"ErrorMessage", "BatchIndexErrorMessage"}  # compared by being there
UNORDERED = {
    "Brokers": "NodeId",
    "NodeEndpoints": "NodeId",
    "Groups": "GroupId",
    "Members": "MemberId",
    "Topics": "Name",
    "Results": "GroupId",
    "Responses": "Name",
    "PartitionResponses": "Index",
    "Partitions": "PartitionIndex",
}


class Plain:
    """Answers without what may differ: ids become numbers in the order of their appearance."""

    def __init__(self, members=()):
        self.ids = {}
        for member in members:
            self.text(member)

    def identity(self, kind, value):
        return f"{kind}{self.ids.setdefault((kind, value), len(self.ids))}"

    def text(self, value):
        return value if value == messages.NO_UUID else UUID.sub(lambda found: self.identity("id", found[0]), value)

    def of(self, value, name=""):
        if isinstance(value, dict):
            return {k: self.of(v, k) for k, v in value.items() if k not in ANY}
        if isinstance(value, list):
            items, key = [self.of(one, name) for one in value], UNORDERED.get(name)
            return sorted(items, key=lambda one: str(one.get(key))) if key and items and isinstance(value[0], dict) else items
        if name in SOFT:
            return value is not None and value != ""
        if name == "ProducerId" and value >= 0:
            return self.identity("pid", value)
        if name in ("LogAppendTimeMs", "Timestamp") and value > 1 << 40:
            return "a time"
        if isinstance(value, str):
            return self.text(value)
        return bare_records(value) if name == "Records" and value else value


def bare_records(data):
    """Batches without leader epoch, checksum and times."""
    found, at = [], 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        attributes, last, _, _, pid, epoch, sequence, count = struct.unpack_from(">hiqqqhii", data, at + 21)
        found.append(
            {
                "base": base,
                "length": length,
                "attributes": attributes,
                "last": last,
                "pid": pid >= 0,
                "epoch": epoch,
                "sequence": sequence,
                "count": count,
                "cut": at + 12 + length > len(data),
            }
        )
        at += 12 + length
    return found


def differences(one, other, path=""):
    if type(one) is not type(other):
        return [f"{path}: {one!r} <> {other!r}"]
    if isinstance(one, dict):
        found = []
        for key in list(one) + [key for key in other if key not in one]:
            found += differences(one.get(key, "(absent)"), other.get(key, "(absent)"), f"{path}.{key}")
        return found
    if isinstance(one, list):
        found = (
            []
            if len(one) == len(other)
            else [f"{path}: {len(one)} <> {len(other)} items: {one!r} <> {other!r}"]
        )
        return found or [
            text for i, (a, b) in enumerate(zip(one, other)) for text in differences(a, b, f"{path}[{i}]")
        ]
    said_more = path.rsplit(".", 1)[-1] in SOFT and other is True
    return [] if one == other or said_more else [f"{path}: {one!r} <> {other!r}"]
