# SPDX-License-Identifier: Apache-2.0
# Requests of a transaction that come late or twice (KIP-890): a proxy holds them back until the producer, or its
# successor, has gone on, or sends them over two connections. They never end, enter or open a transaction that is not
# theirs, and leave nothing that hangs.
import time

import pytest

from cluster import Cluster, wait_until
from frame_proxy import Later, Proxy
from transactional import (ABORTABLE, ADD_PARTITIONS, END, FENCED, INIT, INVALID_EPOCH, INVALID_TXN_STATE, NONE, OFFSETS,
                           PASSING, PRODUCE, Producer, committed, producers)

FLOWS = [pytest.param(False, id="old"), pytest.param(True, id="new")]
REFUSED = (FENCED, INVALID_EPOCH, INVALID_TXN_STATE, ABORTABLE)


@pytest.fixture(scope="module")
def started():
    with Cluster(coordinators=1) as running:
        yield running


@pytest.fixture
def proxy(started):
    with Proxy(started.storage[0]) as between:
        yield between


@pytest.fixture
def topic(started, request):
    name = request.node.name.replace("[", "-").replace("]", "")[-60:]
    started.create_topic(name, partitions=2)
    return name


def repeat(action, seconds=20):
    """Until the error is none that passes by itself."""
    end = time.monotonic() + seconds
    while True:
        error = action()
        if (error[0] if isinstance(error, tuple) else error) not in PASSING or time.monotonic() > end:
            return error
        time.sleep(0.02)


def begun(started, topic, new_flow, **options):
    producer = Producer(started.storage[0], "tx-" + topic, new_flow, **options)
    assert repeat(producer.init) == NONE
    return producer


def write(producer, topic, values, partition=0):
    if not producer.new_flow:
        assert repeat(lambda: producer.add(topic, partition)) == NONE
    assert repeat(lambda: producer.produce(topic, partition, values))[0] == NONE


def give_up(producer):
    """What a client does that has waited in vain: the new flow aborts, the old one begins anew (KIP-360)."""
    if producer.new_flow:
        assert repeat(lambda: producer.end(False)) == NONE
    else:
        assert repeat(producer.init) == NONE


def read(started, topic):
    return [value for _, _, _, value in started.consume(topic, "-X", "isolation.level=read_committed")]


def wait_read(started, topic, values):
    wait_until(lambda: read(started, topic) == values, 20, "%r to be read" % values)


def nothing_open(started, topic, partition=0):
    return all(start < 0 for _, _, start in producers(started.storage[0], topic, partition).values())


@pytest.mark.parametrize("new_flow", FLOWS)
def test_delayed_commit_does_not_commit_the_next_transaction(started, proxy, topic, new_flow):
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"given up"])
    held = proxy.hold(END)
    late = Later(producer.copy(proxy).end, True)
    held.wait()
    give_up(producer)
    write(producer, topic, [b"first half"])
    held.release()
    assert late.result() in (FENCED, INVALID_EPOCH)
    assert read(started, topic) == [], "the open transaction was committed"
    write(producer, topic, [b"second half"])
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["first half", "second half"])


@pytest.mark.parametrize("new_flow", FLOWS)
def test_delayed_abort_does_not_abort_the_next_transaction(started, proxy, topic, new_flow):
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"given up"])
    held = proxy.hold(END)
    late = Later(producer.copy(proxy).end, False)
    held.wait()
    give_up(producer)
    write(producer, topic, [b"first half"])
    held.release()
    assert late.result() in (FENCED, INVALID_EPOCH)
    write(producer, topic, [b"second half"])
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["first half", "second half"])


def test_delayed_commit_of_what_was_aborted_says_so(started, proxy, topic):
    producer = begun(started, topic, True)
    write(producer, topic, [b"given up"])
    held = proxy.hold(END)
    late = Later(producer.copy(proxy).end, True)
    held.wait()
    give_up(producer)
    held.release()
    assert late.result() == ABORTABLE
    started.produce(topic, ["behind"], "-p", "0")
    wait_read(started, topic, ["behind"])


# KAFKA-14402. The batch has the number that is due, so nothing but its transaction tells that it is late.
@pytest.mark.parametrize("new_flow", FLOWS)
def test_late_batch_is_not_in_the_next_transaction(started, proxy, topic, new_flow):
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"given up"])
    held = proxy.hold(PRODUCE)
    late = Later(producer.copy(proxy).produce, topic, 0, [b"late"])
    held.wait()
    give_up(producer)
    write(producer, topic, [b"next"], partition=1)
    held.release()
    assert repeat(late.result)[0] in REFUSED
    assert repeat(lambda: producer.end(True)) == NONE
    started.produce(topic, ["behind"], "-p", "0")
    wait_until(lambda: sorted(read(started, topic)) == ["behind", "next"], 20, "what was committed")
    assert nothing_open(started, topic)


