# SPDX-License-Identifier: Apache-2.0
# A request that names a thing twice says two things about it: neither is done, the rest of the request is.
import os
import sys

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
