# SPDX-License-Identifier: Apache-2.0
# Classic groups, one request at a time: who gets in and how (KIP-394), rebalances, heartbeats, static members (KIP-345).
import threading
import time

import pytest

import cluster as lib
from behaviour import Connection, broker, only_millrace
from cases_groups import join, join_fields, sync, warm

INVALID_GROUP, ILLEGAL_GENERATION, INCONSISTENT, UNKNOWN_MEMBER, INVALID_SESSION, REBALANCING = 24, 22, 23, 25, 26, 27
MEMBER_ID_REQUIRED, FENCED_INSTANCE = 79, 82
OTHER = [{"Name": "other", "Metadata": b""}]
CHANGED = [{"Name": "range", "Metadata": b"changed"}]


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        warm(found)
        yield found


@pytest.fixture
def group(request):
    return request.node.name


def first_join(side, group, version=5, **fields):
    return side.call("JoinGroup", version, **join_fields(group, version=version, **fields))


def begin_join(side, group, member="", **fields):
    """On a connection of its own; it has arrived when the group says so."""
    return side.start("JoinGroup", 5, **join_fields(group, member, **fields))


def state(side, group):
    return side.call("DescribeGroups", 5, Groups=[group])["Groups"][0]


def wait_state(side, group, name, members=None):
    def there():
        found = state(side, group)
        return found["GroupState"] == name and members in (None, len(found["Members"]))
    lib.wait_until(there, 20, "%s to be %s" % (group, name))


def beat(side, group, member, generation, version=4, **fields):
    return side.call("Heartbeat", version, GroupId=group, MemberId=member, GenerationId=generation, **fields)["ErrorCode"]


def settled(side, group, **fields):
    """A stable group of one: (member, generation)."""
    joined = join(side, group, **fields)
    who = {"GroupInstanceId": fields["instance"]} if "instance" in fields else {}
    member, generation = joined["MemberId"], joined["GenerationId"]
    assert sync(side, group, member, generation, assignments={member: b"mine"}, **who)["ErrorCode"] == 0
    return member, generation


def pair(side, group, stable=True):
    """A group of two: the answers of leader and follower to their JoinGroup."""
    first, _ = settled(side, group)
    second = first_join(side, group)["MemberId"]
    coming = begin_join(side, group, second)
    wait_state(side, group, "PreparingRebalance", 2)
    one = side.call("JoinGroup", 5, **join_fields(group, first))
    two = coming.wait()
    assert (one["ErrorCode"], two["ErrorCode"], one["GenerationId"]) == (0, 0, two["GenerationId"])
    if stable:
        assert sync(side, group, first, one["GenerationId"], assignments={first: b"1", second: b"2"})["ErrorCode"] == 0
        assert sync(side, group, second, one["GenerationId"])["Assignment"] == b"2"
    return one, two


# ---- who gets in ----


@pytest.mark.parametrize("version", (4, 5, 7, 9))
def test_join_without_a_member_id_is_member_id_required_and_given_one(side, group, version):
    found = first_join(side, group, version)
    assert (found["ErrorCode"], found["GenerationId"]) == (MEMBER_ID_REQUIRED, -1) and found["MemberId"]
    again = side.call("JoinGroup", version, **join_fields(group, found["MemberId"], version))
    assert (again["ErrorCode"], again["MemberId"], again["Leader"]) == (0, found["MemberId"], found["MemberId"])


def test_member_that_has_only_its_id_is_not_in_the_group_yet(side, group):
    found = first_join(side, group)
    assert state(side, group)["Members"] == []
    assert beat(side, group, found["MemberId"], 0) in (UNKNOWN_MEMBER, ILLEGAL_GENERATION)
    assert first_join(side, group)["MemberId"] != found["MemberId"]


@pytest.mark.parametrize("version", (0, 1, 2, 3))
def test_join_before_v4_is_let_in_at_once(side, group, version):
    found = first_join(side, group, version)
    assert (found["ErrorCode"], found["Leader"]) == (0, found["MemberId"]) and found["MemberId"]


@pytest.mark.parametrize("version", (5, 9))
def test_static_member_without_a_member_id_is_let_in_at_once(side, group, version):
    found = first_join(side, group, version, instance="one")
    assert (found["ErrorCode"], found["Leader"]) == (0, found["MemberId"]) and found["MemberId"]


def test_join_with_an_id_nobody_gave_is_unknown_member_id(side, group):
    for version in (0, 4, 5, 9):
        found = side.call("JoinGroup", version, **join_fields(group, "nobody", version))
        assert found["ErrorCode"] == UNKNOWN_MEMBER


def test_join_of_another_protocol_or_type_is_inconsistent_group_protocol(side, group):
    settled(side, group)
    for wrong in ({"protocols": OTHER}, {"kind": "connect"}, {"protocols": []}):
        for version in (3, 5):
            assert first_join(side, group, version, **wrong)["ErrorCode"] == INCONSISTENT
    assert first_join(side, group + "-new", 3, protocols=[])["ErrorCode"] == INCONSISTENT


