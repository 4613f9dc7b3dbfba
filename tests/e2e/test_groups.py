# SPDX-License-Identifier: Apache-2.0
# Consumer groups from outside: members join, leave and die, and the coordinator dies under them. A stable group does
# not notice; a rebalance under way completes with the same members and nobody else.
import random
import re
import subprocess
import tempfile
import time

import pytest

from cluster import Cluster, wait_until

SETTINGS = {"all": {"default.replication.factor": 3, "min.insync.replicas": 2},
            "coordinator": {"group.initial.rebalance.delay.ms": 200}}
PARTITIONS = 6
QUICK = ["-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=200", "-X", "auto.offset.reset=earliest"]


def shard(group, shards=50):
    code = 0
    for character in group:
        code = (31 * code + ord(character)) & 0xffffffff
    return (code & 0x7fffffff) % shards


def owner(cluster, group):
    """The coordinator that loaded the group's shard last."""
    found = []
    for daemon in cluster.coordinators:
        for line in daemon.log().splitlines():
            match = re.match(r"(\S+) .*shard loaded .* shard=(\d+) owner_epoch=(\d+)", line)
            if match and int(match[2]) == shard(group):
                found.append((int(match[3]), daemon))
    return max(found, key=lambda pair: pair[0])[1] if found else None


