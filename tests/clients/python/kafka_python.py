# SPDX-License-Identifier: Apache-2.0
"""The client's part of the scenario on kafka-python, 2.0.2 and newer."""
import inspect
import logging
import re
import sys
import time

import kafka
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import CommitFailedError, KafkaError

from scenario import Stop, record, run, say, say_assigned


class RequestNames(logging.Handler):
    """Prints each request's name and version once; the full debug log would print every record."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.seen = set()

    def emit(self, entry):
        for argument in entry.args or ():
            name = re.match(r"(\w+)Request(?:_v|\(.*?version=)(\d+)", self.text(argument))
            if name and name.groups() not in self.seen:
                self.seen.add(name.groups())
                print(f"apiKey={name[1]}, apiVersion={name[2]}", file=sys.stderr, flush=True)

    @staticmethod
    def text(argument):
        kind = type(argument).__name__
        if re.fullmatch(r"\w+Request(_v\d+)?", kind):
            version = getattr(argument, "API_VERSION", None)
            return kind if "_v" in kind else f"{kind}(version={version})"
        return ""


def common(arguments):
    return {"bootstrap_servers": arguments["bootstrap"].split(","), "client_id": "kafka-python"}


def create(arguments):
    topic = NewTopic(arguments["topic"], arguments.number("partitions", 1), arguments.number("replication", 1))
    KafkaAdminClient(**common(arguments)).create_topics([topic])


def delete(arguments):
    KafkaAdminClient(**common(arguments)).delete_topics([arguments["topic"]])


def describe(arguments):
    [topic] = KafkaAdminClient(**common(arguments)).describe_topics([arguments["topic"]])
    for one in topic["partitions"]:
        number = one.get("partition", one.get("partition_index"))
        leader = one.get("leader", one.get("leader_id"))
        say("D", number, leader, ",".join(str(node) for node in one.get("replicas", one.get("replica_nodes"))))


def producer_of(arguments):
    codec = None if arguments["codec"] == "none" else arguments["codec"]
    more = {"enable_idempotence": True} if "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG else {"retries": 100}
    return KafkaProducer(**common(arguments), acks="all", compression_type=codec, linger_ms=5, **more)


def produce(arguments):
    producer, start, sent = producer_of(arguments), time.monotonic(), []
    count, first, rate = (arguments.number(*pair) for pair in (("count", 1), ("first", 0), ("rate", 0)))
    for number in range(first, first + count):
        key, value = record(number)
        sent.append(producer.send(arguments["topic"], value, key))
        if rate and number % 100 == 0:
            time.sleep(max(0, start + (number - first) / rate - time.monotonic()))
        if len(sent) % 1000 == 0:
            sent[-1000].get(60)
            say("acked", len(sent) - 999)
    for one in sent:
        one.get(120)
    say("acked", len(sent))


def consumer_of(arguments):
    return KafkaConsumer(**common(arguments), group_id=arguments.get("group"), enable_auto_commit=False,
                         auto_offset_reset="earliest", session_timeout_ms=arguments.number("session", 6000),
                         heartbeat_interval_ms=500)


class Listener(ConsumerRebalanceListener):
    def __init__(self, consumer):
        self.consumer = consumer

    def on_partitions_revoked(self, _):
        say_assigned([])

    def on_partitions_assigned(self, _):
        say_assigned([one.partition for one in self.consumer.assignment()])


def commit(consumer, done):
    """A round that a rebalance overtook is not committed; its records come again."""
    fields = len(inspect.signature(kafka.OffsetAndMetadata).parameters)
    try:
        consumer.commit({where: kafka.OffsetAndMetadata(*(offset, "", -1)[:fields]) for where, offset in done.items()})
    except (CommitFailedError, KafkaError) as error:
        say("N", type(error).__name__)
        return
    for where, offset in done.items():
        say("C", where.partition, offset)


def consume(arguments):
    stop, consumer, seen = Stop(), consumer_of(arguments), 0
    count = arguments.number("count", sys.maxsize)
    consumer.subscribe([arguments["topic"]], listener=Listener(consumer))
    while seen < count and not stop:
        done = {}
        for where, messages in consumer.poll(100, max_records=min(500, count - seen)).items():
            for message in messages:
                seen += 1
                say("R", where.partition, message.offset, message.key.decode(), message.value.decode())
                done[where] = message.offset + 1
        if done:
            commit(consumer, done)
    consumer.close()


def offsets(arguments):
    consumer, topic = consumer_of(arguments), arguments["topic"]
    wanted = {TopicPartition(topic, number): int(arguments["timestamp"])
              for number in consumer.partitions_for_topic(topic)}
    for where, found in consumer.offsets_for_times(wanted).items():
        say("O", where.partition, found.offset if found else -1)


logging.getLogger("kafka").setLevel(logging.DEBUG)
logging.getLogger("kafka").addHandler(RequestNames())
told = logging.StreamHandler()
told.setLevel(logging.INFO)
told.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
logging.getLogger("kafka.coordinator").addHandler(told)
run({"create": create, "delete": delete, "describe": describe, "produce": produce, "consume": consume,
     "offsets": offsets})
