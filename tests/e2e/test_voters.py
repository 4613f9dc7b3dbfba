# SPDX-License-Identifier: Apache-2.0
# Voters that come and go at run time (KIP-853): AddRaftVoter, RemoveRaftVoter, observers, over restarts and power cuts.
import os
import shutil
import sys
import time

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Side  # noqa: E402

INVALID_REQUEST, UNSUPPORTED_VERSION, INCONSISTENT_CLUSTER_ID, DUPLICATE_VOTER, VOTER_NOT_FOUND = 42, 35, 104, 126, 127
REQUEST_TIMED_OUT = 7
NOBODY, STRANGER = "0" * 32, "1" * 32


class Quorum:
    """The voters of a cluster, asked and changed through its storage node."""

    def __init__(self, cluster):
        self.cluster, self.side = cluster, Side("millrace", cluster.storage[0].address)

    def describe(self):
        answer = self.side.call("DescribeQuorum", 2, Topics=[
            {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}])
        assert answer["ErrorCode"] == 0, answer
        return answer["Topics"][0]["Partitions"][0], answer["Nodes"]

    def voters(self):
        return [row["ReplicaId"] for row in self.describe()[0]["CurrentVoters"]]

    def leader(self):
        return self.cluster.node(self.describe()[0]["LeaderId"])

    def directory(self, node_id):
        """Of a controller that votes or follows; waits until the leader knows it."""
        def find():
            found, _ = self.describe()
            return next((row["ReplicaDirectoryId"] for row in found["CurrentVoters"] + found["Observers"]
                         if row["ReplicaId"] == node_id), None)
        return lib.wait_until(find, what="controller %d to be known" % node_id)

    def add(self, node_id, directory=None, cluster_id=None):
        answer = self.side.call("AddRaftVoter", 0, ClusterId=cluster_id, TimeoutMs=5000, VoterId=node_id,
                                VoterDirectoryId=directory or self.directory(node_id),
                                Listeners=[{"Name": "CONTROLLER", "Host": "127.0.0.1", "Port": 1}])
        return answer["ErrorCode"]

    def remove(self, node_id, directory=None, cluster_id=None):
        answer = self.side.call("RemoveRaftVoter", 0, ClusterId=cluster_id, VoterId=node_id,
                                VoterDirectoryId=directory or self.directory(node_id))
        return answer["ErrorCode"]

    def added(self, node_id):
        """Until it has caught up and has its vote."""
        def attempt():
            code = self.add(node_id)
            assert code in (0, REQUEST_TIMED_OUT, DUPLICATE_VOTER), code
            return code != REQUEST_TIMED_OUT
        lib.wait_until(attempt, what="controller %d to get a vote" % node_id, every=0.1)


def works(cluster, topic):
    cluster.create_topic(topic)
    cluster.produce(topic, ["one", "two"])
    assert [record[3] for record in cluster.consume(topic)] == ["one", "two"]


def three_voters(cluster):
    quorum = Quorum(cluster)
    for controller in cluster.controllers[1:]:
        quorum.added(controller.id)
    assert quorum.voters() == [controller.id for controller in cluster.controllers]
    return quorum


def test_observers_follow_get_a_vote_and_take_over():
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True) as cluster:
        quorum = Quorum(cluster)
        assert quorum.voters() == [3001]
        three_voters(cluster)
        assert quorum.add(3002) == DUPLICATE_VOTER
        _, nodes = quorum.describe()
        assert {node["NodeId"]: node["Listeners"][0]["Port"] for node in nodes} == {
            controller.id: controller.rpc_port for controller in cluster.controllers}
        cluster.controllers[0].kill()
        lib.wait_until(lambda: quorum.leader().id != 3001, what="another controller to lead")
        works(cluster, "after")
        cluster.controllers[0].start()
        lib.wait_until(lambda: cluster.controllers[0].ready(), what="the first controller to be back")


