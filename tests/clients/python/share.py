# SPDX-License-Identifier: Apache-2.0
"""A member of a share group on confluent-kafka (librdkafka): reads until it is told to end, and does with each record what
`ack` says: implicit, accept, release (the first time), reject, hold. Lines as java/share."""
import sys
import time

from confluent_kafka import AcknowledgeType, KafkaException, ShareConsumer

from scenario import Stop, say


def type_of(ack, message):
    if ack == "release":
        return AcknowledgeType.RELEASE if message.delivery_count() == 1 else AcknowledgeType.ACCEPT
    return AcknowledgeType.REJECT if ack == "reject" else AcknowledgeType.ACCEPT


def commit(consumer):
    try:
        for partition, error in consumer.commit_sync().items():
            if error is not None:
                say("E", partition, error)
    except KafkaException as error:
        say("E", error)


def consume(consumer, ack, stop):
    while not stop:
        messages = [message for message in consumer.poll(0.5) if message.error() is None]
        for message in messages:
            say("R", message.partition(), message.offset(), (message.key() or b"").decode(), message.value().decode(),
                message.delivery_count())
        while ack == "hold" and messages and not stop:
            time.sleep(0.02)
        for message in messages if ack != "implicit" else []:
            consumer.acknowledge(message, type_of(ack, message))
        if ack != "implicit":
            commit(consumer)


def main():
    arguments = dict(word.split("=", 1) for word in sys.argv[1:])
    mode = "implicit" if arguments["ack"] == "implicit" else "explicit"
    settings = {key: value for key, value in arguments.items() if "." in key}
    consumer = ShareConsumer({"bootstrap.servers": arguments["bootstrap"], "group.id": arguments["group"],
                              "client.id": "confluent", "share.acknowledgement.mode": mode, **settings})
    consumer.subscribe(arguments["topic"].split(","))
    say("B")
    consume(consumer, arguments["ack"], Stop())
    consumer.close()


main()
