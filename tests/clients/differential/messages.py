# SPDX-License-Identifier: Apache-2.0
"""Every Kafka request and response as a dictionary: an interpreter of protos/kafka/*.msg, apart from the codec under
test. Names are those of the files; a field that is left out has its default."""

import pathlib
import struct
import uuid

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "protos/kafka"
NUMBERS = {"bool": "?", "int8": "b", "int16": "h", "uint16": "H", "int32": "i", "int64": "q", "float64": "d"}
NO_UUID = str(uuid.UUID(int=0))


def versions(text):
    """'3', '3-7', '3+', 'none' as a range."""
    if text == "none":
        return range(0)
    low, dash, high = text.rstrip("+").partition("-")
    return range(int(low), 1 << 15) if text.endswith("+") else range(int(low), int(high if dash else low) + 1)


class Node:
    """A message, a structure or a field."""

    def __init__(self, words):
        self.attributes = dict(word.split("=", 1) for word in words[3:] if "=" in word)
        self.name = words[0][:1].upper() + words[0][1:]
        self.type, self.fields, self.structures = words[1], [], {}
        self.versions = versions(words[2]) if len(words) > 2 else range(1 << 15)
        self.nullable = versions(self.attributes.get("nullable", "none"))
        tag, _, since = self.attributes.get("tag", "").partition("@")
        self.tag, self.tagged = (int(tag), versions(since)) if tag else (None, range(0))
        self.array = self.type.startswith("[]")
        self.kind = self.type.removeprefix("[]")

    def default(self, message):
        text = self.attributes.get("default")
        if text == "null":
            return None
        if self.array:
            return []
        if self.kind == "bool":
            return text == "true"
        if self.kind in NUMBERS:
            return int(text, 0) if text else 0
        if self.kind in ("string", "bytes", "records", "uuid"):
            return {"string": "", "uuid": NO_UUID}.get(self.kind, b"")
        return message.blank(self)


class Message(Node):
    def __init__(self, words):
        super().__init__([words[1], words[0], "0+"])
        attributes = dict(word.split("=", 1) for word in words[2:] if "=" in word)
        self.key = int(attributes.get("key", -1))
        self.valid, self.flexible = versions(attributes["valid"]), versions(attributes["flexible"])

    def fields_of(self, field):
        return field.fields or self.structures[field.kind].fields

    def blank(self, field):
        return {one.name: one.default(self) for one in self.fields_of(field)}

    # ---- writing ----

    def encode(self, version, value):
        return self.put_fields(self.fields, version, value)

    def put_fields(self, fields, version, value):
        unknown = set(value) - {one.name for one in fields}
        assert not unknown, f"{self.name} has no {unknown}"
        out, tags = b"", []
        for one in fields:
            if version not in one.versions:
                continue
            item = value.get(one.name, one.default(self))
            if version not in one.tagged:
                out += self.put(one, version, item)
            elif item != one.default(self):
                tags.append((one.tag, self.put(one, version, item)))
        if version in self.flexible:
            out += varint(len(tags)) + b"".join(
                varint(tag) + varint(len(body)) + body for tag, body in sorted(tags)
            )
        return out

    def length(self, form, version, count):
        if version in self.flexible:
            return varint(count + 1)
        return struct.pack(">" + form, count)

    def put(self, field, version, value):
        if field.array:
            head = self.length("i", version, -1 if value is None else len(value))
            return head + b"".join(self.put_one(field, version, item, False) for item in value or [])
        return self.put_one(field, version, value, version in field.nullable)

    def put_one(self, field, version, value, nullable):
        if field.kind in NUMBERS:
            return struct.pack(">" + NUMBERS[field.kind], value)
        if field.kind == "uuid":
            return uuid.UUID(value).bytes
        if field.kind in ("string", "bytes", "records"):
            data = value.encode() if isinstance(value, str) else value
            head = self.length(
                "h" if field.kind == "string" else "i", version, -1 if data is None else len(data)
            )
            return head + (data or b"")
        if nullable:
            return (
                b"\xff" if value is None else b"\x01" + self.put_fields(self.fields_of(field), version, value)
            )
        return self.put_fields(self.fields_of(field), version, value)

    # ---- reading ----

    def decode(self, version, data):
        reader = Reader(data)
        value = self.take_fields(self.fields, version, reader)
        assert reader.at == len(data), f"{self.name} v{version}: {len(data) - reader.at} bytes left"
        return value

    def take_fields(self, fields, version, reader):
        value = {
            one.name: self.take(one, version, reader)
            for one in fields
            if version in one.versions and version not in one.tagged
        }
        if version in self.flexible:
            tagged = {one.tag: one for one in fields if version in one.tagged}
            for _ in range(reader.varint()):
                tag, size = reader.varint(), reader.varint()
                end = reader.at + size
                value[tagged[tag].name] = self.take(tagged[tag], version, reader)
                assert reader.at == end, f"{self.name} v{version}: tag {tag} has another length"
        return value

    def count(self, form, version, reader):
        return reader.varint() - 1 if version in self.flexible else reader.take(form)

    def take(self, field, version, reader):
        if field.array:
            count = self.count("i", version, reader)
            return None if count < 0 else [self.take_one(field, version, reader, False) for _ in range(count)]
        return self.take_one(field, version, reader, version in field.nullable)

    def take_one(self, field, version, reader, nullable):
        if field.kind in NUMBERS:
            return reader.take(NUMBERS[field.kind])
        if field.kind == "uuid":
            return str(uuid.UUID(bytes=reader.bytes(16)))
        if field.kind in ("string", "bytes", "records"):
            size = self.count("h" if field.kind == "string" else "i", version, reader)
            data = None if size < 0 else reader.bytes(size)
            return data.decode() if data is not None and field.kind == "string" else data
        if nullable and reader.take("b") < 0:
            return None
        return self.take_fields(self.fields_of(field), version, reader)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, size):
        assert self.at + size <= len(self.data), "the answer is cut"
        self.at += size
        return self.data[self.at - size : self.at]

    def take(self, form):
        return struct.unpack(">" + form, self.bytes(struct.calcsize(">" + form)))[0]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.bytes(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def read(path):
    """The messages of one file."""
    messages, stack = [], []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        depth, words = (len(line) - len(line.lstrip())) // 2, line.split()
        if depth == 0:
            messages.append(Message(words))
            stack = [messages[-1]]
            continue
        del stack[depth:]
        if words[0] == "struct":
            stack.append(Node([words[1], words[1], words[2]]))
            messages[-1].structures[words[1]] = stack[-1]
        else:
            stack.append(Node(words))
            stack[-2].fields.append(stack[-1])
    for message in messages:
        name_structures(message, message)
    return messages


def name_structures(message, node):
    for field in node.fields:
        if field.fields:
            message.structures[field.kind] = field
        name_structures(message, field)


def load():
    """{name without Request/Response: (request, response)} of every API."""
    found = {}
    for path in sorted(FOLDER.glob("*.msg")):
        for message in read(path):
            if message.type in ("request", "response"):
                name = message.name.removesuffix("Request").removesuffix("Response")
                found.setdefault(name, {})[message.type] = message
    return found
