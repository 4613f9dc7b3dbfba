# SPDX-License-Identifier: Apache-2.0
# Validation of records at the broker: topics with confluent.*.schema.validation or millrace.*.schema.validation take
# records only that have a schema of their subject, in every way a client may send them, while registries come and go.
import json
import struct
import time

import pytest

import kafka_codecs
from cluster import Cluster, have, wait_until
from produce import Connection, packed, records
from rest import Registry, record

pytestmark = pytest.mark.skipif(not have("millrace-controller", "millrace-storage", "millrace-registry", "millrace"),
                                reason="daemons are not built")

NOT_ENOUGH_REPLICAS, INVALID_RECORD, OUT_OF_ORDER = 19, 87, 45
BY_ID = {"confluent.value.schema.validation": "true"}
FULL = {"millrace.value.schema.validation": "full"}
STRATEGY = "io.confluent.kafka.serializers.subject."
REJECTED = "millrace_storage_schema_rejected_records_total"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(coordinators=0, registries=1) as running:
        yield running


@pytest.fixture
def registry(cluster):
    client = Registry(cluster.registries[0].url)
    yield client
    client.close()


@pytest.fixture
def connection(cluster):
    with Connection(cluster) as opened:
        yield opened


def create(cluster, name, **settings):
    pairs = [argument for key, value in settings.items() for argument in ("--config", "%s=%s" % (key, value))]
    cluster.cli("topic", "create", name, "--partitions", 1, *pairs)


def framed(number, payload=b""):
    """A value with the id of its schema in front."""
    return b"\0" + struct.pack(">i", number) + payload


def batch(values, codec="none", key=b"k", headers=(), **producer):
    return packed(codec, records(values, key=key, headers=headers), len(values), **producer)


def guid_of(registry, subject, version=1):
    answer = registry.get(registry.subject_path(subject) + "/versions/%d" % version,
                          **{"Confluent-Accept-Unknown-Properties": "true"})
    return answer.json["guid"]


# ---- ids ----


def test_records_with_a_schema_of_the_subject_are_taken_and_others_are_not(cluster, registry, connection):
    create(cluster, "ids", **BY_ID)
    mine, foreign = registry.id_of("ids-value", record("Ids", "x")), registry.id_of("elsewhere", record("Else", "x"))
    assert connection.produce_reason("ids", batch([framed(mine, b"x")])) == (0, 0, None, {})
    before = cluster.storage[0].metric(REJECTED)
    for value, reason in [
            (framed(foreign), 'topic ids: no version of subject "ids-value" has the value\'s schema (id %d)' % foreign),
            (framed(999999), "topic ids: the value's schema (id 999999) is not known to the registry"),
            (b"{}", "the value of a record of topic ids begins with no schema id"),
            (b"", "the value of a record of topic ids begins with no schema id")]:
        assert connection.produce_reason("ids", batch([value])) == (INVALID_RECORD, -1, reason, {0: reason})
    assert cluster.storage[0].metric(REJECTED) == before + 4
    assert connection.produce("ids", batch([framed(mine)])) == (0, 1), "what was refused has left nothing behind"
    connection.send("ids", batch([framed(mine), b"bad", framed(mine), framed(foreign)]), version=8)
    error, _, _, faults = connection.receive_reason("ids")
    assert error == INVALID_RECORD and sorted(faults) == [1, 3]
    assert connection.produce("ids", batch([framed(mine)])) == (0, 2)


def test_null_is_taken_in_compacted_topics_too(cluster, registry, connection):
    create(cluster, "nulls", **BY_ID, **{"cleanup.policy": "compact", "confluent.key.schema.validation": "true"})
    key = framed(registry.id_of("nulls-key", "\"string\""), b"\2k")
    assert connection.produce("nulls", batch([None], key=key)) == (0, 0)
    assert connection.produce_reason("nulls", batch([None], key=b"plain"))[0] == INVALID_RECORD
    create(cluster, "keyless", **{"confluent.key.schema.validation": "true"})
    assert connection.produce("keyless", batch([b"any"], key=None)) == (0, 0)


