# SPDX-License-Identifier: Apache-2.0
"""Classic groups: joining, syncing, heartbeats, leaving, committed offsets, and what administrators see of them."""

import struct
import time

from side import wait_for

PROTOCOL = [{"Name": "range", "Metadata": b"\0\0\0\0\0\1\0\1t\0\0\0\0"}]


def join_fields(
    group,
    member="",
    version=5,
    protocols=None,
    session=10000,
    rebalance=10000,
    kind="consumer",
    instance=None,
    **more,
):
    fields = {
        "GroupId": group,
        "MemberId": member,
        "SessionTimeoutMs": session,
        "ProtocolType": kind,
        "Protocols": PROTOCOL if protocols is None else protocols,
        **more,
    }
    if version >= 1:
        fields["RebalanceTimeoutMs"] = rebalance
    if version >= 5 and instance is not None:
        fields["GroupInstanceId"] = instance
    return fields


def join(side, group, label=None, member="", version=5, **fields):
    answer = side.call("JoinGroup", version, label, **join_fields(group, member, version, **fields))
    if answer.get("ErrorCode") == 79:
        answer = side.call(
            "JoinGroup",
            version,
            label and label + " again",
            **join_fields(group, answer["MemberId"], version, **fields),
        )
    return answer


def sync(side, group, member, generation, label=None, version=3, assignments=None, **fields):
    given = [{"MemberId": m, "Assignment": a} for m, a in (assignments or {}).items()]
    return side.call(
        "SyncGroup",
        version,
        label,
        GroupId=group,
        MemberId=member,
        GenerationId=generation,
        Assignments=given,
        **fields,
    )


def member_of(side, group, label=None, **fields):
    """A group of one, stable. Its member's id and generation."""
    joined = join(side, group, label and label + " join", **fields)
    sync(
        side,
        group,
        joined["MemberId"],
        joined["GenerationId"],
        label and label + " sync",
        assignments={joined["MemberId"]: b"mine"},
    )
    return joined["MemberId"], joined["GenerationId"]


def beat(side, group, member, generation, label, version=3, **fields):
    return side.call(
        "Heartbeat", version, label, GroupId=group, MemberId=member, GenerationId=generation, **fields
    )


def describe(side, label, *groups, version=5, **fields):
    side.call("DescribeGroups", version, label, Groups=list(groups), **fields)


def warm(side):
    """The coordinator's topic exists and is led."""

    def ready():
        side.call("FindCoordinator", 4, KeyType=0, CoordinatorKeys=["warm"])  # Kafka makes the topic when it is asked
        return side.call("OffsetFetch", 7, GroupId="warm", Topics=None)["ErrorCode"] == 0

    wait_for(ready, "a coordinator", 30)


def join_errors(side):
    warm(side)
    for version in range(0, 10):
        tag = f" v{version}"
        join(side, f"join-{version}", "join" + tag, version=version)
        join(side, f"join-{version}", "unknown member" + tag, "nobody-1", version)
        join(side, f"join-none-{version}", "unknown member of unknown group" + tag, "nobody-1", version)
        join(side, "", "empty group" + tag, version=version)
        for session in (-1, 0, 5999, 1800001):
            join(side, f"join-session-{version}", f"session {session}" + tag, version=version, session=session)
        join(side, f"join-protocols-{version}", "no protocols" + tag, version=version, protocols=[])
        join(side, f"join-type-{version}", "empty type" + tag, version=version, kind="")
        join(side, f"join-member-{version}", "member id without group" + tag, "m", version)
    join(side, "join-reason", "reason", version=8, Reason="because")
    join(side, "join-negative", "negative rebalance timeout", version=5, rebalance=-1)
    for version in (5, 9):
        join(side, f"static-{version}", f"static v{version}", version=version, instance="one")
        join(side, f"static-bad-{version}", f"static empty instance v{version}", version=version, instance="")
        join(side, f"static-bad-{version}", f"static bad instance v{version}", version=version, instance="a b")


