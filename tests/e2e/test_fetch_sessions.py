# SPDX-License-Identifier: Apache-2.0
# Incremental fetch sessions (KIP-227), rule by rule and raw: what a session remembers, which requests it refuses, what
# its answers leave out, and whose turn it is.
import os
import sys

import pytest

import cluster as lib

sys.path.insert(0, os.path.join(lib.ROOT, "tests", "clients", "differential"))
from side import Connection, Side, batch  # noqa: E402

UNKNOWN_TOPIC, NOT_FOUND, BAD_EPOCH, UNKNOWN_ID, INCONSISTENT_ID, TOPIC_ID_ERROR = 3, 70, 71, 100, 103, 106


@pytest.fixture(scope="module")
def side():
    with lib.Cluster() as cluster:
        found = Side("millrace", cluster.storage[0].address)
        found.metric = cluster.storage[0].metric
        yield found


class Session:
    """One consumer's requests: named(partition=offset) names them, with the next epoch by itself."""

    def __init__(self, side, topic, version=12, session=0):
        self.side, self.topic, self.version, self.id, self.epoch = side, topic, version, session, 0

    def name(self):
        return {"TopicId": self.topic} if self.version >= 13 else {"Topic": self.topic}

    def ask(self, offsets=None, forget=(), epoch=None, version=None, **fields):
        parts = [{"Partition": p, "FetchOffset": o, "PartitionMaxBytes": fields.pop("partition_max", 1 << 20)}
                 for p, o in (offsets or {}).items()]
        fields = {"MaxWaitMs": 0, "MinBytes": 1, **fields}
        answer = self.side.call(
            "Fetch", version or self.version, SessionId=self.id, SessionEpoch=self.epoch if epoch is None else epoch,
            Topics=[{**self.name(), "Partitions": parts}] if parts else [],
            ForgottenTopicsData=[{**self.name(), "Partitions": list(forget)}] if forget else [], **fields)
        if answer["ErrorCode"] == 0 and epoch is None:
            self.id, self.epoch = answer["SessionId"], self.epoch + 1
        return answer


def parts(answer):
    assert answer["ErrorCode"] == 0, answer
    return {p["PartitionIndex"]: p for topic in answer["Responses"] for p in topic["Partitions"]}


def topic_with(side, name, partitions=1, records=1):
    topic = side.topic(name, partitions)
    for partition in range(partitions):
        for _ in range(records):
            assert side.produce(name, batch(b"x" * 1000), partition=partition)["ErrorCode"] == 0
    return topic


@pytest.mark.parametrize("version", (7, 12, 13, 18))
def test_incremental_fetch_tells_only_what_is_new(side, version):
    topic = topic_with(side, "news-%d" % version, 3)
    session = Session(side, topic if version >= 13 else "news-%d" % version, version)
    assert set(parts(session.ask({0: 1, 1: 1, 2: 1}))) == {0, 1, 2}  # a full answer says all, also what is empty
    assert session.id > 0
    assert parts(session.ask()) == {}
    side.produce("news-%d" % version, batch(b"y"), partition=1)
    found = parts(session.ask())
    assert set(found) == {1} and found[1]["Records"] and found[1]["HighWatermark"] == 2
    found = parts(session.ask({1: 2}))  # past it: nothing new is there
    assert found == {}
    assert set(parts(session.ask({0: 0}))) == {0}  # another position is remembered
    assert set(parts(session.ask())) == {0}


def test_session_tells_errors_every_time_and_their_end(side):
    topic_with(side, "errors")
    session = Session(side, "errors")
    assert parts(session.ask({0: 1, 7: 0}))[7]["ErrorCode"] == UNKNOWN_TOPIC
    for _ in range(2):
        found = parts(session.ask())
        assert set(found) == {7} and found[7]["ErrorCode"] == UNKNOWN_TOPIC
    assert parts(session.ask({0: 99}))[0]["ErrorCode"] == 1
    assert set(parts(session.ask({0: 1}))) == {0, 7}  # the error is over
    assert set(parts(session.ask())) == {7}


def test_forgotten_partitions_are_answered_no_more(side):
    topic_with(side, "forgotten", 2)
    session = Session(side, "forgotten")
    assert set(parts(session.ask({0: 0, 1: 0}))) == {0, 1}
    assert set(parts(session.ask(forget=[0]))) == {1}
    assert set(parts(session.ask())) == {1}
    assert set(parts(session.ask({0: 0}))) == {0, 1}
    answer = session.ask(forget=[0, 1])  # it is empty and ends
    assert answer["SessionId"] == 0 and answer["Responses"] == []
    session.id = session.id or 1
    assert session.ask(epoch=5)["ErrorCode"] == NOT_FOUND


def test_session_of_another_epoch_or_id_is_refused(side):
    topic_with(side, "epochs")
    session = Session(side, "epochs")
    session.ask({0: 1})
    for wrong in (2, 3, -2):
        refused = session.ask(epoch=wrong)
        assert (refused["ErrorCode"], refused["SessionId"], refused["Responses"]) == (BAD_EPOCH, 0, [])
    assert session.ask()["ErrorCode"] == 0
    assert session.ask(epoch=1)["ErrorCode"] == BAD_EPOCH  # said before
    first = session.id
    assert Session(side, "epochs", session=first + 1).ask(epoch=1)["ErrorCode"] == NOT_FOUND
    session.epoch = 0  # a full request replaces the session it names
    assert set(parts(session.ask({0: 1}))) == {0}
    assert session.id not in (0, first)
    assert Session(side, "epochs", session=first).ask(epoch=2)["ErrorCode"] == NOT_FOUND
    closed = session.ask({0: 1}, epoch=-1)
    assert (closed["ErrorCode"], closed["SessionId"]) == (0, 0) and set(parts(closed)) == {0}
    assert session.ask()["ErrorCode"] == NOT_FOUND