@pytest.mark.parametrize("new_flow", FLOWS)
def test_late_batch_behind_the_last_transaction_leaves_none_open(started, proxy, topic, new_flow):
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"a"])
    held = proxy.hold(PRODUCE)
    late = Later(producer.copy(proxy).produce, topic, 0, [b"late"])
    held.wait()
    assert repeat(lambda: producer.end(False)) == NONE
    wait_until(lambda: nothing_open(started, topic), 20, "the marker")
    held.release()
    assert late.result()[0] in REFUSED
    started.produce(topic, ["behind"], "-p", "0")
    wait_read(started, topic, ["behind"])
    assert nothing_open(started, topic)


@pytest.mark.parametrize("new_flow", FLOWS)
def test_batch_of_a_zombie_that_was_under_way_meets_its_successor(started, proxy, topic, new_flow):
    zombie = begun(started, topic, new_flow)
    write(zombie, topic, [b"zombie"])
    held, held_end = proxy.hold(PRODUCE), proxy.hold(END)
    late = Later(zombie.copy(proxy).produce, topic, 0, [b"late"])
    late_end = Later(zombie.copy(proxy).end, True)
    held.wait()
    held_end.wait()
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"successor"])
    held.release()
    held_end.release()
    assert late.result()[0] == INVALID_EPOCH
    assert late_end.result() in (FENCED, INVALID_EPOCH)
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["successor"])


@pytest.mark.parametrize("new_flow", FLOWS)
def test_late_offsets_wait_in_no_group(started, proxy, topic, new_flow):
    producer, group = begun(started, topic, new_flow), "g-" + topic
    if not new_flow:
        assert repeat(lambda: producer.add_offsets(group)) == NONE
    assert repeat(lambda: producer.commit_offsets(group, topic, {0: 1})) == NONE
    held = proxy.hold(OFFSETS)
    late = Later(producer.copy(proxy).commit_offsets, group, topic, {0: 2})
    held.wait()
    give_up(producer)
    held.release()
    assert late.result() in REFUSED
    node = started.storage[0]
    wait_until(lambda: committed(node, group, topic, 0, stable=True) == (NONE, -1), 20, "no offset, and none that waits")
    if not new_flow:
        assert repeat(lambda: producer.add_offsets(group)) == NONE
    assert repeat(lambda: producer.commit_offsets(group, topic, {0: 3})) == NONE
    assert repeat(lambda: producer.end(True)) == NONE
    wait_until(lambda: committed(node, group, topic, 0, stable=True) == (NONE, 3), 20, "the offset")


@pytest.mark.parametrize("new_flow", FLOWS)
def test_requests_that_come_twice_count_once(started, proxy, topic, new_flow):
    producer, group = begun(started, topic, new_flow), "g-" + topic
    producer.to(proxy)
    for round, commit in enumerate((True, False, True)):
        for api in (PRODUCE, ADD_PARTITIONS, OFFSETS, END):
            proxy.double(api)
        write(producer, topic, [b"%d" % round])
        if not new_flow:
            assert repeat(lambda: producer.add_offsets(group)) == NONE
        assert repeat(lambda: producer.commit_offsets(group, topic, {0: round})) == NONE
        assert repeat(lambda: producer.end(commit)) == NONE
    wait_read(started, topic, ["0", "2"])
    wait_until(lambda: committed(started.storage[0], group, topic, 0, stable=True) == (NONE, 2), 20, "the offset")
    assert nothing_open(started, topic)


# The old flow cannot tell it from the next transaction's first request: it opens one, which the time-out ends.
def test_partition_that_is_added_late_hangs_no_longer_than_the_time_out(started, proxy, topic):
    producer = begun(started, topic, False, timeout_ms=500)
    write(producer, topic, [b"a"])
    held = proxy.hold(ADD_PARTITIONS)
    late = Later(producer.copy(proxy).add, topic, 0)
    held.wait()
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["a"])
    held.release()
    assert repeat(late.result) == NONE
    started.produce(topic, ["behind"], "-p", "0")
    wait_read(started, topic, ["a", "behind"])
    assert repeat(producer.init) == NONE
    write(producer, topic, [b"b"])
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["a", "behind", "b"])


# A successor that asked twice has the epoch of the later answer; nobody goes on with the other one.
def test_successor_that_comes_twice_leaves_one_producer(started, proxy, topic):
    producer = begun(started, topic, False)
    producer.to(proxy)
    proxy.double(INIT)
    assert repeat(producer.init) == NONE
    assert repeat(producer.init) == NONE
    write(producer, topic, [b"a"])
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["a"])


# Nothing but its own marker ends an open transaction, also not a batch of a higher epoch that is of none.
def test_batch_of_no_transaction_does_not_pass_an_open_one(started, topic):
    producer = begun(started, topic, False)
    write(producer, topic, [b"a"])
    stranger = producer.copy(started.storage[0])
    assert stranger.produce(topic, 0, [b"x"], attributes=0)[0] == INVALID_TXN_STATE
    stranger.epoch += 1
    assert stranger.produce(topic, 0, [b"x"], sequence=0, attributes=0)[0] == INVALID_TXN_STATE
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["a"])
