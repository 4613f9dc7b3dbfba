# SPDX-License-Identifier: Apache-2.0
# Transactions at the protocol, in the old flow and in KIP-890's: what is committed is read exactly once, what is aborted
# or late never, zombies are fenced, nothing hangs. Requests are built by hand (transactional.py).
import threading
import time

import pytest

from cluster import Cluster, wait_until
from transactional import (ABORTABLE, FENCED, INVALID_EPOCH, INVALID_MAPPING, INVALID_TIMEOUT, INVALID_TXN_STATE, NONE,
                           PASSING, UNSTABLE, Producer, committed, described, listed, producers, write_marker)

NOT_FOUND = 105
FLOWS = [pytest.param(False, id="old"), pytest.param(True, id="new")]


@pytest.fixture(scope="module")
def started():
    with Cluster(coordinators=1) as running:
        yield running


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


def read(started, topic, level="committed"):
    return [value for _, _, _, value in started.consume(topic, "-X", "isolation.level=read_" + level)]


def wait_read(started, topic, values):
    wait_until(lambda: read(started, topic) == values, 20, "%r to be read" % values)


@pytest.mark.parametrize("new_flow", FLOWS)
def test_committed_records_are_read_and_aborted_ones_are_not(started, topic, new_flow):
    producer = begun(started, topic, new_flow)
    for round, commit in enumerate((True, False, True, False)):
        write(producer, topic, [b"%d" % round])
        assert producer.end(commit) == NONE
    wait_read(started, topic, ["0", "2"])
    assert read(started, topic, "uncommitted") == ["0", "1", "2", "3"]


@pytest.mark.parametrize("new_flow", FLOWS)
def test_open_transaction_is_read_by_nobody_who_wants_committed_records(started, topic, new_flow):
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"a"])
    started.produce(topic, ["behind"], "-p", "0")
    assert read(started, topic) == []
    assert producer.end(True) == NONE
    wait_read(started, topic, ["a", "behind"])


def test_epoch_grows_at_every_end_of_the_new_flow_only(started, topic):
    old, new = begun(started, topic, False), begun(started, "x" + topic, True)
    for producer, grows in ((old, 0), (new, 1)):
        for _ in range(3):
            epoch = producer.epoch
            write(producer, topic, [b"v"])
            assert repeat(lambda p=producer: p.end(True)) == NONE
            assert producer.epoch == epoch + grows


@pytest.mark.parametrize("new_flow", FLOWS)
def test_successor_fences_the_zombie_and_aborts_what_it_left_open(started, topic, new_flow):
    zombie = begun(started, topic, new_flow)
    write(zombie, topic, [b"zombie"])
    producer = begun(started, topic, new_flow)
    assert producer.producer_id == zombie.producer_id and producer.epoch > zombie.epoch
    assert zombie.produce(topic, 0, [b"late"])[0] == INVALID_EPOCH
    assert zombie.produce(topic, 1, [b"late"])[0] == INVALID_EPOCH
    assert zombie.end(True) in (FENCED, INVALID_EPOCH)
    write(producer, topic, [b"successor"])
    assert producer.end(True) == NONE
    wait_read(started, topic, ["successor"])


def test_batch_of_a_partition_that_was_not_added_is_refused(started, topic):
    producer = begun(started, topic, False)
    assert producer.produce(topic, 0, [b"a"])[0] == INVALID_TXN_STATE
    assert producer.add(topic, 1) == NONE
    assert producer.produce(topic, 0, [b"a"])[0] == INVALID_TXN_STATE
    assert producer.produce(topic, 1, [b"b"])[0] == NONE
    assert producer.end(True) == NONE
    wait_read(started, topic, ["b"])


@pytest.mark.parametrize("new_flow", FLOWS)
def test_late_batch_opens_no_transaction_that_nobody_ends(started, topic, new_flow):
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"a"])
    late = producer.copy(started.storage[0])
    assert producer.end(True) == NONE
    wait_read(started, topic, ["a"])
    error = repeat(lambda: late.produce(topic, 0, [b"late"]))[0]
    assert error == (INVALID_EPOCH if new_flow else INVALID_TXN_STATE)
    assert repeat(lambda: late.produce(topic, 1, [b"late"]))[0] == error
    started.produce(topic, ["behind"], "-p", "0")
    wait_read(started, topic, ["a", "behind"])  # nothing hangs


