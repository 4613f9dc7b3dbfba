# SPDX-License-Identifier: Apache-2.0
# Partitions change their nodes while they are used: by an operator, by the balancer, and while nodes die. Nothing that
# was acknowledged may be lost.
import json
import os
import random
import time

import pytest

from cluster import Cluster, Load, wait_until

SETTINGS = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "millrace.balancer.interval.ms": 300}}


def without_balancer(**more):
    return {"all": dict(SETTINGS["all"], **{"millrace.balancer.enable": "false"}, **more)}


def moving(cluster):
    return json.loads(cluster.cli("topic", "reassignments", "--json").stdout)


def replicas(cluster, topic):
    found = next(t for t in cluster.metadata()["topics"] if t["topic"] == topic)
    return {p["partition"]: [r["id"] for r in p["replicas"]] for p in found["partitions"]}


def nodes(cluster):
    return {n["node"]: n for n in json.loads(cluster.cli("node", "list", "--json").stdout)}


def wait_moved(cluster, topic, wanted, seconds=60):
    """Until all partitions of the topic have exactly these replicas, in sync, and nothing moves."""
    wait_until(lambda: not moving(cluster), seconds, "nothing to move", every=0.1)
    assert set(map(tuple, replicas(cluster, topic).values())) == {tuple(wanted)}
    cluster.wait_isr(topic, len(wanted), len(replicas(cluster, topic)), seconds)


def test_reassigned_under_load_while_nodes_die():
    plan = random.Random(7)
    with Cluster(controllers=3, storage=4, coordinators=1, settings=without_balancer()) as cluster:
        cluster.create_topic("t", partitions=4, replication=3)
        load = Load(cluster, "t", keys=20, per_second=500, enable_idempotence="true")
        load.wait_acks(200)
        for turn in range(6):
            for partition in range(4):
                cluster.cli("topic", "reassign", "t", "--partition", partition, "--replicas",
                            ",".join(map(str, plan.sample(range(1, 5), 3))))
            victim = plan.choice(cluster.daemons)
            victim.kill()
            time.sleep(plan.uniform(0, 1))
            victim.start()
            load.wait_acks(100, 60)
        cluster.restart_all(60)
        wait_until(lambda: not moving(cluster), 60, "nothing to move", every=0.1)
        cluster.wait_isr("t", 3, 4, 60)
        load.stop()
        assert not load.failed, list(load.failed.items())[:5]
        load.check()
        for node in cluster.storage:  # who is no replica has no files either
            held = {int(name.rsplit("-", 1)[1]) for name in os.listdir(node.data) if name.startswith("t-")
                    and "delete" not in name}
            wanted = {p for p, ids in replicas(cluster, "t").items() if node.id in ids}
            assert held == wanted, (node.name, held, wanted)


def test_replication_factor_grows_and_shrinks_under_load():
    with Cluster(storage=3, coordinators=1, settings=without_balancer()) as cluster:
        cluster.create_topic("t", partitions=2, replication=1)
        load = Load(cluster, "t", keys=10, per_second=500, enable_idempotence="true")
        load.wait_acks(100)
        for wanted in ([1, 2, 3], [3, 1], [2]):
            cluster.cli("topic", "reassign", "t", "--replicas", ",".join(map(str, wanted)))
            wait_moved(cluster, "t", wanted)
            load.wait_acks(50)
        load.stop()
        assert not load.failed
        load.check()
        assert load.longest_silence < 5


def test_partitions_without_any_traffic_move_too():
    # A new replica may ask the leader before that one knows of it: with no record to come it must ask again.
    with Cluster(storage=2, coordinators=0, settings=without_balancer()) as cluster:
        cluster.create_topic("t", partitions=8, replication=1)
        for turn in range(12):
            wanted = [turn % 2 + 1]
            cluster.cli("topic", "reassign", "t", "--replicas", wanted[0])
            wait_moved(cluster, "t", wanted, 15)


@pytest.mark.parametrize("before", (50, 30, 100))  # at a batch's begin, within one, and behind all of them
def test_a_log_that_begins_later_moves_with_its_offsets(before):
    with Cluster(storage=2, coordinators=0, settings=without_balancer(**{"min.insync.replicas": 1})) as cluster:
        cluster.create_topic("t", partitions=1, replication=1)
        other = 3 - replicas(cluster, "t")[0][0]
        cluster.produce("t", map(str, range(50)))
        cluster.produce("t", map(str, range(50, 100)))
        cluster.cli("topic", "delete-records", "t", "--before", before)
        cluster.cli("topic", "reassign", "t", "--replicas", other)
        wait_moved(cluster, "t", [other])
        cluster.produce("t", ["100"])
        assert [(o, int(v)) for _, o, _, v in cluster.consume("t")] == [(n, n) for n in range(before, 101)]