def test_session_of_names_refuses_ids_and_one_of_ids_names(side):
    topic = topic_with(side, "mixed")
    session = Session(side, "mixed")
    session.ask({0: 1})
    assert session.ask(version=13)["ErrorCode"] == TOPIC_ID_ERROR
    assert session.ask()["ErrorCode"] == 0
    session = Session(side, topic, 13)
    session.ask({0: 1})
    assert session.ask(version=12)["ErrorCode"] == TOPIC_ID_ERROR


def test_a_session_belongs_to_no_connection(side):
    topic_with(side, "moves")
    session = Session(side, "moves")
    session.ask({0: 1})
    side.connection.close()
    side.connection = Connection(side.address)
    assert parts(session.ask()) == {}
    held = side.start("Fetch", 12, SessionId=session.id, SessionEpoch=session.epoch, MaxWaitMs=10000, MinBytes=1)
    session.epoch += 1
    # Who goes on elsewhere while the first request waits: that one learns that it is no longer the session's last.
    lib.wait_until(lambda: session.ask()["ErrorCode"] == 0, 10, "the first request to be there")
    side.produce("moves", batch(b"y"))
    answer = held.wait()
    assert (answer["ErrorCode"], answer["Responses"]) == (BAD_EPOCH, [])
    assert parts(session.ask())[0]["Records"]


def test_a_parked_session_is_woken(side):
    topic_with(side, "parked", 2)
    session = Session(side, "parked")
    session.ask({0: 1, 1: 1})
    held = side.start("Fetch", 12, SessionId=session.id, SessionEpoch=session.epoch, MaxWaitMs=10000, MinBytes=1)
    side.produce("parked", batch(b"y"), partition=1)
    assert set(parts(held.wait())) == {1}


def test_partitions_that_returned_records_go_to_the_end_of_the_session(side):
    """With room for one partition per answer all have their turn."""
    topic_with(side, "turns", 4, records=3)
    session = Session(side, "turns")
    served = []
    answer = session.ask({p: 0 for p in range(4)}, MaxBytes=100)
    for _ in range(8):
        answer = session.ask(MaxBytes=100)
        served += [p for p, found in parts(answer).items() if found["Records"]]
    assert served == [0, 1, 2, 3, 0, 1, 2, 3]


def test_topic_made_anew_is_inconsistent_topic_id_in_its_session(side):
    old = topic_with(side, "anew")
    by_id, never = Session(side, old, 13), "11111111-1111-1111-1111-111111111111"
    by_id.ask({0: 1})
    unknown = Session(side, never, 13)
    assert parts(unknown.ask({0: 0}))[0]["ErrorCode"] == UNKNOWN_ID
    side.call("DeleteTopics", 5, TopicNames=["anew"], TimeoutMs=5000)
    lib.wait_until(lambda: parts(by_id.ask()).get(0, {}).get("ErrorCode") == UNKNOWN_TOPIC, 10, "the topic to go")
    new = topic_with(side, "anew")
    assert new != old
    assert parts(by_id.ask())[0]["ErrorCode"] == INCONSISTENT_ID
    assert parts(unknown.ask())[0]["ErrorCode"] == UNKNOWN_ID
    answer = side.call(
        "Fetch", 13, MaxWaitMs=0, MinBytes=1, SessionId=by_id.id, SessionEpoch=by_id.epoch,
        Topics=[{"TopicId": new, "Partitions": [{"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1000}]}],
        ForgottenTopicsData=[{"TopicId": old, "Partitions": [0]}])
    assert parts(answer)[0]["Records"]


def test_sessions_beyond_the_slots_are_declined():
    with lib.Cluster(settings={"storage": {"max.incremental.fetch.session.cache.slots": 2}}) as cluster:
        side = Side("millrace", cluster.storage[0].address)
        topic_with(side, "slots", 3)
        sessions = [Session(side, "slots") for _ in range(3)]
        for session in sessions:
            assert set(parts(session.ask({0: 1, 1: 1}))) == {0, 1}
        assert [session.id > 0 for session in sessions] == [True, True, False]
        metric = cluster.storage[0].metric
        assert metric("millrace_storage_fetch_sessions") == 2
        assert metric("millrace_storage_fetch_session_partitions") == 4
        assert metric("millrace_storage_fetch_sessions_declined_total") == 1
        sessions[0].ask(epoch=-1)
        assert metric("millrace_storage_fetch_sessions") == 1
        sessions[2].epoch = 0
        sessions[2].ask({2: 1})
        assert sessions[2].id > 0


def test_the_brokers_own_limit():
    """fetch.max.bytes holds whatever the client allows; the first batch comes also when it alone is larger."""
    with lib.Cluster(settings={"storage": {"fetch.max.bytes": 2500}}) as cluster:
        side = Side("millrace", cluster.storage[0].address)
        topic_with(side, "limit", 3, records=2)
        session = Session(side, "limit")
        found = parts(session.ask({p: 0 for p in range(3)}))
        assert [len(found[p]["Records"]) // 1000 for p in range(3)] == [2, 0, 0]
        found = parts(session.ask({0: 2}))  # the others come first now
        assert set(found) == {1} and len(found[1]["Records"]) // 1000 == 2
        assert side.produce("limit", batch(b"y" * 5000))["ErrorCode"] == 0
        assert len(parts(session.ask({0: 2}, forget=[1, 2]))[0]["Records"]) > 5000
