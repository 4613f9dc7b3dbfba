# SPDX-License-Identifier: Apache-2.0
# Committed offsets: who may commit, what comes back, offsets of open transactions.
import pytest

import cluster as lib
from behaviour import broker, metadata_of, refused
from cases_groups import commit, join, join_fields, member_of, warm
from transactional import Producer

METADATA_TOO_LARGE, ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING = 12, 22, 25, 27
GROUP_ID_NOT_FOUND, FENCED_INSTANCE, UNSTABLE, UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID = 69, 82, 88, 3, 100
NOBODY = "12345678-1234-1234-1234-123456789abc"
COMMITS = range(2, 10)


@pytest.fixture(scope="module")
def side():
    with broker() as found:
        warm(found)
        found.topic("commits", 3)
        found.topic("more")
        yield found


@pytest.fixture
def group(request):
    return request.node.name


def committing(*arguments, **fields):
    """The error of the only partition."""
    (topic,) = commit(*arguments, **fields)["Topics"]
    return topic["Partitions"][0]["ErrorCode"]


def fetched(side, group, topics={"commits": (0,)}, version=7, **fields):
    """{(topic, partition): (error, offset, metadata)}; topics None: all."""
    asked = None if topics is None else [{"Name": t, "PartitionIndexes": list(p)} for t, p in topics.items()]
    if version < 8:
        answer = side.call("OffsetFetch", version, GroupId=group, Topics=asked, **fields)
    else:
        answer = side.call("OffsetFetch", version, Groups=[{"GroupId": group, "Topics": asked}], **fields)["Groups"][0]
    assert answer.get("ErrorCode", 0) == 0
    return {(t["Name"], p["PartitionIndex"]): (p["ErrorCode"], p["CommittedOffset"], p["Metadata"])
            for t in answer["Topics"] for p in t["Partitions"]}


# ---- who may commit ----


@pytest.mark.parametrize("version", COMMITS)
def test_commit_without_a_member_is_for_empty_groups(side, group, version):
    assert committing(side, group, version=version) == 0
    member_of(side, group)
    assert committing(side, group, version=version) == UNKNOWN_MEMBER


@pytest.mark.parametrize("version", COMMITS)
def test_commit_of_another_generation_is_illegal_generation_and_of_a_stranger_unknown_member_id(side, group, version):
    member, generation = member_of(side, group)
    assert committing(side, group, member, generation, version=version) == 0
    for wrong in (generation + 1, generation - 1):
        assert committing(side, group, member, wrong, version=version) == ILLEGAL_GENERATION
    assert committing(side, group, "nobody", generation, version=version) == UNKNOWN_MEMBER


@pytest.mark.parametrize("version", COMMITS)
def test_commit_while_members_have_joined_and_not_synced_is_rebalance_in_progress(side, group, version):
    joined = join(side, group)
    assert committing(side, group, joined["MemberId"], joined["GenerationId"], version=version) == REBALANCING


def test_commit_while_members_join_is_taken_from_the_former_generation(side, group):
    member, generation = member_of(side, group)
    second = side.call("JoinGroup", 5, **join_fields(group))["MemberId"]
    coming = side.start("JoinGroup", 5, **join_fields(group, second))
    lib.wait_until(lambda: side.call("Heartbeat", 3, GroupId=group, MemberId=member, GenerationId=generation)[
        "ErrorCode"] == REBALANCING, 10, "the rebalance")
    assert committing(side, group, member, generation, offset=9) == 0
    side.call("JoinGroup", 5, **join_fields(group, member))
    assert coming.wait()["ErrorCode"] == 0


@pytest.mark.parametrize("version", COMMITS)
def test_commit_to_an_unknown_group_is_group_id_not_found_from_v9_on_and_illegal_generation_before(side, group, version):
    expected = GROUP_ID_NOT_FOUND if version >= 9 else ILLEGAL_GENERATION
    assert committing(side, group, "nobody", 5, version=version) == expected
    assert committing(side, group, version=version) == 0  # of nobody, which makes the group


