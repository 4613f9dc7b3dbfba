# SPDX-License-Identifier: Apache-2.0
"""The schema registry as confluent-kafka for Python uses it, with Avro: schemas.py BOOTSTRAP REGISTRY[,REGISTRY] STEP
prints what went wrong and ends with 1, or nothing and 0. Each step takes subjects and topics of its own.
schema_formats.py: the other formats."""
import json
import struct
import sys
import time
import traceback
import urllib.error
import urllib.request
import uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import (ConfigCompatibilityLevel, Metadata, MetadataProperties, Schema, SchemaReference,
                                             SchemaRegistryClient, SchemaRegistryError, ServerConfig,
                                             header_schema_id_serializer)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def record(name, *fields):
    return json.dumps({"type": "record", "name": name, "namespace": "clients", "fields": [
        dict(zip(("name", "type", "default"), field)) for field in fields]})


ORDER = record("Order", ("id", "long"), ("item", "string"))
ORDER_2 = record("Order", ("id", "long"), ("item", "string"), ("count", "int", 1))
ORDER_BAD = record("Order", ("id", "long"), ("item", "string"), ("price", "double"))


class Clients:
    def __init__(self, bootstrap, registries):
        self.bootstrap, self.urls = bootstrap, registries
        self.registry = SchemaRegistryClient({"url": registries[0]})
        self.last = SchemaRegistryClient({"url": registries[-1]})  # another process, where there are more
        self.name = "t" + uuid.uuid4().hex[:8]

    def topic(self):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(self.name, 1, 1)])[self.name].result()
        return self.name

    def send(self, values, serializer, headers=None):
        """Values through a topic; what a consumer gets, as messages."""
        topic, delivered = self.topic(), []
        context = SerializationContext(topic, MessageField.VALUE, headers)
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for value in values:
            producer.produce(topic, serializer(value, context), headers=headers, on_delivery=lambda e, m: delivered.append(e))
        producer.flush(30)
        assert delivered == [None] * len(values), delivered
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        got, end = [], time.monotonic() + 60
        while len(got) < len(values) and time.monotonic() < end:
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                got.append(message)
        consumer.close()
        assert len(got) == len(values), "%d of %d records" % (len(got), len(values))
        return got


    def arrived(self, path):
        """Waits until all processes answer alike: one that does not own the registry's topic reads a moment later."""
        end = time.monotonic() + 30
        while len({answer_of(url + path) for url in self.urls}) > 1:
            assert time.monotonic() < end, path + " is not alike everywhere"