def test_delayed_end_of_the_new_flow_does_not_end_a_later_transaction(started, topic):
    producer = begun(started, topic, True)
    write(producer, topic, [b"a"])
    delayed = producer.copy(started.storage[0])
    assert producer.end(True) == NONE
    write(producer, topic, [b"b"])
    assert delayed.end(False) == FENCED
    assert delayed.end(True) == FENCED
    assert producer.end(True) == NONE
    wait_read(started, topic, ["a", "b"])


@pytest.mark.parametrize("new_flow", FLOWS)
def test_repeated_end_is_answered_as_the_first(started, topic, new_flow):
    producer = begun(started, topic, new_flow)
    write(producer, topic, [b"a"])
    again = producer.copy(started.storage[0])
    assert producer.end(True) == NONE
    assert repeat(lambda: again.end(True)) == NONE
    assert (again.producer_id, again.epoch) == (producer.producer_id, producer.epoch)
    if new_flow:
        again = producer.copy(started.storage[0])
        again.epoch -= 1
    assert again.end(False) == INVALID_TXN_STATE


def test_abort_of_the_new_flow_needs_no_partition(started, topic):
    producer = begun(started, topic, True)
    epoch = producer.epoch
    assert repeat(lambda: producer.end(False)) == NONE
    assert repeat(lambda: producer.end(False)) == NONE
    assert producer.epoch == epoch + 2
    write(producer, topic, [b"a"])
    assert repeat(lambda: producer.end(True)) == NONE
    wait_read(started, topic, ["a"])


@pytest.mark.parametrize("new_flow", FLOWS)
def test_transaction_that_takes_too_long_is_aborted(started, topic, new_flow):
    producer = begun(started, topic, new_flow, timeout_ms=500)
    write(producer, topic, [b"slow"])
    started.produce(topic, ["behind"], "-p", "0")
    wait_read(started, topic, ["behind"])
    error = repeat(lambda: producer.end(True))
    assert error == (ABORTABLE if new_flow else INVALID_EPOCH)
    assert producer.produce(topic, 0, [b"late"])[0] == INVALID_EPOCH
    if new_flow:  # it goes on after the abort that it was told to make
        assert repeat(lambda: producer.end(False)) == NONE
        write(producer, topic, [b"next"])
        assert repeat(lambda: producer.end(True)) == NONE
        wait_read(started, topic, ["behind", "next"])


def test_requests_of_strangers_are_refused(started, topic):
    producer = Producer(started.storage[0], "stranger-" + topic)
    producer.producer_id, producer.epoch = 12345, 0
    assert repeat(lambda: producer.add(topic, 0)) == INVALID_MAPPING
    assert repeat(lambda: producer.end(True)) == INVALID_MAPPING
    producer.timeout_ms = 15 * 60 * 1000 + 1
    assert producer.init() == INVALID_TIMEOUT
    producer.timeout_ms = 0
    assert producer.init() == INVALID_TIMEOUT


def test_producer_that_names_its_epoch_is_bumped_and_hears_the_same_when_it_repeats(started, topic):
    producer = begun(started, topic, False)
    again, other = producer.copy(started.storage[0]), producer.copy(started.storage[0])
    assert producer.init_again() == NONE and again.init_again() == NONE
    assert again.epoch == producer.epoch == other.epoch + 1
    assert producer.init() == NONE
    assert other.init_again() == FENCED


@pytest.mark.parametrize("new_flow", FLOWS)
def test_offsets_of_a_transaction_count_when_it_is_committed(started, topic, new_flow):
    node, group, producer = started.storage[0], "g-" + topic, begun(started, topic, new_flow)

    def commit(offset):
        if not new_flow:
            assert repeat(lambda: producer.add_offsets(group)) == NONE
        assert repeat(lambda: producer.commit_offsets(group, topic, {0: offset})) == NONE

    commit(7)
    assert committed(node, group, topic, 0) == (NONE, -1)
    assert committed(node, group, topic, 0, stable=True)[0] == UNSTABLE
    assert producer.end(True) == NONE
    wait_until(lambda: committed(node, group, topic, 0, stable=True) == (NONE, 7), 10, "the offset")
    commit(9)
    assert producer.end(False) == NONE
    wait_until(lambda: committed(node, group, topic, 0, stable=True) == (NONE, 7), 10, "the former offset")


