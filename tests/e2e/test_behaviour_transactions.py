# SPDX-License-Identifier: Apache-2.0
# What consumers and producers see of transactions: control batches, the last stable offset, the list of aborted
# transactions, waiting fetches, and which request version hears which error. The flows are in test_transactions.py.
import re
import struct
import time

import pytest

import cluster as lib
import transactional
from behaviour import batches, broker, only_millrace, part, refused
from transactional import CONCURRENT, NONE, PASSING, Producer

INVALID_TXN_STATE, INVALID_MAPPING, ABORTABLE = 48, 49, 120
CONTROL, TRANSACTIONAL = 0x20, 0x10
FLOWS = [pytest.param(False, id="old"), pytest.param(True, id="new")]
ENDS = [pytest.param(True, id="commit"), pytest.param(False, id="abort")]


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        yield found


@pytest.fixture
def topic(side, request):
    name = re.sub("[^a-zA-Z0-9_]", "-", request.node.name)[-100:]
    side.topic(name)
    return name


def repeat(action):
    """The first answer whose error does not pass by itself."""
    found = []

    def passed():
        found[:] = [action()]
        return (found[0][0] if isinstance(found[0], tuple) else found[0]) not in PASSING
    lib.wait_until(passed, 30, "an answer that is none of %s" % PASSING)
    return found[0]


def begun(side, name, new_flow=False):
    producer = Producer(side, "tx-" + name, new_flow)
    assert repeat(producer.init) == NONE
    return producer


def write(producer, topic, *values):
    if not producer.new_flow:
        assert repeat(lambda: producer.add(topic, 0)) == NONE
    error, base = repeat(lambda: producer.produce(topic, 0, list(values)))
    assert error == NONE
    return base


def ended(side, producer, topic, commit, mark):
    """Ends the transaction and waits until the marker at `mark` - 1 is there."""
    assert repeat(lambda: producer.end(commit)) == NONE
    lib.wait_until(lambda: part(side.fetch(topic, 0))["HighWatermark"] >= mark, 10, "the marker")


def committed_only(side, topic, offset, version=12, **fields):
    return part(side.fetch(topic, offset, version=version, IsolationLevel=1, **{"MaxWaitMs": 0, **fields}))


def listed(found):
    return [(one["ProducerId"], one["FirstOffset"]) for one in found["AbortedTransactions"] or []]


# ---- control batches ----


@pytest.mark.parametrize("new_flow", FLOWS)
def test_control_batches_take_an_offset_and_are_sent_to_all_consumers(side, topic, new_flow):
    producer = begun(side, topic, new_flow)
    for mark, commit in ((2, True), (4, False)):
        write(producer, topic, b"v")
        ended(side, producer, topic, commit, mark)
    for isolation in (0, 1):
        found = batches(part(side.fetch(topic, 0, IsolationLevel=isolation)))
        assert [one.base for one in found] == [0, 1, 2, 3]
        assert [one.attributes & (CONTROL | TRANSACTIONAL) for one in found] == [16, 48, 16, 48]
        assert {one.producer for one in found} == {producer.producer_id}


def test_key_of_a_control_record_is_version_0_and_1_for_commit_or_0_for_abort(side, topic):
    producer = begun(side, topic)
    for mark, commit in ((2, True), (4, False)):
        write(producer, topic, b"v")
        ended(side, producer, topic, commit, mark)
    markers = [one for one in batches(part(side.fetch(topic, 0))) if one.attributes & CONTROL]
    keys = [struct.unpack_from(">hh", one.records, one.records.index(b"\x08") + 1) for one in markers]  # length 4, zigzag
    assert keys == [(0, 1), (0, 0)]
    assert [(one.count, one.sequence) for one in markers] == [(1, -1)] * 2


# ---- read_committed ----


def test_read_committed_ends_at_the_last_stable_offset(side, topic):
    side.produce(topic, transactional.batch(-1, -1, -1, [b"before"], 0))
    producer = begun(side, topic)
    assert write(producer, topic, b"open") == 1
    side.produce(topic, transactional.batch(-1, -1, -1, [b"behind"], 0))
    found = committed_only(side, topic, 0)
    assert (found["HighWatermark"], found["LastStableOffset"]) == (3, 1) and [one.base for one in batches(found)] == [0]
    assert len(batches(part(side.fetch(topic, 0)))) == 3
    ended(side, producer, topic, True, 4)
    found = committed_only(side, topic, 0)
    assert found["LastStableOffset"] == 4 and [one.base for one in batches(found)] == [0, 1, 2, 3]


def test_read_committed_fetch_between_last_stable_offset_and_end_is_empty_without_an_error(side, topic):
    producer = begun(side, topic)
    write(producer, topic, b"open", b"open")
    for offset in (0, 1, 2):
        found = committed_only(side, topic, offset)
        assert (found["ErrorCode"], found["LastStableOffset"]) == (0, 0) and not found["Records"]
    ended(side, producer, topic, False, 3)


@pytest.mark.parametrize("version", (4, 11, 12))
def test_aborted_transactions_are_listed_for_read_committed_and_null_otherwise(side, topic, version):
    producer = begun(side, topic)
    write(producer, topic, b"lost")
    ended(side, producer, topic, False, 2)
    assert listed(committed_only(side, topic, 0, version)) == [(producer.producer_id, 0)]
    assert part(side.fetch(topic, 0, version=version))["AbortedTransactions"] is None


