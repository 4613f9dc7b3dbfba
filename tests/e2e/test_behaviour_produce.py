# SPDX-License-Identifier: Apache-2.0
# Produce: acks, what a batch must look like, sizes, and what the broker writes into it.
import kafka_codecs
import pytest

from behaviour import Batch, Connection, batch, batches, broker, encoded, metadata_of, part, refused
from side import crc32c, record

API_VERSIONS, PRODUCE = 18, 0
CORRUPT_MESSAGE, UNKNOWN_TOPIC, TOO_LARGE, LIST_TOO_LARGE, INVALID_ACKS = 2, 3, 10, 18, 21
UNSUPPORTED_CODEC, INVALID_RECORD, UNKNOWN_TOPIC_ID = 76, 87, 100
NOBODY = "12345678-1234-1234-1234-123456789abc"
SEGMENT_BYTES = 1 << 20


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        found.topic("t")
        yield found


def fetched(side, topic, offset=0):
    return batches(part(side.fetch(topic, offset)))


def end(side, topic):
    return part(side.fetch(topic, 0))["HighWatermark"]


# ---- acks ----


def produce_body(topic, records, acks):
    return encoded("Produce", 9, Acks=acks, TimeoutMs=1000, TopicData=[
        {"Name": topic, "PartitionData": [{"Index": 0, "Records": records}]}])


def test_produce_with_acks_0_is_appended_and_not_answered(side):
    side.topic("acks-0")
    connection = Connection(side.address)
    connection.send(PRODUCE, 9, produce_body("acks-0", batch(b"a"), 0), True)
    connection.send(API_VERSIONS, 0, b"", False)
    assert connection.receive() is not None  # under the correlation id of the second request
    assert [one.count for one in fetched(side, "acks-0")] == [1]
    connection.close()


@pytest.mark.parametrize("topic, records", (("t", batch(b"a", crc=1)), ("unknown", batch(b"a")), ("t", b"")),
                         ids=("corrupt", "unknown topic", "empty"))
def test_produce_with_acks_0_that_is_refused_closes_the_connection(side, topic, records):
    connection = Connection(side.address)
    connection.send(PRODUCE, 9, produce_body(topic, records, 0), True)
    connection.send(API_VERSIONS, 0, b"", False)
    assert connection.receive() is None
    connection.close()


@pytest.mark.parametrize("acks", (1, -1))
def test_produce_with_acks_1_and_all_is_answered_with_its_offset(side, acks):
    topic = "acks-%d" % (acks + 10)
    side.topic(topic)
    for offset in range(3):
        found = side.produce(topic, batch(b"a"), acks=acks)
        assert (found["ErrorCode"], found["BaseOffset"], found["LogStartOffset"]) == (0, offset, 0)


@pytest.mark.parametrize("acks", (2, -2, 32767))
def test_produce_with_other_acks_is_invalid_required_acks(side, acks):
    before = end(side, "t")
    found = side.produce("t", batch(b"a"), acks=acks)
    assert (found["ErrorCode"], found["BaseOffset"]) == (INVALID_ACKS, -1)
    assert end(side, "t") == before


# ---- what a batch must look like ----


def assert_refused(side, records, error, version=12):
    before = end(side, "t")
    found = side.produce("t", records, version=version)
    assert (found["ErrorCode"], found["BaseOffset"]) == (error, -1)
    assert end(side, "t") == before


def test_produce_of_two_batches_for_one_partition_is_invalid_record(side):
    assert_refused(side, batch(b"a") + batch(b"b"), INVALID_RECORD)


@pytest.mark.parametrize("records", (b"", batch()), ids=("no batch", "no records"))
def test_produce_of_no_record_is_invalid_record(side, records):
    assert_refused(side, records, INVALID_RECORD)


@pytest.mark.parametrize("magic", (0, 1))
def test_produce_of_magic_0_and_1_is_invalid_record(side, magic):
    assert_refused(side, batch(b"a", magic=magic), INVALID_RECORD)


def zstd(body):
    return kafka_codecs.pack("zstd", body)


@pytest.mark.parametrize("version", (3, 6))
def test_produce_of_zstd_before_v7_is_unsupported_compression_type(side, version):
    assert_refused(side, batch(b"a", attributes=4, compress=zstd), UNSUPPORTED_CODEC, version)


def test_produce_of_zstd_from_v7_on_is_taken(side):
    side.topic("zstd")
    for version in (7, 9, 12):
        assert refused(side.produce("zstd", batch(b"a", attributes=4, compress=zstd), version=version)) == 0
    assert [one.attributes for one in fetched(side, "zstd")] == [4, 4, 4]


def test_produce_of_a_control_batch_is_invalid_record(side):
    assert_refused(side, batch(b"\0\0\0\0\0\0", key=b"\0\0\0\1", attributes=0x20), INVALID_RECORD)


@pytest.mark.parametrize("wrong", ({"last_delta": 3}, {"last_delta": -1}, {"count": 2}, {"count": 0}, {"count": -1}))
def test_produce_whose_last_offset_delta_does_not_fit_its_count_is_invalid_record(side, wrong):
    assert_refused(side, batch(b"a", **wrong), INVALID_RECORD)


