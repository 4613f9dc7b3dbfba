# SPDX-License-Identifier: Apache-2.0
# Streams groups of KIP-1071 over real daemons: members by hand bring a topology, get its internal topics made, share
# tasks, commit, are fenced, and go on behind a coordinator that was killed.

import pytest

import consumer_member as cm
import streams_member as sm
from cluster import Cluster, wait_until
from streams_member import Member, describe, word_count

SETTINGS = {"coordinator": {"group.streams.session.timeout.ms": "3000", "group.streams.heartbeat.interval.ms": "500",
                            "group.streams.initial.rebalance.delay.ms": "0"}}
ALL = {f"{sub}_{p}" for sub in (0, 1) for p in (0, 1)}


@pytest.fixture(scope="module")
def started():
    with Cluster(coordinators=2, settings=SETTINGS) as running:
        running.create_topic("in", partitions=2)
        first = Member(running.storage[0], "warm", "m", word_count("in", "warm"))
        wait_until(lambda: first.heartbeat(0) == cm.NONE, 30, "groups to be there")
        yield running


def settle(node, *members):
    """Until everybody has something and the group is at rest."""
    def done():
        for member in members:
            cm.live(member)
        return describe(node, members[0].group)[1] == "Stable" and not any(member.changed for member in members)
    wait_until(done, 20, "the group to settle", every=0.05)


def partitions_of(node, topic):
    connection = cm.Connection(node)
    answer = cm.Reader(connection.call(75, 0, cm.array([cm.compact(topic) + b"\0"], True) + b"\0\0\x07\xd0\xff\0", True))
    connection.close()
    answer.take("i"), answer.number()
    answer.take("h"), answer.text(), answer.id(), answer.take("?")
    return answer.number() - 1


def test_topics_are_made_and_tasks_shared(started):
    node = started.storage[0]
    one, two = Member(node, "g1", "m1", word_count("in", "g1")), Member(node, "g1", "m2", word_count("in", "g1"))
    assert one.live() == cm.NONE and one.has == set()
    assert list(one.status) == [sm.NO_INTERNAL] and "g1-log, g1-rep" in one.status[sm.NO_INTERNAL]
    assert describe(node, "g1")[:2] == (cm.NONE, "NotReady")
    wait_until(lambda: cm.live(one) == cm.NONE and one.has == ALL, 10, "the internal topics", every=0.05)
    assert not one.status and one.interval_ms == 500
    assert partitions_of(node, "g1-rep") == partitions_of(node, "g1-log") == 2
    assert "compact" in started.cli("config", "list", "--topic", "g1-log").stdout
    assert two.live() == cm.NONE and two.has == set()  # not given up yet
    settle(node, one, two)
    assert one.has | two.has == ALL and not one.has & two.has and len(one.has) == 2
    assert describe(node, "g1")[4] == {"0": ["in"], "1": []}
    assert cm.listed(node, kinds=["streams"])["g1"] == ("streams", "Stable", "streams")
    assert "g1" not in cm.listed(node, kinds=["consumer", "classic"])
    assert one.commit("in", 0, 7) == cm.NONE and one.committed("in", 0) == (cm.NONE, 7)
    assert one.commit("in", 0, 9, epoch=one.epoch + 1) == cm.STALE_EPOCH
    assert one.heartbeat(sm.LEAVE) == cm.NONE and two.heartbeat(sm.LEAVE) == cm.NONE
    assert describe(node, "g1")[1] == "Empty"


def test_refused(started):
    node = started.storage[0]
    member = Member(node, "g2", "m1", {"0": {"regex": ["in.*"]}})
    assert member.live() == cm.INVALID_REQUEST and "Regular expressions" in member.message
    member.topology = {"0": {"sources": ["in"]}, "1": {"repartition": [("never", 0, {})]}}
    assert member.live() == sm.INVALID_TOPOLOGY and "never used as a sink" in member.message
    member.topology = {"0": {"sources": ["__consumer_offsets"]}}
    assert member.live() == sm.INVALID_TOPOLOGY
    member.topology = {"0": {"sources": ["in"]}}
    assert member.heartbeat(0, instance="i") == cm.INVALID_REQUEST and "Static" in member.message
    assert member.heartbeat(3) == cm.GROUP_NOT_FOUND
    assert "g2" not in cm.listed(node)
    member.topology = {"0": {"sources": ["none"]}}
    assert member.live() == cm.NONE and member.status == {sm.NO_SOURCES: "Source topics none are missing."}
    assert cm.Member(node, "g2", "c", ["in"]).heartbeat(0) == cm.GROUP_NOT_FOUND  # of the consumer protocol
    assert member.heartbeat(sm.LEAVE, shutdown=True) == cm.NONE


