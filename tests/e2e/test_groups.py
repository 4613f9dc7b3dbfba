# SPDX-License-Identifier: Apache-2.0
# Groups over failures: committed offsets outlive a kill -9 of everything and the members go on where they were; a member
# that is killed is noticed when its session ends, not before and not much later.
import json
import subprocess
import time

import pytest

from cluster import Cluster, program, wait_until

MEMBERS, RECORDS, SESSION_S = 3, 600, 6
THREE = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2, "num.partitions": 6}}


class Member:
    """`millrace consume` (librdkafka): unlike kcat it does not end when no broker is there."""

    def __init__(self, cluster, directory, name):
        self.out_path = directory / (name + ".out")
        self.client_id = name
        settings = {"session.timeout.ms": 1000 * SESSION_S, "heartbeat.interval.ms": 300, "client.id": name,
                    "auto.commit.interval.ms": 200, "reconnect.backoff.max.ms": 200}
        with open(self.out_path, "w") as out, open(directory / (name + ".log"), "w") as log:
            self.process = subprocess.Popen(
                [program("millrace"), "consume", "t", "--group", "g", "-B", "-b", cluster.kafka] +
                [word for key, value in settings.items() for word in ("-X", "%s=%s" % (key, value))],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log)

    def records(self):
        return self.out_path.read_text().split()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def stop(self):
        """SIGTERM: it commits and leaves."""
        self.process.terminate()
        assert self.process.wait(30) == 0


@pytest.fixture
def started():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=THREE) as running:
        running.create_topic("t", partitions=6, replication=3)
        running.wait_isr("t", 3, 6)
        yield running


@pytest.fixture
def members(started, tmp_path):
    found = [Member(started, tmp_path, "m%d" % i) for i in range(MEMBERS)]
    wait_until(lambda: stable(started) == [m.client_id for m in found], 40, "the group to settle")
    yield found
    for member in found:
        member.kill()


def described(cluster):
    return json.loads(cluster.cli("group", "describe", "g", "--json").stdout)


def stable(cluster):
    """The client ids of a stable group's members, sorted."""
    group = described(cluster)
    assert group["group"]["state"] == "Stable"
    return sorted(member["client"] for member in group["members"])


def committed(cluster):
    """The sum of the group's committed offsets."""
    return sum(max(0, p["committed"] or 0) for p in described(cluster)["offsets"])


def read(members):
    return [record for member in members for record in member.records()]


def test_committed_offsets_outlive_a_kill_of_everything(started, members, tmp_path):
    started.produce("t", ["a%d" % i for i in range(RECORDS)])
    wait_until(lambda: len(read(members)) == RECORDS, 20, "the first records")
    wait_until(lambda: committed(started) == RECORDS, 20, "their commit")
    for daemon in started.daemons:
        daemon.kill()
    started.restart_all()
    assert committed(started) == RECORDS
    started.produce("t", ["b%d" % i for i in range(RECORDS)])
    wait_until(lambda: len(read(members)) >= 2 * RECORDS, 30, "the records after the kill")
    for member in members:
        member.stop()
    found = read(members)
    assert sorted(found) == sorted(set(found)) and len(found) == 2 * RECORDS
    assert committed(started) == 2 * RECORDS
    started.produce("t", ["c0"])
    late = Member(started, tmp_path, "late")
    wait_until(late.records, 30, "a new member to read")
    late.stop()
    assert late.records() == ["c0"], "it begins where the group had committed"


def test_a_killed_member_is_noticed_at_its_session_timeout(started, members):
    members[0].kill()
    began = time.monotonic()
    wait_until(lambda: stable(started) == [m.client_id for m in members[1:]], SESSION_S + 15, "the group without it")
    took = time.monotonic() - began
    print("noticed after %.1f s, session timeout %d s" % (took, SESSION_S))
    assert SESSION_S - 1 < took < SESSION_S + 4
