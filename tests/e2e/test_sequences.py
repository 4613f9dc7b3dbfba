# SPDX-License-Identifier: Apache-2.0
# Batches of an idempotent producer that follow a refused one on the same connection. librdkafka takes the success of a
# later batch for the success of all before it (rd_kafka_dr_implicit_ack), so the later one must not be let in, also when
# nothing is known of the producer yet: the first would be lost although acknowledged, with offset -1001. And what is
# only behind a batch that will be sent again is told to come again, too: OUT_OF_ORDER_SEQUENCE_NUMBER makes librdkafka
# raise its epoch (rd_kafka_idemp_drain_epoch_bump) and write what other partitions have already, twice.
import pytest

from cluster import Cluster, wait_until
from produce import Connection, batch

UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER, MESSAGE_TOO_LARGE, NOT_ENOUGH_REPLICAS, OUT_OF_ORDER = 3, 6, 10, 19, 45


@pytest.fixture(scope="module")
def started():
    with Cluster(settings={"all": {"auto.create.topics.enable": "false"}}) as running:
        yield running


def test_batch_behind_one_to_send_again_is_to_be_sent_again(started):
    with Connection(started) as connection:
        assert connection.produce("t", batch(4711, 0))[0] == UNKNOWN_TOPIC_OR_PARTITION
        started.create_topic("t")
        assert connection.produce("t", batch(4711, 1))[0] == NOT_ENOUGH_REPLICAS
        assert connection.produce("t", batch(4712, 1)) == (0, 0)  # another producer has nothing to do with it
        assert [connection.produce("t", batch(4711, n)) for n in range(3)] == [(0, 1), (0, 2), (0, 3)]
        assert connection.produce("t", batch(4712, 3))[0] == OUT_OF_ORDER


def test_batch_behind_one_refused_for_good_is_out_of_order(started):
    started.create_topic("s", max_message_bytes=1000)
    with Connection(started) as connection:
        assert connection.produce("s", batch(4711, 0, b"v" * 2000))[0] == MESSAGE_TOO_LARGE
        assert connection.produce("s", batch(4711, 1))[0] == OUT_OF_ORDER
        assert connection.produce("s", batch(4711, 0)) == (0, 0)


def test_batch_behind_one_that_found_too_few_replicas_is_to_be_sent_again():
    settings = {"all": {"default.replication.factor": 2, "min.insync.replicas": 2}}
    with Cluster(storage=2, settings=settings) as cluster:
        cluster.create_topic("r")
        leader = cluster.leader("r")
        follower = next(node for node in cluster.storage if node != leader)
        with Connection(cluster, leader) as connection:
            assert connection.produce("r", batch(4711, 0)) == (0, 0)
            follower.kill()
            cluster.wait_isr("r", 1, 1, 30)
            assert connection.produce("r", batch(4711, 1))[0] == NOT_ENOUGH_REPLICAS
            follower.start()
            cluster.wait_isr("r", 2, 1, 30)
            assert connection.produce("r", batch(4711, 2))[0] == NOT_ENOUGH_REPLICAS
            assert [connection.produce("r", batch(4711, n)) for n in (1, 2)] == [(0, 1), (0, 2)]


def test_batch_behind_one_that_came_before_the_node_led_is_to_be_sent_again():
    with Cluster(storage=2, settings={"all": {"default.replication.factor": 2}}) as cluster:
        cluster.create_topic("l")
        leader = cluster.leader("l")
        follower = next(node for node in cluster.storage if node != leader)
        with Connection(cluster, leader) as connection:
            assert connection.produce("l", batch(4711, 0)) == (0, 0)
        with Connection(cluster, follower) as connection:
            assert connection.produce("l", batch(4711, 1))[0] == NOT_LEADER
            leader.kill()
            cluster.wait_isr("l", 1, 1, 30)
            assert connection.produce("l", batch(4711, 2))[0] == NOT_ENOUGH_REPLICAS
            assert [connection.produce("l", batch(4711, n)) for n in (1, 2)] == [(0, 1), (0, 2)]


def test_batch_that_reaches_a_new_leader_before_the_one_before_it_is_to_be_sent_again():
    with Cluster(storage=2, settings={"all": {"default.replication.factor": 2}}) as cluster:
        cluster.create_topic("n")
        leader = cluster.leader("n")
        follower = next(node for node in cluster.storage if node != leader)
        with Connection(cluster, leader) as connection:
            assert connection.produce("n", batch(4711, 0)) == (0, 0)
            assert connection.produce("n", batch(4711, 2))[0] == OUT_OF_ORDER
        leader.kill()
        cluster.wait_isr("n", 1, 1, 30)
        with Connection(cluster, follower) as connection:
            assert connection.produce("n", batch(4711, 2))[0] == NOT_ENOUGH_REPLICAS
            assert [connection.produce("n", batch(4711, n)) for n in (1, 2)] == [(0, 1), (0, 2)]
            wait_until(lambda: connection.produce("n", batch(4711, 4))[0] == OUT_OF_ORDER, 30, "the truth")


def test_producer_nothing_is_known_of_may_begin_anywhere(started):
    started.create_topic("u")
    with Connection(started) as connection:
        assert connection.produce("u", batch(4711, 7)) == (0, 0)  # KIP-360
        assert connection.produce("u", batch(4711, 9))[0] == OUT_OF_ORDER
        assert connection.produce("u", batch(4711, 8)) == (0, 1)
