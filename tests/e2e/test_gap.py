# SPDX-License-Identifier: Apache-2.0
# How long a partition is not acknowledged when its leader is killed, seen by the raw client: it tries every 10 ms, so it
# sees what the cluster does. Real clients are measured by `tests/clients/run --only gap`.
import gap
from cluster import Cluster, Raw


def test_gap_seen_by_the_raw_client():
    with Cluster(controllers=3, storage=3, coordinators=2, settings={"all": gap.SETTINGS}) as cluster:
        cluster.create_topic(gap.TOPIC, partitions=gap.PARTITIONS, replication=3)
        with Raw(cluster, gap.TOPIC, gap.PARTITIONS) as raw:
            gaps = gap.measure(cluster, raw)
    assert gap.report("raw client", gaps) < gap.NEVER_OVER_S
