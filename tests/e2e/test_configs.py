# SPDX-License-Identifier: Apache-2.0
# Configurations of topics, nodes, groups and client metrics subscriptions: described with sources, altered by Kafka's
# rules, listed; and what is altered takes effect while nodes run.
import os
import socket
import sys

import pytest

import cluster as lib
import consumer_member

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side, batch  # noqa: E402

TOPIC, NODE, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
UNKNOWN_TOPIC, INVALID_CONFIG, INVALID_REQUEST, TOO_LARGE = 3, 40, 42, 10
DYNAMIC_TOPIC, DYNAMIC_NODE, DYNAMIC_DEFAULT, STATIC, DEFAULT, LOGGER_SOURCE, METRICS_SOURCE, GROUP_SOURCE = range(1, 9)


@pytest.fixture(scope="module")
def started():
    settings = {"storage": {"message.max.bytes": "900000", "log.roll.jitter.hours": "1"}}
    with lib.Cluster(settings=settings) as running:
        yield running


@pytest.fixture
def side(started):
    return Side("millrace", started.storage[0].address)


def alter(side, kind, name, *changes, **fields):
    answer = side.call("IncrementalAlterConfigs", 1, Resources=[{"ResourceType": kind, "ResourceName": name, "Configs": [
        {"Name": key, "ConfigOperation": how, "Value": value} for key, how, value in changes]}], **fields)
    return answer["Responses"][0]["ErrorCode"], answer["Responses"][0]["ErrorMessage"]


def describe(side, kind, name, keys=None, **fields):
    answer = side.call("DescribeConfigs", 4, IncludeSynonyms=True, Resources=[
        {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}], **fields)
    return answer["Results"][0]


def value(side, kind, name, key):
    found = {one["Name"]: one for one in describe(side, kind, name, [key])["Configs"]}
    return found[key]["Value"], found[key]["ConfigSource"]


def settles(side, kind, name, key, wanted):
    lib.wait_until(lambda: value(side, kind, name, key) == wanted, what=f"{key} to be {wanted}")


def set_node(side, key, text, name=""):
    assert alter(side, NODE, name, (key, SET, text)) == (0, None)


def test_a_consumer_group_hears_its_own_heartbeat_interval(started, side):
    started.create_topic("heard")
    member = consumer_member.Member(started.storage[0], "hears", "m", ["heard"])
    lib.wait_until(lambda: member.live() == 0, what="the group to be there")
    assert member.interval_ms == 5000
    assert alter(side, GROUP, "hears", ("consumer.heartbeat.interval.ms", SET, "7000")) == (0, None)
    lib.wait_until(lambda: member.live() == 0 and member.interval_ms == 7000, what="the new interval")
    assert alter(side, GROUP, "hears", ("consumer.heartbeat.interval.ms", DELETE, None)) == (0, None)
    lib.wait_until(lambda: member.live() == 0 and member.interval_ms == 5000, what="the former interval")


def test_group_configs_have_the_limits_of_nodes_and_of_one_another(side):
    key = "consumer.session.timeout.ms"
    assert value(side, GROUP, "g", key) == ("45000", DEFAULT)
    assert alter(side, GROUP, "g", (key, SET, "50000")) == (0, None)
    settles(side, GROUP, "g", key, ("50000", GROUP_SOURCE))
    for text, words in (("44999", "greater than or equal to group.consumer.min"), ("60001", "less than or equal to group"),
                        ("x", "Not a number")):
        code, message = alter(side, GROUP, "g", (key, SET, text))
        assert (code, words in message) == (INVALID_CONFIG, True), message
    code, message = alter(side, GROUP, "g", ("share.session.timeout.ms", SET, "45000"),
                          ("share.heartbeat.interval.ms", SET, "15001"))
    assert (code, "share.heartbeat.interval.ms must be less than" in message) == (INVALID_CONFIG, True)
    for short, text, words in (("share.delivery.count.limit", "1", "Value must be at least 2"),
                               ("share.delivery.count.limit", "11", "group.share.max.delivery.count.limit"),
                               ("share.partition.max.record.locks", "4001", "group.share.max.partition.max.record.locks"),
                               ("share.renew.acknowledge.enable", "perhaps", "true or false"),
                               ("consumer.assignment.interval.ms", "15001", "group.consumer.max.assignment.interval.ms"),
                               ("streams.assignment.interval.ms", "-1", "Value must be at least 0")):
        code, message = alter(side, GROUP, "g", (short, SET, text))
        assert (code, words in message) == (INVALID_CONFIG, True), message
    assert alter(side, GROUP, "", (key, SET, "50000"))[0] == INVALID_REQUEST
    assert alter(side, GROUP, "g", ("nosuch", SET, "1")) == (INVALID_CONFIG, "Unknown group config name: nosuch")
    assert alter(side, GROUP, "g", ("nosuch", DELETE, None)) == (0, None)
    for kind in ("consumer", "share", "streams"):  # KIP-1263: without effect, but scripts may set it
        short = kind + ".assignment.interval.ms"
        assert value(side, GROUP, "g", short) == ("0", DEFAULT)
        assert alter(side, GROUP, "g", (short, SET, "1000")) == (0, None)
        settles(side, GROUP, "g", short, ("1000", GROUP_SOURCE))
        assert alter(side, GROUP, "g", (short, DELETE, None)) == (0, None)
    assert alter(side, GROUP, "g", (key, DELETE, None)) == (0, None)
    settles(side, GROUP, "g", key, ("45000", DEFAULT))


