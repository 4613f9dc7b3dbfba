# SPDX-License-Identifier: Apache-2.0
"""What java/transform does, on confluent-kafka (librdkafka), which speaks the older flow."""
import faulthandler
import signal
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

# Nothing ends send_offsets_to_transaction in librdkafka 2.16: rdkafka_coord.c looks at the time of no coordinator request
# (its issue 5456), and goes on with one only when some broker comes or goes. One that was for a broker whose handle it has
# ended (rd_kafka_broker_decommission) so waits for ever (issue 5511). It ends the handles of all brokers, and starts with
# bootstrap.servers again, when it counts every one of them as down (rd_kafka_broker_set_state, KIP-1102): also those that
# are back and that it has not tried since, for which it takes up to reconnect.backoff.max.ms, 10 s. So any cluster can
# have a member stay there that loses a broker every few seconds. The transaction is over after transaction.timeout.ms.
OFFSETS_SECONDS = 45


def told(*fields):
    print(*fields, sep="\t", flush=True)


def rewind(consumer):
    for one in consumer.committed(consumer.assignment(), timeout=30):
        consumer.seek(TopicPartition(one.topic, one.partition, max(one.offset, 0)))


def send_offsets(producer, offsets, group):
    """Ends the process when the call does not end; its successor has the same transactional id."""
    faulthandler.dump_traceback_later(OFFSETS_SECONDS, exit=True)
    try:
        producer.send_offsets_to_transaction(offsets, group, 30)
    finally:
        faulthandler.cancel_dump_traceback_later()


def copy(consumer, producer, topic, records, abort):
    done = {}
    producer.begin_transaction()
    for record in records:
        producer.produce(topic, record.value(), record.key())
        done[record.partition()] = TopicPartition(record.topic(), record.partition(), record.offset() + 1)
    send_offsets(producer, list(done.values()), consumer.consumer_group_metadata())
    if abort:
        producer.flush(30)
        producer.abort_transaction(30)
    else:
        commit(producer)


def commit(producer):
    """Once more when its outcome is not known."""
    try:
        producer.commit_transaction(30)
    except KafkaException as failed:
        if not failed.args[0].retriable() or failed.args[0].txn_requires_abort():
            raise
        told("N", failed)
        producer.commit_transaction(60)


def round_of(consumer, producer, topic, records, abort):
    """Whether the records are committed."""
    try:
        copy(consumer, producer, topic, records, abort)
        return not abort
    except KafkaException as failed:
        told("N", failed)
        if failed.args[0].fatal():
            raise
        producer.abort_transaction(60)
        return False


class Group:
    """The consumer, and whether its partitions have changed: what it read before may be another's by now."""

    def __init__(self, arguments):
        self.changed, self.stopping = False, False
        times = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}
        if arguments.get("protocol") == "consumer":  # there the coordinator says how often
            times = {"group.protocol": "consumer"}
        self.consumer = Consumer({"bootstrap.servers": arguments["bootstrap"], "group.id": arguments["group"],
                                  "enable.auto.commit": False, "auto.offset.reset": "earliest",
                                  "isolation.level": "read_committed", **times})
        self.consumer.subscribe([arguments["topic"]], on_assign=self.on_change, on_revoke=self.on_change,
                                on_lost=self.on_change)

    def on_change(self, *_):
        self.changed = True

    def stop(self, *_):
        self.stopping = True
        faulthandler.dump_traceback_later(20)  # what it waits for, when it does not end

    def read(self):
        self.changed = False
        records = [one for one in self.consumer.consume(40, 0.2) if not one.error()]
        if self.changed:
            rewind(self.consumer)
            return []
        return records


def main():
    arguments = dict(pair.split("=", 1) for pair in sys.argv[1:])
    producer = Producer({"bootstrap.servers": arguments["bootstrap"], "transactional.id": arguments["id"],
                         "transaction.timeout.ms": 10000})
    producer.init_transactions(60)
    group = Group(arguments)
    signal.signal(signal.SIGTERM, group.stop)
    done = transactions = 0
    while not group.stopping:
        records = group.read()
        if not records:
            continue
        transactions += 1
        if round_of(group.consumer, producer, arguments["to"], records, transactions % 5 == 0):
            done += len(records)
            told("T", done)
        else:
            rewind(group.consumer)
    group.consumer.close()


main()