def test_commit_of_a_replaced_static_member_is_fenced_instance_id(side, group):
    old = side.call("JoinGroup", 5, **join_fields(group, instance="one"))
    member, generation = old["MemberId"], old["GenerationId"]
    side.call("SyncGroup", 3, GroupId=group, MemberId=member, GenerationId=generation, GroupInstanceId="one", Assignments=[
        {"MemberId": member, "Assignment": b"mine"}])
    assert committing(side, group, member, generation, instance="one") == 0
    assert side.call("JoinGroup", 5, **join_fields(group, instance="one"))["ErrorCode"] == 0
    assert committing(side, group, member, generation, instance="one") == FENCED_INSTANCE


@pytest.mark.parametrize("version", COMMITS)
def test_commit_with_more_than_4096_bytes_of_metadata_is_offset_metadata_too_large(side, group, version):
    assert committing(side, group, version=version, metadata="x" * 4097) == METADATA_TOO_LARGE
    assert fetched(side, group)["commits", 0][1] == -1
    assert committing(side, group, version=version, metadata="x" * 4096) == 0
    assert fetched(side, group)["commits", 0] == (0, 5, "x" * 4096)


@pytest.mark.parametrize("version", COMMITS)
def test_commit_to_an_unknown_topic_says_so_and_the_others_count(side, group, version):
    answer = side.call("OffsetCommit", version, GroupId=group, GenerationIdOrMemberEpoch=-1, Topics=[
        {"Name": name, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 5}]} for name in ("unknown", "commits")])
    assert {t["Name"]: t["Partitions"][0]["ErrorCode"] for t in answer["Topics"]} == {"unknown": UNKNOWN_TOPIC, "commits": 0}
    assert fetched(side, group)["commits", 0][1] == 5


