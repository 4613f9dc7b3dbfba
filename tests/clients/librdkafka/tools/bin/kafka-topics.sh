#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kafka-topics for the suite, which calls the tools of an Apache Kafka by this name.
lib=$(cd "$(dirname "$0")/../../../java/kafka/target/lib" && pwd)
exec java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$lib/*" org.apache.kafka.tools.TopicCommand "$@"