def test_standby_endpoints_and_shutdown(started):
    node = started.storage[0]
    started.cli("config", "set", "--group", "g3", "streams.num.standby.replicas=1")
    one = Member(node, "g3", "m1", word_count("in", "g3"), endpoint=7001)
    two = Member(node, "g3", "m2", word_count("in", "g3"), endpoint=7002)
    assert one.live() == two.live() == cm.NONE
    settle(node, one, two)
    standbys = {task for member in (one, two) for task in member.has if task.startswith("s")}
    assert standbys == {"s1_0", "s1_1"}  # subtopology 0 keeps no state
    assert (one.has & {"1_0", "1_1"}) == {task[1:] for task in two.has if task.startswith("s")}
    wait_until(lambda: cm.live(one) == cm.NONE and one.endpoints is None and cm.live(two) == cm.NONE, 10, every=0.05)
    two.endpoint_epoch = 0  # it has not heard
    assert cm.live(two) == cm.NONE and set(two.endpoints) == {7001, 7002}
    told = set().union(*two.endpoints.values())
    assert told == {(topic, p) for topic in ("in", "g3-rep") for p in (0, 1)}
    assert two.heartbeat(shutdown=True) == cm.NONE
    assert cm.live(one) == cm.NONE and "m2 encountered a fatal error" in one.status[sm.SHUTDOWN]


def test_group_survives_its_coordinator(started):
    node = started.storage[0]
    one, two = Member(node, "g4", "m1", word_count("in", "g4")), Member(node, "g4", "m2", word_count("in", "g4"))
    assert one.live() == two.live() == cm.NONE
    settle(node, one, two)
    before = one.epoch, one.has, two.epoch, two.has
    for daemon in started.coordinators:
        daemon.kill()
        for _ in range(3):
            assert cm.live(one) == cm.NONE and cm.live(two) == cm.NONE
        daemon.start()
        daemon.wait_ready()
    assert (one.epoch, one.has, two.epoch, two.has) == before
    assert describe(node, "g4")[1] == "Stable"
    wait_until(lambda: cm.live(two) == cm.NONE and two.has == ALL, 15, "the tasks of who is silent", every=0.2)


def test_tools_show_them(started):
    node, topology = started.storage[0], word_count("in", "g5")
    admin = ",".join("127.0.0.1:%d" % daemon.http_port for daemon in started.daemons)
    started.produce("in", ["a", "b", "c"], "-p", "0")
    waits = Member(node, "g5-waits", "m1", {"0": {"sources": ["g5-later"]}})
    assert waits.live() == cm.NONE
    said = started.cli("why", "group", "g5-waits", "--admin", admin, check=False).stdout
    assert "has no tasks to give out: Source topics g5-later are missing." in said
    member = Member(node, "g5", "m1", topology)
    wait_until(lambda: cm.live(member) == cm.NONE and member.has == ALL, 10, "its tasks", every=0.05)
    assert member.commit("in", 0, 1) == cm.NONE
    described = started.cli("group", "describe", "g5").stdout
    assert "streams" in described and "sticky" in described and "m1" in described
    row = next(line.split() for line in described.splitlines() if line.startswith("in "))
    assert row[:6] == ["in", "0", "1", "3", "2", "m1"]
    lag = started.cli("group", "lag", "g5", "--admin", admin).stdout
    assert any(line.split()[:2] == ["in", "0"] for line in lag.splitlines())
    assert started.cli("group", "delete", "g5", check=False).returncode != 0  # somebody is in it
    assert member.heartbeat(sm.LEAVE) == cm.NONE
    started.cli("group", "delete", "g5")
    assert describe(node, "g5")[0] == cm.GROUP_NOT_FOUND
