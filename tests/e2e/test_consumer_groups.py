# SPDX-License-Identifier: Apache-2.0
# Consumer groups of KIP-848 over real daemons: a member by hand joins, reconciles, commits, is fenced, and goes on behind
# a coordinator that was killed.
import json

import pytest

import consumer_member as cm
from cluster import Cluster, wait_until
from consumer_member import Member, describe, listed

SETTINGS = {"coordinator": {"group.consumer.session.timeout.ms": "3000"}}


@pytest.fixture(scope="module")
def started():
    with Cluster(coordinators=2, settings=SETTINGS) as running:
        running.create_topic("t", partitions=4)
        running.create_topic("u", partitions=2)
        first = Member(running.storage[0], "warm", "m", ["t"])
        wait_until(lambda: first.heartbeat(0) == cm.NONE, 30, "groups to be there")
        yield running


def settle(node, *members):
    """Until every member has what it is to have."""
    def done():
        for member in members:
            assert cm.live(member) == cm.NONE or member.epoch >= 0
        _, state, epoch, _, _, found = describe(node, members[0].group)
        return state == "Stable" and all(m.epoch == epoch and m.has == found[m.id][3] for m in members)
    wait_until(done, 20, "the group to settle", every=0.05)


def all_of(topic, partitions):
    return {(topic, p) for p in range(partitions)}


def test_join_reconcile_commit_and_leave(started):
    node = started.storage[0]
    one, two = Member(node, "g1", "m1", ["t"]), Member(node, "g1", "m2", ["t"])
    assert one.live() == cm.NONE
    assert (one.epoch, one.has, one.interval_ms) == (1, all_of("t", 4), 5000)
    assert two.live() == cm.NONE and two.has == set()
    assert one.live() == cm.NONE and len(one.has) == 2
    assert two.live() == cm.NONE and two.has == set()  # not given up yet
    assert describe(node, "g1")[1] == "Reconciling"
    settle(node, one, two)
    assert one.has | two.has == all_of("t", 4) and not one.has & two.has
    error, state, epoch, assignment_epoch, assignor, members = describe(node, "g1")
    assert (error, state, epoch, assignment_epoch, assignor) == (cm.NONE, "Stable", 2, 2, "uniform")
    assert members["m1"] == (2, 1, one.has, one.has)
    assert listed(node, kinds=["consumer"])["g1"] == ("consumer", "Stable", "consumer")
    assert "g1" not in listed(node, kinds=["classic"])
    name, partition = min(one.has)
    assert one.commit(name, partition, 7) == cm.NONE
    assert one.committed(name, partition) == (cm.NONE, 7)
    assert one.heartbeat(cm.LEAVE) == cm.NONE
    two_epoch = two.epoch
    assert two.live() == cm.NONE and two.epoch == two_epoch + 1 and two.has == all_of("t", 4)


def test_offset_commit_fences_by_member_epoch(started):
    node = started.storage[0]
    one = Member(node, "g2", "m1", ["t"])
    one.live()
    assert one.commit("t", 0, 1, epoch=5) == cm.STALE_EPOCH
    assert one.commit("t", 0, 1, version=8) == cm.UNSUPPORTED_VERSION
    assert Member(node, "g2", "nobody", ["t"]).commit("t", 0, 1, epoch=1) == cm.UNKNOWN_MEMBER
    assert one.committed("t", 0, epoch=9)[0] == cm.STALE_EPOCH
    assert one.commit("t", 0, 1) == cm.NONE


def test_offsets_of_a_group_nobody_is_in(started):
    node = started.storage[0]
    one = Member(node, "g3", "m1", ["t"])
    one.live()
    one.heartbeat(cm.LEAVE)
    assert describe(node, "g3")[1] == "Empty"
    tool = Member(node, "g3", "", ["t"])
    assert tool.commit("t", 1, 5, epoch=-1) == cm.NONE


def test_heartbeat_requests_are_validated_as_kafka_does(started):
    node = started.storage[0]
    one = Member(node, "g4", "m1", ["t"])
    assert one.heartbeat(0, member_id="") == cm.INVALID_REQUEST
    assert one.heartbeat(0, rebalance_ms=-1) == cm.INVALID_REQUEST
    assert one.message == "RebalanceTimeoutMs must be provided in first request."
    assert one.heartbeat(0, owned={("t", 0)}) == cm.INVALID_REQUEST
    assert one.heartbeat(0, names=None) == cm.INVALID_REQUEST
    assert one.heartbeat(-3) == cm.INVALID_REQUEST
    assert one.heartbeat(cm.LEAVE_STATIC) == cm.INVALID_REQUEST
    assert one.heartbeat(0, assignor="mine") == cm.UNSUPPORTED_ASSIGNOR
    assert one.heartbeat(0, regex="a(") == cm.INVALID_REGEX
    assert one.heartbeat(1) == cm.GROUP_NOT_FOUND
    assert "g4" not in listed(node)  # none of these made a group


