# SPDX-License-Identifier: Apache-2.0
# ListOffsets by time and by its special timestamps, and leader epochs (KIP-320) in Fetch, ListOffsets, Metadata and
# OffsetForLeaderEpoch.
import gzip

import pytest

import cluster as lib
import transactional
from behaviour import batch, broker, delete_records, list_offset, metadata_of, only_millrace, part, refused, side_of
from side import record
from transactional import Producer

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING = -1, -2, -3, -4, -5, -6
UNSUPPORTED_VERSION, INVALID_REQUEST, FENCED_EPOCH, UNKNOWN_EPOCH = 35, 42, 74, 75
UNKNOWN_TOPIC = 3
TIME = 1700000000000


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        found.topic("times")
        for deltas in ((0, 10, 5), (20, 1), (15,)):
            body = b"".join(record(n, None, b"v", delta) for n, delta in enumerate(deltas))
            sent = batch(*[b"v"] * len(deltas), timestamp=TIME, max_timestamp=TIME + max(deltas), body=body)
            assert refused(found.produce("times", sent)) == 0
        yield found


def at(found):
    assert found["ErrorCode"] == 0, found
    return found["Offset"], found["Timestamp"] - TIME if found["Timestamp"] > 0 else found["Timestamp"]


# ---- by time ----


@pytest.mark.parametrize("after, expected", (
    (-1000, (0, 0)), (0, (0, 0)), (1, (1, 10)), (6, (1, 10)), (10, (1, 10)), (11, (3, 20)), (20, (3, 20))))
def test_list_offsets_by_time_is_the_first_record_at_or_after_it(side, after, expected):
    for version in (1, 4, 7, 10):
        assert at(list_offset(side, "times", TIME + after, version)) == expected


def test_list_offsets_by_time_looks_into_compressed_batches(side):
    side.topic("packed")
    body = b"".join(record(n, None, b"v", delta) for n, delta in enumerate((0, 10, 5)))
    sent = batch(b"", b"", b"", timestamp=TIME, max_timestamp=TIME + 10, attributes=1, body=gzip.compress(body))
    assert refused(side.produce("packed", sent)) == 0
    assert at(list_offset(side, "packed", TIME + 1)) == (1, 10)


@pytest.mark.parametrize("version", (1, 7, 10))
def test_list_offsets_by_time_behind_the_newest_record_is_offset_minus_1_without_an_error(side, version):
    assert at(list_offset(side, "times", TIME + 21, version)) == (-1, -1)


# ---- special timestamps ----


@pytest.mark.parametrize("version", (1, 3, 4, 7, 10))
def test_list_offsets_latest_is_the_watermark_and_earliest_the_begin(side, version):
    topic = "ends-%d" % version
    side.topic(topic)
    assert refused(side.produce(topic, batch(b"a", b"b", b"c"))) == 0
    delete_records(side, topic, 2)
    for timestamp, offset in ((LATEST, 3), (EARLIEST, 2)):
        found = list_offset(side, topic, timestamp, version)
        assert at(found) == (offset, -1)
        epoch = metadata_of(side, topic)["Partitions"][0]["LeaderEpoch"]
        assert found.get("LeaderEpoch") == (epoch if version >= 4 else None)


def test_list_offsets_latest_for_read_committed_is_the_last_stable_offset(side):
    side.topic("stable")
    producer = Producer(side, "stable")
    lib.wait_until(lambda: producer.init() == 0, 30, "a coordinator")
    assert refused(side.produce("stable", batch(b"before"))) == 0
    lib.wait_until(lambda: producer.add("stable", 0) == 0, 10)
    lib.wait_until(lambda: producer.produce("stable", 0, [b"open"])[0] == 0, 10)
    assert at(list_offset(side, "stable", LATEST))[0] == 2
    assert at(list_offset(side, "stable", LATEST, IsolationLevel=1))[0] == 1
    lib.wait_until(lambda: producer.end(True) in (0, transactional.INVALID_TXN_STATE), 10)
    lib.wait_until(lambda: at(list_offset(side, "stable", LATEST, IsolationLevel=1))[0] == 3, 10)


@pytest.mark.parametrize("version", (7, 10))
def test_list_offsets_max_timestamp_tells_the_newest_record_and_its_time(side, version):
    assert at(list_offset(side, "times", MAX_TIMESTAMP, version)) == (3, 20)


def test_list_offsets_max_timestamp_of_an_empty_partition_is_minus_1(side):
    side.topic("empty")
    assert at(list_offset(side, "empty", MAX_TIMESTAMP)) == (-1, -1)


def test_list_offsets_earliest_local_is_the_begin_and_latest_tiered_minus_1_without_tiers(side):
    assert at(list_offset(side, "times", EARLIEST_LOCAL, 8)) == (0, -1)
    assert at(list_offset(side, "times", LATEST_TIERED, 9)) == (-1, -1)
    found = list_offset(side, "times", EARLIEST_PENDING, 11)
    assert (found["ErrorCode"], found["Offset"]) == (0, -1)


