# SPDX-License-Identifier: Apache-2.0
# Batches that are dear to validate (they unpack to more than 64 KiB) are looked at beside the loop: the order of a
# partition stays that of arrival, other partitions do not wait, and whoever goes away in the middle takes nothing along.
import pytest

from cluster import Cluster, wait_until
from produce import GZIP, Connection, batch

MESSAGE_TOO_LARGE, INVALID_RECORD = 10, 87
DEAR = b"x" * 3000000  # a few KiB once packed


@pytest.fixture(scope="module")
def started():
    with Cluster() as running:
        yield running


def test_first_request_of_a_connection_may_be_large(started):
    started.create_topic("first")
    with Connection(started) as connection:  # as franz-go does, which knows the versions from another connection
        assert connection.produce("first", batch(-1, -1, b"y" * 900000)) == (0, 0)


def test_what_comes_later_stands_in_line(started):
    started.create_topic("line")
    with Connection(started) as connection:
        sent = 0
        for _ in range(10):
            for value, codec in ((DEAR, GZIP), (b"a", GZIP), (b"b", 0), (DEAR, GZIP), (b"c", 0)):
                connection.send("line", batch(4711, sent, value, codec))
                sent += 1
        # A batch that overtook another would be out of order, or take its offset.
        assert [connection.receive("line") for _ in range(sent)] == [(0, n) for n in range(sent)]


def test_refused_one_lets_the_next_of_others_in(started):
    started.create_topic("refused")
    torn = bytearray(batch(-1, -1, DEAR, GZIP))
    torn[-1] ^= 1
    with Connection(started) as first, Connection(started) as second:
        for _ in range(5):
            first.send("refused", bytes(torn))
            second.send("refused", batch(-1, -1, b"good"))
        assert {first.receive("refused")[0] for _ in range(5)} == {2}
        assert [second.receive("refused")[0] for _ in range(5)] == [0] * 5


def test_clients_that_go_away_leave_the_line(started):
    started.create_topic("leavers")
    with Connection(started) as stays:
        for number in range(30):
            leaver = Connection(started)
            leaver.send("leavers", batch(-1, -1, DEAR, GZIP))
            stays.send("leavers", batch(815, number, b"s"))
            leaver.socket.close()
        offsets = [stays.receive("leavers") for _ in range(30)]
    assert [error for error, _ in offsets] == [0] * 30
    assert sorted(offsets) == offsets
    assert started.storage[0].running()


def test_topic_that_goes_away_ends_its_line(started):
    started.create_topic("gone")
    with Connection(started) as connection:
        for number in range(20):
            connection.send("gone", batch(-1, -1, DEAR, GZIP))
        started.cli("topic", "delete", "gone")
        errors = {connection.receive("gone")[0] for _ in range(20)}
    assert errors <= {0, 3, 6}
    wait_until(lambda: started.storage[0].ready(), 10, "the node to be ready")