def test_all_records_are_deleted_while_a_replica_catches_up():
    with Cluster(storage=2, coordinators=0, settings=without_balancer(**{"min.insync.replicas": 1})) as cluster:
        cluster.create_topic("t", partitions=1, replication=1)
        first = replicas(cluster, "t")[0][0]
        cluster.produce("t", ["%08190d" % n for n in range(2000)])
        cluster.cli("config", "set", "leader.replication.throttled.replicas=*", "--topic", "t")
        cluster.cli("config", "set", "leader.replication.throttled.rate=1000000", "--broker", first)
        cluster.cli("topic", "reassign", "t", "--replicas", 3 - first)
        copy = os.path.join(cluster.node(3 - first).data, "t-0", "%020d.log" % 0)
        wait_until(lambda: os.path.exists(copy) and os.path.getsize(copy) > 0, 20, "some of the records to be there")
        cluster.cli("topic", "delete-records", "t", "--before", 2000)
        wait_moved(cluster, "t", [3 - first], 10)
        cluster.produce("t", ["2000"])
        assert [(o, int(v)) for _, o, _, v in cluster.consume("t")] == [(2000, 2000)]


def test_all_records_are_deleted_before_a_replica_gets_one():
    with Cluster(storage=2, coordinators=0, settings=without_balancer(**{"min.insync.replicas": 1})) as cluster:
        cluster.create_topic("t", partitions=1, replication=1)
        first = replicas(cluster, "t")[0][0]
        cluster.create_topic("u", partitions=1, replication=1)
        if replicas(cluster, "u")[0][0] != first:
            cluster.cli("topic", "reassign", "u", "--replicas", first)
            wait_moved(cluster, "u", [first])
        cluster.produce("t", map(str, range(100)))
        cluster.cli("topic", "delete-records", "t", "--before", 30)  # within a batch: a replica begins before it
        cluster.produce("u", ["%08190d" % n for n in range(2000)])
        for topic in "tu":
            cluster.cli("config", "set", "leader.replication.throttled.replicas=*", "--topic", topic)
        cluster.cli("config", "set", "leader.replication.throttled.rate=100000", "--broker", first)
        cluster.cli("topic", "reassign", "u", "--replicas", 3 - first)
        copy = os.path.join(cluster.node(3 - first).data, "u-0", "%020d.log" % 0)
        wait_until(lambda: os.path.exists(copy) and os.path.getsize(copy) > 0, 20, "the rate to be used up")
        cluster.cli("topic", "reassign", "t", "--replicas", 3 - first)
        time.sleep(0.3)  # it subscribes
        cluster.cli("topic", "delete-records", "t", "--before", 100)
        wait_until(lambda: replicas(cluster, "t") == {0: [3 - first]}, 15, "the replica to be in sync")
        assert "replication stream lost" not in cluster.node(first).log()


def test_cancelled_and_refused():
    with Cluster(storage=3, coordinators=1, settings=without_balancer()) as cluster:
        cluster.create_topic("t", partitions=1, replication=2)
        before = replicas(cluster, "t")[0]
        other = ({1, 2, 3} - set(before)).pop()
        cluster.node(other).kill()
        wait_until(lambda: nodes(cluster)[other]["state"] == "down")
        cluster.cli("topic", "reassign", "t", "--replicas", "%d,%d" % (other, before[0]))
        row = moving(cluster)[0]
        assert (row["adding"], row["removing"]) == (str(other), str(before[1]))
        assert replicas(cluster, "t")[0] == [other, before[0], before[1]]
        cluster.cli("topic", "reassign", "t", "--cancel")
        assert moving(cluster) == [] and replicas(cluster, "t")[0] == before
        again = cluster.cli("topic", "reassign", "t", "--cancel", check=False)
        assert again.returncode == 1 and "NO_REASSIGNMENT_IN_PROGRESS" in again.stderr
        for wrong in ("%d,%d" % (before[0], before[0]), "99", ""):
            refused = cluster.cli("topic", "reassign", "t", "--replicas", wrong, check=False)
            assert "INVALID_REPLICA_ASSIGNMENT" in refused.stderr, wrong
        unknown = cluster.cli("topic", "reassign", "t", "-p", 7, "--replicas", "1", check=False)
        assert "UNKNOWN_TOPIC_OR_PARTITION" in unknown.stderr


def test_leaders_are_elected_on_request():
    settings = without_balancer(**{"auto.leader.rebalance.enable": "false"})
    with Cluster(storage=2, coordinators=1, settings=settings) as cluster:
        cluster.create_topic("t", partitions=1, replication=2)
        cluster.wait_isr("t", 2)
        first, second = replicas(cluster, "t")[0]
        result = cluster.cli("topic", "elect", "t").stdout
        assert "ELECTION_NOT_NEEDED" in result
        cluster.node(first).kill()
        wait_until(lambda: cluster.partition("t")["leader"] == second)
        assert "PREFERRED_LEADER_NOT_AVAILABLE" in cluster.cli("topic", "elect", "t").stdout
        cluster.node(first).start().wait_ready()
        cluster.wait_isr("t", 2)
        assert cluster.partition("t")["leader"] == second
        assert "elected" in cluster.cli("topic", "elect", "t").stdout
        assert cluster.partition("t")["leader"] == first


