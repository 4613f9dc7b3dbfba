# SPDX-License-Identifier: Apache-2.0
"""A topic with so many partitions that its creation takes several entries of the metadata log is there whole, or not
at all, whatever a controller's death has left of them."""
import os
import struct

from cluster import Cluster, wait_until

PARTITIONS = 15000
LOG_HEADER, RECORD_HEADER, LARGE = 48, 32, 200 * 1024


def topics(cluster):
    return {t["topic"]: len(t["partitions"]) for t in cluster.metadata()["topics"]}


def end_of_first_large_entry(path):
    """Where the first entry of a decision of several ends; the format is store_files.h's."""
    with open(path, "rb") as file:
        data = file.read()
    at, sizes = LOG_HEADER, []
    while at + RECORD_HEADER <= len(data) and any(data[at:at + RECORD_HEADER]):
        size = struct.unpack_from(">I", data, at)[0]
        sizes.append((size, at + RECORD_HEADER + size))
        at += RECORD_HEADER + size
    large = [n for n, (size, _) in enumerate(sizes) if size > LARGE]
    assert len(large) >= 2 and large[0] + 1 == large[1], sizes
    return sizes[large[0]][1]


def test_a_creation_that_is_cut_short_leaves_nothing_of_the_topic():
    with Cluster() as cluster:
        cluster.create_topic("small")
        cluster.create_topic("large", partitions=PARTITIONS)
        assert topics(cluster)["large"] == PARTITIONS
        for daemon in cluster.daemons:
            daemon.kill()
        log = os.path.join(cluster.controllers[0].data, "log")
        os.truncate(log, end_of_first_large_entry(log))
        for daemon in cluster.daemons:
            daemon.start()
        for daemon in cluster.daemons:
            daemon.wait_ready(30)
        wait_until(lambda: topics(cluster).get("small") == 1, 20, "what was decided before")
        assert "large" not in topics(cluster)
        cluster.create_topic("large", partitions=PARTITIONS)
        assert topics(cluster)["large"] == PARTITIONS
        cluster.controllers[0].kill()
        cluster.controllers[0].start()
        cluster.controllers[0].wait_ready(30)
        assert topics(cluster)["large"] == PARTITIONS
