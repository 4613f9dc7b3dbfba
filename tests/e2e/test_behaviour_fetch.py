# SPDX-License-Identifier: Apache-2.0
# Fetch: which batches come back, when it waits and what ends the wait, limits, order, sessions' outline and topic ids.
import time

import pytest

import cluster as lib
from behaviour import (batch, batches, broker, delete_records, list_offset, offsets, only_millrace, part, refused,
                       side_of)

OUT_OF_RANGE, UNKNOWN_TOPIC, NOT_LEADER, STORAGE_ERROR, UNKNOWN_TOPIC_ID = 1, 3, 6, 56, 100
NOBODY = "12345678-1234-1234-1234-123456789abc"
LONG_MS = 20000


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        found.topic("three")
        assert refused(found.produce("three", batch(b"a", b"b", b"c"))) == 0
        yield found


def filled(side, topic, partitions=1, count=3, size=1000):
    """A topic with `count` batches of one record in each partition."""
    side.topic(topic, partitions)
    for partition in range(partitions):
        for _ in range(count):
            assert refused(side.produce(topic, batch(b"x" * size), partition=partition)) == 0
    return len(batch(b"x" * size))


def ask(side, topic, *partitions, partition_max=1 << 20, **fields):
    """A Fetch of several partitions, or (partition, offset), and the answer's partitions in its order."""
    asked = [one if isinstance(one, tuple) else (one, 0) for one in partitions]
    fields = {"MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": 1 << 20, **fields}
    answer = side.call("Fetch", 12, Topics=[{"Topic": topic, "Partitions": [
        {"Partition": p, "FetchOffset": o, "PartitionMaxBytes": partition_max} for p, o in asked]}], **fields)
    assert answer["ErrorCode"] == 0
    return answer["Responses"][0]["Partitions"]


def begin(side, topic, offset, partition_max=1 << 20, **fields):
    """A Fetch on a connection of its own, under way."""
    fields = {"MaxWaitMs": LONG_MS, "MinBytes": 1, **fields}
    held = side.start("Fetch", 12, Topics=[{"Topic": topic, "Partitions": [
        {"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": partition_max}]}], **fields)
    time.sleep(0.1)
    assert held.thread.is_alive(), held.answer
    return held


