# SPDX-License-Identifier: Apache-2.0
# A topic can be created while a node restarts: as many replicas as the client asks for, one of them to come.
import cluster as lib


def test_topic_created_while_a_node_is_away():
    with lib.Cluster(storage=3) as cluster:
        cluster.storage[2].kill()
        lib.wait_until(lambda: len(cluster.metadata()["brokers"]) == 2, 20, "the node to be missed")
        cluster.create_topic("early", partitions=4, replication=3)
        cluster.produce("early", ["value-%d" % i for i in range(100)])
        for index in range(4):
            partition = cluster.partition("early", index)
            assert sorted(r["id"] for r in partition["replicas"]) == [1, 2, 3]
            assert sorted(r["id"] for r in partition["isrs"]) == [1, 2]
        cluster.storage[2].start().wait_ready()
        cluster.wait_isr("early", 3, partitions=4)
        for node in cluster.storage[:2]:
            node.kill()
        lib.wait_until(lambda: all(cluster.partition("early", i)["leader"] == 3 for i in range(4)), 20,
                       "the node that was away to lead")
        assert len(cluster.consume("early")) == 100  # what was written without it is there, too


def test_node_that_has_just_gone_is_named_but_not_asked():
    """A restart is no reason for clients to forget a broker (services/storage/away.h)."""
    with lib.Cluster(storage=3, coordinators=1) as cluster:
        cluster.create_topic("t", partitions=6, replication=3)

        def left_by(node):
            metadata = cluster.metadata()
            leaders = {p["leader"] for topic in metadata["topics"] for p in topic["partitions"]}
            return leaders <= {1, 2, 3} - {node} and metadata

        cluster.storage[2].kill()
        metadata = lib.wait_until(lambda: left_by(3), 20, "other leaders")
        assert {broker["id"] for broker in metadata["brokers"]} == {1, 2, 3}
        cluster.cli("group", "list", "--timeout", "5")
        lib.wait_until(lambda: len(cluster.metadata()["brokers"]) == 2, 30, "the node to be missed")


def test_node_that_starts_while_another_restarts_names_it():
    with lib.Cluster(storage=3) as cluster:
        cluster.create_topic("t", partitions=3, replication=3)
        cluster.storage[2].kill()
        lib.wait_until(lambda: all(cluster.partition("t", i)["leader"] in (1, 2) for i in range(3)), 20, "other leaders")
        cluster.storage[1].kill()
        cluster.storage[1].start().wait_ready()
        metadata = cluster.metadata(cluster.storage[1].address)
        assert {broker["id"] for broker in metadata["brokers"]} == {1, 2, 3}