@pytest.mark.parametrize("codec", kafka_codecs.NAMES)
def test_compressed_batches(cluster, registry, connection, codec):
    topic = "packed-" + codec
    create(cluster, topic, **BY_ID)
    mine = framed(registry.id_of(topic + "-value", record("Packed", "x")), b"payload" * 20)
    large = [mine] * 2000  # validated on the pool
    assert connection.produce(topic, batch([mine], codec)) == (0, 0)
    assert connection.produce(topic, batch(large, codec)) == (0, 1)
    error, _, _, faults = connection.produce_reason(topic, batch(large[:1500] + [b"bad"] * 300, codec))
    assert error == INVALID_RECORD and sorted(faults) == list(range(1500, 1600)), "the first hundred"
    assert connection.produce(topic, batch([mine], codec)) == (0, 2001)


def test_what_is_packed_anew_is_validated(cluster, registry, connection):
    create(cluster, "anew", **BY_ID, **{"compression.type": "zstd"})
    mine = framed(registry.id_of("anew-value", record("Anew", "x")))
    assert connection.produce("anew", batch([mine] * 10, "gzip")) == (0, 0)
    assert connection.produce("anew", batch([mine, b"bad"], "gzip"))[0] == INVALID_RECORD


def test_a_schema_registered_a_moment_before(cluster, registry, connection):
    create(cluster, "moment", **BY_ID, **{"confluent.value.subject.name.strategy": STRATEGY + "RecordNameStrategy"})
    for i in range(30):
        number = registry.id_of("Moment%d" % i, record("Moment%d" % i, "x"))
        assert connection.produce("moment", batch([framed(number)])) == (0, i)


def test_subjects_by_strategy(cluster, registry, connection):
    both = registry.id_of("by.Name", record("by.Name", "x"))
    registry.id_of("strategy-by.Name", record("by.Name", "x"))
    create(cluster, "strategy", **BY_ID)
    taken = 0
    for strategy, error in [("TopicNameStrategy", INVALID_RECORD), ("RecordNameStrategy", 0),
                            ("TopicRecordNameStrategy", 0)]:
        cluster.cli("config", "set", "confluent.value.subject.name.strategy=" + STRATEGY + strategy,
                    "--topic", "strategy")
        assert connection.produce("strategy", batch([framed(both)])) == (error, -1 if error else taken)
        taken += error == 0
    refused = cluster.cli("config", "set", "confluent.value.subject.name.strategy=Other", "--topic", "strategy",
                          check=False)
    assert refused.returncode != 0


def test_the_message_of_a_record_names_its_subject(cluster, registry, connection):
    """Not the first one of the file: the one that the index in front of the payload names."""
    text = 'syntax = "proto3"; package msg; message First { int32 a = 1; } message Second { int32 b = 1; }'
    mine = registry.id_of("msg.Second", text, schemaType="PROTOBUF")
    create(cluster, "messages", **BY_ID, **{"confluent.value.subject.name.strategy": STRATEGY + "RecordNameStrategy"})
    first = connection.produce_reason("messages", batch([framed(mine, b"\0\x08\7")]))
    assert first[0] == INVALID_RECORD and 'no version of subject "msg.First"' in first[2]
    assert connection.produce("messages", batch([framed(mine, b"\2\2\x08\7")])) == (0, 0)
    guid = b"\1" + bytes.fromhex(guid_of(registry, "msg.Second").replace("-", ""))
    for index, error in [(b"\2\2", 0), (b"\0", INVALID_RECORD), (b"", INVALID_RECORD)]:
        sent = batch([b""], headers=[(b"__value_schema_id", guid + index)])
        assert connection.produce("messages", sent)[0] == error, index
    cluster.cli("config", "set", "millrace.value.schema.validation=full", "--topic", "messages")
    wait_until(lambda: connection.produce("messages", batch([framed(mine, b"\2\2\x0a\1x")]))[0] == INVALID_RECORD, 10)
    assert connection.produce("messages", batch([framed(mine, b"\2\2\x08\7")]))[0] == 0


