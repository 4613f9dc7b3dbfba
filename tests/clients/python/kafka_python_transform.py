# SPDX-License-Identifier: Apache-2.0
"""What java/transform does, on kafka-python, which speaks the older flow."""
import logging
import signal
import sys

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata
from kafka.errors import AuthorizationError, KafkaError, OutOfOrderSequenceNumberError, ProducerFencedError

FATAL = (ProducerFencedError, OutOfOrderSequenceNumberError, AuthorizationError)


def offsets_behind(batches):
    return {partition: OffsetAndMetadata(records[-1].offset + 1, "", -1) for partition, records in batches.items()}


def rewind(consumer):
    for partition in consumer.assignment():
        consumer.seek(partition, consumer.committed(partition) or 0)


def copy(consumer, producer, topic, batches, abort):
    producer.begin_transaction()
    for record in (one for records in batches.values() for one in records):
        producer.send(topic, record.value, record.key)
    producer.send_offsets_to_transaction(offsets_behind(batches), consumer.group_metadata())
    if abort:
        producer.flush()
        producer.abort_transaction()
    else:
        producer.commit_transaction()


def round_of(consumer, producer, topic, batches, abort):
    """Whether the records are committed."""
    try:
        copy(consumer, producer, topic, batches, abort)
        return not abort
    except FATAL:
        raise
    except KafkaError as failed:
        print("N", repr(failed), sep="\t", flush=True)
        producer.abort_transaction()
        return False


def transform(arguments, stopping):
    # Its own pauses after a lost connection grow to 30 s, as long as a request may take.
    servers = {"bootstrap_servers": arguments["bootstrap"].split(","), "reconnect_backoff_max_ms": 1000,
               "request_timeout_ms": 10000}
    producer = KafkaProducer(**servers, transactional_id=arguments["id"], transaction_timeout_ms=10000)
    producer.init_transactions()
    consumer = KafkaConsumer(arguments["topic"], **servers, group_id=arguments["group"], enable_auto_commit=False,
                             auto_offset_reset="earliest", isolation_level="read_committed", max_poll_records=40,
                             session_timeout_ms=6000, heartbeat_interval_ms=1000)
    done = transactions = 0
    while not stopping:
        batches = consumer.poll(200)
        if not batches:
            continue
        transactions += 1
        if round_of(consumer, producer, arguments["to"], batches, transactions % 5 == 0):
            done += sum(len(records) for records in batches.values())
            print("T", done, sep="\t", flush=True)
        else:
            rewind(consumer)
    producer.close()
    consumer.close()


def main():
    logging.basicConfig(level=logging.WARNING)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    transform(dict(pair.split("=", 1) for pair in sys.argv[1:]), stopping)


main()