def test_a_topic_may_not_hold_back_what_it_must_compact(side):
    least, most = "min.compaction.lag.ms", "max.compaction.lag.ms"
    words = f"conflict topic config setting {least} (11) > {most} (10)"
    side.topic("lags")
    assert alter(side, TOPIC, "lags", (least, SET, "11"), (most, SET, "10")) == (INVALID_CONFIG, words)
    assert alter(side, TOPIC, "lags", (most, SET, "10")) == (0, None)
    assert alter(side, TOPIC, "lags", (least, SET, "11")) == (INVALID_CONFIG, words)
    assert alter(side, TOPIC, "lags", (least, SET, "11"), (most, DELETE, None)) == (0, None)
    answer = side.call("CreateTopics", 7, Topics=[{"Name": "lags2", "NumPartitions": 1, "ReplicationFactor": 1, "Configs": [
        {"Name": least, "Value": "11"}, {"Name": most, "Value": "10"}]}])
    assert (answer["Topics"][0]["ErrorCode"], answer["Topics"][0]["ErrorMessage"]) == (INVALID_CONFIG, words)


def test_subscriptions_of_client_metrics_are_checked_and_lists_take_single_items(side):
    assert alter(side, METRICS, "m", ("interval.ms", SET, "1000"), ("match", SET, "client_id=a.*"),
                 ("metrics", APPEND, "org.apache.kafka.producer.")) == (0, None)
    assert alter(side, METRICS, "m", ("metrics", APPEND, "b,org.apache.kafka.producer.")) == (0, None)
    settles(side, METRICS, "m", "metrics", ("org.apache.kafka.producer.,b", METRICS_SOURCE))
    assert alter(side, METRICS, "m", ("metrics", SUBTRACT, "b")) == (0, None)
    settles(side, METRICS, "m", "metrics", ("org.apache.kafka.producer.", METRICS_SOURCE))
    for key, text, code in (("interval.ms", "99", INVALID_REQUEST), ("match", "nosuch=a", INVALID_CONFIG),
                            ("match", "client_id=(", INVALID_CONFIG), ("nosuch", "a", INVALID_REQUEST)):
        assert alter(side, METRICS, "m", (key, SET, text))[0] == code, key
    assert alter(side, METRICS, "", ("interval.ms", SET, "1000")) == (INVALID_REQUEST, "Subscription name can't be empty")
    answer = side.call("ListConfigResources", 0)
    assert [one["ResourceName"] for one in answer["ConfigResources"]] == ["m"]


def test_resources_are_listed_by_type_and_an_unknown_type_is_refused(side):
    side.topic("listed")
    alter(side, GROUP, "listed-group", ("share.isolation.level", SET, "read_committed"))
    lib.wait_until(lambda: ("listed-group", GROUP) in listed(side, []), what="the group to be listed")
    assert ("listed", TOPIC) in listed(side, []) and ("1", NODE) in listed(side, []) and ("1", LOGGER) in listed(side, [])
    assert listed(side, [GROUP]) == [("listed-group", GROUP)]
    assert side.call("ListConfigResources", 1, ResourceTypes=[1, GROUP])["ErrorCode"] == 35
    assert alter(side, GROUP, "listed-group", ("share.isolation.level", DELETE, None)) == (0, None)
    lib.wait_until(lambda: listed(side, [GROUP]) == [], what="the group to be gone")


def listed(side, types):
    answer = side.call("ListConfigResources", 1, ResourceTypes=types)
    assert answer["ErrorCode"] == 0
    return [(one["ResourceName"], one["ResourceType"]) for one in answer["ConfigResources"]]


def test_nothing_is_changed_when_one_key_is_wrong_or_named_twice_or_only_validated(side):
    side.topic("whole")
    before = value(side, TOPIC, "whole", "retention.ms")
    assert alter(side, TOPIC, "whole", ("retention.ms", SET, "5"), ("nosuch", SET, "1"))[0] == INVALID_CONFIG
    assert alter(side, TOPIC, "whole", ("retention.ms", SET, "5"), ("retention.ms", DELETE, None))[0] == INVALID_REQUEST
    assert alter(side, TOPIC, "whole", ("retention.ms", SET, "5"), ValidateOnly=True) == (0, None)
    assert alter(side, TOPIC, "whole", ("retention.ms", APPEND, "5"))[0] == INVALID_CONFIG
    assert alter(side, TOPIC, "whole", ("retention.ms", 4, "5"))[0] == INVALID_REQUEST
    assert alter(side, 64, "whole", ("retention.ms", SET, "5")) == (INVALID_REQUEST, "Unknown resource type 64")
    side.call("Metadata", 9, Topics=None)
    assert value(side, TOPIC, "whole", "retention.ms") == before