@pytest.mark.parametrize("version, timestamp", (
    (6, MAX_TIMESTAMP), (7, EARLIEST_LOCAL), (8, LATEST_TIERED), (10, EARLIEST_PENDING), (10, -7), (1, -100)))
def test_list_offsets_with_a_timestamp_of_later_versions_is_unsupported_version_of_the_partition(side, version, timestamp):
    found = list_offset(side, "times", timestamp, version)
    assert (found["ErrorCode"], found["Offset"]) == (UNSUPPORTED_VERSION, -1)


@only_millrace  # Apache Kafka answers the partition once
def test_list_offsets_of_a_partition_named_twice_is_invalid_request(side):
    asked = [{"PartitionIndex": 0, "Timestamp": LATEST}, {"PartitionIndex": 0, "Timestamp": EARLIEST}]
    answer = side.call("ListOffsets", 7, ReplicaId=-1, Topics=[{"Name": "times", "Partitions": asked}])
    assert [one["ErrorCode"] for one in answer["Topics"][0]["Partitions"]] == [INVALID_REQUEST] * 2


def test_list_offsets_of_an_unknown_partition_says_so(side):
    assert refused(list_offset(side, "times", LATEST, partition=7)) == UNKNOWN_TOPIC
    assert refused(list_offset(side, "unknown", LATEST)) == UNKNOWN_TOPIC


# ---- leader epochs ----


@pytest.fixture(scope="module")
def later():
    """The second leader of a topic whose first one has died."""
    with lib.Cluster(storage=2) as cluster:
        first, side = (side_of(node.address) for node in cluster.storage)
        answer = first.call("CreateTopics", 7, TimeoutMs=10000, Topics=[
            {"Name": "t", "NumPartitions": -1, "ReplicationFactor": -1,
             "Assignments": [{"PartitionIndex": 0, "BrokerIds": [1, 2]}]}])
        assert answer["Topics"][0]["ErrorCode"] == 0
        cluster.wait_isr("t", 2)
        assert refused(first.produce("t", batch(b"a", b"b"))) == 0
        side.written = leader_epoch(first)
        cluster.storage[0].kill()
        lib.wait_until(lambda: side.leads("t", 0) and leader_epoch(side) > side.written, 20, "a new leader")
        side.epoch = leader_epoch(side)
        yield side


def leader_epoch(side, version=7):
    found = side.call("Metadata", version, Topics=[{"Name": "t"}])["Topics"][0]["Partitions"][0]
    return found.get("LeaderEpoch")


def end_of_epoch(side, epoch, current=-1, version=4):
    replica = {"ReplicaId": -1} if version >= 3 else {}
    return part(side.call("OffsetForLeaderEpoch", version, **replica, Topics=[{"Topic": "t", "Partitions": [
        {"Partition": 0, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}]}]))


@only_millrace
def test_metadata_tells_the_leader_epoch_from_v7_on(later):
    assert leader_epoch(later, 6) is None
    assert [leader_epoch(later, version) for version in (7, 9, 12)] == [later.epoch] * 3


def asks_with_epoch(side, epoch):
    """The errors of every request that names a current leader epoch."""
    return ([refused(part(side.fetch("t", 0, version=version, CurrentLeaderEpoch=epoch))) for version in (9, 11, 12)] +
            [refused(list_offset(side, "t", LATEST, version, epoch=epoch)) for version in (4, 7, 10)] +
            [refused(end_of_epoch(side, 0, epoch, version)) for version in (2, 3, 4)])


@only_millrace
def test_request_with_an_older_leader_epoch_is_fenced_leader_epoch(later):
    assert asks_with_epoch(later, later.epoch - 1) == [FENCED_EPOCH] * 9


@only_millrace
def test_request_with_a_newer_leader_epoch_is_unknown_leader_epoch(later):
    assert asks_with_epoch(later, later.epoch + 1) == [UNKNOWN_EPOCH] * 9


@only_millrace
def test_request_with_the_leader_epoch_or_minus_1_is_served(later):
    assert asks_with_epoch(later, later.epoch) + asks_with_epoch(later, -1) == [0] * 18


@only_millrace
def test_fetch_v12_that_goes_beyond_the_end_of_its_last_epoch_is_told_where_it_diverged(later):
    found = part(later.fetch("t", 5, LastFetchedEpoch=later.written))
    assert found["ErrorCode"] == 0 and not found["Records"]
    assert found["DivergingEpoch"] == {"Epoch": later.written, "EndOffset": 2}


@only_millrace
@pytest.mark.parametrize("version", (2, 3, 4))
def test_end_of_an_epoch_nobody_knows_is_undefined(later, version):
    for epoch in (-1, later.epoch + 1):
        found = end_of_epoch(later, epoch, version=version)
        assert (found["ErrorCode"], found["LeaderEpoch"], found["EndOffset"]) == (0, -1, -1)


@only_millrace
def test_end_of_the_current_epoch_is_the_end_of_the_log(later):
    found = end_of_epoch(later, later.epoch)
    assert (found["ErrorCode"], found["LeaderEpoch"], found["EndOffset"]) == (0, later.epoch, 2)