def join_mismatch(side):
    member, generation = member_of(side, "mismatch", "first")
    other = [{"Name": "other", "Metadata": b""}]
    side.call("JoinGroup", 3, "another protocol", **join_fields("mismatch", version=3, protocols=other))
    side.call("JoinGroup", 5, "another protocol v5", **join_fields("mismatch", protocols=other))
    side.call("JoinGroup", 3, "another type", **join_fields("mismatch", version=3, kind="connect"))
    side.call("JoinGroup", 3, "no protocols", **join_fields("mismatch", version=3, protocols=[]))
    describe(side, "described", "mismatch")
    side.call("JoinGroup", 5, "member changes to another", **join_fields("mismatch", member, protocols=other))
    side.call("JoinGroup", 5, "member changes type", **join_fields("mismatch", member, kind="connect"))
    describe(side, "described after", "mismatch")


def life(side):
    """One member through everything, every version."""
    for version in range(0, 6):
        group = f"life-{version}"
        joined = join(side, group, f"join v{version}", version=version)
        member, generation = joined["MemberId"], joined["GenerationId"]
        describe(side, f"before sync v{version}", group)
        beat(side, group, member, generation, f"beat before sync v{version}", min(version, 4))
        fields = {"ProtocolType": "consumer", "ProtocolName": "range"} if version >= 5 else {}
        sync(side, group, member, generation, f"sync v{version}", version, {member: b"mine"}, **fields)
        sync(side, group, member, generation, f"sync again v{version}", version, {}, **fields)
        beat(side, group, member, generation, f"beat v{version}", min(version, 4))
        beat(side, group, member, generation + 1, f"beat newer v{version}", min(version, 4))
        beat(side, group, member, -1, f"beat -1 v{version}", min(version, 4))
        beat(side, group, "nobody", generation, f"beat nobody v{version}", min(version, 4))
        beat(side, group, "", generation, f"beat empty v{version}", min(version, 4))
        beat(side, group + "x", member, generation, f"beat unknown group v{version}", min(version, 4))
        beat(side, "", member, generation, f"beat no group v{version}", min(version, 4))
        sync(side, group, member, generation + 1, f"sync newer v{version}", version, {}, **fields)
        sync(side, group, "nobody", generation, f"sync nobody v{version}", version, {}, **fields)
        sync(side, group + "x", member, generation, f"sync unknown group v{version}", version, {}, **fields)
        sync(side, "", member, generation, f"sync no group v{version}", version, {}, **fields)
        if version >= 5:
            sync(
                side,
                group,
                member,
                generation,
                "sync other type",
                5,
                {},
                ProtocolType="connect",
                ProtocolName="range",
            )
            sync(
                side,
                group,
                member,
                generation,
                "sync other protocol",
                5,
                {},
                ProtocolType="consumer",
                ProtocolName="other",
            )
            sync(side, group, member, generation, "sync null type", 5, {}, ProtocolType=None, ProtocolName=None)
        rejoined = join(side, group, f"rejoin v{version}", member, version)
        sync(
            side,
            group,
            member,
            rejoined["GenerationId"],
            f"sync 2 v{version}",
            version,
            {member: b"more"},
            **fields,
        )
        describe(side, f"stable v{version}", group)
        if version < 3:
            side.call("LeaveGroup", version, f"leave nobody v{version}", GroupId=group, MemberId="nobody")
            side.call(
                "LeaveGroup", version, f"leave unknown group v{version}", GroupId=group + "x", MemberId=member
            )
            side.call("LeaveGroup", version, f"leave no group v{version}", GroupId="", MemberId=member)
            side.call("LeaveGroup", version, f"leave v{version}", GroupId=group, MemberId=member)
        else:

            def leave(label, group_id, *members):
                side.call(
                    "LeaveGroup",
                    version,
                    f"{label} v{version}",
                    GroupId=group_id,
                    Members=[{"MemberId": m, "GroupInstanceId": i} for m, i in members],
                )

            leave("leave nobody", group, ("nobody", None))
            leave("leave wrong instance", group, (member, "one"))
            leave("leave unknown instance", group, ("", "one"))
            leave("leave empty", group, ("", None))
            leave("leave unknown group", group + "x", (member, None))
            leave("leave unknown group nobody named", group + "x")
            leave("leave no group", "", (member, None))
            leave("leave none", group)
            leave("leave twice", group, (member, None), (member, None))
        beat(side, group, member, generation, f"beat after leave v{version}", min(version, 4))
        sync(side, group, member, generation, f"sync after leave v{version}", version, {}, **fields)
        join(side, group, f"join after leave v{version}", member, version)
        describe(side, f"after leave v{version}", group)


