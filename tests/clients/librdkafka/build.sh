#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's librdkafka source package with its own test suite, built into librdkafka/source; quick when it is there.
# The system's package sources are not touched: lists and cache are in a directory of their own.
set -euo pipefail
cd "$(dirname "$0")"
[ -x source/tests/test-runner ] && exit 0
../setup.sh packages # without rapidjson the suite leaves 0098 and 0101 out
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{parts,lists/partial,cache/archives/partial}
# The machine's own package sources, read as source packages.
cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^Types:.*/Types: deb-src/' >"$work/parts/src.sources"
sed 's/^deb /deb-src /' /etc/apt/sources.list 2>/dev/null >"$work/list" || true
apt=(-o "Dir::Etc::sourcelist=$work/list" -o "Dir::Etc::sourceparts=$work/parts" -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update -qq
(cd "$work" && apt-get "${apt[@]}" source -qq librdkafka)
rm -rf source
mv "$work"/librdkafka-*/ source
cd source
./configure --disable-gssapi --disable-curl >"$work/configure"
nice make -C src -j2 librdkafka.so.1 librdkafka.a >make.log 2>&1
nice make -C src-cpp -j2 >>make.log 2>&1
nice make -C tests -j2 test-runner >>make.log 2>&1
