# SPDX-License-Identifier: Apache-2.0
# Metadata, topics made by asking for them, FindCoordinator, configurations and CreatePartitions.
import pytest

import cluster as lib
from behaviour import NO_REBALANCE_DELAY, batch, broker, list_offset, metadata_of, only_millrace, part, refused

UNKNOWN_TOPIC, INVALID_TOPIC, UNKNOWN_TOPIC_ID, INVALID_REQUEST, INVALID_CONFIG = 3, 17, 100, 42, 40
INVALID_PARTITIONS = 37
NOBODY = "12345678-1234-1234-1234-123456789abc"
NO_OPERATIONS = -2 ** 31
VERSIONS = range(0, 14)
TOPIC = 2  # the type of a resource
DELETE, APPEND, SUBTRACT = 1, 2, 3  # what is done to a setting


@pytest.fixture(scope="module")
def side():
    with broker({**NO_REBALANCE_DELAY, "storage": {"broker.rack": "here"}}) as found:
        found.topic("one")
        found.topic("three", 3)
        yield found


def names(answer):
    return {topic["Name"] for topic in answer["Topics"]} & {"one", "three"}


# ---- Metadata ----


def test_metadata_v0_without_topics_lists_all(side):
    assert names(side.call("Metadata", 0, Topics=[])) == {"one", "three"}


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_metadata_from_v1_on_lists_all_topics_for_null_and_none_for_an_empty_list(side, version):
    assert names(side.call("Metadata", version, Topics=None)) == {"one", "three"}
    answer = side.call("Metadata", version, Topics=[])
    assert answer["Topics"] == [] and len(answer["Brokers"]) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_metadata_names_brokers_a_listed_controller_and_the_cluster(side, version):
    answer = side.call("Metadata", version, Topics=[{"Name": "one"}])
    (node,) = answer["Brokers"]
    assert (node["Host"], node["Port"]) == ("127.0.0.1", side.kafka_port)
    assert version < 1 or answer["ControllerId"] == node["NodeId"]
    assert version < 1 or node["Rack"] == ("here" if side.cluster else None)
    assert version < 2 or answer["ClusterId"]


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_metadata_marks_internal_topics(side, version):
    lib.wait_until(lambda: side.call("FindCoordinator", 1, Key="g", KeyType=0)["ErrorCode"] == 0, 30)
    lib.wait_until(lambda: metadata_of(side, "__consumer_offsets")["ErrorCode"] == 0, 20)
    answer = side.call("Metadata", version, Topics=[{"Name": "__consumer_offsets"}, {"Name": "one"}])
    assert {t["Name"]: t["IsInternal"] for t in answer["Topics"]} == {"__consumer_offsets": True, "one": False}


@pytest.mark.parametrize("version", VERSIONS[4:])
def test_metadata_tells_errors_by_topic_and_the_others_all_the_same(side, version):
    answer = side.call("Metadata", version, Topics=[{"Name": n} for n in ("unknown", "a b", "one")],
                       AllowAutoTopicCreation=False)
    assert {t["Name"]: t["ErrorCode"] for t in answer["Topics"]} == {"unknown": UNKNOWN_TOPIC, "a b": INVALID_TOPIC, "one": 0}
    assert answer.get("ErrorCode") == (0 if version >= 13 else None)


@pytest.mark.parametrize("version", (12, 13))
def test_metadata_by_topic_id_names_the_topic_and_an_unknown_id_is_unknown_topic_id(side, version):
    topic = metadata_of(side, "one")["TopicId"]
    answer = side.call("Metadata", version, Topics=[{"TopicId": one, "Name": None} for one in (topic, NOBODY)])
    found = {t["TopicId"]: (t["ErrorCode"], t["Name"], len(t["Partitions"])) for t in answer["Topics"]}
    assert found == {topic: (0, "one", 1), NOBODY: (UNKNOWN_TOPIC_ID, None, 0)}


@pytest.mark.parametrize("version", (10, 11))
def test_metadata_v10_and_v11_tell_topic_ids_and_cannot_ask_by_them(side, version):
    topic = metadata_of(side, "one")["TopicId"]
    assert side.call("Metadata", version, Topics=[{"Name": "one"}])["Topics"][0]["TopicId"] == topic
    answer = side.call("Metadata", version, Topics=[{"TopicId": topic, "Name": None}])
    assert [t["ErrorCode"] for t in answer["Topics"]] == [INVALID_REQUEST]


@pytest.mark.parametrize("version", (8, 9, 10))
def test_metadata_v8_to_v10_tell_operations_on_the_cluster_when_asked(side, version):
    asked = side.call("Metadata", version, Topics=[{"Name": "one"}], IncludeClusterAuthorizedOperations=True,
                      IncludeTopicAuthorizedOperations=True)
    assert asked["ClusterAuthorizedOperations"] > 0 and asked["Topics"][0]["TopicAuthorizedOperations"] > 0
    unasked = side.call("Metadata", version, Topics=[{"Name": "one"}])
    assert unasked["ClusterAuthorizedOperations"] == unasked["Topics"][0]["TopicAuthorizedOperations"] == NO_OPERATIONS


