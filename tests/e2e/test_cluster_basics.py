# SPDX-License-Identifier: Apache-2.0
# A cluster from outside: it starts fast, keeps what it acknowledged over stops and kills, and goes on when a node dies.
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

from cluster import Cluster, Load, UpCluster, wait_until

THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": 3}}


def numbered(count, start=0):
    return [("k%d" % (n % 10), str(n)) for n in range(start, start + count)]


def values(records):
    return sorted(int(v) for _, _, _, v in records)


def test_one_node_keeps_its_records_over_stop_and_kill():
    with Cluster() as cluster:
        cluster.produce("t", numbered(1000))
        cluster.stop()
        cluster.restart_all()
        assert values(cluster.consume("t")) == list(range(1000))
        cluster.produce("t", numbered(1000, 1000))
        for daemon in cluster.daemons:
            daemon.kill()
        cluster.restart_all()
        assert values(cluster.consume("t")) == list(range(2000))


def test_up_ephemeral_writes_the_addresses_and_takes_records_at_once():
    began = time.monotonic()
    with UpCluster() as up:
        up.produce("t", ["hello"])
        assert time.monotonic() - began < 10
        assert [v for _, _, _, v in up.consume("t")] == ["hello"]
        roles = sorted(d["role"] for d in up.ready["daemons"])
        assert roles == ["controller", "coordinator", "registry", "storage"]
        for daemon in up.ready["daemons"]:
            assert {"role", "id", "pid", "kafka", "rpc", "http", "data"} <= set(daemon)
        directory = up.ready["daemons"][0]["data"]
        status = json.loads(up.cli("status", "--json", "--data", os.path.dirname(directory)).stdout)
        assert len(status["daemons"]) == 4
    assert not os.path.exists(directory)


def test_a_new_active_controller_answers_requests_that_change_nothing():
    with Cluster(controllers=3) as cluster:
        cluster.create_topic("t")
        for killed in cluster.controllers:  # among them whoever is active
            killed.kill()
            with ThreadPoolExecutor(4) as many:
                done = list(many.map(lambda n: cluster.cli("topic", "create", "t", check=False, seconds=20), range(8)))
            assert all("TOPIC_ALREADY_EXISTS" in one.stderr for one in done)
            assert [c.running() for c in cluster.controllers].count(False) == 1
            killed.start().wait_ready()


def test_a_killed_leader_is_replaced_and_comes_back():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=THREE) as cluster:
        cluster.produce("t", numbered(1000))
        cluster.wait_isr("t", 3, 3)
        load = Load(cluster, "t2", enable_idempotence="true")
        load.wait_acks(200)
        leader = cluster.leader("t2")
        leader.kill()
        load.wait_acks(500)
        leader.start().wait_ready()
        cluster.wait_isr("t2", 3, 3)
        load.stop()
        assert not load.failed
        load.check()
        assert values(cluster.consume("t")) == list(range(1000))


def test_the_active_controller_dies_and_topics_are_still_made():
    with Cluster(controllers=3, storage=3, coordinators=1, settings=THREE) as cluster:
        active = wait_until(lambda: next((c for c in cluster.controllers if "active controller" in c.log()), None))
        active.kill()
        cluster.produce("after", numbered(10))
        active.start().wait_ready()
        assert values(cluster.consume("after")) == list(range(10))