@pytest.mark.parametrize("session_ms, error", ((5999, INVALID_SESSION), (1800001, INVALID_SESSION), (-1, INVALID_SESSION),
                                               (6000, 0), (1800000, 0)))
def test_session_timeout_outside_6_seconds_to_30_minutes_is_invalid(side, group, session_ms, error):
    assert join(side, group, session=session_ms)["ErrorCode"] == error


def test_join_without_a_group_is_invalid_group_id(side):
    for version in (0, 5, 9):
        assert first_join(side, "", version)["ErrorCode"] == INVALID_GROUP


# ---- rebalances ----


def test_only_the_leader_is_told_the_members(side, group):
    one, two = pair(side, group)
    assert one["Leader"] == two["Leader"] == one["MemberId"]
    assert sorted(m["MemberId"] for m in one["Members"]) == sorted((one["MemberId"], two["MemberId"]))
    assert two["Members"] == []


def test_follower_that_joins_again_unchanged_keeps_the_generation(side, group):
    one, two = pair(side, group)
    found = side.call("JoinGroup", 5, **join_fields(group, two["MemberId"]))
    assert (found["ErrorCode"], found["GenerationId"], found["Leader"]) == (0, one["GenerationId"], one["MemberId"])
    assert state(side, group)["GroupState"] == "Stable"


# Apache Kafka 4.3.1 does not answer a follower that has changed its protocols once the leader has joined again.
@pytest.mark.parametrize("who", ("leader", pytest.param("follower that changed", marks=only_millrace)))
def test_rejoin_that_changes_something_begins_a_rebalance(side, group, who):
    one, two = pair(side, group)
    again, other = (one, two) if who == "leader" else (two, one)
    coming = begin_join(side, group, again["MemberId"], protocols=None if who == "leader" else CHANGED)
    wait_state(side, group, "PreparingRebalance")
    assert beat(side, group, other["MemberId"], other["GenerationId"]) == REBALANCING
    side.call("JoinGroup", 5, **join_fields(group, other["MemberId"]))
    assert coming.wait()["GenerationId"] == one["GenerationId"] + 1


@pytest.mark.parametrize("version", (0, 1, 3, 4))
def test_heartbeat_is_rebalance_in_progress_while_members_join_and_good_while_they_sync(side, group, version):
    first, generation = settled(side, group)
    second = first_join(side, group)["MemberId"]
    coming = begin_join(side, group, second)
    wait_state(side, group, "PreparingRebalance", 2)
    assert beat(side, group, first, generation, version) == REBALANCING
    generation = side.call("JoinGroup", 5, **join_fields(group, first))["GenerationId"]
    coming.wait()
    wait_state(side, group, "CompletingRebalance", 2)
    assert beat(side, group, first, generation, version) == beat(side, group, second, generation, version) == 0


def test_heartbeat_of_another_generation_or_member_is_refused(side, group):
    member, generation = settled(side, group)
    assert [beat(side, group, member, generation + more) for more in (0, 1, -1)] == [0] + [ILLEGAL_GENERATION] * 2
    assert beat(side, group, "nobody", generation) == UNKNOWN_MEMBER
    assert beat(side, group + "-unknown", member, generation) == UNKNOWN_MEMBER


def test_sync_v5_compares_protocol_type_and_name(side, group):
    member, generation = settled(side, group)

    def ask(kind, name):
        return sync(side, group, member, generation, version=5, ProtocolType=kind, ProtocolName=name)
    for kind, name in (("connect", "range"), ("consumer", "other"), (None, None)):
        assert ask(kind, name)["ErrorCode"] == INCONSISTENT
    found = ask("consumer", "range")
    assert (found["ErrorCode"], found["ProtocolType"], found["ProtocolName"]) == (0, "consumer", "range")
    assert found["Assignment"] == b"mine"


def test_sync_of_a_follower_waits_for_the_leaders_assignment(side, group):
    one, two = pair(side, group, stable=False)
    held = side.start("SyncGroup", 3, GroupId=group, MemberId=two["MemberId"], GenerationId=two["GenerationId"], Assignments=[])
    time.sleep(0.2)
    assert held.thread.is_alive()
    given = {one["MemberId"]: b"1", two["MemberId"]: b"2"}
    assert sync(side, group, one["MemberId"], one["GenerationId"], assignments=given)["Assignment"] == b"1"
    assert held.wait()["Assignment"] == b"2"


# ---- static members ----


def test_same_instance_with_a_new_member_id_replaces_the_old_one_without_a_rebalance(side, group):
    old, generation = settled(side, group, instance="one")
    found = first_join(side, group, instance="one")
    assert (found["ErrorCode"], found["GenerationId"]) == (0, generation) and found["MemberId"] != old
    assert state(side, group)["GroupState"] == "Stable"
    assert sync(side, group, found["MemberId"], generation, GroupInstanceId="one")["Assignment"] == b"mine"