def test_unclean_election_on_request():
    with Cluster(storage=2, coordinators=1, settings=without_balancer(**{"min.insync.replicas": 1})) as cluster:
        cluster.create_topic("t", partitions=1, replication=2)
        cluster.wait_isr("t", 2)
        first, second = replicas(cluster, "t")[0]
        cluster.node(second).kill()
        cluster.wait_isr("t", 1)
        cluster.produce("t", ["only there"])
        cluster.node(first).kill()
        cluster.node(second).start().wait_ready()
        wait_until(lambda: cluster.partition("t")["leader"] == -1)
        assert "ELIGIBLE_LEADERS_NOT_AVAILABLE" not in cluster.cli("topic", "elect", "t", "--unclean").stdout
        wait_until(lambda: cluster.partition("t")["leader"] == second)


def test_a_new_node_is_used_and_a_drained_one_emptied_and_removed():
    with Cluster(controllers=1, storage=4, coordinators=1, settings=SETTINGS, directory=None) as cluster:
        late = cluster.storage[3]
        late.kill()
        wait_until(lambda: nodes(cluster)[late.id]["state"] == "down")
        cluster.cli("node", "drain", late.id)
        wait_until(lambda: nodes(cluster)[late.id]["replicas"] == 0, 60)
        refused = cluster.cli("node", "remove", 1, check=False)
        assert refused.returncode == 1 and "replica(s); drain it first" in refused.stderr
        cluster.cli("node", "remove", late.id)
        assert late.id not in nodes(cluster)

        cluster.create_topic("t", partitions=12, replication=3)
        load = Load(cluster, "t", keys=50, per_second=300, enable_idempotence="true")
        load.wait_acks(100)
        late.start().wait_ready()
        wait_until(lambda: nodes(cluster)[late.id]["replicas"] >= 20, 60, "replicas on the new node")
        assert nodes(cluster)[late.id]["draining"] is False

        cluster.cli("node", "drain", 2)
        wait_until(lambda: nodes(cluster)[2]["replicas"] == 0, 90, "node 2 to be empty")
        assert nodes(cluster)[2]["leaders"] == 0
        refused = cluster.cli("node", "remove", 2, check=False)
        assert refused.returncode == 1 and "alive" in refused.stderr
        cluster.node(2).stop()
        cluster.cli("node", "remove", 2)
        cluster.storage.remove(cluster.node(2))
        load.wait_acks(100)
        load.stop()
        assert not load.failed
        load.check()
        cluster.wait_isr("t", 3, 12)


MEGABYTES, RATE = 16, 3 << 20  # of data, bytes per second


def fill(cluster, topic, node):
    """Some data in partitions whose only replica is that node."""
    wait_until(lambda: not moving(cluster), 30)
    cluster.create_topic(topic, partitions=2, replication=1)
    cluster.cli("topic", "reassign", topic, "--replicas", node)
    wait_moved(cluster, topic, [node])
    for partition in range(2):
        cluster.produce(topic, ["%010d" % n + "x" * 8182 for n in range(MEGABYTES * 64)], "-p", partition)


def wait_paced(begin, done):
    """Waits, and checks that it took the time that all the data takes at the rate."""
    wait_until(done, 60, every=0.05)
    took, due = time.monotonic() - begin, (MEGABYTES << 20) / RATE
    assert due * 0.7 < took < due * 1.3 + 1, "%.1f s instead of %.1f" % (took, due)


@pytest.mark.parametrize("side", ["leader", "follower"])
def test_throttle_holds(side):
    with Cluster(storage=2, coordinators=0, settings=without_balancer(**{"min.insync.replicas": 1})) as cluster:
        fill(cluster, "t", 1)
        cluster.create_topic("other", replication=2)
        cluster.wait_isr("other", 2)
        cluster.cli("config", "set", side + ".replication.throttled.replicas=" + (
            "0:1,1:1" if side == "leader" else "0:2,1:2"), "--topic", "t")
        cluster.cli("config", "set", "%s.replication.throttled.rate=%d" % (side, RATE), "--broker",
                    1 if side == "leader" else 2)
        begin = time.monotonic()
        cluster.cli("topic", "reassign", "t", "--replicas", "2")
        load = Load(cluster, "other", keys=10, per_second=200)  # is in sync: not held up
        load.wait_acks(200)
        wait_paced(begin, lambda: not moving(cluster))
        assert load.longest_silence < 2
        load.stop()
        load.check(exactly_once=False)
        assert replicas(cluster, "t") == {0: [2], 1: [2]}
        assert len(cluster.consume("t")) == MEGABYTES * 64 * 2


def test_moves_of_the_balancer_have_a_rate():
    settings = {"all": dict(SETTINGS["all"], **{"min.insync.replicas": 1})}
    with Cluster(storage=2, coordinators=0, settings=settings) as cluster:
        fill(cluster, "t", 1)
        cluster.cli("config", "set", "millrace.balancer.bytes.per.second=%d" % RATE, "--brokers")
        begin = time.monotonic()
        cluster.cli("node", "drain", 1)
        wait_paced(begin, lambda: replicas(cluster, "t") == {0: [2], 1: [2]})
        assert len(cluster.consume("t")) == MEGABYTES * 64 * 2
