# SPDX-License-Identifier: Apache-2.0
# Batches of an idempotent producer that follow a refused one on the same connection. librdkafka takes the success of a
# later batch for the success of all before it (rd_kafka_dr_implicit_ack), so the later one must not be let in, also when
# nothing is known of the producer yet: the first would be lost although acknowledged, with offset -1001.
import pytest

from cluster import Cluster
from produce import Connection, batch

UNKNOWN_TOPIC_OR_PARTITION, OUT_OF_ORDER = 3, 45


@pytest.fixture(scope="module")
def started():
    with Cluster(settings={"all": {"auto.create.topics.enable": "false"}}) as running:
        yield running


def test_batch_behind_a_refused_one_is_out_of_order(started):
    with Connection(started) as connection:
        assert connection.produce("t", batch(4711, 0))[0] == UNKNOWN_TOPIC_OR_PARTITION
        started.create_topic("t")
        assert connection.produce("t", batch(4711, 1))[0] == OUT_OF_ORDER
        assert connection.produce("t", batch(4712, 1)) == (0, 0)  # another producer has nothing to do with it
        assert [connection.produce("t", batch(4711, n)) for n in range(3)] == [(0, 1), (0, 2), (0, 3)]


def test_producer_nothing_is_known_of_may_begin_anywhere(started):
    started.create_topic("u")
    with Connection(started) as connection:
        assert connection.produce("u", batch(4711, 7)) == (0, 0)  # KIP-360
        assert connection.produce("u", batch(4711, 9))[0] == OUT_OF_ORDER
        assert connection.produce("u", batch(4711, 8)) == (0, 1)
