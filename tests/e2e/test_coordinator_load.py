# SPDX-License-Identifier: Apache-2.0
# A coordinator that takes over many offsets loads them in slices: its loop goes on serving between them, which is what
# keeps its lease. Slices are counted, not turns timed, so that a busy machine changes nothing.
import struct

import pytest

from cluster import Cluster, wait_until
from member import OFFSET_COMMIT
from transactional import OFFSET_FETCH, Connection, array, text

GROUPS, PARTITIONS = 200, 1000
SLICE_MS, SLICE_MS_MAX = 4, 20  # LEDGER_SLICE_US; all that is there in one go takes several times the latter
PASSING = {14, 15, 16}          # loading, not available, not the coordinator


@pytest.fixture
def started():
    with Cluster() as running:
        running.create_topic("t", partitions=PARTITIONS)
        yield running


def group(number):
    return "group-%d" % number


def commit(connection, number):
    """From outside the group, OffsetCommit version 2; the error of the last partition."""
    rows = [struct.pack(">iq", p, number + p) + text("") for p in range(PARTITIONS)]
    body = text(group(number)) + struct.pack(">i", -1) + text("") + struct.pack(">q", -1)
    answer = connection.call(OFFSET_COMMIT, 2, body + array([text("t") + array(rows)]))
    return struct.unpack(">h", answer[-2:])[0]


def committed(connection, number):
    """Of the last partition, OffsetFetch version 1."""
    body = text(group(number)) + array([text("t") + array([struct.pack(">i", PARTITIONS - 1)])])
    answer = connection.call(OFFSET_FETCH, 1, body)  # topics, name, partitions, index, offset
    assert struct.unpack(">h", answer[-2:])[0] == 0
    return struct.unpack_from(">q", answer, 4 + 3 + 4 + 4)[0]


def test_offsets_are_loaded_in_slices(started):
    connection = Connection(started.storage[0])
    wait_until(lambda: commit(connection, 0) not in PASSING, 30, "the first commit")
    for number in range(GROUPS):
        assert commit(connection, number) == 0
    coordinator = started.coordinators[0]
    coordinator.kill()
    coordinator.start()
    coordinator.wait_ready(60)
    assert coordinator.metric("millrace_ledger_load_records_total") >= GROUPS * PARTITIONS
    assert coordinator.metric("millrace_ledger_loading") == 0
    slices = coordinator.metric("millrace_ledger_load_slice_seconds_count")
    mean_ms = 1000 * coordinator.metric("millrace_ledger_load_slice_seconds_sum") / slices
    print("%d slices of %.1f ms, %d ms meant" % (slices, mean_ms, SLICE_MS))
    assert mean_ms < SLICE_MS_MAX
    assert [committed(connection, number) for number in range(GROUPS)] == [n + PARTITIONS - 1 for n in range(GROUPS)]
    connection.close()
