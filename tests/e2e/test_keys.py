# SPDX-License-Identifier: Apache-2.0
# Encrypted RPC between real daemons, as containers use it: a key per controller and storage node, one for the role of
# the coordinators, which have no ids of their own.
import subprocess

import cluster as lib


def keyed_cluster(directory):
    keys = directory / "keys"
    subprocess.run([lib.program("millrace"), "keygen", "--dir", str(keys), "controller:3001-3003", "storage:1-2",
                    "coordinator"], check=True, stdout=subprocess.DEVNULL)
    made = lib.Cluster(controllers=3, storage=2, coordinators=2)
    voters = ",".join("%d@localhost:%d" % (c.id, c.rpc_port) for c in made.controllers)
    made.settings["all"] = {"rpc.keys.dir": keys, "controller.quorum.bootstrap.servers": voters}
    made.settings["controller"] = {"controller.quorum.voters": voters}
    made.settings["coordinator"] = {"node.id": -1, "rpc.key.file": keys / "coordinator.key"}
    for daemon in made.controllers + made.storage:
        daemon.settings["rpc.key.file"] = keys / (daemon.name + ".key")
    return made


def registered(daemon):
    """Ids the active controllers say they registered, in order."""
    with open(daemon.log_path) as log:
        return [int(line.split("node=")[1].split()[0]) for line in log if "node registered" in line]


def test_daemons_find_one_another_by_name_and_key(tmp_path):
    with keyed_cluster(tmp_path) as cluster:
        cluster.produce("t", ["one", "two"], "-X", "acks=all")
        assert [value for _, _, _, value in cluster.consume("t")] == ["one", "two"]
        given = [node for controller in cluster.controllers for node in registered(controller)]
        assert sorted(set(given)) == [1, 2, 1001, 1002]


def test_a_coordinator_without_an_id_takes_nobodys(tmp_path):
    cluster = keyed_cluster(tmp_path)
    try:
        for daemon in cluster.controllers + cluster.coordinators:
            daemon.start()
        lib.wait_until(lambda: sum(len(registered(c)) for c in cluster.controllers) >= 2, what="both coordinators")
        for daemon in cluster.storage:
            daemon.start().wait_ready()
        cluster.produce("t", ["one"])
    finally:
        cluster.close()