def two_members(side):
    """A second member comes: who hears what."""
    first, generation = member_of(side, "two", "first")
    second = side.call("JoinGroup", 5, "second", **join_fields("two"))["MemberId"]
    describe(side, "second pending", "two")
    beat(side, "two", first, generation, "beat while pending")
    waiting = side.start("JoinGroup", 5, **join_fields("two", second))
    time.sleep(0.3)
    describe(side, "preparing", "two")
    beat(side, "two", first, generation, "beat while preparing")
    beat(side, "two", second, generation, "beat of the new one")
    sync(side, "two", first, generation, "sync while preparing")
    commit(side, "two", first, generation, "commit while preparing")
    again = side.start("JoinGroup", 5, **join_fields("two", first))
    one, two = again.wait(), waiting.wait()
    side.note("first rejoined", one)
    side.note("second joined", two)
    generation = one["GenerationId"]
    describe(side, "completing", "two")
    beat(side, "two", first, generation, "beat while completing")
    beat(side, "two", second, generation - 1, "old generation while completing")
    commit(side, "two", first, generation, "commit while completing")
    held = side.start("SyncGroup", 3, GroupId="two", MemberId=second, GenerationId=generation, Assignments=[])
    time.sleep(0.2)
    sync(
        side, "two", first, generation, "leader syncs", assignments={first: b"a", second: b"b", "nobody": b"c"}
    )
    side.note("follower synced", held.wait())
    describe(side, "stable", "two")
    side.call("JoinGroup", 5, "follower rejoins unchanged", **join_fields("two", second))
    describe(side, "still stable", "two")
    changed = [{"Name": "range", "Metadata": b"changed"}]
    waiting = side.start("JoinGroup", 5, **join_fields("two", second, protocols=changed))
    time.sleep(0.3)
    beat(side, "two", first, generation, "beat after change")
    side.call(
        "LeaveGroup",
        3,
        "leader leaves while preparing",
        GroupId="two",
        Members=[{"MemberId": first, "GroupInstanceId": None}],
    )
    side.note("second leads", waiting.wait())
    describe(side, "second alone", "two")
    side.call("LeaveGroup", 1, "second leaves while completing", GroupId="two", MemberId=second)
    describe(side, "nobody left", "two")


def static_members(side):
    joined = join(side, "static", "join", instance="one")
    old, generation = joined["MemberId"], joined["GenerationId"]
    sync(side, "static", old, generation, "sync", assignments={old: b"mine"}, GroupInstanceId="one")
    beat(side, "static", old, generation, "beat with instance", GroupInstanceId="one")
    beat(side, "static", old, generation, "beat without instance")
    beat(side, "static", old, generation, "beat with another instance", GroupInstanceId="two")
    rejoined = join(side, "static", "same instance, new member", instance="one")
    new = rejoined["MemberId"]
    generation = rejoined["GenerationId"]
    beat(side, "static", old, generation, "old beats", GroupInstanceId="one")
    sync(side, "static", old, generation, "old syncs", GroupInstanceId="one")
    join(side, "static", "old joins", old, instance="one")
    commit(side, "static", old, generation, "old commits", instance="one")
    side.call(
        "LeaveGroup", 3, "old leaves", GroupId="static", Members=[{"MemberId": old, "GroupInstanceId": "one"}]
    )
    sync(side, "static", new, generation, "new syncs", assignments={}, GroupInstanceId="one")
    beat(side, "static", new, generation, "new beats", GroupInstanceId="one")
    describe(side, "described", "static")
    again = join(side, "static", "v9 skips", instance="one", version=9)
    sync(
        side,
        "static",
        again["MemberId"],
        again["GenerationId"],
        "after v9",
        version=5,
        ProtocolType="consumer",
        ProtocolName="range",
        GroupInstanceId="one",
    )
    changed = [{"Name": "range", "Metadata": b"changed"}]
    again = join(side, "static", "changed protocols", instance="one", protocols=changed)
    sync(
        side,
        "static",
        again["MemberId"],
        again["GenerationId"],
        "after change",
        assignments={again["MemberId"]: b"z"},
        GroupInstanceId="one",
    )
    side.call(
        "LeaveGroup",
        4,
        "admin removes by instance",
        GroupId="static",
        Members=[{"MemberId": "", "GroupInstanceId": "one"}],
    )
    describe(side, "empty", "static")
    side.call(
        "LeaveGroup",
        4,
        "admin removes again",
        GroupId="static",
        Members=[{"MemberId": "", "GroupInstanceId": "one"}],
    )