def seconds(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


# ---- offsets ----


@pytest.mark.parametrize("version", (4, 7, 11, 12))
def test_fetch_offset_inside_batch_returns_whole_batch(side, version):
    for offset in (0, 1, 2):
        (found,) = batches(part(side.fetch("three", offset, version=version)))
        assert (found.base, found.count) == (0, 3)


def test_fetch_outside_the_log_is_offset_out_of_range(side):
    filled(side, "range")
    delete_records(side, "range", 2)
    for offset in (-1, 0, 1, 4, 1 << 40):
        found = part(side.fetch("range", offset))
        assert (found["ErrorCode"], found["HighWatermark"]) == (OUT_OF_RANGE, -1) and not found["Records"]
    assert offsets(part(side.fetch("range", 2))) == [2]


def test_fetch_at_the_end_of_the_log_is_empty_without_an_error(side):
    found = part(side.fetch("three", 3, MaxWaitMs=0))
    assert (found["ErrorCode"], found["HighWatermark"], found["LogStartOffset"]) == (0, 3, 0) and not found["Records"]


def test_fetch_of_an_unknown_topic_or_partition_says_so(side):
    assert refused(part(side.fetch("unknown", 0))) == UNKNOWN_TOPIC
    assert refused(part(side.fetch("three", 0, partition=7))) == UNKNOWN_TOPIC


# ---- when it waits ----


def test_fetch_with_max_wait_0_is_answered_at_once(side):
    assert seconds(lambda: side.fetch("three", 3, MaxWaitMs=0, MinBytes=1 << 20)) < LONG_MS / 2000


def test_fetch_of_no_partition_is_answered_at_once(side):
    assert seconds(lambda: side.call("Fetch", 12, MaxWaitMs=LONG_MS, MinBytes=1)) < LONG_MS / 2000


def test_fetch_with_enough_bytes_is_answered_at_once(side):
    assert seconds(lambda: side.fetch("three", 0, MaxWaitMs=LONG_MS, MinBytes=60)) < LONG_MS / 2000
    assert seconds(lambda: side.fetch("three", 3, MaxWaitMs=LONG_MS, MinBytes=0)) < LONG_MS / 2000


def test_fetch_with_an_error_in_one_partition_is_answered_at_once(side):
    filled(side, "failing", 2)
    found = []
    assert seconds(lambda: found.extend(ask(side, "failing", (0, 3), (1, 9), MaxWaitMs=LONG_MS))) < LONG_MS / 2000
    assert [one["ErrorCode"] for one in found] == [0, OUT_OF_RANGE]


def test_fetch_with_a_diverging_epoch_is_answered_at_once(side):
    found = []
    took = seconds(lambda: found.append(part(side.fetch("three", 9, LastFetchedEpoch=0, MaxWaitMs=LONG_MS))))
    assert took < LONG_MS / 2000 and found[0]["ErrorCode"] == 0 and found[0]["DivergingEpoch"]["EndOffset"] == 3


def test_fetch_without_enough_bytes_waits_for_max_wait_and_returns_what_is_there(side):
    found = []
    took = seconds(lambda: found.append(part(side.fetch("three", 0, MaxWaitMs=300, MinBytes=1 << 20))))
    assert 0.29 < took < LONG_MS / 2000 and offsets(found[0]) == [0]


def test_waiting_fetch_counts_of_each_partition_no_more_than_it_may_return(side):
    size = filled(side, "capped")
    held = begin(side, "capped", 3, partition_max=size, MinBytes=size + 1, MaxWaitMs=1500)
    began = time.monotonic()
    for _ in range(3):
        side.produce("capped", batch(b"x" * 1000))
    assert offsets(part(held.wait())) == [3]
    assert time.monotonic() - began > 1, "three batches are there, but only one may come"


def test_waiting_fetch_is_answered_when_the_watermark_brings_enough_bytes(side):
    size = filled(side, "woken")
    held = begin(side, "woken", 3, MinBytes=2 * size)
    side.produce("woken", batch(b"x" * 1000))
    time.sleep(0.2)
    assert held.thread.is_alive()
    side.produce("woken", batch(b"x" * 1000))
    assert offsets(part(held.wait())) == [3, 4]


def test_waiting_fetch_is_answered_when_its_topic_is_deleted(side):
    filled(side, "deleted")
    held = begin(side, "deleted", 3)
    side.call("DeleteTopics", 5, TopicNames=["deleted"], TimeoutMs=5000)
    assert refused(part(held.wait())) != 0


# ---- limits and order ----


@pytest.mark.parametrize("limits", ({"partition_max": 1}, {"MaxBytes": 1}, {"partition_max": 1, "MaxBytes": 1},
                                    {"partition_max": 0}, {"MaxBytes": 0}))
def test_first_batch_comes_whole_also_above_both_limits(side, limits):
    filled(side, "oversize") if limits == {"partition_max": 1} else None
    assert offsets(ask(side, "oversize", 0, **limits)[0]) == [0]
    assert offsets(ask(side, "oversize", (0, 1), **limits)[0]) == [1]


def test_only_the_first_partition_with_data_may_exceed_the_limits(side):
    size = filled(side, "limits", 3)
    found = ask(side, "limits", (0, 3), 1, 2, partition_max=size - 1)
    assert [offsets(one) for one in found] == [[], [0], []], "the first one is empty: the second counts"
    found = ask(side, "limits", 0, 1, 2, MaxBytes=4 * size)
    assert [offsets(one) for one in found] == [[0, 1, 2], [0], []]


@only_millrace  # Apache Kafka fills up to the limit with the begin of the next batch, which clients throw away
def test_batches_are_never_cut(side):
    size = filled(side, "whole", 2)
    for limit in (size + 1, 2 * size - 1, 2 * size, 2 * size + 70):
        found = ask(side, "whole", 0, 1, partition_max=limit, MaxBytes=limit)
        whole = [len(one["Records"] or b"") for one in found]
        assert sum(whole) <= limit and all(one % size == 0 for one in whole), limit


def test_partitions_are_served_in_the_order_of_the_request(side):
    size = filled(side, "order", 3)
    for wanted in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        found = ask(side, "order", *wanted, partition_max=size, MaxBytes=2 * size)
        assert [one["PartitionIndex"] for one in found] == list(wanted)
        assert [offsets(one) for one in found] == [[0], [0], []]


def test_full_fetch_answers_every_partition_also_the_empty_ones(side):
    filled(side, "every", 3, count=1)
    found = ask(side, "every", (0, 1), 1, (2, 1), (9, 0))
    assert sorted(one["PartitionIndex"] for one in found) == [0, 1, 2, 9]
    assert [len(batches(one)) for one in found] == [0, 1, 0, 0]


# ---- sessions ----


@pytest.mark.parametrize("version", (7, 12))
def test_fetch_without_a_session_is_answered_with_session_id_0(side, version):
    for _ in range(2):
        answer = side.fetch("three", 0, version=version, SessionId=0, SessionEpoch=-1)
        assert (answer["ErrorCode"], answer["SessionId"]) == (0, 0) and offsets(part(answer)) == [0]


def test_default_of_fetch_session_slots_is_1000(side):
    key = "max.incremental.fetch.session.cache.slots"
    answer = side.call("DescribeConfigs", 4, Resources=[
        {"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": [key]}])
    assert [(one["Name"], one["Value"]) for one in answer["Results"][0]["Configs"]] == [(key, "1000")]


# ---- topic ids ----


@pytest.mark.parametrize("version", (13, 16, 18))
def test_fetch_of_an_unknown_topic_id_is_unknown_topic_id(side, version):
    found = part(side.fetch(NOBODY, 0, version=version))
    assert (found["ErrorCode"], found["HighWatermark"]) == (UNKNOWN_TOPIC_ID, -1) and not found["Records"]


def test_topic_made_anew_has_another_id_and_no_record_of_the_former(side):
    old = side.topic("anew")
    assert refused(side.produce("anew", batch(b"former"))) == 0
    side.call("DeleteTopics", 5, TopicNames=["anew"], TimeoutMs=5000)
    lib.wait_until(lambda: refused(part(side.fetch("anew", 0))) == UNKNOWN_TOPIC, 10, "the topic to go")
    new = side.topic("anew")
    assert new != old and refused(part(side.fetch(old, 0, version=13))) == UNKNOWN_TOPIC_ID
    found = part(side.fetch(new, 0, version=13, MaxWaitMs=0))
    assert (found["ErrorCode"], found["HighWatermark"]) == (0, 0)


# ---- errors that older versions do not know ----


@only_millrace
def test_storage_error_is_not_leader_or_follower_up_to_fetch_v5():
    with lib.Cluster(diskfault=True, settings={"storage": {"log.journal.bytes": 0}}) as cluster:
        node, expected = cluster.storage[0], {4: NOT_LEADER, 5: NOT_LEADER, 6: STORAGE_ERROR, 12: STORAGE_ERROR}
        side = side_of(node.address)
        for version in expected:
            filled(side, "unread-%d" % version)
        node.stop()
        node.start().wait_ready()  # what it did not write itself it reads from the disk
        side.connection = None
        for version in expected:  # each its own: the first error takes its partition offline
            topic = "unread-%d" % version
            lib.wait_until(lambda topic=topic: list_offset(side, topic, -1)["Offset"] == 3, 10, "a leader")
        node.fail_disk("read", "/unread-")
        found = {version: part(side.fetch("unread-%d" % version, 0, version=version)) for version in expected}
        assert {version: one["ErrorCode"] for version, one in found.items()} == expected


@only_millrace
def test_a_large_minimum_does_not_wait_while_there_is_more_to_read():
    """A read from the disk ends somewhere; the rest is there for the next fetch, and nothing will come to end a wait."""
    with lib.Cluster(storage=1) as cluster:
        cluster.create_topic("cold")
        node = cluster.storage[0]
        side = side_of(node.address)
        for _ in range(6):
            assert refused(side.produce("cold", batch(b"x" * 900000))) == 0
        node.stop()
        node.start().wait_ready()
        side = side_of(node.address)
        lib.wait_until(lambda: side.leads("cold", 0), 20, "the leader")
        began = time.monotonic()
        found = ask(side, "cold", 0, partition_max=20 << 20, MaxBytes=20 << 20, MinBytes=4 << 20, MaxWaitMs=LONG_MS)
        assert time.monotonic() - began < LONG_MS / 2000 and found[0]["Records"]
