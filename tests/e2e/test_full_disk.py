# SPDX-License-Identifier: Apache-2.0
# A full disk: a named error, reads go on, nothing acknowledged is lost, and writing goes on by itself when there is room.
import errno
import os

import pytest

from cluster import FAULT_SHIM, Cluster, Load, Raw, wait_until
from small_disk import fill_disk, small_disk

STORAGE_ERROR, NOT_ENOUGH_REPLICAS = 56, 19
SMALL = 120 << 20  # below 64 MiB of free space nothing is taken
SETTINGS = {"storage": {"log.journal.bytes": 1 << 20}}


@pytest.fixture
def on_small_disk():
    """A cluster whose storage node has a small file system to itself."""
    cluster = Cluster(settings=SETTINGS)
    with small_disk(cluster, cluster.storage[0], SMALL):
        yield cluster, cluster.storage[0]


def test_a_full_disk_is_an_error_until_there_is_room(on_small_disk):
    cluster, node = on_small_disk
    cluster.create_topic("t")
    cluster.produce("t", [str(n) for n in range(50)])
    filler = os.path.join(node.data, "filler")
    with open(filler, "wb") as file:
        file.write(bytes(SMALL - (64 << 20)))
    with Raw(cluster, "t", 1) as raw:
        wait_until(lambda: raw.errors, 20, "a refusal")
        refused = len(raw.errors)
        wait_until(lambda: len(raw.errors) > refused + 10, 20, "refusals only")
        assert {code for _, code, _ in raw.errors} <= {STORAGE_ERROR, NOT_ENOUGH_REPLICAS}
        assert [v for _, _, _, v in cluster.consume("t")][:50] == [str(n) for n in range(50)]
        assert node.log().count("disk is nearly full") == 1
        before = len(raw.acks.get(0, []))
        os.remove(filler)
        wait_until(lambda: len(raw.acks.get(0, [])) > before + 10, 20, "writing to go on")
    assert "disk has space again" in node.log()


def test_a_node_starts_without_any_room(on_small_disk):
    cluster, node = on_small_disk
    cluster.create_topic("t")
    load = Load(cluster, "t", per_second=500, **{"message.timeout.ms": 60000})
    load.wait_acks(200)
    node.stop()
    filler = fill_disk(node)
    node.start().wait_ready()
    assert len(cluster.consume("t")) >= 200, "reads are served"
    os.remove(filler)
    load.wait_acks(200)
    load.stop()
    load.check(exactly_once=False)


@pytest.mark.skipif(not os.path.exists(FAULT_SHIM), reason="diskfault.so is not built (sanitizer build)")
def test_a_write_that_finds_no_room_waits_and_loses_nothing():
    with Cluster(diskfault=True, settings={"storage": {"log.journal.bytes": 0}}) as cluster:
        cluster.create_topic("t")
        node = cluster.storage[0]
        load = Load(cluster, "t", per_second=500, **{"message.timeout.ms": 60000})
        load.wait_acks(100)
        for _ in range(3):
            node.fail_disk("write", "/t-0/", start=3, error=errno.ENOSPC)
            wait_until(lambda: load.now() - load.acks[0][-1] > 1, 20, "a second without an acknowledgement")
            node.heal_disk()
            load.wait_acks(200)
        assert node.running() and "taken offline" not in node.log()
        load.stop()
        load.check(exactly_once=False)