# ---- topics made by asking for them ----


def exists(side, topic):
    return metadata_of(side, topic)["ErrorCode"] == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_metadata_of_an_unknown_topic_creates_it_where_that_is_allowed(side, version):
    topic = "made-%d" % version
    allow = {"AllowAutoTopicCreation": True} if version >= 4 else {}  # before v4 it always is
    first = side.call("Metadata", version, Topics=[{"Name": topic}], **allow)["Topics"][0]
    assert first["ErrorCode"] in (0, UNKNOWN_TOPIC, 5)  # made meanwhile, or to be asked again
    lib.wait_until(lambda: exists(side, topic), 20, "the topic")


@pytest.mark.parametrize("version", VERSIONS[4:])
def test_metadata_that_does_not_allow_it_creates_no_topic(side, version):
    for _ in range(3):
        answer = side.call("Metadata", version, Topics=[{"Name": "not-made"}], AllowAutoTopicCreation=False)
        assert [t["ErrorCode"] for t in answer["Topics"]] == [UNKNOWN_TOPIC]


@pytest.mark.parametrize("name", ("", ".", "..", "a b", "a/b", "x" * 250))
def test_metadata_of_a_bad_name_is_invalid_topic_and_creates_none(side, name):
    for _ in range(2):
        answer = side.call("Metadata", 9, Topics=[{"Name": name}], AllowAutoTopicCreation=True)
        assert [t["ErrorCode"] for t in answer["Topics"]] == [INVALID_TOPIC]


@only_millrace
def test_broker_with_auto_create_topics_enable_false_creates_no_topic():
    with broker({"all": {"auto.create.topics.enable": "false"}}) as side:
        for version in (0, 3, 4, 9, 12):
            allow = {"AllowAutoTopicCreation": True} if version >= 4 else {}
            answer = side.call("Metadata", version, Topics=[{"Name": "not-made"}], **allow)
            assert [t["ErrorCode"] for t in answer["Topics"]] == [UNKNOWN_TOPIC]


# ---- FindCoordinator ----


@pytest.fixture(scope="module")
def coordinated(side):
    """The coordinators' topics are there."""
    for kind in (0, 1):
        lib.wait_until(lambda kind=kind: side.call("FindCoordinator", 1, Key="g", KeyType=kind)["ErrorCode"] == 0, 30)
    return side


@pytest.mark.parametrize("version", (0, 1, 2, 3))
def test_find_coordinator_before_v4_answers_one_listed_node(coordinated, version):
    found = coordinated.call("FindCoordinator", version, Key="g", **({"KeyType": 0} if version else {}))
    listed = coordinated.call("Metadata", 9, Topics=[])["Brokers"]
    assert (found["ErrorCode"], found["NodeId"]) == (0, listed[0]["NodeId"])
    assert (found["Host"], found["Port"]) == (listed[0]["Host"], listed[0]["Port"])
    assert ("ErrorMessage" in found) == (version >= 1)


@pytest.mark.parametrize("kind", (0, 1), ids=("group", "transaction"))
@pytest.mark.parametrize("version", (4, 5, 6))
def test_find_coordinator_from_v4_on_answers_each_key_once_by_name(coordinated, version, kind):
    for keys in (["g"], ["a", "b", "c"]):
        found = coordinated.call("FindCoordinator", version, KeyType=kind, CoordinatorKeys=keys)["Coordinators"]
        assert sorted(one["Key"] for one in found) == keys
        assert {(one["ErrorCode"], one["Port"]) for one in found} == {(0, coordinated.kafka_port)}


# ---- configurations ----


def configs(side, kind, name, keys=None, **fields):
    answer = side.call("DescribeConfigs", 4, Resources=[
        {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}], **fields)
    assert refused(answer["Results"][0]) == 0
    return {one["Name"]: one for one in answer["Results"][0]["Configs"]}


def alter(side, topic, *changes):
    answer = side.call("IncrementalAlterConfigs", 1, Resources=[{"ResourceType": TOPIC, "ResourceName": topic, "Configs": [
        {"Name": name, "ConfigOperation": operation, "Value": value} for name, operation, value in changes]}])
    return answer["Responses"][0]["ErrorCode"]


TOPIC_KEYS = set("""cleanup.policy compression.gzip.level compression.lz4.level compression.type compression.zstd.level
    delete.retention.ms file.delete.delay.ms flush.messages flush.ms follower.replication.throttled.replicas
    index.interval.bytes leader.replication.throttled.replicas local.retention.bytes local.retention.ms
    max.compaction.lag.ms max.message.bytes message.timestamp.after.max.ms message.timestamp.before.max.ms
    message.timestamp.type min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas preallocate
    remote.storage.enable retention.bytes retention.ms segment.bytes segment.index.bytes segment.jitter.ms segment.ms
    unclean.leader.election.enable""".split())