def test_replaced_static_member_is_fenced_instance_id_wherever_it_asks(side, group):
    old, generation = settled(side, group, instance="one")
    assert first_join(side, group, instance="one")["ErrorCode"] == 0
    assert beat(side, group, old, generation, GroupInstanceId="one") == FENCED_INSTANCE
    assert sync(side, group, old, generation, GroupInstanceId="one")["ErrorCode"] == FENCED_INSTANCE
    assert side.call("JoinGroup", 5, **join_fields(group, old, instance="one"))["ErrorCode"] == FENCED_INSTANCE
    left = side.call("LeaveGroup", 3, GroupId=group, Members=[{"MemberId": old, "GroupInstanceId": "one"}])
    assert [one["ErrorCode"] for one in left["Members"]] == [FENCED_INSTANCE]


def test_static_member_that_hangs_up_stays_in_the_group(side, group):
    coming = side.start("JoinGroup", 5, **join_fields(group, instance="one"))
    member = coming.wait()["MemberId"]
    assert [(m["MemberId"], m["GroupInstanceId"]) for m in state(side, group)["Members"]] == [(member, "one")]


def test_leave_v3_takes_members_out_by_instance_id(side, group):
    settled(side, group, instance="one")
    asked = [{"MemberId": "", "GroupInstanceId": name} for name in ("one", "two")]
    left = side.call("LeaveGroup", 4, GroupId=group, Members=asked)
    assert (left["ErrorCode"], [m["ErrorCode"] for m in left["Members"]]) == (0, [0, UNKNOWN_MEMBER])
    assert (state(side, group)["GroupState"], state(side, group)["Members"]) == ("Empty", [])


def test_join_v9_tells_a_returning_static_leader_to_skip_the_assignment(side, group):
    settled(side, group, instance="one")
    found = first_join(side, group, 9, instance="one")
    assert (found["ErrorCode"], found["SkipAssignment"], found["Leader"]) == (0, True, found["MemberId"])
    fresh = first_join(side, group + "-fresh", 9, instance="one")
    assert (fresh["ErrorCode"], fresh["SkipAssignment"]) == (0, False)


# ---- three groups at once ----


class Member(threading.Thread):
    """A consumer's part in a group, on a connection of its own, until it is told to leave. Keeps the errors it heard."""

    def __init__(self, side, group, instance):
        super().__init__(daemon=True)
        self.side, self.group, self.instance = side, group, instance
        self.connection, self.leaving, self.errors, self.generation = Connection(side.address), threading.Event(), [], None
        self.start()

    def ask(self, name, version, **fields):
        answer = self.side.exchange(self.connection, name, version, fields)
        self.errors.append(answer["ErrorCode"])
        return answer

    def run(self):
        member = ""
        while not self.leaving.is_set():
            answer = self.ask("JoinGroup", 5, **join_fields(self.group, member, instance=self.instance))
            member = answer["MemberId"]
            if answer["ErrorCode"] == 0:
                self.work({"GroupId": self.group, "MemberId": member, "GenerationId": answer["GenerationId"],
                           "GroupInstanceId": self.instance}, answer["Members"])
        if self.instance is None:
            self.ask("LeaveGroup", 1, GroupId=self.group, MemberId=member)

    def work(self, who, members):
        """Until the next rebalance."""
        given = [{"MemberId": m["MemberId"], "Assignment": b"a"} for m in members]
        if self.ask("SyncGroup", 3, Assignments=given, **who)["ErrorCode"] == 0:
            self.generation = who["GenerationId"]
        while not self.leaving.is_set() and self.ask("Heartbeat", 3, **who)["ErrorCode"] == 0:
            time.sleep(0.05)
        self.generation = None


def settle(side, groups, members):
    def stable():
        return all(state(side, name)["GroupState"] == "Stable" for name in groups) and all(m.generation for m in members)
    lib.wait_until(stable, 30, "three stable groups")


@pytest.mark.parametrize("static", (False, True), ids=("dynamic", "static"))
def test_members_of_three_groups_that_come_and_go_at_once_never_hear_unknown_member_id(side, group, static):
    groups = ["%s-%d" % (group, number) for number in range(3)]

    def start(number):
        return [Member(side, name, "m%d" % number if static else None) for name in groups]
    members = everyone = [member for number in range(3) for member in start(number)]
    settle(side, groups, members)
    for number in range(3):  # one of each group goes, and is there again at once
        for member in members[:3]:
            member.leaving.set()
        members = members[3:] + start(number)
        everyone = everyone + members[-3:]
        settle(side, groups, members)
    for member in members:
        member.leaving.set()
    for member in everyone:
        member.join(10)
    heard = {error for member in everyone for error in member.errors}
    assert heard <= {0, MEMBER_ID_REQUIRED, REBALANCING} | ({FENCED_INSTANCE} if static else set()), heard