def test_keys_are_looked_at_before_the_topic(side):
    """ConfigurationControlManager.validateAlterConfig asks the validator before it asks whether the topic is there."""
    wrong = (INVALID_CONFIG, "Unknown topic config name: nosuch")
    assert alter(side, TOPIC, "absent", ("nosuch", SET, "1")) == wrong
    assert alter(side, TOPIC, "absent", ("retention.ms", SET, "1")) == \
        (UNKNOWN_TOPIC, "The topic 'absent' does not exist.")
    for key, expected in (("nosuch", INVALID_CONFIG), ("retention.ms", UNKNOWN_TOPIC)):
        answer = side.call("AlterConfigs", 2, Resources=[
            {"ResourceType": TOPIC, "ResourceName": "absent", "Configs": [{"Name": key, "Value": "1"}]}])
        assert answer["Responses"][0]["ErrorCode"] == expected


def test_every_key_of_kafka_is_described_and_secrets_have_no_value(side):
    node = {one["Name"]: one for one in describe(side, NODE, "1", IncludeDocumentation=True)["Configs"]}
    assert len(node) > 320 and all(one["Documentation"] for one in node.values())
    assert node["ssl.keystore.password"]["IsSensitive"] and node["ssl.keystore.password"]["Value"] is None
    assert node["message.max.bytes"]["Value"] == "900000" and node["message.max.bytes"]["ConfigSource"] == STATIC
    assert not node["message.max.bytes"]["ReadOnly"] and node["num.partitions"]["ReadOnly"]
    assert describe(side, NODE, "7")["ErrorMessage"] == "Unexpected broker id, expected 1 or empty string, but received 7"
    assert describe(side, GROUP, "")["ErrorCode"] == INVALID_REQUEST


def produce(side, topic, size):
    return side.produce(topic, batch(b"x" * size))["ErrorCode"]


def test_a_nodes_static_value_is_the_default_of_topics_and_a_dynamic_one_goes_before_it(side):
    side.topic("sized")
    assert produce(side, "sized", 899000) == 0 and produce(side, "sized", 950000) == TOO_LARGE
    assert value(side, TOPIC, "sized", "max.message.bytes") == ("900000", STATIC)
    assert value(side, TOPIC, "sized", "segment.jitter.ms") == ("3600000", STATIC)
    set_node(side, "message.max.bytes", "2000")
    settles(side, TOPIC, "sized", "max.message.bytes", ("2000", DYNAMIC_DEFAULT))
    assert produce(side, "sized", 3000) == TOO_LARGE and produce(side, "sized", 100) == 0
    set_node(side, "message.max.bytes", "5000", "1")
    settles(side, TOPIC, "sized", "max.message.bytes", ("5000", DYNAMIC_NODE))
    assert produce(side, "sized", 3000) == 0
    assert alter(side, TOPIC, "sized", ("max.message.bytes", SET, "800")) == (0, None)
    settles(side, TOPIC, "sized", "max.message.bytes", ("800", DYNAMIC_TOPIC))
    assert produce(side, "sized", 3000) == TOO_LARGE
    for name in ("", "1"):
        assert alter(side, NODE, name, ("message.max.bytes", DELETE, None)) == (0, None)


def connect(started):
    host, port = started.storage[0].address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), 5)


def refused(started):
    """Whether a fresh connection is closed at once."""
    with connect(started) as fresh:
        fresh.settimeout(1)
        try:
            return fresh.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def test_the_limit_of_connections_per_address_is_altered_while_the_node_runs(started, side):
    side.call("ApiVersions", 0)
    assert not refused(started)
    set_node(side, "max.connections.per.ip", "1")
    lib.wait_until(lambda: refused(started), what="a second connection to be refused")
    assert alter(side, NODE, "", ("max.connections.per.ip", DELETE, None)) == (0, None)
    lib.wait_until(lambda: not refused(started), what="a second connection to be taken")


def test_the_level_of_diagnostics_is_altered_at_its_node(started, side):
    assert value(side, LOGGER, "1", "root")[1] == LOGGER_SOURCE
    assert alter(side, LOGGER, "1", ("root", SET, "DEBUG")) == (0, None)
    assert value(side, LOGGER, "1", "root") == ("DEBUG", LOGGER_SOURCE)
    assert alter(side, LOGGER, "1", ("root", SET, "ERROR"), ValidateOnly=True) == (0, None)
    assert value(side, LOGGER, "1", "root")[0] == "DEBUG"
    for changes, code in ((("kafka", SET, "INFO"), INVALID_CONFIG), (("root", SET, "LOUD"), INVALID_CONFIG),
                          (("root", DELETE, None), INVALID_REQUEST), (("root", APPEND, "INFO"), INVALID_REQUEST)):
        assert alter(side, LOGGER, "1", changes)[0] == code
    assert alter(side, LOGGER, "7", ("root", SET, "INFO")) == (
        INVALID_REQUEST, "Unexpected node id. Expected 1, but received 7")
    assert alter(side, LOGGER, "1", ("root", SET, "INFO")) == (0, None)
