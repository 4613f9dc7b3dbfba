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