def test_a_leader_that_is_removed_answers_hands_over_and_follows():
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True) as cluster:
        quorum = three_voters(cluster)
        leader = quorum.leader()
        assert quorum.remove(leader.id) == 0
        lib.wait_until(lambda: quorum.leader() != leader, what="another controller to lead")
        assert leader.id not in quorum.voters() and len(quorum.voters()) == 2
        works(cluster, "on")

        def follows():
            found, _ = quorum.describe()
            return any(row["ReplicaId"] == leader.id and row["LogEndOffset"] >= found["HighWatermark"] - 1
                       for row in found["Observers"])
        lib.wait_until(follows, what="the former leader to follow")
        quorum.added(leader.id)
        assert len(quorum.voters()) == 3
        while len(quorum.voters()) > 1:
            assert quorum.remove(quorum.voters()[-1]) == 0
            lib.wait_until(lambda: quorum.leader().id in quorum.voters(), what="a voter to lead")
        assert quorum.remove(quorum.voters()[0]) == INVALID_REQUEST
        works(cluster, "alone")


def test_a_voter_that_is_removed_follows_also_when_it_was_away():
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True) as cluster:
        quorum = three_voters(cluster)
        assert quorum.remove(3002) == 0
        quorum.added(3002)
        directory = quorum.directory(3003)
        cluster.controllers[2].kill()
        assert quorum.remove(3003, directory) == 0
        cluster.controllers[2].start()
        quorum.added(3003)
        assert quorum.voters() == [3001, 3002, 3003]


def test_what_is_no_voter_of_this_cluster_is_refused():
    with lib.Cluster(controllers=2, coordinators=0, dynamic=True) as cluster:
        quorum = Quorum(cluster)
        assert quorum.add(3002, cluster_id="AAAAAAAAAAAAAAAAAAAAAQ") == INCONSISTENT_CLUSTER_ID
        assert quorum.remove(3001, cluster_id="AAAAAAAAAAAAAAAAAAAAAQ") == INCONSISTENT_CLUSTER_ID
        assert quorum.add(-1, directory=STRANGER) == INVALID_REQUEST
        assert quorum.add(3002, directory=NOBODY) == INVALID_REQUEST
        assert quorum.add(3002, directory=STRANGER) == REQUEST_TIMED_OUT  # nobody of that directory follows
        assert quorum.add(3009, directory=STRANGER) == REQUEST_TIMED_OUT
        assert quorum.remove(3001, directory=STRANGER) == VOTER_NOT_FOUND
        assert quorum.remove(3002) == VOTER_NOT_FOUND
        assert quorum.voters() == [3001]


def test_configured_voters_are_not_changed():
    with lib.Cluster(controllers=1, coordinators=0) as cluster:
        quorum = Quorum(cluster)
        assert quorum.add(3002, directory=STRANGER) == UNSUPPORTED_VERSION
        assert quorum.remove(3001) == UNSUPPORTED_VERSION


def test_voters_survive_power_cuts_and_snapshots():
    settings = {"controller": {"metadata.log.max.record.entries.between.snapshots": 10}}
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True, powercut=True, settings=settings) as cluster:
        quorum = three_voters(cluster)
        for i in range(15):
            cluster.create_topic("t%d" % i)
        lib.wait_until(lambda: any(name.startswith("snapshot-") for name in os.listdir(cluster.controllers[2].data)),
                       what="a snapshot")
        cluster.cut_power()
        cluster.restart_all()
        quorum = Quorum(cluster)
        assert quorum.voters() == [3001, 3002, 3003]
        leader = quorum.leader()
        assert quorum.remove(leader.id) == 0
        for controller in cluster.controllers:
            controller.cut_power()
        cluster.restart_all()
        assert leader.id not in Quorum(cluster).voters() and len(Quorum(cluster).voters()) == 2
        works(cluster, "last")