def test_settings_changed_while_running(cluster, registry, connection):
    create(cluster, "changed")
    mine = registry.id_of("changed-value", record("Changed", "x"))
    assert connection.produce("changed", batch([b"any"])) == (0, 0)
    cluster.cli("config", "set", "confluent.value.schema.validation=true", "--topic", "changed")
    assert connection.produce("changed", batch([b"any"]))[0] == INVALID_RECORD
    assert connection.produce("changed", batch([framed(mine, b"no value of it")])) == (0, 1)
    cluster.cli("config", "set", "millrace.value.schema.validation=full", "--topic", "changed")
    assert connection.produce("changed", batch([framed(mine, b"no value of it")]))[0] == INVALID_RECORD
    assert connection.produce("changed", batch([framed(mine, b"\2")])) == (0, 2)
    cluster.cli("config", "delete", "millrace.value.schema.validation", "--topic", "changed")
    cluster.cli("config", "set", "confluent.value.schema.validation=false", "--topic", "changed")
    assert connection.produce("changed", batch([b"any"])) == (0, 3)


def test_a_deleted_version_is_refused_before_long(cluster, registry, connection):
    create(cluster, "deleted", **BY_ID)
    mine = registry.id_of("deleted-value", record("Deleted", "x"))
    assert connection.produce("deleted", batch([framed(mine)]))[0] == 0
    registry.delete("deleted-value")
    wait_until(lambda: connection.produce("deleted", batch([framed(mine)]))[0] == INVALID_RECORD,
               seconds=30, every=0.5, what="the deletion noticed")
    registry.id_of("deleted-value", record("Deleted", "x"))
    wait_until(lambda: connection.produce("deleted", batch([framed(mine)]))[0] == 0, seconds=10, every=0.1,
               what="the schema taken again")


# ---- ids in headers ----


def test_guids_and_ids_in_headers(cluster, registry, connection):
    create(cluster, "headers", **BY_ID)
    mine = registry.id_of("headers-value", record("Headers", "x"))
    registry.id_of("elsewhere-value", record("Elsewhere", "y"))
    guid = bytes.fromhex(guid_of(registry, "headers-value").replace("-", ""))
    other = bytes.fromhex(guid_of(registry, "elsewhere-value").replace("-", ""))

    def sent(value):
        return connection.produce_reason("headers", batch([b"payload alone"], headers=[(b"__value_schema_id", value)]))

    assert sent(b"\1" + guid)[:2] == (0, 0)
    assert sent(framed(mine))[:2] == (0, 1)
    assert "no version of subject" in sent(b"\1" + other)[2]
    assert "not known" in sent(b"\1" + bytes(16))[2]
    assert "the header __value_schema_id" in sent(b"\1short")[2]
    assert connection.produce("headers", batch([framed(mine)], headers=[(b"other", b"x")])) == (0, 2)


# ---- order ----


def test_an_idempotent_producer_keeps_its_order(cluster, registry, connection):
    create(cluster, "order", **BY_ID)
    mine = [framed(registry.id_of("order-value", record("Order", "x")))]

    def sent(values, sequence):
        return batch(values, producer=77, sequence=sequence)

    for sequence in range(5):  # all under way at once, the first ones wait for the registry
        connection.send("order", sent(mine, sequence))
    assert [connection.receive("order") for _ in range(5)] == [(0, n) for n in range(5)]
    assert connection.produce("order", sent(mine, 4)) == (0, 4), "a duplicate"
    connection.send("order", sent([b"bad"], 5))
    connection.send("order", sent(mine, 6))
    assert connection.receive("order")[0] == INVALID_RECORD
    assert connection.receive("order")[0] == OUT_OF_ORDER, "not in place of the one before it"
    assert connection.produce("order", sent(mine, 5)) == (0, 5)