def test_offsets_that_come_late_do_not_hang_in_the_group(started, topic):
    node, group, producer = started.storage[0], "g-" + topic, begun(started, topic, False)
    assert producer.add_offsets(group) == NONE
    assert repeat(lambda: producer.commit_offsets(group, topic, {0: 3})) == NONE
    assert producer.end(True) == NONE
    wait_until(lambda: committed(node, group, topic, 0, stable=True) == (NONE, 3), 10, "the offset")
    assert repeat(lambda: producer.commit_offsets(group, topic, {0: 1})) == INVALID_TXN_STATE
    assert committed(node, group, topic, 0, stable=True) == (NONE, 3)


def test_transactions_are_listed_and_described(started, topic):
    node, producer = started.storage[0], begun(started, topic, True)
    name = producer.id.encode()
    assert described(node, producer.id) == (NONE, "Empty")
    assert described(node, "nobody")[0] == NOT_FOUND
    write(producer, topic, [b"a"])
    assert described(node, producer.id) == (NONE, "Ongoing")
    assert name in listed(node) and name in listed(node, ["Ongoing", "Dead"])
    assert name not in listed(node, ["Empty"]) and b"Nonsense" in listed(node, ["Nonsense"])
    assert producers(node, topic, 0) == {producer.producer_id: (0, -1, 0)}
    assert producer.end(True) == NONE
    wait_until(lambda: described(node, producer.id) == (NONE, "CompleteCommit"), 10, "the end")
    (epoch, _, start), = producers(node, topic, 0).values()
    assert (epoch, start) == (1, -1)


def test_operator_ends_a_transaction_at_its_partitions(started, topic):
    node, group, producer = started.storage[0], "g-" + topic, begun(started, topic, True)
    write(producer, topic, [b"a"])
    assert repeat(lambda: producer.commit_offsets(group, topic, {0: 5})) == NONE
    started.produce(topic, ["behind"], "-p", "0")
    assert write_marker(node, producer.producer_id, producer.epoch, False, topic, 0, 0) == NONE
    wait_read(started, topic, ["behind"])
    shard = next(p for p in range(50) if producer.producer_id in producers(node, "__consumer_offsets", p))
    assert write_marker(node, producer.producer_id, producer.epoch, False, "__consumer_offsets", shard, 0) == NONE
    wait_until(lambda: committed(node, group, topic, 0, stable=True) == (NONE, -1), 10, "the group")
    assert producer.end(False) == NONE
    wait_until(lambda: producers(node, topic, 0)[producer.producer_id][0] == 1, 10, "the marker")
    assert write_marker(node, producer.producer_id, 0, True, topic, 0, 1000000) == INVALID_EPOCH


def test_id_without_transactions_is_forgotten():
    settings = {"coordinator": {"transactional.id.expiration.ms": 300,
                                "transaction.remove.expired.transaction.cleanup.interval.ms": 100}}
    with Cluster(settings=settings) as cluster:
        cluster.create_topic("t", partitions=1)
        node, producer = cluster.storage[0], begun(cluster, "t", False)
        write(producer, "t", [b"a"])
        time.sleep(1)  # an open one stays
        assert described(node, producer.id) == (NONE, "Ongoing")
        assert producer.end(True) == NONE
        wait_until(lambda: described(node, producer.id)[0] == NOT_FOUND, 10, "the id to be forgotten")
        assert producer.add("t", 0) == INVALID_MAPPING
        assert producer.init() == NONE


def test_batch_that_waits_for_the_former_end_holds_up_no_other_producer():
    with Cluster(storage=2, coordinators=1) as cluster:
        cluster.create_topic("t", partitions=2)
        nodes = [cluster.leader("t", partition) for partition in range(2)]
        assert nodes[0] is not nodes[1]
        producer, other = begun(cluster, "t", True), Producer(nodes[0], None)  # of no transaction
        for partition in (1, 0):
            producer.to(nodes[partition])
            write(producer, "t", [b"a"], partition)
        nodes[1].kill()
        assert repeat(lambda: producer.end(True)) == NONE  # but partition 1 cannot be told
        next_batch = threading.Thread(target=producer.produce, args=("t", 0, [b"b"]))
        next_batch.start()
        time.sleep(0.3)  # it is at the node
        assert other.produce("t", 0, [b"plain"], sequence=-1, attributes=0)[0] == NONE
        assert next_batch.is_alive(), "it has been let in"
        next_batch.join()


