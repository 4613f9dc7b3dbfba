# SPDX-License-Identifier: Apache-2.0
# What holds for every request: ApiVersions and its fallback, headers, tags, order, what closes a connection.
import struct
import time

import pytest

from behaviour import API, Connection, batch, broker, encoded, part, raw

API_VERSIONS, PRODUCE, FETCH, METADATA = 18, 0, 1, 3
UNSUPPORTED_VERSION, INVALID_REQUEST = 35, 42
UNKNOWN_TAG = b"\x01\x55\x02ab"  # one tagged field, number 85, of two bytes


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        found.topic("flow")
        yield found


def frames(connection, count):
    """(correlation id, body) of the next answers."""
    data, found = b"", []
    while len(found) < count:
        part = connection.socket.recv(1 << 16)
        assert part, "the broker closed the connection"
        data += part
        while len(data) >= 4 and len(data) >= 4 + struct.unpack_from(">i", data)[0]:
            size = 4 + struct.unpack_from(">i", data)[0]
            found.append((struct.unpack_from(">i", data, 4)[0], data[8:size]))
            data = data[size:]
    return found


def advertised(side, version=0):
    fields = {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"} if version >= 3 else {}
    answer = side.call("ApiVersions", version, **fields)
    assert answer["ErrorCode"] == 0
    return answer


def ranges(side):
    return {row["ApiKey"]: (row["MinVersion"], row["MaxVersion"]) for row in advertised(side)["ApiKeys"]}


# ---- ApiVersions ----


@pytest.mark.parametrize("version", (6, 99, 32767))
def test_api_versions_of_unknown_version_is_answered_in_v0_with_unsupported_version_and_its_own_range(side, version):
    low, high = ranges(side)[API_VERSIONS]
    answer = raw(side, API_VERSIONS, version, b"\xff" * 20, True)  # the body cannot be read and is not looked at
    assert answer == struct.pack(">hihhh", UNSUPPORTED_VERSION, 1, API_VERSIONS, low, high)


def test_api_versions_of_unknown_version_leaves_the_connection_open(side):
    connection = Connection(side.address)
    connection.send(API_VERSIONS, 99, b"", True)
    assert connection.receive()[:2] == struct.pack(">h", UNSUPPORTED_VERSION)
    connection.send(API_VERSIONS, 0, b"", False)
    assert connection.receive()[:2] == b"\0\0"
    connection.close()


@pytest.mark.parametrize("version", (3, 4))
def test_api_versions_answer_has_no_tags_in_its_header(side, version):
    body = encoded("ApiVersions", version, ClientSoftwareName="test", ClientSoftwareVersion="1")
    answer = raw(side, API_VERSIONS, version, body, True)
    assert API["ApiVersions"]["response"].decode(version, answer)["ErrorCode"] == 0  # whole, without a byte before it


@pytest.mark.parametrize("name, software", (
    ("", "1"), ("a b", "1"), ("-a", "1"), ("a.", "1"), ("a_b", "1"), ("a", ""), ("a", "1-"), ("a", ".1")))
def test_api_versions_refuses_software_names_outside_the_pattern(side, name, software):
    for version in (3, 4):
        answer = side.call("ApiVersions", version, ClientSoftwareName=name, ClientSoftwareVersion=software)
        assert answer["ErrorCode"] == INVALID_REQUEST


@pytest.mark.parametrize("name, software", (("a", "1"), ("librdkafka", "2.0.2-RC1"), ("apache-kafka-java", "4.2.0"),
                                            ("A.b-9", "v1.2.3-x.4")))
def test_api_versions_takes_software_names_of_the_pattern(side, name, software):
    answer = side.call("ApiVersions", 3, ClientSoftwareName=name, ClientSoftwareVersion=software)
    assert answer["ErrorCode"] == 0 and answer["ApiKeys"]


def test_api_versions_before_v4_tells_no_supported_feature_that_begins_at_0(side):
    assert all(one["MinVersion"] > 0 for one in advertised(side, 3).get("SupportedFeatures", []))
    supported = {one["Name"]: one for one in advertised(side, 4)["SupportedFeatures"]}
    assert (supported["transaction.version"]["MinVersion"], supported["transaction.version"]["MaxVersion"]) == (0, 2)


def test_api_versions_tells_the_finalized_transaction_version_from_v3_on(side):
    for version in (3, 4):
        finalized = {one["Name"]: one["MaxVersionLevel"] for one in advertised(side, version)["FinalizedFeatures"]}
        assert finalized["transaction.version"] == 2
    for version in (0, 1, 2):
        assert "FinalizedFeatures" not in advertised(side, version)


# ---- version ranges ----


# rdkafka_feature.c of librdkafka 2.0.2: what it looks for before it uses magic 2, compression, groups, idempotence.
@pytest.mark.parametrize("key, version", (
    (0, 0), (0, 3), (0, 7), (1, 4), (1, 10), (2, 1), (8, 2), (9, 1), (10, 0), (11, 0), (12, 0), (13, 0), (14, 0), (18, 0),
    (22, 0)))
def test_versions_librdkafka_looks_for_are_in_the_advertised_ranges(side, key, version):
    low, high = ranges(side)[key]
    assert low <= version <= high


@pytest.mark.parametrize("version", (0, 1, 2))
def test_produce_before_v3_is_advertised_and_closes_the_connection(side, version):
    assert ranges(side)[PRODUCE][0] == 0
    assert raw(side, PRODUCE, version, struct.pack(">hii", 1, 1000, 0), False) is None


@pytest.mark.parametrize("version", (0, 1, 2, 3))
def test_fetch_before_v4_closes_the_connection(side, version):
    assert ranges(side)[FETCH][0] == 4
    assert raw(side, FETCH, version, struct.pack(">iii", -1, 100, 1) + b"\0" * 9, False) is None


@pytest.mark.parametrize("key, version", ((999, 0), (-1, 0), (7, 0), (52, 0), (METADATA, 14), (METADATA, -1), (PRODUCE, 14)))
def test_unknown_api_or_version_closes_the_connection(side, key, version):
    for flexible in (False, True):
        assert raw(side, key, version, b"\0" * 12, flexible) is None


# ---- headers and tags ----


@pytest.mark.parametrize("client_id", (None, "", "c" * 30000))
def test_client_id_is_a_nullable_string_also_in_flexible_headers(side, client_id):
    for version in (1, 12):
        answer = raw(side, METADATA, version, encoded("Metadata", version, Topics=[]), version >= 9, client_id)
        assert answer is not None


def test_unknown_tags_are_skipped_in_header_and_structures(side):
    name = b"\x05flow"
    body = b"\x02" + name + UNKNOWN_TAG + b"\0\0\0" + UNKNOWN_TAG  # one topic, three booleans
    answer = raw(side, METADATA, 9, UNKNOWN_TAG + body, False)  # the header's tags stand before the body
    (topic,) = API["Metadata"]["response"].decode(9, answer[1:])["Topics"]
    assert (topic["Name"], topic["ErrorCode"], len(topic["Partitions"])) == ("flow", 0, 1)


def test_tagged_fields_with_their_default_are_left_out_of_answers(side):
    answer = side.fetch("flow", 0, version=12)
    assert not set(part(answer)) & {"DivergingEpoch", "CurrentLeader", "SnapshotId"} and "NodeEndpoints" not in answer
    produced = side.call("Produce", 10, Acks=1, TimeoutMs=1000, TopicData=[
        {"Name": "flow", "PartitionData": [{"Index": 0, "Records": batch(b"a")}]}])
    assert "NodeEndpoints" not in produced and "CurrentLeader" not in produced["Responses"][0]["PartitionResponses"][0]


def test_throttle_time_is_0_without_quotas(side):
    group = {"GroupId": "throttle", "MemberId": "m"}
    answers = [side.call("Metadata", 9, Topics=[]), side.fetch("flow", 0, MaxWaitMs=0), side.call("ApiVersions", 2),
               side.call("FindCoordinator", 3, Key="g"), side.call("ListGroups", 4),
               side.call("InitProducerId", 4, TransactionalId=None),
               side.call("Heartbeat", 3, GenerationId=0, **group), side.call("DescribeCluster", 1, EndpointType=1),
               side.call("Produce", 9, Acks=1, TimeoutMs=1000, TopicData=[])]
    assert [answer["ThrottleTimeMs"] for answer in answers] == [0] * len(answers)


# ---- order ----


def test_answers_come_in_the_order_of_the_requests(side):
    connection = Connection(side.address)
    waiting = [{"Topic": "flow", "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}]
    topic = [{"Name": "flow", "PartitionData": [{"Index": 0, "Records": batch(b"b")}]}]
    first = connection.correlation + 1
    began = time.monotonic()
    connection.send(FETCH, 4, encoded("Fetch", 4, MaxWaitMs=300, MinBytes=1 << 20, Topics=waiting), False)
    connection.send(API_VERSIONS, 0, b"", False)
    connection.send(PRODUCE, 9, encoded("Produce", 9, Acks=1, TimeoutMs=1000, TopicData=topic), True)
    assert [number - first for number, _ in frames(connection, 3)] == [0, 1, 2]
    assert time.monotonic() - began > 0.29, "the second and third stood behind the first, which waits"
    connection.close()


def test_produce_requests_in_flight_are_appended_and_answered_in_order(side):
    side.topic("pipelined")
    connection = Connection(side.address)
    for n in range(20):
        topic = [{"Name": "pipelined", "PartitionData": [{"Index": 0, "Records": batch(b"%d" % n)}]}]
        connection.send(PRODUCE, 9, encoded("Produce", 9, Acks=-1 if n % 2 else 1, TimeoutMs=5000, TopicData=topic), True)
    answers = [API["Produce"]["response"].decode(9, body[1:]) for _, body in frames(connection, 20)]
    found = [answer["Responses"][0]["PartitionResponses"][0] for answer in answers]
    assert [(one["ErrorCode"], one["BaseOffset"]) for one in found] == [(0, n) for n in range(20)]
    connection.close()