def test_a_lost_directory_is_another_voter_and_takes_a_vote_when_it_is_given_one():
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True) as cluster:
        quorum = three_voters(cluster)
        lost = next(controller for controller in cluster.controllers[1:] if controller is not quorum.leader())
        before = quorum.directory(lost.id)
        lost.kill()
        shutil.rmtree(lost.data)
        lost.start()

        def seen():
            rows = quorum.describe()[0]["Observers"]
            return any(row["ReplicaId"] == lost.id and row["ReplicaDirectoryId"] != before for row in rows)
        lib.wait_until(seen, what="the empty directory to follow")
        assert [row["ReplicaDirectoryId"] for row in quorum.describe()[0]["CurrentVoters"]
                if row["ReplicaId"] == lost.id] == [before], "an operator decides about voters"
        assert quorum.remove(lost.id, directory=before) == 0
        quorum.added(lost.id)
        assert quorum.voters() == [3001, 3002, 3003] and quorum.directory(lost.id) != before


def test_a_voter_that_moves_tells_its_new_address():
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True) as cluster:
        quorum = three_voters(cluster)
        for controller in cluster.controllers[1:]:
            controller.kill()
            controller.rpc_port = lib.free_port()
            controller.start()

            def known():
                _, nodes = quorum.describe()
                return all(node["Listeners"][0]["Port"] == cluster.node(node["NodeId"]).rpc_port for node in nodes)
            lib.wait_until(known, what="the new address of controller %d" % controller.id)
        beats, began = set(), time.time() * 1000

        def told():  # the answer to a heartbeat has the addresses; the next one says that it has arrived
            rows = quorum.describe()[0]["Observers"]
            beats.add(next(row["LastFetchTimestamp"] for row in rows if row["ReplicaId"] == 1))
            return sum(beat > began for beat in beats) > 1
        lib.wait_until(told, what="heartbeats of the storage node")
        cluster.controllers[0].kill()
        works(cluster, "moved")


def test_the_command_line_gives_and_takes_votes():
    with lib.Cluster(controllers=2, coordinators=0, dynamic=True) as cluster:
        quorum = Quorum(cluster)
        assert cluster.cli("quorum", "add", "3002").stdout == "added 3002\n"
        assert quorum.voters() == [3001, 3002]
        again = cluster.cli("quorum", "add", "3002", check=False)
        assert again.returncode == 1 and "already" in again.stderr
        assert cluster.cli("quorum", "remove", "3002", "--json").stdout == '{"removed":3002}\n'
        assert quorum.voters() == [3001]
        assert cluster.cli("quorum", "remove", "3002", check=False).returncode == 3
        assert cluster.cli("quorum", "add", "3009", "--timeout", "1", check=False).returncode in (3, 4)
        for words in (["add"], ["add", "x"], ["remove", "3001", "--directory", "x"]):
            assert cluster.cli("quorum", *words, check=False).returncode == 2


def test_configured_voters_become_changeable_by_kraft_version_1():
    with lib.Cluster(controllers=3, coordinators=0) as cluster:
        quorum = Quorum(cluster)
        assert quorum.remove(3003) == UNSUPPORTED_VERSION
        cluster.cli("features", "upgrade", "kraft.version=1", "--dry-run")
        assert quorum.remove(3003) == UNSUPPORTED_VERSION
        cluster.cli("features", "upgrade", "kraft.version=1")
        assert "kraft.version" in cluster.cli("features", "describe").stdout
        down = cluster.cli("features", "downgrade", "kraft.version=0", check=False)
        assert down.returncode == 1 and "Can't downgrade" in down.stderr
        assert quorum.remove(3003) == 0
        assert quorum.voters() == [3001, 3002]
        quorum.added(3003)
        cluster.dynamic = True  # from here on controller.quorum.voters is not configured
        for controller in cluster.controllers:
            controller.stop()
            controller.start().wait_ready()
        assert quorum.voters() == [3001, 3002, 3003]
        works(cluster, "on")


def follows(quorum, node_id):
    """Whether a controller without a vote has what is committed."""
    found, _ = quorum.describe()
    return any(row["ReplicaId"] == node_id and row["LogEndOffset"] >= found["HighWatermark"] - 1
               for row in found["Observers"])


def lists(cluster, *listed):
    """controller.quorum.voters of these controllers has these controllers and no others."""
    for controller in listed:
        controller.settings["controller.quorum.voters"] = ",".join(
            "%d@127.0.0.1:%d" % (one.id, one.rpc_port) for one in listed)


