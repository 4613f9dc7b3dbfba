# SPDX-License-Identifier: Apache-2.0
# A request that names a thing twice says two things about it: neither is done, the rest of the request is.
import os
import sys
import time

import pytest

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side  # noqa: E402

INVALID_REQUEST = 42


def codes(answer, field):
    return [one["ErrorCode"] for one in answer[field]]


def test_what_is_named_twice_is_left_alone():
    with lib.Cluster() as cluster:
        side = Side("millrace", cluster.storage[0].address)
        side.topic("t")
        side.topic("u")
        answer = side.call("CreateTopics", 7, TimeoutMs=5000, ValidateOnly=True, Topics=[
            {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [], "Configs": []} for name in "xyx"])
        assert codes(answer, "Topics") == [INVALID_REQUEST, 0, INVALID_REQUEST]
        counts = (("t", 5), ("u", 2), ("t", 7))
        answer = side.call("CreatePartitions", 3, TimeoutMs=5000, Topics=[
            {"Name": name, "Count": count, "Assignments": None} for name, count in counts])
        assert codes(answer, "Results") == [INVALID_REQUEST, 0, INVALID_REQUEST]
        for api, change in (("IncrementalAlterConfigs", {"ConfigOperation": 0}), ("AlterConfigs", {})):
            answer = side.call(api, 1, Resources=[
                {"ResourceType": 2, "ResourceName": name, "Configs": [{"Name": "retention.ms", "Value": value, **change}]}
                for name, value in (("t", "1"), ("u", "1"), ("t", "2"))])
            assert codes(answer, "Responses") == [INVALID_REQUEST, 0, INVALID_REQUEST]
        answer = side.call("DeleteTopics", 5, TopicNames=["t", "u", "t"], TimeoutMs=5000)
        assert codes(answer, "Responses") == [INVALID_REQUEST, 0, INVALID_REQUEST]
        topics = side.call("Metadata", 9, Topics=None)["Topics"]
        assert [(t["Name"], len(t["Partitions"])) for t in topics if not t["IsInternal"]] == [("t", 1)]
        described = side.call("DescribeConfigs", 4, Resources=[
            {"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": ["retention.ms"]}])
        assert described["Results"][0]["Configs"][0]["Value"] == "604800000"


MANY = 100_000  # each held against each other one would take half a minute
NAMES = ["n%d" % i for i in range(MANY)] + ["n7"]


@pytest.fixture(scope="module")
def many():
    with lib.Cluster() as cluster:
        side = Side("millrace", cluster.storage[0].address)
        side.topic("t")
        yield side


def changes(**fields):
    return {"Resources": [{"ResourceType": 2, "ResourceName": name, "Configs": [], **fields} for name in NAMES]}


@pytest.mark.parametrize("api, version, rows, fields", (
    ("DeleteTopics", 5, "Responses", {"TopicNames": NAMES, "TimeoutMs": 5000}),
    ("CreatePartitions", 3, "Results", {"TimeoutMs": 5000, "Topics": [
        {"Name": name, "Count": 2, "Assignments": None} for name in NAMES]}),
    ("AlterConfigs", 1, "Responses", changes()),
    ("IncrementalAlterConfigs", 1, "Responses", changes()),
    ("ListOffsets", 7, None, {"ReplicaId": -1, "Topics": [{"Name": "t", "Partitions": [
        {"PartitionIndex": i, "CurrentLeaderEpoch": -1, "Timestamp": -1} for i in (*range(MANY), 0)]}]}),
))
def test_a_long_request_takes_time_in_line_with_its_length(many, api, version, rows, fields):
    began = time.monotonic()
    answer = many.call(api, version, **fields)
    found = answer[rows] if rows else answer["Topics"][0]["Partitions"]
    assert time.monotonic() - began < 10
    assert [i for i, one in enumerate(found) if one["ErrorCode"] == INVALID_REQUEST] == [0 if rows is None else 7, MANY]
