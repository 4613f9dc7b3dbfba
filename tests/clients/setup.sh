#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the clients test needs, at the versions of the lock files; quick when nothing is missing.
#   setup.sh [packages] [python] [node] [go] [rust] [java] [share] [streams] [kafka] [avro] [jsonschema] [protobuf] [schemas]      without arguments all of them
# A client whose tool chain is missing or too old is told here and skipped by the test, with its reason.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
java_versions="2.1.1 3.9.2 4.4.0"
cd "$here" || exit 1

told() { echo "clients: $1 not installed: $2" >&2; }

packages() { "$root/tests/setup" "$here/packages.txt"; }

# One environment per lock file, made again when the lock file is newer.
python() {
    local lock name
    for lock in python/locks/*.txt; do
        name=$(basename "$lock" .txt)
        [ "python/env/$name/done" -nt "$lock" ] && continue
        rm -rf "python/env/$name"
        python3 -m venv "python/env/$name" &&
            "python/env/$name/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$lock" &&
            touch "python/env/$name/done" || { told "$name" "pip failed"; rm -rf "python/env/$name"; }
    done
}

node() {
    [ node/node_modules/.package-lock.json -nt node/package-lock.json ] && return
    command -v npm >/dev/null || { told kafkajs "no npm"; return; }
    (cd node && npm ci --silent && touch node_modules/.package-lock.json) || told kafkajs "npm failed"
}

go() {
    local release
    for release in 1.22.2:go.mod 1.7.0:old.mod; do
        local program=bin/franz-go-${release%%:*} mod=${release##*:}
        [ "go/$program" -nt go/main.go ] && [ "go/$program" -nt go/transform.go ] &&
            [ "go/$program" -nt "go/$mod" ] && continue
        command -v go >/dev/null || { told franz-go "no go"; return; }
        (cd go && command go build -modfile="$mod" -o "$program" . && touch "$program") ||
            told "franz-go ${release%%:*}" "go build failed"
    done
    module schemas schemas main.go "franz-go's sr"
    module sarama sarama-1.61.1 transform.go sarama
}

# A program of a module of its own below go/: its folder, its name in go/bin, its source, and what it is for people.
module() {
    [ "go/bin/$2" -nt "go/$1/$3" ] && [ "go/bin/$2" -nt "go/$1/go.mod" ] && return
    command -v go >/dev/null || { told "$4" "no go"; return; }
    (cd "go/$1" && command go build -o "../bin/$2" . && touch "../bin/$2") || told "$4" "go build failed"
}

rust() {
    local program=rust/target/release/scenario
    [ $program -nt rust/src/main.rs ] && [ $program -nt rust/Cargo.lock ] && return
    command -v cargo >/dev/null || { told rdkafka "no cargo"; return; }
    (cd rust && CARGO_TARGET_DIR=target nice cargo build -q --release --locked && touch target/release/scenario) ||
        told rdkafka "cargo build failed"
}

# Maven prints colour resets even when quiet.
maven() { mvn -q -B -f "$@" >"$here/java/maven.log" 2>&1 || { cat "$here/java/maven.log" >&2; return 1; }; }

java() {
    local target=java/scenario/target version
    for version in $java_versions; do
        [ -d "$target/$version" ] && [ "$target/$version" -nt java/scenario/pom.xml ] && continue
        maven java/scenario/pom.xml -Dkafka.version="$version" dependency:copy-dependencies \
            -DoutputDirectory="$here/$target/$version" && touch "$target/$version" || told "Java $version" "Maven failed"
    done
    [ $target/classes/Scenario.class -nt java/scenario/src/main/java/Scenario.java ] &&
        [ java/transform/target/classes/Transform.class -nt java/transform/src/main/java/Transform.java ] && return
    # Built against the oldest release: what compiles there runs with all of them.
    maven java/scenario/pom.xml -Dkafka.version="${java_versions%% *}" compile || told Java "Maven failed"
    maven java/transform/pom.xml compile || told "Java transform" "Maven failed"
}

share() {
    [ java/share/target/classes/Share.class -nt java/share/src/main/java/Share.java ] && return
    maven java/share/pom.xml compile || told "Java share consumer" "Maven failed"
}

streams() {
    local target=java/streams/target
    [ $target/lib -nt java/streams/pom.xml ] ||
        { maven java/streams/pom.xml dependency:copy-dependencies -DoutputDirectory="$here/$target/lib" &&
            touch $target/lib; } || told "Kafka Streams" "Maven failed"
    [ $target/classes/WordCount.class -nt java/streams/src/main/java/WordCount.java ] ||
        maven java/streams/pom.xml compile || told "Kafka Streams" "Maven failed"
}

kafka() {
    [ java/kafka/target/lib -nt java/kafka/pom.xml ] && return
    maven java/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory="$here/java/kafka/target/lib" &&
        touch java/kafka/target/lib || told "Apache Kafka" "Maven failed"
}

avro() {
    local target=java/avro/target
    [ $target/lib -nt java/avro/pom.xml ] ||
        { maven java/avro/pom.xml dependency:copy-dependencies -DoutputDirectory="$here/$target/lib" && touch $target/lib; } ||
        told "Apache Avro" "Maven failed"
    [ $target/classes/avro/Answers.class -nt java/avro/src/main/java/avro/Answers.java ] &&
        [ $target/classes/avro/Payloads.class -nt java/avro/src/main/java/avro/Payloads.java ] ||
        maven java/avro/pom.xml compile || told "Apache Avro" "Maven failed"
}

jsonschema() {
    local target=java/jsonschema/target
    [ $target/lib -nt java/jsonschema/pom.xml ] ||
        { maven java/jsonschema/pom.xml dependency:copy-dependencies -DoutputDirectory="$here/$target/lib" && touch $target/lib; } ||
        told "Apicurio's JSON Schema library" "Maven failed"
    [ $target/classes/jsonschema/Answers.class -nt java/jsonschema/src/main/java/jsonschema/Answers.java ] ||
        maven java/jsonschema/pom.xml compile || told "Apicurio's JSON Schema library" "Maven failed"
}

protobuf() {
    local target=java/protobuf/target
    [ $target/lib -nt java/protobuf/pom.xml ] ||
        { maven java/protobuf/pom.xml dependency:copy-dependencies -DoutputDirectory="$here/$target/lib" &&
            touch $target/lib; } || told "Apicurio's checker" "Maven failed"
    [ $target/classes/protobuf/Answers.class -nt java/protobuf/src/main/java/protobuf/Answers.java ] ||
        maven java/protobuf/pom.xml compile || told "Apicurio's checker" "Maven failed"
}

schemas() {
    local target=java/schemas/target
    [ $target/lib -nt java/schemas/pom.xml ] ||
        { maven java/schemas/pom.xml dependency:copy-dependencies -DoutputDirectory="$here/$target/lib" && touch $target/lib; } ||
        told "Flink's serializers" "Maven failed"
    [ $target/classes/Schemas.class -nt java/schemas/src/main/java/Schemas.java ] ||
        maven java/schemas/pom.xml compile || told "Flink's serializers" "Maven failed"
}

for part in ${*:-packages python node go rust java share streams kafka avro jsonschema protobuf schemas}; do
    "$part"
done