class Member:
    """A kcat in a group: what it was assigned, which records it got, which errors it met."""

    def __init__(self, cluster, group, topic, *options):
        self.out, self.err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["kcat", "-b", cluster.kafka, "-q", "-u", "-G", group, "-f", "%p %o %s\n"] + QUICK + list(options) +
            ["-v", "-v", topic], stdout=self.out, stderr=self.err)

    def lines(self, file):
        file.flush()
        file.seek(0)
        return file.read().splitlines()

    def rebalances(self):
        return [line for line in self.lines(self.err) if "rebalanced" in line]

    def assigned(self):
        last = self.rebalances()[-1:]
        if not last or "assigned:" not in last[0]:
            return None
        return sorted(int(p) for p in re.findall(r"\[(\d+)\]", last[0].split("assigned:")[1]))

    def errors(self):
        return [line for line in self.lines(self.err) if "ERROR" in line or "FAIL" in line]

    def records(self):
        return [tuple(line.split(" ", 2)) for line in self.lines(self.out)]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def kill(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def cluster():
    with Cluster(controllers=3, storage=3, coordinators=2, settings=SETTINGS) as made:
        made.create_topic("warm")
        yield made


@pytest.fixture
def members():
    made = []
    yield made
    for member in made:
        member.kill()


def whole(members):
    """Whether the members share all partitions, none twice."""
    given = [member.assigned() for member in members]
    return None not in given and sorted(p for part in given for p in part) == list(range(PARTITIONS))


def fill(cluster, topic, count, start=0):
    cluster.produce(topic, [("k%d" % (n % 20), str(n)) for n in range(start, start + count)])


def values(members):
    return sorted(int(value) for member in members for _, _, value in member.records())


def begin(cluster, members, name, count):
    cluster.create_topic(name, partitions=PARTITIONS)
    for _ in range(count):
        members.append(Member(cluster, name, name))
    wait_until(lambda: whole(members), 30, "the members to share the partitions")


def restore(cluster):
    cluster.restart_all()
    wait_until(lambda: all(daemon.ready() for daemon in cluster.daemons), 30, "everybody to be back")


def test_a_stable_group_does_not_notice_that_its_coordinator_died(cluster, members):
    begin(cluster, members, "steady", 3)
    fill(cluster, "steady", 300)
    wait_until(lambda: values(members) == list(range(300)), 20, "300 records")
    before = [member.rebalances() for member in members]
    for round_number in range(3):
        victim = owner(cluster, "steady")
        victim.kill()
        fill(cluster, "steady", 300, 300 * (round_number + 1))
        wait_until(lambda: values(members) == list(range(300 * (round_number + 2))), 20, "the next records")
        time.sleep(2)
        victim.start().wait_ready()
    time.sleep(7)  # longer than a session
    assert [member.rebalances() for member in members] == before
    assert [member.errors() for member in members] == [[], [], []]


def test_committed_offsets_survive_their_coordinator(cluster, members):
    begin(cluster, members, "kept", 1)
    fill(cluster, "kept", 100)
    wait_until(lambda: values(members) == list(range(100)), 20, "100 records")
    owner(cluster, "kept").kill()
    members.pop().stop()  # commits as it leaves
    fill(cluster, "kept", 50, 100)
    members.append(Member(cluster, "kept", "kept"))
    wait_until(lambda: values(members), 20, "records after the take-over")
    time.sleep(1)
    assert values(members) == list(range(100, 150))
    restore(cluster)


def test_a_rebalance_completes_with_the_same_members_when_its_coordinator_dies(cluster, members):
    chance = random.Random(7)
    begin(cluster, members, "moving", 2)
    for _ in range(5):
        victim = owner(cluster, "moving")
        members.append(Member(cluster, "moving", "moving"))
        time.sleep(chance.uniform(0.02, 0.6))
        victim.kill()
        wait_until(lambda: whole(members), 25, "three members to share the partitions")
        assert sorted(len(member.assigned()) for member in members) == [2, 2, 2]
        victim.start().wait_ready()
        members.pop(0).stop()
        wait_until(lambda: whole(members), 25, "two members to share the partitions")
    fill(cluster, "moving", 200)
    wait_until(lambda: set(values(members)) == set(range(200)), 20, "200 records")


def test_commits_go_on_when_the_shards_leader_dies(cluster, members):
    begin(cluster, members, "led", 2)
    before = [member.rebalances() for member in members]
    leader = cluster.leader("__consumer_offsets", shard("led"))
    leader.kill()
    fill(cluster, "led", 100)
    wait_until(lambda: set(values(members)) == set(range(100)), 20, "100 records")
    leader.start().wait_ready()
    time.sleep(1)
    for member in members:
        member.stop()
    assert [member.rebalances()[:1] for member in members] == [lines[:1] for lines in before]
    again = Member(cluster, "led", "led")
    members.append(again)
    fill(cluster, "led", 50, 100)
    wait_until(lambda: again.records(), 20, "records after the restart")
    time.sleep(1)
    assert sorted(int(value) for _, _, value in again.records()) == list(range(100, 150))


def test_a_killed_member_is_noticed_at_its_session_timeout(cluster, members):
    begin(cluster, members, "lossy", 3)
    members.pop().kill()
    began = time.monotonic()
    wait_until(lambda: whole(members), 20, "two members to share the partitions")
    assert 4 < time.monotonic() - began < 12


def test_a_static_member_comes_back_without_a_rebalance(cluster, members):
    cluster.create_topic("static", partitions=PARTITIONS)
    for name in ("a", "b"):
        members.append(Member(cluster, "static", "static", "-X", "group.instance.id=" + name,
                              "-X", "session.timeout.ms=20000"))
    wait_until(lambda: whole(members), 30, "the members to share the partitions")
    before, had = members[0].rebalances(), members[1].assigned()
    members.pop().kill()
    members.append(Member(cluster, "static", "static", "-X", "group.instance.id=b", "-X", "session.timeout.ms=20000"))
    wait_until(lambda: members[1].assigned() == had, 20, "the same partitions again")
    assert members[0].rebalances() == before


def test_coordinators_restart_in_order_without_a_rebalance(cluster, members):
    begin(cluster, members, "rolling", 2)
    before = [member.rebalances() for member in members]
    for daemon in cluster.coordinators:
        daemon.stop()
        daemon.start().wait_ready()
        fill(cluster, "rolling", 10)
    time.sleep(7)
    assert [member.rebalances() for member in members] == before
    assert [member.errors() for member in members] == [[], []]


def test_offsets_survive_the_end_of_everything(cluster, members):
    begin(cluster, members, "phoenix", 3)
    fill(cluster, "phoenix", 100)
    wait_until(lambda: values(members) == list(range(100)), 20, "100 records")
    while members:
        members.pop().stop()  # commits
    for daemon in cluster.daemons:
        daemon.kill()
    restore(cluster)
    for _ in range(3):
        members.append(Member(cluster, "phoenix", "phoenix"))
    wait_until(lambda: whole(members), 30, "the new members to share the partitions")
    fill(cluster, "phoenix", 100, 100)
    wait_until(lambda: values(members) == list(range(100, 200)), 20, "the rest, each once")
