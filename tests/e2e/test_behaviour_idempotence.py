# SPDX-License-Identifier: Apache-2.0
# Idempotent producers: sequences, duplicates and epochs per partition, and how a producer gets its id.
import pytest

import cluster as lib
from behaviour import batch, broker, delete_records, only_millrace, part, refused, side_of
from transactional import Producer

INVALID_REQUEST, OUT_OF_ORDER, INVALID_EPOCH, INVALID_TIMEOUT, CONCURRENT, FENCED = 42, 45, 47, 50, 51, 90
HIGHEST = 2 ** 31 - 1
MAX_TIMEOUT_MS = 15 * 60 * 1000


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        yield found


class Sequences:
    """A producer without transactions and a topic of its own."""

    def __init__(self, side, topic):
        self.side, self.topic = side, topic
        self.id = side.call("InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=60000)["ProducerId"]
        side.topic(topic)

    def send(self, sequence, count=1, epoch=0):
        """(error, base offset)."""
        records = batch(*[b"v"] * count, pid=self.id, epoch=epoch, sequence=sequence)
        found = self.side.produce(self.topic, records)
        return found["ErrorCode"], found["BaseOffset"]

    def end(self):
        return part(self.side.fetch(self.topic, 0))["HighWatermark"]


@pytest.fixture
def producer(side, request):
    return Sequences(side, request.node.name[:200])


# ---- sequences ----


def test_duplicate_batch_is_answered_with_its_first_offset_and_not_appended(producer):
    assert [producer.send(0, 2), producer.send(2), producer.send(3)] == [(0, 0), (0, 2), (0, 3)]
    assert [producer.send(3), producer.send(2), producer.send(0, 2)] == [(0, 3), (0, 2), (0, 0)]
    assert producer.end() == 4


def test_last_five_batches_are_known_and_an_older_duplicate_is_out_of_order(producer):
    assert [producer.send(n) for n in range(7)] == [(0, n) for n in range(7)]
    assert [producer.send(n) for n in range(2, 7)] == [(0, n) for n in range(2, 7)]
    assert [producer.send(1), producer.send(0)] == [(OUT_OF_ORDER, -1)] * 2
    assert producer.end() == 7


def test_gap_in_the_sequence_is_out_of_order(producer):
    assert producer.send(0) == (0, 0)
    assert producer.send(2) == (OUT_OF_ORDER, -1)
    assert producer.send(1) == (0, 1)


def test_same_first_sequence_with_another_length_is_no_duplicate(producer):
    assert producer.send(0, 3) == (0, 0)
    assert producer.send(0, 2) == (OUT_OF_ORDER, -1)


def test_sequence_goes_on_at_0_behind_the_highest(producer):
    assert producer.send(HIGHEST - 1, 2) == (0, 0)
    assert producer.send(0) == (0, 2)
    assert producer.send(1) == (0, 3)


def test_batch_whose_sequence_wraps_inside_is_taken(producer):
    assert producer.send(HIGHEST, 3) == (0, 0)
    assert producer.send(2) == (0, 3)


def test_new_epoch_begins_at_sequence_0(producer):
    assert producer.send(0) == (0, 0)
    assert producer.send(1, epoch=1) == (OUT_OF_ORDER, -1)
    assert producer.send(0, epoch=1) == (0, 1)
    assert producer.send(1, epoch=1) == (0, 2)


def test_older_epoch_is_invalid_producer_epoch(producer):
    assert producer.send(0, epoch=1) == (0, 0)
    assert producer.send(1, epoch=0) == (INVALID_EPOCH, -1)
    assert producer.send(0, epoch=0) == (INVALID_EPOCH, -1)


def test_sequences_of_a_producer_outlive_its_deleted_records(producer):
    assert [producer.send(0), producer.send(1)] == [(0, 0), (0, 1)]
    delete_records(producer.side, producer.topic, 2)
    assert producer.send(3)[0] == OUT_OF_ORDER
    assert producer.send(2) == (0, 2)


# ---- producer ids ----


def test_init_producer_id_without_transactional_id_gives_a_new_id_of_epoch_0_each_time(side):
    found = [side.call("InitProducerId", version, TransactionalId=None, TransactionTimeoutMs=60000)
             for version in (0, 1, 2, 3, 4, 5) * 3]
    assert [one["ErrorCode"] for one in found] == [0] * 18 and {one["ProducerEpoch"] for one in found} == {0}
    assert len({one["ProducerId"] for one in found}) == 18 and min(one["ProducerId"] for one in found) >= 0


@only_millrace
def test_init_producer_id_is_answered_by_every_node_with_ids_of_its_own():
    with lib.Cluster(storage=2) as cluster:
        sides = [side_of(node.address) for node in cluster.storage]
        found = [side.call("InitProducerId", 4, TransactionalId=None, TransactionTimeoutMs=60000) for side in sides * 3]
        assert [one["ErrorCode"] for one in found] == [0] * 6 and len({one["ProducerId"] for one in found}) == 6


@pytest.mark.parametrize("version", (0, 1, 2, 3, 4, 5))
def test_init_producer_id_with_an_empty_transactional_id_is_invalid_request(side, version):
    found = side.call("InitProducerId", version, TransactionalId="", TransactionTimeoutMs=60000)
    assert (found["ErrorCode"], found["ProducerId"]) == (INVALID_REQUEST, -1)


@pytest.mark.parametrize("transactional_id", (None, "half"))
@pytest.mark.parametrize("half", ({"ProducerId": 5}, {"ProducerEpoch": 5}))
def test_init_producer_id_with_an_id_or_an_epoch_alone_is_invalid_request(side, transactional_id, half):
    for version in (3, 4, 5):
        found = side.call("InitProducerId", version, TransactionalId=transactional_id, TransactionTimeoutMs=60000, **half)
        assert (found["ErrorCode"], found["ProducerId"]) == (INVALID_REQUEST, -1)


@pytest.mark.parametrize("timeout_ms", (MAX_TIMEOUT_MS + 1, 2 ** 31 - 1, 0, -1))
def test_transaction_timeout_above_the_maximum_or_not_positive_is_invalid_transaction_timeout(side, timeout_ms):
    for version in (0, 4, 5):
        found = side.call("InitProducerId", version, TransactionalId="timeout", TransactionTimeoutMs=timeout_ms)
        assert (found["ErrorCode"], found["ProducerId"]) == (INVALID_TIMEOUT, -1)


def test_transaction_timeout_of_15_minutes_is_taken(side):
    def ask():
        return side.call("InitProducerId", 4, TransactionalId="longest", TransactionTimeoutMs=MAX_TIMEOUT_MS)
    lib.wait_until(lambda: refused(ask()) == 0, 30, "a coordinator")


def test_init_producer_id_during_a_transaction_aborts_it_and_is_concurrent_transactions_until_then(side):
    side.topic("interrupted")
    producer = Producer(side, "interrupted")
    lib.wait_until(lambda: producer.init() == 0, 30, "a coordinator")
    lib.wait_until(lambda: producer.add("interrupted", 0) == 0, 10)
    lib.wait_until(lambda: producer.produce("interrupted", 0, [b"lost"])[0] == 0, 10)
    follower = Producer(side, "interrupted")
    assert follower.init() == CONCURRENT
    lib.wait_until(lambda: follower.init() == 0, 10, "the abort")
    assert follower.epoch > producer.epoch and follower.producer_id == producer.producer_id
    found = part(side.fetch("interrupted", 0, IsolationLevel=1))
    assert found["LastStableOffset"] == found["HighWatermark"] == 2, "the record and its marker"
    assert [one["ProducerId"] for one in found["AbortedTransactions"]] == [producer.producer_id]


FENCED_SINCE = {"InitProducerId": 4, "AddPartitionsToTxn": 2, "AddOffsetsToTxn": 2, "EndTxn": 2}


@pytest.mark.parametrize("name, version", [(name, since + more) for name, since in FENCED_SINCE.items() for more in (-1, 0)])
def test_fenced_producer_is_invalid_producer_epoch_before_producer_fenced_was_known(side, name, version):
    side.topic("t")
    transactional_id = "fenced-%s-%d" % (name, version)
    zombie, successor = Producer(side, transactional_id), Producer(side, transactional_id)
    lib.wait_until(lambda: zombie.init() == 0, 30, "a coordinator")
    lib.wait_until(lambda: successor.init() == 0, 10)
    who = {"TransactionalId": transactional_id, "ProducerId": zombie.producer_id, "ProducerEpoch": zombie.epoch}
    if name == "AddPartitionsToTxn":
        fields = {"V3AndBelow" + key: value for key, value in who.items()}
        answer = side.call(name, version, V3AndBelowTopics=[{"Name": "t", "Partitions": [0]}], **fields)
        error = answer["ResultsByTopicV3AndBelow"][0]["ResultsByPartition"][0]["PartitionErrorCode"]
    else:
        more = {"InitProducerId": {"TransactionTimeoutMs": 60000}, "AddOffsetsToTxn": {"GroupId": "g"},
                "EndTxn": {"Committed": True}}[name]
        error = side.call(name, version, **who, **more)["ErrorCode"]
    assert error == (FENCED if version >= FENCED_SINCE[name] else INVALID_EPOCH)
