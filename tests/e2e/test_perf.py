# SPDX-License-Identifier: Apache-2.0
# `millrace perf`: what it counts is there, and what it says of time can be true.
import json

import pytest

from cluster import Cluster


@pytest.fixture(scope="module")
def started():
    with Cluster(storage=2) as cluster:
        yield cluster


def perf(cluster, *arguments, code=0):
    done = cluster.cli("perf", *arguments, *(["--json"] if code == 0 else []), check=False, seconds=120)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if code == 0 else done.stderr


def check_times(row):
    times = [row[name] for name in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms")]
    assert times == sorted(times) and 0 < times[0] and times[-1] < row["seconds"] * 1000 + 1000, row


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_was_produced_is_there_and_is_consumed(started, codec):
    topic = "perf-" + codec
    started.create_topic(topic, partitions=3, replication=2)
    row, = perf(started, "produce", topic, "--records", 3000, "--size", 50, "--batch", 20, "--codec", codec)
    check_times(row)
    assert row["what"] == "acknowledged" and row["records"] == 3000, row
    sizes = started.kcat("-C", "-t", topic, "-e", "-q", "-f", "%p %S\\n").stdout.split("\n")[:-1]
    assert len(sizes) == 3000 and set(sizes) == {"0 50", "1 50", "2 50"}
    row, = perf(started, "consume", topic)
    check_times(row)
    assert row["records"] == 3000, row
    assert 1000 <= perf(started, "consume", topic, "--records", 1000)[0]["records"] <= 3000


def test_end_to_end_tells_acknowledgement_and_arrival_at_the_rate_asked_for(started):
    started.create_topic("e2e", partitions=2, replication=2)
    rows = perf(started, "e2e", "e2e", "--records", 1000, "--rate", 500, "--batch", 2)
    assert [r["what"] for r in rows] == ["acknowledged", "read"]
    for row in rows:
        check_times(row)
        assert row["records"] == 1000 and row["seconds"] >= 1.9, row
    again = perf(started, "e2e", "e2e", "--records", 100)
    assert again[1]["records"] == 100, "what was there before is passed over"


def test_time_counts_from_when_a_batch_was_due(started):
    """One request under way at a rate nobody can hold: the wait before sending is part of it."""
    started.create_topic("late")
    row, = perf(started, "produce", "late", "--records", 2000, "--rate", 100000, "--batch", 1, "--in-flight", 1)
    assert row["p50_ms"] > row["seconds"] * 1000 / 4, row


def test_without_acknowledgement_there_is_a_rate_and_no_time(started):
    started.create_topic("none")
    row, = perf(started, "produce", "none", "--records", 500, "--acks", 0, "--rate", 5000)
    assert row["what"] == "sent" and row["p50_ms"] is None, row
    assert "--rate" in perf(started, "produce", "none", "--acks", 0, code=2)
    assert "--codec" in perf(started, "produce", "none", "--codec", "rar", code=2)
    perf(started, "consume", "absent", code=1)