def test_a_duplicate_is_answered_although_its_schema_is_gone(cluster, registry, connection):
    create(cluster, "again", **BY_ID)
    sent = batch([framed(registry.id_of("again-value", record("Again", "x")))], producer=78, sequence=0)
    fresh = [framed(registry.id_of("again-value", record("Again", "x")))]
    assert connection.produce("again", sent) == (0, 0)
    registry.delete("again-value")
    wait_until(lambda: connection.produce("again", batch(fresh))[0] == INVALID_RECORD, seconds=30, every=0.5)
    assert connection.produce("again", sent) == (0, 0)


def test_many_at_once_share_one_question(cluster, registry):
    create(cluster, "shared", **BY_ID)
    mine = batch([framed(registry.id_of("shared-value", record("Shared", "x")))])
    before = cluster.storage[0].metric("millrace_storage_schema_questions_total")
    connections = [Connection(cluster) for _ in range(20)]
    for one in connections:
        one.send("shared", mine)
    assert sorted(one.receive("shared")[1] for one in connections) == list(range(20))
    for one in connections:
        one.socket.close()
    # besides, topics of other tests may be asked about again
    asked = cluster.storage[0].metric("millrace_storage_schema_questions_total") - before
    assert 1 <= asked <= 10, asked
    hits = cluster.storage[0].metric("millrace_storage_schema_hits_total")
    with Connection(cluster) as one:
        assert one.produce("shared", mine) == (0, 20)
    assert cluster.storage[0].metric("millrace_storage_schema_hits_total") == hits + 1


def test_a_batch_of_more_schemas_than_are_asked_about_at_once(cluster, registry, connection):
    create(cluster, "various", **BY_ID, **{"confluent.value.subject.name.strategy": STRATEGY + "RecordNameStrategy"})
    values = [framed(registry.id_of("Various%d" % i, record("Various%d" % i, "x"))) for i in range(150)]
    assert connection.produce("various", batch(values)) == (0, 0)
    assert cluster.storage[0].metric("millrace_storage_schema_cache_entries") >= 150


# ---- payloads ----


def test_avro_payloads(cluster, registry, connection):
    create(cluster, "avro", **FULL)
    mine = registry.id_of("avro-value", record("Avro", "x", ("name", "string")))
    fine, bad = framed(mine, b"\2\4ab"), framed(mine, b"\2\4abc")
    assert connection.produce("avro", batch([fine])) == (0, 0)
    error, _, message, faults = connection.produce_reason("avro", batch([fine, bad, framed(mine)]))
    assert error == INVALID_RECORD and sorted(faults) == [1, 2]
    assert message == ('topic avro: the value is not of its schema (id %d, subject "avro-value"): 1 bytes are left behind '
                       'the value' % mine)
    assert "/x: too few bytes at byte 0 for the type int" in faults[2]
    large = [fine] * 8000  # on the pool
    for codec in ("none", "lz4"):
        assert connection.produce("avro", batch(large, codec))[0] == 0
        error, _, _, faults = connection.produce_reason("avro", batch(large + [bad], codec))
        assert error == INVALID_RECORD and list(faults) == [8000]


def test_avro_payloads_with_references(cluster, registry, connection):
    create(cluster, "referring", **FULL)
    registry.id_of("inner", record("n.Inner", "x"))
    mine = registry.id_of("referring-value", record("n.Outer", ("inner", "n.Inner")),
                          references=[{"name": "n.Inner", "subject": "inner", "version": 1}])
    assert connection.produce("referring", batch([framed(mine, b"\2")])) == (0, 0)
    assert connection.produce("referring", batch([framed(mine, b"\2\2")]))[0] == INVALID_RECORD


