# SPDX-License-Identifier: Apache-2.0
# Client metrics (KIP-714): subscriptions by configuration, pushes by Kafka's rules, what was pushed on /metrics.
import gzip
import os
import re
import struct
import sys

import pytest

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side  # noqa: E402

METRICS, SET, DELETE = 16, 0, 1
NOBODY = "00000000-0000-0000-0000-000000000000"
NONE, INVALID_REQUEST, UNSUPPORTED_COMPRESSION, INVALID_RECORD, THROTTLED, UNKNOWN_SUBSCRIPTION, TOO_LARGE = (
    0, 42, 76, 87, 89, 117, 118)
GZIP = 1


@pytest.fixture(scope="module")
def started():
    with lib.Cluster(coordinators=0, settings={"storage": {"telemetry.max.bytes": "20000"}}) as running:
        yield running


@pytest.fixture
def side(started):
    side = Side("millrace", started.storage[0].address)
    side.call("ApiVersions", 3, ClientSoftwareName="e2e-test", ClientSoftwareVersion="1.5")
    return side


def configure(side, name, **values):
    answer = side.call("IncrementalAlterConfigs", 1, Resources=[{"ResourceType": METRICS, "ResourceName": name, "Configs": [
        {"Name": key.replace("_", "."), "ConfigOperation": DELETE if value is None else SET, "Value": value}
        for key, value in values.items()]}])
    assert answer["Responses"][0]["ErrorCode"] == NONE, answer


@pytest.fixture
def subscribed(side):
    """A client that is to push everything every 100 ms; no subscription is left behind."""
    configure(side, "all", interval_ms="100", metrics="*", match="client_id=diff.*")
    yield lambda: fresh(side, ["*"])
    configure(side, "all", interval_ms=None, metrics=None, match=None)


def ask(side, instance=NOBODY):
    return side.call("GetTelemetrySubscriptions", 0, ClientInstanceId=instance)


def fresh(side, metrics):
    """A new instance once the node knows the subscription."""
    found = []
    lib.wait_until(lambda: found.append(ask(side)) or found[-1]["RequestedMetrics"] == metrics, what=f"{metrics} to be asked")
    return found[-1]


def push(side, subscription, metrics=b"", compression=0, **fields):
    asked = {"ClientInstanceId": subscription["ClientInstanceId"], "SubscriptionId": subscription["SubscriptionId"],
             "Terminating": False, **fields}
    return side.call("PushTelemetry", 0, CompressionType=compression, Metrics=metrics, **asked)["ErrorCode"]


def in_time(action):
    """Once the interval is over."""
    codes = []
    lib.wait_until(lambda: codes.append(action()) or codes[-1] != THROTTLED, what="the next push to be taken")
    return codes[-1]


def field(number, data):
    size = len(data)
    length = bytes([size & 0x7F | 0x80, size >> 7]) if size >= 128 else bytes([size])
    return bytes([number << 3 | 2]) + length + data


def otlp(name, value, kind=5, **attributes):
    """MetricsData with one number; kind 5: gauge, 7: sum of differences."""
    texts = b"".join(field(7, field(1, key.encode()) + field(2, field(1, text.encode()))) for key, text in attributes.items())
    points = field(1, b"\x21" + struct.pack("<d", value) + texts) + (b"\x10\x01" if kind == 7 else b"")
    return field(1, field(2, field(2, field(1, name.encode()) + field(kind, points))))


def exported(started, name):
    text = started.storage[0].http("/metrics")[1]
    return {labels: float(value) for labels, value in re.findall(
        r'^millrace_client_metric\{metric="' + re.escape(name) + r'",([^}]*)\} (\S+)$', text, re.M)}


def test_without_a_subscription_nothing_is_asked_and_an_id_is_given(side):
    answer = ask(side)
    assert (answer["ErrorCode"], answer["RequestedMetrics"], answer["PushIntervalMs"]) == (NONE, [], 300000)
    assert answer["ClientInstanceId"] != NOBODY and answer["TelemetryMaxBytes"] == 20000 and answer["DeltaTemporality"]
    assert answer["AcceptedCompressionTypes"] == [4, 3, 1, 2]


