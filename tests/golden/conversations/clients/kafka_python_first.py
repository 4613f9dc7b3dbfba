# SPDX-License-Identifier: Apache-2.0
# The client's part of a recorded conversation: a producer, then a consumer in a group.
import os
import sys

from kafka import KafkaConsumer, KafkaProducer

bootstrap, group = os.environ["MILLRACE_BOOTSTRAP"], sys.argv[1]
producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
for i in range(3):
    producer.send("first", key=b"k%d" % i, value=b"v%d" % i).get(timeout=30)
producer.close()
consumer = KafkaConsumer("first", bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                         consumer_timeout_ms=10000)
for seen, _ in enumerate(consumer, 1):
    if seen == 3:
        break
consumer.commit()
consumer.close()
