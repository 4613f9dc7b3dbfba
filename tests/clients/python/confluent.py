# SPDX-License-Identifier: Apache-2.0
"""The client's part of the scenario on confluent-kafka (librdkafka)."""
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from scenario import Stop, record, run, say, say_assigned


def common(arguments):
    return {"bootstrap.servers": arguments["bootstrap"], "client.id": "confluent", "debug": "protocol"}


def create(arguments):
    topic = NewTopic(arguments["topic"], arguments.number("partitions", 1), arguments.number("replication", 1))
    admin = AdminClient(common(arguments))  # kept by name: a client that is freed fails what it was asked
    admin.create_topics([topic])[arguments["topic"]].result()


def delete(arguments):
    admin = AdminClient(common(arguments))
    admin.delete_topics([arguments["topic"]])[arguments["topic"]].result()


def describe(arguments):
    topic = AdminClient(common(arguments)).list_topics(arguments["topic"], timeout=10).topics[arguments["topic"]]
    for number, partition in topic.partitions.items():
        say("D", number, partition.leader, ",".join(str(node) for node in partition.replicas))


class Acknowledged:
    def __init__(self):
        self.count = 0

    def __call__(self, error, _):
        if error:
            raise KafkaException(error)
        self.count += 1
        if self.count % 1000 == 0:
            say("acked", self.count)


def send(producer, topic, key, value, acknowledged):
    while True:
        try:
            return producer.produce(topic, value, key, on_delivery=acknowledged)
        except BufferError:
            producer.poll(0.1)


def producer_of(arguments):
    return Producer({**common(arguments), "enable.idempotence": True, "compression.type": arguments["codec"],
                     "linger.ms": 5, "partitioner": "murmur2_random"})


def produce(arguments):
    producer, acknowledged, start = producer_of(arguments), Acknowledged(), time.monotonic()
    count, first, rate = (arguments.number(*pair) for pair in (("count", 1), ("first", 0), ("rate", 0)))
    for number in range(first, first + count):
        send(producer, arguments["topic"], *record(number), acknowledged)
        producer.poll(0)
        if rate and number % 100 == 0:
            time.sleep(max(0, start + (number - first) / rate - time.monotonic()))
    producer.flush(120)
    say("acked", acknowledged.count)


def consumer_of(arguments):
    own = {key: value for key, value in arguments.items() if "." in key}
    if own.get("group.protocol") != "consumer":  # there the coordinator says how often
        own.update({"session.timeout.ms": arguments.number("session", 6000), "heartbeat.interval.ms": 500})
    return Consumer({**common(arguments), "group.id": arguments.get("group", "none"), "enable.auto.commit": False,
                     "auto.offset.reset": "earliest", **own})


def commit(consumer, topic, done):
    """A round that a rebalance overtook is not committed; its records come again."""
    try:
        consumer.commit(offsets=[TopicPartition(topic, number, offset) for number, offset in done.items()],
                        asynchronous=False)
    except KafkaException as error:
        say("N", error.args[0].name())
        return
    for number, offset in done.items():
        say("C", number, offset)


class Held:
    """The partitions it has; a rebalance may name only what changes."""

    def __init__(self):
        self.partitions = set()

    def more(self, _, partitions):
        self.partitions |= {one.partition for one in partitions}
        say_assigned(self.partitions)

    def less(self, _, partitions):
        self.partitions -= {one.partition for one in partitions}
        say_assigned(self.partitions)


def consume(arguments):
    stop, consumer, seen, held = Stop(), consumer_of(arguments), 0, Held()
    count = arguments.number("count", sys.maxsize)
    consumer.subscribe([arguments["topic"]], on_assign=held.more, on_revoke=held.less, on_lost=held.less)
    while seen < count and not stop:
        done = {}
        for message in consumer.consume(min(500, count - seen), 0.1):
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    say("N", message.error().name())
                continue
            seen += 1
            say("R", message.partition(), message.offset(), message.key().decode(), message.value().decode())
            done[message.partition()] = message.offset() + 1
        if done:
            commit(consumer, arguments["topic"], done)
    consumer.close()


def offsets(arguments):
    consumer, topic = consumer_of(arguments), arguments["topic"]
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    wanted = [TopicPartition(topic, number, int(arguments["timestamp"])) for number in partitions]
    for found in consumer.offsets_for_times(wanted, timeout=10):
        say("O", found.partition, found.offset)


run({"create": create, "delete": delete, "describe": describe, "produce": produce, "consume": consume,
     "offsets": offsets})
