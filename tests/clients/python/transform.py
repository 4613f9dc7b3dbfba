# SPDX-License-Identifier: Apache-2.0
"""What java/transform does, on confluent-kafka (librdkafka), which speaks the older flow."""
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition


def rewind(consumer):
    for one in consumer.committed(consumer.assignment(), timeout=30):
        consumer.seek(TopicPartition(one.topic, one.partition, max(one.offset, 0)))


def copy(consumer, producer, topic, records, abort):
    done = {}
    producer.begin_transaction()
    for record in records:
        producer.produce(topic, record.value(), record.key())
        done[record.partition()] = TopicPartition(record.topic(), record.partition(), record.offset() + 1)
    producer.send_offsets_to_transaction(list(done.values()), consumer.consumer_group_metadata(), 30)
    if abort:
        producer.flush(30)
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)


def round_of(consumer, producer, topic, records, abort):
    """Whether the records are committed."""
    try:
        copy(consumer, producer, topic, records, abort)
        return not abort
    except KafkaException as failed:
        print("N", failed, sep="\t", flush=True)
        if failed.args[0].fatal():
            raise
        if failed.args[0].retriable() and not failed.args[0].txn_requires_abort():
            producer.commit_transaction(60)
            return True
        producer.abort_transaction(60)
        return False


def main():
    arguments = dict(pair.split("=", 1) for pair in sys.argv[1:])
    common = {"bootstrap.servers": arguments["bootstrap"]}
    consumer = Consumer({**common, "group.id": arguments["group"], "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    producer = Producer({**common, "transactional.id": arguments["group"], "transaction.timeout.ms": 20000})
    producer.init_transactions(60)
    consumer.subscribe([arguments["topic"]])
    done = transactions = 0
    while done < int(arguments["count"]):
        records = [one for one in consumer.consume(40, 0.2) if not one.error()]
        if not records:
            continue
        transactions += 1
        if round_of(consumer, producer, arguments["to"], records, transactions % 5 == 0):
            done += len(records)
            print("T", done, sep="\t", flush=True)
        else:
            rewind(consumer)
    producer.flush(30)
    consumer.close()


main()