TOPIC_SOURCE, NODES_SOURCE, STATIC_SOURCE, DEFAULT_SOURCE = 1, 3, 4, 5


def test_describe_configs_lists_every_topic_key_with_its_value_source_and_type(side):
    found = configs(side, TOPIC, "one")
    assert TOPIC_KEYS <= set(found)
    assert all(one["Value"] is not None and one["ConfigType"] != 0 for one in found.values())
    assert {one["ConfigSource"] for one in found.values()} <= {DEFAULT_SOURCE, STATIC_SOURCE, NODES_SOURCE}
    assert (found["retention.ms"]["Value"], found["segment.bytes"]["Value"]) == ("604800000", "1073741824")


def test_describe_configs_tells_a_changed_value_with_its_source_and_synonyms(side):
    side.topic("changed", retention_ms=12345)
    found = configs(side, TOPIC, "changed", ["retention.ms"], IncludeSynonyms=True)["retention.ms"]
    assert (found["Value"], found["ConfigSource"]) == ("12345", TOPIC_SOURCE)
    assert [(one["Name"], one["Source"]) for one in found["Synonyms"]][0] == ("retention.ms", TOPIC_SOURCE)


def test_configs_read_and_written_back_change_nothing(side):
    """What clients do that only know AlterConfigs: they send all they have read, with a change."""
    side.topic("written-back", retention_ms=12345)
    before = configs(side, TOPIC, "written-back")
    answer = side.call("AlterConfigs", 1, Resources=[{"ResourceType": TOPIC, "ResourceName": "written-back", "Configs": [
        {"Name": one["Name"], "Value": one["Value"]} for one in before.values()
        if one["ConfigSource"] == TOPIC_SOURCE]}])
    assert answer["Responses"][0]["ErrorCode"] == 0
    assert {n: one["Value"] for n, one in configs(side, TOPIC, "written-back").items()} == {
        n: one["Value"] for n, one in before.items()}


def test_incremental_alter_configs_appends_to_and_subtracts_from_a_list(side):
    side.topic("lists", cleanup_policy="delete")

    def becomes(value):
        lib.wait_until(lambda: configs(side, TOPIC, "lists", ["cleanup.policy"])["cleanup.policy"]["Value"] == value, 10, value)
    assert alter(side, "lists", ("cleanup.policy", APPEND, "compact")) == 0
    becomes("delete,compact")
    assert alter(side, "lists", ("cleanup.policy", APPEND, "compact")) == 0
    becomes("delete,compact")
    assert alter(side, "lists", ("cleanup.policy", SUBTRACT, "delete")) == 0
    becomes("compact")
    assert alter(side, "lists", ("cleanup.policy", DELETE, None)) == 0
    becomes("delete")


def test_incremental_alter_configs_appends_to_no_single_value(side):
    assert alter(side, "one", ("retention.ms", APPEND, "1")) == INVALID_CONFIG
    assert alter(side, "one", ("retention.ms", SUBTRACT, "1")) == INVALID_CONFIG


# ---- what others left out ----


@pytest.mark.parametrize("version", (0, 1, 2, 3))
def test_create_partitions_answers_every_topic_it_was_asked_for(side, version):
    topic = "grows-%d" % version
    side.topic(topic)
    answer = side.call("CreatePartitions", version, TimeoutMs=10000, Topics=[
        {"Name": name, "Count": count, "Assignments": None} for name, count in ((topic, 3), ("unknown", 2), ("three", 3))])
    found = {one["Name"]: one["ErrorCode"] for one in answer["Results"]}
    assert found == {topic: 0, "unknown": UNKNOWN_TOPIC, "three": INVALID_PARTITIONS}
    lib.wait_until(lambda: len(metadata_of(side, topic)["Partitions"]) == 3, 10, "the new partitions")


@only_millrace  # Apache Kafka's other requests may come before its brokers have heard of the topic
def test_topic_is_described_and_written_right_after_its_creation(side):
    """Without a retry: what a client asks next finds the topic at the same node."""
    for n in range(5):
        topic = "at-once-%d" % n
        answer = side.call("CreateTopics", 7, TimeoutMs=10000, Topics=[
            {"Name": topic, "NumPartitions": 2, "ReplicationFactor": 1}])
        assert answer["Topics"][0]["ErrorCode"] == 0
        assert len(metadata_of(side, topic)["Partitions"]) == 2
        assert refused(side.produce(topic, batch(b"a"), partition=1)) == 0
        assert part(side.fetch(topic, 0, partition=1))["HighWatermark"] == 1
        assert list_offset(side, topic, -1, partition=1)["Offset"] == 1
