# SPDX-License-Identifier: Apache-2.0
"""Rebalances of classic groups step by step: votes, who may rejoin when, members that are not in yet, static twins."""

import time

from cases_groups import beat, commit, describe, join, join_fields, member_of, sync, warm

BOTH = [{"Name": "range", "Metadata": b"r"}, {"Name": "roundrobin", "Metadata": b"rr"}]
OTHER_ORDER = BOTH[::-1]
ONE = [{"Name": "roundrobin", "Metadata": b"only"}]


def pair(side, group, first_protocols=BOTH, second_protocols=BOTH, **fields):
    """A group of two after its join phase: their answers, the leader's first."""
    one = join(side, group, protocols=first_protocols, **fields)
    two_id = side.call("JoinGroup", 5, None, **join_fields(group, protocols=second_protocols, **fields))[
        "MemberId"
    ]
    waiting = side.start("JoinGroup", 5, **join_fields(group, two_id, protocols=second_protocols, **fields))
    time.sleep(0.3)
    again = side.start(
        "JoinGroup", 5, **join_fields(group, one["MemberId"], protocols=first_protocols, **fields)
    )
    return again.wait(), waiting.wait()


def settle(side, group, answers):
    """Both sync; the group is stable."""
    leader, other = answers
    held = side.start(
        "SyncGroup",
        3,
        GroupId=group,
        MemberId=other["MemberId"],
        GenerationId=other["GenerationId"],
        Assignments=[],
    )
    time.sleep(0.2)
    sync(
        side,
        group,
        leader["MemberId"],
        leader["GenerationId"],
        assignments={leader["MemberId"]: b"1", other["MemberId"]: b"2"},
    )
    return held.wait()


def votes(side):
    warm(side)
    for name, first, second in (("same", BOTH, BOTH), ("one", BOTH, ONE), ("tie", BOTH, OTHER_ORDER)):
        answers = pair(side, f"votes-{name}", first, second)
        for answer in answers:
            if name == "tie":  # either may win
                answer = {k: v for k, v in answer.items() if k not in ("ProtocolName", "Members")}
            side.note(f"{name}", answer)
        settle(side, f"votes-{name}", answers)
        if name != "tie":
            describe(side, f"{name} described", f"votes-{name}")


def rejoin_while_completing(side):
    leader, follower = pair(side, "completing")
    side.call(
        "JoinGroup", 5, "follower again", **join_fields("completing", follower["MemberId"], protocols=BOTH)
    )
    side.call("JoinGroup", 5, "leader again", **join_fields("completing", leader["MemberId"], protocols=BOTH))
    describe(side, "still completing", "completing")
    settle(side, "completing", (leader, follower))
    side.call(
        "JoinGroup",
        5,
        "follower again when stable",
        **join_fields("completing", follower["MemberId"], protocols=BOTH),
    )
    waiting = side.start("JoinGroup", 5, **join_fields("completing", leader["MemberId"], protocols=BOTH))
    time.sleep(0.3)
    describe(side, "leader's rejoin rebalances", "completing")
    beat(side, "completing", follower["MemberId"], follower["GenerationId"], "follower hears of it")
    again = side.start("JoinGroup", 5, **join_fields("completing", follower["MemberId"], protocols=BOTH))
    side.note("leader in", waiting.wait())
    side.note("follower in", again.wait())


def leave_while_completing(side):
    leader, follower = pair(side, "leaving")
    held = side.start(
        "SyncGroup",
        3,
        GroupId="leaving",
        MemberId=follower["MemberId"],
        GenerationId=follower["GenerationId"],
        Assignments=[],
    )
    time.sleep(0.3)
    side.call("LeaveGroup", 1, "leader leaves", GroupId="leaving", MemberId=leader["MemberId"])
    side.note("follower's sync", held.wait())
    describe(side, "described", "leaving")
    side.call(
        "JoinGroup", 5, "follower joins again", **join_fields("leaving", follower["MemberId"], protocols=BOTH)
    )


def pending(side):
    """A member that has its id and has not joined with it yet."""
    member = side.call("JoinGroup", 5, "id", **join_fields("pending"))["MemberId"]
    describe(side, "described", "pending")
    side.call("ListGroups", 4, None)
    beat(side, "pending", member, 0, "beats")
    beat(side, "pending", member, -1, "beats at -1")
    sync(side, "pending", member, 0, "syncs")
    commit(side, "pending", member, 0, "commits")
    side.call("JoinGroup", 5, "joins another group with it", **join_fields("pending-other", member))
    side.call(
        "LeaveGroup", 3, "leaves", GroupId="pending", Members=[{"MemberId": member, "GroupInstanceId": None}]
    )
    side.call("JoinGroup", 5, "joins after leaving", **join_fields("pending", member))
    member = side.call("JoinGroup", 5, "id again", **join_fields("pending"))["MemberId"]
    side.call("DeleteGroups", 2, "deleted", GroupsNames=["pending"])
    side.call("JoinGroup", 5, "joins after the group", **join_fields("pending", member))


def static_twins(side):
    """Two clients with one instance id at once."""
    member_of(side, "twins")
    one = side.start("JoinGroup", 5, **join_fields("twins", instance="twin"))
    time.sleep(0.3)
    two = side.start("JoinGroup", 5, **join_fields("twins", instance="twin"))
    time.sleep(0.3)
    side.note("first twin", one.wait())
    describe(side, "described", "twins")
    side.note("second twin", two.wait())  # once the one that did not come back is out


def static_expiry(side):
    joined = join(side, "static-late", "join", instance="one", session=6000)
    sync(side, "static-late", joined["MemberId"], joined["GenerationId"], assignments={}, GroupInstanceId="one")
    time.sleep(3)
    describe(side, "within its session", "static-late")
    time.sleep(5)
    describe(side, "after its session", "static-late")
    beat(side, "static-late", joined["MemberId"], joined["GenerationId"], "beats after", GroupInstanceId="one")
    join(side, "static-late", "joins with its id", joined["MemberId"], instance="one")
    join(side, "static-late", "joins anew", instance="one")


def gone_while_joining(side):
    """A client that hangs up in the middle of JoinGroup stays a member."""
    member, generation = member_of(side, "gone")
    second = side.call("JoinGroup", 5, None, **join_fields("gone"))["MemberId"]
    held = side.start("JoinGroup", 5, **join_fields("gone", second))
    time.sleep(0.3)
    held.connection.socket.shutdown(2)
    time.sleep(0.3)
    describe(side, "described", "gone")
    again = side.start("JoinGroup", 5, **join_fields("gone", member))
    time.sleep(0.3)
    describe(side, "completing", "gone")
    side.note("first joined", again.wait())
    beat(side, "gone", second, generation + 1, "the one that hung up beats")


CASES = [
    votes,
    rejoin_while_completing,
    leave_while_completing,
    pending,
    static_twins,
    static_expiry,
    gone_while_joining,
]