def commit(
    side,
    group,
    member="",
    generation=-1,
    label=None,
    version=7,
    offset=5,
    topic="commits",
    partition=0,
    metadata="",
    instance=None,
    **fields,
):
    if version >= 7 and instance is not None:
        fields["GroupInstanceId"] = instance
    return side.call(
        "OffsetCommit",
        version,
        label,
        GroupId=group,
        MemberId=member,
        GenerationIdOrMemberEpoch=generation,
        Topics=[
            {
                "Name": topic,
                "Partitions": [
                    {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": metadata}
                ],
            }
        ],
        **fields,
    )


def fetch_offsets(side, label, group, topics=(("commits", (0, 1)),), version=7, **fields):
    asked = None if topics is None else [{"Name": t, "PartitionIndexes": list(p)} for t, p in topics]
    if version < 8:
        side.call("OffsetFetch", version, label, GroupId=group, Topics=asked, **fields)
    else:
        side.call("OffsetFetch", version, label, Groups=[{"GroupId": group, "Topics": asked}], **fields)


def offsets(side):
    warm(side)
    topic = side.topic("commits", 2)
    for version in range(2, 10):
        group = f"commits-{version}"
        commit(side, group, label=f"simple v{version}", version=version)
        commit(side, group, label=f"unknown topic v{version}", version=version, topic="commits-unknown")
        commit(side, group, label=f"unknown partition v{version}", version=version, partition=9)
        commit(side, group, label=f"negative partition v{version}", version=version, partition=-1)
        commit(side, group, label=f"negative offset v{version}", version=version, offset=-5, partition=1)
        commit(side, group, "nobody", label=f"member id without generation v{version}", version=version)
        commit(side, group, "nobody", 5, label=f"generation of an empty group v{version}", version=version)
        commit(side, group, "", 5, label=f"generation without member v{version}", version=version)
        commit(side, group + "x", "nobody", 5, label=f"unknown group v{version}", version=version)
        commit(side, "", label=f"no group v{version}", version=version)
        commit(side, group, label=f"large metadata v{version}", version=version, metadata="x" * 4097)
        commit(side, group, label=f"largest metadata v{version}", version=version, metadata="x" * 4096)
        commit(side, group, label=f"null metadata v{version}", version=version, metadata=None)
        commit(side, group, label=f"bad name v{version}", version=version, topic="a b")
        side.call(
            "OffsetCommit",
            version,
            f"nothing v{version}",
            GroupId=group,
            GenerationIdOrMemberEpoch=-1,
            Topics=[],
        )
    for version in range(1, 10):
        fetch_offsets(side, f"fetch v{version}", "commits-7", version=version)
        fetch_offsets(
            side,
            f"fetch unknown topic v{version}",
            "commits-7",
            (("commits-unknown", (0,)), ("commits", (9, -1))),
            version,
        )
        fetch_offsets(side, f"fetch unknown group v{version}", "commits-nobody", version=version)
        fetch_offsets(side, f"fetch no group v{version}", "", version=version)
        fetch_offsets(side, f"fetch nothing v{version}", "commits-7", (), version)
        if version >= 2:
            fetch_offsets(side, f"fetch all v{version}", "commits-7", None, version)
            fetch_offsets(side, f"fetch all of unknown v{version}", "commits-nobody", None, version)
        if version >= 7:
            fetch_offsets(side, f"fetch stable v{version}", "commits-7", version=version, RequireStable=True)
    side.call(
        "OffsetFetch",
        8,
        "groups",
        Groups=[
            {"GroupId": g, "Topics": t}
            for g, t in (
                ("commits-7", None),
                ("commits-8", [{"Name": "commits", "PartitionIndexes": [0]}]),
                ("commits-nobody", None),
            )
        ],
    )
    side.call("OffsetFetch", 8, "no groups", Groups=[])
    side.call("OffsetFetch", 8, "group twice", Groups=[{"GroupId": "commits-7", "Topics": None}] * 2)
    side.call(
        "OffsetFetch",
        9,
        "member of a classic group",
        Groups=[{"GroupId": "commits-7", "MemberId": "m", "MemberEpoch": 3, "Topics": None}],
    )
    for label, which in (("by id", topic), ("by an unknown id", "12345678-1234-1234-1234-123456789abc")):
        partitions = [{"PartitionIndex": 0, "CommittedOffset": 5}]
        side.call(
            "OffsetCommit",
            10,
            label,
            GroupId="commits-10",
            GenerationIdOrMemberEpoch=-1,
            Topics=[{"TopicId": which, "Partitions": partitions}],
        )
        side.call(
            "OffsetFetch",
            10,
            "fetch " + label,
            Groups=[{"GroupId": "commits-10", "Topics": [{"TopicId": which, "PartitionIndexes": [0, 1, 7]}]}],
        )
    side.call("OffsetFetch", 10, "fetch all with ids", Groups=[{"GroupId": "commits-10", "Topics": None}])
    side.call("DeleteTopics", 5, TopicNames=["commits"], TimeoutMs=10000)
    time.sleep(1.5)
    fetch_offsets(side, "after the topic", "commits-7")
    fetch_offsets(side, "all after the topic", "commits-7", None)
    side.call(
        "OffsetCommit",
        5,
        "after the topic",
        GroupId="commits-7",
        GenerationIdOrMemberEpoch=-1,
        Topics=[{"Name": "commits", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}],
    )


def commits_of_members(side):
    side.topic("commits", 2)
    member, generation = member_of(side, "committing")
    for version in range(2, 10):
        commit(side, "committing", member, generation, f"member v{version}", version)
        commit(side, "committing", member, generation + 1, f"newer generation v{version}", version)
        commit(side, "committing", member, generation - 1, f"older generation v{version}", version)
        commit(side, "committing", "nobody", generation, f"not a member v{version}", version)
        commit(side, "committing", "", -1, f"simple v{version}", version)
        commit(side, "committing", member, -1, f"member without generation v{version}", version)
        commit(side, "committing", "", generation, f"generation without member v{version}", version)
    commit(side, "committing", member, generation, "wrong instance", instance="nobody")
    commit(side, "committing", "", -1, "simple with instance", instance="nobody")
    side.call("LeaveGroup", 1, GroupId="committing", MemberId=member)
    commit(side, "committing", member, generation, "after leaving")
    commit(side, "committing", "", -1, "simple after leaving")


def administration(side):
    warm(side)
    side.topic("commits", 2)
    member, generation = member_of(side, "admin-stable")
    commit(side, "admin-stable", member, generation)
    commit(side, "admin-simple")
    for version in range(0, 7):
        describe(side, f"unknown v{version}", "admin-nobody", version=version)
        describe(side, f"stable v{version}", "admin-stable", version=version)
        describe(side, f"simple v{version}", "admin-simple", version=version)
        describe(side, f"no group v{version}", "", version=version)
        describe(side, f"none v{version}", version=version)
        describe(side, f"twice v{version}", "admin-stable", "admin-stable", version=version)
        describe(
            side,
            f"operations v{version}",
            "admin-stable",
            "admin-nobody",
            version=version,
            **({"IncludeAuthorizedOperations": True} if version >= 3 else {}),
        )

    def listed(label, version=5, **fields):
        answer = side.call("ListGroups", version, None, **fields)
        answer["Groups"] = [g for g in answer["Groups"] if g["GroupId"].startswith("admin-")]
        side.note(label, answer)

    for version in range(0, 6):
        listed(f"list v{version}", version)
    for states in (["Stable"], ["stable"], ["Empty"], ["Dead"], ["nonsense"], ["Stable", "Empty"], [""]):
        listed(f"states {states}", 4, StatesFilter=states)
        listed(f"states {states} v5", 5, StatesFilter=states)
    for kinds in (
        ["classic"],
        ["Classic"],
        ["consumer"],
        ["nonsense"],
        ["share"],
        ["classic", "consumer"],
        [""],
    ):
        listed(f"types {kinds}", 5, TypesFilter=kinds)
    listed("both", 5, TypesFilter=["classic"], StatesFilter=["Empty"])

    def delete_offsets(label, group, *topics):
        side.call(
            "OffsetDelete",
            0,
            label,
            GroupId=group,
            Topics=[
                {"Name": t, "Partitions": [{"PartitionIndex": p} for p in partitions]}
                for t, partitions in topics
            ],
        )

    delete_offsets("offsets of nobody", "admin-nobody", ("commits", (0,)))
    delete_offsets("offsets of no group", "", ("commits", (0,)))
    delete_offsets("offsets of a stable group", "admin-stable", ("commits", (0, 1)), ("commits-unknown", (0,)))
    delete_offsets(
        "offsets of an empty group", "admin-simple", ("commits", (0, 1, 9)), ("commits-unknown", (0,))
    )
    delete_offsets("nothing", "admin-simple")
    fetch_offsets(side, "after delete", "admin-simple")
    subscribed = [{"Name": "range", "Metadata": b"\0\0\0\0\0\1\0\7commits\xff\xff\xff\xff"}]
    member, generation = member_of(side, "admin-subscribed", protocols=subscribed)
    commit(side, "admin-subscribed", member, generation)
    delete_offsets(
        "offsets of a subscribed topic", "admin-subscribed", ("commits", (0,)), ("commits-unknown", (0,))
    )
    member_of(side, "admin-connect", kind="connect")
    delete_offsets("offsets of another type", "admin-connect", ("commits", (0,)))
    for version in range(0, 3):
        side.call(
            "DeleteGroups",
            version,
            f"delete v{version}",
            GroupsNames=["admin-stable", "admin-nobody", "", "admin-empty"],
        )
    side.call("DeleteGroups", 2, "delete none", GroupsNames=[])
    commit(side, "admin-gone")
    side.call("DeleteGroups", 2, "delete", GroupsNames=["admin-gone", "admin-gone"])
    side.call("DeleteGroups", 2, "delete again", GroupsNames=["admin-gone"])
    fetch_offsets(side, "after deletion", "admin-gone", None)
    describe(side, "after deletion", "admin-gone")
    describe(side, "after deletion v6", "admin-gone", version=6)


def timeouts(side):
    """A member whose session ends, one that does not rejoin, one that does not sync."""
    joined = join(side, "late", "join", session=6000, rebalance=6000)
    member, generation = joined["MemberId"], joined["GenerationId"]
    sync(side, "late", member, generation, assignments={member: b""})
    second = side.call("JoinGroup", 5, None, **join_fields("late", session=6000, rebalance=6000))["MemberId"]
    before = time.monotonic()
    answer = side.start("JoinGroup", 5, **join_fields("late", second, session=6000, rebalance=6000)).wait()
    side.note("without the first", answer)
    side.note("after", {"seconds": round((time.monotonic() - before) / 3)})
    beat(side, "late", member, generation, "the first beats")
    time.sleep(7)
    describe(side, "never synced", "late")


CASES = [
    join_errors,
    join_mismatch,
    life,
    two_members,
    static_members,
    offsets,
    commits_of_members,
    administration,
    timeouts,
]