def answer_of(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()


def refused(code, call, *arguments, **more):
    try:
        call(*arguments, **more)
    except SchemaRegistryError as error:
        assert error.error_code == code, error
        return error
    raise AssertionError("%r is not refused" % (arguments,))


def step_wire(clients):
    """Serializer, topic, deserializer; five bytes of header with the id the registry has."""
    values = [{"id": n, "item": "item %d" % n} for n in range(100)]
    messages = clients.send(values, AvroSerializer(clients.registry, ORDER))
    magic, number = struct.unpack(">bI", messages[0].value()[:5])
    assert magic == 0 and json.loads(clients.registry.get_schema(number).schema_str)["name"] == "Order"
    assert clients.registry.get_latest_version(clients.name + "-value").schema_id == number
    read = AvroDeserializer(clients.last)
    context = SerializationContext(clients.name, MessageField.VALUE)
    assert [read(m.value(), context) for m in messages] == values


def step_header(clients):
    """The id as a guid in a record's header."""
    headers, values = [], [{"id": 1, "item": "longer than the header it would otherwise have"}]
    serializer = AvroSerializer(clients.registry, ORDER, conf={"schema.id.serializer": header_schema_id_serializer})
    message = clients.send(values, serializer, headers)[0]
    assert headers and len(headers[0][1]) == 17, headers
    guid = str(uuid.UUID(bytes=bytes(headers[0][1][1:])))
    assert json.loads(clients.last.get_schema_by_guid(guid).schema_str)["name"] == "Order"
    context = SerializationContext(clients.name, MessageField.VALUE, message.headers())
    assert AvroDeserializer(clients.last)(message.value(), context) == values[0]


def step_evolve(clients):
    """A reader with the newer schema reads what the older one wrote; use.latest.version writes the newest."""
    messages = clients.send([{"id": 1, "item": "x"}], AvroSerializer(clients.registry, ORDER))
    context = SerializationContext(clients.name, MessageField.VALUE)
    newer = clients.registry.register_schema(clients.name + "-value", Schema(ORDER_2, "AVRO"))
    read = AvroDeserializer(clients.registry, ORDER_2)
    assert read(messages[0].value(), context) == {"id": 1, "item": "x", "count": 1}
    clients.arrived("/subjects/%s-value/versions" % clients.name)
    latest = AvroSerializer(clients.last, conf={"auto.register.schemas": False, "use.latest.version": True})
    written = latest({"id": 2, "item": "y", "count": 5}, context)
    assert struct.unpack(">bI", written[:5])[1] == newer
    known = AvroSerializer(clients.last, ORDER, conf={"auto.register.schemas": False})
    assert known({"id": 2, "item": "y"}, context)[:1] == b"\0"


def step_reject(clients):
    """What does not fit is refused, by registering and by asking; what is no schema, too."""
    subject = clients.name + "-value"
    clients.registry.register_schema(subject, Schema(ORDER, "AVRO"))
    error = refused(40901, clients.registry.register_schema, subject, Schema(ORDER_BAD, "AVRO"))
    assert error.http_status_code == 409 and "READER_FIELD_MISSING_DEFAULT_VALUE" in error.error_message
    assert clients.registry.test_compatibility(subject, Schema(ORDER_2, "AVRO"))
    assert not clients.last.test_compatibility(subject, Schema(ORDER_BAD, "AVRO"))
    assert not clients.last.test_compatibility_all_versions(subject, Schema(ORDER_BAD, "AVRO"))
    refused(42201, clients.registry.register_schema, subject, Schema('{"type":"nothing"}', "AVRO"))
    refused(42201, clients.registry.register_schema, subject, Schema('{}', "XML"))
    refused(40401, clients.registry.lookup_schema, clients.name, Schema(ORDER, "AVRO"))
    refused(40403, clients.registry.lookup_schema, subject, Schema(ORDER_2, "AVRO"))


def step_references(clients):
    """A schema of two subjects, through a topic."""
    part = record("Part", ("name", "string"))
    whole = record("Whole", ("part", "clients.Part"))
    clients.registry.register_schema(clients.name + "-part", Schema(part, "AVRO"))
    schema = Schema(whole, "AVRO", [SchemaReference("clients.Part", clients.name + "-part", 1)])
    values = [{"part": {"name": "wheel"}}]
    message = clients.send(values, AvroSerializer(clients.registry, schema))[0]
    context = SerializationContext(clients.name, MessageField.VALUE)
    assert AvroDeserializer(clients.last)(message.value(), context) == values[0]
    number = struct.unpack(">bI", message.value()[:5])[1]
    assert clients.registry.get_referenced_by(clients.name + "-part", 1) == [number]
    refused(42206, clients.registry.delete_subject, clients.name + "-part")


def step_delete(clients):
    """Softly and for good, a version and a subject."""
    subject, registry = clients.name + "-value", clients.registry
    first = registry.register_schema(subject, Schema(record(clients.name, ("x", "int")), "AVRO"))
    registry.register_schema(subject, Schema(record(clients.name, ("x", "int"), ("y", "int", 1)), "AVRO"))
    assert registry.get_versions(subject) == [1, 2]
    assert registry.delete_version(subject, 2) == 2 and registry.get_versions(subject) == [1]
    assert registry.delete_subject(subject) == [1] and subject not in registry.get_subjects()
    assert json.loads(clients.last.get_schema(first).schema_str)["name"] == clients.name
    assert registry.delete_subject(subject, permanent=True) == [1, 2]
    clients.last.clear_caches()
    clients.arrived("/schemas/ids/%d" % first)
    refused(40403, clients.last.get_schema, first)


def step_settings(clients):
    """Levels, modes and configurations of a subject and of everything."""
    subject, registry = clients.name + "-value", clients.registry
    assert registry.get_compatibility() == "BACKWARD"
    registry.set_compatibility(subject, "FULL")
    clients.arrived("/config/" + subject)
    assert clients.last.get_compatibility(subject) == "FULL"
    level = ConfigCompatibilityLevel.NONE
    registry.set_config(subject, ServerConfig(compatibility=level, compatibility_group="major"))
    config = registry.get_config(subject)
    assert config.compatibility_level == level and config.compatibility_group == "major"
    registry.delete_config(subject)
    refused(40408, registry.get_compatibility, subject)
    registry.update_mode(subject, "READONLY")
    assert registry.get_mode(subject) == "READONLY" and registry.get_global_mode() == "READWRITE"
    refused(42205, registry.register_schema, subject, Schema(ORDER, "AVRO"))
    registry.delete_mode(subject)
    assert "AVRO" in registry.get_schema_types() and "." in registry.get_contexts()


def step_metadata(clients):
    """A schema with properties, found by them."""
    subject, registry = clients.name + "-value", clients.registry
    first = Schema(ORDER, "AVRO", metadata=Metadata(None, MetadataProperties({"major": "1"}), None))
    second = Schema(ORDER_2, "AVRO", metadata=Metadata(None, MetadataProperties({"major": "2"}), None))
    numbers = [registry.register_schema(subject, schema) for schema in (first, second)]
    assert numbers[0] != numbers[1]
    assert clients.last.get_latest_with_metadata(subject, {"major": "1"}).version == 1
    assert registry.get_version(subject, 2).schema.metadata.properties.properties == {"major": "2"}
    found = registry.lookup_schema(subject, first)
    assert (found.schema_id, found.version) == (numbers[0], 1)


def step_contexts(clients):
    """The same subject in two contexts, ids of their own."""
    subject = clients.name + "-value"
    inner = ":.%s:%s" % (clients.name, subject)
    clients.registry.register_schema(subject, Schema(ORDER_2, "AVRO"))
    assert clients.registry.register_schema(inner, Schema(ORDER, "AVRO")) == 1
    assert json.loads(clients.last.get_schema(1, inner).schema_str)["fields"] == json.loads(ORDER)["fields"]
    assert "." + clients.name in clients.registry.get_contexts()
    scoped = SchemaRegistryClient({"url": clients.urls[0] + "/contexts/" + clients.name})
    assert scoped.get_versions(subject) == [1] and scoped.get_subjects() == [inner]


def step_another_process(clients):
    """What one registry has answered another one knows at once."""
    for n in range(50):
        schema = record("N%d" % n, ("x", "int"))
        number = clients.registry.register_schema("%s-%d" % (clients.name, n), Schema(schema, "AVRO"))
        with urllib.request.urlopen("%s/schemas/ids/%d" % (clients.urls[-1], number)) as answer:
            assert json.loads(answer.read())["schema"]


def steps_of(names):
    return {name[5:]: step for name, step in names.items() if name.startswith("step_")}


def main(steps):
    try:
        steps[sys.argv[3]](Clients(sys.argv[1], sys.argv[2].split(",")))
    except Exception as failure:  # told to who runs this
        traceback.print_exc()
        sys.exit("%s: %s" % (type(failure).__name__, failure))


if __name__ == "__main__":
    main(steps_of(dict(globals())))
