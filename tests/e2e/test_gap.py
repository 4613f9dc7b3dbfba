# SPDX-License-Identifier: Apache-2.0
# How long a partition is not acknowledged when its leader is killed, seen by the raw client: it tries every 10 ms, so it
# sees what the cluster does. Real clients are measured by `tests/clients/run --only gap`.
import gap
from cluster import Clients, Cluster, Raw, wait_until


def test_gap_seen_by_the_raw_client():
    with Cluster(controllers=3, storage=3, coordinators=2, settings={"all": gap.SETTINGS}) as cluster:
        cluster.create_topic(gap.TOPIC, partitions=gap.PARTITIONS, replication=3)
        with Raw(cluster, gap.TOPIC, gap.PARTITIONS) as raw:
            gaps = gap.measure(cluster, raw)
    assert gap.report("raw client", gaps) < gap.NEVER_OVER_S


def test_a_leader_that_is_gone_is_not_named_until_the_controller_has_decided():
    # librdkafka stops asking quickly when it is told a leader, and asks again a second later.
    with Cluster(controllers=1, storage=3, settings={"all": gap.SETTINGS}) as cluster:
        cluster.create_topic(gap.TOPIC, partitions=gap.PARTITIONS, replication=3)
        cluster.wait_isr(gap.TOPIC, 3, gap.PARTITIONS)
        cluster.controllers[0].freeze()
        node = cluster.leader(gap.TOPIC)
        other = Clients()  # asks one of the others only
        other.kafka = next(one.address for one in cluster.storage if one is not node)
        node.kill()
        wait_until(lambda: other.partition(gap.TOPIC)["leader"] == -1, 0.8, "a partition without a leader", every=0.01)
        cluster.controllers[0].thaw()
        wait_until(lambda: other.partition(gap.TOPIC)["leader"] not in (-1, node.id), 5, "the next leader")


def test_a_connection_that_ends_tells_of_a_death():
    # By silence alone it would be looked at after two fifths of the lease.
    settings = {"controller": {"broker.session.timeout.ms": 20000}}
    with Cluster(storage=3, settings=settings) as cluster:
        cluster.create_topic(gap.TOPIC, partitions=1, replication=3)
        cluster.wait_isr(gap.TOPIC, 3)
        node = cluster.leader(gap.TOPIC)
        other = Clients()
        other.kafka = next(one.address for one in cluster.storage if one is not node)
        node.kill()
        wait_until(lambda: other.partition(gap.TOPIC)["leader"] not in (-1, node.id), 4, "the next leader")
