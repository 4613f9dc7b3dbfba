# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka's serializers for JSON Schema and Protobuf through a topic, as schemas.py has those for Avro."""
import json
import struct

from confluent_kafka.schema_registry import Schema, SchemaReference
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

import schemas
from schemas import refused


def value_of(clients):
    return SerializationContext(clients.name, MessageField.VALUE)


def number_of(message):
    magic, number = struct.unpack(">bI", message.value()[:5])
    assert magic == 0
    return number


# ---- JSON Schema ----

def closed(title, required, **properties):
    """An object with these properties and no others: one more of them can be added later."""
    return json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", "title": title, "type": "object",
                       "properties": properties, "required": required, "additionalProperties": False})


INTEGER, STRING = {"type": "integer"}, {"type": "string"}
ORDER = closed("Order", ["id", "item"], id=INTEGER, item=STRING)
ORDER_2 = closed("Order", ["id", "item"], id=INTEGER, item=STRING, count=INTEGER)
ORDER_BAD = closed("Order", ["id", "item"], id=STRING, item=STRING)


def step_json_wire(clients):
    """Serializer, topic, deserializer; what does not fit is not sent."""
    values = [{"id": n, "item": "item %d" % n} for n in range(100)]
    serializer = JSONSerializer(ORDER, clients.registry)
    messages = clients.send(values, serializer)
    assert clients.registry.get_latest_version(clients.name + "-value").schema_id == number_of(messages[0])
    assert json.loads(messages[0].value()[5:]) == values[0]
    read = JSONDeserializer(None, schema_registry_client=clients.last)
    assert [read(m.value(), value_of(clients)) for m in messages] == values
    try:
        serializer({"id": "x", "item": "y"}, value_of(clients))
    except SerializationError:
        return
    raise AssertionError("a value that does not fit was serialized")


def step_json_evolve(clients):
    """A newer schema reads what was written before; what does not fit is refused."""
    subject = clients.name + "-value"
    messages = clients.send([{"id": 1, "item": "x"}], JSONSerializer(ORDER, clients.registry))
    newer = clients.registry.register_schema(subject, Schema(ORDER_2, "JSON"))
    read = JSONDeserializer(ORDER_2, schema_registry_client=clients.last)
    assert read(messages[0].value(), value_of(clients)) == {"id": 1, "item": "x"}
    clients.arrived("/subjects/%s/versions" % subject)
    latest = JSONSerializer(ORDER_2, clients.last, conf={"auto.register.schemas": False, "use.latest.version": True})
    assert struct.unpack(">bI", latest({"id": 2, "item": "y", "count": 3}, value_of(clients))[:5])[1] == newer
    refused(40901, clients.registry.register_schema, subject, Schema(ORDER_BAD, "JSON"))
    assert not clients.last.test_compatibility(subject, Schema(ORDER_BAD, "JSON"))
    refused(42201, clients.registry.register_schema, subject, Schema('{"type": 7}', "JSON"))


def step_json_references(clients):
    """A schema of two subjects, through a topic."""
    part = clients.name + "-part"
    clients.registry.register_schema(part, Schema(closed("Part", ["name"], name=STRING), "JSON"))
    whole = Schema(closed("Whole", ["part"], part={"$ref": "part.json"}), "JSON", [SchemaReference("part.json", part, 1)])
    values = [{"part": {"name": "wheel"}}]
    message = clients.send(values, JSONSerializer(whole, clients.registry))[0]
    assert JSONDeserializer(None, schema_registry_client=clients.last)(message.value(), value_of(clients)) == values[0]
    assert clients.last.get_referenced_by(part, 1) == [number_of(message)]
    refused(42206, clients.registry.delete_subject, part)


# ---- Protobuf ----

TYPES = descriptor_pb2.FieldDescriptorProto
LONG, TEXT, INT, MESSAGE = TYPES.TYPE_INT64, TYPES.TYPE_STRING, TYPES.TYPE_INT32, TYPES.TYPE_MESSAGE


def fill(message, name, fields):
    """fields: (name, type) or (name, full name of a message), numbered from 1."""
    message.name = name
    for number, (field, kind) in enumerate(fields, 1):
        made = message.field.add(name=field, number=number, label=TYPES.LABEL_OPTIONAL)
        made.type = MESSAGE if isinstance(kind, str) else kind
        if isinstance(kind, str):
            made.type_name = kind
    return message


def file_of(clients, name, *dependencies):
    return descriptor_pb2.FileDescriptorProto(name="%s/%s.proto" % (clients.name, name), package=clients.name,
                                              syntax="proto3", dependency=dependencies)