@pytest.mark.parametrize("new_flow", FLOWS)
def test_everything_is_there_after_a_kill_of_everything(new_flow):
    with Cluster(coordinators=1) as cluster:
        cluster.create_topic("t", partitions=1)
        producer = begun(cluster, "t", new_flow)
        write(producer, "t", [b"a"])
        if not new_flow:
            assert repeat(lambda: producer.add_offsets("g")) == NONE
        assert repeat(lambda: producer.commit_offsets("g", "t", {0: 5})) == NONE
        for daemon in cluster.daemons:
            daemon.kill()
        cluster.restart_all()
        producer.to(cluster.storage[0])
        assert read(cluster, "t") == []
        wait_until(lambda: committed(cluster.storage[0], "g", "t", 0, stable=True)[0] == UNSTABLE, 20, "the group")
        assert repeat(lambda: producer.produce("t", 0, [b"b"]))[0] == NONE
        assert repeat(lambda: producer.end(True)) == NONE
        wait_read(cluster, "t", ["a", "b"])
        wait_until(lambda: committed(cluster.storage[0], "g", "t", 0, stable=True) == (NONE, 5), 20, "the offset")


class Worker:
    """Transactions without end, one record to each partition and an offset in each; remembers which were committed."""

    def __init__(self, cluster, topic, new_flow):
        self.cluster, self.topic, self.new_flow = cluster, topic, new_flow
        self.committed, self.rounds, self.failure, self.stopping = [], 0, None, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            producer = begun(self.cluster, self.topic, self.new_flow)
            while not self.stopping:
                self.transaction(producer)
        except BaseException as failure:  # told by stop()
            self.failure = failure

    def transaction(self, producer):
        value, commit = b"%d" % self.rounds, self.rounds % 3 != 1
        for partition in range(2):
            write(producer, self.topic, [value], partition)
        if not self.new_flow:
            assert repeat(lambda: producer.add_offsets("g")) == NONE
        assert repeat(lambda: producer.commit_offsets("g", self.topic, {0: self.rounds})) == NONE
        assert repeat(lambda: producer.end(commit)) == NONE
        if commit:
            self.committed.append(self.rounds)
        self.rounds += 1

    def wait_rounds(self, more):
        wait_until(lambda: self.failure or self.rounds >= more, 60, "%d rounds" % more)

    def stop(self):
        self.stopping = True
        self.thread.join(60)
        if self.failure:
            raise self.failure


# The owner dies at a random moment of a transaction, over and over: between PREPARE and its markers, between the
# markers and COMPLETE, with a batch waiting to be let in. Requests that were not answered are sent again.
@pytest.mark.parametrize("new_flow", FLOWS)
def test_coordinators_killed_at_any_moment_neither_lose_nor_repeat_a_transaction(new_flow):
    with Cluster(coordinators=2) as cluster:
        cluster.create_topic("t", partitions=2)
        worker = Worker(cluster, "t", new_flow)
        for kill in range(8):
            worker.wait_rounds(worker.rounds + 3)
            time.sleep(0.007 * kill)
            victim = cluster.coordinators[kill % 2]
            victim.kill()
            victim.start()
            victim.wait_ready(30)
        worker.wait_rounds(worker.rounds + 3)
        worker.stop()
        values = [str(n) for n in worker.committed]
        for partition in range(2):
            wait_until(lambda p=partition: [v for q, _, _, v in cluster.consume("t") if q == p] == values, 30,
                       "every committed transaction once")
        last = worker.committed[-1]
        wait_until(lambda: committed(cluster.storage[0], "g", "t", 0, stable=True) == (NONE, last), 20, "the offset")


def test_leaders_killed_between_batch_and_marker_leave_no_transaction_open():
    settings = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2}}
    with Cluster(controllers=1, storage=3, coordinators=1, settings=settings) as cluster:
        cluster.create_topic("t", partitions=1, replication=3)
        cluster.wait_isr("t", 3)
        producer = begun(cluster, "t", False)
        expected = []
        for kill in range(3):
            leader = cluster.leader("t")
            producer.to(leader)
            write(producer, "t", [b"%d" % kill])
            other = next(node for node in cluster.storage if node is not leader)
            leader.kill()
            producer.to(other)
            assert repeat(lambda: producer.end(True)) == NONE
            expected.append(str(kill))
            wait_read(cluster, "t", expected)
            leader.start()
            cluster.wait_isr("t", 3, seconds=60)