@only_millrace  # Apache Kafka sends them in the order of their markers; kafkajs reads over aborted records then
def test_aborted_transactions_come_in_the_order_of_their_offsets_and_none_is_missing(side, topic):
    producers = [begun(side, "%s-%d" % (topic, n)) for n in range(3)]
    for producer in producers:
        write(producer, topic, b"lost")
    for mark, producer in zip((4, 5, 6), reversed(producers)):  # the last to begin is the first to end
        ended(side, producer, topic, False, mark)
    assert listed(committed_only(side, topic, 0)) == [(p.producer_id, n) for n, p in enumerate(producers)]


def test_aborted_transactions_are_those_of_the_returned_offsets(side, topic):
    producer = begun(side, topic)
    for mark in (2, 4):
        write(producer, topic, b"lost")
        ended(side, producer, topic, False, mark)
    assert listed(committed_only(side, topic, 0, PartitionMaxBytes=1))[0] == (producer.producer_id, 0)
    assert listed(committed_only(side, topic, 1)) == [(producer.producer_id, 0), (producer.producer_id, 2)]
    assert listed(committed_only(side, topic, 2)) == [(producer.producer_id, 2)]
    assert listed(committed_only(side, topic, 4)) == []


@pytest.mark.parametrize("commit", ENDS)
@pytest.mark.parametrize("new_flow", FLOWS)
def test_end_of_a_transaction_wakes_a_waiting_read_committed_fetch(side, topic, new_flow, commit):
    producer = begun(side, topic, new_flow)
    write(producer, topic, b"v")
    held = side.start("Fetch", 12, MaxWaitMs=20000, MinBytes=1, IsolationLevel=1, Topics=[
        {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}])
    time.sleep(0.2)
    assert held.thread.is_alive()
    assert repeat(lambda: producer.end(commit)) == NONE
    found = part(held.wait())
    assert [one.base for one in batches(found)] == [0, 1]
    assert listed(found) == ([] if commit else [(producer.producer_id, 0)])


# ---- both flows ----


def test_new_flow_adds_partition_and_group_by_produce_v12_and_txn_offset_commit_v5(side, topic):
    producer = begun(side, topic, True)
    group = "g-" + topic
    assert repeat(lambda: producer.produce(topic, 0, [b"v"]))[0] == NONE
    assert repeat(lambda: producer.commit_offsets(group, topic, {0: 7})) == NONE
    ended(side, producer, topic, True, 2)
    assert committed_only(side, topic, 0)["LastStableOffset"] == 2
    lib.wait_until(lambda: transactional.committed(side, group, topic, 0, stable=True) == (NONE, 7), 10, "the offset")


@pytest.mark.parametrize("version, error", ((7, INVALID_TXN_STATE), (10, INVALID_TXN_STATE), (11, ABORTABLE)))
def test_batch_of_a_partition_not_added_is_transaction_abortable_from_produce_v11_on(side, topic, version, error):
    producer = begun(side, topic)
    records = transactional.batch(producer.producer_id, producer.epoch, 0, [b"v"])
    found = repeat(lambda: (refused(side.produce(topic, records, version=version, TransactionalId=producer.id)),))
    assert found == (error,)
    assert part(side.fetch(topic, 0))["HighWatermark"] == 0


@pytest.mark.parametrize("commit", ENDS)
@pytest.mark.parametrize("version", (0, 1, 2, 3, 4))
def test_end_txn_of_the_old_flow_is_served_in_every_version(side, topic, version, commit):
    producer = begun(side, topic)
    write(producer, topic, b"v")

    def end():
        return side.call("EndTxn", version, TransactionalId=producer.id, ProducerId=producer.producer_id,
                         ProducerEpoch=producer.epoch, Committed=commit)["ErrorCode"]
    assert repeat(end) == NONE
    lib.wait_until(lambda: committed_only(side, topic, 0)["LastStableOffset"] == 2, 10, "the end")


@pytest.mark.parametrize("commit", ENDS)
def test_end_txn_v5_answers_the_producers_next_epoch(side, topic, commit):
    producer = begun(side, topic, True)
    write(producer, topic, b"v")
    answer = side.call("EndTxn", 5, TransactionalId=producer.id, ProducerId=producer.producer_id,
                       ProducerEpoch=producer.epoch, Committed=commit)
    assert (answer["ErrorCode"], answer["ProducerId"]) == (NONE, producer.producer_id)
    assert answer["ProducerEpoch"] == producer.epoch + 1


WRONG = {"stranger": ({"ProducerId": 4711}, INVALID_MAPPING), "unknown id": ({"TransactionalId": "nobody"}, INVALID_MAPPING),
         "no transaction": ({}, INVALID_TXN_STATE)}


@pytest.mark.parametrize("wrong", WRONG)
def test_end_txn_that_cannot_be_carried_out_is_no_unknown_server_error(side, topic, wrong):
    producer = begun(side, topic)
    fields, error = WRONG[wrong]
    who = {"TransactionalId": producer.id, "ProducerId": producer.producer_id, "ProducerEpoch": producer.epoch, **fields}
    for version in (0, 1, 3, 4):
        for commit in (True, False):
            assert side.call("EndTxn", version, Committed=commit, **who)["ErrorCode"] == error


@only_millrace
def test_end_txn_without_a_coordinator_is_retriable_and_then_carried_out(side, topic):
    producer = begun(side, topic)
    write(producer, topic, b"v")
    coordinator = side.cluster.coordinators[0]
    coordinator.kill()
    assert producer.end(True) in PASSING - {CONCURRENT}
    coordinator.start().wait_ready()
    assert repeat(lambda: producer.end(True)) == NONE
    lib.wait_until(lambda: committed_only(side, topic, 0)["LastStableOffset"] == 2, 20, "the commit")