def classes(*files):
    """{full name of a message: its class}, the outermost ones and those in them."""
    pool, found = descriptor_pool.DescriptorPool(), {}
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for file in files:
        pool.Add(file)
        for message in pool.FindFileByName(file.name).message_types_by_name.values():
            for one in (message, *message.nested_types):
                found[one.full_name.partition(".")[2]] = message_factory.GetMessageClass(one)
    return found


def order(clients, *fields):
    file = file_of(clients, "order")
    fill(file.message_type.add(), "Order", fields)
    return classes(file)["Order"]


def writer(kind, registry, **conf):
    return ProtobufSerializer(kind, registry, {"use.deprecated.format": False, **conf})


def reader(kind, registry):
    return ProtobufDeserializer(kind, {"use.deprecated.format": False}, registry)


def step_protobuf_wire(clients):
    """Serializer, topic, deserializer; a byte 0 for the first message of the file."""
    kind = order(clients, ("id", LONG), ("item", TEXT))
    values = [kind(id=n, item="item %d" % n) for n in range(100)]
    messages = clients.send(values, writer(kind, clients.registry))
    stored = clients.last.get_schema(number_of(messages[1]))
    assert stored.schema_type == "PROTOBUF" and "message Order {" in stored.schema_str, stored.schema_str
    assert messages[1].value()[5:] == b"\0" + values[1].SerializeToString()
    assert [reader(kind, clients.last)(m.value(), value_of(clients)) for m in messages] == values


def step_protobuf_nested(clients):
    """A message inside of another one is named by its place."""
    file = file_of(clients, "nested")
    fill(file.message_type.add(), "First", [("x", INT)])
    outer = fill(file.message_type.add(), "Outer", [("x", INT)])
    fill(outer.nested_type.add(), "Other", [("x", INT)])
    fill(outer.nested_type.add(), "Inner", [("text", TEXT)])
    kind = classes(file)["Outer.Inner"]
    message = clients.send([kind(text="deep")], writer(kind, clients.registry))[0]
    assert message.value()[5:8] == b"\x04\x02\x02", message.value()  # two numbers, 1 and 1, zig-zag
    assert reader(kind, clients.last)(message.value(), value_of(clients)).text == "deep"


def step_protobuf_evolve(clients):
    """A newer message reads what was written before; what does not fit is refused."""
    subject = clients.name + "-value"
    old = order(clients, ("id", LONG), ("item", TEXT))
    new = order(clients, ("id", LONG), ("item", TEXT), ("count", INT))
    message = clients.send([old(id=1, item="x")], writer(old, clients.registry))[0]
    text = 'syntax = "proto3"; package %s; message Order { int64 id = 1; string item = 2; %s }'
    newer = clients.registry.register_schema(subject, Schema(text % (clients.name, "int32 count = 3;"), "PROTOBUF"))
    assert reader(new, clients.last)(message.value(), value_of(clients)) == new(id=1, item="x")
    clients.arrived("/subjects/%s/versions" % subject)
    latest = writer(new, clients.last, **{"auto.register.schemas": False, "use.latest.version": True})
    assert struct.unpack(">bI", latest(new(id=2, count=3), value_of(clients))[:5])[1] == newer
    bad = Schema('syntax = "proto3"; package %s; message Order { string id = 1; string item = 2; }' % clients.name, "PROTOBUF")
    refused(40901, clients.registry.register_schema, subject, bad)
    assert not clients.last.test_compatibility(subject, bad)
    refused(42201, clients.registry.register_schema, subject, Schema("message {", "PROTOBUF"))


def step_protobuf_references(clients):
    """Files that import others: the serializer registers them, too; well-known types need no subject."""
    part, whole = file_of(clients, "part"), file_of(clients, "whole", clients.name + "/part.proto",
                                                    "google/protobuf/timestamp.proto")
    fill(part.message_type.add(), "Part", [("name", TEXT)])
    fill(whole.message_type.add(), "Whole", [("part", ".%s.Part" % clients.name), ("at", ".google.protobuf.Timestamp")])
    kind = classes(part, whole)["Whole"]
    value = kind()
    value.part.name, value.at.seconds = "wheel", 1700000000
    message = clients.send([value], writer(kind, clients.registry))[0]
    assert clients.last.get_referenced_by(part.name, 1) == [number_of(message)]
    assert [r.name for r in clients.last.get_schema(number_of(message)).references] == [part.name]
    assert reader(kind, clients.last)(message.value(), value_of(clients)) == value
    refused(42206, clients.registry.delete_subject, part.name)


if __name__ == "__main__":
    schemas.main(schemas.steps_of(dict(globals())))