def knows_where_voters_are(quorum):
    _, nodes = quorum.describe()
    return len(nodes) == len(quorum.voters()) and all(
        node["Listeners"][0]["Port"] == quorum.cluster.node(node["NodeId"]).rpc_port for node in nodes)


def restart_at_new_ports(cluster, **relisted):
    """Every daemon is stopped, controllers come back elsewhere and are configured with that."""
    for daemon in cluster.daemons:
        daemon.kill()
    for controller in cluster.controllers:
        controller.rpc_port = lib.free_port()
    if relisted.get("listed"):
        lists(cluster, *cluster.controllers)
    cluster.restart_all()
    quorum = Quorum(cluster)
    lib.wait_until(lambda: knows_where_voters_are(quorum), what="the new addresses of all voters")
    works(cluster, "moved")
    cluster.controllers[0].kill()  # nodes were told, too
    works(cluster, "on")


def test_a_listed_controller_follows_a_leader_outside_its_list():
    cluster = lib.Cluster(controllers=2, coordinators=0, dynamic=True)
    first, second = cluster.controllers
    lists(cluster, first)
    with cluster:
        quorum = Quorum(cluster)
        cluster.cli("features", "upgrade", "kraft.version=1")
        quorum.added(second.id)
        assert quorum.remove(first.id) == 0
        lib.wait_until(lambda: quorum.voters() == [second.id] and quorum.leader() is second,
                       what="the controller that is not in the list to lead")
        lib.wait_until(lambda: follows(quorum, first.id), what="the listed controller to follow")
        first.restart()
        first.wait_ready()
        works(cluster, "on")
        lib.wait_until(lambda: follows(quorum, first.id), what="the listed controller to follow again")
        quorum.added(first.id)
        assert quorum.voters() == [first.id, second.id]


def test_a_listed_voter_follows_a_leader_that_has_moved():
    cluster = lib.Cluster(controllers=3, coordinators=0)
    lists(cluster, *cluster.controllers)
    with cluster:
        quorum = Quorum(cluster)
        cluster.cli("features", "upgrade", "kraft.version=1")
        moved = cluster.controllers[0]
        moved.kill()
        moved.rpc_port = lib.free_port()  # the others' lists are old from here on
        lists(cluster, moved)
        moved.settings["controller.quorum.bootstrap.servers"] = ",".join(
            "127.0.0.1:%d" % one.rpc_port for one in cluster.controllers[1:])
        moved.start()
        lib.wait_until(lambda: knows_where_voters_are(quorum), what="the new address")
        for other in cluster.controllers[1:]:
            other.restart()
            other.wait_ready()
        cluster.controllers[1].kill()  # the majority needs the one that has moved
        works(cluster, "on")


def test_all_voters_move_at_once():
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True) as cluster:
        three_voters(cluster)
        restart_at_new_ports(cluster)


def test_all_listed_voters_move_at_once():
    with lib.Cluster(controllers=3, coordinators=0) as cluster:
        restart_at_new_ports(cluster)


def test_all_voters_of_a_list_that_no_longer_binds_move_at_once():
    cluster = lib.Cluster(controllers=3, coordinators=0)
    lists(cluster, *cluster.controllers)
    with cluster:
        cluster.cli("features", "upgrade", "kraft.version=1")
        restart_at_new_ports(cluster, listed=True)


def test_who_finds_no_majority_says_where_it_looks():
    with lib.Cluster(controllers=3, coordinators=0, dynamic=True) as cluster:
        three_voters(cluster)
        last = cluster.controllers[2]
        for controller in cluster.controllers[:2]:
            controller.kill()
        lib.wait_until(lambda: "no active controller for" in last.log(), what="a line in the log", every=0.2)
        told = next(line for line in last.log().splitlines() if "no active controller for" in line)
        for controller in cluster.controllers[:2]:
            assert "%d at tcp://127.0.0.1:%d" % (controller.id, controller.rpc_port) in told, told
