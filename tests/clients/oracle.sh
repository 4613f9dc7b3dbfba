#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The codec against Apache Kafka's own message classes, in both directions: what Kafka writes we read to the
# same value and write again byte for byte, and what we write Kafka reads to the same value. Two releases: the
# one protos/kafka declares, where every default and refusal is compared too, and the newest.
#   oracle.sh [CASES]    CASES (default 1000) per message and version, each direction, each release
#   oracle.sh fixed      writes tests/golden/kafka/*.gz again
# Needs Maven, a JDK 17 and build/bin/kafka_golden.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
golden=${BUILD:-$root/build}/bin/kafka_golden
project=$root/tests/clients/java/oracle
declared=4.2.2
newest=4.4.0
seed=${SEED:-1}

[ -x "$golden" ] || { echo "build $golden first" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
    mvn -q -B -f "$project/pom.xml" "$@" > "$work/maven" 2>&1 || { cat "$work/maven" >&2; exit 1; }
}

for release in $declared $newest; do
    build -Dkafka.version=$release dependency:copy-dependencies -DoutputDirectory="$project/target/$release"
done
build compile

oracle() {
    release=$1
    shift
    java -Xmx512m -cp "$project/target/classes:$project/target/$release/*" oracle.Oracle "$@"
}

# A producer that dies in the middle of a pipe must not pass: its exit status goes through a file.
both() {
    release=$1 cases=$2
    shift 2
    oracle "$release" rules > "$work/rules"
    { oracle "$release" write "$seed" "$cases" || touch "$work/failed"; } |
        "$golden" check "$cases" "$@" "$work/rules" -
    if [ "${1:-}" = -x ]; then shift; fi
    { "$golden" write "$seed" "$cases" || touch "$work/failed"; } | oracle "$release" read "$@"
    [ ! -e "$work/failed" ] || { echo "the writing side failed" >&2; exit 1; }
}

if [ "${1:-}" = fixed ]; then
    oracle $declared rules | gzip -9n > "$root/tests/golden/kafka/rules.gz"
    oracle $declared write "$seed" 9 tiny | gzip -9n > "$root/tests/golden/kafka/cases.gz"
    exec "$golden" check 9 "$root"/tests/golden/kafka/*.gz
fi
echo "Apache Kafka $declared"
both $declared "${1:-1000}"
echo "Apache Kafka $newest"
both $newest "${1:-1000}" -x "$root/tests/golden/kafka/changed-4.4.txt"
echo "oracle: both directions agree"