def test_json_payloads(cluster, registry, connection):
    create(cluster, "json", **FULL)
    schema = {"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "integer"}}}}
    mine = registry.id_of("json-value", schema, schemaType="JSON")
    assert connection.produce("json", batch([framed(mine, b'{"lines":[1,2]}')])) == (0, 0)
    error, _, message, _ = connection.produce_reason("json", batch([framed(mine, b'{"lines":[1,"a"]}')]))
    assert error == INVALID_RECORD and "/lines/1" in message, message
    assert connection.produce("json", batch([framed(mine, b"{")]))[0] == INVALID_RECORD
    assert connection.produce("json", batch([framed(mine, b"{}")])) == (0, 1)


def test_protobuf_payloads(cluster, registry, connection):
    create(cluster, "proto", **FULL)
    text = 'syntax = "proto3"; message First { string name = 1; } message Second { int32 number = 1; }'
    mine = registry.id_of("proto-value", text, schemaType="PROTOBUF")
    for payload, error in [(b"\0\x0a\2ab", 0), (b"\2\2\x08\7", 0), (b"\0\x0a\5ab", INVALID_RECORD),
                           (b"\0\x08\7", INVALID_RECORD), (b"\2\6\x08\7", INVALID_RECORD)]:
        got = connection.produce_reason("proto", batch([framed(mine, payload)]))
        assert got[0] == error, (payload, got)
    guid = b"\1" + bytes.fromhex(guid_of(registry, "proto-value").replace("-", ""))
    for indexes, payload, error in [(b"\0", b"\x0a\2ab", 0), (b"\2\2", b"\x08\7", 0),
                                    (b"\2\2", b"\x0a\2ab", INVALID_RECORD)]:
        got = connection.produce_reason("proto", batch([payload], headers=[(b"__value_schema_id", guid + indexes)]))
        assert got[0] == error, (indexes, payload, got)


# ---- registries come and go ----


def test_while_no_registry_answers_nothing_is_lost_and_nothing_slips_in(cluster, registry, connection):
    create(cluster, "alone", **BY_ID)
    create(cluster, "free")
    known, new = (registry.id_of("alone-value", record("Alone", *fields)) for fields in
                  (["x"], ["x", ("y", "int", 1)]))
    assert connection.produce("alone", batch([framed(known)])) == (0, 0)
    registry.close()
    cluster.registries[0].stop()
    error, base, message, _ = connection.produce_reason("alone", batch([framed(new)]))
    assert (error, base, message) == (NOT_ENOUGH_REPLICAS, -1, "no schema registry answers")
    assert connection.produce("alone", batch([framed(known)])) == (0, 1), "what was known stays known"
    assert connection.produce("alone", batch([b"bad"]))[0] == INVALID_RECORD
    assert connection.produce("free", batch([b"any"])) == (0, 0)
    began = time.monotonic()
    assert connection.produce("alone", batch([framed(new)]))[0] == NOT_ENOUGH_REPLICAS
    assert time.monotonic() - began < 5
    cluster.registries[0].start()
    cluster.registries[0].wait_ready()
    wait_until(lambda: connection.produce("alone", batch([framed(new)]))[0] == 0, every=0.1,
               what="records taken with the registry back")


def test_any_of_several_registries_answers(cluster):
    with Cluster(coordinators=0, registries=2) as both, Connection(both) as connection:
        create(both, "two", **BY_ID)
        clients = [Registry(daemon.url) for daemon in both.registries]
        for turn in range(3):
            numbers = [client.id_of("two-value", record("Two", *[("f%d%d" % (turn, i), "int", 0)]))
                       for i, client in enumerate(clients)]
            for number in numbers:
                assert connection.produce("two", batch([framed(number)]))[0] == 0
            if turn < 2:
                daemon = both.registries[turn]
                clients[turn].close()
                daemon.kill()
                survivor = clients[1 - turn]
                wait_until(lambda: survivor.register("two-value", record("Two", ("g%d" % turn, "int", 0))).status == 200,
                           what="another owner")
                number = survivor.id_of("two-value", record("Two", ("g%d" % turn, "int", 0)))
                wait_until(lambda: connection.produce("two", batch([framed(number)]))[0] == 0)
                daemon.start()
                daemon.wait_ready()
        for client in clients:
            client.close()


def test_clients_of_the_command_line_hear_why(cluster, registry):
    create(cluster, "told", **BY_ID)
    told = cluster.cli("config", "list", "--topic", "told", "--json").stdout
    assert "confluent.value.schema.validation" in told and json.loads(told)
    refused = cluster.kcat("-P", "-t", "told", input="plain\n", check=False)
    assert "Broker failed to validate record" in refused.stderr or refused.returncode != 0, refused.stderr