def test_version_0_members_get_an_id(started):
    one = Member(started.storage[0], "g5", "", ["t"], version=0)
    assert one.heartbeat(0) == cm.NONE
    assert len(one.id) == 22 and one.epoch == 1


def test_repeated_heartbeats_do_not_fence(started):
    node = started.storage[0]
    one, two = Member(node, "g6", "m1", ["t"]), Member(node, "g6", "m2", ["t"])
    one.live()
    two.live()
    settle(node, one, two)
    two.heartbeat(cm.LEAVE)
    epoch, has = one.epoch, one.has
    assert one.heartbeat(epoch) == cm.NONE and one.epoch == epoch + 1  # suppose this answer is lost
    assert one.heartbeat(epoch, owned=has, full=True) == cm.NONE
    assert one.epoch == epoch + 1 and one.told == all_of("t", 4)
    assert one.heartbeat(0) == cm.NONE and one.told == all_of("t", 4)  # and a join said again
    assert one.heartbeat(epoch + 5) == cm.FENCED_EPOCH


def test_regular_expression_follows_topics(started):
    node = started.storage[0]
    one = Member(node, "g7", "m1", regex="rx-.*", names=[])
    assert one.live() == cm.NONE and one.has == set()
    started.create_topic("rx-1", partitions=2)
    wait_until(lambda: one.live() == cm.NONE and one.has == all_of("rx-1", 2), 10)
    started.cli("topic", "delete", "rx-1")
    wait_until(lambda: one.live() == cm.NONE and one.has == set(), 10)


def test_static_member_comes_back_to_its_partitions(started):
    node = started.storage[0]
    one = Member(node, "g8", "m1", ["t"], instance="i1")
    one.live()
    again = Member(node, "g8", "m2", ["t"], instance="i1")
    assert again.live() == cm.UNRELEASED
    assert one.heartbeat(cm.LEAVE_STATIC) == cm.NONE and one.epoch == cm.LEAVE_STATIC
    assert again.live() == cm.NONE and again.has == all_of("t", 4) and again.epoch == 1
    assert one.heartbeat(1) == cm.FENCED_INSTANCE


def test_silent_member_loses_its_session(started):
    node = started.storage[0]
    Member(node, "g9", "m1", ["t"]).live()
    two = Member(node, "g9", "m2", ["t"])
    wait_until(lambda: two.live() == cm.NONE and two.has == all_of("t", 4), 10, "the session to end")


def test_members_choose_the_assignor(started):
    node = started.storage[0]
    members = [Member(node, "g10", "m%d" % i, ["t", "u"], assignor="range") for i in range(2)]
    for member in members:
        member.live()
    settle(node, *members)
    assert members[0].has == {("t", 0), ("t", 1), ("u", 0)}
    assert describe(node, "g10")[4] == "range"


def test_groups_go_on_behind_a_killed_coordinator(started):
    node = started.storage[0]
    groups = ["f%d" % i for i in range(6)]
    members = [Member(node, group, "m%d" % i, ["t"]) for group in groups for i in range(2)]
    for member in members:
        member.live()
    for i in range(0, len(members), 2):
        settle(node, members[i], members[i + 1])
        name, partition = min(members[i].has)
        assert members[i].commit(name, partition, 40 + i) == cm.NONE
    before = [(m.epoch, m.has) for m in members]
    started.coordinators[0].kill()
    for member in members:
        assert wait_until(lambda: cm.live(member) not in cm.PASSING, 30)
    assert [(m.epoch, m.has) for m in members] == before  # no rebalance, nobody fenced
    for i in range(0, len(members), 2):
        name, partition = min(members[i].has)
        assert members[i].committed(name, partition) == (cm.NONE, 40 + i)
    started.coordinators[0].start()
    started.coordinators[0].wait_ready(30)


def test_deleting_and_describing_groups(started):
    node = started.storage[0]
    one = Member(node, "g11", "m1", ["t"])
    one.live()
    assert "NON_EMPTY_GROUP" in started.cli("group", "delete", "g11", check=False).stderr
    shown = json.loads(started.cli("group", "describe", "g11", "--json").stdout)
    assert shown["group"]["state"] == "Stable" and shown["group"]["protocol"] == "uniform"
    assert [member["member"] for member in shown["members"]] == ["m1"]
    one.commit("t", 2, 1)
    shown = json.loads(started.cli("group", "describe", "g11", "--json").stdout)
    assert [(o["partition"], o["member"]) for o in shown["offsets"]] == [(2, "m1")]
    one.heartbeat(cm.LEAVE)
    started.cli("group", "delete", "g11")
    assert describe(node, "g11")[0] == cm.GROUP_NOT_FOUND
