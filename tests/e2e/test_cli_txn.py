# SPDX-License-Identifier: Apache-2.0
# `millrace txn`: transactional ids listed and described, a transaction ended by its id and at one partition.
import json
import time

import pytest

from cluster import Cluster, wait_until
from transactional import FENCED, INVALID_EPOCH, NONE, PASSING, Producer


@pytest.fixture(scope="module")
def started():
    with Cluster(coordinators=1) as running:
        running.create_topic("t", partitions=2)
        yield running


def repeat(action, seconds=20):
    """Until the error is none that passes by itself."""
    end = time.monotonic() + seconds
    while True:
        error = action()
        if (error[0] if isinstance(error, tuple) else error) not in PASSING or time.monotonic() > end:
            return error
        time.sleep(0.02)


def opened(started, name, values):
    """A producer with an open transaction, and the offset of its first record."""
    producer = Producer(started.storage[0], name, True)
    assert repeat(producer.init) == NONE
    error, start = repeat(lambda: producer.produce("t", 0, values))
    assert error == NONE
    return producer, start


def txn(started, *arguments):
    return json.loads(started.cli("txn", *arguments, "--json").stdout)


def refused(started, *arguments):
    """What is said on standard error; the command must fail."""
    done = started.cli("txn", *arguments, check=False)
    assert done.returncode == 1, (done.stdout, done.stderr)
    return done.stderr


def state_of(started, name):
    return txn(started, "describe", name)["transaction"]["state"]


def wait_read(started, value):
    wait_until(lambda: value in [v for *_, v in started.consume("t", "-X", "isolation.level=read_committed")], 20, value)


def test_transactions_are_listed_and_described(started):
    producer, _ = opened(started, "listed", [b"a"])
    rows = txn(started, "list")
    assert {"transactional_id": "listed", "producer_id": producer.producer_id, "state": "Ongoing"} in rows
    assert "listed" in [row["transactional_id"] for row in txn(started, "list", "--state", "Ongoing", "--state", "Empty")]
    assert "listed" not in [row["transactional_id"] for row in txn(started, "list", "--state", "Empty")]
    assert [row["state"] for row in txn(started, "list", "-p", str(producer.producer_id))] == ["Ongoing"]
    assert txn(started, "list", "--longer-than", "3600000") == []
    assert [row["transactional_id"] for row in txn(started, "list", "--pattern", "l[i]st.*d")] == ["listed"]
    assert "listed" not in [row["transactional_id"] for row in txn(started, "list", "--pattern", "list")]
    assert "INVALID_REGULAR_EXPRESSION" in refused(started, "list", "--pattern", "(")
    assert started.cli("txn", "list", "--state", "Open", check=False).returncode == 2
    described = txn(started, "describe", "listed")
    head = described["transaction"]
    assert (head["producer_id"], head["epoch"], head["timeout_ms"]) == (producer.producer_id, producer.epoch, 60000)
    assert abs(head["started_ms"] - time.time() * 1000) < 60000
    assert described["partitions"] == [{"topic": "t", "partition": 0}]
    assert "no transactional id nobody" in refused(started, "describe", "nobody")
    assert repeat(lambda: producer.end(True)) == NONE


def test_transaction_is_aborted_by_its_id_and_its_producer_fenced(started):
    producer, _ = opened(started, "by-id", [b"aborted"])
    started.produce("t", ["behind the first"], "-p", "0")
    assert txn(started, "abort", "by-id") == {"aborted": True}
    wait_read(started, "behind the first")
    assert producer.produce("t", 0, [b"late"])[0] == INVALID_EPOCH
    assert producer.end(True) == FENCED
    assert txn(started, "describe", "by-id")["transaction"]["timeout_ms"] == 60000
    assert "no open transaction" in refused(started, "abort", "by-id")
    assert "no transactional id nobody" in refused(started, "abort", "nobody")


def test_transaction_is_ended_at_one_partition(started):
    producer, start = opened(started, "by-place", [b"aborted"])
    started.produce("t", ["behind the second"], "-p", "0")
    place = ("-t", "t", "-p", "0", "-o")
    assert "no open transaction begins at offset" in refused(started, "abort", *place, str(start + 1))
    assert "has no partition 7" in refused(started, "abort", "-t", "t", "-p", "7", "-o", "0")
    assert "no topic none" in refused(started, "abort", "-t", "none", "-p", "0", "-o", "0")
    assert txn(started, "abort", *place, str(start)) == {"aborted": True}
    wait_read(started, "behind the second")
    assert state_of(started, "by-place") == "Ongoing", "its coordinator was not asked"
    assert repeat(lambda: producer.end(False)) == NONE


def test_place_and_id_exclude_each_other(started):
    for arguments in ((), ("x", "-t", "t"), ("-t", "t", "-p", "0"), ("x", "-o", "0")):
        assert started.cli("txn", "abort", *arguments, check=False).returncode == 2
