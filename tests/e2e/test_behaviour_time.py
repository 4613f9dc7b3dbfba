# SPDX-License-Identifier: Apache-2.0
# What groups do by the clock, with short times: pending members, delays and time-outs of rebalances, sessions, offsets.
import time

import pytest

import cluster as lib
from behaviour import broker, only_millrace
from cases_groups import join, join_fields, sync, warm

UNKNOWN_MEMBER, MEMBER_ID_REQUIRED = 25, 79
DELAY_S = 1
pytestmark = only_millrace


@pytest.fixture(scope="module")
def side():
    with broker({"coordinator": {"group.initial.rebalance.delay.ms": int(DELAY_S * 1000),
                                 "group.min.session.timeout.ms": 100}}) as found:
        warm(found)
        yield found


@pytest.fixture
def group(request):
    return request.node.name


def seconds(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def state(side, group):
    return side.call("DescribeGroups", 5, Groups=[group])["Groups"][0]


def beat(side, group, member, generation):
    return side.call("Heartbeat", 3, GroupId=group, MemberId=member, GenerationId=generation)["ErrorCode"]


def settled(side, group, **fields):
    joined = join(side, group, **fields)
    member, generation = joined["MemberId"], joined["GenerationId"]
    assert sync(side, group, member, generation, assignments={member: b"mine"})["ErrorCode"] == 0
    return member, generation


def test_first_rebalance_of_an_empty_group_waits_for_group_initial_rebalance_delay_ms(side, group):
    held = side.start("JoinGroup", 3, **join_fields(group, version=3))
    lib.wait_until(lambda: state(side, group)["GroupState"] == "PreparingRebalance", 10)
    other = side.start("JoinGroup", 3, **join_fields(group, version=3))
    took = seconds(lambda: (held.wait(), other.wait()))
    assert 0.1 < took < 5 and held.answer["GenerationId"] == other.answer["GenerationId"] == 1
    assert len(held.answer["Members"] + other.answer["Members"]) == 2


def test_member_that_does_not_join_with_the_id_it_was_given_is_forgotten_after_its_session(side, group):
    given = side.call("JoinGroup", 5, **join_fields(group, session=300))
    assert given["ErrorCode"] == MEMBER_ID_REQUIRED
    time.sleep(1)
    again = side.call("JoinGroup", 5, **join_fields(group, given["MemberId"], session=300))
    assert again["ErrorCode"] == UNKNOWN_MEMBER


def test_rebalance_waits_for_the_longest_rebalance_timeout_of_its_members(side, group):
    member, generation = settled(side, group, rebalance=2000, session=60000)
    second = side.call("JoinGroup", 5, **join_fields(group, rebalance=100, session=60000))["MemberId"]
    found = []
    took = seconds(lambda: found.append(side.call("JoinGroup", 5, **join_fields(
        group, second, rebalance=100, session=60000))))
    assert 1.9 < took < 10 and found[0]["ErrorCode"] == 0
    assert [one["MemberId"] for one in found[0]["Members"]] == [second], "who did not come back is out"
    assert beat(side, group, member, generation) == UNKNOWN_MEMBER


def test_member_whose_session_ends_is_taken_out_and_the_others_rebalance(side, group):
    member, generation = settled(side, group, session=2000)
    assert beat(side, group, member, generation) == 0
    lib.wait_until(lambda: state(side, group)["GroupState"] == "Empty", 10, "the member to be out")
    assert beat(side, group, member, generation) == UNKNOWN_MEMBER


def test_static_member_that_is_silent_is_taken_out_at_the_end_of_its_session_and_not_before(side, group):
    joined = join(side, group, instance="one", session=3000)
    sync(side, group, joined["MemberId"], joined["GenerationId"], assignments={}, GroupInstanceId="one")
    time.sleep(0.5)
    assert [m["GroupInstanceId"] for m in state(side, group)["Members"]] == ["one"]
    lib.wait_until(lambda: state(side, group)["Members"] == [], 10, "the member to be out")


def test_member_that_does_not_sync_in_its_rebalance_timeout_is_taken_out(side, group):
    joined = join(side, group, rebalance=2000, session=60000)
    assert state(side, group)["GroupState"] == "CompletingRebalance"
    lib.wait_until(lambda: state(side, group)["GroupState"] == "Empty", 10, "the member to be out")
    assert beat(side, group, joined["MemberId"], joined["GenerationId"]) == UNKNOWN_MEMBER


def test_heartbeat_keeps_a_member_beyond_its_session(side, group):
    member, generation = settled(side, group, session=2000)
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        assert beat(side, group, member, generation) == 0
        time.sleep(0.1)
