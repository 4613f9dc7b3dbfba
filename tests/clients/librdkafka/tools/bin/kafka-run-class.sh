#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a class of the suite's own Java programs, which are built against the clients in $KAFKA_JARS.
exec java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$CLASSPATH:$KAFKA_JARS/*" "$@"