def test_subscriptions_that_match_are_merged_and_the_shortest_interval_counts(side):
    configure(side, "a", interval_ms="5000", metrics="org.b.,org.a.", match="client_software_name=e2e-.*")
    configure(side, "b", interval_ms="2000", metrics="org.a.,org.c.", match="client_id=differential,client_source_address=127.*")
    configure(side, "c", interval_ms="100", metrics="*", match="client_id=somebody")
    answer = fresh(side, ["org.a.", "org.b.", "org.c."])
    assert answer["PushIntervalMs"] == 2000
    for name in "abc":
        configure(side, name, interval_ms=None, metrics=None, match=None)
    fresh(side, [])


def test_a_pushed_gauge_stands_on_the_metrics_page_and_differences_are_added_up(started, side, subscribed):
    mine = subscribed()
    assert push(side, mine, otlp("org.gauge", 1.5, node="1")) == NONE
    labels, = exported(started, "org.gauge")
    assert re.fullmatch(r'client_id="differential",instance="[\w-]{22}",attribute_node="1"', labels)
    assert exported(started, "org.gauge") == {labels: 1.5}
    for _ in range(2):
        assert in_time(lambda: push(side, mine, gzip.compress(otlp("org.sum", 2.0, 7)), GZIP)) == NONE
    assert list(exported(started, "org.sum").values()) == [4.0]


def test_asking_and_pushing_again_too_early_are_refused(side):
    configure(side, "slow", interval_ms="60000", metrics="*", match="")
    mine = fresh(side, ["*"])
    assert ask(side, mine["ClientInstanceId"])["ErrorCode"] == THROTTLED
    assert push(side, mine) == NONE  # the first one may come at once
    assert push(side, mine) == THROTTLED
    assert push(side, mine, Terminating=True) == NONE  # the last one, too
    assert push(side, mine, Terminating=True) == INVALID_REQUEST
    configure(side, "slow", interval_ms=None, metrics=None, match=None)


@pytest.mark.parametrize("change, metrics, compression, code", [
    ({"ClientInstanceId": NOBODY}, b"", 0, INVALID_REQUEST),
    ({"SubscriptionId": 12345}, b"", 0, UNKNOWN_SUBSCRIPTION),
    ({}, b"", 5, UNSUPPORTED_COMPRESSION),
    ({}, b"", -1, UNSUPPORTED_COMPRESSION),
    ({}, b"x" * 20001, 0, TOO_LARGE),
    ({}, b"no protobuf", 0, INVALID_RECORD),
    ({}, b"no gzip", GZIP, INVALID_RECORD),
    ({}, gzip.compress(b"\0" * 20001), GZIP, INVALID_RECORD),
])
def test_what_a_push_may_not_be(side, subscribed, change, metrics, compression, code):
    assert push(side, subscribed() | change, metrics, compression) == code


def test_a_subscription_id_is_the_same_after_a_restart_and_one_that_changed_is_unknown(started, side, subscribed):
    mine = subscribed()
    started.storage[0].restart()
    lib.wait_until(started.storage[0].ready, what="the node")
    assert in_time(lambda: push(side, mine)) == NONE
    configure(side, "all", interval_ms="200")
    lib.wait_until(lambda: push(side, mine) == UNKNOWN_SUBSCRIPTION, what="the subscription to change")
    assert ask(side, mine["ClientInstanceId"])["PushIntervalMs"] == 200  # at once: what it has is of no use


def test_series_have_a_limit_for_each_instance(started, side, subscribed):
    mine = subscribed()
    for number in range(0, 250, 50):
        data = b"".join(otlp(f"org.many.{one}", 1.0) for one in range(number, number + 50))
        assert in_time(lambda: push(side, mine, data)) == NONE
    assert started.storage[0].metric("millrace_client_points_left_out_total") >= 50
    count = sum(len(exported(started, f"org.many.{one}")) for one in range(250))
    assert count == 200
