# SPDX-License-Identifier: Apache-2.0
# Feature levels: told by every node, changed by UpdateFeatures with Kafka's rules, kept over restarts.
import os
import sys

import pytest

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side  # noqa: E402

INVALID_UPDATE = 95
UPGRADE, SAFE, UNSAFE = 1, 2, 3


@pytest.fixture(scope="module")
def started():
    with lib.Cluster(storage=2) as running:
        yield running


def told(node, version=4):
    answer = Side("millrace", node.address).call("ApiVersions", version, ClientSoftwareName="a", ClientSoftwareVersion="1")
    return ({one["Name"]: one["MaxVersionLevel"] for one in answer["FinalizedFeatures"]},
            {one["Name"]: (one["MinVersion"], one["MaxVersion"]) for one in answer["SupportedFeatures"]},
            answer["FinalizedFeaturesEpoch"])


def update(started, changes, version=2, **fields):
    side = Side("millrace", started.storage[0].address)
    updates = [{"Feature": name, "MaxVersionLevel": level, **({"UpgradeType": kind} if version else {})}
               for name, level, kind in changes]
    return side.call("UpdateFeatures", version, FeatureUpdates=updates, **fields)


def test_new_cluster_has_the_newest_levels_and_old_clients_hear_of_no_feature_from_zero(started):
    levels, ranges, epoch = told(started.storage[0])
    assert levels["transaction.version"] == 2 and levels["metadata.version"] == 29 and epoch >= 1
    assert ranges["transaction.version"] == (0, 2) and ranges["metadata.version"] == (7, 29)
    old_levels, old_ranges, _ = told(started.storage[0], 3)
    assert old_levels == levels and "transaction.version" not in old_ranges and "metadata.version" in old_ranges


def test_a_changed_level_is_told_by_every_node_with_a_higher_epoch(started):
    _, _, before = told(started.storage[0])
    answer = update(started, [("transaction.version", 1, SAFE)], 1)
    assert (answer["ErrorCode"], [one["Feature"] for one in answer["Results"]]) == (0, ["transaction.version"])
    for node in started.storage:
        lib.wait_until(lambda: told(node)[0]["transaction.version"] == 1, what="the level at a node")
        assert told(node)[2] == before + 1
    started.controllers[0].restart()
    started.storage[1].restart()
    lib.wait_until(lambda: told(started.storage[1])[::2] == told(started.storage[0])[::2], what="the level after a restart")
    assert told(started.storage[1])[0]["transaction.version"] == 1
    assert update(started, [("transaction.version", 2, UPGRADE)])["ErrorCode"] == 0


def test_validate_only_changes_nothing(started):
    before = told(started.storage[0])
    assert update(started, [("transaction.version", 1, SAFE)], ValidateOnly=True)["ErrorCode"] == 0
    assert update(started, [("transaction.version", 2, UPGRADE)])["ErrorCode"] == 0  # nor does what holds already
    assert told(started.storage[0]) == before


@pytest.mark.parametrize("name, level, kind, words", [
    ("nosuch", 1, UPGRADE, "does not support this feature"),
    ("transaction.version", 3, UPGRADE, "only supports versions 0-2"),
    ("transaction.version", -1, SAFE, "cannot be less than 0"),
    ("transaction.version", 1, UPGRADE, "Can't downgrade the version of this feature without"),
    ("transaction.version", 1, 0, "does not support the given upgrade type"),
    ("transaction.version", 1, 4, "does not support the given upgrade type"),
    ("metadata.version", 22, SAFE, "might delete metadata information"),
    ("metadata.version", 22, UNSAFE, "Unsafe metadata downgrade is not supported"),
    ("metadata.version", 6, SAFE, "only supports versions 7-29"),
])
def test_what_kafka_refuses_is_refused_and_the_whole_request_with_it(started, name, level, kind, words):
    before = told(started.storage[0])
    for version in (1, 2):
        answer = update(started, [("transaction.version", 0, SAFE), (name, level, kind)][name == "transaction.version":],
                        version)
        assert answer["ErrorCode"] == INVALID_UPDATE and words in answer["ErrorMessage"]
        assert answer.get("Results", []) == []
    assert told(started.storage[0]) == before


def test_a_downgrade_to_a_newer_level_is_refused(started):
    assert update(started, [("transaction.version", 1, SAFE)])["ErrorCode"] == 0
    answer = update(started, [("transaction.version", 2, SAFE)])
    assert (answer["ErrorCode"], "Can't downgrade to a newer version" in answer["ErrorMessage"]) == (INVALID_UPDATE, True)
    assert update(started, [("transaction.version", 2, UPGRADE)])["ErrorCode"] == 0