def test_commit_v2_to_v4_with_a_retention_time_is_taken(side, group):
    for version in (2, 3, 4):
        answer = side.call("OffsetCommit", version, GroupId=group, GenerationIdOrMemberEpoch=-1, RetentionTimeMs=3600000,
                           Topics=[{"Name": "commits", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": version}]}])
        assert answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0
        assert fetched(side, group)["commits", 0][1] == version


@pytest.mark.parametrize("version", (3, 4, 5))
def test_offsets_of_a_transaction_are_fenced_by_generation_from_v3_on(side, group, version):
    member, generation = member_of(side, group)
    producer = Producer(side, group)
    lib.wait_until(lambda: producer.init() == 0, 30, "a coordinator")
    if version < 5:
        lib.wait_until(lambda: producer.add_offsets(group) == 0, 10)

    def ask(who, which):
        answer = side.call("TxnOffsetCommit", version, TransactionalId=group, GroupId=group, ProducerId=producer.producer_id,
                           ProducerEpoch=producer.epoch, GenerationId=which, MemberId=who, Topics=[
                               {"Name": "commits", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 3}]}])
        return answer["Topics"][0]["Partitions"][0]["ErrorCode"]
    lib.wait_until(lambda: ask(member, generation) == 0, 10, "the commit")
    assert ask(member, generation + 1) == ILLEGAL_GENERATION
    assert ask("nobody", generation) == UNKNOWN_MEMBER


# ---- what comes back ----


@pytest.mark.parametrize("version", range(1, 10))
def test_offset_fetch_of_an_unknown_group_or_partition_is_offset_minus_1_without_an_error(side, group, version):
    asked = {"commits": (0, 1, 77), "unknown": (0,)}
    nothing = {(t, p): (0, -1, "") for t, ps in asked.items() for p in ps}
    assert fetched(side, group, asked, version) == nothing
    assert committing(side, group, metadata="text") == 0
    assert fetched(side, group, asked, version) == {**nothing, ("commits", 0): (0, 5, "text")}, "none is left out"


@pytest.mark.parametrize("version", range(2, 10))
def test_offset_fetch_of_null_topics_is_all_from_v2_on(side, group, version):
    assert fetched(side, group, None, version) == {}
    assert committing(side, group, topic="commits", partition=2) == committing(side, group, topic="more", offset=8) == 0
    assert fetched(side, group, None, version) == {("commits", 2): (0, 5, ""), ("more", 0): (0, 8, "")}


@pytest.mark.parametrize("version", (8, 9))
def test_offset_fetch_v8_answers_several_groups(side, group, version):
    assert committing(side, group) == 0
    answer = side.call("OffsetFetch", version, Groups=[{"GroupId": name, "Topics": None} for name in (group, "nobody-here")])
    assert {g["GroupId"]: (g["ErrorCode"], len(g["Topics"])) for g in answer["Groups"]} == {group: (0, 1), "nobody-here": (0, 0)}


def test_committed_metadata_and_leader_epoch_come_back(side, group):
    answer = side.call("OffsetCommit", 7, GroupId=group, GenerationIdOrMemberEpoch=-1, Topics=[{"Name": "commits", "Partitions": [
        {"PartitionIndex": 0, "CommittedOffset": 5, "CommittedLeaderEpoch": 3, "CommittedMetadata": "where I was"}]}])
    assert answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0
    for version in (5, 7):
        found = side.call("OffsetFetch", version, GroupId=group, Topics=[{"Name": "commits", "PartitionIndexes": [0]}])
        (found,) = found["Topics"][0]["Partitions"]
        assert (found["CommittedOffset"], found["CommittedLeaderEpoch"], found["Metadata"]) == (5, 3, "where I was")


@pytest.mark.parametrize("version", (7, 9))
def test_offset_fetch_that_requires_stable_ones_is_unstable_while_a_transaction_has_one(side, group, version):
    producer = Producer(side, group)
    lib.wait_until(lambda: producer.init() == 0, 30, "a coordinator")
    assert committing(side, group, offset=1) == 0
    lib.wait_until(lambda: producer.add_offsets(group) == 0, 10)
    lib.wait_until(lambda: producer.commit_offsets(group, "commits", {0: 7}) == 0, 10)
    asked = {"commits": (0, 1)}
    assert fetched(side, group, asked, version)["commits", 0][:2] == (0, 1)
    found = fetched(side, group, asked, version, RequireStable=True)
    assert [found["commits", p][:2] for p in (0, 1)] == [(UNSTABLE, -1), (0, -1)]
    assert producer.end(True) == 0
    lib.wait_until(lambda: fetched(side, group, asked, version, RequireStable=True)["commits", 0][:2] == (0, 7), 10)


def test_offsets_v10_name_topics_by_id_and_an_unknown_id_is_unknown_topic_id(side, group):
    topic = metadata_of(side, "commits")["TopicId"]
    answer = side.call("OffsetCommit", 10, GroupId=group, GenerationIdOrMemberEpoch=-1, Topics=[
        {"TopicId": one, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 5}]} for one in (topic, NOBODY)])
    assert {t["TopicId"]: t["Partitions"][0]["ErrorCode"] for t in answer["Topics"]} == {topic: 0, NOBODY: UNKNOWN_TOPIC_ID}
    answer = side.call("OffsetFetch", 10, Groups=[{"GroupId": group, "Topics": [
        {"TopicId": one, "PartitionIndexes": [0]} for one in (topic, NOBODY)]}])
    found = {t["TopicId"]: t["Partitions"][0] for t in answer["Groups"][0]["Topics"]}
    assert {one: (p["ErrorCode"], p["CommittedOffset"]) for one, p in found.items()} == {
        topic: (0, 5), NOBODY: (UNKNOWN_TOPIC_ID, -1)}


def test_commit_and_fetch_without_a_topic_are_answered_without_one(side, group):
    answer = side.call("OffsetCommit", 8, GroupId=group, GenerationIdOrMemberEpoch=-1, Topics=[])
    assert answer["Topics"] == [] and refused(side.call("OffsetFetch", 7, GroupId=group, Topics=[])) == 0