def test_produce_with_producer_id_and_without_sequence_is_invalid_record(side):
    assert_refused(side, batch(b"a", pid=4711, epoch=0, sequence=-1), INVALID_RECORD)


def test_produce_with_a_wrong_checksum_is_corrupt_message(side):
    assert_refused(side, batch(b"a", crc=1), CORRUPT_MESSAGE)


@pytest.mark.parametrize("version", (3, 9, 12))
def test_produce_to_an_unknown_topic_or_partition_says_so(side, version):
    assert refused(side.produce("unknown", batch(b"a"), version=version)) == UNKNOWN_TOPIC
    assert refused(side.produce("t", batch(b"a"), version=version, partition=7)) == UNKNOWN_TOPIC


def test_produce_v13_names_topics_by_id_and_an_unknown_id_is_unknown_topic_id(side):
    topic = metadata_of(side, "t")["TopicId"]
    assert refused(side.produce(topic, batch(b"a"), version=13)) == 0
    assert refused(side.produce(NOBODY, batch(b"a"), version=13)) == UNKNOWN_TOPIC_ID


# ---- sizes ----


def test_produce_above_max_message_bytes_is_message_too_large(side):
    side.topic("small", max_message_bytes=1000)
    fits = batch(b"x" * (1000 - len(batch(b"x" * 900)) + 900))
    assert len(fits) == 1000 and refused(side.produce("small", fits)) == 0
    for version in (7, 12):
        found = side.produce("small", batch(b"x" * 1000), version=version)
        assert (found["ErrorCode"], found["BaseOffset"]) == (TOO_LARGE, -1)
    assert end(side, "small") == 1


def test_default_max_message_bytes_is_1048588(side):
    answer = side.call("DescribeConfigs", 4, Resources=[
        {"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": ["max.message.bytes"]}])
    assert answer["Results"][0]["Configs"][0]["Value"] == "1048588"


def test_produce_above_segment_bytes_is_record_list_too_large(side):
    side.topic("segments", segment_bytes=SEGMENT_BYTES, max_message_bytes=2 * SEGMENT_BYTES)
    assert refused(side.produce("segments", batch(b"x" * SEGMENT_BYTES))) == LIST_TOO_LARGE
    assert end(side, "segments") == 0


# ---- what the broker writes ----


def test_stored_batch_gets_its_offset_and_leader_epoch_and_nothing_that_the_checksum_covers(side):
    side.topic("stored")
    for offset in (0, 2):
        sent = batch(b"a", b"b", timestamp=1700000000000, base=0, leader_epoch=-1)
        assert side.produce("stored", sent)["BaseOffset"] == offset
        found = fetched(side, "stored", offset)[0]
        assert (found.base, found.leader_epoch) == (offset, metadata_of(side, "stored")["Partitions"][0]["LeaderEpoch"])
        assert (found.crc, found.checked) == (Batch(sent).crc, Batch(sent).checked)


def test_log_append_time_sets_attribute_newest_time_and_checksum_and_is_answered(side):
    side.topic("appended", message_timestamp_type="LogAppendTime")
    answer = side.produce("appended", batch(b"a", b"b", timestamp=5))
    (found,) = fetched(side, "appended")
    assert answer["LogAppendTimeMs"] > 1700000000000
    assert (found.attributes, found.first_time, found.max_time) == (8, 5, answer["LogAppendTimeMs"])
    assert found.crc == crc32c(found.checked)


@pytest.mark.parametrize("version", (3, 8, 12))
def test_create_time_is_answered_with_log_append_time_minus_1(side, version):
    assert side.produce("t", batch(b"a", timestamp=5), version=version)["LogAppendTimeMs"] == -1


# ---- what is told of a refused one ----


@pytest.mark.parametrize("version", (8, 9, 12))
def test_produce_v8_names_each_record_without_key_in_a_compacted_topic(side, version):
    topic = "compacted-%d" % version
    side.topic(topic, cleanup_policy="compact")
    body = record(0, b"k", b"v") + record(1, None, b"v") + record(2, None, b"v")
    found = side.produce(topic, batch(b"", b"", b"", body=body), version=version)
    assert found["ErrorCode"] == INVALID_RECORD and found["ErrorMessage"]
    assert [one["BatchIndex"] for one in found["RecordErrors"]] == [1, 2]
    assert all(one["BatchIndexErrorMessage"] for one in found["RecordErrors"])
    assert end(side, topic) == 0


def test_produce_before_v8_refuses_a_record_without_key_with_the_code_alone(side):
    side.topic("compacted-7", cleanup_policy="compact")
    found = side.produce("compacted-7", batch(b"v"), version=7)
    assert found["ErrorCode"] == INVALID_RECORD and not set(found) & {"RecordErrors", "ErrorMessage"}


def test_tombstone_with_key_is_taken_by_a_compacted_topic(side):
    side.topic("tombstones", cleanup_policy="compact")
    assert refused(side.produce("tombstones", batch(None, key=b"k"))) == 0
